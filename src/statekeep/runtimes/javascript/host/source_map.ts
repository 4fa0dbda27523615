/**
 * The source map at the end of a module (ECMA-426), made such that Deno tells places in the author's files.
 *
 * Deno puts a module's inline map to use by itself, lines and columns first of all. The files it names only where they are addresses: names in a map
 * are relative to the module, and ours come from a blob, to which nothing is relative. Left alone, stacks would show lines of the author's files as
 * lines of the bundle.
 */

import { encode, native, parse, stringify } from "./natives.ts";

/** What names of sources begin with until somebody sees them. No URL that can be fetched. */
export const SOURCE = "statekeep-source:";

const BEGINNING = "\n//# sourceMappingURL=";
const DATA = /^data:application\/json;(?:charset=utf-?8;)?base64,([A-Za-z0-9+/]+=*)$/i;
/** After the map there is nothing but comments; else it is a part of a text that only looks like one. */
const END = /^(?:\s|\/\/[^\n]*(?:\n|$))*$/;

export interface Module {
  readonly code: string;
  readonly isMapped: boolean;
}

/** The code with its map as Deno needs it, or without where that is none that can be used. */
export function withSourceNames(code: string): Module {
  const start = code.lastIndexOf(BEGINNING);
  if (start === -1) return { code, isMapped: false };
  const [line = ""] = code.slice(start + BEGINNING.length).split("\n", 1);
  const rest = code.slice(start + BEGINNING.length + line.length);
  if (!END.test(rest)) return { code, isMapped: false };
  const comment = commentFor(line.trim());
  return { code: code.slice(0, start) + comment + rest, isMapped: comment !== "" };
}

function commentFor(url: string): string {
  const map = mapIn(url);
  if (!map) return "";
  const sources = map.sources.map((name) => `${SOURCE}${map.sourceRoot ?? ""}${name ?? "unknown"}`);
  // Nobody shows the text of sources, and it takes memory.
  const named = { ...map, sources, sourceRoot: undefined, sourcesContent: undefined };
  return `${BEGINNING}data:application/json;base64,${native.toBase64(encode(stringify(named)))}`;
}

interface SourceMap {
  readonly sources: readonly (string | null)[];
  readonly sourceRoot?: string;
}

function mapIn(url: string): SourceMap | undefined {
  const data = DATA.exec(url)?.[1];
  if (data === undefined) return undefined;
  try {
    const map = parse(new TextDecoder().decode(native.fromBase64(data)));
    return Array.isArray(map?.sources) ? map : undefined;
  } catch {
    return undefined;
  }
}
