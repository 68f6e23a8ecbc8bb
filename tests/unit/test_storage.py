""".loom files: nothing is lost, nothing changes unnoticed, and hostile ones end in one line."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loom_files import Document, tiny
from random_networks import RandomNetwork, random_network, random_synchronous_network
from safetensors import safe_open
from spikeloom import Conv2d, Dense, Diagonal, Network, Provenance, SpikeloomError
from spikeloom.storage import canonical, load, save, write_whole

DIGEST_OF_0_1_0 = "1e600fabd7ec649ab42ee561441f2d29ee6cbe802e4d2baa4cf3973f96db8dda"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net.loom"


def same(a: Network, b: Network) -> bool:
    return a.digest == b.digest and a.provenance == b.provenance and a.inputs == b.inputs and a.readouts == b.readouts


@pytest.mark.parametrize("seed", range(20))
def test_a_network_comes_back_as_it_was_saved(seed: int, path: Path) -> None:
    network = random_network(np.random.default_rng(seed), growths=(1.0, 2.0, 1.5), codes=("plain", "naf"))
    save(network, str(path))
    loaded = load(str(path))
    assert same(loaded, network)
    assert same(Network.load(path), network)
    for old, new in zip(network.connections, loaded.connections, strict=True):
        np.testing.assert_array_equal(old.weights, new.weights)
        assert dataclasses.replace(old, weights=new.weights).geometry == new.geometry
    assert os.listdir(path.parent) == ["net.loom"]


@pytest.mark.parametrize("seed", range(10))
def test_a_synchronous_network_comes_back_as_it_was_saved(seed: int, path: Path) -> None:
    network = random_synchronous_network(np.random.default_rng(seed), growths=(1.0, 0.5))
    network.save(path)
    loaded = Network.load(path)
    assert same(loaded, network)
    for old, new in zip(network.populations, loaded.populations, strict=True):
        assert vars(old.neuron).keys() == vars(new.neuron).keys()
        for name, value in vars(old.neuron).items():
            np.testing.assert_array_equal(value, vars(new.neuron)[name])


def test_fields_that_came_later_change_no_digest_of_older_networks() -> None:
    assert tiny().digest == DIGEST_OF_0_1_0


def test_where_events_lie_comes_back_and_is_in_the_digest(path: Path) -> None:
    network = tiny()
    connection = network.connections[0]
    heard = ((0.0, 1.5, 2.25, 0.1), (0.0, 0.0, 3.0, 0.85))
    known = dataclasses.replace(
        network, connections=(dataclasses.replace(connection, heard=heard), *network.connections[1:])
    )
    known.save(path)
    assert [item.heard for item in Network.load(path).connections] == [heard, ((), ())]
    assert Network.load(path).digest == known.digest != network.digest
    network.save(path)
    assert b"heard" not in path.read_bytes()  # as files were before


def test_what_is_not_built_yet_is_kept_too(path: Path) -> None:
    network = tiny()
    hidden = network.populations[0]
    connection = dataclasses.replace(network.connections[0], geometry=Conv2d((3, 3), (2, 2), (1, 1), pool_kind="max"))
    twice = np.full((4, 2), 5)
    neuron = dataclasses.replace(hidden.neuron, theta=twice, initial=twice, drive=twice, fire_neg=-twice, signed=True)
    bypass = dataclasses.replace(
        connection, name="bypass", geometry=Diagonal((2, 2), 1), weights=np.array([-3], np.int8), shift=2
    )
    network = dataclasses.replace(
        network,
        schedule="synchronous",
        populations=(dataclasses.replace(hidden, neuron=neuron, activity=2.5), network.populations[1]),
        connections=(connection, network.connections[1], bypass),
    )
    network.save(path)
    loaded = Network.load(path)
    assert same(loaded, network)
    assert loaded.connections[-1].geometry == Diagonal((2, 2), 1)
    np.testing.assert_array_equal(loaded.populations[0].neuron.drive, twice)  # type: ignore[union-attr]


def test_a_file_without_the_kind_of_pooling_means_average_pooling(path: Path) -> None:
    network = tiny()
    network.save(path)
    with safe_open(path, framework="numpy") as file:
        text = file.metadata()["spikeloom"]
    assert "pool_kind" not in text  # as files were before there was another kind
    assert {item.geometry.pool_kind for item in Network.load(path).connections} == {"average"}  # type: ignore[union-attr]
    link = dataclasses.replace(network.connections[0], geometry=Conv2d((3, 3), pool_kind="max"))
    other = dataclasses.replace(network, connections=(link, network.connections[1]))
    assert other.digest != network.digest
    other.save(path)
    assert Network.load(path).digest == other.digest


def test_saving_the_same_network_gives_the_same_bytes(path: Path) -> None:
    tiny().save(path)
    first = path.read_bytes()
    Network.load(path).save(path)
    assert path.read_bytes() == first


def test_digest_covers_all_that_decides_behaviour_and_nothing_else() -> None:
    network = tiny()
    population, connection = network.populations[0], network.connections[0]
    neuron = population.neuron
    weights, theta, initial = connection.weights.copy(), neuron.theta.copy(), neuron.initial.copy()  # type: ignore[union-attr]
    weights[1, 0, 2, 2] ^= 1
    theta[0, 1] += 1
    initial[0, 0] -= 1
    changes: list[Document] = [
        {"inputs": (dataclasses.replace(network.inputs[0], **{name: value}),)}
        for name, value in {
            "scale": 2.0,
            "zero": 1.0,
            "low": -1.0,
            "high": 2.0,
            "timesteps": 4,
            "activity": 9.0,
            "code": "naf",
        }.items()
    ]
    changes += [
        {
            "populations": (
                dataclasses.replace(population, neuron=dataclasses.replace(neuron, **value)),
                network.populations[1],
            )
        }
        for value in ({"theta": theta}, {"initial": initial}, {"growth": 1.0}, {"timesteps": 3}, {"code": "naf"})
    ]
    changes += [
        {"connections": (dataclasses.replace(connection, **value), network.connections[1])}
        for value in (
            {"weights": weights},
            {"shift": 1},
            {"weight_bits": 7},
            {"name": "other"},
            {"heard": ((1.0,) * 4, (1.0,) * 4)},
        )
    ]
    changes += [{"name": "other"}, {"schedule": "synchronous"}]
    changes += [{"readouts": (dataclasses.replace(network.readouts[0], scale=2.0),)}]
    digests = [dataclasses.replace(network, **change).digest for change in changes]
    assert len({network.digest, *digests}) == len(changes) + 1
    assert dataclasses.replace(network, provenance=Provenance("another")).digest == network.digest


def test_equal_numbers_of_other_types_give_equal_digests() -> None:
    network = tiny()
    source = dataclasses.replace(network.inputs[0], scale=np.float64(1 / 8), zero=-0.0, high=1)
    hidden = network.populations[0]
    neuron = dataclasses.replace(hidden.neuron, growth=2, theta=np.asfortranarray(hidden.neuron.theta))  # type: ignore[union-attr]
    populations = (dataclasses.replace(hidden, neuron=neuron), network.populations[1])
    assert dataclasses.replace(network, inputs=(source,), populations=populations).digest == network.digest
    digests = {
        dataclasses.replace(
            network, connections=(dataclasses.replace(network.connections[0], heard=heard), *network.connections[1:])
        ).digest
        for heard in (((1, 0, 1, 0), (2, 0, 0, 0)), ((np.float64(1), -0.0, 1.0, 0.0), (2.0, 0.0, 0.0, 0.0)))
    }
    assert len(digests) == 1


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_folder_is_left_as_it_was(call: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"before")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(SpikeloomError) as error:
            tiny().save(path)
    assert (
        str(error.value)
        == f"File '{path}': cannot be written (OSError: No space left on device); choose another folder"
    )
    assert path.read_bytes() == b"before"
    assert os.listdir(path.parent) == ["net.loom"]


def test_a_disk_that_fills_up_leaves_nothing_half_written(path: Path) -> None:
    import resource
    import signal

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(SpikeloomError) as error:
            tiny().save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert str(error.value) == f"File '{path}': cannot be written (OSError: File too large); choose another folder"
    assert os.listdir(path.parent) == []


def test_an_interrupted_save_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tiny().save(path)
    assert os.listdir(path.parent) == []


def test_folders_that_cannot_be_written_to_are_named(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    for path, reason in (
        (tmp_path / "none" / "a.loom", "FileNotFoundError: No such file or directory"),
        (taken, "IsADirectoryError: Is a directory"),
        (tmp_path / "a\0b", "ValueError: embedded null byte"),
    ):
        with pytest.raises(SpikeloomError) as error:
            write_whole(path, b"content")
        assert str(error.value) == f"File '{path}': cannot be written ({reason}); choose another folder"
    assert os.listdir(tmp_path) == ["taken"]


def test_files_get_the_rights_the_user_wants(path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole(path, b"content")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


def test_canonical_json_is_sorted_and_refuses_what_json_is_not() -> None:
    assert canonical({"b": [1, 2.5], "a": None}) == '{"a":null,"b":[1,2.5]}'
    with pytest.raises(ValueError, match="Out of range float values are not JSON compliant"):
        canonical(float("nan"))


def test_geometries_come_back_with_their_pairs_as_tuples(path: Path) -> None:
    rng = np.random.default_rng(1)
    RandomNetwork(rng, (2, 6, 6)).conv(4, Conv2d((3, 2), (2, 1), (1, 0), 2, (1, 2))).readout(2, pool=(2, 1)).save(path)
    geometries = [item.geometry for item in Network.load(path).connections]
    assert geometries == [Conv2d((3, 2), (2, 1), (1, 0), 2, (1, 2)), Dense((2, 1))]


def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    message = f"File '{pipe}': must be a file or not be there, not a device; choose another"
    with pytest.raises(SpikeloomError) as error:
        write_whole(pipe, b"content")
    assert str(error.value) == message
    assert pipe.is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]
