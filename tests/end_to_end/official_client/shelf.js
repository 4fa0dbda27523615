// Documents, which are found by what is in their context.
import { assign, createMachine } from "npm:xstate@5";

export const allowRead = () => true;

export const allowWrite = () => true;

export default createMachine({
  context: { folder: "/", readers: [] },
  initial: "lying",
  states: {
    lying: {
      on: {
        move: {
          actions: assign(({ event }) => ({ folder: event.folder, readers: event.readers })),
        },
      },
    },
  },
});
