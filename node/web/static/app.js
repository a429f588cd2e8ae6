// What every page needs: one event stream for all tabs, a word when the node is away, keys.
// Pages ask to be kept up to date by carrying  data-live="series"  (or network, all) on an element
// with an id (and  data-from="/address"  where its page or fragment is another); the element of that
// id in the answer is morphed into it.
"use strict";
(() => {
  const CHANNEL = "pctnode-events";
  const channel = new BroadcastChannel(CHANNEL);
  const offline = document.getElementById("offline");
  const waiting = new Set();

  // ---- one stream for all tabs: whoever holds the lock listens and tells the others -------------
  function listen() {
    return new Promise(() => {
      const source = new EventSource("/events");
      const tell = (message) => { channel.postMessage(message); receive(message); };
      source.addEventListener("marks", (event) => tell({ marks: JSON.parse(event.data) }));
      source.addEventListener("change", (event) => tell({ topic: event.data }));
      source.onerror = () => tell({ away: true });
      source.onopen = () => tell({ away: false });
    });
  }
  channel.onmessage = (event) => receive(event.data);
  if (navigator.locks) navigator.locks.request(CHANNEL, listen);
  else listen(); // without a secure context there are no locks

  // Marks say what there is now; the page says what it was made of. Where they agree nothing is due.
  const marksOf = (page) => JSON.parse(page.body.dataset.marks || "{}");
  const known = marksOf(document);
  function receive(message) {
    if ("away" in message) { offline.hidden = !message.away; return; }
    offline.hidden = true;
    const { marks } = message;
    const topics = marks ? Object.keys(marks).filter((topic) => known[topic] !== marks[topic]) : [message.topic];
    for (const element of document.querySelectorAll("[data-live]")) {
      const topic = element.dataset.live;
      if (topics.includes("all") || topics.includes(topic) || (topic === "all" && topics.length)) waiting.add(element.id);
    }
    refresh();
  }

  // ---- morph in place, never under the pointer -------------------------------------------------
  let busy = false;
  async function refresh() {
    if (busy || document.hidden || waiting.size === 0) return;
    busy = true;
    const byPage = new Map();
    for (const element of [...waiting].map((id) => document.getElementById(id)).filter(Boolean)) {
      const page = element.dataset.from || location.href;
      byPage.set(page, [...(byPage.get(page) || []), element]);
    }
    waiting.clear();
    try {
      for (const [page, elements] of byPage) await refreshFrom(page, elements);
    } finally { busy = false; }
    if (waiting.size) setTimeout(refresh, 300);
  }
  async function refreshFrom(page, elements) {
    const answer = await fetch(page, { headers: { "HX-Request": "true", Accept: "text/html" } }).catch(() => null);
    if (!answer || answer.status !== 200) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const element of [document.getElementById("node-state"), ...elements]) {
      const now = fresh.getElementById(element.id);
      if (!now) continue;
      if (element.querySelector("[data-hold-order]:hover")) await inPlace(element, fresh);
      else await morph(element, now);
    }
    Object.assign(known, marksOf(fresh));
    document.dispatchEvent(new CustomEvent("node:fresh", { detail: fresh }));
  }
  function morph(element, now) {
    if (element.isEqualNode(now)) return null;
    return htmx.swap({ target: element, text: now.outerHTML, swap: "outerMorph", sourceElement: element });
  }
  // The pointer is on a row: only what stays where it is changes, the rest when the pointer leaves.
  async function inPlace(element, fresh) {
    for (const row of element.querySelectorAll("[data-row]")) {
      const now = fresh.getElementById(row.id);
      if (now) await morph(row, now);
    }
    const again = () => { waiting.add(element.id); refresh(); };
    element.querySelector("[data-hold-order]:hover")?.addEventListener("pointerleave", again, { once: true });
  }
  document.addEventListener("visibilitychange", refresh);

  // ---- keys ------------------------------------------------------------------------------------
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, dialog")) return;
    if (event.key === "/") {
      const search = document.querySelector("[type=search]");
      if (search) { search.focus(); event.preventDefault(); }
    }
    const step = { j: 1, k: -1 }[event.key.toLowerCase()];
    if (step) walk(step);
  });
  function walk(step) {
    const rows = [...document.querySelectorAll("[data-row] a.row-link")];
    if (!rows.length) { document.querySelector(`a[rel=${step > 0 ? "next" : "prev"}]`)?.click(); return; }
    const at = rows.indexOf(document.activeElement);
    const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
    next.focus();
    next.closest("[data-row]").scrollIntoView({ block: "nearest" });
  }
})();
