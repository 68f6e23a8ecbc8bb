"""The command check: what becomes of every layer of a model, before anything is converted."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..output import Answer, named_rows
from .options import DataDir, Json

if TYPE_CHECKING:
    from spikeloom_convert import ModelReport, NodeReport
    from spikeloom_convert.samples import Samples
    from torch import nn

_SAMPLES = 8  # enough to see shapes, and whether the folded network is the model


def check(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="package.module:factory; a name of `spikeloom networks`; a trained file."),
    ],
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="State dict: .safetensors, or .pt without code in it.")
    ] = None,
    input_shape: Annotated[
        str | None,
        typer.Option(metavar="C,H,W", help="Shape of a sample.  [default: of --calibration, or of a first Linear]"),
    ] = None,
    calibration: Annotated[
        str | None, typer.Option(metavar="DATA", help="As DATA of `spikeloom run`: its training split.")
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> Answer:
    """List what becomes of every layer of a PyTorch model: all that is not supported, and what to use instead.

    \b
    Example:
      spikeloom check spikeloom_convert.models:digits_cnn --input-shape 1,8,8
    """
    from spikeloom.errors import InvalidNetwork, NotBuilt, UnsupportedLayer

    if model.endswith(".nir"):
        raise NotBuilt(f"Model '{model}': must be package.module:factory, not NIR, which is not read yet")
    shape = _shape(input_shape)
    from spikeloom_convert import inspect_model
    from spikeloom_convert.models import load_model

    trained = load_model(model, weights)
    samples = _samples(model, trained, shape, calibration, data_dir)
    try:
        return _answer(inspect_model(trained, samples))
    except (UnsupportedLayer, InvalidNetwork) as error:
        return _answer(_hopeless(trained, str(error)))


def _shape(text: str | None) -> tuple[int, ...] | None:
    """Sides of a sample; InvalidData where the text is not one to three of them."""
    from math import prod

    from spikeloom.checks import MAX_NEURONS
    from spikeloom.errors import InvalidData, shown

    if text is None:
        return None
    parts = text.split(",")
    whole = all(part.isascii() and part.isdigit() and len(part) < 9 and int(part) > 0 for part in parts)
    if not 1 <= len(parts) <= 3 or not whole:
        raise InvalidData(f"Option '--input-shape': must be C,H,W or C,L or F, like 3,32,32, not {shown(text)}")
    shape = tuple(map(int, parts))
    if prod(shape) > MAX_NEURONS:
        raise InvalidData(f"Option '--input-shape': must be of at most {MAX_NEURONS} values, not {text}")
    return shape


def _samples(
    name: str, model: "nn.Module", shape: tuple[int, ...] | None, calibration: str | None, data_dir: str | None
) -> "Samples":
    """A few samples: those of a data set, or random ones in 0..1 of a shape."""
    import numpy as np
    from spikeloom import datasets
    from spikeloom.errors import InvalidData
    from spikeloom_convert.folding.inspection import sample_shape
    from spikeloom_convert.models.origin import Origin
    from spikeloom_convert.samples import check as checked

    if calibration is not None:
        if shape is not None:
            raise InvalidData("Option '--input-shape': must be left out with --calibration, whose samples have a shape")
        return checked(datasets.load(calibration, "train", data_dir).head(_SAMPLES).x)
    origin = Origin.read(name) if Path(name).suffix == ".safetensors" else Origin.named(name)
    shape = shape or (None if origin is None else origin.shape) or sample_shape(model)
    if shape is None:
        raise InvalidData(
            f"Model '{name}': must be given the shape of a sample, which its layers leave open; "
            f"use --input-shape C,H,W or --calibration DATA"
        )
    return checked(np.random.default_rng(0).random((_SAMPLES, *shape)))


def _hopeless(model: "nn.Module", problem: str) -> "ModelReport":
    """The report on a model of which no node can be listed."""
    from spikeloom_convert import ModelReport

    return ModelReport(type(model).__name__, (), (problem,), sum(v.numel() for v in model.parameters()), 0, {})


def _answer(report: "ModelReport") -> Answer:
    document = {
        "model": report.model,
        "convertible": report.convertible,
        "nodes": [_entry(node) for node in report.nodes],
        "problems": list(report.problems),
        "parameters": report.parameters,
        "macs": report.macs,
    }
    neurons = sum(report.neurons.values())
    rows = {
        "verdict": "convertible" if report.convertible else "not convertible",
        "parameters": f"{report.parameters:,}",
        "multiplications of a sample": f"{report.macs:,}",
    }
    if report.convertible:
        rows["spiking network"] = f"{len(report.neurons)} populations of {neurons:,} neurons"
    rows |= {f"to do {number}": text for number, text in enumerate(report.problems, 1)}
    count = len(report.problems)
    failure = None
    if count:
        problems = "1 problem" if count == 1 else f"{count} problems, the first"
        failure = f"Model '{report.model}': not convertible, {problems}: {report.problems[0]}"
    tables = (*((_table(report.nodes),) if report.nodes else ()), named_rows(f"Model {report.model}", rows))
    return Answer(document, tables, failure)


def _entry(node: "NodeReport") -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(node) | {"shape_in": list(node.shape_in), "shape_out": list(node.shape_out)}


def _table(nodes: "tuple[NodeReport, ...]") -> tuple[tuple[str, ...], ...]:
    heads = ("module", "kind", "in", "out", "status", "what becomes of it")
    return (
        heads,
        *(
            (
                node.module or "-",
                node.kind,
                "x".join(map(str, node.shape_in)) or "-",
                "x".join(map(str, node.shape_out)) or "-",
                node.status,
                node.becomes or node.hint,
            )
            for node in nodes
        ),
    )
