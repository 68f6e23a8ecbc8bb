"""Landing on banks against brute force over every pair of coordinates."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spikeloom import Conv2d, Dense, Diagonal
from spikeloom.program.landing import Landing, landings

quick = settings(max_examples=300, deadline=None, derandomize=True)
extents = st.integers(1, 5)
banks = st.integers(1, 5)
sizes = st.integers(1, 14)


def met(landing: Landing, coordinate: int) -> list[tuple[int, int]]:
    """The (kernel index, output) pairs that an event of a coordinate meets, pass by pass as the hardware walks them."""
    found = []
    rotation = int(landing.rotation[coordinate])
    for number in range(int(landing.passes[coordinate])):
        for bank in np.flatnonzero(landing.masks[coordinate, number]):
            block = int(landing.block[coordinate]) - number + int(bank < rotation)
            slot = (bank - rotation) % landing.banks
            kernel = int(landing.kernel[int(landing.weight[coordinate]) + number, slot])
            found.append((kernel, block * landing.banks + int(bank)))
    return sorted(found)


@quick
@given(sizes, extents, st.integers(1, 9), extents, st.integers(0, 9), banks)
def test_every_pass_lands_where_trying_all_positions_does(
    size: int, pool: int, kernel: int, stride: int, padding: int, count: int
) -> None:
    """Kernels larger than the input, padding beyond the kernel and positions that a stride never reaches included."""
    pool = min(pool, size)
    geometry = Conv2d((kernel, 1), (stride, 1), (padding, 0), 1, (pool, 1))
    outputs = geometry.output_size((1, size, 1))[0]
    if outputs < 1:
        return
    landing, _ = landings(geometry, (1, size, 1), (1, outputs, 1), (count, 1))
    for coordinate in range(size):
        place = coordinate // pool
        expected = sorted(
            (index, output)
            for output, index in itertools.product(range(outputs), range(kernel))
            if place < size // pool and output * stride + index - padding == place
        )
        assert met(landing, coordinate) == expected


@quick
@given(sizes, extents, banks)
def test_a_dense_connection_lands_once_in_the_first_bank(size: int, pool: int, count: int) -> None:
    pool = min(pool, size)
    _, landing = landings(Dense((1, pool)), (1, 1, size), (3, 1, 1), (1, count))
    for coordinate in range(size):
        pooled = coordinate // pool
        assert met(landing, coordinate) == ([(pooled, 0)] if pooled < size // pool else [])


@quick
@given(sizes, extents, banks)
def test_a_diagonal_connection_lands_where_its_stride_divides(size: int, stride: int, count: int) -> None:
    landing, _ = landings(Diagonal((stride, 1)), (1, size, 1), (1, -(-size // stride), 1), (count, 1))
    for coordinate in range(size):
        expected = [(0, coordinate // stride)] if coordinate % stride == 0 else []
        assert met(landing, coordinate) == expected


def test_behind_max_pooling_coordinates_are_pooled_already() -> None:
    geometry = Conv2d((3, 3), padding=(1, 1), pool=(2, 2), pool_kind="max")
    assert geometry.heard((4, 8, 8)) == (4, 4, 4)
    landing, _ = landings(geometry, (4, 4, 4), (4, 4, 4), (3, 3))
    assert [len(met(landing, coordinate)) for coordinate in range(4)] == [2, 3, 3, 2]


@pytest.mark.parametrize(
    ("kernel", "stride", "count", "passes", "weights"),
    [
        (3, 1, 1, [2, 3, 3, 3, 3, 3, 3, 2], 3),
        (3, 1, 3, [1] * 8, 1),
        (3, 1, 2, [1, 2, 2, 2, 2, 2, 2, 2], 2),
        (3, 2, 1, [1, 2, 1, 2, 1, 2, 1, 1], 3),
        (3, 2, 2, [1] * 8, 2),
        (5, 1, 3, [1, 2, 2, 2, 2, 2, 2, 2], 2),
    ],
)
def test_as_many_outputs_as_there_are_banks_are_met_in_one_pass(
    kernel: int, stride: int, count: int, passes: list[int], weights: int
) -> None:
    padding = kernel // 2
    geometry = Conv2d((kernel, kernel), (stride, stride), (padding, padding))
    outputs = geometry.output_size((1, 8, 8))[0]
    landing, _ = landings(geometry, (1, 8, 8), (1, outputs, outputs), (count, count))
    assert landing.passes.tolist() == passes
    assert len(landing.kernel) == weights
