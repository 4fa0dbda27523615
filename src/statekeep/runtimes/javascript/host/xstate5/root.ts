/**
 * The root of an instance's actors, and stand-ins for children that are gone. To XState both look like its own actors.
 */

import type { Address, LocalChild, MachineEvent } from "../frames.ts";
import { InstanceLogic } from "./instances.ts";
import type { ActorSystem } from "./system.ts";
import type { Actor, ActorSnapshot, Logic, MachineSnapshot } from "./shapes.ts";
import { RUNNING, STOPPED } from "./shapes.ts";

const observable: unknown = (Symbol as { observable?: symbol }).observable ?? "@@observable";
const NO_SUBSCRIPTION = { unsubscribe() {} };

abstract class StandIn implements Actor {
  readonly ref = this;
  readonly options: { readonly input?: unknown } = {};
  abstract readonly _processingStatus: number;

  constructor(
    readonly id: string,
    readonly sessionId: string,
    readonly system: ActorSystem,
    readonly src: unknown,
    public logic: Logic,
  ) {
    // Author code passes `self.send` around as a function.
    this.send = this.send.bind(this);
    Object.defineProperty(this, observable as PropertyKey, { value: () => this });
  }

  abstract getSnapshot(): ActorSnapshot | undefined;
  abstract _send(event: MachineEvent): void;

  send(event: MachineEvent): void {
    this.system._relay(undefined, this, event);
  }

  // Nobody outside can observe an instance through XState, and its own code may not act on the spot.
  subscribe() {
    return NO_SUBSCRIPTION;
  }

  on() {
    return NO_SUBSCRIPTION;
  }

  start() {
    return this;
  }

  stop() {
    return this._stop();
  }

  _stop() {
    return this;
  }

  getPersistedSnapshot(): unknown {
    return this.getSnapshot();
  }

  toJSON() {
    return { xstate$$type: 1, id: this.id };
  }
}

export class RootActor extends StandIn {
  readonly _processingStatus = RUNNING;
  readonly #receive: (event: MachineEvent) => void;
  readonly #snapshot: () => MachineSnapshot | undefined;

  constructor(
    id: string,
    system: ActorSystem,
    machine: Logic,
    receive: (event: MachineEvent) => void,
    snapshot: () => MachineSnapshot | undefined,
    /** Where this is a persistent child: what XState sends to its parent goes there. */
    readonly _parent: Actor | undefined,
  ) {
    super(id, id, system, machine, machine);
    this.#receive = receive;
    this.#snapshot = snapshot;
  }

  getSnapshot() {
    return this.#snapshot();
  }

  _send(event: MachineEvent) {
    this.#receive(event);
  }
}

/** Another instance. What is sent to it while a step is decided goes to the server. */
export class Elsewhere extends StandIn {
  readonly _processingStatus = RUNNING;
  readonly systemId?: string;

  constructor(
    id: string,
    readonly _parent: Actor | undefined,
    system: ActorSystem,
    to: Address,
    systemId?: string,
  ) {
    super(id, id, system, undefined, new InstanceLogic(to));
    if (systemId !== undefined) this.systemId = systemId;
  }

  getSnapshot(): ActorSnapshot {
    return { status: "active", output: undefined, error: undefined };
  }

  _send() {}
}

const NO_LOGIC: Logic = { transition: (snapshot) => snapshot as ActorSnapshot };

/**
 * A child that could not be restored. Never undefined in its place: XState would take "send to undefined" for "send to myself".
 */
export class Tombstone extends StandIn {
  readonly _processingStatus = STOPPED;
  readonly systemId?: string;

  constructor(
    id: string,
    readonly _parent: Actor,
    system: ActorSystem,
    /** What is known of the child, to be kept as long as its id is among the children. */
    readonly record: LocalChild | undefined,
  ) {
    super(id, id, system, record?.src, NO_LOGIC);
    if (record?.systemId !== undefined) this.systemId = record.systemId;
  }

  getSnapshot(): ActorSnapshot {
    return { status: "stopped", output: undefined, error: undefined };
  }

  _send() {}
}
