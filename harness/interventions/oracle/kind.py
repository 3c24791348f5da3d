"""The entry of the registry."""

from harness.interventions.kind import Kind

KIND = Kind(
    "oracle",
    "Another model may be asked for the next tokens, on a budget.",
    mechanism="guidance",
    section="harness.interventions.oracle.section:OracleSettings",
    description="harness.interventions.oracle.description:Oracle",
    resolution="harness.resolve.oracle:OracleResolution",
    identities="harness.invariants.oracle:FAMILY",
)
