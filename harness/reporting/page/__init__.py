"""index.html: a report that opens from disk, in one file, with every sample in it."""

from harness.reporting.page.document import page
from harness.reporting.page.findings import Finding, findings
from harness.reporting.page.grids import Grid, Layer, grids
from harness.reporting.page.samples import Embedded, embed

__all__ = ["Embedded", "Finding", "Grid", "Layer", "embed", "findings", "grids", "page"]
