/**
 * Delays of the root machine, which the server keeps.
 */

import type { TimerOp } from "../frames.ts";
import type { Definition } from "./definition.ts";
import type { SendAction } from "./types.ts";

/** A hundred years: whoever waits for ever gets this. */
const DELAY_MAX_MS = 100 * 365.25 * 24 * 3600 * 1000;

/**
 * XState remembers a timer by its id only where that is not empty; others cannot be cancelled. `set: ""` is such a timer.
 */
export function setTimer(
  { id, delay, _event }: SendAction,
  { delays }: Definition,
  warn: (text: string) => void,
): TimerOp {
  const after = delays.get(_event.name);
  const op: TimerOp = {
    set: id ? String(id) : "",
    delay: usableDelay(delay as number, _event.name, warn),
    event: _event.data,
  };
  return after === undefined ? op : { ...op, after };
}

function usableDelay(delay: number, name: string, warn: (text: string) => void): number {
  if (delay >= 0 && delay <= DELAY_MAX_MS) return delay;
  const usable = delay > DELAY_MAX_MS ? DELAY_MAX_MS : 0;
  warn(`the delay of event "${name}" is ${delay} ms, taken as ${usable} ms`);
  return usable;
}
