/**
 * The shapes of docs/host-protocol.md, which explains each of them. Types only.
 */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };
export type StateValue = string | { [key: string]: StateValue };
export type MachineEvent = { type: string; [key: string]: unknown };

export type Limits = {
  contextBytes: number;
  snapshotBytes: number;
  jsonDepth: number;
  macrosteps: number;
  logBytes: number;
  sessions: number;
  sessionBytes: number;
  denyPrivateNetwork: boolean;
};

export type Address = { machineName: string; machineInstanceName: string };
export type Parent = Address & { id: string };

export type Delivery =
  | { event: MachineEvent; auth: Json; done?: Ended }
  | { event: MachineEvent; h?: number }
  | { lost: string; why: string; at?: Address };

/** What a persistent child is called by its parent, and which instance it is. */
export interface Ended {
  id: string;
  at: Address;
}

export type Request =
  | {
    op: "load";
    id: number;
    code: string;
    limits: Limits;
    kind?: "migration";
    observe?: true;
  }
  | {
    op: "create";
    id: number;
    i: number;
    name: string;
    context: JsonObject;
    auth: Json;
    authorize: boolean;
    parent?: Parent;
  }
  | {
    op: "step";
    id: number;
    i: number;
    name: string;
    rev: number;
    snapshot?: Snapshot;
    events: Delivery[];
  }
  | { op: "perform"; id?: number; i: number; rev: number }
  | {
    op: "read";
    id: number;
    i: number;
    name: string;
    rev: number;
    snapshot?: Snapshot;
    auths: Json[];
  }
  | { op: "stop"; id: number; i: number }
  | { op: "save"; id: number; i: number }
  | { op: "discard"; i: number }
  | { op: "handle"; id: number; slug: string; request: HttpRequest; bounds: JsonBounds }
  | { op: "respond"; id: number; i: number; slug: string; snapshot: Snapshot; bounds: JsonBounds }
  | { op: "describe"; id: number }
  | UpgradeRequest
  | { op: "ping"; id: number; rest?: true };

export type JsonBounds = { bytes: number; depth: number };

export type HttpRequest = {
  method: string;
  headers: { [name: string]: string };
  query: string;
  body?: { json: string } | { text: string } | { base64: string };
};

/** Carry an instance of another version over to the version of this host. */
export type UpgradeRequest = {
  op: "upgrade";
  id: number;
  i: number;
  name: string;
  snapshot: Snapshot;
  major: 4 | 5;
  states?: OutlineState[];
  timers: PendingTimer[];
  migrations: { id: string; code?: string }[];
};

/** One state node of a machine, in document order: what has to be known of a version to leave it. */
export type OutlineState = {
  path: string[];
  type: "atomic" | "compound" | "parallel" | "final" | "history";
  deep?: true;
  initial?: string;
  after?: Delay[];
  invokes?: string[];
  transitions?: OutlineTransition[];
};

/** As XState names its event; "" where there is none. `guard` is true where it has no name, `targets` are paths. */
export type OutlineTransition = { event: string; guard?: string | true; targets?: string[][] };

/** A transition of an outline: the position of its state, and its own there. */
export type TransitionRef = [state: number, n: number];

/** A delayed transition of a state node: its ordinal among them, and its length or its name. */
export type Delay = { n: number; delay: string | number };

/** Which delayed transition a timer belongs to. */
export type After = Delay & { path: string[] };

export type PendingTimer = { seq: number; id: string; event: MachineEvent; after?: After };

export type View = { state: StateValue; publicContext?: Json; tags: string[]; done: boolean };

export type HistoryEntry = { path: string[]; nodes: string[][] } | {
  path: string[];
  value: StateValue;
};

export type ChildKind =
  | "promise"
  | "callback"
  | "observable"
  | "machine"
  | "reducer"
  | "activity"
  | "other";

/** One that exists in the host. */
export type LocalChild = {
  kind: ChildKind;
  src?: string;
  snapshot?: Json;
  systemId?: string;
  sync?: true;
  due?: true;
};

export type Child = LocalChild | Address & { kind: "instance"; systemId?: string };

export type Snapshot = {
  value: StateValue;
  context: Json;
  status?: "done";
  output?: Json;
  history?: HistoryEntry[];
  children?: { [id: string]: Child };
  activities?: { [id: string]: Json };
  event?: MachineEvent;
  order?: number[];
  parent?: Parent;
};

export type TimerOp =
  | {
    set: string;
    delay: number;
    event: MachineEvent;
    after?: After;
  }
  | { cancel: string }
  | { send: string; to: Address; event: MachineEvent; delay?: number }
  | { done: string; to: Address; output?: unknown }
  | { spawn: string; to: Address; version?: string; context: JsonObject };

/** What becomes of the pending timers of an instance that is upgraded. Those that are not named stay as they are. */
export type TimerMoves = {
  renamed: (PendingTimer & { after: After })[];
  cancelled: number[];
  /** With the news for its parent, where the upgrade has ended the instance. */
  started: Extract<TimerOp, { set: string } | { done: string }>[];
};

/** What an upgrade leaves behind. */
export type Losses = { children: string[]; history: string[][] };

export type Failure = { code: string; message: string; stack?: string; path?: string[] };

export type Loaded = { major: 4 | 5; xstate: string; httpApi: string[] };
