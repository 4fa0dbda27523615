/**
 * Which delayed transition a timer belongs to. XState names the event of a delay after its length and its node; the server remembers node and
 * ordinal instead, so that another version of the machine finds its own.
 */

import type { TimerOp } from "../frames.ts";
import type { Machine, StateNode } from "./shapes.ts";

type After = NonNullable<Extract<TimerOp, { set: string }>["after"]>;

/** By type of event. */
export type AfterTable = Map<string, After>;

export function afterTable(machine: Machine): AfterTable {
  return new Map([...machine.idMap.values()].flatMap(delaysOf));
}

function delaysOf(node: StateNode): [string, After][] {
  return Object.keys(node.config.after ?? {}).map((key, n) => {
    const delay = Number.isNaN(+key) ? key : +key;
    return [`xstate.after.${delay}.${node.id}`, { path: node.path, n, delay }];
  });
}
