// A board that everybody reads until it is covered: then only its owner does.
import { assign, createMachine } from "npm:xstate@5";

export const allowRead = ({ state, authContext }) =>
  state !== "covered" || authContext.sub === "owner";

export const allowWrite = ({ authContext }) => authContext.sub !== "stranger";

const write = assign({ public: ({ event }) => ({ text: event.text }) });

export default createMachine({
  initial: "shown",
  context: { public: { text: "" } },
  states: {
    shown: { on: { write: { actions: write }, cover: "covered", blink: "blinking" } },
    covered: { on: { write: { actions: write }, show: "shown" } },
    blinking: { after: { 20: "shown" } },
  },
});
