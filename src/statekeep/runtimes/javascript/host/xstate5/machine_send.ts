/**
 * `sendTo` of @statebacked/machine. It makes an action object of XState 4, of which XState 5 would see no more than the type; so the
 * lists of actions in a machine's definition get something in its place that XState 5 resolves while it steps.
 */

import type { Machine, MachineSnapshot, StateNode } from "./shapes.ts";

export const MACHINE_SEND = "statebacked.send";

/** What is left to do once XState has resolved it. */
export interface MachineSend {
  to: unknown;
  event: unknown;
  delay?: number;
  id?: string;
}

interface Spec {
  readonly type: string;
  readonly to: unknown;
  readonly event: unknown;
  readonly delay?: unknown;
  readonly id?: unknown;
}

type Expression = (context: unknown, event: unknown) => unknown;
type DelayExpression = (args: unknown, params: unknown) => unknown;

interface ActionNode extends StateNode {
  readonly entry: unknown[];
  readonly exit: unknown[];
  readonly transitions: Map<string, { actions?: unknown }[]>;
  readonly always?: { actions?: unknown }[];
}

/** Changes the machine's definition, once. */
export function replaceMachineSends(machine: Machine) {
  for (const node of machine.idMap.values()) {
    const { entry, exit, transitions, always = [] } = node as ActionNode;
    const taken = [...transitions.values()].flat();
    const initial = node.initial as { actions?: unknown } | undefined;
    const lists = [entry, exit, ...[...taken, ...always, initial].map((each) => each?.actions)];
    for (const list of lists) if (Array.isArray(list)) replaceIn(list, machine);
  }
}

function replaceIn(actions: unknown[], machine: Machine) {
  actions.forEach((action, n) => {
    if (isMachineSend(action)) actions[n] = resolvable(action, machine);
  });
}

/** XState 5 has no action of that name. */
export function isMachineSend(action: unknown): action is Spec {
  return typeof action === "object" && action !== null && "to" in action && "event" in action &&
    (action as Spec).type === "xstate.send";
}

/** As XState's own built-in actions look to it. */
function resolvable(spec: Spec, machine: Machine) {
  const resolve = (
    _scope: unknown,
    snapshot: MachineSnapshot,
    args: { context: unknown; event: unknown },
  ) => [snapshot, resolveSend(spec, machine, args), undefined];
  return Object.assign(() => {}, { type: MACHINE_SEND, resolve, execute() {} });
}

function resolveSend(
  spec: Spec,
  machine: Machine,
  args: { context: unknown; event: unknown },
): MachineSend {
  const evaluate = (value: unknown) =>
    typeof value === "function" ? (value as Expression)(args.context, args.event) : value;
  let delay = evaluate(spec.delay);
  if (typeof delay === "string") {
    const named = machine.implementations.delays[delay];
    delay = typeof named === "function" ? (named as DelayExpression)(args, undefined) : named;
  }
  const event = evaluate(spec.event);
  const { id } = spec;
  return {
    to: evaluate(spec.to),
    event: typeof event === "string" ? { type: event } : event,
    ...(typeof delay === "number" && { delay }),
    ...(id !== undefined && { id: String(id) }),
  };
}
