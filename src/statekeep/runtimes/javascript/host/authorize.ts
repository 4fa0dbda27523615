/**
 * The author's authorisers. Anything but `true` denies, a throw and a promise included.
 */

import { currentActivity } from "./activity.ts";
import type { Logs } from "./logs.ts";

export type Authorizer = (question: Record<string, unknown>) => unknown;

export function isAllowed(
  name: "allowRead" | "allowWrite",
  authorizer: Authorizer,
  question: Record<string, unknown>,
  logs: Logs,
): boolean {
  try {
    const answer = authorizer(question);
    if (answer === true) return true;
    if (answer instanceof Promise) {
      answer.catch(() => {}); // denied already, and nobody waits for it
      logs.write(
        currentActivity(),
        2,
        `${name} returned a promise, which denies: it has to return true or false`,
      );
    }
  } catch (error) {
    logs.error(currentActivity(), `${name} failed, which denies`, error);
  }
  return false;
}
