// XState 4: a persistent child that ends after an hour.
import { assign, createMachine } from "npm:xstate@4";

export const allowRead = () => true;
export const allowWrite = () => true;

export default createMachine({
  id: "child",
  predictableActionArguments: true,
  context: { task: "none", heard: 0 },
  initial: "busy",
  on: { hello: { actions: assign({ heard: ({ heard }) => heard + 1 }) } },
  states: {
    busy: { after: { 3600000: "finished" } },
    finished: { type: "final", data: ({ task }) => ({ done: task }) },
  },
});
