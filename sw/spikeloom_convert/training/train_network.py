"""Train a network the way its activation functions want it, and go on where a training was stopped."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from spikeloom.errors import InvalidData, InvalidNetwork, shown
from spikeloom.threads import single_threaded
from torch import nn

from ..models.layered import seeded
from ..models.load import load_model
from ..models.networks import NETWORKS
from ..models.origin import Origin
from ..reading.trace import FORWARD_ERRORS, misshapen
from .classifier import Progress, one_output
from .recipe import OWN_OPTIMISER, Recipe, method_of
from .residual import residual
from .trainer import TrainedNetwork, Trainer


def train_network(
    network: str | nn.Module,
    x: np.ndarray,
    y: np.ndarray,
    *,
    activation: str | None = None,
    parameters: Mapping[str, float] | None = None,
    width: float | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    optimiser: str | None = None,
    learning_rate: float | None = None,
    weight_decay: float | None = None,
    gain: float | None = None,
    smoothing: float | None = None,
    augment: bool | None = None,
    validation: int | None = None,
    tau: int | None = None,
    plain_epochs: int | None = None,
    seed: int = 0,
    output: str | Path | None = None,
    resume: bool = True,
    progress: Progress | None = None,
) -> TrainedNetwork:
    """Train a network and keep the epoch that did best on a part of the samples that is held back.

    With `output`, the training stands in a checkpoint behind every epoch, `NAME.checkpoint.safetensors` beside it. The
    same call goes on from there after it was killed, and comes to the same weights, bit by bit. `output` itself has the
    best weights so far. All randomness comes from the seed; the caller's random state stays as it is.

    A `ThresholdReLU` is a plain ReLU in the first epochs (Deng & Gu, appendix A.1). With `tau`, the model is converted
    with exact weights after each epoch, by the method that goes with its activation functions, and the accuracy of the
    spiking network with so many time steps chooses the epoch; each `NoisyQuantized` then has the standard deviation of
    the residual error of its layer as its noise, 0 in the first epoch (residual error as noise, section 5.2).

    Parameters
    ----------
    network : name in `NETWORKS`, with or without an activation function behind it, such as net1:trelu;
        package.module:factory; or a module, which is trained in place.
    x, y : samples (N, ...), uint8, seen as x/255, or float; classes int [N].
    activation : name in `ACTIVATIONS`; of a network by name only, as the next two.
    parameters : of the activation function, such as {"levels": 4}.
    width : factor of the paper's maps and units.
    augment : None: as the network by name wants it.
    gain : factor of the weights that all layers but the last start with. Where drives are small beside its bound, a
        symmetric threshold does nothing, and a training takes long to leave there.
    epochs, batch, optimiser, learning_rate, weight_decay, smoothing, validation, tau, plain_epochs, seed : see
        `Recipe`; None leaves them at what the network by name has (`NamedNetwork.recipe`), or else at what goes with
        the activation functions.
    output : file of the trained weights.
    resume : go on from a checkpoint that is there; without, it is overwritten.
    progress : called after every step with steps done, steps in all, and what was reached.

    Raises
    ------
    InvalidData, InvalidNetwork
        Samples or settings that cannot be used; a checkpoint of another training; a loss that is no number.
    UnsupportedLayer
        With `tau`, a model that cannot be converted.
    """
    if not isinstance(seed, int) or seed < 0:  # the weights need it ahead of the rest
        raise InvalidNetwork(f"Training: seed must be an integer of at least 0, not {shown(seed)}")
    model, origin = _model(network, activation, parameters, width, seed)
    if augment is None:
        augment = origin.network is not None and NETWORKS[origin.network].augment
    x, y = np.asarray(x), np.asarray(y)
    given = {
        "epochs": epochs,
        "batch": batch,
        "optimiser": optimiser,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "gain": gain,
        "smoothing": smoothing,
        "augment": augment,
        "validation": validation,
        "tau": tau,
        "plain_epochs": plain_epochs,
        "seed": seed,
    }
    settings = {**origin.recipe, **{name: value for name, value in given.items() if value is not None}}
    if optimiser not in (None, OWN_OPTIMISER) and learning_rate is None:
        settings.pop("learning_rate", None)  # that of the network's own recipe is another optimiser's
    recipe = Recipe.of(model, len(x), **settings)
    _check(model, x, y, recipe)
    with single_threaded(), torch.random.fork_rng(devices=[]):
        return Trainer(model, origin, recipe, x, y, None if output is None else Path(output), progress).run(resume)


def _model(
    network: str | nn.Module,
    activation: str | None,
    parameters: Mapping[str, float] | None,
    width: float | None,
    seed: int,
) -> tuple[nn.Module, Origin]:
    """A model with new weights, and where it is from."""
    if isinstance(network, str) and (":" not in network or Origin.named(network)):
        name, _, own = network.partition(":")
        origin = Origin.of(name, activation or own or None, parameters, width)
        return origin.make(seed), origin
    given = {"activation": activation, "parameters": parameters, "width": width}
    if unwanted := [name for name, value in given.items() if value]:
        raise InvalidNetwork(
            f"Training: {', '.join(unwanted)} must be left out for a model from outside, which has its own"
        )
    if isinstance(network, nn.Module):
        return network, Origin(None, outside=type(network).__name__)
    with seeded(seed):
        return load_model(network), Origin(None, outside=network)


def _check(model: nn.Module, x: np.ndarray, y: np.ndarray, recipe: Recipe) -> None:
    """InvalidData where the model cannot take the samples, or has no output for a class; what `residual` raises."""
    if y.shape != (len(x),) or not np.issubdtype(y.dtype, np.integer):
        raise InvalidData(f"Labels: must be {len(x)} integers, one a sample, not {y.dtype} of shape {y.shape}")
    if recipe.augment and x.ndim != 4:
        raise InvalidData(f"Data for training: must be images (N, C, H, W) to be augmented, not {x.shape}")
    if recipe.tau is not None:  # what cannot be converted is refused before it is trained
        residual(model, x[:2], y[:2], method_of(model), recipe.tau)
    try:
        outputs = _outputs(model, x[:2])
    except FORWARD_ERRORS as error:
        raise InvalidData(
            f"Data for training: samples must have the shape the model takes, not {x.shape[1:]}"
            f"{misshapen(model, x.shape[1:], error)}"
        ) from None
    if outputs.ndim != 2 or not (y.min() >= 0 and y.max() < outputs.shape[1]):
        raise InvalidData(
            f"Labels: must lie in 0..{outputs.shape[-1] - 1}, the model's outputs, not {y.min()}..{y.max()}"
        )


def _outputs(model: nn.Module, x: np.ndarray) -> torch.Tensor:
    """Outputs of a model in evaluation."""
    model.eval()
    with torch.no_grad():
        seen = x / np.float32(255) if x.dtype == np.uint8 else x.astype(np.float32)
        return one_output(model, torch.from_numpy(seen))
