/**
 * Where an instance is: a state value as the paths of its leaves, and leaves as the state value of another machine.
 */

import type { Chart, ChartNode } from "../chart.ts";
import { isLeaf, keyOf } from "../chart.ts";
import { HostError } from "../errors.ts";
import type { StateValue } from "../frames.ts";

export type Path = readonly string[];

/** The paths of the innermost active states, in the order of the value. A machine without states has one leaf: itself. */
export function leavesOf(value: StateValue, above: Path = []): string[][] {
  if (typeof value === "string") return [[...above, value]];
  const keys = Object.keys(value);
  if (keys.length === 0) return [[...above]];
  return keys.flatMap((key) => leavesOf(value[key]!, [...above, key]));
}

/** Every active path, the root included; each once. */
export function activePaths(value: StateValue): string[][] {
  const active = new Map<string, string[]>();
  for (const leaf of leavesOf(value)) {
    for (let depth = 0; depth <= leaf.length; depth++) {
      const path = leaf.slice(0, depth);
      active.set(keyOf(path), path);
    }
  }
  return [...active.values()];
}

/** Throws where the machine has no such state. */
export function nodeAt(chart: Chart, path: Path): ChartNode {
  const node = chart.at(path);
  if (node) return node;
  const isHistory = chart.historyStates().some((state) => keyOf(state.path) === keyOf(path));
  const what = isHistory
    ? "a history state, in which no instance can be: it has to name the state that is meant"
    : "a state that the new version does not have";
  const missing = new HostError(
    "no-such-state",
    `The migration leads to "${path.join(".")}", ${what}`,
  );
  missing.path = [...path];
  throw missing;
}

/**
 * The state value below `node` with all of `paths` active in it. What they leave open is entered as by a transition to them: a region or
 * a state without one of them takes its initial state.
 */
export function valueBelow(node: ChartNode, paths: readonly Path[]): StateValue {
  const depth = node.path.length;
  const below = Map.groupBy(paths.filter((path) => path.length > depth), (path) => path[depth]!);
  if (node.type === "parallel") {
    const keys = new Set([...below.keys(), ...node.children.keys()]);
    return Object.fromEntries(
      [...keys].map((key) => [key, valueBelow(node.children.get(key)!, below.get(key) ?? [])]),
    );
  }
  if (node.type !== "compound") return {};
  const child = childOf(node, [...below.keys()]);
  if (!child) return {};
  return isLeaf(child) ? child.key : { [child.key]: valueBelow(child, below.get(child.key) ?? []) };
}

function childOf(node: ChartNode, keys: string[]): ChartNode | undefined {
  if (keys.length > 1) {
    const names = keys.map((key) => `"${key}"`).join(" and ");
    throw new HostError(
      "no-such-state",
      `The migration leads to ${names} of ${
        nameOf(node)
      } at once, of whose states one can be active`,
    );
  }
  const key = keys[0] ?? node.initial;
  if (key === undefined) return undefined;
  const child = node.children.get(key);
  if (child) return child;
  throw new HostError(
    "no-such-state",
    `The migration leads to ${
      nameOf(node)
    }, whose initial state is a history state: it has to name the state below`,
  );
}

function nameOf(node: ChartNode): string {
  return node.path.length === 0 ? "the machine" : `state "${node.path.join(".")}"`;
}

/** Has it reached a final state, so that the instance is finished? */
export function isFinal(node: ChartNode, value: StateValue): boolean {
  if (node.type === "final") return true;
  const below = typeof value === "string" ? { [value]: {} } : value;
  const children = Object.keys(below).map((key) => node.children.get(key)!);
  if (node.type === "compound") return children.some((child) => child.type === "final");
  return node.type === "parallel" && children.every((child) => isFinal(child, below[child.key]!));
}

export function isBelow(path: Path, ancestor: Path): boolean {
  return path.length > ancestor.length && ancestor.every((key, n) => key === path[n]);
}
