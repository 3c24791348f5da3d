"""Router masks: experts leave the routing of the layers that they are in."""
