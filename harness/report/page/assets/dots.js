// Experiments without a dose: a line per case with its interval, in the order of the table.

const DOT_ROW = 22;
/** More lines than this are a list, not a picture; the table beside has them all. */
const MOST_DOTS = 60;

/** The cases as dots at a width, as nodes. `cases` come in the order to draw them. */
function dotsDrawn(experiment, metric, cases, width, open) {
  const complete = cases.filter((one) => one.metrics?.[metric]);
  if (complete.length === 0) return [emptyChart(metric)];
  const shown = complete.slice(0, MOST_DOTS);
  const [low, high] = rangeOf(complete.map((one) => one.metrics[metric]));
  const left = Math.min(0.42 * width, 12 + 6.6 * Math.max(...shown.map((one) => one.label.length)));
  const x = scaleOf(low, high, left + 8, width - 20);
  const bottom = 8 + shown.length * DOT_ROW;
  const picture = drawing(width, bottom + 52, `${metric} of each case`);

  const { values, digits } = roundValues(low, high);
  const axis = shape("g", { "aria-hidden": "true" });
  for (const value of values) {
    axis.append(line(x(value), 4, x(value), bottom, "rule"));
    axis.append(words(x(value), bottom + 18, value.toFixed(digits), "tick"));
  }
  axis.append(words((left + width) / 2, bottom + 40, metric, "axis"));
  picture.append(axis);

  const fits = Math.floor(left / 6.6);
  const rows = shown.map((one, row) => {
    const y = 8 + (row + 0.5) * DOT_ROW;
    const { value, ci_low, ci_high } = one.metrics[metric];
    const filled = isSignificant(one.versus_baseline?.[metric]);
    const point = shape("g", {
      class: `point ${filled ? "significant" : ""}`,
      role: "button",
      "data-case": one.id,
      click: () => open(one),
      keydown: (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), open(one)),
    });
    if (ci_low !== null && ci_low !== undefined) {
      point.append(line(x(ci_low), y, x(ci_high), y, "whisker"), line(x(ci_low), y, x(ci_high), y, "reach"));
    }
    const marker = one.isBaseline ? MARKERS[2] : MARKERS[0];
    point.append(
      shape("circle", { cx: x(value), cy: y, r: 11, class: "reach" }),
      shape("path", { d: marker, transform: `translate(${x(value)} ${y})`, class: "marker" }),
    );
    explained(point, one.label, measured(one, metric));
    const label = one.label.length > fits ? `${one.label.slice(0, fits - 1)}…` : one.label;
    picture.append(words(left, y, label, "tick end", { "aria-hidden": "true" }));
    picture.append(shape("g", { class: one.isBaseline ? "curve grey" : "curve colour-0" }, point));
    return point;
  });
  roving(rows, (at, key) => ({ ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 })[key]);
  const more = complete.length - shown.length;
  return [picture, element("p", { class: "caption" },
    "Bars: 95 % intervals. Diamond: baseline. ",
    `Filled: ${decidingName(complete.map((one) => one.versus_baseline?.[metric]))} < ${REPORT.significant} against the baseline. `,
    more > 0 ? `The first ${shown.length} of ${complete.length} cases; sort or filter the table to see others.` : "")];
}
