// The official client's logs, unchanged, against a server of ours.
//
//     deno test ... logs_test.ts -- URL TOKEN ORGANIZATION TALKER
//
// TOKEN is the session of an admin of ORGANIZATION; TALKER is the file with the code of a machine that prints.
import { errors, StateBackedClient } from "@statebacked/client";
import assert from "node:assert/strict";

const [apiHost, token, orgId, talkerFile] = Deno.args;
const client = new StateBackedClient(token, { apiHost });
const begun = new Date(Date.now() - 1);
const isoDate = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

type Filter = Parameters<typeof client.logs.retrieve>[1];
type Entry = Awaited<ReturnType<typeof client.logs.retrieve>>["logs"][number];

/** Entries of all pages from the beginning, once one of them has this text: they become visible a moment after they were written. */
async function until(text: string, filter?: Filter): Promise<Entry[]> {
  const found: Entry[] = [];
  let from = begun;
  while (!found.some(({ log }) => log.includes(text))) {
    const { logs, maxTimestamp } = await client.logs.retrieve(from, filter);
    assert.ok(logs.length <= 100);
    assert.match(maxTimestamp, isoDate);
    if (logs.length === 0) {
      assert.equal(maxTimestamp, from.toISOString());
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    found.push(...logs);
    from = new Date(maxTimestamp);
  }
  return found;
}

const send = (instance: string, type: string) =>
  client.machineInstances.sendEvent("talker", instance, { event: { type } });

let machineVersionId: string;

Deno.test("everything that a machine prints is there, with where it comes from", async () => {
  await client.machines.create("talker");
  const code = await Deno.readTextFile(talkerFile);
  ({ machineVersionId } = await client.machineVersions.create("talker", {
    code,
    makeCurrent: true,
  }));
  await client.machineInstances.create("talker", { slug: "one" });
  await send("one", "talk");
  await send("one", "work");
  const entries = await until("service", { machineName: "talker" });
  const texts = entries.map(({ outputType, log }) => [outputType, log]);
  assert.deepEqual(texts.sort(), [
    ["stderr", "error"],
    ["stdout", 'action { is: "an object" }'],
    ["stdout", "allowWrite event"],
    ["stdout", "allowWrite event"],
    ["stdout", "allowWrite initialization"],
    ["stdout", "guard"],
    ["stdout", "loaded"],
    ["stdout", "service"],
  ]);
  for (const entry of entries) {
    assert.equal(entry.orgId, orgId);
    assert.equal(entry.machineName, "talker");
    assert.equal(entry.machineVersionId, machineVersionId);
    assert.equal(entry.instanceName, entry.log === "loaded" ? "" : "one");
    assert.match(entry.timestamp, isoDate);
  }
});

Deno.test("what goes wrong is there with the author's stack", async () => {
  await client.machineInstances.create("talker", { slug: "two" });
  await assert.rejects(send("two", "fail"), errors.ApiError);
  await assert.rejects(client.machineInstances.get("talker", "two"), errors.ApiError);
  await send("two", "fail_later");
  const failures = (await until("action is broken", { instanceName: "two" }))
    .filter(({ outputType }) => outputType === "stderr");
  assert.equal(failures.length, 3);
  for (const { log } of failures) {
    assert.match(log, /(assign|allowRead|action) is broken/);
    assert.match(log, /\n +at .*machine\.js:\d+:\d+/);
    assert.doesNotMatch(log, /host\.js|file:|ext:/);
  }
});

Deno.test("a crowd is read page by page, each entry once", async () => {
  await client.machineInstances.create("talker", { slug: "three" });
  await send("three", "crowd");
  const entries = await until("line 249", { instanceName: "three", machineVersionId });
  const lines = entries.map(({ log }) => log).filter((log) => log.startsWith("line"));
  assert.deepEqual(lines, Array.from({ length: 250 }, (_, n) => `line ${n}`));
});

Deno.test("watching yields what is there and goes on with what comes", async () => {
  const aborting = new AbortController();
  const seen: string[] = [];
  for await (
    const { log } of client.logs.watch(begun, { instanceName: "three" }, aborting.signal)
  ) {
    seen.push(log);
    if (log === "line 249") break;
  }
  aborting.abort();
  assert.equal(new Set(seen).size, seen.length);
  assert.equal(seen.filter((log) => log.startsWith("line")).length, 250);
});

Deno.test("a range ends where it is said to end", async () => {
  const [first, , third] = await until("service", { instanceName: "one" });
  const { logs } = await client.logs.retrieve(new Date(first.timestamp), {
    to: new Date(third.timestamp),
    instanceName: "one",
  });
  for (const { timestamp } of logs) {
    assert.ok(first.timestamp < timestamp && timestamp <= third.timestamp);
  }
});
