"""The benchmarks of the conversion methods: what they call reached, noise, the page that shows them."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from spikeloom_cli.bench.papers import PAPERS, few_steps, half_step, page, peers, recurrent, residual, strelu
from spikeloom_cli.bench.papers.few_steps import MOST_LOSS
from spikeloom_cli.bench.papers.methods import RUNS
from spikeloom_cli.bench.papers.noise import salted
from spikeloom_convert import METHODS, NETWORKS
from spikeloom_convert.activations import ThresholdReLU
from spikeloom_convert.folding.prepare import prepare
from spikeloom_convert.samples import Samples
from spikeloom_convert.spiking import averages
from torch import nn

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"


def module_of(benchmark: Any) -> Any:
    """The module of a benchmark, which has its function's name."""
    return importlib.import_module(benchmark.__module__)


def test_every_method_has_its_run() -> None:
    assert RUNS.keys() == METHODS.keys()


def test_every_benchmark_has_its_section() -> None:
    assert page.SECTIONS.keys() == PAPERS.keys()


def test_noise_makes_such_a_share_of_pixels_black_or_white_in_all_channels() -> None:
    x = np.full((40, 3, 16, 16), 100, np.uint8)
    noisy = salted(x, 0.2, np.random.default_rng(0))
    changed = noisy != x
    assert abs(changed.mean() - 0.2) < 0.01
    assert set(np.unique(noisy)) == {0, 100, 255}
    assert (changed == changed[:, :1]).all()
    assert (salted(x, 0.0, np.random.default_rng(0)) == x).all()


def curve(*accuracies: float) -> list[dict[str, Any]]:
    return [{"timesteps": 2**number, "accuracy": value} for number, value in enumerate(accuracies)]


@pytest.mark.parametrize(
    ("accuracies", "steps"),
    [((0.9, 0.95, 0.98, 0.98), 4), ((0.98, 0.97, 0.98, 0.99), 4), ((0.9, 0.9), None), ((0.9796, 0.98), 1)],
)
def test_lossless_is_where_no_longer_train_loses_either(accuracies: tuple[float, ...], steps: int | None) -> None:
    assert module_of(strelu).lossless_from(0.98, curve(*accuracies)) == steps


def test_the_page_tells_how_to_train_the_same() -> None:
    row = {"epochs": 3, "gain": 8.0, "learning_rate": 2e-3, "accuracy_ann": 0.9}
    assert page._training(row) == "`--epochs 3 --learning-rate 0.002 --gain 8`"
    for name, _, _ in module_of(strelu).RUNS:
        recipe = NETWORKS[name].recipe
        assert page._training({**recipe}).count("--") == len(recipe)


def test_what_the_table_was_trained_with_is_the_default() -> None:
    rows = [row for row in json.loads((RESULTS / "strelu.json").read_text())["rows"] if row["activation"] == "strelu"]
    assert [row["network"] for row in rows] == [name for name, _, _ in module_of(strelu).RUNS]
    for row in rows:
        told = {"epochs", "batch", "learning_rate", "gain", "smoothing"} & row.keys()
        assert {name: row[name] for name in told} == NETWORKS[row["network"]].recipe
        assert row["data"] == NETWORKS[row["network"]].data


def test_what_is_not_reached_is_named() -> None:
    rows = [{"timesteps": steps, "loss_points": most + 0.01} for steps, most in MOST_LOSS.items()]
    found = module_of(few_steps).missed(rows)
    assert len(found) == len(MOST_LOSS)
    assert found[0] == "T=16: loses 0.11 points, above 0.1"
    kept = [row | {"loss_points": 0.1} for row in rows]
    assert module_of(few_steps).missed(kept) == []
    assert module_of(few_steps).missed(
        [row | {"several": {"loss_points": 0.41}} for row in kept if row["timesteps"] == 4]
    ) == ["T=4, two neurons for an activation: loses 0.41 points, above 0.4"]
    row = {"network": "n", "timesteps": 4, "ahead_points": -0.2, "loss_points": 0.11}
    assert module_of(peers).missed([row]) == [
        "n, T=4: 0.2 points behind SpikingJelly's best converter",
        "n, T=4: loses 0.11 points, above 0.1",
    ]
    assert module_of(peers).missed([row | {"ahead_points": 0.0, "timesteps": 2}]) == []


def test_what_recurrent_networks_do_not_reach_is_named() -> None:
    def rows(*figures: tuple[float | None, float, float]) -> list[dict[str, Any]]:
        return [{"bound": a, "accuracy_ann": b, "shifted": {"accuracy": c}} for a, b, c in figures]

    named = module_of(recurrent).missed
    assert named(rows((1.0, 0.9, 0.5), (0.5, 0.9, 0.89), (None, 0.9, 0.2))) == []
    assert named(rows((1.0, 0.9, 0.5), (0.5, 0.8, 0.76), (None, 0.9, 0.885))) == [
        "the threshold ReLU loses 4.00 points at least, above 2",
        "the ReLU loses 1.50 points, no more than the threshold ReLU",
    ]
    assert named(rows((0.5, 0.8, 0.79), (None, 0.9, 0.2))) == [
        "the best spiking network has 79.00%, the best model 90.00%"
    ]


def case() -> Any:
    """A small model as the benchmark of the half step sees it."""
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(6, 8), ThresholdReLU(0.5), nn.Linear(8, 7), ThresholdReLU(0.5), nn.Linear(7, 3))
    for module in model:
        if isinstance(module, nn.Linear):
            module.weight.data = torch.from_numpy(rng.normal(size=module.weight.shape)).float()
            module.bias.data.fill_(0.1)
    samples = Samples(rng.random((20, 6)), None)
    network = prepare(model.eval(), samples, None, None).network
    x = torch.from_numpy(samples.seen.reshape(20, 6, 1, 1))
    return module_of(half_step).Case(network, x, x, np.zeros(20, np.int64))


def test_half_a_step_at_the_start_is_what_qcfs_does() -> None:
    made = case()
    started = made.spiking("at the start", 4)
    method = METHODS["qcfs"]()
    for layer, drive in made.network.walk(made.fitted):
        if layer.fires:
            expected, got = method.neuron(layer, layer.activate(drive), 4), started.neurons[layer.name]
            assert got.shift is None
            np.testing.assert_allclose(got.theta, expected.theta)
            np.testing.assert_allclose(got.initial, expected.initial)


def test_layer_by_layer_every_layer_hears_the_averages() -> None:
    made = case()
    heard = made.x.flatten(1).numpy()
    for layer in made.network.layers[:-1]:
        theta = made.spiking("nothing", 4).neurons[layer.name].theta[0]
        u = heard @ layer.incoming[0].weights.T + layer.bias[:, 0, 0]
        heard = theta / 4 * np.clip(np.floor(4 * u / theta + 0.5), 0, 4)
    last = made.network.layers[-1]
    expected = heard @ last.incoming[0].weights.T + last.bias[:, 0, 0]
    got = module_of(half_step).layer_by_layer(made.spiking("nothing", 4)).forward(made.x)[0]
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-12)


def test_errors_are_those_of_the_mean_spikes() -> None:
    made = case()
    spiking = made.spiking("in every step", 4)
    first = made.network.layers[0]
    u = first.drive({"input": made.x})
    theta = float(spiking.neurons[first.name].theta[0])
    off = (4 * u / theta + 0.5).floor().clamp(0, 4) * theta / 4 - u.clamp(0, theta)  # it hears the same in every step
    found = dict(module_of(half_step).errors(spiking, averages(spiking, made.x), made.x))
    assert list(found) == [layer.name for layer in made.network.layers[:-1]]
    assert found[first.name] == pytest.approx(float(off.norm() / u.clamp(0, theta).norm()))


def test_spread_is_over_the_seeds() -> None:
    runs = [
        {"method": "qcfs", "curve": [{"timesteps": 1, "accuracy": value}, {"timesteps": 2, "accuracy": 0.9}]}
        for value in (0.5, 0.6, 0.7)
    ]
    found = module_of(residual).spread(runs, "qcfs", 1)
    assert found["mean"] == pytest.approx(0.6)
    assert found["deviation"] == pytest.approx(0.1)


def test_the_page_stands_as_its_results_say(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    present = [name for name in page.SECTIONS if (RESULTS / f"{name}.json").is_file()]
    for name in present:
        (results / f"{name}.json").write_bytes((RESULTS / f"{name}.json").read_bytes())
        assert json.loads((results / f"{name}.json").read_text())["command"] == f"make bench ({name})"
    page.update(results)
    written = tmp_path / "reference" / "methods.md"
    assert written.is_file() == bool(present)
    if present:
        assert written.read_text() == (RESULTS.parent / "reference" / "methods.md").read_text()
    assert {path.stem for path in results.glob("*.png")} == set(present) & page.PICTURES.keys()


def test_a_table_has_as_many_columns_as_heads() -> None:
    assert page.table("a | b", [[1, "x"]]) == ["| a | b |", "|---|---|", "| 1 | x |"]
