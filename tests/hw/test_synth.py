"""Synthesis: a tiny build becomes a bitstream; whatever goes wrong is one line and leaves no bitstream."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from manifests import redirect
from random_networks import RandomNetwork
from spikeloom import DoesNotFit, Network, SpikeloomError, ToolError
from spikeloom.link import Identity
from spikeloom_hw.bitstream import implant, synth
from spikeloom_hw.bitstream.place_and_route import Routed
from spikeloom_hw.bitstream.synth_result import critical_path, result_of
from spikeloom_hw.boards import board_list
from spikeloom_hw.boards.devices import DEVICES
from spikeloom_hw.boards.pll import fastest
from spikeloom_hw.build import Build, generate


def tiny(hidden: int = 2) -> Network:
    return RandomNetwork(np.random.default_rng(1), (1, 1, 4), 2, "tiny").dense(hidden).readout(2)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of a network that almost any board holds."""
    return generate(tiny(), tmp_path_factory.mktemp("synth") / "build", board="ice40-hx8k", lanes=2).folder


@pytest.fixture
def build(built: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(built, tmp_path / "build"))


def test_build_becomes_a_bitstream_with_figures_and_signs_of_progress(build: Path) -> None:
    said: list[str] = []
    result = synth.synth(build, clock="oscillator", seed=3, progress=said.append)
    assert [text for text in said if "," not in text] == ["synthesise", "pack", "place", "route", "write bitstream"]
    assert result.bitstream == str(build / "tiny-ice40-hx8k.bin")
    assert 130_000 < Path(result.bitstream).stat().st_size < 140_000
    assert (result.board, result.seed, result.clock_mhz, result.timing_met) == ("ice40-hx8k", 3, 12.0, True)
    assert (result.oscillator_mhz, result.pll, result.fmax_mhz_by_seed) == (12.0, "", ((3, result.fmax_mhz),))
    assert result.fmax_mhz > 12
    assert 100 < result.lut < result.lut_available == 7680
    assert 0 <= result.ram < result.ram_available == 32
    assert 100 < result.ff < result.lut
    assert (result.dsp, result.dsp_available) == (0, 0)
    assert result.utilisation["ICESTORM_LC"] == {"used": result.lut, "available": 7680}
    assert result.critical_path
    assert not any("SB_" in name for name in result.critical_path)
    assert result.digest == json.loads((build / "manifest.json").read_text())["digest"]
    written = json.loads((build / "synth" / "ice40-hx8k" / "synth.json").read_text())
    assert written == json.loads(json.dumps(asdict(result)))
    assert Path(result.log).read_text().count("Program finished normally") == 1


def test_clock_that_is_not_met_is_a_result_without_a_bitstream(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(board_list.BOARDS, "ice40-hx8k", replace(board_list.BOARDS["ice40-hx8k"], clock_mhz=500.0))
    (build / "tiny-ice40-hx8k.bin").write_bytes(b"from an earlier run")
    routed(monkeypatch, lambda mhz: 60.0)
    result = synth.synth(build, clock="oscillator")
    assert (result.timing_met, result.bitstream, result.clock_mhz) == (False, None, 500.0)
    assert list(build.glob("*.bin")) == []
    result = synth.synth(build, clock="oscillator", allow_timing_failure=True)
    assert (result.timing_met, result.bitstream) == (False, str(build / "tiny-ice40-hx8k.bin"))
    assert (build / "tiny-ice40-hx8k.bin").read_bytes() == b"packed oscillator"


def routed(monkeypatch: pytest.MonkeyPatch, fmax: Callable[[float], float]) -> list[str]:
    """Instead of the tools: an Fmax for a clock, and a bitstream with the name of its folder; gives what was tried."""
    tried: list[str] = []

    def run(tool: str, args: list[str], folder: Path, log: Path, stages: synth.Stages) -> None:
        if "pack" in tool:
            (folder / args[-1]).write_bytes(f"packed {folder.name}".encode())

    def place_and_route(board: object, platform: object, folder: Path, *, seeds: range, **options: object) -> list:
        tried.append(folder.name)
        (folder / f"seed{seeds[0]}").mkdir()
        mhz = 12.0 if folder.name == "oscillator" else float(folder.name.removesuffix("mhz"))
        report = {"utilization": {}, "critical_paths": [], "fmax": {}}
        return [Routed(seed, f"seed{seed}", fmax(mhz), report, "") for seed in seeds]

    for module in (synth, implant):  # the second one packs
        monkeypatch.setattr(module, "run", run)
    monkeypatch.setattr(synth, "place_and_route", place_and_route)
    return tried


def test_clock_is_the_fastest_of_the_pll_that_what_was_routed_allows(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = routed(monkeypatch, lambda mhz: 60.0)
    result = synth.synth(build)
    assert tried == ["oscillator", "57.000mhz"]  # 95 % of 60
    assert (result.clock_mhz, result.pll, result.oscillator_mhz, result.timing_met) == (57.0, "SB_PLL40_CORE", 12, True)
    assert (build / "tiny-ice40-hx8k.bin").read_bytes() == b"packed 57.000mhz"


def test_clock_of_the_pll_that_is_not_met_is_lowered_and_at_last_given_up(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = routed(monkeypatch, lambda mhz: 60.0 if mhz < 50 else 50.0)
    assert synth.synth(build).clock_mhz == 47.25
    assert tried == ["oscillator", "57.000mhz", "47.250mhz"]
    tried = routed(monkeypatch, lambda mhz: 60.0 if mhz == 12 else mhz - 1)
    result = synth.synth(build)
    assert (result.clock_mhz, result.pll, result.timing_met) == (12.0, "", True)
    assert len(tried) == 1 + synth.ROUNDS


def test_oscillator_that_is_too_fast_is_divided(build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = replace(board_list.BOARDS["ice40-hx8k"], clock_mhz=100.0)
    monkeypatch.setitem(board_list.BOARDS, "ice40-hx8k", fast)
    routed(monkeypatch, lambda mhz: 60.0)
    result = synth.synth(build)
    pll = fastest(fast, 57.0)
    assert pll is not None
    assert (result.clock_mhz, result.timing_met) == (round(float(pll.mhz), 4), True)
    assert 56 < result.clock_mhz <= 57


@pytest.mark.parametrize(
    ("board", "contents", "own"),
    [
        ("tang-nano-9k", "loadable", True),  # nothing is put into bitstreams of this family afterwards
        ("gatemate-evb", "replaceable", True),
        ("ice40-hx8k", "replaceable", False),
    ],
)
def test_board_tells_the_identity_of_its_build_or_is_told_it_after_placing(
    board: str, contents: str, own: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object) -> None:
        raise ToolError("enough")

    build = generate(tiny(), tmp_path / "build", board=board, contents=contents, lanes=2)
    monkeypatch.setattr(synth, "run", stop)
    with pytest.raises(ToolError, match=r"^enough$"):
        synth.synth(build.folder, clock="oscillator")
    text = (build.folder / "synth" / board / "oscillator" / "top.il").read_text()
    found = re.search(r'MEMID "\\\\identity".*?DATA \d+\'([01]+)', text, re.DOTALL)
    assert found
    told = int(found[1], 2).to_bytes(len(found[1]) // 8, "little")
    identity = Identity.of(build.manifest, clock_hz=round(1e6 * board_list.BOARDS[board].clock_mhz)).payload()
    assert told.startswith(identity) == own


@pytest.mark.parametrize("seeds", [0, 1001, 10**12])
def test_no_seeds_and_too_many_are_refused(seeds: int, build: Path) -> None:
    with pytest.raises(SpikeloomError, match=rf"^Seeds: must be 1\.\.1000, not {seeds}$"):
        synth.synth(build, seeds=seeds)


def test_design_that_does_not_fit_names_every_resource_and_leaves_no_bitstream(tmp_path: Path) -> None:
    network = RandomNetwork(np.random.default_rng(1), (1, 4, 4), 4, "wide").dense(24).readout(4)
    build = generate(network, tmp_path / "build", lanes=24).folder
    redirect(build, board="icestick")
    with pytest.raises(DoesNotFit) as caught:
        synth.synth(build)
    message = str(caught.value)
    assert message.startswith("Board 'icestick': must have room for the design, but has not: ICESTORM_LC ")
    assert message.endswith(" (used/available); use fewer lanes or a larger board")
    assert "/1280" in message
    assert "\n" not in message
    assert list(build.glob("*.bin")) == []


def test_build_for_no_board_is_refused(build: Path) -> None:
    redirect(build, board="none")
    with pytest.raises(SpikeloomError) as caught:
        synth.synth(build)
    assert str(caught.value) == (
        f"Build '{build}': board must be one that `spikeloom boards` lists, not none; generate it again with --board"
    )


def test_build_whose_network_is_another_is_refused(build: Path) -> None:
    tiny(hidden=3).save(build / "network.loom")
    with pytest.raises(
        SpikeloomError, match=r"^Build '.*': network.loom must have digest \w{16}, not \w{16}; generate"
    ):
        synth.synth(build)


def test_folder_that_is_no_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpikeloomError, match=r"^Build '.*nothing': has no manifest.json; `spikeloom generate` makes"):
        synth.synth(tmp_path / "nothing")


def test_tool_that_fails_names_the_stage_the_cause_and_the_log(build: Path) -> None:
    broken = "module spikeloom(;\n"
    (build / "spikeloom.v").write_text(broken)
    redirect(build, sha256={"spikeloom.v": hashlib.sha256(broken.encode()).hexdigest()})
    with pytest.raises(ToolError) as caught:
        synth.synth(build)
    assert str(caught.value) == (
        "Synthesis, stage synthesise: must exit with 0, not 1 (spikeloom.v:1: ERROR: syntax error, unexpected ';'); "
        f"the whole output is in {build / 'synth' / 'ice40-hx8k' / 'oscillator' / 'yosys.log'}"
    )
    assert list(build.glob("*.bin")) == []


def test_design_that_was_altered_is_not_synthesised(build: Path) -> None:
    with (build / "spikeloom.v").open("a") as file:
        file.write("// one more line\n")
    with pytest.raises(SpikeloomError) as caught:
        synth.synth(build)
    assert str(caught.value) == f"Build '{build}': spikeloom.v must be as generated, not altered; generate it again"


def test_folder_that_cannot_be_written_is_one_line(build: Path) -> None:
    (build / "synth").write_text("a file, not a folder")
    with pytest.raises(SpikeloomError) as caught:
        synth.synth(build)
    assert str(caught.value) == (
        f"Build '{build}': must be writable (Not a directory: {build / 'synth' / 'ice40-hx8k'}); make room or copy it"
    )


def test_block_rams_that_the_report_calls_otherwise_are_those_that_were_placed(tmp_path: Path) -> None:
    usage = {"RAM_HALF": {"used": 6, "available": 64}, "CPE_LT": {"used": 40, "available": 40960}}
    report = {"utilization": usage, "critical_paths": [], "fmax": {}}
    log = "Info: \t             CPE_LT:      40/  40960     0%\nInfo: \t            RAM_HALF:       9/     64    14%\n"
    routed = Routed(1, "seed1", 30.0, report, log)
    result = result_of(board_list.BOARDS["gatemate-evb"], None, 10.0, [routed], tmp_path)
    assert (result.ram, result.ram_available, result.lut) == (9, 64, 40)


def test_critical_path_has_the_names_of_the_design() -> None:
    def step(source: str, sink: str, delay: float) -> dict:
        return {"from": {"cell": source}, "to": {"cell": sink}, "delay": delay}

    clock = "posedge $glbnet$cd_sync.clk"
    cells = [
        "serial.core.core.l1_conv1.banks.data.0.0_DP16KD", "serial.core.core.l1_conv1.lanes.sum_LUT4_Z_1",
        "serial.core.core.l1_conv1.lanes.sum_CCU2C_S0$CCU2_COMB1", "$nextpnr_CCU2C_7",
        "serial.core.core.l1_conv1.held_TRELLIS_FF_Q_5",
    ]  # fmt: skip
    slow = [step(a, b, 2.0) for a, b in pairwise(cells)]
    report = {
        "critical_paths": [
            {"from": "<async>", "to": clock, "path": [step("x", "y", 99.0)]},
            {"from": clock, "to": clock, "path": [step("a", "b", 1.0)]},
            {"from": clock, "to": clock, "path": slow},
        ]
    }
    names = ("l1_conv1.banks.data.0.0", "l1_conv1.lanes.sum", "l1_conv1.held")
    assert critical_path(report) == names
    assert critical_path({"critical_paths": []}) == ()


@pytest.mark.slow
@pytest.mark.parametrize("board", [name for name, board in board_list.BOARDS.items() if board.lut > 2000])
def test_every_board_gets_a_bitstream(board: str, tmp_path: Path) -> None:
    build = generate(tiny(), tmp_path / "build", board=board).folder
    result = synth.synth(build, clock="oscillator", seeds=2)
    assert result.bitstream is not None
    assert result.timing_met
    device = DEVICES[board_list.BOARDS[board].device]
    assert (result.lut_available, result.ram_available) == (device.lut, device.ram_blocks)


@pytest.mark.slow
@pytest.mark.parametrize("board", ["ulx3s-25f", "icebreaker", "tang-nano-9k", "olimex-gatemate"])
def test_clock_of_the_pll_is_met_in_every_family(board: str, tmp_path: Path) -> None:
    build = generate(tiny(), tmp_path / "build", board=board).folder
    result = synth.synth(build)
    assert result.pll == board_list.BOARDS[board].pll
    assert result.fmax_mhz >= result.clock_mhz > result.oscillator_mhz
    said = Path(result.log).read_text()
    assert "PLL" in said


@pytest.mark.parametrize(("board", "blocks", "planned"), [
    ("ulx3s-85f", 105, True), ("ulx3s-85f", 104, False), ("ice40-hx8k", 16, False),
])  # fmt: skip
def test_block_rams_are_placed_first_where_most_are_taken(board: str, blocks: int, planned: bool, build: Path) -> None:
    redirect(build, board=board, ram_blocks=blocks)
    assert synth.crowded(Build.load(build), board_list.BOARDS[board]) == planned
