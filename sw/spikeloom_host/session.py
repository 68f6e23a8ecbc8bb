"""Requests to a board and their replies, in order and to the end, whatever the line does on the way.

The host keeps as many frames unanswered as the board has room for. Where a reply is late, damaged, or not the one that
is due, or the port went away and is back, it opens a new session and asks again from the first job that is not done: a
job is whole or has not been begun, as a board keeps nothing from one to the next.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from spikeloom.errors import LinkError, LinkTrouble
from spikeloom.link import (
    Failure,
    FailureCode,
    Framer,
    Identify,
    Identity,
    MalformedMessage,
    Reply,
    Request,
    frame,
    pack,
    unpack,
)
from spikeloom.link.bodies import SEQUENCES

TIMEOUT_S = 1.75  # so that who waits for a command reads why it failed within two seconds
HASTE = 8  # a reply that is late is asked for again after this part of the timeout, then twice that, and so on
FORGETTING = (
    0.98  # of how slow the slowest reply was, with every reply: a machine that stood still once is no slow board
)
SETTLE_S = 0.03  # a port that was just opened must be still for so long, if it can be: what comes is an earlier host's
REOPEN_S = 0.05  # between attempts to open a port that went away
SHOWN_BYTES = 8  # of what a stranger says
IDENTITY_BYTES = 1024  # payload of an IDENTITY, at most
# Refusals that would be the same the next time; the others are of lost frames, a restart, or a core that was stuck.
FINAL = {FailureCode.KIND, FailureCode.LENGTH, FailureCode.UNSUPPORTED, FailureCode.NO_RESULT}


class Port(Protocol):
    """A line to a board, that was opened; see `serial_port.SerialPort`."""

    def read(self) -> bytes:
        """Bytes that have come; none after waiting a moment."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def flush(self) -> None:
        """Forget what came and was not read."""

    def close(self) -> None:
        """Let go of it."""


@dataclass(frozen=True)
class Step:
    """A request of a job, and the kind of reply that is due."""

    request: Request
    due: type[Reply]


Job = Sequence[Step]


class _Trouble(Exception):
    """An attempt failed: what kind, and why, in words that follow `Board at 'P': `; `late`: by waiting in vain."""

    def __init__(self, kind: LinkTrouble, why: str, *, late: bool = False) -> None:
        super().__init__(why)
        self.kind, self.why, self.late = kind, why, late


@dataclass(frozen=True)
class _Sent:
    """A request that is not answered: its sequence number, its place among all jobs, and when it was sent."""

    sequence: int
    job: int
    step: int
    at: float


class Session:
    """Jobs for one board at one port.

    Parameters
    ----------
    name : of the port, for messages.
    connect : opens the port; LinkError where it cannot.
    expected : the identity that the board must have, but for its clock; None: any.
    timeout_s : without anything new from the board, after which a call ends with an error.
    describe : what is plugged in, for messages.
    seed : of the first sequence number; None: any.
    clock, sleep : seconds, and how they pass.

    Members
    -------
    identity : of the board, None before it was asked.
    greetings : sessions that were opened so far. A board that has restarted is greeted again before it answers.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Port],
        *,
        expected: Identity | None = None,
        timeout_s: float = TIMEOUT_S,
        describe: Callable[[], str] = str,
        seed: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self.expected, self.timeout_s = name, expected, timeout_s
        self.identity: Identity | None = None
        self.greetings = 0
        self._connect, self._describe, self._clock, self._sleep = connect, describe, clock, sleep
        self._sequence = random.Random(seed).randrange(SEQUENCES)
        self._port: Port | None = None
        self._opened = False  # a session, on a port that is open
        self._framer = Framer()
        self._bodies: deque[bytes] = deque()
        self._heard = bytearray()  # since the last IDENTIFY, as far as it is shown
        self._slowest_s = 0.0  # reply so far
        self._deadline = 0.0
        self._late = 0  # attempts in a row that waited in vain
        self._furthest = (-1, 0)  # job and step that were answered in this call; (0, -1): identity alone

    def identify(self) -> Identity:
        """Open a session: what the board is; LinkError as of `run`."""
        self._opened = False
        self.run([])
        assert self.identity is not None
        return self.identity

    def run(self, jobs: Sequence[Job], on_done: Callable[[int], None] | None = None) -> list[list[Reply]]:
        """Replies to each request of each job.

        Parameters
        ----------
        jobs : which a board answers alike however often they are begun.
        on_done : called with the number of jobs that are done.

        Raises
        ------
        LinkError
            The port cannot be opened; or nothing new came for `timeout_s`, whatever was tried; or the board is not the
            one that was expected, or refuses a request. The port is closed then.
        """
        done: list[list[Reply]] = []
        lost: LinkError | None = None
        told: _Trouble | None = None
        self._furthest = (-1, 0)
        self._renew()
        while True:
            began = self._clock()
            try:
                self._open()
                for replies in self._attempt(jobs, len(done)):
                    done.append(replies)
                    if on_done:
                        on_done(len(done))
                return done
            except _Trouble as trouble:
                self._opened = False
                self._late += trouble.late
                # one that had no time left to wait says less than the one before
                if told is None or not trouble.late or self._clock() - began >= self.timeout_s / HASTE:
                    told = trouble
                if self._clock() >= self._deadline:
                    self.close()
                    raise LinkError(told.kind, f"Board at '{self.name}': {told.why}") from None
            except LinkError as error:
                self.close()
                lost = error if error.kind is LinkTrouble.LOST else lost
                if lost is None or error.kind not in (LinkTrouble.LOST, LinkTrouble.MISSING, LinkTrouble.REFUSED):
                    raise
                if self._clock() >= self._deadline:
                    raise lost from None
                self._sleep(REOPEN_S)
            except BaseException:
                self.close()  # replies to what was asked may still come
                raise

    def close(self) -> None:
        """Let go of the port."""
        self._opened = False
        if self._port is not None:
            self._port.close()
            self._port = None

    def _renew(self) -> None:
        self._deadline, self._late = self._clock() + self.timeout_s, 0

    def _answered(self, job: int, step: int, since: float) -> None:
        """A reply came that was due since then; the timeout begins anew only where none ever got so far."""
        self._slowest_s = max(FORGETTING * self._slowest_s, self._clock() - since)
        if (job, step) > self._furthest:
            self._furthest = (job, step)
            self._renew()

    def _open(self) -> None:
        """Open the port and a session, where they are not."""
        if self._port is None:
            self._port = self._connect()
            self._settle(self._port)
        if not self._opened:
            self._greet(self._port)
            self._opened = True

    def _settle(self, port: Port) -> None:
        """Read what an earlier host left over; somebody who never stops talking is let be."""
        port.flush()
        now = self._clock()
        end, still = now + self.timeout_s / HASTE, now + SETTLE_S
        while self._clock() < min(end, still):
            if port.read():
                still = self._clock() + SETTLE_S

    def _greet(self, port: Port) -> None:
        """Ask the board what it is, which ends whatever it was doing."""
        largest = max(IDENTITY_BYTES, self.identity.frame_bytes if self.identity else 0)
        self._framer = Framer(largest)
        self._bodies.clear()
        self._heard.clear()
        sequence = self._next_sequence()
        asked, until = self._clock(), self._until()
        # the zero ends whatever of a frame the board has
        port.write(b"\0" + frame(pack(Identify(), sequence)))
        echo = False
        while (body := self._receive(port, until)) is not None:
            try:
                reply, number = unpack(body)
            except MalformedMessage as error:
                why = f"Board at '{self.name}': must be understood, and is not: {error}"
                raise LinkError(LinkTrouble.STRANGER, why) from None
            if number == sequence and isinstance(reply, Identity):
                self._require(reply)
                self.identity = reply
                self.greetings += 1
                self._answered(0, -1, asked)
                return
            echo = echo or isinstance(reply, Identify)
        raise self._nobody(echo)

    def _require(self, found: Identity) -> None:
        """Raise LinkError where the board holds another build than expected."""
        wanted = self.expected
        if wanted is not None and replace(found, clock_hz=wanted.clock_hz) != wanted:
            raise LinkError(
                LinkTrouble.OTHER_BUILD,
                f"Board at '{self.name}': must hold build {wanted.build:016x}, not {found.build:016x} "
                f"({found.neurons} inputs, {' + '.join(map(str, found.outputs))} outputs); load the bitstream of this "
                "build, or name the other with --build",
            )

    def _nobody(self, echo: bool) -> _Trouble:
        """What is there instead of a board."""
        there = self._describe()
        if not self._heard:
            why = f"must answer, and says nothing{there}; is the bitstream loaded, and is --baud the board's?"
            return _Trouble(LinkTrouble.SILENT, why, late=True)
        said = "sends back what it is sent" if echo else f"says something else ({self._heard.hex(' ')} ...)"
        why = f"must answer as a board of Spikeloom, and {said}{there}; is it the right port, and --baud the board's?"
        return _Trouble(LinkTrouble.STRANGER, why, late=True)

    def _attempt(self, jobs: Sequence[Job], first: int) -> Iterator[list[Reply]]:
        """Replies to job after job from the first on, as they come; _Trouble where one does not."""
        assert self._port is not None
        assert self.identity is not None
        upcoming = ((job, index) for job in range(first, len(jobs)) for index in range(len(jobs[job])))
        waiting: deque[_Sent] = deque()
        replies: list[Reply] = []
        last = self._clock()
        while True:
            frames = []
            for job, index in islice(upcoming, self.identity.credits - len(waiting)):
                waiting.append(_Sent(self._next_sequence(), job, index, self._clock()))
                frames.append(frame(pack(jobs[job][index].request, waiting[-1].sequence)))
            if frames:
                self._port.write(b"".join(frames))
            if not waiting:
                return
            sent = waiting[0]
            step = jobs[sent.job][sent.step]
            replies.append(self._reply(self._port, sent.sequence, step, f"{sent.job} of {len(jobs)} done"))
            waiting.popleft()
            self._answered(sent.job, sent.step, max(sent.at, last))
            last = self._clock()
            if sent.step == len(jobs[sent.job]) - 1:
                yield replies
                replies = []

    def _reply(self, port: Port, sequence: int, step: Step, how_far: str) -> Reply:
        """The reply that is due; _Trouble where there is another or none."""
        asked = step.request.kind.name
        body = self._receive(port, self._until(), strict=True)
        if body is None:
            why = (
                f"must answer {asked} within {self.timeout_s:g} s, and does not ({how_far}); look at the cable, or "
                "give it longer with --timeout"
            )
            raise _Trouble(LinkTrouble.UNANSWERED, why, late=True)
        try:
            reply, number = unpack(body)
        except MalformedMessage as error:
            raise _Trouble(LinkTrouble.UNANSWERED, f"must be understood, and is not: {error} ({how_far})") from None
        if number == sequence and type(reply) is step.due:
            return reply
        what = type(reply).__name__
        if isinstance(reply, Failure):
            what = f"ERROR {reply.code.name}"
            if number == sequence and reply.code in FINAL:
                raise LinkError(
                    LinkTrouble.UNANSWERED, f"Board at '{self.name}': must obey {asked}, and answers {what}"
                )
        why = f"must answer {asked} with {step.due.__name__}, not {what} ({how_far}); start it again"
        raise _Trouble(LinkTrouble.UNANSWERED, why)

    def _until(self) -> float:
        """When to give up waiting and try again: soon at first, then later, but for what is left at the end."""
        now = self._clock()
        wait = max(self.timeout_s / HASTE, 2 * self._slowest_s) * 2**self._late
        return min(now + wait, self._deadline) if now + 2 * wait < self._deadline else self._deadline

    def _receive(self, port: Port, until: float, *, strict: bool = False) -> bytes | None:
        """The next body; None where none comes in time. `strict`: _Trouble where a damaged one comes."""
        damaged = self._framer.losses.damaged
        while not self._bodies:
            if self._clock() >= until:
                return None
            data = port.read()
            self._heard += data[: SHOWN_BYTES - len(self._heard)]
            self._bodies.extend(self._framer.feed(data))
            if strict and self._framer.losses.damaged != damaged:
                raise _Trouble(LinkTrouble.UNANSWERED, "must answer without errors, and does not; look at the cable")
        return self._bodies.popleft()

    def _next_sequence(self) -> int:
        self._sequence = (self._sequence + 1) % SEQUENCES
        return self._sequence
