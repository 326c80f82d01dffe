// Templates and brands: what goes out is what was published.
import assert from "node:assert/strict";
import Courier from "@trycourier/courier";
import { arrives, client, once } from "./client.js";

const settings = { colors: { primary: "#102030", secondary: "#405060" } };
const brand = await client.brands.create({ name: "Shop", settings }, once("node-brand"));
assert.equal((await client.brands.create({ name: "Shop", settings }, once("node-brand"))).id, brand.id);
assert.equal((await client.brands.update(brand.id, { name: "The shop", settings })).name, "The shop");
assert.ok((await client.brands.list()).results.some((one) => one.id === brand.id));
assert.equal((await client.brands.retrieve(brand.id)).name, "The shop");

await client.profiles.create("node/eve", { profile: { email: "eve@node.example", given_name: "Eve" } });
const content = (text) => ({
  version: "2022-01-01",
  elements: [
    { type: "meta", title: "Dear {{profile.given_name}}" },
    { type: "text", content: text, id: "t" },
  ],
});
const said = { name: "Dear", tags: ["mail"], brand: { id: brand.id }, subscription: null, routing: null };
const made = await client.notifications.create({ notification: { ...said, content: content("One") }, state: "PUBLISHED" });
assert.equal(made.state, "PUBLISHED");
await client.notifications.replace(made.id, { notification: { ...said, content: content("Two") }, state: "DRAFT" });
const step = { action: "send", recipient: "node/eve", template: made.id };
const send = () => client.automations.invoke.invokeAdHoc({ automation: { steps: [step] } });
const sent = async (count) => {
  while ((await client.messages.list({ recipient: "node/eve" })).results.length < count);
};
await send();
await sent(1);
await client.notifications.publish(made.id);
await send();
await sent(2);
await client.notifications.putContent(made.id, { content: { elements: content("").elements }, state: "DRAFT" });
await client.notifications.putElement("t", { id: made.id, type: "text", data: { content: "Three" } });
await client.notifications.putLocale("de", { id: made.id, elements: [{ id: "t", content: "Drei" }] });
const written = await client.notifications.retrieveContent(made.id, { version: "draft" });
assert.equal(written.elements[1].id, "t");
assert.equal((await client.notifications.retrieve(made.id, { version: "v001" })).content.elements[1].content, "One");
const versions = (await client.notifications.listVersions(made.id)).versions.map((one) => one.version);
assert.deepEqual(versions, ["draft", "published:v002", "v001"]);
await client.notifications.publish(made.id);
await client.profiles.create("node/eve", { profile: { locale: "de" } });
await send();
await sent(3);
await assert.rejects(client.brands.delete(brand.id), Courier.ConflictError);
await client.notifications.archive(made.id);
assert.ok((await client.notifications.list()).results.every((one) => one.id !== made.id));
arrives("eve@node.example", ["Dear Eve", "One"], ["Dear Eve", "Two"], ["Dear Eve", "Drei"]);
