/**
 * A switch that counts how often it was used, and goes off by itself.
 *
 *     off --toggle--> on --toggle, or after an hour--> off
 */
import { assign, setup } from "npm:xstate@5";

type Context = {
  /** The only part of the context that callers get to see. */
  public: { toggled: number };
};

type ToggleEvent = { type: "toggle" };

/** The claims of the caller's token. Whoever makes tokens decides what is in them. */
type AuthContext = { sub?: string };

export default setup({
  types: { context: {} as Context, events: {} as ToggleEvent },
  // Delays are durable: they keep their due time when the server is restarted in between.
  delays: { patience: 60 * 60 * 1000 },
  actions: {
    count: assign({
      public: ({ context }) => ({ toggled: context.public.toggled + 1 }),
    }),
    report: ({ context }) => console.log(`toggled ${context.public.toggled} times`),
  },
}).createMachine({
  id: "toggle",
  context: { public: { toggled: 0 } },
  initial: "off",
  states: {
    off: { on: { toggle: { target: "on", actions: ["count", "report"] } } },
    on: {
      on: { toggle: { target: "off", actions: ["count", "report"] } },
      after: { patience: "off" },
    },
  },
});

/** Who may see an instance. */
export const allowRead = ({ authContext }: { authContext: AuthContext }): boolean =>
  authContext.sub !== undefined;

/** Who may create one, and send it events. */
export const allowWrite = ({ authContext }: { authContext: AuthContext }): boolean =>
  authContext.sub !== undefined;
