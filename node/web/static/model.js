// Drift of a model's figures: one plot for each, every synthetic CT a point, a click opens its series.
"use strict";
(async () => {
  const place = document.getElementById("drift");
  if (!place) return;
  const answer = await fetch(place.dataset.from).catch(() => null);
  if (!answer?.ok) return;
  const rows = await answer.json();
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const told = (value) => String(Number(value.toPrecision(4))).replace("-", "−").replace(".", place.dataset.comma);
  const at = rows.map((row) => Date.parse(row.at) / 1000);
  function draw(chart) {
    const name = chart.dataset.figure, limits = JSON.parse(chart.dataset.limits), scale = name.endsWith("_share") ? 100 : 1;
    const values = rows.map((row) => (row[name] == null ? null : row[name] * scale));
    const lines = limits ? limits.map((limit) => rows.map(() => limit * scale)) : [];
    const axis = { stroke: token("--mu"), grid: { stroke: token("--line"), width: 1 }, ticks: { show: false }, font: "11px Inter, system-ui", size: 24, gap: 4 };
    chart.replaceChildren();
    const drawn = new uPlot({
      width: chart.clientWidth, height: 150, padding: [8, 18, 0, 0], legend: { show: false },
      cursor: { y: false, drag: { setScale: false, x: false } },
      axes: [{ ...axis, space: 70, values: (_, splits) => splits.map((s) => new Date(s * 1000).toLocaleString(place.dataset.comma === "," ? "fr" : "en-GB", splits.at(-1) - splits[0] < 172800 ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short" })) },
        { ...axis, size: 48, values: (_, splits) => splits.map(told) }],
      series: [{}, { stroke: token("--acc"), width: 1, points: { show: true, size: 5, fill: token("--acc") } },
        ...lines.map(() => ({ stroke: token("--attn"), width: 1, dash: [4, 3], points: { show: false } }))],
    }, [at, values, ...lines], chart);
    drawn.over.addEventListener("click", () => { if (drawn.cursor.idx != null) location.href = `/series/${rows[drawn.cursor.idx].series}`; });
  }
  const all = () => place.querySelectorAll("[data-figure]").forEach(draw);
  all();
  let width = innerWidth;
  addEventListener("resize", () => { if (width !== innerWidth) { width = innerWidth; all(); } });
})();
