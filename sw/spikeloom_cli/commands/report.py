"""The command report: a build as one page. Its heavy imports wait inside."""

from pathlib import Path
from typing import Annotated

import typer

from ..output import Answer, named_rows, percent, working
from .options import BuildFolder, DataDir, Json, Samples, require_writable


def report(
    build: BuildFolder,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="[DATA]", help="As DATA of `spikeloom run`; without it there is no accuracy.", show_default=False
        ),
    ] = None,
    sweep: Annotated[
        Path | None, typer.Option(metavar="DIR", help="What `spikeloom sweep` wrote: accuracy against T.")
    ] = None,
    samples: Samples = None,
    data_dir: DataDir = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The page to write, or to replace.")
    ] = Path("report.html"),
    json: Json = False,
) -> Answer:
    """Write all that is known of a build into one page that needs nothing else: accuracy, cycles, device, spikes.

    What has not been measured yet is said, with the command that does it.

    \b
    Example:
      spikeloom report build mnist --data-dir data -o report.html
    """
    from spikeloom import datasets

    require_writable(output, "an .html file")
    require_ours(output)
    split = None if data is None else datasets.load(data, "test", data_dir).head(samples)
    command = f"spikeloom report {build}{'' if data is None else f' {data}'}"
    command += "" if samples is None else f" --samples {samples}"
    return reported(build, split, output, sweep=sweep, command=command)


def reported(build: Path, data: object, output: Path, *, sweep: Path | None, command: str) -> Answer:
    """The answer of report, which the demo gives too."""
    from spikeloom.datasets import Data
    from spikeloom.storage import write_whole

    from ..report.collect import collect
    from ..report.facts import Missing
    from ..report.page import render

    assert data is None or isinstance(data, Data)
    with working(f"reporting on {build}") as progress:
        facts = collect(build, data, sweep=sweep, command=command, progress=progress)
        page = render(facts).encode()
    write_whole(output, page)
    accuracy = None if isinstance(facts.accuracy, Missing) else facts.accuracy
    missing = {name: part.command for name, part in facts.missing.items()}
    document = {
        "report": str(output),
        "bytes": len(page),
        "digest": facts.digest,
        "accuracy": accuracy.accuracy if accuracy else None,
        "samples": accuracy.samples if accuracy else 0,
        "accuracy_by_step": [point.accuracy for point in accuracy.prefix] if accuracy else [],
        "missing": missing,
    }
    rows = {
        "report": str(output),
        "size": f"{len(page) / 1000:,.0f} kB",
        "accuracy": percent(accuracy.accuracy if accuracy else None),
    }
    absent = ((("missing", "what would bring it in"), *missing.items()),) if missing else ()
    return Answer(document, (named_rows(f"Report on {build}", rows), *absent))


def require_ours(path: Path) -> None:
    """Refuse to replace a file that is not a report.

    Raises
    ------
    SpikeloomError
        There is another file.
    """
    from spikeloom.errors import SpikeloomError

    from ..report.page import MARK

    if not path.is_file():
        return
    with path.open("rb") as file:
        ours = MARK.encode() in file.read(1024) or path.stat().st_size == 0
    if not ours:
        raise SpikeloomError(
            f"Output '{path}': must be a report or not be there, not another file; choose another with -o"
        )
