"""The first of several processes leads a run, and the others help it wherever it trains.

All else that a run does (reading and examining images, looking at them with a model, second levels,
cards) is done by the first process alone, so it is done once and its files are written once. The
others wait for what it gives them to do, and end when it ends.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled
from napari_sartorius.training.distributed import join

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_sartorius.training.distributed import Group

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class Task(Protocol):
    """Work for those who help; it is sent to them."""

    def help(self, group: Group) -> None:
        """Do the part of this process."""
        ...


@dataclass(frozen=True)
class _End:
    """No more to do: what came out, or nothing where the first process failed."""

    result: Any = None
    failed: bool = False


class Lead:
    """The first process, while it leads.

    Parameters
    ----------
    group
        The processes.
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        self.helpers_wait = True
        """Whether the others wait for something to do, and not for each other in the midst of it.

        Whoever gives them a task says when it is done.
        """

    def give(self, task: Task) -> None:
        """Let the others do their part of a task."""
        self.helpers_wait = False
        self.group.share(cast("Any", task))


_LEADS: list[Lead] = []


def current_lead() -> Lead | None:
    """Who leads, when this process does and others help it."""
    return _LEADS[-1] if _LEADS else None


def led(work: Callable[[], Result]) -> Result:
    """Do something in the first process, which the others help with its trainings.

    Alone, and in what is led already, it is just done.

    Parameters
    ----------
    work
        All that the first process does. What it gives is sent to the others, so it must not be
        large.

    Returns
    -------
    object
        What `work` gave, in every process.

    Raises
    ------
    Cancelled
        In the others, when the first one failed or was cancelled; it raises its own error.
    UserError
        When the processes do not find or lose each other.
    """
    group = join()
    if group.size == 1 or _LEADS:
        return work()
    if not group.is_first:
        return cast("Result", _help(group))
    lead = Lead(group)
    _LEADS.append(lead)
    try:
        result = work()
    except BaseException:
        # In the midst of a task they learn of it otherwise: by `Group.decide`, or by its silence.
        if lead.helpers_wait:
            with suppress(UserError):
                group.share(_End(failed=True))
        raise
    finally:
        _LEADS.remove(lead)
    return cast("Result", group.share(_End(result)).result)


def by_the_first(do: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Let a function be `led` whenever it is called."""

    @wraps(do)
    def doing(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return led(partial(do, *args, **kwargs))

    return doing


def _help(group: Group) -> Any:
    """Do what the first process says until it says that all is done; gives what came out."""
    while True:
        task: Any = group.share(None)
        if not isinstance(task, _End):
            task.help(group)
        elif task.failed:
            raise Cancelled
        else:
            return task.result
