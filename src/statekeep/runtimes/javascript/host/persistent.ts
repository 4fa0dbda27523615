/**
 * Persistent children and messages to other instances (SPEC 7), alike for both majors. The host only decides about them: the server makes
 * children and delivers messages, once the transition that asked for it is durable.
 */

import { currentActivity } from "./activity.ts";
import type { Address, Child, JsonObject, MessageOp, Parent, TimerOp } from "./frames.ts";
import { native, parse, stringify } from "./natives.ts";

/** What @statebacked/machine marks its references and its sources of invocations with. */
const INSTANCE = "statebacked.instance";
const INVOKE = "statebacked.invoke";

const MACHINE_NAME = /^[A-Za-z0-9_-]{1,128}$/;
const INSTANCE_NAME = /^(?!\.{1,2}$)[A-Za-z0-9_.:@|~+-]{1,128}$/;

/** A reference to an instance, as an author's context holds it. */
export interface InstanceRef extends Address {
  type: typeof INSTANCE;
  id: string;
}

/** What makes an invocation persistent. */
export interface InstanceSource {
  type: typeof INVOKE;
  machineName: unknown;
  machineInstanceName?: unknown;
  machineVersionId?: unknown;
}

/** A child that was asked for with `spawnPersistentInstance`. `isNamed`: the author gave it an id, and may address it by that. */
export interface Spawned {
  readonly id: string;
  readonly isNamed: boolean;
  readonly address: Address;
  readonly op: MessageOp;
}

export function isInstanceRef(value: unknown): value is InstanceRef {
  return (value as { type?: unknown } | null | undefined)?.type === INSTANCE;
}

export function isInstanceSource(value: unknown): value is InstanceSource {
  return (value as { type?: unknown } | null | undefined)?.type === INVOKE;
}

/** Throws where no instance can have such a name. */
export function addressOf(named: { machineName: unknown; machineInstanceName?: unknown }): Address {
  const { machineName, machineInstanceName } = named;
  if (typeof machineName !== "string" || !MACHINE_NAME.test(machineName)) {
    throw new Error(`No machine can have the name ${shown(machineName)}`);
  }
  if (typeof machineInstanceName !== "string" || !INSTANCE_NAME.test(machineInstanceName)) {
    throw new Error(`No instance can have the name ${shown(machineInstanceName)}`);
  }
  return { machineName, machineInstanceName };
}

function shown(name: unknown): string {
  return stringify(name) ?? String(name);
}

/** The child that an invocation asks for. A name that was made up when the module was loaded would be that of every instance. */
export function invokedAddress(source: InstanceSource): Address {
  const { machineName, machineInstanceName: name } = source;
  const isMadeUp = name === undefined || madeUpNames.has(name);
  return addressOf({ machineName, machineInstanceName: isMadeUp ? native.randomUUID() : name });
}

export function spawnOp(
  id: string,
  to: Address,
  context: JsonObject,
  version: unknown,
): MessageOp {
  return typeof version === "string"
    ? { spawn: id, to, version, context }
    : { spawn: id, to, context };
}

/** What an author gave as context; whatever is no object becomes an empty one. */
export function contextOf(given: unknown): JsonObject {
  const text = stringify(given);
  const context = text === undefined ? null : parse(text);
  return typeof context === "object" && context !== null && !Array.isArray(context) ? context : {};
}

/** Children before what is sent to them. */
export function spawnsFirst(ops: TimerOp[]): TimerOp[] {
  if (!ops.some((op) => "spawn" in op)) return ops;
  return [...ops.filter((op) => "spawn" in op), ...ops.filter((op) => !("spawn" in op))];
}

/** How a persistent child stands in the snapshot of its parent. */
export function recordOf(address: Address): Child {
  return { kind: "instance", ...address };
}

/** The address in such a record; undefined for a child of another kind. */
export function recordedAddress({ kind, machineName, machineInstanceName }: Child) {
  return kind === "instance" ? { machineName, machineInstanceName } as Address : undefined;
}

/** The text of a snapshot, with what no machine knows about its instance. */
export function withParent(snapshotText: string, parent: Parent | undefined): string {
  return parent ? `${snapshotText.slice(0, -1)},"parent":${stringify(parent)}}` : snapshotText;
}

/** A machine that has come to its end takes no more events, so this is said once. */
export function lastWord(
  { id, ...to }: Parent,
  { outputText }: { readonly outputText: string | undefined },
): Extract<MessageOp, { done: string }> {
  return outputText === undefined ? { done: id, to } : { done: id, to, output: parse(outputText) };
}

/** `spawnPersistentInstance` of @statebacked/machine: `__statebacked_rt.spawn`. */
export function spawnInstance(
  descriptor: { machineName: unknown; machineInstanceName?: unknown; machineVersionId?: unknown },
  options: { context?: unknown; name?: unknown } = {},
): InstanceRef {
  const step = currentActivity()?.step;
  if (!step || step.isSettled) {
    throw new Error(
      "spawnPersistentInstance can only be called within an assign action, " +
        "and of the instance's own machine: those that run within it cannot make instances",
    );
  }
  const { machineInstanceName = native.randomUUID() } = descriptor;
  const address = addressOf({ ...descriptor, machineInstanceName });
  const isNamed = options.name !== undefined && options.name !== null;
  const id = isNamed ? String(options.name) : native.randomUUID();
  const context = contextOf(options.context ?? {});
  const op = spawnOp(id, address, context, descriptor.machineVersionId);
  step.spawned.push({ id, isNamed, address, op });
  return { ...descriptor, type: INSTANCE, id, ...address };
}

/** What the step that is being decided has spawned since it was last asked. */
export function takeSpawned(): Spawned[] {
  const spawned = currentActivity()?.step?.spawned;
  return spawned === undefined || spawned.length === 0 ? [] : spawned.splice(0);
}

const madeUpNames = new Set<unknown>();

/** Remember the names that author code makes up while `load` runs. */
export async function notingMadeUpNames<T>(load: () => Promise<T>): Promise<T> {
  const randomUUID = () => {
    const name = native.randomUUID();
    madeUpNames.add(name);
    return name;
  };
  Object.defineProperty(crypto, "randomUUID", { value: randomUUID, configurable: true });
  try {
    return await load();
  } finally {
    Reflect.deleteProperty(crypto, "randomUUID");
  }
}
