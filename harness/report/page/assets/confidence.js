// A completion token by token, coloured by how unsure the model was, or by who wrote it; numbers on hover and by keyboard.

/** Tokens shown at first: more are a button away. */
const SHOWN_TOKENS = 2000;
/** The deepest colour; 0 is none. */
const DEEPEST = 5;
/**
 * Columns that say how sure a model was: from a number to doubt, 0 to 1, and back. Where numbers have
 * no end of their own, doubt is full at the highest one in view, and not before `least`.
 */
const CONFIDENCE = {
  probability: { doubt: (value) => 1 - value, at: (doubt) => 1 - doubt },
  top_probability: { doubt: (value) => 1 - value, at: (doubt) => 1 - doubt },
  entropy: { least: 1, doubt: (value, highest) => value / highest, at: (doubt, highest) => doubt * highest },
  rank: { least: 10, doubt: (value, highest) => Math.log(value) / Math.log(highest), at: (doubt, highest) => Math.round(highest ** doubt) },
};

/** Who wrote a token: 0 the model itself, else the number of the consultation that it comes from. */
const AUTHOR = "author";
/**
 * What asking an oracle at a token would have changed: 1 a wrong answer made right, -1 a right one wrong.
 * What it would have said stands before the token that it would not have said.
 */
const VALUE = "worth";

/** The colours of a column whose highest number in view is given; null where it says neither. */
function confidenceOf(column, highest) {
  // Two consultations in a row are told apart by their shades.
  if (column === AUTHOR) return { colour: (value) => (value === 0 ? "own" : `helped-${value % 2}`) };
  if (column === VALUE) return { colour: (value) => (value > 0 ? "helped-1" : value < 0 ? "doubt-5" : "own") };
  const name = (column ?? "").replace(/^drawn_/, "");
  if (!Object.hasOwn(CONFIDENCE, name)) return null;
  const known = CONFIDENCE[name];
  const end = Math.max(highest, known.least ?? 0);
  return {
    colour: (value) => `doubt-${Math.round(Math.max(0, Math.min(1, known.doubt(value, end))) * DEEPEST)}`,
    valueAt: (depth) => known.at(depth / DEEPEST, end),
  };
}

/** What each colour stands for. */
function confidenceLegend(column, scale) {
  if (column === AUTHOR) {
    const own = element("span", { class: "token own" }, "the model itself");
    const helped = element("span", { class: "token helped-1" }, "its oracle");
    return element("p", { class: "caption" }, "Tokens are coloured by who wrote them: ", element("span", { class: "doubts" }, own, helped));
  }
  if (column === VALUE) {
    const mended = element("span", { class: "token helped-1" }, "help here makes it right");
    const broken = element("span", { class: "token doubt-5" }, "help here makes it wrong");
    const other = element("span", { class: "instead" }, "what the oracle says instead");
    return element("p", { class: "caption" }, "Tokens are coloured by what asking there is worth: ", element("span", { class: "doubts" }, mended, broken, other));
  }
  const depths = Array.from({ length: DEEPEST + 1 }, (_, depth) => depth);
  const shown = depths.map((depth) => element("span", { class: `token doubt-${depth}` }, brief(scale.valueAt(depth))));
  return element("p", { class: "caption" }, `Tokens are coloured by ${column}, the deeper the less sure: `, element("span", { class: "doubts" }, ...shown));
}

/** The tokens of a draw, coloured by a column on its scale; `found` is its departure, if any. */
function tokensShown(own, column, scale, found) {
  const body = element("pre", { role: "group", "aria-label": `Completion, coloured by ${column}; arrow keys lead from token to token` });
  const joined = own.pieces.join("");
  const known = joined.startsWith(own.completion);
  const instead = new Map(column === VALUE ? own.instead ?? [] : []);
  let start = 0;
  const tokens = own.pieces.flatMap((piece, at) => {
    const end = start + piece.length;
    const beyond = known && start >= own.completion.length;
    const departs = known && found !== null && found.at !== null && (beyond ? found.at === start : start <= found.at && found.at < end);
    start = end;
    const token = element(departs ? "mark" : "span", {
      class: `token ${scale.colour(own.traces[column][at])}${beyond ? " beyond" : ""}`,
      "data-token": at,
      tabindex: at === 0 ? "0" : "-1",
      "aria-describedby": note.id,
    }, tokenText(piece));
    const said = instead.get(at);
    return said === undefined ? [token] : [element("span", { class: "instead", title: "what the oracle says instead" }, tokenText(said)), token];
  });
  body.append(...tokens.slice(0, SHOWN_TOKENS));
  if (tokens.length > SHOWN_TOKENS) {
    body.append(unfold(tokens.length - SHOWN_TOKENS, "more token", (button) => button.replaceWith(...tokens.slice(SHOWN_TOKENS))));
  }
  listen(body, (token) => showNote(token, ...numbersOf(own, Number(token.dataset.token))));
  return body;
}

/** One set of listeners for all tokens, of which there may be thousands. */
function listen(body, show) {
  const tokenOf = (event) => event.target.closest("[data-token]");
  const tell = (event) => (tokenOf(event) ? show(tokenOf(event)) : hideNote());
  body.addEventListener("mouseover", tell);
  body.addEventListener("mouseleave", hideNote);
  body.addEventListener("focusin", tell);
  body.addEventListener("focusout", hideNote);
  body.addEventListener("keydown", (event) => {
    const token = tokenOf(event);
    const tokens = body.querySelectorAll("[data-token]");
    const at = [...tokens].indexOf(token);
    const next = tokens[{ ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tokens.length - 1 }[event.key]];
    if (!token || !next) return;
    event.preventDefault();
    body.querySelector('[tabindex="0"][data-token]').setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  });
}

/** What a note says of a token: its place and text, then its numbers, rank and probability first. */
function numbersOf(own, at) {
  const names = [...new Set(["rank", "probability", ...Object.keys(own.traces)])].filter((name) => own.traces[name]?.[at] !== undefined);
  const lines = names.map((name) => {
    const { unit } = REPORT.columns[name] ?? {};
    return [name, `${brief(own.traces[name][at])}${unit ? ` ${unit}` : ""}`];
  });
  return [`token ${at + 1} ${visible(JSON.stringify(own.pieces[at])).textContent}`, lines];
}

/** A token's text; what would have no width has a sign. */
function tokenText(piece) {
  if (piece === "") return "▯";
  return /^\n+$/.test(piece) ? piece.replaceAll("\n", "↵\n") : visible(piece);
}

/** A whole number as it is, any other to three digits. */
function brief(value) {
  return `${Number.isInteger(value) ? value : Number(value.toPrecision(3))}`;
}
