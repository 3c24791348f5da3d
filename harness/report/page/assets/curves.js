// Dose-response curves: the metric over the dose, a line per combination of the other axes.

const CURVES_HEIGHT = 400;
const MARGIN = { left: 56, right: 20, top: 14, bottom: 50 };
/** About what a letter beside a mark takes. */
const SAID_WIDTH = 6;
/** With more curves than this, shaded bands would only cover each other. */
const MOST_BANDS = 4;
/** Of a no-effect dose's words, and how many of them have room below the curves. */
const LANE_ROW = 14;
const MOST_LANE_ROWS = 3;

/**
 * The curves of an experiment at a width, as nodes: metrics below each other, panel by panel.
 * `visible` has the positions of the cases that are drawn; `open` is called with the chosen one.
 */
function curvesDrawn(experiment, metrics, visible, width, open) {
  const seen = experiment.series.filter((each) => each.cases.some((at) => visible.has(at)));
  // A bundle that was filtered to few curves is one no more.
  const bundled = experiment.bundled && seen.length > COLOURS;
  const hued = experiment.bundled && !bundled && !experiment.ordered
    ? seen.map((each, index) => ({ ...each, hue: `var(--colour-${index})`, marker: index }))
    : seen;
  const panels = [...new Set(hued.map((each) => each.panel))];
  const nodes = panels.flatMap((panel) => [
    panel ? element("h3", { class: "panel" }, panel) : null,
    ...metrics.flatMap((metric, at) =>
      panelDrawn(experiment, hued.filter((each) => each.panel === panel), metric, { visible, width, open, bundled, named: at === 0 })),
  ]);
  if (nodes.length === 0) return [emptyChart(metrics[0])];
  return [...nodes.filter((node) => node !== null), curvesCaption(experiment, hued, metrics)];
}

/** One metric of the curves of a panel: what they are called, unless that was said above, and the picture. */
function panelDrawn(experiment, members, metric, { visible, width, open, bundled, named }) {
  const shown = (one) => one !== undefined && visible.has(one.position) && one.metrics?.[metric];
  const series = members
    .map((each) => ({ ...each, members: each.cases.map(caseAt).filter(shown) }))
    .filter((each) => each.members.length > 0);
  if (series.length === 0) return [emptyChart(metric)];

  const baselines = new Map();
  for (const each of series) {
    for (const at of each.baselines) if (caseAt(at)?.metrics?.[metric] && !baselines.has(at)) baselines.set(at, each);
  }
  const all = [...series.flatMap((each) => each.members), ...[...baselines.keys()].map(caseAt)];
  const [low, high] = rangeOf(all.map((one) => one.metrics[metric]));
  const y = scaleOf(low, high, CURVES_HEIGHT - MARGIN.bottom - (bundled ? 0 : laneOf(series, metric)), MARGIN.top);
  const places = new Map(experiment.places);
  const spread = [...places.values()];
  const gap = spread.length > 1 ? Math.min(...spread.slice(1).map((at, i) => at - spread[i])) : 1;
  const edge = Math.max(0.04 * (Math.max(...spread) - Math.min(...spread)), 0.4 * gap);
  const [left, right] = [Math.min(...spread) - edge, Math.max(...spread) + edge];
  const x = scaleOf(left, right, MARGIN.left, width - MARGIN.right);

  const picture = drawing(width, CURVES_HEIGHT, `${metric} over ${experiment.doseAxis}`);
  picture.append(valueAxis(low, high, y, width, metric), doseAxis(experiment, places, x, width));
  const levels = levelsOf(baselines, metric, series.length);
  for (const { at, hue } of levels) {
    picture.append(inHue(baselineDrawn(caseAt(at), metric, y, width, !bundled), bundled ? undefined : hue));
  }
  if (!bundled) {
    series.forEach((each, row) => {
      const own = (each.marks ?? []).filter((mark) => mark.metric === metric);
      for (const mark of own) {
        picture.append(inHue(shape("g", { class: "marks" }, ...markDrawn(mark, x, y, row, width)), mark.seeds ? undefined : each.hue));
      }
    });
  }
  const points = [];
  series.forEach((each, order) => {
    // On a numeric axis a marker beside its dose would be at another one: the lower ones are larger.
    const larger = experiment.even ? 0 : (series.length - 1 - order) / Math.max(series.length - 1, 1);
    const dodge = bundled || !experiment.even ? 0 : (order - (series.length - 1) / 2) * Math.min(0.07, 0.4 / series.length) * gap;
    const at = (one) => x(places.get(one.dose) + dodge);
    const called = { role: "group", "aria-label": each.name || metric };
    const group = inHue(shape("g", { class: `curve ${bundled ? "faint" : ""} ${each.control ? "control" : ""}`, ...called }), each.hue);
    const values = each.members.map((one) => one.metrics[metric]);
    if (!bundled && series.length <= MOST_BANDS) group.append(band(each.members, values, at, y));
    const path = each.members.map((one, i) => `${i ? "L" : "M"}${at(one)} ${y(values[i].value)}`);
    group.append(shape("path", { d: path.join(""), class: "line" }));
    const row = each.members.map((one) => {
      const point = pointDrawn(experiment, one, metric, at(one), y, { marker: each.marker, larger }, open);
      if (experiment.leaves.includes(one.position) && !bundled && metric === experiment.metric) {
        group.append(line(at(one), y(one.metrics[metric].value) + 8, at(one), y(low), "leaves"));
      }
      group.append(point);
      return point;
    });
    const highlight = (on) => () => group.classList.toggle("pointed", on);
    group.addEventListener("mouseenter", highlight(true));
    group.addEventListener("mouseleave", highlight(false));
    group.addEventListener("focusin", highlight(true));
    group.addEventListener("focusout", highlight(false));
    picture.append(group);
    points.push(row);
  });
  rovingRows(points);
  const legend = bundled
    ? element("p", { class: "hint" }, `${series.length} curves: point at one, or filter to at most ${COLOURS} to tell them by colour.`)
    : curvesLegend(named ? series : [], levels);
  return [legend, picture];
}

/** Room below the curves for no-effect doses, so that they are not said over what is drawn. */
function laneOf(series, metric) {
  const last = series.findLastIndex((each) => each.marks?.some((mark) => mark.metric === metric && mark.noel !== undefined));
  return LANE_ROW * Math.min(last + 1, MOST_LANE_ROWS);
}

/** Where doses are read from a curve: ED50 with its interval, the no-effect dose, the window, Hill's curve. */
function markDrawn(mark, x, y, row, width) {
  const [top, bottom] = [MARGIN.top, CURVES_HEIGHT - MARGIN.bottom];
  const span = (from, to, name) => shape("rect", { x: x(from), y: top, width: Math.max(x(to) - x(from), 1), height: bottom - top, class: name });
  const said = (at, y) => {
    const fits = at + 4 + mark.text.length * SAID_WIDTH < width;
    return fits ? words(at + 4, y, mark.text, "said") : words(at - 4, y, mark.text, "said left");
  };
  if (mark.hill !== undefined) {
    const path = mark.hill.map(([at, value], i) => `${i ? "L" : "M"}${x(at)} ${y(value)}`);
    return [shape("path", { d: path.join(""), class: "hill" })];
  }
  if (mark.noel !== undefined) {
    const at = x(mark.noel);
    return [shape("path", { d: `M${at} ${bottom - 9}l5 9h-10z`, class: "noel" }), said(at + 4, bottom - 8 - LANE_ROW * row)];
  }
  if (mark.from !== undefined) return [span(mark.from, mark.to, "window"), said(x(mark.from), (top + bottom) / 2)];
  return [span(mark.low, mark.high, "band"), line(x(mark.at), top, x(mark.at), bottom, "half"), said(x(mark.at), top + 8 + 14 * row)];
}

/** The node with everything in it in a hue. */
function inHue(node, hue) {
  if (hue !== undefined) node.style.setProperty("--hue", hue);
  return node;
}

/** Left and right along a curve, up and down to the nearest point of another. */
function rovingRows(rows) {
  const flat = rows.flat();
  const start = [];
  rows.reduce((sum, row, index) => ((start[index] = sum), sum + row.length), 0);
  const where = rows.flatMap((row, index) => row.map((_, at) => [index, at]));
  roving(flat, (at, key) => {
    const [row, column] = where[at];
    if (key === "ArrowLeft") return column > 0 ? at - 1 : undefined;
    if (key === "ArrowRight") return column + 1 < rows[row].length ? at + 1 : undefined;
    if (key === "Home") return start[row];
    if (key === "End") return start[row] + rows[row].length - 1;
    const other = key === "ArrowDown" ? row + 1 : key === "ArrowUp" ? row - 1 : -1;
    return rows[other] ? start[other] + Math.min(column, rows[other].length - 1) : undefined;
  });
}

function valueAxis(low, high, y, width, metric) {
  const { values, digits } = roundValues(low, high);
  const ticks = values.map((value) => [
    line(MARGIN.left, y(value), width - MARGIN.right, y(value), "rule"),
    words(MARGIN.left - 8, y(value), value.toFixed(digits), "tick end"),
  ]);
  const middle = (MARGIN.top + CURVES_HEIGHT - MARGIN.bottom) / 2;
  const title = words(0, 0, metric, "axis", { transform: `translate(14 ${middle}) rotate(-90)` });
  return shape("g", { "aria-hidden": "true" }, ...ticks.flat(), title);
}

function doseAxis(experiment, places, x, width) {
  const axis = shape("g", { "aria-hidden": "true" });
  let free = -Infinity;
  const bottom = CURVES_HEIGHT - MARGIN.bottom;
  for (const [dose, place] of places) {
    const text = doseText(dose);
    axis.append(line(x(place), bottom, x(place), bottom + 4, "rule strong"));
    if (x(place) - text.length * 4 < free) continue;
    free = x(place) + text.length * 4 + 8;
    axis.append(words(x(place), bottom + 18, text, "tick"));
  }
  if (experiment.broken !== null) {
    const at = x(experiment.broken);
    axis.append(shape("path", { d: `M${at - 5} ${bottom + 5}l4 -10m3 0l-4 10`, class: "broken" }));
  }
  const name = experiment.even ? `${experiment.doseAxis} (spaced evenly, not to scale)` : experiment.doseAxis;
  axis.append(words((MARGIN.left + width - MARGIN.right) / 2, CURVES_HEIGHT - 10, name, "axis"));
  return axis;
}

function baselineDrawn(one, metric, y, width, withBand) {
  const { value, ci_low, ci_high } = one.metrics[metric];
  const group = shape("g", { class: "baseline" });
  const [from, to] = [MARGIN.left, width - MARGIN.right];
  if (withBand && ci_low !== null && ci_low !== undefined) {
    const [top, height] = [y(ci_high), y(ci_low) - y(ci_high)];
    group.append(shape("rect", { x: from, y: top, width: to - from, height, class: "band" }));
  }
  group.append(line(from, y(value), to, y(value), "dashed"));
  return group;
}

function band(members, values, at, y) {
  const above = members.map((one, i) => `${at(one)} ${y(values[i].ci_high ?? values[i].value)}`);
  const below = members.map((one, i) => `${at(one)} ${y(values[i].ci_low ?? values[i].value)}`);
  return shape("path", { d: `M${above.join("L")}L${below.reverse().join("L")}z`, class: "band" });
}

/** A case on its curve: whisker and marker, filled where it differs significantly. */
function pointDrawn(experiment, one, metric, at, y, { marker, larger }, open) {
  const { value, ci_low, ci_high } = one.metrics[metric];
  const filled = isSignificant(one.versus_baseline?.[metric]);
  const point = shape("g", {
    class: filled ? "point significant" : "point",
    role: "button",
    "data-case": one.id,
    click: () => open(one),
    keydown: (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), open(one)),
  });
  if (ci_low !== null && ci_low !== undefined) {
    point.append(line(at, y(ci_low), at, y(ci_high), "whisker"), line(at, y(ci_low), at, y(ci_high), "reach"));
  }
  point.append(
    shape("circle", { cx: at, cy: y(value), r: 8, class: "reach" }),
    shape("path", { d: MARKERS[marker], transform: `translate(${at} ${y(value)}) scale(${1 + 0.7 * larger})`, class: "marker" }),
  );
  explained(point, one.label, measured(one, metric));
  return point;
}

/** Baselines as lines: those that say the same, to the digits shown, are one, which is no curve's own. */
function levelsOf(baselines, metric, curves) {
  const alike = Map.groupBy(baselines, ([at]) => valued(caseAt(at).metrics[metric]));
  return [...alike].map(([said, [[at, each], ...others]]) => {
    const shared = others.length > 0 || (curves > 1 && baselines.size === 1);
    const name = others.length ? `${others.length + 1} equal baselines` : caseAt(at).label;
    return { at, text: `${name}: ${said}`, hue: shared ? undefined : each.hue };
  });
}

function curvesLegend(series, levels) {
  const items = series.length < 2 ? [] : series.map((each) => {
    const key = shape("svg", { width: 30, height: 12, viewBox: "-15 -6 30 12", "aria-hidden": "true" });
    key.append(line(-15, 0, 15, 0, "line"), shape("path", { d: MARKERS[each.marker], class: "marker" }));
    return inHue(element("li", { class: `curve key ${each.control ? "control" : ""}` }, key, each.name), each.hue);
  });
  for (const { text, hue } of levels) {
    const key = shape("svg", { width: 30, height: 12, viewBox: "-15 -6 30 12", "aria-hidden": "true" });
    key.append(line(-15, 0, 15, 0, "dashed"));
    items.push(inHue(element("li", { class: "baseline key" }, key, text), hue));
  }
  return element("ul", { class: "legend" }, ...items);
}

function curvesCaption(experiment, series, metrics) {
  const compared = series.flatMap((each) => each.cases.map(caseAt)).flatMap((one) => metrics.map((name) => one.versus_baseline?.[name]));
  const which = decidingName(compared);
  const left = experiment.cases.filter((one) => one.status !== "complete").length;
  const missing = left ? ` Left out: ${counted(left, "case")}, not complete.` : "";
  return element("p", { class: "caption" },
    "Bars and bands: 95 % intervals. Dashed: baseline. ",
    series.length < 2 ? "" : experiment.even ? "Curves stand side by side at each dose. " : "Of markers over each other the first curve’s is the largest. ",
    series.some((each) => each.control) ? "Dotted curve: random control. " : "",
    `Filled: ${which} < ${REPORT.significant} against the baseline, paired by sample. `,
    series.some((each) => each.marks?.some((mark) => mark.noel !== undefined && metrics.includes(mark.metric))) ? "NOEL: Holm over the doses of its curve alone. " : "",
    experiment.leaves.length && metrics.includes(experiment.metric) ? "Upright dots: where the curve leaves its baseline. " : "",
    "Point at a marker for its numbers, choose it for its samples.", missing);
}

function emptyChart(metric) {
  return element("p", { class: "empty" }, `No complete case with ${metric} to draw.`);
}
