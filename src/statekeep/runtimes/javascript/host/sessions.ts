/**
 * The sessions of a host, the least recently used first. Those with live children, or with something decided and not performed, cannot be
 * forgotten, whatever the bounds say.
 */

import type { Limits } from "./frames.ts";
import type { Session } from "./session.ts";

// Snapshot and context as text, and the live objects made of it: a rough measure is enough to bound memory.
const BYTES_PER_CHARACTER = 6;
const BYTES_PER_SESSION = 4_000;

// How many are forgotten together, as a share of all: a Map looks for its first entry in the places of all that were deleted before it.
const FORGOTTEN_AT_ONCE = 1 / 16;

export class Sessions {
  readonly #byInstance = new Map<number, { session: Session; bytes: number }>();
  #bytes = 0;
  readonly #limits: Pick<Limits, "sessions" | "sessionBytes">;

  constructor(limits: Pick<Limits, "sessions" | "sessionBytes">) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#byInstance.size;
  }

  get(i: number): Session | undefined {
    return this.#byInstance.get(i)?.session;
  }

  /** `session` was just used: it is the newest, and others may have to go. */
  put(session: Session) {
    this.#take(session.i);
    const bytes = BYTES_PER_SESSION + session.text.length * BYTES_PER_CHARACTER;
    this.#byInstance.set(session.i, { session, bytes });
    this.#bytes += bytes;
    if (this.#isFull) this.#forgetOld(session);
  }

  forget(i: number) {
    this.#take(i)?.dispose();
  }

  #take(i: number): Session | undefined {
    const entry = this.#byInstance.get(i);
    if (!entry) return undefined;
    this.#byInstance.delete(i);
    this.#bytes -= entry.bytes;
    return entry.session;
  }

  get #isFull(): boolean {
    return this.#byInstance.size > this.#limits.sessions || this.#bytes > this.#limits.sessionBytes;
  }

  #forgetOld(newest: Session) {
    let more = Math.floor(this.#byInstance.size * FORGOTTEN_AT_ONCE);
    for (const { session } of this.#byInstance.values()) {
      if (!this.#isFull && more-- <= 0) return;
      if (session !== newest && !session.isPinned) this.forget(session.i);
    }
  }
}
