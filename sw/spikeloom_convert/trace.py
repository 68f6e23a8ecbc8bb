"""Trace a module with torch.fx into the chain of operations its forward pass is, with the shapes of real samples."""

import copy
import inspect
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from spikeloom.errors import InvalidData, InvalidNetwork, UnsupportedLayer
from torch import fx, nn

from .functions import name_of, read_call
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
    """A model as a chain of operations.

    Parameters
    ----------
    name : of its class.
    model : the private copy in evaluation mode.
    operations : in order.
    input_shape : (C, H, W) where the model begins with folding flat samples into images, else None.
    """

    name: str
    model: nn.Module
    operations: tuple[Operation, ...]
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
    """Chain of operations of a model.

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
    if not isinstance(result, torch.Tensor):
        raise UnsupportedLayer(f"Model '{name}': must return one tensor, not {type(result).__name__}")
    defaults = _defaults(twin)
    try:
        graph = fx.Tracer().trace(twin, concrete_args=defaults or None)
    except (fx.proxy.TraceError, *FORWARD_ERRORS) as error:
        raise UnsupportedLayer(
            f"Model '{name}': forward must be a fixed chain of layers, not depend on its data ({first_line(error)})"
        ) from error
    reader = _Reader(fx.GraphModule(twin, graph), name)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader.run(probe, *defaults.values())
    return TracedModel(name, twin, tuple(reader.operations), reader.input_shape)


def _defaults(model: nn.Module) -> dict[str, Any]:
    """Further arguments of forward, which keep their default values."""
    arguments = list(inspect.signature(model.forward).parameters.values())[1:]
    return {item.name: item.default for item in arguments if item.default is not inspect.Parameter.empty}


def first_line(error: Exception) -> str:
    """The first line of a foreign error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class _Reader(fx.Interpreter):
    """Runs the graph on samples and reads every node that computes on the activations as operations.

    Nodes that give no tensor (sizes) or compute on constants only are run and forgotten.
    """

    def __init__(self, graph: fx.GraphModule, name: str) -> None:
        super().__init__(graph)
        self.extra_traceback = False  # errors stay the one line they are
        self.name = name
        self.operations: list[Operation] = []
        self.last: fx.Node | None = None  # the end of the chain
        self.active: set[fx.Node] = set()  # nodes that depend on the samples
        self.shape: tuple[int, ...] = ()
        self.input_shape: tuple[int, int, int] | None = None

    def run_node(self, n: fx.Node) -> Any:
        """Run one node, reading it on the way."""
        before = self.shape
        inputs = [node for node in n.all_input_nodes if node in self.active]
        if n.op == "output":
            if n.all_input_nodes != [self.last]:
                raise UnsupportedLayer(
                    f"Model '{self.name}': must return what its last layer gives, not something else"
                )
            return super().run_node(n)
        if inputs and n.op != "placeholder":
            self._check_chain(n, inputs)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        result = super().run_node(n)
        if not isinstance(result, torch.Tensor) or (n.op != "placeholder" and not inputs):
            return result
        self.active.add(n)
        self.last, self.shape = n, tuple(result.shape[1:])
        if n.op != "placeholder":
            site = Site(*self._where(n), before, self.shape)
            if result.ndim < 2 or result.shape[0] != 2:
                raise site.refuse(f"must keep samples apart, not turn {(2, *before)} into {tuple(result.shape)}")
            if not self.operations and len(before) == 1 and len(self.shape) == 3:
                self.input_shape = self._folded(n, site)
            else:
                self.operations += self._read(n, site, args, kwargs)
        return result

    def _folded(self, n: fx.Node, site: Site) -> tuple[int, int, int]:
        """Shape that flat samples are folded into before anything is done with them."""
        kind = type(self.module.get_submodule(str(n.target))) if n.op == "call_module" else None
        if kind is not nn.Unflatten and name_of(n.target) not in ("view", "reshape", "unflatten"):
            raise site.unsupported(name_of(n.target) if kind is None else kind.__name__)
        channels, height, width = site.after
        return channels, height, width

    def _check_chain(self, n: fx.Node, inputs: list[fx.Node]) -> None:
        if (n.op == "call_method" and n.target in ("size", "dim")) or name_of(n.target) == "getattr":
            return
        where, _ = self._where(n)
        if len(inputs) != 1 or inputs[0] is not self.last:
            raise UnsupportedLayer(
                f"{where}: takes the result of an earlier layer again; use a plain chain of layers, "
                f"branches cannot be converted"
            )

    def _read(self, n: fx.Node, site: Site, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Operation]:
        if n.op == "call_module":
            return read_module(self.module.get_submodule(str(n.target)), site)
        positions = [i for i, value in enumerate(n.args) if isinstance(value, fx.Node) and value in self.active]
        if len(positions) > 1:
            raise site.unsupported(name_of(n.target))
        if not positions:  # the activation came by keyword
            kwargs = {key: value for key, value in kwargs.items() if n.kwargs[key] not in self.active}
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
