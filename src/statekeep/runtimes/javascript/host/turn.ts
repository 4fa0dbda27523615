/**
 * Deciding one delivery: may it happen, and what comes of it. Nothing is performed here.
 *
 * What must stay true: a delivery happens as a whole or not at all. Whatever throws on the way leaves the session as it was.
 */

import type { Activity } from "./activity.ts";
import { runAs } from "./activity.ts";
import type { Authorizer } from "./authorize.ts";
import { isAllowed } from "./authorize.ts";
import type { Decided, Driver, Effect, LiveInstance } from "./driver.ts";
import { errorText, failure, HostError } from "./errors.ts";
import type {
  Address,
  Delivery,
  Ended,
  Json,
  JsonObject,
  Limits,
  MachineEvent,
  Parent,
  TimerOp,
} from "./frames.ts";
import type { Logs } from "./logs.ts";
import { requireBounds } from "./json_text.ts";
import { parse, stringify } from "./natives.ts";
import { lastWord, senderIn } from "./persistent.ts";
import { PendingStep } from "./pending_step.ts";
import {
  decidedResult,
  DENIED,
  errorResult,
  IGNORED,
  LATER,
  macrostep,
  viewText,
} from "./replies.ts";
import type { Session } from "./session.ts";
import { boundedTimer } from "./timers.ts";

export interface Author {
  readonly driver: Driver;
  readonly allowRead: Authorizer;
  readonly allowWrite: Authorizer;
}

/**
 * Events by which XState runs its own machinery: ends of children and states, delays. A caller who could send them could say
 * that a payment went through. `xstate.route` is meant for callers. `statebacked.upgrade` stands in the history for what really happened.
 */
const RESERVED = {
  4: /^$|^\*$|^statebacked\.upgrade$|^xstate\.|^done\.(invoke|state)\.|^error\.(platform|execution|communication)\b/,
  5: /^$|^\*$|^statebacked\.upgrade$|^xstate\.(?!route$)/,
};

export class Turns {
  readonly #author: Author;
  readonly #limits: Limits;
  readonly #logs: Logs;

  constructor(author: Author, limits: Limits, logs: Logs) {
    this.#author = author;
    this.#limits = limits;
    this.#logs = logs;
  }

  /** The initial macrostep of a session that has none yet. Without success the session is of no use. */
  create(session: Session, given: JsonObject, auth: Json, authorize: boolean): string {
    return this.#decide(session, (step) => {
      if (authorize && !this.#mayCreate(session, given, auth)) return DENIED;
      const { live, decided } = this.#author.driver.initial(session, given);
      session.adopt(live);
      return this.#complete(session, live, decided, step);
    });
  }

  /** The result of one delivery. */
  deliver(session: Session, delivery: Delivery): string {
    if (session.awaitsChildren) return LATER;
    return this.#decide(session, (step) => {
      const live = session.wake();
      if (live.isDone) return IGNORED;
      if ("lost" in delivery) return this.#lost(session, live, delivery, step);
      if ("auth" in delivery) return this.#fromCaller(session, live, delivery, step);
      const event = ("h" in delivery && session.takeHandle(delivery.h!)) || delivery.event;
      return this.#fromInside(session, live, event, step);
    });
  }

  #decide(session: Session, decide: (step: PendingStep) => string): string {
    const step = new PendingStep();
    const activity: Activity = { i: session.i, step, budget: session.budget };
    this.#logs.refill(session.budget);
    return runAs(activity, () => {
      let result: string;
      try {
        result = decide(step);
      } catch (error) {
        result = errorResult(failure(error));
      }
      if (!step.isSettled) {
        step.discard();
        session.rollBack();
      }
      return result;
    });
  }

  #mayCreate(session: Session, given: JsonObject, auth: Json): boolean {
    const question = {
      type: "initialization",
      machineInstanceName: session.name,
      context: parse(stringify(given)),
      authContext: auth,
    };
    return isAllowed("allowWrite", this.#author.allowWrite, question, this.#logs);
  }

  #fromCaller(
    session: Session,
    live: LiveInstance,
    { event, auth, done }: { event: MachineEvent; auth: Json; done?: Ended },
    step: PendingStep,
  ): string {
    const reserved = done ? /^$/ : RESERVED[this.#author.driver.major];
    if (typeof event?.type !== "string" || reserved.test(event.type)) {
      const type = stringify(event?.type);
      throw new HostError(
        "reserved-event",
        `${type} is an event of the machine's own: nobody can send it`,
      );
    }
    const question = {
      type: "event",
      machineInstanceName: session.name,
      state: live.value,
      context: live.context,
      event,
      authContext: auth,
    };
    if (done && isFormer(live, done.id, done.at)) {
      return this.#complete(session, live, null, step);
    }
    if (!isAllowed("allowWrite", this.#author.allowWrite, question, this.#logs)) return DENIED;
    // XState signs the end of a child with no address of a sender.
    const sender = done ? undefined : senderIn(auth);
    return this.#complete(session, live, live.step(event, sender), step);
  }

  #lost(
    session: Session,
    live: LiveInstance,
    { lost, why, at }: { lost: string; why: string; at?: Address },
    step: PendingStep,
  ): string {
    if (at && isFormer(live, lost, at)) return this.#complete(session, live, null, step);
    const decided = live.lost(lost, why);
    if (!decided) {
      session.warn(`"${lost}" was lost and dropped, as no transition handles that: ${why}`);
    }
    // Only the host knows how such an event looks.
    const event = lostEvent(this.#author.driver.major, lost, why);
    return this.#complete(session, live, decided, step, event);
  }

  #fromInside(
    session: Session,
    live: LiveInstance,
    event: MachineEvent,
    step: PendingStep,
  ): string {
    if (isChildError(event.type) && !live.handles(event)) {
      session.warn(`"${event.type}" was dropped, as no transition handles it: ${thrown(event)}`);
      return this.#complete(session, live, null, step);
    }
    return this.#complete(session, live, live.step(event), step);
  }

  /** `first` is null where there was no transition. */
  #complete(
    session: Session,
    live: LiveInstance,
    first: Decided | null,
    step: PendingStep,
    firstEvent?: MachineEvent,
  ): string {
    const whole = new Whole();
    let last = this.#record(live, firstEvent, first, whole);
    for (let n = 0; n < whole.selfSends.length && !live.isDone; n++) {
      if (whole.steps.length >= this.#limits.macrosteps) throw this.#restless();
      const event = whole.selfSends[n]!;
      last = this.#record(live, event, live.step(event), whole);
    }
    const timers = live.isDone ? lastTimers(whole.timers, live, session.parent) : whole.timers;
    const timerTexts = timers.map((timer) => this.#timerText(timer, session));
    const touchesChildren = whole.effects.some((effect) => effect.touchesChildren);
    const willPerform = whole.effects.length > 0 || step.hasKept;
    const effects = touchesChildren ? "children" : willPerform ? "actions" : undefined;
    const result = decidedResult(whole.steps, timerTexts, session.tellChildren(), effects);
    // Nothing may throw from here on.
    step.settle(willPerform);
    const undone = willPerform ? { effects: whole.effects, step, touchesChildren } : null;
    session.keep(whole.steps.length, last.text, last.contextText, undone);
    return result;
  }

  #record(
    live: LiveInstance,
    event: MachineEvent | undefined,
    decided: Decided | null,
    whole: Whole,
  ) {
    const { contextBytes, snapshotBytes, jsonDepth: depth } = this.#limits;
    const snapshot = live.snapshot();
    requireBounds(snapshot.contextText, { bytes: contextBytes, depth }, "The context");
    requireBounds(snapshot.text, { bytes: snapshotBytes, depth }, "The snapshot with its children");
    const eventText = event && stringify(event);
    if (eventText) this.#requireEvent(eventText, event);
    whole.steps.push(
      macrostep(eventText, decided === null, snapshot.text, viewText(live), decided?.taken),
    );
    if (decided) whole.add(decided);
    return snapshot;
  }

  #restless() {
    const { macrosteps } = this.#limits;
    return new HostError(
      "machine-error",
      `The machine did not come to rest: it went on sending events to itself for ${macrosteps} steps`,
    );
  }

  #timerText(timer: TimerOp, session: Session): string {
    const text = stringify(boundedTimer(timer, (warning) => session.warn(warning)));
    if (!("cancel" in timer)) this.#requireEvent(text, "event" in timer ? timer.event : undefined);
    return text;
  }

  #requireEvent(text: string, event: MachineEvent | undefined) {
    const what = event ? `The event "${event.type}" that the machine sends` : "What it sends";
    requireBounds(text, { bytes: this.#limits.contextBytes, depth: this.#limits.jsonDepth }, what);
  }
}

/** What the macrosteps of one delivery come to. */
class Whole {
  readonly steps: string[] = [];
  readonly timers: TimerOp[] = [];
  readonly effects: Effect[] = [];
  readonly selfSends: MachineEvent[] = [];

  add({ timers, effects, selfSends }: Decided) {
    if (timers.length > 0) this.timers.push(...timers);
    if (effects.length > 0) this.effects.push(...effects);
    if (selfSends.length > 0) this.selfSends.push(...selfSends);
  }
}

/** A finished instance sends nothing later, and tells its parent what it leaves. */
function lastTimers(timers: TimerOp[], live: LiveInstance, parent?: Parent): TimerOp[] {
  const now = timers.filter((timer) => !("send" in timer && timer.delay !== undefined));
  return parent === undefined ? now : [...now, lastWord(parent, live)];
}

/** Has another instance taken the place of the child that this is about? Its state was left and entered again then. */
function isFormer(live: LiveInstance, childId: string, at: Address): boolean {
  const now = live.instanceOf(childId);
  return now !== undefined && (now.machineName !== at.machineName ||
    now.machineInstanceName !== at.machineInstanceName);
}

function lostEvent(major: 4 | 5, child: string, why: string): MachineEvent {
  const error = { name: "Error", message: why };
  return major === 5
    ? { type: `xstate.error.actor.${child}`, error, actorId: child }
    : { type: `error.platform.${child}`, data: error };
}

/** What a child has thrown, with the author's stack where the event still has the error itself. */
function thrown(event: MachineEvent): string {
  return errorText("error" in event ? event.error : event.data);
}

/** The error event of a child, as XState 5 or XState 4 names it. */
function isChildError(type: string): boolean {
  return type.startsWith("xstate.error.actor.") || type.startsWith("error.platform.");
}
