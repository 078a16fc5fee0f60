// Shows the OpenAPI descriptions of the services (/docs/contracts/openapi/*.json) as one reference.
const SERVICES = ["directory", "booking", "notifications"];
const METHODS = { get: "read", head: "read", post: "write", put: "write", patch: "write", delete: "remove" };
const TEXTS = {
  fr: {
    parameters: "Paramètres", name: "Nom", place: "Où", type: "Type", meaning: "Sens", body: "Corps de la requête",
    answers: "Réponses", status: "Statut", content: "Contenu", required: "obligatoire", open: "sans jeton",
    places: { query: "adresse", path: "chemin", header: "en-tête", cookie: "cookie" },
    count: (shown, all) => `${shown} interaction${shown > 1 ? "s" : ""}${shown < all ? ` sur ${all}` : ""}`,
    missing: "La description de l'API ne peut pas être lue.",
  },
  en: {
    parameters: "Parameters", name: "Name", place: "In", type: "Type", meaning: "Meaning", body: "Request body",
    answers: "Answers", status: "Status", content: "Content", required: "required", open: "no token",
    places: { query: "query", path: "path", header: "header", cookie: "cookie" },
    count: (shown, all) => `${shown} interaction${shown === 1 ? "" : "s"}${shown < all ? ` of ${all}` : ""}`,
    missing: "The description of the API cannot be read.",
  },
};
const texts = TEXTS[document.documentElement.lang] ?? TEXTS.en;

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Follows {"$ref": "#/a/b"} within one description.
function resolve(description, value) {
  let found = value;
  while (found?.$ref?.startsWith("#/")) {
    const steps = found.$ref.slice(2).split("/").map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
    found = steps.reduce((part, step) => part?.[step], description);
  }
  return found ?? {};
}

function typeOf(schema = {}) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.const !== undefined) return String(schema.const);
  if (schema.type === "array") return `${typeOf(schema.items)}[]`;
  const alternatives = schema.oneOf ?? schema.anyOf;
  if (alternatives) return alternatives.map(typeOf).join(" | ");
  return [schema.type].flat().filter(Boolean).join(" | ") + (schema.format ? ` (${schema.format})` : "");
}

function table(caption, headings, rows) {
  if (!rows.length) return null;
  const head = element("tr", {}, ...headings.map((heading) => element("th", { scope: "col" }, heading)));
  const body = rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, cell))));
  return element("div", { class: "scroll" },
    element("table", {}, element("caption", {}, caption), element("thead", {}, head), element("tbody", {}, ...body)));
}

function parametersOf(description, item, operation) {
  return [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((one) => {
    const parameter = resolve(description, one);
    const place = texts.places[parameter.in] ?? parameter.in;
    return [
      element("code", {}, parameter.name),
      parameter.required ? `${place}, ${texts.required}` : place,
      typeOf(parameter.schema),
      parameter.description ?? resolve(description, parameter.schema).description ?? "",
    ];
  });
}

function contentOf(description, value) {
  return Object.entries(resolve(description, value).content ?? {}).map(([media, { schema }]) => {
    const type = typeOf(schema);
    return type ? `${media} : ${type}` : media;
  });
}

function answersOf(description, operation) {
  return Object.entries(operation.responses ?? {}).map(([status, one]) => {
    const answer = resolve(description, one);
    return [element("code", {}, status), answer.description ?? "", contentOf(description, answer).join(", ")];
  });
}

// Only what an interaction says of itself counts: the description as a whole has to allow for both.
function isOpen({ security }) {
  return security?.some((scheme) => !Object.keys(scheme).length) ?? false;
}

function operationBlock(description, { path, method, item, operation }) {
  const body = contentOf(description, operation.requestBody);
  const summary = element("summary", {},
    element("span", { class: `method ${METHODS[method]}` }, method.toUpperCase()),
    element("code", { class: "path" }, path),
    element("span", {}, operation.summary ?? ""),
    isOpen(operation) ? element("span", { class: "quiet" }, texts.open) : null);
  const inside = element("div", { class: "inside" },
    operation.description ? element("p", {}, operation.description) : null,
    table(texts.parameters, [texts.name, texts.place, texts.type, texts.meaning], parametersOf(description, item, operation)),
    body.length ? element("h4", {}, texts.body) : null,
    body.length ? element("p", {}, body.join(", ")) : null,
    table(texts.answers, [texts.status, texts.meaning, texts.content], answersOf(description, operation)));
  const block = element("details", { lang: "en" }, summary, inside);
  block.dataset.words = `${method} ${path} ${operation.summary ?? ""}`.toLowerCase();
  return block;
}

function operationsByTag(description) {
  const tags = new Map((description.tags ?? []).map((tag) => [tag.name, { about: tag.description, operations: [] }]));
  for (const [path, item] of Object.entries(description.paths ?? {})) {
    for (const method of Object.keys(METHODS)) {
      const operation = item[method];
      if (!operation) continue;
      const name = operation.tags?.[0] ?? path.split("/")[1] ?? path;
      if (!tags.has(name)) tags.set(name, { operations: [] });
      tags.get(name).operations.push({ path, method, item, operation });
    }
  }
  return [...tags].filter(([, { operations }]) => operations.length);
}

function tagBlock(description, [name, { about, operations }]) {
  return element("details", { id: name, class: "tag" },
    element("summary", {},
      element("h3", {}, name), " ", element("span", { class: "quiet" }, texts.count(operations.length, operations.length))),
    element("div", { class: "inside" },
      about ? element("p", { lang: "en" }, about) : null,
      ...operations.map((operation) => operationBlock(description, operation))));
}

// Shows what has every word; a type stays while one of its interactions does, and opens when words were given.
function filter(reference, wanted) {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0, all = 0;
  for (const tag of reference.querySelectorAll("details.tag")) {
    let here = 0;
    for (const block of tag.querySelectorAll("details")) {
      const matches = words.every((word) => block.dataset.words.includes(word));
      block.hidden = !matches;
      here += matches;
      all += 1;
    }
    tag.hidden = !here;
    if (words.length) tag.open = here > 0;
    shown += here;
  }
  document.getElementById("count").textContent = texts.count(shown, all);
}

function named(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;  // a bare percent sign: nothing here is called so
  }
}

function openTarget() {
  const target = document.getElementById(named(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

async function describe(service) {
  const answer = await fetch(`/docs/contracts/openapi/${service}.json`);
  if (!answer.ok) throw new Error(`${service}: ${answer.status}`);
  return answer.json();
}

async function show() {
  const reference = document.getElementById("reference");
  try {
    const descriptions = await Promise.all(SERVICES.map(describe));
    const seen = new Set();
    for (const description of descriptions) {
      // What every service has (health, metadata, batch) is shown once.
      const tags = operationsByTag(description).filter(([name]) => !seen.has(name));
      tags.forEach(([name]) => seen.add(name));
      reference.append(...tags.map((tag) => tagBlock(description, tag)));
    }
    const input = document.getElementById("wanted");
    input.addEventListener("input", () => filter(reference, input.value));
    const form = document.getElementById("filter");
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    filter(reference, "");
    addEventListener("hashchange", openTarget);
    openTarget();
  } catch (error) {
    reference.textContent = texts.missing;
    console.error(error);
  }
}

show();
