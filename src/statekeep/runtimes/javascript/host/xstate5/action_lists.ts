/**
 * The actions of a machine's definition, made fit for persistent children.
 *
 * The `sendTo` of @statebacked/machine makes an object that only XState 4 understands: XState 5 takes it for a custom action that nobody
 * implemented. It is put in terms of XState 5 here. And XState's own actions that look for children by their ids find those that
 * `spawnPersistentInstance` has made earlier in the same step.
 */

import type { MachineEvent } from "../frames.ts";
import type { Actor, Machine, MachineSnapshot, StateNode } from "./shapes.ts";

/** What a built-in action of XState works in. Ours has a hook more. */
export interface ActionScope {
  readonly self: Actor;
  readonly system: {
    readonly scheduler: {
      schedule(from: Actor, to: Actor, event: MachineEvent, delay: number, id?: string): void;
    };
    _relay(from: Actor, to: Actor, event: MachineEvent): void;
  };
  defer(run: () => void): void;
  /** `snapshot` with the persistent children that were spawned since it was made. */
  withSpawned?(snapshot: MachineSnapshot): MachineSnapshot;
}

interface Args {
  readonly context: unknown;
  readonly event: unknown;
}

interface BuiltIn {
  (): void;
  readonly type: string;
  resolve(scope: ActionScope, snapshot: MachineSnapshot, ...rest: unknown[]): Resolved;
}

type Resolved = [snapshot: MachineSnapshot, params: unknown, actions?: unknown[]];

interface SendParams {
  to: unknown;
  readonly targetId?: string;
  readonly event: MachineEvent;
  readonly id?: string;
  readonly delay?: number;
}

interface Transition {
  actions: unknown[];
}

interface Node extends StateNode {
  entry: unknown[];
  exit: unknown[];
  readonly transitions: Map<string, Transition[]>;
  readonly always?: Transition[];
}

/** Changes `machine`, once. */
export function rewriteActions(machine: Machine): void {
  for (const node of machine.idMap.values()) rewriteNode(node as Node);
  const { implementations } = machine;
  implementations.actions = Object.fromEntries(
    Object.entries(implementations.actions).map(([name, action]) => [name, rewritten(action)]),
  );
}

function rewriteNode(node: Node): void {
  node.entry = node.entry.map(rewritten);
  node.exit = node.exit.map(rewritten);
  const initial = node.type === "compound" ? [node.initial as Transition] : [];
  const transitions = [...node.transitions.values()].flat();
  for (const transition of [...transitions, ...node.always ?? [], ...initial]) {
    transition.actions = (transition.actions ?? []).map(rewritten);
  }
}

function rewritten(action: unknown): unknown {
  if (isBareSend(action)) return sendAction(action);
  return isBuiltIn(action) && LOOKS_FOR_CHILDREN.has(action.type) ? wrapped(action) : action;
}

const LOOKS_FOR_CHILDREN = new Set([
  "xstate.sendTo",
  "xstate.spawnChild",
  "xstate.stopChild",
  "xstate.enqueueActions",
]);

function isBuiltIn(action: unknown): action is BuiltIn {
  return typeof action === "function" &&
    typeof (action as Partial<BuiltIn>).type === "string" && "resolve" in action;
}

function wrapped(action: BuiltIn): BuiltIn {
  const resolve: BuiltIn["resolve"] = (scope, snapshot, ...rest) => {
    const all = scope.withSpawned?.(snapshot) ?? snapshot;
    const [next, params, actions] = action.resolve(scope, all, ...rest);
    return [next, params, actions?.map(rewritten)];
  };
  return Object.assign(() => {}, action, { resolve });
}

interface BareSend {
  readonly type: "xstate.send";
  readonly to?: unknown;
  readonly event: unknown;
  readonly delay?: unknown;
  readonly id?: unknown;
}

function isBareSend(action: unknown): action is BareSend {
  return typeof action === "object" && action !== null &&
    (action as Partial<BareSend>).type === "xstate.send" && "event" in action;
}

function sendAction(bare: BareSend): unknown {
  return Object.assign(() => {}, {
    type: "xstate.sendTo",
    resolve: (scope: ActionScope, snapshot: MachineSnapshot, args: Args, ...more: unknown[]) =>
      resolveSend(bare, scope, scope.withSpawned?.(snapshot) ?? snapshot, args, more[2]),
    retryResolve(_scope: ActionScope, { children }: MachineSnapshot, params: SendParams) {
      if (typeof params.to === "string") params.to = children[params.to];
    },
    execute: executeSend,
  });
}

function resolveSend(
  bare: BareSend,
  scope: ActionScope,
  snapshot: MachineSnapshot,
  args: Args,
  extra: unknown,
): Resolved {
  const target = valueOf(bare.to, args);
  const event = valueOf(bare.event, args);
  const params: SendParams = {
    to: typeof target === "string"
      ? actorNamed(target, scope, snapshot, extra)
      : target ?? scope.self,
    targetId: typeof target === "string" ? target : undefined,
    event: typeof event === "string" ? { type: event } : event as MachineEvent,
    id: bare.id === undefined ? undefined : String(bare.id),
    delay: delayOf(bare.delay, snapshot, args),
  };
  return [snapshot, params];
}

/** Functions of this `sendTo` take what those of XState 4 take. */
function valueOf(given: unknown, { context, event }: Args): unknown {
  return typeof given === "function" ? given(context, event) : given;
}

function delayOf(given: unknown, { machine }: MachineSnapshot, args: Args): number | undefined {
  if (typeof given !== "string") return valueOf(given, args) as number | undefined;
  const delay = machine.implementations.delays[given];
  if (delay === undefined) throw new Error(`The machine has no delay named "${given}"`);
  return typeof delay === "function" ? delay(args, undefined) : delay as number;
}

function actorNamed(
  name: string,
  { self }: ActionScope,
  { children }: MachineSnapshot,
  extra: unknown,
): unknown {
  if (name === "#_internal") return self;
  const { deferredActorIds } = (extra ?? {}) as { deferredActorIds?: string[] };
  // An invocation of the state that is being entered: XState fills it in when that has been made.
  if (deferredActorIds?.includes(name)) return name;
  const id = name.startsWith("#_") ? name.slice(2) : name;
  const actor = name === "#_parent" ? self._parent : children[id];
  if (actor) return actor;
  throw new Error(`Nothing can be sent to "${name}": the machine has no such child or parent`);
}

/** To an actor that runs here. What goes to other instances is not executed. */
function executeSend(scope: ActionScope, params: SendParams): void {
  scope.defer(() => {
    const { event, delay, id } = params;
    const to = params.to as Actor;
    if (typeof delay === "number") {
      scope.system.scheduler.schedule(scope.self, to, event, delay, id);
    } else scope.system._relay(scope.self, to, event);
  });
}
