/**
 * Persistent children and messages between instances, as author code speaks of them.
 *
 * What must stay true: nothing here reaches another instance. A child to be made and an event to be sent are noted with the step that decides
 * them, and vanish with it; the server does the rest (SPEC 7).
 */

import { HostError } from "./errors.ts";
import type { Address, Child, Json, JsonObject, MachineEvent, Parent, TimerOp } from "./frames.ts";
import { parse, randomUUID, stringify } from "./natives.ts";

/** What `@statebacked/machine` calls a reference to an instance, and an invocation of one. */
const REFERENCE = "statebacked.instance";
const SOURCE = "statebacked.invoke";

const MACHINE_NAME = /^[A-Za-z0-9_-]{1,128}$/;
const INSTANCE_NAME = /^(?!\.{1,2}$)[A-Za-z0-9_.:@|~+-]{1,128}$/;

/** An instance to be made, as the child `id` of the one that decides. */
export interface Spawned {
  readonly id: string;
  readonly to: Address;
  readonly version?: string;
  readonly context: JsonObject;
}

/** A step that is being decided. */
export interface DecidingStep {
  spawnInstance(spawned: Spawned): void;
}

let current: DecidingStep | undefined;

/** Whatever `run` spawns, synchronously, belongs to `step`. */
export function deciding<T>(step: DecidingStep, run: () => T): T {
  const outer = current;
  current = step;
  try {
    return run();
  } finally {
    current = outer;
  }
}

/**
 * Behind `spawnPersistentInstance`. Returns a reference that is plain JSON, to be kept in the context. Throws where no step is being decided, and
 * where a name is none.
 */
export function spawnInstance(descriptor: unknown, options: unknown): JsonObject {
  if (current === undefined) {
    throw new Error(
      "spawnPersistentInstance() works only within assign, in a transition of the instance's own machine: " +
        "those that run within it cannot make instances.",
    );
  }
  const given = asObject(descriptor);
  const { name, context } = asObject(options);
  const to = checkedAddress({
    machineName: given.machineName,
    machineInstanceName: given.machineInstanceName ?? randomUUID(),
  });
  const id = name ?? randomUUID();
  if (typeof id !== "string" || id === "") {
    throw new TypeError(`The name of a persistent child is a text, not ${shown(name)}`);
  }
  const version = checkedVersion(given.machineVersionId);
  current.spawnInstance({ id, to, ...version, context: contextOf(context) });
  return parse(stringify({ ...given, type: REFERENCE, id, ...to }));
}

/** What an invocation or a spawn of XState names as its logic, where that is an instance. */
export function isInstanceSource(source: unknown): boolean {
  return asObject(source).type === SOURCE;
}

/**
 * The instance that an invocation makes. A name that `persistentInvocableSource` made up is the same for every instance of the machine, so each
 * invocation gets one of its own.
 */
export function invoked(source: unknown, id: string, context: unknown): Spawned {
  const { machineName, machineInstanceName, machineVersionId } = asObject(source);
  const isNamed = machineInstanceName !== undefined && !madeUpNames.has(machineInstanceName);
  const name = isNamed ? machineInstanceName : randomUUID();
  const to = checkedAddress({ machineName, machineInstanceName: name });
  return { id, to, ...checkedVersion(machineVersionId), context: contextOf(context) };
}

/** Throws where `invoked` would. For definitions, which are better refused when they are loaded. */
export function checkSource(source: unknown, where: string): void {
  try {
    invoked(source, where, {});
  } catch (error) {
    throw new HostError("bad-version", `${where} invokes an instance. ${(error as Error).message}`);
  }
}

/** The instance that is meant by a reference. Undefined where `value` is none; throws where it names no possible instance. */
export function referenced(value: unknown): Address | undefined {
  const given = asObject(value);
  return given.type === REFERENCE ? checkedAddress(given) : undefined;
}

/** What author code may send to in order to reach that instance. */
export function referenceTo(to: Address): JsonObject {
  return { type: REFERENCE, id: to.machineInstanceName, ...to };
}

/** The instance in whose name a caller sends. No other caller has that claim (SPEC 7). */
export function senderIn(auth: Json): Address | undefined {
  const { stateBackedSender: sender } = asObject(auth);
  return sender === undefined ? undefined : checkedAddress(asObject(sender));
}

/** A persistent child in a snapshot. */
export function childAddress(child: Child): Address | undefined {
  if (child.kind !== "instance") return undefined;
  const { machineName, machineInstanceName } = child;
  return { machineName, machineInstanceName };
}

export function spawnOp({ id, to, version, context }: Spawned): TimerOp {
  return version === undefined ? { spawn: id, to, context } : { spawn: id, to, version, context };
}

/** A machine that has come to its end takes no more events, so this is said once. */
export function lastWord(
  { id, machineName, machineInstanceName }: Parent,
  { output }: { readonly output: unknown },
): Extract<TimerOp, { done: string }> {
  const word = { done: id, to: { machineName, machineInstanceName } };
  return output === undefined ? word : { ...word, output: output as Json };
}

/**
 * The sending of `event` to another instance, nothing where it is one that XState's own machinery sends (updates, escalated errors): no
 * instance would take it. `warn` is told.
 */
export function sendOps(
  to: Address,
  event: MachineEvent,
  { id, delay }: { id?: unknown; delay?: unknown },
  warn: (text: string) => void,
): TimerOp[] {
  if (typeof event?.type !== "string") {
    throw new TypeError(`An event for another instance needs a type: ${shown(event)}`);
  }
  const { machineName, machineInstanceName } = to;
  if (/^xstate\.(?!route$)/.test(event.type)) {
    warn(
      `"${event.type}" was not sent to "${machineInstanceName}": it is an event of XState's own`,
    );
    return [];
  }
  const send = id === undefined || id === null ? "" : String(id);
  const op = { send, to: { machineName, machineInstanceName }, event };
  return [typeof delay === "number" ? { ...op, delay } : op];
}

const madeUpNames = new Set<unknown>();

/** Names that are made up while `evaluate` runs are no names: see `invoked`. */
export async function notingMadeUpNames<T>(evaluate: () => Promise<T>): Promise<T> {
  let isNoting = true;
  // It may be kept by whoever calls it, so it has to go on working.
  const value = () => {
    const name = randomUUID();
    if (isNoting) madeUpNames.add(name);
    return name;
  };
  Object.defineProperty(crypto, "randomUUID", { value, configurable: true, writable: true });
  try {
    return await evaluate();
  } finally {
    isNoting = false;
    // Not where the author's module put one of its own in its place.
    if (crypto.randomUUID === value) Reflect.deleteProperty(crypto, "randomUUID");
  }
}

function checkedAddress({ machineName, machineInstanceName }: Record<string, unknown>): Address {
  if (typeof machineName !== "string" || !MACHINE_NAME.test(machineName)) {
    throw new TypeError(
      `${
        shown(machineName)
      } is no name of a machine: those have 1 to 128 of A-Z, a-z, 0-9, "_", "-"`,
    );
  }
  if (typeof machineInstanceName !== "string" || !INSTANCE_NAME.test(machineInstanceName)) {
    throw new TypeError(
      `${shown(machineInstanceName)} is no name of an instance: those have 1 to 128 of ` +
        'A-Z, a-z, 0-9 and "_-.:@|~+", and are not "." or ".."',
    );
  }
  return { machineName, machineInstanceName };
}

function checkedVersion(version: unknown): { version?: string } {
  if (version === undefined || version === null) return {};
  if (typeof version === "string") return { version };
  throw new TypeError(`${shown(version)} is no machineVersionId`);
}

/** A copy: what is initialised with it must not change with the parent's context. */
function contextOf(given: unknown): JsonObject {
  const json = given === undefined ? undefined : stringify(given);
  const value: Json = json === undefined ? null : parse(json);
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}

function shown(value: unknown): string {
  return typeof value === "string" ? stringify(value).slice(0, 200) : `${typeof value}`;
}
