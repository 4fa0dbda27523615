/**
 * What `deno info` knows of an entry: every module that it reaches, what each import in them is, and where Deno keeps it.
 */

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { linesOf } from "./lines.ts";

interface Dependency {
  readonly specifier: string;
  /** Absent where only types are imported. */
  readonly code?: { readonly specifier?: string; readonly error?: string };
}

export interface Module {
  readonly specifier: string;
  readonly error?: string;
  /** Where Deno keeps it. */
  readonly local?: string;
  readonly mediaType?: string;
  readonly dependencies?: readonly Dependency[];
  /** The id of a package, where this is one. */
  readonly npmPackage?: string;
}

export interface Package {
  readonly name: string;
  readonly version: string;
  /** Ids. */
  readonly dependencies: readonly string[];
  readonly localPath: string;
}

interface Info {
  readonly modules: readonly Module[];
  readonly redirects: Record<string, string>;
  readonly npmPackages: Record<string, Package>;
}

export class DenoGraph {
  readonly #modules: Map<string, Module>;
  readonly #redirects: Record<string, string>;
  readonly packages: Record<string, Package>;

  private constructor({ modules, redirects, npmPackages }: Info) {
    this.#modules = new Map(modules.map((module) => [module.specifier, module]));
    this.#redirects = redirects;
    this.packages = Object.fromEntries(
      Object.entries(npmPackages).map(([id, found]) => [id, withRealPath(found)]),
    );
  }

  /** What the import map makes of names, and nothing that would have to be fetched. Throws as `of` does. */
  static async ofNames(entry: string, root: string): Promise<DenoGraph> {
    return new DenoGraph(await denoInfo(entry, root, ["--no-remote", "--no-npm"], () => {}));
  }

  /** Ask Deno, which fetches into its own cache what is missing there. Throws what it says where it can make nothing of the entry. */
  static async of(entry: string, root: string, report: (text: string) => void): Promise<DenoGraph> {
    const info = await denoInfo(entry, root, [], report);
    // Deno remembers what was not there, and would not look again by itself.
    const gone = info.modules.filter(isGone).map(({ specifier }) => specifier);
    if (gone.length === 0) return new DenoGraph(info);
    return new DenoGraph(await denoInfo(entry, root, [`--reload=${gone.join()}`], report));
  }

  /** What `specifier` is in that module, as the import map has it; undefined where the module does not import it. */
  dependency(importer: string, specifier: string): Dependency["code"] {
    return this.#modules.get(this.#final(importer))?.dependencies
      ?.find((dependency) => dependency.specifier === specifier && dependency.code)?.code;
  }

  /** The module at that address, or at the one it leads to. */
  module(address: string): Module | undefined {
    return this.#modules.get(this.#final(address));
  }

  /** The package that a file is part of. */
  ownerOf(file: string): [id: string, owner: Package] | undefined {
    return Object.entries(this.packages).find(([, { localPath }]) =>
      file.startsWith(`${localPath}/`)
    );
  }

  #final(address: string): string {
    const next = this.#redirects[address];
    return next === undefined ? address : this.#final(next);
  }
}

async function denoInfo(
  entry: string,
  root: string,
  options: string[],
  report: (text: string) => void,
): Promise<Info> {
  // A build leaves nothing behind in the project; a lock that is there already is kept to, and kept up, as by every command of Deno's.
  const lock = existsSync(join(root, "deno.lock")) ? [] : ["--no-lock"];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "--allow-import", ...lock, ...options, entry],
    cwd: dirname(entry),
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const [text, said, { success }] = await Promise.all([
    new Response(child.stdout).text(),
    relay(child.stderr, report),
    child.status,
  ]);
  if (!success) throw new Error(reasonIn(said));
  return JSON.parse(text);
}

/** Without where in Deno it came up. */
function reasonIn(said: readonly string[]): string {
  const text = said.join("\n").replace(/^error: /, "");
  return text.split("\n\nStack backtrace:")[0]!;
}

function isGone({ specifier, error }: Module): boolean {
  return /^https?:/.test(specifier) && /^Module not found/.test(error ?? "");
}

/** esbuild tells files by their real paths. */
function withRealPath(found: Package): Package {
  const { localPath } = found;
  return { ...found, localPath: existsSync(localPath) ? Deno.realPathSync(localPath) : localPath };
}

async function relay(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  report: (text: string) => void,
): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of linesOf(stream)) {
    lines.push(line);
    report(line);
  }
  return lines;
}
