/**
 * How the children will be once all that is decided has been performed. A step is answered, and its children are counted, before its
 * effects run; and a machine that sends to itself takes further steps before they run.
 */

import type { ChildKind } from "../frames.ts";
import type { ActorRef } from "./types.ts";

export interface Prospect {
  kind: ChildKind;
  due: boolean;
}

interface Change {
  readonly id: string;
  /** What the child becomes: gone, or started, or due because something is sent to it later. */
  readonly to: "gone" | "due" | Prospect;
  readonly more: StartDetails;
  isDone: boolean;
}

export interface StartDetails {
  /** It gets all events of the machine. */
  readonly isForwardedTo?: boolean;
  /** What stands for it until it runs. */
  readonly ref?: ActorRef;
}

/** A moment to return to. */
export type PendingMark = readonly Change[];

export class PendingChanges {
  #changes: Change[] = [];

  /** Returns what to call when the change is being made. */
  add(id: string, to: Change["to"], more: StartDetails = {}): () => void {
    const change: Change = { id, to, more, isDone: false };
    this.#changes.push(change);
    return () => {
      change.isDone = true;
      this.#changes = this.#changes.filter((other) => other !== change);
    };
  }

  startsAnyForwardedTo(): boolean {
    return this.#changes.some((change) => change.more.isForwardedTo);
  }

  refOf(id: string): ActorRef | undefined {
    return this.#changes.findLast((change) => change.id === id)?.more.ref;
  }

  delaysAnySend(): boolean {
    return this.#changes.some((change) => change.to === "due");
  }

  /** Will there be a child of this id, as far as it was decided here? */
  starts(id: string): boolean {
    return this.#changes.some((change) => change.id === id && typeof change.to === "object");
  }

  *startedIds(): Generator<string> {
    for (const { id, to } of this.#changes) if (typeof to === "object") yield id;
  }

  /** Apply the changes to the children as they are. */
  applyTo<C extends Prospect>(children: Map<string, C | Prospect>): void {
    for (const { id, to } of this.#changes) {
      if (to === "gone") children.delete(id);
      else if (typeof to === "object") children.set(id, to);
      else makeDue(children, id);
    }
  }

  mark(): PendingMark {
    return [...this.#changes];
  }

  /** Forget what was decided since then, and do not bring back what has been done since. */
  rollBack(mark: PendingMark): void {
    this.#changes = mark.filter((change) => !change.isDone);
  }
}

function makeDue(children: Map<string, Prospect>, id: string): void {
  const child = children.get(id);
  if (child !== undefined) children.set(id, { kind: child.kind, due: true });
}
