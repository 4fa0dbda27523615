/**
 * The real world around author code: this process.
 */

import { currentActivity } from "./activity.ts";
import { installConsole } from "./author_console.ts";
import type { Limits } from "./frames.ts";
import { installGate } from "./gate.ts";
import type { Realm } from "./host.ts";
import type { LoadedModule } from "./load.ts";
import type { Logs } from "./logs.ts";
import { spawnInstance } from "./persistent.ts";
import { lockDown, surviveErrors } from "./sandbox.ts";

/** What the build wrote beside the host about our copies of XState. */
interface Manifest {
  readonly xstate4: { readonly version: string };
  readonly xstate5: { readonly version: string };
}

export class ProcessRealm implements Realm {
  readonly #versions: Record<4 | 5, string>;

  constructor() {
    this.#versions = versionsOfOurs();
    requireDeniedBuiltIns();
  }

  prepare(limits: Limits, logs: Logs) {
    const report = (what: string, error: unknown) => logs.error(currentActivity(), what, error);
    installConsole(logs);
    installGate(limits.denyPrivateNetwork, (error) => report("A timer's function failed", error));
    surviveErrors(report);
    lockDown(spawnInstance);
  }

  async originOf({ driver, machine }: LoadedModule): Promise<string> {
    if (driver.major === 4) return driver.xstate === "bundled" ? "bundled" : this.#versions[4];
    return await isOurs(machine) ? this.#versions[5] : "bundled";
  }
}

async function isOurs(machine: unknown): Promise<boolean> {
  try {
    const { StateMachine } = await import("xstate5") as unknown as {
      StateMachine: new () => unknown;
    };
    return machine instanceof StateMachine;
  } catch {
    return false; // not mapped, since the module does not import it
  }
}

function versionsOfOurs(): Record<4 | 5, string> {
  const path = new URL("./manifest.json", import.meta.url);
  const { xstate4, xstate5 } = JSON.parse(Deno.readTextFileSync(path)) as Manifest;
  return { 4: xstate4.version, 5: xstate5.version };
}

/**
 * Deno's Node modules hand out what was taken away here (`node:worker_threads` starts a worker that has `Deno`), and some end the process when
 * they find it gone. Only the import map can deny them, so do not run where it misses one that this Deno has.
 *
 * A `null` entry denies. An entry that names a `data:` module is let pass, but is weaker: it is ignored where a module imports, statically, a
 * built-in that Deno itself has loaded.
 */
function requireDeniedBuiltIns() {
  const { builtinModules } = process.getBuiltinModule("node:module");
  for (const name of builtinModules) {
    const specifier = name.startsWith("node:") ? name : `node:${name}`;
    if (resolves(specifier)) {
      throw new Error(`The import map has to deny ${specifier}, by mapping it to null`);
    }
  }
}

function resolves(specifier: string): boolean {
  try {
    import.meta.resolve(specifier);
    return true;
  } catch {
    return false;
  }
}
