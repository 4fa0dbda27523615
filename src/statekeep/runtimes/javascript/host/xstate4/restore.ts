/**
 * Children of a snapshot: idle machines run again where they were, without doing again what they did. Everything else is a
 * tombstone.
 */

import type { Json, LocalChild, Snapshot } from "../frames.ts";
import { ChildTraits, giveTraits, traitsOf } from "./children.ts";
import { adopt, OwnInterpreter, toScxml } from "./copies.ts";
import { definitionOf } from "./definition.ts";
import { reviveRefs } from "./refs.ts";
import type { RootService } from "./service.ts";
import { readState } from "./snapshot.ts";
import { type ActorRef, type Interpreter, isMachine, type Machine } from "./types.ts";

type Children = Snapshot["children"];

export function restoreChildren(root: RootService, children: Children): void {
  restoreBelow(root, root, children);
}

function restoreBelow(root: RootService, parent: Interpreter, children: Children = {}): void {
  for (const [id, child] of Object.entries(children)) {
    if (child.kind === "instance") continue;
    const actor = restoreMachine(root, parent, id, child);
    parent.children.set(id, actor ?? giveTraits(root.tombstone(id), new ChildTraits(child.kind)));
  }
}

/** Undefined where there is nothing to go on with, or where the machine has changed so that it cannot. */
function restoreMachine(
  root: RootService,
  parent: Interpreter,
  id: string,
  { src, snapshot, sync }: LocalChild,
): Interpreter | undefined {
  const source = src === undefined ? undefined : parent.machine.options.services?.[src];
  if (!isMachine(source) || snapshot === undefined) return undefined;
  try {
    const start = () => startAgain(root, parent, id, source, snapshot as unknown as Snapshot);
    const child = parent === root ? root.withChildClock(start) : start();
    if (sync) tellParent(parent, child);
    if (definitionOf(parent.machine).activities.get(id)?.autoForward) parent.forwardTo.add(id);
    return child;
  } catch (error) {
    root.warn(`child "${id}" cannot go on from where it was: ${error}`);
  }
}

function startAgain(
  root: RootService,
  parent: Interpreter,
  id: string,
  machine: Machine,
  snapshot: Snapshot,
): Interpreter {
  adopt(machine);
  const child = new OwnInterpreter(machine, { ...parent.options, parent, id });
  restoreBelow(root, child, snapshot.children);
  const resolve = (ref: string): ActorRef =>
    child.children.get(ref) ?? parent.children.get(ref) ?? root.tombstone(ref);
  const context = reviveRefs(snapshot.context as Json, resolve);
  child.onDone((event) => {
    parent.removeChild(id);
    parent.send(toScxml(event, { origin: id }));
  });
  // Its state has no actions, so none is executed again.
  return child.start(readState(machine, snapshot, context));
}

/** Not with `onTransition`, which would tell at once. */
function tellParent(parent: Interpreter, child: Interpreter): void {
  traitsOf(child).isSync = true;
  child.listeners.add((state) => parent.send({ type: "xstate.update", state, id: child.id }));
}
