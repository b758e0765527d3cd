"""Checkpoints: one safetensors file, complete or absent, that tells what it belongs to."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from notsodeep.errors import DataError
from notsodeep.files import discard_partials, replacing

FORMAT_VERSION = 1
_KEY, _CHECK = "notsodeep.training", "notsodeep.crc32"
_TIMES = 20  # times as long as the last one took passes before the next checkpoint
REMEDY = "begin anew with restart, or choose another folder"


class Checkpoint:
    """The file of a run, and when it was written last.

    ``identity`` is JSON data: under ``settings`` those that decide each step, and fingerprints of what else does.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self._path, self._identity = path, json.loads(json.dumps(identity))
        self._written, self._took = time.monotonic(), 0.0

    def due(self, seconds: float) -> bool:
        """Tell whether so many seconds have passed since the last one, and writing it takes little of the time."""
        return time.monotonic() - self._written >= max(seconds, _TIMES * self._took)

    def write(self, described: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
        """Replace the file."""
        begun = time.monotonic()
        text = json.dumps({"version": FORMAT_VERSION, **self._identity, "state": described})
        tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        content = to_bytes(tensors, metadata={_KEY: text, _CHECK: _checksum(text, tensors)})
        with replacing(self._path) as partial:
            partial.write_bytes(content)
        self._written = time.monotonic()
        self._took = self._written - begun

    def read(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]] | None:
        """Return what was written, or None where there is no file.

        Raises
        ------
        DataError
            When the file is damaged, or belongs to another run; the message says in what it differs.
        """
        discard_partials(self._path)
        if not self._path.exists():
            return None
        tensors, metadata = self._content()
        if _KEY not in metadata or metadata.get(_CHECK) != _checksum(metadata[_KEY], tensors):
            raise DataError(f"{self._path} is damaged, or no checkpoint: {REMEDY}")
        described = json.loads(metadata[_KEY])
        if described["version"] != FORMAT_VERSION:
            raise DataError(f"{self._path} is a checkpoint of format {described['version']}: {REMEDY}")
        differences = [*_differences(described, self._identity)]
        if differences:
            raise DataError(f"{self._path} belongs to another run ({'; '.join(differences)}): {REMEDY}")
        return described["state"], tensors

    def discard(self) -> None:
        """Remove the file."""
        self._path.unlink(missing_ok=True)

    def _content(self) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        try:
            with safe_open(self._path, framework="pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise DataError(f"{self._path} cannot be read ({error}): {REMEDY}") from error


def _checksum(text: str, tensors: Mapping[str, torch.Tensor]) -> str:
    value = zlib.crc32(text.encode())
    for name, tensor in sorted(tensors.items()):
        value = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, zlib.crc32(name.encode(), value))
    return str(value)


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    settings = [
        f"{name} is {there['settings'].get(name)!r} there and {value!r} here"
        for name, value in here["settings"].items()
        if there["settings"].get(name) != value
    ]
    return settings + [f"another {name}" for name in here if name != "settings" and there[name] != here[name]]
