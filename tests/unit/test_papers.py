"""The papers' equations, on synchronous networks of one neuron a case and their input injected as a constant."""

import numpy as np
import pytest
from spikeloom import Connection, Dense, Input, Network, Neuron, Population, Readout, Silent, golden
from spikeloom.trace import require_equal

ONE_SAMPLE = np.zeros((1, 1), np.uint8)


def course(
    drive: np.ndarray, neuron: dict[str, object], steps: int, readout: Silent | None = None
) -> tuple[np.ndarray, ...]:
    """Spike values [T, n], potentials before firing [T, n] and readout potentials [T, n] of n neurons driven so."""
    count = len(drive)
    vectors = {
        name: np.broadcast_to(np.asarray(value, np.int64), (1, count)) if name not in PLAIN else value
        for name, value in {"initial": 0, **neuron}.items()
    }
    cells = Neuron(steps, **{"growth": 1.0, **vectors}, drive=drive.astype(np.int64)[None])  # type: ignore[arg-type]
    network = Network(
        "paper",
        (Input("input", (1, 1, 1), 1, scale=1.0),),
        (
            Population("cells", (count, 1, 1), cells),
            Population("readout", (count, 1, 1), readout or Silent(np.zeros((1, count), np.int64))),
        ),
        (
            Connection("nothing", "input", "cells", Dense(), np.zeros((count, 1), np.int8), 2),
            Connection("each", "cells", "readout", Dense(), np.eye(count, dtype=np.int8), 2),
        ),
        (Readout("readout", 1.0),),
        "synchronous",
    )
    trace = golden.run(network, ONE_SAMPLE)
    require_equal(trace, golden.run_values(network, ONE_SAMPLE))
    spikes = trace.spikes["cells"][0, ..., 0, 0].astype(np.int64)
    if cells.step_bits:
        weights = 1 << np.arange(cells.step_bits)[::-1]
        spikes = (spikes.reshape(steps, cells.step_bits, count) * weights[:, None]).sum(1)
    return spikes, trace.accumulated["cells"][0, ..., 0, 0], trace.accumulated["readout"][0, ..., 0, 0]


PLAIN = ("growth", "signed", "reset_kind", "step_bits")


# Deng & Gu: threshold ReLU as a step function of T levels.


@pytest.mark.parametrize(("theta", "steps"), [(7, 3), (12, 4), (32, 16), (40, 1), (50, 100)])
def test_spike_count_is_the_clipped_floor_of_the_average_input(theta: int, steps: int) -> None:
    drive = np.arange(-theta, 2 * theta + 2)
    spikes, _, readout = course(drive, {"theta": theta}, steps)
    expected = np.clip(steps * drive // theta, 0, steps)  # Ref: Deng & Gu, Eq. 7, divided by theta/T
    np.testing.assert_array_equal(spikes.sum(0), expected)
    np.testing.assert_array_equal(readout[-1], expected)


@pytest.mark.parametrize(("steps", "multiple"), [(1, 6), (4, 3), (8, 1), (16, 2)])
def test_shift_of_theta_over_2t_every_step_rounds_where_theta_is_a_multiple_of_2t(steps: int, multiple: int) -> None:
    theta = 2 * steps * multiple
    drive = np.arange(-theta, 2 * theta + 2)
    spikes, _, _ = course(drive + theta // (2 * steps), {"theta": theta}, steps)
    nearest = (2 * steps * drive + theta) // (2 * theta)  # Ref: Deng & Gu, Eq. 15 and Algorithm 1
    np.testing.assert_array_equal(spikes.sum(0), np.clip(nearest, 0, steps))


def test_a_shift_that_is_not_whole_drifts() -> None:
    theta, steps = 20, 16
    drive = np.arange(0, theta + 1)
    spikes, _, _ = course(drive + theta // (2 * steps), {"theta": theta}, steps)
    nearest = np.clip((2 * steps * drive + theta) // (2 * theta), 0, steps)
    assert (spikes.sum(0) != nearest).any()


# QCFS and its noisy sister: V(0) = theta/2.


@pytest.mark.parametrize(("theta", "steps"), [(6, 2), (10, 4), (64, 8), (9, 32)])
def test_potential_that_starts_at_half_theta_gives_qcfs_for_constant_input(theta: int, steps: int) -> None:
    drive = np.arange(-theta, 2 * theta + 2)
    spikes, _, _ = course(drive, {"theta": theta, "initial": theta // 2}, steps)
    level = (steps * drive + theta // 2) // theta  # Ref: residual error as noise, the activation with L = T
    np.testing.assert_array_equal(spikes.sum(0), np.clip(level, 0, steps))


# stReLU: symmetric thresholds of half the reset.


@pytest.mark.parametrize(("theta", "steps"), [(2, 3), (10, 1), (16, 5), (64, 12)])
def test_symmetric_thresholds_of_half_theta_round_and_clip_on_both_sides(theta: int, steps: int) -> None:
    drive = np.arange(-2 * theta, 2 * theta + 1)
    neuron = {"theta": theta, "fire_pos": theta // 2, "fire_neg": -theta // 2 - 1, "signed": True}
    spikes, potentials, _ = course(drive, neuron, steps)
    rounded = np.floor((2 * steps * drive + theta) / (2 * theta)).astype(int)  # Ref: stReLU, Eq. 14
    np.testing.assert_array_equal(spikes.sum(0), np.clip(rounded, -steps, steps))  # Ref: stReLU, Eq. 15
    inside = abs(drive) <= theta
    left = potentials - spikes * theta
    assert (-theta // 2 <= left[:, inside]).all()  # Ref: stReLU, Eq. 11
    assert (left[:, inside] < theta / 2).all()


def test_asymmetric_thresholds_count_each_sign_in_its_own_unit() -> None:
    drive = np.array([-30, -8, 0, 3, 30])
    neuron = {"theta": 10, "fire_pos": 10, "fire_neg": -20, "signed": True}
    spikes, _, _ = course(drive, neuron, 4)
    assert spikes.T.tolist() == [[-1, -1, -1, -1], [0, 0, -1, -1], [0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 1, 1]]


# StepReLU: graded spikes, hard reset, a leaky readout.


@pytest.mark.parametrize("theta", [-3, 1, 4])
@pytest.mark.parametrize("gamma", [0, 1, 5])
@pytest.mark.parametrize("steps", [1, 10])
def test_graded_spike_is_the_steprelu_of_the_potential_and_silence_survives(theta: int, gamma: int, steps: int) -> None:
    drive, bits = np.arange(-6, 20), 8
    unit = 1 << (bits - 1)  # of the code: 1, so that nothing is rounded
    neuron = {"theta": unit, "fire_pos": theta, "step_gamma": gamma, "step_bits": bits, "reset_kind": "hard"}
    spikes, potentials, _ = course(drive, neuron, steps)
    left = np.zeros(len(drive), int)
    for t in range(steps):
        integrated = left + drive  # Ref: StepReLU, Eq. 2
        np.testing.assert_array_equal(potentials[t], integrated)
        fires = integrated > theta
        np.testing.assert_array_equal(spikes[t], np.where(fires, integrated - theta + gamma, 0))  # Ref: Eq. 3
        left = np.where(fires, 0, integrated)  # Ref: Eq. 6


def test_graded_spikes_are_divided_by_theta_and_cut_at_their_largest_code() -> None:
    drive = np.arange(0, 70)
    neuron = {"theta": 12, "fire_pos": 5, "step_gamma": 2, "step_bits": 3, "reset_kind": "hard"}
    spikes, _, _ = course(drive, neuron, 1)
    np.testing.assert_array_equal(spikes[0], np.where(drive > 5, np.minimum((drive - 5 + 2) * 4 // 12, 7), 0))


@pytest.mark.parametrize("shift", [1, 2, 3])
def test_leaky_readout_weighs_the_steps_by_powers_of_the_leak(shift: int) -> None:
    steps, drive = 4, np.array([3, 17, 40, 55])
    whole = 1 << (shift * (steps - 1))  # every leak is then without a rest
    readout = Silent(np.zeros((1, 4), np.int64), growth=1 - 2.0**-shift)
    neuron = {"theta": 1 << 15, "fire_pos": 0, "step_gamma": 0, "step_bits": 16, "reset_kind": "hard"}
    spikes, _, potentials = course(drive * whole, neuron, steps, readout)
    kappa = (1 - 2.0**-shift) ** np.arange(steps)[::-1]
    np.testing.assert_array_equal(potentials[-1], (kappa[:, None] * spikes).sum(0))  # Ref: StepReLU, Eq. 14
