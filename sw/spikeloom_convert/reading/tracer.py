"""Symbolic tracing that knows its values: shapes are numbers, so that checks and loops on them run as written."""

import inspect
import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from spikeloom.errors import UnsupportedLayer
from torch import fx, nn

from ..activations import Trainable
from ..recurrent import MeanOverTime, ThresholdRNN
from .hints import ACTIVATION

MADE = "made_in_forward_"  # how the path of a module begins that the forward pass makes
# what gives no tensor but does not look at values either; anything else would become a constant of these samples
_BLIND = (
    "size", "dim", "ndimension", "numel", "nelement", "stride", "storage_offset", "element_size", "type", "eq", "ne",
    "is_floating_point", "is_complex", "is_contiguous", "is_same_size", "is_conj", "is_neg", "is_inference",
    "get_device", "data_ptr", "broadcast_shapes", "result_type", "register_hook", "backward", "_assert",
)  # fmt: skip


@dataclass(frozen=True)
class Escape:
    """Where a model asked for a value: the module by name and path, what it asked for, and the error for it."""

    where: str
    path: str
    what: str
    refusal: str


class Known(fx.Proxy):
    """A result of the model while it is traced, with its value on the samples."""

    value: Any = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # a protocol, such as __dlpack__, by which the value would get away
        known = getattr(self.value, name)
        if isinstance(known, torch.Tensor):
            return self.tracer.create_proxy("call_function", getattr, (self, name), {})
        return fx.proxy.Attribute(self, name) if callable(known) and not isinstance(known, type) else known

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return (operator.getitem(self, number) for number in range(len(self.value)))

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    def __setitem__(self, index: Any, value: Any) -> None:
        use = f"compute the whole of it, with torch.cat, or {ACTIVATION} where values are chosen"
        raise self._tracer.changes("assignment to a part of a tensor", use)

    def __bool__(self) -> bool:
        return bool(self._tracer.escape(self, "bool"))

    def __int__(self) -> int:
        return int(self._tracer.escape(self, "int"))

    def __float__(self) -> float:
        return float(self._tracer.escape(self, "float"))

    def __index__(self) -> int:
        return int(self._tracer.escape(self, "index"))

    def __contains__(self, item: Any) -> bool:
        return item in self._tracer.escape(self, "in")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return self._tracer.escape(self, "numpy").numpy()

    @property
    def _tracer(self) -> "Tracer":
        tracer = self.tracer
        assert isinstance(tracer, Tracer)
        return tracer


class Tracer(fx.Tracer):
    """Traces a model while it runs on samples.

    Parameters
    ----------
    name : of the model, for errors.
    samples : [N, ...] in the shape it takes, the only argument of its forward pass.
    refused : gets the errors of what depends on values, which is then taken as it is for these samples; None: raised.
    """

    def __init__(self, name: str, samples: torch.Tensor, refused: list[UnsupportedLayer] | None = None) -> None:
        super().__init__()
        self.name = name
        self.samples = samples
        self.refused = refused
        self.escapes: dict[fx.Node, Escape] = {}
        self.running = False  # a node is being evaluated, nothing is traced

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Parameters are what they are; they become constants where they meet an activation."""
        return attr_val

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one node of the graph: PyTorch's own, and those of ours to train with."""
        return isinstance(m, Trainable | ThresholdRNN | MeanOverTime) or super().is_leaf_module(
            m, module_qualified_name
        )

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Trace the call of a module, or just make it while a node is evaluated."""
        if self.running:
            return forward(*args, **kwargs)
        assert self.submodule_paths is not None  # there is a root
        if m not in self.submodule_paths:  # made in forward, as in nn.ReLU()(x), or a slice of a Sequential
            if not self.is_leaf_module(m, ""):
                return forward(*args, **kwargs)
            path = self.get_fresh_qualname(MADE)
            object.__setattr__(self.root, path, m)  # no child of the root, which may be iterating over those
            self.submodule_paths[m] = path
        return super().call_module(m, forward, args, kwargs)

    def proxy(self, node: fx.Node) -> Known:
        """What stands for a node while tracing."""
        return Known(node, self)

    def create_arg(self, a: Any) -> Any:
        """What stands for an argument in the graph."""
        if isinstance(a, fx.Proxy):
            return a.node
        if isinstance(a, nn.Parameter):
            return super().create_arg(a.detach())
        return super().create_arg(a)

    def create_proxy(
        self, kind: str, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *more: Any, **rest: Any
    ) -> Any:
        """A node and its value; a value that is no tensor stands for itself."""
        name = target if isinstance(target, str) else getattr(target, "__name__", "")
        made = super().create_proxy(kind, target, args, kwargs, *more, **rest)
        assert isinstance(made, Known)
        try:
            made.value = self._value(kind, target, args, kwargs)
        except BaseException:
            self.graph.erase_node(made.node)  # what cannot be computed is no part of the graph
            raise
        if _holds_tensor(made.value):
            return made
        self.graph.erase_node(made.node)
        if made.value is not None and name not in _BLIND:
            return self.escape(next((arg for arg in args if type(arg) is Known), made), name, made.value)
        return made.value

    def _value(self, kind: str, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if kind == "placeholder":
            return self.samples
        args, kwargs = fx.node.map_aggregate((args, kwargs), lambda a: a.value if type(a) is Known else a)
        self.running = True
        try:
            if kind == "call_module":
                return self.root.get_submodule(target)(*args, **kwargs)
            if kind == "call_method":
                return getattr(args[0], target)(*args[1:], **kwargs)
            return target(*args, **kwargs)
        finally:
            self.running = False

    def escape(self, proxy: Known, name: str, value: Any = None) -> Any:
        """What the model asks for, by default the value of a proxy; a converted network cannot tell it."""
        what = f"{name} of a tensor"
        error = self.changes(what, "decide by shapes, or remove it")
        if self.refused is None:
            raise error
        self.refused.append(error)
        self.escapes.setdefault(proxy.node, Escape(self.owner, self.path, what, str(error)))
        return proxy.value if value is None else value

    def changes(self, what: str, use: str) -> UnsupportedLayer:
        """The error that names the module whose forward pass is no fixed chain of layers."""
        return UnsupportedLayer(
            f"{self.owner}: forward must be a fixed chain of layers, not depend on its data ({what}); {use}"
        )

    @property
    def owner(self) -> str:
        """The module whose forward pass is running, as an error calls it."""
        return f"Layer '{self.path}'" if self.path else f"Model '{self.name}'"

    @property
    def path(self) -> str:
        """Dotted path of the module whose forward pass is running, "" for the model itself."""
        paths = [path for path, _ in self.module_stack.values() if not path.startswith(MADE)]
        return paths[-1] if paths else ""


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, tuple | list) and not isinstance(value, torch.Size):
        return any(map(_holds_tensor, value))
    return isinstance(value, torch.Tensor) or (isinstance(value, dict) and any(map(_holds_tensor, value.values())))


def defining(model: nn.Module) -> list[dict[str, Any]]:
    """Globals of the files that define the forward passes of a model, those of PyTorch left out."""
    forwards = (inspect.unwrap(type(module).forward) for module in model.modules())
    spaces = (getattr(forward, "__globals__", {}) for forward in forwards)
    return [space for space in spaces if not str(space.get("__name__", "torch.")).startswith("torch.")]


@contextmanager
def seen_as_tensors(files: Sequence[dict[str, Any]]) -> Iterator[None]:
    """Let isinstance(x, torch.Tensor) hold in the files that define a model, by their globals, while it is traced.

    A name that shadows the builtin there, as torch.fx shadows functions it wraps: were the class of `Known` changed
    instead, compiled code would take one for a tensor.
    """
    changed: list[dict[str, Any]] = []
    try:
        for space in files:
            if "isinstance" not in space:
                space["isinstance"] = _isinstance
                changed.append(space)
        yield
    finally:
        for space in changed:
            del space["isinstance"]


def _isinstance(value: Any, kinds: Any) -> bool:
    return isinstance(value.value if type(value) is Known else value, kinds)
