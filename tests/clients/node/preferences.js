// What people may choose from, what holds in a tenant for who said nothing, and what they say: it decides what arrives.
import assert from "node:assert/strict";
import { arrives, client } from "./client.js";

const gus = "node/gus 1%2F ü";
const tenant_id = "node/club";
const offers = "node-offers";
await client.profiles.create(gus, { profile: { email: "gus@node.example" } });

const sections = "/preferences/sections";
const section = await client.post(sections, { body: { name: "Shop" } });
const asked = { id: offers, name: "Offers", default_status: "OPTED_OUT" };
await client.post(`${sections}/${section.id}/topics`, { body: asked });

const sent = [];
async function send(n, context) {
  const content = { title: n, body: "of {n}" };
  const message = { to: { user_id: gus }, content, context, data: { n }, preferences: { subscription_topic_id: offers } };
  sent.push((await client.send.message({ message })).requestId);
  const ended = async () => ["SENT", "UNROUTABLE"].includes((await client.messages.retrieve(sent.at(-1))).status);
  while (!(await ended().catch(() => false)));
}

await send("nobody asked");
const items = [{ id: offers, status: "OPTED_IN" }];
await client.tenants.update(tenant_id, { name: "Club", default_preferences: { items } });
assert.equal((await client.tenants.retrieve(tenant_id)).default_preferences.items[0].status, "OPTED_IN");
await send("the club wants it", { tenant_id });
await client.tenants.preferences.items.update(offers, { tenant_id, status: "OPTED_OUT" });
await send("the club does not", { tenant_id });
await client.tenants.preferences.items.delete(offers, { tenant_id });
const said = client.users.preferences;
await said.updateOrCreateTopic(offers, { user_id: gus, tenant_id, topic: { status: "OPTED_IN" } });
await send("Gus wants it there", { tenant_id });
await send("and not here");
assert.equal((await said.retrieveTopic(offers, { user_id: gus, tenant_id })).topic.status, "OPTED_IN");
await said.updateOrCreateTopic(offers, { user_id: gus, topic: { status: "OPTED_IN" } });
await send("Gus wants it");
assert.equal((await said.retrieve(gus)).items.find((one) => one.topic_id === offers).status, "OPTED_IN");

const wanted = ["the club wants it", "Gus wants it there", "Gus wants it"];
arrives("gus@node.example", ...wanted.map((n) => [n, `of ${n}`]));
