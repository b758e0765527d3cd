"""Networks on disk: safetensors files whose metadata tell how to build the network again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from notsodeep.errors import DataError
from notsodeep.files import StrPath, replacing
from notsodeep.networks.codes import is_packed, pack, unpack
from notsodeep.networks.deq import DEQNetwork
from notsodeep.networks.explicit import ExplicitNetwork
from notsodeep.networks.parallel import ParallelNetwork
from notsodeep.spec import from_dict, to_dict

FORMATS = (1, 2)
"""Versions that can be read; 2 where matrices are packed, 1 where none is."""
_READABLE = " and ".join(map(str, FORMATS))
_KEY = "notsodeep.network"
_READOUT_BIAS = "readout.bias"  # of a readout that was fitted with an intercept; those that are drawn have none
_CLASSES: dict[str, Any] = {kind.__name__: kind for kind in (DEQNetwork, ExplicitNetwork, ParallelNetwork)}
Network = DEQNetwork | ExplicitNetwork | ParallelNetwork


def save(net: Network, path: StrPath) -> None:
    """Write a network to ``path``: its weights and, in the metadata, its spec, sizes and settings as JSON.

    The file is complete or absent: it is written beside ``path`` and then moved there. Matrices whose entries are
    0 and ``±s`` alone are written in 2 bits a weight.

    Raises
    ------
    ValueError
        When ``net`` is no network of this package, an activation of its spec was made from a callable
        (code is not data), or the folder of ``path`` does not exist.

    Examples
    --------
    >>> import tempfile, torch
    >>> from notsodeep.networks import ExplicitNetwork, load, save
    >>> from notsodeep.spec import MLP, Layer
    >>> net = ExplicitNetwork(MLP((Layer("tanh"),)), in_features=3, width=8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(net, f"{folder}/net.safetensors")
    ...     again = load(f"{folder}/net.safetensors")
    >>> torch.equal(again(torch.eye(3)), net(torch.eye(3)))
    True
    """
    described = describe(net)
    path = Path(path)
    if not path.parent.is_dir():
        raise ValueError(f"path must lie in an existing folder, got {path}")
    weights = pack({name: weight.detach().cpu().contiguous() for name, weight in net.state_dict().items()})
    version = FORMATS[1] if any(map(is_packed, weights)) else FORMATS[0]
    header = {_KEY: json.dumps({"version": version} | described)}
    with replacing(path) as partial:
        partial.write_bytes(to_bytes(weights, metadata=header))  # save_file would make it private to the user


def load(path: StrPath) -> Network:
    """Return the network that :func:`save` wrote, on the CPU, with exactly its weights.

    Raises
    ------
    DataError
        When the file cannot be read, is damaged, was not written by :func:`save` or by another version of it.
    """
    weights, metadata = _read(Path(path))
    if _KEY not in metadata:
        raise DataError(f"{path} is a safetensors file, but notsodeep.networks.save did not write it")
    try:
        return _build(json.loads(metadata[_KEY]), weights)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise DataError(f"{path} does not describe a network that can be built again: {why}") from error


def describe(net: Any) -> dict[str, Any]:
    """Return all that makes a network but its weights, as JSON data.

    Raises
    ------
    ValueError
        When ``net`` is no network of this package, or an activation of its spec was made from a callable.
    """
    kind = type(net).__name__
    if _CLASSES.get(kind) is not type(net):
        raise ValueError(f"net must be a DEQNetwork, an ExplicitNetwork or a ParallelNetwork, got {kind}")
    sizes = {"in_features": net.in_features, "width": net.width, "out_features": net.out_features}
    return {"kind": kind, "spec": to_dict(net.spec), "options": net.options} | sizes


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    except SafetensorError as error:
        raise DataError(f"{path} is damaged or not a safetensors file: {error}") from error


def _build(header: dict[str, Any], weights: dict[str, torch.Tensor]) -> Network:
    if header["version"] not in FORMATS:
        raise ValueError(f"format version {header['version']!r}; this version of notsodeep reads {_READABLE}")
    dtypes = {weight.dtype for name, weight in weights.items() if not is_packed(name)}
    if len(dtypes) != 1:
        raise ValueError(f"its weights have {len(dtypes)} different dtypes, not one")
    sizes = [header[name] for name in ("in_features", "width", "out_features")]
    dtype = dtypes.pop()
    net = _CLASSES[header["kind"]](from_dict(header["spec"]), *sizes, dtype=dtype, **header["options"])
    if _READOUT_BIAS in weights:
        net.readout.bias = torch.nn.Parameter(torch.zeros(net.out_features, dtype=dtype, device="cpu"))
    net.load_state_dict(unpack(weights, {name: weight.shape for name, weight in net.state_dict().items()}))
    return net
