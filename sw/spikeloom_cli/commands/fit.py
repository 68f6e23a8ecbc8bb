"""The command fit: whether a network fits a board, with all reasons, and the smallest board on which it does."""

from typing import Annotated

import typer

from ..output import Answer, named_rows, working
from .options import Json, NetworkFile


def fit(
    network: NetworkFile,
    board: Annotated[str, typer.Option(metavar="B", help="A board of `spikeloom boards`, or all of them.")] = "all",
    json: Json = False,
) -> Answer:
    """Say whether a network fits a board, without synthesis: what it needs at least, and the smallest board for it.

    Exit code 1 where it does not fit.

    \b
    Example:
      spikeloom fit mlp.loom --board icebreaker
    """
    from dataclasses import asdict

    from spikeloom.network import Network
    from spikeloom_hw.boards import find
    from spikeloom_hw.boards.board_list import BOARDS
    from spikeloom_hw.fit import smallest, verdict

    loaded = Network.load(network)
    asked = list(BOARDS.values()) if board == "all" else [find(board)]
    with working(f"fitting {loaded.name}"):
        verdicts = [verdict(loaded, one) for one in asked]
        least = smallest(loaded)
    document = {"network": loaded.name, "smallest": least, "boards": [asdict(one) for one in verdicts]}
    advice = f"; the smallest board on which it does is {least}" if least else "; it fits none of the boards there are"
    if board != "all":
        (one,) = verdicts
        rows = {"fits": "yes" if one.fits else "no"}
        if not one.fits:
            rows["reasons"] = "; ".join(one.reasons)
        rows |= {
            "LUTs at least": f"about {one.lut:,} of {one.lut_available:,}",
            "RAM blocks at least": f"{one.ram} of {one.ram_available}",
            "smallest board": least or "none",
        }
        failure = None if one.fits else f"Network '{loaded.name}' on '{one.board}': {'; '.join(one.reasons)}{advice}"
        return Answer(document, (named_rows(f"{loaded.name} on {one.board}", rows),), failure)
    heads = ("board", "fits", "LUTs", "of", "RAM blocks", "of", "reasons")
    table = [
        (one.board, "yes" if one.fits else "no", str(one.lut), str(one.lut_available), str(one.ram),
         str(one.ram_available), "; ".join(one.reasons))
        for one in verdicts
    ]  # fmt: skip
    failure = None if least else f"Network '{loaded.name}': must fit a board, but fits none of those there are"
    return Answer(document, ((heads, *table),), failure)
