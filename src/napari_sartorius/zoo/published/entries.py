"""One entry of the catalogue: where a published model is, and what must be known before using it.

What a publisher does not say is None here and "not published" for the reader; nothing is guessed.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Licence(_Entry):
    """Terms of the weights.

    Parameters
    ----------
    name, summary
        For a reader; what it asks for in a few words.
    spdx
        Identifier of the SPDX list, where it has one.
    open
        Whether everybody may use the weights for everything; others must be accepted once.
    url
        The full text.
    """

    name: str
    spdx: str | None = None
    open: bool
    url: str
    summary: str


class PublishedModel(_Entry):
    """A model that can be downloaded.

    Parameters
    ----------
    name, title, description
        Identifier, line for a list, paragraph for a reader.
    publisher, page
        Who publishes it, and the page that says so.
    urls
        Addresses of the same file, tried in this order.
    config_url
        Page of the training configuration, for people.
    settings
        What of that configuration the importer needs, by detectron2's names; written out here so
        that a file that somebody has already can be imported without the internet.
    program
        What it was trained with; `zoo.checkpoints.formats` has the formats of these programs.
    not_importable
        Why the importer will never read this one; None for the rest.
    licence, citation, training_data
        For people.
    categories
        Names of the classes in the order of training; None leaves naming them to the importer.
    metrics
        Percent by name, as published.
    measured_on
        The images of these figures.
    megabytes
        Size of the download in 10^6 bytes, rounded; None when it is not published.
    size_note
        What is known of the size otherwise.
    checksum
        ``sha256:`` or ``md5:`` with all or the first hexadecimal digits; None when none is
        published: then the first good download is recorded.
    """

    name: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$")
    title: str
    description: str
    publisher: str
    page: str
    urls: tuple[str, ...] = Field(min_length=1)
    config_url: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    program: str
    not_importable: str | None = None
    licence: Licence
    citation: str
    training_data: str
    categories: tuple[str, ...] | None = None
    metrics: dict[str, float]
    measured_on: str
    megabytes: float | None = Field(default=None, gt=0)
    size_note: str = ""
    checksum: str | None = Field(default=None, pattern="^(sha256|md5):[0-9a-f]{6,64}$")

    @property
    def file_name(self) -> str:
        """Name of the file at its address."""
        return self.urls[0].rsplit("/", 1)[-1]

    @property
    def size_text(self) -> str:
        """Size for a reader."""
        if self.megabytes is not None:
            return f"{self.megabytes:.0f} MB"
        return "not published" + (f" ({self.size_note})" if self.size_note else "")

    @property
    def figures_text(self) -> str:
        """Published figures for a reader, for example ``mask AP 47.8, box AP 48.5``."""
        return ", ".join(f"{name} {value:.1f}" for name, value in self.metrics.items())
