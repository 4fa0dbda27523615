/** Where errors of bundled code are told to be. */

import assert from "node:assert/strict";
import { HostProcess } from "../support/host_process.ts";

/** As of a bundle: each line of the module is the same line of a source, ten lines further down. */
function lineByLine(source: string | null, lines: number, more: object = {}): string {
  // One segment each: column 0, the same source, one line further (the first: ten), column 0.
  const mappings = ["AAUA", ...Array(lines - 1).fill("AACA")].join(";");
  return comment({ version: 3, sources: [source], names: [], mappings, ...more });
}

function comment(map: unknown): string {
  return `//# sourceMappingURL=data:application/json;base64,${
    new TextEncoder().encode(JSON.stringify(map)).toBase64()
  }`;
}

const CODE = `import { assign, createMachine } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = () => true;
function fails() {
  throw new TypeError("no");
}
export default createMachine({ context: {}, on: {
  act: { actions: () => fails() },
  assign: { actions: assign(() => fails()) },
  print: { actions: () => { try { fails(); } catch (error) { console.log(error); } } },
  text: { actions: () => { try { fails(); } catch (error) { console.log("it was " + error.stack); } } },
} });
`;
const LINES = CODE.split("\n").length;

async function logsOf(code: string, event: string): Promise<string> {
  await using host = await HostProcess.start(code);
  await host.create(1);
  await host.one(1, 1, event);
  await host.perform(1, 2);
  return await host.logs(1);
}

Deno.test("places are those in the author's file, in failures, logs and whatever is printed", async () => {
  const code = CODE + lineByLine("src/my machine ü.ts", LINES);
  const place = String.raw`fails \(src/my machine ü\.ts:15:\d+\)`;
  for (const event of ["act", "print", "text"]) {
    const logs = await logsOf(code, event);
    assert.match(logs, new RegExp(`TypeError: no\n +at ${place}`), event);
    assert.doesNotMatch(logs, /machine\.js|blob:|statekeep-source|file:|ext:/, event);
  }
  await using host = await HostProcess.start(code);
  await host.create(1);
  const [{ error }] = await host.step(1, 1, [{ type: "assign" }]);
  assert.match(error.stack, new RegExp(`^ +at ${place}`));
});

Deno.test("what the bundler has added is not shown", async () => {
  // The first line is the bundler's own, the second in place of a module of Node's, the third the author's.
  const code = [
    "const glue = () => standIn();",
    'const standIn = () => { throw new Error("at once"); };',
    "[0].map(() => glue());",
  ].join("\n");
  const map = { version: 3, sources: ["not-required:fs", "a.ts"], names: [] };
  await using host = await HostProcess.startEmpty();
  const { error } = await host.load(`${code}\n${comment({ ...map, mappings: ";AAAA;ACAA" })}`);
  assert.equal(error.message, "at once");
  assert.match(
    error.stack,
    /^ +at a\.ts:1:\d+\n +at Array\.map \(<anonymous>\)\n +at a\.ts:1:\d+$/,
  );
});

Deno.test("a module that cannot be loaded tells where it threw", async () => {
  await using host = await HostProcess.startEmpty();
  const { error } = await host.load(`throw new Error("at once");\n${lineByLine("src/a.ts", 1)}`);
  assert.equal(error.message, "at once");
  assert.match(error.stack, /^ +at src\/a\.ts:11:\d+$/);
});

Deno.test("names are told as they are written, wherever they lead", async () => {
  for (
    const [source, more, shown] of [
      ["../shared/a.ts", {}, "../shared/a.ts"],
      ["npm:ms@2.1.3/index.js", {}, "npm:ms@2.1.3/index.js"],
      ["https://example.com/a.ts", {}, "https://example.com/a.ts"],
      ["file:///home/ann/a.ts", {}, "file:///home/ann/a.ts"],
      ["a.ts", { sourceRoot: "lib/" }, "lib/a.ts"],
      ["a.ts", { sourcesContent: ["the text"] }, "a.ts"],
      [null, {}, "unknown"],
    ] as const
  ) {
    const logs = await logsOf(CODE + lineByLine(source, LINES, more), "act");
    assert.ok(logs.includes(`fails (${shown}:15:`), `${source}: ${logs}`);
  }
});

Deno.test("without a map that can be used, places are those in the module", async () => {
  for (
    const map of [
      "",
      "//# sourceMappingURL=machine.js.map",
      "//# sourceMappingURL=data:application/json;base64,bm9uc2Vuc2U=",
      comment({ version: 3, sources: "none" }),
      comment(null),
      comment({ version: 3, sections: [] }),
    ]
  ) {
    assert.match(await logsOf(CODE + map, "act"), /fails \(machine\.js:5:\d+\)/, map);
  }
});

Deno.test("comments may follow the map", async () => {
  const code = `${CODE}${lineByLine("a.ts", LINES)}\n\n// Made by hand\n//# debugId=1`;
  assert.match(await logsOf(code, "act"), /fails \(a\.ts:15:/);
});

Deno.test("a text that looks like a map stays as it is", async () => {
  const like = `\n${comment({ version: 3, sources: ["a.ts"] })}\n`;
  const code = `${CODE}\nconst like = \`${like}\`;\nconsole.log(like.length);`;
  await using host = await HostProcess.start(code);
  assert.equal(await host.logs(null), String(like.length));
});
