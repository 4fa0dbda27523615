/**
 * One live instance of an XState 5 machine.
 *
 * XState's own root actor would act as it steps, so there is none: the machine's methods are called with a scope whose executor takes notes,
 * and its children get our root as their parent and our system as theirs.
 */

import type { Decided, LiveChild, LiveInstance, Surroundings } from "../driver.ts";
import { describeError, HostError } from "../errors.ts";
import type { Address, Child, JsonObject, MachineEvent, Snapshot } from "../frames.ts";
import { stringify } from "../natives.ts";
import type { Observation } from "../observation.ts";
import { childAddress, deciding } from "../persistent.ts";
import type { AfterTable } from "./after.ts";
import { isActive, isDue, kindOf, parseContext } from "./children.ts";
import { noteErrorsOfGuards } from "./guards.ts";
import type { InitialContext } from "./initial_context.ts";
import { addressOf } from "./instances.ts";
import { Recorder } from "./recorder.ts";
import { restoreSnapshot, startRestored } from "./restore.ts";
import { Elsewhere, RootActor, Tombstone } from "./root.ts";
import type { Actor, ExecutableAction, Machine, MachineSnapshot } from "./shapes.ts";
import { isMachineLogic, RUNNING } from "./shapes.ts";
import { snapshotText } from "./snapshot_text.ts";
import { ActorSystem } from "./system.ts";

/** What all instances of a machine share. */
export interface Definition {
  readonly machine: Machine;
  readonly after: AfterTable;
  readonly initialContext: InitialContext;
  readonly observation?: Observation;
}

const NO_CHILDREN: LiveChild[] = [];

// What XState calls the first actor of a process, and the same after every restore: a context may hold a reference to it.
const ROOT_ID = "x:0";
const PARENT_ID = "#_parent";

export class XState5Instance implements LiveInstance {
  readonly #definition: Definition;
  readonly #surroundings: Surroundings;
  readonly #system: ActorSystem;
  readonly #recorder: Recorder;
  readonly #root: RootActor;
  readonly #scope: object;
  #snapshot!: MachineSnapshot;
  /** The context's JSON when it was last taken, and the context that was made of it. */
  #contextText = "";
  #ownContext: unknown;
  #mark!: { snapshot: MachineSnapshot; contextText: string };
  /** Whose events are not heard any more: children that were stopped silently, and all below them. */
  readonly #silenced = new Set<Actor>();
  #isDeaf = false;

  private constructor(definition: Definition, surroundings: Surroundings) {
    this.#definition = definition;
    this.#surroundings = surroundings;
    this.#system = new ActorSystem({
      admits: (source, target, event) => this.#admits(source, target, event),
      made: (actor) => this.#made(actor),
      took: (actor, transitions) => this.#took(actor, transitions),
      changed: () => this.#isDeaf || surroundings.childrenChanged(),
    });
    this.#recorder = new Recorder(
      this.#system,
      definition.after,
      (text) => surroundings.warn(text),
    );
    const { parent } = surroundings;
    this.#root = new RootActor(
      ROOT_ID,
      this.#system,
      definition.machine,
      (event) => this.#hear(undefined, event),
      () => this.#snapshot,
      parent && new Elsewhere(PARENT_ID, undefined, this.#system, parent),
    );
    this.#recorder.root = this.#root;
    this.#scope = this.#makeScope();
  }

  static initial(
    definition: Definition,
    surroundings: Surroundings,
    given: JsonObject,
  ): { live: XState5Instance; decided: Decided } {
    const live = new XState5Instance(definition, surroundings);
    const decided = live.#decide(
      () =>
        definition.initialContext.during(
          given,
          () => definition.machine.getInitialSnapshot(live.#scope, given),
        ),
      true,
    );
    live.snapshot();
    live.mark();
    return { live, decided };
  }

  static restore(
    definition: Definition,
    surroundings: Surroundings,
    saved: Snapshot,
  ): XState5Instance {
    const live = new XState5Instance(definition, surroundings);
    live.#contextText = stringify(saved.context);
    live.#isDeaf = true;
    try {
      live.#snapshot = restoreSnapshot(definition.machine, live.#scope, saved, live.#lost);
      startRestored(live.#snapshot);
    } finally {
      live.#isDeaf = false;
    }
    live.#ownContext = live.#snapshot.context;
    live.mark();
    return live;
  }

  get value() {
    return this.#snapshot.value;
  }

  get context() {
    return this.#snapshot.context;
  }

  get tags() {
    return [...this.#snapshot.tags];
  }

  get isDone() {
    return this.#snapshot.status === "done";
  }

  get output() {
    return this.#snapshot.output;
  }

  step(event: MachineEvent): Decided {
    const { machine } = this.#definition;
    return this.#decide(() => machine.transition(this.#snapshot, event, this.#scope), false);
  }

  lost(childId: string, why: string): Decided | null {
    const event = {
      type: `xstate.error.actor.${childId}`,
      error: new Error(why),
      actorId: childId,
    };
    const { [childId]: child, ...children } = this.#snapshot.children;
    const without = { ...this.#snapshot, children };
    // An instance that could not be made is no child any more, whatever comes of it.
    if (addressOf(child)) this.#snapshot = without;
    if (this.handles(event)) return this.step(event);
    if (child) this.#stopSilently(child);
    this.#snapshot = without;
    return null;
  }

  handles(event: MachineEvent): boolean {
    try {
      return this.#definition.machine.getTransitionData(this.#snapshot, event).length > 0;
    } catch {
      return true; // a guard threw, and the step will say so
    }
  }

  snapshot() {
    const snapshot = this.#snapshot;
    const contextText = stringify(snapshot.context) ?? "null";
    if (contextText !== this.#contextText || snapshot.context !== this.#ownContext) {
      this.#setContext(contextText);
    }
    const { machine } = this.#definition;
    const text = snapshotText(
      machine,
      snapshot,
      contextText,
      this.#system.scheduler,
      this.#surroundings.parent,
    );
    return { text, contextText };
  }

  mark() {
    this.#mark = { snapshot: this.#snapshot, contextText: this.#contextText };
    this.#system.keepStep();
  }

  rollBack() {
    this.#recorder.abort();
    this.#system.undoStep();
    this.#snapshot = this.#mark.snapshot;
    this.#setContext(this.#mark.contextText);
  }

  children(): LiveChild[] {
    const { children } = this.#snapshot;
    const ids = Object.keys(children);
    if (ids.length === 0) return NO_CHILDREN;
    return ids.flatMap((id) => {
      const child = children[id];
      if (!child || addressOf(child) || !isActive(child)) return [];
      return [{ id, kind: kindOf(child), due: isDue(child, this.#system.scheduler) }];
    });
  }

  instanceOf(childId: string): Address | undefined {
    return addressOf(this.#snapshot.children[childId]);
  }

  stopDue() {
    for (const { id, due } of this.children()) {
      if (due) this.#stopSilently(this.#snapshot.children[id]!);
    }
  }

  dispose() {
    this.#isDeaf = true;
    for (const actor of [...this.#system.running]) {
      if (actor._parent === this.#root) this.#stopSilently(actor);
    }
    this.#system.scheduler.stop();
  }

  #decide(transition: () => MachineSnapshot, isInitial: boolean): Decided {
    this.#system.beginStep();
    this.#recorder.begin();
    this.#definition.observation?.begin();
    let next: MachineSnapshot;
    try {
      next = deciding(this.#recorder, transition);
    } catch (error) {
      this.#recorder.abort();
      throw error;
    }
    // What an initial step throws, XState keeps in its snapshot; the error event of a child that nobody handles ends there too.
    if (next.status === "error" || next.status === "stopped") {
      this.#recorder.abort();
      throw next.error ?? new HostError("machine-error", `The event led to status ${next.status}`);
    }
    this.#snapshot = next.status === "done" ? next : this.#recorder.withSpawned(next);
    const taken = this.#definition.observation?.taken;
    const decided = this.#recorder.finish(isInitial);
    return taken ? Object.assign(decided, { taken }) : decided;
  }

  #made(actor: Actor) {
    this.#recorder.adopt(actor);
    if (isMachineLogic(actor.logic)) noteErrorsOfGuards(actor.logic);
  }

  #took(actor: Actor, transitions: readonly unknown[]) {
    if (actor === this.#root) this.#definition.observation?.note(transitions);
  }

  #setContext(contextText: string) {
    this.#contextText = contextText;
    const context = parseContext(
      contextText,
      (id) => this.#snapshot.children[id] ?? this.#lost(id),
    );
    this.#snapshot.context = this.#ownContext = context;
  }

  /** Who is meant by a reference to none of the children. */
  readonly #lost = (id: string, record?: Child): Actor => {
    if (id === ROOT_ID) return this.#root;
    if (id === PARENT_ID && this.#root._parent) return this.#root._parent;
    if (record?.kind !== "instance") return new Tombstone(id, this.#root, this.#system, record);
    const { systemId } = record;
    const actor = new Elsewhere(id, this.#root, this.#system, childAddress(record)!, systemId);
    if (systemId !== undefined) this.#system._set(systemId, actor);
    return actor;
  };

  #admits(source: Actor | undefined, target: Actor, event: MachineEvent): boolean {
    if (this.#recorder.isDeciding) {
      this.#recorder.holdBack(target, event);
      return false;
    }
    if (target instanceof Tombstone) {
      this.#surroundings.warn(
        `"${event?.type}" was sent to "${target.id}", which does not run any more`,
      );
      return false;
    }
    if (addressOf(target)) {
      this.#surroundings.warn(
        `"${event?.type}" was not sent to another instance: ` +
          "that is possible only with sendTo or sendParent, among the actions of a transition",
      );
      return false;
    }
    if (target !== this.#root) return true;
    this.#hear(source, event);
    return false;
  }

  #hear(source: Actor | undefined, event: MachineEvent) {
    const child = source && this.#childAbove(source);
    if (this.#isDeaf || (child && this.#silenced.has(child))) return;
    if (typeof event?.type !== "string") {
      return this.#surroundings.warn("Something without a type was sent to the machine");
    }
    this.#surroundings.eventForRoot(event, child?.id);
  }

  #childAbove(source: Actor): Actor | undefined {
    let actor: Actor | undefined = source;
    while (actor && actor._parent !== this.#root) actor = actor._parent;
    return actor;
  }

  #stopSilently(child: Actor) {
    if (child._processingStatus !== RUNNING) return;
    this.#silenced.add(child);
    try {
      child._stop();
    } catch (error) {
      this.#surroundings.warn(`Stopping "${child.id}" failed: ${describeError(error).message}`);
    }
  }

  #makeScope() {
    const root = this.#root;
    return {
      self: root,
      id: root.id,
      sessionId: root.sessionId,
      logger: this.#system._logger,
      system: this.#system,
      defer: (run: () => void) => this.#recorder.defer(run),
      emit() {},
      withSpawned: (snapshot: MachineSnapshot) => this.#recorder.withSpawned(snapshot),
      actionExecutor: (action: ExecutableAction) => this.#recorder.note(action),
      stopChild(child: Actor) {
        if (child._parent !== root) {
          throw new Error(`Cannot stop child actor ${child.id} because it is not a child`);
        }
        child._stop();
      },
    };
  }
}
