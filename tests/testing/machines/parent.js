// XState 5: sends to other instances and spawns them.
import { createMachine, sendTo } from "npm:xstate@5";

export const allowRead = () => true;
export const allowWrite = () => true;

const at = (machineName, machineInstanceName) => ({
  type: "statebacked.instance",
  id: machineInstanceName,
  machineName,
  machineInstanceName,
});

export default createMachine({
  id: "parent",
  initial: "idle",
  on: {
    greet: { actions: sendTo(at("child", "neighbour"), { type: "hello" }) },
    remind: { actions: sendTo(at("child", "neighbour"), { type: "hello" }, { delay: 60000, id: "reminder" }) },
    write: { actions: sendTo(at("nowhere", "nobody"), { type: "hello", loud: true }) },
  },
  states: {
    idle: { on: { hire: "working" } },
    working: {
      invoke: {
        id: "helper",
        src: { type: "statebacked.invoke", machineName: "child", machineInstanceName: "helper" },
        input: { task: "sweep" },
        onDone: "idle",
      },
    },
  },
});
