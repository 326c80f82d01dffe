// What is tracked starts runs, in the order in which it came, once.
import assert from "node:assert/strict";
import Courier from "@trycourier/courier";
import { arrives, client } from "./client.js";

const dee = "node/dee";
await client.profiles.create(dee, { profile: { email: "dee@node.example" } });
const content = { title: "Thanks", body: "for {{data.order}}" };
const steps = [{ action: "send", message: { to: { user_id: dee }, content } }];
const trigger = { event_type: "custom.node_order_placed" };
await client.put("/automations/templates/node-thanks", { body: { name: "Thanks", steps, trigger } });
const track = (order) =>
  client.inbound.trackEvent({
    event: "Node Order Placed",
    messageId: `node/${order}`,
    properties: { order },
    type: "track",
    userId: dee,
  });
for (const order of [1, 2, 3]) {
  assert.equal((await track(order)).messageId, `node/${order}`);
}
await assert.rejects(track(2), Courier.ConflictError);
arrives("dee@node.example", ["Thanks", "for 1"], ["Thanks", "for 2"], ["Thanks", "for 3"]);
