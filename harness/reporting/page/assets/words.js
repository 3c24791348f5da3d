// Numbers and cases in words, the same everywhere on the page.

const NOTHING = "–";

/** `0.97`; a value above 100 has no decimals. */
function decimal(value) {
  if (value === null || value === undefined) return NOTHING;
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits).replace("-", "−");
}

/** `+0.03` or `−0.34`. */
function signed(value) {
  return value === undefined ? NOTHING : (value < 0 ? "" : "+") + decimal(value);
}

/** `0.034`, or `< 0.001`; never a zero. */
function probability(p) {
  if (p === null || p === undefined) return NOTHING;
  return p < 0.001 ? "< 0.001" : p.toFixed(3);
}

function percent(share) {
  return share === undefined ? NOTHING : `${Math.round(100 * share)} %`;
}

/** `[0.93, 0.99]`, or nothing where the data cannot give an interval. */
function bounds(low, high) {
  return low === null || low === undefined ? "" : `[${decimal(low)}, ${decimal(high)}]`;
}

/** The p that decides: corrected by Holm's method where the report has that. */
function decisive(versus) {
  return versus?.p_holm ?? versus?.p;
}

function isSignificant(versus) {
  return versus !== undefined && decisive(versus) < REPORT.significant;
}

/** Everything a case has to say about a metric, as [name, words] pairs. */
function measured(one, metric) {
  const own = one.metrics?.[metric];
  const versus = one.versus_baseline?.[metric];
  if (!own) return [["status", one.status], ["why", one.error ?? "no such metric"]];
  const lines = [[metric, `${decimal(own.value)} ${bounds(own.ci_low, own.ci_high)}`]];
  if (versus) {
    const between = bounds(versus.ci_low, versus.ci_high);
    lines.push(["against baseline", `${signed(versus.delta)} ${between}`]);
    lines.push(["p", probability(versus.p)]);
    if (versus.p_holm !== undefined && versus.p_holm !== null) {
      lines.push(["p (Holm)", probability(versus.p_holm)]);
    }
    if (versus.minimal_effect !== undefined && versus.minimal_effect !== null) {
      lines.push(["detectable", `a difference of ${decimal(versus.minimal_effect)} or more`]);
    }
    const { better, worse, unchanged } = versus;
    lines.push(["samples", `${worse} worse, ${better} better, ${unchanged} unchanged`]);
  }
  if (one.agreement) {
    const { tokens, identical, ci_low, ci_high } = one.agreement;
    const length = `${decimal(tokens)} ${bounds(ci_low, ci_high)}`.trim();
    lines.push(["agreement", `${length} tokens; ${percent(identical)} identical`]);
  }
  lines.push(["n", `${own.n}`]);
  return lines;
}

/** `1 sample`, `2 samples`. */
function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}
