/**
 * XState stays out of the bundle: the server has both majors. Which one is meant has to be in the specifier there, and is in the author's project
 * here.
 */

import type { OnResolveArgs, OnResolveResult, Plugin } from "esbuild";

const SPECIFIER = /^(npm:\/?)?xstate(?:@([^/]+))?(?:\/(.+))?$/;

interface Copy {
  readonly modules: Record<string, string>;
}

// Once built, this is in one file beside it.
const manifest: Record<"xstate4" | "xstate5", Copy> = JSON.parse(
  Deno.readTextFileSync(new URL("./manifest.json", import.meta.url)),
);

/**
 * The version of XState that a bare `xstate` is for the module that imports it, as a range or number. Undefined where nothing tells; null where it
 * is something else than XState from npm.
 */
export type VersionOf = (args: OnResolveArgs) => Promise<string | undefined | null>;

export class Provided {
  readonly #specifiers = new Set<string>();

  constructor(readonly versionOf: VersionOf) {}

  get specifiers(): string[] {
    return [...this.#specifiers].sort();
  }

  clear() {
    this.#specifiers.clear();
  }

  readonly plugin: Plugin = {
    name: "provided",
    setup: ({ onResolve, onLoad }) => {
      onResolve({ filter: SPECIFIER }, (args) => this.#resolve(args));
      // What is required has to be in the bundle. This is, and hands on what the server has.
      onLoad({ filter: /.*/, namespace: "required" }, ({ path }) => ({
        contents: `export * from ${JSON.stringify(path)}`,
      }));
    },
  };

  async #resolve(args: OnResolveArgs): Promise<OnResolveResult | undefined> {
    const [, , version = await this.versionOf(args), subpath = ""] = SPECIFIER.exec(args.path)!;
    if (version === null) return undefined;
    const major = majorOf(version);
    const copy = major === "4" || major === "5" ? manifest[`xstate${major}`] : undefined;
    if (!copy) return { errors: [{ text: `The server has XState 4 and 5, not ${version}` }] };
    if (!copy.modules[subpath.replace(/\.js$/, "")]) return unknownPart(subpath, major!, copy);
    const specifier = `npm:xstate@${major}${subpath && `/${subpath}`}`;
    this.#specifiers.add(specifier);
    if (args.kind === "require-call") return { path: specifier, namespace: "required" };
    return { path: specifier, external: true };
  }
}

/** Of a range the first number counts. None at all is 4, as State Backed documents. */
function majorOf(version: string | undefined): string | undefined {
  if (version === undefined) return "4";
  if (["latest", "next", "beta"].includes(version)) return "5";
  return /^[\^~>=v\s]*(\d+)/.exec(version)?.[1];
}

function unknownPart(subpath: string, major: string, copy: Copy): OnResolveResult {
  const parts = Object.keys(copy.modules).filter((part) => part && !part.includes("."));
  return {
    errors: [{
      text: `XState ${major} has no "xstate/${subpath}" that a machine can import`,
      notes: [{ text: `There is ${parts.map((part) => `xstate/${part}`).join(", ")}.` }],
    }],
  };
}
