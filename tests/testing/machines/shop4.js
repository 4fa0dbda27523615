// The same in XState 4.
import { assign, createMachine, actions } from "npm:xstate@4";

export const allowRead = () => true;
export const allowWrite = ({ authContext }) => authContext.sub === "ada";

export default createMachine({
  id: "shop",
  predictableActionArguments: true,
  context: { items: 0 },
  initial: "cart",
  on: { "*": { actions: assign({ last: (_, event) => event.type }) } },
  states: {
    cart: {
      after: { 86400000: "abandoned" },
      on: {
        add: [
          { cond: "isFull", actions: actions.raise("overflow") },
          { actions: assign({ items: (context, event) => context.items + (event.count ?? 1) }) },
        ],
        overflow: {},
        checkout: { cond: (context) => context.items > 0, target: "paying" },
      },
    },
    abandoned: { type: "final" },
    paying: {
      invoke: {
        id: "charge",
        src: () => Promise.resolve("receipt"),
        onDone: { target: "shipping", actions: assign({ receipt: (_, event) => event.data }) },
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
    done: { always: [{ cond: () => false, target: "never" }, { target: "thanks" }] },
    never: {},
    thanks: {},
  },
}, { guards: { isFull: ({ items }) => items >= 2 } });
