/**
 * The children in a snapshot, as far as the new version can go on with them.
 *
 * An instance is upgraded only when it has settled, so these are idle machines and reducers, and stand-ins for what is over.
 */

import type { Chart, ChartNode } from "../chart.ts";
import type { Child, OutlineState } from "../frames.ts";

type Children = { [id: string]: Child };

export interface KeptChildren {
  readonly children: Children;
  /** Ids of those that could have gone on and cannot any more. */
  readonly lost: string[];
}

export interface ChildrenBasis {
  readonly chart: Chart;
  readonly active: readonly ChartNode[];
  /** The old version's, where they are known. */
  readonly states: readonly OutlineState[] | undefined;
  /** Another major of XState cannot read what this one wrote. */
  readonly isSameMajor: boolean;
}

export function keepChildren(basis: ChildrenBasis, children: Children = {}): KeptChildren {
  const entries = Object.entries(children);
  const isKept = ([id, child]: [string, Child]) => keeps(basis, id, child);
  return {
    children: Object.fromEntries(entries.filter(isKept)),
    lost: entries.filter((entry) => !isKept(entry) && couldGoOn(entry[1])).map(([id]) => id),
  };
}

function keeps({ chart, active, states, isSameMajor }: ChildrenBasis, id: string, child: Child) {
  const invokes = (state: OutlineState) => state.invokes?.includes(id) === true;
  // Invoked: it lives as long as its state is active.
  const isInvoked = chart.states.some(invokes) || states?.some(invokes) === true;
  if (isInvoked && !active.some(invokes)) return false;
  // An instance of its own: it does not matter who calls it a child.
  if (child.kind === "instance" || child.snapshot === undefined) return true;
  return isSameMajor && child.src !== undefined && chart.implementation.hasSource(child.src);
}

function couldGoOn(child: Child): boolean {
  return child.kind === "instance" || child.snapshot !== undefined;
}

/** Of XState 4: what runs is what ran before and belongs to a state that is active still. Nothing is started. */
export function keepActivities(
  active: readonly ChartNode[],
  activities: { [id: string]: unknown } = {},
): string[] {
  const known = new Set(active.flatMap(({ invokes = [] }) => invokes));
  return Object.keys(activities).filter((id) => known.has(id));
}
