// XState 5: who may do what, time, tags, a public part.
import { assign, createMachine } from "npm:xstate@5";

export const allowRead = ({ context, authContext }) =>
  authContext.sub === context.owner || authContext.role === "janitor";

export const allowWrite = ({ type, event, authContext }) =>
  authContext.sub !== undefined && (type === "initialization" || event.type !== "lock");

export default createMachine({
  id: "door",
  context: ({ input }) => ({ owner: input.owner ?? "ada", public: { opened: 0 } }),
  initial: "closed",
  states: {
    closed: {
      after: { 86400000: "locked" },
      on: { open: "open", kick: { actions: () => console.error("ouch") } },
    },
    open: {
      tags: ["draughty"],
      entry: [
        assign({ public: ({ context }) => ({ opened: context.public.opened + 1 }) }),
        ({ context }) => console.log(`opened ${context.public.opened} times`),
      ],
      on: {
        close: "closed",
        break: { actions: assign(() => { throw new Error("it does not break"); }) },
      },
    },
    locked: { type: "final" },
  },
  output: ({ context }) => ({ opened: context.public.opened }),
});
