/**
 * The actor system of one instance: what XState calls `system`. Everything that its actors say to each other passes through here.
 *
 * What must stay true: while a step is decided nothing is relayed; and what a step does to the names of actors can be undone, since
 * XState registers and unregisters actors before the step is known to stand.
 */

import type { MachineEvent } from "../frames.ts";
import { native, now } from "../natives.ts";
import type { Actor, ActorSnapshot } from "./shapes.ts";
import { isMachineSnapshot } from "./shapes.ts";

export interface SystemHooks {
  /** May this be relayed now? If not, the hook has taken care of it. */
  admits(source: Actor | undefined, target: Actor, event: MachineEvent): boolean;
  /** An actor is being made: it has all it was given, and no snapshot yet. */
  made(actor: Actor): void;
  /** A microstep of a machine takes these. */
  took(actor: Actor, transitions: readonly unknown[]): void;
  /** Children may have changed. */
  changed(): void;
}

interface InspectionEvent {
  readonly type: string;
  readonly actorRef: Actor;
  readonly _transitions?: readonly unknown[];
}

// Ids of actors without a name end up in contexts and snapshots, so they must never come again, in no host.
const prefix = crypto.randomUUID().slice(0, 8);
let ids = 0;

export class ActorSystem {
  readonly #hooks: SystemHooks;
  #depth = 0;
  #actors = new Map<string, Actor>();
  #names = new Map<Actor, string>();
  readonly #running = new Set<Actor>();
  /** As they were before the step that is being decided; null where they have not been touched since. */
  #before: { actors: Map<string, Actor>; names: Map<Actor, string> } | null = null;
  #isDeciding = false;

  readonly scheduler: DelayedSends;
  readonly _snapshot = { _scheduledEvents: {} };
  readonly _clock = { setTimeout: native.setTimeout, clearTimeout: native.clearTimeout };

  constructor(hooks: SystemHooks) {
    this.#hooks = hooks;
    this.scheduler = new DelayedSends((source, target, event) =>
      this._relay(source, target, event)
    );
  }

  readonly _logger = (...args: unknown[]): void => console.log(...args);

  _bookId(): string {
    return `x:${prefix}${(ids++).toString(36)}`;
  }

  _register(sessionId: string, actor: Actor): string {
    this.#running.add(actor);
    return sessionId;
  }

  _unregister(actor: Actor): void {
    this.#running.delete(actor);
    this.#freeName(actor);
  }

  /** Every actor that was started and not stopped. */
  get running(): Iterable<Actor> {
    return this.#running;
  }

  #freeName(actor: Actor): void {
    const name = this.#names.get(actor);
    if (name === undefined) return;
    this.#remember();
    this.#names.delete(actor);
    this.#actors.delete(name);
  }

  _set(name: string, actor: Actor): void {
    const existing = this.#actors.get(name);
    if (existing === actor) return;
    if (existing) throw new Error(`Actor with system ID '${name}' already exists.`);
    this.#remember();
    this.#actors.set(name, actor);
    this.#names.set(actor, name);
  }

  get(name: string): Actor | undefined {
    return this.#actors.get(name);
  }

  getAll(): Record<string, Actor> {
    return Object.fromEntries(this.#actors);
  }

  inspect(): { unsubscribe(): void } {
    return { unsubscribe() {} };
  }

  _sendInspectionEvent({ type, actorRef, _transitions }: InspectionEvent): void {
    if (type === "@xstate.actor") this.#hooks.made(actorRef);
    else if (type === "@xstate.microstep" && _transitions) this.#hooks.took(actorRef, _transitions);
  }

  start(): void {}

  getSnapshot(): unknown {
    return this._snapshot;
  }

  _relay(source: Actor | undefined, target: Actor, event: MachineEvent): void {
    if (!this.#hooks.admits(source, target, event)) return;
    this.#depth++;
    try {
      target._send(event);
    } finally {
      if (--this.#depth === 0) this.#hooks.changed();
    }
  }

  /** XState frees the names of an actor and of all below it before it is stopped, so that the same step can give them again. */
  freeNames(actor: Actor): void {
    if (this.#names.size === 0) return;
    const snapshot: ActorSnapshot | undefined = actor.getSnapshot();
    if (isMachineSnapshot(snapshot)) {
      for (const child of Object.values(snapshot.children)) child && this.freeNames(child);
    }
    this.#freeName(actor);
  }

  beginStep(): void {
    this.#isDeciding = true;
  }

  keepStep(): void {
    this.#isDeciding = false;
    this.#before = null;
  }

  undoStep(): void {
    if (this.#before) ({ actors: this.#actors, names: this.#names } = this.#before);
    this.keepStep();
  }

  #remember() {
    if (!this.#isDeciding || this.#before) return;
    this.#before = { actors: new Map(this.#actors), names: new Map(this.#names) };
  }
}

interface DelayedSend {
  readonly source: Actor;
  readonly target: Actor;
  readonly id: string;
  timer: unknown;
}

// The longest time that a timer of the platform can wait; above it fires at once.
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Delayed sends among the actors of one instance. The root's own delays are no business of this: the server keeps them. */
export class DelayedSends {
  readonly #pending = new Set<DelayedSend>();
  readonly #relay: (source: Actor, target: Actor, event: MachineEvent) => void;

  constructor(relay: (source: Actor, target: Actor, event: MachineEvent) => void) {
    this.#relay = relay;
  }

  schedule(
    source: Actor,
    target: Actor,
    event: MachineEvent,
    delay: number,
    id: string = crypto.randomUUID(),
  ): void {
    const send: DelayedSend = { source, target, id, timer: undefined };
    this.#pending.add(send);
    this.#wait(send, event, now() + (delay > 0 ? delay : 0));
  }

  /** XState forgets the first of two with one id, so only the last can be cancelled. */
  cancel(source: Actor, id: string): void {
    let last: DelayedSend | undefined;
    for (const send of this.#pending) if (send.source === source && send.id === id) last = send;
    if (last) this.#drop(last);
  }

  cancelAll(source: Actor): void {
    for (const send of this.#pending) if (send.source === source) this.#drop(send);
  }

  stop(): void {
    for (const send of this.#pending) this.#drop(send);
  }

  get isEmpty(): boolean {
    return this.#pending.size === 0;
  }

  /** Does something wait that this actor sent or is to get? */
  concerns(actor: Actor): boolean {
    for (const send of this.#pending) {
      if (send.source === actor || send.target === actor) return true;
    }
    return false;
  }

  #wait(send: DelayedSend, event: MachineEvent, due: number) {
    const rest = Math.max(0, due - now());
    if (rest > TIMER_MS_MAX) {
      send.timer = native.setTimeout(() => this.#wait(send, event, due), TIMER_MS_MAX);
      return;
    }
    send.timer = native.setTimeout(() => {
      this.#pending.delete(send);
      this.#relay(send.source, send.target, event);
    }, rest);
  }

  #drop(send: DelayedSend) {
    native.clearTimeout(send.timer as number);
    this.#pending.delete(send);
  }
}
