/**
 * The canonical snapshot of docs/host-protocol.md: a state of XState 4 as JSON text, and back. Alike for the root and for child machines
 * that are kept inside their parent's snapshot.
 */

import type { Child, Json, Parent, Snapshot } from "../frames.ts";
import { parse, stringify } from "../natives.ts";
import { isInterpreter, traitsOf } from "./children.ts";
import { toScxml } from "./copies.ts";
import { definitionOf } from "./definition.ts";
import { growHistory, listHistory } from "./history.ts";
import { stringifyWithRefs } from "./refs.ts";
import {
  type ActorRef,
  type Interpreter,
  isMachine,
  type Machine,
  type MachineEvent,
  type State,
} from "./types.ts";
import { checkValue } from "./value.ts";

const INITIAL_EVENT = "xstate.init";

/** JSON texts of what belongs into a snapshot but is not in the state, or is known already. */
export interface SnapshotParts {
  context: string;
  output?: string;
  children?: string;
  event?: string;
  parent?: Parent;
}

export function writeSnapshot(machine: Machine, state: State, parts: SnapshotParts): string {
  const history = listHistory(machine, state.historyValue, state.value);
  const fields = [
    field("value", stringify(state.value)),
    field("context", parts.context),
    field("status", state.done ? '"done"' : undefined),
    field("output", parts.output),
    field("history", history && stringify(history)),
    field("children", parts.children),
    field("activities", writeActivities(state.activities)),
    field("event", parts.event),
    field("parent", parts.parent && stringify(parts.parent)),
  ];
  return `{${fields.join("").slice(1)}}`;
}

function field(name: string, text: string | undefined): string {
  return text === undefined ? "" : `,"${name}":${text}`;
}

/** That they run is all that is kept: what they are is in the definition. */
function writeActivities(activities: State["activities"]): string | undefined {
  const running = Object.keys(activities).filter((id) => activities[id]);
  if (running.length === 0) return undefined;
  return stringify(Object.fromEntries(running.map((id) => [id, true])));
}

/** Undefined for the event that stands for none. An event that is no JSON is kept by its type. */
export function writeEvent(event: MachineEvent): string | undefined {
  if (event.type === INITIAL_EVENT) return undefined;
  try {
    return stringify(event);
  } catch {
    return stringify({ type: event.type });
  }
}

/** A state without actions. Throws where the machine has no such state. `context` has its references revived. */
export function readState(machine: Machine, snapshot: Snapshot, context: unknown): State {
  machine._init();
  checkValue(machine, snapshot.value);
  const event = snapshot.event ?? { type: INITIAL_EVENT };
  const state = machine.resolveState({
    value: snapshot.value,
    context,
    event,
    _event: toScxml(event),
    _sessionid: null,
    historyValue: growHistory(machine, snapshot.history, snapshot.value),
    history: undefined,
    actions: [],
    activities: readActivities(machine, snapshot.activities),
    meta: undefined,
    events: [],
    configuration: [],
    transitions: [],
    children: {},
    done: snapshot.status === "done",
  });
  // XState puts parallel regions in the order of the definition. The order that they had decides which goes first.
  state.value = snapshot.value;
  // Some copies forget them.
  state.tags = new Set(state.configuration.flatMap((node) => node.tags ?? []));
  return state;
}

function readActivities(machine: Machine, ids: Snapshot["activities"] = {}): State["activities"] {
  const known = definitionOf(machine).activities;
  return Object.fromEntries(
    Object.keys(ids).map((id) => {
      const activity = known.get(id) ?? { id };
      return [id, { type: "xstate.start", activity, exec: undefined }];
    }),
  );
}

/** One child, as `restoreChild` can bring it back; the others are only named. */
export function childOf(parent: Interpreter, id: string, actor: ActorRef, due: boolean): Child {
  const { kind, isSync } = traitsOf(actor);
  if (due) return { kind, due };
  if (!isInterpreter(actor) || actor._state === undefined) return { kind };
  const src = sourceOf(parent, id, actor);
  const snapshot = src === undefined ? undefined : machineSnapshot(actor, actor._state);
  if (snapshot === undefined) return { kind };
  return { kind, src, snapshot, ...(isSync && { sync: true }) };
}

/** The name under which the parent's machine has this machine, forwarding to it or not as its definition says. */
function sourceOf(parent: Interpreter, id: string, child: Interpreter): string | undefined {
  const services = parent.machine.options.services ?? {};
  const invoked = definitionOf(parent.machine).activities.get(id);
  const isForwardedTo = invoked?.autoForward === true;
  if (parent.forwardTo.has(id) !== isForwardedTo) return undefined;
  const isSource = (src: unknown): src is string => {
    const service = typeof src === "string" ? services[src] : undefined;
    return isMachine(service) && service.config === child.machine.config;
  };
  return isSource(invoked?.src) ? invoked.src : Object.keys(services).find(isSource);
}

/** Undefined where its context is no JSON. */
function machineSnapshot(child: Interpreter, state: State): Json | undefined {
  const children = Object.fromEntries(
    child.children.entries().map(([id, actor]) => [id, childOf(child, id, actor, false)]),
  );
  try {
    const text = writeSnapshot(child.machine, state, {
      context: stringifyWithRefs(state.context) ?? "{}",
      children: child.children.size > 0 ? stringify(children) : undefined,
      event: writeEvent(state.event),
    });
    return parse(text);
  } catch {
    return undefined;
  }
}
