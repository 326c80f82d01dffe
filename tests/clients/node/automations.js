// Automations: steps in their order, once; a token cancels; a refusal is the client's own error.
import assert from "node:assert/strict";
import Courier from "@trycourier/courier";
import { arrives, client, once } from "./client.js";

const bea = "node/bea 1%2F ü";
await client.profiles.create(bea, { profile: { email: "bea@node.example" } });
const letter = (title) => ({
  action: "send",
  message: { to: { user_id: bea }, content: { title, body: "of {{data.order}}" } },
});
const steps = [letter("First"), { ...letter("Never"), if: "data.order > 7" }, letter("Second"), letter("Third")];
const asked = { automation: { steps }, data: { order: 7 } };
const run = await client.automations.invoke.invokeAdHoc(asked, once("node-1"));
assert.equal((await client.automations.invoke.invokeAdHoc(asked, once("node-1"))).runId, run.runId);

const body = { name: "Cart", steps: [{ action: "delay", duration: "1 hour" }, letter("Cart")], cancelation_token: "node-cart" };
await client.put("/automations/templates/node%2Fcart", { body });
assert.ok((await client.automations.list()).templates.some((one) => one.id === "node/cart"));
await client.automations.invoke.invokeByTemplate("node/cart", { recipient: bea });
const cancel = [{ action: "cancel", cancelation_token: "node-cart" }];
await client.automations.invoke.invokeAdHoc({ automation: { steps: cancel } });
let canceled = [];
while (canceled.length === 0) {
  canceled = (await client.get("/automations/runs", { query: { template_id: "node/cart", status: "CANCELED" } })).runs;
}
const taken = (await client.get(`/automations/runs/${canceled[0].run_id}/steps`)).steps;
assert.deepEqual(taken.map((one) => [one.action, one.status]), [["delay", "CANCELED"], ["send", "CANCELED"]]);

const dance = client.automations.invoke.invokeAdHoc({ automation: { steps: [{ action: "dance" }] } });
await assert.rejects(dance, (refusal) => {
  assert.ok(refusal instanceof Courier.BadRequestError);
  return refusal.message.includes("steps[0].action");
});
arrives("bea@node.example", ["First", "of 7"], ["Second", "of 7"], ["Third", "of 7"]);

let found = [];
while (found.length < 3) {
  const query = { recipient: bea, status: ["SENT", "OPENED"] };
  found = (await client.messages.list(query)).results;
}
const message = await client.messages.retrieve(found[2].id);
assert.deepEqual([message.status, message.recipient], ["SENT", bea]);
const history = (await client.messages.history(message.id)).results.map((one) => one.type);
assert.deepEqual(history, ["ENQUEUED", "ROUTED", "RENDERED", "SENT"]);
const [shown] = (await client.messages.content(message.id)).results;
assert.deepEqual([shown.content.subject, shown.content.text], ["First", "of 7"]);
