/* tests/fuzz/wire_ws_frame.c - the reader says the same however its input is cut; what is framed
 * is read back. The first two bytes choose limits and cuts. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "wire/ws_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void note(struct buf *log, const struct ws_event *ev)
{
    buf_printf(log, "%d %d %u %s %zu:", ev->item, ev->binary, ev->close_code,
               ev->why ? ev->why : "", ev->payload.n);
    buf_add(log, ev->payload);
    CHECK(ev->item != WS_MESSAGE || ev->binary || utf8_ok(ev->payload));
    CHECK((ev->item == WS_BAD) == (ev->why != NULL));
}

/* Cuts get a pseudo-random size of 1..most. Each piece is copied to memory of its exact size, so
 * that reading past it is seen. */
static void read_cut(const struct ws_limits *lim, str in, size_t most, struct buf *log)
{
    struct ws_reader r = {0};
    struct ws_event ev;
    char *rest = NULL;
    size_t rest_n = 0;
    uint32_t x = (uint32_t)most;
    while (in.n) {
        x = x * 1664525u + 1013904223u;
        size_t n = 1 + (x >> 8) % most, at = 0, used;
        if (n > in.n)
            n = in.n;
        char *piece = mem_alloc(rest_n + n);
        if (rest_n)
            memcpy(piece, rest, rest_n);
        memcpy(piece + rest_n, in.p, n);
        in = str_from(in, n);
        n += rest_n;
        do {
            if (ws_read(&r, lim, piece + at, n - at, &used, &ev) != WS_MORE)
                note(log, &ev);
            CHECK(used <= n - at);
            CHECK(ev.item == WS_MORE || used > 0);
            at += used;
        } while (used);
        CHECK(r.cap <= 2 * (size_t)r.n + 64);
        free(rest);
        rest_n = n - at;
        CHECK(rest_n < WS_REST);
        rest = mem_alloc(rest_n);
        if (rest_n)
            memcpy(rest, piece + at, rest_n);
        free(piece);
    }
    buf_printf(log, "%d", ws_reader_midway(&r));
    free(rest);
    ws_reader_finish(&r);
}

static void same_however_cut(const struct ws_limits *lim, str in, size_t most)
{
    struct buf whole, cut;
    buf_init(&whole, 1 << 24);
    buf_init(&cut, 1 << 24);
    read_cut(lim, in, in.n + 1, &whole);
    read_cut(lim, in, most, &cut);
    CHECK(str_eq(buf_str(&whole), buf_str(&cut)));
    buf_clear(&cut);
    read_cut(lim, in, 1, &cut);
    CHECK(str_eq(buf_str(&whole), buf_str(&cut)));
    buf_finish(&whole);
    buf_finish(&cut);
}

static void put_client_frame(struct buf *b, enum ws_opcode opcode, bool is_final, str payload)
{
    static const uint8_t mask[4] = {0xa5, 0x0f, 0xc3, 0x77};
    uint8_t head[WS_HEAD_MAX];
    size_t n = ws_frame_head(head, opcode, false, payload.n);
    head[0] = (uint8_t)((head[0] & 0x7f) | (is_final ? 0x80 : 0));
    head[1] |= 0x80;
    CHECK(buf_add(b, str_of(head, n)) && buf_add(b, str_of(mask, 4)) && buf_add(b, payload));
    ws_unmask(b->p + b->n - payload.n, payload.n, mask);
}

/* A message cut into two frames with a Ping between comes back as it was. */
static void round_trip(str payload, size_t cut)
{
    const struct ws_limits lim = {.max_message = 1 << 24, .max_frame = 1 << 24};
    struct buf in, want, got;
    buf_init(&in, 1 << 24);
    buf_init(&want, 1 << 24);
    buf_init(&got, 1 << 24);
    cut %= payload.n + 1;
    str ping = str_of(payload.p, payload.n < 125 ? payload.n : 125);
    put_client_frame(&in, WS_OP_BINARY, false, str_of(payload.p, cut));
    put_client_frame(&in, WS_OP_PING, true, ping);
    put_client_frame(&in, WS_OP_CONTINUATION, true, str_from(payload, cut));
    note(&want, &(struct ws_event){.item = WS_PING, .payload = ping});
    note(&want, &(struct ws_event){.item = WS_MESSAGE, .binary = true, .payload = payload});
    buf_printf(&want, "0");
    read_cut(&lim, buf_str(&in), cut + 1, &got);
    CHECK(str_eq(buf_str(&want), buf_str(&got)));
    buf_finish(&in);
    buf_finish(&want);
    buf_finish(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2 || n > 100000)
        return 0;
    const struct ws_limits lim = {
        .max_message = data[0] & 2 ? 300 : 70000,
        .max_frame = data[0] & 4 ? 200 : 70000,
        .deflate = data[0] & 1,
    };
    str in = str_of(data + 2, n - 2);
    same_however_cut(&lim, in, 1 + data[1]);
    round_trip(in, data[1] * 7u);
    return 0;
}
