// Lists: subscribers are walked page by page, a deleted list comes back with them.
import assert from "node:assert/strict";
import { client } from "./client.js";

const crowd = Array.from({ length: 130 }, (_, number) => ({ recipientId: `node/reader ${number}` }));
const list = "node.weekly";

async function subscribers() {
  const found = [];
  for (let cursor, more = true; more; ) {
    const page = await client.lists.subscriptions.list(list, cursor ? { cursor } : {});
    found.push(...page.items.map((one) => one.recipientId));
    ({ cursor, more } = page.paging);
  }
  return found.sort();
}

await client.lists.update(list, { name: "Weekly" });
await client.lists.subscriptions.add(list, { recipients: crowd });
assert.deepEqual(await subscribers(), crowd.map((one) => one.recipientId).sort());
await client.lists.subscriptions.subscribe(list, { recipients: crowd.slice(0, 2) });
await client.lists.subscriptions.subscribeUser("node/one more", { list_id: list });
await client.lists.subscriptions.unsubscribeUser(crowd[1].recipientId, { list_id: list });
await client.lists.delete(list);
await assert.rejects(client.lists.retrieve(list), { status: 404 });
await client.lists.restore(list, {});
assert.deepEqual(await subscribers(), ["node/one more", crowd[0].recipientId]);
assert.deepEqual((await client.lists.list({ pattern: "*.weekly" })).items.map((one) => one.id).includes(list), true);
