"use strict";
// The plot of metrics over versions, and "/" for the search field. Pages are whole without it: the table has the same values.

const COLORS = 6;

function color(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

// Aliases as dashed lines at their versions, named above the plot. Names that would touch stand in rows above each other, and
// each has a ground of its own, so that no line runs through it.
const ROW = 16, MOST_ROWS = 6;

function aliasRows(aliases) {
  return Math.min(Object.keys(aliases).length, MOST_ROWS);
}

function placed(plot, aliases) {
  const { ctx, bbox } = plot, px = devicePixelRatio, ends = [];
  const left = bbox.left, right = bbox.left + bbox.width;
  return Object.entries(aliases)
    .map(([alias, version]) => ({ alias, x: plot.valToPos(version, "x", true), width: ctx.measureText(alias).width + 8 * px }))
    .filter(({ x }) => x >= left && x <= right)
    .sort((one, other) => one.x - other.x)
    .map((label) => {
      const from = Math.max(left, Math.min(label.x - label.width / 2, right - label.width));
      let row = ends.findIndex((end) => end <= from);
      if (row < 0) row = Math.min(ends.length, MOST_ROWS - 1);
      ends[row] = from + label.width + 2 * px;
      return { ...label, from, row };
    });
}

function aliasLines(aliases, ink, ground) {
  return (plot) => {
    const { ctx, bbox } = plot, px = devicePixelRatio;
    ctx.save();
    ctx.font = `600 ${11 * px}px system-ui, sans-serif`;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    const labels = placed(plot, aliases);
    const middle = (row) => bbox.top - (ROW * row + ROW / 2 + 1) * px;
    ctx.strokeStyle = ink;
    ctx.setLineDash([4 * px, 4 * px]);
    for (const { x, row } of labels) {
      ctx.beginPath();
      ctx.moveTo(x, middle(row));
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    for (const { alias, from, width, row } of labels) {
      ctx.fillStyle = ground;
      ctx.fillRect(from, middle(row) - ROW / 2 * px, width, ROW * px);
      ctx.fillStyle = ink;
      ctx.fillText(alias, from + width / 2, middle(row));
    }
    ctx.restore();
    plot.root.dataset.labels = JSON.stringify(labels.map(({ alias, from, width, row }) => [alias, row, from / px, (from + width) / px]));
  };
}

function plotSize(holder, data) {
  return { width: holder.clientWidth, height: 260 + ROW * aliasRows(data.aliases) };
}

function makePlot(holder, data, base, shown) {
  const names = Object.keys(data.series);
  const quiet = color("--quiet"), line = color("--line"), accent = color("--accent"), ground = color("--panel");
  const axis = { stroke: quiet, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  const series = names.map((name, at) => {
    const stroke = color(`--s${(at % COLORS) + 1}`);
    const few = data.versions.length <= 60;
    return { label: name, stroke, width: 2, show: shown.has(name), spanGaps: true, points: { show: few, size: 7, fill: stroke } };
  });
  const whole = (plot, values) => values.map((value) => (Number.isInteger(value) ? String(value) : ""));
  const options = {
    ...plotSize(holder, data),
    padding: [ROW * aliasRows(data.aliases) + 6, 8, 0, 0],
    scales: { x: { time: false, range: (plot, low, high) => [low - 0.5, high + 0.5] } },
    axes: [{ ...axis, values: whole }, { ...axis, size: 64 }],
    series: [{ label: "version", value: (plot, value) => value ?? "–" }, ...series],
    cursor: { focus: { prox: 24 }, points: { size: 9 } },
    hooks: { draw: [aliasLines(data.aliases, accent, ground)] },
  };
  const plot = new uPlot(options, [data.versions, ...names.map((name) => data.series[name])], holder);
  let pressedAt = 0;
  plot.over.addEventListener("mousedown", (event) => { pressedAt = event.clientX; });
  plot.over.addEventListener("click", (event) => {
    const at = plot.cursor.idx;
    if (at != null && Math.abs(event.clientX - pressedAt) < 4) location.assign(base + data.versions[at]);
  });
  return plot;
}

function setUpPlot() {
  const source = document.getElementById("metrics-data");
  if (!source || typeof uPlot === "undefined") return;
  const data = JSON.parse(source.textContent);
  const holder = document.getElementById("metrics-plot");
  const shown = new Set(data.shown);
  let plot = makePlot(holder, data, source.dataset.base, shown);
  const again = () => { plot.destroy(); plot = makePlot(holder, data, source.dataset.base, shown); };
  const toggles = document.getElementById("metric-toggles");
  Object.keys(data.series).forEach((name, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.className = `c${(at % COLORS) + 1}`;
    button.setAttribute("aria-pressed", String(shown.has(name)));
    button.addEventListener("click", () => {
      if (shown.has(name)) shown.delete(name); else shown.add(name);
      button.setAttribute("aria-pressed", String(shown.has(name)));
      plot.setSeries(at + 1, { show: shown.has(name) });
    });
    toggles.append(button);
  });
  new ResizeObserver(() => plot.setSize(plotSize(holder, data))).observe(holder);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  holder.dataset.ready = "yes";
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.getElementById("find").focus();
  }
});
setUpPlot();
