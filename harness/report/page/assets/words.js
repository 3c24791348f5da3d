// Numbers and cases in words, the same everywhere on the page.

const NOTHING = "–";

// Halves are rounded away from zero, as `rounding.py` does it for terminals and exports.

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

/** `0.034`, or `<0.001`; never a zero. */
function probability(p) {
  if (p === null || p === undefined) return NOTHING;
  return p < 0.001 ? "<0.001" : p.toFixed(3);
}

function percent(share) {
  return share === undefined ? NOTHING : `${Math.round(100 * share)} %`;
}

/** `[0.93, 0.99]`, or nothing where the data cannot give an interval. */
function bounds(low, high) {
  return low === null || low === undefined ? "" : `[${decimal(low)}, ${decimal(high)}]`;
}

/** A metric with its interval. */
function valued(metric) {
  const shown = digitsOf(metric);
  const { value, ci_low, ci_high } = metric;
  const between = ci_low === null || ci_low === undefined ? "" : ` [${shown(ci_low)}, ${shown(ci_high)}]`;
  return `${shown(value)}${between}`;
}

/** A metric without its interval. */
function alone(metric) {
  return metric === undefined ? NOTHING : digitsOf(metric)(metric.value);
}

/** How a metric's values are written: a small mean with two significant digits, for 0.00 would say nothing. */
function digitsOf({ value, method }) {
  const small = ["t", "t_hall"].includes(method) && Math.abs(value) < 0.1;
  return small ? (each) => `${Number(each.toPrecision(2))}`.replace("-", "−") : decimal;
}

/** A value rounded up, with two decimals: what is needed at least. */
function ceiling(value) {
  return (Math.ceil(Number((100 * value).toPrecision(12))) / 100).toFixed(2);
}

/** A difference, with the digits of the metric that it is one of; a large one needs no more than two decimals. */
function difference(delta, metric) {
  if (delta === undefined || metric === undefined) return signed(delta);
  return (delta < 0 ? "" : "+") + (Math.abs(delta) < 0.1 ? digitsOf(metric) : decimal)(delta);
}

/** The p that decides: corrected by Holm's method where the report has that. */
function decisive(versus) {
  return versus?.p_holm ?? versus?.p;
}

/** What it is called, given comparisons of which some may be missing. */
/** How a corrected p is called: that of a run that stopped itself holds at every moment. */
function holmName(versus) {
  return versus.test?.startsWith("anytime") ? "anytime p Holm" : "p Holm";
}

function decidingName(compared) {
  const corrected = compared.find((versus) => (versus?.p_holm ?? null) !== null);
  return corrected ? holmName(corrected) : "p (not corrected for the number of cases)";
}

function isSignificant(versus) {
  return versus !== undefined && decisive(versus) < REPORT.significant;
}

/** What is said of samples that changed: a metric without a good direction only falls and rises. */
function changeNames(versus) {
  return versus?.good === "neither" ? ["fell", "rose"] : ["worse", "better"];
}

/** A sample's value of a metric; nothing where it failed. */
function single(value) {
  return value === null || value === undefined ? NOTHING : Number.isInteger(value) ? `${value}`.replace("-", "−") : decimal(value);
}

/** How long completions follow the baseline’s: `all` where nothing departed. */
function agreed(agreement, shown = (mean) => mean) {
  if (!agreement) return NOTHING;
  return agreement.identical === 1 ? "all" : shown(decimal(agreement.tokens));
}

/** Everything a case has to say about a metric, as [name, words] pairs. */
function measured(one, metric) {
  const own = one.metrics?.[metric];
  const versus = one.versus_baseline?.[metric];
  if (!own) return [["status", one.status], ["why", one.error ?? "no such metric"]];
  const lines = [[metric, valued(own)]];
  if (versus) {
    const between = bounds(versus.ci_low, versus.ci_high);
    lines.push(["against baseline", `${difference(versus.delta, own)} ${between}`]);
    if (versus.p_holm !== undefined && versus.p_holm !== null) {
      lines.push([holmName(versus), probability(versus.p_holm)]);
    }
    lines.push(["p", probability(versus.p)]);
    if (versus.minimal_effect !== undefined && versus.minimal_effect !== null) {
      lines.push(["detectable", `a difference of ${ceiling(versus.minimal_effect)} or more`]);
    }
    const [down, up] = changeNames(versus);
    const { better, worse, unchanged } = versus;
    lines.push(["samples", `${worse} ${down}, ${better} ${up}, ${unchanged} unchanged`]);
  }
  if (one.agreement) {
    const { identical, ci_low, ci_high } = one.agreement;
    const length = agreed(one.agreement, (mean) => `${mean} ${bounds(ci_low, ci_high)}`.trim());
    lines.push(["agreement", `${length} tokens; ${percent(identical)} the same`]);
  }
  lines.push(["n", `${own.n}`]);
  return lines;
}

/** A dose as axes and lists say it: whole numbers as they are, others with four digits. */
function doseText(dose) {
  if (dose === "inf") return "∞";
  return `${Number(dose.toPrecision(Math.abs(dose) < 1000 ? 4 : 6))}`;
}

/** `1 sample`, `2 samples`. */
function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}
