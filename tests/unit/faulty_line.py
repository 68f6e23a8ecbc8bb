"""A line to a device in software, with its own clock, that loses, alters, repeats and delays bytes as it is told."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from spikeloom.errors import LinkError, LinkTrouble
from spikeloom.link import Device

MOMENT_S = 0.01  # that a read waits in vain


@dataclass(frozen=True)
class Fault:
    """What happens to a byte: `lose`, `alter`, `repeat`, `delay` (with all behind it), `restart` of the device.

    `swallow` loses it and all up to the next zero, which from the start of a frame on is all of it.

    `place` counts the bytes to the device, or where `back` those from it, from the start.
    """

    kind: str
    place: int
    back: bool = False
    seconds: float = 0.3


@dataclass
class Line:
    """A port, and the device at its other end; `now` is the time, `off` a device that is unplugged."""

    new_device: Callable[[], Device]
    faults: Sequence[Fault] = ()
    now: float = 0.0
    off: bool = False
    opened: int = 0
    slow_s: float = 0.0  # of each answer
    counts: list[int] = field(default_factory=lambda: [0, 0])
    device: Device | None = None
    _swallowing: set[bool] = field(default_factory=set)
    _coming: deque[tuple[float, bytes]] = field(default_factory=deque)

    def clock(self) -> float:
        """Seconds since the start."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        if self.device:
            self.device.wait(seconds)

    def connect(self) -> "Line":
        """Open the port."""
        if self.off:
            raise LinkError(LinkTrouble.MISSING, "Port 'line': must exist, and does not")
        self.opened += 1
        self.device = self.device or self.new_device()
        return self

    def write(self, data: bytes) -> None:
        """Bytes to the device, whose answers are on their way at once."""
        self._require()
        for byte in self._through(data, back=False):
            assert self.device is not None
            answer = self.device.receive(byte)
            for part in self._through(answer, back=True):
                due = max(self.now + self.slow_s, self._coming[-1][0] if self._coming else 0.0)
                self._coming.append((due, part))

    def read(self) -> bytes:
        """Bytes that are there, or none after a moment."""
        self._require()
        data = b""
        while self._coming and self._coming[0][0] <= self.now:
            data += self._coming.popleft()[1]
        if not data:
            self.sleep(MOMENT_S)
        return data

    def flush(self) -> None:
        """Forget what came."""
        while self._coming and self._coming[0][0] <= self.now:
            self._coming.popleft()

    def close(self) -> None:
        """Nothing is lost: what is on its way comes later."""

    def _require(self) -> None:
        if self.off:
            self.device = None
            self._coming.clear()
            raise LinkError(LinkTrouble.LOST, "Port 'line': must stay, and went away")

    def _through(self, data: bytes, *, back: bool) -> list[bytes]:
        """The bytes one by one, after what the line does to them."""
        parts = []
        for byte in data:
            here = [fault for fault in self.faults if (fault.place, fault.back) == (self.counts[back], back)]
            self.counts[back] += 1
            part = bytes((byte,))
            for fault in here:
                if fault.kind == "swallow":
                    self._swallowing.add(back)
                elif fault.kind == "lose":
                    part = b""
                elif fault.kind == "alter":
                    part = bytes(value ^ 0x11 for value in part)
                elif fault.kind == "repeat":
                    part = part * 2
                elif fault.kind == "restart":
                    self.device = self.new_device()
                elif back:
                    self._coming.append((self.now + fault.seconds, b""))
                else:
                    self.sleep(fault.seconds)
            if back in self._swallowing:
                part = b""
                if byte == 0:
                    self._swallowing.remove(back)
            parts.append(part)
        return parts
