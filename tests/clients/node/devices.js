// Devices of a person, and what a token of their own opens.
import assert from "node:assert/strict";
import Courier from "@trycourier/courier";
import { client } from "./client.js";

const ana = "node/ana's devices";
const token = "dev/1:%2F+ü";
await client.users.tokens.addSingle(token, { user_id: ana, provider_key: "expo", device: { platform: "ios" } });
assert.deepEqual((await client.users.tokens.list(ana)).tokens.map((one) => one.token), [token]);
const patch = [{ op: "replace", path: "/status", value: "revoked" }];
await client.users.tokens.update(token, { user_id: ana, patch });
assert.equal((await client.users.tokens.retrieve(token, { user_id: ana })).status, "revoked");
await client.users.tokens.delete(token, { user_id: ana });
assert.deepEqual((await client.users.tokens.list(ana)).tokens, []);
await client.users.tokens.addMultiple(ana, { body: { tokens: [{ token: "second", provider_key: "apn" }] } });
assert.equal((await client.users.tokens.retrieve("second", { user_id: ana })).provider_key, "apn");

const { token: issued } = await client.auth.issueToken({ scope: `user_id:node-own write:preferences`, expires_in: "1h" });
const own = client.withOptions({ apiKey: issued });
await own.users.preferences.updateOrCreateTopic("news", { user_id: "node-own", topic: { status: "OPTED_OUT" } });
assert.equal((await client.users.preferences.retrieveTopic("news", { user_id: "node-own" })).topic.status, "OPTED_OUT");
await assert.rejects(own.users.preferences.retrieve(ana), Courier.PermissionDeniedError);
