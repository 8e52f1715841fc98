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

// Aliases as dashed lines at their versions, named at the top.
function aliasLines(aliases, ink) {
  return (plot) => {
    const { ctx, bbox } = plot;
    let row = -1;
    for (const [alias, version] of Object.entries(aliases)) {
      const x = plot.valToPos(version, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      row += 1;  // a line of its own for each name: neighbours would cover each other
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = ink;
      ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
      const right = x > bbox.left + bbox.width * 0.85;
      ctx.textAlign = right ? "right" : "left";
      ctx.fillText(alias, x + (right ? -5 : 5) * devicePixelRatio, bbox.top + (12 + 14 * row) * devicePixelRatio);
      ctx.restore();
    }
  };
}

function makePlot(holder, data, base, shown) {
  const names = Object.keys(data.series);
  const quiet = color("--quiet"), line = color("--line"), accent = color("--accent");
  const axis = { stroke: quiet, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
  const series = names.map((name, at) => {
    const stroke = color(`--s${(at % COLORS) + 1}`);
    const few = data.versions.length <= 60;
    return { label: name, stroke, width: 2, show: shown.has(name), spanGaps: true, points: { show: few, size: 7, fill: stroke } };
  });
  const whole = (plot, values) => values.map((value) => (Number.isInteger(value) ? String(value) : ""));
  const options = {
    width: holder.clientWidth,
    height: 260,
    scales: { x: { time: false, range: (plot, low, high) => [low - 0.5, high + 0.5] } },
    axes: [{ ...axis, values: whole }, { ...axis, size: 64 }],
    series: [{ label: "version", value: (plot, value) => value ?? "–" }, ...series],
    cursor: { focus: { prox: 24 }, points: { size: 9 } },
    hooks: { draw: [aliasLines(data.aliases, accent)] },
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
  new ResizeObserver(() => plot.setSize({ width: holder.clientWidth, height: 260 })).observe(holder);
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
