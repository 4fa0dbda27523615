/**
 * A step between being decided and being durable, as the gate sees it. Work that author code starts meanwhile is kept here and
 * started on release, or refused when the step is discarded.
 *
 *     deciding -> decided -> released      the server said that it is durable
 *        |           |
 *        |           +-----> discarded     the server gave it up
 *        +-> closed                        nothing was kept and nothing is to be performed, so nobody will ever say that it is
 *        +-> discarded                     it failed or was denied      durable: what comes late is refused
 */

export interface KeptWork {
  start(): void;
  refuse(reason: Error): void;
}

const START_ELSEWHERE =
  "Start such work in an action, or in an invoked or spawned actor: those run when the transition is durable.";

export class PendingStep {
  #state: "deciding" | "decided" | "closed" | "released" | "discarded" = "deciding";
  #kept: KeptWork[] | null = null;

  get hasKept(): boolean {
    return this.#kept !== null;
  }

  get isSettled(): boolean {
    return this.#state !== "deciding";
  }

  get isReleased(): boolean {
    return this.#state === "released";
  }

  /** Start `work` once the step is durable. Throws where that can no longer happen. */
  keep(work: KeptWork, name: string): void {
    if (this.#state === "released") return work.start();
    if (this.#state === "discarded") {
      throw new Error(`${name}: the step that called it was given up.`);
    }
    if (this.#state === "closed") {
      throw new Error(`${name} was called after its step had been decided. ${START_ELSEWHERE}`);
    }
    (this.#kept ??= []).push(work);
  }

  /** For what cannot wait. */
  refuse(name: string): never {
    throw new Error(`${name} is not possible while a step is decided. ${START_ELSEWHERE}`);
  }

  /** Decided. `willPerform`: the server will say when the step is durable. */
  settle(willPerform: boolean): void {
    this.#state = willPerform ? "decided" : "closed";
  }

  /** `onError` hears of what cannot even begin; the rest does. */
  release(onError: (error: unknown) => void): void {
    this.#state = "released";
    const kept = this.#kept;
    this.#kept = null;
    kept?.forEach((work) => {
      try {
        work.start();
      } catch (error) {
        onError(error);
      }
    });
  }

  discard(): void {
    if (this.#state === "released") return;
    this.#state = "discarded";
    const kept = this.#kept;
    this.#kept = null;
    kept?.forEach((work) => work.refuse(new Error("The step that called this was given up.")));
  }
}
