/**
 * Is a value what its JSON says? A context that comes back from the store as something else would break the machine days later, with nothing that
 * points to the migration.
 */

// Before author code could replace them.
const { getPrototypeOf, entries } = Object;
const { isArray } = Array;
const { isFinite } = Number;
const OBJECT = Object.prototype;

/** The first thing in `value` that JSON leaves out or changes, in words, with its place below `name`; undefined where there is none. `value` has no cycles. */
export function whatJsonChanges(value: unknown, name: string): string | undefined {
  if (typeof value === "object" && value !== null) return whatChangesIn(value, name);
  if (typeof value === "number") return isFinite(value) ? undefined : `${name} is ${value}`;
  if (value === undefined) return `${name} is undefined: leave it out, or make it null`;
  const isJson = value === null || typeof value === "string" || typeof value === "boolean";
  return isJson ? undefined : `${name} is a ${typeof value}`;
}

function whatChangesIn(value: object, name: string): string | undefined {
  if (isArray(value)) {
    // By number, as a hole is no entry.
    for (let n = 0; n < value.length; n++) {
      const what = whatJsonChanges(value[n], `${name}[${n}]`);
      if (what !== undefined) return what;
    }
    return undefined;
  }
  const prototype = getPrototypeOf(value);
  if (prototype !== OBJECT && prototype !== null) return whatItIs(value, name);
  for (const [key, inner] of entries(value)) {
    const what = whatJsonChanges(inner, `${name}.${key}`);
    if (what !== undefined) return what;
  }
  return undefined;
}

function whatItIs(value: object, name: string): string {
  const kind: unknown = value.constructor?.name;
  const article = `${name} is a ${typeof kind === "string" && kind ? kind : "object of a class"}`;
  if (value instanceof Date) return `${article}: keep its getTime() or toISOString()`;
  if (value instanceof Map || value instanceof Set) return `${article}: keep its entries in a list`;
  return `${article}: keep a plain object`;
}
