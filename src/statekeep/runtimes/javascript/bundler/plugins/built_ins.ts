/**
 * Node's built-in modules, which no machine has. Where the author asks for one, the build fails. Where a package does, it is left to the package to
 * get by without: what it cannot do then shows when it tries.
 */

import type { OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from "esbuild";
import { builtinModules } from "node:module";
import { isAbsolute } from "node:path";

const NAMES = builtinModules.map((name) => name.replace(/^node:/, ""));
const FILTER = new RegExp(`^(node:.*|(${NAMES.join("|")})/?)$`);

/** What is in the bundle in place of a module that is not there, by namespace. */
const INSTEAD: Record<string, (name: string) => string> = {
  "turned-off": () => "module.exports = {};",
  "not-required": (name) => `throw new Error(${JSON.stringify(isMissing(name))});`,
  "not-imported": (name) => `
    const fail = () => { throw new Error(${JSON.stringify(isMissing(name))}); };
    const failing = new Proxy({}, { get: (_, name) => name === "__esModule" ? false : fail() });
    // Importers get an object with the properties and the prototype of this one.
    module.exports = Object.create(failing);
  `,
};

/** Marks our own questions, so that they are not put to us. */
const ASKED = Symbol("asked");

export function builtIns(isAuthors: (importer: string) => boolean): Plugin {
  return {
    name: "built-ins",
    setup: (build) => {
      build.onResolve({ filter: FILTER }, async (args) => {
        if (args.pluginData !== undefined) return undefined;
        // Some have a package of the same name that does the same without Node.
        return await polyfill(build, args) ?? missing(args, isAuthors(args.importer));
      });
      for (const [namespace, contentsFor] of Object.entries(INSTEAD)) {
        build.onLoad({ filter: /.*/, namespace }, ({ path }) => ({ contents: contentsFor(path) }));
      }
    },
  };
}

async function polyfill(build: PluginBuild, args: OnResolveArgs) {
  if (args.path.startsWith("node:")) return undefined;
  const { importer, namespace, resolveDir, kind } = args;
  const found = await build.resolve(args.path, {
    importer,
    namespace,
    resolveDir,
    kind,
    pluginData: ASKED,
  });
  if (found.errors.length > 0) return undefined;
  // Its `package.json` turns it off: `"browser": {"fs": false}`.
  return isAbsolute(found.path) ? found : { path: args.path, namespace: "turned-off" };
}

function isMissing(name: string): string {
  return `${name} is a part of Node.js, which machines do not have`;
}

function missing({ path, kind }: OnResolveArgs, isAuthors: boolean): OnResolveResult {
  const text = isMissing(path);
  if (isAuthors) {
    return {
      errors: [{
        text,
        notes: [{
          text:
            "They have what web workers have: fetch, crypto, URL, TextEncoder, streams, timers.",
        }],
      }],
    };
  }
  return {
    path,
    // Packages that look whether they are in Node.js do so by requiring; those that import something may never use it.
    namespace: kind === "require-call" ? "not-required" : "not-imported",
    warnings: [{ text: `${text}: what needs it will throw` }],
  };
}
