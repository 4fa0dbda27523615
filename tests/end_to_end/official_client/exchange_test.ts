// The official client's ways to a token, unchanged: anonymous sessions, and tokens of an identity provider.
//
//     deno test ... exchange_test.ts -- URL TOKEN ORGANIZATION DOOR
//
// TOKEN is the session of an admin of ORGANIZATION; DOOR is the file with the machine's code.
import { errors, StateBackedClient } from "@statebacked/client";
import assert from "node:assert/strict";

const [apiHost, token, orgId, doorFile] = Deno.args;
const code = await Deno.readTextFile(doorFile);
const admin = new StateBackedClient(token, { apiHost });

type ErrorClass = typeof errors.ApiError;
const { ClientError, ApiError, UnauthorizedError } = errors as unknown as Record<
  string,
  ErrorClass
>;

async function fails(promise: Promise<unknown>, kind: ErrorClass, status: number, code?: string) {
  const error = await promise.then(() => undefined, (error) => error);
  assert.ok(error instanceof kind, `${error?.name ?? "success"} where ${kind.name} was due`);
  assert.equal(error.status, status);
  if (code !== undefined) assert.equal(error.code, code);
}

const base64url = (bytes: Uint8Array | ArrayBuffer) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const encoder = new TextEncoder();

// The browser's own cryptography plays the identity provider.
async function issuer(alg: string, algorithm: Record<string, unknown>, sign: unknown) {
  const pair = await crypto.subtle.generateKey(
    algorithm as unknown as EcKeyGenParams,
    true,
    ["sign", "verify"],
  );
  return {
    alg,
    key: base64url(await crypto.subtle.exportKey("spki", pair.publicKey)),
    token: async (claims: Record<string, unknown>) => {
      const exp = Math.floor(Date.now() / 1000) + 60;
      const parts = [{ alg, typ: "JWT" }, { exp, ...claims }];
      const signed = parts.map((part) => base64url(encoder.encode(JSON.stringify(part)))).join(".");
      const signature = await crypto.subtle.sign(
        sign as EcdsaParams,
        pair.privateKey,
        encoder.encode(signed),
      );
      return `${signed}.${base64url(signature)}`;
    },
  };
}
const rsa = (name: string) => ({
  name,
  hash: "SHA-256",
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
});
const issuers = [
  await issuer("RS256", rsa("RSASSA-PKCS1-v1_5"), { name: "RSASSA-PKCS1-v1_5" }),
  await issuer("PS256", rsa("RSA-PSS"), { name: "RSA-PSS", saltLength: 32 }),
  await issuer("ES256", { name: "ECDSA", namedCurve: "P-256" }, { name: "ECDSA", hash: "SHA-256" }),
  await issuer("EdDSA", { name: "Ed25519" }, { name: "Ed25519" }),
];

const iss = "https://login.example.com/";
const upsert = ({ alg, key }: { alg: string; key: string }, mapping = { "sub.$": "$.sub" }) =>
  admin.identityProviders.upsert({ aud: alg, iss, key, algs: [alg as "RS256"], mapping });

Deno.test("there is a machine", async () => {
  await admin.machines.create("door");
  await admin.machineVersions.create("door", { code, makeCurrent: true });
});

Deno.test("an anonymous session works without any configuration", async () => {
  const anonymous = new StateBackedClient({ anonymous: { orgId } }, { apiHost });
  const created = await anonymous.machineInstances.create("door", { slug: "anonymous" });
  assert.equal(created.state, "closed");
  await anonymous.machineInstances.sendEvent("door", "anonymous", { event: "open" });
  const read = await anonymous.machineInstances.get("door", "anonymous");
  assert.deepEqual(read.publicContext, { opened: 1 });
  await fails(anonymous.machines.list(), UnauthorizedError, 403, "missing-scope");
  const nowhere = new StateBackedClient(
    { anonymous: { orgId: "org_" + "A".repeat(22) } },
    { apiHost },
  );
  await fails(
    nowhere.machineInstances.get("door", "anonymous"),
    ClientError,
    400,
    "invalid_request",
  );
});

Deno.test("providers are configured and listed", async () => {
  const { id: keyId } = await admin.keys.create({ name: "app", use: "production" });
  const mapping = { "sub.$": "$.sub" };
  await admin.tokenProviders.upsert({ keyId, service: "app", mapping });
  for (const issuer of issuers) assert.equal(await upsert(issuer), undefined);
  const { idps } = await admin.identityProviders.list();
  assert.deepEqual(idps.slice(0, 4).map(({ aud }) => aud), ["EdDSA", "ES256", "PS256", "RS256"]);
  assert.deepEqual(idps[0], { aud: "EdDSA", iss, algs: ["EdDSA"], mapping });
  const { tokenProviders } = await admin.tokenProviders.list();
  assert.deepEqual(tokenProviders[0], { keyId, service: "app", mapping });
  const bad = admin.identityProviders.upsert({ iss, key: "AAAA", algs: ["RS256"], mapping });
  await fails(bad, ClientError, 400, "invalid-parameter");
});

for (const issuer of issuers) {
  Deno.test(`tokens of an identity provider are exchanged: ${issuer.alg}`, async () => {
    const user = (sub: string) =>
      new StateBackedClient({
        identityProviderToken: () => issuer.token({ iss, aud: [issuer.alg], sub }),
        tokenProviderService: "app",
        orgId,
      }, { apiHost });
    const slug = issuer.alg;
    await user("ada").machineInstances.create("door", { slug });
    await user("ada").machineInstances.sendEvent("door", slug, { event: "open" });
    const stranger = user("stranger").machineInstances.get("door", slug);
    await fails(stranger, UnauthorizedError, 403, "rejected-by-machine-authorizer");
  });
}

Deno.test("what is not trusted any more ends at once", async () => {
  const [issuer, other] = issuers;
  const subject = await issuer.token({ iss, aud: issuer.alg, sub: "ada" });
  const exchange = () => admin.tokens.exchange({ orgId, service: "app", token: subject });
  const ada = new StateBackedClient(await exchange(), { apiHost });
  await ada.machineInstances.get("door", "RS256");

  await admin.identityProviders.delete({ aud: issuer.alg, iss });
  await fails(ada.machineInstances.get("door", "RS256"), ApiError, 401);
  await fails(exchange(), ClientError, 400, "invalid_request");
  await upsert(issuer);
  await fails(ada.machineInstances.get("door", "RS256"), ApiError, 401);
  await exchange();

  await admin.tokenProviders.delete("app");
  await fails(exchange(), ClientError, 400, "invalid_target");
  const forged = await other.token({ iss, aud: issuer.alg, sub: "ada" });
  const forgery = admin.tokens.exchange({ orgId, service: "app", token: forged });
  await fails(forgery, ClientError, 400, "invalid_request");
});
