"""The entry of the registry."""

from harness.interventions.kind import Kind

KIND = Kind(
    "dac",
    "Differences are added at doses that are decided anew for every token.",
    mechanism="policy",
    section="harness.interventions.dac.section:DacSettings",
    description="harness.interventions.dac.description:DAC",
    resolution="harness.resolve.dac:DacResolution",
    identities="harness.invariants.dac:FAMILY",
)
