// Ways out are set up as the catalog says; their secrets are not told.
import assert from "node:assert/strict";
import { client, once } from "./client.js";

const of = client.providers;
assert.ok((await of.catalog.list()).results.some((one) => one.provider === "twilio"));
const settings = { account_sid: "AC1", auth_token: "secret", from: "+4915112345678" };
const asked = { provider: "twilio", alias: "node-sms", title: "SMS", settings };
const made = await of.create(asked, once("node-provider"));
assert.equal((await of.create(asked, once("node-provider"))).id, made.id);
assert.ok(!JSON.stringify(await of.retrieve(made.id)).includes("secret"));
const from = "+4915187654321";
const changed = await of.update(made.id, { provider: "twilio", settings: { ...settings, from } });
assert.equal(changed.settings.from, from);
assert.ok((await of.list()).results.some((one) => one.id === made.id));
await of.delete(made.id);
await assert.rejects(of.retrieve(made.id), { status: 404 });
