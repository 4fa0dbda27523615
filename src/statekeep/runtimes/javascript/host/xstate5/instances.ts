/**
 * Other instances, as XState sees them: actors that are never started, whose logic says where they are.
 *
 * XState takes an invocation of an instance for some logic that it cannot use. It is given one that it can while it makes the actor, so that the
 * actor is as good as any: it has an id, is among the children, and is stopped with its state.
 */

import type { Address } from "../frames.ts";
import { referenced } from "../persistent.ts";
import type { Actor, ActorSnapshot, Logic } from "./shapes.ts";

const ACTIVE: ActorSnapshot = { status: "active", output: undefined, error: undefined };

/** Of an actor that is an instance of its own. */
export class InstanceLogic implements Logic {
  readonly [key: string]: unknown;

  constructor(readonly to: Address) {}

  getInitialSnapshot(): ActorSnapshot {
    return ACTIVE;
  }

  transition(): ActorSnapshot {
    return ACTIVE;
  }

  getPersistedSnapshot(): ActorSnapshot {
    return ACTIVE;
  }
}

/** Of an actor that was to be an instance and cannot: it fails as soon as it is made. */
export class RefusedLogic implements Logic {
  readonly [key: string]: unknown;

  getInitialSnapshot(): ActorSnapshot {
    throw new Error(
      "Only the machine of an instance can have persistent children, in its transitions: " +
        "neither a child machine nor an action can.",
    );
  }

  transition(snapshot: unknown): ActorSnapshot {
    return snapshot as ActorSnapshot;
  }
}

/** Where the instance is that an actor, or a reference in a context, stands for; undefined for all others. */
export function addressOf(target: unknown): Address | undefined {
  if (typeof target !== "object" || target === null) return undefined;
  const { logic } = target as Partial<Actor>;
  return logic instanceof InstanceLogic ? logic.to : referenced(target);
}
