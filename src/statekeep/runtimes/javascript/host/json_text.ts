/**
 * JSON of what author code made: events on their way to the journal.
 */

import { exceedsBytes, stringify } from "./natives.ts";
import type { MachineEvent } from "./frames.ts";

/**
 * The event as JSON. Whatever has none is replaced by the nearest thing that has, since the event has happened: the machine gets the
 * object itself, and this only after a restart. `warn` is told.
 */
export function eventText(event: MachineEvent, bytesMax: number, warn: (text: string) => void) {
  let text: string;
  try {
    text = stringify(event, plainError);
  } catch {
    warn(`The event "${event.type}" is no JSON: it was recorded without what cannot be written`);
    text = stringify(plain(event, []));
  }
  if (!exceedsBytes(text, bytesMax)) return text;
  warn(`The event "${event.type}" is too large: only its type was recorded`);
  return stringify({ type: event.type });
}

function plainError(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const { name, message, stack } = value;
  return { ...value, name, message, stack };
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
