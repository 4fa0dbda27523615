/**
 * JSON of what author code made: events on their way to the journal.
 */

import { errorText, HostError } from "./errors.ts";
import type { JsonBounds, MachineEvent } from "./frames.ts";
import { exceedsBytes, isNestedDeeper, stringify } from "./natives.ts";

/** Throws where JSON is more than the server keeps. `what` is the beginning of a sentence. */
export function requireBounds(text: string, { bytes, depth }: JsonBounds, what: string) {
  if (exceedsBytes(text, bytes)) {
    throw new HostError("context-too-large", `${what} would be larger than ${bytes} bytes of JSON`);
  }
  if (isNestedDeeper(text, depth)) {
    throw new HostError("context-too-large", `${what} would be nested more than ${depth} deep`);
  }
}

/**
 * The event as JSON. Whatever has none is replaced by the nearest thing that has, since the event has happened: the machine gets the
 * object itself, and this only after a restart. `warn` is told.
 */
export function eventText(
  event: MachineEvent,
  { bytes, depth }: JsonBounds,
  warn: (text: string) => void,
) {
  let text: string;
  try {
    text = stringify(event, plainError);
  } catch {
    warn(`The event "${event.type}" is no JSON: it was recorded without what cannot be written`);
    text = stringify(plain(event, []));
  }
  if (!exceedsBytes(text, bytes) && !isNestedDeeper(text, depth)) return text;
  warn(`The event "${event.type}" is too large: only its type was recorded`);
  return stringify({ type: event.type });
}

function plainError(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const { name, message } = value;
  return { ...value, name, message, stack: errorText(value) };
}

function plain(value: unknown, above: unknown[]): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (above.includes(value)) return "(circular)";
  try {
    return plainCopy(value, [...above, value]);
  } catch {
    return "(unreadable)";
  }
}

function plainCopy(value: object, above: unknown[]): unknown {
  if (Array.isArray(value)) return value.map((inner) => plain(inner, above));
  if ("toJSON" in value && typeof value.toJSON === "function") return plain(value.toJSON(), above);
  const entries = Object.entries(plainError("", value) as object);
  return Object.fromEntries(entries.map(([key, inner]) => [key, plain(inner, above)]));
}
