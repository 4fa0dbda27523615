/**
 * The guards of a machine's definition, made to keep what they throw.
 */

import { type Guard, notingErrors } from "../guards.ts";
import type { Machine, StateNode } from "./shapes.ts";

interface Transition {
  guard?: unknown;
}

interface Node extends StateNode {
  readonly transitions: Map<string, Transition[]>;
  readonly always?: Transition[];
}

/** `and`, `or`, `not` and `stateIn`. */
interface BuiltIn {
  readonly check: unknown;
  guards?: unknown[];
}

const noted = new WeakSet<Machine>();

/** Changes `machine`, once however often it is asked: a child's is met whenever one is made. */
export function noteErrorsOfGuards(machine: Machine): void {
  if (noted.has(machine)) return;
  noted.add(machine);
  for (const node of machine.idMap.values()) {
    const { transitions, always = [] } = node as Node;
    for (const transition of [...[...transitions.values()].flat(), ...always]) {
      transition.guard = noting(transition.guard);
    }
  }
  const { implementations } = machine;
  implementations.guards = Object.fromEntries(
    Object.entries(implementations.guards).map(([name, guard]) => [name, noting(guard)]),
  );
}

function noting(guard: unknown): unknown {
  if (typeof guard !== "function") return guard;
  if (!isBuiltIn(guard)) return notingErrors(guard as Guard);
  if (Array.isArray(guard.guards)) guard.guards = guard.guards.map(noting);
  return guard;
}

function isBuiltIn(guard: unknown): guard is BuiltIn {
  return "check" in (guard as object);
}
