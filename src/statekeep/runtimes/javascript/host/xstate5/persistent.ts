/**
 * Persistent children and the parent of an instance, as actors that XState 5 can hold and send to. None of them runs here.
 */

import type { Address, Child, MachineEvent, Parent } from "../frames.ts";
import { invokedAddress, isInstanceSource } from "../persistent.ts";
import { StandIn } from "./root.ts";
import type { Actor, ActorSnapshot, Logic } from "./shapes.ts";
import { NOT_STARTED } from "./shapes.ts";
import type { ActorSystem } from "./system.ts";

const NO_LOGIC: Logic = { transition: (snapshot) => snapshot as ActorSnapshot };
const ACTIVE: ActorSnapshot = { status: "active", output: undefined, error: undefined };

/** An instance somewhere else. What is sent to it while a step is decided becomes a message. */
export class RemoteActor extends StandIn {
  readonly _processingStatus = NOT_STARTED;
  readonly systemId?: string;

  constructor(
    id: string,
    readonly address: Address,
    system: ActorSystem,
    readonly _parent?: Actor,
    record?: Child,
  ) {
    super(id, id, system, undefined, NO_LOGIC);
    if (record?.systemId !== undefined) this.systemId = record.systemId;
  }

  getSnapshot(): ActorSnapshot {
    return ACTIVE;
  }

  _send(_event: MachineEvent) {}
}

export function parentActor(parent: Parent, system: ActorSystem): RemoteActor {
  const { machineName, machineInstanceName } = parent;
  return new RemoteActor("parent", { machineName, machineInstanceName }, system);
}

/**
 * XState makes an actor of whatever it is told to invoke or spawn; one of `persistentInvocableSource` has no logic, and fails before it starts.
 */
export function isUnborn(actor: Actor): boolean {
  return !(actor instanceof RemoteActor) && isInstanceSource(actor.logic);
}

const addresses = new WeakMap<Actor, Address>();

/** The address of an instance to be made for such an actor, the same whenever it is asked for. */
export function addressOfUnborn(actor: Actor): Address {
  let address = addresses.get(actor);
  if (address === undefined) {
    address = isInstanceSource(actor.logic) ? invokedAddress(actor.logic) : undefined;
    if (address === undefined) throw new Error(`"${actor.id}" is no persistent child`);
    addresses.set(actor, address);
    // XState starts what an assign has spawned by itself, and would report that it has failed.
    Object.defineProperty(actor, "start", { value: () => actor });
  }
  return address;
}

/** Where a message to this actor goes; undefined for one that runs here. */
export function remoteAddress(actor: unknown): Address | undefined {
  if (actor instanceof RemoteActor) return actor.address;
  if (typeof actor !== "object" || actor === null || !("logic" in actor)) return undefined;
  return isUnborn(actor as Actor) ? addressOfUnborn(actor as Actor) : undefined;
}
