"""What a biologist sees and clicks: the only room that knows Qt and napari.

Everything here is thin. Widgets collect a `SegmentConfig`, hand it to the engine's worker process,
and show what comes back; no widget computes on pixels, and nothing here imports torch.
"""

from __future__ import annotations
