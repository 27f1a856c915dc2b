
// The live page hears of changes by server-sent events, fetches itself anew and takes in what differs. What did not
// change stays the very same node, so that scroll, focus, open details and the filter stay as they are.
const parsed = globalThis.trustedTypes?.createPolicy("breakwater", { createHTML: (s) => s }); // for DOMParser alone: what it gives runs nothing
const kept = new Set(["hidden", "open", "title", "value"]); // attributes that the reader's acts set
const skipped = new Set(["live", "panel", "help"]);
const freshFor = 8000;
let version = document.body.dataset.version;
let cutOff = null;
let wanted = false;
let fetching = false;
let fetchedAt = 0;
let lastEvent = null;
let rate = 0;

function fresh(node) {
  const at = node.closest?.("tr, li, dd, .lead, h2, .matrix td, article") ?? null;
  if (!at?.closest("main") || at.closest("#coverage") || node.matches("small")) return; // counters run on all the time
  at.classList.remove("fresh");
  requestAnimationFrame(() => at.classList.add("fresh"));
  clearTimeout(at.freshTimer);
  at.freshTimer = setTimeout(() => at.classList.remove("fresh"), freshFor);
}

function settle(had, wants) {
  for (const { name, value } of wants.attributes) {
    if (kept.has(name)) continue;
    const now = name === "class" ? [value, ...["on", "fresh"].filter((c) => had.classList.contains(c))].filter(Boolean).join(" ") : value;
    if (had.getAttribute(name) !== now) had.setAttribute(name, now);
  }
  for (const { name } of [...had.attributes]) {
    if (!wants.hasAttribute(name) && !kept.has(name)) {
      if (name !== "class") had.removeAttribute(name);
      else if (!had.classList.contains("on") && !had.classList.contains("fresh")) had.removeAttribute(name);
    }
  }
}

// become makes one element like another, node by node; elements with an id are the same wherever they stand.
function become(had, wants) {
  if (skipped.has(had.id) || had.isEqualNode(wants)) return;
  if (had.matches("details.ways") && had.dataset.finding === wants.dataset.finding && had.dataset.source === wants.dataset.source) return; // filled by the reader's asking
  if (had.matches("svg.graph")) { // drawn as a whole
    const gutter = had.querySelector(".gutter");
    gutter?.removeAttribute("transform");
    if (!had.isEqualNode(wants)) {
      const focus = had.contains(document.activeElement) ? document.activeElement.getAttribute("data-ref") : null;
      const on = had.querySelector(".on")?.getAttribute("data-ref");
      const box = had.parentElement;
      had.replaceWith(wants);
      if (on) mark(on);
      follows(box);
      if (focus) box.querySelector(`.marks a[data-ref="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
      return;
    }
    follows(had.parentElement);
    return;
  }
  settle(had, wants);
  const ids = new Set([...wants.children].map((n) => n.id).filter(Boolean));
  const byKey = new Map([...had.children].filter((n) => n.id).map((n) => [n.id, n]));
  let at = had.firstChild;
  const drop = () => {
    const next = at.nextSibling;
    at.remove();
    at = next;
  };
  for (const want of [...wants.childNodes]) {
    const known = want.id ? byKey.get(want.id) : null;
    while (at && at.id && !ids.has(at.id)) drop();
    if (known && known.nodeName === want.nodeName) {
      if (known === at) at = at.nextSibling;
      else had.insertBefore(known, at);
      become(known, want);
    } else if (!want.id && at && !at.id && at.nodeType === want.nodeType && at.nodeName === want.nodeName) {
      const here = at;
      at = at.nextSibling;
      if (here.nodeType !== Node.ELEMENT_NODE) {
        if (here.nodeValue !== want.nodeValue) {
          here.nodeValue = want.nodeValue;
          fresh(had);
        }
      } else become(here, want);
    } else {
      const made = had.insertBefore(document.adoptNode(want), at);
      if (made.nodeType === Node.ELEMENT_NODE) fresh(made);
      else if (made.nodeValue.trim()) fresh(had);
    }
  }
  while (at) drop();
}

// anchor is what the reader looks at: the first thing with a name in the window. It stays where it is on screen.
function anchor() {
  if (scrollY < 40) return null; // at the top, news comes into sight
  for (const n of document.querySelectorAll("main tr[id], main li[id], main section, main article > *")) {
    const r = n.getBoundingClientRect();
    if (r.top >= 0 && r.top < innerHeight && r.height > 0) return { n, top: r.top };
  }
  return null;
}

function adopt(text) {
  const doc = new DOMParser().parseFromString(parsed ? parsed.createHTML(text) : text, "text/html");
  const main = doc.querySelector("main");
  if (!main) throw new Error("no page came");
  const hold = anchor();
  const focus = document.activeElement;
  for (const part of ["header.top .facts", "header.top nav", "main", "footer"]) {
    const had = document.querySelector(part);
    const wants = doc.querySelector(part);
    if (had && wants) become(had, wants);
  }
  document.title = doc.title;
  version = doc.body.dataset.version;
  document.body.dataset.version = version;
  take(doc.getElementById("data").textContent);
  filter();
  if (focus && focus !== document.activeElement && focus.isConnected) focus.focus({ preventScroll: true });
  if (hold?.n.isConnected) {
    const moved = hold.n.getBoundingClientRect().top - hold.top;
    if (Math.abs(moved) >= 1) scrollBy({ top: moved, behavior: "instant" });
  }
  if (!panel.hidden) {
    const ref = document.querySelector("main .on[id]")?.id;
    const top = panel.scrollTop;
    if (ref && open(ref)) panel.scrollTop = top;
  }
}

async function refresh() {
  if (fetching || document.hidden) return;
  fetching = true;
  wanted = false;
  try {
    const answer = await fetch("/?fragment=1", { redirect: "error" });
    if (answer.status === 401 || answer.status === 403) return location.assign("/login?next=" + encodeURIComponent(location.pathname + location.search));
    if (!answer.ok) throw new Error(String(answer.status));
    adopt(await answer.text());
  } catch {
    wanted = true; // the connection state says so; the next try is with the next news, or when it is back
  } finally {
    fetching = false;
    fetchedAt = performance.now();
    if (wanted) soon(5000);
  }
}

// plain shows what hides in text, as the page's own words do: what others wrote must not turn a line around.
const plain = (s) => String(s).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => "\\u" + c.codePointAt(0).toString(16).padStart(4, "0"));

function made(name, kind, ...inside) {
  const n = document.createElement(name);
  if (kind) n.className = kind;
  n.append(...inside.map((x) => (typeof x === "string" ? plain(x) : x)));
  return n;
}

const at = (place) => [place.tenant || place.partner, place.name].filter(Boolean).join("/");

// way is one way in which something may have come, with its share and what tells for and against each session.
function way(path) {
  const hops = path.hops.map((h) => {
    const said = [["for", h.for], ["against", h.against]].filter(([, list]) => list?.length).map(([side, list]) => made("li", "", `${side}: ${list.join("; ")}`));
    if (h.file) said.push(made("li", "", made("code", "", h.file), h.record ? ` record ${h.record}` : ""));
    return made("li", "", made("code", "", at(h.from)), " → ", made("code", "", at(h.to)), ` ${h.kind}${h.user ? " as " + h.user : ""}, from ${h.start}, score ${h.score.toFixed(1)}, ${Math.round(100 * h.share)} % of what may explain it`, made("ul", "", ...said));
  });
  const end = `${path.reason}.${path.ask ? ` Ask ${path.ask.organisation}.` : ""}${path.tied ? ` ${path.tied}.` : ""}`;
  return made("div", "way", made("p", "", made("strong", "", `${Math.round(100 * path.share)} %`), " from ", made("code", "", at(path.origin))), made("ol", "", ...hops), made("p", "hint", end));
}

// The ways are asked for when the reader opens them: the server walks its graph then, and not for every page.
document.addEventListener("toggle", async (e) => {
  const box = e.target;
  if (!box.matches?.("details.ways") || !box.open || box.dataset.asked) return;
  box.dataset.asked = "yes";
  const body = box.querySelector(".body");
  body.replaceChildren(made("p", "hint", "Walking the graph …"));
  try {
    const answer = await fetch("/api/v1/trace?paths=4&subject=" + encodeURIComponent(box.dataset.finding), { redirect: "error" });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error);
    const mine = said.traces.filter((t) => t.subject === box.dataset.source);
    body.replaceChildren(...(mine.length ? mine : said.traces).flatMap((t) => [...(t.answers ?? []), ...(t.clocks ?? [])].map((x) => made("p", "clock", x)).concat(t.paths.map(way))));
  } catch (err) {
    delete box.dataset.asked; // opened again, it is asked again
    body.replaceChildren(made("p", "hint", `The ways can't be shown now: ${err.message}`));
  }
}, true);

let timer = null;
function soon(wait = 250) {
  wanted = true;
  if (timer) return;
  timer = setTimeout(() => {
    timer = null;
    refresh();
  }, Math.max(wait, fetchedAt + 1000 - performance.now()));
}

function clock(d) {
  return d.toISOString().slice(11, 19) + " UTC";
}

function ago(d) {
  const s = Math.max(0, Math.round((Date.now() - d) / 1000));
  if (s < 60) return s + " s ago";
  if (s < 3600) return Math.floor(s / 60) + " min ago";
  if (s < 172800) return Math.floor(s / 3600) + " h ago";
  return Math.floor(s / 86400) + " days ago";
}

function say(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function state() {
  const box = $("live");
  box.classList.toggle("cut", Boolean(cutOff));
  say("live-state", cutOff ? `reconnecting since ${clock(cutOff)}` : box.classList.contains("up") ? "live" : "connecting");
  say("live-rate", cutOff || !box.classList.contains("up") ? "" : `${rate >= 10 ? Math.round(rate).toLocaleString("en") : rate.toFixed(1).replace(/\.0$/, "")} events/s`);
  say("live-last", lastEvent ? `last event ${ago(lastEvent)}` : "no event yet");
  $("live-last").title = lastEvent ? lastEvent.toISOString() : "";
}

function listen() {
  const source = new EventSource("/api/v1/watch?brief=1");
  source.addEventListener("ready", (e) => {
    cutOff = null;
    $("live").classList.add("up");
    if (String(JSON.parse(e.data).version) !== version) soon();
    state();
  });
  for (const kind of ["campaign", "incident", "finding", "coverage", "level", "reset"]) source.addEventListener(kind, () => soon());
  source.addEventListener("status", (e) => {
    const s = JSON.parse(e.data);
    rate = s.events_per_second;
    lastEvent = s.last_event ? new Date(s.last_event) : null;
    state();
  });
  source.onerror = () => {
    cutOff ??= new Date();
    state();
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    source.close();
    setTimeout(() => {
      soon(0); // tells whether we are still logged in
      listen();
    }, 3000);
  };
  addEventListener("pagehide", () => source.close(), { once: true });
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && wanted) soon(0);
});
addEventListener("pageshow", (e) => {
  if (e.persisted) location.reload();
});
setInterval(state, 1000);
state();
listen();
