/**
 * A migration that changes nothing, between two versions of the same code, changes nothing: over random walks through machines
 * with everything in them that a snapshot has to hold.
 */

import assert from "node:assert/strict";
import { driverOf, IDENTITY, Subject, upgraded } from "./support.ts";
import type { Config, Major } from "./support.ts";

const CONFIG: Config = {
  id: "m",
  type: "parallel",
  states: {
    work: {
      initial: "off",
      states: {
        off: { on: { on: "run", resume: "#m.work.run.last", again: "#m.work.run.deep.last" } },
        run: {
          initial: "slow",
          on: { off: "off" },
          after: { 5000: "off" },
          states: {
            slow: { on: { next: "fast" }, after: { 100: "fast", 200: { actions: [] } } },
            fast: { on: { next: "deep" }, tags: "quick" },
            deep: {
              type: "parallel",
              on: { next: "slow" },
              states: {
                l: {
                  initial: "x",
                  states: {
                    x: { on: { flip: "y" } },
                    y: { on: { flip: "x" }, after: { 30: "x" } },
                  },
                },
                r: { initial: "x", states: { x: { on: { flop: "y" } }, y: { on: { flop: "x" } } } },
                last: { type: "history", history: "shallow" },
              },
            },
            last: { type: "history", history: "deep" },
          },
        },
      },
    },
    light: {
      initial: "red",
      states: {
        red: { on: { next: "green" }, after: { 40: "green" } },
        green: { on: { next: "red" } },
      },
    },
    plain: {},
  },
};
const EVENTS = ["on", "off", "next", "flip", "flop", "resume", "again", "(timer)"];

/** Numbers below one, always the same. */
function* chance(seed: number): Generator<number, never> {
  for (;;) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    yield seed / 2147483648;
  }
}

for (const major of [4, 5] as const) {
  Deno.test(`an upgrade to the same code changes nothing (XState ${major})`, async () => {
    const driver = driverOf(major, CONFIG);
    for (let seed = 1; seed <= 40; seed++) await walk(major, driver, chance(seed));
  });
}

async function walk(
  major: Major,
  driver: ReturnType<typeof driverOf>,
  random: Generator<number, never>,
) {
  const subject = new Subject(driver);
  for (let n = 0; n < 25; n++) {
    const before = subject.live.snapshot().text;
    const { snapshotText, timers, lost } = await upgraded(
      subject,
      driverOf(major, CONFIG),
      IDENTITY,
    );
    assert.equal(snapshotText, before);
    assert.deepEqual(timers, { renamed: [], cancelled: [], started: [] });
    assert.deepEqual(lost, { children: [], history: [] });
    const event = EVENTS[Math.floor(random.next().value * EVENTS.length)]!;
    if (event !== "(timer)") subject.send(event);
    else if (subject.timers.length > 0) {
      subject.fire(subject.timers[Math.floor(random.next().value * subject.timers.length)]!);
    }
  }
}

Deno.test("from XState 4 to 5 and back, an instance goes on as if it had stayed", async () => {
  const five = driverOf(5, CONFIG);
  const four = driverOf(4, CONFIG);
  const random = chance(7);
  for (let walks = 0; walks < 20; walks++) {
    const stays = new Subject(five, ["on", "next", "next", "flip", "off"]);
    const there = await upgraded(stays, four, IDENTITY);
    const moved = new Subject(four, [], there.snapshot);
    for (let n = 0; n < 15; n++) {
      const event = EVENTS[Math.floor(random.next().value * (EVENTS.length - 1))]!;
      // XState 4 lets a history state without a past take the initial state once another has one.
      if (event === "again") continue;
      stays.send(event);
      moved.send(event);
      assert.deepEqual(moved.snapshot.value, stays.snapshot.value);
    }
    const back = await upgraded(moved, five, IDENTITY);
    assert.deepEqual(back.snapshot.value, stays.snapshot.value);
  }
});
