/**
 * What the driver looks up in a machine's definition, computed once for each: where its timers, its invocations
 * and its history states are. It depends on nothing but the machine's config.
 */

import { type Activity, isFunction, isObject, type Machine, type StateNode } from "./types.ts";

/** Names a delayed transition in a way that another version of the machine can understand. */
export interface DelayReference {
  path: string[];
  n: number;
  delay: string | number;
}

export interface Definition {
  /** By the type of the event that the timer sends. */
  readonly delays: ReadonlyMap<string, DelayReference>;
  readonly activities: ReadonlyMap<string, Activity>;
  /** The nodes whose past must be kept, ancestors first; empty where no history state asks. */
  readonly remembered: readonly RememberedNode[];
}

export interface RememberedNode {
  readonly path: string[];
  /** A history state is directly below it. The others are ancestors of such nodes. */
  readonly hasHistory: boolean;
}

const definitions = new WeakMap<object, Definition>();

export function definitionOf(machine: Machine): Definition {
  let definition = definitions.get(machine.config);
  if (definition === undefined) {
    const nodes = [...allNodes(machine)];
    definition = {
      delays: new Map(nodes.flatMap(delaysOf).reverse()),
      activities: new Map(
        nodes.flatMap((node) => node.activities.map((it) => [it.id, it])),
      ),
      remembered: rememberedNodes(machine),
    };
    definitions.set(machine.config, definition);
  }
  return definition;
}

export function* allNodes(node: StateNode): Generator<StateNode> {
  yield node;
  for (const child of Object.values(node.states)) yield* allNodes(child);
}

/** As XState names them: `after` may be an object by delay, or a list in which a delay may be a function. */
function delaysOf(node: StateNode): [string, DelayReference][] {
  return delayKeys(node.config.after).map((key, n) => {
    const delay = isFunction(key) ? `delay[${n}]` : key;
    const inEvent = isFunction(key) ? `${node.id}:${delay}` : delay;
    return [`xstate.after(${inEvent})#${node.id}`, { path: node.path, n, delay }];
  });
}

function delayKeys(after: unknown): (string | number | (() => unknown))[] {
  if (Array.isArray(after)) return after.map((transition) => transition.delay);
  if (!isObject(after)) return [];
  return Object.keys(after).map((key) => isNaN(+key) ? key : +key);
}

function rememberedNodes(node: StateNode): RememberedNode[] {
  const children = Object.values(node.states);
  const hasHistory = children.some((child) => child.type === "history");
  const below = children.flatMap(rememberedNodes);
  return hasHistory || below.length > 0 ? [{ path: node.path, hasHistory }, ...below] : [];
}
