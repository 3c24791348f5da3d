"""The engine on stock vLLM: requests with different interventions share its continuous batch.

This package runs beside vLLM's engine, `worker/` inside its processes. Neither is imported before a
spec asks for the engine, and vLLM itself not before `start.py` has found nothing to refuse.
"""
