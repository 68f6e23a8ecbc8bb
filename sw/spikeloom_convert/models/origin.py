"""Which network weights are of: what a file of trained weights says, so that the network can be made again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from safetensors import SafetensorError, safe_open
from spikeloom.errors import InvalidNetwork, shown
from torch import nn

from ..activations import ACTIVATIONS, QCFS, ThresholdReLU, named
from .networks import NETWORKS

KEY = "spikeloom.trained"
_FORMAT = 1
_MOST_WIDTH = 4.0
RECURRENT = ("trelu", "relu")  # activation functions of recurrent layers


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Parameters
    ----------
    network : name in `NETWORKS`, None of a model from outside.
    activation : name in `ACTIVATIONS` of its functions, None from outside.
    parameters : of the activation function.
    width : of the network, None where it has none.
    outside : package.module:factory, or class of a model from outside; for people, never run.
    """

    network: str | None
    activation: str | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    width: float | None = None
    outside: str = ""

    @classmethod
    def of(
        cls,
        network: str,
        activation: str | None = None,
        parameters: Mapping[str, float] | None = None,
        width: float | None = None,
    ) -> Self:
        """A network by name, all that is left out at its defaults; InvalidNetwork where there is no such."""
        if network not in NETWORKS:
            raise InvalidNetwork(f"Network {shown(network)}: must be one of {', '.join(NETWORKS)}")
        own = NETWORKS[network]
        activation = own.activation if activation is None else activation
        if own.recurrent and activation in ACTIVATIONS and activation not in RECURRENT:
            known = " or ".join(RECURRENT)
            raise InvalidNetwork(
                f"Network '{network}': activation must be {known}, as it is recurrent, not {activation}"
            )
        bounded = (QCFS, ThresholdReLU) if own.recurrent else QCFS
        start = {"bound": own.bound} if issubclass(ACTIVATIONS.get(activation, nn.ReLU), bounded) else {}
        every = named(activation, {**start, **(parameters or {})})[1]
        if own.width is None and width is not None:
            raise InvalidNetwork(f"Network '{network}': must be left at its width, which cannot be chosen")
        if width is not None and not (_is_number(width) and 0 < width <= _MOST_WIDTH):
            raise InvalidNetwork(
                f"Network '{network}': width must lie above 0, up to {_MOST_WIDTH:g}, not {shown(width)}"
            )
        return cls(network, activation, every, own.width if width is None else float(width))

    @classmethod
    def named(cls, name: str) -> Self | None:
        """The network of a name such as net1 or net1:strelu; None where it is no such name."""
        network, colon, activation = name.partition(":")
        if network not in NETWORKS or (colon and activation not in ACTIVATIONS):
            return None
        return cls.of(network, activation or None)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of a sample, of a network by name."""
        return None if self.network is None else NETWORKS[self.network].shape

    @property
    def recipe(self) -> Mapping[str, Any]:
        """Settings of a training that the network has of its own, which go with its own activation function alone."""
        own = None if self.network is None else NETWORKS[self.network]
        return own.recipe if own is not None and self.activation == own.activation else {}

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """What a file says; InvalidNetwork where it cannot be read, says nothing, or what there is not."""
        who = f"Weights '{path}'"
        if not Path(path).is_file():
            raise InvalidNetwork(f"{who}: must be a file, there is none")
        try:
            with safe_open(path, framework="pt") as file:
                text = (file.metadata() or {}).get(KEY)
        except OSError as error:
            raise InvalidNetwork(f"{who}: cannot be read: {error.strerror}") from None
        except SafetensorError:
            raise InvalidNetwork(
                f"{who}: must be a whole safetensors file, not damaged or of another kind; "
                f"copy it anew or train it again"
            ) from None
        if text is None:
            raise InvalidNetwork(
                f"{who}: must say which network it is of, as `spikeloom train` writes it; "
                f"use package.module:factory and --weights"
            )
        try:
            document = json.loads(text)
            if document["format"] != _FORMAT:
                raise InvalidNetwork(f"must be of format {_FORMAT}, not {shown(document['format'])}")
            return cls.taken(document["origin"])
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError):
            raise InvalidNetwork(f"{who}: must say which network it is of as it was written; train it again") from None
        except InvalidNetwork as error:
            raise InvalidNetwork(f"{who}: {error}") from None

    @classmethod
    def taken(cls, document: Mapping[str, Any]) -> Self:
        """What a document describes; InvalidNetwork, LookupError, TypeError or ValueError where it is no origin."""
        network, outside = document["network"], document["outside"]
        if network is None:
            return cls(None, outside=shown(str(outside)).strip("'"))
        parameters, width = dict(document["parameters"]), document["width"]
        if not all(_is_number(value) for value in (*parameters.values(), *([] if width is None else [width]))):
            raise ValueError("must be numbers")
        return cls.of(str(network), str(document["activation"]), parameters, width)

    @property
    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "network": self.network,
            "activation": self.activation,
            "parameters": dict(self.parameters),
            "width": self.width,
            "outside": self.outside,
        }

    def metadata(self, training: Mapping[str, Any]) -> dict[str, str]:
        """What goes into the file of weights, with what is to be known about the training."""
        document = {"format": _FORMAT, "origin": self.document, "training": dict(training)}
        return {KEY: json.dumps(document, sort_keys=True, allow_nan=False)}

    @property
    def model(self) -> str:
        """How people call it: net1:strelu, or package.module:factory."""
        return self.outside if self.network is None else f"{self.network}:{self.activation}"

    def make(self, seed: int = 0) -> nn.Module:
        """The network with new weights; of `NETWORKS` only."""
        if self.network is None or self.activation is None:
            raise InvalidNetwork(f"Model '{self.outside}': must be made by its own factory")
        return NETWORKS[self.network].make(seed, named(self.activation, self.parameters)[0], self.width)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
