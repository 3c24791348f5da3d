// The table of cases: sorted by its headers, filtered by words and by parameters.

/** The columns for a metric: `text` is shown, `value` sorts, `link` leads to the samples. */
function caseColumns(experiment, metric) {
  const cases = experiment.cases;
  const versus = (one) => one.versus_baseline?.[metric];
  const known = cases.map(versus).find(Boolean);
  const [down, up] = changeNames(known);
  const good = known?.good;
  const shareOf = ({ part, whole }) => (one) => (one.counts?.[whole] ? (one.counts[part] ?? 0) / one.counts[whole] : undefined);
  const corrected = cases.some((one) => (versus(one)?.p_holm ?? null) !== null);
  const compared = cases.some((one) => one.baseline !== undefined);
  const columns = experiment.axes.map(({ key, name }) => ({
    name,
    value: (one) => asNumber(one.params?.[key]),
    text: (one) => one.params?.[key] ?? (one.isBaseline ? "baseline" : NOTHING),
    words: true,
  }));
  if (columns.length === 0) columns.push({ name: "case", value: (one) => one.label, text: (one) => one.label, words: true });
  columns.push(
    { name: metric, value: (one) => one.metrics?.[metric]?.value, text: (one) => caseResult(one, metric) },
  );
  const constant = metric in experiment.constant;
  if (compared && !constant) columns.push(
    { name: "Δ", title: "difference from the baseline", value: (one) => versus(one)?.delta, text: (one) => difference(versus(one)?.delta, one.metrics?.[metric]) },
    ...(corrected ? [{ name: decidingName(cases.map(versus)), title: "paired by sample, Holm-corrected over the experiment", value: (one) => versus(one)?.p_holm, text: (one) => probability(versus(one)?.p_holm) }] : []),
    { name: "p", title: "paired by sample, not corrected", value: (one) => versus(one)?.p, text: (one) => probability(versus(one)?.p) },
    { name: down, title: `samples ${good === "lower" ? "higher" : "lower"} than in the baseline`, value: (one) => versus(one)?.worse, text: (one) => versus(one)?.worse ?? NOTHING, link: "worse" },
    { name: up, title: `samples ${good === "lower" ? "lower" : "higher"} than in the baseline`, value: (one) => versus(one)?.better, text: (one) => versus(one)?.better ?? NOTHING, link: "better" },
  );
  if (compared) columns.push(
    { name: "agree", title: "mean tokens before the first departure from the baseline; all where none departed", value: (one) => one.agreement?.tokens, text: (one) => agreed(one.agreement) },
    { name: "same", title: "samples all of whose completions equal the baseline’s", value: (one) => one.agreement?.identical, text: (one) => percent(one.agreement?.identical) },
  );
  for (const other of experiment.metrics.filter((name) => name !== metric && !(name in experiment.constant))) {
    columns.push({ name: other, title: `${other}, without its interval`, value: (one) => one.metrics?.[other]?.value, text: (one) => `${alone(one.metrics?.[other])}${fewer(one, one.metrics?.[other])}` });
  }
  columns.push({ name: "tokens", value: (one) => one.tokens, text: (one) => one.tokens.toLocaleString("en") });
  for (const share of experiment.counted) {
    columns.push({ name: share.title, title: share.meaning, value: shareOf(share), text: (one) => percent(shareOf(share)(one)) });
  }
  return columns;
}

function asNumber(text) {
  return text !== undefined && text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
}

function caseResult(one, metric) {
  const own = one.metrics?.[metric];
  return own ? `${valued(own)}${fewer(one, own)}` : one.status;
}

/** How many samples have a value of a metric, where others have more: some have failed. */
function fewer(one, metric) {
  const most = Math.max(...Object.values(one.metrics ?? {}).map(({ n }) => n));
  return metric !== undefined && metric.n < most ? ` (n ${metric.n})` : "";
}

/**
 * The table with its filters, as `{ nodes, setMetric }`. `changed` is called with the cases that
 * are shown, in their order, whenever that changes.
 */
function caseTable(experiment, changed) {
  let metric = experiment.metric;
  let columns = caseColumns(experiment, metric);
  let sorted = null;
  let words = "";
  const chosen = new Map();
  const open = new Set();
  const status = element("output", { class: "count", "aria-live": "polite" });
  const head = element("tr");
  const body = element("tbody");
  const searched = new Map(experiment.cases.map((one) => [one, searchText(one)]));

  function matches(one) {
    for (const [key, value] of chosen) if (one.params?.[key] !== value && !(one.isBaseline && one.params?.[key] === undefined)) return false;
    return words.split(/\s+/).every((word) => searched.get(one).includes(word));
  }

  function draw() {
    const shown = experiment.cases.filter(matches);
    if (sorted) shown.sort(ordering(columns[sorted.column].value, sorted.direction));
    const all = experiment.cases.length;
    status.textContent = shown.length === all ? counted(all, "case") : `${shown.length.toLocaleString("en")} of ${counted(all, "case")}`;
    head.replaceChildren(...columns.map(header));
    body.replaceChildren(...shown.flatMap((one) => (open.has(one) ? [row(one), details(one)] : [row(one)])));
    if (shown.length === 0) body.append(element("tr", {}, element("td", { colspan: columns.length, class: "empty" }, "No case matches.")));
    changed(shown);
  }

  function header(column, index) {
    const direction = sorted?.column === index ? sorted.direction : null;
    const next = direction === null ? 1 : direction === 1 ? -1 : null;
    const button = element("button", {
      type: "button",
      title: column.title,
      click: () => {
        sorted = next === null ? null : { column: index, direction: next };
        draw();
        head.children[index].firstChild.focus();
      },
    }, column.name, element("span", { "aria-hidden": "true", class: "arrow" }, { 1: "▲", "-1": "▼" }[direction] ?? ""));
    const order = { 1: "ascending", "-1": "descending" }[direction] ?? "none";
    return element("th", { scope: "col", "aria-sort": order, class: column.words ? "" : "number" }, button);
  }

  function row(one) {
    const cells = columns.map((column, index) => {
      const text = column.text(one);
      const place = { experiment: experiment.name, show: column.link, at: one.id, series: seriesOf(experiment, one)?.label };
      // Samples are told apart by the primary metric: only its numbers lead to them.
      const leads = column.link && text > 0 && metric === experiment.metric;
      const content = leads ? element("a", { href: addressOf(place) }, `${text}`) : `${text}`;
      if (index > 0) return element("td", { class: column.words ? "" : "number" }, content);
      const button = element("button", {
        type: "button",
        class: "disclosure",
        "aria-expanded": open.has(one) ? "true" : "false",
        "aria-label": `${text}: details of ${one.label}`,
        click: () => {
          if (!open.delete(one)) open.add(one);
          draw();
          body.querySelector(`[data-position="${one.position}"] button`)?.focus();
        },
      }, content);
      return element("th", { scope: "row" }, button);
    });
    const style = [one.isBaseline ? "baseline" : "", one.status === "complete" ? "" : "unfinished"].join(" ").trim();
    return element("tr", { class: style, "data-case": one.id, "data-position": one.position }, ...cells);
  }

  function details(one) {
    const lines = [["case", one.id], ...(one.nodeid ? [["test", one.nodeid]] : [])];
    if (one.error) lines.push([one.status, one.error]);
    for (const warning of one.warnings ?? []) lines.push(["warning", warning]);
    for (const name of Object.keys(one.metrics ?? {})) {
      const [first, ...rest] = measured(one, name);
      lines.push([first[0], [first[1], ...rest.map(([what, said]) => `${what} ${said}`)].join("; ")]);
      lines.push(["method", methodOf(one, name)]);
    }
    for (const [name, count] of Object.entries(one.counts ?? {})) lines.push([name, count.toLocaleString("en")]);
    lines.push(["time", `${decimal(one.seconds)} s`]);
    const list = element("dl", { class: "details" });
    for (const [name, said] of lines) list.append(element("dt", {}, name), element("dd", {}, said));
    return element("tr", { class: "details" }, element("td", { colspan: columns.length }, list));
  }

  const filters = experiment.axes.map(({ key, name }) => {
    const values = [...new Set(experiment.cases.map((one) => one.params?.[key]).filter((value) => value !== undefined))];
    values.sort(ordering(asNumber, 1));
    return values.length < 2 ? null : selection(name, [["", "all"], ...values.map((value) => [`=${value}`, value])], "", (value) => {
      if (value === "") chosen.delete(key);
      else chosen.set(key, value.slice(1));
      draw();
    });
  });
  const search = searchField("Filter", "id, parameter, error", (text) => ((words = text), draw()));
  const table = element("table", { class: "cases", "aria-label": "Cases" }, element("thead", {}, head), body);
  const region = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Cases" }, table);
  return {
    nodes: [element("div", { class: "controls" }, search, ...filters, status), region, constantsShown(experiment)].filter(Boolean),
    setMetric: (name) => ((metric = name), (columns = caseColumns(experiment, metric)), draw()),
    draw,
  };
}

/** What no case changes, said once and not in every row. */
function constantsShown(experiment) {
  const names = Object.keys(experiment.constant);
  if (names.length === 0) return null;
  const said = names.map((name) => `${name} ${decimal(experiment.constant[name])}`).join(", ");
  return element("p", { class: "caption constant" }, `The same in every case, sample by sample: ${said}.`);
}

function searchText(one) {
  const parts = [one.id, one.label, one.status, one.error ?? "", ...(one.warnings ?? [])];
  return parts.join(" ").toLowerCase();
}

function methodOf(one, metric) {
  const versus = one.versus_baseline?.[metric];
  return [`${one.metrics[metric].method} interval`, versus?.test].filter(Boolean).join("; p by ").replaceAll("_", " ");
}

/** Compare by a value, numbers before words; what has none comes last in either direction. */
function ordering(valueOf, direction) {
  return (a, b) => {
    const [one, other] = [valueOf(a), valueOf(b)];
    const missing = (one === undefined || one === null) - (other === undefined || other === null);
    if (missing !== 0) return missing;
    if (typeof one !== typeof other) return typeof one === "number" ? -1 : 1;
    if (typeof one === "number") return direction * (one - other);
    return direction * String(one).localeCompare(String(other), "en", { numeric: true });
  };
}
