/**
 * The children of a root, by id.
 *
 * A child that gets the id of one that still runs displaces it. XState goes on listening to the displaced one, but loses it from sight,
 * and when that one ends it forgets the other in its place. Here both are known until each of them has ended or is stopped.
 */

import { traitsOf } from "./children.ts";
import { Tombstone } from "./refs.ts";
import type { ActorRef } from "./types.ts";

export class ChildMap extends Map<string, ActorRef> {
  /** Oldest first. */
  readonly #displaced = new Map<string, ActorRef[]>();

  override set(id: string, actor: ActorRef): this {
    const before = this.get(id);
    if (before !== undefined && before !== actor && !(before instanceof Tombstone)) {
      this.#displaced.set(id, [...this.displacedBy(id), before]);
    }
    return super.set(id, actor);
  }

  /** XState asks for this when a child has ended, or is about to be stopped: a displaced one that is over is the one that is meant. */
  override delete(id: string): boolean {
    const displaced = this.displacedBy(id);
    const ended = displaced.find((actor) => traitsOf(actor).isOver());
    if (ended === undefined) return super.delete(id);
    this.#keepDisplaced(id, displaced.filter((actor) => actor !== ended));
    return true;
  }

  displacedBy(id: string): ActorRef[] {
    return this.#displaced.get(id) ?? [];
  }

  /** Take the displaced ones out. */
  takeDisplaced(id: string): ActorRef[] {
    const displaced = this.displacedBy(id);
    this.#displaced.delete(id);
    return displaced;
  }

  /** Everything that runs, under the id that it was started with. */
  *running(): Generator<[string, ActorRef]> {
    for (const [id, displaced] of this.#displaced) for (const actor of displaced) yield [id, actor];
    yield* this;
  }

  #keepDisplaced(id: string, displaced: ActorRef[]): void {
    if (displaced.length > 0) this.#displaced.set(id, displaced);
    else this.#displaced.delete(id);
  }
}
