"""The pytest plugin: hooks, collection, fixtures."""
