/**
 * What the host needs of an XState major. One driver each for 4 and 5; nothing else in the host knows which one runs.
 *
 * Deciding and performing are kept apart. `initial`, `step` and `lost` decide: they run guards, assigns and expressions and collect
 * everything else as effects, so that nothing leaves the process. `perform` runs effects, after the server has said that
 * the transition is durable.
 */

import type { Chart } from "./chart.ts";
import type {
  Address,
  ChildKind,
  JsonObject,
  MachineEvent,
  Parent,
  Snapshot,
  StateValue,
  TimerOp,
  TransitionRef,
} from "./frames.ts";

export interface Driver {
  readonly major: 4 | 5;
  /** Version of our own copy of XState, or "bundled" where the author's module carries its own. */
  readonly xstate: string;
  /** The definition, for instances that come from another version. Made when it is first asked for. */
  readonly chart: Chart;
  /**
   * Enter the initial state with the context that the caller gave (SPEC 4: merged over the machine's own; XState 5 gets it as
   * `input`, and it is merged unless the machine reads `input`). Throws what the author's code threw.
   */
  initial(surroundings: Surroundings, given: JsonObject): { live: LiveInstance; decided: Decided };
  /** Stand again where `snapshot` was taken; idle children that can be restored run. Throws where the machine has no such state. */
  restore(surroundings: Surroundings, snapshot: Snapshot): LiveInstance;
}

/** What an instance may tell its host, at any time. */
export interface Surroundings {
  readonly name: string;
  /** Whose persistent child it is. Snapshots say so too, for ever. */
  readonly parent?: Parent;
  /** A child, or an action being performed, sent the root machine an event. */
  eventForRoot(event: MachineEvent, childId: string | undefined): void;
  /** Children may have changed: started, finished, became idle or busy. Cheap to call; the host compares `due()` itself. */
  childrenChanged(): void;
  /** Something the author should see in the logs of the instance. */
  warn(text: string): void;
}

/** What one macrostep decided, in order. */
export interface Decided {
  /** Persistent children to be made come first, so that what is sent to them arrives after them. */
  timers: TimerOp[];
  /** To be handed to `perform` together, once durable. */
  effects: Effect[];
  /** Undelayed sends of the root to itself that are no internal events: further macrosteps of the same commit. */
  selfSends: MachineEvent[];
  /** The transitions that were taken, where the machine is observed. */
  taken?: TransitionRef[];
}

/** `touchesChildren`: starts, stops or sends to a child, so the next step has to wait until it is performed. */
export interface Effect {
  readonly touchesChildren: boolean;
  /** Runs author code; whatever it throws is the host's to log. */
  run(): void;
}

export interface LiveChild {
  id: string;
  kind: ChildKind;
  /** Settling waits for it: a running promise, callback or observable, or a machine in which one or a delay is pending. */
  due: boolean;
}

/**
 * One instance at its newest revision. A `step` or `lost` that threw leaves it undefined (an assign may have mutated in place before
 * it threw) until `rollBack`, or it is thrown away. An `initial` that threw has stopped what it made.
 */
export interface LiveInstance {
  readonly value: StateValue;
  /** The very object that the machine holds, for the authorisers. */
  readonly context: unknown;
  readonly tags: string[];
  readonly isDone: boolean;
  /** What a finished machine leaves, of no use to anybody until it `isDone`. */
  readonly output: unknown;
  /** One macrostep for an event. Self-sends are returned, not handled. `sender` is the instance that it comes from, for XState 4's `respond`. */
  step(event: MachineEvent, sender?: Address): Decided;
  /**
   * The error event of a child that was due and never answered (XState 5 `xstate.error.actor.<id>`, XState 4
   * `error.platform.<id>`), or that could not be made, if it is a persistent one. Where the machine has no transition for it the child is dropped: `null`, and `snapshot()` shows it gone.
   */
  lost(childId: string, why: string): Decided | null;
  /** Is there a transition for this event now? Error events without one are dropped instead of stepped. */
  handles(event: MachineEvent): boolean;
  /**
   * Everything needed to `restore`, as JSON text, and the context's JSON inside it. Replaces the live context with its own JSON, revived, so that
   * it behaves as if restored. Throws where the context is no JSON (cycle, bigint).
   */
  snapshot(): { text: string; contextText: string };
  /** The delivery is decided: from now on `rollBack` returns to here. Called right after a `snapshot()`; a new instance is marked. */
  mark(): void;
  /**
   * Return to the last mark, whatever was stepped, thrown or mutated since (by authorisers too): context is parsed again from the
   * JSON of that mark. Live children go on untouched; children that were only decided since never start.
   */
  rollBack(): void;
  children(): LiveChild[];
  /** Which instance the persistent child of that id is now; undefined where there is none. */
  instanceOf(childId: string): Address | undefined;
  /** Stop every child that is due, silently: no event of theirs reaches `eventForRoot` afterwards. */
  stopDue(): void;
  /** Stop everything that lives. */
  dispose(): void;
}
