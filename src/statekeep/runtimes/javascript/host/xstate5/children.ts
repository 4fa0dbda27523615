/**
 * What can be told about children from outside: their kind, whether settling waits for them, whether they can be restored.
 */

import type { ChildKind, Json, MachineEvent } from "../frames.ts";
import { parse, stringify } from "../natives.ts";
import { Tombstone } from "./root.ts";
import type { Actor, Logic, MachineSnapshot } from "./shapes.ts";
import { isMachineLogic, isMachineSnapshot, NOT_STARTED, STOPPED } from "./shapes.ts";
import type { DelayedSends } from "./system.ts";

const kinds = new WeakMap<Logic, ChildKind>();

export function kindOf(child: Actor): ChildKind {
  let kind = kinds.get(child.logic);
  if (kind === undefined) kinds.set(child.logic, kind = tellKind(child));
  return kind;
}

// By behaviour, not by name or class: the logic may come from any copy, minified or not.
function tellKind(child: Actor): ChildKind {
  if (isMachineLogic(child.logic)) return "machine";
  if (typeof child.logic.start !== "function") return "reducer";
  const snapshot: unknown = child.getSnapshot();
  if (typeof snapshot !== "object" || snapshot === null) return "other";
  if ("_subscription" in snapshot) return "observable";
  if (Object.keys(snapshot).sort().join() !== "error,input,output,status") return "other";
  return settlesLikeAPromise(child.logic) ? "promise" : "callback";
}

function settlesLikeAPromise(logic: Logic): boolean {
  const resolved: MachineEvent = { type: "xstate.promise.resolve", data: kinds };
  try {
    return logic.transition({ status: "active" }, resolved, { self: {} }).output === kinds;
  } catch {
    return false; // a callback looks for what it noted when it was started
  }
}

/** Runs, or will once its step is performed. */
export function isActive(child: Actor): boolean {
  return child._processingStatus !== STOPPED && child.getSnapshot()?.status === "active";
}

/** Settling waits for `child`, as it will be once it has been started. */
export function isDue(child: Actor, delays: DelayedSends): boolean {
  if (!isActive(child)) return false;
  const kind = kindOf(child);
  if (kind === "machine") return isMachineBusy(child, delays);
  return kind !== "reducer" || (!delays.isEmpty && delays.concerns(child));
}

function isMachineBusy(child: Actor, delays: DelayedSends): boolean {
  if (!delays.isEmpty && delays.concerns(child)) return true;
  const snapshot: unknown = child.getSnapshot();
  if (!isMachineSnapshot(snapshot)) return false;
  if (child._processingStatus === NOT_STARTED && waitsForDelay(snapshot)) return true;
  return Object.values(snapshot.children).some((inner) => inner && isDue(inner, delays));
}

// Until a machine is started its `after` delays are not scheduled yet.
function waitsForDelay(snapshot: MachineSnapshot): boolean {
  return snapshot._nodes.some((node) => node.config.after !== undefined);
}

/**
 * The state of a child as JSON text, where XState can make the child again from it: its logic is found by name, it does nothing
 * that could not be taken up again, and the same holds for all below it.
 */
export function restorableState(child: Actor, delays: DelayedSends): string | undefined {
  if (!isRestorable(child, delays)) return undefined;
  try {
    return stringify(child.getPersistedSnapshot());
  } catch {
    return undefined; // no JSON
  }
}

function isRestorable(child: Actor, delays: DelayedSends): boolean {
  if (child instanceof Tombstone || typeof child.src !== "string") return false;
  if (isActive(child) && isDue(child, delays)) return false;
  const snapshot: unknown = child.getSnapshot();
  if (!isMachineSnapshot(snapshot)) return true;
  return Object.values(snapshot.children).every((inner) => inner && isRestorable(inner, delays));
}

/** Is some value in `json` a reference to an actor, by XState's own mark? */
export function mayHoldReferences(json: string): boolean {
  return json.includes('"xstate$$type":1');
}

/** Put actors where references stand. Changes `value` in place, and returns what belongs in its own place. */
export function reviveReferences(value: unknown, find: (id: string) => Actor): unknown {
  if (typeof value !== "object" || value === null) return value;
  const { xstate$$type: mark, id } = value as { xstate$$type?: unknown; id?: unknown };
  if (mark === 1 && typeof id === "string") return find(id);
  const holder = value as Record<string, unknown>;
  for (const key of Object.keys(holder)) {
    const inner = holder[key];
    const revived = reviveReferences(inner, find);
    if (revived !== inner) holder[key] = revived;
  }
  return value;
}

export function parseContext(json: string, find: (id: string) => Actor): unknown {
  const value: Json = parse(json);
  return mayHoldReferences(json) ? reviveReferences(value, find) : value;
}
