// One sample: its prompt, and its completions side by side with their departures marked.

/** Characters shown at first of an equal beginning (its end) and of what follows. */
const SHOWN_EQUAL = 6000;
const SHOWN_REST = 20000;
/** Completions shown at first: more are a button away. */
const SHOWN_CARDS = 24;
/** Not seen otherwise, or able to reorder what is seen: control and direction characters, halves. */
const INVISIBLE = /[\0-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\p{Cs}]/gu;

/** The draws of one sample by case, from a chunk: rows become objects, positions texts. */
function drawsOf(chunk, sample) {
  const texts = new Set(["prompt", "completion", "finish_reason", "error", "detail"]);
  const draws = new Map();
  for (const [at, rows] of Object.entries(chunk.samples[sample])) {
    draws.set(Number(at), rows.map((row) => Object.fromEntries(REPORT.row.map((name, column) => {
      const value = row[column];
      return [name, texts.has(name) && value !== null ? chunk.texts[value] : value];
    }))));
  }
  return draws;
}

/** Names of the numbers per token that a draw has in some of the cases given. */
function columnsOf(cases, draws, draw) {
  const rows = cases.map((one) => draws.get(one.position)?.find((each) => each.draw === draw));
  return [...new Set(rows.flatMap((row) => Object.keys(row?.traces ?? {})))];
}

/**
 * The cards of one draw over the cases given, as nodes; `marked` is the case to point out, `column`
 * the numbers per token to show, to one scale for all cards, and `values` what metrics say in a case.
 */
function comparison(cases, draws, draw, marked, column, values) {
  const own = (one) => draws.get(one?.position)?.find((each) => each.draw === draw);
  const present = cases.filter(own);
  const prompts = [...new Set(present.map((one) => own(one).prompt))];
  const numbers = present.flatMap((one) => own(one).traces?.[column] ?? []);
  const range = numbers.reduce(([low, high], each) => [Math.min(low, each), Math.max(high, each)], [0, 0]);
  const scale = confidenceOf(column, range[1]);
  const cards = present.map((one) => card(one, own(one), own(caseAt(one.baseline)), prompts, one.id === marked, column, range, scale, values(one)));
  const row = element("div", { class: "cards", tabindex: "0", role: "region", "aria-label": "Completions, side by side" }, ...cards.slice(0, SHOWN_CARDS));
  const rest = cards.slice(SHOWN_CARDS);
  const more = rest.length === 0 ? null : element("button", {
    type: "button",
    click: () => (row.append(...rest), more.remove()),
  }, `Show ${counted(rest.length, "more completion")}`);
  const { summary, unit } = REPORT.columns[column] ?? {};
  const key = !summary ? null : element("p", { class: "caption" }, `${column}: ${summary}${unit ? `, in ${unit}` : ""}. A bar per token, to one scale.`);
  return [...prompts.map((prompt, at) => promptShown(prompt, prompts.length > 1 ? at + 1 : null)), key, scale && present.some((one) => isColoured(own(one), column)) ? confidenceLegend(column, scale) : null, row, more];
}

function promptShown(prompt, number) {
  const title = number === null ? "Prompt" : `Prompt ${number}`;
  return element("details", { class: "prompt", open: true }, element("summary", {}, title), excerpt(prompt, SHOWN_REST));
}

function card(one, own, base, prompts, marked, column, range, scale, values) {
  const label = one.isBaseline ? "baseline" : one.dose === undefined ? one.label : doseLabel(one);
  const change = base ? changeOf(own, base) : null;
  const found = base ? departureOf(own, base) : null;
  const head = element("header", {},
    element("h5", {}, label),
    element("p", {}, verdictShown(own), change ? element("span", { class: `change ${change}` }, CHANGES[change]) : null));
  const tokens = `${counted(own.tokens, "token")}, ended by ${own.finish_reason}`;
  const lines = [found?.words, own.error ?? own.detail, tokens];
  if (prompts.length > 1) lines.push(`prompt ${prompts.indexOf(own.prompt) + 1}`);
  const style = ["card", one.isBaseline ? "baseline" : "", found?.kind === "equal" ? "equal" : "", marked ? "marked" : ""];
  return element("article", { class: style.filter(Boolean).join(" "), "aria-label": one.label, "data-case": one.id }, head,
    ...lines.filter(Boolean).map((said, at) => element("p", { class: at === 0 && found ? "departs" : "said" }, visible(said))),
    values.length === 0 ? null : element("dl", { class: "values" }, ...values.map(([name, said]) => element("div", {}, element("dt", {}, name), element("dd", {}, said)))),
    own.traces?.[column] ? columnShown(column, own.traces[column], range, own.pieces) : null,
    scale && isColoured(own, column) ? tokensShown(own, column, scale, found) : completionShown(own.completion, found));
}

/** Whether each token of a draw has a text and a number to colour it by. */
function isColoured(own, column) {
  return Boolean(own.traces?.[column]) && own.pieces?.length === own.traces[column].length;
}

/**
 * Numbers per token: a bar for each, from 0 up or down, as high as its share of the range; `pieces`
 * are the tokens' texts, where the report has them.
 */
function columnShown(name, values, [low, high], pieces) {
  const [step, height] = [5, 24];
  const { unit } = REPORT.columns[name] ?? {};
  const scale = (value) => (high > low ? (value / (high - low)) * height : 0);
  const zero = scale(high);
  const bars = values.map((value, at) => {
    const long = Math.abs(scale(value));
    const bar = shape("rect", { x: at * step, y: value < 0 ? zero : zero - long, width: step - 1, height: Math.max(long, 0.5) });
    const piece = pieces?.[at] === undefined ? "" : ` ${visible(JSON.stringify(pieces[at])).textContent}`;
    bar.append(shape("title", {}, `token ${at + 1}${piece}: ${value.toFixed(3)}${unit ? ` ${unit}` : ""}`));
    return bar;
  });
  const said = `${name}: ${values.map((value) => value.toFixed(2)).join(" ")}`;
  const drawn = shape("svg", { class: "trace", width: values.length * step, height: height + 0.5, role: "img", "aria-label": said }, ...bars);
  const lowest = Math.min(0, ...values);
  const most = lowest < 0 ? `down to ${lowest.toFixed(2)}` : `up to ${Math.max(0, ...values).toFixed(2)}`;
  return element("div", { class: "traced" }, element("p", { class: "said" }, `${name}, ${most}`), drawn);
}

function doseLabel(one) {
  const axis = EXPERIMENT_OF.get(one.position).doseAxis ?? "dose";
  return `${axis.split(".").pop()} = ${doseText(one.dose)}`;
}

const CHANGES = { worse: "broke", better: "mended" };

/** Whether a draw's verdict changed for the worse or the better; null where it did not. */
function changeOf(own, base) {
  if (own.correct === base.correct) return null;
  return own.correct ? "better" : "worse";
}

function verdictShown(own) {
  if (own.correct === null && !own.error) return element("span"); // there was nothing to be right about
  const words = own.error ? "refused" : !own.parsed ? "not parsed" : own.correct ? "right" : "wrong";
  return element("span", { class: `verdict ${own.correct ? "right" : "wrong"}` }, words);
}

/** A completion: what equals the baseline is quiet, the first departure is marked. */
function completionShown(text, found) {
  if (found === null) return excerpt(text, SHOWN_REST);
  const body = element("pre");
  const at = found.at ?? text.length;
  const equal = element("span", { class: "equal" });
  const start = Math.max(0, at - SHOWN_EQUAL);
  if (start > 0) body.append(unfold(start, "equal character", (button) => button.replaceWith(element("span", { class: "equal" }, visible(text.slice(0, start))))));
  equal.append(visible(text.slice(start, at)));
  body.append(equal);
  if (found.at === null) return body;
  const first = text.slice(at, at + String.fromCodePoint(text.codePointAt(at) ?? 32).length);
  const sign = { "": "∎", "\n": "↵\n" }[first] ?? first;
  body.append(element("mark", { title: "first departure from the baseline" }, visible(sign)));
  appendFolded(body, text.slice(at + first.length), SHOWN_REST);
  return body;
}

/** Text of which the first part is shown at once. */
function excerpt(text, length) {
  const body = element("pre");
  appendFolded(body, text, length);
  return body;
}

function appendFolded(body, text, length) {
  body.append(visible(text.slice(0, length)));
  if (text.length > length) {
    body.append(unfold(text.length - length, "more character", (button) => button.replaceWith(visible(text.slice(length)))));
  }
}

function unfold(number, noun, show) {
  const button = element("button", { type: "button", class: "unfold", click: () => show(button) }, `show ${counted(number, noun)}`);
  return button;
}

/** Text with what cannot be seen made visible, as a fragment. */
function visible(text) {
  const fragment = document.createDocumentFragment();
  let end = 0;
  for (const found of text.matchAll(INVISIBLE)) {
    const code = found[0].codePointAt(0);
    const name = `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
    const sign = code < 0x20 ? String.fromCodePoint(0x2400 + code) : code === 0x7f ? "␡" : name;
    fragment.append(text.slice(end, found.index), element("span", { class: "invisible", title: name }, sign));
    end = found.index + found[0].length;
  }
  fragment.append(text.slice(end));
  return fragment;
}
