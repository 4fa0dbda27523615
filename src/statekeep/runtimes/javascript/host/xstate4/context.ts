/**
 * The context that an instance begins with.
 */

import type { JsonObject } from "../frames.ts";
import { isObject } from "./types.ts";

/** `own` is shared by all instances of the machine, so it is copied: an assign may mutate what it finds. */
export function mergeContext(own: unknown, given: JsonObject): Record<string, unknown> {
  return { ...(clonePlain(own, new Map()) as Record<string, unknown> | undefined), ...given };
}

/** Copies plain objects and arrays, at any depth. Anything else (functions, actors, instances of classes) stays what it is. */
function clonePlain(value: unknown, copies: Map<unknown, unknown>): unknown {
  if (!isObject(value) || !isPlain(value)) return value;
  const known = copies.get(value);
  if (known !== undefined) return known;
  const copy: Record<string, unknown> | unknown[] = Array.isArray(value) ? [] : {};
  copies.set(value, copy);
  for (const key of Object.keys(value)) {
    // Not an assignment, which would take a key of "__proto__" for the prototype.
    const inner = clonePlain(value[key], copies);
    Object.defineProperty(copy, key, {
      value: inner,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return copy;
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
}
