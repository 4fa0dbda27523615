// A door, for XState 5. Strangers may neither see nor move it.
import { assign, createMachine } from "npm:xstate@5";

export const allowRead = ({ authContext }) => authContext.sub !== "stranger";

export const allowWrite = ({ authContext }) => authContext.sub !== "stranger";

export default createMachine({
  id: "door",
  initial: "closed",
  context: { public: { opened: 0 }, secret: "under the mat" },
  states: {
    closed: {
      tags: ["shut"],
      on: {
        open: {
          target: "open",
          actions: assign({
            public: ({ context, event }) => ({
              ...context.public,
              opened: context.public.opened + (event.times ?? 1),
            }),
          }),
        },
      },
    },
    open: {
      initial: "ajar",
      states: { ajar: { on: { push: "wide" } }, wide: {} },
      on: {
        close: "closed",
        wall: "walled",
        jam: {
          actions: assign(() => {
            throw new Error("the door is jammed");
          }),
        },
      },
    },
    walled: { type: "final" },
  },
});
