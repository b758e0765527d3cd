"""Options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option(help="Data folder. Else the variable NOTSODEEP_DATA, else the cache folder of the user."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
