"""The fine-tune: fewer levels, weights that go with them, the model's own answers as the only aim."""

import sys

import numpy as np
import pytest
import torch
from spikeloom import Network, datasets, golden
from spikeloom.errors import InvalidData, InvalidNetwork
from spikeloom.trace import require_equal
from spikeloom_convert import convert, train
from spikeloom_convert.folding.prepare import prepare
from spikeloom_convert.quantising.fine_tune import fine_tuned
from spikeloom_convert.quantising.selection import distance
from spikeloom_convert.response import Levels
from spikeloom_convert.samples import check, not_held, split
from torch import nn


@pytest.fixture(scope="module")
def digits() -> datasets.Data:
    return datasets.load("digits", "train").head(500)


@pytest.fixture(scope="module")
def model(digits: datasets.Data) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = nn.Sequential(
            nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(96, 20), nn.ReLU6(),
            nn.Linear(20, 10),
        )  # fmt: skip
    train(made, digits.x, digits.labels, digits.x[:100], digits.labels[:100], epochs=4)
    return made


def error(network: Network, model: nn.Module, x: np.ndarray) -> float:
    """Squared distance of the logits over the model's mean square."""
    with torch.no_grad():
        wanted = model(torch.from_numpy(x).float() / 255).double().numpy()
    return distance(golden.evaluate(network, x) * network.readouts[0].scale, wanted)


def test_one_time_step_comes_nearer_to_the_model(model: nn.Module, digits: datasets.Data) -> None:
    plain, tuned = (
        convert(model, digits.x, timesteps=1, weight_bits=8, input_timesteps=8, options={"fine_tune": epochs})
        for epochs in (0, 25)
    )
    new = datasets.load("digits", "test").x
    assert error(tuned, model, new) < 0.8 * error(plain, model, new)
    assert tuned.provenance.notes[0] == "fine-tuned for 25 epochs on 375 samples"
    assert tuned.provenance.options == {"fine_tune": 25, "augment": False}
    require_equal(golden.run(tuned, new[:4]), golden.run_values(tuned, new[:4]))


def test_the_same_seed_gives_the_same_network_and_another_random_state_stays(
    model: nn.Module, digits: datasets.Data
) -> None:
    state = torch.random.get_rng_state()
    first, second = (
        convert(model, digits.x, timesteps=2, options={"fine_tune": 1, "augment": True}, seed=3) for _ in range(2)
    )
    assert first.digest == second.digest
    assert torch.equal(state, torch.random.get_rng_state())


def test_the_model_itself_is_not_changed(model: nn.Module, digits: datasets.Data) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    convert(model, digits.x, timesteps=1, options={"fine_tune": 1})
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_is_tuned_has_levels_and_no_more_of_them_than_its_train(model: nn.Module, digits: datasets.Data) -> None:
    network = prepare(model, check(digits.x), None, None).network
    x = torch.from_numpy(digits.x).float() / 255
    tuned = fine_tuned(network, {layer.name: 3 for layer in network.layers},
                       lambda numbers: x[numbers], len(x), epochs=1, seed=0)  # fmt: skip
    for layer, drive in tuned.walk(x):
        if isinstance(layer.response, Levels):
            codes = layer.activate(drive) / torch.tensor(layer.response.worths).reshape(-1, 1, 1)
            assert codes.max() <= 3 + 1e-4
            assert (codes - codes.round()).abs().max() < 1e-4


def test_samples_that_measure_are_not_tuned_on(digits: datasets.Data) -> None:
    samples = check(np.arange(1000).reshape(100, 10).astype(np.float64))
    _, held = split(samples, 5)
    rest = not_held(samples, 5)
    assert len(rest) == 75
    assert not set(rest.x[:, 0]) & set(held.x[:, 0])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"growth": 1.5}, "Convert: fine_tune must be with growth 1 or 2, not 1.5"),
        (
            {"options": {"fine_tune": 1.5, "augment": "yes"}},
            "Method 'spikeconverter': fine_tune must be an integer, not 1.5; augment must be true or false, not 'yes'; "
            "its options are fine_tune (0), augment (False)",
        ),
        (
            {"options": {"fine_tune": -1}},
            "Method 'spikeconverter': fine_tune must lie in 0..1000 epochs, not -1; "
            "its options are fine_tune (0), augment (False)",
        ),
    ],
)
def test_what_cannot_be_tuned_is_one_clear_line(
    given: dict[str, object], message: str, model: nn.Module, digits: datasets.Data
) -> None:
    with pytest.raises(InvalidNetwork) as error:
        convert(model, digits.x, **({"options": {"fine_tune": 1}} | given))  # type: ignore[arg-type]
    assert str(error.value) == message


def test_what_is_too_little_or_no_image_is_refused_before_anything_is_quantised() -> None:
    def never(*_: object) -> None:
        pytest.fail("quantises")

    vectors = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    x = np.random.default_rng(0).normal(size=(20, 6))
    with pytest.raises(InvalidData) as error:
        convert(vectors, x, options={"fine_tune": 1, "augment": True}, progress=never)
    assert str(error.value) == (
        "Calibration: must be images (N, C, H, W) to augment, not samples of shape (6, 1, 1); leave augment out"
    )
    with pytest.raises(InvalidData) as error:
        convert(vectors, x[:7], options={"fine_tune": 1}, progress=never)
    assert str(error.value) == "Calibration: must have at least 8 samples to fine_tune on, not 7"


def test_zeros_are_shifted_in_where_code_0_means_something_else() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))
    x = np.random.default_rng(0).normal(size=(40, 1, 8, 8))
    seen: list[torch.Tensor] = []
    module = sys.modules["spikeloom_convert.convert"]
    original = module.augmented  # type: ignore[attr-defined]

    def spy(codes: torch.Tensor) -> torch.Tensor:
        moved = original(codes)
        seen.append(moved)
        return moved

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "augmented", spy)
        convert(model, x, timesteps=3, input_timesteps=8, options={"fine_tune": 1, "augment": True})
    codes = torch.cat(seen)
    assert (codes == 0).float().mean() > 0.1  # what moved in: the code of 0, from which all codes are counted here
    assert codes.min() < 0 < codes.max()
