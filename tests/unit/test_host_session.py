"""Sessions with a board over a line that loses, alters, repeats and delays bytes, to a device that restarts."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from faulty_line import Fault, Line
from hypothesis import given, settings
from hypothesis import strategies as st
from spikeloom.errors import LinkError, LinkTrouble
from spikeloom.link import (
    Ack,
    Checksum,
    Device,
    GetChecksum,
    GetStatistics,
    Identity,
    Inference,
    Read,
    Reset,
    Result,
    Sample,
    Statistics,
    frame,
)
from spikeloom_host.serial_board import sample_job
from spikeloom_host.session import TIMEOUT_S, Session, Step

IDENTITY = Identity(
    build=0x0123456789ABCDEF, frame_bytes=8, credits=2, neurons=20, code_bits=8, code_signed=False, potential_bits=13,
    class_bits=2, outputs=(3, 2), memories=0, clock_hz=12_000_000, watchdog_cycles=5000,
)  # fmt: skip
WHOLE = replace(IDENTITY, frame_bytes=64)  # a sample and a result in a frame each: all replies look alike
SAMPLES = np.random.default_rng(5).integers(0, 256, (6, 20))
TO_BOARD, FROM_BOARD = 6 * 3 * 16, 6 * 3 * 16  # bytes of a run without faults, about


def inference(codes: np.ndarray) -> Inference:
    """Stands for a core: what it answers depends on every code and its place."""
    values = [int((codes * np.arange(1, 21)).sum() * (k + 3)) % 8191 - 4095 for k in range(5)]
    return Inference(tuple(values), (int(np.argmax(values[:3])), int(np.argmax(values[3:]))), events=7, cycles=100)


EXPECTED = [IDENTITY.pack_result(found.potentials, found.classes) for found in map(inference, SAMPLES)]


def device() -> Device:
    return Device(IDENTITY, inference)


def whole_device() -> Device:
    return Device(WHOLE, inference)


def session(line: Line, **options: object) -> Session:
    given: dict = {"expected": IDENTITY, "clock": line.clock, "sleep": line.sleep, "seed": 1} | options
    return Session("line", line.connect, **given)


def results(found: Session, samples: np.ndarray = SAMPLES) -> list[bytes]:
    assert found.expected is not None
    replies = found.run([sample_job(found.expected, sample) for sample in samples])
    return [b"".join(reply.data for reply in job if isinstance(reply, Result)) for job in replies]


def test_samples_come_back_whole_where_results_are_longer_than_a_frame() -> None:
    line = Line(device)
    assert IDENTITY.result_bytes > IDENTITY.frame_bytes
    assert results(session(line)) == EXPECTED
    assert line.now < 0.1  # nothing was waited for but the stillness of the port


def test_job_of_a_sample_is_its_frames_and_then_the_rest_of_its_result() -> None:
    data = bytes(SAMPLES[0].tolist())
    assert sample_job(IDENTITY, SAMPLES[0]) == [
        Step(Sample(data[:8]), Ack),
        Step(Sample(data[8:16]), Ack),
        Step(Sample(data[16:]), Result),
        Step(Read(8), Result),
    ]


@pytest.mark.parametrize("back", [False, True], ids=["to the board", "from the board"])
@pytest.mark.parametrize("kind", ["lose", "swallow", "alter", "repeat", "delay", "restart"])
def test_one_fault_anywhere_costs_time_and_no_answer(kind: str, back: bool) -> None:
    for place in range(0, TO_BOARD, 1 if kind == "swallow" and back else 7):
        line = Line(device, [Fault(kind, place, back)])
        assert results(session(line)) == EXPECTED, place
        assert line.now < TIMEOUT_S
        line = Line(whole_device, [Fault(kind, place, back)])
        assert results(session(line, expected=WHOLE)) == EXPECTED, place
        assert line.now < TIMEOUT_S


FAULTS = st.builds(
    Fault,
    st.sampled_from(["lose", "swallow", "alter", "repeat", "delay", "restart"]),
    st.integers(0, 2 * TO_BOARD),
    st.booleans(),
    st.sampled_from([0.01, 0.2, 0.7, 3.0]),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(FAULTS, max_size=40), st.integers(0, 255), st.booleans())
def test_many_faults_end_in_right_answers_or_in_an_error_in_time_and_the_next_call_is_right(
    faults: list[Fault], seed: int, whole: bool
) -> None:
    identity = WHOLE if whole else IDENTITY
    line = Line(whole_device if whole else device, faults)
    board = session(line, seed=seed, expected=identity)
    told: list[tuple[int, float]] = [(0, 0.0)]
    kinds: set[LinkTrouble] = set()
    jobs = [sample_job(identity, sample) for sample in SAMPLES]
    longest_delay = max([fault.seconds for fault in faults if fault.kind == "delay"], default=0.0)
    for _ in range(len(faults) + 2):
        try:
            replies = board.run(jobs, lambda done: told.append((done, line.now)))
        except LinkError as error:
            kinds.add(error.kind)
            told.append((0, line.now))
            continue
        assert [b"".join(r.data for r in job if isinstance(r, Result)) for job in replies] == EXPECTED
        break
    else:
        raise AssertionError("every fault happened once, and still there is no answer")
    assert kinds <= {LinkTrouble.SILENT, LinkTrouble.STRANGER, LinkTrouble.UNANSWERED}
    # each sample has four steps, each of which may take the timeout, and a write that was delayed cannot be hurried
    gaps = [later[1] - earlier[1] for earlier, later in pairwise(told)]
    assert max(gaps) < 5 * TIMEOUT_S + longest_delay * len(faults)


@pytest.mark.parametrize("seconds", [0.1, 0.4, 0.9])
def test_slow_board_is_waited_for_longer_and_longer_and_only_at_first(seconds: float) -> None:
    line = Line(device, slow_s=seconds)
    board = session(line)
    assert results(board) == EXPECTED
    assert line.now < 25 * seconds + TIMEOUT_S  # 24 replies, two at a time, and some attempts that were too short


def test_slower_board_than_the_timeout_is_an_error_in_time_and_right_with_a_longer_one() -> None:
    line = Line(device, slow_s=2.5)
    with pytest.raises(LinkError) as caught:
        session(line).identify()
    assert caught.value.kind is LinkTrouble.SILENT
    assert line.now == pytest.approx(TIMEOUT_S, abs=0.02)
    assert results(session(Line(device, slow_s=2.5), timeout_s=8.0)) == EXPECTED


def test_frames_that_are_not_answered_are_as_many_as_the_board_has_room_for() -> None:
    class Counting(Line):
        unanswered: int = 0
        most: int = 0

        def write(self, data: bytes) -> None:
            self.unanswered += data.count(0)
            self.most = max(self.most, self.unanswered)
            super().write(data)

        def read(self) -> bytes:
            data = super().read()
            self.unanswered -= data.count(0)
            return data

    for credits in (1, 2, 5):
        identity = replace(IDENTITY, credits=credits)
        line = Counting(lambda identity=identity: Device(identity, inference), slow_s=0.1)
        board = session(line, expected=identity)
        board.identify()
        line.most = line.unanswered = 0
        assert results(board) == EXPECTED
        assert line.most == credits


def test_board_that_was_restarted_between_two_calls_answers_the_second() -> None:
    line = Line(device)
    board = session(line)
    assert results(board) == EXPECTED
    line.device = device()
    assert results(board) == EXPECTED


def test_port_that_went_away_is_an_error_in_time_and_right_when_it_is_back() -> None:
    line = Line(device)
    board = session(line)
    assert results(board, SAMPLES[:1]) == EXPECTED[:1]
    line.off = True
    before = line.now
    with pytest.raises(LinkError, match=r"^Port 'line': must stay, and went away$") as caught:
        results(board)
    assert caught.value.kind is LinkTrouble.LOST
    assert line.now - before == pytest.approx(TIMEOUT_S, abs=0.06)
    with pytest.raises(LinkError, match=r"^Port 'line': must exist, and does not$"):
        results(board)
    line.off = False
    assert results(board) == EXPECTED
    assert line.opened == 2


def test_port_that_is_back_within_the_timeout_goes_on_where_it_was() -> None:
    line = Line(device)
    board = session(line)
    done: list[int] = []

    def unplug(count: int) -> None:
        done.append(count)
        if count == 3:
            line.off = True

    def sleep(seconds: float) -> None:
        line.sleep(seconds)
        line.off = line.off and line.now < 1.0

    board = session(line, sleep=sleep)
    jobs = [sample_job(IDENTITY, sample) for sample in SAMPLES]
    assert len(board.run(jobs, unplug)) == 6
    assert done == [1, 2, 3, 4, 5, 6]
    assert 1.0 <= line.now < TIMEOUT_S


def test_other_build_is_named_at_once() -> None:
    line = Line(device)
    other = replace(IDENTITY, build=0xFEDCBA9876543210)
    with pytest.raises(LinkError) as caught:
        session(line, expected=other).identify()
    assert caught.value.kind is LinkTrouble.OTHER_BUILD
    assert str(caught.value) == (
        "Board at 'line': must hold build fedcba9876543210, not 0123456789abcdef (20 inputs, 3 + 2 outputs); load "
        "the bitstream of this build, or name the other with --build"
    )
    assert line.now < 0.2


def test_board_of_another_release_is_told_at_once() -> None:
    line = Stranger(lambda data: frame(b"\x2f" + bytes(3)))
    with pytest.raises(LinkError) as caught:
        Session("line", line.connect, clock=lambda: line.now).identify()
    assert caught.value.kind is LinkTrouble.STRANGER
    assert str(caught.value) == (
        "Board at 'line': must be understood, and is not: Message: version must be 1, not 2; host and device are of "
        "two releases"
    )
    assert line.now < 0.2


def test_one_reply_that_was_slow_is_forgotten_in_time() -> None:
    line = Line(device, [Fault("delay", 200, back=True, seconds=1.65), Fault("swallow", 2500, back=True)])
    jobs = [sample_job(IDENTITY, SAMPLES[k % 6]) for k in range(60)]
    assert len(session(line).run(jobs)) == 60
    assert line.counts[True] > 2500


def test_clock_of_the_board_may_be_any() -> None:
    line = Line(device)
    assert session(line, expected=replace(IDENTITY, clock_hz=1)).identify() == IDENTITY


class Stranger:
    """A port with something else at its other end."""

    def __init__(self, answer: object = None, says: bytes = b"") -> None:
        self.answer, self.says, self.now, self.coming = answer, says, 0.0, b""

    def connect(self) -> "Stranger":
        return self

    def write(self, data: bytes) -> None:
        self.coming += self.answer(data) if callable(self.answer) else b""

    def read(self) -> bytes:
        data, self.coming = self.coming + self.says, b""
        self.now += 0.01
        return data

    def flush(self) -> None:
        self.coming = b""

    def close(self) -> None:
        pass


NO_BOARD = "must answer as a board of Spikeloom, and"
WHAT_NOW = "is it the right port, and --baud the board's?"
STRANGERS = {
    "silence": (
        Stranger(),
        LinkTrouble.SILENT,
        "must answer, and says nothing (FTDI); is the bitstream loaded, and is --baud the board's?",
    ),
    "echo": (
        Stranger(lambda data: data),
        LinkTrouble.STRANGER,
        f"{NO_BOARD} sends back what it is sent (FTDI); {WHAT_NOW}",
    ),
    "words": (
        Stranger(says=b"login: "),
        LinkTrouble.STRANGER,
        f"{NO_BOARD} says something else (6c 6f 67 69 6e 3a 20 6c ...) (FTDI); {WHAT_NOW}",
    ),
    "zeros": (
        Stranger(says=b"\0"),
        LinkTrouble.STRANGER,
        f"{NO_BOARD} says something else (00 00 00 00 00 00 00 00 ...) (FTDI); {WHAT_NOW}",
    ),
}


@pytest.mark.parametrize(("stranger", "kind", "said"), STRANGERS.values(), ids=STRANGERS)
def test_stranger_is_told_apart_in_time(stranger: Stranger, kind: LinkTrouble, said: str) -> None:
    found = Session("line", stranger.connect, clock=lambda: stranger.now, describe=lambda: " (FTDI)")
    with pytest.raises(LinkError) as caught:
        found.identify()
    assert caught.value.kind is kind
    assert str(caught.value) == f"Board at 'line': {said}"
    assert stranger.now == pytest.approx(TIMEOUT_S, abs=0.05)


def test_core_that_hangs_is_an_error_in_time_that_names_the_watchdog() -> None:
    line = Line(lambda: Device(IDENTITY, lambda codes: None), slow_s=0.01)
    with pytest.raises(LinkError) as caught:
        results(session(line))
    assert str(caught.value) == (
        "Board at 'line': must answer SAMPLE with Result, not ERROR WATCHDOG (0 of 6 done); start it again"
    )
    assert line.now == pytest.approx(TIMEOUT_S, abs=0.2)


def test_refusal_that_would_not_change_is_told_at_once() -> None:
    line = Line(device)
    with pytest.raises(LinkError) as caught:
        session(line).run([[Step(GetChecksum(0), Checksum)]])
    assert str(caught.value) == "Board at 'line': must obey CHECKSUM, and answers ERROR UNSUPPORTED"
    assert line.now < 0.1


def test_statistics_count_what_the_line_did_and_a_reset_clears_them() -> None:
    line = Line(device, [Fault("alter", 60)])
    board = session(line)
    assert results(board) == EXPECTED
    [[counts]] = board.run([[Step(GetStatistics(), Statistics)]])
    assert isinstance(counts, Statistics)
    assert (counts.damaged, counts.events, counts.cycles) == (1, 7, 100)
    assert counts.samples >= len(SAMPLES)
    assert board.run([[Step(Reset(), Ack)], [Step(GetStatistics(), Statistics)]]) == [[Ack()], [Statistics()]]


def test_interrupt_closes_the_port_and_the_next_call_is_right() -> None:
    line = Line(device)
    board = session(line)

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        board.run([sample_job(IDENTITY, sample) for sample in SAMPLES], interrupt)
    assert results(board) == EXPECTED
    assert line.opened == 2
