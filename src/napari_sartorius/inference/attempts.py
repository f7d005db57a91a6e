"""What segmenting one image takes whatever looks at it: a clock, notices, and trying again smaller.

When memory runs out, the next attempt is made with less at once, down to the processor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.instances import Instances
from napari_sartorius.core.progress import Monitor, NoticeBook, SubMonitor
from napari_sartorius.inference import memory
from napari_sartorius.inference.memory import Effort
from napari_sartorius.inference.result import ALL_TYPES, SegmentResult, Stopwatch
from napari_sartorius.inference.second_level import second_level_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from napari_sartorius.inference.config import SegmentConfig
    from napari_sartorius.inference.device import DeviceChoice
    from napari_sartorius.inference.prepare import PreparedImage
    from napari_sartorius.inference.second_level import ImageJudge
    from napari_sartorius.inference.selection import Judge
    from napari_sartorius.zoo.bundle import AnyBundle

Prepared = TypeVar("Prepared")


class ImageSegmenter(ABC, Generic[Prepared]):
    """Segments images one after the other.

    Parameters
    ----------
    bundle
        The model or ensemble.
    config
        How to segment.
    device_choice
        The device chosen at the start, and why.
    judge
        Used instead of the bundle's second level.
    """

    several = False
    """Whether several networks are on the device, which could take turns."""

    def __init__(
        self,
        bundle: AnyBundle,
        config: SegmentConfig,
        device_choice: DeviceChoice,
        judge: ImageJudge | None = None,
    ) -> None:
        self._bundle = bundle
        self.config = config
        self._judge = judge
        self._wants_confidence = judge is not None
        self._judge_is_known = judge is not None
        self.device_choice = device_choice
        self._effort = Effort(device_choice.device)
        self._tried = (1, 1)

    @abstractmethod
    def warm_up(self) -> None:
        """Load what the first image needs now instead of with it."""

    @property
    @abstractmethod
    def is_warm(self) -> bool:
        """Whether nothing has to be loaded any more."""

    @abstractmethod
    def _prepare(self, image: NDArray[Any], pixel_size: float | None, book: NoticeBook) -> Prepared:
        """Check an image and measure what is needed to read it window by window."""

    @abstractmethod
    def _try(self, prepared: Prepared, book: NoticeBook, watch: Stopwatch) -> SegmentResult:
        """One attempt with the present effort; running out of memory ends it."""

    def segment(
        self,
        image: NDArray[Any],
        *,
        pixel_size: float | None = None,
        monitor: Monitor | None = None,
    ) -> SegmentResult:
        """Find the objects of one image.

        Parameters
        ----------
        image : (Y, X) or (Y, X, C)
            Any real number type; C is 3 or 4 for colour, or any number when the configuration
            chooses a channel.
        pixel_size : float, optional
            Micrometres per pixel as the image's file says; the configuration's value wins.
        monitor
            Hears of progress and notices, and may cancel between looks.

        Raises
        ------
        UserError
            When the image cannot be segmented, the model is damaged, or memory does not suffice
            even for the smallest tiles on the processor.
        Cancelled
            When the monitor asked for it.
        """
        watch = Stopwatch()
        book = NoticeBook(monitor or Monitor())
        book.check()
        if self.device_choice.fallback:
            book.notice(self.device_choice.reason)
        book.progress("prepare", 0.0)
        with watch.measure("prepare"):
            prepared = self._prepare(image, pixel_size, book)
        if not self.is_warm:
            with watch.measure("load"):
                self.warm_up()
        self._load_judge(book)
        while True:
            try:
                return self._try(prepared, book, watch)
            except Exception as error:
                if not memory.is_out_of_memory(error):
                    raise
            # Outside of the handler nothing refers to the failed attempt's tensors any more.
            self._reduce(book)

    def nothing_on(self, size: tuple[int, int]) -> SegmentResult:
        """Give the result for an image of (height, width) on which there is nothing to look at."""
        wish = self.config.cell_type
        return SegmentResult(
            instances=Instances.empty(size),
            categories=list(self._bundle.card.category_names),
            cell_type=ALL_TYPES if wish == "auto" else wish,
            device=self._effort.device,
            timings={},
            notices=[],
            config=self.config,
        )

    def segment_stack(
        self,
        planes: Iterable[NDArray[Any]],
        *,
        count: int | None = None,
        pixel_size: float | None = None,
        monitor: Monitor | None = None,
    ) -> Iterator[SegmentResult]:
        """Find the objects of a time series or z-stack, plane by plane.

        Parameters
        ----------
        planes
            (Y, X) or (Y, X, C) images; read one at a time.
        count
            How many there are, for progress; not needed for sequences.
        pixel_size, monitor
            As in `segment`.

        Yields
        ------
        SegmentResult
            One per plane, as soon as it is done.
        """
        total = count if count is not None else len(planes)  # type: ignore[arg-type]
        outer = monitor or Monitor()
        for i, plane in enumerate(planes):
            part = SubMonitor(
                outer,
                min(i / max(total, 1), 1.0),
                min((i + 1) / max(total, 1), 1.0),
                f"plane {i + 1} of {total}: " if total > 1 else "",
            )
            yield self.segment(plane, pixel_size=pixel_size, monitor=part)

    def _load_judge(self, book: NoticeBook) -> None:
        """Load the second level with the first image, where it is wanted."""
        if self._judge_is_known:
            return
        level = second_level_of(self._bundle, self.config, book)
        if level is not None:
            self._judge, self._wants_confidence = level.judge, level.wants_confidence
        self._judge_is_known = True

    def _judge_of(self, prepared: PreparedImage) -> Judge | None:
        """The second level for the image at hand, as `Selection.finish` asks for it."""
        return None if self._judge is None else partial(self._judge, prepared=prepared)

    def _reduce(self, book: NoticeBook) -> None:
        """Make the next attempt smaller, and say so."""
        memory.release(self._effort.device)
        reduced = self._effort.reduced(*self._tried, several=self.several)
        if reduced is None:
            raise UserError(
                "memory does not suffice to segment this image even in the smallest tiles; close "
                "other programs or use a computer with more memory"
            )
        self._effort, message = reduced
        book.notice(message)
