// A grid as a heatmap: any two coordinates, values coloured to scale or by named steps.

const SMALLEST_CELL = 7;
const LARGEST_CELL = 26;
/** Colours of the ramp, from pale to deep; in the style sheet, as light and dark differ. */
const RAMP = 9;

/** A grid with a choice of its layers, as a figure. */
function heatmap(grid) {
  const place = element("div", { class: "grid" });
  let layer = 0;
  const drawn = drawnToWidth(place, (width) => heatmapDrawn(grid, grid.layers[layer], width));
  const choice = grid.layers.length < 2 ? null : element("div", { class: "controls" },
    selection("Shown", grid.layers.map(({ name }, at) => [at, name]), 0, (at) => ((layer = Number(at)), drawn.redraw())));
  return element("figure", { class: "heatmap", "aria-label": grid.title }, element("h2", {}, grid.title), choice, place,
    element("figcaption", { class: "caption" }, grid.caption));
}

function heatmapDrawn(grid, layer, width) {
  const [rows, columns] = [grid.rows.length, grid.columns.length];
  const left = 30 + 7 * Math.max(...grid.rows.map((name) => name.length));
  const cell = Math.max(SMALLEST_CELL, Math.min(LARGEST_CELL, Math.floor((width - left - 4) / columns)));
  const [wide, high] = [left + columns * cell + 4, rows * cell + 40];
  const picture = drawing(wide, high, `${grid.title}: ${grid.row_axis} by ${grid.column_axis}`);
  const level = levels(grid);

  const axes = shape("g", { "aria-hidden": "true" });
  const every = Math.max(1, Math.ceil(14 / cell));
  const across = Math.max(1, Math.ceil((10 + 7 * Math.max(...grid.columns.map((name) => name.length))) / cell));
  grid.rows.forEach((name, at) => at % every === 0 && axes.append(words(left - 6, (at + 0.5) * cell, name, "tick end")));
  grid.columns.forEach((name, at) => at % across === 0 && axes.append(words(left + (at + 0.5) * cell, rows * cell + 14, name, "tick")));
  axes.append(words(0, 0, grid.row_axis, "axis", { transform: `translate(10 ${Math.max(20, (rows * cell) / 2)}) rotate(-90)` }));
  axes.append(words(left + (columns * cell) / 2, rows * cell + 34, grid.column_axis, "axis"));
  picture.append(axes);

  const cells = [];
  grid.rows.forEach((row, down) => grid.columns.forEach((column, along) => {
    const value = layer.values[down][along];
    const gap = cell > 12 ? 1 : 0.5;
    const square = shape("rect", {
      x: left + along * cell,
      y: down * cell,
      width: cell - gap,
      height: cell - gap,
      role: "img",
      class: value === null ? "cell none" : `cell ramp-${level(value)}`,
    });
    const said = value === null ? (grid.steps.length ? "never" : "nothing") : grid.steps[value] ?? decimal(value);
    explained(square, `${grid.row_axis} ${row}, ${grid.column_axis} ${column}`, [[grid.value, said]]);
    cells.push(square);
  }));
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  roving(cells, (at, key) => {
    const aside = key === "ArrowLeft" || key === "ArrowRight";
    const next = at + (moves[key] ?? NaN);
    return aside && Math.floor(next / columns) !== Math.floor(at / columns) ? undefined : next;
  });
  picture.append(...cells);
  return [element("div", { class: "scroll" }, picture), heatmapLegend(grid, level)];
}

/** A function from a value to its colour's number. */
function levels(grid) {
  if (grid.steps.length) {
    const last = Math.max(1, grid.steps.length - 1);
    // Early steps are deep: what is touched first is what stands out.
    return (value) => RAMP - 1 - Math.round((value / last) * (RAMP - 1));
  }
  const [low, high] = extremes(grid);
  const place = scaleOf(low, high, 0, RAMP - 1);
  return (value) => Math.round(place(value));
}

function extremes(grid) {
  const values = grid.layers.flatMap((layer) => layer.values.flat()).filter((value) => value !== null);
  return [Math.min(...values), Math.max(...values)];
}

function heatmapLegend(grid, level) {
  const key = (style, text) => element("li", { class: "key" },
    shape("svg", { width: 14, height: 14, "aria-hidden": "true" }, shape("rect", { width: 14, height: 14, class: style })), text);
  const items = grid.steps.length
    ? grid.steps.map((name, at) => key(`cell ramp-${level(at)}`, name))
    : rampKeys(grid).map(([at, text]) => key(`cell ramp-${at}`, text));
  const missing = grid.layers.some((layer) => layer.values.flat().includes(null));
  if (missing) items.push(key("cell none", grid.steps.length ? "never" : "nothing"));
  return element("ul", { class: "legend" }, element("li", {}, grid.value), ...items);
}

function rampKeys(grid) {
  const [low, high] = extremes(grid);
  const ends = [0, (RAMP - 1) / 2, RAMP - 1];
  return ends.map((at) => [at, decimal(low + ((high - low) * at) / (RAMP - 1))]);
}
