/**
 * The XState 4 half of the host: what a module with a machine of XState 4 needs to be driven.
 */

import type { Chart } from "../chart.ts";
import type { Driver } from "../driver.ts";
import { chartOf, observe } from "./chart.ts";
import { HostError } from "../errors.ts";
import { checkSource, isInstanceSource } from "../persistent.ts";
import { adopt, isOwn, OWN_VERSION } from "./copies.ts";
import { allNodes, definitionOf } from "./definition.ts";
import { noteErrorsOfGuards } from "./guards.ts";
import { Instance4 } from "./instance.ts";
import { type Activity, isFunction, isObject, type Machine, type StateNode } from "./types.ts";

/** Is this a machine of XState 4, our copy's or another's? */
export function isXState4(machine: unknown): boolean {
  // XState 5 marks its machines alike, but has neither of these methods.
  return isObject(machine) && machine.__xstatenode === true &&
    isFunction(machine.getInitialState) && isFunction(machine.withContext);
}

/** Throws where the machine cannot be used: its definition is broken, or asks for what there is not. An observed one tells which transitions it takes. */
export function xstate4Driver(machine: unknown, isObserved = false): Driver {
  if (!isXState4(machine)) throw new TypeError("this is no machine of XState 4");
  const usable = prepare(machine as Machine);
  const copy = adopt(usable);
  const observation = isObserved ? observe(usable) : undefined;
  let chart: Chart | undefined;
  return {
    major: 4,
    xstate: isOwn(usable) ? OWN_VERSION : "bundled",
    get chart() {
      return chart ??= chartOf(usable, observation);
    },
    initial: (surroundings, given) =>
      Instance4.initial({ machine: usable, copy, observation }, surroundings, given),
    restore: (surroundings, snapshot) =>
      Instance4.restore({ machine: usable, copy, observation }, surroundings, snapshot),
  };
}

/** Whatever of the definition can be broken shows here: XState works most of it out when it is first asked. */
function prepare(machine: Machine): Machine {
  // Delays do nothing in a machine that has been restored and not been through this.
  machine._init();
  void machine.initialStateValue;
  definitionOf(machine);
  for (const node of allNodes(machine)) {
    for (const activity of node.activities) checkInvocation(machine, node, activity);
  }
  noteErrorsOfGuards(machine);
  return machine;
}

function checkInvocation(
  machine: Machine,
  node: StateNode,
  { src, autoForward, forward }: Activity,
): void {
  const source = typeof src === "string" ? machine.options.services?.[src] : src;
  if (!isInstanceSource(source)) return;
  checkSource(source, `State "${node.id}"`);
  if (!autoForward && !forward) return;
  throw new HostError(
    "bad-version",
    `State "${node.id}" forwards all its events to an instance, which is not possible. ` +
      "Leave autoForward out, and send what the instance has to know with sendTo.",
  );
}
