/**
 * References to children in the context: what stands for a child that is decided and not started, or that is gone, and how references
 * become JSON and come back.
 */

import type { Json } from "../frames.ts";
import { stringify } from "../natives.ts";
import { type Copy, inScope } from "./copies.ts";
import { type ActorRef, isActorRef, isMachine, isObject } from "./types.ts";

const MARKER = "xstate$$type";
const OBSERVABLE: PropertyKey = (Symbol as { observable?: symbol }).observable ?? "@@observable";

/** An actor that is gone: its id is all that is left of it. */
export class Tombstone implements ActorRef {
  constructor(readonly id: string, private readonly onSend: (text: string) => void) {}

  send(event: unknown): void {
    const type = isObject(event) ? event.type : event;
    this.onSend(`event "${type}" was sent to child "${this.id}", which does not run any more`);
  }
  subscribe(): { unsubscribe(): void } {
    return { unsubscribe() {} };
  }
  getSnapshot(): undefined {}
  stop(): void {}
  toJSON(): { id: string } {
    return { id: this.id };
  }
  [OBSERVABLE](): this {
    return this;
  }
}

/**
 * What `spawn()` returns while a step is decided. It becomes the real actor when the step is performed; what was asked of it until then
 * is made up for.
 */
export class SpawnedRef implements ActorRef {
  #actor: ActorRef | undefined;
  #isStopped = false;
  #initialState: unknown;
  readonly #waiting: ((actor: ActorRef) => void)[] = [];

  constructor(readonly id: string, private readonly entity: unknown, private readonly copy: Copy) {}

  get actor(): ActorRef | undefined {
    return this.#actor;
  }
  get isStopped(): boolean {
    return this.#isStopped;
  }

  bind(actor: ActorRef): void {
    this.#actor = actor;
    for (const act of this.#waiting.splice(0)) act(actor);
  }

  send(event: unknown): void {
    this.#whenBound((actor) => actor.send(event));
  }

  subscribe(...observer: unknown[]): { unsubscribe(): void } {
    let subscription: { unsubscribe(): void } | undefined;
    let isWanted = true;
    this.#whenBound((actor) => {
      if (isWanted) subscription = actor.subscribe?.(...observer);
    });
    return {
      unsubscribe() {
        isWanted = false;
        subscription?.unsubscribe();
      },
    };
  }

  getSnapshot(): unknown {
    if (this.#actor !== undefined) return this.#actor.getSnapshot?.();
    const { entity } = this;
    if (!isMachine(entity)) return undefined;
    // A scope of nothing: what the initial state spawns must not count as spawned by the step that is looking at it.
    return this.#initialState ??= inScope(this.copy, undefined, () => entity.initialState);
  }

  stop(): void {
    this.#isStopped = true;
    this.#actor?.stop?.();
  }
  toJSON(): { id: string } {
    return { id: this.id };
  }
  [OBSERVABLE](): this {
    return this;
  }

  #whenBound(act: (actor: ActorRef) => void): void {
    if (this.#actor !== undefined) act(this.#actor);
    else this.#waiting.push(act);
  }
}

/** The running actor behind a reference. Our interpreter tells machines from others by looking at it. */
export function actorBehind(target: unknown): unknown {
  return target instanceof SpawnedRef ? target.actor ?? target : target;
}

export function stringifyWithRefs(value: unknown): string | undefined {
  return stringify(value, replaceRef);
}

// The second argument has been through `toJSON`, so the value is looked up again.
function replaceRef(this: Record<string, unknown>, key: string, json: unknown): unknown {
  const value = this[key];
  return isActorRef(value) ? { [MARKER]: 1, id: value.id } : json;
}

export function mentionsRefs(text: string): boolean {
  return text.includes(MARKER);
}

/** Put references back in place of their JSON, all the way down, in place where possible. */
export function reviveRefs(value: Json, resolve: (id: string) => ActorRef): unknown {
  if (!isObject(value)) return value;
  if (value[MARKER] === 1 && typeof value.id === "string") return resolve(value.id);
  const container = value as Record<string, unknown>;
  for (const key of Object.keys(container)) {
    container[key] = reviveRefs(container[key] as Json, resolve);
  }
  return value;
}

/** The id of an actor somewhere in `value` that is not `isKnown`, if there is one. */
export function findUnknownRef(
  value: unknown,
  isKnown: (ref: ActorRef) => boolean,
  seen = new Set<unknown>(),
): string | undefined {
  if (!isObject(value) || seen.has(value)) return undefined;
  seen.add(value);
  if (isActorRef(value)) return isKnown(value) ? undefined : value.id;
  for (const inner of Object.values(value)) {
    const id = findUnknownRef(inner, isKnown, seen);
    if (id !== undefined) return id;
  }
  return undefined;
}
