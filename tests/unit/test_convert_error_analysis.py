"""The expected conversion error: the paper's figure, and errors that are known in closed form."""

import numpy as np
import pytest
from spikeloom import InvalidData
from spikeloom.neuron import growth_shift, nearest_growth
from spikeloom_convert.analysis.conversion_error import best_threshold, expected_errors, optima, uniform


def test_the_best_threshold_for_growth_1_6_lies_where_the_paper_reads_it() -> None:
    best = best_threshold(uniform(), 1.6, 6)  # Ref: SpikeConverter, Fig. 5(b): 0.396
    assert 0.38 <= best.ratio <= 0.41
    at_paper = expected_errors(uniform(), np.array([0.396]), 1.6, 6)[0]
    assert best.error <= at_paper <= 1.03 * best.error


def test_growth_2_has_the_least_error_for_every_number_of_time_steps() -> None:
    found = optima(uniform(1000), (1.0, 1.2, 1.4, 1.5, 1.6, 1.8, 1.9, 2.0), range(2, 9))
    for timesteps in range(2, 9):
        own = [item for item in found if item.timesteps == timesteps]
        assert min(own, key=lambda item: item.error).growth == 2.0


@pytest.mark.parametrize("timesteps", range(1, 7))
def test_growth_2_cuts_an_even_spread_into_halves_of_halves(timesteps: int) -> None:
    # theta = 1/2: U_out is U_in cut to T bits, which is half a step of 2^-T too little on average
    inputs = np.append(uniform(1 << 12), 1.0)  # the largest U_in is cut to 1 - 2^-T
    error = expected_errors(inputs, np.array([0.5]), 2.0, timesteps)[0]
    assert error == ((1 << 12) * 2.0 ** -(timesteps + 1) + 2.0**-timesteps) / len(inputs)


def test_growth_1_sends_one_spike_after_the_other() -> None:
    inputs = np.array([0.0, 0.3, 0.55, 1.0])
    error = expected_errors(inputs, np.array([0.25]), 1.0, 3)[0]  # sent: 0, 1, 2 and 3 quarters
    assert error == pytest.approx((0.0 + 0.05 + 0.05 + 0.25) / 4)


def test_errors_count_in_parts_of_the_largest_input() -> None:
    inputs, ratios = np.random.default_rng(0).exponential(1.0, 500), np.linspace(0.1, 1.0, 7)
    np.testing.assert_array_equal(expected_errors(inputs, ratios, 1.5, 4), expected_errors(4 * inputs, ratios, 1.5, 4))


@pytest.mark.parametrize("inputs", [[], [0.0, 0.0], [1.0, -0.1], [np.nan]])
def test_inputs_that_are_no_activations_are_refused(inputs: list[float]) -> None:
    with pytest.raises(InvalidData) as error:
        best_threshold(np.array(inputs), 2.0, 4)
    assert str(error.value) == ("Conversion error: inputs must be finite, at least 0 and not all 0; give activations")


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InvalidData) as error:
        expected_errors(uniform(4), np.array([0.0]), 2.0, 0)
    assert str(error.value) == (
        "Conversion error: thresholds and growth must be above 0 and timesteps at least 1, not 0.0, 2.0 and 0"
    )


@pytest.mark.parametrize(
    ("growth", "nearest"),
    [(1.6, 1.5), (1.8, 2.0), (1.3, 1.25), (1.1, 1.125), (3.0, 2.0), (0.5, 1.0), (1.0, 1.0), (1.0 + 2.0**-9, 1 + 2**-9)],
)
def test_the_nearest_growth_is_one_that_integers_take(growth: float, nearest: float) -> None:
    assert nearest_growth(growth) == nearest
    growth_shift(nearest_growth(growth))
