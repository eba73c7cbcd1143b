// Makes a page that works without scripts a live one. All HTML comes from our own server, which has escaped it.
"use strict";

const EVENTS_KEPT = 200;
const TYPING_MS = 200;
const REFRESH_MS = 1000;
const PAGE_IS_OLD_MS = 30000;

const policy = window.trustedTypes
  ? trustedTypes.createPolicy("swarmproxy", { createHTML: (text) => text })
  : { createHTML: (text) => text };

const byId = (id) => document.getElementById(id);
const place = document.body.dataset.place;
const form = document.querySelector("form[data-part]");
const part = byId("part");
const feed = byId("feed");

function made(html) {
  const template = document.createElement("template");
  template.innerHTML = policy.createHTML(html);
  tellTimes(template.content);
  return template.content;
}

// -- times are sent in UTC, and shown as the reader's

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });

function tellTimes(root) {
  for (const each of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(each.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const isToday = moment.toDateString() === new Date().toDateString();
    each.textContent = (isToday ? clock : day).format(moment);
    each.title = each.dateTime;
  }
}

// -- replacing without taking away what somebody is at

function keeping(old, content, put) {
  const open = new Set([...old.querySelectorAll("details[open]")].map((each) => each.dataset.keep));
  const holder = document.activeElement?.closest?.("[data-keep]");
  const focused = holder && old.contains(holder) ? holder.dataset.keep : null;
  for (const each of content.querySelectorAll("details")) if (open.has(each.dataset.keep)) each.open = true;
  const found = focused && [...content.querySelectorAll("[data-keep]")].find((each) => each.dataset.keep === focused);
  put(content);
  if (found) (found.tagName === "DETAILS" ? found.querySelector("summary") : found).focus({ preventScroll: true });
}
const fill = (target, content) => keeping(target, content, (made) => target.replaceChildren(made));
const exchange = (old, content) => keeping(old, content, (made) => old.replaceWith(made));

// -- the part of a page that is searched, sorted and turned

let asking = null;
let shown = part ? part.innerHTML : "";

async function show(query) {
  asking?.abort();
  const mine = (asking = new AbortController());
  part.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.dataset.part + query, { signal: mine.signal });
    if (!answer.ok) return;
    const html = await answer.text();
    if (html !== shown) fill(part, made(html));
    shown = html;
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof TypeError)) throw error; // gone: the stream says so
  } finally {
    if (asking === mine) part.removeAttribute("aria-busy");
  }
}

function asked() {
  const wanted = new URLSearchParams();
  for (const [key, value] of new FormData(form)) if (value) wanted.set(key, value);
  const now = new URLSearchParams(location.search);
  for (const key of ["sort", "node"]) if (now.has(key)) wanted.set(key, now.get(key));
  const text = wanted.toString();
  return text ? "?" + text : "";
}

if (form) {
  let typing = 0;
  const search = () => {
    const query = asked();
    history.replaceState(null, "", location.pathname + query);
    show(query);
  };
  form.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(search, TYPING_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    search();
  });
  part.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
    if (!link || !isPlain || link.pathname !== location.pathname) return;
    event.preventDefault();
    history.pushState(null, "", link.pathname + link.search);
    show(link.search).then(() => link.rel && part.scrollIntoView({ block: "start" }));
  });
  addEventListener("popstate", () => {
    const now = new URLSearchParams(location.search);
    for (const each of form.querySelectorAll("[name]")) each.value = now.get(each.name) ?? "";
    show(location.search);
  });
}

// -- what happens

let waiting = 0;
function refreshSoon() {
  if (!part || waiting) return;
  waiting = setTimeout(() => {
    waiting = 0;
    if (!document.hidden) show(location.search);
  }, REFRESH_MS);
}

const pause = byId("pause");
const isPaused = () => pause?.getAttribute("aria-pressed") === "true";
if (pause) {
  pause.hidden = false;
  pause.addEventListener("click", () => {
    pause.setAttribute("aria-pressed", String(!isPaused()));
    pause.textContent = isPaused() ? "Resume" : "Pause";
  });
}

function happened(html) {
  const content = made(html);
  const follows = part?.dataset.follows;
  if (follows && [...content.children].some((each) => each.dataset.type === follows || each.dataset.type === "swarm")) {
    refreshSoon();
  }
  if (!feed || isPaused()) return;
  feed.prepend(content);
  while (feed.children.length > EVENTS_KEPT) feed.lastElementChild.remove();
}

function redraw(cards) {
  if (!part || part.dataset.follows) return;
  const changed = new Map(cards);
  for (const each of part.querySelectorAll(".node")) {
    const html = changed.get(each.dataset.node);
    if (html !== undefined) exchange(each, made(html));
  }
}

const live = byId("live");
function say(state, text) {
  live.dataset.state = state;
  live.querySelector(".said").textContent = text;
}

let source = null;
let told = place;
function follow() {
  source?.close();
  source = new EventSource("/live?place=" + encodeURIComponent(told));
  const on = (kind, act) => source.addEventListener(kind, (event) => { told = event.lastEventId || told; act(event.data); });
  source.addEventListener("open", () => say("on", "Live"));
  source.addEventListener("error", () => {
    say("lost", "Reconnecting");
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 5000); // refused, and not merely cut off
  });
  on("overview", (html) => fill(byId("overview"), made(html)));
  on("happened", happened);
  on("cards", (text) => redraw(JSON.parse(text)));
  on("gathered", () => { if (part && !part.dataset.follows) refreshSoon(); });
}
follow();
addEventListener("pagehide", () => source.close());
addEventListener("pageshow", (event) => { if (event.persisted) follow(); });
if (part?.dataset.follows) setInterval(refreshSoon, PAGE_IS_OLD_MS); // "Up 5 minutes" goes on without an event

// -- keys and theme

addEventListener("keydown", (event) => {
  const isTyped = event.target.closest("input, select, textarea");
  if (event.key === "/" && !isTyped && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const box = byId("q");
    if (!box) return;
    event.preventDefault();
    box.focus();
    box.select();
  } else if (event.key === "Escape" && isTyped) {
    event.target.blur();
  }
});

const themes = ["auto", "light", "dark"];
const button = byId("theme");
const chosen = () => document.documentElement.dataset.theme ?? "auto";
function nameTheme() {
  button.querySelector("span").textContent = chosen();
}
button.hidden = false;
button.addEventListener("click", () => {
  const next = themes[(themes.indexOf(chosen()) + 1) % themes.length];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try { localStorage.setItem("theme", next); } catch { /* only for this page, then */ }
  nameTheme();
});
nameTheme();
tellTimes(document);
