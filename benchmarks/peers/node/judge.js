// json-rules-engine judges every rule for every event: one engine, rules added once, `run` for each payload.
// Reads {rules: [[{field, operator, value}]], payloads: [...]} and writes {seconds, version, matched: [[number]]}.
import { readFileSync } from "node:fs";
import { Engine } from "json-rules-engine";

const OPERATORS = { equals: "equal", greater_than: "greaterThan", in: "in" };
const order = JSON.parse(readFileSync(0, "utf8"));
const engine = new Engine([], { allowUndefinedFacts: true });
order.rules.forEach((conditions, number) =>
  engine.addRule({
    conditions: {
      all: conditions.map(({ field, operator, value }) => ({ fact: field, operator: OPERATORS[operator], value })),
    },
    event: { type: String(number) },
  }),
);
const matched = [];
const began = process.hrtime.bigint();
for (const payload of order.payloads) {
  const { events } = await engine.run(payload);
  matched.push(events.map((event) => Number(event.type)));
}
const seconds = Number(process.hrtime.bigint() - began) / 1e9;
const { version } = JSON.parse(
  readFileSync(new URL("./node_modules/json-rules-engine/package.json", import.meta.url), "utf8"),
);
process.stdout.write(JSON.stringify({ seconds, version, matched }));
