/**
 * What an author's bundle has of @statebacked/machine, in shape: its functions make plain objects, and ask the host by the global that the
 * published package names, slip included.
 */

import { spawnInstance } from "../../../src/statekeep/runtimes/javascript/host/persistent.ts";

// deno-lint-ignore no-explicit-any
type Any = any;

export function spawnPersistentInstance(descriptor: Any, options?: Any): Any {
  return spawnInstance(descriptor, options);
}

export function persistentInvocableSource(descriptor: Any): Any {
  const { machineName, machineInstanceName = crypto.randomUUID(), machineVersionId } = descriptor;
  return { type: "statebacked.invoke", machineName, machineInstanceName, machineVersionId };
}

export function sendTo(to: Any, event: Any, options: Any = {}): Any {
  const { delay, id } = options;
  return {
    type: "xstate.send",
    to,
    event: typeof event === "function" ? event : () => event,
    delay,
    id,
  };
}
