/**
 * What history states remember, carried over. XState 5 keeps it by history state, XState 4 by the node whose past it is.
 */

import type { Chart } from "../chart.ts";
import { keyOf } from "../chart.ts";
import type { HistoryEntry, OutlineState, Snapshot, StateValue } from "../frames.ts";
import type { Path } from "./configuration.ts";
import { activePaths, isBelow, leavesOf, nodeAt, valueBelow } from "./configuration.ts";

/** The last states below `owner`. `state` is the history state, where that is known. */
export interface Memory {
  readonly owner: string[];
  readonly state?: string[];
  /** Paths from the root. */
  readonly nodes: string[][];
}

/** A memory, and where the migration leads what is remembered. */
export interface MappedMemory extends Memory {
  readonly mapped: string[][];
}

export function memoriesOf(history: Snapshot["history"] = []): Memory[] {
  return history.map((entry) =>
    "nodes" in entry
      ? { owner: entry.path.slice(0, -1), state: entry.path, nodes: entry.nodes }
      : { owner: entry.path, nodes: leavesOf(entry.value, entry.path) }
  );
}

export class HistoryPlan {
  readonly #used = new Set<Memory>();
  readonly #chart: Chart;
  readonly #memories: readonly MappedMemory[];

  constructor(chart: Chart, memories: readonly MappedMemory[]) {
    this.#chart = chart;
    this.#memories = memories;
  }

  /** For XState 5. Throws where a history state of the new version would lead to a state that it does not have. */
  byState(): HistoryEntry[] {
    const found = this.#chart.historyStates().flatMap(({ path, deep }) => {
      const memory = this.#find(path.slice(0, -1), path);
      if (!memory) return [];
      const nodes = this.#existing(memory).map((node) => deep ? node : node.slice(0, path.length));
      return [{ memory, entry: { path, nodes: distinct(nodes) } }];
    });
    // In the order in which they were remembered.
    const order = ({ memory }: { memory: MappedMemory }) => this.#memories.indexOf(memory);
    return found.toSorted((a, b) => order(a) - order(b)).map(({ entry }) => entry);
  }

  /** For XState 4, which asks for the ancestors of history states too. Throws as `byState` does. */
  byOwner(value: StateValue): HistoryEntry[] {
    const owners = distinct(this.#chart.historyStates().map(({ path }) => path.slice(0, -1)));
    const remembered = owners.flatMap((owner) => {
      const memory = this.#find(owner);
      return memory ? [{ owner, nodes: this.#existing(memory) }] : [];
    });
    const entry = ({ owner, nodes }: { owner: string[]; nodes: string[][] }) => ({
      path: owner,
      value: valueBelow(nodeAt(this.#chart, owner), nodes),
    });
    const active = new Set(activePaths(value).map(keyOf));
    const above = remembered.flatMap(({ owner, nodes }) =>
      owner.map((_, depth) => ({ owner: owner.slice(0, depth), nodes }))
    ).filter(({ owner }) => !active.has(keyOf(owner)) && !owners.some((it) => isSame(it, owner)));
    const once = new Map(above.toReversed().map((it) => [keyOf(it.owner), it]));
    return [...[...once.values()].map((it) => entry(this.#own(it))), ...remembered.map(entry)]
      .toSorted((a, b) => this.#position(a.path) - this.#position(b.path));
  }

  /** Memories that no history state of the new version takes up, by their owners. Ancestors that XState 4 keeps along do not count. */
  lost(states: readonly OutlineState[] | undefined): string[][] {
    const isRemembered = ({ owner, state }: Memory) =>
      state !== undefined ||
      states?.some(({ type, path }) => type === "history" && isSame(path.slice(0, -1), owner));
    // Several history states of one node remember the same.
    const used = new Set([...this.#used].map(({ owner }) => keyOf(owner)));
    const owners = this.#memories.filter(isRemembered).map(({ owner }) => owner);
    return distinct(owners.filter((owner) => !used.has(keyOf(owner))));
  }

  /** An ancestor's own memory, where it has one. */
  #own({ owner, nodes }: { owner: string[]; nodes: string[][] }) {
    const memory = this.#find(owner);
    return { owner, nodes: memory ? this.#existing(memory) : nodes };
  }

  #position(path: Path): number {
    return this.#chart.states.findIndex((state) => isSame(state.path, path));
  }

  /** The memory that fits best: of the same history state, of the same node, or as far above what is remembered. */
  #find(owner: Path, state?: Path): MappedMemory | undefined {
    const fitting = this.#memories.filter(({ mapped }) =>
      mapped.length > 0 && mapped.every((path) => isBelow(path, owner))
    );
    const memory = fitting.find((it) => state && it.state && isSame(it.state, state)) ??
      longest(fitting.filter((it) => isSame(it.owner, owner))) ??
      longest(fitting.filter((it) => heightOf(it.nodes, it.owner) === heightOf(it.mapped, owner)));
    if (memory) this.#used.add(memory);
    return memory;
  }

  #existing({ mapped }: MappedMemory): string[][] {
    for (const path of mapped) nodeAt(this.#chart, path);
    return mapped;
  }
}

function longest(memories: MappedMemory[]): MappedMemory | undefined {
  return memories.toSorted((a, b) => b.nodes.flat().length - a.nodes.flat().length)[0];
}

function heightOf(nodes: readonly Path[], owner: Path): number {
  return nodes[0]!.length - owner.length;
}

function isSame(a: Path, b: Path): boolean {
  return keyOf(a) === keyOf(b);
}

function distinct(paths: string[][]): string[][] {
  return [...new Map(paths.map((path) => [keyOf(path), path])).values()];
}
