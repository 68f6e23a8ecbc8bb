"""`python -m spikeloom_cli.pages`: make the pages of docs/ again that are made."""

import argparse
from pathlib import Path

from spikeloom import SpikeloomError

from ..output import note
from . import update


def main() -> int:
    """Write what differs; 0, or 2 where something is missing."""
    parser = argparse.ArgumentParser(prog="python -m spikeloom_cli.pages", description=__doc__)
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the pages")
    docs = parser.parse_args().docs
    try:
        for page in update(docs):
            note(f"{page} written")
    except (SpikeloomError, OSError) as error:
        note(f"error: {error}")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
