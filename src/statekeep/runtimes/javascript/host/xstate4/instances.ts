/**
 * The persistent children of an instance: by which id it knows which other instance. As immutable as a snapshot, so that a step can be undone.
 */

import type { Address, Child, JsonObject } from "../frames.ts";
import { contextOf, recordedAddress, recordOf } from "../persistent.ts";
import { isFunction, isObject, type ScxmlEvent } from "./types.ts";

export type InstancesMark = ReadonlyMap<string, Address>;

export class Instances {
  #byId: InstancesMark = new Map();

  find(id: unknown): Address | undefined {
    return this.#byId.get(String(id));
  }

  add(id: string, address: Address): void {
    this.#byId = new Map(this.#byId).set(id, address);
  }

  /** Whether there was one. */
  remove(id: string): boolean {
    if (!this.#byId.has(id)) return false;
    this.#byId = new Map([...this.#byId].filter(([other]) => other !== id));
    return true;
  }

  mark(): InstancesMark {
    return this.#byId;
  }

  rollBack(mark: InstancesMark): void {
    this.#byId = mark;
  }

  /** Those of a snapshot; the other children are not ours. */
  restore(children: { [id: string]: Child } = {}): void {
    const found = Object.entries(children).flatMap(([id, child]): [string, Address][] => {
      const address = recordedAddress(child);
      return address ? [[id, address]] : [];
    });
    this.#byId = new Map(found);
  }

  records(): [string, Child][] {
    return [...this.#byId].map(([id, address]) => [id, recordOf(address)]);
  }
}

/** The `data` of an invocation, as XState maps it: an expression, or an object of values and expressions. */
export function invokedContext(
  data: unknown,
  context: unknown,
  { data: event }: ScxmlEvent,
): JsonObject {
  if (isFunction(data)) return contextOf(data(context, event));
  if (!isObject(data)) return {};
  const mapped = Object.entries(data).map(([key, value]) => [
    key,
    isFunction(value) ? value(context, event) : value,
  ]);
  return contextOf(Object.fromEntries(mapped));
}
