/**
 * The author's module: loaded, and held to what a machine version has to be.
 */

import type { Activity } from "./activity.ts";
import { runAs } from "./activity.ts";
import type { Driver } from "./driver.ts";
import { failure, HostError, nameModule, withDeepStacks } from "./errors.ts";
import type { Failure } from "./frames.ts";
import { notingMadeUpNames } from "./persistent.ts";
import type { Author } from "./turn.ts";
import type { Authorizer } from "./authorize.ts";
import type { HttpMapping, HttpMappings } from "./http_api.ts";
import { withSourceNames } from "./source_map.ts";
import { isXState4, xstate4Driver } from "./xstate4/driver.ts";
import { isXState5, unimplemented, xstate5Driver } from "./xstate5/driver.ts";

export interface LoadedModule extends Author {
  readonly machine: unknown;
  readonly httpApi: HttpMappings;
}

/** Thrown where the version cannot be used; `failure` says why, for its author. */
export class UnusableModule extends Error {
  constructor(readonly failure: Failure) {
    super(failure.message);
  }
}

export async function loadModule(
  code: string,
  activity: Activity,
  warn: (text: string) => void,
  isObserved = false,
): Promise<LoadedModule> {
  try {
    const load = () => evaluate(code, "machine.js", MACHINE_REMEDIES);
    const exports = await runAs(activity, notingMadeUpNames, load);
    return runAs(activity, inspect, exports, warn, isObserved);
  } catch (error) {
    throw new UnusableModule(failure(error, "bad-version"));
  }
}

// Before author code could replace them.
const { createObjectURL, revokeObjectURL } = URL;

/** The exports of a module of the author's, which stacks show as `name`. */
// A blob and not a data: URL: that takes seconds for a large module, and shows up whole in each line of a stack.
export async function evaluate(
  code: string,
  name: string,
  remedies: Remedies,
): Promise<Record<string, unknown>> {
  const { code: body, isMapped } = withSourceNames(code);
  const source = new Blob([body, `\n//# sourceURL=${name}`], { type: "text/javascript" });
  const url = createObjectURL(source);
  nameModule(url, name, { isMapped });
  try {
    return await withDeepStacks(() => import(url));
  } catch (error) {
    throw withRemedy(error, remedies);
  } finally {
    revokeObjectURL(url);
  }
}

/** What to do about an error of loading, by what its message says. */
export type Remedies = [RegExp, string][];

export const REFUSED_IMPORT =
  /--no-npm|--no-remote|--allow-import|not installed|import map|null entry|Module not found/;

const MACHINE_REMEDIES: Remedies = [
  [
    REFUSED_IMPORT,
    'A machine can import "npm:xstate@4", "npm:xstate@5" and their parts. Bundle everything else into the module.',
  ],
  [/does not provide an export named/, 'Plain "xstate" is XState 4. Import "npm:xstate@5" for 5.'],
  [/SyntaxError/, "A version is JavaScript: compile or bundle TypeScript before it is uploaded."],
];

/** Deno tells which of its options forbids an import; the author has to know what to do. */
function withRemedy(error: unknown, remedies: Remedies): unknown {
  const { message, stack } = failure(error, "bad-version");
  // A place in the code means that it could be read, and was running: that was `JSON.parse`, say.
  if (stack !== undefined && message.startsWith("SyntaxError")) return error;
  const remedy = remedies.find(([pattern]) => pattern.test(message))?.[1];
  return remedy === undefined ? error : new HostError("bad-version", `${message}\n${remedy}`);
}

function inspect(
  exports: Record<string, unknown>,
  warn: (text: string) => void,
  isObserved: boolean,
): LoadedModule {
  const { default: machine, allowRead, allowWrite, httpApiMapper } = exports;
  return {
    machine,
    driver: driverFor(machine, warn, isObserved),
    allowRead: authorizer("allowRead", allowRead),
    allowWrite: authorizer("allowWrite", allowWrite),
    httpApi: httpMappings(httpApiMapper),
  };
}

function driverFor(
  machine: unknown,
  warn: (text: string) => void,
  isObserved: boolean,
): Driver {
  if (isXState5(machine)) {
    const driver = xstate5Driver(machine, isObserved);
    unimplemented(machine).forEach(warn);
    return driver;
  }
  if (isXState4(machine)) return xstate4Driver(machine, isObserved);
  throw new HostError("bad-version", whatIsWrongWith(machine));
}

function whatIsWrongWith(machine: unknown): string {
  const remedy =
    "Export the machine that createMachine() of XState 4 or 5 returned: `export default createMachine({...})`.";
  if (machine === undefined) return `The module has no default export. ${remedy}`;
  if (machine instanceof Promise) {
    return `The default export is a promise; await it in the module. ${remedy}`;
  }
  if (typeof machine === "function") {
    return `The default export is a function, not a machine. ${remedy}`;
  }
  return `The default export is not an XState machine. ${remedy}`;
}

function authorizer(name: string, value: unknown): Authorizer {
  if (typeof value === "function") return value as Authorizer;
  const problem = value === undefined
    ? `does not export ${name}`
    : `exports ${name}, but not as a function`;
  throw new HostError(
    "bad-version",
    `The module ${problem}. Without it nobody can use its instances: export a function that returns true for whoever may.`,
  );
}

function httpMappings(mapper: unknown): HttpMappings {
  if (mapper === undefined || mapper === null) return new Map();
  if (typeof mapper !== "object") {
    throw new HostError(
      "bad-version",
      "httpApiMapper has to be an object of {handler, responseMapper} by slug.",
    );
  }
  for (const [slug, mapping] of Object.entries(mapper)) {
    if (typeof (mapping as { handler?: unknown } | null)?.handler !== "function") {
      throw new HostError("bad-version", `httpApiMapper has no function "handler" for "${slug}".`);
    }
  }
  return new Map(Object.entries(mapper) as [string, HttpMapping][]);
}
