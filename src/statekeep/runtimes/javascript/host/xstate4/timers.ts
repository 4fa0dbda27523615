/**
 * Delays of the root machine, which the server keeps.
 */

import type { TimerOp } from "../frames.ts";
import type { Definition } from "./definition.ts";
import type { SendAction } from "./types.ts";

/**
 * XState remembers a timer by its id only where that is not empty; others cannot be cancelled. `set: ""` is such a timer. Of several with
 * one id, `cancel` reaches the newest.
 */
export function setTimer({ id, delay, _event }: SendAction, { delays }: Definition): TimerOp {
  const after = delays.get(_event.name);
  const op: TimerOp = {
    set: id ? String(id) : "",
    delay: delay as number,
    event: _event.data,
  };
  return after === undefined ? op : { ...op, after };
}
