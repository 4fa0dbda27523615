/**
 * State values that come from elsewhere, checked against the machine: XState itself accepts or repairs many that no transition
 * could have led to.
 */

import type { StateNode, StateValue } from "./types.ts";

export function nodeAt(machine: StateNode, path: string[]): StateNode {
  return path.reduce(childOf, machine);
}

/** Throws unless `value` is a whole configuration below `node`. */
export function checkValue(node: StateNode, value: StateValue): void {
  if (node.type === "parallel") checkParallel(node, value);
  else if (node.type === "compound") checkCompound(node, value);
  else if (typeof value === "string" || Object.keys(value).length > 0) {
    throw invalid(node, value, "which has no states");
  }
}

function checkCompound(node: StateNode, value: StateValue): void {
  if (typeof value === "string") {
    if (!isLeaf(childOf(node, value))) throw invalid(node, value, "which is not a whole state");
    return;
  }
  const keys = Object.keys(value);
  // Without an initial state it can be active alone.
  if (keys.length === 0 && node.initial !== undefined) {
    throw invalid(node, value, "of whose states one must be active");
  }
  // More than one is wrong, but XState 4 gets there: it takes the transitions of all regions, even where one leaves the others.
  for (const key of keys) checkValue(childOf(node, key), value[key]);
}

function checkParallel(node: StateNode, value: StateValue): void {
  const regions = Object.values(node.states).filter((child) => child.type !== "history");
  if (typeof value === "string" || Object.keys(value).length !== regions.length) {
    throw invalid(node, value, "of whose states all must be active");
  }
  for (const key of Object.keys(value)) checkValue(childOf(node, key), value[key]);
}

function childOf(node: StateNode, key: string): StateNode {
  const child = Object.hasOwn(node.states, key) ? node.states[key] : undefined;
  if (child === undefined || child.type === "history") {
    throw new Error(`the machine has no state "${[...node.path, key].join(".")}"`);
  }
  return child;
}

function isLeaf(node: StateNode): boolean {
  return node.type === "atomic" || node.type === "final";
}

function invalid(node: StateNode, value: StateValue, why: string): Error {
  const name = node.path.length === 0 ? "the machine" : `state "${node.path.join(".")}"`;
  return new Error(`${JSON.stringify(value)} is not a state of ${name}, ${why}`);
}
