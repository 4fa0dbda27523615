/**
 * A turnstile: pay, push, walk in, and it locks again behind you.
 *
 * A machine for Statekeep is an ES module. It exports the machine, and two functions that decide who may see an
 * instance of it and who may send it events. `npm:xstate@5` is the XState that the server provides.
 *
 *     locked --coin, once the price is paid--> unlocked --push, or after 20 s--> locked
 */
import { assign, setup } from "npm:xstate@5";

const PRICE_CENTS = 100;

type Context = {
  /** The only part of the context that callers get to see. */
  public: { priceCents: number; creditCents: number; entries: number };
  /** Seen by authorisers, by later transitions and by admins. */
  takingsCents: number;
};

type TurnstileEvent =
  | { type: "coin"; cents: number }
  | { type: "push" }
  | { type: "refund" };

/** The claims of the caller's token. Whoever makes tokens decides what is in them. */
type AuthContext = { sub?: string; role?: string };

const turnstile = setup({
  types: { context: {} as Context, events: {} as TurnstileEvent },
  // Delays are durable: they keep their due time when the server is restarted in between.
  delays: { patience: 20_000 },
  guards: {
    // Events come from outside, so types promise nothing about them.
    isMoney: ({ event }) =>
      event.type === "coin" && Number.isInteger(event.cents) && event.cents > 0,
    isPaid: ({ context }) => context.public.creditCents >= context.public.priceCents,
    hasCredit: ({ context }) => context.public.creditCents > 0,
  },
  actions: {
    // `assign` is part of the transition: durable before anyone sees it, and undone if anything throws.
    takeCoin: assign(({ context, event }) => {
      const cents = event.type === "coin" ? event.cents : 0;
      return {
        public: { ...context.public, creditCents: context.public.creditCents + cents },
        takingsCents: context.takingsCents + cents,
      };
    }),
    letIn: assign(({ context }) => ({
      public: {
        ...context.public,
        creditCents: context.public.creditCents - context.public.priceCents,
        entries: context.public.entries + 1,
      },
    })),
    payBack: assign(({ context }) => ({
      public: { ...context.public, creditCents: 0 },
      takingsCents: context.takingsCents - context.public.creditCents,
    })),
    // Any other action is an effect: it runs once the transition is durable, and at most once.
    report: ({ context }) => console.log(`${context.public.entries} came in so far`),
  },
});

export default turnstile.createMachine({
  id: "turnstile",
  context: {
    public: { priceCents: PRICE_CENTS, creditCents: 0, entries: 0 },
    takingsCents: 0,
  },
  initial: "locked",
  on: {
    coin: { guard: "isMoney", actions: "takeCoin" },
    refund: { guard: "hasCredit", target: ".locked", actions: "payBack" },
  },
  states: {
    locked: {
      // Asked whenever something changed: also after somebody went in who had paid for two.
      always: { guard: "isPaid", target: "unlocked" },
    },
    unlocked: {
      tags: "open",
      on: {
        push: { target: "locked", actions: ["letIn", "report"] },
      },
      // Nobody came, so the money goes back.
      after: {
        patience: { target: "locked", actions: "payBack" },
      },
    },
  },
});

/** Asked for every reader and every subscriber, whenever they would see something. */
export function allowRead({ authContext }: { authContext: AuthContext }): boolean {
  return authContext.sub !== undefined;
}

type Write =
  & { authContext: AuthContext; context: unknown }
  & ({ type: "initialization" } | { type: "event"; event: TurnstileEvent });

/** Asked before an instance is made and before each event. Anything but `true` is a no. */
export function allowWrite(write: Write): boolean {
  if (write.authContext.sub === undefined) return false;
  if (write.type === "initialization") {
    // Who makes an instance may give it a context, which is merged over the machine's own. Nobody gets in with a
    // credit of their own making.
    return Object.keys(write.context as object).length === 0;
  }
  return write.event.type !== "refund" || write.authContext.role === "attendant";
}
