"""Random deep networks on random cores, compiled: every spike, potential and remainder equals the golden model's."""

import pytest
from spikeloom_sim.campaign import run_seed, summary

QUICK = (*range(1, 18), 32, 60, 63, 23, 123)  # 63: diagonal connections of the train that enters a core; then: folds
THOROUGH = range(1001, 1301)


@pytest.mark.parametrize("seed", QUICK)
def test_gates_of_a_deep_network_equal_the_golden_model(seed: int) -> None:
    outcome = run_seed(seed, level="-O0")
    assert outcome.mismatches == 0, summary([outcome])
    assert outcome.refused is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", THOROUGH)
def test_gates_of_many_deep_networks_equal_the_golden_model(seed: int) -> None:
    outcome = run_seed(seed)
    assert outcome.mismatches == 0, summary([outcome])
    assert outcome.refused is None
