/** Bundles as authors make them. */

const cache = new Map<string, Promise<string>>();

/** One self-contained module, with whatever `npm:` packages it imports. */
export function bundle(source: string, minify = false): Promise<string> {
  const key = `${minify}:${source}`;
  let made = cache.get(key);
  if (!made) cache.set(key, made = make(source, minify));
  return made;
}

async function make(source: string, minify: boolean): Promise<string> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/main.ts`, source);
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ..."bundle --quiet --no-config --no-lock --platform browser".split(" "),
        ...minify ? ["--minify"] : [],
        `${folder}/main.ts`,
      ],
      env: { DENO_TLS_CA_STORE: "system,mozilla", NO_COLOR: "1" },
    }).output();
    if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
