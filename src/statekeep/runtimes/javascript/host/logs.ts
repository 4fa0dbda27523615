/**
 * Log lines on their way to the server, bounded per instance and occasion.
 */

import type { Activity, LogBudget } from "./activity.ts";
import { errorText } from "./errors.ts";
import { exceedsBytes, now, stringify, wellFormed } from "./natives.ts";

export class Logs {
  readonly #send: (frame: string) => void;
  readonly #unattributed: LogBudget;

  constructor(send: (frame: string) => void, readonly bytesPerOccasion: number) {
    this.#send = send;
    this.#unattributed = this.newBudget();
  }

  newBudget(): LogBudget {
    return { left: this.bytesPerOccasion };
  }

  /** Allow as much again: something new happens. */
  refill(budget: LogBudget) {
    budget.left = this.bytesPerOccasion;
  }

  refillUnattributed() {
    this.refill(this.#unattributed);
  }

  write(activity: Activity | undefined, stream: 1 | 2, text: string) {
    const budget = activity?.budget ?? this.#unattributed;
    if (budget.left <= 0) return;
    const line = text.endsWith("\n") ? text.slice(0, -1) : text;
    if (exceedsBytes(line, budget.left)) {
      // Cut by characters: a few bytes more do no harm.
      this.#frame(activity?.i ?? null, stream, line.slice(0, budget.left));
      this.#frame(
        activity?.i ?? null,
        2,
        "(further output is dropped: the limit for one occasion is reached)",
      );
      budget.left = 0;
      return;
    }
    budget.left -= line.length + 1;
    this.#frame(activity?.i ?? null, stream, line);
  }

  error(activity: Activity | undefined, what: string, error: unknown) {
    this.write(activity, 2, `${what}: ${errorText(error)}`);
  }

  #frame(i: number | null, stream: 1 | 2, text: string) {
    const quoted = stringify(wellFormed(text));
    this.#send(`{"op":"log","i":${i},"stream":${stream},"ts":${now()},"text":${quoted}}`);
  }
}
