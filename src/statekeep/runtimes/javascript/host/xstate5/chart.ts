/**
 * The definition of an XState 5 machine as a chart.
 */

import { Chart, keyOf } from "../chart.ts";
import type { After, OutlineState } from "../frames.ts";
import { guardName, Observation, type Observed } from "../observation.ts";
import type { AfterTable } from "./after.ts";
import type { Machine, StateNode } from "./shapes.ts";

type Delay = number | ((args: { context: unknown; event: unknown }, params: undefined) => unknown);

interface Transition {
  readonly eventType: string;
  readonly guard?: unknown;
  readonly target?: readonly StateNode[];
}

interface InternalNode extends StateNode {
  readonly transitions: Map<string, Transition[]>;
  readonly always?: Transition[];
}

export function observationOf(machine: Machine): Observation {
  return new Observation([...allNodes(machine.root)].map((node) => observed(node as InternalNode)));
}

export function chartOf(machine: Machine, table: AfterTable, observation?: Observation): Chart {
  const events = new Map([...table].map(([type, after]) => [placeOf(after), type]));
  const nodes = [...allNodes(machine.root)];
  const states = nodes.map((node, n) => ({
    ...outline(node, table),
    ...(observation && { transitions: observation.observed[n]!.map(({ shown }) => shown) }),
  }));
  return new Chart(states, {
    eventOf: (after) => events.get(placeOf(after))!,
    delayOf: ({ delay }, context) => evaluate(machine, delay, context),
    hasSource: (src) => Object.hasOwn(machine.implementations.actors, src),
  });
}

/** In document order. */
function* allNodes(node: StateNode): Generator<StateNode> {
  yield node;
  for (const child of Object.values(node.states)) yield* allNodes(child);
}

function placeOf({ path, n }: After): string {
  return keyOf([...path, String(n)]);
}

function observed({ transitions, always = [] }: InternalNode): Observed[] {
  return [...[...transitions.values()].flat(), ...always].map((transition) => {
    const { eventType, guard, target } = transition;
    const name = guardName(guard);
    const shown = {
      event: eventType,
      ...(name !== undefined && { guard: name }),
      ...(target && { targets: target.map(({ path }) => path) }),
    };
    return { transition, shown };
  });
}

function outline(node: StateNode, table: AfterTable): OutlineState {
  const { path, type, history, invoke = [] } = node;
  const after = [...table.values()].filter((each) => keyOf(each.path) === keyOf(path));
  const initial = type === "compound" ? node.initial?.target?.[0]?.key : undefined;
  return {
    path,
    type,
    ...(history === "deep" && { deep: true }),
    ...(initial !== undefined && { initial }),
    ...(after.length > 0 && { after: after.map(({ n, delay }) => ({ n, delay })) }),
    ...(invoke.length > 0 && { invokes: invoke.map(({ id }) => id) }),
  };
}

function evaluate(machine: Machine, delay: string | number, context: unknown): number {
  if (typeof delay === "number") return delay;
  const found = machine.implementations.delays[delay] as Delay | undefined;
  const event = { type: "statebacked.upgrade" };
  const value = typeof found === "function" ? found({ context, event }, undefined) : found;
  if (typeof value === "number") return value;
  throw new Error(
    `the delay "${delay}" is ${value === undefined ? "not implemented" : "no number"}`,
  );
}
