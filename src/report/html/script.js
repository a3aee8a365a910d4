"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "style") node.style.cssText = value;
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  };

  // Numbers as the pictures write them.
  const grouped = (text) => text.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  const fixed = (x, digits) => {
    const [whole, part] = Math.abs(x).toFixed(digits).split(".");
    const tail = part ? part.replace(/0+$/, "") : "";
    return (x < 0 && (whole !== "0" || tail) ? "-" : "") + grouped(whole) + (tail ? "." + tail : "");
  };
  const three = (x) => fixed(x, Math.abs(x) < 9.995 ? 2 : Math.abs(x) < 99.95 ? 1 : 0);
  const mean = (x) => (Number.isInteger(x) ? fixed(x, 0) : three(x));
  const bytes = (x) => {
    if (x < 1024) return Math.round(x) + " B";
    let value = x;
    for (const unit of ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]) {
      value /= 1024;
      if (value < 1023.5 || unit === "EiB") return three(value) + " " + unit;
    }
  };
  const span = (s) => {
    if (!(s > 0)) return "0 s";
    if (s < 0.001) return "< 1 ms";
    if (s < 0.9995) return fixed(s * 1000, 0) + " ms";
    if (s < 59.95) return mean(Math.round(s * 100) / 100) + " s";
    const whole = Math.round(s);
    const two = (big, bigName, small, smallName) => {
      const rest = Math.floor((whole % big) / small);
      return grouped(String(Math.floor(whole / big))) + " " + bigName + (rest ? " " + rest + " " + smallName : "");
    };
    if (whole < 3600) return two(60, "min", 1, "s");
    if (whole < 86400) return two(3600, "h", 60, "min");
    return two(86400, "d", 3600, "h");
  };
  const percent = (x) => {
    const p = x * 100;
    if (p === 0) return "0 %";
    if (Math.abs(p) < 0.05) return "< 0.1 %";
    if (p >= 99.5 && p < 100) return fixed(Math.min(p, 99.9), 1) + " %";
    return fixed(p, Math.abs(p) < 9.95 ? 1 : 0) + " %";
  };
  const show = {
    count: (x) => mean(Math.round(x * 100) / 100),
    number: (x) => String(x),
    share: percent,
    bytes,
    cores: (x) => mean(Math.round(x) / 1000),
    seconds: span,
  };

  // Light and dark.
  const root = document.documentElement;
  const button = $("theme");
  const dark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const name = () => { button.textContent = dark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); });
  name();

  // Values under the pointer, or under the arrow keys.
  const SVG = "http://www.w3.org/2000/svg";
  const nearest = (xs, x, steps) => {
    let low = 0;
    let high = xs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (xs[middle] <= x) low = middle; else high = middle - 1;
    }
    if (!steps && low + 1 < xs.length && xs[low + 1] - x < x - xs[low]) low += 1;
    return low;
  };
  for (const figure of document.querySelectorAll("figure[data-figure]")) {
    const panels = (data.figures || {})[figure.dataset.figure] || [];
    if (!panels.length) continue;
    const svg = figure.querySelector("svg");
    const tip = make("div", { class: "tip" });
    const spoken = make("div", { class: "hide", role: "status" });
    figure.append(tip, spoken);
    const layer = svg.appendChild(document.createElementNS(SVG, "g"));
    layer.setAttribute("pointer-events", "none");
    svg.setAttribute("tabindex", "0");
    let place = { panel: 0, share: 1 };
    const hide = () => { layer.replaceChildren(); tip.style.display = "none"; };
    const draw = (announce) => {
      const panel = panels[place.panel];
      const [left, top, right, bottom] = panel.frame;
      const wanted = panel.x.low + place.share * (panel.x.high - panel.x.low);
      const found = panel.lines.filter((l) => l.x.length).map((l) => {
        const i = nearest(l.x, wanted, panel.steps);
        const flat = (j) => l.y[i] === l.y[j] && Math.min(l.x[i], l.x[j]) <= wanted && wanted <= Math.max(l.x[i], l.x[j]);
        return { line: l, x: flat(i - 1) || flat(i + 1) ? wanted : l.x[i], y: l.y[i] };
      });
      if (!found.length) return;
      const anchor = found.reduce((a, b) => (Math.abs(b.x - wanted) < Math.abs(a.x - wanted) ? b : a)).x;
      const toX = (x) => left + ((x - panel.x.low) / (panel.x.high - panel.x.low)) * (right - left);
      const toY = (y) => bottom - ((y - panel.y.low) / (panel.y.high - panel.y.low)) * (bottom - top);
      layer.replaceChildren();
      const rule = layer.appendChild(document.createElementNS(SVG, "line"));
      const x = Math.min(Math.max(toX(anchor), left), right);
      for (const [k, v] of Object.entries({ x1: x, x2: x, y1: top, y2: bottom, stroke: "var(--ink)", "stroke-width": 2, "stroke-dasharray": "6 6" })) rule.setAttribute(k, v);
      for (const f of found) {
        const dot = layer.appendChild(document.createElementNS(SVG, "circle"));
        for (const [k, v] of Object.entries({ cx: toX(f.x), cy: toY(f.y), r: 8, fill: f.line.colour, stroke: "var(--paper)", "stroke-width": 3 })) dot.setAttribute(k, v);
      }
      found.sort((a, b) => b.y - a.y);
      tip.replaceChildren(make("b", {}, `${panel.name} at ${show[panel.x.kind](anchor)}`));
      for (const f of found) {
        const late = Math.abs(f.x - anchor) > (panel.x.high - panel.x.low) / 50 ? ` (${show[panel.x.kind](f.x)})` : "";
        tip.append(make("span", {}, make("i", { style: `--c:${f.line.colour}` }, f.line.name + late), make("b", {}, show[panel.y.kind](f.y))));
      }
      tip.style.display = "block";
      const box = svg.getBoundingClientRect();
      const outer = figure.getBoundingClientRect();
      const scale = box.width / svg.viewBox.baseVal.width;
      const at = box.left - outer.left + x * scale;
      const free = outer.width - tip.offsetWidth;
      tip.style.left = Math.max(0, Math.min(free, at + 14 + tip.offsetWidth > outer.width ? at - tip.offsetWidth - 14 : at + 14)) + "px";
      tip.style.top = box.top - outer.top + top * scale + "px";
      if (announce) spoken.textContent = tip.innerText.replace(/\s+/g, " ");
    };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const x = (event.clientX - box.left) * scale;
      const y = (event.clientY - box.top) * scale;
      const index = panels.findIndex(({ frame: [l, t, r, b] }) => x >= l - 12 && x <= r + 12 && y >= t - 12 && y <= b + 12);
      if (index < 0) return hide();
      const [l, , r] = panels[index].frame;
      place = { panel: index, share: Math.min(1, Math.max(0, (x - l) / (r - l))) };
      draw(false);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -0.02, ArrowRight: 0.02, PageDown: -0.1, PageUp: 0.1 }[event.key];
      if (move) place.share = Math.min(1, Math.max(0, place.share + move));
      else if (event.key === "Home") place.share = 0;
      else if (event.key === "End") place.share = 1;
      else if (event.key === "ArrowDown") place.panel = (place.panel + 1) % panels.length;
      else if (event.key === "ArrowUp") place.panel = (place.panel + panels.length - 1) % panels.length;
      else if (event.key === "Escape") return hide();
      else return;
      event.preventDefault();
      draw(true);
    });
    const caption = figure.querySelector("figcaption");
    caption.append("Point at a line, or focus the picture and use the arrow keys.");

    // The same as tables, made when somebody asks.
    const values = make("details", {}, make("summary", {}, "The values as a table"));
    values.addEventListener("toggle", () => {
      if (!values.open || values.querySelector("table")) return;
      for (const panel of panels.filter((p) => p.lines.some((l) => l.x.length))) {
        const rows = [...Array(21).keys()].map((i) => panel.x.low + (i / 20) * (panel.x.high - panel.x.low));
        const at = (line, x) => {
          if (!line.x.length || x < line.x[0] || x > line.x[line.x.length - 1] + 1e-9) return "-";
          return show[panel.y.kind](line.y[nearest(line.x, x, panel.steps)]);
        };
        const head = make("tr", {}, make("th", { scope: "col" }, "At"), ...panel.lines.map((l) => make("th", { scope: "col", class: "n" }, l.name)));
        const body = rows.map((x) => make("tr", {}, make("th", { scope: "row" }, show[panel.x.kind](x)), ...panel.lines.map((l) => make("td", { class: "n" }, at(l, x)))));
        const table = make("table", {}, make("caption", {}, panel.name), make("thead", {}, head), make("tbody", {}, ...body));
        values.append(make("div", { class: "scroll" }, table));
      }
      reachable();
    });
    figure.append(values);
  }

  // Tables that sort, filter and turn pages.
  const grid = (host, label, PAGE, columns, rows, keep) => {
    let sorted = -1;
    let up = true;
    let page = 0;
    const head = make("tr");
    const body = make("tbody");
    const count = make("span", { role: "status" });
    const back = make("button", { type: "button" }, "Previous");
    const next = make("button", { type: "button" }, "Next");
    const table = make("table", { "aria-label": label }, make("thead", {}, head), body);
    const draw = () => {
      const shown = rows.filter(keep);
      if (sorted >= 0) {
        const by = columns[sorted].by;
        const missing = (v) => v === null || v === undefined || v === "";
        shown.sort((a, b) => {
          const [x, y] = [by(a), by(b)];
          if (missing(x) || missing(y)) return missing(x) - missing(y);
          const order = typeof x === "number" ? x - y : x < y ? -1 : x > y ? 1 : 0;
          return up ? order : -order;
        });
      }
      page = Math.max(0, Math.min(page, Math.ceil(shown.length / PAGE) - 1));
      const from = page * PAGE;
      body.replaceChildren(...shown.slice(from, from + PAGE).map((row) =>
        make("tr", {}, ...columns.map((c, i) => make(i ? "td" : "th", { ...(i ? {} : { scope: "row" }), ...(c.number ? { class: "n" } : c.className ? { class: c.className } : {}) }, c.cell(row))))));
      const to = Math.min(shown.length, from + PAGE);
      count.textContent = shown.length ? `${grouped(String(from + 1))} to ${grouped(String(to))} of ${grouped(String(shown.length))}` : "nothing matches";
      back.disabled = page === 0;
      next.disabled = to >= shown.length;
    };
    columns.forEach((column, i) => {
      const th = make("th", { scope: "col", class: column.number ? "n" : "" });
      th.append(make("button", { type: "button", onclick: () => {
        up = sorted === i ? !up : true;
        sorted = i;
        [...head.children].forEach((h) => h.removeAttribute("aria-sort"));
        th.setAttribute("aria-sort", up ? "ascending" : "descending");
        draw();
      } }, column.name));
      head.append(th);
    });
    back.addEventListener("click", () => { page -= 1; draw(); });
    next.addEventListener("click", () => { page += 1; draw(); });
    host.append(make("div", { class: "scroll" }, table), make("div", { class: "bar" }, back, next, count));
    return () => { page = 0; draw(); };
  };
  const choice = (label, options) => {
    const select = make("select", {}, ...options.map(([value, text]) => make("option", { value }, text)));
    return [make("label", {}, label, select), select];
  };
  const search = (label) => {
    const input = make("input", { type: "search" });
    return [make("label", {}, label, input), input];
  };
  const variants = (data.variants || []).map((v, i) => [String(i), v]);

  // Nodes.
  if ($("node-table")) {
    const host = $("node-table");
    const [variantLabel, variant] = choice("Variant", variants);
    const [stateLabel, state] = choice("Out of", [["", "anything"], ...data.states.map((s, i) => [String(i), s.text])]);
    const [nameLabel, name] = search("Name");
    host.append(make("div", { class: "bar" }, variantLabel, stateLabel, nameLabel));
    const rows = data.nodes.flatMap((v, i) => v.rows.map((r) => ({ v: i, name: r[0], zone: r[1], first: r[2], at: r[3], cpu: r[4], bound: r[5], states: r[6] })));
    const strip = (row) => {
      const stops = [];
      for (let i = 0; i < row.states.length; i += 2) {
        const from = (row.states[i] / data.end) * 100;
        const to = i + 2 < row.states.length ? (row.states[i + 2] / data.end) * 100 : 100;
        stops.push(`${data.states[row.states[i + 1]].colour} ${from.toFixed(2)}% ${to.toFixed(2)}%`);
      }
      const words = row.states.length / 2 > 6 ? `${row.states.length / 2} changes` : row.states.reduce((all, _, i, list) => (i % 2 ? all : [...all, `${span(list[i])} ${data.states[list[i + 1]].text}`]), []).join(", ");
      return make("div", { class: "strip", role: "img", "aria-label": words, title: words, style: `background:linear-gradient(90deg,${stops.join(",")})` });
    };
    const redraw = grid(host, "Nodes", 25, [
      { name: "Node", className: "name", by: (r) => r.name, cell: (r) => r.name },
      { name: "Zone", by: (r) => r.zone, cell: (r) => r.zone },
      { name: "Out of", by: (r) => (r.first ? r.first : null), cell: (r) => (r.first ? data.states[r.first].text : "-") },
      { name: "Since", number: true, by: (r) => r.at, cell: (r) => (r.at === null ? "-" : span(r.at)) },
      { name: "Stranded CPU", number: true, by: (r) => r.cpu, cell: (r) => show.cores(r.cpu) },
      { name: "Disk bound", number: true, by: (r) => r.bound, cell: (r) => (r.bound === null ? "-" : percent(r.bound)) },
      { name: "Over time", by: (r) => r.at, cell: strip },
    ], rows, (r) => r.v === +variant.value && (!state.value || r.first === +state.value) && r.name.includes(name.value.trim()));
    for (const control of [variant, state, name]) control.addEventListener("input", redraw);
    redraw();
  }

  // Stuck pods.
  if ($("pod-table")) {
    const host = $("pod-table");
    const [variantLabel, variant] = choice("Variant", [["", "all"], ...variants]);
    const [reasonLabel, reason] = choice("Message", [["", "any"], ...data.reasons.map((r, i) => [String(i), r.length > 60 ? r.slice(0, 60) + "…" : r])]);
    const [nameLabel, name] = search("Name");
    host.append(make("div", { class: "bar" }, variantLabel, reasonLabel, nameLabel));
    const rows = data.pods.map((p) => ({ v: p[0], name: p[1], cause: p[2], binding: p[3], pending: p[4], reason: p[5] }));
    const redraw = grid(host, "Stuck pods", 12, [
      { name: "Pod", className: "name", by: (r) => r.name, cell: (r) => r.name },
      { name: "Variant", by: (r) => r.v, cell: (r) => data.variants[r.v] },
      { name: "Cause", by: (r) => r.cause, cell: (r) => r.cause },
      { name: "By binding", by: (r) => r.binding, cell: (r) => (r.binding ? "yes" : "no") },
      { name: "Waiting", number: true, by: (r) => r.pending, cell: (r) => (r.pending === null ? "-" : span(r.pending)) },
      { name: "Last message", className: "msg", by: (r) => r.reason, cell: (r) => make("div", { class: "clamp", title: data.reasons[r.reason] }, data.reasons[r.reason]) },
    ], rows, (r) => (!variant.value || r.v === +variant.value) && (!reason.value || r.reason === +reason.value) && r.name.includes(name.value.trim()));
    for (const control of [variant, reason, name]) control.addEventListener("input", redraw);
    for (const pick of document.querySelectorAll("button[data-reason]")) {
      pick.addEventListener("click", () => {
        variant.value = pick.dataset.variant;
        reason.value = pick.dataset.reason;
        redraw();
        host.scrollIntoView({ block: "start" });
        reason.focus({ preventScroll: true });
      });
    }
    redraw();
  }

  // Failures and recoveries.
  if ($("incident-table")) {
    const host = $("incident-table");
    const [variantLabel, variant] = choice("Variant", [["", "all"], ...variants]);
    const [kindLabel, kind] = choice("What", [["", "anything"], ...data.kinds.map((k, i) => [String(i), k])]);
    const [nameLabel, name] = search("Name");
    host.append(make("div", { class: "bar" }, variantLabel, kindLabel, nameLabel));
    const colours = ["vermilion", "vermilion", "ink", "ink", "ink", "blue", "green"].map((c) => `var(--${c})`);
    const rows = data.incidents.map((r) => ({ v: r[0], at: r[1], until: r[2], kind: r[3], name: r[4], pods: r[5], bytes: r[6], lost: r[7] }));
    const lasted = (r) => (r.until === null ? data.end : r.until) - r.at;
    const strip = (r) => {
      const from = Math.min((r.at / data.end) * 100, 99.5);
      const wide = Math.min((lasted(r) / data.end) * 100, 100 - from);
      const words = `${span(r.at)} to ${r.until === null ? "the end" : span(r.until)} of ${span(data.end)}`;
      return make("div", { class: "strip thin", role: "img", "aria-label": words, title: words, style: `--c:${colours[r.kind]}` }, make("i", { style: `left:${from.toFixed(2)}%;width:${wide.toFixed(2)}%` }));
    };
    const amount = (r) => [r.pods ? `${show.count(r.pods)} ${r.pods === 1 ? "pod" : "pods"}` : "", r.bytes === null ? "" : bytes(r.bytes), r.lost === null ? "" : `${span(r.lost)} of writes`].filter(Boolean).join(", ") || "-";
    const redraw = grid(host, "Failures and recoveries", 15, [
      { name: "Object", className: "name", by: (r) => r.name, cell: (r) => r.name },
      { name: "What", by: (r) => r.kind, cell: (r) => data.kinds[r.kind] },
      { name: "Variant", by: (r) => r.v, cell: (r) => data.variants[r.v] },
      { name: "From", number: true, by: (r) => r.at, cell: (r) => span(r.at) },
      { name: "For", number: true, by: lasted, cell: (r) => (r.until === r.at ? "-" : r.until === null ? `${span(lasted(r))}, not over` : span(lasted(r))) },
      { name: "Of what", by: (r) => r.pods, cell: amount },
      { name: "On the time line", by: (r) => r.at, cell: strip },
    ], rows, (r) => (!variant.value || r.v === +variant.value) && (!kind.value || r.kind === +kind.value) && r.name.includes(name.value.trim()));
    for (const control of [variant, kind, name]) control.addEventListener("input", redraw);
    redraw();
  }

  // Estimates of a sweep.
  if ($("estimate-table")) {
    const host = $("estimate-table");
    const named = new Map(data.estimates.map((r) => [r[2], r[3]]));
    const [variantLabel, variant] = choice("Variant", [["", "all"], ...data.variants.map((v) => [v, v])]);
    const [metricLabel, metric] = choice("Metric", [["", "all"], ...named]);
    const [pointLabel, point] = search("Point");
    host.append(make("div", { class: "bar" }, variantLabel, metricLabel, pointLabel));
    const short = (x) => (x === null || x === undefined ? "-" : Math.abs(x) >= 1e6 ? x.toExponential(3) : String(+x.toPrecision(6)));
    const half = (x, middle) => (x === null || x === undefined ? "" : ` ± ${Math.abs(x) < 1e-9 * Math.abs(middle) ? 0 : +x.toPrecision(3)}`);
    const redraw = grid(host, "Means and differences", 30, [
      { name: "Point", by: (r) => r[0], cell: (r) => r[0] },
      { name: "Variant", by: (r) => r[1], cell: (r) => r[1] },
      { name: "Metric", by: (r) => r[2], cell: (r) => r[2] },
      { name: "Mean", number: true, by: (r) => r[4], cell: (r) => short(r[4]) + half(r[5], r[4]) },
      { name: "Difference", number: true, by: (r) => r[6], cell: (r) => short(r[6]) + half(r[7], r[6]) },
    ], data.estimates, (r) => (!variant.value || r[1] === variant.value) && (!metric.value || r[2] === metric.value) && r[0].includes(point.value.trim()));
    for (const control of [variant, metric, point]) control.addEventListener("input", redraw);
    if (named.has("pods.stuck")) metric.value = "pods.stuck";
    redraw();
  }

  // Filters of tables that are in the page already.
  for (const input of document.querySelectorAll("input[data-filters]")) {
    const rows = [...$(input.dataset.filters).tBodies[0].rows];
    input.addEventListener("input", () => {
      const text = input.value.trim().toLowerCase();
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(text);
    });
  }

  // What scrolls sideways can be reached with the keyboard.
  function reachable() {
    for (const box of document.querySelectorAll(".scroll")) {
      const wide = box.scrollWidth > box.clientWidth;
      if (wide === box.hasAttribute("tabindex")) continue;
      const section = box.closest("section");
      const heading = section && section.querySelector("h2");
      for (const [key, value] of [["tabindex", "0"], ["role", "group"], ["aria-label", `Table, scrolls sideways: ${heading ? heading.textContent : ""}`]]) {
        if (wide) box.setAttribute(key, value); else box.removeAttribute(key);
      }
    }
  }
  reachable();
  window.addEventListener("resize", reachable);
})();
