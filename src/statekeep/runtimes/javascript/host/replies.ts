/**
 * Replies as text. The parts have been JSON before, so they are put together and not made again: this is the hot path.
 */

import type { LiveChild, LiveInstance } from "./driver.ts";
import type { Failure, TransitionRef } from "./frames.ts";
import { stringify } from "./natives.ts";

export const DENIED = '{"denied":true}';
export const IGNORED = '{"ignored":true}';
export const LATER = '{"later":true}';

export function resultReply(id: number, n: number, result: string): string {
  return `{"re":${id},"n":${n},"r":${result}}`;
}

export function errorResult(failure: Failure): string {
  return `{"error":${stringify(failure)}}`;
}

export function needSnapshot(id: number): string {
  return `{"re":${id},"need":"snapshot"}`;
}

export function errorReply(id: number, failure: Failure): string {
  return `{"re":${id},"error":${stringify(failure)}}`;
}

export function macrostep(
  event: string | undefined,
  isSilent: boolean,
  snapshot: string,
  view: string,
  taken: TransitionRef[] | undefined,
): string {
  const head = event === undefined ? "" : `"event":${event},`;
  const silent = isSilent ? '"silent":true,' : "";
  const observed = taken === undefined ? "" : `"taken":${stringify(taken)},`;
  return `{${head}${silent}${observed}"snapshot":${snapshot},"view":${view}}`;
}

export function decidedResult(
  steps: string[],
  timers: string[],
  children: ChildrenNow,
  effects: "actions" | "children" | undefined,
): string {
  let text = `{"steps":[${steps.join()}]`;
  if (timers.length > 0) text += `,"timers":[${timers.join()}]`;
  if (children.due.length > 0) text += `,"due":${stringify(children.due)}`;
  if (children.live > 0) text += `,"live":${children.live}`;
  if (effects) text += `,"effects":"${effects}"`;
  return text + "}";
}

/** What a caller may see of the instance as it stands. */
export function viewText(live: LiveInstance): string {
  const { context, tags } = live;
  const visible = (context as { public?: unknown } | null)?.public;
  const text = visible === undefined ? undefined : stringify(visible);
  const publicContext = text === undefined ? "" : `,"publicContext":${text}`;
  const tagsText = tags.length === 0 ? "[]" : stringify(tags);
  return `{"state":${
    stringify(live.value)
  }${publicContext},"tags":${tagsText},"done":${live.isDone}}`;
}

export interface ChildrenNow {
  due: string[];
  live: number;
}

const NONE: ChildrenNow = { due: [], live: 0 };

export function childrenNow(children: LiveChild[]): ChildrenNow {
  if (children.length === 0) return NONE;
  const due = children.filter((child) => child.due).map((child) => child.id);
  return { due, live: children.length };
}

export function childrenText({ due, live }: ChildrenNow): string {
  return `"due":${stringify(due)},"live":${live}`;
}
