// Tenants with their users.
import assert from "node:assert/strict";
import { client } from "./client.js";

const ana = "node/tenant's ana";
await client.tenants.update("node/acme", { name: "Acme", properties: { plan: "pro" } });
for (const number of [1, 2, 3]) {
  await client.tenants.update(`node/acme/${number}`, { name: "Branch", parent_tenant_id: "node/acme" });
}
const first = await client.tenants.list({ parent_tenant_id: "node/acme", limit: 2 });
const rest = await client.tenants.list({ parent_tenant_id: "node/acme", limit: 2, cursor: first.cursor });
assert.deepEqual([...first.items, ...rest.items].map((one) => one.id), ["node/acme/1", "node/acme/2", "node/acme/3"]);
await client.users.tenants.addSingle("node/acme/1", { user_id: ana, profile: { desk: 4 } });
await client.users.tenants.addMultiple(ana, { tenants: [{ tenant_id: "node/acme/2", profile: { desk: 5 } }] });
assert.deepEqual((await client.users.tenants.list(ana)).items.map((one) => one.profile.desk), [4, 5]);
assert.deepEqual((await client.tenants.listUsers("node/acme/2")).items.map((one) => one.user_id), [ana]);
await client.users.tenants.removeSingle("node/acme/1", { user_id: ana });
await client.users.tenants.removeAll(ana);
assert.deepEqual((await client.users.tenants.list(ana)).items, []);
await client.tenants.delete("node/acme/3");
await assert.rejects(client.tenants.retrieve("node/acme/3"), { status: 404 });
