"""What a bundle, the segmenter and the trainer need of a network, whatever its family."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from napari_sartorius.nn.detector import Detections, DetectLimits
    from napari_sartorius.nn.targets import Target


class Network(nn.Module):
    """A network that finds objects and can learn to.

    Those whose stages can be called one by one also follow `napari_sartorius.nn.detector.Detector`.

    Attributes
    ----------
    size_divisibility
        Height and width of a batch must be multiples of this.
    mask_parts
        Names of the submodules that draw masks and decide nothing else. A family that names some
        runs them in one method, ``draw_masks``. Every family names its own; they are not inherited.
    """

    size_divisibility: int
    mask_parts: ClassVar[tuple[str, ...]] = ()

    def detect(
        self,
        batch: Tensor,
        limits: DetectLimits | None = None,
        image_sizes: list[tuple[int, int]] | None = None,
    ) -> list[Detections]:
        """Objects of each image of a (B, C, H, W) normalised batch.

        Parameters
        ----------
        batch
            float32; H and W divisible by `size_divisibility`.
        limits
            What may drop an object; the defaults when None.
        image_sizes
            (height, width) of each image without padding; the whole map when None.
        """
        raise NotImplementedError

    def losses(self, batch: Tensor, targets: list[Target]) -> dict[str, Tensor]:
        """Training losses of a batch, by name; their sum is what is minimised."""
        raise NotImplementedError
