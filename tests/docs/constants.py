"""Numbers with a unit that pages say by hand: each with the reason why it is not a measurement.

A measurement comes from docs/results: between the marks of `spikeloom_cli.pages.figures`, or on a page that is made.
"""

UART = "a bound of the receiver's timer"
FRAME = "arithmetic of the frame's format, see test_sizes_on_the_line_are_those_of_the_codec"
ENERGY = "an assumption of the papers, `spikeloom.energy`"
WAITING = "about how long one waits: says what to expect, measures nothing"

CONSTANTS: dict[str, dict[str, str]] = {
    "README.md": {"ten minutes": WAITING},
    "docs/howto/look-at-waveforms.md": {
        "10 ns": "the unit of time that the waveform writes for a cycle",
        "256 MB": "a bound of `spikeloom_sim.wave`",
    },
    "docs/howto/talk-to-a-board.md": {"half a minute": WAITING, "two seconds": "a bound that `infer` keeps"},
    "docs/reference/axi.md": {"one cycle": "the protocol: how long a reset lasts at least"},
    "docs/reference/link.md": {
        "50 ms": UART,
        "3.9 %": FRAME,
        "12.5 %": FRAME,
        "3.5 %": FRAME,
        "4.5 %": FRAME,
        "four cycles": "the least bit that the receiver takes; the virtual board has it",
    },
    "docs/reference/report.md": {"95 %": "the confidence of an interval", "4.6 pJ": ENERGY, "77 fJ": ENERGY},
    "docs/tutorial/from-pip-to-board.md": {"ten minutes": WAITING},
    "spikeloom_cli": {"4.6 pJ": ENERGY, "77 fJ": ENERGY},
}
