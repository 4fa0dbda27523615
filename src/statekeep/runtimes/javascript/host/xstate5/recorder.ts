/**
 * What one step decides, noted instead of done; and how it is done later.
 *
 * XState executes custom actions while it steps, and what it calls deferred (starting, stopping, sending) when the step is complete. The
 * effects keep that order: first every action as it came, then what these and the step deferred.
 */

import type { Decided, Effect } from "../driver.ts";
import { errorText } from "../errors.ts";
import type { MachineEvent, TimerOp } from "../frames.ts";
import type { AfterTable } from "./after.ts";
import { Tombstone } from "./root.ts";
import type { Actor, ExecutableAction } from "./shapes.ts";
import { STOPPED } from "./shapes.ts";
import type { ActorSystem } from "./system.ts";

type Run = () => void;
type Noted = { action: ExecutableAction } | { deferred: Run };

interface SendParams {
  to?: Actor | string;
  targetId?: string;
  event: MachineEvent;
  id?: string;
  delay?: number;
}

export class Recorder {
  readonly #system: ActorSystem;
  readonly #after: AfterTable;
  readonly #warn: (text: string) => void;
  #root!: Actor;
  #noted: Noted[] | null = null;
  #selfSends: MachineEvent[] = [];
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
  }

  abort() {
    this.#noted = null;
  }

  note(action: ExecutableAction) {
    if (!this.#noted) return;
    this.#noted.push({ action });
    if (action.type === "xstate.stopChild" && action.params) {
      this.#system.freeNames(action.params as Actor);
    }
  }

  defer(run: Run) {
    if (this.#noted) this.#noted.push({ deferred: run });
    else if (this.#deferred) this.#deferred.push(run);
    else run();
  }

  /** Author code sends to some actor in the middle of a step. */
  holdBack(target: Actor, event: MachineEvent) {
    if (target === this.#root) this.#selfSends.push(event);
    else this.#noted!.push({ deferred: () => this.#system._relay(undefined, target, event) });
  }

  finish(isInitial: boolean): Decided {
    const decided = new Deciding(this.#selfSends);
    for (const noted of this.#noted!) {
      if ("action" in noted) this.#sort(noted.action, decided);
      // Before the root runs, XState has one queue for both; a spawn among the initial assigns starts before later actions.
      else {decided.effect(
          true,
          isInitial ? noted.deferred : () => decided.late.push(noted.deferred),
        );}
    }
    this.#noted = null;
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
    if (to === this.#root) {
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
    if (actorRef) decided.effect(true, () => this.#execute(action, decided.late));
    else this.#warn(`No actor is implemented for "${String(src)}": nothing was started`);
  }

  #stop(action: ExecutableAction, decided: Deciding) {
    const actor = action.params as Actor | undefined;
    if (!actor || actor instanceof Tombstone || actor._processingStatus === STOPPED) return;
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
  readonly timers: TimerOp[] = [];
  readonly effects: Effect[] = [];
  readonly late: Run[] = [];
  touchesChildren = false;

  constructor(readonly selfSends: MachineEvent[]) {}

  effect(touchesChildren: boolean, run: Run) {
    this.effects.push({ touchesChildren, run });
    if (touchesChildren) this.touchesChildren = true;
  }
}
