// Indexes, asked for as State Backed's clients do.
//
//     deno test ... index_test.ts -- URL TOKEN ORGANIZATION SHELF
//
// The newest release of the official client has no method for indexes yet, so what its repository has since is done here in its place: the same URL, parameters and
// headers. All else is the official client.
import { StateBackedClient } from "@statebacked/client";
import assert from "node:assert/strict";

const [apiHost, token, _orgId, shelfFile] = Deno.args;
const code = await Deno.readTextFile(shelfFile);
const client = new StateBackedClient(token, { apiHost });
const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };

type Query = { op?: string; value?: string; dir?: string; limit?: number; cursor?: string };

async function query(machine: string, index: string, wanted: Query = {}) {
  const url = new URL(`${apiHost}/machines/${machine}/indexes/${index}/query`);
  if (wanted.cursor) url.searchParams.set("cursor", wanted.cursor);
  if (wanted.dir) url.searchParams.set("dir", wanted.dir);
  if (wanted.limit) url.searchParams.set("limit", wanted.limit.toString());
  if (wanted.op && wanted.value) {
    url.searchParams.set("op", wanted.op);
    url.searchParams.set("value", wanted.value);
  }
  const answer = await fetch(url, { method: "GET", headers });
  assert.equal(answer.status, 200);
  return await answer.json() as {
    instances: { slug: string; indexValue: string }[];
    cursor?: string;
  };
}

async function slugs(index: string, wanted: Query = {}) {
  const found = [];
  let cursor: string | undefined;
  do {
    const page = await query("shelf", index, { ...wanted, limit: 2, cursor });
    found.push(...page.instances.map(({ slug, indexValue }) => `${slug}=${indexValue}`));
    cursor = page.cursor;
  } while (cursor);
  return found;
}

async function publish(indexSelectors: Record<string, string>) {
  const { machineVersionId, codeUploadUrl, codeUploadFields } = await client.machineVersions
    .provisionallyCreate("shelf");
  const form = new FormData();
  for (const [name, value] of Object.entries(codeUploadFields)) form.set(name, value ?? "");
  form.set("content-type", "application/javascript");
  form.set("file", new Blob([code], { type: "application/javascript" }), "shelf.js");
  const uploaded = await fetch(codeUploadUrl, { method: "POST", body: form });
  await uploaded.body?.cancel();
  const description = { makeCurrent: true, indexSelectors };
  return await client.machineVersions.finalize("shelf", machineVersionId, description);
}

Deno.test("documents are found by folder and by reader, as these change", async () => {
  const body = JSON.stringify({ slug: "shelf", indexes: ["folder", "reader"] });
  const made = await fetch(`${apiHost}/machines`, { method: "POST", headers, body });
  assert.equal(made.status, 201);
  await publish({ folder: "$.folder" });
  for (const [slug, folder] of [["a", "/in"], ["b", "/out"], ["c", "/in"], ["d", "/Ende"]]) {
    await client.machineInstances.create("shelf", { slug, context: { folder } });
  }
  assert.deepEqual(await slugs("folder"), ["d=/Ende", "a=/in", "c=/in", "b=/out"]);
  assert.deepEqual(await slugs("folder", { op: "eq", value: "/in" }), ["a=/in", "c=/in"]);
  assert.deepEqual(await slugs("folder", { op: "ne", value: "/in" }), ["d=/Ende", "b=/out"]);
  const descending = { op: "gte", value: "/in", dir: "desc" };
  assert.deepEqual(await slugs("folder", descending), ["b=/out", "c=/in", "a=/in"]);
  await client.machineInstances.sendEvent("shelf", "c", {
    event: { type: "move", folder: "/out", readers: ["ada", "eve"] },
  });
  assert.deepEqual(await slugs("folder", { op: "eq", value: "/out" }), ["b=/out", "c=/out"]);
  assert.deepEqual(await slugs("reader"), []);
});

Deno.test("a version that selects for another index has it filled", async () => {
  await publish({ reader: "$.readers" });
  const state = async () => {
    const answer = await fetch(`${apiHost}/machines/shelf/indexes`, { headers });
    const { indexes } = await answer.json();
    return indexes[1].state;
  };
  while (await state() !== "ready") await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(await slugs("reader"), ["c=ada", "c=eve"]);
  // The selector of the folder is kept, though it was not named.
  await client.machineInstances.create("shelf", { slug: "e", context: { folder: "/new" } });
  assert.deepEqual(await slugs("folder", { op: "eq", value: "/new" }), ["e=/new"]);
});

Deno.test("a deleted document is found no more", async () => {
  await client.machineInstances.dangerously.delete("shelf", "c", {
    dangerDataWillBeDeletedForever: true,
  });
  assert.deepEqual(await slugs("reader"), []);
});
