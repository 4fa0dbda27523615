/**
 * What esbuild says, as Python shows it.
 */

import type { Location, Message as EsbuildMessage, PartialMessage } from "esbuild";
import { isAbsolute, join } from "node:path";
import type { Message, Place } from "./frames.ts";

/** What esbuild advises those who call it, which authors do not, of a package that it does not find. */
const FOR_CALLERS =
  /^You can mark the path "(?:(@[^/"]+\/[^/"]+|[^@./"][^/"]*)[^"]*)?.*" as external/;

export function messagesOf(
  messages: readonly (EsbuildMessage | PartialMessage)[],
  root: string,
): Message[] {
  return messages.map(({ text, location, notes }) => ({
    text: text ?? "",
    place: placeOf(location, root),
    notes: (notes ?? []).flatMap((note) => {
      const advice = forAuthors(note.text ?? "");
      return advice === undefined ? [] : [{ text: advice, place: placeOf(note.location, root) }];
    }),
  }));
}

function forAuthors(note: string): string | undefined {
  const forCallers = FOR_CALLERS.exec(note);
  if (!forCallers) return note;
  const [, name] = forCallers;
  return name && `Is it installed? \`npm install ${name}\` does that.`;
}

function placeOf(location: Partial<Location> | null | undefined, root: string): Place | undefined {
  if (!location?.file) return undefined;
  const { file, line = 1, column = 0, length = 0, lineText = "" } = location;
  const before = charactersIn(lineText, column);
  return {
    file: pathOf(file, root),
    line,
    column: before + 1,
    length: charactersIn(lineText.slice(before), length),
    lineText,
  };
}

/** esbuild writes paths relative to the project's folder, and remote modules as `remote:` and their address. */
function pathOf(file: string, root: string): string {
  if (file.startsWith("remote:")) return file.slice("remote:".length);
  return isAbsolute(file) ? file : join(root, file);
}

/** esbuild counts bytes of UTF-8. */
function charactersIn(text: string, bytes: number): number {
  const start = new TextEncoder().encode(text).subarray(0, bytes);
  return new TextDecoder().decode(start).length;
}
