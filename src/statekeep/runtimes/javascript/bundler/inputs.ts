/**
 * The author's files of a build, noted while it runs: a build that fails has no list of its own, and is the one that waits for a change.
 */

import type { Plugin } from "esbuild";
import { existsSync } from "node:fs";
import { join } from "node:path";

const EXTENSIONS = ["", ".ts", ".tsx", ".js", ".jsx", ".json"];

export class Inputs {
  readonly #read = new Set<string>();
  readonly #lookedFor = new Set<string>();

  constructor(readonly isAuthors: (path: string) => boolean) {}

  clear() {
    this.#read.clear();
    this.#lookedFor.clear();
  }

  /** What was read. */
  get read(): string[] {
    return [...this.#read].filter(this.isAuthors);
  }

  /** The same and what was not there: once it is, the build may go well. */
  get readOrMissed(): string[] {
    const missed = [...this.#lookedFor].filter(this.isAuthors)
      .map((path) => EXTENSIONS.map((extension) => path + extension))
      .filter((candidates) => !candidates.some((path) => existsSync(path)));
    return [...this.read, ...missed.flat()];
  }

  readonly plugin: Plugin = {
    name: "inputs",
    setup: ({ onLoad, onResolve }) => {
      onResolve({ filter: /^\.\.?\//, namespace: "file" }, ({ path, resolveDir }) => {
        this.#lookedFor.add(join(resolveDir, path));
        return undefined;
      });
      onLoad({ filter: /.*/, namespace: "file" }, ({ path }) => {
        this.#read.add(path);
        return undefined;
      });
    },
  };
}
