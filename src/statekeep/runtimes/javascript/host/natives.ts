/**
 * What the host needs of its environment, taken before author code runs.
 *
 * Author code shares this realm and may replace any global. Nothing that carries frames or enforces a rule may be looked up
 * through a global afterwards, so it is captured here, and this module is evaluated first.
 */

export const { parse, stringify } = JSON;

const encoder = new TextEncoder();
const encodeText = encoder.encode.bind(encoder);

const { fromBase64 } = Uint8Array;
const { toBase64 } = Uint8Array.prototype;
const { apply } = Reflect;
const { fromEntries } = Object;
const { entries: headerEntries } = Headers.prototype;

export const native = {
  fetch: globalThis.fetch,
  Headers: globalThis.Headers,
  Request: globalThis.Request,
  URL: globalThis.URL,
  URLSearchParams: globalThis.URLSearchParams,
  WebSocket: globalThis.WebSocket,
  EventSource: globalThis.EventSource,
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  setImmediate: globalThis.setImmediate,
  clearImmediate: globalThis.clearImmediate,
  queueMicrotask: globalThis.queueMicrotask,
  fromBase64: fromBase64.bind(Uint8Array),
  toBase64: (bytes: Uint8Array): string => apply(toBase64, bytes, []),
  /** By name; those of one name are one, as `Headers` has them. */
  entriesOf: (headers: Headers): Record<string, string> =>
    fromEntries(apply(headerEntries, headers, [])),
  requestUrl: Object.getOwnPropertyDescriptor(Request.prototype, "url")!.get!,
} as const;

export const randomUUID: () => string = crypto.randomUUID.bind(crypto);

/** Milliseconds since the epoch. */
export const now: () => number = Date.now;

/** Milliseconds since some start, fine and steady. */
export const steadyNow: () => number = performance.now.bind(performance);

export function encode(text: string): Uint8Array<ArrayBuffer> {
  return encodeText(text);
}

const { toWellFormed } = String.prototype;

/**
 * The text with U+FFFD for halves of surrogate pairs, which no UTF-8 can carry: authors print them, and cutting makes them.
 */
export function wellFormed(text: string): string {
  return apply(toWellFormed, text, []);
}

/** Is `text` longer than `limit` bytes of UTF-8? Most texts are so much shorter that nothing has to be encoded. */
export function exceedsBytes(text: string, limit: number): boolean {
  if (text.length * 3 <= limit) return false;
  return text.length > limit || encodeText(text).length > limit;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Are there more than `limit` objects and lists around some value of this JSON? Most texts are too short for that. */
export function isNestedDeeper(text: string, limit: number): boolean {
  if (text.length <= 2 * limit) return false;
  const bytes = encodeText(text);
  let depth = 0;
  let isInString = false;
  for (let n = 0; n < bytes.length; n++) {
    const byte = bytes[n]!;
    if (isInString) {
      if (byte === BACKSLASH) n++;
      else if (byte === QUOTE) isInString = false;
    } else if (byte === QUOTE) {
      isInString = true;
    } else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > limit) return true;
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
    }
  }
  return false;
}
