/**
 * Time in the host: for delays of child machines, and for delayed sends to children. They end with the child; the root's own timers
 * are the server's.
 */

import type { Clock } from "./types.ts";

type Timer = ReturnType<typeof globalThis.setTimeout>;

/** Knows whether anything is pending. */
export class CountingClock implements Clock {
  readonly #pending = new Set<Timer>();

  constructor(private readonly changed: () => void) {}

  get isPending(): boolean {
    return this.#pending.size > 0;
  }

  setTimeout(run: () => void, delay: number): Timer {
    const timer = globalThis.setTimeout(() => {
      this.#pending.delete(timer);
      try {
        run();
      } finally {
        this.changed();
      }
    }, delay);
    this.#pending.add(timer);
    this.changed();
    return timer;
  }

  clearTimeout(timer: unknown): void {
    globalThis.clearTimeout(timer as Timer | undefined);
    if (this.#pending.delete(timer as Timer)) this.changed();
  }

  clear(): void {
    for (const timer of this.#pending) globalThis.clearTimeout(timer);
    this.#pending.clear();
  }
}
