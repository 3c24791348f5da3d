"""An engine that asks a server which speaks OpenAI's protocol; `docs/served.md`."""
