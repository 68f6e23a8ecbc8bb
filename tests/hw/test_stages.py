"""Progress of the tools: which stage they are in, told at its beginning and every few seconds."""

import pytest
from spikeloom_hw.bitstream import stages as module
from spikeloom_hw.bitstream.stages import Stages, Stopped


def test_silence_of_the_tools_is_broken_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    said: list[str] = []
    stages = Stages(said.append)
    stages.begin("synthesise")
    for second, line in enumerate(["2.14. Executing OPT_DFF pass (x).", "a", "b"]):
        clock[0] = second
        stages.hear(line)
    for second in range(4, 16):
        clock[0] = second
        stages.speak(float(second))
    stages.begin("pack")
    assert said == [
        "synthesise", "synthesise (OPT_DFF), 5 s", "synthesise (OPT_DFF), 10 s", "synthesise (OPT_DFF), 15 s", "pack",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stage", "lines", "said"),
    [
        ("plan the floor", ["Floor: forces, step 10"], "plan the floor (forces, step 10)"),
        ("pack", ["Info: Creating initial analytic placement for 9 cells",
                  "Info:     at iteration #3, type ALL: wirelen = 9"], "place (iteration #3)"),
        ("pack", ["Info: Routing..",
                  "Info:      23000 |     4774      18225 |  178   822 |     90008|       1.08      28.30|"],
         "route (90008 wires left)"),
    ],
)  # fmt: skip
def test_how_far_a_stage_is(stage: str, lines: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPEAK_SECONDS", 0.0)
    heard: list[str] = []
    stages = Stages(heard.append)
    stages.begin(stage)
    for text in lines:
        stages.hear(text)
    stages.speak(9.0)
    assert heard[-1] == f"{said}, 9 s"


def test_tool_that_speaks_after_it_was_stopped_ends() -> None:
    stages = Stages(None)
    stages.stopped.set()
    with pytest.raises(Stopped):
        stages.speak(1.0)
