"""Trace a module with torch.fx into the operations its forward pass is made of, with the shapes of real samples."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from spikeloom.errors import InvalidData, InvalidNetwork, UnsupportedLayer
from torch import fx, nn

from .batches import Batches
from .operations import Operation
from .private import plain_model, private_copy, take_samples_alone
from .reader import Reader, Step, by_name
from .tracer import Tracer, defining, seen_as_tensors

# whatever a user's forward pass may raise when it meets a symbolic value or samples it cannot take
FORWARD_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, eq=False)
class TracedModel:
    """A model as operations.

    Parameters
    ----------
    name : of its class.
    model : the private copy in evaluation mode.
    logits : the same without the sigmoid or softmax that ends it, see `Batches`.
    operations : in the order they run, each naming those whose results it takes.
    outputs : number of the operation that gives each output, by its key or position; "" for a single tensor.
    input_shape : (C, H, W) where the model begins with folding flat samples into images, else None.
    steps : every node that computes on the activations, in order.
    whole : the forward pass was traced to its end.
    """

    name: str
    model: nn.Module
    logits: nn.Module
    operations: tuple[Operation, ...]
    outputs: Mapping[str, int] = field(default_factory=dict)
    input_shape: tuple[int, int, int] | None = None
    steps: tuple[Step, ...] = ()
    whole: bool = True


def model_dtype(model: nn.Module) -> torch.dtype:
    """Precision a private copy computes in."""
    return next((value.dtype for value in model.parameters() if value.is_floating_point()), torch.float32)


def trace(model: nn.Module, samples: np.ndarray, refused: list[UnsupportedLayer] | None = None) -> TracedModel:
    """Operations of a model.

    Parameters
    ----------
    model : any module; it is copied, never changed.
    samples : float [N, ...] in the shape the model takes, N at least 1; gives the shapes.
    refused : gets every error of what is not supported, with `Unknown` in its place; None: the first is raised.

    Raises
    ------
    InvalidNetwork, InvalidData, UnsupportedLayer
        Weights that are no numbers; samples the model cannot take; a layer without a spiking counterpart.
    """
    model = plain_model(model)
    name = type(model).__name__
    twin = private_copy(model)
    if type(twin).__module__.startswith("torch.nn.") and not isinstance(twin, nn.Sequential):
        twin = nn.Sequential(twin)  # a single layer of PyTorch's own is not looked into, but named
    probe = torch.from_numpy(np.ascontiguousarray(np.concatenate([samples[:1]] * 2))).to(model_dtype(twin))
    files = defining(twin)
    take_samples_alone(twin)
    # tensors of inference mode do not tell whether they were changed, which the reader wants to know
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the model's own affair
        probe = probe.clone()
        try:
            result = twin(probe.clone())
        except FORWARD_ERRORS as error:
            raise _unusable(model, samples.shape[1:], error) from error
        if not by_name(result) or not all(isinstance(item, torch.Tensor) for item in by_name(result).values()):
            expected = "a tensor, or a tuple or a dict of tensors"
            raise UnsupportedLayer(f"Model '{name}': must return {expected}, not {type(result).__name__}")
        tracer = Tracer(name, probe.clone(), refused)
        stopped: UnsupportedLayer | None = None
        try:
            with seen_as_tensors(files):
                graph = tracer.trace(twin)
        except UnsupportedLayer as error:
            stopped = error
        except (fx.proxy.TraceError, *FORWARD_ERRORS) as error:
            stopped = _untraceable(tracer.owner, error)
        if stopped is not None:
            if refused is None:
                raise stopped
            refused.append(stopped)
            graph = tracer.graph
            graph.output(())
        reader = Reader(fx.GraphModule(twin, graph), name, tracer.escapes, refused, whole=stopped is None)
        try:
            reader.run(probe)
        except FORWARD_ERRORS as error:
            raise _untraceable(f"Model '{name}'", error) from error
        logits = Batches(reader.unended(), probe) if reader.endings else twin
    steps = reader.steps
    if stopped is not None:
        steps.append(Step("forward", tracer.owner, tracer.path, "forward", (), (), range(0), str(stopped)))
    operations = tuple(reader.operations)
    return TracedModel(
        name, twin, logits, operations, reader.outputs, reader.input_shape, tuple(steps), stopped is None
    )


def _untraceable(owner: str, error: Exception) -> UnsupportedLayer:
    """The error for a forward pass that fails on symbols, or when it is run once more."""
    return UnsupportedLayer(
        f"{owner}: forward must be a fixed chain of layers that torch.fx can trace ({first_line(error)})"
    )


def _unusable(model: nn.Module, shape: tuple[int, ...], error: Exception) -> InvalidData | InvalidNetwork:
    """The error for samples of a shape on which the forward pass fails."""
    name = type(model).__name__
    if isinstance(error, AttributeError | ImportError | NameError | OSError | RecursionError):
        return InvalidNetwork(
            f"Model '{name}': forward must run, but raises {type(error).__name__} ({first_line(error)})"
        )
    if isinstance(error, TypeError) and "required positional argument" in str(error):
        return InvalidData(
            f"Model '{name}': forward must take the samples alone, all else by default ({first_line(error)})"
        )
    return InvalidData(
        f"Calibration: samples must have the shape that model '{name}' takes, not {shape}"
        f"{misshapen(model, shape, error)}"
    )


def misshapen(model: nn.Module, shape: tuple[int, ...], error: Exception) -> str:
    """How images whose channels are left out or come last are mended, or else what PyTorch says; ends an error."""
    channels = next((item.in_channels for item in model.modules() if isinstance(item, nn.Conv2d)), None)
    if channels == 1 and len(shape) == 2:
        return "; give images as (N, 1, H, W), x[:, None]"
    if len(shape) == 3 and shape[2] == channels != shape[0]:
        return "; give images as (N, C, H, W), numpy.moveaxis(x, 3, 1)"
    return f" ({first_line(error)})"


def first_line(error: Exception) -> str:
    """The first line of a foreign error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
