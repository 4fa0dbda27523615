/**
 * A real host process on a real socket, spoken to as the server does.
 *
 * What is tested is what ships: `dist/` as hatch_build.py makes it, or the folder that STATEKEEP_DIST names.
 */

import denyPrivate from "./private_networks.json" with { type: "json" };

// deno-lint-ignore no-explicit-any
export type Frame = any;

const repository = new URL("../../../", import.meta.url).pathname;
export const dist = Deno.env.get("STATEKEEP_DIST") ??
  `${repository}src/statekeep/runtimes/javascript/dist`;

export const limits = {
  contextBytes: 400_000,
  snapshotBytes: 1_000_000,
  jsonDepth: 500,
  macrosteps: 100,
  logBytes: 10_000,
  sessions: 1_000,
  sessionBytes: 100_000_000,
  denyPrivateNetwork: true,
};
export type Limits = typeof limits;

export interface Options {
  /** Let it reach loopback, for servers that a test starts. */
  privateNetwork?: boolean;
  limits?: Partial<Limits>;
  /** What `import ... from "xstate"` is. */
  xstate?: 4 | 5;
  /** Changes to the import map. */
  imports?: Record<string, string | undefined>;
  /** Do not show what the process prints: it is expected to fail. */
  quiet?: boolean;
}

interface Manifest {
  xstate4: { modules: Record<string, string> };
  xstate5: { modules: Record<string, string> };
}

function importMap({ xstate: major = 5, imports: changes = {} }: Options): string {
  const manifest: Manifest = JSON.parse(Deno.readTextFileSync(`${dist}/manifest.json`));
  const file = (copy: 4 | 5, subpath: string) =>
    `file://${dist}/${manifest[`xstate${copy}`].modules[subpath]}`;
  const imports: Record<string, string | null> = { xstate4: file(4, ""), xstate5: file(5, "") };
  for (const copy of [4, 5] as const) {
    for (const subpath of Object.keys(manifest[`xstate${copy}`].modules)) {
      const tail = subpath === "" ? "" : `/${subpath}`;
      imports[`npm:xstate@${copy}${tail}`] = file(copy, subpath);
      if (copy === major) imports[`xstate${tail}`] = file(copy, subpath);
    }
  }
  for (const name of builtIns()) imports[name] = null;
  return `data:application/json,${
    encodeURIComponent(JSON.stringify({ imports: { ...imports, ...changes } }))
  }`;
}

export function builtIns(): string[] {
  const { builtinModules } = process.getBuiltinModule("node:module");
  return builtinModules.map((name) => name.startsWith("node:") ? name : `node:${name}`);
}

export class HostProcess implements AsyncDisposable {
  readonly reports: Frame[] = [];
  readonly replies: Frame[] = [];
  #waiting: { matches: (frame: Frame) => boolean; resolve: (frame: Frame) => void }[] = [];
  #ids = 0;
  readonly #last = new Map<number, { n: number; resolve: (frame: Frame) => void }>();
  readonly #encoder = new TextEncoder();

  private constructor(
    readonly child: Deno.ChildProcess,
    readonly connection: Deno.UnixConn,
    readonly folder: string,
  ) {}

  static async start(code: string, options: Options = {}): Promise<HostProcess> {
    const host = await HostProcess.startEmpty(options);
    const loaded = await host.load(code, options.limits);
    if (!loaded.ok) {
      await host[Symbol.asyncDispose]();
      throw new Error(JSON.stringify(loaded));
    }
    return host;
  }

  static async startEmpty(options: Options = {}): Promise<HostProcess> {
    const folder = await Deno.makeTempDir();
    const path = `${folder}/socket`;
    const listener = Deno.listen({ transport: "unix", path });
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ..."run --quiet --no-prompt --no-remote --no-npm --no-config --no-lock --no-check".split(
          " ",
        ),
        "--v8-flags=--max-old-space-size=128",
        `--import-map=${importMap(options)}`,
        `--allow-read=${dist},${path}`,
        `--allow-write=${path}`,
        "--allow-net",
        ...options.privateNetwork ? [] : [`--deny-net=${denyPrivate.join()}`],
        `${dist}/host.js`,
        path,
      ],
      clearEnv: true,
      env: { DENO_DIR: `${folder}/deno`, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      stdin: "null",
      stdout: options.quiet ? "null" : "inherit",
      stderr: options.quiet ? "null" : "inherit",
    }).spawn();
    const ended = Promise.withResolvers<never>();
    child.status.then(({ code }) => ended.reject(new Error(`The host ended with ${code}`)));
    ended.promise.catch(() => {});
    const connection = await Promise.race([
      listener.accept(),
      ended.promise,
    ]) as Deno.UnixConn;
    listener.close();
    const host = new HostProcess(child, connection, folder);
    host.#read();
    await Promise.race([host.ask({ op: "ping" }), ended.promise]).catch(async (error) => {
      await host[Symbol.asyncDispose]();
      throw error;
    });
    return host;
  }

  load(code: string, changes: Partial<Limits> = {}): Promise<Frame> {
    return this.ask({ op: "load", code, limits: { ...limits, ...changes } });
  }

  /** The result of creating instance `i`. */
  async create(i: number, context: Frame = {}, rest: Frame = {}): Promise<Frame> {
    const request = { op: "create", i, name: `n${i}`, context, auth: {}, authorize: true, ...rest };
    return (await this.ask(request)).r;
  }

  /** The results of deliveries; strings are events without more than a type, sent by a caller. */
  async step(i: number, rev: number, events: Frame[], rest: Frame = {}): Promise<Frame[]> {
    const id = ++this.#ids;
    const answers = events.map((_, n) => this.waitFor((frame) => frame.re === id && frame.n === n));
    const refusal = this.waitFor((frame) => frame.re === id && frame.n === undefined);
    this.send({ op: "step", id, i, name: `n${i}`, rev, events: events.map(delivery), ...rest });
    const first = await Promise.race([Promise.all(answers), refusal]);
    return Array.isArray(first) ? first.map((frame) => frame.r) : [first];
  }

  /** Step a single event that has to succeed. */
  async one(i: number, rev: number, event: Frame, rest: Frame = {}): Promise<Frame> {
    const [result] = await this.step(i, rev, [event], rest);
    if (!result.steps) throw new Error(JSON.stringify(result));
    return result;
  }

  /** Resolves when the last of `events` is answered. Looks at nothing else, to be quick. */
  async stepsDone(i: number, rev: number, events: Frame[]) {
    const id = ++this.#ids;
    const { promise, resolve } = Promise.withResolvers<Frame>();
    this.#last.set(id, { n: events.length - 1, resolve });
    this.send({ op: "step", id, i, name: `n${i}`, rev, events });
    const answer = await promise;
    if (!answer.r?.steps) throw new Error(JSON.stringify(answer));
  }

  perform(i: number, rev: number): Promise<Frame> {
    return this.ask({ op: "perform", i, rev });
  }

  read(i: number, rev: number, rest: Frame = {}): Promise<Frame> {
    return this.ask({ op: "read", i, name: `n${i}`, rev, auths: [{}], ...rest });
  }

  async ask(request: Frame): Promise<Frame> {
    const id = ++this.#ids;
    const answer = this.waitFor((frame) => frame.re === id);
    this.send({ ...request, id });
    return await answer;
  }

  send(request: Frame) {
    this.sendText(JSON.stringify(request) + "\n");
  }

  #unsent = "";
  #isSending = false;

  sendText(text: string) {
    this.#unsent += text;
    if (!this.#isSending) queueMicrotask(() => this.#flush());
    this.#isSending = true;
  }

  async #flush() {
    while (this.#unsent !== "") {
      const bytes = this.#encoder.encode(this.#unsent);
      this.#unsent = "";
      for (let n = 0; n < bytes.length;) {
        n += await this.connection.write(bytes.subarray(n)).catch(() => bytes.length);
      }
    }
    this.#isSending = false;
  }

  /** The next frame that matches, or a report that has come already. */
  waitFor(matches: (frame: Frame) => boolean): Promise<Frame> {
    const { promise, resolve } = Promise.withResolvers<Frame>();
    this.#waiting.push({ matches, resolve });
    return promise;
  }

  async report(matches: (frame: Frame) => boolean): Promise<Frame> {
    return this.reports.find(matches) ?? await this.waitFor(matches);
  }

  event(type: string): Promise<Frame> {
    return this.report((frame) => frame.op === "event" && frame.event.type === type);
  }

  /** Everything logged so far, once a round trip has passed. */
  async logs(i?: number | null): Promise<string> {
    await this.ask({ op: "ping" });
    const logs = this.reports.filter((frame) => frame.op === "log");
    return logs.filter((log) => i === undefined || log.i === i).map((log) => log.text).join("\n");
  }

  async #read() {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(65536);
    let rest = "";
    for (;;) {
      const count = await this.connection.read(buffer).catch(() => null);
      if (count === null) return;
      const lines = (rest + decoder.decode(buffer.subarray(0, count), { stream: true })).split(
        "\n",
      );
      rest = lines.pop()!;
      for (const line of lines) this.#take(JSON.parse(line));
    }
  }

  #take(frame: Frame) {
    const last = this.#last.get(frame.re);
    if (last) {
      if (frame.n !== undefined && frame.n < last.n) return;
      this.#last.delete(frame.re);
      return last.resolve(frame);
    }
    (frame.re === undefined ? this.reports : this.replies).push(frame);
    const met = this.#waiting.filter(({ matches }) => matches(frame));
    this.#waiting = this.#waiting.filter((waiting) => !met.includes(waiting));
    met.forEach(({ resolve }) => resolve(frame));
  }

  async [Symbol.asyncDispose]() {
    this.connection.close();
    await this.child.status;
    await Deno.remove(this.folder, { recursive: true });
  }
}

function delivery(event: Frame): Frame {
  if (typeof event === "string") return { event: { type: event }, auth: {} };
  return "type" in event ? { event, auth: {} } : event;
}

/** A module around a machine: `body` defines `machine`, and may define the authorisers. */
export function module(body: string): string {
  const allow = (name: string) =>
    body.includes(`export const ${name}`) ? "" : `export const ${name} = () => true;`;
  return `import * as xstate from "xstate";
const { createMachine, assign, setup, fromPromise, fromCallback, fromObservable, fromEventObservable, fromTransition,
  sendTo, raise, emit, log, cancel, spawnChild, stopChild, enqueueActions, sendParent, forwardTo, stateIn, and, or, not } = xstate;
${body}
export default machine;
${allow("allowRead")}
${allow("allowWrite")}
`;
}
