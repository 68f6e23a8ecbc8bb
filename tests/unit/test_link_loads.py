"""Loads: requests that fill the memories of a device, wherever they are cut and however often they come."""

from typing import Any

import numpy as np
import pytest
from random_networks import RandomNetwork, exchanged
from spikeloom import DoesNotFit, Network, SpikeloomError
from spikeloom.link import memory_loads
from spikeloom.link.messages import LOAD_BYTES
from spikeloom.placing.place import place
from spikeloom.program.parameters import ADDRESS_WORD_BITS, WORD_BYTES, parameter_memories, parameter_rows
from spikeloom_hw.build import made


def network(outputs: int = 20) -> Network:
    return RandomNetwork(np.random.default_rng(0), (1, 4, 4), 4, "wide").dense(outputs).readout(3)


def manifest(contents: str = "loadable", frame_bytes: int = 256) -> dict[str, Any]:
    _, found = made(place(network(), lanes=20, contents=contents), "none", "spikeloom generate")
    return found | {"link": found["link"] | {"frame_bytes": frame_bytes}}


@pytest.mark.parametrize("frame_bytes", [256, 32, 11])
def test_frames_fill_every_memory_and_nothing_else(frame_bytes: int) -> None:
    other = exchanged(network(), np.random.default_rng(1))
    cores = place(network(), lanes=20, contents="loadable").cores
    loads = memory_loads(manifest(frame_bytes=frame_bytes), network(), other)
    wanted = zip(parameter_memories(other, cores), parameter_rows(other, cores), strict=True)
    for load, (memory, rows) in zip(loads, wanted, strict=True):
        filled = np.full((memory.depth * memory.words, WORD_BYTES), 255, np.uint8)
        for frame in load.frames:
            assert frame.memory == load.memory == memory.number
            assert LOAD_BYTES < len(frame.payload()) <= frame_bytes
            row, word = frame.address >> ADDRESS_WORD_BITS, frame.address & (1 << ADDRESS_WORD_BITS) - 1
            first, words = row * memory.words + word, np.frombuffer(frame.data, np.uint8).reshape(-1, WORD_BYTES)
            filled[first : first + len(words)] = words
        assert filled.tobytes() == memory.words_of(rows)
        assert load.checksum == memory.checksum(rows)


def test_builds_that_cannot_be_loaded_and_networks_of_another_structure_are_refused() -> None:
    with pytest.raises(SpikeloomError) as error:
        memory_loads(manifest("replaceable"), network(), network())
    assert str(error.value) == (
        "Build of 'wide': must be generated with --loadable, not as replaceable; "
        "generate, synthesise and flash it again"
    )
    with pytest.raises(DoesNotFit, match=r"population 'l1': shape must be \(20, 1, 1\), not \(19, 1, 1\)"):
        memory_loads(manifest(), network(), network(19))


def test_a_load_is_the_same_for_the_build_s_own_network() -> None:
    loads = memory_loads(manifest(), network(), network())
    assert [load.memory for load in loads] == [0, 1, 2, 3]
    assert manifest()["link"]["memories"] == 4
    assert manifest("replaceable")["link"]["memories"] == 0
