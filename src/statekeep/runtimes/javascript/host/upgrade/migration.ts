/**
 * A migration of the author's: loaded, held to what a migration has to be, and asked.
 */

import { describeError, HostError } from "../errors.ts";
import type { Json } from "../frames.ts";
import type { Remedies } from "../load.ts";
import { evaluate, REFUSED_IMPORT } from "../load.ts";
import { parse, stringify } from "../natives.ts";
import type { Path } from "./configuration.ts";
import { whatJsonChanges } from "./plain.ts";

/** What a migration threw, or answered and must not. */
export const MIGRATION_ERROR = "migration-error";

// Before author code could replace them.
const AsyncFunction = async function () {}.constructor;
const GeneratorFunction = function* () {}.constructor;
const AsyncGeneratorFunction = async function* () {}.constructor;

type Exported = (...args: unknown[]) => unknown;

const REMEDIES: Remedies = [
  [REFUSED_IMPORT, "A migration cannot import anything. Bundle what it needs into the module."],
  [/SyntaxError/, "A migration is JavaScript: compile or bundle TypeScript before it is uploaded."],
];

export class Migration {
  readonly #upgradeState: Exported;
  readonly #upgradeContext: Exported;

  private constructor(upgradeState: Exported, upgradeContext: Exported) {
    this.#upgradeState = upgradeState;
    this.#upgradeContext = upgradeContext;
  }

  /** Throws what its author has to know. */
  static async load(code: string): Promise<Migration> {
    const exports = await evaluate(code, "migration.js", REMEDIES);
    return new Migration(
      exported(exports, "upgradeState", "(oldState, context) => newState"),
      exported(exports, "upgradeContext", "(oldStates, newStates, context) => newContext"),
    );
  }

  /** Where each of `paths` leads. Each is asked about once. */
  states(paths: readonly Path[], contextText: string): Map<string, string[]> {
    const led = new Map<string, string[]>();
    for (const path of paths) {
      const key = stringify(path);
      if (led.has(key)) continue;
      // What is changed in place must not be seen when the next one is asked about.
      const answer = ask(
        `upgradeState(${key})`,
        () => this.#upgradeState([...path], parse(contextText)),
      );
      led.set(key, pathOf(answer, key));
    }
    return led;
  }

  /** The new context as JSON. */
  context(before: readonly Path[], after: readonly Path[], contextText: string): string {
    const copy = (paths: readonly Path[]) => paths.map((path) => [...path]);
    const answer = ask(
      "upgradeContext",
      () => this.#upgradeContext(copy(before), copy(after), parse(contextText)),
    );
    return contextOf(answer);
  }
}

function exported(exports: Record<string, unknown>, name: string, signature: string): Exported {
  const value = exports[name];
  if (typeof value === "function" && !isLater(value)) return value as Exported;
  const problem = value === undefined
    ? `does not export ${name}`
    : typeof value === "function"
    ? `exports ${name} as ${kindOf(value)}: it cannot wait, and has to return at once`
    : `exports ${name}, but not as a function`;
  throw new HostError(
    "bad-version",
    `The migration ${problem}. It has to export two functions; this one is ${name}${signature}.`,
  );
}

function ask(question: string, run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    const { message, stack } = describeError(error);
    const failed = new HostError(MIGRATION_ERROR, `${question} failed: ${message}`);
    failed.authorStack = stack;
    throw failed;
  }
}

function pathOf(answer: unknown, asked: string): string[] {
  if (Array.isArray(answer)) {
    const path = [...answer];
    if (path.every((key) => typeof key === "string")) return path;
  }
  throw new HostError(
    MIGRATION_ERROR,
    `upgradeState(${asked}) answered ${
      shown(answer)
    }: it has to return the keys of the new state, as ["parent", "child"]`,
  );
}

function contextOf(answer: unknown): string {
  const isObject = typeof answer === "object" && answer !== null && !Array.isArray(answer) &&
    !isPromise(answer);
  if (!isObject) {
    throw new HostError(
      MIGRATION_ERROR,
      `upgradeContext answered ${shown(answer)}: it has to return the new context, an object`,
    );
  }
  const text = ask(
    "What upgradeContext returned is no JSON: it",
    () => stringify(answer),
  ) as string;
  const changed = whatJsonChanges(answer, "context");
  if (changed === undefined) return text;
  throw new HostError(
    MIGRATION_ERROR,
    `What upgradeContext returned cannot be kept as JSON: ${changed}`,
  );
}

/** Whoever is asked for more than once, or later. */
function isLater(value: unknown): boolean {
  return value instanceof AsyncFunction || value instanceof GeneratorFunction ||
    value instanceof AsyncGeneratorFunction;
}

function kindOf(value: unknown): string {
  return value instanceof AsyncFunction ? "an async function" : "a generator";
}

function isPromise(value: unknown): boolean {
  return value instanceof Promise ||
    typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

function shown(value: unknown): string {
  try {
    if (isPromise(value)) return "a promise, and cannot wait";
    return (stringify(value as Json) ?? String(value)).slice(0, 200);
  } catch {
    return `a ${typeof value}`;
  }
}
