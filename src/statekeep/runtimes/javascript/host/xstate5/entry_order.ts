/**
 * The order in which the active state nodes were entered.
 *
 * XState goes through them in this order when it looks for eventless transitions, and it shows in the order of regions and tags. A state
 * value does not tell it, so that a restored machine would behave differently from a warm one.
 */

import type { StateValue } from "../frames.ts";
import type { MachineSnapshot, StateNode } from "./shapes.ts";

/** The entered nodes as positions among them in document order; undefined where that is the order. */
export function entryOrder(nodes: StateNode[]): number[] | undefined {
  if (nodes.every((node, n) => n === 0 || nodes[n - 1]!.order < node.order)) return undefined;
  const position = new Map(inDocumentOrder(nodes).map((node, n) => [node, n]));
  return nodes.map((node) => position.get(node)!);
}

/** Put the nodes of a restored snapshot in order. An order of other nodes (those of another version) is left alone. */
export function applyEntryOrder(snapshot: MachineSnapshot, root: StateNode, order?: number[]) {
  const sorted = inDocumentOrder(snapshot._nodes);
  const nodes = order?.map((position) => sorted[position]);
  const isUsable = nodes?.length === sorted.length && new Set(nodes).size === nodes.length;
  snapshot._nodes = isUsable ? nodes as StateNode[] : sorted;
  snapshot.value = valueOf(root, snapshot._nodes);
  snapshot.tags = new Set(snapshot._nodes.flatMap((node) => node.tags));
}

function inDocumentOrder(nodes: StateNode[]): StateNode[] {
  return nodes.toSorted((a, b) => a.order - b.order);
}

function valueOf(node: StateNode, nodes: StateNode[]): StateValue {
  const active = nodes.filter((child) => child.parent === node);
  if (node.type === "compound" && active.length === 1 && isAtomic(active[0]!)) {
    return active[0]!.key;
  }
  return Object.fromEntries(active.map((child) => [child.key, valueOf(child, nodes)]));
}

function isAtomic(node: StateNode): boolean {
  return node.type === "atomic" || node.type === "final";
}
