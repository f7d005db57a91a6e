"""An ensemble as a folder or one zip file: its card, and the weights of every member, each once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_sartorius.zoo.bundle import WEIGHTS_FILE, ModelBundle, read_rescorer
from napari_sartorius.zoo.ensemble_card import EnsembleCard

MEMBERS_FOLDER = "members"


@dataclass(frozen=True)
class EnsembleBundle:
    """An ensemble's card and where its members' weights are. Nothing is loaded before asked for.

    Attributes
    ----------
    card
        What is known of the ensemble.
    path
        The bundle's folder or zip file.
    """

    card: EnsembleCard
    path: Path

    def member(self, name: str) -> ModelBundle:
        """A member as a bundle of its own, in the folder or zip of the ensemble."""
        return ModelBundle(self.card.member(name).card, self.path, member_folder(name))

    @property
    def lead(self) -> ModelBundle:
        """The first member that finds objects."""
        return self.member(self.card.lead.name)

    @property
    def members(self) -> list[ModelBundle]:
        """All members."""
        return [self.member(name) for name in self.card.member_names]

    def weights_files(self) -> dict[str, ModelBundle]:
        """Which weights there are: their place in the bundle, and whose they are."""
        return {member.inside + WEIGHTS_FILE: member for member in self.members}

    def verify(self) -> int:
        """Compare all weights with the card; returns their bytes.

        Raises
        ------
        UserError
            Naming the member that is damaged or missing.
        """
        self.read_rescorer()
        return sum(member.verify() for member in self.members)

    def try_out(self) -> None:
        """Make sure that the weights of all members become networks.

        Raises
        ------
        UserError
            Naming the member that cannot be loaded.
        """
        for member in self.members:
            member.try_out()

    def read_rescorer(self) -> bytes | None:
        """Bytes of the second level after checking them; None where there is none.

        Raises
        ------
        UserError
            When the file is missing or damaged.
        """
        return read_rescorer(self.card, self.path)


def member_folder(name: str) -> str:
    """Where a member lies in its ensemble."""
    return f"{MEMBERS_FOLDER}/{name}/"
