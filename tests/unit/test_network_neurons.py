"""What neurons and schedules a network must not have, said by name."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from spikeloom import Connection, Dense, InvalidNetwork, Network, Silent
from tiny_networks import beside, changed, recurrent, synchronous, tiny, vector, with_neuron, without

HIDDEN = "population 'l1': "
WRONG: dict[str, tuple[Callable[[Network], Any], str]] = {
    "signed input of a lopsided range": (
        lambda n: changed(n, "inputs", 0, signed=True),
        "input 'input': low must be -high with signed, not 0.0 with 1.0",
    ),
    "negative threshold of unsigned spikes": (
        lambda n: with_neuron(n, fire_neg=vector(-1, -2)),
        HIDDEN + "fire_neg must come with signed",
    ),
    "thresholds on the wrong side": (
        lambda n: with_neuron(n, signed=True, fire_pos=vector(1, 0), fire_neg=vector(0, 2), reset=vector(3, -4)),
        f"{HIDDEN}fire_pos must be at least 1, not 0 (1 channels); "
        f"{HIDDEN}fire_neg must be at most -1, not 2 (2 channels); "
        f"{HIDDEN}reset must be at least 1, not -4 (1 channels)",
    ),
    "amount of a hard reset": (
        lambda n: with_neuron(n, reset=vector(1, 2), reset_kind="hard"),
        HIDDEN + "reset must come with a soft reset_kind, a hard one leaves 0",
    ),
    "code of an input": (
        lambda n: changed(n, "inputs", 0, code="gray"),
        "input 'input': code must be plain or naf, not 'gray'",
    ),
    "minimal weight of a signed input": (
        lambda n: changed(n, "inputs", 0, code="naf", signed=True, low=-1.0),
        "input 'input': code naf must be without signed",
    ),
    "minimal weight of growth 1": (
        lambda n: with_neuron(n, code="naf", growth=1.0),
        HIDDEN + "code naf must be with growth 2, not 1.0",
    ),
    "minimal weight of signed spikes": (
        lambda n: with_neuron(n, code="naf", signed=True),
        HIDDEN + "code naf must be without signed",
    ),
    "what only synchronous networks have": (
        lambda n: with_neuron(n, drive=vector(1, 2), step_gamma=vector(0, 1), step_bits=4, reset_kind="hard"),
        f"{HIDDEN}drive must be in a synchronous network, not in a two-phase one; "
        f"{HIDDEN}step_gamma must be in a synchronous network, not in a two-phase one",
    ),
    "leaky readout of a two-phase network": (
        lambda n: changed(n, "populations", 1, neuron=Silent(vector(0, 0, 0), vector(1, 2, 3), 0.5)),
        "population 'readout': drive must be in a synchronous network, not in a two-phase one; "
        "population 'readout': growth must be in a synchronous network, not in a two-phase one",
    ),
    "growth of a readout": (
        lambda n: changed(n, "populations", 1, neuron=Silent(vector(0, 0, 0), growth=float("inf"))),
        "population 'readout': growth must be a number, not inf",
    ),
    "two lengths of a synchronous network": (
        lambda n: beside(dataclasses.replace(n, schedule="synchronous"), timesteps=9),
        "a synchronous network must have neurons that fire, with one number of timesteps, not [4, 9]",
    ),
    "synchronous network without time steps": (
        lambda n: dataclasses.replace(
            n,
            schedule="synchronous",
            populations=n.populations[1:],
            connections=(Connection("c", "input", "readout", Dense(), np.zeros((3, 16), np.int8), 2),),
        ),
        "a synchronous network must have neurons that fire, with one number of timesteps, not []",
    ),
    "minimal weight in a synchronous network": (
        lambda n: dataclasses.replace(with_neuron(n, code="naf"), schedule="synchronous"),
        HIDDEN + "code naf must be in a two-phase network",
    ),
    "long synchronous network": (
        lambda n: synchronous(timesteps=256, growth=1.0) and synchronous(timesteps=257, growth=1.0),
        HIDDEN + "timesteps must be an integer in 1..256, not 257",
    ),
    "graded spikes without bits": (
        lambda n: synchronous(step_gamma=vector(-1, 2), reset_kind="hard"),
        f"{HIDDEN}step_gamma must be at least 0, not -1 (1 channels); "
        f"{HIDDEN}step_bits must be an integer in 1..16 with step_gamma, not 0",
    ),
    "graded spikes of another reset": (
        lambda n: synchronous(step_gamma=vector(1, 2), step_bits=4, signed=True),
        HIDDEN + "step_gamma must come with a hard reset_kind and without signed",
    ),
    "bits of spikes that are not graded": (
        lambda n: synchronous(step_bits=4),
        HIDDEN + "step_bits must be 0 without step_gamma, not 4",
    ),
    "arrays for words and numbers": (
        lambda n: with_neuron(n, code=np.zeros(2), reset_kind=np.zeros(2), growth=np.ones(2), step_bits=np.ones(2)),
        f"{HIDDEN}growth must be a number, not array([1., 1.]); "
        f"{HIDDEN}reset_kind must be soft or hard, not array([0., 0.]); "
        f"{HIDDEN}step_bits must be 0 without step_gamma, not array([1., 1.]); "
        f"{HIDDEN}code must be plain or naf, not array([0., 0.])",
    ),
    "array for the growth of a readout": (
        lambda n: changed(n, "populations", 1, neuron=Silent(vector(0, 0, 0), growth=np.ones(2))),  # type: ignore[arg-type]
        "population 'readout': growth must be a number, not array([1., 1.])",
    ),
    "recurrence in two phases": (
        recurrent,
        "connection 'back': source 'l1' must be an input or an earlier population",
    ),
    "recurrence of a readout": (
        lambda n: recurrent(dataclasses.replace(n, schedule="synchronous"), source="readout"),
        "connection 'back': source 'readout' must fire, it is a readout",
    ),
    "recurrence of nobody": (
        lambda n: recurrent(dataclasses.replace(n, schedule="synchronous"), source="nobody"),
        "connection 'back': source 'nobody' must be an input or a population",
    ),
    "population that hears only itself": (
        lambda n: without(recurrent(dataclasses.replace(n, schedule="synchronous")), "to_l1"),
        "population 'l1': must have an incoming connection that is not recurrent",
    ),
    "sequence in two phases": (
        lambda n: dataclasses.replace(n, inputs=(dataclasses.replace(n.inputs[0], sequence=4),)),
        "input 'input': sequence must be in a synchronous network, not in a two-phase one",
    ),
    "sequence of another length": (
        lambda n: dataclasses.replace(
            n, inputs=(dataclasses.replace(n.inputs[0], sequence=5),), schedule="synchronous"
        ),
        "input 'input': sequence must be 0 or the network's time steps, 4, not 5",
    ),
    "sequence of a negative length": (
        lambda n: dataclasses.replace(n, inputs=(dataclasses.replace(n.inputs[0], sequence=-1),)),
        "input 'input': sequence must be an integer in 0..256, not -1",
    ),
    "sequence of too many values": (
        lambda n: dataclasses.replace(
            n, inputs=(dataclasses.replace(n.inputs[0], shape=(1, 1024, 1024), sequence=17),)
        ),
        "input 'input': sequence must have at most 16777216 values together, not 17825792",
    ),
    "growth 0 in two phases": (
        lambda n: beside(n, growth=0.0),
        "population 'l2': growth 0 must be in a synchronous network, not in a two-phase one",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_neuron_or_schedule_against_the_contract_is_refused_by_name(case: str) -> None:
    change, expected = WRONG[case]
    with pytest.raises(InvalidNetwork) as error:
        change(tiny())
    assert str(error.value) == f"Network 'tiny': {expected}"
