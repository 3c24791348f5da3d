"""Sections with a picture and a table below it, as a part of an experiment on the page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.report.section import Section


def markup(heading: str, sections: Sequence[Section]) -> Markup:
    """The sections below a heading, the first one open; nothing where there is none."""
    environment = Environment(
        loader=PackageLoader("harness.report.page", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["base64"] = lambda picture: b64encode(picture).decode()
    template = environment.get_template("sections.html.jinja")
    return Markup(template.render(heading=heading, sections=sections))  # noqa: S704  # escaped there
