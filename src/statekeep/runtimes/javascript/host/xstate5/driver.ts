/**
 * The XState 5 half of the host.
 */

import type { Driver } from "../driver.ts";
import type { Chart } from "../chart.ts";
import { checkSource, isInstanceSource } from "../persistent.ts";
import { rewriteActions } from "./action_lists.ts";
import { afterTable } from "./after.ts";
import { chartOf, observationOf } from "./chart.ts";
import { isXState5, refuseOldCopies, requireTargets } from "./compatibility.ts";
import { noteErrorsOfGuards } from "./guards.ts";
import { InitialContext } from "./initial_context.ts";
import type { Definition } from "./live.ts";
import { XState5Instance } from "./live.ts";
import type { Machine } from "./shapes.ts";
import { unimplemented } from "./unimplemented.ts";

export { isXState5, unimplemented };

/** Microsteps in one macrostep, where the machine sets no limit: far above any real one, and done in less than a second. */
const MICROSTEPS_MAX = 50_000;

/** Throws where the machine cannot be used. An observed one tells which transitions it takes. */
export function xstate5Driver(machine: unknown, isObserved = false): Driver {
  if (!isXState5(machine)) throw new TypeError("This is no machine of XState 5");
  refuseOldCopies(machine);
  requireTargets(machine);
  checkInvocations(machine);
  rewriteActions(machine);
  noteErrorsOfGuards(machine);
  if (machine.options?.maxIterations === Infinity) machine.options.maxIterations = MICROSTEPS_MAX;
  const definition: Definition = {
    machine,
    after: afterTable(machine),
    initialContext: new InitialContext(machine),
    observation: isObserved ? observationOf(machine) : undefined,
  };
  let chart: Chart | undefined;
  return {
    major: 5,
    xstate: "bundled",
    get chart() {
      return chart ??= chartOf(machine, definition.after, definition.observation);
    },
    initial: (surroundings, given) => XState5Instance.initial(definition, surroundings, given),
    restore: (surroundings, snapshot) =>
      XState5Instance.restore(definition, surroundings, snapshot),
  };
}

function checkInvocations(machine: Machine) {
  for (const node of machine.idMap.values()) {
    for (const invocation of [node.config.invoke ?? []].flat()) {
      const { src } = invocation as { src?: unknown };
      if (isInstanceSource(src)) checkSource(src, `State "${node.id}"`);
    }
  }
}
