"""Networks as NIR graphs: another reader gets the very spikes, and the way back gives the very network."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
import torch
from nir_graphs import simulate
from random_networks import RandomNetwork
from spikeloom import Conv2d, Diagonal, InvalidNetwork, Network, NotBuilt, golden
from spikeloom.encoding import encode
from spikeloom_convert import conditions, convert, convert_nir, export_nir
from spikeloom_convert.nir.export import graph_of
from tiny_networks import changed, synchronous, vector
from torch import nn

X = np.random.default_rng(0).integers(0, 256, (40, 1, 6, 6), dtype=np.uint8)


def random(seed: int = 0, **features: Any) -> Network:
    """Convolution, pooling, a residual branch and dense layers, random."""
    rng = np.random.default_rng(seed)
    features = {"growth": 1.0, "timesteps": 6, "drive": True} | features
    builder = RandomNetwork(rng, (1, 6, 6), timesteps=8, schedule="synchronous")
    builder.conv(4, Conv2d((3, 3), padding=(1, 1)), **features)
    builder.conv(4, Conv2d((3, 3), padding=(1, 1), groups=2), shift=2, **features)
    builder.conv(3, Conv2d((2, 3), stride=(2, 1), pool=(2, 1)), **features)
    builder.dense(5, pool=(1, 2), **features)
    return builder.readout(3, drive=True)


def model(*, padded: bool = True) -> nn.Module:
    torch.manual_seed(0)
    pad = 1 if padded else 0
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=pad), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(36 if padded else 16, 6), nn.ReLU(), nn.Linear(6, 3),
    )  # fmt: skip


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(144, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.a(x))
        return self.c(torch.relu(self.b(x) + x).flatten(1))


def require_equal_elsewhere(network: Network, path: Path, x: np.ndarray = X) -> None:
    """An exported file, run by another reader of NIR, gives every spike and readout potential of the golden run."""
    export_nir(network, path)
    source, trace = network.inputs[0], golden.run(network, x)
    graph = nir.read(path, type_check=False)
    shape = tuple(int(extent) for extent in graph.nodes[source.name].input_type["input"])
    found = simulate(graph, encode(source, x).astype(np.float64).reshape(-1, *shape))
    for population in network.populations:
        expected = trace.spikes.get(population.name, trace.accumulated[population.name])
        got = found[population.name].reshape(expected.shape)
        wrong = np.argwhere(got != expected)
        assert not len(wrong), f"{population.name} {wrong[0]}"
    assert any(0 < spikes.mean() < 1 for name, spikes in trace.spikes.items() if name != source.name)


def require_same_again(network: Network, path: Path) -> None:
    """The way back gives the same network, provenance and all."""
    export_nir(network, path)
    again = convert_nir(path, X)
    assert again.digest == network.digest
    assert again.provenance == network.provenance


CONVERTED: dict[str, dict[str, Any]] = {
    "optimal conversion": {"method": "optimal-conversion"},
    "half of the threshold ahead": {"method": "qcfs"},
    "fires at half of what it loses": {"method": "strelu"},
}


@pytest.mark.parametrize("settings", CONVERTED.values(), ids=CONVERTED.keys())
@pytest.mark.parametrize("make", [model, Residual])
def test_another_reader_of_nir_gets_the_very_spikes(make: Any, settings: dict[str, Any], tmp_path: Path) -> None:
    network = convert(make(), X, timesteps=8, **settings)
    require_equal_elsewhere(network, tmp_path / "net.nir")
    require_same_again(network, tmp_path / "net.nir")


RANDOM: dict[str, dict[str, Any]] = {
    "IF": {},
    "IF, hard": {"reset_kind": "hard"},
    "IF, thresholds of their own": {"thresholds": True},
    "IF, hard, thresholds of their own": {"reset_kind": "hard", "thresholds": True},
    "LIF": {"growth": 0.75},
    "LIF that hardly leaks": {"growth": 1 - 2.0**-12},
    "LIF, hard, thresholds of their own": {"growth": 0.5, "reset_kind": "hard", "thresholds": True},
    "no drive": {"drive": False},
}


@pytest.mark.parametrize("features", RANDOM.values(), ids=RANDOM.keys())
def test_random_networks_keep_their_spikes_and_their_digest(features: dict[str, Any], tmp_path: Path) -> None:
    network = random(**features)
    require_equal_elsewhere(network, tmp_path / "net.nir")
    require_same_again(network, tmp_path / "net.nir")


def test_leaky_readout_and_mixed_resets_and_growths_are_exact(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    builder = RandomNetwork(rng, (1, 6, 6), timesteps=6, schedule="synchronous")
    builder.conv(3, Conv2d((3, 3)), growth=0.875, reset_kind="hard").dense(6, growth=1.0, drive=True)
    network = builder.readout(4, growth=0.5, drive=True)
    require_equal_elsewhere(network, tmp_path / "net.nir")
    require_same_again(network, tmp_path / "net.nir")


@pytest.mark.parametrize("drive", [False, True])
@pytest.mark.parametrize(
    ("geometry", "shape"),
    [
        (Diagonal(), (4, 6, 6)),
        (Diagonal((2, 3)), (4, 3, 2)),
        (Diagonal((1, 1), 2), (7, 6, 6)),
        (Diagonal((6, 6), 1), (6, 1, 1)),
        (Conv2d((6, 6)), (5, 1, 1)),
    ],
)
def test_diagonal_connections_and_images_of_one_place_are_exact(
    geometry: Any, shape: Any, drive: bool, tmp_path: Path
) -> None:
    rng = np.random.default_rng(4)
    builder = RandomNetwork(rng, (1, 6, 6), timesteps=6, schedule="synchronous")
    builder.conv(4, Conv2d((3, 3), padding=(1, 1)), growth=1.0).layer(geometry, shape, growth=1.0, drive=drive)
    if shape[1:] == (1, 1):
        builder.layer(Diagonal((1, 1), 1), (shape[0] + 1, 1, 1), growth=1.0, drive=drive)
        builder.layer(Conv2d((1, 1)), (4, 1, 1), growth=1.0, drive=drive)
        builder.layer(Diagonal(), (4, 1, 1), growth=1.0, drive=drive)
    network = builder.readout(3)
    require_equal_elsewhere(network, tmp_path / "net.nir")
    require_same_again(network, tmp_path / "net.nir")


def test_first_potentials_that_differ_at_the_border_are_exact(tmp_path: Path) -> None:
    network = random(drive=False)
    rows, columns = network.border_classes("l1")
    classes = (int(rows.max()) + 1) * (int(columns.max()) + 1)
    neuron = network.populations[0].neuron
    initial = np.random.default_rng(1).integers(-2000, 2000, (classes, 4))
    network = changed(network, "populations", 0, neuron=replace(neuron, initial=initial))  # type: ignore[type-var]
    require_equal_elsewhere(network, tmp_path / "net.nir")
    require_same_again(network, tmp_path / "net.nir")


def test_conditions_say_how_to_run_the_graph(tmp_path: Path) -> None:
    network = random(growth=0.75)
    expected = {
        "dt": 1e-4,
        "timesteps": 6,
        "reset": "soft",
        "v_min": "none",
        "fires": "v >= v_threshold",
        "starts": "v = v_initial, metadata of each neuron",
        "leaks": "v <- v - floor(v * dt / tau), then the inputs of the same time step are added",
        "input": "codes, the same in every step: floor((x - 0) / (1 - 0) * 2^8), at most 2^8 - 1; of pixels p >> 0",
    }
    assert conditions(network) == expected
    export_nir(network, tmp_path / "net.nir")
    metadata = nir.read(tmp_path / "net.nir", type_check=False).metadata
    assert {name: metadata[name] for name in expected} == expected


def test_file_passes_the_type_check_of_nir_itself(tmp_path: Path) -> None:
    export_nir(convert(model(), X, method="qcfs", timesteps=8), tmp_path / "net.nir")
    assert len(nir.read(tmp_path / "net.nir").nodes) == 10


def two_phase() -> Network:
    builder = RandomNetwork(np.random.default_rng(0), (1, 4, 4), name="tiny")
    return builder.conv(2, Conv2d((3, 3), pool=(1, 1)), signed=True).readout(3)


REFUSED: dict[str, tuple[Network, str]] = {
    "two-phase": (
        two_phase(),
        "schedule must be synchronous, not two-phase, for neurons of NIR listen and fire in the same time steps "
        "(convert with method optimal-conversion or qcfs); population 'l1': growth must be at most 1, not 2; "
        "population 'l1': spikes must be 0 or 1, not signed",
    ),
    "graded": (
        synchronous(growth=1.0, step_gamma=vector(1, 1), step_bits=4, reset_kind="hard"),
        "population 'l1': spikes must be 0 or 1, not graded",
    ),
    "leaky with another amount": (
        synchronous(growth=0.5, fire_pos=vector(5, 5)),
        "population 'l1': a leaky neuron must fire at what its soft reset takes off",
    ),
    "maximum": (
        RandomNetwork(np.random.default_rng(0), (1, 4, 4), name="tiny", schedule="synchronous")
        .dense(3, growth=1.0)
        .layer(Conv2d((1, 1), pool_kind="max"), (2, 1, 1), growth=1.0)
        .readout(2),
        "connection 'to_l2': pooling must be average, not max",
    ),
    "padded features": (
        RandomNetwork(np.random.default_rng(0), (1, 4, 4), name="tiny", schedule="synchronous")
        .dense(3, growth=1.0)
        .layer(Conv2d((3, 3), padding=(1, 1)), (2, 1, 1), growth=1.0)
        .readout(2),
        "connection 'to_l2': a convolution must have more than one place to go over",
    ),
}


@pytest.mark.parametrize(("network", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_nir_has_no_words_for_is_listed(network: Network, why: str, tmp_path: Path) -> None:
    with pytest.raises(NotBuilt) as error:
        export_nir(network, tmp_path / "net.nir")
    assert str(error.value) == f"Network 'tiny': cannot be NIR: {why}"
    assert not list(tmp_path.iterdir())


def test_drive_that_differs_at_the_border_is_refused() -> None:
    with pytest.raises(NotBuilt) as error:
        graph_of(convert(model(), X, method="qcfs", timesteps=8, mean=0.3, std=0.4))
    assert str(error.value) == (
        "Network 'net': cannot be NIR: population 'conv0': drive must be the same at the border as inside; convert it "
        "without mean and std"
    )


def _weight(file: h5py.File) -> None:
    file["node/nodes/to_l1_Conv2d/weight"][0, 0, 0, 0] += 1


def _fraction(file: h5py.File) -> None:
    file["node/nodes/to_l1_Conv2d/weight"][0, 0, 0, 0] += 0.5


def _threshold(file: h5py.File) -> None:
    file["node/nodes/l1/v_threshold"][0, 0, 0] += 1


def _edge(file: h5py.File) -> None:
    edges = file["node/edges"][()]
    del file["node/edges"]
    file["node/edges"] = edges[:-1]


def _text(file: h5py.File) -> None:
    text = file["node/metadata/spikeloom"][()].decode()
    del file["node/metadata/spikeloom"]
    file["node/metadata/spikeloom"] = text.replace('"timesteps":6', '"timesteps":7')


def _theta(file: h5py.File) -> None:
    del file["node/nodes/l1/metadata/theta"]


def _condition(file: h5py.File) -> None:
    file["node/metadata/dt"][()] = 1e-3


ALTERED: dict[str, tuple[Any, str]] = {
    "a weight": (_weight, "must be as it was written, not altered; convert the model again"),
    "a weight that is no integer": (_fraction, "ValueError: weights are no integers of at most 8 bits"),
    "a threshold": (_threshold, "its graph is another than its metadata say"),
    "an edge": (_edge, "its graph is another than its metadata say"),
    "the metadata": (_text, "must be as it was written, not altered; convert the model again"),
    "a vector": (
        _theta,
        "must hold the fields of format 1 (TypeError: Neuron.__init__() missing 1 required positional argument: "
        "'theta'); convert the model again",
    ),
    "a condition": (_condition, "its graph is another than its metadata say"),
}


@pytest.mark.parametrize(("change", "why"), ALTERED.values(), ids=ALTERED.keys())
def test_a_file_that_was_altered_is_not_taken_for_ours(change: Any, why: str, tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    export_nir(random(), path)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(InvalidNetwork) as error:
        convert_nir(path, X)
    assert str(error.value) == (
        f"File '{path}': must be as Spikeloom wrote it, not altered ({why}); export it again, or delete its metadata "
        f"'spikeloom' to convert it like any other"
    )


def test_an_altered_file_without_its_metadata_is_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    export_nir(random(), path)
    with h5py.File(path, "r+") as file:
        _weight(file)
        del file["node/metadata/spikeloom"]
    assert convert_nir(path, X, reset="soft").provenance.method == "nir"


def test_settings_that_the_file_does_not_have_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.nir"
    export_nir(random(), path)
    assert convert_nir(path, X, timesteps=6, weight_bits=6, input_timesteps=8).digest == random().digest
    with pytest.raises(InvalidNetwork) as error:
        convert_nir(path, X, timesteps=7, weight_bits=5, dt=1.0)
    assert str(error.value) == (
        f"File '{path}': holds integers that Spikeloom wrote: timesteps must be 6 or left out, not 7; weight_bits must "
        f"be 6 or left out, not 5; dt, reset, v_min and round_leak must be left out"
    )
