"""What a network must be, what it may say without being built yet, and that it never changes."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from random_networks import RandomNetwork
from spikeloom import (
    Connection,
    Conv2d,
    Dense,
    Input,
    InvalidNetwork,
    Network,
    NotBuilt,
    Population,
    Provenance,
    Readout,
    Silent,
    golden,
)
from spikeloom.measure import measure
from spikeloom.placing.place import place
from tiny_networks import changed, tiny, vector, with_neuron

X = np.zeros((2, 1, 4, 4), np.uint8)


HIDDEN, LINK = "population 'l1': ", "connection 'to_l1': "
VECTOR = "must be int64 [border classes, 2 channels], not"
WRONG: dict[str, tuple[Callable[[Network], Any], str]] = {
    "name": (
        lambda n: dataclasses.replace(n, name="../tiny\n"),
        r"name '../tiny\n' must match [a-z][a-z0-9_]{0,39}",
    ),
    "name of a population": (
        lambda n: changed(n, "populations", 0, name=7),
        "name 7 must match [a-z][a-z0-9_]{0,39}",
    ),
    "doubled name": (
        lambda n: changed(n, "populations", 1, name="l1"),
        "names of inputs and populations must differ from each other",
    ),
    "doubled connection": (
        lambda n: changed(n, "connections", 1, name="to_l1"),
        "names of connections must differ from each other",
    ),
    "parts in a list": (
        lambda n: dataclasses.replace(n, readouts=[1]),
        "readouts must be a tuple of Readout, not [1]",
    ),
    "no input": (lambda n: dataclasses.replace(n, inputs=()), "a network must have one input, not 0"),
    "schedule": (
        lambda n: dataclasses.replace(n, schedule="lazy"),
        "schedule must be two-phase or synchronous, not 'lazy'",
    ),
    "timesteps": (
        lambda n: changed(n, "inputs", 0, timesteps=17),
        "input 'input': timesteps must be an integer in 1..16, not 17",
    ),
    "true as a number": (
        lambda n: changed(n, "inputs", 0, timesteps=True),
        "input 'input': timesteps must be an integer in 1..16, not True",
    ),
    "text as a number": (
        lambda n: changed(n, "inputs", 0, scale="1"),
        "input 'input': scale, zero, low and high must be finite, not '1', 0.0, 0.0, 1.0",
    ),
    "not a number": (
        lambda n: changed(n, "inputs", 0, zero=float("nan")),
        "input 'input': scale, zero, low and high must be finite, not 0.0625, nan, 0.0, 1.0",
    ),
    "number of another library": (
        lambda n: changed(n, "readouts", 0, scale=np.float32(1)),
        "readout 'readout': scale must be positive and finite, not np.float32(1.0)",
    ),
    "number beyond floats": (
        lambda n: changed(n, "readouts", 0, scale=10**400),
        "readout 'readout': scale must be positive and finite, not 100000000000000000...0000000000000000000",
    ),
    "empty range": (
        lambda n: changed(n, "inputs", 0, low=1.0),
        "input 'input': scale must be positive and high above low",
    ),
    "text as a flag": (
        lambda n: changed(n, "inputs", 0, signed="false"),
        "input 'input': signed must be true or false, not 'false'",
    ),
    "activity": (
        lambda n: changed(n, "populations", 0, activity=-1.0),
        HIDDEN + "activity must be a number in 0..68719476736, not -1.0",
    ),
    "more events than there are": (
        lambda n: changed(n, "populations", 0, activity=1e300),
        HIDDEN + "activity must be a number in 0..68719476736, not 1e+300",
    ),
    "heard in a list": (
        lambda n: changed(n, "connections", 0, heard=[(), ()]),
        LINK + "heard must be a tuple of numbers by row and one by column, not [(), ()]",
    ),
    "heard by row alone": (
        lambda n: changed(n, "connections", 0, heard=((1.0,) * 4, ())),
        LINK + "heard must be for (4, 4) rows and columns or empty, not for (4, 0)",
    ),
    "heard of other rows": (
        lambda n: changed(n, "connections", 0, heard=((2.0,) * 2, (1.0,) * 4)),
        LINK + "heard must be for (4, 4) rows and columns or empty, not for (2, 4)",
    ),
    "heard below nothing": (
        lambda n: changed(n, "connections", 0, heard=((1.0,) * 4, (2.0, -1.0, 2.0, 1.0))),
        LINK + "heard must be numbers in 0..68719476736, not -1.0 (1 of them)",
    ),
    "heard without end": (
        lambda n: changed(n, "connections", 0, heard=((float("nan"),) * 4, (float("inf"),) * 4)),
        LINK + "heard must be numbers in 0..68719476736, not nan (8 of them)",
    ),
    "heard as text": (
        lambda n: changed(n, "connections", 0, heard=(("1",) * 4, (1.0,) * 4)),
        LINK + "heard must be numbers in 0..68719476736, not '1' (4 of them)",
    ),
    "heard differently": (
        lambda n: changed(n, "connections", 0, heard=((1.0,) * 4, (2.0,) * 4)),
        LINK + "heard must be as many events by row as by column, not 4 and 8",
    ),
    "shape": (
        lambda n: changed(n, "inputs", 0, shape=(1, 4.0, 4)),
        "input 'input': shape must be three positive integers of at most 16777216 neurons together, not (1, 4.0, 4)",
    ),
    "huge shape": (
        lambda n: changed(n, "inputs", 0, shape=(1 << 12, 1 << 12, 1 << 12)),
        "input 'input': shape must be three positive integers of at most 16777216 neurons together, "
        "not (4096, 4096, 4096)",
    ),
    "no neuron": (
        lambda n: changed(n, "populations", 0, neuron=3),
        HIDDEN + "neuron must be a Neuron or Silent, not 3",
    ),
    "growth": (
        lambda n: with_neuron(n, growth=1.3),
        HIDDEN + "growth must be 1, 2, 1 + 2^-s or 1 - 2^-s with s in 1..15, not 1.3",
    ),
    "true as a growth": (lambda n: with_neuron(n, growth=True), HIDDEN + "growth must be a number, not True"),
    "threshold zero": (
        lambda n: with_neuron(n, theta=vector(0, -3)),
        HIDDEN + "theta must be at least 1, not -3 (2 channels)",
    ),
    "vector in a list": (lambda n: with_neuron(n, theta=[[1, 1]]), HIDDEN + f"theta {VECTOR} [[1, 1]]"),
    "float vector": (
        lambda n: with_neuron(n, theta=np.ones((1, 2))),
        HIDDEN + f"theta {VECTOR} float64 [1, 2]",
    ),
    "long vector": (lambda n: with_neuron(n, initial=vector(1, 2, 3)), HIDDEN + f"initial {VECTOR} int64 [1, 3]"),
    "empty vector": (
        lambda n: with_neuron(n, initial=np.zeros((0, 2), np.int64)),
        HIDDEN + f"initial {VECTOR} int64 [0, 2]",
    ),
    "least int64": (lambda n: with_neuron(n, initial=vector(-(2**63), 0)), HIDDEN + "initial must fit 48 bits"),
    "border classes of two kinds": (
        lambda n: with_neuron(n, theta=np.ones((9, 2), np.int64), initial=np.ones((25, 2), np.int64)),
        HIDDEN + "all vectors must have one border class or the same number of them, not [9, 25]",
    ),
    "border classes without padding": (
        lambda n: with_neuron(n, initial=np.ones((9, 2), np.int64)),
        HIDDEN + "border classes must be 1 or 1x1, as its connections pad, not 9",
    ),
    "border classes of a readout": (
        lambda n: changed(n, "populations", 1, neuron=Silent(np.zeros((4, 3), np.int64))),
        "population 'readout': border classes must be 1 or 1x1, as its connections pad, not 4",
    ),
    "kind of pooling": (
        lambda n: changed(n, "connections", 0, geometry=Conv2d((3, 3), pool_kind="median")),
        LINK + "pool_kind must be average or max, not 'median'",
    ),
    "kind of pooling of a readout": (
        lambda n: changed(n, "connections", 1, geometry=Dense(pool_kind=2)),
        "connection 'to_readout': pool_kind must be average or max, not 2",
    ),
    "kind of reset": (
        lambda n: with_neuron(n, reset_kind="medium"),
        HIDDEN + "reset_kind must be soft or hard, not 'medium'",
    ),
    "code": (lambda n: with_neuron(n, code=2), HIDDEN + "code must be plain or naf, not 2"),
    "geometry": (
        lambda n: changed(n, "connections", 0, geometry="dense"),
        LINK + "geometry must be one of dense, conv2d, diagonal, not 'dense'",
    ),
    "weight bits": (lambda n: changed(n, "connections", 0, weight_bits=9), LINK + "weight_bits must be in 2..8, not 9"),
    "shift": (lambda n: changed(n, "connections", 0, shift=-1), LINK + "shift must be in 0..15, not -1"),
    "weights in a list": (
        lambda n: changed(n, "connections", 0, weights=[1]),
        LINK + "weights must be int8 (2, 1, 3, 3), not [1]",
    ),
    "wide weights": (
        lambda n: changed(n, "connections", 0, weights=n.connections[0].weights.astype(np.int64)),
        LINK + "weights must be int8 (2, 1, 3, 3), not int64 (2, 1, 3, 3)",
    ),
    "flat weights": (
        lambda n: changed(n, "connections", 0, weights=n.connections[0].weights.ravel()),
        LINK + "weights must be int8 (2, 1, 3, 3), not int8 (18,)",
    ),
    "weight of -2^(bits-1)": (
        lambda n: changed(n, "connections", 0, weights=np.full((2, 1, 3, 3), -32, np.int8)),
        LINK + "weights must be symmetric 6-bit integers; 18 are beyond +-31",
    ),
    "source that does not exist": (
        lambda n: changed(n, "connections", 0, source="nowhere"),
        "connection 'to_l1': source 'nowhere' must be an input or an earlier population",
    ),
    "loop": (
        lambda n: changed(n, "connections", 0, source="l1"),
        "connection 'to_l1': source 'l1' must be an input or an earlier population",
    ),
    "readout as a source": (
        lambda n: dataclasses.replace(
            n,
            populations=(*n.populations, Population("more", (3, 1, 1), Silent(vector(0, 0, 0)))),
            connections=(*n.connections, Connection("on", "readout", "more", Dense(), np.zeros((3, 3), np.int8), 2)),
            readouts=(*n.readouts, Readout("more", 1.0)),
        ),
        "connection 'on': source 'readout' must fire, it is a readout",
    ),
    "nobody listens to": (
        lambda n: changed(n, "connections", 0, target="nowhere"),
        "population 'l1': must have an incoming connection; connection 'to_l1': target 'nowhere' must be a population",
    ),
    "readout that fires": (
        lambda n: changed(n, "readouts", 0, population="l1"),
        "readouts must name every silent population ['readout'] once, at least one, not ['l1']",
    ),
    "accuracy": (
        lambda n: dataclasses.replace(n, provenance=Provenance(accuracy={"snn": float("nan")})),
        "provenance: accuracy 'snn' must be a finite number, not nan",
    ),
    "notes": (
        lambda n: dataclasses.replace(n, provenance=Provenance(notes=[])),  # type: ignore[arg-type]
        "provenance must be text, a tuple of notes, and tables of accuracies and versions",
    ),
    "wide potentials": (
        lambda n: with_neuron(n, initial=vector(2**47 - 1, 0)),
        "population 'l1': potentials must fit 48 bits, not 49",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_network_against_the_contract_says_what_is_wrong(case: str) -> None:
    change, expected = WRONG[case]
    with pytest.raises(InvalidNetwork) as error:
        change(tiny())
    who = r"'../tiny\n'" if case == "name" else "'tiny'"
    assert str(error.value) == f"Network {who}: {expected}"


def test_violations_are_listed_together() -> None:
    network = tiny()
    with pytest.raises(InvalidNetwork) as error:
        dataclasses.replace(
            network,
            schedule="lazy",
            inputs=(dataclasses.replace(network.inputs[0], timesteps=0),),
            readouts=(Readout("readout", 0.0),),
        )
    assert str(error.value) == (
        "Network 'tiny': schedule must be two-phase or synchronous, not 'lazy'; "
        "input 'input': timesteps must be an integer in 1..16, not 0; "
        "readout 'readout': scale must be positive and finite, not 0.0"
    )


def test_potentials_too_wide_for_int64_are_refused_not_wrapped_around() -> None:
    whole = Dense((1 << 12, 1 << 12))
    weights = np.full((1, 1), 127, np.int8)
    with pytest.raises(InvalidNetwork) as error:
        Network(
            "wide",
            (Input("input", (1, 1 << 12, 1 << 12), 16, scale=1.0),),
            (Population("readout", (1, 1, 1), Silent(vector(0))),),
            tuple(Connection(f"c{n}", "input", "readout", whole, weights, 8, 15) for n in range(6)),
            (Readout("readout", 1.0),),
        )
    assert str(error.value) == "Network 'wide': population 'readout': potentials must fit 48 bits, not 66"


def test_more_weights_than_a_file_may_hold_are_refused() -> None:
    weights = np.broadcast_to(np.zeros(1, np.int8), (10, 1, 1, 1 << 24)).reshape(10, 1 << 24)
    with pytest.raises(InvalidNetwork) as error:
        Network(
            "heavy",
            (Input("input", (1, 1, 1 << 24), 1, scale=1.0),),
            (Population("readout", (10, 1, 1), Silent(np.zeros((1, 10), np.int64))),),
            (Connection("to_readout", "input", "readout", Dense(), weights, 2),),
            (Readout("readout", 1.0),),
        )
    assert (
        str(error.value) == "Network 'heavy': connections must have at most 134217728 weights together, not 167772160"
    )


def max_of_spikes() -> Network:
    """A synchronous network whose readout hears the largest of each window of spikes."""
    network = dataclasses.replace(tiny(), schedule="synchronous")
    pooled = Dense((2, 2), pool_kind="max")
    return changed(network, "connections", 1, geometry=pooled, weights=np.ones((3, 2), np.int8))


NOT_BUILT: dict[str, tuple[Callable[[], Network], str]] = {
    "border classes of theta": (
        lambda: changed(
            changed(tiny(), "connections", 0, geometry=Conv2d((3, 3), (2, 2), (1, 1))),
            "populations",
            0,
            neuron=dataclasses.replace(tiny().populations[0].neuron, theta=np.ones((4, 2), np.int64)),
        ),
        HIDDEN + "border classes of theta",
    ),
    "largest of spikes": (max_of_spikes, "connection 'to_readout': max pooling of synchronous spikes"),
}


@pytest.mark.parametrize("case", NOT_BUILT)
def test_what_is_not_built_is_refused_by_name_everywhere(case: str) -> None:
    make, expected = NOT_BUILT[case]
    network = make()
    actions: list[Callable[[], Any]] = [
        lambda: golden.run(network, X),
        lambda: golden.run_values(network, X),
        lambda: golden.evaluate(network, X),
        lambda: measure(network, X),
        lambda: place(network),
        lambda: place(network, lanes=2),
    ]
    for action in actions:
        with pytest.raises(NotBuilt) as error:
            action()
        assert str(error.value) == f"Network 'tiny': not built yet: {expected}"


def test_a_network_keeps_its_arrays_whatever_happens_to_those_it_was_made_from() -> None:
    weights, initial = np.ones((2, 16), np.int8), np.array([[1, 2]])
    network = Network(
        "kept",
        (Input("input", (1, 4, 4), 4, scale=1.0),),
        (Population("readout", (2, 1, 1), Silent(initial)),),
        (Connection("to_readout", "input", "readout", Dense(), weights[:, ::1], 2),),
        (Readout("readout", 1.0),),
    )
    digest, x = network.digest, np.full((1, 1, 4, 4), 255, np.uint8)
    weights[:] = 0
    initial[:] = 99
    assert golden.evaluate(network, x).tolist() == [[241, 242]]  # type: ignore[union-attr]
    assert dataclasses.replace(network).digest == digest
    with pytest.raises(ValueError, match="read-only"):
        network.connections[0].weights[0, 0] = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.name = "other"  # type: ignore[misc]


def test_validation_of_a_large_dense_layer_takes_a_fraction_of_a_second() -> None:
    rng = np.random.default_rng(0)
    layers = RandomNetwork(rng, (32, 7, 7)).dense(1000).dense(1000)
    network = layers.readout(10)
    started = time.process_time()
    dataclasses.replace(network)
    assert time.process_time() - started < 0.25
