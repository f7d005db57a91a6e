"""Files that want to run something, or are no checkpoints, are refused in one sentence."""

from __future__ import annotations

import collections
import os
import pickle
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_sartorius.core.errors import UserError
from napari_sartorius.zoo.checkpoints.pickles import load_arrays
from napari_sartorius.zoo.checkpoints.reading import read_checkpoint


class _Calls:
    """Pickles as a call of any function, which is how a hostile file runs code."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.call = (function, arguments, state) if state is not None else (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def _hostile(marker: Path) -> dict[str, Any]:
    text = str(marker)
    return {
        "os.system": _Calls(os.system, f"touch {text}"),
        "builtins.eval": _Calls(eval, f"open({text!r}, 'w')"),
        "builtins.exec": _Calls(exec, f"open({text!r}, 'w')"),
        "builtins.getattr": _Calls(getattr, _Calls(__import__, "os"), "system"),
        "subprocess.Popen": _Calls(subprocess.Popen, ["touch", text]),
        "pathlib": _Calls(Path.touch, marker),
        "open": _Calls(open, text, "w"),
        "torch.load": _Calls(torch.load, text),
        "numpy.load": _Calls(np.load, text),
        "numpy object array": np.array([_Calls(os.system, f"touch {text}")], dtype=object),
        "dictionary with a state": _Calls(
            collections.OrderedDict, state={"x": _Calls(os.system, f"touch {text}")}
        ),
        "bytearray": _Calls(bytearray, 10),
        "codec": _Calls(__import__("_codecs").encode, "x", "idna"),
    }


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("trick", list(_hostile(Path("unused"))))
def test_nothing_in_a_pickle_is_executed(tmp_path: Path, trick: str, protocol: int) -> None:
    marker = tmp_path / "executed"
    path = tmp_path / "weights.pkl"
    content = {"model": {"fine": np.zeros(3, np.float32), "bad": _hostile(marker)[trick]}}
    path.write_bytes(pickle.dumps(content, protocol))
    with pytest.raises(UserError) as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not marker.exists()


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("trick", ["os.system", "builtins.eval", "subprocess.Popen", "pathlib"])
def test_nothing_in_a_torch_file_is_executed(tmp_path: Path, trick: str, old_format: bool) -> None:
    marker = tmp_path / "executed"
    path = tmp_path / "weights.pth"
    content = {"model": {"fine": torch.zeros(3), "bad": _hostile(marker)[trick]}}
    torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    with pytest.raises(UserError, match="which could run code"):
        read_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x04cos\nsystem\n(S'true'\ntR.",  # GLOBAL and REDUCE by hand
        b"(S'true'\nios\nsystem\n.",  # INST
        b"\x80\x02cnumpy\nndarray\n(K\x01tR.",  # an array made directly
        b"\x80\x02cnumpy\nndarray\n(\x8a\x05\x00\x00\x00\x00\x7ft\x81.",  # NEWOBJ, 500 GB
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n}X\x04\x00\x00\x00_runK\x01sb.",  # BUILD
        b"\x80\x02N}X\x04\x00\x00\x00_runcos\nsystem\nsb.",
        b"\x80\x02cnumpy\ndtype\n(X\x01\x00\x00\x00OtR.",
        b"\x80\x02\x82\x01.",  # EXT1
        b"\x80\x02Pelsewhere\n.",  # PERSID
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f.",  # FRAME of 8 million TB
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",  # BINBYTES8 likewise
        b"\x80\x04}r\xff\xff\xff\xff.",  # LONG_BINPUT: a table of 32 GB
        b"\x80\x05\x96\xff\xff\xff\xff\x0f\x00\x00\x00.",  # BYTEARRAY8 of 64 GB
        b"\x80\x04K\x01q\x00j\x00\x00\x00\x01.",  # a memo that was never filled
        b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".",
    ],
)
def test_pickles_written_by_hand_are_refused(tmp_path: Path, program: bytes) -> None:
    path = tmp_path / "weights.pkl"
    path.write_bytes(program if program.startswith(b"\x80") else b"\x80\x02" + program)
    with pytest.raises(UserError):
        read_checkpoint(path)


def test_the_unpickler_gives_plain_data_back() -> None:
    content = {
        "a": np.arange(6, dtype=">f4").reshape(2, 3),
        "b": [1, 2.5, None, "x", b"\xff\x00", (True,)],
        "c": np.float64(3),
        "d": collections.OrderedDict(e=np.asfortranarray(np.eye(2, 3))),
    }
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        back = load_arrays(pickle.dumps(content, protocol))
        np.testing.assert_array_equal(back["a"].value, content["a"])
        np.testing.assert_array_equal(back["d"]["e"].value, content["d"]["e"])
        assert back["b"] == content["b"]
        assert back["c"] == 3
        assert type(back["d"]) is dict


def test_a_state_cannot_change_a_number_type_or_the_size_of_an_array(tmp_path: Path) -> None:
    path = tmp_path / "weights.pkl"
    data = pickle.dumps({"a": np.zeros(3, np.float32)}, 2)
    flags = b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t"  # -1, -1, 0 of float32
    assert data.count(flags) == 1
    path.write_bytes(data)
    assert read_checkpoint(path)["a"].shape == (3,)
    path.write_bytes(data.replace(flags, flags[:-2] + b"\x3ft"))  # "it holds objects"
    with pytest.raises(UserError, match="a changed number type"):
        read_checkpoint(path)
    assert data.count(b"K\x03\x85") == 1
    path.write_bytes(data.replace(b"K\x03\x85", b"K\x04\x85"))
    with pytest.raises(UserError, match="damaged"):
        read_checkpoint(path)


@pytest.mark.parametrize("suffix", [".pth", ".pkl"])
def test_truncated_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"model": {"a": torch.zeros(1000)}}, path)
    else:
        path.write_bytes(pickle.dumps({"model": {"a": np.zeros(1000)}}, 4))
    data = path.read_bytes()
    for length in (3, 20, len(data) // 3, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(UserError) as caught:
            read_checkpoint(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a checkpoint"),
        (b"hello there, this is no checkpoint", "not a checkpoint"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "not a checkpoint"),
        (b"PK\x03\x04" + bytes(200), "damaged"),
        (pickle.dumps([1, 2]), "not a checkpoint"),
        (pickle.dumps({"a": 1}), "not a checkpoint"),
        (pickle.dumps({"model": {}}), "not a checkpoint"),
        (pickle.dumps({"model": {"\x1b[2J": np.zeros(2)}}), "damaged"),
        (b"\x80\x04\x8c\x02o\n\x8c\x01x\x93.", r"\(o\?\.x\)"),
        (pickle.dumps({"blobs": {"conv1_w": np.zeros(2)}}), "Caffe2"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(data)
    with pytest.raises(UserError, match=words):
        read_checkpoint(path)


def test_a_zip_of_something_else_a_folder_and_nothing(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UserError, match="damaged"):
        read_checkpoint(path)
    with pytest.raises(UserError, match="not a file"):
        read_checkpoint(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        read_checkpoint(tmp_path / "absent.pth")


def test_a_zip_that_unpacks_to_far_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "weights.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(100_000))
    monkeypatch.setattr("napari_sartorius.zoo.checkpoints.reading.LARGEST_FILE", 50_000)
    with pytest.raises(UserError, match="unpacks to"):
        read_checkpoint(path)
    path.write_bytes(bytes(60_000))
    with pytest.raises(UserError, match="more than any checkpoint"):
        read_checkpoint(path)


def test_wrappers_and_number_types(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    weights = {
        "module.model.a": torch.ones(2, dtype=torch.bfloat16),
        "module.model.b": torch.tensor(3),
        "module.model.c": torch.ones(2, requires_grad=True),
    }
    torch.save({"state_dict": weights, "epoch": 3}, path)
    arrays = read_checkpoint(path)
    assert list(arrays) == ["a", "b", "c"]
    assert arrays["a"].dtype == np.float32
    assert arrays["b"] == 3
