// Routing strategies say by which channels go those who do not say it themselves.
import assert from "node:assert/strict";
import { arrives, client, once } from "./client.js";

const of = client.routingStrategies;
const routing = { method: "single", channels: ["direct_message", "email"] };
const asked = { name: "Node", routing, channels: { email: { override: { subject: "By strategy" } } } };
const made = await of.create(asked, once("node-strategy"));
assert.equal((await of.create(asked, once("node-strategy"))).id, made.id);
assert.deepEqual((await of.retrieve(made.id)).routing, routing);
assert.equal((await of.replace(made.id, { ...asked, name: "Nodes" })).name, "Nodes");
assert.ok((await of.list({ limit: 100 })).results.some((one) => one.id === made.id));

const elements = [{ type: "text", content: "Hello" }];
const content = { version: "2022-01-01", elements };
const said = { name: "Routed", tags: [], brand: null, subscription: null, routing: { strategy_id: made.id } };
const template = await client.notifications.create({ notification: { ...said, content }, state: "PUBLISHED" });
assert.deepEqual(
  (await of.listNotifications(made.id)).results.map((one) => one.id),
  [template.id],
);
await client.send.message({ message: { to: { email: "gil@node.example" }, template: template.id } });
await assert.rejects(of.archive(made.id), { status: 409 });
await client.notifications.archive(template.id);
await of.archive(made.id);
await assert.rejects(of.retrieve(made.id), { status: 404 });
arrives("gil@node.example", ["By strategy", "Hello"]);
