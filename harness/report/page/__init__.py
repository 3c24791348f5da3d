"""index.html: a report that opens from disk, in one file, with every sample in it."""

from harness.report.page.document import page
from harness.report.page.findings import Finding, findings
from harness.report.page.grids import Grid, Layer, grids
from harness.report.page.samples import Embedded, embed

__all__ = ["Embedded", "Finding", "Grid", "Layer", "embed", "findings", "grids", "page"]
