"""Serial ports: which there are and what is plugged in, and one of them, opened, with errors in plain words."""

import contextlib
import errno
import os
import stat
from dataclasses import dataclass

try:
    import termios
except ImportError:  # Windows, where pyserial does without
    termios = None  # type: ignore[assignment]  # not on Windows

import serial
from serial.tools import list_ports
from spikeloom.errors import LinkError, LinkTrouble, shown

BAUD = 115200
READ_SECONDS = 0.02  # of waiting for a byte; who needs longer asks again
# What sits between USB and the device, by vendor and product, as the boards' makers and the chips' drivers name them.
USB_CHIPS = {
    (0x0403, 0x6001): "FTDI FT232R",
    (0x0403, 0x6010): "FTDI FT2232, as on iCEBreaker, iCEstick, iCE40-HX8K and ECP5 evaluation boards",
    (0x0403, 0x6011): "FTDI FT4232",
    (0x0403, 0x6014): "FTDI FT232H",
    (0x0403, 0x6015): "FTDI FT231X, as on ULX3S",
    (0x10C4, 0xEA60): "Silicon Labs CP210x",
    (0x1A86, 0x7523): "WCH CH340",
    (0x2E8A, 0x000A): "Raspberry Pi Pico",
}


@dataclass(frozen=True)
class PortInfo:
    """A serial port of this machine: its path, and what is plugged in as far as USB tells."""

    path: str
    what: str
    usb: str | None = None


def ports() -> list[PortInfo]:
    """The serial ports of this machine, those of USB first."""
    found = []
    for item in list_ports.comports():
        usb = None if item.vid is None else f"{item.vid:04x}:{item.pid:04x}"
        chip = USB_CHIPS.get((item.vid, item.pid))
        told = item.description if item.description not in (None, "n/a") else "a serial port"
        found.append(PortInfo(item.device, f"{told} ({chip})" if chip else told, usb))
    return sorted(found, key=lambda port: (port.usb is None, port.path))


def described(path: str) -> str:
    """What is plugged in at a port, for a message: empty, or words in brackets."""
    real = os.path.realpath(path)
    for port in ports():
        if os.path.realpath(port.path) == real:
            return f" ({port.what})"
    return ""


class SerialPort:
    """A serial port, opened: 8 data bits, no parity, one stop bit, for this program alone.

    Parameters
    ----------
    path : of the port, as "/dev/ttyUSB0" or a pseudo-terminal.
    baud : bits a second.
    write_seconds : that a write may take.

    Raises
    ------
    LinkError
        MISSING, REFUSED; later LOST, where it went away.
    """

    def __init__(self, path: str, baud: int = BAUD, write_seconds: float = 1.0) -> None:
        self.path = path
        _require_terminal(path)
        try:
            self._serial = serial.Serial(path, baud, timeout=READ_SECONDS, write_timeout=write_seconds, exclusive=True)
        except (OSError, ValueError, OverflowError) as error:  # SerialException is an OSError
            raise _refused(path, baud, error) from None

    def read(self) -> bytes:
        """Bytes that have come; waits a moment where there are none."""
        try:
            return bytes(self._serial.read(max(1, self._serial.in_waiting)))
        except (OSError, TypeError) as error:  # TypeError: pyserial's, of a port that was closed meanwhile
            raise self._lost(error) from None

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._serial.write(data)
        except serial.SerialTimeoutException:
            raise LinkError(
                LinkTrouble.SILENT,
                f"Port '{self.path}': must take bytes, and does not{described(self.path)}; nobody is at its other end",
            ) from None
        except OSError as error:
            raise self._lost(error) from None

    def flush(self) -> None:
        """Forget bytes that came and were not read, and those that are not sent yet."""
        try:
            self._serial.reset_input_buffer()
            self._serial.reset_output_buffer()
        except (OSError, ValueError, LookupError) as error:
            raise self._lost(error) from None

    def close(self) -> None:
        """Let go of the port."""
        with contextlib.suppress(OSError):
            self._serial.close()

    def _lost(self, error: Exception) -> LinkError:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it was closed"
        return LinkError(
            LinkTrouble.LOST,
            f"Port '{self.path}': must stay, and went away ({why}); plug the board in again, or start it again",
        )


def _require_terminal(path: str) -> None:
    """Raise LinkError where a path on a POSIX machine is no terminal at all, or cannot be used."""
    who = f"Port '{path}'"
    if os.name != "posix":
        return
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) or error.errno != errno.ENOENT:
            why = f"Port {shown(path)}: must be a serial port, not {shown(str(error))}"
            raise LinkError(LinkTrouble.REFUSED, why) from None
        raise LinkError(LinkTrouble.MISSING, f"{who}: must exist, and does not; {_there_are()}") from None
    if not stat.S_ISCHR(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a file" if stat.S_ISREG(mode) else "something else"
        raise LinkError(LinkTrouble.REFUSED, f"{who}: must be a serial port, not {kind}; {_there_are()}")
    if not os.access(path, os.R_OK | os.W_OK):
        raise LinkError(
            LinkTrouble.REFUSED,
            f"{who}: must be readable and writable for you, and is not; join the group it belongs to "
            "(Debian: `sudo adduser $USER dialout`, then log in again)",
        )


def _there_are() -> str:
    names = [f"{port.path}, {port.what}" for port in ports()]
    return f"ports there are: {'; '.join(names)}" if names else "no serial port is plugged in"


def _refused(path: str, baud: int, error: Exception) -> LinkError:
    """Why a port could not be opened."""
    who, number = f"Port '{path}'", getattr(error, "errno", None)
    if number in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EBUSY) or "exclusively lock" in str(error):
        return LinkError(LinkTrouble.REFUSED, f"{who}: must be free, and another program uses it; end that first")
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO):
        return LinkError(LinkTrouble.MISSING, f"{who}: must be plugged in, and is not; {_there_are()}")
    if termios and isinstance(error.__context__, termios.error) and error.__context__.args[0] == errno.ENOTTY:
        return LinkError(LinkTrouble.REFUSED, f"{who}: must be a serial port, not another device; {_there_are()}")
    if not isinstance(error, OSError):
        return LinkError(LinkTrouble.REFUSED, f"{who}: must go at {baud} baud, and cannot; choose another with --baud")
    why = os.strerror(number) if number else shown(str(error))
    return LinkError(
        LinkTrouble.REFUSED, f"{who}: must be a serial port that can be opened, not so: {why}{described(path)}"
    )
