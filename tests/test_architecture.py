"""The house rules that a machine can check: who may import whom, how long a file may be, what no file may hold."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {
    "spikeloom": "sw",
    "spikeloom_convert": "sw",
    "spikeloom_host": "sw",
    "spikeloom_cli": "sw",
    "spikeloom_hw": "hw",
    "spikeloom_sim": "sim",
}
# cli -> sim -> hw -> spikeloom <- convert <- cli; sim -> host -> spikeloom, host <- cli
MAY_IMPORT = {
    "spikeloom": set(),
    "spikeloom_convert": {"spikeloom"},
    "spikeloom_host": {"spikeloom"},
    "spikeloom_hw": {"spikeloom"},
    "spikeloom_sim": {"spikeloom", "spikeloom_host", "spikeloom_hw"},
    "spikeloom_cli": {"spikeloom", "spikeloom_convert", "spikeloom_host", "spikeloom_hw", "spikeloom_sim"},
}
LONGEST = 400
SOURCES = sorted(path for room, folder in FOLDERS.items() for path in (ROOT / folder / room).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
# importing one of these, or from it, runs code that came with data
CODE_IN_DATA = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle"}
FORBIDDEN_CALLS = {"eval", "exec", "os.system", "os.popen"}
CATCH_ALL = {"Exception", "BaseException"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[1]


def imported_modules(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full name of every absolute import, wherever it stands; importlib.import_module with a constant too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value


def wrong_imports(path: Path, room: str) -> list[str]:
    found = []
    for line, module in imported_modules(tree_of(path)):
        top = module.split(".")[0]
        if top in FOLDERS and top != room and top not in MAY_IMPORT[room]:
            found.append(f"{path.name}:{line} imports {module}")
        if top == "tests":
            found.append(f"{path.name}:{line} imports from the tests")
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.level > len(path.relative_to(ROOT).parts) - 2:
            found.append(f"{path.name}:{node.lineno} leaves its room by a relative import")
    return found


def own_imports(path: Path) -> Iterator[tuple[str, ...]]:
    """What a source imports from its own room, as paths from there: ("core", "lanes") for `.core.lanes`."""
    here = path.relative_to(ROOT).parts[2:-1]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom):
            base = tuple((node.module or "").split("."))
            if node.level:
                base = (*here[: len(here) - node.level + 1], *base)
            elif base[0] == room_of(path):
                base = base[1:]
            else:
                continue
            yield from (tuple(filter(None, (*base, alias.name))) for alias in node.names)


def arrows(room: str, sources: list[Path]) -> dict[str, set[str]]:
    """Which folder or file of a room imports which others; programs, `__main__.py`, and the room itself may any."""
    found: dict[str, set[str]] = {}
    for path in sources:
        part = path.relative_to(ROOT).parts[2].removesuffix(".py")
        if room_of(path) == room and path.name != "__main__.py" and part != "__init__":
            found.setdefault(part, set()).update(item[0] for item in own_imports(path) if item[0] != part)
    return found


def circles(found: dict[str, set[str]], folders: set[str]) -> list[str]:
    """Folders whose imports lead back to them."""
    wrong = []
    for folder in sorted(folders & set(found)):
        seen, open_ends = set(), set(found[folder])
        while open_ends:
            part = open_ends.pop()
            seen.add(part)
            open_ends |= found.get(part, set()) - seen
        if folder in seen:
            wrong.append(folder)
    return wrong


def forbidden(tree: ast.Module) -> list[str]:
    """What no source file may hold, as sentences with their line."""
    found = [f"{line}: import {name}" for line, name in imported_modules(tree) if name.split(".")[0] in CODE_IN_DATA]
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Name) and node.id in ("NotImplementedError", "NotImplemented"):
            found.append(f"{line}: {node.id}")
        elif isinstance(node, ast.ExceptHandler) and not passes_on(node):
            kinds = ast.walk(node.type) if node.type else ()
            if node.type is None or any(isinstance(kind, ast.Name) and kind.id in CATCH_ALL for kind in kinds):
                found.append(f"{line}: except that catches everything")
        elif isinstance(node, ast.Call):
            found += [f"{line}: {what}" for what in forbidden_call(node)]
    return found


def passes_on(handler: ast.ExceptHandler) -> bool:
    """Whether a handler ends with a bare raise: it cleans up, and catches nothing."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def forbidden_call(node: ast.Call) -> list[str]:
    """What is wrong with a call."""
    name, options = ast.unparse(node.func), {item.arg: ast.unparse(item.value) for item in node.keywords}
    found = [f"{name}()"] if name in FORBIDDEN_CALLS else []
    found += [f"{option}=" for option in ("shell", "allow_pickle") if options.get(option, "False") != "False"]
    if name == "torch.load" and options.get("weights_only") != "True":
        found.append("torch.load without weights_only=True")
    return found


def test_every_room_is_there_and_no_other() -> None:
    rooms = {
        path.parent.name: path.parent.parent.name
        for folder in ("hw", "sw", "sim")
        for path in (ROOT / folder).glob("*/__init__.py")
    }
    assert rooms == FOLDERS


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_follow_the_house(path: Path) -> None:
    assert wrong_imports(path, room_of(path)) == []


@pytest.mark.parametrize("room", FOLDERS)
def test_folders_of_a_room_do_not_lead_back_to_themselves(room: str) -> None:
    folders = {path.parent.name for path in (ROOT / FOLDERS[room] / room).glob("*/__init__.py")}
    assert circles(arrows(room, SOURCES), folders) == []


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=name_of)
def test_files_are_one_room_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_sources_hold_nothing_forbidden(path: Path) -> None:
    assert forbidden(tree_of(path)) == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_say_their_purpose_in_one_sentence(path: Path) -> None:
    text = ast.get_docstring(tree_of(path)) or ""
    assert text.splitlines()[:1] != []
    assert text.split("\n\n")[0].rstrip()[-1] in ".:"


@pytest.mark.parametrize("path", [path for path in SOURCES if room_of(path) == "spikeloom_hw"], ids=name_of)
def test_hardware_keeps_its_annotations_alive(path: Path) -> None:
    assert not any(
        isinstance(node, ast.ImportFrom) and node.module == "__future__" and node.names[0].name == "annotations"
        for node in ast.walk(tree_of(path))
    )


def test_loading_networks_and_boards_leaves_torch_alone() -> None:
    import subprocess

    code = "import sys, spikeloom.network, spikeloom_cli.app; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_rules_catch_what_they_are_for() -> None:
    bad = """
import pickle
try:
    eval("1")
except Exception:
    raise NotImplementedError
except BaseException:
    clean_up()
    raise
except (ValueError, Exception):
    subprocess.run("ls", shell=True)
np.load(path, allow_pickle=True)
torch.load(path)
"""
    assert sorted(item.split(": ", 1)[1] for item in forbidden(ast.parse(bad))) == [
        "NotImplementedError",
        "allow_pickle=",
        "eval()",
        "except that catches everything",
        "except that catches everything",
        "import pickle",
        "shell=",
        "torch.load without weights_only=True",
    ]


def test_import_rule_catches_a_step_in_the_wrong_direction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "sw" / "spikeloom" / "bad.py"
    path.parent.mkdir(parents=True)
    path.write_text("from spikeloom_hw import core\nimport spikeloom_cli.app\nfrom ...hw import x\nimport numpy\n")
    assert wrong_imports(path, "spikeloom") == [
        "bad.py:1 imports spikeloom_hw",
        "bad.py:2 imports spikeloom_cli.app",
        "bad.py:3 leaves its room by a relative import",
    ]


def test_circles_are_found_over_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    room = tmp_path / "sw" / "spikeloom"
    for name, text in {
        "a/x.py": "from ..b import y",
        "b/y.py": "from .. import c",
        "c.py": "from .a.x import z",
    }.items():
        (room / name).parent.mkdir(parents=True, exist_ok=True)
        (room / name).write_text(text + "\n")
    found = arrows("spikeloom", sorted(room.rglob("*.py")))
    assert found == {"a": {"b"}, "b": {"c"}, "c": {"a"}}
    assert circles(found, {"a", "b"}) == ["a", "b"]
    assert circles(found | {"c": set()}, {"a", "b"}) == []
