/**
 * The bundler process: it makes one module of an author's file and all that this imports, and again whenever it is asked.
 *
 * Its one argument is a folder for what it needs meanwhile. It lives until its input ends.
 */

import { Bundler } from "./bundler.ts";
import { esbuild } from "./esbuild.ts";
import type { Reply, Report, Request } from "./frames.ts";
import { linesOf } from "./lines.ts";

const [scratch] = Deno.args;
if (scratch === undefined) throw new Error("The path of a folder is missing");

const output = Deno.stdout.writable.getWriter();
const encoder = new TextEncoder();
const bundler = new Bundler(scratch, (text) => send({ op: "progress", text }));

for await (const line of linesOf(Deno.stdin.readable)) handle(JSON.parse(line));
await esbuild.stop();
Deno.exit();

// Where a build does not even fail, esbuild is gone, and so is this process then: another one takes its place.
function handle(request: Request) {
  if (request.op === "forget") bundler.forget(request.entry);
  else bundler.bundle(request.entry).then((outcome) => reply(request.id, outcome));
}

function reply(re: number, outcome: Awaited<ReturnType<Bundler["bundle"]>>) {
  send("code" in outcome ? { re, ok: outcome } : { re, failed: outcome });
}

function send(frame: Reply | Report) {
  void output.write(encoder.encode(`${JSON.stringify(frame)}\n`));
}
