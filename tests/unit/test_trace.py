"""Traces are compared exactly, and the first difference named is that of the cause."""

import copy

import numpy as np
import pytest
from random_networks import RandomNetwork, random_samples
from spikeloom import Conv2d, Divergence, Trace, golden
from spikeloom.trace import first_divergence, mismatches, require_equal


@pytest.fixture
def trace() -> Trace:
    rng = np.random.default_rng(0)
    network = RandomNetwork(rng, (2, 5, 4)).conv(3, Conv2d((3, 3))).dense(4, growth=1.0, timesteps=3).readout(2)
    return golden.run(network, random_samples(rng, network, 5))


def test_equal_traces_have_no_difference(trace: Trace) -> None:
    other = copy.deepcopy(trace)
    assert mismatches(trace, other) == 0
    assert first_divergence(trace, other) is None
    require_equal(trace, other)


def test_a_spike_that_differs_is_named_with_its_time_step_and_neuron(trace: Trace) -> None:
    other = copy.deepcopy(trace)
    other.spikes["l1"][3, 2, 1, 0, 1] ^= 1
    was = int(trace.spikes["l1"][3, 2, 1, 0, 1])
    assert first_divergence(trace, other) == (
        f"sample 3, time step 3, population 'l1', neuron (c=1, y=0, x=1), spikes: expected {was}, got {1 - was}"
    )


def test_a_potential_that_differs_is_named_without_a_time_step(trace: Trace) -> None:
    other = copy.deepcopy(trace)
    other.remainder["l2"][1, 3, 0, 0] += 7
    was = int(trace.remainder["l2"][1, 3, 0, 0])
    assert first_divergence(trace, other) == (
        f"sample 1, population 'l2', neuron (c=3, y=0, x=0), remainder: expected {was}, got {was + 7}"
    )


def test_the_earliest_sample_comes_first_whatever_the_population(trace: Trace) -> None:
    other = copy.deepcopy(trace)
    other.spikes["input"][2] ^= 1
    other.accumulated["readout"][1, 0, 0, 0] += 1
    first = first_divergence(trace, other)
    assert first is not None
    assert first.startswith("sample 1, population 'readout', neuron (c=0, y=0, x=0), accumulated: ")


@pytest.mark.parametrize("order", [("input", "l1", "l2", "readout"), ("readout", "l2", "l1", "input")])
def test_within_a_sample_the_population_that_caused_it_comes_first(trace: Trace, order: tuple[str, ...]) -> None:
    other = Trace(*({name: field[name].copy() for name in order if name in field} for field in fields(trace)))
    for cause, text in (
        ("readout", "sample 4, population 'readout', neuron (c=1, y=0, x=0), accumulated: "),
        ("l2", "sample 4, population 'l2', neuron (c=1, y=0, x=0), accumulated: "),
        ("l1", "sample 4, population 'l1', neuron (c=1, y=0, x=0), accumulated: "),
    ):
        other.accumulated[cause][4, 1, 0, 0] -= 1
        first = first_divergence(trace, other)
        assert first is not None
        assert first.startswith(text)
    other.spikes["input"][4, 0, 0, 0, 0] ^= 1
    first = first_divergence(trace, other)
    assert first is not None
    assert first.startswith("sample 4, time step 1, population 'input', neuron (c=0, y=0, x=0), spikes: ")


def fields(trace: Trace) -> tuple[dict[str, np.ndarray], ...]:
    return dict(trace.spikes), dict(trace.accumulated), dict(trace.remainder)


def test_within_a_population_potentials_come_before_their_spikes_and_remainders_last(trace: Trace) -> None:
    other = copy.deepcopy(trace)
    for field, name in (("remainder", "remainder"), ("spikes", "spikes"), ("accumulated", "accumulated")):
        getattr(other, field)["l1"].flat[-1] += 1
        first = first_divergence(trace, other)
        assert first is not None
        assert f", {name}: " in first


def test_every_integer_that_differs_is_counted(trace: Trace) -> None:
    other = copy.deepcopy(trace)
    other.spikes["l1"][:] ^= 1
    other.accumulated["l1"][0] += 1
    other.remainder["l2"][0, 0, 0, 0] += 1
    count = trace.spikes["l1"].size + trace.accumulated["l1"][0].size + 1
    assert mismatches(trace, other) == count
    with pytest.raises(Divergence) as error:
        require_equal(trace, other)
    assert str(error.value) == f"Trace: {count} integers differ; first: {first_divergence(trace, other)}"


def test_a_bench_may_observe_a_part_only(trace: Trace) -> None:
    part = Trace(accumulated={"readout": trace.accumulated["readout"].copy()})
    require_equal(trace, part)
    part.accumulated["readout"][0, 1, 0, 0] += 1
    assert mismatches(trace, part) == 1


def test_nothing_observed_is_no_proof(trace: Trace) -> None:
    with pytest.raises(Divergence) as error:
        require_equal(trace, Trace())
    assert str(error.value) == "Trace: must hold a population to compare, not nothing"


def test_another_shape_or_population_is_a_divergence_of_its_own(trace: Trace) -> None:
    for part, expected in (
        (
            Trace(accumulated={"readout": np.zeros((4, 2, 1, 1))}),
            "Trace: accumulated of 'readout': expected shape (5, 2, 1, 1), got shape (4, 2, 1, 1)",
        ),
        (Trace({"l7": np.zeros(3)}), "Trace: spikes of 'l7': expected nothing, got shape (3,)"),
    ):
        with pytest.raises(Divergence) as error:
            mismatches(trace, part)
        assert str(error.value) == expected
