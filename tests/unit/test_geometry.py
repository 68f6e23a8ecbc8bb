"""Landing tables and SOP counts against brute force over every pair of neurons."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spikeloom import Conv2d, Dense, Diagonal
from spikeloom.geometry import Axis, border_classes

quick = settings(max_examples=300, deadline=None, derandomize=True)
extents = st.integers(1, 5)
pairs = st.tuples(extents, extents)
sizes = st.integers(1, 14)


def landings(size: int, pool: int, kernel: int, stride: int, padding: int, outputs: int) -> list[list[tuple[int, int]]]:
    """For every source coordinate the (kernel index, output coordinate) pairs that meet it, by trying all."""
    found: list[list[tuple[int, int]]] = [[] for _ in range(size)]
    for source, output, index in itertools.product(range(size), range(outputs), range(kernel)):
        if source // pool < size // pool and output * stride + index - padding == source // pool:
            found[source].append((index, output))
    return [sorted(pairs) for pairs in found]


def listed(axis: Axis) -> list[list[tuple[int, int]]]:
    """The same from the landing table."""
    return [
        [(int(axis.first[s]) + j * axis.stride, int(axis.output[s]) - j) for j in range(axis.count[s])]
        for s in range(len(axis.count))
    ]


@quick
@given(sizes, extents, st.integers(1, 9), extents, st.integers(0, 9))
def test_sliding_axis_lands_where_trying_all_positions_does(
    size: int, pool: int, kernel: int, stride: int, padding: int
) -> None:
    """Kernels larger than the input, padding beyond the kernel and positions that a stride never reaches included."""
    outputs = (size // pool + 2 * padding - kernel) // stride + 1
    if pool > size or outputs < 1:
        return
    axis = Axis.sliding(size=size, pool=pool, kernel=kernel, stride=stride, padding=padding, outputs=outputs)
    assert listed(axis) == landings(size, pool, kernel, stride, padding, outputs)


@pytest.mark.parametrize(("size", "pool"), [(1, 1), (7, 1), (7, 2), (7, 3), (7, 7), (8, 4)])
def test_whole_axis_lands_once_on_the_pooled_coordinate(size: int, pool: int) -> None:
    axis = Axis.whole(size=size, pool=pool)
    assert listed(axis) == [[(s // pool, 0)] if s // pool < size // pool else [] for s in range(size)]


def brute_fan_out(geometry: Conv2d, source: tuple[int, int, int], target: tuple[int, int, int]) -> np.ndarray:
    """Target neurons that each source neuron reaches, [C, H, W], counted one by one."""
    count = np.zeros(source, np.int64)
    vertical, horizontal = (
        landings(
            source[1 + i], geometry.pool[i], geometry.kernel[i], geometry.stride[i], geometry.padding[i], target[1 + i]
        )
        for i in range(2)
    )
    for c, y, x, o in itertools.product(*map(range, source), range(target[0])):
        if c // (source[0] // geometry.groups) == o // (target[0] // geometry.groups):
            count[c, y, x] += len(vertical[y]) * len(horizontal[x])
    return count


@quick
@given(pairs, pairs, pairs, pairs, st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), pairs)
def test_fan_out_of_a_convolution_counts_positions_that_land(
    high_and_wide: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    groups: int,
    inner: int,
    outer: int,
    pool: tuple[int, int],
) -> None:
    geometry = Conv2d(kernel, stride, (padding[0] - 1, padding[1] - 1), groups, pool)
    source = (groups * inner, *high_and_wide)
    if pool[0] > source[1] or pool[1] > source[2] or min(geometry.output_size(source)) < 1:
        return
    target = (groups * outer, *geometry.output_size(source))
    assert geometry.violations(source, target) == []
    np.testing.assert_array_equal(geometry.fan_out(source, target), brute_fan_out(geometry, source, target))
    # every weight is used as often as there are positions for it: both counts are of the same pairs
    assert geometry.weight_shape(source, target) == (target[0], inner, *kernel)
    assert geometry.kernel_shape(source) == kernel


@pytest.mark.parametrize("pool", [(1, 1), (2, 2), (3, 1)])
def test_fan_out_of_a_dense_connection_is_all_outputs_inside_the_pooled_map(pool: tuple[int, int]) -> None:
    source, target = (2, 5, 4), (7, 1, 1)
    expected = np.zeros(source, np.int64)
    expected[:, : 5 // pool[0] * pool[0], : 4 // pool[1] * pool[1]] = 7
    geometry = Dense(pool)
    np.testing.assert_array_equal(geometry.fan_out(source, target), expected)
    assert geometry.weight_shape(source, target) == (7, 2 * (5 // pool[0]) * (4 // pool[1]))
    assert geometry.kernel_shape(source) == (5 // pool[0], 4 // pool[1])
    assert [axis.stride for axis in geometry.axes(source, target)] == [1, 1]


def test_output_size_follows_the_formula_of_convolutions() -> None:
    assert Conv2d((3, 3), (2, 1), (1, 0), pool=(2, 3)).output_size((1, 13, 12)) == (3, 2)
    assert Conv2d((5, 5)).output_size((1, 4, 5)) == (0, 1)


@pytest.mark.parametrize(
    ("geometry", "target", "expected"),
    [
        (Dense(), (3, 1, 2), ["the target of a dense connection must have shape (O, 1, 1), not (3, 1, 2)"]),
        (Dense((7, 1)), (3, 1, 1), ["pool must be between 1 and the source's (6, 5), not (7, 1)"]),
        (Dense((0, 1)), (3, 1, 1), ["pool must be two integers in 1..65536, not (0, 1)"]),
        (Dense((1,)), (3, 1, 1), ["pool must be two integers in 1..65536, not (1,)"]),  # type: ignore[arg-type]
        (Dense("22"), (3, 1, 1), ["pool must be two integers in 1..65536, not '22'"]),  # type: ignore[arg-type]
        (
            Conv2d((3, 0), (0, 1), (-1, 0), True, (1, 2.0)),  # type: ignore[arg-type]
            (2, 4, 3),
            [
                "kernel must be two integers in 1..65536, not (3, 0)",
                "stride must be two integers in 1..65536, not (0, 1)",
                "padding must be two integers in 0..65536, not (-1, 0)",
                "pool must be two integers in 1..65536, not (1, 2.0)",
                "groups must be an integer of at least 1, not True",
            ],
        ),
        (Conv2d((3, 3), groups=3), (4, 4, 3), ["groups must divide 2 source and 4 target channels, not 3"]),
        (Conv2d((3, 3)), (4, 4, 4), ["the target must be (4, 3) high and wide, not (4, 4)"]),
        (Conv2d((9, 9)), (4, 1, 1), ["the target must be (-2, -3) high and wide, not (1, 1)"]),
        (Diagonal((1, 1), 3), (4, 6, 5), ["channel_offset must be in 0..2, not 3"]),
        (Diagonal((2, 0)), (2, 3, 5), ["stride must be two integers in 1..65536, not (2, 0)"]),
        (Diagonal((2, 2)), (2, 3, 2), ["the target must be (3, 3) high and wide, not (3, 2)"]),
        (Diagonal((2, 2), 2), (4, 3, 3), []),
    ],
)
def test_violations_say_what_is_wrong(
    geometry: Dense | Conv2d | Diagonal, target: tuple[int, int, int], expected: list[str]
) -> None:
    assert geometry.violations((2, 6, 5), target) == expected


@quick
@given(sizes, st.integers(1, 7), extents, st.integers(0, 4))
def test_border_classes_tell_apart_what_sees_other_parts_of_the_padding(
    size: int, kernel: int, stride: int, padding: int
) -> None:
    geometry = Conv2d((kernel, 1), (stride, 1), (padding, 0))
    outputs = (size + 2 * padding - kernel) // stride + 1
    if outputs < 1:
        return
    classes = border_classes([geometry.edges((1, size, 1), (1, outputs, 1))[0]])
    seen = [
        tuple(0 <= output * stride + index - padding < size for index in range(kernel)) for output in range(outputs)
    ]
    order = list(dict.fromkeys(seen))
    assert classes.tolist() == [order.index(one) for one in seen]


def test_a_padded_convolution_of_3_has_9_border_classes_and_one_of_5_has_25() -> None:
    for kernel, count in ((3, 9), (5, 25)):
        geometry = Conv2d((kernel, kernel), padding=(kernel // 2, kernel // 2))
        rows, columns = (border_classes([axis]) for axis in geometry.edges((1, 8, 9), (1, 8, 9)))
        assert (int(rows.max()) + 1) * (int(columns.max()) + 1) == count
        assert len(rows), len(columns) == (8, 9)


def test_classes_of_several_connections_are_those_of_all_together() -> None:
    edges = [np.array([[1, 3], [0, 3], [0, 3], [0, 2]]), np.array([[0, 1], [0, 1], [0, 0], [0, 0]])]
    assert border_classes(edges).tolist() == [0, 1, 2, 3]
    assert border_classes([np.zeros((3, 2), np.int64)]).tolist() == [0, 0, 0]


@pytest.mark.parametrize("geometry", [Dense((2, 3), "max"), Conv2d((2, 2), pool=(2, 3), pool_kind="max")], ids=str)
def test_behind_max_pooling_events_have_the_coordinates_of_the_windows(geometry: Dense | Conv2d) -> None:
    source, target = (3, 5, 7), (4, 1, 1)
    assert geometry.heard(source) == (3, 2, 2)
    assert geometry.summed == 1
    plain = Dense() if isinstance(geometry, Dense) else Conv2d((2, 2))
    for axis, expected in zip(geometry.axes(source, target), plain.axes((3, 2, 2), target), strict=True):
        assert listed(axis) == listed(expected)
    np.testing.assert_array_equal(geometry.fan_out(source, target), plain.fan_out((3, 2, 2), target))
    average = Dense((2, 3)) if isinstance(geometry, Dense) else Conv2d((2, 2), pool=(2, 3))
    assert average.heard(source) == source
    assert average.summed == 6


@pytest.mark.parametrize("stride", [(1, 1), (2, 1), (3, 2)])
def test_a_diagonal_connection_lands_where_its_strides_divide(stride: tuple[int, int]) -> None:
    geometry, source = Diagonal(stride, 1), (2, 5, 4)
    target = (4, -(-5 // stride[0]), -(-4 // stride[1]))
    assert geometry.violations(source, target) == []
    assert geometry.summed == 1
    fan = np.zeros(source, np.int64)
    fan[:, :: stride[0], :: stride[1]] = 1
    np.testing.assert_array_equal(geometry.fan_out(source, target), fan)
    for axis, step, size in zip(geometry.axes(source, target), stride, source[1:], strict=True):
        assert listed(axis) == [[(0, place // step)] if place % step == 0 else [] for place in range(size)]
    assert [edge.any() for edge in geometry.edges(source, target)] == [False, False]
