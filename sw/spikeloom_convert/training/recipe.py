"""How a network is trained: what was asked for, and defaults by the activation functions it has."""

from dataclasses import dataclass
from typing import Self

from spikeloom.checks import MAX_SYNCHRONOUS_TIMESTEPS
from spikeloom.errors import InvalidNetwork, listed, shown
from torch import nn

from ..activations import ACTIVATIONS, QCFS, NoisyQuantized, ThresholdReLU
from ..methods import METHODS, Synchronous
from ..recurrent import ThresholdRNN

OPTIMISERS = ("adam", "sgd")
OWN_OPTIMISER = "adam"  # what the learning rates of `NamedNetwork.recipe` are for
_RATES = {"adam": 1e-3, "sgd": 0.05}
_DECAYS = {"adam": 0.0, "sgd": 5e-4}
_PAPERS_EPOCHS, _PAPERS_PLAIN_EPOCHS = 300, 20  # Deng & Gu, appendix A.1
_MOST_VALIDATION = 5000
# activation functions by name, and the method that converts what was trained with them
METHOD_OF = {
    "noisy-quantized": "noisy-quantized",
    "qcfs": "qcfs",
    "steprelu": "steprelu",
    "strelu": "strelu",
    "trelu": "optimal-conversion",
    "relu": "optimal-conversion",
}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a training comes to, but for network and data.

    Parameters
    ----------
    epochs : passes over the training samples.
    batch : samples of a step.
    optimiser : "adam", or "sgd" with momentum 0.9.
    learning_rate : of the first epoch; it falls to zero along half a cosine.
    weight_decay : of all parameters, a trained lambda too.
    gain : factor of the weights that the layers ahead of the last one start with.
    smoothing : part of every label that is shared out among all classes, in the training loss.
    augment : shift images by up to four pixels, and mirror every second one.
    validation : samples of the training split that are held back to choose the epoch.
    tau : time steps of the spiking network whose accuracy chooses the epoch; None: the model's own does.
    plain_epochs : first ones in which a threshold ReLU has no threshold; none of them is chosen.
    seed : of the split, the order, and everything else that is drawn.
    """

    epochs: int
    batch: int
    optimiser: str
    learning_rate: float
    weight_decay: float
    gain: float
    smoothing: float
    augment: bool
    validation: int
    tau: int | None
    plain_epochs: int
    seed: int

    @classmethod
    def of(
        cls,
        model: nn.Module,
        samples: int,
        *,
        epochs: int = 20,
        batch: int = 128,
        optimiser: str | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        gain: float = 1.0,
        smoothing: float = 0.0,
        augment: bool = False,
        validation: int | None = None,
        tau: int | None = None,
        plain_epochs: int | None = None,
        seed: int = 0,
    ) -> Self:
        """What is asked for, and what the papers do elsewhere; InvalidNetwork lists everything out of range.

        Adam for ReLU, stReLU and atLeakyReLU, else SGD with weight decay; tau = L behind QCFS and noisy quantisation;
        a plain ReLU for as many of the first epochs as Deng & Gu have. A recurrent network takes Adam, and no plain
        ReLU, whose hidden states would be others.
        """
        kind = kind_of(model)
        recurrent = any(isinstance(module, ThresholdRNN) for module in model.modules())
        levels = [module.levels for module in model.modules() if isinstance(module, QCFS)]
        if optimiser is None:
            optimiser = "adam" if recurrent or kind in ("relu", "strelu", "atlrelu") else "sgd"
        if tau is None and levels:
            tau = max(levels)
        if plain_epochs is None:
            plain_epochs = 0
            if (
                not recurrent
                and any(isinstance(module, ThresholdReLU) for module in model.modules())
                and isinstance(epochs, int)
            ):
                plain_epochs = min(epochs - 1, max(1, epochs * _PAPERS_PLAIN_EPOCHS // _PAPERS_EPOCHS))
        recipe = cls(
            epochs,
            batch,
            optimiser,
            _RATES.get(optimiser, 0.0) if learning_rate is None else learning_rate,
            _DECAYS.get(optimiser, 0.0) if weight_decay is None else weight_decay,
            gain,
            smoothing,
            augment,
            min(_MOST_VALIDATION, samples // 10) if validation is None else validation,
            tau,
            plain_epochs,
            seed,
        )
        if found := recipe._violations(samples, kind):
            raise InvalidNetwork(f"Training: {listed(found)}")
        return recipe

    def _violations(self, samples: int, kind: str) -> list[str]:
        found = []
        limits: dict[str, tuple[int, int | None]] = {
            "epochs": (1, None),
            "batch": (2, None),
            "validation": (1, samples - 2),
            "plain_epochs": (0, self.epochs - 1 if _is_integer(self.epochs) and self.epochs > 0 else None),
            "seed": (0, None),
        }
        if self.tau is not None:
            limits["tau"] = (1, MAX_SYNCHRONOUS_TIMESTEPS)
        for name, (least, most) in limits.items():
            value = getattr(self, name)
            if not _is_integer(value) or value < least or (most is not None and value > most):
                span = f"of at least {least}" if most is None else f"in {least}..{most}"
                found.append(f"{name} must be an integer {span}, not {shown(value)}")
        if self.optimiser not in OPTIMISERS:
            found.append(f"optimiser must be {' or '.join(OPTIMISERS)}, not {shown(self.optimiser)}")
        elif not _is_number(self.learning_rate) or self.learning_rate == 0:
            found.append(f"learning_rate must be a number above 0, not {shown(self.learning_rate)}")
        if not _is_number(self.weight_decay):
            found.append(f"weight_decay must be a number of at least 0, not {shown(self.weight_decay)}")
        if not _is_number(self.gain) or self.gain == 0:
            found.append(f"gain must be a number above 0, not {shown(self.gain)}")
        if not _is_number(self.smoothing) or self.smoothing >= 1:
            found.append(f"smoothing must be a number of at least 0, below 1, not {shown(self.smoothing)}")
        if self.tau is not None and kind not in METHOD_OF:
            found.append(f"tau must be left out for {kind}, which no method converts")
        return found


def kind_of(model: nn.Module) -> str:
    """Name of the activation functions a model has; of those it has several of, the one that needs most care."""
    kinds = {type(module) for module in model.modules()}
    for name in (*METHOD_OF, "atlrelu"):
        if name != "relu" and ACTIVATIONS[name] in kinds:
            return name
    return "relu"


def method_of(model: nn.Module) -> Synchronous:
    """The method that converts a model with its activation functions."""
    method = METHODS[METHOD_OF[kind_of(model)]].with_options({})
    assert isinstance(method, Synchronous)  # all in the table are
    return method


def noisy(model: nn.Module) -> dict[str, NoisyQuantized]:
    """Activation functions that add noise, by path."""
    return {path: module for path, module in model.named_modules() if isinstance(module, NoisyQuantized)}


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
