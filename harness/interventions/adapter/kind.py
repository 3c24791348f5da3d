"""The entry of the registry."""

from harness.interventions.kind import Kind

KIND = Kind(
    "adapter",
    "A LoRA adapter's product is added to weights, at a scale.",
    mechanism="adapted_weights",
    section="harness.interventions.adapter.section:AdapterSettings",
    description="harness.interventions.adapter.description:Adapter",
    resolution="harness.resolve.adapter:AdapterResolution",
    lacking="harness.models.organisms:lacking_variant",
    doses={"variant": ("share of documents", "harness.models.organisms:share_of_documents")},
    identities="harness.invariants.adapter:FAMILY",
)
