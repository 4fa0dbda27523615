/**
 * Delays that a server can keep.
 */

import type { TimerOp } from "./frames.ts";

const DELAY_MS_MAX = 100 * 365.25 * 24 * 60 * 60 * 1000;

/** A delay that is no number of the future becomes none, one beyond a century a century. `warn` is told. */
export function boundedTimer(timer: TimerOp, warn: (text: string) => void): TimerOp {
  if (!("delay" in timer) || timer.delay === undefined) return timer;
  const delay = boundedDelay(timer.delay);
  if (delay === timer.delay) return timer;
  warn(`The delay of "${timer.event.type}" was ${timer.delay} ms and was taken as ${delay} ms`);
  return { ...timer, delay };
}

function boundedDelay(delay: number): number {
  if (delay > DELAY_MS_MAX) return DELAY_MS_MAX;
  return delay >= 0 ? delay : 0;
}
