"""NIR on the command line: what `convert` does with a .nir file, and the command that writes one."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..output import Answer, named_rows, note, working
from .options import Json, NetworkFile, require_writable

if TYPE_CHECKING:
    from spikeloom.datasets import Data
    from spikeloom.network import Network

Dt = Annotated[
    float | None,
    typer.Option(metavar="DT", help="NIR: time of a step.  [default: 1e-4 where there are time constants, else 1/R]"),
]
Reset = Annotated[
    str | None,
    typer.Option(metavar="KIND", help="NIR: hard, to 0; or soft, which subtracts the threshold.  [default: hard]"),
]
VMin = Annotated[
    str, typer.Option(metavar="V", help="NIR: lower bound of potentials; none is the only one that can be built.")
]
RoundLeak = Annotated[
    bool, typer.Option("--round-leak", help="NIR: take the nearest leak 2^-s where dt/tau is another.")
]


def is_nir(model: str) -> bool:
    """Whether a MODEL is a .nir file."""
    return model.endswith(".nir")


def nir_options(model: str, dt: float | None, reset: str | None, v_min: str, round_leak: bool) -> dict[str, Any]:
    """What NIR leaves open, as `convert_nir` takes it; InvalidData where it is given without a .nir file."""
    from spikeloom.errors import InvalidData

    given = {"dt": dt is not None, "reset": reset is not None, "v-min": v_min != "none", "round-leak": round_leak}
    if not is_nir(model):
        for option in (name for name in given if given[name]):
            raise InvalidData(f"Option '--{option}': must be for a .nir file, not for '{model}'; leave it out")
    bound: float | str | None = None if v_min == "none" else v_min
    return {"dt": dt, "reset": "hard" if reset is None else reset, "v_min": bound, "round_leak": round_leak}


def require_for_modules(model: str, given: Mapping[str, object]) -> None:
    """InvalidData where a .nir file comes with an option, by name, that only modules have."""
    from spikeloom.errors import InvalidData

    for option in (name for name in given if given[name] and is_nir(model)):
        raise InvalidData(f"Option '--{option}': must be left out for a .nir file, which is a spiking network already")


def converted(model: str, data: "Data", **settings: Any) -> "Network":
    """The network of a .nir file, named after it."""
    from spikeloom.validate import NAME
    from spikeloom_convert import convert_nir

    name = Path(model).stem.lower()
    with working(f"converting on {len(data)} samples") as progress:
        return convert_nir(
            model, data.x, labels=data.y, name=name if NAME.fullmatch(name) else "net", progress=progress, **settings
        )


def export(
    network: NetworkFile,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The .nir file to write.")] = Path(
        "net.nir"
    ),
    json: Json = False,
) -> Answer:
    """Write a synchronous network as a .nir file, its weights integers; `spikeloom convert` gives it back as it was.

    \b
    Example:
      spikeloom export net.loom -o net.nir
    """
    from spikeloom.network import Network

    require_writable(output, "a .nir file")
    loaded = Network.load(network)
    from spikeloom_convert import conditions, export_nir

    graph = export_nir(loaded, output)
    known = conditions(loaded)
    for name, value in known.items():
        note(f"  {name}: {value}")
    document = {"nir": str(output), "digest": loaded.digest, "nodes": len(graph.nodes), "conditions": known}
    rows = {"file": str(output), "digest": loaded.digest[:16], "nodes": str(len(graph.nodes))}
    return Answer(document, (named_rows("Exported; its metadata say how to run it", rows),))
