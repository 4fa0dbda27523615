/**
 * One entry: esbuild's context for it, and what a build of it comes to.
 */

import type { BuildContext, BuildFailure, BuildOptions, BuildResult, Plugin } from "esbuild";
import { join } from "node:path";
import { esbuild } from "./esbuild.ts";
import type { Bundled, Entry, Failed } from "./frames.ts";
import { Inputs } from "./inputs.ts";
import { messagesOf } from "./messages.ts";
import { builtIns } from "./plugins/built_ins.ts";
import { DenoDependencies } from "./plugins/deno.ts";
import { NodeDependencies } from "./plugins/node.ts";
import { Provided, type VersionOf } from "./plugins/provided.ts";
import { namedMap, nameOf } from "./source_names.ts";

const WEIGHTS_SHOWN = 5;

type Options = BuildOptions & { write: false; metafile: true };
type Result = BuildResult<Options>;

/** Where the packages of a project come from. */
export interface Dependencies {
  readonly plugin: Plugin;
  /** Before each build. */
  begin(): void;
  /** The version of XState that a bare `xstate` means there. */
  versionOf: VersionOf;
  /** Is the file the author's own, and not of a package? */
  isAuthors(file: string): boolean;
  /** The name of a file that is kept outside of the project. */
  nameOf(file: string): string | undefined;
}

export class Project {
  readonly #entry: Entry;
  readonly #dependencies: Dependencies;
  readonly #inputs = new Inputs((path) => this.#dependencies.isAuthors(path));
  readonly #provided: Provided;
  readonly #context: Promise<BuildContext<Options>>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(entry: Entry, scratch: string, report: (text: string) => void) {
    this.#entry = entry;
    this.#dependencies = entry.dialect === "deno"
      ? new DenoDependencies(entry, scratch, report)
      : new NodeDependencies();
    this.#provided = new Provided((args) => this.#dependencies.versionOf(args));
    this.#context = esbuild.context(this.#options());
  }

  /** Builds follow each other. Rejects where it is not the author's files that fail. */
  bundle(): Promise<Bundled | Failed> {
    const outcome = this.#last.then(() => this.#build());
    this.#last = outcome;
    return outcome;
  }

  async close() {
    await this.#last;
    await (await this.#context).dispose();
  }

  async #build(): Promise<Bundled | Failed> {
    this.#inputs.clear();
    this.#provided.clear();
    this.#dependencies.begin();
    try {
      return this.#bundled(await (await this.#context).rebuild());
    } catch (error) {
      if (isBuildFailure(error)) return this.#failed(error);
      throw error;
    }
  }

  #options(): Options {
    const { path, root, dialect, kind } = this.#entry;
    return {
      entryPoints: [path],
      absWorkingDir: root,
      outfile: join(root, "machine.js"),
      write: false,
      metafile: true,
      logLevel: "silent",
      bundle: true,
      format: "esm",
      // A host is a web worker of sorts: what packages have for browsers fits, and nothing that they have for Node.js does.
      platform: "browser",
      conditions: ["worker", "module"],
      target: "esnext",
      define: { "process.env.NODE_ENV": '"production"', global: "globalThis" },
      minify: true,
      // XState tells actions and guards by the names of their functions, and stacks are read by people.
      keepNames: true,
      charset: "utf8",
      sourcemap: "external",
      sourcesContent: false,
      // Deno has no use for a `tsconfig.json`.
      ...dialect === "deno" && { tsconfigRaw: {} },
      plugins: [
        this.#inputs.plugin,
        ...kind === "machine" ? [this.#provided.plugin] : [],
        builtIns((importer) => this.#dependencies.isAuthors(importer)),
        this.#dependencies.plugin,
      ],
    };
  }

  #bundled({ outputFiles, metafile, warnings }: Result): Bundled {
    const [map, code] = outputFiles;
    const bytes = code!.contents.length;
    const isHandedOver = bytes <= this.#entry.bytesMax;
    return {
      bytes,
      code: isHandedOver ? code!.text : "",
      map: isHandedOver ? namedMap(map!.text, this.#nameOf) : "",
      provided: this.#provided.specifiers,
      weights: this.#weightsIn(metafile),
      warnings: messagesOf(warnings, this.#entry.root),
      inputs: this.#inputs.read,
    };
  }

  #weightsIn(metafile: Result["metafile"]): [string, number][] {
    const output = Object.values(metafile.outputs).find((output) => output.entryPoint);
    return Object.entries(output!.inputs)
      .map(([path, { bytesInOutput }]): [string, number] => [this.#nameOf(path), bytesInOutput])
      .sort(([, one], [, other]) => other - one)
      .slice(0, WEIGHTS_SHOWN);
  }

  #failed({ errors, warnings }: BuildFailure): Failed {
    return {
      errors: messagesOf(errors, this.#entry.root),
      warnings: messagesOf(warnings, this.#entry.root),
      inputs: this.#inputs.readOrMissed,
    };
  }

  readonly #nameOf = (path: string) =>
    nameOf(path, this.#entry.root, (file) => this.#dependencies.nameOf(file));
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && "errors" in error && "warnings" in error;
}
