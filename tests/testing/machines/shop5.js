// XState 5, every shape: guards, delays, promises, parallel, final, history, eventless, wildcard, nested, what nobody reaches and what throws.
import { assign, createMachine, fromPromise, raise } from "npm:xstate@5";

export const allowRead = () => true;
export const allowWrite = ({ authContext }) => authContext.sub === "ada";

export default createMachine({
  id: "shop",
  context: { items: 0 },
  initial: "cart",
  on: { "*": { actions: assign({ last: ({ event }) => event.type }) } },
  states: {
    cart: {
      after: { 86400000: "abandoned" },
      on: {
        add: [
          { guard: "isFull", actions: raise({ type: "overflow" }) },
          { actions: assign({ items: ({ context, event }) => context.items + (event.count ?? 1) }) },
        ],
        overflow: {},
        checkout: { guard: ({ context }) => context.items > 0, target: "paying" },
      },
    },
    abandoned: { type: "final" },
    paying: {
      invoke: {
        id: "charge",
        src: fromPromise(() => Promise.resolve("receipt")),
        onDone: { target: "shipping", actions: assign({ receipt: ({ event }) => event.output }) },
        onError: "cart",
      },
    },
    shipping: {
      type: "parallel",
      on: { pause: "paused" },
      states: {
        box: { initial: "open", states: { open: { on: { close: "closed" } }, closed: { type: "final" } } },
        mail: { initial: "unsent", states: { unsent: { on: { mail: "sent" } }, sent: { type: "final" } } },
        past: { type: "history", history: "deep" },
      },
      onDone: "done",
    },
    paused: {
      on: {
        resume: "shipping.past",
        tear: { actions: assign(() => { throw new Error("torn"); }) },
      },
    },
    done: { always: [{ guard: () => false, target: "never" }, { target: "thanks" }] },
    never: {},
    thanks: {},
  },
}, { guards: { isFull: ({ context }) => context.items >= 2 } });
