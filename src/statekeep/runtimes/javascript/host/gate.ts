/**
 * The ways out of the process and into later: `fetch`, timers, `WebSocket`, `EventSource`.
 *
 * What must stay true: while a step is undecided or not yet durable, nothing that its code calls leaves the process. `fetch` and timers
 * wait until the step is performed, connections that are made at once are refused. With `denyPrivateNetwork`, private hosts
 * are refused whenever they are named.
 */

import { currentActivity, runAs } from "./activity.ts";
import { native } from "./natives.ts";
import { isPrivateHost } from "./network.ts";
import type { PendingStep } from "./pending_step.ts";

/** Replace the globals. `onTimerError` gets what a timer's callback throws, in the activity that set it. */
export function installGate(denyPrivateNetwork: boolean, onTimerError: (error: unknown) => void) {
  const check = denyPrivateNetwork ? refusePrivate : () => {};
  define("fetch", gatedFetch(check));
  define("WebSocket", gatedConnection(native.WebSocket, "new WebSocket()", check));
  define("EventSource", gatedConnection(native.EventSource, "new EventSource()", check));
  installTimers(onTimerError);
}

function define(name: string, value: unknown) {
  Object.defineProperty(globalThis, name, {
    value,
    writable: true,
    enumerable: false,
    configurable: true,
  });
}

/** The step that keeps the running code from acting, if any. */
function gatingStep(): PendingStep | null {
  const step = currentActivity()?.step;
  return step && !step.isReleased ? step : null;
}

function refusePrivate(url: string) {
  const { hostname } = new native.URL(url);
  if (isPrivateHost(hostname)) {
    throw new TypeError(`Requests to private addresses are not allowed: ${hostname}`);
  }
}

let requestsUnderWay = 0;
let whenNoneIs: (() => void)[] = [];

/** Call `ready` once no request of author code waits for its response. */
export function afterRequests(ready: () => void) {
  if (requestsUnderWay === 0) ready();
  else whenNoneIs.push(ready);
}

async function fetchCounted(request: Request): Promise<Response> {
  requestsUnderWay++;
  try {
    return await native.fetch.call(globalThis, request);
  } finally {
    // Whoever waits for the response goes on first.
    native.setTimeout(requestEnded, 0);
  }
}

function requestEnded() {
  if (--requestsUnderWay > 0) return;
  const ready = whenNoneIs;
  whenNoneIs = [];
  for (const each of ready) each();
}

function gatedFetch(check: (url: string) => void): typeof fetch {
  // Async, so that whatever is wrong with the arguments rejects, as the standard says.
  return async function fetch(input, init) {
    // A request of our own making: what author code hands in could answer `url` differently each time.
    const request = new native.Request(input, init);
    check(native.requestUrl.call(request) as string);
    const step = gatingStep();
    if (!step) return await fetchCounted(request);
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    const start = () => fetchCounted(request).then(resolve, reject);
    step.keep({ start, refuse: reject }, "fetch()");
    return await promise;
  };
}

type Connection = new (url: string | URL, ...rest: unknown[]) => object;

function gatedConnection(constructor: unknown, name: string, check: (url: string) => void) {
  const proxy: Connection = new Proxy(constructor as Connection, {
    construct(target, [url, ...rest], newTarget) {
      gatingStep()?.refuse(name);
      // Turned into text once, so that what is checked is what is used.
      const text = new native.URL(String(url)).href;
      check(text);
      return Reflect.construct(target, [text, ...rest], newTarget === proxy ? target : newTarget);
    },
  });
  Object.defineProperty(proxy.prototype, "constructor", { value: proxy });
  return proxy;
}

type Callback = (...args: unknown[]) => void;
type Start = (callback: Callback, ...rest: unknown[]) => unknown;
type Stop = (handle: unknown) => void;

function installTimers(onError: (error: unknown) => void) {
  const pairs = [
    ["setTimeout", "clearTimeout"],
    ["setInterval", "clearInterval"],
    ["setImmediate", "clearImmediate"],
  ] as const;
  // Browsers let clearTimeout() clear intervals and the other way round; so do these, of kept timers.
  const kept = new WeakMap<object, KeptTimer>();
  for (const [set, clear] of pairs) {
    const start = native[set] as Start;
    const stop = native[clear] as Stop;
    define(set, gatedSetter(set, start, stop, kept, onError));
    define(clear, (handle: unknown) => {
      const timer = typeof handle === "object" && handle !== null ? kept.get(handle) : undefined;
      timer ? timer.clear() : stop(handle);
    });
  }
}

function gatedSetter(
  name: string,
  start: Start,
  stop: Stop,
  kept: WeakMap<object, KeptTimer>,
  onError: (error: unknown) => void,
) {
  return (callback: unknown, ...rest: unknown[]) => {
    if (typeof callback !== "function") throw new TypeError(`${name}() needs a function`);
    const guarded: Callback = (...args) => {
      try {
        callback(...args);
      } catch (error) {
        onError(error);
      }
    };
    const step = gatingStep();
    if (!step) return start(guarded, ...rest);
    const timer = new KeptTimer(() => start(guarded, ...rest), stop);
    step.keep(timer, `${name}()`);
    kept.set(timer.handle, timer);
    return timer.handle;
  };
}

/** A timer that starts to run when its step is durable. */
class KeptTimer {
  readonly handle: object;
  #running: { handle: unknown } | null = null;
  #isCleared = false;
  readonly #begin: () => unknown;
  readonly #stop: Stop;

  constructor(begin: () => unknown, stop: Stop) {
    // As a timer of Node looks, as far as author code may want to use it.
    const handle: object = {
      ref: () => handle,
      unref: () => handle,
      hasRef: () => true,
      refresh: () => handle,
    };
    this.handle = handle;
    // Whoever releases the step does so in an activity of its own; the timer belongs to this one.
    const activity = currentActivity()!;
    this.#begin = () => runAs(activity, begin);
    this.#stop = stop;
  }

  start() {
    if (!this.#isCleared) this.#running = { handle: this.#begin() };
  }

  refuse() {
    this.#isCleared = true;
  }

  clear() {
    this.#isCleared = true;
    if (this.#running) this.#stop(this.#running.handle);
  }
}
