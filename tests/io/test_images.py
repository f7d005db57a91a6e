"""Reading image files: every format the package promises, and every way a file can be wrong."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_sartorius.core.errors import UserError
from napari_sartorius.io import tiff_reading
from napari_sartorius.io.images import image_from_array, planes, read_image
from napari_sartorius.io.turned_over import turned_over

if TYPE_CHECKING:
    from pathlib import Path


def _noise(shape: tuple[int, ...], dtype: str = "uint8") -> np.ndarray:
    random = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return random.normal(size=shape).astype(dtype)
    return random.integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(
    ("shape", "axes"), [((20, 30), "YX"), ((20, 30, 3), "YXS"), ((20, 30, 4), "YXS")]
)
def test_png_keeps_every_bit(tmp_path: Path, dtype: str, shape: tuple[int, ...], axes: str) -> None:
    pixels = _noise(shape, dtype)
    path = tmp_path / "image.png"
    path.write_bytes(imagecodecs.png_encode(pixels))
    image = read_image(path)
    assert image.axes == axes
    assert image.pixels.dtype == dtype
    np.testing.assert_array_equal(image.to_array(), pixels)


def test_jpeg_opens_in_grey_and_colour(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(80)).astype(np.uint8)
    for name, pixels in [("grey.jpg", smooth), ("rgb.jpeg", np.dstack([smooth] * 3))]:
        (tmp_path / name).write_bytes(imagecodecs.jpeg_encode(pixels, level=95))
        image = read_image(tmp_path / name)
        assert image.to_array().shape == pixels.shape
        assert np.abs(image.to_array().astype(int) - pixels).max() < 10


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32", "float32", "float64"])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "zstd"])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 32)}, {"bigtiff": True}, {"byteorder": ">"}])
def test_tiff_of_every_kind(
    tmp_path: Path, dtype: str, compression: str | None, layout: dict[str, object]
) -> None:
    pixels = _noise((40, 50), dtype)
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, pixels, compression=compression, **layout)
    image = read_image(path)
    assert image.axes == "YX"
    np.testing.assert_array_equal(image.to_array(), pixels)


def test_planar_colours_come_last(tmp_path: Path) -> None:
    pixels = _noise((3, 40, 50))
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", planarconfig="separate")
    image = read_image(tmp_path / "a.tif")
    assert image.axes == "YXS"
    np.testing.assert_array_equal(image.to_array(), np.moveaxis(pixels, 0, -1))


def test_ink_is_not_taken_for_light(tmp_path: Path) -> None:
    ink = _noise((20, 30, 4))
    tifffile.imwrite(tmp_path / "ink.tif", ink, photometric="separated")
    with pytest.raises(UserError, match=r"ink.tif is a CMYK picture .* convert it to RGB"):
        read_image(tmp_path / "ink.tif")


@pytest.mark.parametrize("limit", [1 << 30, 0])
def test_many_greys_of_a_pixel_are_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(tiff_reading, "EAGER_BYTES", limit)
    greys = _noise((20, 30, 5))
    tifffile.imwrite(tmp_path / "a.tif", greys, photometric="minisblack", planarconfig="contig")
    image = read_image(tmp_path / "a.tif")
    for channel, number in (("auto", 0), (3, 3)):
        ((_, plane),) = planes(image, channel)
        np.testing.assert_array_equal(plane, greys[..., number])


def test_palette_becomes_colour(tmp_path: Path) -> None:
    indices = _noise((20, 30))
    colours = np.stack([np.arange(256) << 8, np.arange(255, -1, -1) << 8, np.full(256, 0x8000)])
    tifffile.imwrite(
        tmp_path / "a.tif", indices, photometric="palette", colormap=colours.astype(np.uint16)
    )
    image = read_image(tmp_path / "a.tif")
    expected = np.stack([indices, 255 - indices, np.full_like(indices, 0x80)], axis=-1)
    np.testing.assert_array_equal(image.to_array(), expected)


def test_multi_page_tiff_is_a_stack(tmp_path: Path) -> None:
    pixels = _noise((5, 40, 50), "uint16")
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", metadata=None)
    image = read_image(tmp_path / "a.tif")
    assert len(image.axes) == 3
    assert image.axes.endswith("YX")
    found = list(planes(image))
    assert [index for index, _ in found] == [(i,) for i in range(5)]
    np.testing.assert_array_equal([plane for _, plane in found], pixels)


@pytest.mark.parametrize(
    ("unit", "micrometres"), [("µm", 0.5), ("nm", 0.0005), ("mm", 500.0), (None, 0.5)]
)
def test_ome_tiff_axes_and_pixel_size(tmp_path: Path, unit: str | None, micrometres: float) -> None:
    pixels = _noise((2, 3, 4, 20, 30), "uint16")
    metadata = {"axes": "TZCYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    if unit is not None:
        metadata |= {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, metadata=metadata, photometric="minisblack")
    image = read_image(tmp_path / "a.ome.tif")
    assert image.axes == "TZCYX"
    assert image.pixel_size == pytest.approx(micrometres)
    np.testing.assert_array_equal(dict(planes(image, 2))[1, 2], pixels[1, 2, 2])


def test_ome_without_scale_has_no_pixel_size(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", _noise((20, 30)), metadata={"axes": "YX"})
    assert read_image(tmp_path / "a.ome.tif").pixel_size is None


@pytest.mark.parametrize("unit", ["um", "micron", "\\u00B5m"])
def test_imagej_pixel_size(tmp_path: Path, unit: str) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        _noise((6, 20, 30), "uint16"),
        imagej=True,
        resolution=(1 / 0.25, 1 / 0.5),
        metadata={"unit": unit, "axes": "TYX"},
    )
    image = read_image(tmp_path / "a.tif")
    assert image.axes == "TYX"
    assert image.pixel_size_yx == pytest.approx((0.5, 0.25))
    assert image.pixel_size is None


@pytest.mark.parametrize(
    ("per_cm", "expected"), [(1e4 / 0.65, 0.65), (72 / 2.54, None), (300 / 2.54, None)]
)
def test_print_resolution_is_no_pixel_size(
    tmp_path: Path, per_cm: float, expected: float | None
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, _noise((20, 30)), resolution=(per_cm, per_cm), resolutionunit=3)
    assert read_image(path).pixel_size == (expected and pytest.approx(expected, rel=1e-4))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("axes", ["TYX", "ZCYX"])
def test_large_tiff_stays_in_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str | None, axes: str
) -> None:
    pixels = _noise((2, 3, 40, 50)[4 - len(axes) :], "float32")
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, pixels, compression=compression, metadata={"axes": axes}, photometric="minisblack"
    )
    monkeypatch.setattr(tiff_reading, "EAGER_BYTES", 100)
    image = read_image(path)
    assert isinstance(image.pixels, tiff_reading.TiffPages if compression else np.memmap)
    assert image.axes == axes
    assert image.pixels.shape == pixels.shape
    expected = pixels if axes == "TYX" else pixels[:, 0]
    np.testing.assert_array_equal([plane for _, plane in planes(image)], expected)
    np.testing.assert_array_equal(np.asarray(image.pixels), pixels)
    np.testing.assert_array_equal(image.pixels[-1, ..., 5:7], pixels[-1, ..., 5:7])


def test_a_volume_is_read_one_page_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, _noise((9, 16, 16)), compression="zlib", photometric="minisblack")
    monkeypatch.setattr(tiff_reading, "EAGER_BYTES", 100)
    decoded: list[int] = []
    original = tiff_reading.TiffPages._page

    def counting(self: tiff_reading.TiffPages, number: int) -> np.ndarray:
        decoded.append(number)
        return original(self, number)

    monkeypatch.setattr(tiff_reading.TiffPages, "_page", counting)
    walk = planes(read_image(path))
    assert decoded == []
    next(walk)
    assert decoded == [0]
    next(walk)
    assert decoded == [0, 1]


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([[0, 1], [200, 255]], np.uint8), [[255, 254], [55, 0]]),
        (np.array([[0, 1], [200, 65535]], np.uint16), [[65535, 65534], [65335, 0]]),
        (np.array([[-32768, -1], [0, 32767]], np.int16), [[32767, 0], [-1, -32768]]),
        (np.array([[0.0, 0.5], [1.0, 2.0]], np.float32), [[0.0, -0.5], [-1.0, -2.0]]),
        (np.array([[False, True], [True, False]]), [[True, False], [False, True]]),
    ],
    ids=["uint8", "uint16", "int16", "float", "1 bit"],
)
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("eager", [True, False])
def test_where_0_is_white_is_turned_over(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pixels: np.ndarray,
    expected: list[list[float]],
    compression: str | None,
    eager: bool,
) -> None:
    path = tmp_path / "a.tif"
    stack = np.stack([np.tile(pixels, (8, 8)), np.tile(pixels[::-1], (8, 8))])
    tifffile.imwrite(path, stack, photometric="miniswhite", compression=compression)
    if not eager:
        monkeypatch.setattr(tiff_reading, "EAGER_BYTES", 10)
    image = read_image(path)
    assert image.pixels.dtype == pixels.dtype
    turned = np.tile(np.array(expected, pixels.dtype), (8, 8))
    planes_read = [plane for _, plane in planes(image)]
    np.testing.assert_array_equal(planes_read[0], turned)
    np.testing.assert_array_equal(image.to_array()[0], turned)
    np.testing.assert_array_equal(image.pixels[1, :2, :2], turned[1::-1, :2])
    np.testing.assert_array_equal(read_image(path, as_shown=False).to_array(), stack)


def test_12_bits_where_0_is_white() -> None:
    pixels = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    turned = turned_over(pixels, 12)
    assert turned.dtype == np.uint16
    np.testing.assert_array_equal(turned, 4095 - pixels)


def test_pictures_behind_the_first_are_told(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    with tifffile.TiffWriter(path) as writer:
        for side in (40, 50, 60):
            writer.write(_noise((20, side)), metadata=None)
    image = read_image(path)
    assert image.size == (20, 40)
    (note,) = image.notes
    assert note == (
        "pages.tif holds 3 pictures of which only the first one (40 x 20 pixels) is read, 2 others "
        "are left out: save each as a file of its own."
    )
    path = tmp_path / "two.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for _ in range(2):
            writer.write(_noise((3, 20, 40)), photometric="minisblack", metadata={"axes": "TYX"})
    (note,) = read_image(path).notes
    assert "two.ome.tif holds 2 pictures" in note
    assert "another one is left out" in note


def test_smaller_copies_of_a_picture_are_not_told(tmp_path: Path) -> None:
    path = tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(_noise((64, 64)), metadata=None)
        writer.write(_noise((32, 32)), metadata=None, subfiletype=1)
    assert read_image(path).notes == ()
    path = tmp_path / "pyramid.ome.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(_noise((64, 64)), subifds=1)
        writer.write(_noise((32, 32)), subfiletype=1)
    assert read_image(path).notes == ()
    tifffile.imwrite(tmp_path / "stack.tif", _noise((3, 20, 30)), photometric="minisblack")
    assert read_image(tmp_path / "stack.tif").notes == ()


def _truncated_tiff() -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, _noise((64, 64), "uint16"))
    return buffer.getvalue()


_GOOD = {
    "png": imagecodecs.png_encode(_noise((64, 64))),
    "jpg": imagecodecs.jpeg_encode(_noise((64, 64))),
    "tif": _truncated_tiff(),
}


@pytest.mark.parametrize("kind", sorted(_GOOD))
@pytest.mark.parametrize("keep", [0.0, 0.01, 0.1, 0.5, 0.99])
def test_cut_off_file(tmp_path: Path, kind: str, keep: float) -> None:
    path = tmp_path / f"image.{kind}"
    path.write_bytes(_GOOD[kind][: int(keep * len(_GOOD[kind]))])
    _assert_one_sentence(path)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("keep", [0.02, 0.4, 0.999])
@pytest.mark.parametrize("eager", [True, False])
def test_cut_off_stack(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    compression: str | None,
    tile: tuple[int, int] | None,
    keep: float,
    eager: bool,
) -> None:
    path = tmp_path / "a.tif"
    stack = _noise((5, 64, 64), "uint16")
    tifffile.imwrite(path, stack, compression=compression, tile=tile, photometric="minisblack")
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    if not eager:
        monkeypatch.setattr(tiff_reading, "EAGER_BYTES", 100)
    with pytest.raises(UserError, match=r"a\.tif is damaged or cut off"):
        list(planes(read_image(path)))


@pytest.mark.parametrize("name", ["notes.png", "notes.tif", "notes.jpg"])
def test_text_with_the_name_of_an_image(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("these are my notes of Tuesday\n")
    _assert_one_sentence(tmp_path / name)


def test_image_with_the_wrong_suffix_opens(tmp_path: Path) -> None:
    pixels = _noise((20, 30))
    tifffile.imwrite(tmp_path / "really_tiff.png", pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "really_tiff.png").to_array(), pixels)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    _assert_one_sentence(tmp_path / "nowhere.png")
    _assert_one_sentence(tmp_path)


def _assert_one_sentence(path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_image(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert message.endswith(".")


def test_every_real_image_opens(shared_data: Path) -> None:
    paths = [*sorted(shared_data.glob("dsb2018/images/*.png"))[:25]]
    paths += sorted(shared_data.glob("sartorius/images/*.png"))[:10]
    paths += sorted(shared_data.glob("livecell/images/*.tif"))
    assert len(paths) > 30
    for path in paths:
        ((_, plane),) = planes(read_image(path))
        assert plane.dtype == np.uint8
        assert plane.ndim == 2 or plane.shape[2] == 3


def test_array_from_a_layer_is_not_copied() -> None:
    pixels = _noise((7, 20, 30))
    assert image_from_array(pixels).pixels is pixels


class _Tensor:
    """Has a shape and a type that is not numpy's, as torch's tensors."""

    shape = (8, 9)
    dtype = "torch.uint8"

    def __init__(self, refusal: str = "") -> None:
        self._refusal = refusal

    def __getitem__(self, key: object) -> object:
        raise AssertionError("it is turned into an array first")

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        if self._refusal:
            raise RuntimeError(self._refusal)
        return _noise((8, 9))


def test_a_tensor_becomes_an_array() -> None:
    image = image_from_array(_Tensor())
    np.testing.assert_array_equal(image.pixels, _noise((8, 9)))


@pytest.mark.parametrize("given", [_Tensor("it requires grad"), [[1, 2], [3]]])
def test_what_cannot_become_an_array_is_one_sentence(given: object) -> None:
    with pytest.raises(
        UserError, match=r"^my picture is a \w+ that cannot become an array \(.*: give"
    ):
        image_from_array(given, name="my picture")
