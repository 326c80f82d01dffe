// Profiles: merged, patched, replaced, deleted; ids hold slashes, per cent signs and spaces.
import assert from "node:assert/strict";
import Courier from "@trycourier/courier";
import { client } from "./client.js";

const ana = "node/ana 1%2F ü";
const stored = async () => (await client.profiles.retrieve(ana)).profile;

await client.profiles.create(ana, { profile: { email: "ana@node.example", name: "Ana" } });
await client.profiles.create(ana, { profile: { city: "Lisbon" } });
assert.deepEqual(await stored(), { email: "ana@node.example", name: "Ana", city: "Lisbon" });
await client.profiles.update(ana, { patch: [{ op: "replace", path: "/city", value: "Porto" }] });
assert.equal((await stored()).city, "Porto");
assert.equal((await client.profiles.replace(ana, { profile: { name: "A" } })).status, "SUCCESS");
assert.deepEqual(await stored(), { name: "A" });
await client.profiles.lists.subscribe(ana, { lists: [{ listId: "node.profile" }] });
assert.deepEqual((await client.profiles.lists.retrieve(ana)).results.map((one) => one.id), ["node.profile"]);
await client.profiles.lists.delete(ana);
assert.deepEqual((await client.profiles.lists.retrieve(ana)).results, []);
await client.profiles.delete(ana);
await assert.rejects(stored, Courier.NotFoundError);
