/**
 * Which of the new active state nodes go on with what an old one began.
 *
 * A migration maps leaves only. What is above them is paired from the root as long as the keys are the same, and the rest from the
 * leaf up: a state that was renamed, or wrapped into another, is still itself.
 */

import { keyOf } from "../chart.ts";
import type { Path } from "./configuration.ts";

export class Survivors {
  readonly #oldOf = new Map<string, string[][]>();
  readonly #newOf = new Map<string, string[][]>();

  constructor(before: readonly Path[], after: readonly Path[]) {
    before.forEach((leaf, n) => this.#pairLeaf(leaf, after[n]!));
  }

  /** The old nodes that this new one continues; none where it is newly entered. */
  oldOf(path: Path): string[][] {
    return this.#oldOf.get(keyOf(path)) ?? [];
  }

  /** The new nodes that continue this old one; none where it vanished. */
  newOf(path: Path): string[][] {
    return this.#newOf.get(keyOf(path)) ?? [];
  }

  #pairLeaf(before: Path, after: Path) {
    const shorter = Math.min(before.length, after.length);
    let same = 0;
    while (same < shorter && before[same] === after[same]) same++;
    for (let depth = 0; depth <= same; depth++) this.#pair(before, depth, after, depth);
    for (let height = 0; height < shorter - same; height++) {
      this.#pair(before, before.length - height, after, after.length - height);
    }
  }

  #pair(before: Path, beforeDepth: number, after: Path, afterDepth: number) {
    const from = before.slice(0, beforeDepth);
    const to = after.slice(0, afterDepth);
    add(this.#oldOf, to, from);
    add(this.#newOf, from, to);
  }
}

function add(pairs: Map<string, string[][]>, from: string[], to: string[]) {
  const known = pairs.get(keyOf(from)) ?? [];
  if (known.some((path) => keyOf(path) === keyOf(to))) return;
  pairs.set(keyOf(from), [...known, to]);
}
