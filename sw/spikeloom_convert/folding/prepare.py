"""From a trained model and samples to its FloatNetwork, checked against the model's own outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from spikeloom.encoding import as_samples
from spikeloom.errors import InvalidData, InvalidNetwork, UnsupportedLayer
from spikeloom.geometry import Shape
from torch import nn

from ..float_network import FloatNetwork
from ..reading.operations import Ending, Flatten, Operation, linked, preceded
from ..reading.reader import by_name
from ..reading.trace import TracedModel, model_dtype, trace
from ..samples import FIT_SAMPLES, Samples, normalisation, value_range
from .fold import fold
from .fold_recurrent import fold_recurrent, is_recurrent

_CHUNK = 256
_TELLING = 1 << 20  # values of the samples that tell how large activations get
_LEAST = 32  # of them
_TOLERANCE = 1e-2  # of the largest output: rounding of float32 is far below, a wrong fold far above
Norm = float | Sequence[float] | None


@dataclass(frozen=True, eq=False)
class PreparedModel:
    """A traced model, its float network, and how samples are shown to it: normalised, flattened where it wants that."""

    traced: TracedModel
    network: FloatNetwork
    mean: Norm
    std: Norm
    flat: bool

    def outputs(self, samples: Samples, *, ended: bool = False) -> list[np.ndarray]:
        """What the model itself gives, float64 [N, outputs] for every output; `ended`: behind a last sigmoid too."""
        model = self.traced.model if ended else self.traced.logits
        dtype, parts = model_dtype(self.traced.model), []
        with torch.no_grad():
            for start in range(0, len(samples), _CHUNK):
                part = samples.take(np.arange(start, min(start + _CHUNK, len(samples))))
                x = torch.from_numpy(_shown(part, self.mean, self.std, self.flat)).to(dtype)
                parts.append([item.reshape(len(item), -1).double() for item in by_name(model(x)).values()])
        return [torch.cat(list(chunks)).numpy() for chunks in zip(*parts, strict=True)]

    def logits(self, samples: Samples) -> list[np.ndarray]:
        """What the float network gives, float64 [N, outputs] for every output; before a final softmax or sigmoid."""
        x = torch.from_numpy(samples.seen.reshape(-1, *self.network.sample_shape))
        with torch.no_grad():
            parts = [self.network.forward(part) for part in x.split(_CHUNK)]
        return [torch.cat(list(chunks)).numpy() for chunks in zip(*parts, strict=True)]


@dataclass(frozen=True, eq=False)
class Chain:
    """A traced model as all operations from the samples to the outputs.

    Parameters
    ----------
    traced : the model.
    shape : (C, H, W) of the samples.
    operations : normalisation and flattening ahead of the model's own; `ahead` of them.
    outputs : number of the operation that gives each output.
    flat : the model takes vectors, samples are shown to it flattened.
    """

    traced: TracedModel
    shape: Shape
    operations: tuple[Operation, ...]
    ahead: int
    outputs: dict[str, int]
    flat: bool

    def taken(self, samples: Samples) -> np.ndarray:
        """Samples as the operations take them, float64 [N, C, H, W], so many as tell how large values get."""
        most = min(FIT_SAMPLES, _TELLING // int(np.prod(self.shape)))
        few = min(len(samples), max(_LEAST, most))
        spread = np.linspace(0, len(samples) - 1, few).astype(int)  # files are often sorted by class
        first = np.arange(min(len(samples), _LEAST))  # on which `checked` wants the model's own outputs
        return samples.take(np.union1d(first, spread)).seen.reshape(-1, *self.shape)


def chain(
    model: nn.Module, samples: Samples, mean: Norm, std: Norm, refused: list[UnsupportedLayer] | None = None
) -> Chain:
    """Trace a model on samples, whatever shape of them it takes; `refused` and errors as in `trace`."""
    shape: Shape = as_samples("calibration", samples.x[:1]).shape[1:]
    first, flat = samples.take(np.arange(1)), False
    try:
        traced = trace(model, _shown(first, mean, std, False), refused)
    except InvalidData as error:
        # images for a model that takes vectors: show them flattened if that is what it wants
        if samples.x.ndim < 3:
            raise
        try:
            traced, flat = trace(model, _shown(first, mean, std, True), refused), True
        except InvalidData:
            raise error from None
    ahead: list[Operation] = []
    if traced.input_shape is not None:
        shape = traced.input_shape
    if (normalise := normalisation(mean, std, shape[0])) is not None:
        ahead.append(normalise)
    if flat and traced.input_shape is None:  # else the model makes images of the vectors again
        ahead.append(Flatten("Flatten", "", shape, (int(np.prod(shape)),)))
    operations = tuple(preceded(traced.operations, ahead))
    outputs = {name: number + len(ahead) for name, number in traced.outputs.items()}
    return Chain(traced, shape, operations, len(ahead), outputs, flat)


def prepare(
    model: nn.Module,
    samples: Samples,
    mean: Norm,
    std: Norm,
    turned: Mapping[str, tuple[float, ...]] | None = None,
) -> PreparedModel:
    """Trace and fold a model; `turned` as in `fold`, for the layers that an earlier fold has made.

    Raises
    ------
    UnsupportedLayer, InvalidData, InvalidNetwork
        As `trace`, `fold` and `normalisation` say; InvalidNetwork where the folded network is not the model.
    """
    made = chain(model, samples, mean, std)
    low, high = value_range(samples)
    if is_recurrent(made.operations):
        network = fold_recurrent(made.traced.name, made.operations, made.outputs)
        return checked(PreparedModel(made.traced, network, mean, std, made.flat), samples)
    folding = partial(
        fold,
        made.traced.name,
        made.shape,
        made.operations,
        made.outputs,
        low=low,
        high=high,
        samples=made.taken(samples),
    )
    prepared = checked(PreparedModel(made.traced, folding(), mean, std, made.flat), samples)
    # samples may be louder than those of the earlier fold, and saturate: that is no fault of the model
    return replace(prepared, network=folding(turned=turned)) if turned else prepared


def checked(prepared: PreparedModel, samples: Samples) -> PreparedModel:
    """The prepared model itself; InvalidNetwork where the float network does not give the model's outputs."""
    _check(prepared, samples.take(np.arange(min(len(samples), _LEAST))))
    return prepared


def _shown(samples: Samples, mean: Norm, std: Norm, flat: bool) -> np.ndarray:
    """Samples as the model sees them, float64."""
    x = samples.seen
    if (normalise := normalisation(mean, std, x.shape[1])) is not None:
        along = (1, -1, *[1] * (x.ndim - 2))
        x = x * normalise.scale.reshape(along) + normalise.shift.reshape(along)
    return x.reshape(len(x), -1) if flat else x


def _check(prepared: PreparedModel, samples: Samples) -> None:
    """InvalidNetwork where the float network does not give the model's outputs."""
    who = f"Model '{prepared.traced.name}'"
    logits, pairs = prepared.logits(samples), []
    if prepared.traced.logits is not prepared.traced.model:  # the sigmoid or softmax hides much of what differs
        ended = prepared.outputs(samples, ended=True)
        last = [_ending(prepared.traced, number) for number in prepared.traced.outputs.values()]
        functions = [(lambda x: x) if item is None else item.function for item in last]
        pairs = [(a, f(torch.from_numpy(b)).numpy()) for a, b, f in zip(ended, logits, functions, strict=True)]
    for expected, got in (*pairs, *zip(prepared.outputs(samples), logits, strict=True)):
        if not np.isfinite(expected).all():
            raise InvalidNetwork(f"{who}: outputs must be finite, not NaN or infinite on the calibration samples")
        if expected.shape != got.shape:
            raise InvalidNetwork(f"{who}: must give {got.shape[1]} outputs as its layers say, not {expected.shape[1]}")
        difference, largest = float(np.abs(expected - got).max()), float(np.abs(expected).max())
        if not difference <= _TOLERANCE * max(largest, 1e-6):
            raise InvalidNetwork(
                f"{who}: must give the outputs its layers say, not others (up to {difference:.3g} off, "
                f"of {largest:.3g}); remove hooks, random values and changes of the layers in forward"
            )


def _ending(traced: TracedModel, number: int) -> Ending | None:
    """The softmax or sigmoid that ends an output, given by the number of its last operation."""
    operations = linked(traced.operations)
    while number >= 0 and isinstance(operations[number], Flatten):
        number = (operations[number].inputs or (-1,))[0]
    last = operations[number] if number >= 0 else None
    return last if isinstance(last, Ending) else None
