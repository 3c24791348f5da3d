"""The entry of the registry."""

from harness.interventions.kind import Kind

KIND = Kind(
    "router_mask",
    "Experts leave the routing of tokens in a mixture-of-experts model.",
    mechanism="router_logits",
    section="harness.interventions.router_mask.section:RouterMaskSettings",
    description="harness.interventions.router_mask.description:RouterMask",
    resolution="harness.resolve.router_mask:RouterMaskResolution",
    identities="harness.invariants.router_mask:FAMILY",
    grids=("harness.report.page.router_mask_grids:router_masks",),
)
