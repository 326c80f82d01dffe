// Audiences: members follow the profiles.
import assert from "node:assert/strict";
import { client } from "./client.js";

const id = "node/gold 1%";
await client.profiles.create("node/rich", { profile: { metal: "gold" } });
const filter = { operator: "AND", filters: [{ operator: "EQ", path: "metal", value: "gold" }] };
const { audience } = await client.audiences.update(id, { name: "Gold", description: "Who has it", filter });
assert.deepEqual([audience.name, audience.description, audience.operator], ["Gold", "Who has it", "AND"]);
const members = async () => (await client.audiences.listMembers(id)).items.map((one) => one.member_id);
assert.deepEqual(await members(), ["node/rich"]);
await client.profiles.replace("node/rich", { profile: {} });
assert.deepEqual(await members(), []);
assert.equal((await client.audiences.retrieve(id)).id, id);
assert.ok((await client.audiences.list()).items.some((one) => one.id === id));
await client.audiences.delete(id);
await assert.rejects(client.audiences.retrieve(id), { status: 404 });
