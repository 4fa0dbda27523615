/**
 * The parts of XState 5 that we touch, as they have been since 5.19. No import: the machine may come from any copy, and only its own
 * methods are called.
 */

import type { MachineEvent, StateValue } from "../frames.ts";

export interface StateNode {
  readonly id: string;
  readonly key: string;
  readonly path: string[];
  readonly type: "atomic" | "compound" | "parallel" | "final" | "history";
  readonly parent?: StateNode;
  readonly initial?: { readonly target?: readonly StateNode[] };
  readonly history?: "shallow" | "deep" | false;
  readonly invoke?: readonly { readonly id: string }[];
  /** Position in document order. */
  readonly order: number;
  readonly tags: string[];
  readonly states: Record<string, StateNode>;
  readonly config: { readonly after?: Record<string, unknown>; readonly [key: string]: unknown };
}

export interface Implementations {
  actions: Record<string, unknown>;
  guards: Record<string, unknown>;
  readonly actors: Record<string, unknown>;
  readonly delays: Record<string, unknown>;
}

export interface Logic {
  transition(snapshot: unknown, event: MachineEvent, scope: unknown): ActorSnapshot;
  start?: unknown;
  readonly [key: string]: unknown;
}

export interface Machine extends Logic {
  readonly id: string;
  readonly root: StateNode;
  readonly idMap: Map<string, StateNode>;
  readonly config: { context?: unknown };
  readonly implementations: Implementations;
  options?: { maxIterations?: number };
  transition(snapshot: unknown, event: MachineEvent, scope: unknown): MachineSnapshot;
  getInitialSnapshot(scope: unknown, input: unknown): MachineSnapshot;
  restoreSnapshot(persisted: unknown, scope: unknown): MachineSnapshot;
  getTransitionData(snapshot: MachineSnapshot, event: MachineEvent): unknown[];
}

export interface ActorSnapshot {
  readonly status: "active" | "done" | "error" | "stopped";
  readonly output?: unknown;
  readonly error?: unknown;
}

export interface MachineSnapshot extends ActorSnapshot {
  context: unknown;
  value: StateValue;
  readonly machine: Machine;
  tags: Set<string>;
  /** Values may be undefined: an invocation whose source is not implemented leaves its id behind. */
  children: Record<string, Actor | undefined>;
  historyValue: Record<string, StateNode[]>;
  _nodes: StateNode[];
}

export const NOT_STARTED = 0;
export const RUNNING = 1;
export const STOPPED = 2;

export interface Actor {
  readonly id: string;
  readonly sessionId: string;
  readonly _parent?: Actor;
  readonly _processingStatus: number;
  readonly _syncSnapshot?: boolean;
  readonly systemId?: string;
  readonly src: unknown;
  logic: Logic;
  readonly options: { readonly input?: unknown };
  getSnapshot(): ActorSnapshot | undefined;
  getPersistedSnapshot(): unknown;
  start(): unknown;
  _send(event: MachineEvent): void;
  _stop(): unknown;
}

/** An action as handed to `actionExecutor`. `params` of built-in ones may still be changed until the step ends. */
export interface ExecutableAction {
  readonly type: string;
  readonly params: unknown;
  readonly info: unknown;
  readonly exec?: (info: unknown, params: unknown) => void;
}

export function isMachineLogic(logic: unknown): logic is Machine {
  const candidate = logic as Partial<Machine> | null;
  return typeof candidate === "object" && candidate !== null && candidate.idMap instanceof Map &&
    typeof candidate.getTransitionData === "function";
}

export function isMachineSnapshot(snapshot: unknown): snapshot is MachineSnapshot {
  return typeof snapshot === "object" && snapshot !== null && "_nodes" in snapshot;
}
