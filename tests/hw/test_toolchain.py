"""Tools: found, wrapped where a wheel lacks the command, run with a log, and ended when we are."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from spikeloom import ToolError
from spikeloom_hw import toolchain
from spikeloom_hw.doctor import tools as doctor


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of this test's own."""
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(script: str, folder: Path, **options: object) -> float:
    return toolchain.run("sh", ["-c", script], cwd=folder, log=folder / "tool.log", **options)


def test_shims_are_written_once_and_mended_when_they_are_damaged(cache: Path) -> None:
    folder = toolchain.shims()
    assert sorted(path.name for path in folder.iterdir()) == ["python", "verilator", "yosys"]
    written = (folder / "yosys").stat()
    assert (toolchain.shims() / "yosys").stat().st_ino == written.st_ino
    text = (folder / "verilator").read_text()
    (folder / "verilator").write_text("#!/bin/sh\n")
    (folder / "yosys").chmod(0o644)
    (folder / "python").unlink()
    toolchain.shims()
    assert (folder / "verilator").read_text() == text
    assert all(os.access(folder / name, os.X_OK) for name in ("python", "verilator", "yosys"))


def test_python_verilator_and_yosys_run_without_perl(cache: Path, tmp_path: Path) -> None:
    env = toolchain.environment() | {"PATH": str(toolchain.shims()), "VERILATOR_ROOT": "/nonsense"}
    for name, argument, start in (
        ("python", "--version", f"Python {sys.version.split()[0]}"),
        ("verilator", "--version", " rev "),
        ("yosys", "-V", "Yosys 0.70"),
    ):
        said = subprocess.run([toolchain.find(name), argument], env=env, capture_output=True, text=True, check=True)
        assert said.stdout.startswith(start)


def test_cache_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPIKELOOM_CACHE", str(tmp_path / "file"))
    with pytest.raises(ToolError) as caught:
        toolchain.environment()
    folder = tmp_path / "file" / "bin"
    assert str(caught.value).startswith(f"Cache '{folder}")
    assert str(caught.value).endswith("must be writable (Not a directory); set SPIKELOOM_CACHE to a folder that is")


def test_environment_hides_the_make_that_called_us_and_keeps_the_callers_caches(cache: Path) -> None:
    env = toolchain.environment({"MAKELEVEL": "2", "MAKEFLAGS": "-j --jobserver-auth=3,4", "CCACHE_DIR": "/mine"})
    assert "MAKELEVEL" not in env
    assert (env["MAKEFLAGS"], env["CCACHE_DIR"]) == ("CFG_CXXFLAGS_PCH_I=-include", "/mine")
    assert env["YOWASP_CACHE_DIR"] == str(cache / "yowasp")


def test_every_tool_that_amaranth_asks_for_is_found() -> None:
    env = toolchain.environment()
    for name in ("YOSYS", "NEXTPNR_ECP5", "ECPPACK", "NEXTPNR_ICE40", "ICEPACK", "OBJCACHE"):
        assert toolchain.find(env[name]) is not None, name


def test_output_goes_to_the_log_and_to_the_listener_line_by_line(tmp_path: Path) -> None:
    lines: list[str] = []
    seconds = run("echo one; echo two >&2; printf three", tmp_path, on_line=lines.append)
    assert lines == ["one", "two", "three"]
    assert (tmp_path / "tool.log").read_text() == "# sh -c 'echo one; echo two >&2; printf three'\none\ntwo\nthree"
    assert 0 < seconds < 60


def test_waiting_is_reported_while_a_tool_says_nothing(tmp_path: Path) -> None:
    waited: list[float] = []
    run("sleep 2.5", tmp_path, on_wait=waited.append)
    assert len(waited) == 2
    assert waited == sorted(waited)


@pytest.mark.parametrize(
    ("script", "ended"),
    [
        ("echo fine; echo 'ERROR: no such cell'; echo bye; exit 3", "exit with 0, not 3 (ERROR: no such cell)"),
        ("echo 'a.v:3: error: x'; echo 'b.v:4: error: y'; exit 1", "exit with 0, not 1 (a.v:3: error: x)"),
        (
            "echo '%Error: a.v:1: bad'; echo '%Error: Exiting due to 1'; exit 1",
            "exit with 0, not 1 (%Error: a.v:1: bad)",
        ),
        ("echo a; echo 'ValueError: b'; exit 1", "exit with 0, not 1 (ValueError: b)"),
        ("echo a; echo b; exit 1", "exit with 0, not 1 (b)"),
        ("exit 1", "exit with 0, not 1 (it said nothing)"),
        ("kill -9 $$", "end by itself, not by SIGKILL (it said nothing)"),
    ],
)
def test_tool_that_fails_is_one_line_with_its_cause(script: str, ended: str, tmp_path: Path) -> None:
    with pytest.raises(ToolError) as caught:
        run(script, tmp_path)
    assert str(caught.value) == f"Tool 'sh': must {ended}; the whole output is in {tmp_path / 'tool.log'}"


def test_tool_that_is_missing_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as caught:
        toolchain.run("g++", [], cwd=tmp_path, log=tmp_path / "log", env={"PATH": str(tmp_path)})
    assert str(caught.value) == ("Tool 'g++': must be on PATH, not missing; install it (Debian: apt-get install g++)")


def test_log_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "tool.log").mkdir()
    with pytest.raises(ToolError) as caught:
        run("true", tmp_path)
    assert (
        str(caught.value) == f"Tool 'sh': must be able to read and write '{tmp_path / 'tool.log'}', not Is a directory"
    )


@pytest.mark.parametrize("stubborn", ["", "trap '' INT; "])
def test_interrupt_ends_the_tool_and_what_it_started(
    stubborn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolchain, "GRACE_SECONDS", 0.3)
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        run(f"{stubborn}sleep 60 & echo $!; wait; sleep 60", tmp_path)
    child = int((tmp_path / "tool.log").read_text().splitlines()[1])
    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}/stat").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{child}").exists()


def test_error_in_the_listener_ends_the_tool(tmp_path: Path) -> None:
    def listen(line: str) -> None:
        raise RuntimeError(line)

    start = time.monotonic()
    with pytest.raises(RuntimeError, match=r"^hello$"):
        run("echo hello; sleep 60", tmp_path, on_line=listen)
    assert time.monotonic() - start < 30


def test_yosys_runs_scripts_and_writes_its_log(tmp_path: Path) -> None:
    (tmp_path / "wire.v").write_text("module wire_only(input a, output b); assign b = a; endmodule\n")
    (tmp_path / "run.ys").write_text("read_verilog wire.v\nhierarchy -top wire_only\nwrite_json out.json\n")
    toolchain.run("yosys", ["-q", "-l", "yosys.log", "run.ys"], cwd=tmp_path, log=tmp_path / "log")
    assert (tmp_path / "out.json").stat().st_size > 100
    assert "Executing JSON backend" in (tmp_path / "yosys.log").read_text()
    assert (tmp_path / "log").read_text() == "# yosys -q -l yosys.log run.ys\n"


def test_yosys_that_fails_says_why_even_when_quiet(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as caught:
        toolchain.run("yosys", ["-q", "-p", "synth_nothing"], cwd=tmp_path, log=tmp_path / "log")
    assert str(caught.value) == (
        "Tool 'yosys': must exit with 0, not 1 (ERROR: No such command: synth_nothing (type 'help' for a command "
        f"overview)); the whole output is in {tmp_path / 'log'}"
    )


def test_doctor_finds_everything_that_is_not_optional() -> None:
    checks = {check.name: check for check in doctor.checks()}
    assert [name for name, check in checks.items() if not check.found and not check.optional] == []
    assert checks["pyosys"] == doctor.Check("pyosys", "0.70", True)
    assert checks["iverilog"].optional


def test_doctor_says_how_to_mend_a_missing_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "find", lambda name: None)
    checks = {check.name: check for check in doctor.checks()}
    assert checks["make"] == doctor.Check("make", None, False, mend="install it (Debian: apt-get install make)")
    assert checks["iverilog"].optional
    assert not checks["iverilog"].found


def test_doctor_says_how_to_mend_a_package_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "requirements", lambda: [("amaranth", "99.1", False), ("nowhere-at-all", None, True)])
    checks = {check.name: check for check in doctor.checks()}
    assert (checks["amaranth"].found, checks["amaranth"].mend) == (False, "pip install 'amaranth==99.1'")
    assert checks["nowhere-at-all"] == doctor.Check("nowhere-at-all", None, False, True, "pip install 'nowhere-at-all'")


def test_doctor_asks_for_what_this_project_requires(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["torch==2.13.0", "amaranth[builtin-yosys]==0.5.10", "nir<2,>=1.0.8", 'pytest==9.2.0; extra == "dev"']
    monkeypatch.setattr("importlib.metadata.requires", lambda name: lines)
    assert doctor.requirements() == [
        ("torch", "2.13.0", False),
        ("amaranth", "0.5.10", False),
        ("nir", None, False),
        ("pytest", "9.2.0", True),
    ]
    monkeypatch.setattr("importlib.metadata.requires", lambda name: None)
    assert [name for name, _, _ in doctor.requirements()] == list(doctor.PACKAGES)


def test_warming_runs_every_tool_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr(toolchain, "run", lambda tool, args, **options: ran.append(tool))
    doctor.warm()
    assert tuple(ran) == doctor.WASM
