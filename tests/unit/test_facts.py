"""The facts that make one small core enough (mathematics of the neuron), proved on both forms of the golden model."""

from itertools import permutations, product

import numpy as np
import pytest
from spikeloom import Connection, Conv2d, Dense, Input, Network, Neuron, Population, Readout, Silent, golden
from spikeloom.encoding import codes_of, encode, spikes_of
from spikeloom.golden.stepped import generate
from spikeloom.golden.synapses import race
from spikeloom.neuron import partial_sums, train_weights
from spikeloom.trace import require_equal
from spikeloom.windows import Windows

ONE_SAMPLE = np.zeros((1, 1, 1, 1), np.uint8)


def fire(
    potential: np.ndarray,
    theta: np.ndarray,
    growth: float,
    timesteps: int,
    code: str = "plain",
    *,
    signed: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Codes and remainders, int64 [n], of n neurons with these potentials and thresholds; both golden forms agree."""
    potential, theta = (array.astype(np.int64).reshape(1, -1) for array in np.broadcast_arrays(potential, theta))
    neurons = potential.shape[1]
    population = Population(
        "fires", (neurons, 1, 1), Neuron(timesteps, growth, theta, potential, code=code, signed=signed)
    )
    readout = Population("readout", (1, 1, 1), Silent(np.zeros((1, 1), np.int64)))
    network = Network(
        "facts",
        (Input("input", (1, 1, 1), 1, scale=0.5),),
        (population, readout),
        (
            Connection("nothing", "input", "fires", Dense(), np.zeros((neurons, 1), np.int8), 2),
            Connection("out", "fires", "readout", Dense(), np.ones((1, neurons), np.int8), 2),
        ),
        (Readout("readout", 1.0),),
    )
    trace = golden.run(network, ONE_SAMPLE)
    require_equal(trace, golden.run_values(network, ONE_SAMPLE))
    return codes_of(trace.spikes["fires"], growth).ravel(), trace.remainder["fires"].ravel()


def grid(thetas: range | list[int], timesteps: int) -> tuple[np.ndarray, np.ndarray]:
    """Every potential from below zero to beyond the clamp for each threshold: (V [n], theta [n])."""
    values = [np.arange(-3, max(2, timesteps) * theta + 4) for theta in thetas]
    return np.concatenate(values), np.repeat(np.array(thetas), [len(part) for part in values])


# Fact 1: two-phase growth 2 is a division.


@pytest.mark.parametrize("timesteps", [1, 2, 3, 4, 8, 16])
def test_growth_2_divides_every_potential_exactly_by_any_threshold(timesteps: int) -> None:
    potential, theta = grid([*range(1, 40), 64, 97, 255, 256, 257], timesteps)
    code, remainder = fire(potential, theta, 2.0, timesteps)
    scaled = potential << (timesteps - 1)
    np.testing.assert_array_equal(code, np.clip(scaled // theta, 0, 2**timesteps - 1))
    clamped = np.clip(potential, 0, 2 * theta)
    np.testing.assert_array_equal(remainder, (clamped << (timesteps - 1)) - code * theta)


@pytest.mark.parametrize("timesteps", [1, 2, 3, 4, 5, 6])
def test_growth_2_at_the_borders_of_the_clamp(timesteps: int) -> None:
    top = 2**timesteps - 1
    theta = 6 << timesteps
    step = theta >> (timesteps - 1)
    cases = {-(10**9): 0, -1: 0, 0: 0, step - 1: 0, step: 1, theta - 1: 2 ** (timesteps - 1) - 1}
    cases |= {theta: 2 ** (timesteps - 1), 2 * theta - step - 1: top - 1, 2 * theta - step: top}
    cases |= {2 * theta - 1: top, 2 * theta: top, 2 * theta + 1: top, 10**9: top}
    code, _ = fire(np.array(list(cases)), np.array(theta), 2.0, timesteps)
    assert code.tolist() == list(cases.values())


def rounds(theta: int, timesteps: int) -> bool:
    """Whether adding floor(theta/2^T) turns floor into rounding for every potential."""
    potential = np.arange(-theta, 2 * theta + 2)
    code, _ = fire(potential + (theta >> timesteps), np.array(theta), 2.0, timesteps)
    nearest = ((potential << timesteps) + theta) // (2 * theta)
    return bool((code == np.clip(nearest, 0, 2**timesteps - 1)).all())


@pytest.mark.parametrize("timesteps", [1, 2, 3, 4, 5])
def test_adding_theta_over_2_to_the_t_rounds_where_theta_is_a_multiple_of_it(timesteps: int) -> None:
    assert all(rounds(multiple << timesteps, timesteps) for multiple in range(1, 8))


@pytest.mark.parametrize("timesteps", [1, 2, 3, 4])
def test_other_thresholds_round_exactly_only_if_their_rest_is_a_power_of_two(timesteps: int) -> None:
    exact = [theta for theta in range(1, 64) if rounds(theta, timesteps)]
    assert exact == [theta for theta in range(1, 64) if (theta % 2**timesteps).bit_count() <= 1]


@pytest.mark.parametrize("growth", [1.0, 2.0])
@pytest.mark.parametrize("timesteps", [1, 2, 4, 7])
def test_signed_neurons_divide_the_size_and_keep_the_sign(growth: float, timesteps: int) -> None:
    potential, theta = grid([*range(1, 20), 64, 97, 256], timesteps)
    potential, theta = np.concatenate([potential, -potential]), np.concatenate([theta, theta])
    code, remainder = fire(potential, theta, growth, timesteps, signed=True)
    factor, top = (2 ** (timesteps - 1), 2**timesteps - 1) if growth == 2.0 else (1, timesteps)
    np.testing.assert_array_equal(code, np.sign(potential) * np.minimum(abs(potential) * factor // theta, top))
    most = (2 if growth == 2.0 else max(2, timesteps)) * theta
    np.testing.assert_array_equal(remainder, np.clip(potential, -most, most) * factor - code * theta)


def test_rounding_a_signed_code_adds_with_the_sign_of_the_potential() -> None:
    timesteps, theta = 4, 5 << 4
    potential = np.arange(-2 * theta - 3, 2 * theta + 4)
    code, _ = fire(potential + np.sign(potential) * (theta >> timesteps), np.array(theta), 2.0, timesteps, signed=True)
    size = (2 * abs(potential) * 2 ** (timesteps - 1) + theta) // (2 * theta)
    np.testing.assert_array_equal(code, np.sign(potential) * np.minimum(size, 15))


# Fact 2: growth 1 is QCFS.


@pytest.mark.parametrize("levels", [1, 2, 3, 4, 7, 8, 16])
def test_growth_1_that_starts_at_half_theta_equals_qcfs_of_as_many_levels_as_steps(levels: int) -> None:
    potential, theta = grid([*range(1, 30), 64, 101], levels)
    code, remainder = fire(potential + theta // 2, theta, 1.0, levels)
    # h(z) = lambda * clip(floor(z*L/lambda + 1/2) / L, 0, 1) with lambda = L*theta: its level is
    np.testing.assert_array_equal(code, np.clip((2 * potential + theta) // (2 * theta), 0, levels))
    np.testing.assert_array_equal(remainder, np.clip(potential + theta // 2, 0, max(2, levels) * theta) - code * theta)


@pytest.mark.parametrize("timesteps", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("unit", [1, 3, 10])
def test_qcfs_of_2_to_the_t_levels_is_one_train_of_growth_2(timesteps: int, unit: int) -> None:
    levels = 2**timesteps - 1
    largest = 2 * levels * unit  # lambda; theta = lambda*2^(T-1)/L, offset lambda/(2L)
    theta, offset = largest * 2 ** (timesteps - 1) // levels, largest // (2 * levels)
    potential = np.arange(-3, 2 * theta + 4)
    code, _ = fire(potential + offset, np.array(theta), 2.0, timesteps)
    np.testing.assert_array_equal(code, np.clip((2 * potential * levels + largest) // (2 * largest), 0, levels))


# Fact 3: order does not matter.


@pytest.mark.parametrize("growth", [1.0, 2.0])
def test_events_in_any_order_leave_the_same_potential(growth: float) -> None:
    rng = np.random.default_rng(3)
    timesteps, weights = 3, rng.integers(-31, 32, (4, 5))
    spikes = rng.integers(0, 2, (5, timesteps))
    events = [(i, t) for i, t in np.argwhere(spikes)]
    sums = set()
    for _ in range(100):
        rng.shuffle(events)
        potential = np.zeros(4, np.int64)
        for i, t in events:
            potential += weights[:, i] << (timesteps - 1 - t if growth == 2.0 else 0)
        sums.add(tuple(potential.tolist()))
    assert sums == {tuple((weights @ codes_of(spikes, growth)).tolist())}


def test_all_orders_of_three_events_agree_even_when_a_narrow_potential_wraps_on_the_way() -> None:
    bits, contributions = 5, (15, -14, 13)  # 15 + 13 is beyond five bits, the final 14 is not
    for order in permutations(contributions):
        potential = 0
        for contribution in order:
            potential = (potential + contribution + 16) % 2**bits - 16
        assert potential == sum(contributions)


def test_doubling_once_a_bit_plane_equals_adding_shifted_weights() -> None:
    rng = np.random.default_rng(4)
    codes, weights = rng.integers(0, 256, (20, 30)), rng.integers(-127, 128, (30, 7))
    planes = spikes_of(codes, 8)
    doubled = np.zeros((20, 7), np.int64)
    for t in range(8):
        doubled = 2 * doubled + planes[:, t] @ weights
    shifted = sum((planes[:, t] @ (weights << (7 - t)) for t in range(8)), start=np.zeros((20, 7), np.int64))
    np.testing.assert_array_equal(doubled, shifted)
    np.testing.assert_array_equal(shifted, codes @ weights)


@pytest.mark.parametrize("growth", [1.0, 2.0, 1.5, 1.25, 1.0 + 2.0**-4])
def test_generation_never_leaves_zero_to_the_clamp(growth: float) -> None:
    import torch

    potential, theta = grid([1, 2, 3, 7, 16, 33], 16)
    for timesteps in (1, 2, 5, 16):
        ceiling = (2 if growth > 1 else max(2, timesteps)) * theta
        value = torch.tensor(potential).reshape(1, -1, 1, 1)
        for steps in range(1, timesteps + 1):  # the remainder of a shorter train is the potential on the way
            neuron = Neuron(steps, growth, theta[None], np.zeros_like(theta)[None])
            start = torch.minimum(value, torch.tensor(ceiling).reshape(1, -1, 1, 1))
            left = generate(start, neuron)[1].numpy().ravel()
            assert (left >= 0).all()
            grown = left if growth == 1.0 else left * 2 if growth == 2.0 else left + np.floor(left * (growth - 1))
            assert (grown <= ceiling).all()


def test_no_order_of_minimal_weight_digits_leaves_the_bounds_of_partial_sums() -> None:
    for timesteps in range(1, 6):
        low, high = partial_sums(timesteps)
        weights = train_weights(2.0, timesteps + 1)
        reached: set[int] = set()
        for digits in spikes_of(np.arange(1 << timesteps), timesteps, "naf"):
            for order in permutations((digits * weights)[digits != 0].tolist()):
                reached |= {0, *np.cumsum(order).tolist()}
        assert (min(reached), max(reached)) == (low, high)


# Fact 4: average pooling sits on the connection.


@pytest.mark.parametrize("pool", [(1, 1), (2, 2), (2, 1), (3, 2), (4, 4), (5, 3)])
def test_pooled_connection_is_float_average_pooling_times_its_window(pool: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    channels, height, width = 3, 9, 10
    weights = rng.integers(-31, 32, (4, channels * (height // pool[0]) * (width // pool[1])), dtype=np.int8)
    network = Network(
        "pool",
        (Input("input", (channels, height, width), 4, scale=1 / 16),),
        (Population("readout", (4, 1, 1), Silent(np.zeros((1, 4), np.int64))),),
        (Connection("to_readout", "input", "readout", Dense(pool), weights, 6),),
        (Readout("readout", 1.0),),
    )
    x = rng.integers(0, 256, (5, channels, height, width), dtype=np.uint8)
    high, wide = height // pool[0], width // pool[1]
    cut = (x >> 4)[:, :, : high * pool[0], : wide * pool[1]].astype(np.float64)  # positions beyond are dropped
    average = cut.reshape(5, channels, high, pool[0], wide, pool[1]).mean((3, 5))
    expected = np.rint(average.reshape(5, -1) @ weights.T.astype(np.float64) * pool[0] * pool[1])
    np.testing.assert_array_equal(golden.evaluate(network, x), expected)


@pytest.mark.parametrize("bits", [0, 1, 2, 3])
def test_windows_of_two_to_the_n_pool_by_shifting_the_address(bits: int) -> None:
    size, window = 21, 1 << bits
    vertical, _ = Dense((window, 1)).axes((1, size, 1), (1, 1, 1))
    inside = np.arange(size) < size // window * window
    np.testing.assert_array_equal(vertical.count, inside.astype(np.int64))
    np.testing.assert_array_equal(vertical.first[inside], np.arange(size)[inside] >> bits)


@pytest.mark.parametrize("window", [3, 5, 6, 7])
def test_other_windows_pool_by_a_counter(window: int) -> None:
    size, counted, row, phase = 20, [], 0, 0
    for _ in range(size):
        counted.append(row)
        phase = (phase + 1) % window
        row += phase == 0
    vertical, _ = Dense((window, 1)).axes((1, size, 1), (1, 1, 1))
    lands = vertical.count == 1
    assert vertical.first[lands].tolist() == counted[: size // window * window]
    assert not lands[size // window * window :].any()


@pytest.mark.parametrize("kind", ["bits", "minimal weight", "signed bits", "signed counts"])
def test_the_race_of_digits_is_won_by_the_largest_value_in_every_code(kind: str) -> None:
    import torch

    timesteps = 4
    codes = np.arange(1 << timesteps) if "signed" not in kind else np.arange(-15, 16)
    if kind == "signed counts":
        codes = np.arange(-timesteps, timesteps + 1)
        trains = np.sign(codes)[:, None] * (abs(codes)[:, None] > np.arange(timesteps))
    else:
        trains = spikes_of(codes, timesteps, "naf" if kind == "minimal weight" else "plain")
    triples = np.array(list(product(range(len(codes)), repeat=3)))
    windows = torch.from_numpy(trains[triples].astype(np.int8)).movedim(1, 2)[:, :, None, None, :]
    won = race(windows, Windows.tiles((1, 3)))[:, :, 0, 0, 0].numpy()
    np.testing.assert_array_equal(won, trains[triples.max(1)])


# Fact 6: the input.


@pytest.mark.parametrize("timesteps", range(1, 9))
def test_a_pixel_cut_to_t_bits_is_a_train_of_growth_2(timesteps: int) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 256, 1, 1)
    codes = encode(Input("input", (256, 1, 1), timesteps, scale=1.0), pixels)
    np.testing.assert_array_equal(codes.ravel(), np.arange(256) >> (8 - timesteps))
    spikes = spikes_of(codes, timesteps)
    bits = [[(pixel >> (7 - t)) & 1 for pixel in range(256)] for t in range(timesteps)]  # most significant first
    assert spikes[0, :, :, 0, 0].tolist() == bits
    np.testing.assert_array_equal(codes_of(spikes, 2.0), codes)


@pytest.mark.parametrize("timesteps", [1, 3, 8, 12, 16])
def test_a_float_is_cut_to_the_floor_of_its_levels(timesteps: int) -> None:
    levels = 1 << timesteps
    x = np.array([-1.0, 0.0, 1 / levels - 2.0**-40, 1 / levels, 0.5, 1 - 2.0**-40, 1.0, 7.5]).reshape(1, -1, 1, 1)
    codes = encode(Input("input", (8, 1, 1), timesteps, scale=1.0), x)
    assert codes.ravel().tolist() == [0, 0, 0, 1, levels // 2, levels - 1, levels - 1, levels - 1]


# Fact 7: normalisation folds into weights and offsets, but not through zero padding.


def normalised(padding: int, kernel: np.ndarray, shift: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Potentials of a convolution [N, O, H', W'] with the shift folded into its offset, and of the shifted samples."""
    outputs, _, size, _ = kernel.shape
    geometry = Conv2d((size, size), padding=(padding, padding))
    shape = (outputs, *geometry.output_size(x.shape[1:]))
    folded = kernel.astype(np.int64).sum((1, 2, 3)) * shift
    fires = Population("conv", shape, Neuron(4, 2.0, np.full((1, outputs), 50), folded[None]))
    readout = Population("readout", (1, 1, 1), Silent(np.zeros((1, 1), np.int64)))
    weights = np.ones((1, int(np.prod(shape))), np.int8)
    network = Network(
        "normalised",
        (Input("input", x.shape[1:], 8, scale=1.0),),
        (fires, readout),
        (
            Connection("to_conv", "input", "conv", geometry, kernel, 6),
            Connection("to_readout", "conv", "readout", Dense(), weights, 2),
        ),
        (Readout("readout", 1.0),),
    )
    shifted = np.pad(x.astype(np.int64) + shift, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(shifted, (size, size), (2, 3))
    return golden.run(network, x).accumulated["conv"], np.einsum("ncyxij,ocij->noyx", windows, kernel.astype(np.int64))


def test_offset_folds_a_shifted_value_exactly_without_padding() -> None:
    rng = np.random.default_rng(7)
    kernel = rng.integers(-31, 32, (3, 2, 3, 3), dtype=np.int8)
    x = rng.integers(0, 256, (4, 2, 6, 7), dtype=np.uint8)
    for shift in (-33, 0, 5):
        np.testing.assert_array_equal(*normalised(0, kernel, shift, x))


def test_offset_per_channel_is_wrong_at_the_border_of_a_padded_shifted_value_and_right_inside() -> None:
    rng = np.random.default_rng(8)
    kernel = rng.integers(1, 32, (3, 2, 3, 3), dtype=np.int8)
    x = rng.integers(0, 256, (4, 2, 6, 7), dtype=np.uint8)
    np.testing.assert_array_equal(*normalised(1, kernel, 0, x))  # zero stays zero: no border
    got, expected = normalised(1, kernel, 5, x)
    border = np.ones(got.shape, bool)
    border[:, :, 1:-1, 1:-1] = False
    np.testing.assert_array_equal(got[~border], expected[~border])
    assert (got[border] != expected[border]).all()


@pytest.mark.parametrize(("size", "classes"), [(3, 9), (5, 25)])
def test_a_padded_shifted_value_needs_one_offset_a_border_class(size: int, classes: int) -> None:
    rng = np.random.default_rng(9)
    kernel = rng.integers(1, 32, (4, 2, size, size), dtype=np.int8)
    got, expected = normalised(size // 2, kernel, 5, rng.integers(0, 256, (1, 2, 9, 10), dtype=np.uint8))
    offsets = (expected - got)[0].reshape(4, -1)
    assert len(np.unique(offsets, axis=1).T) == classes


# Fact 8: minimal-weight code.


def non_adjacent(value: int) -> list[int]:
    """Digits of the non-adjacent form of a number, least significant first, as textbooks divide them off."""
    digits = []
    while value:
        digits.append(2 - value % 4 if value % 2 else 0)
        value = (value - digits[-1]) // 2
    return digits


@pytest.mark.parametrize("timesteps", [1, 2, 5, 8])
def test_digits_come_from_3q_and_q_and_are_the_non_adjacent_form(timesteps: int) -> None:
    for code, train in enumerate(spikes_of(np.arange(1 << timesteps), timesteps, "naf").tolist()):
        digits = non_adjacent(code)
        assert train[::-1] == digits + [0] * (timesteps + 1 - len(digits))


@pytest.mark.parametrize("timesteps", [1, 3, 6])
def test_minimal_weight_code_changes_neither_value_nor_remainder(timesteps: int) -> None:
    potential, theta = grid([1, 2, 3, 7, 8, 33], timesteps)
    plain, naf = (fire(potential, theta, 2.0, timesteps, code) for code in ("plain", "naf"))
    np.testing.assert_array_equal(plain, naf)


def test_digits_taken_from_the_potential_would_be_another_integer() -> None:
    codes, remainder = fire(np.array(8), np.array(6), 2.0, 2, "naf")  # 8 * 2 / 6 = 2.67, whose code is 2
    left, nearest = 8 * 2, 0
    for place in (4, 2, 1):
        digit = (2 * left + place * 6) // (2 * place * 6)
        left, nearest = left - digit * place * 6, nearest + digit * place
    assert (codes.tolist(), remainder.tolist(), nearest) == ([2], [4], 3)
