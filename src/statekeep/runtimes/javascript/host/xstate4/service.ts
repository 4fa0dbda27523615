/**
 * What performs for a root machine, and what its children take for their parent: an interpreter of our own copy that is never
 * given an event. Deciding is done elsewhere; all that is sent to it goes to the host.
 */

import type { Surroundings } from "../driver.ts";
import { ChildMap } from "./child_map.ts";
import { silence, traitsOf, watch, type WatchedRoot } from "./children.ts";
import { CountingClock } from "./clock.ts";
import { OwnInterpreter, toEventObject, toScxml } from "./copies.ts";
import { actorBehind, Tombstone } from "./refs.ts";
import {
  type ActorRef,
  isActorRef,
  type Machine,
  type MachineEvent,
  type ScxmlEvent,
  type SendAction,
  type SpawnOptions,
  type State,
} from "./types.ts";

const NOT_STARTED = 0;
const RUNNING = 1;
const NO_STATE = { configuration: [], context: undefined, children: {} } as unknown as State;

/** The wrapping in which an event came, for the step that delivers the same object: `respond` needs the origin. */
const wrappings = new WeakMap<MachineEvent, ScxmlEvent>();

export function wrappingOf(event: MachineEvent): ScxmlEvent {
  return wrappings.get(event) ?? toScxml(event);
}

/** The event by which XState tells a machine that its child failed. */
export function childError(id: string, data: unknown): MachineEvent {
  return { type: `error.platform.${id}`, data };
}

export class RootService extends OwnInterpreter implements WatchedRoot {
  override readonly children = new ChildMap();
  /** While true nothing is reported. */
  #isMuted = false;
  /** Delayed sends to children that have not gone off: timer to target. */
  readonly #delayedSends = new Map<unknown, string>();

  constructor(machine: Machine, private readonly surroundings: Surroundings) {
    super(machine, {
      clock: new CountingClock(() => surroundings.childrenChanged()),
      // The console of the moment: the host may have another one per instance.
      logger: (...values) => console.log(...values),
    });
    watch(this);
    this.status = RUNNING;
    // These are no methods of the prototype, but properties that the constructor makes.
    this.send = (event: unknown, payload?: unknown) => this.#receive(event, payload);
    const { sendTo } = this;
    this.sendTo = (event, to, immediate) => sendTo(event, actorBehind(to), immediate);
  }

  /** Deciding has moved it already. With this and `initialState`, `start` and `stop` run no author code. */
  override update(): void {}

  get initialState(): State {
    return NO_STATE;
  }

  childrenChanged(): void {
    if (!this.#isMuted) this.surroundings.childrenChanged();
  }

  /** Start the child's clock with it; all machines below share it. */
  override spawnMachine(machine: Machine, options?: SpawnOptions): ActorRef {
    return this.withChildClock(() => super.spawnMachine(machine, options));
  }

  /** Interpreters made by `make` as children of this one get a clock of their own. */
  withChildClock<T>(make: () => T): T {
    this.#register();
    const { options } = this;
    this.options = { ...options, clock: new CountingClock(() => this.childrenChanged()) };
    try {
      return make();
    } finally {
      this.options = options;
    }
  }

  /** Only sends to children are delayed here. */
  override defer(action: SendAction): void {
    const timer = this.clock.setTimeout(() => {
      this.#delayedSends.delete(timer);
      this.sendTo(action._event, action.to, true);
    }, action.delay as number);
    this.#delayedSends.set(timer, isActorRef(action.to) ? action.to.id : String(action.to));
    if (action.id) this.delayedEventsMap[action.id] = timer;
  }

  override cancel(id: string | number): void {
    this.#delayedSends.delete(this.delayedEventsMap[id]);
    super.cancel(id);
  }

  get hasDelayedSends(): boolean {
    return this.#delayedSends.size > 0;
  }

  /** Is something under that id due? */
  isDue(id: string, child: ActorRef): boolean {
    return traitsOf(child).isDue() ||
      this.children.displacedBy(id).some((displaced) => traitsOf(displaced).isDue()) ||
      this.#delayedSends.values().some((target) => target === id);
  }

  tombstone(id: string): Tombstone {
    return new Tombstone(id, (text) => this.warn(text));
  }

  warn(text: string): void {
    this.surroundings.warn(text);
  }

  /** What the outgoing queue holds goes out, whatever one of the receivers throws. */
  flush(): void {
    let failure: { error: unknown } | undefined;
    for (const [target, event] of this._outgoingQueue.splice(0)) {
      try {
        target.send(event);
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure !== undefined) throw failure.error;
  }

  /** Stop what runs under that id without a word from it, now or later. */
  silenceChild(id: string): void {
    this.#muted(() => {
      for (const [timer, target] of this.#delayedSends) {
        if (target !== id) continue;
        this.clock.clearTimeout(timer);
        this.#delayedSends.delete(timer);
      }
      const { children } = this;
      for (const displaced of children.takeDisplaced(id)) {
        this.#silence(displaced, () => displaced.stop?.());
      }
      const child = children.get(id);
      if (child !== undefined) this.#silence(child, () => this.stopChild(id));
    });
  }

  #silence(child: ActorRef, stop: () => void): void {
    silence(child);
    try {
      stop();
    } catch (error) {
      this.warn(`child "${child.id}" threw while it was stopped: ${error}`);
    }
  }

  /** It could not be started: to the machine that is an error of the child. */
  failChild(id: string, error: unknown): void {
    this.silenceChild(id);
    this.#receive(toScxml(childError(id, error), { origin: id }), undefined);
  }

  /** The end of the instance, or of its time in this process. */
  silenceAll(): void {
    for (const [id] of [...this.children.running()]) this.silenceChild(id);
    (this.clock as CountingClock).clear();
    this.#delayedSends.clear();
  }

  /** Leave the registry too. Nothing is heard of it afterwards. */
  dispose(): void {
    this.silenceAll();
    this.#isMuted = true;
    this._state = NO_STATE;
    this.stop();
  }

  /** Make it known by its session id to machines that respond to it. Only `dispose` undoes that. */
  #register(): void {
    if (this.initialized) return;
    this.status = NOT_STARTED;
    this.start();
  }

  #muted(run: () => void): void {
    const wasMuted = this.#isMuted;
    this.#isMuted = true;
    try {
      run();
    } finally {
      this.#isMuted = wasMuted;
    }
    this.childrenChanged();
  }

  #receive(event: unknown, payload: unknown): void {
    if (Array.isArray(event)) {
      for (const one of event) this.#receive(one, undefined);
    } else if (!this.#isMuted) {
      this.#report(toScxml(toEventObject(event, payload)));
    }
  }

  #report(event: ScxmlEvent): void {
    // An escalated error carries its real type only in the wrapping.
    const { name, data } = event;
    const reported = data.type === name ? data : { ...data, type: name };
    wrappings.set(reported, event);
    this.surroundings.eventForRoot(reported, this.#childThatSent(event));
  }

  /** Promises, callbacks and observables sign with their id, machines with their session id. */
  #childThatSent({ origin }: ScxmlEvent): string | undefined {
    if (typeof origin !== "string") return undefined;
    if (this.children.has(origin)) return origin;
    for (const [id, child] of this.children) {
      if ((child as { sessionId?: string }).sessionId === origin) return id;
    }
    return origin;
  }
}
