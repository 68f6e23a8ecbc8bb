"""Loads: the requests that bring the parameters of a network into a device that runs, and what it must hold then."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import SpikeloomError
from ..network import Network
from ..program.parameters import (
    ADDRESS_WORD_BITS,
    WORD_BYTES,
    ParameterMemory,
    cores_of,
    parameter_memories,
    parameter_rows,
)
from ..program.structure import require_structure
from .messages import LOAD_BYTES, Load


@dataclass(frozen=True)
class MemoryLoad:
    """What fills one parameter memory.

    Members
    -------
    memory : its number.
    frames : requests, in any order; each may come more than once.
    checksum : of all of it, as the device answers then.
    """

    memory: int
    frames: tuple[Load, ...]
    checksum: int


def memory_loads(manifest: Mapping[str, Any], built: Network, network: Network) -> tuple[MemoryLoad, ...]:
    """Requests that fill the parameter memories of a build for a network.

    Parameters
    ----------
    manifest : of the build.
    built : the network it was made of.
    network : of the same structure; `built` itself brings back what the bitstream held.

    Raises
    ------
    SpikeloomError
        The memories of the build cannot be written.
    DoesNotFit
        The network needs other gates; lists everything that differs.
    """
    if manifest["contents"] != "loadable":
        raise SpikeloomError(
            f"Build of '{built.name}': must be generated with --loadable, not as {manifest['contents']}; "
            "generate, synthesise and flash it again"
        )
    cores = cores_of(manifest, built)
    require_structure(network, built, cores)
    room = (manifest["link"]["frame_bytes"] - LOAD_BYTES) // WORD_BYTES
    found = []
    for memory, rows in zip(parameter_memories(network, cores), parameter_rows(network, cores), strict=True):
        data = memory.words_of(rows)
        frames = tuple(
            Load(memory.number, address_of(memory, word), data[word * WORD_BYTES : (word + room) * WORD_BYTES])
            for word in range(0, memory.depth * memory.words, room)
        )
        found.append(MemoryLoad(memory.number, frames, memory.checksum(rows)))
    return tuple(found)


def address_of(memory: ParameterMemory, word: int) -> int:
    """Address of a word, counted from the first one of the first row."""
    row, place = divmod(word, memory.words)
    return row << ADDRESS_WORD_BITS | place
