// An independent JavaScript client against the gateway: each step prints one line, the first wrong one ends it.
//
//   node client.mjs <FHIR base> <token>        (beside its node_modules)

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Client } from "fhir-kit-client";

const [baseUrl, bearerToken] = process.argv.slice(2);
const client = new Client({ baseUrl, bearerToken });
const resourceType = "Organization";
const system = "https://example.org/fictional";
const value = randomUUID();

const organization = (more = {}) => ({
  resourceType,
  identifier: [{ system, value }],
  name: "Maison de santé fictive",
  ...more,
});
const status = async (promise) => {
  try {
    await promise;
  } catch (error) {
    return error.response?.status;
  }
  return "no error";
};
const step = (name) => console.log(`ok ${name}`);

const parent = await client.create({ resourceType, body: organization() });
const child = await client.create({
  resourceType,
  body: organization({ partOf: { reference: `Organization/${parent.id}` } }),
});
assert.equal(child.meta.versionId, "1");
step("create");

const searchParams = { identifier: `${system}|${value}` };
const found = await client.search({ resourceType, searchParams });
assert.equal(found.total, 2);
step("search");

const first = await client.search({ resourceType, searchParams: { ...searchParams, _count: 1 } });
const second = await client.nextPage({ bundle: first });
assert.deepEqual(
  [first, second].map((page) => page.entry[0].resource.id),
  found.entry.map((entry) => entry.resource.id),
);
assert.equal(await client.nextPage({ bundle: second }), undefined);
step("page");

const including = { _id: child.id, _include: "Organization:partof" };
const included = await client.search({ resourceType, searchParams: including });
const modes = Object.fromEntries(included.entry.map((e) => [e.search.mode, e.resource.id]));
assert.deepEqual(modes, { match: child.id, include: parent.id });
step("include");

const update = (version, name) =>
  client.update({
    resourceType,
    id: child.id,
    body: { ...child, name },
    options: { headers: { "If-Match": `W/"${version}"` } },
  });
assert.equal((await update(1, "Deuxième")).meta.versionId, "2");
assert.equal(await status(update(1, "Périmé")), 412);
step("update with a stale version");

const jsonPatch = [{ op: "replace", path: "/name", value: "Corrigé" }];
assert.equal((await client.patch({ resourceType, id: child.id, jsonPatch })).name, "Corrigé");
step("patch");

await client.delete({ resourceType, id: child.id });
assert.equal(await status(client.read({ resourceType, id: child.id })), 410);
const before = await client.vread({ resourceType, id: child.id, version: "2" });
assert.equal(before.name, "Deuxième");
step("delete");
