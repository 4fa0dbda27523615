/**
 * Dependencies from `node_modules` are what esbuild finds by itself. This is for specifiers that Node.js does not know.
 */

import { dirname, join } from "node:path";
import type { OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from "esbuild";

export class NodeDependencies {
  readonly plugin: Plugin = {
    name: "node",
    setup: (build) => {
      build.onResolve({ filter: /^npm:/ }, (args) => installed(build, args));
      // esbuild would leave addresses to the server, which fetches none.
      build.onResolve({ filter: /^(https?|jsr):/ }, ({ path }) => ({
        errors: [{
          text: `${JSON.stringify(path)} is for Deno to resolve`,
          notes: [{ text: "Build with --deno, or install the package and import it by its name." }],
        }],
      }));
    },
  };

  begin() {}

  versionOf({ resolveDir }: OnResolveArgs): Promise<string | undefined> {
    return Promise.resolve(versionFor(resolveDir));
  }

  isAuthors(file: string): boolean {
    return !file.includes("/node_modules/");
  }

  nameOf(): undefined {}
}

async function installed(build: PluginBuild, args: OnResolveArgs): Promise<OnResolveResult> {
  const { importer, resolveDir, kind } = args;
  const [, name, subpath = ""] =
    /^npm:\/?(@[^/]+\/[^/@]+|[^/@]+)(?:@[^/]*)?(\/.*)?$/.exec(args.path) ??
      [];
  if (name === undefined) return { errors: [{ text: `"${args.path}" names no package` }] };
  const found = await build.resolve(name + subpath, { importer, resolveDir, kind });
  if (found.errors.length === 0) return found;
  return {
    errors: [{
      text: `The package "${name}" is not installed`,
      notes: [{ text: `Install it with \`npm install ${name}\`, or build with --deno.` }],
    }],
  };
}

/** The version of what is installed in the nearest `node_modules`, or else of what the nearest `package.json` asks for. */
function versionFor(resolveDir: string): string | undefined {
  const folders = [...foldersFrom(resolveDir)];
  const installed = folders.map((folder) =>
    readPackage(join(folder, "node_modules", "xstate"))?.version
  );
  const asked = folders.map((folder) => rangeIn(readPackage(folder)));
  return [...installed, ...asked].find((version) => version !== undefined);
}

interface PackageJson {
  readonly version?: string;
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
}

function rangeIn(json: PackageJson | undefined): string | undefined {
  return json?.dependencies?.xstate ?? json?.devDependencies?.xstate ??
    json?.peerDependencies?.xstate;
}

function readPackage(folder: string): PackageJson | undefined {
  try {
    return JSON.parse(Deno.readTextFileSync(join(folder, "package.json")));
  } catch {
    return undefined;
  }
}

function* foldersFrom(folder: string): Generator<string> {
  yield folder;
  const above = dirname(folder);
  if (above !== folder) yield* foldersFrom(above);
}
