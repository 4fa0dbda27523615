// The official client's subscriptions and actors, unchanged, against a server of ours.
//
//     deno test ... realtime_test.ts -- URL TOKEN ORGANIZATION BOARD
import { errors, StateBackedClient } from "@statebacked/client";
import { signToken } from "@statebacked/token";
import assert from "node:assert/strict";

const [apiHost, token, , boardFile] = Deno.args;
const owner = new StateBackedClient(token, { apiHost });
const classes = errors as unknown as Record<string, typeof errors.ApiError>;

type Update = { state: unknown; publicContext?: unknown; ts: number; done: boolean };

/** What a subscription brings, one after the other. */
class Inbox<Item> {
  #items: Item[] = [];
  #wanted?: (item: Item) => void;
  readonly put = (item: Item) => {
    const wanted = this.#wanted;
    this.#wanted = undefined;
    if (wanted) wanted(item);
    else this.#items.push(item);
  };
  next(): Promise<Item> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    return new Promise((resolve) => this.#wanted = resolve);
  }
  async until(isMeant: (item: Item) => boolean): Promise<Item> {
    for (;;) {
      const item = await this.next();
      if (isMeant(item)) return item;
    }
  }
  get isEmpty() {
    return this.#items.length === 0;
  }
}

const sockets: WebSocket[] = [];
const closed = new Inbox<CloseEvent>();

/** The platform's WebSocket; the test can cut the line. */
class Line extends WebSocket {
  constructor(url: string) {
    super(url);
    sockets.push(this);
    this.addEventListener("close", closed.put);
  }
}

const { id: stateBackedKeyId, key: stateBackedSecretKey } = await owner.keys.create({
  name: "readers",
  use: "production",
});
const sign = (sub: string, expires: "1h" | "2s" = "1h") =>
  signToken({ stateBackedKeyId, stateBackedSecretKey }, { sub }, { expires: { in: expires } });
const clientFor = (sub: string) =>
  new StateBackedClient(() => sign(sub), { apiHost, WebSocket: Line as never });

const follow = (client: StateBackedClient, name: string) => {
  const updates = new Inbox<Update>();
  const failures = new Inbox<InstanceType<typeof errors.ApiError>>();
  const stop = client.machineInstances.subscribe(
    "board",
    name,
    (state) => updates.put(state as Update),
    (error) => failures.put(error as InstanceType<typeof errors.ApiError>),
  );
  return { updates, failures, stop };
};
const write = (name: string, text: string) =>
  owner.machineInstances.sendEvent("board", name, { event: { type: "write", text } });

// Sockets reconnect without end, which is what a page wants and a test has to put up with.
const endless = { sanitizeOps: false, sanitizeResources: false };

Deno.test("a subscription begins with the state as it is and follows it", endless, async () => {
  await owner.machines.create("board");
  const code = await Deno.readTextFile(boardFile);
  await owner.machineVersions.create("board", { code, makeCurrent: true });
  await owner.machineInstances.create("board", { slug: "one" });

  const ada = clientFor("ada");
  const { updates, stop } = follow(ada, "one");
  const first = await updates.next();
  assert.deepEqual([first.state, first.publicContext], ["shown", { text: "" }]);
  const written = await write("one", "hello");
  const second = await updates.next();
  assert.deepEqual([second.publicContext, second.ts], [{ text: "hello" }, written.ts]);
  await write("one", "zoë ☃");
  assert.deepEqual((await updates.next()).publicContext, { text: "zoë ☃" });

  stop();
  const other = follow(ada, "one");
  await other.updates.next();
  await write("one", "nobody reads this");
  await other.updates.next();
  assert.ok(updates.isEmpty);
  other.stop();
});

Deno.test("a timer's transition is an update too", endless, async () => {
  await owner.machineInstances.create("board", { slug: "blinker" });
  const { updates, stop } = follow(clientFor("ada"), "blinker");
  await updates.next();
  await owner.machineInstances.sendEvent("board", "blinker", { event: "blink" });
  await updates.until(({ state }) => state === "shown");
  stop();
});

Deno.test("two subscriptions of one client both begin, and both follow", endless, async () => {
  const ada = clientFor("ada");
  const one = follow(ada, "one");
  await one.updates.next();
  const two = follow(ada, "one");
  await two.updates.next();
  await write("one", "for both");
  const isIt = ({ publicContext }: Update) =>
    (publicContext as { text: string }).text === "for both";
  await Promise.all([one.updates.until(isIt), two.updates.until(isIt)]);
  one.stop();
  await write("one", "for the other");
  await two.updates.next();
  assert.ok(one.updates.isEmpty);
  two.stop();
});

Deno.test("an actor follows what others send, and sends", endless, async () => {
  const actor = await clientFor("ada").machineInstances.getOrCreateActor("board", "acted", {});
  const snapshots = new Inbox<{ value: unknown; context: unknown }>();
  const subscription = actor.subscribe((state) => snapshots.put(state as never));
  actor.send({ type: "write", text: "by the actor" } as never);
  const isIt = (text: string) => (snapshot: { context: unknown }) =>
    (snapshot.context as { public: { text: string } }).public.text === text;
  await snapshots.until(isIt("by the actor"));
  await write("acted", "by another");
  await snapshots.until(isIt("by another"));
  assert.ok(actor.getSnapshot().matches("shown"));
  const found = await clientFor("ada").machineInstances.getActor("board", "acted");
  assert.deepEqual(found.getSnapshot().context.public, { text: "by another" });
  subscription.unsubscribe();
});

Deno.test("whoever may not see a state any more gets no more updates", endless, async () => {
  await owner.machineInstances.create("board", { slug: "secret" });
  const ada = follow(clientFor("ada"), "secret");
  const boss = follow(clientFor("owner"), "secret");
  await Promise.all([ada.updates.next(), boss.updates.next()]);
  await owner.machineInstances.sendEvent("board", "secret", { event: "cover" });
  const error = await ada.failures.next();
  assert.ok(error instanceof classes.RejectedByMachineAuthorizerError, String(error));
  assert.equal((await boss.updates.next()).state, "covered");
  await write("secret", "for the owner only");
  assert.deepEqual((await boss.updates.next()).publicContext, { text: "for the owner only" });
  assert.ok(ada.updates.isEmpty);
  boss.stop();
  const late = follow(clientFor("ada"), "secret");
  assert.ok(await late.failures.next() instanceof classes.RejectedByMachineAuthorizerError);
});

Deno.test("what is not there is told, and what goes away", endless, async () => {
  const nowhere = follow(clientFor("ada"), "nowhere");
  assert.ok(await nowhere.failures.next() instanceof classes.NotFoundError);
  await owner.machineInstances.create("board", { slug: "doomed" });
  const doomed = follow(clientFor("ada"), "doomed");
  await doomed.updates.next();
  await owner.machineInstances.dangerously.delete("board", "doomed", {
    dangerDataWillBeDeletedForever: true,
  });
  assert.ok(await doomed.failures.next() instanceof classes.NotFoundError);
});

Deno.test("a client whose line is cut comes back to the state as it is", endless, async () => {
  const { updates, stop } = follow(clientFor("ada"), "one");
  await updates.next();
  sockets.at(-1)!.close();
  await write("one", "missed or not");
  await updates.until(({ publicContext }) =>
    (publicContext as { text: string }).text === "missed or not"
  );
  await write("one", "and on");
  await updates.until(({ publicContext }) => (publicContext as { text: string }).text === "and on");
  stop();
});

Deno.test(
  "a token that is no good is told, and one that expires ends the socket",
  endless,
  async () => {
    const nobody = new StateBackedClient("nonsense", { apiHost, WebSocket: Line as never });
    const error = await follow(nobody, "one").failures.next();
    assert.equal(error.status, 401);

    const short = await sign("ada", "2s");
    const brief = new StateBackedClient(short, { apiHost, WebSocket: Line as never });
    const { updates, failures } = follow(brief, "one");
    await updates.next();
    const { code, reason } = await closed.until(({ code }) => code >= 4000);
    assert.equal(code, 4401);
    assert.match(reason, /expired/);
    // The client comes back with the same token, and is told.
    assert.equal((await failures.next()).status, 401);
  },
);
