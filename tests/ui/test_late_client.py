"""The engine is made by the first job, once, and not after the dock was closed."""

from __future__ import annotations

import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.engine import client as engine
from napari_sartorius.ui.late_client import LateClient


@pytest.fixture
def made(monkeypatch):
    """Clients that were made."""
    clients = []

    class Recorder:
        worker_pid = 7

        def __init__(self):
            self.jobs, self.closed = [], 0
            clients.append(self)

        def submit(self, job, listener=None):
            self.jobs.append((job, listener))
            return f"handle of {job}"

        def close(self):
            self.closed += 1

    monkeypatch.setattr(engine, "WorkerClient", Recorder)
    return clients


def test_first_job_makes_the_client_and_the_next_uses_it(made):
    late = LateClient()
    assert made == []
    assert late.worker_pid is None
    assert late.submit("a", print) == "handle of a"
    assert late.submit("b") == "handle of b"
    assert [one.jobs for one in made] == [[("a", print), ("b", None)]]
    assert late.worker_pid == 7


def test_closing_ends_it_for_good(made):
    late = LateClient()
    late.submit("a")
    late.close()
    late.close()
    assert made[0].closed == 2
    with pytest.raises(UserError, match="open the dock again"):
        late.submit("b")


def test_closed_before_the_first_job_makes_nothing(made):
    late = LateClient()
    late.close()
    with pytest.raises(UserError):
        late.submit("a")
    assert made == []
