"""The whole way in seven steps, from a network that is trained here to a bitstream, on scikit-learn's digits."""

import importlib.metadata
from functools import cached_property
from pathlib import Path
from typing import Any

from spikeloom import SpikeloomError, datasets
from spikeloom.datasets import Data
from spikeloom.network import Network

from .. import report
from ..commands import builds, networks, synth
from ..commands.report import reported
from ..output import Answer, named_rows, percent, working
from ..plots import inference
from ..report.results import SIMULATION
from .journal import Journal, Step, fingerprint, sources

MODEL = "spikeloom_convert.models:digits_cnn"
SIMULATOR = "verilator"
TIMESTEPS, WEIGHT_BITS = 4, 6
EPOCHS, LEARNING_RATE = 60, 8e-3
PAGE = (".py", ".jinja", ".css")  # files that the report is made by
LOSS_ALLOWED = 0.02  # in accuracy, of the spiking network against the one it comes from


class Demo:
    """The seven steps in one folder.

    Parameters
    ----------
    folder : for all results; made where it is missing.
    board : name of a board.
    samples : digits of the test split to simulate.
    seed : start of every random choice.
    """

    def __init__(self, folder: Path, *, board: str, samples: int, seed: int) -> None:
        self.folder, self.board, self.samples, self.seed = folder, board, samples, seed
        self.weights = folder / "digits_cnn.safetensors"
        self.loom = folder / "digits.loom"
        self.picture = folder / "digits.png"
        self.build = folder / "build"
        self.report = folder / "report.html"

    @cached_property
    def train_split(self) -> Data:
        """Digits to train on and to calibrate with."""
        return datasets.load("digits", "train")

    @cached_property
    def test_split(self) -> Data:
        """Digits that neither training nor conversion sees."""
        return datasets.load("digits", "test")

    def run(self) -> Answer:
        """Do what is left to do of the seven steps; SpikeloomError where one cannot be done."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SpikeloomError(f"Output '{self.folder}': cannot be made: {error.strerror}; choose another") from None
        self.test_split.head(self.samples)  # too many are refused before anything is trained
        journal = Journal(self.folder, total=7)
        from spikeloom.threads import single_threaded  # brings PyTorch, which takes its time

        with single_threaded():  # on networks as small as these, more threads wait for each other, up to sevenfold
            self._steps(journal)
        return self._summary(journal.steps)

    def _steps(self, journal: Journal) -> None:
        left, right = "spikeloom_convert", "spikeloom_hw"
        journal.step("train", self._on(left), lambda _: [self.weights], self._train)
        weights = fingerprint(self.weights)
        journal.step("convert", self._on(left, weights=weights), lambda _: [self.loom], self._convert)
        network = Network.load(self.loom)
        on = self._on(network=network.digest, picture=fingerprint(Path(inference.__file__)))
        journal.step("measure", on, lambda _: [self.picture], lambda: self._measure(network))
        on = self._on(right, network=network.digest, board=self.board)
        design = journal.step("generate", on, self._design, lambda: self._generate(network))["design"]
        on = self._on(right, "spikeloom_sim", design=design, samples=self.samples)
        simulation = journal.step("simulate", on, lambda _: [self.build / SIMULATION], self._simulate)
        synthesis = journal.step("synthesise", self._on(right, design=design), self._bitstream, self._synthesise)
        page = {
            str(path): fingerprint(path) for path in Path(report.__file__).parent.rglob("*.*") if path.suffix in PAGE
        }
        on = self._on(left, right, page=page, network=network.digest, simulation=simulation, synthesis=synthesis)
        journal.step("report", on, lambda _: [self.report], self._report)

    def _design(self, result: dict[str, Any]) -> list[Path]:
        return [self.build / name for name in ("manifest.json", "spikeloom.v", "network.loom")]

    def _bitstream(self, result: dict[str, Any]) -> list[Path]:
        return [Path(result["bitstream"])] if result["bitstream"] else []

    def _on(self, *rooms: str, **values: Any) -> dict[str, Any]:
        """What a step depends on: sources of the contract and of `rooms`, tools, this file, the seed, and `values`."""
        versions = {name: importlib.metadata.version(name) for name in ("torch", "amaranth", "pyosys", "verilator")}
        code = [sources("spikeloom", *rooms), fingerprint(Path(__file__))]
        return {"code": code, "versions": versions, "seed": self.seed, "values": values}

    def _train(self) -> dict[str, Any]:
        from safetensors.torch import save
        from spikeloom.storage import write_whole
        from spikeloom_convert.models import load_model
        from spikeloom_convert.training import train

        model = load_model(MODEL, None)
        validation = datasets.load("digits", "validation")
        with working("training") as progress:
            train(
                model,
                self.train_split.x,
                self.train_split.labels,
                validation.x,
                validation.labels,
                epochs=EPOCHS,
                learning_rate=LEARNING_RATE,
                seed=self.seed,
                progress=progress,
            )
        write_whole(self.weights, save(model.state_dict()))
        parts = {"train": self.train_split, "validation": validation, "test": self.test_split}
        return {f"accuracy_{name}": _accuracy(model, part) for name, part in parts.items()}

    def _convert(self) -> dict[str, Any]:
        from spikeloom_convert import convert
        from spikeloom_convert.models import load_model

        with working("converting") as progress:
            network = convert(
                load_model(MODEL, self.weights),
                self.train_split.x,
                labels=self.train_split.labels,
                timesteps=TIMESTEPS,
                weight_bits=WEIGHT_BITS,
                seed=self.seed,
                name="digits",
                progress=progress,
            )
        network.save(self.loom)
        return networks.converted(network, self.loom).document

    def _measure(self, network: Network) -> dict[str, Any]:
        from spikeloom.bounds import potential_bits

        result = networks.measured(network, self.test_split).document
        inference.draw(self.picture, network, self.test_split.x, self.test_split.labels)
        return result | {"potential_bits": potential_bits(network)}

    def _generate(self, network: Network) -> dict[str, Any]:
        document = builds.generated(network, self.build, board=self.board).document
        return document | {"design": fingerprint(self.build)}

    def _simulate(self) -> dict[str, Any]:
        data = self.test_split.head(self.samples)
        return builds.simulated(self.build, data, simulator=SIMULATOR, seed=self.seed).document

    def _synthesise(self) -> dict[str, Any]:
        return synth.synthesised(self.build, clock="oscillator").document

    def _report(self) -> dict[str, Any]:
        command = f"spikeloom report {self.build} digits"
        return reported(self.build, self.test_split, self.report, sweep=None, command=command).document

    def _summary(self, steps: list[Step]) -> Answer:
        results = {step.name: step.result for step in steps}
        train, _, measured, generated, simulated, synth, _ = results.values()
        lost = train["accuracy_test"] - measured["accuracy"]
        checks = {
            f"accuracy lost in conversion at most {percent(LOSS_ALLOWED)}": lost <= LOSS_ALLOWED,
            "gates equal to the golden model": simulated["mismatches"] == 0,
            f"clock of the {self.board} reached": synth["timing_met"],
        }
        times = [(step.name, "reused" if step.reused else f"{step.seconds:.1f} s") for step in steps]
        rows = {
            "accuracy of the trained network": percent(train["accuracy_test"]),
            f"accuracy of the spiking network, T={TIMESTEPS}": percent(measured["accuracy"]),
            "spikes per neuron": f"{measured['spikes_per_neuron']:.2f}",
            "SOPs per inference": f"{measured['sops_per_inference']:,.0f}",
            "proven bits of the potentials": ", ".join(f"{k} {v}" for k, v in measured["potential_bits"].items()),
            "lanes": f"{generated['lanes']} in {len(generated['cores'])} cores",
            "mismatches, gates against golden": f"{simulated['mismatches']} in {simulated['samples']} samples",
            "cycles per inference": builds.cycles(simulated["initiation_interval_cycles"]),
            "utilisation of the lanes": percent(simulated["utilisation"]),
            "LUTs": f"{synth['lut']:,} of {synth['lut_available']:,}",
            "RAM blocks": f"{synth['ram']} of {synth['ram_available']}",
            "Fmax": f"{synth['fmax_mhz']:.1f} MHz",
            "bitstream": synth["bitstream"] or "none",
            "picture": str(self.picture),
            "report": str(self.report),
        }
        failed = [check for check, holds in checks.items() if not holds]
        document = {
            "steps": [{"name": step.name, "seconds": step.seconds, "reused": step.reused} for step in steps],
            "checks": checks,
            **results,
        }
        tables = (
            named_rows("Time", dict(times)),
            named_rows(f"Digits on the {self.board}; accuracies on {len(self.test_split)} test samples", rows),
        )
        return Answer(document, tables, f"Demo: {'; '.join(failed)}: does not hold" if failed else None)


def _accuracy(model: Any, data: Data) -> float:
    """Share of samples whose class the model's largest output names."""
    import torch
    from spikeloom_convert.training import evaluate

    return evaluate(model, torch.from_numpy(data.x).float() / 255, torch.from_numpy(data.labels))[0]
