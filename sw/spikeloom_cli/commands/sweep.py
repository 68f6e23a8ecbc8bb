"""The command sweep: a model at several T, with accuracy, work and energy. Its heavy imports wait inside."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..output import Answer, named_rows, percent, working
from .options import DataDir, Json, Samples, Seed, method_options, numbers, require_writable, trained_model

if TYPE_CHECKING:
    from spikeloom_convert.analysis.sweep import Sweep


def sweep(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="package.module:factory, called without arguments.")],
    calibration: Annotated[
        str,
        typer.Option(metavar="DATA", help="As DATA of `spikeloom run`: its training split; tested on its test split."),
    ],
    weights: Annotated[
        Path | None, typer.Option(metavar="FILE", help="State dict: .safetensors, or .pt without code in it.")
    ] = None,
    method: Annotated[str, typer.Option(metavar="M", help="As of `spikeloom convert`.")] = "spikeconverter",
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="An option of the method; may be repeated.")
    ] = None,
    timesteps: Annotated[str, typer.Option(metavar="T,..", help="All T, between commas.")] = "1,2,4,8",
    weight_bits: Annotated[int, typer.Option(metavar="B", help="Bits of a weight, 2..8.")] = 6,
    input_timesteps: Annotated[
        int | None, typer.Option(metavar="T", help="Bits of a pixel.  [default: as each T; synchronous: 8]")
    ] = None,
    growth: Annotated[float, typer.Option(metavar="K", help="Growth of potentials: 2 (iLIF) or 1 (IF).")] = 2.0,
    code: Annotated[str, typer.Option(metavar="C", help="Code of all trains: plain, or naf.")] = "plain",
    mean: Annotated[
        str | None, typer.Option(metavar="A[,B,..]", help="Mean per channel, if the model does not subtract it.")
    ] = None,
    std: Annotated[str | None, typer.Option(metavar="A[,B,..]", help="Deviation per channel, likewise.")] = None,
    test: Annotated[
        str | None, typer.Option(metavar="DATA", help="Whose test split is run.  [default: as --calibration]")
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    samples: Samples = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The folder for sweep.json and sweep.png.")
    ] = Path("sweep"),
    json: Json = False,
) -> Answer:
    """Convert a model at several T and run each on the test split: accuracy, SOPs and energy, as a table and a picture.

    \b
    Example:
      spikeloom sweep spikeloom_convert.models:mnist_mlp --weights mlp.safetensors --calibration mnist \\
        --timesteps 1,2,4,8 --weight-bits 6 --samples 1000 -o sweep/
    """
    from spikeloom import datasets

    settings = {
        "method": method,
        "options": method_options(option or []),
        "weight_bits": weight_bits,
        "input_timesteps": input_timesteps,
        "growth": growth,
        "code": code,
        "mean": numbers("--mean", mean),
        "std": numbers("--std", std),
        "seed": seed,
    }
    lengths = whole_numbers("--timesteps", timesteps)
    require_writable_folder(output)
    train = datasets.load(calibration, "train", data_dir)
    tested = datasets.load(test or calibration, "test", data_dir).head(samples)
    labels = tested.labels
    from spikeloom_convert.analysis.sweep import sweep as sweep_model

    trained = trained_model(model, weights)
    with working(f"sweeping over {len(lengths)} T") as progress:
        found = sweep_model(
            trained, train.x, tested.x, labels, timesteps=lengths, settings=settings | {"labels": train.y},
            progress=progress,
        )  # fmt: skip
    return written(found, output, {"data": tested.name, "calibration": train.name, "weight_bits": weight_bits})


def written(found: "Sweep", folder: Path, about: dict[str, Any]) -> Answer:
    """The answer of sweep, with its two files written."""
    from dataclasses import asdict
    from json import dumps

    from spikeloom.storage import write_whole

    from ..plots.analysis import sweep_picture

    document = asdict(found) | about
    picture = sweep_picture(found)
    folder.mkdir(exist_ok=True)
    paths = {"json": folder / "sweep.json", "png": folder / "sweep.png"}
    write_whole(paths["png"], picture)
    write_whole(paths["json"], (dumps(document, indent=1, allow_nan=False) + "\n").encode())
    heads = ("T", "accuracy", "points lost", "SOPs", "spikes/neuron", "model uJ", "network uJ", "network to model")
    rows = [
        (
            str(point.timesteps),
            percent(point.accuracy),
            f"{100 * (found.accuracy_ann - point.accuracy):.2f}",
            f"{point.sops:,.0f}",
            f"{point.spikes_per_neuron:.3f}",
            f"{point.energy.ann_pj / 1e6:,.4f}",
            f"{point.energy.snn_pj / 1e6:,.4f}",
            percent(point.energy.ratio),
        )
        for point in found.points
    ]
    summary = {
        "method": found.method,
        "test samples": str(found.samples),
        "accuracy of the model": percent(found.accuracy_ann),
        "files": ", ".join(str(path) for path in paths.values()),
    }
    return Answer(
        document | {name: str(path) for name, path in paths.items()},
        (named_rows(f"Model {found.model}", summary), (heads, *rows)),
    )


def whole_numbers(option: str, text: str) -> list[int]:
    """Whole numbers between commas; InvalidData where one is none."""
    from spikeloom.errors import InvalidData

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise InvalidData(f"Option '{option}': must be whole numbers between commas, like 1,2,4, not '{text}'")
    return [int(part) for part in parts]


def require_writable_folder(folder: Path) -> None:
    """Refuse an output folder that files could not be written into, before the work for them is done.

    Raises
    ------
    SpikeloomError
        It is a file, or neither it nor its parent is there and writable.
    """
    from spikeloom.errors import SpikeloomError

    if folder.exists() and not folder.is_dir():
        raise SpikeloomError(f"Output '{folder}': must be a folder, not a file; choose another with -o")
    require_writable(folder / "sweep.json" if folder.is_dir() else folder, "a folder")
