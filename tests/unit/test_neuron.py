"""Growths, codes and the frozen vectors of neurons."""

import dataclasses
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from spikeloom import Neuron, Silent
from spikeloom.golden.stepped import generate, grow
from spikeloom.neuron import growth_shift, largest_code, train_weights


def neuron(theta: int, *, timesteps: int = 4, growth: float = 2.0) -> Neuron:
    return Neuron(timesteps, growth, np.array([[theta]]), np.array([[0]]))


def train_of(potential: int, cell: Neuron) -> tuple[list[int], int]:
    spikes, left = generate(torch.tensor([[[[potential]]]]), cell)
    return spikes.ravel().tolist(), int(left)


def test_potential_equal_to_threshold_fires() -> None:
    assert train_of(10, neuron(10)) == ([1, 0, 0, 0], 0)


def test_potential_one_below_threshold_fires_later() -> None:
    assert train_of(9, neuron(10)) == ([0, 1, 1, 1], 2)


def test_negative_potential_is_silent_whatever_its_size() -> None:
    assert train_of(-1, neuron(1)) == ([0, 0, 0, 0], 0)
    assert train_of(-(2**46), neuron(1)) == ([0, 0, 0, 0], 0)


def test_potential_beyond_the_clamp_fires_always_and_leaves_theta() -> None:
    assert train_of(2**46, neuron(10)) == ([1, 1, 1, 1], 10)


def test_growth_1_fires_in_its_first_steps_as_long_as_the_potential_lasts() -> None:
    assert train_of(29, neuron(10, growth=1.0)) == ([1, 1, 0, 0], 9)
    assert train_of(99, neuron(10, growth=1.0)) == ([1, 1, 1, 1], 0)


def test_growth_between_1_and_2_grows_by_an_arithmetic_shift() -> None:
    # 9 -> 9 + 4 = 13, fires; 3 + 1 = 4; 4 + 2 = 6
    assert train_of(9, neuron(10, growth=1.5)) == ([0, 1, 0, 0], 6)


@pytest.mark.parametrize(("growth", "grown"), [(1.0, -5), (2.0, -10), (1.5, -8), (1.25, -7), (1 + 2.0**-15, -6)])
def test_negative_potentials_grow_towards_minus_infinity(growth: float, grown: int) -> None:
    assert int(grow(torch.tensor(-5), growth)) == grown


@pytest.mark.parametrize(("growth", "positive", "negative"), [(0.5, 3, -2), (0.75, 4, -3), (1 - 2.0**-15, 5, -4)])
def test_potentials_leak_by_an_arithmetic_shift(growth: float, positive: int, negative: int) -> None:
    # V - (V >> s): 5 - 2, 5 - 1, 5 - 0; -5 + 3, -5 + 2, -5 + 1
    assert grow(torch.tensor([5, -5]), growth).tolist() == [positive, negative]


def test_a_leak_ends_at_zero_from_below_and_below_one_over_the_leak_from_above() -> None:
    potential = torch.tensor([1000, -1000])
    for _ in range(200):
        potential = grow(potential, 0.75)
    assert potential.tolist() == [3, 0]


def test_signed_neurons_fire_with_the_sign_of_the_potential() -> None:
    cell = dataclasses.replace(neuron(10), signed=True)
    assert train_of(-10, cell) == ([-1, 0, 0, 0], 0)
    assert train_of(-9, cell) == ([0, -1, -1, -1], -2)
    assert train_of(-(2**46), cell) == ([-1, -1, -1, -1], -10)
    assert train_of(9, cell) == ([0, 1, 1, 1], 2)


def test_thresholds_and_reset_apart_from_theta_decide_each_by_itself() -> None:
    cell = dataclasses.replace(
        neuron(10, growth=1.0), signed=True, fire_pos=np.array([[5]]), fire_neg=np.array([[-6]]), reset=np.array([[8]])
    )
    assert train_of(13, cell) == ([1, 1, 0, 0], -3)
    assert train_of(4, cell) == ([0, 0, 0, 0], 4)
    assert train_of(-5, cell) == ([0, 0, 0, 0], -5)
    assert train_of(-6, cell) == ([-1, 0, 0, 0], 2)


def test_hard_reset_leaves_zero() -> None:
    cell = dataclasses.replace(neuron(10, growth=1.5), signed=True, reset_kind="hard")
    assert train_of(19, cell) == ([1, 0, 0, 0], 0)
    assert train_of(-8, cell) == ([0, -1, 0, 0], 0)


def test_ceiling_is_twice_theta_for_growing_trains_and_a_full_train_for_growth_1() -> None:
    assert [neuron(1, timesteps=steps).ceiling for steps in (1, 2, 16)] == [2, 2, 2]
    assert [neuron(1, timesteps=steps, growth=1.25).ceiling for steps in (1, 2, 16)] == [2, 2, 2]
    assert [neuron(1, timesteps=steps, growth=1.0).ceiling for steps in (1, 2, 3, 16)] == [2, 2, 3, 16]
    assert [neuron(1, timesteps=steps, growth=0.75).ceiling for steps in (1, 2, 3, 16)] == [2, 2, 3, 16]


def test_growth_shift_of_every_growth_there_is() -> None:
    assert growth_shift(1.0) is None
    assert [growth_shift(1 + 2.0**-shift) for shift in range(16)] == list(range(16))
    assert [growth_shift(1 - 2.0**-shift) for shift in range(16)] == list(range(16))


@pytest.mark.parametrize(
    "growth", [-0.5, 0.6, 1.3, 1.75, 3.0, -2.0, 1 + 2.0**-16, 1 - 2.0**-16, float("nan"), float("inf")]
)
def test_any_other_growth_is_refused(growth: float) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011, the whole message is compared
        growth_shift(growth)
    assert str(error.value) == f"growth must be 1, 2, 1 + 2^-s or 1 - 2^-s with s in 1..15, not {growth!r}"


def test_spikes_weigh_powers_of_two_only_for_growth_2() -> None:
    assert train_weights(2.0, 5).tolist() == [16, 8, 4, 2, 1]
    assert train_weights(1.0, 3).tolist() == [1, 1, 1]
    assert train_weights(1.5, 3).tolist() == [1, 1, 1]
    assert [largest_code(2.0, 16), largest_code(1.0, 16), largest_code(1.5, 4)] == [65535, 16, 4]


def test_vectors_are_copies_that_nobody_can_write_to() -> None:
    theta, initial = np.array([[5, 6]]), np.array([[1, 2]])
    cells = Neuron(4, 2.0, theta, initial, drive=theta), Silent(initial)
    theta[:] = initial[:] = 9
    for vector, expected in (
        (cells[0].theta, [[5, 6]]),
        (cells[0].initial, [[1, 2]]),
        (cells[0].drive, [[5, 6]]),
        (cells[1].initial, [[1, 2]]),
    ):
        assert isinstance(vector, np.ndarray)
        assert vector.tolist() == expected
        with pytest.raises(ValueError, match="read-only"):
            vector[0, 0] = 1
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag to True of this array"):
            vector.setflags(write=True)
    with pytest.raises(FrozenInstanceError):
        cells[0].theta = theta  # type: ignore[misc]
