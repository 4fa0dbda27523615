/**
 * On whose behalf code is running. Every piece of author code runs inside an `Activity`, and what it starts (promises, timers,
 * children) stays in it: logs and errors find their instance, and the gate knows whether a step is still undecided.
 */

import type { AsyncLocalStorage } from "node:async_hooks";
import type { PendingStep } from "./pending_step.ts";

export interface Activity {
  /** The server's number of the instance, null while the module is loaded. */
  readonly i: number | null;
  /** The step that is being decided, or was when this code started; null where performing is allowed. */
  readonly step: PendingStep | null;
  readonly budget: LogBudget;
}

/** Bytes of logs that may still be written. */
export interface LogBudget {
  left: number;
}

const { AsyncLocalStorage: Storage } = process.getBuiltinModule("node:async_hooks");
const storage: AsyncLocalStorage<Activity> = new Storage<Activity>();

export function runAs<A extends unknown[], R>(
  activity: Activity,
  work: (...args: A) => R,
  ...args: A
): R {
  return storage.run(activity, work, ...args);
}

export function currentActivity(): Activity | undefined {
  return storage.getStore();
}
