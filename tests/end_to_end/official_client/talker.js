// A machine that prints from everywhere, for XState 5.
import { assign, createMachine, fromPromise } from "npm:xstate@5";

console.log("loaded");

export const allowRead = () => {
  throw new Error("allowRead is broken");
};

export const allowWrite = ({ type }) => {
  console.log("allowWrite", type);
  return true;
};

export default createMachine({
  context: {},
  initial: "idle",
  states: {
    idle: {
      on: {
        talk: {
          guard: () => (console.log("guard"), true),
          actions: [() => console.log("action", { is: "an object" }), () => console.error("error")],
        },
        crowd: {
          actions: () => {
            for (let n = 0; n < 250; n++) console.log(`line ${n}`);
          },
        },
        fail: {
          actions: assign(() => {
            throw new TypeError("assign is broken");
          }),
        },
        fail_later: {
          actions: () => {
            throw new TypeError("action is broken");
          },
        },
        work: "working",
      },
    },
    working: {
      invoke: {
        src: fromPromise(async () => {
          console.log("service");
          await 0;
        }),
        onDone: "idle",
      },
    },
  },
});
