"""Pages of the public Python, docs/reference/python-*.md: signatures and docstrings as they stand in the source."""

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

# page, title, module and its public names; where none are named, its `__all__`
PAGES: dict[str, tuple[str, tuple[tuple[str, tuple[str, ...]], ...]]] = {
    "spikeloom": (
        "networks and the golden model",
        (("spikeloom", ()), ("spikeloom.golden", ()), ("spikeloom.datasets", ("Data", "load"))),
    ),
    "convert": ("models in", (("spikeloom_convert", ()),)),
    "host": ("boards", (("spikeloom_host", ()),)),
    "gates": (
        "builds, synthesis, simulation",
        (
            ("spikeloom_hw.build", ("Build", "generate")),
            ("spikeloom_hw.bitstream.synth", ("synth",)),
            ("spikeloom_hw.bitstream.synth_result", ("SynthResult",)),
            ("spikeloom_hw.fit", ("verdict", "smallest")),
            ("spikeloom_hw.boards", ("Board", "find")),
            ("spikeloom_sim", ()),
            ("spikeloom_sim.simulated_board", ("SimulatedBoard",)),
            ("spikeloom_sim.wave.read", ("Waveform",)),
        ),
    ),
}
HEAD = """Written by `make pages` from the docstrings. Shapes have fixed letters: N samples, T time steps, C channels,
H rows, W columns, O outputs, K kernel."""
_CODE = re.compile(r"`[^`]*`")
_ADDRESS = re.compile(r"<[^<>]*(?:<[^<>]*>[^<>]*)? at 0x[0-9a-f]+>")  # an object that has no other name
_MARKUP = re.compile(r"([\\*_<>\[\]|#])")
_SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.M)
_ITEM = re.compile(r"^(?=\S)", re.M)


def rendered() -> dict[str, Any]:
    """What renders each page, by its path below docs/."""
    return {f"reference/python-{name}.md": partial(render, name) for name in PAGES}


def render(name: str, docs: Path) -> str:
    """A page; `docs` does not matter."""
    title, modules = PAGES[name]
    parts = [f"# Python: {title}", HEAD]
    for module, names in modules:
        found = importlib.import_module(module)
        parts += [f"## {module}", prose(inspect.getdoc(found) or "")]
        for public in names or found.__all__:
            parts += _entry(public, getattr(found, public))
    return "\n\n".join(part for part in parts if part) + "\n"


def _entry(name: str, value: Any) -> Iterator[str]:
    """What there is to say of a public name."""
    if isinstance(value, ModuleType):  # has a part of its own
        return
    yield f"### {name}"
    if not callable(value):
        yield f"`{name}` is {_plain(value)}."
        return
    yield f"```text\n{_signature(name, value)}\n```"
    yield prose(inspect.getdoc(value) or "")
    if inspect.isclass(value):
        yield "\n".join(_members(value))


def _plain(value: Any) -> str:
    """A constant in a few words."""
    if isinstance(value, dict):
        return "a dict of " + ", ".join(f"`{key}`" for key in value)
    return f"`{value!r}`"


def _signature(name: str, value: Any) -> str:
    """The call, one argument a line where it is long."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):  # of an exception, say, that takes what its base takes
        return name
    text = _ADDRESS.sub("...", f"{name}{signature}")
    if len(text) <= 100:
        return text
    arguments, _, result = str(signature).rpartition(" -> ")
    shown = [_ADDRESS.sub("...", str(item)) for item in signature.parameters.values()]
    kinds = [item.kind for item in signature.parameters.values()]
    if inspect.Parameter.KEYWORD_ONLY in kinds:
        shown.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    return "\n".join([f"{name}(", *(f"    {item}," for item in shown), f") -> {result}" if arguments else ")"])


def _members(value: type) -> Iterator[str]:
    """Public methods and properties of a class, with their first sentence."""
    fields = {field.name for field in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else set()
    for name, member in vars(value).items():
        if name.startswith("_") or name in fields:
            continue
        text = (inspect.getdoc(member) or "").split("\n\n")[0]
        kind = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if not text or not isinstance(kind, FunctionType | property | cached_property):
            continue
        call = f"{name}{_call(kind)}" if isinstance(kind, FunctionType) else name
        yield f"- `{call}`: {_escaped(' '.join(text.split()))}"


def _call(function: Any) -> str:
    """Names of the arguments of a method, without types."""
    names = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    return f"({', '.join(names)})"


def prose(text: str) -> str:
    """A docstring as Markdown: its sections have bold heads, their items are points of a list."""
    head, *sections = _SECTION.split(text)
    parts = [_escaped(head.strip())]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        main, _, rest = body.rstrip().partition("\n\n")
        points = [f"- {_escaped(' '.join(item.split()))}" for item in _ITEM.split(main) if item.strip()]
        parts += [f"**{title}**", "\n".join(points), _escaped(inspect.cleandoc(rest))]
    return "\n\n".join(part for part in parts if part)


def _escaped(text: str) -> str:
    """Text in which nothing but code between backticks is markup."""
    pieces, at = [], 0
    for code in _CODE.finditer(text):
        pieces += [_MARKUP.sub(r"\\\1", text[at : code.start()]), code[0]]
        at = code.end()
    return "".join([*pieces, _MARKUP.sub(r"\\\1", text[at:])])
