"""How long a report's page takes to open: 1 025 cases, 102 500 samples, in a headless Chromium.

    python benches/speed/page.py

Needs a Chromium (`apt-get install chromium`). Times are the browser's own, in milliseconds since
the navigation began; `ready` is when everything that the address asks for is on the page.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

# The browser's driver and the large run belong to the tests of the page.
sys.path.insert(0, str(Path(__file__).parents[2]))

from harness.report.page import embed, page
from tests.report.chromium import Browser, program
from tests.report.large_run import large_run

REPETITIONS = 7
#: Words of a completion: about 600 and 2 000 characters.
LENGTHS = (120, 400)

_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_READY = "performance.getEntriesByName('ready')[0].startTime"
#: Promises of the milliseconds that something takes until it has been painted.
_PAINTED = "new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
_SORT = f"""(async () => {{
  const start = performance.now();
  document.querySelector('.cases thead th:nth-child(3) button').click();
  await {_PAINTED};
  return performance.now() - start;
}})()"""
_SAMPLE = f"""(async () => {{
  const start = performance.now();
  const rows = document.querySelectorAll('.list li');
  const name = rows[rows.length - 1].dataset.sample;
  rows[rows.length - 1].click();
  while (document.querySelector('.sample h4').textContent !== name) await {_PAINTED};
  return performance.now() - start;
}})()"""
MEASURED = {
    "first paint": _PAINT,
    "ready": _READY,
    "sort 1 025 rows": _SORT,
    "open a sample": _SAMPLE,
}


def main() -> None:
    """Print a table: medians over repetitions, and the worst."""
    if program() is None:
        sys.exit("no Chromium on this machine: apt-get install chromium")
    table = Table(title="milliseconds, median (worst)")
    for heading in ("words per completion", "page MB", "written in s", *MEASURED):
        table.add_column(heading, justify="right")
    folder = Path(tempfile.mkdtemp())
    browser = Browser(folder / "profile")
    try:
        for words in LENGTHS:
            report, lines = large_run(words=words)
            records = list(lines)
            start = time.perf_counter()
            html = page(report, embed(report.cases, records))
            seconds = time.perf_counter() - start
            file = folder / "index.html"
            file.write_text(html, "utf-8")
            table.add_row(
                f"{words}", f"{len(html) / 1e6:.1f}", f"{seconds:.1f}", *timed(browser, file)
            )
    finally:
        browser.close()
        shutil.rmtree(folder, ignore_errors=True)
    Console().print(table)


def timed(browser: Browser, file: Path) -> list[str]:
    """Open the page several times; what was measured, as cells."""
    found: dict[str, list[float]] = {name: [] for name in MEASURED}
    for _ in range(REPETITIONS):
        browser.open(file)
        browser.wait("performance.getEntriesByName('first-contentful-paint').length")
        for name, script in MEASURED.items():
            found[name].append(float(browser.js(script)))
    return [f"{statistics.median(values):.0f} ({max(values):.0f})" for values in found.values()]


if __name__ == "__main__":
    main()
