/** Where an instance is after an upgrade. */

import assert from "node:assert/strict";
import { Migration } from "../../../src/statekeep/runtimes/javascript/host/upgrade/migration.ts";
import {
  driverOf,
  forAllMajors,
  IDENTITY,
  leading,
  renaming,
  Subject,
  upgraded,
} from "./support.ts";

const FLAT = {
  id: "m",
  initial: "a",
  context: { n: 1 },
  states: { a: { on: { go: "b" } }, b: {} },
};

forAllMajors("a renamed state is the one that is active", async (from, to) => {
  const subject = new Subject(driverOf(from, FLAT), ["go"]);
  const target = driverOf(to, { ...FLAT, states: { a: {}, c: { tags: "new" } } });
  const { snapshot, viewText } = await upgraded(subject, target, renaming({ b: "c" }));
  assert.equal(snapshot.value, "c");
  assert.deepEqual(snapshot.context, { n: 1 });
  assert.deepEqual(JSON.parse(viewText), { state: "c", tags: ["new"], done: false });
});

forAllMajors("states are mapped below a renamed parent, and wrapped", async (from, to) => {
  const config = { initial: "p", states: { p: { initial: "x", states: { x: {}, y: {} } } } };
  const subject = new Subject(driverOf(from, config));
  const target = driverOf(to, {
    initial: "z",
    states: {
      z: {},
      w: { initial: "q", states: { q: { initial: "y", states: { x: {}, y: {} } } } },
    },
  });
  const { snapshot } = await upgraded(subject, target, leading({ "p.x": "w.q.x" }));
  assert.deepEqual(snapshot.value, { w: { q: "x" } });
});

const PARALLEL = {
  type: "parallel",
  states: {
    one: { initial: "a", states: { a: { on: { go: "b" } }, b: {} } },
    two: { initial: "c", states: { c: {}, d: {} } },
  },
};

forAllMajors(
  "each leaf of parallel regions is mapped, and new regions are entered",
  async (from, to) => {
    const subject = new Subject(driverOf(from, PARALLEL), ["go"]);
    const target = driverOf(to, {
      type: "parallel",
      states: {
        zero: { initial: "i", states: { i: {}, j: {} } },
        one: { initial: "a", states: { a: {}, b: {} } },
        second: { initial: "c", states: { c: {}, d: {} } },
      },
    });
    const { snapshot } = await upgraded(subject, target, renaming({ two: "second" }));
    assert.deepEqual(snapshot.value, { one: "b", second: "c", zero: "i" });
  },
);

forAllMajors("regions may become one, and one state two regions", async (from, to) => {
  const parallel = new Subject(driverOf(from, PARALLEL));
  const flat = driverOf(to, FLAT);
  const { snapshot } = await upgraded(parallel, flat, leading({ "one.a": "b", "two.c": "b" }));
  assert.equal(snapshot.value, "b");
  const single = new Subject(driverOf(from, FLAT));
  const wide = await upgraded(single, driverOf(to, PARALLEL), leading({ a: "one.b" }));
  assert.deepEqual(wide.snapshot.value, { one: "b", two: "c" });
});

forAllMajors("a path to a state with children enters its initial ones", async (from, to) => {
  const subject = new Subject(driverOf(from, FLAT));
  const deep = driverOf(to, {
    initial: "a",
    states: {
      a: { initial: "i", states: { h: {}, i: { type: "parallel", states: { k: {}, l: {} } } } },
    },
  });
  const { snapshot } = await upgraded(subject, deep, IDENTITY);
  assert.deepEqual(snapshot.value, { a: { i: { k: {}, l: {} } } });
});

forAllMajors("a state that the new version does not have fails the upgrade", async (from, to) => {
  const subject = new Subject(driverOf(from, FLAT), ["go"]);
  const target = driverOf(to, { initial: "a", states: { a: {} } });
  await assert.rejects(upgraded(subject, target, IDENTITY), {
    code: "no-such-state",
    message: 'The migration leads to "b", a state that the new version does not have',
  });
  await assert.rejects(upgraded(subject, target, leading({ b: "a.deeper" })), /"a\.deeper"/);
});

forAllMajors("history states are no states to be in", async (from, to) => {
  const subject = new Subject(driverOf(from, FLAT));
  const target = driverOf(to, { initial: "b", states: { a: { type: "history" }, b: {} } });
  await assert.rejects(upgraded(subject, target, IDENTITY), {
    code: "no-such-state",
    message: /leads to "a", a history state, in which no instance can be/,
    path: ["a"],
  });
});

forAllMajors("two children of one state cannot be active at once", async (from, to) => {
  const subject = new Subject(driverOf(from, PARALLEL));
  const target = driverOf(to, FLAT);
  const both = leading({ "one.a": "a", "two.c": "b" });
  await assert.rejects(
    upgraded(subject, target, both),
    /leads to "a" and "b" of the machine at once/,
  );
});

forAllMajors("several migrations are taken one after the other", async (from, to) => {
  const subject = new Subject(driverOf(from, FLAT), ["go"]);
  const target = driverOf(to, { initial: "z", states: { z: {}, d: {} } });
  const trace = (to: string) => `
export const upgradeState = (path, context) => context.trace === undefined || context.trace.length > 0 ? ["${to}"] : [];
export const upgradeContext = (before, after, context) =>
  ({ ...context, trace: [...context.trace ?? [], [before, after]] });`;
  const { snapshot } = await upgraded(subject, target, [trace("c"), trace("d")]);
  assert.equal(snapshot.value, "d");
  assert.deepEqual(snapshot.context, { n: 1, trace: [[[["b"]], [["c"]]], [[["c"]], [["d"]]]] });
});

forAllMajors("what a migration changes in place does not count", async (from, to) => {
  const subject = new Subject(driverOf(from, FLAT));
  const code = `
export const upgradeState = (path, context) => { context.n = 99; path.push("x"); return ["a"]; };
export const upgradeContext = (before, after, context) => { after[0].push("x"); return { n: context.n + 1 }; };`;
  const { snapshot } = await upgraded(subject, driverOf(to, FLAT), code);
  assert.equal(snapshot.value, "a");
  assert.deepEqual(snapshot.context, { n: 2 });
});

forAllMajors(
  "what a migration throws, or answers and must not, fails the upgrade",
  async (from, to) => {
    const subject = new Subject(driverOf(from, FLAT));
    const target = driverOf(to, FLAT);
    const states = (body: string) =>
      `export const upgradeState = ${body}; export const upgradeContext = (b, a, c) => c;`;
    const contexts = (body: string) =>
      `export const upgradeState = (p) => p; export const upgradeContext = ${body};`;
    const fails = (code: string, message: RegExp) =>
      assert.rejects(
        upgraded(subject, target, code),
        (error: { code: string; message: string }) => {
          assert.equal(error.code, "migration-error");
          assert.match(error.message, message);
          return true;
        },
      );
    await fails(
      states(`() => { throw new TypeError("no"); }`),
      /upgradeState\(\["a"\]\) failed: TypeError: no/,
    );
    await fails(states(`() => undefined`), /answered undefined: it has to return the keys/);
    await fails(states(`() => "a"`), /answered "a"/);
    await fails(states(`() => ["a", 1]`), /answered \["a",1\]/);
    await fails(states(`() => [, "a"]`), /answered \[null,"a"\]/);
    await fails(
      contexts(`() => Promise.resolve({})`),
      /upgradeContext answered a promise, and cannot wait/,
    );
    await fails(contexts(`() => ({ then() {} })`), /a promise, and cannot wait/);
    await fails(states(`() => Promise.resolve(["a"])`), /answered a promise, and cannot wait/);
    await fails(contexts(`() => null`), /answered null/);
    await fails(contexts(`(b, a, c) => { c.self = c; return c; }`), /is no JSON/);
    await fails(contexts(`() => ({ n: 1n })`), /is no JSON/);
  },
);

Deno.test("a context that JSON would change fails the upgrade, with the place", async () => {
  const subject = new Subject(driverOf(5, FLAT));
  for (
    const [value, what] of [
      ["undefined", "is undefined: leave it out, or make it null"],
      ["[1, , 2]", "[1] is undefined"],
      ["new Date(0)", "is a Date: keep its getTime() or toISOString()"],
      ["new Map()", "is a Map: keep its entries in a list"],
      ["[new Set()]", "[0] is a Set"],
      ["0 / 0", "is NaN"],
      ["-1 / 0", "is -Infinity"],
      ["() => 1", "is a function"],
      ["Symbol()", "is a symbol"],
      ["new (class Point {})()", "is a Point: keep a plain object"],
      ["new String('x')", "is a String"],
      ["{ deep: [{ at: new Date(0) }] }", ".deep[0].at is a Date"],
    ]
  ) {
    const code = `export const upgradeState = (p) => p;
export const upgradeContext = (b, a, context) => ({ ...context, it: ${value} });`;
    await assert.rejects(
      upgraded(subject, driverOf(5, FLAT), code),
      ({ message }: Error) =>
        message.includes(
          `cannot be kept as JSON: context.it${what.startsWith("is ") ? " " : ""}${what}`,
        ),
      value,
    );
  }
});

Deno.test("a context of plain values is kept as it is", async () => {
  const subject = new Subject(driverOf(5, FLAT));
  const code = `export const upgradeState = (p) => p;
export const upgradeContext = () => ({ n: 1.5, t: "x", no: null, list: [[], {}], bare: Object.create(null), is: false });`;
  const { snapshot } = await upgraded(subject, driverOf(5, FLAT), code);
  assert.deepEqual(snapshot.context, {
    n: 1.5,
    t: "x",
    no: null,
    list: [[], {}],
    bare: {},
    is: false,
  });
});

Deno.test("what upgradeState changes in place is not seen when it is asked again", async () => {
  const subject = new Subject(driverOf(5, { ...PARALLEL, context: { n: 1 } }));
  const code = `export const upgradeState = (path, context) => {
  if (context.n++ !== 1) throw new Error("it was changed");
  return path;
};
export const upgradeContext = (b, a, context) => context;`;
  const { snapshot } = await upgraded(
    subject,
    driverOf(5, { ...PARALLEL, context: { n: 1 } }),
    code,
  );
  assert.deepEqual(snapshot.context, { n: 1 });
});

forAllMajors("a context over its bound fails the upgrade", async (from, to) => {
  const subject = new Subject(driverOf(from, FLAT));
  const code = `export const upgradeState = (p) => p;
export const upgradeContext = () => ({ text: "x".repeat(400_001) });`;
  await assert.rejects(upgraded(subject, driverOf(to, FLAT), code), { code: "context-too-large" });
});

forAllMajors("whether it is finished is decided by the new version", async (from, to) => {
  const ending = { initial: "a", states: { a: { on: { go: "b" } }, b: { type: "final" } } };
  const finished = new Subject(driverOf(from, ending), ["go"]);
  const same = await upgraded(finished, driverOf(to, ending), IDENTITY);
  assert.equal(same.snapshot.status, "done");
  assert.equal(JSON.parse(same.viewText).done, true);
  const going = await upgraded(finished, driverOf(to, FLAT), IDENTITY);
  assert.equal(going.snapshot.status, undefined);
  const ended = await upgraded(
    new Subject(driverOf(from, FLAT), ["go"]),
    driverOf(to, ending),
    IDENTITY,
  );
  assert.equal(ended.snapshot.status, "done");
});

forAllMajors("no action runs, and no transition is taken", async (from, to) => {
  const ran: string[] = [];
  const subject = new Subject(driverOf(from, FLAT));
  const target = driverOf(to, {
    initial: "z",
    entry: () => ran.push("root"),
    states: {
      z: {},
      a: { entry: () => ran.push("entry"), exit: () => ran.push("exit"), always: { target: "z" } },
    },
  });
  const { snapshot } = await upgraded(subject, target, IDENTITY);
  assert.equal(snapshot.value, "a");
  assert.deepEqual(ran, []);
});

Deno.test("a migration has to export both functions", async () => {
  const refused = (code: string, message: RegExp) => assert.rejects(Migration.load(code), message);
  await refused("export const upgradeState = (p) => p;", /does not export upgradeContext/);
  await refused("export const upgradeContext = (p) => p;", /does not export upgradeState/);
  await refused(
    "export const upgradeState = 1; export const upgradeContext = (p) => p;",
    /exports upgradeState, but not as a function/,
  );
  const asynchronous = (name: string, code: string) =>
    `export const upgradeState = (p) => p; export const upgradeContext = (p) => p;`
      .replace(`${name} = (p) => p`, `${name} = ${code}`);
  await refused(
    asynchronous("upgradeState", "async (p) => p"),
    /exports upgradeState as an async function: it cannot wait/,
  );
  await refused(
    asynchronous("upgradeContext", "async function () {}"),
    /exports upgradeContext as an async function/,
  );
  await refused(asynchronous("upgradeContext", "function* () {}"), /as a generator/);
  await refused("const x: number = 1;", /compile or bundle TypeScript/);
});
