/**
 * One macrostep while it is decided: sorts what XState wants done into timers, effects and events to the machine itself. Nothing is
 * performed here; what may throw afterwards is only in `run` of an effect.
 */

import type { Decided, Effect, Surroundings } from "../driver.ts";
import type { Address, TimerOp } from "../frames.ts";
import type { DecidingStep, Spawned } from "../persistent.ts";
import { invoked, isInstanceSource, referenced, sendOps, spawnOp } from "../persistent.ts";
import { prospectOf } from "./children.ts";
import { type Copy, inScope, type SpawnScope } from "./copies.ts";
import type { Definition } from "./definition.ts";
import { mapContext } from "./output.ts";
import type { PendingChanges, Prospect, StartDetails } from "./pending.ts";
import { actorBehind, SpawnedRef, Tombstone } from "./refs.ts";
import type { RootService } from "./service.ts";
import { setTimer } from "./timers.ts";
import {
  type Action,
  type Activity,
  isActorRef,
  isFunction,
  isObject,
  type Machine,
  type MachineEvent,
  type ScxmlEvent,
  type SendAction,
  type SpawnOptions,
  type State,
} from "./types.ts";

const INTERNAL = "#_internal";
const PARENT = "#_parent";

/** What all steps of an instance have in common. */
export interface PlanBasis {
  readonly machine: Machine;
  readonly copy: Copy;
  readonly definition: Definition;
  readonly service: RootService;
  readonly pending: PendingChanges;
  /** Persistent children, by id. Changed as a step is decided. */
  readonly instances: Map<string, Address>;
  readonly surroundings: Surroundings;
  /** Whether actions were recorded during the transition: XState's `predictableActionArguments`. */
  readonly isPredictable: boolean;
}

export class Plan implements SpawnScope, DecidingStep {
  /** The state that XState's interpreter would be in while it performs this. */
  seen: State | undefined;
  /** Instances to be made. */
  readonly #spawns: TimerOp[] = [];
  timers: TimerOp[] = [];
  selfSends: MachineEvent[] = [];
  readonly effects: Effect[] = [];
  #sendsLast = false;

  /** `isInitial`: sends to children do not wait until the other effects are done. */
  constructor(private readonly basis: PlanBasis, private readonly isInitial: boolean) {}

  /** Before anything else: children that asked for it get the event of the step. */
  forward(event: ScxmlEvent): void {
    const { service, pending } = this.basis;
    if (service.forwardTo.size === 0 && !pending.startsAnyForwardedTo()) return;
    this.#effect(true, () => service.forward(event));
  }

  /** `spawn()` in an assign. */
  spawn(entity: unknown, name: string, options?: SpawnOptions): SpawnedRef {
    if (isInstanceSource(entity)) {
      throw new Error("spawn() starts no instances: use spawnPersistentInstance()");
    }
    const { service, copy } = this.basis;
    const ref = new SpawnedRef(name, entity, copy);
    // If the step is discarded nobody ever looks at it.
    if (entity instanceof Promise) entity.catch(() => {});
    const details = { ref, isForwardedTo: options?.autoForward === true };
    this.#start(name, prospectOf(entity), details, () => {
      if (!ref.isStopped) ref.bind(service.spawn(actorBehind(entity), name, options));
    });
    return ref;
  }

  /** `spawnPersistentInstance()` in an assign, or an invocation. */
  spawnInstance(spawned: Spawned): void {
    this.#spawns.push(spawnOp(spawned));
    this.basis.instances.set(spawned.id, spawned.to);
  }

  /** An action that XState has resolved. */
  add(action: Action, context: unknown, event: ScxmlEvent): void {
    const perform = () => this.basis.service._exec(action, context, event);
    if (this.#isCustom(action) || action.type === "xstate.log") this.#effect(false, perform);
    else if (action.type === "xstate.raise") this.#setTimer(action as SendAction);
    else if (action.type === "xstate.send") this.#send(action as SendAction);
    else if (action.type === "xstate.cancel") this.#cancel(action.sendId);
    else if (action.type === "xstate.start") this.#startActivity(action, context, event, perform);
    else if (action.type === "xstate.stop") this.#stop(action.activity, perform);
    else this.#warn(`no implementation found for action "${action.type}"`);
  }

  /** Everything has been added. A finished machine has no timers, no children, and takes no events. */
  close(isDone: boolean): Decided {
    const { service } = this.basis;
    if (this.#sendsLast) this.#effect(true, () => service.flush());
    if (isDone) this.#end();
    const { effects, selfSends } = this;
    return { timers: [...this.#spawns, ...this.timers], effects, selfSends };
  }

  #end(): void {
    const { service, pending } = this.basis;
    this.timers = this.timers.filter((op) => "send" in op && op.delay === undefined);
    this.selfSends = [];
    this.basis.instances.clear();
    const running = service.children.running().map(([id]) => id);
    const ids = new Set([...running, ...pending.startedIds()]);
    if (ids.size === 0) return;
    const done = [...ids].map((id) => pending.add(id, "gone"));
    this.#effect(true, () => {
      for (const it of done) it();
      service.silenceAll();
    });
  }

  /** As XState looks for it: on the action, then under its type among the machine's implementations. */
  #isCustom(action: Action): boolean {
    const found = action.exec || this.basis.machine.options.actions?.[action.type];
    return isFunction(found) || (isObject(found) && isFunction(found.exec));
  }

  #setTimer(action: SendAction): void {
    this.timers.push(setTimer(action, this.basis.definition));
  }

  #send(action: SendAction): void {
    const { to, delay, _event } = action;
    const instance = this.#instanceAt(to);
    if (instance !== undefined) {
      this.timers.push(...sendOps(instance, _event.data, action, (text) => this.#warn(text)));
    } else if (to === PARENT) {
      this.#warn(`event "${_event.name}" was sent to the parent of an instance that has none`);
    } else if (this.#isSelf(to)) {
      if (typeof delay === "number") this.#setTimer(action);
      else this.selfSends.push(_event.data);
    } else if (typeof delay === "number") {
      this.#sendLater(action);
    } else {
      this.#sendToChild(action);
    }
  }

  /** The other instance that is meant. A child that runs here goes before a persistent one of the same id. */
  #instanceAt(to: unknown): Address | undefined {
    const { instances, surroundings } = this.basis;
    if (to === PARENT) return surroundings.parent;
    // XState 5 refers to persistent children as to any other, and an upgrade may have brought such a reference along.
    const isReference = to instanceof Tombstone;
    if (isObject(to) && !isReference) return referenced(to);
    if (!to || instances.size === 0) return undefined;
    const id = isReference ? to.id : String(to);
    return this.#runsHere(id) ? undefined : instances.get(id);
  }

  #runsHere(id: string): boolean {
    const { service, pending } = this.basis;
    const child = service.children.get(id);
    return pending.starts(id) || (child !== undefined && !(child instanceof Tombstone));
  }

  #isSelf(to: unknown): boolean {
    const { service } = this.basis;
    return !to || to === INTERNAL || to === service || to === service.sessionId;
  }

  #sendToChild({ to, _event }: SendAction): void {
    const { service, isPredictable } = this.basis;
    this.#effect(true, () => service.sendTo(_event, to, this.isInitial));
    this.#sendsLast ||= isPredictable && !this.isInitial;
  }

  #sendLater(action: SendAction): void {
    const { service, pending } = this.basis;
    const target = isActorRef(action.to) ? action.to.id : String(action.to);
    const done = pending.add(target, "due");
    this.#effect(true, () => {
      done();
      service.defer(action);
    });
  }

  #cancel(id: unknown): void {
    if (!id) return;
    const { service, pending } = this.basis;
    this.timers.push({ cancel: String(id) });
    if (service.hasDelayedSends || pending.delaysAnySend()) {
      this.#effect(true, () => service.cancel(id as string));
    }
  }

  #startActivity(
    action: Action,
    context: unknown,
    event: ScxmlEvent,
    perform: () => void,
  ): void {
    const activity = action.activity as Activity;
    const id = activity.id || activity.type;
    // Without predictable arguments XState leaves out what is stopped again within the step.
    if (!this.basis.isPredictable && !this.seen?.activities[id]) return;
    if (activity.type !== "xstate.invoke") {
      return this.#start(id, { kind: "activity", due: false }, {}, perform);
    }
    const service = this.#serviceOf(activity);
    const source = [activity.src, service].find(isInstanceSource);
    if (source !== undefined) {
      const { data } = activity;
      return this.spawnInstance(
        invoked(source, id, data && mapContext(data, context, event.data)),
      );
    }
    if (!service || typeof service === "string") {
      return this.#warn(`no service found for the invocation "${id}"`);
    }
    const isForwardedTo = Boolean(activity.autoForward ?? activity.forward);
    const prospect: Prospect = isFunction(service)
      ? { kind: "other", due: true }
      : prospectOf(service);
    this.#start(id, prospect, { isForwardedTo }, perform);
  }

  #serviceOf({ src }: Activity): unknown {
    return this.basis.machine.options.services?.[typeof src === "string" ? src : src!.type];
  }

  /** What cannot even start fails as a running child would: it is due, so something has to come of it. */
  #start(id: string, prospect: Prospect, details: StartDetails, start: () => void): void {
    const { service, pending } = this.basis;
    this.basis.instances.delete(id);
    const done = pending.add(id, prospect, details);
    this.#effect(true, () => {
      done();
      try {
        start();
      } catch (error) {
        service.failChild(id, error);
        throw error;
      }
    });
  }

  /** Children that have ended by themselves are stopped by XState, too, when their state is left: not worth an effect. */
  #stop(it: unknown, perform: () => void): void {
    const { service, pending } = this.basis;
    const id = (it as { id?: string } | undefined)?.id;
    // The instance goes on without a parent that knows it.
    if (id !== undefined && !this.#runsHere(id)) this.basis.instances.delete(id);
    if (id === undefined || !(service.children.has(id) || pending.starts(id))) return;
    const done = pending.add(id, "gone");
    this.#effect(true, () => {
      done();
      perform();
    });
  }

  #effect(touchesChildren: boolean, perform: () => void): void {
    const { copy, service, isPredictable } = this.basis;
    // Where XState executes actions during the transition, one that spawns finds the service.
    const scope = isPredictable && !this.isInitial ? service : undefined;
    const run = () => {
      service._state = this.seen;
      inScope(copy, scope, perform);
    };
    this.effects.push({ touchesChildren, run });
  }

  #warn(text: string): void {
    this.basis.surroundings.warn(text);
  }
}
