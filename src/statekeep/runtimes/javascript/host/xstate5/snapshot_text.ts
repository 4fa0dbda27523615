/**
 * Snapshots as JSON text in the shape of docs/host-protocol.md. Concatenated, since the context has been made JSON already.
 */

import type { Child, LocalChild, Parent } from "../frames.ts";
import { parse, stringify } from "../natives.ts";
import { isActive, isDue, kindOf, restorableState } from "./children.ts";
import { entryOrder } from "./entry_order.ts";
import { addressOf } from "./instances.ts";
import { Tombstone } from "./root.ts";
import type { Actor, Machine, MachineSnapshot, StateNode } from "./shapes.ts";
import type { DelayedSends } from "./system.ts";

export function snapshotText(
  machine: Machine,
  snapshot: MachineSnapshot,
  contextText: string,
  delays: DelayedSends,
  parent: Parent | undefined,
): string {
  const start = `{"value":${stringify(snapshot.value)},"context":${contextText}`;
  const rest = historyText(machine, snapshot.historyValue) +
    childrenText(snapshot.children, delays) +
    (parent === undefined ? "" : `,"parent":${stringify(parent)}`);
  return snapshot.status === "done"
    ? `${start},"status":"done"${outputText(snapshot.output)}${rest}}`
    : `${start}${rest}${orderText(snapshot._nodes)}}`;
}

function outputText(output: unknown): string {
  const text = output === undefined ? undefined : stringify(output);
  return text === undefined ? "" : `,"output":${text}`;
}

function historyText(machine: Machine, history: Record<string, StateNode[]>): string {
  const entries = Object.entries(history).flatMap(([id, nodes]) => {
    const path = machine.idMap.get(id)?.path;
    return path ? [{ path, nodes: nodes.map((node) => node.path) }] : [];
  });
  return entries.length === 0 ? "" : `,"history":${stringify(entries)}`;
}

function orderText(nodes: StateNode[]): string {
  const order = entryOrder(nodes);
  return order ? `,"order":[${order.join()}]` : "";
}

function childrenText(
  children: Record<string, Actor | undefined>,
  delays: DelayedSends,
): string {
  const records: Record<string, Child> = {};
  let some = false;
  for (const id of Object.keys(children)) {
    const child = children[id];
    const record = child && recordOf(child, delays);
    if (record) records[id] = record, some = true;
  }
  return some ? `,"children":${stringify(records)}` : "";
}

function recordOf(child: Actor, delays: DelayedSends): Child | undefined {
  if (child instanceof Tombstone) return child.record;
  const to = addressOf(child);
  if (to) {
    const { systemId } = child;
    return systemId === undefined
      ? { kind: "instance", ...to }
      : { kind: "instance", ...to, systemId };
  }
  const record: LocalChild = { kind: kindOf(child) };
  if (typeof child.src === "string") record.src = child.src;
  const state = restorableState(child, delays);
  if (state !== undefined) record.snapshot = parse(state);
  if (child.systemId !== undefined) record.systemId = child.systemId;
  if (child._syncSnapshot) record.sync = true;
  if (isActive(child) && isDue(child, delays)) record.due = true;
  return record;
}
