/**
 * What author code throws, as failures and log lines. Anything may be thrown, and whatever is thrown may itself throw when looked at.
 */

import type { Failure } from "./frames.ts";
import { originOf } from "./guards.ts";
import { wellFormed } from "./natives.ts";
import { SOURCE } from "./source_map.ts";

const MESSAGE_CHARACTERS_MAX = 4_000;
const STACK_CHARACTERS_MAX = 16_000;

/** The addresses under which the author's modules were loaded, and how they are shown. */
const moduleNames = new Map<string, string>();

/** Those of them that have a map. What it does not lead out of is in no file of the author's. */
const mappedModules: string[] = [];

export function nameModule(url: string, name: string, { isMapped }: { isMapped: boolean }) {
  moduleNames.set(url, name);
  if (isMapped) mappedModules.push(url);
}

/** XState calls itself many times between `createMachine` and what is wrong with it: with ten frames, as usual, none of the author's is left. */
const LOADING_FRAMES_MAX = 100;

/** `load`, in which stacks are deep. */
export async function withDeepStacks<Loaded>(load: () => Promise<Loaded>): Promise<Loaded> {
  const usual = Error.stackTraceLimit;
  Error.stackTraceLimit = LOADING_FRAMES_MAX;
  try {
    return await load();
  } finally {
    // Else the author has chosen.
    if (Error.stackTraceLimit === LOADING_FRAMES_MAX) Error.stackTraceLimit = usual;
  }
}

/** A failure with a code of its own, in words for the author. */
export class HostError extends Error {
  /** The frames of the author's error behind it. */
  authorStack = "";
  /** The state that is missing. */
  path?: string[];

  constructor(readonly code: string, message: string) {
    super(message);
  }
}

export function failure(error: unknown, code = "machine-error"): Failure {
  if (isOurs(error)) {
    const { path } = error;
    return { ...withStack(error.code, error.message, error.authorStack), ...(path && { path }) };
  }
  const { message, stack } = describeError(error);
  return withStack(code, message, stack);
}

function withStack(code: string, message: string, stack: string): Failure {
  return stack ? { code, message, stack } : { code, message };
}

// Even asking what it is may throw: author code can throw a proxy.
function isOurs(error: unknown): error is HostError {
  try {
    return error instanceof HostError;
  } catch {
    return false;
  }
}

export function errorText(error: unknown): string {
  const { message, stack } = describeError(error);
  return stack ? `${message}\n${stack}` : message;
}

/** `message` says what was thrown with the error's name; `stack` is empty or the frames that are the author's. */
export function describeError(error: unknown): { message: string; stack: string } {
  try {
    const message = tidy(messageOf(error)).slice(0, MESSAGE_CHARACTERS_MAX);
    const stack = error instanceof Error ? authorFrames(originOf(error).stack) : "";
    return {
      message: wellFormed(message),
      stack: wellFormed(stack.slice(0, STACK_CHARACTERS_MAX)),
    };
  } catch {
    return { message: "(an error that cannot be shown)", stack: "" };
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error === "string" ? error : inspect(error);
  const { name, message } = error;
  return name && name !== "Error" ? `${name}: ${message}` : `${message}`;
}

function inspect(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return JSON.stringify(value) ?? String(value);
}

function authorFrames(stack: unknown): string {
  if (typeof stack !== "string") return "";
  return stack.split("\n").filter(isAuthorFrame).map(tidy).join("\n");
}

// The host, XState and Deno are not the author's to debug, nor is what the bundler adds. What is built into JavaScript is where the author has called it.
function isAuthorFrame(line: string, index: number, lines: string[]): boolean {
  if (!FRAME.test(line)) return false;
  if (BUILT_IN.test(line)) return isAuthorFrame(lines[index + 1] ?? "", index + 1, lines);
  if (line.includes(SOURCE)) return !STAND_IN.test(line);
  return !FOREIGN.test(line) && !mappedModules.some((url) => line.includes(url));
}

const FRAME = /^\s+at /;
const BUILT_IN = /\(<anonymous>\)( \{)?$/;
const FOREIGN = /\b(file|ext|node):/;
/** In bundles these are in place of modules of Node.js. */
const STAND_IN = new RegExp(`${SOURCE}not-(required|imported):`);

/** What author code prints, with names for addresses and without the frames that are not the author's. */
export function tidyOutput(text: string): string {
  return tidy(FRAMES.test(text) ? withoutForeignFrames(text) : text);
}

function withoutForeignFrames(text: string): string {
  const lines = text.split("\n");
  const kept: string[] = [];
  for (const [index, line] of lines.entries()) {
    if (!FRAME.test(line) || isAuthorFrame(line, index, lines)) kept.push(line);
    // Behind the last frame Deno begins to list what else the error has.
    else if (line.endsWith(" {")) kept.push(`${kept.pop() ?? ""} {`);
  }
  return kept.join("\n");
}

const FRAMES = /\n\s+at /;

function tidy(text: string): string {
  if (text.includes("blob:")) {
    for (const [url, name] of moduleNames) text = text.replaceAll(url, name);
  }
  return text.replaceAll(SOURCE, "");
}
