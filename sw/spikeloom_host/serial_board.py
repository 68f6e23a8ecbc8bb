"""A board at a serial port."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from spikeloom.errors import LinkError, LinkTrouble
from spikeloom.link import (
    Ack,
    Checksum,
    GetChecksum,
    GetStatistics,
    Identity,
    MalformedMessage,
    MemoryLoad,
    Read,
    Request,
    Reset,
    Result,
    Sample,
    Statistics,
)

from .board import Answers, Closing, OnSamples, Target
from .serial_port import BAUD, SerialPort, described
from .session import TIMEOUT_S, Job, Session, Step

CHUNK_BYTES = 1 << 20  # of samples that are coded at a time


class SerialBoard(Closing):
    """A board at a serial port, or the virtual board at a pseudo-terminal.

    The port is opened at the first call, and again at the next one after an error. Calls recover from lost, damaged
    and repeated bytes and from a board that restarts, and give the right answers or raise LinkError when nothing new
    has come for `timeout_s`.

    Parameters
    ----------
    path : of the port.
    target : what the board must hold.
    baud : bits a second.
    timeout_s : see above; longer than the board needs for one sample.
    """

    def __init__(self, path: str, target: Target, *, baud: int = BAUD, timeout_s: float = TIMEOUT_S) -> None:
        self.path, self.target = path, target
        self._session = Session(
            path,
            partial(SerialPort, path, baud, timeout_s / 2),
            expected=target.identity,
            timeout_s=timeout_s,
            describe=partial(described, path),
        )
        self._held: Sequence[MemoryLoad] = ()
        self._held_at = 0  # greetings of the session in which it held them

    def identify(self) -> Identity:
        """What the board says it is, with its clock."""
        return self._session.identify()

    def infer(self, x: np.ndarray, on_samples: OnSamples | None = None) -> Answers:
        """See `Board.infer`; where parameters were loaded or required, a board that has lost them is an error."""
        identity = self.target.identity
        potentials, classes = [], []
        for start, codes in self._chunks(self.target.codes(x)):
            jobs = [sample_job(identity, sample) for sample in codes]
            told = None if on_samples is None else partial(_tell, on_samples, start)
            for replies in self._session.run(jobs, told):
                data = b"".join(reply.data for reply in replies if isinstance(reply, Result))
                try:
                    values, indices = identity.unpack_result(data)
                except MalformedMessage as error:
                    why = f"Board at '{self.path}': must be understood, and is not: {error}"
                    raise LinkError(LinkTrouble.UNANSWERED, why) from None
                potentials.append(values)
                classes.append(indices)
            if self._held and self._session.greetings != self._held_at:
                self.require(self._held)
        return self.target.answers(potentials, classes)

    def load(self, loads: Sequence[MemoryLoad], on_frames: OnSamples | None = None) -> None:
        """Load parameters, see `spikeloom.link.memory_loads`, and see to it that the board holds them.

        A board that loses its power in between is noticed. `on_frames` is told how many frames are there.
        """
        self._session.run([[Step(frame, Ack)] for load in loads for frame in load.frames], on_frames)
        self.require(loads)

    def require(self, loads: Sequence[MemoryLoad]) -> None:
        """Raise LinkError where the parameter memories of the board hold something else, now or after an inference."""
        self._session.run([])
        self._held, self._held_at = loads, self._session.greetings
        found = self._session.run([[Step(GetChecksum(load.memory), Checksum)] for load in loads])
        wrong = [
            str(load.memory)
            for load, (reply,) in zip(loads, found, strict=True)
            if not isinstance(reply, Checksum) or reply.crc != load.checksum
        ]
        if wrong:
            raise LinkError(
                LinkTrouble.OTHER_PARAMETERS,
                f"Board at '{self.path}': must hold the parameters of '{self.target.network.name}' "
                f"({self.target.network.digest[:16]}), but has others in memory {', '.join(wrong)}; load "
                "them with `spikeloom load`, or name what it holds with --network",
            )

    def statistics(self) -> Statistics:
        """What the board counted since its last reset."""
        [[reply]] = self._session.run([[Step(GetStatistics(), Statistics)]])
        assert isinstance(reply, Statistics)
        return reply

    def reset(self) -> None:
        """Clear the core, and what was counted."""
        self._session.run([[Step(Reset(), Ack)]])

    def close(self) -> None:
        """Let go of the port."""
        self._session.close()

    def _chunks(self, codes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Codes of some samples, and the number of the first."""
        size = max(1, CHUNK_BYTES // self.target.identity.sample_bytes)
        for start in range(0, len(codes), size):
            yield start, codes[start : start + size]


def sample_job(identity: Identity, codes: np.ndarray) -> Job:
    """Requests for the answer to one sample, codes [neurons]: its frames, and what of the result is beyond a frame."""
    data, size = identity.pack_codes(codes), identity.frame_bytes
    frames: list[Request] = [Sample(data[place : place + size]) for place in range(0, len(data), size)]
    reads = [Read(place) for place in range(size, identity.result_bytes, size)]
    dues = [Ack] * (len(frames) - 1) + [Result] * (1 + len(reads))
    return [Step(request, due) for request, due in zip([*frames, *reads], dues, strict=True)]


def _tell(on_samples: OnSamples, start: int, done: int) -> None:
    on_samples(start + done)
