// The sample browser: which samples broke, and what became of each.

/** What a sample can be looked for by; each tells from `state` over the cases in question. */
const SHOWN = {
  all: ["all samples", () => true],
  worse: ["broken: worse than the baseline", (states) => states.some((state) => state === "worse")],
  better: ["mended: better than the baseline", (states) => states.some((state) => state === "better")],
  parted: ["departed, verdict the same", (states) => states.some((state) => state === "parted")],
  equal: ["always equal to the baseline", (states) => states.every((state) => state === "equal")],
  unread: ["not parsed, or refused", (states, unread) => unread],
};
/** What the first two are called where neither direction of the metric is better. */
const UNDIRECTED = { worse: "lower than the baseline", better: "higher than the baseline" };
/** A state as a sign of one character, so that colours are not needed to tell them apart. */
const SIGNS = { worse: "×", better: "+", parted: "~", equal: "·", missing: " ", alone: " " };
/** Signs in the list: of more cases than this the first ones are shown. */
const MOST_SIGNS = 40;
/** Signs that fit beside the sample's name; more stand small below it. */
const DENSE = 14;
/** Rows in the list; more are a matter for the filters. */
const MOST_ROWS = 2000;

/** The browser of an experiment; `go(place)` shows a place of the address and ends when it does. */
function sampleBrowser(experiment, index, number) {
  const rows = new Map(index.samples.map((sample, at) => [sample, at]));
  const place = { experiment: experiment.name, series: null, show: "all", sort: "", at: null, sample: null, draw: null, tokens: null };
  let words = "";
  let listed = [];
  const controls = element("div", { class: "controls" });
  const count = element("output", { class: "count", "aria-live": "polite" });
  const list = element("ul", { class: "list", role: "listbox", tabindex: "0", "aria-label": "Samples", keydown: move });
  const detail = element("div", { class: "sample" });
  const search = searchField("Find", "sample id", (text) => ((words = text), drawList()));

  const good = experiment.good[experiment.metric];
  const undirected = good === "neither" ? UNDIRECTED : {};
  // Of a property that a spec asks for, its extremes are what one comes to see.
  const usual = experiment.asked.includes(experiment.metric) ? `-${experiment.metric}` : "";
  const sortable = experiment.metrics.filter((name) => !(name in experiment.constant));

  const series = () => experiment.series.find((each) => each.label === place.series) ?? experiment.series[0];
  const compared = () => series().cases.map(caseAt);

  /** What became of a sample in a case, against the case's baseline. */
  function state(one, at) {
    const own = index.cases[one.position];
    const base = index.cases[one.baseline];
    if (!own?.draws[at]) return "missing";
    if (!base?.draws[at]) return "alone";
    if (own.value[at] === null || base.value[at] === null) return "missing";
    const change = (own.value[at] - base.value[at]) * (good === "lower" ? -1 : 1);
    return change < 0 ? "worse" : change > 0 ? "better" : own.parted[at] ? "parted" : "equal";
  }

  /** Whether a sample is worse in some case: what one comes to see. */
  function isBroken(sample) {
    return compared().some((one) => state(one, rows.get(sample)) === "worse");
  }

  /** The cases that the filters speak of. */
  const chosenCases = () => place.at === null ? compared() : compared().filter((one) => one.id === place.at);
  /** The metric that the list is sorted by, and its direction: 1 from the lowest, -1 from the highest. */
  const sorting = () => place.sort.startsWith("-") ? [place.sort.slice(1), -1] : [place.sort, 1];

  /** A sample's mean value of a metric over the cases chosen; null where it has none. */
  function valueOf(metric, at) {
    const values = chosenCases().map((one) => index.cases[one.position]?.metrics?.[metric]?.[at]).filter((value) => value !== null && value !== undefined);
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
  }

  function listedSamples() {
    const cases = chosenCases();
    const found = index.samples.filter((sample, at) => {
      if (!sample.toLowerCase().includes(words)) return false;
      const unread = cases.some((one) => index.cases[one.position]?.unread[at]);
      return SHOWN[place.show][1](cases.map((one) => state(one, at)), unread);
    });
    const [metric, direction] = sorting();
    return metric === "" ? found : found.sort(ordering((sample) => valueOf(metric, rows.get(sample)), direction));
  }

  function drawControls() {
    const choose = (name, value) => ((place[name] = value), drawControls(), drawList());
    const parts = [];
    if (experiment.series.length > 1) {
      const options = experiment.series.map(({ label }) => [label, label || "all"]);
      parts.push(selection("Cases", options, series().label, (label) => ((place.at = null), choose("series", label))));
    }
    parts.push(selection("Show", Object.entries(SHOWN).map(([key, [text]]) => [key, undirected[key] ?? text]), place.show, (key) => choose("show", key)));
    const orders = sortable.flatMap((name) => [[`-${name}`, `${name}, highest first`], [name, `${name}, lowest first`]]);
    if (orders.length > 0) parts.push(selection("Sort by", [["", "order of the task"], ...orders], place.sort, (order) => choose("sort", order)));
    const at = [["", "any"], ...compared().map((one) => [one.id, one.dose === undefined ? one.label : doseLabel(one)])];
    if (compared().length > 1) parts.push(selection("at", at, place.at ?? "", (id) => choose("at", id || null)));
    controls.replaceChildren(...parts, search, count);
  }

  function drawList() {
    listed = listedSamples();
    const all = index.samples.length;
    count.textContent = listed.length === all ? counted(all, "sample") : `${listed.length.toLocaleString("en")} of ${counted(all, "sample")}`;
    const cases = compared().slice(0, MOST_SIGNS);
    list.replaceChildren(...listed.slice(0, MOST_ROWS).map((sample, at) => item(sample, at, cases)));
    if (listed.length === 0) list.append(element("li", { class: "empty" }, "No sample matches."));
    if (listed.length > MOST_ROWS) list.append(element("li", { class: "empty" }, `The first ${MOST_ROWS}; filter to see others.`));
    if (!listed.includes(place.sample)) place.sample = (place.sort ? listed[0] : listed.find(isBroken) ?? listed[0]) ?? null;
    return choose(place.sample, false);
  }

  function item(sample, at, cases) {
    const states = cases.map((one) => state(one, rows.get(sample)));
    const said = ["worse", "better", "parted"].map((key) => [states.filter((each) => each === key).length, key]);
    const names = good === "neither" ? { worse: "lower", better: "higher", parted: "departed" } : { worse: "broke", better: "mended", parted: "departed" };
    const [metric] = sorting();
    const value = metric === "" ? null : single(valueOf(metric, rows.get(sample)));
    const rest = states.every((each) => each === "equal") ? "equal to the baseline" : "not compared";
    const label = said.filter(([n]) => n).map(([n, key]) => `${names[key]} in ${n}`).join(", ") || rest;
    const signs = states.map((each) => element("span", { class: each }, SIGNS[each]));
    return element("li", {
      role: "option",
      id: `sample-${number}-${at}`,
      "aria-label": value === null ? `${sample}: ${label}` : `${sample}: ${metric} ${value}, ${label}`,
      "aria-selected": "false",
      "data-sample": sample,
      click: () => choose(sample, true),
    }, element("span", { class: "name" }, sample), value === null ? null : element("span", { class: "value" }, value), element("span", { class: states.length > DENSE ? "signs dense" : "signs", "aria-hidden": "true" }, ...signs));
  }

  function move(event) {
    const at = listed.indexOf(place.sample);
    const last = Math.min(listed.length, MOST_ROWS) - 1;
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: last, PageDown: at + 10, PageUp: at - 10 }[event.key];
    if (next === undefined || last < 0) return;
    event.preventDefault();
    choose(listed[Math.max(0, Math.min(last, next))], true);
  }

  function choose(sample, byReader) {
    if (sample !== place.sample) place.draw = null;
    place.sample = sample;
    for (const selected of list.querySelectorAll("[aria-selected=true]")) selected.setAttribute("aria-selected", "false");
    const chosen = sample === null ? null : list.children[listed.indexOf(sample)];
    chosen?.setAttribute("aria-selected", "true");
    list.setAttribute("aria-activedescendant", chosen?.id ?? "");
    // Only inside the list: the page itself must not jump.
    if (chosen) {
      const above = chosen.offsetTop - list.scrollTop;
      if (above < 0 || above > list.clientHeight - chosen.offsetHeight) list.scrollTop = chosen.offsetTop - list.clientHeight / 3;
    }
    if (byReader) writeAddress(place);
    return drawSample();
  }

  async function drawSample() {
    const { sample } = place;
    if (sample === null) return detail.replaceChildren();
    const chunk = index.chunks[rows.get(sample)];
    if (chunk === null) {
      const why = "This page has grown too large to hold the texts of this sample; they are in samples.jsonl.";
      return detail.replaceChildren(element("h4", {}, sample), element("p", { class: "empty" }, why));
    }
    const draws = drawsOf(await embeddedSamples(`chunk-${chunk}`), sample);
    // Another sample may have been chosen while this one was unpacked.
    if (sample !== place.sample) return undefined;
    const cases = [...series().baselines.map(caseAt), ...compared()];
    const numbers = [...new Set([...draws.values()].flat().map((each) => each.draw))].sort((a, b) => a - b);
    const draw = numbers.includes(Number(place.draw ?? NaN)) ? Number(place.draw) : numbers[0];
    const pick = numbers.length < 2 ? null : selection("draw", numbers.map((number) => [number, number]), draw,
      (number) => ((place.draw = number), writeAddress(place), drawSample()));
    const columns = columnsOf(cases, draws, draw);
    const column = columns.includes(place.tokens) ? place.tokens : columns[0] ?? null;
    const view = columns.length < 2 ? null : selection("token by token", columns.map((name) => [name, name]), column,
      (name) => ((place.tokens = name), writeAddress(place), drawSample()));
    detail.replaceChildren(
      element("div", { class: "heading" }, element("h4", {}, sample), pick, view),
      ...comparison(cases, draws, draw, place.at, column, (one) => valuesOf(one, rows.get(sample))).filter(Boolean));
    detail.querySelector(".marked")?.scrollIntoView({ block: "nearest", inline: "center" });
    return undefined;
  }

  /** What the metrics say of a sample in a case, the primary one first, as [name, words] pairs. */
  function valuesOf(one, at) {
    const own = index.cases[one.position]?.metrics ?? {};
    const names = [...new Set([...experiment.shown, ...experiment.asked])].filter((name) => name in own);
    return names.map((name) => [name, single(own[name][at])]);
  }

  function go(to) {
    place.series = experiment.series.some((each) => each.label === to.series) ? to.series : experiment.series[0]?.label ?? null;
    place.show = to.show in SHOWN ? to.show : "all";
    place.sort = sortable.includes((to.sort ?? usual).replace(/^-/, "")) ? to.sort ?? usual : "";
    place.at = compared().some((one) => one.id === to.at) ? to.at : null;
    place.draw = to.draw;
    place.tokens = to.tokens;
    place.sample = rows.has(to.sample) ? to.sample : null;
    // A link to a sample that the other filters hide shows it all the same.
    if (place.sample !== null && !listedSamples().includes(place.sample)) place.show = "all";
    drawControls();
    return drawList();
  }

  const key = element("p", { class: "caption signs" },
    ...[["worse", good === "neither" ? "lower" : "broke"], ["better", good === "neither" ? "higher" : "mended"], ["parted", "departed, same verdict"], ["equal", "equal to the baseline"]]
      .flatMap(([name, text]) => [element("span", { class: name }, SIGNS[name]), ` ${text}   `]));
  const nodes = [controls, element("div", { class: "browser" }, element("div", {}, list, key), detail)];
  return { nodes, go, focus: () => list.focus({ preventScroll: true }) };
}
