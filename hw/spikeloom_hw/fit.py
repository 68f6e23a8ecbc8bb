"""Whether a network fits a board: what it needs at least, told in a few seconds, without synthesis."""

from dataclasses import dataclass, replace
from functools import lru_cache

from spikeloom.network import Network
from spikeloom.placing.place import smallest as smallest_chain
from spikeloom.placing.resources import Capacity

from .boards.board import Board
from .boards.board_list import BOARDS


@dataclass(frozen=True)
class Verdict:
    """Whether a network fits a board.

    Members
    -------
    board : its name.
    fits : there is a way to place it.
    reasons : every resource of which it needs more than there is, as sentences; empty where it fits.
    lut, ram : look-up tables and block RAMs of the smallest way to place it that was found, and of the link to the
        host; the first an estimate.
    lut_available, ram_available : of the board.
    """

    board: str
    fits: bool
    reasons: tuple[str, ...]
    lut: int
    lut_available: int
    ram: int
    ram_available: int


def verdict(network: Network, board: Board) -> Verdict:
    """Whether a network fits a board.

    Raises
    ------
    NotBuilt
        The network needs something the gates do not do yet.
    """
    capacity = board.capacity(network)
    lut, ram, reasons = _smallest(network, replace(capacity, name="board"))
    return Verdict(board.name, not reasons, reasons, lut, board.lut, ram, board.ram_blocks)


def smallest(network: Network) -> str | None:
    """Name of the board with the fewest LUTs, of equals the fewest bits of RAM, that a network fits; None for none."""
    for board in sorted(BOARDS.values(), key=lambda one: (one.lut, one.ram_kbit)):
        if verdict(network, board).fits:
            return board.name
    return None


@lru_cache(maxsize=256)
def _smallest(network: Network, capacity: Capacity) -> tuple[int, int, tuple[str, ...]]:
    """LUTs and block RAMs of the smallest chain and the link, and what is short: once for all boards with a device."""
    chain, missing = smallest_chain(network, capacity)
    return chain.luts + capacity.link_lut, chain.blocks + capacity.link_blocks, tuple(missing)
