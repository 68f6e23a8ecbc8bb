// Drives a design behind its serial line, compiled by CXXRTL, behind a C interface for ctypes; see serial_line.py.
#include "design.cc"

#include <cstdint>
#include <string>
#include <vector>

namespace {

// What the host does, one after the other: kind in the upper byte, a count or a byte below.
enum Kind { BYTE = 0, BAD_STOP = 1, LOW = 2, HIGH = 3 };  // a byte; one whose stop bit is low; the line low, high, for cycles

struct Simulation {
    cxxrtl_design::TOP design;
    cxxrtl::debug_items items;
    std::string memories;
    int64_t cycle = 0, divisor = 4;
    // the listener: cycles to the middle of the next bit, bits of the byte
    int64_t timer = 0;
    int bits = 0;
    uint32_t shift = 0;
    std::vector<uint8_t> heard;
    std::vector<int64_t> cycles;  // of the ends of these bytes
    int64_t broken = 0;           // bytes whose stop bit was low

    Simulation() {
        design.debug_info(&items, nullptr, "");
        for (const auto &item : items.table)
            if (item.second[0].type == cxxrtl::debug_item::MEMORY)
                memories += item.first + "\t" + std::to_string(item.second[0].depth) + "\t" +
                            std::to_string(item.second[0].width) + "\n";
        design.p_rx.template set<bool>(true);
    }

    void tick() {
#ifdef FEEDBACK  // see driver.cpp
        design.p_clk.template set<bool>(false);
        design.step();
#else
        design.prev_p_clk.template set<bool>(false);
#endif
        design.p_clk.template set<bool>(true);
        design.eval();
        design.commit();
        cycle++;
        listen(design.p_tx.template get<bool>());
    }

    void listen(bool level) {
        if (bits == 0) {
            if (!level) bits = 10, timer = divisor / 2;
        } else if (--timer == 0) {
            timer = divisor;
            if (--bits == 9) {
                if (level) bits = 0;  // a glitch, no start bit
            } else if (bits) {
                shift = shift >> 1 | (uint32_t)level << 7;
            } else if (level) {
                heard.push_back((uint8_t)shift), cycles.push_back(cycle);
            } else {
                broken++;
            }
        }
    }

    void hold(bool level, int64_t count) {
        design.p_rx.template set<bool>(level);
        while (count-- > 0) tick();
    }

    void send(uint32_t byte, bool stop) {
        hold(false, divisor);
        for (int bit = 0; bit < 8; bit++) hold(byte >> bit & 1, divisor);
        hold(stop, divisor);
        design.p_rx.template set<bool>(true);
    }
};

Simulation *simulation(void *handle) { return static_cast<Simulation *>(handle); }

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

void *line_new() { return new Simulation; }
void line_free(void *handle) { delete simulation(handle); }
int64_t line_cycle(void *handle) { return simulation(handle)->cycle; }
int64_t line_broken(void *handle) { return simulation(handle)->broken; }
// A line a memory: path, depth and width, separated by tabs.
const char *line_memories(void *handle) { return simulation(handle)->memories.c_str(); }

// Contents of a memory, lowest piece of a word first.
void line_image(void *handle, const char *path, const uint32_t *words) {
    cxxrtl::debug_item &item = simulation(handle)->items.table.at(path)[0];
    size_t size = (item.width + 31) / 32 * item.depth;
    for (size_t n = 0; n < size; n++) item.curr[n] = words[n];
}

// Reset, and a line of so many cycles a bit.
void line_reset(void *handle, int64_t divisor, int64_t cycles) {
    auto s = simulation(handle);
    s->divisor = divisor, s->bits = 0;
    s->design.p_rst.template set<bool>(true);
    s->hold(true, cycles);
    s->design.p_rst.template set<bool>(false);
    s->heard.clear(), s->cycles.clear();
}

// Do what `acts` say, then wait until `wanted` bytes in all were heard, or nothing for `patience` cycles.
void line_run(void *handle, const uint32_t *acts, int64_t count, int64_t wanted, int64_t patience) {
    auto s = simulation(handle);
    for (int64_t n = 0; n < count; n++) {
        uint32_t value = acts[n] & 0xffffff;
        switch (acts[n] >> 24) {
            case BYTE: s->send(value, true); break;
            case BAD_STOP: s->send(value, false); break;
            case LOW: s->hold(false, value), s->design.p_rx.template set<bool>(true); break;
            case HIGH: s->hold(true, value); break;
        }
    }
    int64_t silent = 0;
    while ((int64_t)s->heard.size() < wanted && silent < patience) {
        s->tick();
        silent = s->bits ? 0 : silent + 1;
    }
}

// Bytes heard since the last call; *bytes and *cycles are valid until the next run.
int64_t line_heard(void *handle, uint8_t *bytes, int64_t *cycles, int64_t room) {
    auto s = simulation(handle);
    int64_t size = (int64_t)s->heard.size() < room ? (int64_t)s->heard.size() : room;
    for (int64_t n = 0; n < size; n++) bytes[n] = s->heard[n], cycles[n] = s->cycles[n];
    s->heard.erase(s->heard.begin(), s->heard.begin() + size);
    s->cycles.erase(s->cycles.begin(), s->cycles.begin() + size);
    return size;
}

}  // extern "C"
#pragma GCC visibility pop
