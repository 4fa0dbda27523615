/**
 * Which hosts are private. Deno's `--deny-net` knows the IPv4 ranges and checks resolved addresses; it takes no IPv6 ranges, so
 * literals of those are refused here. A name that resolves to a private IPv6 address is for the firewall.
 */

/** `hostname` as `URL` normalises it: lower case, IPv4 as four decimals, IPv6 in brackets and compressed. */
export function isPrivateHost(hostname: string): boolean {
  if (hostname.startsWith("[")) return isPrivateIPv6(expandIPv6(hostname.slice(1, -1)));
  const name = hostname.endsWith(".") ? hostname.slice(0, -1) : hostname;
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  const parts = name.split(".");
  return parts.length === 4 && parts.every((part) => /^\d+$/.test(part)) &&
    isPrivateIPv4(Number(parts[0]), Number(parts[1]));
}

function isPrivateIPv4(a: number, b: number): boolean {
  return a === 0 || a === 10 || a === 127 ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168);
}

function isPrivateIPv6(groups: number[]): boolean {
  const [a, b] = groups as [number, number];
  const leading = groups.findIndex((group) => group !== 0);
  if (leading === -1 || leading >= 5) return true; // unspecified, loopback, IPv4-compatible and IPv4-mapped
  return (a & 0xfe00) === 0xfc00 || // unique local
    (a & 0xff80) === 0xfe80 || // link-local, and the old site-local behind it
    (a & 0xff00) === 0xff00 || // multicast
    (a === 0x64 && b === 0xff9b) || // NAT64: an IPv4 address within
    a === 0x2002 || (a === 0x2001 && b === 0); // 6to4 and Teredo: the same
}

function expandIPv6(text: string): number[] {
  const [head = "", tail] = text.split("::");
  const left = groupsOf(head);
  if (tail === undefined) return left;
  const right = groupsOf(tail);
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function groupsOf(text: string): number[] {
  return text === "" ? [] : text.split(":").map((group) => parseInt(group, 16));
}
