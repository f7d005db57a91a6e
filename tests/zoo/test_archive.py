"""Models travel as one zip; what others send is trusted with nothing."""

from __future__ import annotations

import shutil
import stat
import zipfile
from typing import TYPE_CHECKING

import pytest

from napari_sartorius.core.errors import UserError
from napari_sartorius.core.progress import Cancelled, Monitor
from napari_sartorius.zoo import find_bundle, list_bundles, scan_bundles
from napari_sartorius.zoo.archive import export_bundle, import_bundle_zip, is_bundle_zip
from napari_sartorius.zoo.manage import bundle_bytes, remove_bundle, rename_bundle
from tiny_models import save_tiny_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from napari_sartorius.zoo import ModelBundle


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("SARTORIUS_MODELS", str(folder))
    return folder


@pytest.fixture
def tiny(models: Path) -> ModelBundle:
    return save_tiny_bundle(models / "tiny")


@pytest.fixture
def zipped(tiny: ModelBundle, tmp_path: Path) -> Path:
    return export_bundle(tiny, tmp_path / "tiny.zip")


def names() -> set[str]:
    return {bundle.card.name for bundle in list_bundles()}


def hidden(models: Path) -> list[str]:
    return [path.name for path in models.iterdir() if path.name.startswith(".")]


def rewritten(path: Path, member: str, content: bytes | None, **facts: object) -> Path:
    """A copy of a zip with one member exchanged, added or, without content, left out."""
    target = path.with_name("changed.zip")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            if info.filename != member:
                new.writestr(info, old.read(info))
        if content is not None:
            info = zipfile.ZipInfo(member)
            info.compress_type = zipfile.ZIP_DEFLATED
            for name, value in facts.items():
                setattr(info, name, value)
            new.writestr(info, content)
    return target


def test_there_and_back(zipped: Path, tiny: ModelBundle, models: Path) -> None:
    assert is_bundle_zip(zipped)
    remove_bundle("tiny")
    assert "tiny" not in names()
    bundle = import_bundle_zip(zipped)
    assert bundle.path == models / "tiny"
    assert bundle.card == tiny.card
    assert find_bundle("tiny").load_network() is not None
    assert hidden(models) == []


def test_under_another_name(zipped: Path) -> None:
    import_bundle_zip(zipped, name="tiny2")
    assert {"tiny", "tiny2"} <= names()
    assert find_bundle("tiny2").card.sha256 == find_bundle("tiny").card.sha256


def test_a_taken_name_is_refused(zipped: Path) -> None:
    with pytest.raises(UserError, match="a model called tiny already"):
        import_bundle_zip(zipped)
    with pytest.raises(UserError, match="cannot be called"):
        import_bundle_zip(zipped, name="../up")


def test_the_import_report_travels_along(tiny: ModelBundle, tmp_path: Path, models: Path) -> None:
    (tiny.path / "import.json").write_text("{}")
    path = export_bundle(tiny, tmp_path / "tiny.zip")
    import_bundle_zip(path, name="copy")
    assert (models / "copy" / "import.json").read_text() == "{}"


def test_a_zip_among_the_models_can_be_exported_too(zipped: Path, tmp_path: Path) -> None:
    again = export_bundle(find_bundle(zipped), tmp_path / "again.zip")
    assert zipfile.ZipFile(again).namelist() == ["model.json", "weights.safetensors"]


def test_export_refuses_other_suffixes_existing_files_and_damage(
    tiny: ModelBundle, zipped: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"must end in \.zip"):
        export_bundle(tiny, tmp_path / "tiny.tar")
    with pytest.raises(UserError, match="exists already"):
        export_bundle(tiny, zipped)
    export_bundle(tiny, zipped, overwrite=True)
    (tiny.path / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="do not match its card"):
        export_bundle(tiny, tmp_path / "other.zip")
    assert not (tmp_path / "other.zip").exists()


@pytest.mark.parametrize(
    ("member", "facts", "reason"),
    [
        ("../evil.txt", {}, "wants to write outside"),
        ("/etc/evil", {}, "wants to write outside"),
        ("..\\evil.txt", {}, "wants to write outside"),
        ("C:\\evil.txt", {}, "wants to write outside"),
        ("script.py", {}, "no part of a model"),
        ("sub/model.json", {}, "no part of a model"),
        ("link", {"external_attr": (stat.S_IFLNK | 0o777) << 16}, "holds a link"),
    ],
)
def test_strange_members_are_refused(
    zipped: Path, models: Path, member: str, facts: dict[str, object], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        import_bundle_zip(rewritten(zipped, member, b"x", **facts), name="new")
    assert names() & {"new"} == set()
    assert hidden(models) == []
    assert not list(models.parent.rglob("evil*"))


def test_a_link_instead_of_the_weights_is_refused(zipped: Path) -> None:
    attributes = (stat.S_IFLNK | 0o777) << 16
    path = rewritten(zipped, "weights.safetensors", b"/etc/passwd", external_attr=attributes)
    with pytest.raises(UserError, match="holds a link"):
        import_bundle_zip(path, name="new")


def test_a_bomb_is_refused_before_it_unpacks(zipped: Path, models: Path) -> None:
    path = rewritten(zipped, "weights.safetensors", bytes(101 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(UserError, match="would unpack to 106 MB"):
        import_bundle_zip(path, name="new")
    card = rewritten(zipped, "model.json", b" " * (5 << 20))
    with pytest.raises(UserError, match="more than any model's"):
        import_bundle_zip(card, name="new")
    assert hidden(models) == []


def test_a_member_that_lies_about_its_size_is_refused(zipped: Path, models: Path) -> None:
    path = rewritten(zipped, "import.json", b"x" * 5000)
    data = bytearray(path.read_bytes())
    size = (5000).to_bytes(4, "little")
    assert data.count(size) == 2
    path.write_bytes(bytes(data.replace(size, (10).to_bytes(4, "little"))))
    with pytest.raises(UserError, match="damaged or was not copied completely"):
        import_bundle_zip(path, name="new")
    assert not (models / "new").exists()


def test_members_twice_missing_or_encrypted(zipped: Path) -> None:
    with pytest.raises(UserError, match=r"weights\.safetensors is missing"):
        import_bundle_zip(rewritten(zipped, "weights.safetensors", None), name="new")
    data = bytearray(zipped.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    locked = zipped.with_name("locked.zip")
    locked.write_bytes(bytes(data))
    with pytest.raises(UserError, match="is encrypted"):
        import_bundle_zip(locked, name="new")
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(zipped, "a") as archive:
        archive.writestr("model.json", "{}")
    with pytest.raises(UserError, match="twice"):
        import_bundle_zip(zipped, name="new")


def test_exchanged_weights_and_a_broken_zip(zipped: Path, models: Path) -> None:
    with pytest.raises(UserError, match="do not match its card"):
        import_bundle_zip(rewritten(zipped, "weights.safetensors", b"other"), name="new")
    data = zipped.read_bytes()
    zipped.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match="damaged or was not copied completely"):
        import_bundle_zip(zipped, name="new")
    assert not is_bundle_zip(zipped)
    with pytest.raises(UserError, match="cannot be read"):
        import_bundle_zip(models / "nothing.zip")
    assert not (models / "new").exists()


def test_no_room_on_the_disk(zipped: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(models)._replace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(UserError, match="free some space"):
        import_bundle_zip(zipped, name="new")
    assert not (models / "new").exists()


class Impatient(Monitor):
    """Cancels when unpacking has begun."""

    begun = False

    def progress(self, stage: str, fraction: float) -> None:
        self.begun = self.begun or stage.startswith("unpacking w")

    def check(self) -> None:
        if self.begun:
            raise Cancelled


def test_cancel_leaves_nothing(zipped: Path, models: Path) -> None:
    with pytest.raises(Cancelled):
        import_bundle_zip(zipped, name="new", monitor=Impatient())
    assert sorted(path.name for path in models.iterdir()) == ["tiny"]


def test_rename(tiny: ModelBundle, models: Path) -> None:
    renamed = rename_bundle("tiny", "small")
    assert renamed.path == models / "small"
    assert renamed.load_network() is not None
    assert "small" in names()
    assert "tiny" not in names()
    with pytest.raises(UserError, match="cannot be called"):
        rename_bundle("small", "no spaces")
    with pytest.raises(UserError, match="a model called nuclei already"):
        rename_bundle("small", "nuclei")
    with pytest.raises(UserError, match="known models"):
        rename_bundle("tiny", "other")


def test_shipped_models_stay(tiny: ModelBundle) -> None:
    with pytest.raises(UserError, match="ships with napari-sartorius and cannot be renamed"):
        rename_bundle("nuclei", "mine")
    with pytest.raises(UserError, match="cannot be removed"):
        remove_bundle("nuclei")
    with pytest.raises(UserError, match="models that were added: tiny"):
        remove_bundle("nothing")


def test_damaged_folders_are_seen_and_can_be_removed(tiny: ModelBundle, models: Path) -> None:
    (models / "broken").mkdir()
    (models / "broken" / "model.json").write_text("{")
    damaged = scan_bundles()[1]
    assert [one.path.name for one in damaged] == ["broken"]
    assert "cannot be read" in damaged[0].reason
    assert remove_bundle("broken") == 1
    assert scan_bundles()[1] == []
    size = bundle_bytes(tiny.path)
    assert remove_bundle("tiny") == size > 1000
