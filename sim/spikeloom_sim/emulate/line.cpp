// A board compiled by Verilator, behind a C interface for ctypes: bytes in and out at the two ends of its serial line.
//
// The line is driven and sampled bit by bit, as a serial adapter would; one call runs thousands of clock cycles.
#include "Vboard.h"
#include "verilated.h"

#include <algorithm>
#include <cstdint>
#include <fcntl.h>
#include <unistd.h>

namespace {

constexpr int FRAME_BITS = 10;  // start, eight data, stop

struct Board {
    VerilatedContext context;
    Vboard *top = nullptr;
    int divisor;
    int64_t cycle = 0, moved = 0;
    // towards the board: bits that are still to be sent, and cycles left of the one on the line
    uint32_t sending = 0;
    int send_bits = 0, send_cycles = 0;
    // from the board: bits that are still to come (0: waiting for a start bit), and cycles to the middle of the next
    uint32_t received = 0;
    int receive_bits = 0, receive_cycles = 0;

    explicit Board(int divisor) : divisor(divisor) {}
    ~Board() {
        if (top) top->final();
        delete top;
    }

    void tick() {
        top->clk = 1;
        top->eval();
        top->clk = 0;
        top->eval();
        cycle++;
    }

    // Put the next bit on the line where it is time; whether there is none.
    bool send() {
        if (send_cycles && --send_cycles) return false;
        if (!send_bits) return true;
        top->rx = sending & 1;
        sending >>= 1, send_bits--, send_cycles = divisor;
        return false;
    }

    // Look at the line; whether a whole byte has come. A stop bit that is low drops the byte.
    bool receive(uint8_t *byte) {
        if (!receive_bits) {
            if (!top->tx) receive_bits = FRAME_BITS, receive_cycles = divisor / 2;
        } else if (--receive_cycles == 0) {
            received = received >> 1 | (uint32_t)top->tx << (FRAME_BITS - 1);
            receive_cycles = divisor;
            if (--receive_bits == 0) {
                *byte = (uint8_t)(received >> 1);
                return received >> (FRAME_BITS - 1);
            }
        }
        return false;
    }
};

Board *board(void *handle) { return static_cast<Board *>(handle); }

}  // namespace

#pragma GCC visibility push(default)
extern "C" {

// A board after power-on; its memories are read from `folder`. Null where the folder cannot be entered.
void *board_new(const char *folder, int divisor) {
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (here < 0) return nullptr;
    if (chdir(folder)) {
        close(here);
        return nullptr;
    }
    auto b = new Board(divisor);
    b->top = new Vboard(&b->context);
    b->top->rx = 1, b->top->rst = 1, b->top->clk = 0;
    b->top->eval();
    int back = fchdir(here);
    close(here);
    if (back) {
        delete b;
        return nullptr;
    }
    b->tick(), b->tick();
    b->top->rst = 0;
    return b;
}
void board_free(void *handle) { delete board(handle); }

int64_t board_cycle(void *handle) { return board(handle)->cycle; }
// Cycles since a byte last began or ended on either line.
int64_t board_quiet(void *handle) { return board(handle)->cycle - board(handle)->moved; }

// Run: send bytes *taken..count-1, and write what comes to `bytes`. Returns how many came, after `limit` cycles, or
// where there is no room for more, or a byte time of silence after the last one, or, once all bytes are sent and nothing
// comes, `patience` cycles.
int64_t board_run(void *handle, const uint8_t *sent, int64_t count, int64_t *taken, uint8_t *bytes, int64_t room,
                  int64_t limit, int64_t patience) {
    Board *b = board(handle);
    const int64_t silence = (FRAME_BITS + 2) * b->divisor;
    const int64_t begin = b->cycle, end = begin + limit;
    int64_t came = 0;
    while (b->cycle < end && came < room) {
        if (b->send()) {
            if (*taken < count) {
                b->sending = (uint32_t)sent[(*taken)++] << 1 | 1u << (FRAME_BITS - 1), b->send_bits = FRAME_BITS;
                b->moved = b->cycle;
                b->send();
            } else if (!b->receive_bits && b->cycle - std::max(b->moved, begin) > (came ? silence : patience)) {
                break;
            }
        }
        b->tick();
        if (b->receive(&bytes[came])) came++, b->moved = b->cycle;
    }
    return came;
}

}  // extern "C"
#pragma GCC visibility pop
