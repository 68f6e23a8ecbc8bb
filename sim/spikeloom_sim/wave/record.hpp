// Records every change of the design's named signals between two cycles; part of driver.cpp where it is wanted.

// What happened: change n is that of signal `signals[n]` in cycle `cycles[n]`; `words` holds the new values one behind
// the other, each in as many pieces of 32 bits as its signal has.
struct Recording {
    struct Signal {
        const uint32_t *value;
        uint32_t pieces;
        size_t last;  // where in `known` the value it had lies
    };
    std::vector<Signal> traced;
    std::vector<uint32_t> known;
    std::vector<cxxrtl::debug_outline *> outlines;
    std::string names;  // a line a signal: path, bits and number of the signal whose values it shares, between tabs
    std::vector<uint32_t> signals, words;
    std::vector<int64_t> cycles;
    int64_t first = 0, stop = 0;  // cycles to record: first..stop-1
    size_t room = 0;              // pieces that may be kept
    bool begun = false, full = false;

    void find(const cxxrtl::debug_items &items) {
        std::map<std::pair<const uint32_t *, size_t>, size_t> places;
        for (const auto &item : items.table) {
            const cxxrtl::debug_item &part = item.second[0];
            if (item.second.size() != 1 || part.type == cxxrtl::debug_item::MEMORY || part.width == 0) continue;
            auto [found, is_new] = places.insert({{part.curr, part.width}, traced.size()});
            if (is_new) {
                uint32_t pieces = (uint32_t)((part.width + 31) / 32);
                traced.push_back({part.curr, pieces, known.size()});
                known.resize(known.size() + pieces);
                if (part.outline && std::find(outlines.begin(), outlines.end(), part.outline) == outlines.end())
                    outlines.push_back(part.outline);
            }
            names += item.first + "\t" + std::to_string(part.width) + "\t" + std::to_string(found->second) + "\n";
        }
    }

    // Some wires, probes among them, have their values only after this.
    void settle() {
        for (cxxrtl::debug_outline *outline : outlines) outline->eval();
    }

    void sample(int64_t cycle) {
        if (cycle < first || cycle >= stop || full) return;
        for (uint32_t number = 0; number < traced.size(); number++) {
            const Signal &signal = traced[number];
            uint32_t *before = &known[signal.last];
            if (begun && std::equal(before, before + signal.pieces, signal.value)) continue;
            std::copy_n(signal.value, signal.pieces, before);
            signals.push_back(number), cycles.push_back(cycle);
            words.insert(words.end(), before, before + signal.pieces);
        }
        begun = true;
        full = words.size() + 3 * signals.size() > room;
    }
};
