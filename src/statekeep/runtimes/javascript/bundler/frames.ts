/**
 * What the bundler and Python say to each other: lines of JSON. `statekeep/bundling/protocol.py` is the other end.
 */

/** `node`: dependencies from `node_modules`. `deno`: as Deno resolves them. */
export type Dialect = "node" | "deno";

/** A machine imports the XState of the server; a migration imports nothing. */
export type Kind = "machine" | "migration";

export interface Entry {
  /** Absolute, as are all paths here that are not said to be names. */
  readonly path: string;
  /** The project's folder, to which names of files are relative. */
  readonly root: string;
  readonly dialect: Dialect;
  readonly kind: Kind;
  /** Larger code is not handed over, only what makes it large. */
  readonly bytesMax: number;
}

export type Request =
  | { readonly op: "bundle"; readonly id: number; readonly entry: Entry }
  /** Not answered. */
  | { readonly op: "forget"; readonly entry: Entry };

export interface Place {
  /** Absolute, or the address of a remote module. */
  readonly file: string;
  /** From 1, in characters. */
  readonly line: number;
  readonly column: number;
  readonly length: number;
  readonly lineText: string;
}

export interface Message {
  readonly text: string;
  readonly place?: Place;
  readonly notes: readonly { readonly text: string; readonly place?: Place }[];
}

/** What is known of a build, however it ended. */
interface Outcome {
  readonly warnings: readonly Message[];
  /** Files of the author's that were read, and where the build failed, those that were not there. */
  readonly inputs: readonly string[];
}

export interface Bundled extends Outcome {
  readonly bytes: number;
  /** Empty where there are more bytes than may be; `map` too. */
  readonly code: string;
  /** A source map (ECMA-426) without the sources' text, whose `sources` are names. */
  readonly map: string;
  /** The specifiers that the code imports from the server. */
  readonly provided: readonly string[];
  /** Names of what takes most of the code, and its bytes there. */
  readonly weights: readonly (readonly [string, number])[];
}

export interface Failed extends Outcome {
  readonly errors: readonly Message[];
}

export type Reply =
  | { readonly re: number; readonly ok: Bundled }
  | { readonly re: number; readonly failed: Failed };

export type Report = { readonly op: "progress"; readonly text: string };
