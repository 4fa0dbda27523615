/**
 * The host process. Its one argument is the path of the server's socket; docs/host-protocol.md is what is spoken there.
 *
 * Evaluated before anything of the author's, and exports nothing: the file can be imported from inside.
 */

import "./natives.ts";
import { Channel } from "./channel.ts";
import { Host } from "./host.ts";
import { ProcessRealm } from "./realm.ts";

const { connect, exit, permissions } = Deno;
const path = Deno.args[0];
if (path === undefined) throw new Error("The path of the server's socket is missing");

const connection = await connect({ transport: "unix", path });
const channel = new Channel(connection);
const host = new Host(channel, new ProcessRealm());
await permissions.revoke({ name: "read", path });
await permissions.revoke({ name: "write", path });

await channel.receive((frame) => host.handle(frame));
exit(0);
