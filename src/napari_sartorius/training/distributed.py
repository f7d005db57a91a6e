"""One run on several graphics cards or computers: who is who, and what they tell each other.

Started by ``torchrun`` or SLURM's ``srun``, every process runs the same program on its own part of
each batch. Gradients are added up by hand in one message after the last backward pass of a step,
rather than by DistributedDataParallel: losses come from `Network.losses` and not from a forward
call that it could watch, parts of a network that saw no object have no gradients, and accumulated
batches need no special case. What that forgoes is sending while the backward pass still runs.
"""

from __future__ import annotations

import atexit
import os
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import distributed

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.inference.memory import is_out_of_memory
from napari_sartorius.training.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

Result = TypeVar("Result")

_TO_START = timedelta(minutes=10)
# The others wait while the first process looks at thousands of images; that it died they hear at
# once, and only a computer that is cut off from them silently has to be waited for so long.
_TO_WORK = timedelta(days=3)
_FAILED = 2
# What gloo and NCCL say when another process is gone, in lower case; other faults stay their own.
_GONE = ("connection", "broken pipe", "timed out", "timeout", "remote process")


class Group:
    """The processes of a run; alone, everything here does nothing at no cost.

    Parameters
    ----------
    place
        Which of them this is.
    channel
        torch's process group; None when alone.
    """

    def __init__(
        self, place: Place | None = None, channel: distributed.ProcessGroup | None = None
    ) -> None:
        self.place, self._channel = place or Place(), channel

    def close(self) -> None:
        """Let go of the channel; the group says nothing from then on."""
        self._channel = None

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return self.place.rank

    @property
    def size(self) -> int:
        """How many processes there are."""
        return self.place.size

    @property
    def is_first(self) -> bool:
        """Whether this process writes files, validates and talks."""
        return self.rank == 0

    def device(self, wanted: str) -> str:
        """Device for this process: of several graphics cards its own, else what is wanted."""
        if self.size > 1 and wanted in {"auto", "cuda"} and torch.cuda.is_available():
            own = f"cuda:{self.place.local_rank % torch.cuda.device_count()}"
            torch.cuda.set_device(own)
            return own
        return wanted

    def any(self, here: bool) -> bool:
        """Whether something holds in any process."""
        if self.size == 1:
            return here
        value = torch.tensor(int(here))
        with _in_touch():
            distributed.all_reduce(value, distributed.ReduceOp.MAX, self._channel)
        return bool(value)

    def decide(self, choose: Callable[[], bool]) -> bool:
        """What the first process chooses, while the others wait.

        Raises
        ------
        Cancelled
            In the others, when the first one failed or was cancelled; it raises its own error.
        """
        answer = torch.tensor(_FAILED)
        if self.is_first:
            try:
                answer.fill_(int(choose()))
            except BaseException:
                with suppress(UserError):  # what went wrong here is what is told
                    self._hear(answer)
                raise
        self._hear(answer)
        if int(answer) == _FAILED:
            raise Cancelled
        return bool(answer)

    def shared(self, error: Exception) -> Exception:
        """What to raise for an error that happens in all processes alike: the first one tells it.

        Returns
        -------
        Exception
            `error` in the first process, `Cancelled` in the others.
        """
        return error if self.is_first else Cancelled()

    def share(self, thing: Result) -> Result:
        """What the first process has, in all of them."""
        if self.size == 1:
            return thing
        things = [thing]
        with _in_touch():
            distributed.broadcast_object_list(things, 0, self._channel, torch.device("cpu"))
        return things[0]

    def first_does(self, do: Callable[[], Result], then: Callable[[], Result]) -> Result:
        """Let the first process do something, and all others something else when it is done."""
        done: list[Result] = []

        def doing() -> bool:
            done.append(do())
            return True

        self.decide(doing)
        return done[0] if done else then()

    def same_weights(self, network: nn.Module) -> None:
        """Give every process the weights of the first one."""
        for value in network.state_dict().values():
            self._hear(value)

    def _hear(self, value: Tensor) -> None:
        """Overwrite a tensor with that of the first process."""
        if self.size > 1:
            with _in_touch():
                distributed.broadcast(value, 0, self._channel)

    @torch.no_grad()
    def add_up(
        self, parameters: Sequence[nn.Parameter], statistics: Sequence[Tensor], losses: Tensor
    ) -> Tensor:
        """Mean over the processes of gradients and statistics, in place, and of losses.

        Parameters
        ----------
        parameters
            The same in each process. Where one process has no gradient it counts as zero; where
            none has, there is none afterwards.
        statistics
            float32 tensors.
        losses
            (L,) float32.

        Returns
        -------
        Tensor
            (L,) float32, on the device of `losses`.
        """
        if self.size == 1:
            return losses
        given = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        known = torch.tensor([float(p.grad is not None) for p in parameters]).to(losses.device)
        tensors = [*given, *statistics, losses, known]
        message = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _in_touch():
            distributed.all_reduce(message, group=self._channel)
        message /= self.size
        parts = torch.split(message, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))
        for parameter, gradient, share in zip(parameters, given, known.tolist(), strict=True):
            parameter.grad = gradient if share else None
        return losses


@contextmanager
def _in_touch() -> Iterator[None]:
    """Say in a sentence that another process is gone; torch says how its connection ended."""
    try:
        yield
    except RuntimeError as error:
        text = str(error).lower()
        if is_out_of_memory(error) or not any(words in text for words in _GONE):
            raise
        raise UserError(
            "another process of this run has ended, so this one ends, too: see what it said, and "
            "start them all again with --resume"
        ) from error


def heard(monitor: Monitor) -> Monitor:
    """The monitor in the first process, and one that nobody hears in all others."""
    return monitor if Place.from_environment().rank == 0 else Monitor()


_JOINED: dict[str, Group] = {}


def join(place: Place | None = None) -> Group:
    """The processes that were started together with this one; the same group whoever asks.

    Parameters
    ----------
    place
        Which of them this is; as the environment says when None.

    Raises
    ------
    UserError
        When the others are not found.
    """
    place = place or Place.from_environment()
    if place.size == 1:
        return Group(place)
    if "group" not in _JOINED:
        _JOINED["group"] = _connected(place)
    return _JOINED["group"]


def _connected(place: Place) -> Group:
    if not distributed.is_available():
        raise UserError(
            "this torch was built without torch.distributed: install another one, or train with "
            "one process"
        )
    where: dict[str, Any] = {"MASTER_ADDR": place.address, "MASTER_PORT": str(place.port)}
    for name, value in where.items():
        os.environ.setdefault(name, value)
    graphics = torch.cuda.is_available() and distributed.is_nccl_available()
    try:
        distributed.init_process_group(
            # Words between processes stay on the processor, so that nobody waits for a card.
            "cpu:gloo,cuda:nccl" if graphics else "gloo",
            rank=place.rank,
            world_size=place.size,
            timeout=_TO_START,
        )
        channel = distributed.new_group(timeout=_TO_WORK)
    except RuntimeError as error:
        raise UserError(
            f"process {place.rank} of {place.size} did not find the others at {place.address}:"
            f"{place.port}: start them with torchrun or srun, and set MASTER_ADDR to the first "
            "computer where that is not enough"
        ) from error
    atexit.register(_leave)
    return Group(place, channel if isinstance(channel, distributed.ProcessGroup) else None)


def _leave() -> None:
    if "group" in _JOINED:
        # Who still holds the group must not hold its threads: they would be there when C++ tidies
        # up, and torch aborts the process then.
        _JOINED.pop("group").close()
    if distributed.is_initialized():
        distributed.destroy_process_group()
