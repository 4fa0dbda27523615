/**
 * HTTP mapping: what the author's `httpApiMapper` makes of a request, and of the state that came of it.
 *
 * Its functions may answer with a promise. Nothing here waits for one: the server is told that the answer is pending and gets it as a report,
 * so that requests behind it go on, and a promise that never settles keeps nothing alive. The server gives up by itself.
 *
 * What must stay true: what leaves here is plain JSON of the shape that docs/host-protocol.md gives, whatever the author returned.
 */

import type { Activity } from "./activity.ts";
import { runAs } from "./activity.ts";
import { failure, HostError } from "./errors.ts";
import type { Failure, HttpRequest, Json, JsonBounds, JsonObject, Request } from "./frames.ts";
import type { Logs } from "./logs.ts";
import { exceedsBytes, isNestedDeeper, native, parse, stringify } from "./natives.ts";

export interface HttpMapping {
  handler(request: Record<string, unknown>): unknown;
  responseMapper?: unknown;
}

export type HttpMappings = ReadonlyMap<string, HttpMapping>;

type Of<Op extends Request["op"]> = Extract<Request, { op: Op }>;

export class HttpApi {
  readonly #mappings: HttpMappings;
  readonly #logs: Logs;
  readonly #send: (frame: string) => void;

  constructor(mappings: HttpMappings, logs: Logs, send: (frame: string) => void) {
    this.#mappings = mappings;
    this.#logs = logs;
    this.#send = send;
  }

  /** Ask a handler which event a request is, and for whom. */
  handle({ id, slug, request, bounds }: Of<"handle">) {
    const mapping = this.#mappings.get(slug);
    if (!mapping) return this.#fail(id, { code: "http-unknown", message: "" });
    const call = new Call(this.#activity(null), `The handler of "${slug}"`);
    this.#answer(
      id,
      call,
      () => mapping.handler(readable(request)),
      (value) => meaningText(value, bounds),
    );
  }

  /** Ask a response mapper what is answered about an instance. */
  respond({ id, i, slug, snapshot, bounds }: Of<"respond">) {
    const mapping = this.#mappings.get(slug);
    const mapper = mapping?.responseMapper;
    if (mapper === undefined || mapper === null) {
      return this.#fail(id, { code: "http-unknown", message: "" });
    }
    const call = new Call(this.#activity(i), `The responseMapper of "${slug}"`);
    const { value: state, context, output: result = null } = snapshot;
    this.#answer(
      id,
      call,
      () => {
        if (typeof mapper !== "function") throw refusal("is no function");
        return mapper.call(mapping, { state, context, result });
      },
      (value) => answerText(value, bounds),
    );
  }

  #activity(i: number | null): Activity {
    // No step: nothing is being decided, so what the author's code starts may start.
    return { i, step: null, budget: this.#logs.newBudget() };
  }

  #answer(id: number, call: Call, ask: () => unknown, write: (value: unknown) => string) {
    let written: string;
    try {
      const value = runAs(call.activity, ask);
      if (runAs(call.activity, isThenable, value)) {
        this.#send(`{"re":${id},"pending":true}`);
        runAs(call.activity, () => this.#finish(id, call, value, write));
        return;
      }
      written = runAs(call.activity, write, value);
    } catch (error) {
      return this.#fail(id, this.#told(call, error));
    }
    this.#send(`{"re":${id},"http":${written}}`);
  }

  async #finish(id: number, call: Call, value: unknown, write: (value: unknown) => string) {
    let written: string;
    try {
      written = `"http":${write(await value)}`;
    } catch (error) {
      written = `"error":${stringify(this.#told(call, error))}`;
    }
    this.#send(`{"op":"http","h":${id},${written}}`);
  }

  #fail(id: number, failed: Failure) {
    this.#send(`{"re":${id},"error":${stringify(failed)}}`);
  }

  /** The author gets to know all of it, and the server what may be told to strangers. */
  #told(call: Call, error: unknown): Failure {
    const failed = failure(error);
    if (failed.code === "http-body") return failed;
    this.#logs.write(call.activity, 2, call.sentence(failed));
    if (isInTheAuthorsWords(error)) return { code: "http-refused", message: failed.message };
    return { code: "http-failed", message: "" };
  }
}

class Call {
  constructor(readonly activity: Activity, readonly what: string) {}

  sentence({ code, message, stack }: Failure): string {
    const text = code === "http-failed" ? ` ${message}` : ` failed: ${message}`;
    return this.what + text + (stack ? `\n${stack}` : "");
  }
}

/** For what the author returned. `what` goes on after "The handler of ...". */
function refusal(what: string): HostError {
  return new HostError("http-failed", what);
}

/**
 * `throw new Error("...")` is said to whoever sent the request. What the runtime throws is not meant for them, and may tell more than it
 * should: a failed `fetch` names its URL.
 */
function isInTheAuthorsWords(error: unknown): boolean {
  try {
    return typeof error === "string" ||
      (error instanceof Error && !(error instanceof HostError) && error.name === "Error");
  } catch {
    return false;
  }
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}

// Requests

function readable({ method, headers, query, body }: HttpRequest): Record<string, unknown> {
  const fields = Object.fromEntries(new native.URLSearchParams(query));
  return { method, headers, query: fields, rawQuery: query, ...bodyOf(body) };
}

function bodyOf(body: HttpRequest["body"]): { body: unknown; rawBody: string | Uint8Array | null } {
  if (!body) return { body: null, rawBody: null };
  if ("base64" in body) {
    const bytes = native.fromBase64(body.base64);
    return { body: bytes, rawBody: bytes };
  }
  if ("text" in body) return { body: body.text, rawBody: body.text };
  return { body: parsed(body.json), rawBody: body.json };
}

function parsed(text: string): unknown {
  try {
    // RFC 8259, 8.1 lets a byte order mark be ignored, and fetch does it.
    return parse(text.startsWith("\ufeff") ? text.slice(1) : text);
  } catch {
    throw new HostError("http-body", "the body is not JSON, though its content-type says so");
  }
}

// What a handler returned

function meaningText(returned: unknown, bounds: JsonBounds): string {
  const { machineInstanceName: name, event, authContext: auth, initialContext: context } =
    plainObject(returned, "{machineInstanceName, event, authContext, initialContext?}");
  if (typeof name !== "string") throw wrong("machineInstanceName has to be a string", name);
  if (!isObject(auth)) throw wrong("authContext has to be an object", auth);
  if (context !== undefined && context !== null && !isObject(context)) {
    throw wrong("initialContext has to be an object, where there is one", context);
  }
  const meaning: JsonObject = { name, event: eventOf(event), auth };
  if (context) meaning.context = context;
  return bounded(meaning, bounds);
}

function eventOf(event: Json | undefined): JsonObject {
  const named = typeof event === "string" ? { type: event } : event;
  if (!isObject(named) || typeof named.type !== "string" || named.type === "") {
    throw wrong("event has to be a string, or an object with a string as type", event);
  }
  return named;
}

// What a response mapper returned

function answerText(returned: unknown, bounds: JsonBounds): string {
  if (typeof returned !== "object" || returned === null) {
    throw wrong("it has to return {statusCode, headers, body}", returned);
  }
  const { statusCode, headers: given, body } = returned as Record<string, unknown>;
  const headers = given instanceof native.Headers ? native.entriesOf(given) : given;
  if (isOpaque(returned)) throw wrong("it has to return {statusCode, headers, body}", returned);
  if (isOpaque(headers)) throw wrong("headers has to be an object", headers);
  const bytes = bytesOf(body);
  if (!bytes && isOpaque(body)) {
    throw wrong("body has to be a string, bytes or something that JSON has", body);
  }
  const rest = bytes || body === undefined || body === null ? {} : { body };
  const plain = plainObject({ statusCode, headers, ...rest }, "{statusCode, headers, body}");
  const answer: JsonObject = {
    status: statusOf(plain.statusCode),
    headers: headersOf(plain.headers),
  };
  if (plain.body !== undefined) answer.body = plain.body;
  if (bytes) answer.base64 = native.toBase64(bytes);
  return bounded(answer, bounds);
}

function statusOf(statusCode: Json | undefined = 200): number {
  const isStatus = typeof statusCode === "number" && Number.isInteger(statusCode) &&
    statusCode >= 200 && statusCode < 600;
  if (!isStatus) throw wrong("statusCode has to be a whole number from 200 to 599", statusCode);
  return statusCode;
}

function headersOf(headers: Json | undefined): [string, string][] {
  if (headers === undefined || headers === null) return [];
  if (!isObject(headers)) throw wrong("headers has to be an object", headers);
  return Object.entries(headers).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((each): [string, string] => {
      if (typeof each !== "string" && typeof each !== "number") {
        throw wrong(`the header ${stringify(name)} has to be a string`, each);
      }
      return [name, String(each)];
    })
  );
}

/** JSON would have nothing of it, and say so nowhere: a Response, a Blob, a Map, a stream. */
function isOpaque(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const hasPrototype = ![null, Object.prototype].includes(Object.getPrototypeOf(value));
  const hasJson = typeof (value as { toJSON?: unknown }).toJSON === "function";
  return hasPrototype && !hasJson && Object.keys(value).length === 0;
}

function bytesOf(body: unknown): Uint8Array | null {
  if (ArrayBuffer.isView(body)) {
    return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  }
  return body instanceof ArrayBuffer ? new Uint8Array(body) : null;
}

// Shapes

/** Half of a character, as `JSON.stringify` writes it. No UTF-8 has it. */
const LONE_SURROGATE = /(?<!\\)(?:\\\\)*\\ud[89a-f]/;

/** As JSON has it, so that no getter and no `toJSON` can answer twice. */
function plainObject(value: unknown, shape: string): Record<string, Json | undefined> {
  const text = stringify(value) ?? "null";
  if (LONE_SURROGATE.test(text)) throw refusal("returned text that is not Unicode");
  const plain = parse(text) as Json;
  if (!isObject(plain)) throw wrong(`it has to return ${shape}`, plain);
  return plain;
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function bounded(value: Json, { bytes, depth }: JsonBounds): string {
  const text = stringify(value);
  if (exceedsBytes(text, bytes)) throw refusal(`returned more than ${bytes} bytes of JSON`);
  if (isNestedDeeper(text, depth)) throw refusal(`returned JSON nested more than ${depth} deep`);
  return text;
}

function wrong(what: string, value: unknown): HostError {
  return refusal(`returned something else than it should: ${what}, not ${kindOf(value)}`);
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number") return `${value}`;
  if (isOpaque(value)) return `${Object.prototype.toString.call(value)}`;
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}
