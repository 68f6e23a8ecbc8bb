"""What a conversion method is: the responses it takes, its schedule, and the neuron of every population."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Self

import torch
from spikeloom.checks import MAX_SYNCHRONOUS_TIMESTEPS, MAX_TIMESTEPS
from spikeloom.errors import InvalidNetwork, UnsupportedLayer, listed, shown

from ..float_network import INPUT, FloatLayer, FloatNetwork
from ..response import Leaky, Rectified, Remaining, Response, Staircase, Stepped, Symmetric
from ..spiking import FloatNeuron

_KINDS: dict[type, str] = {bool: "true or false", int: "an integer", float: "a number"}
# what people who train with a response know it as
_CALLED: dict[type[Response], str] = {
    Rectified: "ReLU",
    Symmetric: "stReLU",
    Leaky: "atLeakyReLU",
    Stepped: "StepReLU",
    Staircase: "QCFS",
    Remaining: "ThresholdRNN",
}
_MOST = 1 << 53  # integers that a float holds


@dataclass(frozen=True)
class Method:
    """A conversion method; its fields are its options, with their defaults.

    Members
    -------
    NAME : by which `convert` knows it.
    SCHEDULE : "two-phase" or "synchronous".
    ACCEPTS : responses it takes, and what people know them as.
    """

    NAME: ClassVar[str]
    SCHEDULE: ClassVar[str]
    ACCEPTS: ClassVar[Mapping[type[Response], str]]

    @classmethod
    def with_options(cls, options: Mapping[str, object]) -> Self:
        """The method with some options; InvalidNetwork lists those it does not have and those of another type."""
        known = {item.name: item for item in fields(cls)}
        found = [f"{shown(name)} is no option of {cls.NAME}" for name in options if name not in known]
        taken: dict[str, object] = {}
        for name, value in options.items():
            if name in known:
                wanted = type(known[name].default)
                if wanted is float and type(value) is int and abs(value) < _MOST:
                    value = float(value)
                if type(value) is not wanted:
                    found.append(f"{name} must be {_KINDS[wanted]}, not {shown(value)}")
                taken[name] = value
        if not found:
            made = cls(**taken)  # type: ignore[arg-type]  # the types were compared with those of the defaults
            found = made.violations()
        if found:
            has = ", ".join(f"{name} ({item.default})" for name, item in known.items()) or "none"
            raise InvalidNetwork(f"Method '{cls.NAME}': {listed(found)}; its options are {has}")
        return made

    def __str__(self) -> str:
        told = ", ".join(f"{item.name} {getattr(self, item.name)}".lower() for item in fields(self))
        return f"{self.NAME}{': ' if told else ''}{told}"

    def violations(self) -> list[str]:
        """What is wrong with the values of the options."""
        return []

    @property
    def most_timesteps(self) -> int:
        """Longest T."""
        return MAX_TIMESTEPS if self.SCHEDULE == "two-phase" else MAX_SYNCHRONOUS_TIMESTEPS

    def require_accepted(self, network: FloatNetwork) -> None:
        """UnsupportedLayer naming the first layer whose activation function the method cannot take."""
        for layer in network.layers:
            if layer.response is not None and not isinstance(layer.response, tuple(self.ACCEPTS)):
                kind = _CALLED.get(type(layer.response), type(layer.response).__name__)
                names = " or ".join(self.ACCEPTS.values())
                raise UnsupportedLayer(
                    f"{layer.where}: method '{self.NAME}' must have {names} behind it, not {kind}; "
                    f"use {alternatives(layer.response)}"
                )

    def notes(self, network: FloatNetwork) -> tuple[str, ...]:
        """What is to be known of the method with this network, for its provenance."""
        return ()


@dataclass(frozen=True)
class Synchronous(Method):
    """A method of the synchronous schedule."""

    SCHEDULE: ClassVar[str] = "synchronous"

    @abstractmethod
    def neuron(self, layer: FloatLayer, activations: torch.Tensor, timesteps: int) -> FloatNeuron:
        """The neuron of a layer that fires, from the model's activations [N, O, H', W'] on calibration samples."""

    def require_accepted(self, network: FloatNetwork) -> None:
        """As `Method.require_accepted`; also names the first layer that hears maxima of spikes."""
        super().require_accepted(network)
        if not any(layer.fires for layer in network.layers):
            raise UnsupportedLayer(
                f"Model '{network.name}': method '{self.NAME}' must have an activation function between layers; use "
                f"method 'spikeconverter' for a single one"
            )
        for layer in network.layers:
            for item in layer.incoming:
                if item.source != INPUT and item.geometry.max_windows is not None:
                    raise UnsupportedLayer(
                        f"{layer.where}: method '{self.NAME}' must have average pooling ahead of it, not max pooling, "
                        f"which is no maximum of spikes that come one by one; use AvgPool2d or method 'spikeconverter'"
                    )

    @property
    def readout_growth(self) -> float:
        """Growth of the readouts' potentials."""
        return 1.0


def alternatives(response: Response) -> str:
    """The methods that take a response, for an error."""
    from . import METHODS

    return " or ".join(f"method '{name}'" for name, item in METHODS.items() if type(response) in item.ACCEPTS)
