/**
 * What a finished machine leaves.
 */

import { isFunction, isObject, type Machine, type State } from "./types.ts";

/** The `data` of the machine's own final state, as XState's interpreter works it out. */
export function doneData(machine: Machine, { configuration, context, event }: State): unknown {
  const final = configuration.find((node) => node.type === "final" && node.parent === machine);
  const mapper = final?.doneData;
  if (isFunction(mapper)) return mapper(context, event);
  if (!isObject(mapper)) return undefined;
  return Object.fromEntries(
    Object.keys(mapper).map((key) => {
      const part = mapper[key];
      return [key, isFunction(part) ? part(context, event) : part];
    }),
  );
}
