/**
 * The socket to the server: lines in, lines out.
 *
 * Lines are collected and written together. A caller that is about to run for long asks `isOverdue` and flushes first, so that
 * what was answered is known even if the process dies.
 */

import { encode, native, steadyNow } from "./natives.ts";

export interface Connection {
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
}

// A caller may compute this long on top of an answer that has not left.
const UNFLUSHED_MS_MAX = 1;
const READ_BYTES = 65_536;

export class Channel {
  readonly #connection: Connection;
  #unsent = "";
  #unsentSince = 0;
  #writing: Promise<void> = Promise.resolve();
  #isFlushScheduled = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  send(frame: string) {
    if (this.#unsent === "") this.#unsentSince = steadyNow();
    this.#unsent += frame + "\n";
    this.#scheduleFlush();
  }

  get isOverdue(): boolean {
    return this.#unsent !== "" && steadyNow() - this.#unsentSince > UNFLUSHED_MS_MAX;
  }

  /** Resolves when everything that was sent before has been taken by the kernel. */
  flush(): Promise<void> {
    if (this.#unsent !== "") {
      const bytes = encode(this.#unsent);
      this.#unsent = "";
      this.#writing = this.#writing.then(() => this.#writeAll(bytes));
    }
    return this.#writing;
  }

  /** Each frame as it comes, until the server closes. Waits for `handle` where that answers with a promise. */
  async receive(handle: (frame: string) => void | Promise<void>) {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(READ_BYTES);
    let rest = "";
    for (;;) {
      const count = await this.#connection.read(buffer);
      if (count === null) return;
      const lines = (rest + decoder.decode(buffer.subarray(0, count), { stream: true })).split(
        "\n",
      );
      rest = lines.pop()!;
      for (const line of lines) {
        const unfinished = handle(line);
        if (unfinished) await unfinished;
      }
      await this.flush();
    }
  }

  // For what is sent between requests. While requests are handled, the end of the chunk flushes.
  #scheduleFlush() {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    native.queueMicrotask(() => {
      this.#isFlushScheduled = false;
      this.flush();
    });
  }

  async #writeAll(bytes: Uint8Array) {
    for (let done = 0; done < bytes.length;) {
      done += await this.#connection.write(bytes.subarray(done));
    }
  }
}
