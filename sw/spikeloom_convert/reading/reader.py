"""Read a traced graph as operations, node by node, while it runs on samples."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
import torch
from spikeloom.encoding import sides
from spikeloom.errors import UnsupportedLayer
from torch import fx

from .arranging import arranged, groups
from .functions import ARRANGING, CONSTANT, EACH, SAME, SHAPED, SHAPING, TURNS, name_of, read_call, read_join
from .hints import ORDER, instead_of
from .layers import Site, read_module
from .operations import Ending, Operation, Select, Unknown, image
from .slices import adds_axes
from .tracer import MADE, Escape


@dataclass(frozen=True, eq=False)
class Step:
    """What one node of the traced model became.

    Parameters
    ----------
    name : of the node.
    where, path : as those of its operations.
    kind : class of the module, or name of the function.
    before, after : shapes of a sample on both sides.
    operations : numbers of its operations, none where it does nothing in evaluation.
    refusal : why it is not supported, else None.
    """

    name: str
    where: str
    path: str
    kind: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    operations: range
    refusal: str | None = None


def by_name(result: Any) -> dict[str, Any]:
    """Outputs of a model by key or position, one by itself by ""; those that are None are none."""
    if isinstance(result, Mapping):
        named = {str(key): value for key, value in result.items()}
    elif isinstance(result, tuple | list):
        named = {str(position): value for position, value in enumerate(result)}
    elif is_dataclass(result) and not isinstance(result, type):
        named = {item.name: getattr(result, item.name) for item in fields(result)}
    else:
        return {"": result}
    return {name: value for name, value in named.items() if value is not None}


class Reader(fx.Interpreter):
    """Runs the graph on samples and reads every node that computes on the activations as operations.

    Nodes that give no tensor (sizes) or compute on constants only are run and forgotten.
    """

    def __init__(
        self,
        graph: fx.GraphModule,
        name: str,
        escapes: Mapping[fx.Node, Escape],
        refused: list[UnsupportedLayer] | None,
        whole: bool,
    ) -> None:
        super().__init__(graph)
        self.extra_traceback = False  # errors stay the one line they are
        self.name = name
        self.refused = refused
        self.escapes = {node.name: escape for node, escape in escapes.items()}
        self.live = _live(graph.graph) if whole else set(graph.graph.nodes)
        self.operations: list[Operation] = []
        self.steps: list[Step] = []
        self.results: dict[fx.Node, int] = {}  # operation that gives each activation, -1 for the samples
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}
        self.parts: dict[fx.Node, list[int]] = {}  # channels of each part that a split gives
        # results that are no samples for a layer yet, as axes are moved: of which shape, and the address of each value
        self.moved: dict[fx.Node, tuple[tuple[int, ...], np.ndarray]] = {}
        self.lost: set[fx.Node] = set()  # results of what is not supported that are no samples with values
        self.endings: list[fx.Node] = []
        self.outputs: dict[str, int] = {}
        self.input_shape: tuple[int, int, int] | None = None

    def run_node(self, n: fx.Node) -> Any:
        """Run one node, reading it on the way."""
        result = self._run(n)
        if (escape := self.escapes.get(n.name)) is not None:
            self.steps.append(Step(n.name, escape.where, escape.path, escape.what, (), (), range(0), escape.refusal))
        return result

    def _run(self, n: fx.Node) -> Any:
        inputs = [node for node in n.all_input_nodes if node in self.results]
        if n.op == "output":
            self.outputs = self._output(n)
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        given = [self.env[node] for node in inputs if isinstance(self.env[node], torch.Tensor)]
        versions = [value._version for value in given]
        result = super().run_node(n)
        changed = versions != [value._version for value in given]
        if n.op == "placeholder":
            self.results[n], self.shapes[n] = -1, tuple(result.shape[1:])
            return result
        if not inputs or self._constant(n, inputs):
            return result
        if n not in self.live and not any(self.env.get(node) is result for node in inputs):
            return result  # for a check or a record, not for the outputs
        before = self.shapes[inputs[0]]
        parted = isinstance(result, tuple | list)
        one = before == (1,) and not parted and result.shape == (2,)  # one value a sample, without an axis
        self.shapes[n] = before if parted or one else tuple(result.shape[1:])
        site = Site(*self._where(n), before, self.shapes[n])
        read: list[Operation] = []
        refusal: str | None = None
        try:
            if any(node in self.lost for node in inputs):  # which has been said
                read = [Unknown(site.where, site.path, before, site.after)]
            elif (found := self._arranged(n, site, inputs)) is not None:
                if self._kind(n) in SAME:
                    self._read(n, site, args, kwargs, inputs, result)  # may refuse it
                read = found
            elif changed and (other := self._views(n, result)):
                raise site.refuse(f"must not change in place what '{other}' sees a part of; leave inplace out")
            elif parted:
                self.parts[n] = self._split(n, site, result)
            else:
                read = self._read(n, site, args, kwargs, inputs, result)
        except UnsupportedLayer as error:
            if self.refused is None:
                raise
            self.refused.append(error)
            read, refusal = [Unknown(site.where, site.path, before, site.after)], str(error)
        if any(isinstance(item, Unknown) for item in read) and (parted or result.ndim < 2 or len(result) != 2):
            self.lost.add(n)
        self.endings += [n] * any(isinstance(item, Ending) for item in read)
        first = len(self.operations)
        if read:
            read[0] = replace(read[0], inputs=self._sources(n, inputs))
            self.operations += read
        numbers = range(first, first + len(read))
        self.steps.append(Step(n.name, site.where, site.path, self._kind(n), before, site.after, numbers, refusal))
        self.results[n] = len(self.operations) - 1 if read else self.results[inputs[0]]
        for node in self.results:
            if self.env.get(node) is result:  # changed in place: who uses it later gets what it is now
                self.results[node] = self.results[n]
        return result

    def _views(self, n: fx.Node, result: torch.Tensor) -> str | None:
        """An activation that is still needed, and sees the values of a result that was changed in place otherwise."""
        for node in self.results:
            value = self.env.get(node)
            if value is result or not isinstance(value, torch.Tensor) or not any(user > n for user in node.users):
                continue
            if value.untyped_storage().data_ptr() == result.untyped_storage().data_ptr():
                return node.name
        return None

    def unended(self) -> fx.GraphModule:
        """The model as its nodes run, but for the sigmoids and softmaxes that end it."""
        graph = fx.Graph()
        copies: dict[fx.Node, Any] = {}
        assert isinstance(self.module, fx.GraphModule)
        for node in self.module.graph.nodes:
            ended = node in self.endings
            source = next((item for item in node.all_input_nodes if item in self.results), None) if ended else None
            copies[node] = graph.node_copy(node, copies.__getitem__) if source is None else copies[source]
        return fx.GraphModule(self.module, graph)

    def _constant(self, n: fx.Node, inputs: list[fx.Node]) -> bool:
        """Whether the values of a result do not depend on those of the activations the node names."""
        name = name_of(n.target)
        if isinstance(n.target, type):  # what holds the outputs
            return True
        first = n.args[0] if n.args else None
        return (name in CONSTANT and inputs == [first]) or (name in SHAPED and first not in inputs)

    def _arranged(self, n: fx.Node, site: Site, inputs: list[fx.Node]) -> list[Operation] | None:
        """Operations of a node that moves values between axes, none while they are no sample; None of other nodes."""
        kind, held = self._kind(n), [node for node in inputs if node in self.moved]
        if kind in SAME and inputs[0] not in held:  # of the other one it takes the type
            return None
        if not held and not (kind in TURNS or (kind in ARRANGING and groups(site.before, site.after))):
            return None
        plain = site.before, np.arange(np.prod(site.before)).reshape(site.before)
        shape, addresses = self.moved[held[0]] if held else plain
        if kind in ARRANGING:
            addresses = self._rearranged(n, site, inputs[0], addresses)
        elif kind not in SAME:
            raise site.refuse(_unfinished(shape, self.shapes[held[0]], "take"))
        found = arranged(replace(site, before=shape), addresses)
        if found is None:
            self.moved[n] = shape, addresses
        elif not found and not self.operations and len(site.after) in (2, 3):  # grey images, their channel moved
            self.input_shape = image(site.after)
        return found or []

    def _rearranged(self, n: fx.Node, site: Site, source: fx.Node, addresses: np.ndarray) -> np.ndarray:
        """Addresses as a node arranges them, which is run on those of two samples."""
        count = addresses.size
        both = torch.from_numpy(np.stack([addresses, addresses + count]))
        args, kwargs = fx.node.map_arg((n.args, n.kwargs), lambda node: both if node is source else self.env[node])
        found = getattr(self, n.op)(n.target, args, kwargs)
        if found.ndim < 2 or len(found) != 2 or not bool((found[0] < count).all()):
            raise site.refuse(f"must keep samples apart, not turn {(2, *site.before)} into {tuple(found.shape)}")
        return np.ascontiguousarray(found[0].numpy())

    def _folded(self, n: fx.Node, site: Site) -> bool:
        """Whether samples become images, or grey images sequences of rows, before anything else is done."""
        before, after = site.before, site.after
        rows = len(before) == 3 and before != after and sides(before) == sides(after)
        if self.operations or len(after) not in (2, 3) or not (rows or len(before) < len(after)):
            return False
        if int(np.prod(before)) != int(np.prod(after)) or (len(before) == 2 and after[0] != 1):
            return False
        added = self._kind(n) == "getitem" and (rows or adds_axes(n.args[1]))
        if not added and self._kind(n) not in ("view", "reshape", "unflatten", "unsqueeze", "Unflatten", "squeeze"):
            return False
        self.input_shape = image(after)
        return True

    def _output(self, n: fx.Node) -> dict[str, int]:
        """Operations that give the outputs."""
        result: Any = n.args[0]
        if isinstance(result, fx.Node) and isinstance(result.target, type):  # a named tuple, a dataclass
            result = result.kwargs or result.args
        given = by_name(result)
        for node in given.values():
            if node not in self.results:
                error = UnsupportedLayer(f"Model '{self.name}': must return what its layers give, not something else")
                if self.refused is None:
                    raise error
                self.refused.append(error)
                return {}
            if node in self.moved:
                where, _ = self._where(node)
                error = UnsupportedLayer(f"{where}: {_unfinished(self.moved[node][0], self.shapes[node], 'give')}")
                if self.refused is None:
                    raise error
                self.refused.append(error)
                at = next(i for i, step in enumerate(self.steps) if step.name == node.name)
                self.steps[at] = replace(self.steps[at], refusal=str(error))
        return {name: self.results[node] for name, node in given.items()}

    def _sources(self, n: fx.Node, inputs: list[fx.Node]) -> tuple[int, ...]:
        """Operations whose results a node takes, in the order and as often as it names them."""
        found: list[int] = []
        fx.node.map_arg((n.args, n.kwargs), lambda node: found.append(self.results[node]) if node in inputs else None)
        return tuple(found)

    def _read(
        self,
        n: fx.Node,
        site: Site,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        inputs: list[fx.Node],
        result: torch.Tensor,
    ) -> list[Operation]:
        if inputs[0] in self.parts:
            return self._part(n, site, inputs[0])
        kind = self._kind(n)
        if not result.is_floating_point() or instead_of(kind) == ORDER:
            raise site.unsupported(kind)
        one = site.before == (1,) and result.shape == (2,)
        if one and kind in SHAPING:
            return []
        if not (one and kind in EACH) and (result.ndim < 2 or result.shape[0] != 2):
            raise site.refuse(f"must keep samples apart, not turn {(2, *site.before)} into {tuple(result.shape)}")
        if self._folded(n, site):
            return []
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

    def _split(self, n: fx.Node, site: Site, result: Any) -> list[int]:
        """Channels of each part of a split over the channels."""
        if n.op == "call_module":
            read_module(self.module.get_submodule(str(n.target)), site)  # knows best why not
        name, before = self._kind(n).removesuffix("_with_sizes"), site.before
        parts = [tuple(part.shape[1:]) for part in result if isinstance(part, torch.Tensor)]
        if name not in ("chunk", "split", "tensor_split") or len(parts) != len(result):
            raise site.unsupported(name)
        if any(part[1:] != before[1:] for part in parts) or sum(part[0] for part in parts) != before[0]:
            raise site.refuse("must split the channels, dim=1")
        return [part[0] for part in parts]

    def _part(self, n: fx.Node, site: Site, source: fx.Node) -> list[Operation]:
        """Operations of an item of a split."""
        channels, index = self.parts[source], n.args[1] if n.target is operator.getitem else None
        if not isinstance(index, int):
            raise site.unsupported(self._kind(n))
        first = sum(channels[: index % len(channels)])
        return [Select(site.where, site.path, site.before, site.after, first, first + channels[index])]

    def _kind(self, n: fx.Node) -> str:
        if n.op == "call_module":
            return type(self.module.get_submodule(str(n.target))).__name__
        return name_of(n.target)

    def _where(self, n: fx.Node) -> tuple[str, str]:
        paths = [path for path, _ in n.meta.get("nn_module_stack", {}).values() if not path.startswith(MADE)]
        path = paths[-1] if paths else ""
        if n.op == "call_module" and not str(n.target).startswith(MADE):
            return f"Layer '{n.target}' ({self._kind(n)})", str(n.target)
        owner = f"Layer '{path}'" if path else f"Model '{self.name}'"
        return f"{owner} (call of {self._kind(n)})", path


def _unfinished(shape: tuple[int, ...], found: tuple[int, ...], does: str) -> str:
    """What is wrong with values of a sample of some shape where they are found in another arrangement."""
    if groups(shape, found):
        return f"must {does} images, not channels in groups {found}; reshape them back first"
    return (
        f"must {does} the axes of {shape} in their own order, not moved to {found}; put them back first, or flatten "
        "them for a Linear; samples are stored as (N, C, H, W) or (N, C, L)"
    )


def _live(graph: fx.Graph) -> set[fx.Node]:
    """Nodes that an output may depend on: by their results, or by what they change in place."""
    found: set[fx.Node] = set()
    open_ = [node for node in graph.nodes if node.op == "output" or _in_place(node)]
    while open_:
        node = open_.pop()
        if node not in found:
            found.add(node)
            open_ += node.all_input_nodes
    return found


def _in_place(node: fx.Node) -> bool:
    """Whether a call says that it changes its first argument; a module says so by giving back what it got."""
    if node.op not in ("call_function", "call_method"):
        return False
    name = name_of(node.target)
    return name.endswith("_") or bool(node.kwargs.get("inplace"))
