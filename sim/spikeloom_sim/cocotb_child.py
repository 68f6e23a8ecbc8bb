"""The process in which cocotb's runner builds and runs a simulator: `python -m spikeloom_sim.cocotb_child job.json`.

A process of its own, because the runner talks on standard output, ends the process it happens in, and behaves
differently under pytest; started and ended as a group by `spikeloom_hw.toolchain.run`.
"""

import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

# Warnings are errors, but for three kinds. Yosys writes its cells as Verilog operators and leaves it to the language's
# rules to extend and cut operands (WIDTH); its parallel multiplexer is a casez over select bits of which one is set
# (CASEOVERLAP); a wire of which one bit depends on another looks like a loop (UNOPTFLAT) and only costs speed.
BUILD_ARGS = {
    "verilator": [
        "-Wwarn-UNDRIVEN", "-Wwarn-IMPORTSTAR",
        "-Wno-WIDTHEXPAND", "-Wno-WIDTHTRUNC", "-Wno-CASEOVERLAP", "-Wno-UNOPTFLAT",
        "--x-assign", "unique", "--x-initial", "unique",
    ],
    "icarus": ["-g2005", "-Wall", "-Wno-timescale"],
}  # fmt: skip
# What is unknown at the start, a memory before it is written, holds random values.
RUN_ARGS = {"verilator": ["+verilator+rand+reset+2", "+verilator+seed+1"], "icarus": []}


def main(path: Path) -> None:
    """Do what the job file says: `build` a simulator from `sources`, or `test` it in folder `job` with `module`."""
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    from cocotb_tools.runner import get_runner

    job = json.loads(path.read_text())
    runner = get_runner(job["simulator"])
    if job["action"] == "build":
        runner.build(
            sources=job["sources"],
            hdl_toplevel=job["top"],
            build_dir=job["build_dir"],
            build_args=BUILD_ARGS[job["simulator"]],
            timescale=("1ns", "1ps"),
            always=True,
        )
        return
    sys.path[:0] = job.get("path", [])  # the runner hands it on
    results = Path(job["job"]) / "results.xml"
    runner.test(
        test_module=job["module"],
        test_filter=job.get("only"),
        hdl_toplevel=job["top"],
        hdl_toplevel_lang="verilog",
        build_dir=job["build_dir"],
        test_dir=job["job"],
        results_xml=str(results),
        extra_env={"SPIKELOOM_JOB": job["job"]},
        plusargs=RUN_ARGS[job["simulator"]],
    )
    for failure in ElementTree.parse(results).iter("failure"):
        raise SystemExit(f"ERROR: the bench failed: {failure.get('type')}: {failure.get('message')}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
