"""Trace a module with torch.fx into the operations its forward pass is made of, with the shapes of real samples."""

import copy
import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from spikeloom.errors import InvalidData, InvalidNetwork, UnsupportedLayer
from torch import fx, nn

from .activations import Trainable
from .functions import name_of, read_call, read_join
from .layers import Site, read_module
from .operations import Operation

# whatever a user's forward pass may raise when it meets a symbolic value or samples it cannot take
FORWARD_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
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
    operations : in the order they run, each naming those whose results it takes.
    outputs : number of the operation that gives each output, by its key or position; "" for a single tensor.
    input_shape : (C, H, W) where the model begins with folding flat samples into images, else None.
    """

    name: str
    model: nn.Module
    operations: tuple[Operation, ...]
    outputs: Mapping[str, int] = field(default_factory=dict)
    input_shape: tuple[int, int, int] | None = None


def private_copy(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode, float32 at least, without gradients; the caller's model stays as it is.

    Raises
    ------
    InvalidNetwork
        Not a module, not copyable, or weights that are NaN, infinite or not initialised.
    """
    if not isinstance(model, nn.Module):
        raise InvalidNetwork(f"Model: must be a torch.nn.Module, not {type(model).__name__}")
    who = f"Model '{type(model).__name__}'"
    if isinstance(model, torch.jit.ScriptModule):
        raise InvalidNetwork(f"{who}: must be a plain module, not TorchScript; convert the model it was made from")
    found = []
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if torch.nn.parameter.is_lazy(value):
            found.append(f"'{name}' must be initialised; run one batch through the model first")
        elif value.is_meta:
            found.append(f"'{name}' must hold values, it is on the meta device")
        elif value.is_floating_point() and not bool(torch.isfinite(value).all()):
            bad = int((~torch.isfinite(value)).sum())
            found.append(f"'{name}' must be finite, not NaN or infinite ({bad} of {value.numel()} values)")
    if found:
        raise InvalidNetwork(f"{who}: {'; '.join(found)}")
    try:
        twin = copy.deepcopy(model)
    except (RuntimeError, TypeError) as error:
        raise InvalidNetwork(
            f"{who}: must be copyable, but copy.deepcopy fails; make pruned or normalised weights permanent first"
        ) from error
    twin = twin.eval().cpu().requires_grad_(False)
    values = [value for value in (*twin.parameters(), *twin.buffers()) if value.is_floating_point()]
    return twin.double() if any(value.dtype == torch.float64 for value in values) else twin.float()


def model_dtype(model: nn.Module) -> torch.dtype:
    """Precision a private copy computes in."""
    return next((value.dtype for value in model.parameters() if value.is_floating_point()), torch.float32)


def trace(model: nn.Module, samples: np.ndarray) -> TracedModel:
    """Operations of a model.

    Parameters
    ----------
    model : any module; it is copied, never changed.
    samples : float [N, ...] in the shape the model takes, N at least 1; gives the shapes.

    Raises
    ------
    InvalidNetwork, InvalidData, UnsupportedLayer
        Weights that are no numbers; samples the model cannot take; a layer without a spiking counterpart.
    """
    name = type(model).__name__
    twin = private_copy(model)
    if type(twin).__module__.startswith("torch.nn.") and not isinstance(twin, nn.Sequential):
        twin = nn.Sequential(twin)  # a single layer of PyTorch's own is not looked into, but named
    probe = torch.from_numpy(np.ascontiguousarray(np.concatenate([samples[:1]] * 2))).to(model_dtype(twin))
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the model's own affair
            result = twin(probe)
    except FORWARD_ERRORS as error:
        raise InvalidData(
            f"Calibration: samples must have the shape that model '{name}' takes, not {tuple(samples.shape[1:])} "
            f"({first_line(error)})"
        ) from error
    if not all(isinstance(item, torch.Tensor) for item in by_name(result).values()):
        expected = "a tensor, or a tuple or a dict of tensors"
        raise UnsupportedLayer(f"Model '{name}': must return {expected}, not {type(result).__name__}")
    defaults = _defaults(twin)
    try:
        graph = _Tracer().trace(twin, concrete_args=defaults or None)
    except (fx.proxy.TraceError, *FORWARD_ERRORS) as error:
        raise UnsupportedLayer(
            f"Model '{name}': forward must be a fixed chain of layers, not depend on its data ({first_line(error)})"
        ) from error
    reader = _Reader(fx.GraphModule(twin, graph), name)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader.run(probe, *defaults.values())
    return TracedModel(name, twin, tuple(reader.operations), reader.outputs, reader.input_shape)


def by_name(result: Any) -> dict[str, Any]:
    """Outputs of a model by key or position, one by itself by ""."""
    if isinstance(result, Mapping):
        return {str(key): value for key, value in result.items()}
    if isinstance(result, tuple | list):
        return {str(position): value for position, value in enumerate(result)}
    return {"": result}


def _defaults(model: nn.Module) -> dict[str, Any]:
    """Further arguments of forward, which keep their default values."""
    arguments = list(inspect.signature(model.forward).parameters.values())[1:]
    return {item.name: item.default for item in arguments if item.default is not inspect.Parameter.empty}


def first_line(error: Exception) -> str:
    """The first line of a foreign error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class _Tracer(fx.Tracer):
    """Looks into every module but PyTorch's own and the activation functions to train with."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one node of the graph."""
        return isinstance(m, Trainable) or super().is_leaf_module(m, module_qualified_name)


class _Reader(fx.Interpreter):
    """Runs the graph on samples and reads every node that computes on the activations as operations.

    Nodes that give no tensor (sizes) or compute on constants only are run and forgotten.
    """

    def __init__(self, graph: fx.GraphModule, name: str) -> None:
        super().__init__(graph)
        self.extra_traceback = False  # errors stay the one line they are
        self.name = name
        self.operations: list[Operation] = []
        self.results: dict[fx.Node, int] = {}  # operation that gives each activation, -1 for the samples
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}
        self.outputs: dict[str, int] = {}
        self.input_shape: tuple[int, int, int] | None = None

    def run_node(self, n: fx.Node) -> Any:
        """Run one node, reading it on the way."""
        inputs = [node for node in n.all_input_nodes if node in self.results]
        if n.op == "output":
            self.outputs = self._output(n)
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        result = super().run_node(n)
        if n.op != "placeholder" and not inputs:
            return result
        if not isinstance(result, torch.Tensor):
            if isinstance(result, tuple | list) and any(isinstance(part, torch.Tensor) for part in result):
                self._read(n, Site(*self._where(n), self.shapes[inputs[0]], ()), args, kwargs, inputs)
            return result
        self.shapes[n] = tuple(result.shape[1:])
        if n.op == "placeholder":
            self.results[n] = -1
            return result
        before = self.shapes[inputs[0]]
        site = Site(*self._where(n), before, self.shapes[n])
        if result.ndim < 2 or result.shape[0] != 2:
            raise site.refuse(f"must keep samples apart, not turn {(2, *before)} into {tuple(result.shape)}")
        if not self.operations and len(before) == 1 and len(self.shapes[n]) in (2, 3):
            self.input_shape = self._folded(n, site)
            self.results[n] = -1
            return result
        read = self._read(n, site, args, kwargs, inputs)
        if read:
            read[0] = replace(read[0], inputs=self._sources(n, inputs))
            self.operations += read
        self.results[n] = len(self.operations) - 1 if read else self.results[inputs[0]]
        return result

    def _folded(self, n: fx.Node, site: Site) -> tuple[int, int, int]:
        """Shape that flat samples are folded into before anything is done with them."""
        kind = type(self.module.get_submodule(str(n.target))) if n.op == "call_module" else None
        if kind is not nn.Unflatten and name_of(n.target) not in ("view", "reshape", "unflatten", "unsqueeze"):
            raise site.unsupported(name_of(n.target) if kind is None else kind.__name__)
        channels, height, width = (site.after[0], 1, site.after[1]) if len(site.after) == 2 else site.after
        return channels, height, width

    def _output(self, n: fx.Node) -> dict[str, int]:
        """Operations that give the outputs."""
        given = by_name(n.args[0])
        for node in given.values():
            if node not in self.results:
                raise UnsupportedLayer(f"Model '{self.name}': must return what its layers give, not something else")
        return {name: self.results[node] for name, node in given.items()}

    def _sources(self, n: fx.Node, inputs: list[fx.Node]) -> tuple[int, ...]:
        """Operations whose results a node takes, in the order and as often as it names them."""
        found: list[int] = []
        fx.node.map_arg((n.args, n.kwargs), lambda node: found.append(self.results[node]) if node in inputs else None)
        return tuple(found)

    def _read(
        self, n: fx.Node, site: Site, args: tuple[Any, ...], kwargs: dict[str, Any], inputs: list[fx.Node]
    ) -> list[Operation]:
        if n.op == "call_module":
            return read_module(self.module.get_submodule(str(n.target)), site)
        count = len(self._sources(n, inputs))
        positions = [i for i, value in enumerate(n.args) if isinstance(value, fx.Node) and value in self.results]
        if count > 1 or (count == 1 and not positions and any(isinstance(value, tuple | list) for value in n.args)):
            return read_join(n.target, args, kwargs, site, count)
        if not positions:  # the activation came by keyword
            kwargs = {key: value for key, value in kwargs.items() if n.kwargs[key] not in self.results}
            args, positions = (None, *args), [0]
        return read_call(n.target, args, kwargs, positions[0], site)

    def _where(self, n: fx.Node) -> tuple[str, str]:
        if n.op == "call_module":
            kind = type(self.module.get_submodule(str(n.target))).__name__
            return f"Layer '{n.target}' ({kind})", str(n.target)
        stack = list(n.meta.get("nn_module_stack", {}).values())
        path = stack[-1][0] if stack else ""
        owner = f"Layer '{path}'" if path else f"Model '{self.name}'"
        return f"{owner} (call of {name_of(n.target)})", path
