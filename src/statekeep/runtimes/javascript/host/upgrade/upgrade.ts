/**
 * An instance of another version, carried over to this one.
 *
 * What must stay true: nothing is entered, left or started. The instance is where the migrations say that it is, as if it had always
 * been of this version; a snapshot that this version's machine cannot take up is never answered.
 */

import type { ChartNode } from "../chart.ts";
import { keyOf } from "../chart.ts";
import type { Driver, LiveInstance, Surroundings } from "../driver.ts";
import { failure, HostError } from "../errors.ts";
import type {
  Json,
  JsonBounds,
  Losses,
  MachineEvent,
  OutlineState,
  Snapshot,
  TimerMoves,
  UpgradeRequest,
} from "../frames.ts";
import { requireBounds } from "../json_text.ts";
import { parse, stringify } from "../natives.ts";
import { lastWord } from "../persistent.ts";
import { viewText } from "../replies.ts";
import { boundedTimer } from "../timers.ts";
import { keepActivities, keepChildren } from "./children.ts";
import type { Path } from "./configuration.ts";
import { activePaths, isFinal, leavesOf, nodeAt, valueBelow } from "./configuration.ts";
import { HistoryPlan, memoriesOf } from "./history.ts";
import type { MappedMemory } from "./history.ts";
import type { Migration } from "./migration.ts";
import { Survivors } from "./survivors.ts";
import { TimerPlan } from "./timers.ts";

export type Origin = Pick<UpgradeRequest, "snapshot" | "major" | "states" | "timers">;

export interface Upgraded {
  readonly snapshotText: string;
  readonly viewText: string;
  readonly timers: TimerMoves;
  readonly lost: Losses;
}

/** Throws what the migrations threw, and HostError where they lead nowhere. */
export function upgrade(
  driver: Driver,
  migrations: readonly Migration[],
  origin: Origin,
  surroundings: Surroundings,
  bounds: JsonBounds,
): Upgraded {
  const carried = carry(migrations, origin.snapshot, bounds);
  const plan = new Plan(driver, origin, carried);
  const live = takeUp(driver, surroundings, plan.snapshot);
  try {
    const { text } = live.snapshot();
    const view = viewText(live);
    const timers = plan.timers(live.context, (warning) => surroundings.warn(warning));
    const { parent, status } = origin.snapshot;
    if (live.isDone && parent && status !== "done") timers.started = [lastWord(parent, live)];
    return { snapshotText: text, viewText: view, timers, lost: plan.lost };
  } finally {
    live.dispose();
  }
}

/** Where the migrations lead: each leaf and each remembered state, and the context. */
interface Carried {
  readonly leaves: string[][];
  readonly mapped: string[][];
  readonly memories: MappedMemory[];
  readonly context: Json;
}

function carry(
  migrations: readonly Migration[],
  snapshot: Snapshot,
  bounds: JsonBounds,
): Carried {
  const leaves = leavesOf(snapshot.value);
  const memories = memoriesOf(snapshot.history);
  const all = [...leaves, ...memories.flatMap(({ nodes }) => nodes)];
  let led = new Map(all.map((path) => [keyOf(path), path]));
  let contextText = stringify(snapshot.context);
  for (const migration of migrations) {
    const next = migration.states([...led.values()], contextText);
    const before = leaves.map((leaf) => led.get(keyOf(leaf))!);
    led = new Map([...led].map(([key, path]) => [key, next.get(keyOf(path))!]));
    contextText = migration.context(
      before,
      leaves.map((leaf) => led.get(keyOf(leaf))!),
      contextText,
    );
    requireBounds(contextText, bounds, "The context");
  }
  const follow = (path: Path) => led.get(keyOf(path))!;
  return {
    leaves,
    mapped: leaves.map(follow),
    memories: memories.map((memory) => ({ ...memory, mapped: memory.nodes.map(follow) })),
    context: parse(contextText),
  };
}

class Plan {
  readonly snapshot: Snapshot;
  readonly lost: Losses;
  readonly #active: ChartNode[];
  readonly #timers: TimerPlan;
  readonly #states: OutlineState[] | undefined;

  constructor(driver: Driver, origin: Origin, { leaves, mapped, memories, context }: Carried) {
    const { chart, major } = driver;
    const { snapshot, states, timers } = origin;
    for (const path of mapped) nodeAt(chart, path);
    const value = valueBelow(chart.root, mapped);
    const paths = new Set(activePaths(value).map(keyOf));
    const survivors = new Survivors(leaves, mapped);
    const history = new HistoryPlan(chart, memories);
    const entries = major === 5 ? history.byState() : history.byOwner(value);
    this.#states = states;
    this.#active = [...chart.nodes()].filter(({ path }) => paths.has(keyOf(path)));
    this.#timers = new TimerPlan(chart, survivors, timers);
    const isSameMajor = major === origin.major;
    const kept = keepChildren(
      { chart, active: this.#active, states, isSameMajor },
      snapshot.children,
    );
    this.lost = { children: kept.lost, history: history.lost(states) };
    this.snapshot = {
      value,
      context,
      ...outcome(isFinal(chart.root, value), snapshot),
      ...(entries.length > 0 && { history: entries }),
      ...(Object.keys(kept.children).length > 0 && { children: kept.children }),
      ...(major === 4 ? this.#ofXState4(snapshot, isSameMajor) : this.#order(origin, survivors)),
    };
  }

  timers(context: unknown, warn: (text: string) => void): TimerMoves {
    const moves = this.#timers.moves(this.#active, this.#states, context);
    const started = moves.started.map((timer) => boundedTimer(timer, warn) as typeof timer);
    return { ...moves, started };
  }

  #ofXState4({ activities, event }: Snapshot, isSameMajor: boolean): Partial<Snapshot> {
    const running = keepActivities(this.#active, activities);
    const last: MachineEvent | undefined = isSameMajor ? event : { type: "statebacked.upgrade" };
    return {
      ...(running.length > 0 &&
        { activities: Object.fromEntries(running.map((id) => [id, true])) }),
      ...(last && { event: last }),
    };
  }

  /** Survivors in the order in which they were entered, then what is new. */
  #order({ snapshot, states }: Origin, survivors: Survivors): Partial<Snapshot> {
    if (!snapshot.order || !states) return {};
    const active = new Set(activePaths(snapshot.value).map(keyOf));
    const before = states.filter(({ path }) => active.has(keyOf(path)));
    const entered = snapshot.order.flatMap((position) =>
      survivors.newOf(before[position]?.path ?? [])
    );
    const positions = new Map(this.#active.map(({ path }, n) => [keyOf(path), n]));
    const kept = entered.flatMap((path) => positions.get(keyOf(path)) ?? []);
    return { order: [...new Set([...kept, ...positions.values()])] };
  }
}

function outcome(isDone: boolean, { status, output }: Snapshot): Partial<Snapshot> {
  if (!isDone) return {};
  return status === "done" && output !== undefined
    ? { status: "done", output }
    : { status: "done" };
}

function takeUp(driver: Driver, surroundings: Surroundings, snapshot: Snapshot): LiveInstance {
  try {
    return driver.restore(surroundings, snapshot);
  } catch (error) {
    const { message } = failure(error);
    throw new HostError(
      "no-such-state",
      `The new version cannot take up what the migration made: ${message}`,
    );
  }
}
