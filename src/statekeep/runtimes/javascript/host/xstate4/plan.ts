/**
 * One macrostep while it is decided: sorts what XState wants done into timers, effects and events to the machine itself. Nothing is
 * performed here; what may throw afterwards is only in `run` of an effect.
 */

import type { Decided, Effect, Surroundings } from "../driver.ts";
import type { Address, MessageOp, TimerOp } from "../frames.ts";
import {
  addressOf,
  type InstanceSource,
  invokedAddress,
  isInstanceRef,
  isInstanceSource,
  type Spawned,
  spawnOp,
  spawnsFirst,
  takeSpawned,
} from "../persistent.ts";
import { prospectOf } from "./children.ts";
import { type Copy, inScope, type SpawnScope } from "./copies.ts";
import type { Definition } from "./definition.ts";
import { type Instances, invokedContext } from "./instances.ts";
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
const NOWHERE: Address = { machineName: "", machineInstanceName: "" };
/** Of XState's own, between machines that run in one process. */
const INTERNAL_EVENT =
  /^xstate\.|^done\.(invoke|state)\.|^error\.(platform|execution|communication)\b/;

/** What all steps of an instance have in common. */
export interface PlanBasis {
  readonly machine: Machine;
  readonly copy: Copy;
  readonly definition: Definition;
  readonly service: RootService;
  readonly pending: PendingChanges;
  readonly instances: Instances;
  readonly surroundings: Surroundings;
  /** Whether actions were recorded during the transition: XState's `predictableActionArguments`. */
  readonly isPredictable: boolean;
}

export class Plan implements SpawnScope {
  /** The state that XState's interpreter would be in while it performs this. */
  seen: State | undefined;
  timers: TimerOp[] = [];
  selfSends: MachineEvent[] = [];
  readonly effects: Effect[] = [];
  #sendsLast = false;
  /** To children that the same step invokes later: their addresses are not known yet. */
  readonly #unaddressed: { id: string; op: MessageOp }[] = [];

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

  /** An action that XState has resolved. */
  add(action: Action, context: unknown, event: ScxmlEvent): void {
    const perform = () => this.basis.service._exec(action, context, event);
    if (this.#isCustom(action) || action.type === "xstate.log") this.#effect(false, perform);
    else if (action.type === "xstate.raise") this.#setTimer(action as SendAction);
    else if (action.type === "xstate.send") this.#send(action as SendAction);
    else if (action.type === "xstate.cancel") this.#cancel(action.sendId);
    else if (action.type === "xstate.start") {
      const activity = action.activity as Activity;
      const source = this.#instanceSourceOf(activity);
      if (source) this.#invokeInstance(source, activity, context, event);
      else this.#startActivity(activity, perform);
    } else if (action.type === "xstate.stop") this.#stop(action.activity, perform);
    else this.#warn(`no implementation found for action "${action.type}"`);
  }

  /** Everything has been added. A finished machine has no timers, no children, and takes no events. */
  close(isDone: boolean): Decided {
    const { service } = this.basis;
    if (this.#sendsLast) this.#effect(true, () => service.flush());
    for (const { id, op } of this.#unaddressed) this.#address(id, op);
    if (isDone) this.#end();
    const { effects, selfSends } = this;
    const timers = spawnsFirst(this.timers);
    return { timers, effects, selfSends };
  }

  #end(): void {
    const { service, pending } = this.basis;
    this.timers = this.timers.filter(isAtOnce);
    this.selfSends = [];
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
    const { delay, _event } = action;
    const to = this.#named(action.to);
    // It may be for one that an assign before it has spawned.
    this.addSpawned(takeSpawned());
    if (isInstanceRef(to)) {
      this.#message(addressOf(to), action);
    } else if (to === PARENT) {
      this.#sendToParent(action);
    } else if (this.#isInstance(to)) {
      this.#messageTo(String(to), action);
    } else if (this.#isSelf(to)) {
      if (typeof delay === "number") this.#setTimer(action);
      else this.selfSends.push(_event.data);
    } else if (typeof delay === "number") {
      this.#sendLater(action);
    } else {
      this.#sendToChild(action);
    }
  }

  #sendToParent(action: SendAction): void {
    const { parent } = this.basis.surroundings;
    const { name } = action._event;
    if (parent === undefined) {
      this.#warn(`event "${name}" was sent to the parent of an instance that has none`);
    } else if (INTERNAL_EVENT.test(name)) {
      this.#warn(`event "${name}" is of XState's own and was not sent to the parent`);
    } else {
      const { machineName, machineInstanceName } = parent;
      this.#message({ machineName, machineInstanceName }, action);
    }
  }

  /** XState 5 refers to persistent children as to any other, and an upgrade may have brought such a reference along. */
  #named(to: unknown): unknown {
    const isChild = to instanceof Tombstone && this.basis.instances.find(to.id) !== undefined;
    return isChild ? to.id : to;
  }

  /** A persistent child, perhaps one that the rest of the step invokes. Others of that id come first. */
  #isInstance(to: unknown): boolean {
    if (typeof to !== "string") return false;
    const { service, pending, instances, definition } = this.basis;
    if (service.children.has(to) || pending.starts(to)) return false;
    return instances.find(to) !== undefined ||
      this.#instanceSourceOf(definition.activities.get(to)) !== undefined;
  }

  #messageTo(id: string, action: SendAction): void {
    const address = this.basis.instances.find(id);
    const op = this.#message(address ?? NOWHERE, action);
    if (address === undefined) this.#unaddressed.push({ id, op });
  }

  #address(id: string, op: MessageOp): void {
    const address = this.basis.instances.find(id);
    if (address !== undefined) return void Object.assign(op, { to: address });
    this.#warn(`an event was sent to the child "${id}", which is not there`);
    this.timers = this.timers.filter((other) => other !== op);
  }

  #message(to: Address, { id, delay, _event }: SendAction): MessageOp {
    const { data: event } = _event;
    const op: MessageOp = typeof delay === "number"
      ? { send: id ? String(id) : "", to, event, delay }
      : { send: "", to, event };
    this.timers.push(op);
    return op;
  }

  /** Given in place, or by its name among the services. */
  #instanceSourceOf(activity: Activity | undefined): InstanceSource | undefined {
    const src: unknown = activity?.src;
    if (isInstanceSource(src)) return src;
    const service = src ? this.#serviceOf(activity!) : undefined;
    return isInstanceSource(service) ? service : undefined;
  }

  #invokeInstance(
    source: InstanceSource,
    { id, data }: Activity,
    context: unknown,
    event: ScxmlEvent,
  ): void {
    const address = invokedAddress(source);
    this.basis.instances.add(id, address);
    const given = invokedContext(data, context, event);
    this.timers.push(spawnOp(id, address, given, source.machineVersionId));
  }

  /** What `spawnPersistentInstance` was asked for in the step. */
  addSpawned(spawned: readonly Spawned[]): void {
    for (const { id, isNamed, address, op } of spawned) {
      if (isNamed) this.basis.instances.add(id, address);
      this.timers.push(op);
    }
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

  #startActivity(activity: Activity, perform: () => void): void {
    const id = activity.id || activity.type;
    // Without predictable arguments XState leaves out what is stopped again within the step.
    if (!this.basis.isPredictable && !this.seen?.activities[id]) return;
    if (activity.type !== "xstate.invoke") {
      return this.#start(id, { kind: "activity", due: false }, {}, perform);
    }
    const service = this.#serviceOf(activity);
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
    const { service, pending, instances } = this.basis;
    const id = (it as { id?: string } | undefined)?.id;
    // The instance lives on: its parent has only lost sight of it.
    if (id !== undefined && instances.remove(id)) return;
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

/** Sent for good, however soon its sender ends. */
function isAtOnce(op: TimerOp): boolean {
  return "spawn" in op || ("send" in op && !op.delay);
}
