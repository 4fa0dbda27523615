/**
 * What one step decides, noted instead of done; and how it is done later.
 *
 * XState executes custom actions while it steps, and what it calls deferred (starting, stopping, sending) when the step is complete. The
 * effects keep that order: first every action as it came, then what these and the step deferred.
 */

import type { Decided, Effect } from "../driver.ts";
import { errorText } from "../errors.ts";
import type { MachineEvent, TimerOp } from "../frames.ts";
import type { DecidingStep, Spawned } from "../persistent.ts";
import { invoked, isInstanceSource, sendOps, spawnOp } from "../persistent.ts";
import type { AfterTable } from "./after.ts";
import { isActive } from "./children.ts";
import { addressOf, InstanceLogic, RefusedLogic } from "./instances.ts";
import { Elsewhere, Tombstone } from "./root.ts";
import type { Actor, ExecutableAction, MachineSnapshot } from "./shapes.ts";
import { STOPPED } from "./shapes.ts";
import type { ActorSystem } from "./system.ts";

type Run = () => void;
type Noted = { action: ExecutableAction } | { deferred: Run } | { ops: TimerOp[] };

interface SendParams {
  to?: Actor | string;
  targetId?: string;
  event: MachineEvent;
  id?: string;
  delay?: number;
}

export class Recorder implements DecidingStep {
  readonly #system: ActorSystem;
  readonly #after: AfterTable;
  readonly #warn: (text: string) => void;
  #root!: Actor;
  #noted: Noted[] | null = null;
  #selfSends: MachineEvent[] = [];
  /** Instances to be made. */
  #spawns: TimerOp[] = [];
  /** Those that are not among the children of any snapshot yet, by id. */
  #newcomers: Record<string, Actor> | null = null;
  /** XState is about to defer its start, which is none. */
  #hasJustMadeInstance = false;
  /** Where deferred work goes while effects are performed. */
  #deferred: Run[] | null = null;
  /** Ids of delayed sends to children that may wait in this host: cancelling others is no effect here. */
  readonly #childSends = new Set<string>();

  constructor(system: ActorSystem, after: AfterTable, warn: (text: string) => void) {
    this.#system = system;
    this.#after = after;
    this.#warn = warn;
  }

  set root(root: Actor) {
    this.#root = root;
  }

  get isDeciding(): boolean {
    return this.#noted !== null;
  }

  begin() {
    this.#noted = [];
    this.#selfSends = [];
    this.#spawns = [];
    this.#newcomers = null;
    this.#hasJustMadeInstance = false;
  }

  abort() {
    this.#noted = null;
    this.#hasJustMadeInstance = false;
  }

  /** `spawnPersistentInstance()` in an assign. */
  spawnInstance(spawned: Spawned) {
    this.#spawns.push(spawnOp(spawned));
    const { id, to } = spawned;
    (this.#newcomers ??= {})[id] = new Elsewhere(id, this.#root, this.#system, to);
  }

  /** An actor is being made. One that is to be an instance becomes a stand-in for it. */
  adopt(actor: Actor) {
    if (!isInstanceSource(actor.logic)) return;
    if (!this.#noted || actor._parent !== this.#root) {
      actor.logic = new RefusedLogic();
      return;
    }
    const spawned = invoked(actor.logic, actor.id, actor.options.input);
    this.#spawns.push(spawnOp(spawned));
    actor.logic = new InstanceLogic(spawned.to);
    this.#hasJustMadeInstance = true;
  }

  /** `snapshot` with the instances that were spawned since it was made among its children. */
  withSpawned(snapshot: MachineSnapshot): MachineSnapshot {
    const newcomers = this.#newcomers;
    if (!newcomers) return snapshot;
    this.#newcomers = null;
    const children = { ...snapshot.children };
    for (const [id, newcomer] of Object.entries(newcomers)) {
      const child = children[id];
      // One that runs here stays: XState would lose sight of it.
      if (!child || addressOf(child) || !isActive(child)) children[id] = newcomer;
    }
    return { ...snapshot, children };
  }

  note(action: ExecutableAction) {
    this.#hasJustMadeInstance = false;
    if (!this.#noted) return;
    this.#noted.push({ action });
    if (action.type === "xstate.stopChild" && action.params) {
      this.#system.freeNames(action.params as Actor);
    }
  }

  defer(run: Run) {
    if (this.#hasJustMadeInstance) this.#hasJustMadeInstance = false;
    else if (this.#noted) this.#noted.push({ deferred: run });
    else if (this.#deferred) this.#deferred.push(run);
    else run();
  }

  /** Author code sends to some actor in the middle of a step. */
  holdBack(target: Actor, event: MachineEvent) {
    const to = addressOf(target);
    if (to) this.#noted!.push({ ops: sendOps(to, event, {}, this.#warn) });
    else if (target === this.#root) this.#selfSends.push(event);
    else this.#noted!.push({ deferred: () => this.#system._relay(undefined, target, event) });
  }

  finish(isInitial: boolean): Decided {
    const decided = new Deciding(this.#selfSends, this.#spawns);
    for (const noted of this.#noted!) {
      if ("action" in noted) this.#sort(noted.action, decided);
      else if ("ops" in noted) decided.timers.push(...noted.ops);
      // Before the root runs, XState has one queue for both; a spawn among the initial assigns starts before later actions.
      else {decided.effect(
          true,
          isInitial ? noted.deferred : () => decided.late.push(noted.deferred),
        );}
    }
    this.#noted = null;
    this.#hasJustMadeInstance = false;
    if (decided.touchesChildren) decided.effect(true, () => this.#flush(decided.late));
    return decided;
  }

  #sort(action: ExecutableAction, decided: Deciding) {
    switch (action.type) {
      case "xstate.raise":
        return this.#raise(action.params as SendParams, decided);
      case "xstate.cancel":
        return this.#cancel(action, decided);
      case "xstate.sendTo":
        return this.#send(action, decided);
      case "xstate.spawnChild":
        return this.#spawn(action, decided);
      case "xstate.stopChild":
        return this.#stop(action, decided);
      case "xstate.emit":
        return; // there is nobody who could have subscribed
      default:
        if (action.exec) decided.effect(false, () => this.#execute(action, decided.late));
    }
  }

  #raise(params: SendParams, decided: Deciding) {
    // Without a delay it was handled within the step.
    if (typeof params.delay === "number") decided.timers.push(this.#timer(params, params.delay));
  }

  #cancel(action: ExecutableAction, decided: Deciding) {
    const { sendId } = action.params as { sendId: unknown };
    if (sendId === undefined) return;
    const id = String(sendId);
    decided.timers.push({ cancel: id });
    if (this.#childSends.has(id)) decided.effect(true, () => this.#execute(action, decided.late));
  }

  #send(action: ExecutableAction, decided: Deciding) {
    const params = action.params as SendParams;
    const { to, delay } = params;
    const instance = addressOf(to);
    if (instance) {
      decided.timers.push(...sendOps(instance, params.event, params, this.#warn));
    } else if (to === this.#root) {
      if (typeof delay === "number") decided.timers.push(this.#timer(params, delay));
      else decided.selfSends.push(this.#asSent(params.event));
    } else if (typeof to !== "object" || to instanceof Tombstone) {
      const id = typeof to === "object" ? to.id : params.targetId ?? String(to);
      this.#warn(`"${params.event?.type}" was sent to "${id}", which does not run any more`);
    } else {
      if (typeof delay === "number") this.#childSends.add(params.id ??= this.#system._bookId());
      decided.effect(true, () => this.#execute(action, decided.late));
    }
  }

  #spawn(action: ExecutableAction, decided: Deciding) {
    const { actorRef, src } = action.params as { actorRef?: Actor; src: unknown };
    if (addressOf(actorRef)) return; // the server makes it
    if (actorRef) decided.effect(true, () => this.#execute(action, decided.late));
    else this.#warn(`No actor is implemented for "${String(src)}": nothing was started`);
  }

  #stop(action: ExecutableAction, decided: Deciding) {
    const actor = action.params as Actor | undefined;
    if (!actor || addressOf(actor)) return; // an instance goes on by itself
    if (actor instanceof Tombstone || actor._processingStatus === STOPPED) return;
    decided.effect(true, () => this.#execute(action, decided.late));
  }

  // XState makes an event of that name an error of the sender.
  #asSent(event: MachineEvent): MachineEvent {
    if (event?.type !== "xstate.error") return event;
    const { id } = this.#root;
    return { type: `xstate.error.actor.${id}`, error: event.data, actorId: id };
  }

  #timer({ event, id }: SendParams, delay: number): TimerOp {
    const set = id === undefined ? this.#system._bookId() : String(id);
    const after = this.#after.get(event?.type);
    return after ? { set, delay, event, after } : { set, delay, event };
  }

  #execute(action: ExecutableAction, late: Run[]) {
    const outer = this.#deferred;
    this.#deferred = late;
    try {
      action.exec!(action.info, action.params);
    } finally {
      this.#deferred = outer;
    }
  }

  #flush(late: Run[]) {
    for (let run = late.shift(); run; run = late.shift()) {
      try {
        run();
      } catch (error) {
        this.#warn(errorText(error));
      }
    }
  }
}

class Deciding implements Decided {
  readonly effects: Effect[] = [];
  readonly late: Run[] = [];
  touchesChildren = false;

  constructor(readonly selfSends: MachineEvent[], readonly timers: TimerOp[]) {}

  effect(touchesChildren: boolean, run: Run) {
    this.effects.push({ touchesChildren, run });
    if (touchesChildren) this.touchesChildren = true;
  }
}
