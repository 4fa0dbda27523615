/**
 * The entries that are built, each kept warm so that building it again takes milliseconds.
 */

import type { Bundled, Entry, Failed } from "./frames.ts";
import { Project } from "./project.ts";

export class Bundler {
  readonly #projects = new Map<string, Project>();

  constructor(readonly scratch: string, readonly report: (text: string) => void) {}

  /** Builds of one entry follow each other; those of several entries do not wait for each other. */
  bundle(entry: Entry): Promise<Bundled | Failed> {
    const key = JSON.stringify(entry);
    let project = this.#projects.get(key);
    if (!project) this.#projects.set(key, project = new Project(entry, this.scratch, this.report));
    return project.bundle();
  }

  forget(entry: Entry): Promise<void> | undefined {
    const key = JSON.stringify(entry);
    const project = this.#projects.get(key);
    this.#projects.delete(key);
    return project?.close();
  }
}
