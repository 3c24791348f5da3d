// What the charts share: their frame, their markers, and drawing anew when their width changes.

/** Curves that are told by colour where a bundle of many was filtered; `--colour-0` to `-6`. */
const COLOURS = 7;

/** Outlines of the markers, about 10 pixels wide, so that curves differ without their colours. */
const MARKERS = [
  "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
  "M-4.5-4.5h9v9h-9z",
  "M0-5.5 5.8 0 0 5.5-5.8 0z",
  "M-5.2 4.2 0-5.4 5.2 4.2z",
  "M-5.2-4.2 0 5.4 5.2-4.2z",
  "M-5-2v4h3v3h4v-3h3v-4h-3v-3h-4v3z",
  "M4.2-5.2-5.4 0 4.2 5.2z",
];

/** A drawing of a size, said in words for those who do not see it. */
function drawing(width, height, label) {
  return shape("svg", {
    width,
    height,
    viewBox: `0 0 ${width} ${height}`,
    role: "group",
    "aria-label": label,
  });
}

function line(x1, y1, x2, y2, style) {
  return shape("line", { x1, y1, x2, y2, class: style });
}

function words(x, y, text, style, attributes = {}) {
  return shape("text", { x, y, class: style, ...attributes }, text);
}

/** Call `draw(width)` now, and again whenever the place's width has changed. */
function drawnToWidth(place, draw) {
  let last = 0;
  const watcher = new ResizeObserver(() => {
    const width = Math.floor(place.clientWidth);
    if (width === last || width === 0) return;
    last = width;
    place.replaceChildren(...draw(width));
  });
  watcher.observe(place);
  return { redraw: () => last && place.replaceChildren(...draw(last)) };
}
