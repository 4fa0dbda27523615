/**
 * A machine's definition, alike for both majors: as much of it as is needed to find a place in it for an instance of another version.
 */

import type { After, OutlineState } from "./frames.ts";
import { stringify } from "./natives.ts";

/** What only the driver of a major knows. */
export interface Implementation {
  /** The type of the event of a delayed transition, which is the id of its timer too. */
  eventOf(after: After): string;
  /** Milliseconds, as the machine works them out now. Throws what the author's code throws, and where there is no such delay. */
  delayOf(after: After, context: unknown): number;
  /** Can a child be made again whose source has this name? */
  hasSource(src: string): boolean;
}

export interface ChartNode extends OutlineState {
  readonly key: string;
  /** Without history states. */
  readonly children: Map<string, ChartNode>;
}

export class Chart {
  readonly root: ChartNode;
  readonly #nodes = new Map<string, ChartNode>();

  /** `states` in document order, the root first. */
  constructor(readonly states: readonly OutlineState[], readonly implementation: Implementation) {
    for (const state of states) this.#add(state);
    this.root = this.#nodes.get(keyOf([]))!;
  }

  /** The state node at a path; history states are none. */
  at(path: readonly string[]): ChartNode | undefined {
    return this.#nodes.get(keyOf(path));
  }

  /** In document order. */
  nodes(): Iterable<ChartNode> {
    return this.#nodes.values();
  }

  historyStates(): OutlineState[] {
    return this.states.filter((state) => state.type === "history");
  }

  #add(state: OutlineState) {
    if (state.type === "history") return;
    const key = state.path.at(-1) ?? "";
    const node: ChartNode = { ...state, key, children: new Map() };
    this.#nodes.set(keyOf(state.path), node);
    if (state.path.length > 0) this.at(state.path.slice(0, -1))!.children.set(key, node);
  }
}

/** A path as the key of a map. */
export function keyOf(path: readonly string[]): string {
  return stringify(path);
}

export function isLeaf({ type }: ChartNode): boolean {
  return type === "atomic" || type === "final";
}
