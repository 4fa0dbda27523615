/**
 * What each request about an instance does, once a module is loaded.
 */

import type { Activity } from "./activity.ts";
import { runAs } from "./activity.ts";
import { isAllowed } from "./authorize.ts";
import type { LiveInstance } from "./driver.ts";
import { failure } from "./errors.ts";
import type { Json, Limits, Request } from "./frames.ts";
import type { Logs } from "./logs.ts";
import { parse } from "./natives.ts";
import { PendingStep } from "./pending_step.ts";
import { childrenText, errorReply, needSnapshot, resultReply, viewText } from "./replies.ts";
import type { SessionHost } from "./session.ts";
import { Session } from "./session.ts";
import { Sessions } from "./sessions.ts";
import type { Author } from "./turn.ts";
import { Turns } from "./turn.ts";
import { Upgrades } from "./upgrade/operation.ts";

export type Of<Op extends Request["op"]> = Extract<Request, { op: Op }>;

/** Where frames leave, by `Channel`. */
export interface Outlet {
  send(frame: string): void;
  readonly isOverdue: boolean;
  flush(): Promise<void>;
}

export class Operations {
  readonly #author: Author;
  readonly #outlet: Outlet;
  readonly #logs: Logs;
  readonly #sessions: Sessions;
  readonly #turns: Turns;
  readonly #sessionHost: SessionHost;
  readonly upgrades: Upgrades;

  constructor(author: Author, limits: Limits, logs: Logs, outlet: Outlet) {
    this.#author = author;
    this.#outlet = outlet;
    this.#logs = logs;
    this.#sessions = new Sessions(limits);
    this.#turns = new Turns(author, limits, logs);
    this.upgrades = new Upgrades(author.driver, limits, logs, (frame) => outlet.send(frame));
    this.#sessionHost = {
      driver: author.driver,
      logs,
      eventBounds: { bytes: limits.contextBytes, depth: limits.jsonDepth },
      send: (frame) => outlet.send(frame),
    };
  }

  create({ id, i, name, context, auth, authorize, parent }: Of<"create">) {
    this.#sessions.forget(i);
    const session = new Session(this.#sessionHost, i, name, 0, "", "", parent);
    const result = this.#turns.create(session, context, auth, authorize);
    if (session.rev > 0) {
      // Whoever makes thousands seldom goes on with each of them at once.
      session.sleep();
      this.#sessions.put(session);
    }
    this.#outlet.send(resultReply(id, 0, result));
  }

  step(request: Of<"step">): void | Promise<void> {
    const session = this.#sessionFor(request);
    if (!session) return this.#outlet.send(needSnapshot(request.id));
    return this.#deliverFrom(0, request, session);
  }

  perform({ id, i, rev }: Of<"perform">) {
    const session = this.#sessions.get(i);
    if (!session) {
      if (id !== undefined) this.#outlet.send(needSnapshot(id));
      return;
    }
    session.perform(rev);
    if (id !== undefined) this.#replyChildren(id, session);
    else session.childrenChanged();
  }

  read(request: Of<"read">) {
    const { id, i, name, rev, snapshot, auths } = request;
    const kept = this.#standingAt(i, rev);
    if (!kept && !snapshot) return this.#outlet.send(needSnapshot(id));
    // Without a session the instance is made for this question only.
    const session = kept ?? Session.at(this.#sessionHost, i, name, rev, snapshot!);
    this.#answer(id, () => {
      const live = session.wake();
      const allowed = this.#mayRead(session, live, auths);
      return `{"re":${id},"view":${viewText(live)},"allowed":[${allowed.join()}]}`;
    });
    if (!kept) session.dispose();
  }

  stop({ id, i }: Of<"stop">) {
    const session = this.#sessions.get(i);
    if (!session) return this.#outlet.send(needSnapshot(id));
    session.stopDue();
    this.#replyChildren(id, session);
  }

  save({ id, i }: Of<"save">) {
    const session = this.#sessions.get(i);
    if (!session) return this.#outlet.send(needSnapshot(id));
    this.#answer(id, () => {
      const live = session.wake();
      const { text, contextText } = runAs(session.activity, () => live.snapshot());
      session.keep(0, text, contextText, null);
      return `{"re":${id},"snapshot":${text},"view":${viewText(live)}}`;
    });
  }

  discard({ i }: Of<"discard">) {
    this.#sessions.forget(i);
  }

  #sessionFor({ i, name, rev, snapshot }: Of<"step">): Session | undefined {
    const kept = this.#standingAt(i, rev);
    if (kept || !snapshot) return kept;
    this.#sessions.forget(i);
    return Session.at(this.#sessionHost, i, name, rev, snapshot);
  }

  #standingAt(i: number, rev: number): Session | undefined {
    const session = this.#sessions.get(i);
    return session?.rev === rev ? session : undefined;
  }

  #deliverFrom(first: number, request: Of<"step">, session: Session): void | Promise<void> {
    const { id, events } = request;
    for (let n = first; n < events.length; n++) {
      // The next one may never end: what is answered already has to be known by then.
      if (this.#outlet.isOverdue) {
        return this.#outlet.flush().then(() => this.#deliverFrom(n, request, session));
      }
      this.#outlet.send(resultReply(id, n, this.#turns.deliver(session, events[n]!)));
    }
    this.#sessions.put(session);
  }

  #mayRead(session: Session, live: LiveInstance, auths: Json[]): boolean[] {
    const step = new PendingStep();
    const activity: Activity = { i: session.i, step, budget: session.budget };
    this.#logs.refill(session.budget);
    // A copy, so that nothing that an authoriser does to it can reach the instance.
    const context: unknown = parse(session.contextText);
    const question = { machineInstanceName: session.name, state: live.value, context };
    const ask = (authContext: Json) =>
      isAllowed("allowRead", this.#author.allowRead, { ...question, authContext }, this.#logs);
    const allowed = runAs(activity, () => auths.map(ask));
    step.discard();
    return allowed;
  }

  #replyChildren(id: number, session: Session) {
    this.#outlet.send(`{"re":${id},${childrenText(session.tellChildren())}}`);
  }

  /** Send what `make` returns, or why it could not. */
  #answer(id: number, make: () => string) {
    let reply: string;
    try {
      reply = make();
    } catch (error) {
      reply = errorReply(id, failure(error));
    }
    this.#outlet.send(reply);
  }
}
