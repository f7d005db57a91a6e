"""Files from the internet: resumed where they broke off, checked, and never half there."""

from napari_sartorius.zoo.download.checksums import ChecksumLedger
from napari_sartorius.zoo.download.fetch import fetch
from napari_sartorius.zoo.download.resume import Patience, ResumingDownloader

__all__ = ["ChecksumLedger", "Patience", "ResumingDownloader", "fetch"]
