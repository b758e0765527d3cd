"""HTML pages that need nothing but themselves, from the templates of this folder."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(template: str, **values: Any) -> str:
    """Return a page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def inlined(picture: bytes) -> str:
    """Return the content of a picture's file as pages have it within themselves."""
    return base64.b64encode(picture).decode("ascii")
