/**
 * The parts of XState 4 that this folder touches, as it has them at run time. Its published types hide
 * most of them. Both our own copy and the copies that author bundles carry have these shapes; what only newer
 * versions have is optional here.
 */

import type { JsonObject, MachineEvent, StateValue } from "../frames.ts";
import type { Guard } from "../guards.ts";

export type { MachineEvent, StateValue };

/** An event as XState hands it around inside; `data` is what the author sees. */
export interface ScxmlEvent {
  name: string;
  data: MachineEvent;
  $$type: "scxml";
  type: string;
  /** An id, and a reference where another instance has sent it. */
  origin?: string | JsonObject;
}

// deno-lint-ignore ban-types
export type AnyFunction = Function;

export interface Action {
  type: string;
  exec?: unknown;
  [key: string]: unknown;
}

/** A `send` or delayed `raise` after XState has resolved its expressions. */
export interface SendAction extends Action {
  _event: ScxmlEvent;
  to?: unknown;
  id?: string | number;
  delay?: unknown;
}

/** An activity or invocation, as a state node defines it and `xstate.start` names it. */
export interface Activity {
  id: string;
  type: string;
  src?: string | { type: string };
  autoForward?: boolean;
  forward?: boolean;
  data?: unknown;
}

export interface StateNode {
  readonly __xstatenode: true;
  readonly id: string;
  readonly key: string;
  readonly path: string[];
  readonly type: "atomic" | "compound" | "parallel" | "final" | "history";
  readonly initial?: string;
  readonly history?: "shallow" | "deep" | false;
  readonly config: { after?: unknown; predictableActionArguments?: boolean };
  readonly states: { [key: string]: StateNode };
  readonly activities: Activity[];
  readonly tags?: string[];
  readonly parent?: StateNode;
  readonly doneData?: unknown;
  readonly transitions: Transition[];
}

export interface Transition {
  readonly eventType: string;
  readonly cond?: unknown;
  readonly target?: readonly StateNode[];
}

export interface Machine extends StateNode {
  readonly context: unknown;
  readonly initialStateValue: StateValue;
  readonly initialState: State;
  readonly options: {
    actions?: { [type: string]: unknown };
    services?: { [src: string]: unknown };
    delays?: { [name: string]: unknown };
    guards?: { [name: string]: Guard };
  };
  _init(): void;
  withContext(context: unknown): Machine;
  getInitialState(value: StateValue, context: unknown): State;
  transition(state: State, event: ScxmlEvent, context: undefined, exec?: Recorder): State;
  _transition(
    value: StateValue,
    state: State,
    event: ScxmlEvent,
  ): { transitions: unknown[] } | undefined;
  /** Called for each microstep, by `transition` and `getInitialState`. */
  resolveTransition(taken: { transitions: unknown[] }, ...rest: unknown[]): State;
  resolveState(config: StateConfig): State;
  historyValue(value: StateValue): HistoryTree;
}

/** The fourth argument of `transition`: called with each action in the order in which it is due. */
export type Recorder = (action: Action, context: unknown, event: ScxmlEvent) => void;

export interface HistoryTree {
  current: StateValue;
  states: { [key: string]: HistoryTree | undefined };
}

export interface StateConfig {
  value: StateValue;
  context: unknown;
  event: MachineEvent;
  _event: ScxmlEvent;
  _sessionid: string | null;
  historyValue: HistoryTree | undefined;
  history: State | undefined;
  actions: Action[];
  activities: { [id: string]: unknown };
  meta: unknown;
  events: never[];
  configuration: StateNode[];
  transitions: unknown[];
  children: { [id: string]: ActorRef };
  done?: boolean;
}

export interface State extends StateConfig {
  readonly constructor: new (config: StateConfig) => State;
  readonly nextEvents: string[];
  tags?: Set<string>;
  done?: boolean;
  changed?: boolean;
}

export interface ActorRef {
  id: string;
  send(event: unknown): void;
  subscribe?(...observer: unknown[]): { unsubscribe(): void };
  getSnapshot?(): unknown;
  stop?(): void;
  toJSON?(): unknown;
}

export interface Clock {
  setTimeout(run: () => void, delay: number): unknown;
  clearTimeout(timer: unknown): void;
}

export interface InterpreterOptions {
  clock: Clock;
  logger: (...values: unknown[]) => void;
  parent?: Interpreter;
  id?: string;
}

export interface SpawnOptions {
  id?: string;
  sync?: boolean;
  autoForward?: boolean;
}

export type Receive = (event: unknown) => void;
export type Callback = (receive: Receive, onReceive: (listener: Receive) => void) => unknown;

export interface Observable {
  subscribe(...observer: unknown[]): { unsubscribe(): void };
}

export interface BehaviorContext {
  parent?: { send(event: unknown): void };
}

export interface Behavior {
  transition(state: unknown, event: unknown, context: BehaviorContext): unknown;
  initialState: unknown;
  start?(context: BehaviorContext): unknown;
}

/** XState's interpreter. What is a method here is one on its prototype, and can be patched there. */
export interface Interpreter extends ActorRef {
  readonly machine: Machine;
  readonly sessionId: string;
  readonly parent?: Interpreter;
  readonly initialized: boolean;
  status: number;
  options: InterpreterOptions;
  clock: Clock;
  children: Map<string, ActorRef>;
  forwardTo: Set<string>;
  delayedEventsMap: { [id: string]: unknown };
  listeners: Set<(state: State) => void>;
  _state?: State;
  _outgoingQueue: [ActorRef, unknown][];
  _exec(action: Action, context: unknown, event: ScxmlEvent): void;
  sendTo(event: ScxmlEvent, to: unknown, immediate: boolean): void;
  start(state?: State): this;
  stop(): this;
  onDone(listener: (event: MachineEvent) => void): this;
  update(state: State, event: ScxmlEvent): void;
  forward(event: ScxmlEvent): void;
  defer(action: SendAction): void;
  cancel(id: string | number): void;
  removeChild(id: string): void;
  stopChild(id: string): void;
  _stopChildren(): void;
  spawn(entity: unknown, name: string, options?: SpawnOptions): ActorRef;
  spawnPromise(promise: Promise<unknown>, id: string): ActorRef;
  spawnCallback(callback: Callback, id: string): ActorRef;
  spawnObservable(source: Observable, id: string): ActorRef;
  spawnMachine(machine: Machine, options?: SpawnOptions): ActorRef;
  spawnBehavior(behavior: Behavior, id: string): ActorRef;
  spawnActor(actor: ActorRef, name: string): ActorRef;
  spawnEffect(id: string, dispose: unknown): void;
}

export interface MachineClass {
  new (config: unknown, options?: unknown): Machine;
}

export interface InterpreterClass {
  new (machine: Machine, options: Partial<InterpreterOptions>): Interpreter;
  readonly prototype: Interpreter;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

export function isFunction(value: unknown): value is (...args: unknown[]) => unknown {
  return typeof value === "function";
}

/** As XState tells a machine from other things that can be spawned. */
export function isMachine(value: unknown): value is Machine {
  return isObject(value) && "__xstatenode" in value;
}

/** As XState tells the reference to an actor from other values. */
export function isActorRef(value: unknown): value is ActorRef {
  return isObject(value) && isFunction(value.send) && "id" in value;
}

export function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return (isObject(value) || isFunction(value)) && isFunction((value as { then?: unknown }).then);
}
