/**
 * What a machine hands on: to the children that it invokes, and when it has finished.
 */

import { isFunction, isObject, type Machine, type MachineEvent, type State } from "./types.ts";

/** The `data` of the machine's own final state, as XState's interpreter works it out. */
export function doneData(machine: Machine, { configuration, context, event }: State): unknown {
  const final = configuration.find((node) => node.type === "final" && node.parent === machine);
  return mapContext(final?.doneData, context, event);
}

/** A function, or an object of values and functions; anything else maps to nothing. */
export function mapContext(mapper: unknown, context: unknown, event: MachineEvent): unknown {
  if (isFunction(mapper)) return mapper(context, event);
  if (!isObject(mapper)) return undefined;
  return Object.fromEntries(
    Object.keys(mapper).map((key) => {
      const part = mapper[key];
      return [key, isFunction(part) ? part(context, event) : part];
    }),
  );
}
