"""The job that lets a model draw the cell that a person points at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.device import choose_device, choose_precision
from napari_sartorius.inference.prompt import Prompt, PromptAnswer, Window
from napari_sartorius.zoo import find_bundle

if TYPE_CHECKING:
    from napari_sartorius.engine.context import WarmCache, WorkerContext
    from napari_sartorius.inference.prompter import Prompter


@dataclass(frozen=True, eq=False)
class PromptJob:
    """Draw one object; returns a `PromptAnswer`.

    Attributes
    ----------
    window
        What the network sees of the image.
    prompt
        What was pointed at.
    config
        The model, where it runs, and its thresholds.
    """

    window: Window
    prompt: Prompt
    config: SegmentConfig

    def run(self, context: WorkerContext) -> PromptAnswer:
        """Answer from what was seen of this window before, where that is so."""
        context.monitor.progress(f"loading {self.config.model}", 0.0)
        prompter = warm_prompter(context.cache, self.config)
        context.monitor.progress("looking", 0.5)
        return prompter.answer(self.window, self.prompt)


def warm_prompter(cache: WarmCache, config: SegmentConfig) -> Prompter:
    """Return a prompter for this configuration, on the network that segments.

    Raises
    ------
    UserError
        When there is no such model, its weights are damaged, or it knows no such cell type.
    """
    from napari_sartorius.inference.looks import Looks
    from napari_sartorius.inference.prompter import Prompter
    from napari_sartorius.inference.selection import Selection

    bundle = find_bundle(config.model).lead  # of an ensemble its first member
    card = bundle.card
    device = choose_device(config.device).device
    wish = card.precision if config.precision == "auto" else config.precision
    precision = choose_precision(wish, device)
    # the same key as `jobs.warm_segmenter`: both use one network
    key = (str(bundle.path), card.sha256, device, precision)

    def open_looks() -> Looks:
        network = cache.get(
            key, lambda: bundle.load_network(device, for_inference=True, precision=precision)
        )
        return Looks(network, device, precision)

    looks = cache.get(("looks", *key), open_looks)
    return Prompter(looks, Selection.of(card, config), card.cell_diameter)
