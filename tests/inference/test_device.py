"""Devices are proven before use, and every fallback says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from napari_sartorius.inference import device as device_module
from napari_sartorius.inference.device import choose_device, choose_precision, free_memory, probe

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    device_module._problem_with.cache_clear()
    yield
    device_module._problem_with.cache_clear()


def test_the_processor_passes_the_probe() -> None:
    probe("cpu")


def test_cpu_on_request() -> None:
    choice = choose_device("cpu")
    assert choice.device == "cpu"
    assert not choice.fallback


def test_auto_without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    choice = choose_device("auto")
    assert choice.device == "cpu"
    assert "graphics card" in choice.reason
    assert not choice.fallback


def test_missing_device_falls_back_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    choice = choose_device("mps")
    assert (choice.device, choice.fallback) == ("cpu", True)
    assert "Metal" in choice.reason


def test_unknown_index_names_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    choice = choose_device("cuda:7")
    assert (choice.device, choice.fallback) == ("cpu", True)
    assert "only 2" in choice.reason


def test_a_failing_probe_falls_back_with_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: str) -> None:
        raise RuntimeError(f"no kernel image for {device}\nis available")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(device_module, "probe", broken)
    choice = choose_device("auto")
    assert (choice.device, choice.fallback) == ("cpu", True)
    assert "no kernel image for cuda:0 is available" in choice.reason
    assert "\n" not in choice.reason


def test_a_working_device_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Card X")
    monkeypatch.setattr(device_module, "probe", lambda device: None)
    choice = choose_device("cuda")
    assert choice.device == "cuda:0"
    assert "Card X" in choice.reason


def test_asked_precision_wins() -> None:
    assert choose_precision("float32", "cpu") == "float32"
    assert choose_precision("bfloat16", "cpu") == "bfloat16"
    assert choose_precision("auto", "mps") == "float32"


def test_masks_are_mixed_in_only_where_it_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_precision("mixed", "mps") == "float32"
    monkeypatch.setattr(device_module, "_computes_bfloat16", lambda device: True)
    assert choose_precision("mixed", "cpu") == "mixed"
    assert choose_precision("auto", "cpu") == "bfloat16"


def test_free_memory_is_plausible() -> None:
    assert 10**7 < free_memory("cpu") < 10**15
