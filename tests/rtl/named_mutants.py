"""Faults a careful engineer could make, as changes of the generated Verilog; every one must be caught."""

from spikeloom_sim.mutants import Mutant

ASSIGN = r"^(  assign (?:\\?\S+|\{.*?\}) +=) "

MUTANTS = [
    Mutant(
        "a potential equal to the threshold does not fire",
        "_generator$",
        ASSIGN + r"~ (difference\d_\d)\[(\d+)\];",
        r"\1 ~ \2[\3] & ~(@ & (\2[\3:0] == 0));",
    ),
    Mutant(
        "the last time step has half the weight of the first",
        "_walker$",
        ASSIGN + r"(\d+'h\w+ - i__payload\[.*?\]);",
        r"\1 \2 - @;",
    ),
    Mutant(
        "a word of trains is lost when it enters the queue as another leaves",
        "_queue$",
        ASSIGN + r"i__valid & room;",
        r"\1 i__valid & room & ~(@ & r_en);",
    ),
    Mutant(
        "a bank is not initialised again: stale potentials",
        "_banks$",
        ASSIGN + r"(\S+ \? valid_2 : )restore;",
        r"\1 \2 restore & ~(@ & ~initialising);",
    ),
    Mutant(
        "a row is added to again before its sum is written",
        "_banks$",
        r"= after_one_late \?",
        r"= (after_one_late & ~@) ?",
    ),
    Mutant(
        "the end mark goes out as an event",
        "_queue$",
        ASSIGN + r"spent & (r_data\[\d+\]);",
        r"\1 spent & \2 & ~@;",
    ),
    Mutant(
        "an event stays after it was taken, if it was the last of its word",
        "_queue$",
        ASSIGN + r"r_rdy & free;",
        r"\1 r_rdy & free & ~(@ & spent);",
    ),
    Mutant(
        "reset leaves the banks as they are",
        "_banks$",
        r"if \(rst\) initialising <= 1'h1;",
        r"if (rst) initialising <= ~@;",
    ),
    Mutant(
        "among equal potentials the last one wins",
        "_readout$",
        ASSIGN + r"(\$signed\(.*?\)) > (\$signed\(.*?best\));",
        r"\1 @ ? \2 >= \3 : \2 > \3;",
    ),
    Mutant(
        "an event does not wait for the core behind",
        "_queue$",
        ASSIGN + r"(_\d+_ \| o__ready);",
        r"\1 \2 | @;",
    ),
]
