"""A pseudo-terminal as a serial port: one end for a host to open and close as it likes, one end here."""

import contextlib
import os
import select
import tempfile
import tty
from pathlib import Path
from types import TracebackType

from spikeloom import SpikeloomError

LARGEST_BACKLOG = 1 << 16  # bytes that wait for a host to read them, at most


class PseudoTerminal:
    """A serial port that is none; use as a context manager.

    The host's end stays open here too, so that hosts may come and go. Bytes that no host reads wait, up to a limit, and
    then are lost, as on a line.

    Parameters
    ----------
    link : where a symbolic link to the port is kept as long as it exists; None: nowhere.

    Members
    -------
    path : of the port, for the host.

    Raises
    ------
    SpikeloomError
        The machine has no pseudo-terminal left, or the link cannot be made: something else is there.
    """

    def __init__(self, link: Path | None = None) -> None:
        self.link = link
        self._backlog = bytearray()
        try:
            self._here, self._there = os.openpty()
        except OSError as error:
            raise SpikeloomError(
                f"Virtual board: must have a pseudo-terminal, and there is none ({error.strerror}); end other programs"
            ) from None
        try:
            tty.setraw(self._there)
            os.set_blocking(self._here, False)
            self.path = os.ttyname(self._there)
            if link is not None:
                _point(link, self.path)
        except BaseException:
            os.close(self._here)
            os.close(self._there)
            raise

    def __enter__(self) -> "PseudoTerminal":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.link is not None:
            with contextlib.suppress(OSError):
                if os.readlink(self.link) == self.path:
                    self.link.unlink()
        os.close(self._here)
        os.close(self._there)

    def read(self, most: int) -> bytes:
        """Bytes that the host has sent, none where there are none."""
        try:
            return os.read(self._here, most)
        except BlockingIOError:
            return b""

    def write(self, data: bytes = b"") -> None:
        """Send bytes to the host, and those that could not be sent before; never waits."""
        self._backlog += data
        with contextlib.suppress(BlockingIOError):
            del self._backlog[: os.write(self._here, self._backlog)]
        del self._backlog[LARGEST_BACKLOG:]

    def wait(self, seconds: float) -> None:
        """Wait until the host has sent something, or is ready to take what waits for it, so long at most."""
        select.select([self._here], [self._here] if self._backlog else [], [], seconds)


def _point(link: Path, path: str) -> None:
    """Make a symbolic link, in place of one that was left behind."""
    who = f"Link '{link}'"
    if os.path.lexists(link) and not link.is_symlink():
        raise SpikeloomError(f"{who}: must be free, and something is there; remove it or choose another with --link")
    if not link.parent.is_dir():
        raise SpikeloomError(f"{who}: folder '{link.parent}' must exist; make it first")
    try:
        with tempfile.TemporaryDirectory(dir=link.parent, prefix=".spikeloom.") as folder:
            os.symlink(path, new := Path(folder) / "port")
            os.replace(new, link)
    except OSError as error:
        raise SpikeloomError(f"{who}: must be writable ({error.strerror}); choose another with --link") from None
