"""Faults a careful engineer could make, as changes of the generated Verilog; every one must be caught."""

from spikeloom_sim.fuzz.mutants import Mutant

ASSIGN = r"^(  assign (?:\\?\S+|\{.*?\}) +=) "

STALE_CODES = Mutant(
    "silent neurons are not announced to the store: codes of the sample before",
    "_generator$",
    ASSIGN + r"announce & (_\d+_);",
    r"\1 announce & \2 & ~@;",
)

MUTANTS = [
    Mutant(
        "a potential equal to the threshold does not fire",
        "_generator$",
        ASSIGN + r"~ (difference\d_\d)\[(\d+)\];",
        r"\1 ~ \2[\3] & ~(@ & (\2[\3:0] == 0));",
    ),
    Mutant(
        "what a neuron starts a sample with is left out",
        "_fetch$",
        ASSIGN + r"(\$signed\(held\[\d+:\d+\]\)) \+ (\$signed\(neurons_word\[\d+:\d+\]\));",
        r"\1 @ ? \2 : \2 + \3;",
    ),
    Mutant(
        "a time step has half its weight",
        "_walker$",
        ASSIGN + r"(step\[\d+:\d+\] - _\d+_);",
        r"\1 \2 - @;",
    ),
    Mutant(
        "a word of trains is lost when it enters the queue as another leaves",
        "_queue$",
        ASSIGN + r"i__valid & room;",
        r"\1 i__valid & room & ~(@ & r_en);",
    ),
    Mutant(
        "a row is not emptied as it is read: stale potentials",
        r"_cell\d+$",
        ASSIGN + r"~ (\{ empty(?:, empty)* \});",
        r"\1 ~ \2 | {64{@}};",
    ),
    Mutant(
        "a row is added to again before its sum is written",
        r"_cell\d+$",
        ASSIGN + r"near & (_\d+_);",
        r"\1 near & \2 & ~@;",
    ),
    Mutant(
        "a row is read again before its sum is written",
        r"_cell\d+$",
        ASSIGN + r"far \? ",
        r"\1 (far & ~@) ? ",
    ),
    Mutant(
        "an event lands on cells outside of the map",
        "_cells$",
        ASSIGN + r"(_\d+_) & (mask_x\[\d+\]);",
        r"\1 \2 & (\3 | @);",
    ),
    Mutant(
        "an event lands on cells of one block alone",
        "_cells$",
        ASSIGN + r"(right_\d+ \? row_01 : row_00);",
        r"\1 @ ? row_00 : \2;",
    ),
    Mutant(
        "the end mark goes out as an event",
        "_expander$",
        ASSIGN + r"spent & (i__payload\[\d+\]);",
        r"\1 spent & \2 & ~@;",
    ),
    Mutant(
        "a word stays after its end mark was sent",
        "_expander$",
        ASSIGN + r"free & done;",
        r"\1 free & done & ~(@ & spent);",
    ),
    Mutant(
        "an event does not wait for what is behind",
        "_expander$",
        ASSIGN + r"(_\d+_ \| o__ready);",
        r"\1 \2 | @;",
    ),
    Mutant(
        "reset leaves the banks as they are",
        "_readout$",
        r"if \(rst\) clearing <= 1'h1;",
        r"if (rst) clearing <= ~@;",
    ),
    Mutant(
        "the banks swap before the other one is emptied",
        "_sequencer$",
        ASSIGN + r"~ draining;",
        r"\1 ~ draining | @;",
    ),
    Mutant(
        "a step is over before its rows are added",
        "_sequencer$",
        ASSIGN + r"~ rows_busy;",
        r"\1 ~ rows_busy | @;",
    ),
    Mutant(
        "the store forgets the other events of a word",
        "_store$",
        ASSIGN + r"held & (_\d+_);",
        r"\1 held & \2 & ~@;",
    ),
    STALE_CODES,
    Mutant(
        "max pooling takes the last code of a window",
        "_reader$",
        ASSIGN + r"(\\?\S+ *\[\d+:\d+\] > best\[\d+:\d+\]);",
        r"\1 \2 | @;",
    ),
    Mutant(
        "max pooling takes codes from beyond the border",
        "_reader$",
        r"^(  assign \\?inside +=) (.*);",
        r"\1 (\2) | @;",
    ),
    Mutant(
        "a diagonal connection adds where its source is silent",
        "_lanes$",
        ASSIGN + r"(plane\[\d+\] \| _\d+_);",
        r"\1 \2 | @;",
    ),
    Mutant(
        "among equal potentials the last one wins",
        "_readout$",
        ASSIGN + r"(\$signed\(.*?\)) > (\$signed\(.*?best\));",
        r"\1 @ ? \2 >= \3 : \2 > \3;",
    ),
]

# what only sequences and recurrent connections use
RECURRENT_MUTANTS = [
    STALE_CODES,
    Mutant(
        "the last spikes of a time step are not kept for the next one",
        "_store$",
        ASSIGN + r"closing \| ",
        r"\1 (closing & ~@) | ",
    ),
    Mutant(
        "spikes of the time step before leave for the next core once more",
        "_l3$",
        ASSIGN + r"(\\?o__valid\S* +\? \\?step\S* :) 1'h0;",
        r"\1 \2 @;",
    ),
    Mutant(
        "spikes of the time step before are heard without an end mark when the last ones are silent",
        "_reader$",
        ASSIGN + r"(_\d+_) \| last_word;",
        r"\1 \2 | (last_word & ~@);",
    ),
    Mutant(
        "a growth of 0 forgets nothing",
        "_integrate$",
        ASSIGN + r"(\$signed\((.+?)\)) - \$signed\(\3\);",
        r"\1 @ ? \2 : \2 - \2;",
    ),
    Mutant(
        "a sample begins with the potentials of the one before",
        "_integrate$",
        r"if \(!visit\[(\d+)\]\)",
        r"if (!visit[\1] & ~@)",
    ),
    Mutant(
        "time steps are counted once: later samples have fewer",
        "_sequencer$",
        r"turns <= (_\d+_);",
        r"turns <= (@ & turns == 0) ? turns : \1;",
    ),
    Mutant(
        "a reset leaves the count of time steps",
        "_sequencer$",
        r"if \(rst\) turns <=",
        r"if (rst & ~@) turns <=",
    ),
    Mutant(
        "the end mark of a silent time step is lost",
        "_decoder$",
        r"valid <= i__valid;",
        r"valid <= i__valid & ~(@ & \\end & \\i__payload.end );",
    ),
    Mutant(
        "events behind an end mark belong to the time step before",
        "_walker$",
        r"closed <= 1'h1;",
        r"closed <= ~@;",
    ),
]
