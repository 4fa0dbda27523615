/** What history states remember after an upgrade. */

import assert from "node:assert/strict";
import {
  driverOf,
  forAllMajors,
  IDENTITY,
  leading,
  renaming,
  Subject,
  upgraded,
} from "./support.ts";
import type { Config } from "./support.ts";

/** `p` has children and history states of both kinds; `out` leaves it, and two events come back. */
function remembering(kind: "shallow" | "deep", { p = "p", y = "y", z = "z" } = {}): Config {
  return {
    id: "m",
    initial: p,
    states: {
      [p]: {
        initial: "x",
        on: { out: "off" },
        states: {
          x: { on: { next: y } },
          [y]: { initial: "u", states: { u: { on: { next: z } }, [z]: {} } },
          back: { type: "history", history: kind },
        },
      },
      off: { on: { back: `#m.${p}.back` } },
    },
  };
}

for (
  const [kind, value] of [["deep", { q: { w: "t" } }], ["shallow", { q: { w: "u" } }]] as const
) {
  forAllMajors(`${kind} history leads to the renamed state`, async (from, to) => {
    const subject = new Subject(driverOf(from, remembering(kind)), ["next", "next", "out"]);
    const target = driverOf(to, remembering(kind, { p: "q", y: "w", z: "t" }));
    const { snapshot } = await upgraded(subject, target, renaming({ p: "q", y: "w", z: "t" }));
    assert.equal(snapshot.value, "off");
    const again = new Subject(target, ["back"], snapshot);
    assert.deepEqual(again.snapshot.value, value);
  });
}

forAllMajors("history that remembers nothing takes its default", async (from, to) => {
  const config = (name: string) => ({
    initial: "off",
    states: {
      off: { on: { back: `p.back` } },
      p: { initial: "x", states: { x: {}, [name]: {}, back: { type: "history", target: name } } },
    },
  });
  const subject = new Subject(driverOf(from, { ...config("y"), id: "m" }));
  const target = driverOf(to, { ...config("z"), id: "m" });
  const { snapshot, lost } = await upgraded(subject, target, renaming({ y: "z" }));
  assert.equal(snapshot.history, undefined);
  assert.deepEqual(lost.history, []);
  assert.deepEqual(new Subject(target, ["back"], snapshot).snapshot.value, { p: "z" });
});

forAllMajors("history in history is kept apart", async (from, to) => {
  const config: Config = {
    id: "m",
    initial: "p",
    states: {
      p: {
        initial: "a",
        on: { out: "off" },
        states: {
          a: { on: { in: "q" } },
          q: {
            initial: "x",
            on: { up: "a" },
            states: { x: { on: { next: "y" } }, y: {}, back: { type: "history" } },
          },
          back: { type: "history" },
        },
      },
      off: { on: { outer: "#m.p.back", inner: "#m.p.q.back" } },
    },
  };
  const subject = new Subject(driverOf(from, config), ["in", "next", "up", "out"]);
  const target = driverOf(to, config);
  const { snapshot } = await upgraded(subject, target, IDENTITY);
  const after = (event: string) => new Subject(target, [event], snapshot).snapshot.value;
  assert.deepEqual(after("outer"), { p: "a" });
  assert.deepEqual(after("inner"), { p: { q: "y" } });
});

forAllMajors("history of parallel regions is kept whole", async (from, to) => {
  const config = (one: string): Config => ({
    id: "m",
    initial: "p",
    states: {
      p: {
        type: "parallel",
        on: { out: "off" },
        states: {
          [one]: { initial: "a", states: { a: { on: { go: "b" } }, b: {} } },
          two: { initial: "c", states: { c: {}, d: {} } },
          back: { type: "history", history: "deep" },
        },
      },
      off: { on: { back: "#m.p.back" } },
    },
  });
  const subject = new Subject(driverOf(from, config("one")), ["go", "out"]);
  const target = driverOf(to, config("uno"));
  const { snapshot } = await upgraded(subject, target, renaming({ one: "uno" }));
  const again = new Subject(target, ["back"], snapshot);
  assert.deepEqual(again.snapshot.value, { p: { uno: "b", two: "c" } });
});

forAllMajors("a remembered state that is gone fails the upgrade", async (from, to) => {
  const subject = new Subject(driverOf(from, remembering("deep")), ["next", "out"]);
  const target = driverOf(to, remembering("deep", { y: "w" }));
  await assert.rejects(upgraded(subject, target, IDENTITY), {
    code: "no-such-state",
    message: /"p\.y\.u"/,
  });
});

forAllMajors(
  "two history states of one node are one past, whatever they are called",
  async (from, to) => {
    const config = (n: string) => ({
      initial: "p",
      states: {
        [`p${n}`]: {
          initial: "x",
          on: { out: `o${n}` },
          states: {
            x: { on: { next: "y" } },
            y: {},
            [`h${n}`]: { type: "history" },
            [`i${n}`]: { type: "history", history: "deep" },
          },
        },
        [`o${n}`]: { on: { back: `p${n}.h${n}`, deep: `p${n}.i${n}` } },
      },
    });
    const subject = new Subject(driverOf(from, config("")), ["next", "out"]);
    const target = driverOf(to, { ...config("2"), initial: "p2" });
    const { snapshot, lost } = await upgraded(subject, target, renaming({ p: "p2", o: "o2" }));
    assert.deepEqual(lost.history, []);
    assert.deepEqual(new Subject(target, ["back"], snapshot).snapshot.value, { p2: "y" });
    assert.deepEqual(new Subject(target, ["deep"], snapshot).snapshot.value, { p2: "y" });
  },
);

forAllMajors("what no history state asks for any more is lost, and told", async (from, to) => {
  const subject = new Subject(driverOf(from, remembering("deep")), ["next", "out"]);
  const target = driverOf(to, { initial: "off", states: { off: {}, p: {} } });
  const { snapshot, lost } = await upgraded(subject, target, IDENTITY);
  assert.equal(snapshot.history, undefined);
  assert.deepEqual(lost.history, [["p"]]);
});

forAllMajors("each remembered state is asked about, and no other", async (from, to) => {
  const subject = new Subject(driverOf(from, remembering("deep")), ["next", "next", "out"]);
  const target = driverOf(to, remembering("deep"));
  const strict = leading({ off: "off", "p.y.z": "p.x" });
  const { snapshot } = await upgraded(subject, target, strict);
  assert.deepEqual(new Subject(target, ["back"], snapshot).snapshot.value, { p: "x" });
});
