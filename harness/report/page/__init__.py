"""index.html: a report that opens from disk, in one file, with every sample in it."""

from harness.report.page.findings import CurveFinding, findings
from harness.report.page.grids import Grid, Layer, grids
from harness.report.page.html import page
from harness.report.page.samples import Embedded, embed

__all__ = ["CurveFinding", "Embedded", "Grid", "Layer", "embed", "findings", "grids", "page"]
