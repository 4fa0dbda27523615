/**
 * What author code finds in its global scope.
 *
 * What must stay true: a global that is not listed here is gone before author code is loaded, so that a new Deno cannot bring a new way out
 * unnoticed. The gate and the console replace some of those that stay.
 */

const LANGUAGE = [
  "Object Function Array Number parseFloat parseInt Infinity NaN undefined Boolean String Symbol Date Promise RegExp",
  "Error AggregateError EvalError RangeError ReferenceError SyntaxError TypeError URIError SuppressedError",
  "globalThis JSON Math Intl Temporal ArrayBuffer SharedArrayBuffer Atomics DataView",
  "Uint8Array Int8Array Uint16Array Int16Array Uint32Array Int32Array BigUint64Array BigInt64Array Uint8ClampedArray",
  "Float16Array Float32Array Float64Array Map BigInt Set Iterator AsyncIterator WeakMap WeakSet Proxy Reflect",
  "FinalizationRegistry WeakRef DisposableStack AsyncDisposableStack WebAssembly",
  "decodeURI decodeURIComponent encodeURI encodeURIComponent escape unescape eval isFinite isNaN",
];

const WEB = [
  "console queueMicrotask structuredClone atob btoa reportError self",
  "setTimeout clearTimeout setInterval clearInterval setImmediate clearImmediate",
  "AbortController AbortSignal Blob File FileReader FormData Headers Request Response fetch",
  "URL URLPattern URLSearchParams WebSocket EventSource CloseEvent MessageEvent MessageChannel MessagePort ProgressEvent",
  "CustomEvent Event EventTarget ErrorEvent PromiseRejectionEvent DOMException QuotaExceededError",
  "addEventListener removeEventListener dispatchEvent onerror onunhandledrejection",
  "CompressionStream DecompressionStream TextDecoder TextEncoder TextDecoderStream TextEncoderStream",
  "ByteLengthQueuingStrategy CountQueuingStrategy TransformStream TransformStreamDefaultController",
  "ReadableStream ReadableStreamDefaultReader ReadableStreamDefaultController ReadableByteStreamController",
  "ReadableStreamBYOBReader ReadableStreamBYOBRequest WritableStream WritableStreamDefaultWriter",
  "WritableStreamDefaultController Crypto CryptoKey SubtleCrypto crypto",
  "Performance PerformanceEntry PerformanceMark PerformanceMeasure PerformanceObserver PerformanceObserverEntryList",
  "performance",
];

const KEPT = new Set([...LANGUAGE, ...WEB].flatMap((names) => names.split(" ")));

/** `spawnInstance`: what `spawnPersistentInstance` comes to. */
export function lockDown(spawnInstance: (...args: never[]) => unknown) {
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    if (!KEPT.has(name)) remove(name);
  }
  install("process", Object.freeze({ env: Object.freeze({ NODE_ENV: "production" }) }));
  install("navigator", Object.freeze({ userAgent: "Statekeep", language: "en" }));
  const runtime = Object.freeze({ spawn: spawnInstance });
  // The second name is a slip in a published release of @statebacked/machine.
  install("__statebacked_rt", runtime);
  install("__statebaked_rt", runtime);
}

function remove(name: string) {
  // Some are not configurable; these are overwritten, and where not even that works the host must not run.
  if (Reflect.deleteProperty(globalThis, name)) return;
  if (!Reflect.set(globalThis, name, undefined)) {
    throw new Error(`The global ${name} cannot be taken away`);
  }
}

function install(name: string, value: unknown) {
  Object.defineProperty(globalThis, name, { value, writable: false, configurable: false });
}

/** Errors that nothing caught end a Deno process. Here they are the affair of the instance that caused them. */
export function surviveErrors(report: (what: string, error: unknown) => void) {
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    report("Uncaught error", event.error);
  });
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    report("Unhandled promise rejection", event.reason);
  });
}
