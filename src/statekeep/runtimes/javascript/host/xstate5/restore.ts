/**
 * An instance from its snapshot.
 *
 * Context and history are revived here and not by XState, which turns references to lost children into `undefined` and history into
 * ids. XState makes the children.
 */

import { HostError } from "../errors.ts";
import type { Child, HistoryEntry, Snapshot, StateValue } from "../frames.ts";
import { stringify } from "../natives.ts";
import { isActive, reviveReferences } from "./children.ts";
import { applyEntryOrder } from "./entry_order.ts";
import type { Actor, Machine, MachineSnapshot, StateNode } from "./shapes.ts";
import { NOT_STARTED } from "./shapes.ts";

/** Makes the stand-in for a child that is gone. */
type Lost = (id: string, record?: Child) => Actor;

export function restoreSnapshot(
  machine: Machine,
  scope: unknown,
  saved: Snapshot,
  lost: Lost,
): MachineSnapshot {
  const children = saved.children ?? {};
  const snapshot = take(machine, scope, saved, restorable(children));
  if (!isSameValue(snapshot.value, saved.value)) throw noSuchState(saved.value);
  applyEntryOrder(snapshot, machine.root, saved.order);
  for (const [id, child] of Object.entries(children)) {
    const actor = snapshot.children[id];
    const hasFailed = actor?.getSnapshot()?.status === "error" && !wasError(child);
    if (!actor || hasFailed) snapshot.children[id] = lost(id, child);
  }
  snapshot.context = reviveReferences(saved.context, (id) => snapshot.children[id] ?? lost(id));
  snapshot.historyValue = historyOf(machine, saved.history ?? []);
  return snapshot;
}

/** Children come back as they stood, and running. */
export function startRestored(snapshot: MachineSnapshot) {
  for (const child of Object.values(snapshot.children)) {
    if (child && child._processingStatus === NOT_STARTED && isActive(child)) child.start();
  }
}

function take(machine: Machine, scope: unknown, saved: Snapshot, children: object) {
  const { value, status = "active", output } = saved;
  try {
    return machine.restoreSnapshot(
      { value, status, output, error: undefined, context: {}, historyValue: {}, children },
      scope,
    );
  } catch (error) {
    throw noSuchState(value, error);
  }
}

function noSuchState(value: StateValue, cause?: unknown) {
  const why = cause instanceof Error ? `: ${cause.message}` : "";
  return new HostError(
    "machine-error",
    `The machine cannot take up the state ${stringify(value)}${why}`,
  );
}

function restorable(children: Record<string, Child>): Record<string, unknown> {
  const found = Object.entries(children).flatMap(([id, child]) => {
    if (child.kind === "instance") return [];
    const { snapshot, src, systemId, sync } = child;
    if (snapshot === undefined || src === undefined) return [];
    return [[id, { snapshot, src, systemId, syncSnapshot: sync === true }] as const];
  });
  return Object.fromEntries(found);
}

function wasError(child: Child): boolean {
  return child.kind !== "instance" &&
    (child.snapshot as { status?: unknown } | undefined)?.status === "error";
}

function isSameValue(a: StateValue, b: StateValue): boolean {
  if (typeof a === "string" || typeof b === "string") return a === b;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length &&
    keys.every((key) => key in b && isSameValue(a[key]!, b[key]!));
}

function historyOf(machine: Machine, entries: HistoryEntry[]): Record<string, StateNode[]> {
  const history: Record<string, StateNode[]> = {};
  for (const entry of entries) {
    const node = nodeAt(machine, entry.path);
    const nodes = "nodes" in entry ? entry.nodes.map((path) => nodeAt(machine, path)) : [];
    // Another version may have lost what was remembered; then the history's default applies.
    const known = nodes.filter((known) => known !== undefined);
    if (node && known.length > 0) history[node.id] = known;
  }
  return history;
}

function nodeAt(machine: Machine, path: string[]): StateNode | undefined {
  let node: StateNode | undefined = machine.root;
  for (const key of path) {
    node = node && Object.hasOwn(node.states, key) ? node.states[key] : undefined;
  }
  return node;
}
