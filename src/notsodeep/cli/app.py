"""The program ``notsodeep``: its verbs, and one rule for errors and warnings of all of them.

A verb is a module with a function ``register(app)``. It imports the library inside its commands, so that ``--help`` is
quick, and it raises what the library raises: the rule below turns that into one line and an exit code.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from notsodeep.cli import compile as compile_
from notsodeep.cli import data, match, reproduce, spectrum, train
from notsodeep.errors import ConvergenceError, UnitError

FAILED, MISUSE, INTERRUPTED = 1, 2, 130

_VERBS = (match, train, compile_, spectrum, reproduce, data)  # in the order of --help


class Verbs(TyperGroup):
    """Command group that turns what the library raises or warns into one line on stderr."""

    def invoke(self, ctx: Any) -> Any:
        """Run a verb; a wrong input ends with exit code 2, a failed computation with 1, an interrupt with 130."""
        with _plain_warnings():
            try:
                return super().invoke(ctx)
            except BrokenPipeError:
                raise
            except (ConvergenceError, UnitError) as error:
                code, line = FAILED, f"error: {_one_line(error)}"
            except (MemoryError, RuntimeError) as error:
                if isinstance(error, RuntimeError) and "allocate memory" not in str(error):
                    raise
                code, line = FAILED, "error: not enough memory; lower n or width"
            except (ValueError, OSError) as error:
                code, line = MISUSE, f"error: {_one_line(error)}"
            except KeyboardInterrupt:
                code, line = INTERRUPTED, "interrupted"
        typer.echo(line, err=True)
        raise typer.Exit(code)


app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from notsodeep._version import __version__

        typer.echo(f"notsodeep {__version__}")
        raise typer.Exit


@app.callback()
def notsodeep(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Kernels and spectra of deep equilibrium models, and shallow explicit networks that match them.

    Exit codes: 0 done, 1 the computation or the check failed, 2 wrong input, 130 interrupted.
    """


for _verb in _VERBS:
    _verb.register(app)


def main() -> None:
    """Run the command line: the entry point of the program ``notsodeep``."""
    app(prog_name="notsodeep")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show each of the library's own warnings once as ``warning: ...``; leave all others as they are."""
    with warnings.catch_warnings():
        usual = warnings.showwarning
        seen: set[str] = set()

        def show(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if category.__module__ == ConvergenceError.__module__ and isinstance(message, Warning):
                line = f"warning: {_one_line(message)}"
                if line not in seen:
                    typer.echo(line, err=True)
                seen.add(line)
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield
