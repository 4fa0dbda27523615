/** Children in an upgrade: kept where the new version can go on with them, else dropped and told. */

import assert from "node:assert/strict";
import { createMachine as createMachine4 } from "xstate4";
import { createMachine as createMachine5, fromTransition } from "xstate5";
import type { Snapshot } from "../../../src/statekeep/runtimes/javascript/host/frames.ts";
import {
  driverOf,
  forAllMajors,
  forMajors,
  IDENTITY,
  renaming,
  Subject,
  upgraded,
  upgradedFrom,
} from "./support.ts";
import type { Config, Major } from "./support.ts";

const CHILD: Config = { initial: "idle", states: { idle: { on: { poke: "poked" } }, poked: {} } };

function driver(major: Major, config: Config, sources = ["helper"]) {
  const machine = major === 5
    ? createMachine5(CHILD)
    : createMachine4({ predictableActionArguments: true, ...CHILD });
  const named = Object.fromEntries(sources.map((name) => [name, machine]));
  return driverOf(major, config, major === 5 ? { actors: named } : { services: named });
}

const INVOKING: Config = {
  id: "m",
  initial: "a",
  states: { a: { invoke: { id: "h", src: "helper" }, on: { go: "b" } }, b: {}, c: {} },
};

forMajors("an idle machine is kept while its state is active", async (from, to) => {
  const subject = new Subject(driver(from, INVOKING));
  const h = subject.snapshot.children?.h;
  assert.ok(h && h.kind !== "instance" && h.snapshot);
  const { snapshot, lost } = await upgraded(subject, driver(to, INVOKING), IDENTITY);
  if (from === to) {
    assert.deepEqual(snapshot, subject.snapshot);
    const again = new Subject(driver(to, INVOKING), [], snapshot);
    assert.deepEqual(again.live.children().map(({ id }) => id), ["h"]);
    assert.deepEqual(again.send("go").live.children(), []);
    assert.deepEqual(lost.children, []);
  } else {
    assert.equal(snapshot.children, undefined);
    assert.deepEqual(lost.children, ["h"]);
  }
});

forMajors(
  "a child goes with its state, with its invocation, and with its source",
  async (from, to) => {
    const subject = new Subject(driver(from, INVOKING));
    const without = { ...INVOKING, states: { ...INVOKING.states, a: {} } };
    const renamed = {
      ...INVOKING,
      states: { ...INVOKING.states, a: { invoke: { id: "h", src: "other" } } },
    };
    const dropped = async (target: Config, code: string, sources?: string[]) => {
      const { snapshot, lost } = await upgraded(subject, driver(to, target, sources), code);
      assert.equal(snapshot.children, undefined);
      assert.equal(snapshot.activities, undefined);
      assert.deepEqual(lost.children, ["h"]);
    };
    await dropped(INVOKING, renaming({ a: "c" }));
    await dropped(without, IDENTITY);
    if (from === 5) await dropped(renamed, IDENTITY, ["other"]);
  },
);

forMajors("what a newly active state invokes is not started", async (from, to) => {
  const subject = new Subject(driver(from, INVOKING), ["go"]);
  const { snapshot } = await upgraded(subject, driver(to, INVOKING), renaming({ b: "a" }));
  assert.equal(snapshot.value, "a");
  assert.equal(snapshot.children, undefined);
  assert.equal(snapshot.activities, undefined);
});

Deno.test("a spawned machine and a reducer stay with the references to them (XState 5)", async () => {
  const counter = fromTransition((n: number) => n + 1, 0);
  const config = {
    initial: "a",
    context: ({ spawn }: Config) => ({
      one: spawn("helper", { id: "one" }),
      two: spawn("counter", { id: "two" }),
    }),
    states: { a: {} },
  };
  const options = { actors: { helper: createMachine5(CHILD), counter } };
  const subject = new Subject(driverOf(5, config, options));
  const before = subject.snapshot;
  assert.deepEqual(Object.keys(before.children ?? {}), ["one", "two"]);
  const same = await upgraded(subject, driverOf(5, config, options), IDENTITY);
  assert.deepEqual(same.snapshot, before);
  const less = await upgraded(
    subject,
    driverOf(5, config, { actors: { helper: options.actors.helper } }),
    IDENTITY,
  );
  assert.deepEqual(Object.keys(less.snapshot.children ?? {}), ["one"]);
  assert.deepEqual(less.lost.children, ["two"]);
});

forAllMajors(
  "an instance keeps its parent, and the instances that it has made",
  async (from, to) => {
    const parent = { machineName: "boss", machineInstanceName: "b1", id: "kid" };
    const room = { machineName: "room", machineInstanceName: "r1" };
    const config: Config = {
      id: "m",
      initial: "a",
      states: { a: { invoke: { id: "h", src: { type: "statebacked.invoke", ...room } } }, b: {} },
    };
    const subject = new Subject(driverOf(from, config));
    const saved: Snapshot = { ...subject.snapshot, parent };
    saved.children = { ...saved.children, named: { kind: "instance", ...room } };
    const instance = { kind: "instance", ...room };
    assert.deepEqual(saved.children, { h: instance, named: instance });
    const target = driverOf(to, config);
    const { snapshot, lost } = await upgradedFrom(saved, from, target, IDENTITY);
    assert.deepEqual(snapshot.parent, parent);
    assert.deepEqual(snapshot.children, saved.children);
    assert.deepEqual(lost.children, []);
    const left = await upgradedFrom(saved, from, target, renaming({ a: "b" }));
    assert.deepEqual(left.snapshot.children, { named: instance });
    const ended = driverOf(to, { ...config, states: { ...config.states, b: { type: "final" } } });
    const { timers } = await upgradedFrom(saved, from, ended, renaming({ a: "b" }));
    const { id, ...boss } = parent;
    assert.deepEqual(timers.started, [{ done: id, to: boss }]);
    const over: Snapshot = { ...saved, value: "b", status: "done" };
    const again = await upgradedFrom(over, from, ended, IDENTITY);
    assert.deepEqual(again.timers.started, []);
  },
);
