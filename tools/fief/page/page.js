"use strict";
/* The page's own script: it draws what the tables say, and filters both. No network, no library.
 * `state` is what the hash of the address keeps; each change of it draws everything again. */
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const moments = data.moments, last = moments.operation.length - 1;
  const state = { by: 0, only: -1, from: 0, to: last, q: "", sort: "", down: true };
  const filters = () => state.from > 0 || state.to < last;

  /* ---- words ---- */

  const group = (n) => Math.round(n).toLocaleString("en-US");
  const bytes = (n) => {
    const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let at = 0;
    for (; n >= 1024 && at < 4; at++) n /= 1024;
    return (at ? n.toFixed(1) : group(n)) + " " + units[at];
  };
  const short = (n) => n < 1e4 ? group(n) : n < 1e6 ? (n / 1e3).toFixed(1) + " k" :
    (n / 1e6).toFixed(1) + " M";
  const seconds = (us) => us < 1e6 ? (us / 1e3).toFixed(1) + " ms" : (us / 1e6).toFixed(2) + " s";
  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const series = (i) => color("--s" + i % 8);

  /* ---- a canvas ---- */

  const LEFT = 76, BOTTOM = 26, TOP = 8, RIGHT = 10;
  const surface = (id) => {
    const canvas = $(id), ratio = window.devicePixelRatio || 1;
    const w = canvas.clientWidth, h = canvas.clientHeight;
    canvas.width = w * ratio;
    canvas.height = h * ratio;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "12px system-ui, sans-serif";
    return { pen, w, h, left: LEFT, right: w - RIGHT, top: TOP, bottom: h - BOTTOM };
  };
  const text = (s, words, x, y, align, base) => {
    s.pen.fillStyle = color("--soft");
    s.pen.textAlign = align;
    s.pen.textBaseline = base;
    s.pen.fillText(words, x, y);
  };
  const rule = (s, x1, y1, x2, y2, ink, dash) => {
    s.pen.strokeStyle = ink;
    s.pen.setLineDash(dash || []);
    s.pen.beginPath();
    s.pen.moveTo(x1, y1);
    s.pen.lineTo(x2, y2);
    s.pen.stroke();
    s.pen.setLineDash([]);
  };
  const operationAt = (i) => moments.operation[i];
  const span = () => [state.from ? operationAt(state.from) : 0,
    state.to < last ? operationAt(state.to) : data.operations];
  const xOf = (s, operation) => {
    const [a, b] = span();
    return s.left + (operation - a) / Math.max(1, b - a) * (s.right - s.left);
  };
  const timeAxis = (s) => {
    const [a, b] = span(), steps = s.w < 500 ? 2 : 5;
    for (let i = 0; i <= steps; i++) {
      const at = a + (b - a) * i / steps, x = xOf(s, at);
      const align = i === 0 ? "left" : i === steps ? "right" : "center";
      text(s, group(at), x, s.bottom + 6, align, "top");
    }
  };
  const bytesAxis = (s, most) => {
    const yOf = (v) => s.bottom - v / Math.max(1, most) * (s.bottom - s.top);
    for (let i = 0; i <= 4; i++) {
      const v = most * i / 4;
      rule(s, s.left, yOf(v), s.right, yOf(v), color("--line"));
      text(s, bytes(v), s.left - 6, yOf(v), "right", i === 4 ? "top" : "middle");
    }
    return yOf;
  };
  /* Where the pointer is, as words; and `pick` for a tap or click. */
  const watch = (id, say) => {
    const canvas = $(id);
    canvas.addEventListener("pointermove", (e) => {
      const box = canvas.getBoundingClientRect();
      $(id + "-at").textContent = say(e.clientX - box.left, e.clientY - box.top, box) || "";
    });
    canvas.addEventListener("pointerleave", () => { $(id + "-at").textContent = ""; });
  };
  const share = (x, box) => Math.min(1, Math.max(0, (x - LEFT) / (box.width - RIGHT - LEFT)));
  const momentAt = (x, box) => {
    const [a, b] = span(), at = a + share(x, box) * (b - a);
    let i = state.from;
    while (i < state.to && operationAt(i) < at) i++;
    return i;
  };

  /* ---- live bytes ---- */

  const grouping = () => data.groupings[state.by];
  const shown = (i) => state.only < 0 || state.only === i;
  const drawLive = () => {
    const s = surface("live"), g = grouping(), sum = new Array(last + 1).fill(0);
    let most = 1;
    for (let m = state.from; m <= state.to; m++) {
      most = Math.max(most, g.values.reduce((n, v, i) => n + (shown(i) ? v[m] : 0), 0));
    }
    const yOf = bytesAxis(s, most);
    const point = (m, v) => s.pen.lineTo(xOf(s, operationAt(m)), yOf(v));
    g.values.forEach((values, i) => {
      if (!shown(i)) return;
      s.pen.fillStyle = series(i);
      s.pen.beginPath();
      for (let m = state.from; m <= state.to; m++) point(m, sum[m]);
      for (let m = state.to; m >= state.from; m--) {
        sum[m] += values[m];
        point(m, sum[m]);
      }
      s.pen.fill();
    });
    const [a, b] = span();
    for (const [operation, what] of data.remarks) {
      if (operation >= a && operation <= b) {
        const x = xOf(s, operation);
        rule(s, x, s.top, x, s.bottom, color(what === "mark" ? "--mark" : "--text"), [2, 3]);
      }
    }
    timeAxis(s);
    if (drag) {
      s.pen.fillStyle = color("--text");
      s.pen.globalAlpha = 0.2;
      const x = Math.min(drag.x, drag.to), wide = Math.abs(drag.to - drag.x);
      s.pen.fillRect(x, s.top, wide, s.bottom - s.top);
      s.pen.globalAlpha = 1;
    }
  };
  const sayMoment = (i) => {
    const g = grouping();
    const parts = g.values.map((v, j) => [v[i], g.series[j]]).filter((p) => p[0] > 0);
    parts.sort((p, q) => q[0] - p[0]);
    return "operation " + group(operationAt(i)) + ", " + seconds(moments.time[i]) + ": " +
      bytes(moments.bytes[i]) + " - " +
      parts.slice(0, 3).map((p) => p[1] + " " + bytes(p[0])).join(", ");
  };

  /* A range is whole slices, so that the tables can follow it. */
  let drag = null;
  const setRange = (from, to) => {
    const slice = data.slice_moments;
    state.from = Math.max(0, Math.floor(Math.min(from, to) / slice) * slice);
    state.to = Math.min(last, Math.ceil((Math.max(from, to) + 1) / slice) * slice - 1);
    if (state.to <= state.from) Object.assign(state, { from: 0, to: last });
    change();
  };
  const listenToLive = () => {
    const canvas = $("live"), place = (e) => e.clientX - canvas.getBoundingClientRect().left;
    canvas.addEventListener("pointerdown", (e) => {
      drag = { x: place(e), to: place(e) };
      canvas.setPointerCapture(e.pointerId);
    });
    canvas.addEventListener("pointermove", (e) => {
      if (drag) {
        drag.to = place(e);
        drawLive();
      }
    });
    canvas.addEventListener("pointerup", () => {
      const box = canvas.getBoundingClientRect(), done = drag;
      drag = null;
      if (done && Math.abs(done.to - done.x) > 6) {
        setRange(momentAt(done.x, box), momentAt(done.to, box));
      } else {
        drawLive();
      }
    });
    canvas.addEventListener("pointercancel", () => { drag = null; drawLive(); });
    canvas.addEventListener("keydown", (e) => {
      const step = data.slice_moments, way = { ArrowLeft: -step, ArrowRight: step }[e.key];
      if (e.key === "Escape") setRange(0, last);
      else if (way && e.shiftKey) setRange(state.from, state.to + way);
      else if (way && !filters()) setRange(way > 0 ? way : 0, way > 0 ? last : last + way);
      else if (way && state.from + way >= 0 && state.to + way <= last + step - 1) {
        setRange(state.from + way, state.to + way);
      } else return;
      e.preventDefault();
    });
    watch("live", (x, y, box) => sayMoment(momentAt(x, box)));
  };

  /* ---- the page map ---- */

  const unpacked = new Map();
  const columnsOf = (by) => {
    if (!unpacked.has(by)) {
      unpacked.set(by, data.map.columns[by].map((packed) =>
        packed.replace(/([a-zA-Z.])(\d+)/g, (_, letter, count) => letter.repeat(+count))));
    }
    return unpacked.get(by);
  };
  const ownerOf = (letter) => letter.toLowerCase().charCodeAt(0) - 97;
  const drawMap = () => {
    const s = surface("map"), columns = columnsOf(state.by), [a, b] = span();
    const high = (s.bottom - s.top) / Math.max(1, data.map.rows);
    columns.forEach((letters, c) => {
      const wide = data.operations / columns.length, began = c * wide, ended = began + wide;
      if (ended <= a || began >= b) return;
      const x1 = Math.max(s.left, xOf(s, began)), x2 = Math.min(s.right, xOf(s, ended));
      for (let row = 0; row < letters.length; row++) {
        const letter = letters[row];
        if (letter === "." || !shown(ownerOf(letter))) continue;
        s.pen.fillStyle = series(ownerOf(letter));
        s.pen.globalAlpha = letter < "a" ? 1 : 0.45;
        s.pen.fillRect(x1, s.bottom - (row + 1) * high, x2 - x1 + 0.5, Math.max(high, 0.7));
      }
    });
    s.pen.globalAlpha = 1;
    text(s, "high", s.left - 6, s.top, "right", "top");
    text(s, "low", s.left - 6, s.bottom, "right", "bottom");
    timeAxis(s);
  };
  const sayPage = (x, y, box) => {
    const columns = columnsOf(state.by), [a, b] = span(), at = a + share(x, box) * (b - a);
    const c = Math.min(columns.length - 1, Math.floor(at / data.operations * columns.length));
    const high = (box.height - BOTTOM - TOP) / Math.max(1, data.map.rows);
    const row = Math.floor((box.height - BOTTOM - y) / high), letter = columns[c][row];
    if (!letter) return "";
    return "operation " + group(at) + ", row " + (row + 1) + " of " + data.map.rows + ": " +
      (letter === "." ? "empty" : grouping().series[ownerOf(letter)] +
        (letter < "a" ? ", at least half in use" : ", less than half in use"));
  };

  /* ---- lifetimes ---- */

  const sliceRange = () => [Math.floor(state.from / data.slice_moments),
    Math.floor(state.to / data.slice_moments)];
  const agesNow = () => {
    const [a, b] = sliceRange(), sums = new Map();
    for (const [slice, size, age, blocks, n] of data.ages) {
      if (slice < a || slice > b) continue;
      const key = size * 64 + age, sum = sums.get(key) || { size, age, blocks: 0, bytes: 0 };
      sum.blocks += blocks;
      sum.bytes += n;
      sums.set(key, sum);
    }
    return [...sums.values()];
  };
  const ageScale = (s, cells) => {
    const sizes = cells.map((c) => c.size);
    const ages = cells.map((c) => c.age).filter((age) => age < data.alive);
    const low = Math.min(...sizes, 3), columns = Math.max(...sizes, 12) - low + 1;
    const rows = Math.max(...ages, 4) + 2, wide = (s.right - s.left) / columns;
    const high = (s.bottom - s.top) / rows;
    const rowOf = (age) => age === data.alive ? rows - 1 : age;
    return { low, columns, rows, wide, high, rowOf };
  };
  let ageGrid = null;
  const drawAges = () => {
    const s = surface("ages"), cells = agesNow(), k = ageGrid = ageScale(s, cells);
    ageGrid.cells = cells;
    const most = Math.max(1, ...cells.map((c) => c.blocks));
    for (const c of cells) {
      s.pen.fillStyle = series(0);
      s.pen.globalAlpha = 0.15 + 0.85 * Math.log(1 + c.blocks) / Math.log(1 + most);
      s.pen.fillRect(s.left + (c.size - k.low) * k.wide + 1,
        s.bottom - (k.rowOf(c.age) + 1) * k.high + 1, k.wide - 2, k.high - 2);
    }
    s.pen.globalAlpha = 1;
    for (let i = 0; i < k.columns; i += s.w < 500 ? 4 : 2) {
      text(s, bytes(2 ** (k.low + i)), s.left + i * k.wide, s.bottom + 6, "left", "top");
    }
    for (let i = 0; i < k.rows - 1; i += 4) {
      text(s, short(2 ** i) + " ops", s.left - 6, s.bottom - (i + 0.5) * k.high, "right", "middle");
    }
    text(s, "not freed", s.left - 6, s.top + k.high / 2, "right", "middle");
  };
  const sayAge = (x, y, box) => {
    if (!ageGrid) return "";
    const size = Math.floor((x - LEFT) / ageGrid.wide) + ageGrid.low;
    const row = Math.floor((box.height - BOTTOM - y) / ageGrid.high);
    const cell = ageGrid.cells.find((c) => c.size === size && ageGrid.rowOf(c.age) === row);
    if (!cell) return "";
    const end = cell.age === data.alive ? "alive at the end"
      : "dead within " + group(2 ** (cell.age + 1)) + " operations";
    return group(cell.blocks) + " blocks, " + bytes(cell.bytes) + ": from " + bytes(2 ** size) +
      ", " + end;
  };

  /* ---- units ---- */

  const unitRows = () => {
    const [a, b] = span();
    return data.units.filter((u) => u.ended >= a && u.began <= b);
  };
  const drawUnits = () => {
    if (!$("units-canvas")) return;
    const rows = unitRows(), ends = [], lanes = [];
    for (const u of rows) {
      let lane = ends.findIndex((end) => end < u.began);
      if (lane < 0) lane = ends.length;
      ends[lane] = u.ended;
      lanes.push(lane);
    }
    const tall = Math.max(3, ends.length) * 24 + TOP + BOTTOM;
    $("units-canvas").style.height = Math.min(288, tall) + "px";
    const s = surface("units-canvas");
    const high = Math.min(24, (s.bottom - s.top) / Math.max(1, ends.length));
    rows.forEach((u, i) => {
      const x1 = Math.max(s.left, xOf(s, u.began)), x2 = Math.min(s.right, xOf(s, u.ended));
      s.pen.fillStyle = series(u.escaped ? 4 : 2);
      s.pen.fillRect(x1, s.top + lanes[i] * high + 1, Math.max(1.5, x2 - x1), high - 2);
    });
    timeAxis(s);
  };
  const sayUnit = (x, y, box) => {
    const [a, b] = span(), at = a + share(x, box) * (b - a), near = (b - a) / box.width * 3;
    const u = unitRows().find((row) => row.began - near <= at && row.ended + near >= at);
    if (!u) return "";
    return "unit " + u.number + " " + u.name + ": " + group(u.died) + " blocks died together, " +
      bytes(u.bytes) + (u.escaped ? "; " + group(u.escaped) + " escaped" : "");
  };

  /* ---- waste ---- */

  const drawWaste = () => {
    const s = surface("waste"), held = moments.held.map((n) => n * data.page_bytes);
    let most = 1;
    for (let m = state.from; m <= state.to; m++) most = Math.max(most, held[m], moments.bytes[m]);
    const yOf = bytesAxis(s, most);
    const line = (values, ink, dash) => {
      s.pen.strokeStyle = ink;
      s.pen.lineWidth = 2;
      s.pen.setLineDash(dash);
      s.pen.beginPath();
      for (let m = state.from; m <= state.to; m++) {
        s.pen.lineTo(xOf(s, operationAt(m)), yOf(values[m]));
      }
      s.pen.stroke();
      s.pen.lineWidth = 1;
      s.pen.setLineDash([]);
    };
    line(held, series(4), [6, 4]);
    line(moments.bytes, series(0), []);
    timeAxis(s);
  };
  const sayWaste = (x, y, box) => {
    const i = momentAt(x, box), held = moments.held[i] * data.page_bytes;
    const idle = held ? (100 - 100 * moments.bytes[i] / held).toFixed(0) : 0;
    return "operation " + group(operationAt(i)) + ": " + bytes(moments.bytes[i]) +
      " alive in pages of " + bytes(held) + ", " + idle + " % of them idle";
  };

  /* ---- the sites ---- */

  const body = $("site-rows"), rows = [...body.rows];
  const number = (row, column) => +row.cells[column].dataset.v;
  const valueOf = (cell) =>
    cell.dataset.v === undefined ? cell.textContent.trim() : +cell.dataset.v;
  const BLOCKS = 3, MADE = 4;
  rows.forEach((row) => { row.whole = [number(row, BLOCKS), number(row, MADE)]; });
  const followRange = () => {
    const [a, b] = sliceRange(), sums = new Map();
    for (const [place, slice, blocks, n] of filters() ? data.shares : []) {
      if (slice < a || slice > b) continue;
      const sum = sums.get(place) || [0, 0];
      sums.set(place, [sum[0] + blocks, sum[1] + n]);
    }
    for (const row of rows) {
      const [blocks, made] = filters() ? sums.get(+row.dataset.place) || [0, 0] : row.whole;
      row.cells[BLOCKS].dataset.v = blocks;
      row.cells[BLOCKS].textContent = group(blocks);
      row.cells[MADE].dataset.v = made;
      row.cells[MADE].textContent = bytes(made);
    }
  };
  const filterRows = () => {
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const label = row.textContent.toLowerCase();
      const fits = words.every((word) => label.includes(word)) &&
        (!filters() || number(row, BLOCKS) > 0);
      row.hidden = !fits;
      count += fits;
    }
    $("site-count").textContent = group(count) + " of " + group(rows.length) + " sites" +
      (filters() ? "; blocks and bytes are those made in the chosen time" : "");
  };
  const sortRows = () => {
    const heads = [...document.querySelectorAll("#sites th")];
    const at = heads.findIndex((th) => th.dataset.name === state.sort);
    heads.forEach((th, i) => th.setAttribute("aria-sort",
      i === at ? (state.down ? "descending" : "ascending") : "none"));
    if (at < 0) return;
    const value = (row) => valueOf(row.cells[at]);
    const way = state.down ? -1 : 1;
    rows.sort((p, q) => {
      const x = value(p), y = value(q);
      return way * (typeof x === "string" ? x.localeCompare(y) : x - y);
    });
    body.append(...rows);
  };
  const save = (name, kind, content) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type: kind }));
    link.download = data.file.replace(/.*\//, "") + name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  const visibleTable = () => rows.filter((row) => !row.hidden).map((row) =>
    [...row.cells].map(valueOf));
  const names = () => [...document.querySelectorAll("#sites th")].map((th) => th.dataset.name);
  const quoted = (v) => typeof v === "number" ? v : '"' + v.replace(/"/g, '""') + '"';
  const saveCsv = () => save(".csv", "text/csv",
    [names(), ...visibleTable()].map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n");
  const saveJson = () => {
    const heads = names();
    const objects = visibleTable().map((line) =>
      Object.fromEntries(line.map((v, i) => [heads[i], v])));
    save(".json", "application/json", JSON.stringify(objects, null, 1));
  };

  /* ---- legend, buttons, hash ---- */

  const makeLegend = () => {
    const box = $("legend");
    box.replaceChildren(...grouping().series.map((name, i) => {
      const b = document.createElement("button");
      b.className = "chip" + (shown(i) ? "" : " off");
      b.style.setProperty("--chip", "var(--s" + i % 8 + ")");
      b.textContent = name;
      b.setAttribute("aria-pressed", String(state.only === i));
      b.addEventListener("click", () => {
        state.only = state.only === i ? -1 : i;
        change();
        $("legend").children[i].focus();
      });
      return b;
    }));
    document.querySelectorAll("[data-by]").forEach((b) =>
      b.setAttribute("aria-pressed", String(+b.dataset.by === state.by)));
  };
  const sayRange = () => {
    const [a, b] = span();
    $("range").textContent =
      filters() ? "operations " + group(a) + " to " + group(b) : "all of the trace";
    $("all").disabled = !filters();
  };
  const writeHash = () => {
    const parts = { by: state.by || "", only: state.only < 0 ? "" : state.only,
      from: state.from || "", to: state.to < last ? state.to : "", q: state.q,
      sort: state.sort ? (state.down ? "-" : "") + state.sort : "" };
    const hash = Object.entries(parts).filter((p) => p[1] !== "").map((p) =>
      p[0] + "=" + encodeURIComponent(p[1])).join("&");
    try {
      history.replaceState(null, "", "#" + hash);
    } catch (_) { /* some browsers refuse it for a file */ }
  };
  const readHash = () => {
    const from = new URLSearchParams(location.hash.slice(1));
    const whole = (name, otherwise, most) => {
      const n = parseInt(from.get(name) || "", 10);
      return n >= 0 && n <= most ? n : otherwise;
    };
    state.by = whole("by", data.first, data.groupings.length - 1);
    state.only = whole("only", -1, grouping().series.length - 1);
    state.from = whole("from", 0, last);
    state.to = whole("to", last, last);
    if (state.from >= state.to) Object.assign(state, { from: 0, to: last });
    state.q = from.get("q") || "";
    const sort = from.get("sort") || "";
    state.down = sort.startsWith("-") || sort === "";
    state.sort = sort.replace(/^-/, "");
    $("search").value = state.q;
  };
  const draw = () => {
    drawLive();
    drawMap();
    drawAges();
    drawUnits();
    drawWaste();
  };
  const change = () => {
    makeLegend();
    sayRange();
    draw();
    followRange();
    filterRows();
    sortRows();
    writeHash();
  };
  const theme = (name) => {
    document.documentElement.dataset.theme = name;
    try {
      localStorage.setItem("fief-theme", name);
    } catch (_) { /* no storage: the choice lasts as long as the page */ }
    draw();
  };
  const listen = () => {
    document.querySelectorAll("[data-by]").forEach((b) => b.addEventListener("click", () => {
      Object.assign(state, { by: +b.dataset.by, only: -1 });
      change();
    }));
    $("all").addEventListener("click", () => setRange(0, last));
    $("search").addEventListener("input", (e) => {
      state.q = e.target.value;
      filterRows();
      writeHash();
    });
    document.querySelectorAll("#sites th button").forEach((b) => b.addEventListener("click", () => {
      const name = b.parentElement.dataset.name;
      Object.assign(state, { down: state.sort === name ? !state.down : true, sort: name });
      sortRows();
      writeHash();
    }));
    $("csv").addEventListener("click", saveCsv);
    $("json").addEventListener("click", saveJson);
    $("theme").addEventListener("click", () => {
      const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
      theme(dark ? "light" : "dark");
    });
    window.addEventListener("hashchange", () => { readHash(); change(); });
    window.addEventListener("resize", draw);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    watch("map", sayPage);
    watch("ages", sayAge);
    watch("waste", sayWaste);
    if ($("units-canvas")) watch("units-canvas", sayUnit);
  };

  document.body.classList.add("script");
  try {
    const kept = localStorage.getItem("fief-theme");
    if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
  } catch (_) { /* as above */ }
  readHash();
  listenToLive();
  listen();
  change();
  document.body.dataset.ready = "1";
})();
