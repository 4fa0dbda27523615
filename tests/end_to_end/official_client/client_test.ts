// The official client, unchanged, against a server of ours: only the host it talks to is another.
//
//     deno test ... client_test.ts -- URL TOKEN ORGANIZATION DOOR
//
// TOKEN is the session of an admin of ORGANIZATION and of no other; DOOR is the file with the machine's code.
import { errors, StateBackedClient } from "@statebacked/client";
import { signToken } from "@statebacked/token";
import assert from "node:assert/strict";

const [apiHost, token, orgId, doorFile] = Deno.args;
const code = await Deno.readTextFile(doorFile);
const client = new StateBackedClient(token, { apiHost });

type ErrorClass = typeof errors.ApiError;

async function fails(promise: Promise<unknown>, kind: ErrorClass, status: number, code?: string) {
  const error = await promise.then(() => undefined, (error) => error);
  assert.ok(error instanceof kind, `${error?.name ?? "success"} where ${kind.name} was due`);
  assert.equal(error.status, status);
  if (code !== undefined) assert.equal(error.code, code);
  assert.ok(error.message.length > 0);
}

const classes = errors as unknown as Record<string, ErrorClass>;
const { NotFoundError, ConflictError, ClientError, UnauthorizedError, ApiError } = classes;
const gzip = async (text: string) => {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};
const isoDate = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

Deno.test("machines are created, found and listed", async () => {
  assert.equal(await client.machines.create("door"), undefined);
  await fails(client.machines.create("door"), ConflictError, 409);
  await fails(client.machines.create("no door"), ClientError, 400, "invalid-parameter");
  const { machine } = await client.machines.get("door");
  assert.match(machine.createdAt, isoDate);
  assert.equal(machine.currentVersion, undefined);
  const { machines, cursor } = await client.machines.list();
  assert.ok(machines.some(({ slug }) => slug === "door"));
  assert.equal(cursor, undefined);
  await fails(client.machines.get("window"), NotFoundError, 404);
});

Deno.test("versions are uploaded, plain and gzipped", async () => {
  const first = await client.machineVersions.create("door", { code, clientInfo: "v1" });
  assert.equal((await client.machines.get("door")).machine.currentVersion, undefined);
  const second = await client.machineVersions.create("door", {
    gzippedCode: await gzip(code),
    clientInfo: "v2",
    makeCurrent: true,
  });
  const { machine } = await client.machines.get("door");
  assert.equal(machine.currentVersion?.id, second.machineVersionId);
  const { versions } = await client.machineVersions.list("door");
  assert.deepEqual(
    versions.map(({ id, clientInfo }) => [id, clientInfo]),
    [[second.machineVersionId, "v2"], [first.machineVersionId, "v1"]],
  );
  await fails(client.machineVersions.list("window"), NotFoundError, 404);
});

Deno.test("code that is no machine is refused when it is published", async () => {
  for (const bad of ["export default 1;", "this is no JavaScript", ""]) {
    const create = client.machineVersions.create("door", { code: bad, makeCurrent: true });
    await fails(create, ClientError, 400, "invalid-parameter");
  }
  const { machineVersionId } = await client.machineVersions.provisionallyCreate("door");
  await fails(client.machineVersions.finalize("door", machineVersionId, {}), ClientError, 400);
  assert.equal((await client.machineVersions.list("door")).versions.length, 2);
});

Deno.test("an instance is created, read and moved", async () => {
  const created = await client.machineInstances.create("door", { slug: "front" });
  assert.equal(created.state, "closed");
  assert.deepEqual(created.publicContext, { opened: 0 });
  assert.deepEqual([...created.tags], ["shut"]);
  assert.equal(created.done, false);
  await fails(client.machineInstances.create("door", { slug: "front" }), ConflictError, 409);

  const opened = await client.machineInstances.sendEvent("door", "front", { event: "open" });
  assert.deepEqual(opened.state, { open: "ajar" });
  assert.ok(opened.ts > created.ts);
  const pushed = await client.machineInstances.sendEvent("door", "front", {
    event: { type: "push", how: "hårt" },
  });
  assert.deepEqual(pushed.state, { open: "wide" });
  const read = await client.machineInstances.get("door", "front");
  assert.equal(read.ts, pushed.ts);
  assert.deepEqual(read.state, pushed.state);
  assert.deepEqual(read.publicContext, { opened: 1 });
  await fails(client.machineInstances.get("door", "back"), NotFoundError, 404);
  const nowhere = client.machineInstances.sendEvent("door", "back", { event: "open" });
  await fails(nowhere, NotFoundError, 404);
});

Deno.test("getOrCreate creates once, with a context and a version of choice", async () => {
  const { versions } = await client.machineVersions.list("door");
  const create = () =>
    client.machineInstances.getOrCreate("door", "side", () => ({
      context: { public: { opened: 41 } },
      machineVersionId: versions[1].id,
    }));
  const [one, other] = await Promise.all([create(), create()]);
  assert.deepEqual(one.publicContext, { opened: 41 });
  assert.deepEqual(other.publicContext, { opened: 41 });
  const admin = await client.machineInstances.admin.get("door", "side");
  assert.equal(admin.machineVersion.id, versions[1].id);
  const actor = await client.machineInstances.getOrCreateActor("door", "side", {});
  assert.ok(actor.getSnapshot().matches("closed"));
});

Deno.test("names of users are names of instances", async () => {
  const slug = "user|1:ada@example.com~a+b.c";
  await client.machineInstances.create("door", { slug });
  await client.machineInstances.sendEvent("door", slug, { event: "open" });
  const { publicContext } = await client.machineInstances.get("door", slug);
  assert.deepEqual(publicContext, { opened: 1 });
});

Deno.test("instances and transitions are listed in pages", async () => {
  const { instances } = await client.machineInstances.list("door");
  const front = instances.find(({ slug }) => slug === "front");
  assert.equal(front?.status, "running");
  assert.match(front?.createdAt ?? "", isoDate);
  assert.match(front?.machineVersion.id ?? "", /^ver_/);

  await client.machineInstances.create("door", { slug: "busy" });
  for (let n = 0; n < 60; n++) {
    await client.machineInstances.sendEvent("door", "busy", { event: { type: "open", n } });
    await client.machineInstances.sendEvent("door", "busy", { event: { type: "close", n } });
  }
  const seen = [];
  let cursor: string | undefined;
  do {
    const page = await client.machineInstances.listTransitions("door", "busy", { cursor });
    seen.push(...page.transitions);
    cursor = page.cursor;
  } while (cursor);
  assert.equal(seen.length, 121);
  assert.deepEqual(seen[0].event, { type: "close", n: 59 });
  assert.equal(seen[0].state, "closed");
  assert.match(seen[0].createdAt, isoDate);
  assert.deepEqual(seen[1].state, { open: "ajar" });
});

Deno.test("an operator sees the whole, and can stop and delete an instance", async () => {
  const whole = await client.machineInstances.admin.get("door", "front");
  assert.deepEqual(whole.context, { public: { opened: 1 }, secret: "under the mat" });
  assert.deepEqual(whole.state, { open: "wide" });
  assert.equal(whole.status, "running");

  const { dangerously } = client.machineInstances;
  await dangerously.setStatus("door", "front", { status: "paused" });
  const paused = client.machineInstances.sendEvent("door", "front", { event: "close" });
  await fails(paused, ConflictError, 409, "invalid-state");
  await dangerously.setStatus("door", "front", { status: "running" });
  await client.machineInstances.sendEvent("door", "front", { event: "close" });

  const unsure = dangerously.delete("door", "front", {
    dangerDataWillBeDeletedForever: false as true,
  });
  await fails(unsure, ClientError, 400, "invalid-parameter");
  await dangerously.delete("door", "front", { dangerDataWillBeDeletedForever: true });
  await fails(client.machineInstances.get("door", "front"), NotFoundError, 404);
});

Deno.test("what the author's code throws is told, and nothing changed", async () => {
  await client.machineInstances.create("door", { slug: "cellar" });
  await client.machineInstances.sendEvent("door", "cellar", { event: "open" });
  const jam = client.machineInstances.sendEvent("door", "cellar", { event: "jam" });
  await fails(jam, ApiError, 422, "machine-error");
  const { state } = await client.machineInstances.get("door", "cellar");
  assert.deepEqual(state, { open: "ajar" });
  const walled = await client.machineInstances.sendEvent("door", "cellar", { event: "wall" });
  assert.equal(walled.done, true);
  const after = await client.machineInstances.sendEvent("door", "cellar", { event: "open" });
  assert.equal(after.state, "walled");
});

Deno.test("what is too large is refused", async () => {
  const text = "x".repeat(500_000);
  const large = client.machineInstances.create("door", { slug: "large", context: { text } });
  await fails(large, ApiError, 413);
  const event = { type: "open", text: text.repeat(4) };
  await fails(client.machineInstances.sendEvent("door", "cellar", { event }), ApiError, 413);
});

Deno.test("a key signs tokens for end users, until it is deleted", async () => {
  const { id, key } = await client.keys.create({ name: "backend", use: "production" });
  const { keys } = await client.keys.list();
  assert.deepEqual(keys.find((key) => key.id === id)?.scopes, [
    "events.write",
    "indexes.read",
    "instances.write",
    "state.read",
  ]);
  const sign = (claims: Record<string, unknown>) =>
    signToken({ stateBackedKeyId: id, stateBackedSecretKey: key }, claims, {
      expires: { in: "1h" },
    });
  const ada = new StateBackedClient(await sign({ sub: "ada" }), { apiHost });
  await ada.machineInstances.create("door", { slug: "ada" });
  await ada.machineInstances.sendEvent("door", "ada", { event: "open" });
  await fails(ada.machines.list(), classes.MissingScopeError, 403, "missing-scope");
  await fails(ada.machines.list(), UnauthorizedError, 403);
  await fails(ada.orgs.list(), classes.MissingUserError, 403, "missing-user");

  const stranger = new StateBackedClient(() => sign({ sub: "stranger" }), { apiHost });
  const rejected = classes.RejectedByMachineAuthorizerError;
  await fails(stranger.machineInstances.get("door", "ada"), rejected, 403);
  const write = stranger.machineInstances.sendEvent("door", "ada", { event: "close" });
  await fails(write, rejected, 403);
  await fails(stranger.machineInstances.create("door", { slug: "new" }), rejected, 403);
  await fails(stranger.machineInstances.get("door", "nowhere"), NotFoundError, 404);
  const acting = new StateBackedClient(token, { apiHost, actAs: { sub: "stranger", name: "zoë" } });
  await fails(acting.machineInstances.get("door", "ada"), rejected, 403);

  await client.keys.delete(id);
  await fails(ada.machineInstances.get("door", "ada"), ApiError, 401);
  await fails(client.keys.delete(id), NotFoundError, 404);
});

Deno.test("a machine is deleted once it has no instances", async () => {
  const sure = { dangerDataWillBeDeletedForever: true } as const;
  await fails(
    client.machines.dangerously.delete("door", sure),
    ConflictError,
    409,
    "invalid-state",
  );
  const { instances } = await client.machineInstances.list("door");
  for (const { slug } of instances) {
    await client.machineInstances.dangerously.delete("door", slug, sure);
  }
  await client.machines.dangerously.delete("door", sure);
  await fails(client.machines.get("door"), NotFoundError, 404);
});

Deno.test("nobody gets in without a good token", async () => {
  const nobody = new StateBackedClient("nonsense", { apiHost });
  await fails(nobody.machines.list(), ApiError, 401);
});

// The last one: from here on the admin has to say which organization is meant.
Deno.test("a member of several organizations says which one is meant", async () => {
  const { id } = await client.orgs.create({ name: "second" });
  const { orgs } = await client.orgs.list();
  assert.deepEqual(orgs.map((org) => org.id), [orgId, id]);
  assert.equal(orgs[1].role, "admin");
  assert.ok(orgs[1].limits.monthlyEventsLimit > 0);
  await fails(client.machines.list(), classes.OrgHeaderRequiredError, 400, "specify-org");
  const second = new StateBackedClient(token, { apiHost, orgId: id });
  assert.deepEqual((await second.machines.list()).machines, []);
  const other = new StateBackedClient(token, { apiHost, orgId: "org_" + "A".repeat(22) });
  await fails(other.machines.list(), classes.MissingOrgError, 403, "missing-org");
});
