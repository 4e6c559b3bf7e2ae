"use strict";
(() => {
  const root = document.documentElement;
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const PRINT_SIZE_PX = { width: 680, height: 340 };
  const THEME_KEY = "frod_bench.theme";
  const BAND_OPACITY = 0.14;
  let printing = false;

  // Tables: a click on a column head sorts each group of rows; headings and means stay.

  const NUMBER = /^[+\-]?(\d+\.?\d*(e[+\-]?\d+)?)/;

  function numberOf(cell) {
    if ("value" in cell.dataset) return cell.dataset.value === "" ? NaN : Number(cell.dataset.value);
    const text = cell.textContent.trim().replaceAll(",", "").replace("\u2212", "-");
    const found = NUMBER.exec(text);
    return found ? Number(found[0]) : NaN;
  }

  function compare(a, b, sign) {
    if (Number.isNaN(a.number) && Number.isNaN(b.number)) return sign * a.text.localeCompare(b.text);
    if (Number.isNaN(a.number)) return 1; // cells without a number come last in either direction
    if (Number.isNaN(b.number)) return -1;
    return sign * (a.number - b.number);
  }

  function sortGroup(body, column, sign) {
    const free = [...body.rows].filter((row) => !("fixed" in row.dataset));
    const entries = free.map((row) => {
      const cell = row.cells[column];
      return { row, number: numberOf(cell), text: cell.textContent.trim() };
    });
    if (sign === 0) entries.sort((a, b) => a.row.dataset.order - b.row.dataset.order);
    else entries.sort((a, b) => compare(a, b, sign));
    const places = free.map((row) => {
      const place = document.createComment("");
      row.replaceWith(place);
      return place;
    });
    places.forEach((place, i) => place.replaceWith(entries[i].row));
  }

  function onSort(event) {
    const head = event.currentTarget.closest("th");
    const table = head.closest("table");
    const numeric = [...table.querySelectorAll("tbody tr:not([data-fixed])")].some(
      (row) => !Number.isNaN(numberOf(row.cells[head.cellIndex])),
    );
    const turns = numeric ? ["descending", "ascending", null] : ["ascending", "descending", null];
    const next = turns[(turns.indexOf(head.getAttribute("aria-sort")) + 1) % turns.length];
    for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
    if (next) head.setAttribute("aria-sort", next);
    const sign = { descending: -1, ascending: 1 }[next] ?? 0;
    for (const body of table.tBodies) sortGroup(body, head.cellIndex, sign);
  }

  for (const table of document.querySelectorAll("table:has(.sort)")) {
    table.querySelectorAll("tbody tr").forEach((row, i) => { row.dataset.order = i; });
  }
  for (const button of document.querySelectorAll(".sort")) button.addEventListener("click", onSort);

  // Charts: the page holds figures as JSON; the chosen one is drawn in the page's colours.

  function isDark() {
    if (printing) return false;
    return root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches;
  }

  function resolved(name) {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const color = getComputedStyle(probe).color;
    probe.remove();
    return color;
  }

  function faint(color) {
    const parts = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
    return `rgba(${parts.join(",")},${BAND_OPACITY})`;
  }

  function painted(figure, hidden) {
    const paper = isDark() ? "dark" : "light";
    const { data, layout } = structuredClone(figure);
    const [ink, muted, grid, raised] = ["--ink", "--muted", "--line", "--raised"].map(resolved);
    for (const trace of data) {
      if (hidden.has(trace.name)) trace.visible = false;
      if (!trace.meta) continue;
      const color = trace.meta[paper];
      if (trace.line?.color) trace.line.color = color;
      if (trace.marker) trace.marker.color = color;
      if (trace.error_y) trace.error_y.color = color;
      if (trace.fill) trace.fillcolor = faint(color);
    }
    layout.font = { color: ink, family: getComputedStyle(document.body).fontFamily, size: 13 };
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: muted, activecolor: ink };
    layout.hoverlabel = { bgcolor: raised, bordercolor: grid, font: { color: ink } };
    for (const axis of [layout.xaxis, layout.yaxis]) {
      Object.assign(axis, { gridcolor: grid, linecolor: muted, tickcolor: muted });
    }
    Object.assign(layout.xaxis, { spikecolor: muted, spikethickness: 1, spikedash: "solid" });
    for (const shape of layout.shapes ?? []) shape.line.color = muted;
    for (const note of layout.annotations ?? []) note.font = { color: muted, size: 12 };
    if (matchMedia("(pointer: coarse)").matches) layout.dragmode = false; // a swipe scrolls the page
    if (printing) Object.assign(layout, { autosize: false, ...PRINT_SIZE_PX });
    return { data, layout };
  }

  const charts = [...document.querySelectorAll(".chart")].map((element) => ({
    element,
    charts: JSON.parse(document.getElementById(element.dataset.charts).textContent),
    plot: element.querySelector(".plot"),
    picks: [...element.querySelectorAll("select")],
    boxes: [...element.querySelectorAll("input[type=checkbox]")],
  }));

  function draw(chart) {
    const name = chart.picks.map((pick) => pick.value).join("/");
    const { figure, caption, text } = chart.charts[name];
    const hidden = new Set(chart.boxes.filter((box) => !box.checked).map((box) => box.value));
    const { data, layout } = painted(figure, hidden);
    chart.element.querySelector(".in-words").textContent = text;
    chart.element.querySelector("figcaption").textContent = caption;
    Plotly.react(chart.plot, data, layout, {
      responsive: true,
      displaylogo: false,
      modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
      toImageButtonOptions: { format: "svg", filename: name.replaceAll("/", "_") },
    });
    // A text below describes its marks and ticks; its buttons stay.
    for (const svg of chart.plot.querySelectorAll(".main-svg")) svg.setAttribute("aria-hidden", "true");
  }

  const drawAll = () => charts.forEach(draw);
  for (const chart of charts) {
    for (const control of [...chart.picks, ...chart.boxes]) {
      control.addEventListener("change", () => draw(chart));
    }
  }

  // Colours: the system's, unless the reader picks others; the choice is stored if the browser allows.

  const themes = document.querySelector(".theme");
  function setTheme(theme) {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    drawAll();
  }
  function stored() {
    try {
      return localStorage.getItem(THEME_KEY);
    } catch {
      return null;
    }
  }
  themes.hidden = false;
  themes.addEventListener("change", (event) => {
    setTheme(event.target.value);
    try {
      localStorage.setItem(THEME_KEY, event.target.value);
    } catch {
      // Without storage the reader chooses again next time.
    }
  });
  const kept = themes.querySelector(`input[value="${stored() ?? "auto"}"]`);
  if (kept) kept.checked = true;
  setTheme(kept?.value ?? "auto");
  systemDark.addEventListener("change", drawAll);

  // Print: unfold everything, and draw charts as wide as the paper.

  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open]):not(.noprint)")];
    for (const details of folded) details.open = true;
    printing = true;
    drawAll();
  });
  addEventListener("afterprint", () => {
    for (const details of folded) details.open = false;
    printing = false;
    drawAll();
  });
})();
