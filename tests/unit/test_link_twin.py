"""The device in software: every good frame is answered once, and none that is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spikeloom import InvalidData, NotBuilt
from spikeloom.link import (
    Ack,
    Checksum,
    Device,
    Failure,
    FailureCode,
    Framer,
    GetChecksum,
    GetStatistics,
    Identify,
    Identity,
    Inference,
    Kind,
    Load,
    MalformedMessage,
    Message,
    Read,
    Reset,
    Result,
    Sample,
    Statistics,
    frame,
    pack,
    unpack,
)

IDENTITY = Identity(
    build=0x0123456789ABCDEF,
    frame_bytes=8,
    credits=2,
    neurons=20,
    code_bits=8,
    code_signed=False,
    potential_bits=13,
    class_bits=2,
    outputs=(3, 2),
    memories=0,
    clock_hz=12_000_000,
    watchdog_cycles=5000,
)
SAMPLE = bytes(range(20))
WHOLE = [SAMPLE[:8], SAMPLE[8:16], SAMPLE[16:]]
IDENTITIES = st.builds(
    Identity,
    build=st.integers(0, 2**64 - 1),
    frame_bytes=st.integers(1, 65535),
    credits=st.integers(1, 255),
    neurons=st.integers(1, 2**32 - 1),
    code_bits=st.integers(1, 17),
    code_signed=st.booleans(),
    potential_bits=st.integers(1, 64),
    class_bits=st.integers(1, 16),
    outputs=st.lists(st.integers(1, 1000), min_size=1, max_size=4).map(tuple),
    memories=st.integers(0, 255),
    clock_hz=st.integers(0, 2**32 - 1),
    watchdog_cycles=st.integers(0, 2**32 - 1),
)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.sampled_from([Identify(), Reset(), GetStatistics(), Ack()]),
    st.builds(Sample, st.binary(max_size=20)),
    st.builds(Result, st.binary(max_size=20)),
    st.builds(Read, st.integers(0, 65535)),
    st.builds(Load, st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(min_size=1, max_size=20)),
    st.builds(GetChecksum, st.integers(0, 255)),
    st.builds(Checksum, st.integers(0, 2**32 - 1)),
    st.builds(Failure, st.sampled_from(FailureCode), st.integers(0, 255)),
    st.builds(Statistics, *[st.integers(0, 2**32 - 1)] * 3, *[st.integers(0, 65535)] * 3),
    IDENTITIES,
)


def summed(codes: np.ndarray) -> Inference:
    """Stand-in for a core."""
    total = int(codes.sum())
    return Inference((-total, 0, total, 1, -1), (2 if total else 0, 0), events=total % 7, cycles=99)


class Host:
    """Asks a device and reads its replies."""

    def __init__(self, device: Device) -> None:
        self.device, self.framer, self.sequence = device, Framer(), 7

    def hear(self, data: bytes) -> list[tuple[Message, int]]:
        return [unpack(body) for body in self.framer.feed(self.device.receive(data))]

    def ask(self, message: Message) -> Message:
        """The reply to a message with the next sequence number."""
        ((reply, sequence),) = self.hear(frame(pack(message, self.sequence)))
        assert sequence == self.sequence
        self.sequence = (self.sequence + 1) % 256
        return reply


@pytest.fixture
def host() -> Host:
    host = Host(Device(IDENTITY, summed))
    assert host.ask(Identify()) == IDENTITY
    return host


def answer(codes: bytes = SAMPLE) -> bytes:
    inference = summed(np.frombuffer(codes, np.uint8))
    return IDENTITY.pack_result(inference.potentials, inference.classes)


def failure(host: Host, code: FailureCode) -> Failure:
    return Failure(code, host.sequence)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(MESSAGES, st.integers(0, 255))
def test_messages_come_back_from_their_bytes(message: Message, sequence: int) -> None:
    assert unpack(pack(message, sequence)) == (message, sequence)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    st.binary(max_size=50)
    | st.tuples(st.integers(0x10, 0x1F), st.binary(max_size=50)).map(lambda t: bytes((t[0],)) + t[1])
)
def test_any_bytes_are_a_message_or_malformed(body: bytes) -> None:
    try:
        said = unpack(body)
    except MalformedMessage:
        return
    assert pack(*said) == body


def test_sample_in_several_frames_is_answered_with_its_result_in_parts(host: Host) -> None:
    replies = [host.ask(Sample(part)) for part in WHOLE]
    assert replies == [Ack(), Ack(), Result(answer()[:8])]
    assert host.ask(Read(8)) == Result(answer()[8:])
    assert host.ask(Read(0)) == Result(answer()[:8])
    assert IDENTITY.unpack_result(answer()) == ([-190, 0, 190, 1, -1], [2, 0])
    assert host.ask(GetStatistics()) == Statistics(99, 190 % 7, 1)


def test_nothing_is_obeyed_before_a_session_is_open() -> None:
    host = Host(Device(IDENTITY, summed))
    host.sequence = 0
    for message in (Sample(b"1"), Reset(), Read(0), GetStatistics()):
        ((reply, _),) = host.hear(frame(pack(message, 0)))
        assert reply == Failure(FailureCode.CLOSED, 0)


@pytest.mark.parametrize("step", [-1, 1, 100])
def test_frames_out_of_sequence_are_refused_and_change_nothing(host: Host, step: int) -> None:
    host.ask(Sample(WHOLE[0]))
    sequence = (host.sequence + step) % 256
    reply = host.hear(frame(pack(Sample(WHOLE[0]), sequence)))
    assert reply == [(Failure(FailureCode.SEQUENCE, host.sequence), sequence)]
    assert [host.ask(Sample(part)) for part in WHOLE[1:]] == [Ack(), Result(answer()[:8])]


@pytest.mark.parametrize("message", [Identify(), Reset()])
def test_identify_and_reset_forget_a_sample_that_has_begun_and_the_last_result(host: Host, message: Message) -> None:
    for part in [*WHOLE, WHOLE[0]]:
        host.ask(Sample(part))
    host.ask(message)
    assert host.ask(Read(0)) == Failure(FailureCode.NO_RESULT, host.sequence)
    assert host.ask(GetStatistics()).samples == isinstance(message, Identify)
    assert [host.ask(Sample(part)) for part in WHOLE] == [Ack(), Ack(), Result(answer()[:8])]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\x10", FailureCode.KIND),
        (b"\x11?1", FailureCode.LENGTH),
        (b"\x12?1", FailureCode.LENGTH),
        (b"\x13", FailureCode.LENGTH),
        (b"\x14?1", FailureCode.LENGTH),
        (b"\x14?123", FailureCode.LENGTH),
        (b"\x14?\x0c\0", FailureCode.LENGTH),
        (b"\x15?1", FailureCode.LENGTH),
        (b"\x16?1", FailureCode.UNSUPPORTED),
        (b"\x17?12", FailureCode.UNSUPPORTED),
        (b"\x21", FailureCode.VERSION),
        (b"\x03", FailureCode.VERSION),
    ],
)
def test_requests_that_cannot_be_obeyed_are_answered_and_change_nothing(
    host: Host, body: bytes, code: FailureCode
) -> None:
    host.ask(Sample(WHOLE[0]))
    sequence = host.sequence
    ((reply, got),) = host.hear(frame(bytes((body[0], sequence)) + body[2:]))
    host.sequence += code is not FailureCode.VERSION
    assert (reply, got) == (Failure(code, host.sequence), sequence)
    assert [host.ask(Sample(part)) for part in WHOLE[1:]] == [Ack(), Result(answer()[:8])]


def test_sample_of_too_many_bytes_is_refused_and_may_still_be_finished(host: Host) -> None:
    host.ask(Sample(WHOLE[0]))
    host.ask(Sample(WHOLE[1]))
    reply = host.ask(Sample(b"12345"))
    assert reply == failure(host, FailureCode.LENGTH)
    assert host.ask(Sample(WHOLE[2])) == Result(answer()[:8])


@pytest.mark.parametrize("kind", [Kind.ACK, Kind.IDENTITY, Kind.RESULT, 13, Kind.ERROR])
@pytest.mark.parametrize("version", [0, 1, 15])
def test_replies_are_not_answered(host: Host, kind: int, version: int) -> None:
    assert host.hear(frame(bytes((version << 4 | kind, host.sequence)))) == []
    assert host.ask(GetStatistics()).damaged == 1


def test_core_that_hangs_costs_its_sample_and_no_more() -> None:
    alive = [False]
    host = Host(Device(IDENTITY, lambda codes: summed(codes) if alive[0] else None))
    host.ask(Identify())
    replies = [host.ask(Sample(part)) for part in WHOLE]
    assert replies == [Ack(), Ack(), failure(host, FailureCode.WATCHDOG)]
    assert host.ask(Read(0)) == failure(host, FailureCode.NO_RESULT)
    alive[0] = True
    assert [host.ask(Sample(part)) for part in WHOLE] == [Ack(), Ack(), Result(answer()[:8])]


def test_frames_that_are_dropped_are_counted_until_a_reset(host: Host) -> None:
    good = frame(pack(GetStatistics(), host.sequence))
    assert host.hear(good[:-2] + b"\x55\0") == []
    host.device.receive(good[:3])
    host.device.line_error()
    host.device.receive(b"\0" + good[:3])
    host.device.wait(1)
    assert host.ask(GetStatistics()) == Statistics(damaged=1, cut=2)
    assert host.ask(Reset()) == Ack()
    assert host.ask(GetStatistics()) == Statistics()


class Shelf:
    """One memory of ten bytes."""

    def __init__(self) -> None:
        self.data = bytearray(10)

    def load(self, memory: int, address: int, data: bytes) -> bool:
        if memory or address + len(data) > 10:
            return False
        self.data[address : address + len(data)] = data
        return True

    def checksum(self, memory: int) -> int | None:
        return None if memory else sum(self.data)


def test_memories_are_loaded_and_read_back() -> None:
    host = Host(Device(IDENTITY, summed, memories=Shelf()))
    host.ask(Identify())
    assert host.ask(Load(0, 3, b"\1\2")) == Ack()
    assert host.ask(GetChecksum(0)) == Checksum(3)
    assert host.ask(GetChecksum(1)) == failure(host, FailureCode.UNSUPPORTED)
    assert host.ask(Load(0, 9, b"\1\2")) == failure(host, FailureCode.UNSUPPORTED)
    assert host.ask(Sample(WHOLE[0])) == Ack()
    assert host.ask(Load(0, 3, b"\1\2")) == failure(host, FailureCode.BUSY)
    assert host.ask(GetChecksum(0)) == failure(host, FailureCode.BUSY)
    ((reply, _),) = host.hear(frame(b"\x16" + bytes((host.sequence,)) + b"12345"))
    assert reply == Failure(FailureCode.LENGTH, host.sequence + 1)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.binary(max_size=30) | st.integers(0, 255).map(lambda kind: frame(bytes((kind, 0)))), max_size=10))
def test_no_bytes_keep_a_device_from_its_next_good_frame(pieces: list[bytes]) -> None:
    host = Host(Device(IDENTITY, summed))
    for piece in pieces:
        host.device.receive(piece)
    ((reply, sequence),) = host.hear(b"\0" + frame(pack(Identify(), 77)))[-1:]
    assert (reply, sequence) == (IDENTITY, 77)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 17), st.booleans(), st.data())
def test_codes_come_back_from_the_bytes_of_a_sample(bits: int, signed: bool, data: st.DataObject) -> None:
    identity = Identity(1, 256, 2, 3, bits, signed, 8, 1, (1,), 0, 1, 1)
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    codes = data.draw(st.lists(st.integers(least, most), min_size=3, max_size=3))
    packed = identity.pack_codes(np.array(codes))
    assert len(packed) == identity.sample_bytes
    assert identity.unpack_codes(packed).tolist() == codes


def test_codes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidData, match=r"^Sample: must have 20 codes, not 19$"):
        IDENTITY.pack_codes(np.zeros(19, int))
    with pytest.raises(InvalidData, match=r"^Sample: codes must be in 0\.\.255, not so 2 of 20$"):
        IDENTITY.pack_codes(np.array([-1, 256, *[0] * 18]))


def test_identity_comes_from_the_manifest() -> None:
    link = {"build": "0123456789abcdef", "frame_bytes": 8, "credits": 2, "neurons": 20, "code_bits": 8}
    link |= {"code_signed": False, "memories": 0, "sequence": 0, "watchdog_cycles": 5000}
    readout = {"potential_bits": 13, "class_bits": 2, "outputs": [3, 2]}
    assert Identity.of({"link": link, "readout": readout}, clock_hz=12_000_000) == IDENTITY


def test_sequences_do_not_go_over_the_link() -> None:
    expected = r"^Link: samples must be one value a neuron, not sequences of 6 time steps; simulate the build instead$"
    with pytest.raises(NotBuilt, match=expected):
        Identity.of({"link": {"sequence": 6}, "readout": {}})
