/* base/limits.h - every hard bound of what somebody outside can make the server use.
 *
 * They cannot be configured; options lie below them, never above. A file that holds one to its word
 * includes this header; the number behind it is the rule of security.md §2.
 *
 * Nature   constants
 * Limits   bytes unless the name says otherwise; _MS milliseconds
 * Source   security.md §2; http-api.md §2, §4; websocket-protocol.md §2, §16
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* ---- time: absolute, bytes never extend them ---- */
enum {
    STREAM_HANDSHAKE_MS = 10000,     /* R1: TLS */
    HTTP_HEAD_MS = 10000,            /* R1: accept or first byte, to the end of a head */
    HTTP_BODY_MS = 30000,            /* R1 */
    HTTP_IDLE_MS = 75000,            /* R1: between two requests */
    HTTP_LINGER_MS = 2000,           /* for the peer's end, when all has been answered */
    HTTP_SPARE_MS = 100,             /* R4: for one without a head that has to go */
    STREAM_STALL_MS = 75000,         /* R1: without STREAM_PROGRESS of what waits leaving */
    CONN_MESSAGE_TIMEOUT_MS = 60000, /* R2: first to last byte of a message */
    CONN_PONG_TIMEOUT_MS = 30000,    /* R3 */
    CONN_CLOSE_TIMEOUT_MS = 5000,    /* R3: for the peer's Close behind ours */
    SOCK_USER_TIMEOUT_MS = 30000,    /* R3: the kernel's, for data that nobody acknowledges */
    CONN_REPEAT_MS = 1000,           /* R12, R13: between repeated subscribes and sign-ins */
    WATCH_SLOW_MS = 1000,            /* R13: between a user's online and offline */
};

/* ---- a turn of a worker: nobody holds up the others ---- */
enum {
    ACCEPTS_PER_TURN = 64,       /* R5 */
    TIMER_BURST = 1000,          /* R5: deadlines in one call */
    HOOKS_TOLD_AT_ONCE = 256,    /* members in one hold of a partition's lock */
    STREAM_HANDSHAKES = 16,      /* R19: steps of TLS handshakes */
    STREAM_FLUSH_SLICE = 1000,   /* sends */
    STREAM_READ = 64 * 1024,     /* of one connection */
    CONN_FRAMES_PER_TURN = 32,   /* R9: of one connection, empty ones too */
    HTTP_REQUESTS_PER_TURN = 32, /* of one connection */
};

/* ---- HTTP ---- */
enum {
    HTTP1_HEAD_MAX = 16384,         /* R7 */
    HTTP1_HEADERS_MAX = 100,        /* R7: fields */
    HTTP1_CHUNK_LINE_MAX = 256,     /* R7: with its CR LF */
    HTTP1_TRAILERS_MAX = 8192,      /* R7: with all CR LF */
    HTTP_BODIES_MAX = 256 << 20,    /* R8: of all bodies in receipt */
    HTTP_DROP_MAX = 64 * 1024,      /* of a body that nobody will read */
    STREAM_LINGER_DROP = 64 * 1024, /* of what comes behind the last answer */
    STREAM_PROGRESS = 16 * 1024,    /* R1: in STREAM_STALL_MS */
    STREAM_REST = 48 * 1024,        /* R9: an unfinished item that the parser left */
    HEADLESS_PER_ADDRESS = 64,      /* R4: connections without a head; in all: the next */
    HEADLESS_OF_DESCRIPTORS = 4,    /* R4: one in so many */
};

/* ---- a WebSocket ---- */
enum {
    CONN_CHANNELS_MAX = 10000, /* R11: subscriptions */
    CONN_STEPS_MAX = 64,       /* commands that wait; then nothing is read */
    CONN_PARKED_MAX = 1024,    /* admissions of a worker that wait for the app store */
    WATCHLIST_MAX = 100,       /* R13: ids */
    MEMBER_ID_MAX = 256,       /* R15: user_id, of an integer its digits */
};

/* ---- texts ---- */
enum {
    JSON_DEPTH_MAX = 128,   /* R15 */
    PATTERN_MAX = 1024,     /* R17: of a webhook filter */
    PATTERN_STEPS = 100000, /* R17: of one match */
    LOG_PEER_MAX = 256,     /* R18: of a peer's text in a line */
    JOB_ID_MAX = 128,       /* I3 */
    JOB_EVENTS_MAX = 10000,
    JOB_BYTES_MAX = 16 << 20,
};

/* ---- the process ---- */
enum {
    DESCRIPTORS_RESERVED = 64,    /* R6: for logs, metrics, backends */
    DESCRIPTORS_PER_WORKER = 8,   /* R6: and these */
    DESCRIPTORS_OF_METRICS = 2,   /* R6: one in so many of the reserve, for the metrics listener */
    LISTEN_PAUSE_MS = 100,        /* R6: without descriptors */
    MEMORY_SHORT = 80,            /* R10: percent of the limit; no new WebSockets, no publishes */
    MEMORY_SHED = 90,             /* R10: percent; what can be spared goes */
    MEMORY_ENOUGH = 85,           /* R10: percent; until here */
    MEM_PEER_SIZED = 64 << 10,    /* R10: allocations that may fail, and refuse who asked */
    MEM_RESERVE_BYTES = 64 << 20, /* R10: address space for what was admitted before */
    RATE_ADDRESSES_MAX = 1000000  /* R5: with a count of their own */
};

#endif
