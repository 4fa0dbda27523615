/**
 * Is this a machine of XState 5, and one whose copy of XState works here?
 */

import { HostError } from "../errors.ts";
import type { Machine, MachineSnapshot, StateNode } from "./shapes.ts";
import { isMachineLogic } from "./shapes.ts";

export function isXState5(machine: unknown): machine is Machine {
  return isMachineLogic(machine) && typeof machine.getInitialSnapshot === "function" &&
    typeof machine.restoreSnapshot === "function";
}

const TOO_OLD =
  "This module carries a copy of XState 5 that is older than 5.19 and cannot hold actions back until the " +
  'transition is durable. Upgrade xstate, or leave it out of the bundle: import it from "xstate" and mark it as external.';

/** Try it out: versions differ in more than a number, and minified copies do not tell theirs. */
export function refuseOldCopies(machine: Machine) {
  const executed: unknown[] = [];
  const scope = probeScope((action) => executed.push(action));
  const Class = machine.constructor as new (config: unknown) => Machine;
  let snapshot: MachineSnapshot | undefined;
  try {
    snapshot = new Class({ id: "probe", entry: [function probe() {}] })
      .getInitialSnapshot(scope, undefined);
  } catch {
    // judged below
  }
  if (snapshot?.status !== "active" || executed.length !== 1) {
    throw new HostError("bad-version", TOO_OLD);
  }
}

function probeScope(actionExecutor: (action: unknown) => void) {
  const nothing = () => {};
  const self = { id: "probe", sessionId: "probe", send: nothing, _processingStatus: 0 };
  return {
    self,
    id: "probe",
    sessionId: "probe",
    logger: nothing,
    system: { _sendInspectionEvent: nothing },
    defer: nothing,
    stopChild: nothing,
    emit: nothing,
    actionExecutor,
  };
}

/** XState resolves some targets only when it comes to them. An author wants to hear of a wrong one before an instance does. */
export function requireTargets(machine: Machine) {
  for (const node of machine.idMap.values()) {
    // A getter, which throws where there is no such state.
    if (node.type === "compound") void node.initial;
    if (node.type === "history") requireHistoryTargets(machine, node);
  }
}

function requireHistoryTargets(machine: Machine, node: StateNode) {
  const targets = [node.config.target ?? []].flat();
  for (const target of targets) {
    if (typeof target !== "string" || exists(machine, node.parent!, target)) continue;
    throw new HostError(
      "bad-version",
      `The history state "${node.id}" has the target "${target}", which does not exist`,
    );
  }
}

function exists(machine: Machine, from: StateNode, target: string): boolean {
  if (target.startsWith("#")) return true; // XState looks these up by several rules of its own
  let node: StateNode | undefined = from;
  for (const key of target.split(/(?<!\\)\./)) node = node?.states[key.replaceAll("\\", "")];
  return node !== undefined && machine.idMap.has(node.id);
}
