/**
 * Dependencies as Deno resolves them: import maps, `npm:`, `jsr:`, `https:`. Deno says what and where they are, esbuild takes them from its cache.
 *
 * The graph is asked for when something is met that it does not explain yet, so that most rebuilds go without.
 */

import type { Loader, OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from "esbuild";
import { mkdirSync, statSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { DenoGraph, type Module, type Package } from "../deno_graph.ts";
import type { Entry } from "../frames.ts";

const CONFIGURATION = ["deno.json", "deno.jsonc", "deno.lock", "package.json"];

const LOADERS: Record<string, Loader> = {
  TypeScript: "ts",
  Mts: "ts",
  Cts: "ts",
  TSX: "tsx",
  JSX: "jsx",
  Json: "json",
};

const PACKAGE_ADDRESS = /^npm:\/?(?:@[^/]+\/)?[^/@]+@[^/]+(\/.*)?$/;
const XSTATE_ADDRESS = /^npm:\/?xstate(?:@([^/]+))?(?:\/|$)/;
const BARE = /^(@[^/]+\/[^/]+|[^/]+)(\/.*)?$/;

/** Marks questions to esbuild's own resolution. */
const OF_A_PACKAGE = Symbol("of a package");

export class DenoDependencies {
  #graph: DenoGraph | null = null;
  /** That of this build, where one was needed. */
  #fresh: Promise<DenoGraph> | null = null;
  /** The same without fetching: XState is the server's, so that nobody has to have it here. */
  #names: DenoGraph | null = null;
  #freshNames: Promise<DenoGraph> | null = null;
  #isFailureTold = false;
  #configuration = "";

  constructor(
    readonly entry: Entry,
    readonly scratch: string,
    readonly report: (text: string) => void,
  ) {}

  /** Before each build. */
  begin() {
    const configuration = CONFIGURATION.map((name) => changedAt(join(this.entry.root, name)))
      .join();
    if (configuration !== this.#configuration) this.#graph = this.#names = null;
    this.#configuration = configuration;
    this.#fresh = this.#freshNames = null;
    this.#isFailureTold = false;
  }

  isAuthors(importer: string): boolean {
    return importer.startsWith("/") && !this.#graph?.ownerOf(importer);
  }

  nameOf(file: string): string | undefined {
    const owner = this.#graph?.ownerOf(file)?.[1];
    return owner && `npm:${owner.name}@${owner.version}${file.slice(owner.localPath.length)}`;
  }

  async versionOf(args: OnResolveArgs): Promise<string | undefined | null> {
    if (args.path.startsWith("npm:")) return undefined;
    const owner = this.#graph?.ownerOf(args.importer)?.[1];
    if (owner) return this.#dependencyOf(owner, "xstate")?.[1].version ?? null;
    // Where Deno can make nothing of the project, that is told where the import is resolved.
    const { specifier = "" } = await this.#named(args).catch(() => undefined) ?? {};
    const [address, version] = XSTATE_ADDRESS.exec(specifier) ?? [];
    return address === undefined ? null : version;
  }

  readonly plugin: Plugin = {
    name: "deno",
    setup: (build) => {
      build.onResolve({ filter: /.*/ }, (args) => {
        if (args.kind === "entry-point" || args.pluginData === OF_A_PACKAGE) return undefined;
        if (args.namespace !== "file") return this.#resolve(build, args);
        // What esbuild does as Deno does: files beside this one, and what a package calls its own.
        if (/^[./#]/.test(args.path)) return undefined;
        const owner = this.#graph?.ownerOf(args.importer)?.[1];
        return owner ? this.#fromPackage(build, owner, args) : this.#resolve(build, args);
      });
      build.onLoad({ filter: /.*/, namespace: "remote" }, async ({ path }) => {
        const { local, mediaType } = this.#graph!.module(path)!;
        return {
          contents: await Deno.readTextFile(local!),
          loader: LOADERS[mediaType ?? ""] ?? "js",
        };
      });
    },
  };

  async #resolve(build: PluginBuild, args: OnResolveArgs): Promise<OnResolveResult | undefined> {
    let found;
    try {
      const provided = await this.#providedBehind(args);
      if (provided) return await build.resolve(provided, { kind: args.kind });
      found = await this.#dependency(args);
    } catch (error) {
      return this.#failedAsAWhole(error as Error);
    }
    if (!found) return undefined;
    if (found.specifier === undefined) return failed(found.error!);
    const module = this.#graph!.module(found.specifier);
    if (!module) return failed(`Deno finds nothing at ${found.specifier}`);
    if (module.error !== undefined && !module.local) return failed(module.error);
    return await this.#place(build, module, args);
  }

  /** Deno could make nothing of the project. That stands at the first import for all of them. */
  #failedAsAWhole(error: Error): OnResolveResult {
    if (this.#isFailureTold) return { path: "unknown", external: true };
    this.#isFailureTold = true;
    return failed(error.message);
  }

  #place(build: PluginBuild, module: Module, args: OnResolveArgs) {
    const { specifier, npmPackage } = module;
    if (npmPackage !== undefined) {
      const subpath = PACKAGE_ADDRESS.exec(specifier)?.[1] ?? "";
      return this.#inPackage(build, npmPackage, subpath, args);
    }
    if (specifier.startsWith("file:")) return { path: fileURLToPath(specifier) };
    if (specifier.startsWith("node:")) return failed(`${specifier} is not there`);
    return { path: specifier, namespace: "remote" };
  }

  async #fromPackage(build: PluginBuild, owner: Package, args: OnResolveArgs) {
    const [, name, subpath = ""] = BARE.exec(args.path)!;
    const [id] = this.#dependencyOf(owner, name!) ?? [];
    if (id === undefined) return failed(`${owner.name} does not declare that it needs ${name}`);
    return await this.#inPackage(build, id, subpath, args);
  }

  #dependencyOf(owner: Package, name: string): [id: string, found: Package] | undefined {
    const { packages } = this.#graph!;
    const wanted = nameBehind(owner, name);
    const candidates = owner.dependencies.map((id): [string, Package] => [id, packages[id]!]);
    return [...candidates, ...Object.entries(packages).filter(([, found]) => found === owner)]
      .find(([, found]) => found?.name === wanted);
  }

  /** Which file that is, by the package's `exports`, is for esbuild to say: it sees the package in a `node_modules` of its own. */
  #inPackage(build: PluginBuild, id: string, subpath: string, { kind }: OnResolveArgs) {
    const { name, localPath } = this.#graph!.packages[id]!;
    const folder = join(this.scratch, encodeURIComponent(localPath));
    linkOnce(localPath, join(folder, "node_modules", name));
    return build.resolve(name + subpath, { resolveDir: folder, kind, pluginData: OF_A_PACKAGE });
  }

  /** What the server has may go by another name in the import map. */
  async #providedBehind(args: OnResolveArgs): Promise<string | undefined> {
    if (this.entry.kind === "migration" || /^[a-z]+:/.test(args.path)) return undefined;
    const { specifier } = await this.#named(args) ?? {};
    return specifier && XSTATE_ADDRESS.test(specifier) ? specifier : undefined;
  }

  async #named(args: OnResolveArgs) {
    const importer = addressOf(args);
    const known = this.#graph?.dependency(importer, args.path) ??
      this.#names?.dependency(importer, args.path);
    if (known) return known;
    this.#freshNames ??= DenoGraph.ofNames(this.entry.path, this.entry.root);
    this.#names = await this.#freshNames;
    return this.#names.dependency(importer, args.path);
  }

  async #dependency(args: OnResolveArgs) {
    const importer = addressOf(args);
    const known = this.#graph?.dependency(importer, args.path);
    if (known?.specifier && !this.#graph!.module(known.specifier)?.error) return known;
    this.#fresh ??= DenoGraph.of(this.entry.path, this.entry.root, this.report);
    this.#graph = await this.#fresh;
    return this.#graph.dependency(importer, args.path);
  }
}

function addressOf({ namespace, importer }: OnResolveArgs): string {
  return namespace === "file" ? pathToFileURL(importer).href : importer;
}

function failed(text: string): OnResolveResult {
  return { errors: [{ text }] };
}

function changedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** A package may know another by a name of its own: `"a": "npm:b@1"`. */
function nameBehind({ localPath }: Package, name: string): string {
  const { dependencies = {} } = JSON.parse(
    Deno.readTextFileSync(join(localPath, "package.json")),
  ) as { dependencies?: Record<string, string> };
  return /^npm:(@?[^@]+)/.exec(dependencies[name] ?? "")?.[1] ?? name;
}

function linkOnce(target: string, path: string) {
  mkdirSync(dirname(path), { recursive: true });
  if (!statSync(path, { throwIfNoEntry: false })) symlinkSync(target, path);
}
