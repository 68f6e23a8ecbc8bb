"""What becomes of every node of a model, and everything about it that is not supported, without converting it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from spikeloom.errors import InvalidNetwork, UnsupportedLayer
from torch import nn

from ..float_network import FloatLayer
from ..reading.operations import AverageSteps, Convolution, Ending, Linear, Operation, Recur, Unknown, image, linked
from ..reading.reader import Step
from ..recurrent import ThresholdRNN
from ..samples import Samples, value_range
from .fold import Folder
from .fold_recurrent import fold_recurrent, is_recurrent
from .outcomes import Outcomes, neurons
from .prepare import Chain, Norm, PreparedModel, chain, checked
from .signals import source_signal

_UNKNOWN = "?"  # name of the source that stands for what is not supported


@dataclass(frozen=True)
class NodeReport:
    """What becomes of a node.

    Parameters
    ----------
    node : its name in the trace.
    module : dotted path of the module, or of the one that calls the function; "" for the model itself.
    kind : class of the module, or name of the function.
    shape_in, shape_out : of a sample.
    status : ok, folded, dropped or unsupported.
    becomes : what it is in the spiking network.
    hint : why it is not supported and what to do, "" where it is.
    """

    node: str
    module: str
    kind: str
    shape_in: tuple[int, ...]
    shape_out: tuple[int, ...]
    status: str
    becomes: str
    hint: str = ""


@dataclass(frozen=True)
class ModelReport:
    """What becomes of a model.

    Parameters
    ----------
    model : name of its class.
    nodes : in the order they run.
    problems : all there are, as `convert` would say the first of them; none where it is convertible.
    parameters : values that were trained.
    macs : multiplications of one sample, as the model is written.
    neurons : of the spiking network, by population; readouts too.
    """

    model: str
    nodes: tuple[NodeReport, ...]
    problems: tuple[str, ...]
    parameters: int
    macs: int
    neurons: dict[str, int]

    @property
    def convertible(self) -> bool:
        """Whether `convert` takes it."""
        return not self.problems


def inspect_model(model: nn.Module, samples: Samples, mean: Norm = None, std: Norm = None) -> ModelReport:
    """What becomes of every node of a model.

    Parameters
    ----------
    model, mean, std : as `convert` takes them.
    samples : in the shape that the model takes; a few are enough.

    Raises
    ------
    InvalidNetwork, InvalidData, UnsupportedLayer
        Where there is nothing to list: weights that are no numbers, samples the model cannot take, no tensors as
        outputs.
    """
    refused: list[UnsupportedLayer] = []
    made = chain(model, samples, mean, std, refused)
    if is_recurrent(made.operations) and made.traced.whole:
        return _recurrent(made, samples, mean, std, [str(error) for error in refused])
    low, high = value_range(samples)
    operations = linked(made.operations)
    outputs = made.outputs if made.traced.whole else {"": len(operations) - 1}
    folder = Folder(made.shape, operations, outputs, low, high, made.taken(samples))
    folder.ranges[_UNKNOWN] = (-np.inf, np.inf)
    faults = {fault.number: fault for fault in _faults(folder, operations)}
    layers: Sequence[FloatLayer] = folder.layers
    problems = [str(error) for error in refused] + [fault.text for fault in faults.values()]
    if made.traced.whole:
        try:
            network = folder.finish(made.traced.name, made.shape, outputs)
            if not problems:
                checked(PreparedModel(made.traced, network, mean, std, made.flat), samples)
        except UnsupportedLayer as error:
            ends = [number for number in outputs.values() if number >= 0]
            last = next((number for number in ends if str(error).startswith(operations[number].where)), None)
            if not problems or (last is not None and not _after_unknown(folder, last)):
                problems.append(str(error))
                if last is not None:
                    faults.setdefault(last, _Fault(last, str(error)))
        except InvalidNetwork as error:
            problems.append(str(error))
    outcomes = Outcomes(folder, operations)
    nodes = tuple(_report(step, made, outcomes, faults) for step in made.traced.steps)
    return ModelReport(
        made.traced.name,
        nodes,
        tuple(dict.fromkeys(problems)),
        sum(value.numel() for value in made.traced.model.parameters()),
        sum(map(_macs, operations)),
        {layer.name: int(np.prod(layer.shape)) for layer in layers},
    )


def _recurrent(made: Chain, samples: Samples, mean: Norm, std: Norm, problems: list[str]) -> ModelReport:
    """What becomes of a recurrent model, which is a chain: what stops the fold is named where nothing is yet."""
    layers: dict[str, FloatLayer] = {}
    try:
        network = fold_recurrent(made.traced.name, made.operations, made.outputs)
        layers = {layer.where: layer for layer in network.layers}
        if not problems:
            checked(PreparedModel(made.traced, network, mean, std, made.flat), samples)
    except (UnsupportedLayer, InvalidNetwork) as error:
        problems += [] if problems else [str(error)]
    nodes = []
    for step in made.traced.steps:
        text = step.refusal or next((item for item in problems if item.startswith(f"{step.where}: ")), None)
        hint = "" if text is None else text.removeprefix(f"{step.where}: ")
        status, becomes = ("unsupported", "") if text else _becomes(made, step, layers.get(step.where))
        ends = step.before, step.after
        nodes.append(NodeReport(step.name, step.path, step.kind, *ends, status, becomes, hint))
    return ModelReport(
        made.traced.name,
        tuple(nodes),
        tuple(dict.fromkeys(problems)),
        sum(value.numel() for value in made.traced.model.parameters()),
        sum(map(_macs, made.operations)),
        {layer.name: int(np.prod(layer.shape)) for layer in layers.values()},
    )


def _becomes(made: Chain, step: Step, layer: FloatLayer | None) -> tuple[str, str]:
    """Status and words for a node of a recurrent model, and the layer it became."""
    if layer is not None:
        kind = "recurrent population" if layer.fires else "readout"
        return "ok", f"{kind} '{layer.name}' of {neurons(layer.shape)}"
    kinds = {type(made.operations[number + made.ahead]) for number in step.operations}
    if AverageSteps in kinds:
        return "folded", "the readout adds up all time steps"
    return "dropped", "keeps the order of the outputs" if Ending in kinds else "nothing to do in evaluation"


@dataclass(frozen=True)
class _Fault:
    """An operation that cannot be folded, and why."""

    number: int
    text: str


def _faults(folder: Folder, operations: Sequence[Operation]) -> Iterator[_Fault]:
    """Fold all operations; what cannot be gives unknown values from there on."""
    for number, operation in enumerate(operations):
        try:
            if not isinstance(operation, Unknown):
                folder.add(number)
                continue
        except UnsupportedLayer as error:
            yield _Fault(number, str(error))
        folder.values[number] = source_signal(_UNKNOWN, image(operation.after or (1,)))


def _after_unknown(folder: Folder, number: int) -> bool:
    """Whether a value is made of what is not supported, so that what is wrong with it has been said."""
    blocks = getattr(folder.values.get(number), "blocks", ())
    return any(block.source == _UNKNOWN for block in blocks)


def _report(step: Step, made: Chain, outcomes: Outcomes, faults: dict[int, _Fault]) -> NodeReport:
    numbers = [number + made.ahead for number in step.operations]
    text = step.refusal or next((faults[number].text for number in numbers if number in faults), None)
    if text is None and any(isinstance(outcomes.operations[number], Unknown) for number in numbers):
        text = "comes from what is not supported before it"
    if text is not None:
        status, becomes, hint = "unsupported", "", text.removeprefix(f"{step.where}: ")
    elif not numbers and step.before != step.after:
        status, becomes, hint = "dropped", "the same values in other axes", ""
    else:
        (status, becomes), hint = outcomes.of(numbers), ""
    return NodeReport(step.name, step.path, step.kind, step.before, step.after, status, becomes, hint)


def _macs(operation: Operation) -> int:
    if isinstance(operation, Convolution):
        _, height, width = image(operation.after)
        outputs, channels = operation.weights.shape[:2]
        places = int((operation.weights != 0).any((0, 1)).sum())  # without those between the places of a dilated kernel
        return outputs * channels * places * height * width
    if isinstance(operation, Recur):
        own = 0 if operation.lateral is None else operation.lateral.size
        return (operation.weights.size + own) * operation.after[0]
    return operation.weights.size if isinstance(operation, Linear) else 0


def sample_shape(model: nn.Module) -> tuple[int, ...] | None:
    """(F,) where the first layer with weights is a Linear, whose samples may always be given flat; else None."""
    if any(isinstance(module, ThresholdRNN) for module in model.modules()):
        return None
    weighted = (module for module in model.modules() if next(module.parameters(recurse=False), None) is not None)
    first = next(weighted, None)
    return (first.in_features,) if isinstance(first, nn.Linear) else None
