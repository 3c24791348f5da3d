// Puts the parts together: one experiment is shown at a time, drawn when it is first looked at.

const REPORT = embeddedJson("report");
const CASES = [];
const EXPERIMENT_OF = new Map();
for (const experiment of REPORT.experiments) {
  for (const one of experiment.cases) {
    CASES[one.position] = one;
    EXPERIMENT_OF.set(one.position, experiment);
  }
}

/** The case at a position of the report. */
function caseAt(position) {
  return CASES[position];
}

/** The series that a case is read in. */
function seriesOf(experiment, one) {
  return experiment.series.find((each) => each.cases.includes(one.position) || each.baselines.includes(one.position));
}

const drawn = new Map();

/** Draw an experiment into its section, once; returns a promise of its sample browser. */
function drawExperiment(number) {
  if (!drawn.has(number)) drawn.set(number, fillExperiment(REPORT.experiments[number], number));
  return drawn.get(number);
}

async function fillExperiment(experiment, number) {
  const section = document.getElementById(`experiment-${number}`);
  const part = (name) => section.querySelector(`[data-part=${name}]`);
  const open = (one) => (location.hash = addressOf({ experiment: experiment.name, series: seriesOf(experiment, one)?.label, show: "all", at: one.id }));
  let metric = experiment.metric;
  let shown = experiment.cases;
  let drawnMetric = metric;
  const chart = drawnToWidth(part("chart"), (width) => experiment.doseAxis
    ? curvesDrawn(experiment, metric === experiment.metric ? experiment.shown : [metric], new Set(shown.map((one) => one.position)), width, open)
    : dotsDrawn(experiment, metric, shown, width, open));
  const table = caseTable(experiment, (cases) => {
    // Curves do not depend on the order of the rows.
    const same = experiment.doseAxis && cases.length === shown.length && drawnMetric === metric;
    const before = new Set(shown);
    shown = cases;
    drawnMetric = metric;
    if (!same || !cases.every((one) => before.has(one))) chart.redraw();
  });
  if (experiment.metrics.length > 1) {
    part("metric").append(selection("Metric", experiment.metrics.map((name) => [name, name]), metric,
      (name) => ((metric = name), table.setMetric(name))));
  }
  part("cases").append(...table.nodes);
  table.draw();
  for (const grid of experiment.grids) part("grids").append(heatmap(grid));
  part("grids").hidden = experiment.grids.length === 0;
  part("settings").textContent = JSON.stringify(experiment.settings, null, 2);

  if (!REPORT.indexes[number] || experiment.series.length === 0) {
    part("samples").append(element("p", { class: "empty" }, "This report has no samples to compare."));
    return null;
  }
  const browser = sampleBrowser(experiment, await embeddedSamples(`index-${number}`), number);
  part("samples").append(...browser.nodes);
  return browser;
}

/** Show what the address says. */
async function follow() {
  const place = readAddress();
  const found = REPORT.experiments.findIndex((experiment) => experiment.name === place.experiment);
  const number = Math.max(0, found);
  REPORT.experiments.forEach((_, at) => (document.getElementById(`experiment-${at}`).hidden = at !== number));
  for (const link of document.querySelectorAll("nav a")) {
    if (Number(link.dataset.experiment) === number) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  hideNote();
  if (REPORT.experiments.length === 0) return;
  const browser = await drawExperiment(number);
  await browser?.go(place);
  const asked = place.sample ?? place.show ?? place.at;
  if (!asked) return;
  document.querySelector(`#experiment-${number} [data-part=samples]`).scrollIntoView();
  browser?.focus();
}

document.body.append(note);
startTheme(document.getElementById("theme"));
for (const section of document.querySelectorAll(".identities")) startIdentities(section);
addEventListener("hashchange", follow);
follow().then(() => {
  // For those who measure, and those who wait: all that the address asks for is on the page.
  performance.mark("ready");
  document.documentElement.dataset.ready = "true";
});
