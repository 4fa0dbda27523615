/**
 * What guards throw. XState, 4 as well as 5, throws an error of its own in its place, which has the message of the first and nothing else: whose stack it
 * is that leads to the author's line has to be kept beside.
 */

export type Guard = (...args: unknown[]) => unknown;

/** What a guard has thrown last. Steps are synchronous, so that nothing comes between this and the error of XState's. */
let thrown: unknown;

const noting = new WeakMap<Guard, Guard>();

/** The guard, under its name, that keeps what it throws. The same for the same guard, or for one that does so already. */
export function notingErrors(guard: Guard): Guard {
  const known = noting.get(guard);
  if (known !== undefined) return known;
  const noted: Guard = (...args) => {
    try {
      return guard(...args);
    } catch (error) {
      thrown = error;
      throw error;
    }
  };
  Object.defineProperty(noted, "name", { value: guard.name });
  noting.set(guard, noted).set(noted, noted);
  return noted;
}

/** The error of a guard in whose place XState has thrown this one, or the error itself. */
export function originOf(error: Error): Error {
  return thrown instanceof Error && error.message.startsWith("Unable to evaluate guard") &&
      error.message.endsWith(`:\n${thrown.message}`)
    ? thrown
    : error;
}
