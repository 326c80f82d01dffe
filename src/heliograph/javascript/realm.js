// The realm in which expressions run. Evaluated once for each realm; its value is the door through which it is used.
//
// Law: after this file has run, nothing in the realm can be changed, and nothing in it knows the clock, chance, other
// programs or the machine's time zone.
(function () {
  "use strict";
  const root = globalThis;
  const indirectEval = eval;
  const { apply, ownKeys, getOwnPropertyDescriptor, getPrototypeOf, defineProperty, deleteProperty } = Reflect;
  const { freeze } = Object;
  const { parse, stringify } = JSON;
  const RealDate = Date;
  const RealString = String;
  const functionText = Function.prototype.toString;
  const isPromise = (value) => promises.isPrototypeOf(value);
  const promises = Promise.prototype;
  const { imul } = Math;
  const { join } = Array.prototype;

  // ── what there is ───────────────────────────────────────────────────────────────────────────────

  const KEPT = new Set([
    "Object", "Array", "String", "Number", "Boolean", "Symbol", "Math", "Date", "JSON", "RegExp", "Map", "Set",
    "Iterator", "Reflect", "Error", "EvalError", "RangeError", "ReferenceError", "SyntaxError", "TypeError", "URIError",
    "InternalError", "AggregateError", "parseInt", "parseFloat", "isNaN", "isFinite", "decodeURI", "decodeURIComponent",
    "encodeURI", "encodeURIComponent", "escape", "unescape", "Infinity", "NaN", "undefined", "globalThis", "btoa", "atob",
  ]);

  const hidden = [
    function () {}, function* () {}, async function () {}, async function* () {}, promises,
    [][Symbol.iterator](), ""[Symbol.iterator](), new Map().entries(), new Set().values(), "".matchAll(/x/g),
    Iterator.from({ next() { return { done: true }; } }), [].values().map((item) => item), (function* () {})(),
    (async function* () {})(),
  ];

  for (const name of ["captureStackTrace", "prepareStackTrace", "stackTraceLimit"]) deleteProperty(Error, name);

  const hide = (holder, name, value) =>
    defineProperty(holder, name, { value, writable: true, enumerable: false, configurable: true });

  // Code is never made from text: what makes functions refuses to.
  for (const kind of hidden.slice(0, 4)) {
    hide(getPrototypeOf(kind), "constructor", function Function() {
      throw new EvalError("code cannot be made from text");
    });
  }
  for (const name of ["then", "catch", "finally"]) {
    hide(promises, name, function () {
      throw new TypeError("promises are not available");
    });
  }
  hide(promises, "constructor", Object);

  // ── time and chance ─────────────────────────────────────────────────────────────────────────────

  let now = 0;
  let state = 0;

  hide(Math, "random", function random() {
    // A Weyl sequence, scrambled: equal seeds give equal numbers.
    state = (state + 0x9e3779b9) | 0;
    let mixed = imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 4294967296;
  });

  const ISO = /^\s*[+-]?\d{4,6}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?\s*$/;
  const DAY = /^\s*[+-]?\d{4,6}(?:-\d\d(?:-\d\d)?)?\s*$/;
  const ZONED = /(?:Z|UTC|GMT|UT|[ECMP][SD]T|[+-]\d\d(?::?\d\d)?)\s*(?:\(.*\))?\s*$/i;
  const { UTC } = RealDate;
  const realParse = RealDate.parse;
  const { test } = RegExp.prototype;
  const matches = (pattern, text) => apply(test, pattern, [text]);
  const parseDate = (text) => {
    if (text.length > 100) return NaN;
    if (matches(ISO, text)) return realParse(text.trim() + "Z");
    if (matches(DAY, text) || matches(ZONED, text)) return realParse(text);
    const told = realParse(text + " UTC");
    return told === told ? told : realParse(text + "Z");
  };

  const dates = RealDate.prototype;
  const FakeDate = function Date(...given) {
    if (new.target === undefined) return new FakeDate(now).toString();
    if (given.length === 0) return new RealDate(now);
    if (given.length > 1) return new RealDate(apply(UTC, RealDate, given));
    let [value] = given;
    if (value instanceof RealDate) return new RealDate(+value);
    if (typeof value === "object" && value !== null) value = primitive(value);
    return new RealDate(typeof value === "string" ? parseDate(value) : value);
  };
  const primitive = (value) => {
    const convert = value[Symbol.toPrimitive];
    if (convert != null) return apply(convert, value, ["default"]);
    const own = value.valueOf();
    return typeof own === "object" ? RealString(value) : own;
  };
  hide(FakeDate, "now", function now_() { return now; });
  hide(FakeDate, "parse", function parse(text) { return parseDate(RealString(text)); });
  hide(FakeDate, "UTC", UTC);
  defineProperty(FakeDate, "prototype", { value: dates, writable: false });
  defineProperty(FakeDate, "length", { value: 7 });
  hide(dates, "constructor", FakeDate);
  for (const name of ownKeys(dates)) {
    if (typeof name === "string" && /^[gs]etUTC/.test(name)) hide(dates, name.replace("UTC", ""), dates[name]);
  }
  hide(dates, "getYear", function getYear() { return this.getUTCFullYear() - 1900; });
  hide(dates, "setYear", function setYear(year) { return this.setUTCFullYear(year < 100 ? +year + 1900 : +year); });
  hide(dates, "getTimezoneOffset", function getTimezoneOffset() { return this.getTime() * 0; });
  const { toUTCString } = dates;
  const pieces = (date) => {
    // "Mon, 02 Jan 2006 15:04:05 GMT", or "Invalid Date"
    const told = apply(toUTCString, date, []);
    return told === "Invalid Date" ? null : told.replace(",", "").split(" ");
  };
  const written = (name, write) =>
    hide(dates, name, { [name]() {
      const told = pieces(this);
      return told === null ? "Invalid Date" : write(told, this);
    } }[name]);
  const day = ([weekday, date, month, year]) => [weekday, month, date, year].join(" ");
  const clock = (told) => told[4] + " GMT+0000 (Coordinated Universal Time)";
  const slashed = (_, date) =>
    [date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCFullYear()].join("/");
  const halves = (told, date) => {
    const hours = date.getUTCHours();
    return ((hours + 11) % 12) + 1 + told[4].slice(2) + (hours < 12 ? " AM" : " PM");
  };
  written("toString", (told) => day(told) + " " + clock(told));
  written("toDateString", day);
  written("toTimeString", clock);
  written("toLocaleDateString", slashed);
  written("toLocaleTimeString", halves);
  written("toLocaleString", (told, date) => slashed(told, date) + ", " + halves(told, date));

  // ── nothing changes any more ────────────────────────────────────────────────────────────────────

  for (const name of ownKeys(root)) if (!KEPT.has(name)) deleteProperty(root, name);
  hide(root, "Date", FakeDate);
  const frozen = new Set();
  const harden = (start) => {
    const waiting = [start];
    while (waiting.length) {
      const value = waiting.pop();
      if ((typeof value !== "object" && typeof value !== "function") || value === null || frozen.has(value)) continue;
      frozen.add(value);
      freeze(value);
      waiting.push(getPrototypeOf(value));
      for (const name of ownKeys(value)) {
        const { value: held, get, set } = getOwnPropertyDescriptor(value, name);
        waiting.push(held, get, set);
      }
    }
  };

  // A text put together by + may be a rope, which the library does not know.
  const flat = (...parts) => apply(join, parts, [""]);

  // ── the door ────────────────────────────────────────────────────────────────────────────────────

  const STATUSES = freeze({ __proto__: null, ...parse(String.raw`@STATUSES@`) });
  const RANKS = freeze({ __proto__: null, ...parse(String.raw`@RANKS@`) });
  const rank = (status) => (typeof status === "string" ? RANKS[status] : status);
  const functions = [];

  const compile = (code) => {
    const whole =
      "function (data, profile, refs, brand, template, recipient, MessageStatus, $rank) { \"use strict\"; return (\n" +
      code + "\n);\n}";
    const made = indirectEval('"use strict";(' + whole + ")");
    // Code that closes the bracket it stands in would make another function than this one, or none.
    if (typeof made !== "function" || apply(functionText, made, []) !== whole) {
      throw new SyntaxError("there is more than one expression");
    }
    return made;
  };

  const told = (error) => {
    try {
      // So it looks, too, when there was not even memory for an error.
      if (error === null) return "InternalError: out of memory";
      if (error instanceof Error) return (error.name + ": " + error.message).slice(0, 500);
      return ("threw " + (typeof error === "object" ? stringify(error) : RealString(error))).slice(0, 500);
    } catch {
      return "threw something that cannot be told";
    }
  };

  const plain = (value, want) => {
    const kind = typeof value;
    if (isPromise(value)) throw new TypeError("gives a promise: there is nothing to wait for");
    if (want === "truth") return value ? "t" : "f";
    if (value === undefined || (value === null && want === "text")) return "u";
    if (kind === "function" || kind === "symbol") throw new TypeError("gives a " + kind + ", which is no value");
    if (kind === "number" && !(value - value === 0)) throw new RangeError("gives " + value + ", which is no value");
    if (want === "value") {
      const json = stringify(value);
      return json === undefined ? "u" : flat("v", json);
    }
    const text = RealString(value);
    return flat("v", stringify(text === "[object Object]" ? stringify(value) : text));
  };

  const door = (operation, code, text, at, seed, want) => {
    now = at;
    state = seed | 0;
    try {
      if (operation === "check") {
        compile(code);
        return "";
      }
      if (operation === "compile") {
        functions[functions.length] = compile(code);
        return functions.length - 1;
      }
      const { data, profile, brand, template, recipient, refs } = parse(text);
      const all = { ...refs, data, profile, brand, template, recipient };
      const run = functions[code]; // called by its own name, so that it has no `this`
      return plain(run(data, profile, all, brand, template, recipient, STATUSES, rank), want);
    } catch (error) {
      return flat("x", told(error));
    }
  };

  for (const each of [root, ...hidden, rank]) harden(each);
  return door;
})()
