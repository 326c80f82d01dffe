// Sending: to one once, to a list, in bulk; a message is sent again.
import assert from "node:assert/strict";
import Courier from "@trycourier/courier";
import { arrives, client, once } from "./client.js";

const fay = "node/fay 1%2F ü";
await client.profiles.create(fay, { profile: { email: "fay@node.example" } });
const content = { title: "{n}", body: "Hello {n}" };
const send = (to, n, options) => client.send.message({ message: { to, content, data: { n } } }, options);
const status = async (id) => (await client.messages.retrieve(id)).status;

const first = await send({ user_id: fay }, "one", once("node-send"));
assert.equal((await send({ user_id: fay }, "one", once("node-send"))).requestId, first.requestId);
while ((await status(first.requestId)) !== "SENT");
await client.lists.subscriptions.subscribeUser(fay, { list_id: "node.sending" });
await send({ list_id: "node.sending" }, "two");
await client.requests.archive(first.requestId);
const listed = async (query) => (await client.messages.list({ recipient: fay, ...query })).results.map((one) => one.id);
assert.ok(!(await listed({})).includes(first.requestId));
assert.ok((await listed({ archived: true })).includes(first.requestId));
const nothing = { archived: true, status: [null], tag: null, traceId: null, enqueued_after: null };
assert.ok((await listed(nothing)).includes(first.requestId));
await assert.rejects(client.messages.cancel(first.requestId), Courier.ConflictError);

const { jobId } = await client.bulk.createJob({ message: { event: "node-seats", content } });
const users = [1, 2, 3].map((n) => ({ profile: { email: "seats@node.example" }, data: { n } }));
await client.bulk.addUsers(jobId, { users });
await client.bulk.runJob(jobId);
while ((await client.bulk.retrieveJob(jobId)).job.status !== "COMPLETED");
const { items } = await client.bulk.listUsers(jobId);
assert.deepEqual(items.map((one) => [one.status, one.data.n]), [1, 2, 3].map((n) => ["ENQUEUED", n]));
await assert.rejects(client.bulk.addUsers(jobId, { users }), Courier.ConflictError);
arrives("fay@node.example", ["one", "Hello one"], ["two", "Hello two"]);
arrives("seats@node.example", ...[1, 2, 3].map((n) => [`${n}`, `Hello ${n}`]));
