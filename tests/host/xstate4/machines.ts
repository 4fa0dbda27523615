/**
 * Random machines: definitions as data, with implementations that write down what they see. A machine always comes to rest: whatever could go on
 * for ever costs fuel, of which each event of the outside brings some.
 */

import type * as xstate from "xstate4";

/** A copy of XState 4. */
export type XState = typeof xstate;

/** Mulberry32: small, seeded, the same everywhere. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  below(n: number): number {
    return Math.floor(this.next() * n);
  }
  chance(p: number): boolean {
    return this.next() < p;
  }
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }
  times<T>(max: number, make: (i: number) => T): T[] {
    return Array.from({ length: this.below(max + 1) }, (_, i) => make(i));
  }
}

export const EVENTS = ["A", "B", "C", "D", "E"] as const;
const DELAYS = [10, 20, 30, 50];
const SEND_IDS = ["s1", "s2", "s3"];

interface Context {
  n: number;
  fuel: number;
  list: number[];
  last?: string;
}
// deno-lint-ignore no-explicit-any
type Config = any;

/** What a run leaves behind, apart from its states. */
export interface Journal {
  entries: string[];
  /** Promises that invocations wait for, by the order in which they were asked for. */
  promises: { resolve(value: unknown): void; reject(error: unknown): void }[];
}

export class MachineMaker {
  #names: string[][] = [];
  #count = 0;

  constructor(private readonly random: Random) {}

  /** The config alone; `implement` makes a machine of it for each run. */
  make(isPredictable: boolean): Config {
    const config = this.#node(0, ["m"]);
    this.#fillTargets(config, []);
    return {
      id: "m",
      predictableActionArguments: isPredictable,
      preserveActionOrder: !isPredictable && this.random.chance(0.3) || undefined,
      context: { n: 0, fuel: 8, list: [] },
      ...config,
      on: { ...config.on, "*": undefined, REFUEL: { actions: "refuel" } },
    };
  }

  #node(depth: number, path: string[]): Config {
    const { random } = this;
    const kind = depth === 0
      ? random.pick(["compound", "compound", "parallel"])
      : depth > 2
      ? "atomic"
      : random.pick(["atomic", "atomic", "atomic", "compound", "compound", "parallel"]);
    const node: Config = { ...this.#behaviour(depth) };
    if (kind === "atomic") return node;
    const keys = Array.from({ length: 2 + random.below(2) }, () => `s${this.#count++}`);
    node.states = Object.fromEntries(
      keys.map((key) => [key, this.#node(depth + 1, [...path, key])]),
    );
    for (const key of keys) this.#names.push([...path.slice(1), key]);
    if (kind === "parallel") return { ...node, type: "parallel" };
    node.initial = random.pick(keys);
    if (random.chance(0.35)) this.#addFinal(node, depth, path);
    if (random.chance(0.45)) this.#addHistory(node, path);
    return node;
  }

  #addFinal(node: Config, depth: number, path: string[]) {
    const key = `f${this.#count++}`;
    const data = this.random.chance(0.5) ? { total: "dataTotal", fixed: 1 } : undefined;
    node.states[key] = { type: "final", data, entry: this.#actions(1) };
    this.#names.push([...path.slice(1), key]);
    if (depth > 0) {
      node.onDone = { target: "?", cond: "hasFuel", actions: ["burn", ...this.#actions(2)] };
    }
  }

  #addHistory(node: Config, path: string[]) {
    const key = `h${this.#count++}`;
    const target = this.random.chance(0.4) ? this.random.pick(Object.keys(node.states)) : undefined;
    node.states[key] = { type: "history", history: this.random.pick(["shallow", "deep"]), target };
    this.#names.push([...path.slice(1), key]);
  }

  #behaviour(depth: number): Config {
    const { random } = this;
    const node: Config = { on: {}, entry: this.#actions(2), exit: this.#actions(2) };
    for (const event of EVENTS) {
      if (random.chance(depth === 0 ? 0.2 : 0.45)) {
        node.on[event] = random.chance(0.3)
          ? [this.#transition(true), this.#transition(false)]
          : this.#transition(random.chance(0.2));
      }
    }
    // It gets the done events of states, too, and could go round for ever.
    if (random.chance(0.08)) node.on["*"] = { ...this.#transition(true), cond: "hasFuel" };
    if (depth > 0 && random.chance(0.3)) node.after = this.#after();
    if (random.chance(0.15)) node.always = [{ ...this.#transition(true), cond: "hasFuel" }];
    if (depth > 0 && random.chance(0.15)) node.invoke = this.#invoke();
    if (random.chance(0.3)) node.tags = random.times(2, () => random.pick(["red", "blue"]));
    return node;
  }

  #after(): Config {
    const { random } = this;
    if (random.chance(0.25)) {
      return random.times(2, () => ({
        ...this.#transition(false),
        delay: random.pick([20, "short", "byCount", "@byCount"]),
      }));
    }
    const keys = random.times(2, () => random.pick(["10", "30", "short", "byCount"]));
    return Object.fromEntries(keys.map((key) => [key, this.#transition(random.chance(0.3))]));
  }

  #invoke(): Config {
    const id = `i${this.#count++}`;
    const onError = this.random.chance(0.5) ? this.#transition(false) : undefined;
    return { id, src: "work", onDone: this.#transition(false), onError };
  }

  #transition(isGuarded: boolean): Config {
    const { random } = this;
    const target = random.chance(0.75) ? "?" : undefined;
    const internal = random.chance(0.15) ? { internal: true } : {};
    const guard = isGuarded ? { cond: random.pick(["isEven", "isOdd", "hasFuel"]) } : {};
    return { target, ...internal, ...guard, actions: ["burn", ...this.#actions(3)] };
  }

  #actions(max: number): Config[] {
    return this.random.times(max, () => this.#action(0));
  }

  /** A string names an implementation; an object is turned into an action by `implement`. */
  #action(depth: number): Config {
    const { random } = this;
    const event = random.pick(EVENTS);
    const name = `a${random.below(6)}`;
    const kinds = ["note", "note", "inc", "inc", "push", "see", "raise", "self", "later", "later"];
    if (depth < 2) kinds.push("choose", "pure", "cancel", "raiseLater", "log");
    const kind = random.pick(kinds);
    const delay = random.pick([...DELAYS, "short", "byCount", "@byCount"]);
    switch (kind) {
      case "note":
        return name;
      case "inc":
      case "push":
      case "see":
      case "log":
        return kind;
      case "raise":
      case "self":
        return { $: "fueled", inner: [{ $: kind, event }] };
      case "later":
      case "raiseLater": {
        const id = random.pick([...SEND_IDS, undefined]);
        return { $: "fueled", inner: [{ $: kind, event, delay, id }] };
      }
      case "cancel":
        return { $: "cancel", id: random.pick([...SEND_IDS, event]) };
      case "pure":
        return { $: "pure", inner: random.times(2, () => this.#action(depth + 1)) };
      default:
        return {
          $: "choose",
          conds: random.times(2, () => ({
            cond: random.pick(["isEven", "isOdd", "hasFuel"]),
            actions: random.times(2, () => this.#action(depth + 1)),
          })),
        };
    }
  }

  /** Targets are drawn when all names are known: mostly from the neighbourhood of the state at `path`. */
  #fillTargets(value: Config, path: string[]): void {
    if (typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries<Config>(value)) {
      if (key === "target" && inner === "?") value[key] = `#m.${this.#target(path).join(".")}`;
      else if (key !== "states") this.#fillTargets(inner, path);
      else for (const name of Object.keys(inner)) this.#fillTargets(inner[name], [...path, name]);
    }
  }

  #target(from: string[]): string[] {
    const around = from.slice(0, -1);
    const near = this.#names.filter((name) =>
      name.length > around.length && around.every((key, i) => name[i] === key)
    );
    return this.random.pick(this.random.chance(0.9) ? near : this.#names);
  }
}

// deno-lint-ignore no-explicit-any
type Any = any;

const byCount = (context: Context) => 5 + context.n % 4 * 10;

/** Put the real actions in place of their descriptions. */
function real(action: Config, xstate: XState): Any {
  if (typeof action === "string") return action;
  const { send, actions: { cancel, choose, pure, raise } } = xstate;
  const all = (actions: Config[]) => actions.map((it) => real(it, xstate));
  const inner = () => all(action.inner);
  const delay = action.delay === "@byCount" ? byCount : action.delay;
  const options = { delay, ...(action.id && { id: action.id }) };
  switch (action.$) {
    case "raise":
      return raise(action.event);
    case "self":
      return send((context: Context) => ({ type: action.event, n: context.n }) as Any);
    case "later":
      return send(action.event, options as Any);
    case "raiseLater":
      return raise(action.event, options as Any);
    case "cancel":
      return cancel(action.id);
    case "pure":
      return pure(((context: Context) => context.n % 3 === 0 ? undefined : inner()) as Any);
    case "fueled":
      return choose([{ cond: "hasFuel", actions: ["burn", ...inner()] }]);
    default:
      return choose(
        action.conds.map((it: Config) => ({ cond: it.cond, actions: all(it.actions) })),
      );
  }
}

function realAll(value: Config, xstate: XState): Any {
  if (Array.isArray(value)) return value.map((it) => realAll(it, xstate));
  if (typeof value !== "object" || value === null) return value;
  const result: Any = {};
  for (const [key, inner] of Object.entries<Any>(value)) {
    if (key === "actions" || key === "entry" || key === "exit") {
      result[key] = [inner].flat().map((action: Config) => real(action, xstate));
    } else if (key === "delay" && inner === "@byCount") result[key] = byCount;
    else if (key === "total") result[key] = (context: Context) => context.n;
    else if (inner !== undefined) result[key] = realAll(inner, xstate);
  }
  return result;
}

/** A machine for one run. Its implementations tell all that they see to the journal. */
export function implement(config: Config, journal: Journal, xstate: XState): Any {
  const { assign, createMachine, actions: { log } } = xstate;
  const note = (name: string) => (context: Context, event: Any, meta: Any) => {
    const state = meta.state &&
      { value: meta.state.value, done: meta.state.done, tags: [...meta.state.tags] };
    journal.entries.push(
      JSON.stringify([name, context, event, meta._event.name, meta.action.type, state]),
    );
  };
  const guard = (name: string, test: (context: Context) => boolean) => (context: Context) =>
    test(context) && name !== "";
  return createMachine(realAll(config, xstate), {
    actions: {
      ...Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`a${i}`, note(`a${i}`)])),
      inc: assign({ n: (context: Context) => context.n + 1 }),
      push: assign({ list: (context: Context) => [...context.list.slice(-3), context.n] }),
      see: assign({ last: (_: Context, event: Any) => event.type }),
      burn: assign({ fuel: (context: Context) => context.fuel - 1 }),
      refuel: assign({ fuel: () => 8 }),
      log: log((context: Any) => JSON.stringify(["log", context])),
    } as Any,
    guards: {
      isEven: guard("isEven", (context) => context.n % 2 === 0),
      isOdd: guard("isOdd", (context) => context.n % 2 === 1),
      hasFuel: guard("hasFuel", (context) => context.fuel > 0),
    } as Any,
    delays: { short: 15, byCount } as Any,
    services: {
      work: (context: Context, event: Any) => {
        journal.entries.push(JSON.stringify(["work", context, event.type]));
        const { promise, resolve, reject } = Promise.withResolvers();
        journal.promises.push({ resolve, reject });
        return promise;
      },
    } as Any,
  });
}
