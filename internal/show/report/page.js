// The report stands without this script. It adds search, export, keys and a side panel; every text is set as
// text, never as markup.
const $ = (id) => document.getElementById(id);
document.documentElement.classList.add("on-script");

const panel = $("panel");
const body = $("panel-body");
let opener = null;

// What the page holds: read at the beginning, and again where the page is live and takes something in.
let data, byId, table, rows, haystack, controls;

function take(text) {
  data = JSON.parse(text);
  byId = new Map(data.findings.map((f) => [f.id, f]));
  table = $("rows");
  rows = table ? [...table.tBodies[0].rows] : [];
  haystack = rows.map((r) => (r.textContent + " " + r.dataset.text).toLowerCase());
  controls = { q: $("q"), tenant: $("f-tenant"), layer: $("f-layer"), severity: $("f-severity") };
}
take($("data").textContent);

// Filter: all words must be in the row; the state stands in the address, so that a link restores it.

function shownRows() {
  return rows.filter((r) => !r.hidden);
}

function filter() {
  if (!table) return;
  const words = controls.q.value.toLowerCase().split(/\s+/).filter(Boolean);
  const { tenant, layer, severity } = controls;
  let n = 0;
  rows.forEach((r, i) => {
    const ok = (!tenant.value || r.dataset.tenant === tenant.value) && (!layer.value || r.dataset.layer === layer.value) &&
      Number(r.dataset.severity) >= Number(severity.value) && words.every((w) => haystack[i].includes(w));
    r.hidden = !ok;
    if (ok) n++;
  });
  $("shown").textContent = n === rows.length ? `${n} shown` : `${n} of ${rows.length} shown`;
}

function keep() {
  const at = new URLSearchParams();
  for (const [k, el] of Object.entries(controls)) {
    if (el.value && el.value !== "0") at.set(k, el.value);
  }
  const query = at.toString();
  history.replaceState(null, "", location.pathname + (query ? "?" + query : "") + location.hash);
}

function restore() {
  const at = new URLSearchParams(location.search);
  for (const [k, el] of Object.entries(controls)) {
    if (at.has(k)) el.value = at.get(k);
  }
}

// Export: exactly the rows shown, with their number and whether they are all, in name and content.
function save(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const a = document.createElement("a");
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

function selected() {
  const list = shownRows().map((r) => byId.get(r.id.slice("finding-".length))).filter(Boolean);
  const complete = list.length === data.of;
  return { list, complete, name: `findings-${list.length}-of-${data.of}-${complete ? "complete" : "partial"}` };
}

const columns = ["id", "time", "end", "tenant", "trust", "partner", "layer", "detector", "rule", "title", "technique", "severity",
  "confidence", "outcome", "entities", "reason", "count", "evidence"];

function cell(v) {
  let s = String(v ?? "").replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
  if (/^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(String(v ?? ""))) s = "'" + s;
  return /[",]/.test(s) ? '"' + s.replaceAll('"', '""') + '"' : s;
}

function exportCSV() {
  const { list, name } = selected();
  const lines = [columns.join(",")];
  for (const f of list) {
    const flat = { ...f, entities: f.entities.map((e) => e.type + ":" + e.value).join("; "),
      evidence: f.evidence.map((e) => e.file + "#" + e.record).join("; ") };
    lines.push(columns.map((c) => cell(flat[c])).join(","));
  }
  save(name + ".csv", "text/csv", lines.join("\r\n") + "\r\n");
}

function exportJSON() {
  const { list, name, complete } = selected();
  save(name + ".json", "application/json", JSON.stringify({ rows: list.length, of: data.of, complete, findings: list }, null, 2) + "\n");
}

// Panel: a copy of the evidence that the page holds anyway, so the map and the table stay where they are.
function mark(ref) {
  for (const el of document.querySelectorAll(".on")) el.classList.remove("on");
  for (const a of document.querySelectorAll("svg a[data-ref]")) {
    if (a.getAttribute("data-ref") === ref) a.classList.add("on");
  }
}

function open(ref) {
  const source = $(ref);
  const details = source?.querySelector("details");
  if (!details) return false;
  if (source.hidden) {
    for (const el of Object.values(controls)) el.value = el.id === "f-severity" ? "0" : "";
    filter();
    keep();
  }
  mark(ref);
  source.classList.add("on");
  const title = document.createElement("h2");
  title.textContent = details.querySelector("summary").textContent.trim();
  const when = document.createElement("p");
  when.className = "hint";
  when.textContent = (source.querySelector(".t")?.textContent ?? "") + " UTC";
  body.replaceChildren(title, when, details.querySelector(".body").cloneNode(true));
  panel.hidden = false;
  panel.scrollTop = 0;
  return true;
}

function close() {
  panel.hidden = true;
  mark("");
  history.replaceState(null, "", location.pathname + location.search);
  opener?.focus({ preventScroll: true });
  opener = null;
}

function go(ref, from) {
  opener = from ?? document.activeElement;
  if (!open(ref)) return;
  history.replaceState(null, "", location.pathname + location.search + "#" + encodeURIComponent(ref));
  panel.focus({ preventScroll: true });
}

function follow() {
  let ref = location.hash.slice(1);
  try {
    ref = decodeURIComponent(ref);
  } catch {
    return; // not one of ours
  }
  if ((ref.startsWith("finding-") || ref.startsWith("hop-")) && open(ref)) $(ref).scrollIntoView({ block: "center" });
}

function move(step) {
  const list = shownRows();
  if (!list.length) return;
  const i = list.indexOf(document.activeElement?.closest?.("tr"));
  const next = list[Math.min(list.length - 1, Math.max(0, i < 0 ? 0 : i + step))];
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
  if (!panel.hidden) {
    const keepFocus = document.activeElement;
    open(next.id);
    keepFocus.focus({ preventScroll: true });
  }
}

document.addEventListener("click", (e) => {
  if (e.target.closest?.("#close")) return close();
  const cellLink = e.target.closest?.("a[data-tenant]");
  if (cellLink && table) {
    controls.tenant.value = cellLink.dataset.tenant;
    controls.layer.value = cellLink.dataset.layer;
    filter();
    keep();
    return;
  }
  const link = e.target.closest?.('a[href^="#finding-"], a[href^="#hop-"]');
  if (link) {
    let ref = link.getAttribute("href").slice(1);
    try {
      ref = decodeURIComponent(ref);
    } catch {
      return;
    }
    e.preventDefault();
    go(link.getAttribute("data-ref") ?? ref, link);
    return;
  }
  const row = e.target.closest?.("tr[id^=finding-]");
  if (row && !e.target.closest("a, summary, button, .body") && !String(getSelection())) go(row.id, row);
});

document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === "Escape" && !panel.hidden && !$("help").open) return close();
  if (e.target.matches?.("input, select, textarea")) {
    if (e.key === "Escape") e.target.blur();
    return;
  }
  switch (e.key) {
    case "/":
      if (table) {
        e.preventDefault();
        controls.q.focus();
        controls.q.select();
        controls.q.scrollIntoView({ block: "nearest" });
      }
      break;
    case "j": move(1); break;
    case "k": move(-1); break;
    case "?": $("help").showModal(); break;
    case "Enter": {
      const row = e.target.closest?.("tr[id^=finding-]");
      if (row && e.target === row) go(row.id, row);
      break;
    }
  }
});

// Lane names stay in sight while the hop graph scrolls.
function follows(box) {
  box.querySelector(".gutter")?.setAttribute("transform", `translate(${box.scrollLeft} 0)`);
}
document.addEventListener("scroll", (e) => {
  if (e.target.matches?.(".hops .scroll")) follows(e.target);
}, { passive: true, capture: true });
addEventListener("beforeprint", () => {
  for (const g of document.querySelectorAll(".gutter")) g.removeAttribute("transform");
});

// Local time on hover, beside the UTC that is shown.
document.addEventListener("pointerover", (e) => {
  const t = e.target.closest?.(".t");
  if (!t || t.title) return;
  const when = new Date(t.textContent.trim().replace(" ", "T") + "Z");
  if (!Number.isNaN(when.getTime())) t.title = when.toLocaleString(undefined, { timeZoneName: "short" });
});

// The filter's controls are heard at the document, since a live page may take them in later.
document.addEventListener("input", (e) => {
  if (e.target.closest?.("#filter")) { filter(); keep(); }
});
document.addEventListener("submit", (e) => {
  if (e.target.id === "filter") e.preventDefault();
});
document.addEventListener("click", (e) => {
  if (e.target.closest?.("#csv")) exportCSV();
  if (e.target.closest?.("#json")) exportJSON();
});

addEventListener("hashchange", follow);
if (table) {
  restore();
  filter();
}
follow();
