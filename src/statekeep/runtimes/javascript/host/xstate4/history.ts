/**
 * What history states remember, as a list of paths and back. XState keeps a tree of the last value of every node. It is undefined until
 * the first transition, and that matters: only then does a history state take its default target.
 */

import type { HistoryEntry } from "../frames.ts";
import { definitionOf } from "./definition.ts";
import { type HistoryTree, isObject, type Machine, type StateValue } from "./types.ts";
import { checkValue, nodeAt } from "./value.ts";

/**
 * Nodes with history states are always listed. Of their ancestors, those that are active are not: their value is part of the state's
 * own. Undefined where no history state will ever ask.
 */
export function listHistory(
  machine: Machine,
  tree: HistoryTree | undefined,
  value: StateValue,
): HistoryEntry[] | undefined {
  const { remembered } = definitionOf(machine);
  if (tree === undefined || remembered.length === 0) return undefined;
  return remembered
    .filter(({ path, hasHistory }) => hasHistory || !isActive(value, path))
    .map(({ path }) => ({ path, value: treeAt(tree, path)!.current }));
}

/** Nodes that are not listed are active, or no history state asks for them. */
export function growHistory(
  machine: Machine,
  entries: HistoryEntry[] | undefined,
  value: StateValue,
): HistoryTree | undefined {
  if (entries === undefined || entries.length === 0) return undefined;
  const tree = machine.historyValue(value);
  for (const entry of entries) {
    if (!("value" in entry)) throw new Error("the history of this snapshot is not of XState 4");
    checkValue(nodeAt(machine, entry.path), entry.value);
    const node = treeAt(tree, entry.path);
    if (node !== undefined) node.current = entry.value;
  }
  return tree;
}

function treeAt(tree: HistoryTree, path: string[]): HistoryTree | undefined {
  return path.reduce<HistoryTree | undefined>((at, key) => at?.states[key], tree);
}

function isActive(value: StateValue, path: string[]): boolean {
  let at: StateValue | undefined = value;
  for (const key of path) {
    if (!isObject(at)) return at === key;
    if (!Object.hasOwn(at, key)) return false;
    at = at[key];
  }
  return true;
}
