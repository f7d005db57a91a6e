"""From a file of whatever origin to named arrays, or one sentence why not; no code of it runs."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sartorius.core.errors import UserError
from napari_sartorius.zoo.checkpoints.pickles import PickledArray, Refused, load_arrays

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LARGEST_FILE = 4 << 30
"""Bytes; the largest published model of the family has 1.6 GB with its optimiser."""
LARGEST_NETWORK = 500_000_000
"""Numbers in all weights together; the largest of the family has about 150 million."""

# torch's own formats: a zip archive, and the older row of pickles that begins with this number.
_ZIP = b"PK\x03\x04"
_OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_PICKLE = b"\x80"
# Where programs of the family keep the weights within a checkpoint.
_PLACES = ("model", "state_dict", "model_state_dict")
_PREFIXES = ("module.", "model.")
_LONGEST_NAME = 500


def read_checkpoint(path: Path) -> dict[str, NDArray[Any]]:
    """Read the weights of a checkpoint.

    Parameters
    ----------
    path
        A ``.pth`` written by torch or a ``.pkl`` of arrays; the content decides, not the suffix.

    Returns
    -------
    dict of str to array
        In the order of the file, without the prefixes that wrappers add to names.

    Raises
    ------
    UserError
        When the file is missing, too large, damaged, no checkpoint, or holds anything but plain
        data.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise UserError(f"{path} is not a file; give a checkpoint (.pth or .pkl)")
        if size > LARGEST_FILE:
            raise UserError(
                f"{path} has {size / 1e9:.1f} GB, more than any checkpoint of a known network; "
                "choose the file with the weights"
            )
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}): check the path of the checkpoint"
        ) from error
    if start.startswith((_ZIP, _OLD_TORCH)):
        content = _read_torch(path)
    elif start.startswith(_PICKLE):
        content = _read_pickle(path)
    else:
        raise _no_checkpoint(path)
    return _without_prefix(_as_arrays(path, _find_weights(path, content)))


def _read_torch(path: Path) -> Any:
    import torch

    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > LARGEST_FILE:
                raise UserError(f"{path} unpacks to {unpacked / 1e9:.1f} GB and is not read")
        with warnings.catch_warnings():  # about details of the file that no user can act on
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        if named is None:
            raise _damaged(path) from error
        raise _not_plain(path, named[1]) from error
    except Exception as error:  # torch has no common class for what a broken file does to it
        raise _damaged(path) from error


def _read_pickle(path: Path) -> Any:
    try:
        return load_arrays(path.read_bytes())
    except Refused as error:
        raise _not_plain(path, str(error)) from error
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to mean
        raise _damaged(path) from error


def _find_weights(path: Path, content: Any) -> dict[Any, Any]:
    for _ in range(2):
        if not isinstance(content, dict):
            raise _no_checkpoint(path)
        if "blobs" in content:
            raise UserError(
                f"{path} is a checkpoint of Caffe2's Detectron; only checkpoints of detectron2 "
                "can be imported"
            )
        inner = next((p for p in _PLACES if isinstance(content.get(p), dict)), None)
        if inner is None:
            return content
        content = content[inner]
    return dict(content)


def _as_arrays(path: Path, weights: dict[Any, Any]) -> dict[str, NDArray[Any]]:
    """Arrays of everything that is one; the total is bounded before anything is copied."""
    weights = {n: v.value if isinstance(v, PickledArray) else v for n, v in weights.items()}
    total = 0
    for name, value in weights.items():
        if not str(name).isprintable() or len(str(name)) > _LONGEST_NAME:
            raise _damaged(path)
        if hasattr(value, "shape"):
            total += int(np.prod([int(n) for n in value.shape], dtype=np.float64))
    if total > LARGEST_NETWORK:
        raise UserError(
            f"{path} describes {total / 1e9:.1f} thousand million weights, more than any known "
            "network of this family; it is damaged or not a detectron2 checkpoint"
        )
    arrays: dict[str, NDArray[Any]] = {}
    for name, value in weights.items():
        if isinstance(value, np.ndarray):
            arrays[str(name)] = value
        elif hasattr(value, "detach"):
            try:
                plain = value.detach()
                arrays[str(name)] = (plain.float() if plain.is_floating_point() else plain).numpy()
            except (RuntimeError, TypeError) as error:
                raise UserError(
                    f"{path}: the weight {name} is stored in a form that cannot be read (sparse "
                    "or quantised); save the model's plain state_dict"
                ) from error
    if not arrays:
        raise _no_checkpoint(path)
    return arrays


def _without_prefix(weights: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Drop what wrappers such as DistributedDataParallel put before every name."""
    while True:
        prefix = next((p for p in _PREFIXES if all(n.startswith(p) for n in weights)), None)
        if prefix is None:
            return weights
        weights = {name[len(prefix) :]: value for name, value in weights.items()}


def _no_checkpoint(path: Path) -> UserError:
    return UserError(
        f"{path} is not a checkpoint: expected a .pth written by torch.save or a .pkl of arrays, "
        "as detectron2 writes them"
    )


def _damaged(path: Path) -> UserError:
    return UserError(
        f"{path} is damaged or was not copied completely; copy or download the checkpoint again"
    )


def _not_plain(path: Path, name: str) -> UserError:
    # What a terminal would obey must not reach it.
    name = "".join(c if c.isprintable() else "?" for c in name[:80])
    return UserError(
        f"{path} is not read because it holds more than weights ({name}), which could run code "
        "on this computer; save the weights alone: "
        "torch.save({'model': model.state_dict()}, 'weights.pth')"
    )
