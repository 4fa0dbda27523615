/**
 * Our own copy of XState 4, and what other copies (bundled and minified with the author's code) let us do.
 *
 * `spawn()` in an assign asks a stack that is private to its copy of XState which service it runs in. We find that
 * array once per copy and put a service of our own on it while a step is decided, so that spawning is recorded
 * instead of done. Nobody but this file touches these stacks.
 */

import * as xstate from "xstate4";
import {
  type InterpreterClass,
  type Machine,
  type MachineClass,
  type MachineEvent,
  type ScxmlEvent,
} from "./types.ts";

/** The version that deno.json maps `xstate4` to. */
export const OWN_VERSION = "4.38.3";

interface OwnCopy {
  Interpreter: InterpreterClass;
  StateNode: MachineClass;
  toSCXMLEvent(event: unknown, overrides?: Partial<ScxmlEvent>): ScxmlEvent;
  toEventObject(event: unknown, payload?: unknown): MachineEvent;
}

const own = xstate as unknown as OwnCopy;
export const OwnInterpreter = own.Interpreter;
export const toScxml = own.toSCXMLEvent;
export const toEventObject = own.toEventObject;

/** What asks for the service that a `spawn()` runs in gets this: the last one on the stack. */
export interface SpawnScope {
  spawn(entity: unknown, name: string, options?: unknown): unknown;
}

export interface Copy {
  /** Services that run now, the innermost last. Undefined in copies too old to be read. */
  readonly stack: unknown[] | undefined;
  /** Does `transition` take a recorder (since 4.32)? */
  readonly hasRecorder: boolean;
}

const copies = new WeakMap<MachineClass, Copy>();
/** The stacks of all copies that were found, our own among them. */
const stacks = new Set<unknown[]>();

function copyOf(machine: Machine): Copy {
  const machineClass = machine.constructor as MachineClass;
  let copy = copies.get(machineClass);
  if (copy === undefined) {
    copy = { stack: findStack(machineClass), hasRecorder: findRecorder(machineClass) };
    copies.set(machineClass, copy);
    if (copy.stack !== undefined) stacks.add(copy.stack);
  }
  return copy;
}

/** To be called before our interpreter gets a machine. */
export function adopt(machine: Machine): Copy {
  const copy = copyOf(machine);
  // Our interpreter would rely on a recorder that the machine's own copy does not call, and execute nothing.
  if (!copy.hasRecorder) Reflect.deleteProperty(machine.config, "predictableActionArguments");
  return copy;
}

export function isOwn(machine: Machine): boolean {
  return machine instanceof own.StateNode;
}

/** Run author code: whatever it spawns goes to `scope`, or stays deferred where that is undefined. */
export function inScope<T>(copy: Copy, scope: SpawnScope | undefined, run: () => T): T {
  const { stack } = copy;
  if (stack === undefined) return run();
  const outer = stack.length;
  stack[outer] = scope;
  try {
    return run();
  } finally {
    // Not a pop: XState leaves its own entries behind when author code throws.
    stack.length = outer;
  }
}

/** To be called where no author code runs: drop what XState left behind when author code threw. */
export function clearStacks(): void {
  for (const stack of stacks) stack.length = 0;
}

/**
 * While it makes the placeholder of an invoked machine, XState pushes `undefined` on the stack and reads `initialState` of
 * that machine. Ours looks up which array last got such a push.
 */
function findStack(machineClass: MachineClass): unknown[] | undefined {
  const { push } = Array.prototype;
  let last: unknown[] | undefined;
  let found: unknown[] | undefined;
  const invoked = {
    __xstatenode: true,
    get initialState() {
      found = last;
      return {};
    },
  };
  const machine = new machineClass(
    { initial: "a", states: { a: { invoke: { id: "x", src: "s" } } } },
    { services: { s: invoked } },
  );
  try {
    Array.prototype.push = function (this: unknown[], ...items: unknown[]) {
      if (items.length === 1 && items[0] === undefined) last = this;
      return push.apply(this, items);
    };
    void machine.initialState;
  } finally {
    Array.prototype.push = push;
  }
  return found?.length === 0 ? found : undefined;
}

function findRecorder(machineClass: MachineClass): boolean {
  let recorded = false;
  const machine = new machineClass({
    predictableActionArguments: true,
    initial: "a",
    states: { a: { on: { X: { actions: "probe" } } } },
  });
  machine.transition(machine.initialState, toScxml("X"), undefined, () => recorded = true);
  return recorded;
}

const ownStack = copyOf(own.StateNode.prototype).stack;
if (ownStack === undefined) throw new Error("our own copy of XState 4 has no service stack");

/**
 * Child machines run in our interpreter, which announces itself on our own stack only: announce it to the other copies too,
 * so that a child machine of a bundled copy can spawn.
 */
ownStack.push = function (...services) {
  for (const stack of stacks) Array.prototype.push.apply(stack, services);
  return this.length;
};
ownStack.pop = function () {
  for (const stack of stacks) if (stack !== this) Array.prototype.pop.call(stack);
  return Array.prototype.pop.call(this);
};
