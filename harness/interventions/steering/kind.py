"""The entry of the registry."""

from harness.interventions.kind import Kind

KIND = Kind(
    "steering",
    "A vector times a dose is added to hidden states.",
    mechanism="residual",
    section="harness.interventions.steering.section:SteeringSettings",
    description="harness.interventions.steering.description:Steering",
    resolution="harness.resolve.steering:SteeringResolution",
    identities="harness.invariants.steering:FAMILY",
)
