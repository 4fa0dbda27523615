/**
 * The XState 4 half of the host: what a module with a machine of XState 4 needs to be driven.
 */

import type { Chart } from "../chart.ts";
import type { Driver } from "../driver.ts";
import { chartOf } from "./chart.ts";
import { adopt, isOwn, OWN_VERSION } from "./copies.ts";
import { allNodes, definitionOf } from "./definition.ts";
import { Instance4 } from "./instance.ts";
import { isInstanceSource } from "../persistent.ts";
import { type Activity, isFunction, isObject, type Machine } from "./types.ts";

/** Is this a machine of XState 4, our copy's or another's? */
export function isXState4(machine: unknown): boolean {
  // XState 5 marks its machines alike, but has neither of these methods.
  return isObject(machine) && machine.__xstatenode === true &&
    isFunction(machine.getInitialState) && isFunction(machine.withContext);
}

/** Throws where the machine cannot be used: its definition is broken, or asks for what there is not. */
export function xstate4Driver(machine: unknown): Driver {
  if (!isXState4(machine)) throw new TypeError("this is no machine of XState 4");
  const usable = prepare(machine as Machine);
  const copy = adopt(usable);
  let chart: Chart | undefined;
  return {
    major: 4,
    xstate: isOwn(usable) ? OWN_VERSION : "bundled",
    get chart() {
      return chart ??= chartOf(usable);
    },
    initial: (surroundings, given) => Instance4.initial(usable, copy, surroundings, given),
    restore: (surroundings, snapshot) => Instance4.restore(usable, copy, surroundings, snapshot),
  };
}

/** Whatever of the definition can be broken shows here: XState works most of it out when it is first asked. */
function prepare(machine: Machine): Machine {
  // Delays do nothing in a machine that has been restored and not been through this.
  machine._init();
  void machine.initialStateValue;
  definitionOf(machine);
  for (const node of allNodes(machine)) {
    if (!node.activities.some((each) => forwardsToInstance(machine, each))) continue;
    throw new Error(
      `state "${node.id}" forwards all events to a persistent instance, which is not possible: send it those that it needs`,
    );
  }
  return machine;
}

function forwardsToInstance(machine: Machine, activity: Activity): boolean {
  const { src, autoForward, forward } = activity;
  if (!src || !(autoForward ?? forward)) return false;
  const service = machine.options.services?.[typeof src === "string" ? src : src.type];
  return isInstanceSource(src) || isInstanceSource(service);
}
