// Dose-response curves: the metric over the dose, a line per combination of the other axes.

const CURVES_HEIGHT = 400;
const MARGIN = { left: 56, right: 20, top: 14, bottom: 50 };
/** With more curves than this, shaded bands would only cover each other. */
const MOST_BANDS = 4;

/**
 * The curves of an experiment at a width, as nodes. `visible` has the positions of the cases that
 * are drawn; `open` is called with the case that was chosen.
 */
function curvesDrawn(experiment, metric, visible, width, open) {
  const shown = (one) => one !== undefined && visible.has(one.position) && one.metrics?.[metric];
  const series = experiment.series
    .map((each, index) => ({ ...each, index, members: each.cases.map(caseAt).filter(shown) }))
    .filter((each) => each.members.length > 0);
  if (series.length === 0) return [emptyChart(metric)];
  const coloured = series.length <= COLOURS;
  if (experiment.series.length > COLOURS) series.forEach((each, index) => (each.index = index));

  const baselines = new Map();
  for (const each of series) {
    for (const at of each.baselines) if (caseAt(at)?.metrics?.[metric]) baselines.set(at, each);
  }
  const all = [...series.flatMap((each) => each.members), ...[...baselines.keys()].map(caseAt)];
  const [low, high] = rangeOf(all.map((one) => one.metrics[metric]));
  const y = scaleOf(low, high, CURVES_HEIGHT - MARGIN.bottom, MARGIN.top);
  const places = new Map(experiment.places);
  const spread = [...places.values()];
  const gap = spread.length > 1 ? Math.min(...spread.slice(1).map((at, i) => at - spread[i])) : 1;
  const edge = Math.max(0.04 * (Math.max(...spread) - Math.min(...spread)), 0.4 * gap);
  const [left, right] = [Math.min(...spread) - edge, Math.max(...spread) + edge];
  const x = scaleOf(left, right, MARGIN.left, width - MARGIN.right);

  const picture = drawing(width, CURVES_HEIGHT, `${metric} over ${experiment.doseAxis}`);
  picture.append(valueAxis(low, high, y, width, metric), doseAxis(experiment, places, x, width));
  const shared = series.length > 1 && baselines.size === 1;
  for (const [at, each] of baselines) {
    const style = shared || !coloured ? "baseline" : `baseline colour-${each.index}`;
    picture.append(baselineDrawn(caseAt(at), metric, y, width, style, coloured));
  }
  const points = [];
  series.forEach((each, order) => {
    const dodge = coloured ? (order - (series.length - 1) / 2) * Math.min(0.07, 0.4 / series.length) * gap : 0;
    const at = (one) => x(places.get(one.dose) + dodge);
    const group = shape("g", { class: coloured ? `curve colour-${each.index}` : "curve faint" });
    const values = each.members.map((one) => one.metrics[metric]);
    if (coloured && series.length <= MOST_BANDS) group.append(band(each.members, values, at, y));
    const path = each.members.map((one, i) => `${i ? "L" : "M"}${at(one)} ${y(values[i].value)}`);
    group.append(shape("path", { d: path.join(""), class: "line" }));
    const row = each.members.map((one) => {
      const point = pointDrawn(experiment, one, metric, at(one), y, each.index, open);
      if (experiment.leaves.includes(one.position) && coloured && metric === experiment.metric) {
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
  const legend = coloured
    ? curvesLegend(series, baselines, metric, shared)
    : element("p", { class: "hint" }, `${series.length} curves: point at one, or filter to at most ${COLOURS} to tell them by colour.`);
  return [legend, picture, curvesCaption(experiment, all, metric)];
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
    const text = `${Number(dose.toPrecision(6))}`;
    axis.append(line(x(place), bottom, x(place), bottom + 4, "rule strong"));
    if (x(place) - text.length * 4 < free) continue;
    free = x(place) + text.length * 4 + 8;
    axis.append(words(x(place), bottom + 18, text, "tick"));
  }
  const name = experiment.even ? `${experiment.doseAxis} (spaced evenly, not to scale)` : experiment.doseAxis;
  axis.append(words((MARGIN.left + width - MARGIN.right) / 2, CURVES_HEIGHT - 10, name, "axis"));
  return axis;
}

function baselineDrawn(one, metric, y, width, style, withBand) {
  const { value, ci_low, ci_high } = one.metrics[metric];
  const group = shape("g", { class: style });
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
function pointDrawn(experiment, one, metric, at, y, index, open) {
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
    shape("path", { d: MARKERS[index % MARKERS.length], transform: `translate(${at} ${y(value)})`, class: "marker" }),
  );
  explained(point, one.label, measured(one, metric));
  return point;
}

function curvesLegend(series, baselines, metric, shared) {
  const items = series.length < 2 ? [] : series.map((each) => {
    const key = shape("svg", { width: 30, height: 12, viewBox: "-15 -6 30 12", "aria-hidden": "true" });
    key.append(line(-15, 0, 15, 0, "line"), shape("path", { d: MARKERS[each.index % MARKERS.length], class: "marker" }));
    return element("li", { class: `curve colour-${each.index} key` }, key, each.label);
  });
  for (const [at, each] of baselines) {
    const { value, ci_low, ci_high } = caseAt(at).metrics[metric];
    const key = shape("svg", { width: 30, height: 12, viewBox: "-15 -6 30 12", "aria-hidden": "true" });
    key.append(line(-15, 0, 15, 0, "dashed"));
    const text = `${caseAt(at).label}: ${decimal(value)} ${bounds(ci_low, ci_high)}`;
    items.push(element("li", { class: `baseline key ${shared ? "" : `colour-${each.index}`}` }, key, text));
  }
  return element("ul", { class: "legend" }, ...items);
}

function curvesCaption(experiment, cases, metric) {
  const corrected = cases.some((one) => (one.versus_baseline?.[metric]?.p_holm ?? null) !== null);
  const which = corrected ? "corrected by Holm’s method" : "not corrected for the number of cases";
  const left = experiment.cases.filter((one) => one.status !== "complete").length;
  const missing = left ? ` Left out: ${counted(left, "case")}, not complete.` : "";
  return element("p", { class: "caption" },
    "Bars and bands: 95 % intervals. Dashed: baseline. ",
    `Filled: p < ${REPORT.significant} against the baseline, paired by sample, ${which}. `,
    experiment.leaves.length && metric === experiment.metric ? "Dotted: where the curve leaves it. " : "",
    "Point at a marker for its numbers, choose it for its samples.", missing);
}

function emptyChart(metric) {
  return element("p", { class: "empty" }, `No complete case with ${metric} to draw.`);
}
