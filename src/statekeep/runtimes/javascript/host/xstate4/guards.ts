/**
 * The guards of a machine's definition, made to keep what they throw.
 */

import { type Guard, notingErrors } from "../guards.ts";
import { allNodes } from "./definition.ts";
import { isFunction, isObject, type Machine } from "./types.ts";

const noted = new WeakSet<Machine>();

/** Changes `machine`, once however often it is asked: a child's is met whenever one is made. */
export function noteErrorsOfGuards(machine: Machine): void {
  if (noted.has(machine)) return;
  noted.add(machine);
  for (const node of allNodes(machine)) {
    for (const { cond } of node.transitions) {
      // Guards by name are among the options, too, where XState looks first.
      if (isObject(cond) && isFunction(cond.predicate)) {
        cond.predicate = notingErrors(cond.predicate as unknown as Guard);
      }
    }
  }
  const { options } = machine;
  options.guards = Object.fromEntries(
    Object.entries(options.guards ?? {}).map(([name, guard]) => [name, notingErrors(guard)]),
  );
}
