"""Conversion to neurons of growth 1 + 2^-s, whose codes are found step by step."""

import numpy as np
import pytest
import torch
from convert_models import pixels, seeded
from spikeloom import Neuron, golden
from spikeloom.errors import InvalidNetwork
from spikeloom.golden.stepped import generate
from spikeloom.trace import require_equal
from spikeloom_convert import convert
from spikeloom_convert.quantising.stepwise import growth_loss, largest_value, stepwise_codes
from torch import nn

X = pixels(60, 1, 6, 6)


def model() -> nn.Module:
    return seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)
        )
    )


@pytest.mark.parametrize(("shift", "steps"), [(0, 5), (1, 6), (2, 4), (5, 9)])
def test_codes_are_the_digits_that_the_golden_model_generates(shift: int, steps: int) -> None:
    growth = 1.0 + 2.0**-shift
    potential = torch.arange(-50, 900)
    sent, _ = generate(
        potential.reshape(1, 1, 1, -1), Neuron(steps, growth, np.full((1, 1), 370), np.zeros((1, 1), np.int64))
    )
    weights = torch.tensor([growth**step for step in range(steps - 1, -1, -1)], dtype=torch.float64)
    value, spikes = stepwise_codes(potential.double(), torch.tensor(370.0), shift, steps)
    torch.testing.assert_close(value, (sent[0, :, 0, 0].double() * weights[:, None]).sum(0))
    assert spikes.tolist() == sent[0, :, 0, 0].sum(0).tolist()
    assert value.max() <= largest_value(growth, steps)


@pytest.mark.parametrize("growth", [1.5, 1.25])
def test_networks_of_other_growths_come_near_the_model(growth: float) -> None:
    made = model()
    network = convert(made, X, timesteps=8, weight_bits=8, growth=growth, input_timesteps=8)
    with torch.no_grad():
        expected = made(torch.from_numpy(X).double() / 255).numpy()
    got = golden.evaluate(network, X) * network.readouts[0].scale
    assert ((got - expected) ** 2).mean() < 0.01 * expected.var()
    # what growing by whole units loses is made up for
    assert abs((got - expected).mean()) < 0.03 * expected.std()
    require_equal(golden.run(network, X[:3]), golden.run_values(network, X[:3]))
    assert {item.neuron.growth for item in network.populations[:-1]} == {growth}


def test_what_a_listener_loses_is_half_a_unit_a_step_that_it_grows_by() -> None:
    assert growth_loss(1.5, 1) == 0
    assert growth_loss(1.5, 3) == 0.5 * (1 + 1.5)


@pytest.mark.parametrize(
    ("growth", "message"),
    [
        (1.6, "1.6; the nearest is 1.5"),
        (1.3, "1.3; the nearest is 1.25"),
        (0.5, "0.5; the nearest is 1"),
        (3, "3; the nearest is 2"),
        (float("nan"), "nan"),
        (True, "True"),
        ("2", "'2'"),
    ],
)
def test_any_other_growth_is_refused_with_the_nearest(growth: object, message: str) -> None:
    with pytest.raises(InvalidNetwork) as error:
        convert(model(), X, growth=growth)
    expected = f"Convert: growth must be 1 (IF), 2 (iLIF) or 1 + 2^-s with s in 1..15, not {message}"
    assert str(error.value) == expected
