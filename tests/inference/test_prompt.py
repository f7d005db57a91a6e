"""Pointing at discs: boxes and clicks, more and less, windows, and what is seen only once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torchvision.ops import box_iou, roi_align

from napari_sartorius.core.errors import UserError
from napari_sartorius.inference.config import SegmentConfig
from napari_sartorius.inference.looks import Looks
from napari_sartorius.inference.prepare import prepare, prepare_parts
from napari_sartorius.inference.prompt import SHORTEST_EDGE, Prompt, window_around
from napari_sartorius.inference.prompter import Prompter
from napari_sartorius.inference.selection import Selection
from napari_sartorius.nn.detector import Proposals, ScoredBoxes

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

SIZE = (400, 500)
DISCS = {(60, 70): 10, (60, 95): 12, (200, 250): 14, (380, 480): 15}
DIAMETER = 20.0


class DiscStages:
    """Bright regions by stages: the second kind is brighter; boxes go to the region beneath."""

    size_divisibility = 32

    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []

    def features(self, batch: Tensor) -> list[Tensor]:
        self.calls.append(tuple(batch.shape))
        return [batch]

    def propose(self, features: list[Tensor], image_sizes: Any) -> list[Proposals]:
        boxes, _ = self._regions(features)
        return [Proposals(boxes, torch.zeros(len(boxes)))]

    def score_boxes(
        self, features: list[Tensor], boxes: list[Tensor], image_sizes: Any = None
    ) -> list[ScoredBoxes]:
        regions, kinds = self._regions(features)
        overlap = box_iou(boxes[0], regions)
        best = overlap.max(dim=1)
        probabilities = torch.zeros(len(boxes[0]), 3)
        probabilities[torch.arange(len(boxes[0])), kinds[best.indices]] = best.values
        probabilities[:, 2] = 1 - best.values
        return [ScoredBoxes(probabilities, regions[best.indices][:, None])]

    def predict_masks(self, features: list[Tensor], boxes: list[Tensor]) -> list[Tensor]:
        """What is bright inside each box."""
        bright = (features[0][:, :1] > 0.5).float()
        rois = torch.cat([torch.zeros(len(boxes[0]), 1), boxes[0]], dim=1)
        return [roi_align(bright, rois, 56, sampling_ratio=2, aligned=True)]

    def _regions(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        image = features[0][0, 0].numpy()
        labels, count = ndimage.label(image > 0.5)
        found = ndimage.find_objects(labels)
        boxes = [[x.start, y.start, x.stop, y.stop] for y, x in found]
        kinds = [int(image[labels == n + 1].max() > 1.5) for n in range(count)]
        return torch.tensor(boxes).float().reshape(-1, 4), torch.tensor(kinds).long()


@pytest.fixture(scope="module")
def picture(discs: Any) -> NDArray[np.float32]:
    centres = np.array(list(DISCS))
    image: NDArray[np.float32] = discs(SIZE, centres, list(DISCS.values()), [1, 2, 1, 1])
    return image


@pytest.fixture
def prepared(picture: NDArray[np.float32], card: Any) -> Any:
    return prepare(picture, card, SegmentConfig(model="discs"))


@pytest.fixture
def network() -> DiscStages:
    return DiscStages()


@pytest.fixture
def prompter(network: DiscStages, card: Any) -> Prompter:
    return make_prompter(network, card)


def make_prompter(network: Any, card: Any, **settings: Any) -> Prompter:
    selection = Selection.of(card, SegmentConfig(model="discs", **settings))
    return Prompter(Looks(network, "cpu", "float32"), selection, DIAMETER)


def ask(prompter: Prompter, prepared: Any, **prompt: Any) -> Any:
    wanted = Prompt(**prompt)
    return prompter.answer(window_around(prepared, wanted, DIAMETER), wanted)


def disc(centre: tuple[int, int]) -> NDArray[np.bool_]:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    result: NDArray[np.bool_] = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= DISCS[centre] ** 2
    return result


def likeness(answer: Any, truth: NDArray[np.bool_]) -> float:
    assert len(answer.found) == 1
    found = answer.found.masks.full(0)
    return float((found & truth).sum() / (found | truth).sum())


@pytest.mark.parametrize("centre", list(DISCS))
def test_a_click_finds_the_disc_under_it(prompter: Prompter, prepared: Any, centre: Any) -> None:
    answer = ask(prompter, prepared, points=((centre[0] + 2.5, centre[1] - 2.5),))
    assert likeness(answer, disc(centre)) > 0.9
    assert answer.found.image_size == SIZE
    assert answer.category == ("bright" if centre == (60, 95) else "dim")
    assert answer.found.scores[0] == pytest.approx(1.0)
    x0, y0, x1, y1 = answer.found.boxes[0]
    assert x0 <= centre[1] <= x1
    assert y0 <= centre[0] <= y1


def test_a_click_on_nothing_finds_nothing(prompter: Prompter, prepared: Any) -> None:
    answer = ask(prompter, prepared, points=((60.5, 130.5),))
    assert len(answer.found) == 0
    assert answer.category == ""


def test_a_rough_box_finds_the_disc_in_it(prompter: Prompter, prepared: Any) -> None:
    answer = ask(prompter, prepared, box=(237.0, 184.0, 262.0, 213.0))
    assert likeness(answer, disc((200, 250))) > 0.85


def test_a_point_more_joins_and_a_point_less_takes_away(prompter: Prompter, prepared: Any) -> None:
    first, second = (60.5, 70.5), (60.5, 95.5)
    both = ask(prompter, prepared, points=(first, second))
    assert both.found.masks.full(0)[60, [70, 95]].all()
    box = (55.0, 45.0, 110.0, 75.0)  # around two discs
    parted = ask(prompter, prepared, box=box, points=(first,), outside=(second,))
    assert likeness(parted, disc((60, 70))) > 0.85


def test_a_point_less_at_the_border_cuts_a_bite(prompter: Prompter, prepared: Any) -> None:
    answer = ask(prompter, prepared, box=(236.0, 186.0, 264.0, 214.0), outside=((200.5, 261.5),))
    found = answer.found.masks.full(0)
    assert not found[200, 261]
    assert likeness(answer, disc((200, 250))) > 0.75


def test_a_point_less_never_turns_to_another_cell(prompter: Prompter, prepared: Any) -> None:
    answer = ask(prompter, prepared, box=(58.0, 48.0, 82.0, 72.0), outside=((60.5, 70.5),))
    assert not answer.found.masks.full(0)[disc((60, 95))].any()


def test_a_category_that_is_given_is_kept(prompter: Prompter, prepared: Any) -> None:
    answer = ask(prompter, prepared, box=(55.0, 48.0, 83.0, 73.0), category="bright")
    assert answer.category == "bright"
    with pytest.raises(UserError, match="no cell type 'wide'"):
        ask(prompter, prepared, points=((60.5, 70.5),), category="wide")


def test_a_place_is_looked_at_once(prompter: Prompter, network: DiscStages, prepared: Any) -> None:
    prompt = Prompt(points=((200.5, 250.5),))
    window = window_around(prepared, prompt, DIAMETER)
    prompter.answer(window, prompt)
    again = prompt.with_point((205.5, 255.5), inside=True)
    assert window_around(prepared, again, DIAMETER, window) is window
    prompter.answer(window, again)
    assert network.calls == [(1, 1, SHORTEST_EDGE, SHORTEST_EDGE)]
    far = Prompt(points=((60.5, 70.5),))
    other = window_around(prepared, far, DIAMETER, window)
    assert other is not window
    prompter.answer(other, far)
    prompter.answer(window, prompt)
    assert len(network.calls) == 2
    prompter.looks.forget()
    prompter.answer(window, prompt)
    assert len(network.calls) == 3


def test_networks_without_stages_look_at_the_window(
    disc_detector: Any, card: Any, prepared: Any
) -> None:
    detector = disc_detector()
    prompter = make_prompter(detector, card)
    answer = ask(prompter, prepared, points=((200.5, 250.5),))
    assert likeness(answer, disc((200, 250))) > 0.9
    answer = ask(prompter, prepared, box=(50.0, 40.0, 84.0, 80.0))
    assert likeness(answer, disc((60, 70))) > 0.9


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (Prompt(points=((0.5, 0.5),)), (0, 0, 192, 192)),
        (Prompt(points=((399.5, 499.5),)), (208, 308, 400, 500)),
        (Prompt(box=(100.0, 50.0, 400.0, 350.0)), (0, 0, 400, 500)),
    ],
)
def test_windows_stay_inside_and_hold_what_is_pointed_at(
    prepared: Any, prompt: Prompt, expected: tuple[int, int, int, int]
) -> None:
    part = window_around(prepared, prompt, DIAMETER).part
    assert (part.y0, part.x0, part.y1, part.x1) == expected


def test_a_window_at_another_scale(picture: NDArray[np.float32], card: Any) -> None:
    prepared = prepare(picture, card, SegmentConfig(model="discs", diameter=40.0))
    prompt = Prompt(points=((200.5, 250.5),))
    window = window_around(prepared, prompt, DIAMETER)
    assert window.to_image == (2.0, 2.0)
    there = window.inward(np.array([[250.5, 200.5]]))
    np.testing.assert_allclose(window.outward(there), [[250.5, 200.5]], atol=1e-4)
    answer = make_prompter(DiscStages(), card).answer(window, prompt)
    assert likeness(answer, disc((200, 250))) > 0.85


def test_an_image_that_is_read_part_by_part(picture: NDArray[np.float32], card: Any) -> None:
    reads: list[int] = []

    class Lazy:
        shape = (*SIZE, 1)

        def __getitem__(self, key: Any) -> NDArray[np.float32]:
            part = picture[key][..., None]
            reads.append(part.size)
            return part

    config = SegmentConfig(model="discs", diameter=25.0)
    whole, lazy = prepare(picture, card, config), prepare_parts(Lazy(), card, config)
    reads.clear()
    prompt = Prompt(points=((60.5, 70.5),))
    expected, found = (window_around(one, prompt, DIAMETER) for one in (whole, lazy))
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert sum(reads) < picture.size / 2


def test_what_is_no_prompt_is_refused() -> None:
    with pytest.raises(UserError, match="point at a cell"):
        Prompt()
    with pytest.raises(UserError, match="box is empty"):
        Prompt(box=(3.0, 1.0, 3.0, 2.0))


def test_only_the_chosen_cell_type_is_drawn(card: Any, prepared: Any) -> None:
    prompter = make_prompter(DiscStages(), card, cell_type="bright")
    assert ask(prompter, prepared, box=(55.0, 48.0, 83.0, 73.0)).category == "bright"
