/**
 * One live instance of an XState 4 machine.
 *
 * The state is moved by the machine's own pure functions, never by an interpreter; what is to be done is collected by a `Plan`. Between
 * steps the state is what its snapshot says, whether it was restored or not: the context is its own JSON, and nothing is
 * left of the step before.
 */

import type { Decided, LiveChild, LiveInstance, Surroundings } from "../driver.ts";
import type {
  Address,
  Child,
  Json,
  JsonObject,
  MachineEvent,
  Snapshot,
  StateValue,
} from "../frames.ts";
import { parse, stringify } from "../natives.ts";
import type { Observation } from "../observation.ts";
import { childAddress, deciding, referenceTo } from "../persistent.ts";
import { traitsOf } from "./children.ts";
import { mergeContext } from "./context.ts";
import { clearStacks, type Copy, inScope, toScxml } from "./copies.ts";
import { definitionOf } from "./definition.ts";
import { doneData } from "./output.ts";
import { PendingChanges, type PendingMark, type Prospect } from "./pending.ts";
import { Plan, type PlanBasis } from "./plan.ts";
import { findUnknownRef, mentionsRefs, reviveRefs, stringifyWithRefs, Tombstone } from "./refs.ts";
import { restoreChildren } from "./restore.ts";
import { childError, RootService, wrappingOf } from "./service.ts";
import { childOf, readState, writeEvent, writeSnapshot } from "./snapshot.ts";
import type { ActorRef, Machine, Recorder, ScxmlEvent, State } from "./types.ts";

const CHILD_ERROR = "error.platform";

interface Mark {
  text: string;
  pending: PendingMark;
}

/** What all instances of a version have in common. */
export interface Subject {
  readonly machine: Machine;
  readonly copy: Copy;
  readonly observation?: Observation;
}

/** A child that runs, or that will once everything is performed. */
type Entry = Prospect & { actor?: ActorRef };

export class Instance4 implements LiveInstance {
  readonly #basis: PlanBasis;
  readonly #observation: Observation | undefined;
  readonly #service: RootService;
  readonly #pending = new PendingChanges();
  #state!: State;
  /** JSON text of the output of a finished machine. */
  #output: string | undefined;
  /** Context and snapshot mention actors: JSON has to be made and read with care. */
  #hasRefs = false;
  /** Effects that have not run show this very state to actions. */
  #isSeen = false;
  #lastText = "";
  #mark: Mark | undefined;

  private constructor({ machine, copy, observation }: Subject, surroundings: Surroundings) {
    this.#observation = observation;
    this.#service = new RootService(machine, surroundings);
    this.#basis = {
      machine,
      copy,
      definition: definitionOf(machine),
      service: this.#service,
      pending: this.#pending,
      instances: new Map(),
      surroundings,
      isPredictable: Boolean(machine.config.predictableActionArguments),
    };
  }

  static initial(
    subject: Subject,
    surroundings: Surroundings,
    given: JsonObject,
  ): { live: Instance4; decided: Decided } {
    const live = new Instance4(subject, surroundings);
    try {
      return { live, decided: live.#enter(given) };
    } catch (error) {
      live.dispose();
      throw error;
    }
  }

  static restore(
    subject: Subject,
    surroundings: Surroundings,
    snapshot: Snapshot,
  ): Instance4 {
    const live = new Instance4(subject, surroundings);
    try {
      live.#lastText = stringify(snapshot);
      restoreChildren(live.#service, snapshot.children);
      live.#return(snapshot);
      live.mark();
      return live;
    } catch (error) {
      live.dispose();
      throw error;
    }
  }

  get value(): StateValue {
    return this.#state.value;
  }
  get context(): unknown {
    return this.#state.context;
  }
  get tags(): string[] {
    return [...this.#state.tags ?? []];
  }
  get isDone(): boolean {
    return this.#state.done === true;
  }

  get output(): unknown {
    return this.#output === undefined ? undefined : parse(this.#output);
  }

  step(event: MachineEvent, sender?: Address): Decided {
    if (sender === undefined) return this.#step(wrappingOf(event));
    return this.#step(toScxml(event, { origin: referenceTo(sender) }));
  }

  lost(childId: string, why: string): Decided | null {
    if (!this.#basis.instances.delete(childId)) this.#service.silenceChild(childId);
    const event = childError(childId, { name: "Error", message: why });
    return this.handles(event) ? this.step(event) : null;
  }

  handles(event: MachineEvent): boolean {
    const wrapped = wrappingOf(event);
    if (!this.#mayGet(wrapped)) return false;
    const { machine } = this.#basis;
    const selected = machine._transition(this.#state.value, this.#state, wrapped);
    return selected !== undefined && selected.transitions.length > 0;
  }

  snapshot(): { text: string; contextText: string } {
    const state = this.#state;
    const children = this.#writeChildren();
    const contextText = this.#writeContext();
    const event = writeEvent(state.event);
    const { parent } = this.#basis.surroundings;
    const parts = { context: contextText, output: this.#output, children, event, parent };
    this.#lastText = writeSnapshot(this.#basis.machine, state, parts);
    this.#settle(contextText, event);
    this.#mark ??= { text: this.#lastText, pending: this.#pending.mark() };
    return { text: this.#lastText, contextText };
  }

  mark(): void {
    this.#mark = { text: this.#lastText, pending: this.#pending.mark() };
  }

  rollBack(): void {
    // Nothing was ever decided, so there is nothing to return to.
    if (this.#mark === undefined) return this.dispose();
    this.#pending.rollBack(this.#mark.pending);
    this.#lastText = this.#mark.text;
    this.#return(parse(this.#lastText));
  }

  children(): LiveChild[] {
    return this.#entries()
      .filter(([, { actor }]) => !(actor instanceof Tombstone))
      .map(([id, { kind, due }]) => ({ id, kind, due }));
  }

  instanceOf(childId: string): Address | undefined {
    return this.#basis.instances.get(childId);
  }

  stopDue(): void {
    for (const { id, due } of this.children()) if (due) this.#service.silenceChild(id);
  }

  dispose(): void {
    this.#service.dispose();
  }

  #enter(given: JsonObject): Decided {
    const { machine } = this.#basis;
    const plan = new Plan(this.#basis, true);
    return this.#decide(plan, () => {
      // Inside the scope: a context may spawn.
      const context = mergeContext(machine.context, given);
      return machine.getInitialState(machine.initialStateValue, context);
    }, false);
  }

  #step(event: ScxmlEvent): Decided {
    if (!this.#mayGet(event)) throw new Error(`no state handles "${event.name}"`);
    const { machine, isPredictable } = this.#basis;
    const before = this.#withChildren(this.#state);
    const plan = new Plan(this.#basis, false);
    plan.seen = before;
    plan.forward(event);
    const move = (record?: Recorder) => machine.transition(before, event, undefined, record);
    return this.#decide(plan, move, isPredictable);
  }

  /** `isRecorded`: XState tells each action while it moves. Else they are in the state, in the order of their execution. */
  #decide(plan: Plan, move: (record?: Recorder) => State, isRecorded: boolean): Decided {
    const { machine, copy } = this.#basis;
    clearStacks();
    this.#observation?.begin();
    const record: Recorder = (action, context, event) => plan.add(action, context, event);
    const next = inScope(
      copy,
      plan,
      () => deciding(plan, () => move(isRecorded ? record : undefined)),
    );
    if (copy.stack === undefined) this.#refuseUnknownRefs(next.context);
    if (!isRecorded) {
      plan.seen = next;
      for (const action of next.actions) plan.add(action, next.context, next._event);
    }
    this.#output = next.done ? stringify(doneData(machine, next)) : undefined;
    this.#state = next;
    const decided = plan.close(next.done === true);
    if (this.#observation) decided.taken = this.#observation.taken;
    this.#isSeen = decided.effects.length > 0 && plan.seen === next;
    return decided;
  }

  /** XState's interpreter refuses errors of children unless some active state handles any. */
  #mayGet({ name }: ScxmlEvent): boolean {
    return !name.startsWith(CHILD_ERROR) ||
      this.#state.nextEvents.some((handled) => handled.startsWith(CHILD_ERROR));
  }

  /** What guards and actions see of the children is what runs. */
  #withChildren(state: State): State {
    if (this.#hasRefs) state.children = Object.fromEntries(this.#service.children);
    return state;
  }

  #return(snapshot: Snapshot): void {
    this.#takeInstances(snapshot.children);
    this.#hasRefs = mentionsRefs(this.#lastText) || this.#hasChildrenHere(snapshot.children);
    const context = this.#hasRefs ? this.#revive(snapshot.context) : snapshot.context;
    this.#state = readState(this.#basis.machine, snapshot, context);
    this.#output = snapshot.output === undefined ? undefined : stringify(snapshot.output);
  }

  #writeContext(): string {
    const { context } = this.#state;
    const text = this.#hasRefs ? stringifyWithRefs(context) : stringify(context);
    return text ?? "{}";
  }

  /** Leave nothing that a restored instance would not have. */
  #settle(contextText: string, eventText: string | undefined): void {
    const context = parse(contextText);
    this.#hasRefs ||= mentionsRefs(contextText);
    const event = eventText === undefined ? this.#state.event : parse(eventText);
    const settled = {
      context: this.#hasRefs ? this.#revive(context) : context,
      event,
      _event: toScxml(event),
      history: undefined,
      actions: [],
      transitions: [],
    };
    // Effects that have not run yet may show the state to actions.
    if (this.#isSeen) this.#state = new this.#state.constructor({ ...this.#state, ...settled });
    else Object.assign(this.#state, settled, { changed: undefined });
    this.#isSeen = false;
  }

  #revive(context: Json): unknown {
    return reviveRefs(
      context,
      (id) =>
        this.#service.children.get(id) ?? this.#pending.refOf(id) ?? this.#service.tombstone(id),
    );
  }

  #entries(): [string, Entry][] {
    const entries = new Map<string, Entry>();
    for (const [id, actor] of this.#service.children.running()) {
      entries.set(id, { kind: traitsOf(actor).kind, due: this.#service.isDue(id, actor), actor });
    }
    this.#pending.applyTo(entries);
    return [...entries];
  }

  #writeChildren(): string | undefined {
    const here = this.#entries().map(([id, { kind, due, actor }]): [string, Child] => {
      if (actor !== undefined) return [id, childOf(this.#service, id, actor, due)];
      return [id, due ? { kind, due } : { kind }];
    });
    this.#hasRefs ||= here.length > 0;
    const { instances } = this.#basis;
    if (here.length + instances.size === 0) return undefined;
    const elsewhere = [...instances].map(([id, to]): [string, Child] => [
      id,
      { kind: "instance", ...to },
    ]);
    return stringify(Object.fromEntries([...elsewhere, ...here]));
  }

  #takeInstances(children: Snapshot["children"] = {}): void {
    const { instances } = this.#basis;
    instances.clear();
    for (const [id, child] of Object.entries(children)) {
      const to = childAddress(child);
      if (to !== undefined) instances.set(id, to);
    }
  }

  #hasChildrenHere(children: Snapshot["children"] = {}): boolean {
    return Object.keys(children).length > this.#basis.instances.size;
  }

  /** Where spawning cannot be recorded, it leaves actors behind that do nothing. */
  #refuseUnknownRefs(context: unknown): void {
    const running = new Set(this.#service.children.values());
    const isKnown = (ref: ActorRef) => ref instanceof Tombstone || running.has(ref);
    const id = findUnknownRef(context, isKnown);
    if (id === undefined) return;
    throw new Error(
      `the child "${id}" that an assign spawned would never start: ` +
        `the copy of XState 4 in this bundle is too old. ` +
        'Bundle XState 4.20 or newer, or import "xstate" without bundling it.',
    );
  }
}
