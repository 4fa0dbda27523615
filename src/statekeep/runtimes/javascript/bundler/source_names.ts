/**
 * Names of source files for the world: what is below the project's folder by its path there, and no path of the author's machine otherwise.
 */

import { join } from "node:path";

/** `path` is relative to `root`, as esbuild writes it, or a namespace and an address. */
export function nameOf(
  path: string,
  root: string,
  packageNameOf: (file: string) => string | undefined,
): string {
  if (path.startsWith("remote:")) return path.slice("remote:".length);
  if (!path.startsWith("../")) return path;
  const installed = packageNameOf(join(root, path));
  if (installed) return installed;
  // From here on it is a package of a folder above: which one does not matter.
  const inPackages = path.lastIndexOf("node_modules/");
  return inPackages === -1 ? path : path.slice(inPackages);
}

export function namedMap(text: string, name: (path: string) => string): string {
  const map = JSON.parse(text) as { sources: string[] };
  return JSON.stringify({ ...map, sources: map.sources.map(name) });
}
