/**
 * What `statekeep bench` loads a server with: a switch that counts how often it was used, and asks who uses it. One module as a server keeps it: nothing is to be built.
 */
import { assign, createMachine } from "npm:xstate@5";

export default createMachine({
  id: "toggle",
  initial: "off",
  context: { public: { count: 0 } },
  states: {
    off: { on: { toggle: { target: "on", actions: "count" } } },
    on: { on: { toggle: { target: "off", actions: "count" } } },
  },
}, {
  actions: {
    count: assign({ public: ({ context }) => ({ count: context.public.count + 1 }) }),
  },
});

export const allowRead = ({ authContext }) => authContext.sub === "bench";
export const allowWrite = ({ authContext }) => authContext.sub === "bench";
