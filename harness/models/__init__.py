"""What interventions are done to: models, and where in them their routers are."""

from harness.models.routers import RouterShape, RouterSite, router_shape, router_sites

__all__ = ["RouterShape", "RouterSite", "router_shape", "router_sites"]
