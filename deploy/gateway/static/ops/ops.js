// Shows /ops/status, which the supervisor rewrites at each change.
const REFRESH_MS = 2000;
const dates = new Intl.DateTimeFormat("fr-FR", { dateStyle: "short", timeStyle: "medium" });

function cell(text, className = "") {
  const element = document.createElement("td");
  element.textContent = text ?? "–";
  element.className = className;
  return element;
}

function row([name, process]) {
  const element = document.createElement("tr");
  const header = document.createElement("th");
  header.scope = "row";
  header.textContent = name;
  const state = process.ready ? "prêt" : process.pid ? "démarre" : "arrêté";
  element.append(
    header,
    cell(state, process.ready ? "good" : "bad"),
    cell(process.since && dates.format(new Date(process.since))),
    cell(process.restarts, "number"),
    cell(process.pid, "number"),
    cell(process.port, "number"),
  );
  return element;
}

function summarise(text) {
  const summary = document.getElementById("summary");
  // Written only when it changes: a screen reader announces each writing.
  if (summary.textContent !== text) summary.textContent = text;
}

async function refresh() {
  try {
    const answer = await fetch("/ops/status", { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const { processes } = await answer.json();
    const all = Object.entries(processes);
    document.getElementById("processes").replaceChildren(...all.map(row));
    summarise(`${all.filter(([, process]) => process.ready).length} processus prêts sur ${all.length}`);
  } catch {
    summarise("L'état n'est pas accessible : Créneau est arrêté, ou cette installation n'a pas de superviseur local.");
  } finally {
    setTimeout(refresh, REFRESH_MS);
  }
}

refresh();
