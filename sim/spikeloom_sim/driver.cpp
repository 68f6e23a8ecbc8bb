// Drives and observes a design compiled by CXXRTL, behind a C interface for ctypes; see cxxrtl.py.
//
// A cycle is one evaluation and one commit. Between the two all combinational values are settled, and registers and
// memories still hold what they held before the rising edge: the moment at which streams transfer and a bank is read.
#include "design.cc"

#include <algorithm>
#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

// A signal or memory of the design, found by its hierarchical name.
struct Probe {
    uint32_t *curr = nullptr, *next = nullptr;
    size_t pieces = 0, depth = 0;

    bool high() const { return curr && (curr[0] & 1); }
    uint64_t value() const { return curr[0] | (pieces > 1 ? (uint64_t)curr[1] << 32 : 0); }
    void set(uint64_t value) const {
        for (size_t piece = 0; piece < pieces && piece < 2; piece++) next[piece] = (uint32_t)(value >> 32 * piece);
    }
};

// A stream, every beat that was transferred on it, and the payload it must hold while it waits.
struct Stream {
    Probe valid, ready, payload;
    std::vector<uint64_t> beats;
    std::vector<int64_t> cycles;
    bool waits = false;
    uint64_t held = 0;
};

// Wide words that were copied at certain cycles.
struct Words {
    std::vector<uint32_t> words;
    std::vector<int64_t> cycles;

    void add(const Probe &probe, int64_t cycle) {
        words.insert(words.end(), probe.curr, probe.curr + probe.pieces);
        cycles.push_back(cycle);
    }
};

// A core: its bank lies in some memories, one row of two banks after the other, or in a register (no rows).
struct Core {
    size_t rows;
    Probe swap, filled, retire_valid, retire_remainder, visit_valid, visited, states[4];
    std::vector<Probe> banks;
    Words swaps, retires, visits;
    int64_t spent[4];
    std::vector<int64_t> spent_at_swaps;

    void swapped(int64_t cycle) {
        size_t bank = filled.high(), before = swaps.words.size(), size = 0;
        for (const Probe &memory : banks) size += memory.pieces * (rows ? rows : 1);
        swaps.words.resize(before + size);
        uint32_t *to = &swaps.words[before];
        for (const Probe &memory : banks)
            for (size_t row = 0; row < (rows ? rows : 1); row++, to += memory.pieces)
                std::copy_n(memory.curr + (rows ? 2 * row + bank : 0) * memory.pieces, memory.pieces, to);
        swaps.cycles.push_back(cycle);
        spent_at_swaps.insert(spent_at_swaps.end(), spent, spent + 4);
    }
};

// Random pauses: a fresh probability every 64 cycles, so that both long and short ones happen.
struct Stalls {
    uint64_t state = 0;  // 0: never
    uint32_t threshold = 0;
    int left = 0;

    uint32_t random() {  // xorshift64*
        state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
        return (uint32_t)((state * 0x2545F4914F6CDD1DULL) >> 32);
    }
    bool pause() {
        static const uint32_t thresholds[] = {0, 0x40000000, 0x80000000, 0xC0000000, 0xF0000000};
        if (!state) return false;
        if (left-- == 0) left = 63, threshold = thresholds[random() % 5];
        return random() < threshold;
    }
};

#ifdef RECORD
#include "wave/record.hpp"
#endif

struct Simulation {
    cxxrtl_design::TOP design;
    cxxrtl::debug_items items;
    Probe rst, mutant;
    std::vector<Stream> streams;  // i, o, o_class, then the spikes of every core in which a layer fires
    std::vector<Core> cores;
    std::vector<std::pair<Probe, std::vector<uint32_t>>> images;  // contents of memories after configuration
    Stalls stalls[3];
    bool offered = false;
    int64_t cycle = 0, moved = 0, advanced = 0;
    std::string fault, memories;
#ifdef RECORD
    Recording recording;
#endif

    Probe find(const std::string &path, bool needed = true) {
        auto found = items.table.find(path);
        if (found == items.table.end() || found->second.size() != 1) {
            if (needed && fault.empty()) fault = "probe " + path;
            return Probe();
        }
        const cxxrtl::debug_item &item = found->second[0];
        return Probe{item.curr, item.next, (item.width + 31) / 32, item.depth};
    }

    explicit Simulation(const char *probes) {
        design.debug_info(&items, nullptr, "");
        for (const auto &item : items.table)
            if (item.second[0].type == cxxrtl::debug_item::MEMORY)
                memories += item.first + "\t" + std::to_string(item.second[0].depth) + "\t" +
                            std::to_string(item.second[0].width) + "\n";
#ifdef RECORD
        recording.find(items);
#endif
        rst = find("rst"), mutant = find("mutant", false);
        std::istringstream lines(probes);
        for (std::string line; std::getline(lines, line);) {
            std::istringstream fields(line);
            std::vector<Probe> found;
            std::string kind, path, rows;
            std::getline(fields, kind, '\t');
            if (kind == "core") std::getline(fields, rows, '\t');
            while (std::getline(fields, path, '\t')) found.push_back(path == "-" ? Probe() : find(path));
            if (kind == "stream" && found.size() == 3)
                streams.push_back(Stream{found[0], found[1], found[2], {}, {}, false, 0});
            else if (kind == "core" && found.size() >= 11)
                add_core(std::stoul(rows), found);
        }
    }

    void add_core(size_t rows, const std::vector<Probe> &found) {
        Core core{rows,     found[0], found[1], found[2], found[3], found[4], found[5], {found[6], found[7], found[8], found[9]},
                  {},       {},       {},       {},       {},       {}};
        core.banks.assign(found.begin() + 10, found.end());
        for (const Probe &memory : core.banks)
            if (memory.depth < 2 * rows && fault.empty()) fault = "memory of " + std::to_string(2 * rows) + " words";
        cores.push_back(core);
    }

    void tick() {
#ifdef FEEDBACK  // a wire depends on itself by way of other bits: let everything settle before the clock rises
        design.p_clk.template set<bool>(false);
        design.step();
#else  // nothing happens at the falling edge: leave out its evaluation
        design.prev_p_clk.template set<bool>(false);
#endif
        design.p_clk.template set<bool>(true);
        design.eval();
#ifdef RECORD
        recording.settle();
        recording.sample(cycle);
#endif
        observe();
        design.commit();
        cycle++;
    }

    void observe() {
        if (rst.high()) {
            for (Stream &stream : streams) stream.waits = false;
            return;
        }
        for (Stream &stream : streams) {
            bool valid = stream.valid.high();
            if (stream.waits) check(stream, valid);
            stream.waits = valid && !stream.ready.high();
            if (!valid) continue;
            uint64_t payload = stream.payload.value();
            if (stream.waits) {
                stream.held = payload;
            } else {
                stream.beats.push_back(payload);
                stream.cycles.push_back(cycle);
                moved = cycle;
            }
        }
        for (Core &core : cores) {
            for (int state = 0; state < 4; state++) core.spent[state] += core.states[state].high();
            if (core.swap.high()) core.swapped(cycle), moved = advanced = cycle;
            if (core.retire_valid.high()) core.retires.add(core.retire_remainder, cycle), moved = cycle;
            if (core.visit_valid.high()) core.visits.add(core.visited, cycle), moved = cycle;
        }
    }

    void check(const Stream &stream, bool valid) {
        if (!fault.empty() || (valid && stream.payload.value() == stream.held)) return;
        fault = (valid ? "payload " : "valid ") + std::to_string(&stream - streams.data()) + " " + std::to_string(cycle);
    }
};

Simulation *simulation(void *handle) { return static_cast<Simulation *>(handle); }

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

// `probes` holds a line for each object, names separated by tabs; a hierarchical name has spaces for dots, `-` is none:
//   stream VALID READY PAYLOAD
//   core ROWS SWAP FILLED RETIRE_VALID RETIRE_REMAINDER VISIT_VALID VISITED STATE STATE STATE STATE BANK [BANK ...]
// with 0 rows for a register.
void *sim_new(const char *probes) { return new Simulation(probes); }
void sim_free(void *handle) { delete simulation(handle); }

// Empty, or: `probe PATH` that is missing; `valid STREAM CYCLE`, `payload STREAM CYCLE` that did not hold.
const char *sim_fault(void *handle) { return simulation(handle)->fault.c_str(); }
int64_t sim_cycle(void *handle) { return simulation(handle)->cycle; }
// A line a memory: path, depth and width, separated by tabs.
const char *sim_memories(void *handle) { return simulation(handle)->memories.c_str(); }

void sim_image(void *handle, const char *path, const uint32_t *words) {
    auto s = simulation(handle);
    Probe memory = s->find(path);
    s->images.push_back({memory, std::vector<uint32_t>(words, words + memory.pieces * memory.depth)});
}

// Back to the state after configuration, with one of the mutants that were compiled in (0: none).
void sim_configure(void *handle, uint32_t mutant) {
    auto s = simulation(handle);
    s->design.reset();
    for (auto &image : s->images) std::copy(image.second.begin(), image.second.end(), image.first.curr);
    if (s->mutant.curr) s->mutant.set(mutant);
    s->offered = false;
    for (Stream &stream : s->streams) stream.waits = false;
}

// Random pauses on all three ports; seed 0 never pauses.
void sim_stalls(void *handle, uint64_t seed) {
    for (int port = 0; port < 3; port++) {
        Stalls &stalls = simulation(handle)->stalls[port];
        stalls = Stalls();
        stalls.state = seed ? (seed * 3 + port) * 0x9E3779B97F4A7C15ULL | 1 : 0;
    }
}

void sim_reset(void *handle, int64_t cycles) {
    auto s = simulation(handle);
    s->streams[0].valid.set(s->offered = false);
    s->rst.set(1);
    while (cycles--) s->tick();
    s->rst.set(0);
    s->moved = s->advanced = s->cycle;
}

// Send beats *sent..count-1; ends when all are taken and `classes` beats of o_class were seen since the last clear
// (returns 0), after `limit` cycles (1: call again to go on), when nothing moved for `patience` cycles (2), when no core
// swapped for `sample` cycles (3), or when there were more class beats than that (4).
int sim_run(void *handle, const uint64_t *beats, int64_t count, int64_t *sent, int64_t classes, int64_t limit,
            int64_t patience, int64_t sample) {
    auto s = simulation(handle);
    Stream &i = s->streams[0], &o = s->streams[1], &o_class = s->streams[2];
    while (*sent < count || (int64_t)o_class.beats.size() < classes) {
        if (limit-- == 0) return 1;
        if (s->cycle - s->moved > patience) return 2;
        if (s->cycle - s->advanced > sample) return 3;
        if ((int64_t)o_class.beats.size() > classes) return 4;
        bool pause = s->stalls[0].pause();
        s->offered = *sent < count && (s->offered || !pause);
        i.valid.set(s->offered);
        if (s->offered) i.payload.set(beats[*sent]);
        o.ready.set(!s->stalls[1].pause());
        o_class.ready.set(!s->stalls[2].pause());
        size_t before = i.beats.size();
        s->tick();
        if (i.beats.size() != before) *sent += 1, s->offered = false;
    }
    return 0;
}

// Send beats to i_load, then hear o_load until a beat has one of the bits `last`; nothing else moves meanwhile. Returns
// how many beats came, of which `room` at most are kept, or -1 where none comes for `patience` cycles.
int64_t sim_load(void *handle, const uint64_t *beats, int64_t count, uint64_t last, uint64_t *answers, int64_t room,
                 int64_t patience) {
    auto s = simulation(handle);
    Probe valid = s->find("i_load__valid"), ready = s->find("i_load__ready"), payload = s->find("i_load__payload");
    Probe answer = s->find("o_load__valid"), taken = s->find("o_load__ready"), word = s->find("o_load__payload");
    s->streams[0].valid.set(s->offered = false);
    int64_t came = 0;
    auto cycle = [&](uint64_t &seen, bool &moves) {  // what is there before the clock rises
        s->design.p_clk.template set<bool>(false);
        s->design.step();
        moves = (ready.high() && valid.high()) || (answer.high() && taken.high());
        seen = word.value();
        s->tick();
    };
    uint64_t seen = 0;
    bool moves = false;
    taken.set(0);
    for (int64_t sent = 0, waited = 0; sent < count; waited++) {
        if (waited > patience) return -1;
        valid.set(1), payload.set(beats[sent]);
        cycle(seen, moves);
        if (moves) sent++, waited = 0;
    }
    valid.set(0), taken.set(1);
    for (int64_t waited = 0;; waited++) {
        if (waited > patience) return -1;
        cycle(seen, moves);
        if (!moves) continue;
        if (came < room) answers[came] = seen;
        came++, waited = 0;
        if (seen & last) break;
    }
    taken.set(0);
    s->moved = s->advanced = s->cycle;
    return came;
}

// Forget everything that was seen.
void sim_clear(void *handle) {
    auto s = simulation(handle);
    for (Stream &stream : s->streams) stream.beats.clear(), stream.cycles.clear();
    for (Core &core : s->cores) {
        core.swaps = core.retires = core.visits = Words();
        std::fill_n(core.spent, 4, 0), core.spent_at_swaps.clear();
    }
    s->fault.clear();
    s->moved = s->advanced = s->cycle;
}

// Beats of a stream: their number; *beats and *cycles are valid until the next run.
int64_t sim_beats(void *handle, int64_t stream, const uint64_t **beats, const int64_t **cycles) {
    Stream &found = simulation(handle)->streams[stream];
    *beats = found.beats.data(), *cycles = found.cycles.data();
    return (int64_t)found.beats.size();
}

// Words of a core, kind 0 banks at swaps, 1 remainders, 2 visits: number of records; *size pieces in all.
int64_t sim_words(void *handle, int64_t core, int kind, const uint32_t **words, const int64_t **cycles, int64_t *size) {
    Core &found = simulation(handle)->cores[core];
    Words &record = kind == 2 ? found.visits : kind ? found.retires : found.swaps;
    *words = record.words.data(), *cycles = record.cycles.data(), *size = (int64_t)record.words.size();
    return (int64_t)record.cycles.size();
}

// Cycles a core spent in each of the four states up to each swap; their number.
int64_t sim_states(void *handle, int64_t core, const int64_t **spent) {
    Core &found = simulation(handle)->cores[core];
    *spent = found.spent_at_swaps.data();
    return (int64_t)found.spent_at_swaps.size();
}

#ifdef RECORD
// From now on record cycles first..stop-1, until `room` pieces are kept; see `Recording`. Returns its `names`.
const char *sim_record(void *handle, int64_t first, int64_t stop, int64_t room) {
    Recording &recording = simulation(handle)->recording;
    recording.first = first, recording.stop = stop, recording.room = (size_t)room;
    return recording.names.c_str();
}

// Changes that were recorded: their number; *size pieces in all; -1: there was no room for all of them.
int64_t sim_changes(void *handle, const uint32_t **signals, const int64_t **cycles, const uint32_t **words,
                    int64_t *size) {
    Recording &found = simulation(handle)->recording;
    *signals = found.signals.data(), *cycles = found.cycles.data(), *words = found.words.data();
    *size = (int64_t)found.words.size();
    return found.full ? -1 : (int64_t)found.signals.size();
}
#endif

}  // extern "C"
#pragma GCC visibility pop
