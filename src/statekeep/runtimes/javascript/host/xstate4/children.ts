/**
 * What runs below a root: of which kind each child is, and whether settling waits for it.
 *
 * XState's interpreter does not remember what it spawned. So the prototype of our own copy's interpreter is patched, once, when this
 * module is loaded; the patches change nothing for interpreters whose root is not ours (author code may run its own). What
 * must stay true: the root hears of every change, and a silenced child is heard no more.
 */

import type { ChildKind } from "../frames.ts";
import { isInstanceSource } from "../persistent.ts";
import { CountingClock } from "./clock.ts";
import { adopt, OwnInterpreter } from "./copies.ts";
import { definitionOf } from "./definition.ts";
import { noteErrorsOfGuards } from "./guards.ts";
import {
  type ActorRef,
  type Behavior,
  type Callback,
  type Interpreter,
  isActorRef,
  isFunction,
  isMachine,
  isObject,
  isPromiseLike,
  type Machine,
  type Observable,
  type Receive,
  type SpawnOptions,
} from "./types.ts";

/** An interpreter whose children are ours to watch. */
export interface WatchedRoot extends Interpreter {
  childrenChanged(): void;
}

const never = () => false;

const CHILD_WITH_INSTANCES =
  "Only the machine of an instance can invoke instances, not a child machine of it.";

export class ChildTraits {
  /** Nothing that it still sends is heard. */
  isSilenced = false;
  /** A machine that tells its parent of each of its transitions. */
  isSync = false;

  /** `isOver`: it has ended by itself. Asked of what can end so. */
  constructor(
    readonly kind: ChildKind,
    readonly isDue: () => boolean = never,
    readonly isOver: () => boolean = never,
  ) {}
}

const roots = new WeakSet<Interpreter>();
const traits = new WeakMap<ActorRef, ChildTraits>();

export function watch(root: WatchedRoot): void {
  roots.add(root);
}

export function giveTraits<A extends ActorRef>(actor: A, given: ChildTraits): A {
  traits.set(actor, given);
  return actor;
}

export function traitsOf(actor: ActorRef): ChildTraits {
  let found = traits.get(actor);
  if (found === undefined) {
    // A machine asks while it is being started, or the author spawned an actor of some other make.
    found = isInterpreter(actor)
      ? new ChildTraits("machine", () => isMachineDue(actor), () => actor._state?.done === true)
      : new ChildTraits("other");
    traits.set(actor, found);
  }
  return found;
}

export function isInterpreter(actor: ActorRef): actor is Interpreter {
  return actor instanceof OwnInterpreter;
}

/** Something due runs in it, or a delay is pending in it or below it: all machines below one child of the root share a clock. */
function isMachineDue(interpreter: Interpreter): boolean {
  const { clock, children } = interpreter;
  return (clock instanceof CountingClock && clock.isPending) ||
    children.values().some((child) => traitsOf(child).isDue());
}

function rootOf(interpreter: Interpreter): WatchedRoot | undefined {
  let top = interpreter;
  while (top.parent !== undefined) top = top.parent;
  return roots.has(top) ? top as WatchedRoot : undefined;
}

const prototype = OwnInterpreter.prototype;
const original = { ...prototype };

function announce(name: "update" | "removeChild" | "_stopChildren"): void {
  const method = original[name] as (...args: unknown[]) => void;
  prototype[name] = function (this: Interpreter, ...args: unknown[]) {
    method.apply(this, args);
    rootOf(this)?.childrenChanged();
  };
}

announce("update");
announce("removeChild");
announce("_stopChildren");

prototype.spawnPromise = function (promise: Promise<unknown>, id: string) {
  const root = rootOf(this);
  if (root === undefined) return original.spawnPromise.call(this, promise, id);
  let isPending = true;
  const settle = () => void (isPending = false);
  // Before XState hears of it, and asks.
  promise.then(settle, settle);
  const actor = original.spawnPromise.call(this, promise, id);
  return tag(root, actor, new ChildTraits("promise", () => isPending, () => !isPending));
};

prototype.spawnCallback = function (callback: Callback, id: string) {
  const root = rootOf(this);
  if (root === undefined) return original.spawnCallback.call(this, callback, id);
  let hasThrown = false;
  let given = new ChildTraits("callback", () => !hasThrown);
  const watched: Callback = (receive, onReceive) => {
    try {
      return callback((event) => given.isSilenced || receive(event), onReceive);
    } catch (error) {
      hasThrown = true;
      throw error;
    }
  };
  const actor = original.spawnCallback.call(this, watched, id);
  // An async function has become a promise and is tagged as one; it still sends through `receive`.
  given = traits.get(actor) ?? given;
  return tag(root, actor, given);
};

prototype.spawnObservable = function (source: Observable, id: string) {
  const root = rootOf(this);
  if (root === undefined) return original.spawnObservable.call(this, source, id);
  let isOver = false;
  const given = new ChildTraits("observable", () => !isOver, () => isOver);
  const end = (tell: Receive | undefined, value?: unknown) => {
    isOver = true;
    if (!given.isSilenced) tell?.(value);
  };
  let isFirst = true;
  const watched: Observable = {
    subscribe(...observer) {
      // Only the first subscription is the interpreter's own.
      if (!isFirst) return source.subscribe(...observer);
      isFirst = false;
      const [next, error, complete] = observer as (Receive | undefined)[];
      return source.subscribe(
        (value: unknown) => given.isSilenced || next?.(value),
        (reason: unknown) => end(error, reason),
        () => end(complete),
      );
    },
  };
  const actor = original.spawnObservable.call(this, watched, id);
  // XState keeps one that has completed while it was subscribed to, for ever.
  if (isOver) this.children.delete(id);
  return tag(root, actor, given);
};

prototype.spawnMachine = function (machine: Machine, options: SpawnOptions = {}) {
  const root = rootOf(this);
  if (root !== undefined) {
    refuseInstances(machine);
    // It may be of another copy than its parent: whatever it spawns has to find a service, too.
    adopt(machine);
    noteErrorsOfGuards(machine);
  }
  const actor = original.spawnMachine.call(this, machine, options);
  if (root === undefined) return actor;
  const given = traitsOf(actor);
  given.isSync = options.sync === true;
  return tag(root, actor, given);
};

function refuseInstances(machine: Machine): void {
  for (const { src } of definitionOf(machine).activities.values()) {
    if (isInstanceSource(src)) throw new Error(CHILD_WITH_INSTANCES);
  }
}

prototype.spawnBehavior = function (behavior: Behavior, id: string) {
  const root = rootOf(this);
  if (root === undefined) return original.spawnBehavior.call(this, behavior, id);
  const kind = isPending(behavior.initialState) ? "promise" : "reducer";
  const given: ChildTraits = new ChildTraits(kind, () => isPending(actor.getSnapshot?.()));
  const send = (event: unknown) => void (given.isSilenced || this.send(event));
  // All of the interpreter but its `send`.
  const parent = Object.create(this, { send: { value: send } }) as Interpreter;
  const actor = original.spawnBehavior.call(this, withParent(behavior, parent), id);
  actor.subscribe?.(() => root.childrenChanged());
  return tag(root, actor, given);
};

prototype.spawnActor = function (actor: ActorRef, name: string) {
  const root = rootOf(this);
  original.spawnActor.call(this, actor, name);
  root?.childrenChanged();
  return actor;
};

prototype.spawnEffect = function (id: string, dispose: unknown) {
  original.spawnEffect.call(this, id, dispose);
  const root = rootOf(this);
  if (root !== undefined) tag(root, this.children.get(id)!, new ChildTraits("activity"));
};

function tag(root: WatchedRoot, actor: ActorRef, given: ChildTraits): ActorRef {
  giveTraits(actor, given);
  root.childrenChanged();
  return actor;
}

/** The state of a behavior that `fromPromise` made. No other behavior says whether it is still at work. */
function isPending(state: unknown): boolean {
  return isObject(state) && state.status === "pending" && "data" in state && "error" in state;
}

function withParent(behavior: Behavior, parent: Interpreter): Behavior {
  return {
    initialState: behavior.initialState,
    transition: (state, event, context) =>
      behavior.transition(state, event, { ...context, parent }),
    start: behavior.start && ((context) => behavior.start!({ ...context, parent })),
  };
}

/** Nothing that it sends is heard any more, now or when it is stopped. */
export function silence(actor: ActorRef): void {
  traitsOf(actor).isSilenced = true;
  if (isInterpreter(actor) && actor.clock instanceof CountingClock) actor.clock.clear();
}

/** What will become of something that is to be spawned, told in the order in which XState tells. */
export function prospectOf(entity: unknown): { kind: ChildKind; due: boolean } {
  if (isPromiseLike(entity)) return { kind: "promise", due: true };
  if (isFunction(entity)) return { kind: "callback", due: true };
  if (isActorRef(entity)) return { kind: "other", due: false };
  if (isObject(entity) && isFunction(entity.subscribe)) return { kind: "observable", due: true };
  // Whether a machine will be idle shows when it has started.
  if (isMachine(entity)) return { kind: "machine", due: true };
  const isWaiting = isObject(entity) && isPending(entity.initialState);
  return isWaiting ? { kind: "promise", due: true } : { kind: "reducer", due: false };
}
