/**
 * The requests about other versions: what this one looks like, and carrying an instance over to it.
 */

import type { Activity } from "../activity.ts";
import { runAs } from "../activity.ts";
import type { Driver, Surroundings } from "../driver.ts";
import { failure, HostError } from "../errors.ts";
import type { Limits, Parent, UpgradeRequest } from "../frames.ts";
import type { Logs } from "../logs.ts";
import { stringify } from "../natives.ts";
import { PendingStep } from "../pending_step.ts";
import { errorReply } from "../replies.ts";
import { Migration, MIGRATION_ERROR } from "./migration.ts";
import type { Upgraded } from "./upgrade.ts";
import { upgrade } from "./upgrade.ts";

/** Those used last. The server sends others again. */
const MIGRATIONS_KEPT = 200;

export class Upgrades {
  readonly #driver: Driver;
  readonly #limits: Limits;
  readonly #logs: Logs;
  readonly #send: (frame: string) => void;
  readonly #migrations = new Map<string, Migration>();

  constructor(driver: Driver, limits: Limits, logs: Logs, send: (frame: string) => void) {
    this.#driver = driver;
    this.#limits = limits;
    this.#logs = logs;
    this.#send = send;
  }

  describe(id: number) {
    const { chart: { states }, major } = this.#driver;
    this.#send(`{"re":${id},"outline":${stringify({ major, states })}}`);
  }

  async upgrade(request: UpgradeRequest): Promise<void> {
    const { id, i, name, snapshot: { parent } } = request;
    const step = new PendingStep();
    const activity: Activity = { i, step, budget: this.#logs.newBudget() };
    try {
      const migrations = await runAs(activity, () => this.#load(request));
      if (!migrations) return this.#send(`{"re":${id},"need":"code"}`);
      const surroundings = this.#surroundings(name, parent, activity);
      const bounds = { bytes: this.#limits.contextBytes, depth: this.#limits.jsonDepth };
      const upgraded = runAs(
        activity,
        () => upgrade(this.#driver, migrations, request, surroundings, bounds),
      );
      this.#send(`{"re":${id},"upgraded":${textOf(upgraded)}}`);
    } catch (error) {
      this.#send(errorReply(id, failure(error)));
    } finally {
      // Whatever it began elsewhere belongs to no transition, so it never happens.
      step.discard();
    }
  }

  /** Undefined where one has to be sent along. */
  async #load({ migrations }: UpgradeRequest): Promise<Migration[] | undefined> {
    const loaded: Migration[] = [];
    for (const { id, code } of migrations) {
      const migration = this.#migrations.get(id) ??
        (code === undefined ? undefined : await load(code));
      if (!migration) return undefined;
      this.#migrations.delete(id);
      this.#migrations.set(id, migration);
      loaded.push(migration);
    }
    this.#forgetOldest();
    return loaded;
  }

  #forgetOldest() {
    for (const id of this.#migrations.keys()) {
      if (this.#migrations.size <= MIGRATIONS_KEPT) return;
      this.#migrations.delete(id);
    }
  }

  /** For the moment in which the new snapshot is tried. Nobody outside hears of it. */
  #surroundings(name: string, parent: Parent | undefined, activity: Activity): Surroundings {
    return {
      name,
      ...(parent && { parent }),
      eventForRoot() {},
      childrenChanged() {},
      warn: (text) => this.#logs.write(activity, 2, text),
    };
  }
}

async function load(code: string): Promise<Migration> {
  try {
    return await Migration.load(code);
  } catch (error) {
    const { message } = failure(error);
    throw new HostError(MIGRATION_ERROR, `The migration cannot be loaded: ${message}`);
  }
}

function textOf({ snapshotText, viewText, timers, lost }: Upgraded): string {
  return `{"snapshot":${snapshotText},"view":${viewText},"timers":${stringify(timers)},"lost":${
    stringify(lost)
  }}`;
}
