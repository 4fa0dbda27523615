/** What becomes of pending timers in an upgrade. */

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
import type { Config, Major } from "./support.ts";

const NOTHING = { renamed: [], cancelled: [], started: [] };

const WAITING: Config = {
  id: "m",
  initial: "a",
  states: {
    a: {
      initial: "i",
      after: { 1000: "b" },
      states: { i: { after: { 50: "j", soon: "j" } }, j: {} },
    },
    b: {},
  },
};
const SOON = { delays: { soon: 7 } };

function nameOf(major: Major, delay: string | number, id: string): string {
  return major === 5 ? `xstate.after.${delay}.${id}` : `xstate.after(${delay})#${id}`;
}

forAllMajors("timers of states that survive are known by the new names", async (from, to) => {
  const subject = new Subject(driverOf(from, WAITING, SOON));
  const config = {
    ...WAITING,
    id: "n",
    initial: "c",
    states: {
      ...WAITING.states,
      c: { initial: "k", after: { 1000: "b" }, states: { k: WAITING.states.a.states.i, j: {} } },
    },
  };
  const target = driverOf(to, config, SOON);
  const { timers, snapshot } = await upgraded(subject, target, renaming({ a: "c", i: "k" }));
  assert.deepEqual(snapshot.value, { c: "k" });
  assert.deepEqual([timers.cancelled, timers.started], [[], []]);
  const seqs = subject.timers.map(({ event, seq }) => [event.type, seq] as const);
  const seqOf = new Map(seqs);
  const expected = [[50, "n.c.k", "m.a.i", ["c", "k"], 0], [
    "soon",
    "n.c.k",
    "m.a.i",
    ["c", "k"],
    1,
  ], [1000, "n.c", "m.a", ["c"], 0]] as const;
  const byName = new Map(timers.renamed.map((timer) => [timer.id, timer]));
  for (const [delay, id, old, path, n] of expected) {
    const name = nameOf(to, delay, id);
    assert.deepEqual(byName.get(name), {
      seq: seqOf.get(nameOf(from, delay, old)),
      id: name,
      event: { type: name },
      after: { path, n, delay },
    });
  }
  // The name is one that the new machine takes.
  const name = nameOf(to, 1000, "n.c");
  assert.equal(new Subject(target, [name], snapshot).snapshot.value, "b");
});

forAllMajors(
  "timers of states that vanish are cancelled, those of new ones started",
  async (from, to) => {
    const subject = new Subject(driverOf(from, WAITING, SOON));
    const target = driverOf(to, {
      id: "m",
      context: { wait: 5 },
      initial: "z",
      states: {
        z: {
          initial: "y",
          after: { long: "b" },
          states: { y: { initial: "x", states: { x: { after: { 70: "w" } }, w: {} } } },
        },
        b: {},
      },
    }, {
      delays: {
        long: to === 5
          ? ({ context }: Config) => context.wait * 2
          : (context: Config) => context.wait * 2,
      },
    });
    const code =
      `export const upgradeState = () => ["z"]; export const upgradeContext = () => ({ wait: 21 });`;
    const { timers } = await upgraded(subject, target, code);
    assert.deepEqual(timers.cancelled.toSorted(), subject.timers.map(({ seq }) => seq).toSorted());
    assert.deepEqual(timers.renamed, []);
    assert.deepEqual(timers.started.map(({ event, delay, after }) => [event.type, delay, after]), [
      [nameOf(to, "long", "m.z"), 42, { path: ["z"], n: 0, delay: "long" }],
      [nameOf(to, 70, "m.z.y.x"), 70, { path: ["z", "y", "x"], n: 0, delay: 70 }],
    ]);
  },
);

forAllMajors(
  "timers follow a state that is wrapped, and what is around it begins",
  async (from, to) => {
    const subject = new Subject(driverOf(from, WAITING, SOON));
    const target = driverOf(to, {
      id: "m",
      initial: "w",
      states: { w: { ...WAITING, id: "w", after: { 1000: "v" } }, v: {} },
    }, SOON);
    const { timers } = await upgraded(subject, target, leading({ "a.i": "w.a.i" }));
    assert.deepEqual(timers.cancelled, []);
    assert.deepEqual(timers.renamed.map(({ after }) => after.path.join(".")).toSorted(), [
      "w.a",
      "w.a.i",
      "w.a.i",
    ]);
    assert.deepEqual(timers.started.map(({ after }) => after?.path), [["w"]]);
  },
);

forAllMajors(
  "a delay that changed its length keeps its due time, a new one begins",
  async (from, to) => {
    const config = (after: Config) => ({ id: "m", initial: "a", states: { a: { after }, b: {} } });
    const subject = new Subject(driverOf(from, config({ 1000: "b" })));
    const longer = await upgraded(subject, driverOf(to, config({ 2000: "b" })), IDENTITY);
    assert.deepEqual(longer.timers.renamed.map(({ after }) => after.delay), [2000]);
    assert.deepEqual([longer.timers.cancelled, longer.timers.started], [[], []]);
    const more = await upgraded(subject, driverOf(to, config({ 10: "b", 1000: "b" })), IDENTITY);
    assert.deepEqual(
      more.timers.renamed.map(({ after }) => after.delay),
      [1000],
    );
    assert.deepEqual(more.timers.started.map(({ delay }) => delay), [10]);
    const gone = await upgraded(subject, driverOf(to, config({})), IDENTITY);
    assert.deepEqual(gone.timers, { ...NOTHING, cancelled: [subject.timers[0]!.seq] });
  },
);

forAllMajors(
  "a delay that has passed in a surviving state does not begin again",
  async (from, to) => {
    const config = {
      id: "m",
      initial: "a",
      states: { a: { after: { 10: { actions: [] }, 1000: "b" } }, b: {} },
    };
    const subject = new Subject(driverOf(from, config));
    subject.fire(subject.timers.find(({ after }) => after?.delay === 10)!);
    assert.equal(subject.timers.length, 1);
    const { timers } = await upgraded(subject, driverOf(to, config), IDENTITY);
    assert.deepEqual([timers.cancelled, timers.started], [[], []]);
    // Nor where nothing is known of the old version.
    const blind = await upgraded(subject, driverOf(to, config), IDENTITY, { isKnown: false });
    assert.deepEqual(blind.timers.started, []);
  },
);

forAllMajors("timers that belong to no state are left alone", async (from, to) => {
  const subject = new Subject(driverOf(from, WAITING, SOON));
  const own = { seq: 77, id: "mine", event: { type: "remind", of: 1 } };
  subject.timers = [own];
  const { timers } = await upgraded(
    subject,
    driverOf(to, { initial: "b", states: { b: {} } }),
    leading({ "a.i": "b" }),
  );
  assert.deepEqual(timers, NOTHING);
});

forAllMajors(
  "a delay that throws fails the upgrade, one of nonsense is bounded",
  async (from, to) => {
    const subject = new Subject(driverOf(from, { initial: "b", states: { b: {} } }));
    const target = (delay: () => number) =>
      driverOf(to, { initial: "a", states: { a: { after: { odd: "b" } }, b: {} } }, {
        delays: { odd: delay },
      });
    const code = leading({ b: "a" });
    const throwing = target(() => {
      throw new Error("no delay");
    });
    await assert.rejects(upgraded(subject, throwing, code), /no delay/);
    const { timers, surroundings } = await upgraded(subject, target(() => NaN), code);
    assert.equal(timers.started[0]?.delay, 0);
    assert.match(surroundings.warnings.join(), /was taken as 0 ms/);
  },
);
