"""The program itself, also as ``python -m napari_sartorius`` where the scripts are not on the path.

Reading the program's modules takes half a second, in which Ctrl+C is a stop as at any other time.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; what remains here is the time before and after it."""
    try:
        from napari_sartorius.cli.main import app

        app(prog_name="napari-sartorius")
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        raise SystemExit(130) from None  # as `napari_sartorius.cli.errors.INTERRUPTED`


if __name__ == "__main__":
    main()
