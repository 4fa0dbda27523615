/**
 * The `console` of author code: what it prints becomes log lines of the instance on whose behalf it runs.
 *
 * Installed before XState is evaluated, since that binds `console.log` for its own `log` action.
 */

import { currentActivity } from "./activity.ts";
import { describeError, tidyOutput } from "./errors.ts";
import type { Logs } from "./logs.ts";

/** Deno's own console on another printer, so that formatting, tables, groups and `%s` are what authors know. */
type ConsoleClass = new (print: (text: string, level: number) => void) => Console;

// Above this level Deno's console writes to stderr.
const INFO = 1;

export function installConsole(logs: Logs) {
  const internals = (Deno as unknown as Record<symbol, { Console: ConsoleClass }>)[
    (Deno as unknown as { internal: symbol }).internal
  ]!;
  const console = new internals.Console((text, level) => {
    logs.write(currentActivity(), level > INFO ? 2 : 1, tidyOutput(text));
  });
  console.clear = () => {};
  for (const [name, method] of Object.entries(console)) {
    if (typeof method === "function") Object.assign(console, { [name]: tolerant(method) });
  }
  Object.defineProperty(globalThis, "console", {
    value: console,
    writable: true,
    enumerable: false,
    configurable: true,
  });

  /** A value may say itself how it is shown, and that may throw: printing must not fail an event. */
  function tolerant(method: (...args: unknown[]) => void) {
    return (...args: unknown[]) => {
      try {
        method.apply(console, args);
      } catch (error) {
        const text = `(a value could not be printed: ${describeError(error).message})`;
        logs.write(currentActivity(), 2, text);
      }
    };
  }
}
