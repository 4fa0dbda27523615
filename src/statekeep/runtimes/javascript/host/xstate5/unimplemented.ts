/**
 * Names that a machine uses and nobody implemented. XState finds out when it comes to them; its author would rather know earlier.
 */

import type { Machine, StateNode } from "./shapes.ts";

type Kind = "actions" | "guards" | "actors" | "delays";

interface Transition {
  readonly actions?: unknown;
  readonly guard?: unknown;
}

interface InternalNode extends StateNode {
  readonly entry: unknown[];
  readonly exit: unknown[];
  readonly invoke: { id: string; src: unknown }[];
  readonly transitions: Map<string, Transition[]>;
  readonly always?: Transition[];
}

/** One sentence each. */
export function unimplemented(machine: Machine): string[] {
  const missing = new Set<string>();
  const check = (kind: Kind, reference: unknown) => {
    const name = nameOf(reference);
    if (name === undefined || name.startsWith("xstate.")) return;
    if (machine.implementations[kind][name] === undefined) {
      missing.add(`The machine uses "${name}", but its ${kind} have no such implementation.`);
    }
  };
  for (const node of machine.idMap.values()) checkNode(node as InternalNode, check);
  return [...missing];
}

function checkNode(node: InternalNode, check: (kind: Kind, reference: unknown) => void) {
  const transitions = [...[...node.transitions.values()].flat(), ...node.always ?? []];
  for (const { guard } of transitions) check("guards", guard);
  const actions = [...node.entry, ...node.exit, ...transitions.flatMap((each) => each.actions)];
  for (const action of actions) check("actions", action);
  for (const { src } of node.invoke) check("actors", src);
  for (const delay of Object.keys(node.config.after ?? {})) {
    if (Number.isNaN(+delay)) check("delays", delay);
  }
}

function nameOf(reference: unknown): string | undefined {
  if (typeof reference === "string") return reference;
  if (typeof reference !== "object" || reference === null) return undefined;
  const { type } = reference as { type?: unknown };
  return typeof type === "string" ? type : undefined;
}
