/**
 * esbuild, as the build of the package put it beside this file: its JavaScript and the program for this platform.
 */

import { createRequire } from "node:module";
import process from "node:process";
import type * as Esbuild from "esbuild";

// esbuild would look for the program in a `node_modules`. It reads this when it is loaded.
process.env.ESBUILD_BINARY_PATH = new URL("./esbuild/bin/esbuild", import.meta.url).pathname;

export const esbuild: typeof Esbuild = createRequire(import.meta.url)("./esbuild/lib/main.js");
