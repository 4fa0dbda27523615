// Migrations by the official client, unchanged: created, wished for, taken.
//
//     deno test ... migrations_test.ts -- URL TOKEN ORGANIZATION DOOR
//
// The versions are DOOR, and DOOR with `open` called `ajar` and its inner states `narrow` and `wide`.
import { errors, StateBackedClient } from "@statebacked/client";
import assert from "node:assert/strict";

const [apiHost, token, _orgId, doorFile] = Deno.args;
const code = await Deno.readTextFile(doorFile);
const renamed = code
  .replaceAll("ajar", "narrow")
  .replace("    open: {\n      initial", "    gap: {\n      initial")
  .replaceAll('target: "open"', 'target: "gap"');
const migration = `
export const upgradeState = (path) => path.map((key) => ({ open: "gap", ajar: "narrow" })[key] ?? key);
export const upgradeContext = (before, after, context) => ({
  ...context,
  public: { ...context.public, from: before, to: after },
});
`;
const client = new StateBackedClient(token, { apiHost });
const { machineInstances, machineVersionMigrations } = client;

const gzip = async (text: string) => {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};
// deno-lint-ignore no-explicit-any
const NoMigrationPathError = (errors as any).NoMigrationPathError;

await client.machines.create("door");
const version = async (code: string, makeCurrent = false) =>
  (await client.machineVersions.create("door", { code, makeCurrent })).machineVersionId;
const first = await version(code, true);
const second = await version(renamed);
const third = await version(renamed);
const desire = (slug: string, targetMachineVersionId: string) =>
  machineInstances.admin.updateDesiredVersion("door", slug, { targetMachineVersionId });

async function opened(slug: string) {
  await machineInstances.create("door", { slug });
  await machineInstances.sendEvent("door", slug, { event: "open" });
}

Deno.test("without a migration there is no way", async () => {
  await opened("stuck");
  await assert.rejects(desire("stuck", second), NoMigrationPathError);
});

Deno.test("code that is no migration is refused", async () => {
  const create = machineVersionMigrations.create("door", {
    fromMachineVersionId: first,
    toMachineVersionId: second,
    code: "export const upgradeState = (path) => path;",
  });
  await assert.rejects(create, /upgradeContext/);
});

Deno.test("migrations are uploaded, plain and gzipped", async () => {
  const plain = await machineVersionMigrations.create("door", {
    fromMachineVersionId: first,
    toMachineVersionId: second,
    code: migration,
  });
  const gzipped = await machineVersionMigrations.create("door", {
    fromMachineVersionId: second,
    toMachineVersionId: third,
    gzippedCode: await gzip(
      "export const upgradeState = (path) => path;\nexport const upgradeContext = (b, a, context) => context;",
    ),
  });
  assert.match(plain.machineVersionId!, /^mig_/);
  assert.match(gzipped.machineVersionId!, /^mig_/);
});

Deno.test("an instance gets the version that is wished for before its next event", async () => {
  await opened("front");
  await desire("front", second);
  const before = await machineInstances.admin.get("door", "front");
  assert.equal(before.machineVersion.id, first);
  assert.equal(before.desiredMachineVersion?.id, second);
  assert.deepEqual((await machineInstances.get("door", "front")).state, { open: "ajar" });

  const pushed = await machineInstances.sendEvent("door", "front", { event: "push" });
  assert.deepEqual(pushed.state, { gap: "wide" });
  assert.deepEqual(pushed.publicContext, {
    opened: 1,
    from: [["open", "ajar"]],
    to: [["gap", "narrow"]],
  });
  const after = await machineInstances.admin.get("door", "front");
  assert.equal(after.machineVersion.id, second);
  assert.equal(after.desiredMachineVersion, undefined);
  const { transitions } = await machineInstances.listTransitions("door", "front");
  assert.deepEqual(transitions.map(({ state }) => state).slice(0, 3), [
    { gap: "wide" },
    { gap: "narrow" },
    { open: "ajar" },
  ]);
  assert.equal((transitions[1].event as { type: string }).type, "statebacked.upgrade");
});

Deno.test("two migrations are one upgrade", async () => {
  await opened("side");
  await desire("side", third);
  await machineInstances.sendEvent("door", "side", { event: "close" });
  const { machineVersion } = await machineInstances.admin.get("door", "side");
  assert.equal(machineVersion.id, third);
  const { transitions } = await machineInstances.listTransitions("door", "side");
  assert.equal(transitions.length, 4);
});

Deno.test("a subscription shows the upgrade and what follows", async () => {
  await opened("glass");
  const states: unknown[] = [];
  const seen = Promise.withResolvers<void>();
  const actor = await machineInstances.getActor("door", "glass");
  const subscription = actor.subscribe((state) => {
    states.push(state.value);
    if (JSON.stringify(state.value) === '{"gap":"wide"}') seen.resolve();
  });
  await desire("glass", second);
  await machineInstances.sendEvent("door", "glass", { event: "push" });
  await seen.promise;
  subscription.unsubscribe();
  assert.deepEqual(states.at(-1), { gap: "wide" });
});
