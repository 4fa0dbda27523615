/**
 * The context of a new instance: what the caller gave is the machine's `input`, and merged over its context where it does not take input.
 */

import type { JsonObject } from "../frames.ts";
import type { Machine } from "./shapes.ts";

type Factory = (args: Record<string, unknown>) => unknown;

export class InitialContext {
  /** What the caller gave, while an instance is being made and its own context has not been asked for. */
  #given: JsonObject | null = null;

  /** Changes `machine` once: from now on its context comes from here. */
  constructor(machine: Machine) {
    const own = machine.config.context;
    machine.config.context = (args: Record<string, unknown>) => {
      // Only the root's: the machine may also be a child of itself.
      const given = this.#given;
      this.#given = null;
      return given ? contextFor(own, args, given) : evaluate(own, args);
    };
  }

  during<T>(given: JsonObject, make: () => T): T {
    this.#given = given;
    try {
      return make();
    } finally {
      this.#given = null;
    }
  }
}

function contextFor(own: unknown, args: Record<string, unknown>, given: JsonObject): unknown {
  let takesInput = false;
  const { input, ...rest } = args;
  Object.defineProperty(rest, "input", {
    enumerable: true,
    get() {
      takesInput = true;
      return input;
    },
  });
  const context = evaluate(own, rest);
  return takesInput ? context : { ...context as object, ...given };
}

function evaluate(own: unknown, args: Record<string, unknown>): unknown {
  return typeof own === "function" ? (own as Factory)(args) : copy(own ?? {});
}

/** Instances must not share what they may change. What is neither a list nor a plain object cannot survive as JSON anyway. */
function copy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copy);
  if (typeof value !== "object" || value === null) return value;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, copy(inner)]));
}
