// The page of one series: Show, ticks, dialogs, plots.
"use strict";
(() => {
  const $ = (selector) => document.querySelector(selector);
  const viewer = $("#viewer");
  const tell = (name, detail) => document.dispatchEvent(new CustomEvent(name, { detail }));
  let about = null, figures = null, failed = false;

  // ---- dialogs ---------------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) document.getElementById(opener.dataset.dialog).showModal();
    if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
    const shown = event.target.closest("[data-show]");
    if (shown) show(JSON.parse(shown.dataset.show));
  });

  // A refusal is told in the dialog, so that nothing ticked or typed is lost.
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("[data-inline]");
    if (!form) return;
    event.preventDefault();
    const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) }).catch(() => null);
    if (answer?.ok) return location.reload();
    const told = answer && new DOMParser().parseFromString(await answer.text(), "text/html").querySelectorAll("#why, #why ~ p");
    form.querySelector("[data-error]").textContent = told?.length ? [...told].map((p) => p.textContent).join(" ") : document.getElementById("offline").textContent;
  });

  // On a narrow screen the comment appears when it is needed.
  document.addEventListener("submit", (event) => {
    const form = event.target.closest(".decide-reject");
    if (form && !form.comment.value.trim()) event.preventDefault();
  });
  $(".decide-reject button")?.addEventListener("click", (event) => {
    const form = event.target.form;
    form.classList.add("asking");
    if (!form.comment.value.trim()) { event.preventDefault(); form.comment.focus(); }
  });

  // ---- every warning is ticked before approval -------------------------------------------------
  const open = $("#approve-open"), first = $("#read-first");
  function ticks() {
    if (!open) return;
    const left = [...document.querySelectorAll("[data-tick]")].filter((tick) => !tick.checked).length;
    first.hidden = left === 0;
    first.querySelector("span").textContent = first.dataset[left === 1 ? "one" : "many"].replace("{n}", left);
    open.disabled = left > 0 || failed || (viewer && !viewer.dataset.ready);
  }
  document.addEventListener("change", ticks);
  document.addEventListener("viewer:failed", () => { failed = true; ticks(); });

  // Another state or attempt is another page; an open dialog is left alone until it is closed.
  const version = $("#series-head").dataset.version;
  document.addEventListener("node:fresh", (event) => {
    const now = event.detail.getElementById("series-head");
    if (!now || now.dataset.version === version) return;
    const dialog = $("dialog[open]");
    if (dialog) dialog.addEventListener("close", () => location.reload(), { once: true });
    else location.reload();
  });

  // ---- Show ------------------------------------------------------------------------------------
  async function show({ mm, in: volume }) {
    if (innerWidth <= 1000) viewer.scrollIntoView();
    if (volume) tell("viewer:mode", volume);
    if (!mm) await reckoned;
    if (mm) tell("viewer:go", mm);
    else if (figures?.uncertainty_slice_max) tell("viewer:go", place(figures.uncertainty_slice_max));
  }
  const place = (index) => [2, 1, 0].map((axis) => about.origin_mm[2 - axis] + index[axis] * about.spacing_mm[axis]);

  // ---- plots -----------------------------------------------------------------------------------
  const reckoned = new Promise((done) => document.addEventListener("viewer:ready", async (event) => {
    about = event.detail;
    ticks();
    for (const button of document.querySelectorAll("[data-show]")) button.disabled = false;
    const answer = await fetch(`/series/${viewer.dataset.series}/statistics`);
    if (answer.ok) {
      figures = await answer.json();
      plotAll();
      let width = innerWidth;
      addEventListener("resize", () => { if (width !== innerWidth) { width = innerWidth; plotAll(); } });
    }
    done();
  }));
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  function plotAll() {
    const z = figures.z_mm, limit = Number(viewer.dataset.limit);
    if (figures.histogram) {
      const { hu, percent } = figures.histogram, floor = percent.map((value) => Math.max(value, 0.01));
      const band = figures.band, sides = band ? [band.high, band.low].map((side) => side.map((value) => Math.max(value, 0.01))) : [];
      plot("histogram", [hu, floor, ...sides], [{ stroke: token("--acc") }, {}, {}], { bands: [{ series: [2, 3], fill: token("--line2") }], scales: { x: { time: false, range: [-1000, 2000] }, y: { distr: 3, range: [0.01, 30] } }, percent: true });
    }
    if (figures.uncertainty_hu) {
      const values = figures.uncertainty_hu, over = values.map((v) => (v > limit ? v : null));
      plot("uncertainty", [z, values, over, z.map(() => limit)], [{ stroke: token("--acc") }, { stroke: token("--attn"), width: 2.5 }, { stroke: token("--attn"), dash: [4, 3], width: 1 }], { go: true });
    }
    const areas = [figures.mr_area_cm2, figures.sct_area_cm2].filter(Boolean);
    plot("area", [z, ...areas], [{ stroke: token("--acc"), width: 2.5, label: "MR" }, { stroke: token("--attn"), dash: [5, 3], label: "sCT" }], { go: true });
  }
  function plot(name, data, series, { scales, percent, go, bands }) {
    const card = $(`#plot-${name}`), chart = card.querySelector(".chart");
    card.hidden = false;
    chart.replaceChildren();
    const axis = { stroke: token("--mu"), grid: { stroke: token("--line"), width: 1 }, ticks: { show: false }, font: "11px Inter, system-ui", size: 22, gap: 4 };
    const minus = (_, values) => values.map((value) => (value === null ? "" : String(value).replace("-", "−")));
    const drawn = new uPlot({
      width: chart.clientWidth, height: 112, padding: [8, 18, 0, 0], legend: { show: false }, scales: scales || { x: { time: false } }, bands: data.length > 3 && bands || [],
      cursor: { y: false, points: { size: 6 }, drag: { setScale: false, x: false } },
      axes: [{ ...axis, values: minus }, { ...axis, size: 48, ...(percent ? { splits: () => [0.01, 0.1, 1, 10], filter: (_, splits) => splits, values: (_, values) => values.map((v) => `${v} %`.replace(".", viewer.dataset.comma)) } : { values: minus }) }],
      series: [{}, ...series.map((line) => ({ width: 1.5, points: { show: false }, ...line })).slice(0, data.length - 1)],
    }, data, chart);
    if (!go) return;
    drawn.over.classList.add("goes");
    drawn.over.addEventListener("click", () => { if (drawn.cursor.idx != null) tell("viewer:slice", drawn.cursor.idx); });
  }
  ticks();
})();
