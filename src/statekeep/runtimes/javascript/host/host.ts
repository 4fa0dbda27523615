/**
 * The host as the server sees it: first a module to load, then requests about its instances.
 *
 * Requests are handled in order. One that has to let answers leave first returns a promise, and the next waits for it.
 */

import type { Activity } from "./activity.ts";
import { runAs } from "./activity.ts";
import { failure } from "./errors.ts";
import type { Limits, Loaded, Request } from "./frames.ts";
import { afterRequests } from "./gate.ts";
import { HttpApi } from "./http_api.ts";
import type { LoadedModule } from "./load.ts";
import { loadModule, UnusableModule } from "./load.ts";
import { Logs } from "./logs.ts";
import { parse, stringify } from "./natives.ts";
import type { Of, Outlet } from "./operations.ts";
import { Operations } from "./operations.ts";
import { errorReply } from "./replies.ts";
import { Migration } from "./upgrade/migration.ts";

/** The world that author code will live in. */
export interface Realm {
  /** Close it. Author code is loaded right after. */
  prepare(limits: Limits, logs: Logs): void;
  /** Which copy of XState the machine came from: our version, or "bundled". */
  originOf(module: LoadedModule): Promise<string>;
}

export class Host {
  readonly #outlet: Outlet;
  readonly #realm: Realm;
  #logs!: Logs;
  #operations: Operations | null = null;
  #httpApi!: HttpApi;

  constructor(outlet: Outlet, realm: Realm) {
    this.#outlet = outlet;
    this.#realm = realm;
  }

  handle(frame: string): void | Promise<void> {
    const request = parse(frame) as Request;
    if (request.op === "load") return this.#load(request);
    if (request.op === "ping") return this.#pong(request);
    const operations = this.#operations;
    if (!operations) throw new Error(`"${request.op}" without a module`);
    this.#logs.refillUnattributed();
    switch (request.op) {
      case "step":
        return operations.step(request);
      case "perform":
        return operations.perform(request);
      case "create":
        return operations.create(request);
      case "read":
        return operations.read(request);
      case "stop":
        return operations.stop(request);
      case "save":
        return operations.save(request);
      case "discard":
        return operations.discard(request);
      case "handle":
        return this.#httpApi.handle(request);
      case "respond":
        return this.#httpApi.respond(request);
      case "describe":
        return operations.upgrades.describe(request.id);
      case "upgrade":
        return operations.upgrades.upgrade(request);
    }
  }

  #pong({ id, rest }: Of<"ping">) {
    const pong = () => this.#outlet.send(`{"re":${id},"pong":true}`);
    rest ? afterRequests(pong) : pong();
  }

  async #load({ id, code, limits, kind, observe }: Of<"load">) {
    if (this.#operations) throw new Error("A host loads one module");
    const logs = this.#logs = new Logs((frame) => this.#outlet.send(frame), limits.logBytes);
    const activity: Activity = { i: null, step: null, budget: logs.newBudget() };
    this.#realm.prepare(limits, logs);
    if (kind === "migration") return await this.#inspectMigration(id, code, activity);
    try {
      const warn = (text: string) => logs.write(activity, 2, text);
      const module = await loadModule(code, activity, warn, observe);
      const loaded: Loaded = {
        major: module.driver.major,
        xstate: await this.#realm.originOf(module),
        httpApi: [...module.httpApi.keys()],
      };
      this.#operations = new Operations(module, limits, logs, this.#outlet);
      this.#httpApi = new HttpApi(module.httpApi, logs, (frame) => this.#outlet.send(frame));
      this.#outlet.send(`{"re":${id},"ok":${stringify(loaded)}}`);
    } catch (error) {
      if (!(error instanceof UnusableModule)) throw error;
      this.#outlet.send(errorReply(id, error.failure));
    }
  }

  /** Only to see whether it can be used; the hosts of versions load it for themselves. */
  async #inspectMigration(id: number, code: string, activity: Activity) {
    try {
      await runAs(activity, () => Migration.load(code));
      this.#outlet.send(`{"re":${id},"ok":{}}`);
    } catch (error) {
      this.#outlet.send(errorReply(id, failure(error, "bad-version")));
    }
  }
}
