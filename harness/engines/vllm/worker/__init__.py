"""What runs inside vLLM's own processes: the plugin, the tables, and where the model reads them."""
