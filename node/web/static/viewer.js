// Three linked planes of int16 volumes on canvas 2D: MR, synthetic CT and what lies between them.
// Radiological: patient right on screen left, nose left on sagittal planes, superior up.
// Volumes are (slice, row, column); x grows to the left, y to posterior, z to superior, in LPS mm.
"use strict";
(() => {
  const root = document.getElementById("viewer");
  if (!root) return;
  const $ = (selector) => root.querySelector(selector);
  const $$ = (selector) => [...root.querySelectorAll(selector)];
  const say = root.dataset;
  // along: the axis a wheel steps through; up: whether that screen axis is drawn upside down.
  const PLANES = {
    axial: { along: 0, down: 1, across: 2, up: false, axis: "z" },
    coronal: { along: 1, down: 0, across: 2, up: true, axis: "y" },
    sagittal: { along: 2, down: 0, across: 1, up: true, axis: "x" },
  };
  const WINDOWS = { soft: [40, 400], brain: [40, 80], bone: [500, 2000], lung: [-600, 1500], full: [400, 2800] };
  const TINT = [1, 0.86, 0.58]; // of the sCT in a blend, as its label has
  const TILE_MM = 24;
  const base = `/series/${say.series}`;
  const state = {
    mode: "mr", blend: 0.5, hu: [...WINDOWS.soft], mrWindow: [500, 1000], at: [0, 0, 0], cross: true, zoom: 1,
    plane: "axial", limit: Number(say.limit) || 400,
  };
  let about = null, volumes = {}, strides = [0, 0, 1], frame = 0, lastMode = "sct";
  const views = {};

  const plain = (text) => (Number(text) === 0 ? text.replace("-", "") : text); // −0 is 0
  const number = (value, digits = 0) => plain(value.toFixed(digits)).replace("-", "−").replace(".", say.comma);
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const mm = (axis) => about.origin_mm[2 - axis] + state.at[axis] * about.spacing_mm[axis];
  const tidy = (value) => number(value, Math.abs(value - Math.round(value)) < 0.05 ? 0 : 1);
  const offset = () => state.at[0] * strides[0] + state.at[1] * strides[1] + state.at[2];

  // ---- loading ---------------------------------------------------------------------------------
  async function load() {
    try {
      const answer = await fetch(`${base}/volumes`);
      if (!answer.ok) throw new Error((await answer.json()).detail);
      about = await answer.json();
      const [, rows, columns] = about.shape;
      strides = [rows * columns, columns, 1];
      state.at = about.shape.map((n) => n >> 1);
      state.mrWindow = [...about.mr_window];
      const wanted = about.kinds.filter((kind) => kind !== "uncertainty");
      await Promise.all(wanted.map(fetchVolume));
    } catch (error) { return fail(error); }
    if (!volumes.sct) for (const b of $$("[data-mode]:not([data-mode=mr])")) b.disabled = true;
    else if (!about.kinds.includes("uncertainty")) $("[data-mode=uncertainty]").disabled = true;
    setMode(volumes.sct ? "blend" : "mr");
    root.dataset.ready = String(Math.round(performance.now()));
    root.removeAttribute("aria-busy");
    for (const wait of $$(".wait")) wait.remove();
    document.dispatchEvent(new CustomEvent("viewer:ready", { detail: about }));
  }
  async function fetchVolume(kind) {
    const answer = await fetch(`${base}/volumes/${kind}`);
    if (!answer.ok) throw new Error(kind);
    volumes[kind] = new Int16Array(await answer.arrayBuffer());
    if (volumes[kind].length !== about.shape.reduce((a, b) => a * b)) throw new Error(kind);
    if (kind === "mr" && !volumes.sct) { fit(); draw(); }
  }
  function fail(error) {
    root.dataset.failed = error.message || "?";
    root.removeAttribute("aria-busy");
    for (const wait of $$(".wait")) { wait.textContent = say.failure; wait.classList.add("failed"); }
    document.dispatchEvent(new CustomEvent("viewer:failed"));
  }

  // ---- colours ---------------------------------------------------------------------------------
  const tables = { mr: new Uint8Array(65536), sct: new Uint8Array(65536), key: "" };
  function grey(table, [level, width]) {
    const low = level - width / 2, scale = 255 / Math.max(width, 1e-6);
    for (let value = -32768; value < 32768; value++) table[value + 32768] = clamp((value - low) * scale, 0, 255);
  }
  function refreshTables() {
    const key = `${state.hu} ${state.mrWindow}`;
    if (tables.key === key) return;
    tables.key = key;
    grey(tables.sct, state.hu);
    grey(tables.mr, state.mrWindow);
  }
  const rgb = (r, g, b) => 0xff000000 | (b << 16) | (g << 8) | r;
  // Dark to amber to red as the uncertainty nears and passes its limit.
  function heat(ground, value) {
    const t = value / state.limit, a = clamp(t * 0.9, 0, 0.85), hot = clamp(t - 1, 0, 1);
    const mix = (from, to) => ground * (1 - a) + (from + (to - from) * hot) * a;
    return rgb(mix(251, 255), mix(190, 60), mix(60, 90));
  }
  function shader(view) {
    const { mr, sct, uncertainty } = volumes, m = tables.mr, s = tables.sct, a = state.blend;
    const { plane } = view, mode = sct ? state.mode : "mr";
    const one = (table, volume) => (p) => { const v = table[volume[p] + 32768]; return rgb(v, v, v); };
    const asMr = one(m, mr), asSct = sct && one(s, sct);
    if (mode === "mr") return asMr;
    if (mode === "sct") return asSct;
    if (mode === "uncertainty") return uncertainty ? (p) => heat(s[sct[p] + 32768] * 0.75, uncertainty[p]) : asSct;
    if (mode === "split") {
      const edge = state.at[plane.across];
      return (p, i) => (i < edge ? asMr(p) : asSct(p));
    }
    const tinted = (p) => { const v = s[sct[p] + 32768]; return rgb(v, v * TINT[1], v * TINT[2]); };
    if (mode === "tiles") {
      const ti = TILE_MM / about.spacing_mm[plane.across], tj = TILE_MM / about.spacing_mm[plane.down];
      return (p, i, j) => ((((i / ti) | 0) + ((j / tj) | 0)) & 1 ? tinted(p) : asMr(p));
    }
    return (p) => {
      const g = m[mr[p] + 32768] * (1 - a), v = s[sct[p] + 32768] * a;
      return rgb(g + v, g + v * TINT[1], g + v * TINT[2]);
    };
  }

  // ---- drawing ---------------------------------------------------------------------------------
  function draw() { if (!frame) frame = requestAnimationFrame(() => { frame = 0; paint(); }); }
  function paint() {
    if (!about || !volumes.mr) return;
    refreshTables();
    for (const view of Object.values(views)) if (view.width) paintPlane(view);
    readOut();
  }
  function paintPlane(view) {
    const { plane, ctx, canvas } = view;
    const width = about.shape[plane.across], height = about.shape[plane.down];
    if (!view.image || view.image.width !== width || view.image.height !== height) {
      view.image = new ImageData(width, height);
      view.pixels = new Uint32Array(view.image.data.buffer);
      view.sheet = new OffscreenCanvas(width, height);
    }
    const { pixels } = view, shade = shader(view), start = state.at[plane.along] * strides[plane.along];
    for (let j = 0, q = 0; j < height; j++) {
      let p = start + (plane.up ? height - 1 - j : j) * strides[plane.down];
      for (let i = 0; i < width; i++, p += strides[plane.across]) pixels[q++] = shade(p, i, j);
    }
    view.sheet.getContext("2d").putImageData(view.image, 0, 0);
    place(view, width, height);
    ctx.fillStyle = "#000";
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.imageSmoothingEnabled = true;
    ctx.drawImage(view.sheet, view.x0, view.y0, width * view.sx, height * view.sy);
    overlay(view, width, height);
  }
  // Where the plane lies on its canvas: whole and centred, or enlarged about the crosshair.
  function place(view, width, height) {
    const { plane, canvas } = view, [wide, high] = [about.spacing_mm[plane.across], about.spacing_mm[plane.down]];
    const scale = Math.min(canvas.width / (width * wide), canvas.height / (height * high)) * state.zoom;
    view.sx = wide * scale; view.sy = high * scale; view.perMm = scale;
    const i = state.at[plane.across] + 0.5, k = state.at[plane.down], j = (plane.up ? height - 1 - k : k) + 0.5;
    const free = (size, extent, at) => extent <= size ? (size - extent) / 2 : clamp(size / 2 - at, size - extent, 0);
    view.x0 = free(canvas.width, width * view.sx, i * view.sx);
    view.y0 = free(canvas.height, height * view.sy, j * view.sy);
    view.cx = view.x0 + i * view.sx; view.cy = view.y0 + j * view.sy;
  }
  function overlay(view, width, height) {
    const { ctx, canvas, x0, y0, cx, cy } = view, dots = view.dots, gap = 11 * dots;
    const right = Math.min(canvas.width, x0 + width * view.sx), bottom = Math.min(canvas.height, y0 + height * view.sy);
    const left = Math.max(0, x0), top = Math.max(0, y0);
    const line = (x1, y1, x2, y2) => { ctx.beginPath(); ctx.moveTo(x1, y1); ctx.lineTo(x2, y2); ctx.stroke(); };
    ctx.lineWidth = dots;
    if (state.cross) {
      ctx.strokeStyle = "rgba(134,189,255,.85)";
      line(left, cy, cx - gap, cy); line(cx + gap, cy, right, cy);
      if (state.mode !== "split" || !volumes.sct) { line(cx, top, cx, cy - gap); line(cx, cy + gap, cx, bottom); }
    }
    if (state.mode === "split" && volumes.sct) {
      ctx.strokeStyle = "#d7c08a"; ctx.lineWidth = 2 * dots;
      line(view.x0 + state.at[view.plane.across] * view.sx, top, view.x0 + state.at[view.plane.across] * view.sx, bottom);
    }
    const long = [50, 20, 10, 5].find((length) => length * view.perMm < canvas.width * 0.4) || 5;
    const y = canvas.height - 11 * dots, x = 12 * dots;
    ctx.strokeStyle = "#fff"; ctx.lineWidth = 2 * dots;
    line(x, y, x + long * view.perMm, y);
    ctx.fillStyle = "#fff"; ctx.font = `${11 * dots}px Inter, system-ui, sans-serif`;
    ctx.fillText(long >= 10 ? `${long / 10} cm` : `${long} mm`, x, y - 6 * dots);
  }
  function readOut() {
    const p = offset(), mr = volumes.mr[p] * about.mr_slope;
    $("[data-read=position]").textContent = `${tidy(mm(2))}, ${tidy(mm(1))}, ${tidy(mm(0))} mm`;
    $("[data-read=mr]").textContent = number(mr, about.mr_slope === 1 ? 0 : 3);
    $("[data-read=sct]").textContent = volumes.sct ? `${number(volumes.sct[p])} ${say.hu}` : "–";
    const spread = $("[data-read=uncertainty]");
    spread.parentElement.hidden = !volumes.uncertainty;
    if (volumes.uncertainty) spread.textContent = `± ${volumes.uncertainty[p]} ${say.hu}`;
    for (const view of Object.values(views)) {
      const at = state.at[view.plane.along], where = `${view.plane.axis} ${tidy(mm(view.plane.along))} mm`;
      view.where.textContent = `${where} (${at + 1})`;
      view.canvas.setAttribute("aria-valuenow", at + 1);
      view.canvas.setAttribute("aria-valuemax", about.shape[view.plane.along]);
      view.canvas.setAttribute("aria-valuetext", `${where}, sCT ${$("[data-read=sct]").textContent}, ${say.mr} ${$("[data-read=mr]").textContent}`);
    }
    const slider = $("#slice");
    slider.max = about.shape[PLANES[state.plane].along] - 1;
    slider.value = state.at[PLANES[state.plane].along];
  }
  function fit() {
    for (const view of Object.values(views)) {
      const box = view.canvas.getBoundingClientRect();
      view.dots = Math.min(2, window.devicePixelRatio || 1);
      view.width = Math.round(box.width * view.dots);
      if (view.width) { view.canvas.width = view.width; view.canvas.height = Math.round(box.height * view.dots); }
    }
    draw();
  }

  // ---- what a person does ----------------------------------------------------------------------
  function step(axis, by) {
    if (!about) return;
    state.at[axis] = clamp(state.at[axis] + by, 0, about.shape[axis] - 1);
    draw();
  }
  function moveTo(point) { // LPS mm
    if (!about) return;
    for (const axis of [0, 1, 2]) {
      const index = Math.round((point[2 - axis] - about.origin_mm[2 - axis]) / about.spacing_mm[axis]);
      state.at[axis] = clamp(index, 0, about.shape[axis] - 1);
    }
    draw();
  }
  function setMode(mode) {
    const button = $(`[data-mode=${mode}]`);
    if (!button || button.disabled) return;
    if (mode === "uncertainty" && !volumes.uncertainty) fetchVolume("uncertainty").then(draw, fail);
    state.mode = mode;
    for (const b of $$("[data-mode]")) b.setAttribute("aria-pressed", b === button);
    $(".blend").classList.toggle("off", mode !== "blend");
    $("#blend").disabled = mode !== "blend";
    $(".legend").hidden = mode !== "uncertainty";
    showWindow();
    draw();
  }
  const windowOf = () => (state.mode === "mr" ? state.mrWindow : state.hu);
  function setWindow(level, width) {
    const target = windowOf();
    target[0] = clamp(Math.round(level), -32768, 32767);
    target[1] = clamp(Math.round(width), 1, 65535);
    showWindow();
    draw();
  }
  function showWindow() {
    const [level, width] = windowOf();
    $("#level").value = level; $("#width").value = width;
    $("[data-unit]").textContent = state.mode === "mr" ? say.mr : say.hu;
    for (const b of $$("[data-window]")) {
      const preset = WINDOWS[b.dataset.window];
      b.setAttribute("aria-pressed", state.mode !== "mr" && preset[0] === level && preset[1] === width);
    }
  }
  function preset(name) {
    state.hu = [...WINDOWS[name]];
    showWindow();
    draw();
  }
  function setZoom(zoom) { state.zoom = clamp(zoom, 1, 8); draw(); }
  function setPlane(name) {
    state.plane = name;
    root.dataset.plane = name;
    for (const b of $$("[data-tab]")) b.setAttribute("aria-pressed", b.dataset.tab === name);
    fit();
  }
  function toggleCross() {
    state.cross = !state.cross;
    $("#cross").setAttribute("aria-pressed", state.cross);
    draw();
  }

  function point(view, event) {
    const box = view.canvas.getBoundingClientRect(), { plane } = view;
    const i = Math.floor(((event.clientX - box.left) * view.dots - view.x0) / view.sx);
    const j = Math.floor(((event.clientY - box.top) * view.dots - view.y0) / view.sy);
    const height = about.shape[plane.down];
    state.at[plane.across] = clamp(i, 0, about.shape[plane.across] - 1);
    state.at[plane.down] = clamp(plane.up ? height - 1 - j : j, 0, height - 1);
    draw();
  }
  function listen(view) {
    const { canvas, plane } = view, fingers = new Map();
    let windowing = null, pinch = 0, turned = 0;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      if (event.ctrlKey) return setZoom(state.zoom * (event.deltaY < 0 ? 1.15 : 1 / 1.15));
      turned += event.deltaMode ? event.deltaY * 40 : event.deltaY || event.deltaX; // Shift turns it sideways
      const steps = Math.trunc(turned / 40);
      if (!steps) return;
      turned = 0;
      step(plane.along, -Math.sign(steps) * (event.shiftKey ? 5 : 1));
    }, { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => {
      if (!about) return;
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, event);
      if (event.button === 2) windowing = { x: event.clientX, y: event.clientY, from: [...windowOf()] };
      else if (fingers.size === 1) point(view, event);
      pinch = fingers.size === 2 ? spread() / state.zoom : 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!fingers.has(event.pointerId)) return;
      fingers.set(event.pointerId, event);
      if (windowing) {
        const gain = Math.max(1, windowing.from[1] / 300);
        setWindow(windowing.from[0] + (event.clientY - windowing.y) * gain, windowing.from[1] + (event.clientX - windowing.x) * gain);
      } else if (pinch) setZoom(spread() / pinch);
      else point(view, event);
    });
    const up = (event) => { fingers.delete(event.pointerId); windowing = null; pinch = 0; };
    canvas.addEventListener("pointerup", up);
    canvas.addEventListener("pointercancel", up);
    const spread = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY); };
  }

  const MODE_KEYS = { m: "mr", s: "sct", b: "blend", d: "split", t: "tiles", u: "uncertainty" };
  function key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !about) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, dialog[open]")) return;
    const { key: pressed } = event, onPlane = event.target.closest("[data-view]");
    const plane = PLANES[onPlane ? onPlane.dataset.view : state.plane];
    const onControl = !onPlane && event.target.closest("button, a, summary, input, label");
    const arrows = { ArrowLeft: [plane.across, -1], ArrowRight: [plane.across, 1],
      ArrowUp: [plane.down, plane.up ? 1 : -1], ArrowDown: [plane.down, plane.up ? -1 : 1] };
    if (MODE_KEYS[pressed.toLowerCase()]) setMode(MODE_KEYS[pressed.toLowerCase()]);
    else if (pressed >= "1" && pressed <= "5") preset(Object.keys(WINDOWS)[pressed - 1]);
    else if (pressed.toLowerCase() === "x") toggleCross();
    else if (pressed === "+" || pressed === "=") setZoom(state.zoom * 1.25);
    else if (pressed === "-") setZoom(state.zoom / 1.25);
    else if (pressed === "0") setZoom(1);
    else if (pressed === "?") document.getElementById("keys").showModal();
    else if (pressed === "PageUp" || pressed === "PageDown") step(plane.along, (pressed === "PageUp" ? 1 : -1) * (event.shiftKey ? 5 : 1));
    else if (pressed === " " && !onControl) flick();
    else if (arrows[pressed] && onPlane) step(arrows[pressed][0], arrows[pressed][1] * (event.shiftKey ? 5 : 1));
    else return;
    event.preventDefault();
  }
  function flick() {
    if (state.mode === "mr") return setMode(lastMode);
    lastMode = state.mode === "mr" ? lastMode : "sct";
    setMode("mr");
  }

  for (const canvas of $$("canvas[data-view]")) {
    const name = canvas.dataset.view, plane = PLANES[name];
    views[name] = { name, plane, canvas, ctx: canvas.getContext("2d", { alpha: false }), where: $(`[data-where=${name}]`), dots: 1, width: 0 };
    listen(views[name]);
  }
  for (const b of $$("[data-mode]")) b.addEventListener("click", () => setMode(b.dataset.mode));
  for (const b of $$("[data-window]")) b.addEventListener("click", () => { if (state.mode === "mr") setMode(volumes.sct ? "sct" : "mr"); preset(b.dataset.window); });
  for (const b of $$("[data-tab]")) b.addEventListener("click", () => setPlane(b.dataset.tab));
  $("#blend").addEventListener("input", (event) => { state.blend = event.target.value / 100; draw(); });
  $("#slice").addEventListener("input", (event) => { const { along } = PLANES[state.plane]; step(along, Number(event.target.value) - state.at[along]); });
  for (const id of ["level", "width"]) $(`#${id}`).addEventListener("change", () => setWindow(Number($("#level").value), Number($("#width").value)));
  $("#cross").addEventListener("click", toggleCross);
  $("#show-keys").addEventListener("click", () => document.getElementById("keys").showModal());
  document.addEventListener("keydown", key);
  document.addEventListener("viewer:go", (event) => moveTo(event.detail));
  document.addEventListener("viewer:slice", (event) => { if (about) step(0, event.detail - state.at[0]); });
  document.addEventListener("viewer:mode", (event) => setMode(event.detail));
  new ResizeObserver(fit).observe(root);
  fit();
  load();
})();
