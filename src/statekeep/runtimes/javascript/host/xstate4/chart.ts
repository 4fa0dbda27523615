/**
 * The definition of an XState 4 machine as a chart.
 */

import { Chart, keyOf } from "../chart.ts";
import type { After, OutlineState } from "../frames.ts";
import { guardName, Observation, type Observed } from "../observation.ts";
import { allNodes, definitionOf, type DelayReference } from "./definition.ts";
import { isFunction, isObject, type Machine, type StateNode } from "./types.ts";

/** From now on the machine tells each transition that it takes. */
export function observe(machine: Machine): Observation {
  const observation = new Observation([...allNodes(machine)].map(observed));
  const resolve = machine.resolveTransition;
  machine.resolveTransition = function (taken, ...rest) {
    observation.note(taken.transitions);
    return resolve.call(this, taken, ...rest);
  };
  return observation;
}

export function chartOf(machine: Machine, observation?: Observation): Chart {
  const { delays } = definitionOf(machine);
  const events = new Map([...delays].map(([type, after]) => [placeOf(after), type]));
  const references = [...delays.values()];
  const nodes = [...allNodes(machine)];
  const states = nodes.map((node, n) => ({
    ...outline(node, references),
    ...(observation && { transitions: observation.observed[n]!.map(({ shown }) => shown) }),
  }));
  return new Chart(states, {
    eventOf: (after) => events.get(placeOf(after))!,
    delayOf: (after, context) => evaluate(machine, nodes, after, context),
    hasSource: (src) => Object.hasOwn(machine.options.services ?? {}, src),
  });
}

function placeOf({ path, n }: After): string {
  return keyOf([...path, String(n)]);
}

function observed({ transitions }: StateNode): Observed[] {
  return transitions.map((transition) => {
    const { eventType, cond, target } = transition;
    const guard = guardName(cond);
    const shown = {
      event: eventType,
      ...(guard !== undefined && { guard }),
      ...(target && { targets: target.map(({ path }) => path) }),
    };
    return { transition, shown };
  });
}

function outline(node: StateNode, delays: DelayReference[]): OutlineState {
  const { path, type, history, initial, activities } = node;
  // The table of delays is in no order.
  const after = delays.filter((each) => keyOf(each.path) === keyOf(path)).sort((a, b) => a.n - b.n);
  return {
    path,
    type,
    ...(history === "deep" && { deep: true }),
    ...(type === "compound" && initial !== undefined && { initial }),
    ...(after.length > 0 && { after: after.map(({ n, delay }) => ({ n, delay })) }),
    ...(activities.length > 0 && { invokes: activities.map(({ id }) => id) }),
  };
}

function evaluate(
  machine: Machine,
  nodes: StateNode[],
  { path, n, delay }: After,
  context: unknown,
): number {
  if (typeof delay === "number") return delay;
  const after = nodes.find((node) => keyOf(node.path) === keyOf(path))!.config.after;
  const inline = Array.isArray(after) ? after[n]?.delay : undefined;
  const found = isFunction(inline) ? inline : machine.options.delays?.[delay];
  const event = { type: "statebacked.upgrade" };
  const _event = { name: event.type, data: event, $$type: "scxml", type: "external" };
  const value = isFunction(found) ? found(context, event, { _event }) : found;
  if (typeof value === "number") return value;
  const why = isObject(value) || value === undefined ? "not implemented" : "no number";
  throw new Error(`the delay "${delay}" is ${why}`);
}
