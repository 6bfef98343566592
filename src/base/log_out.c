#include "base/log_out.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

/* A ring of bytes. The writer writes straight out of it: [tail, tail + used) is left alone until
 * tail has moved. Everything here is under the lock, the bytes being written excepted. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled, ended;
    pthread_t thread;
    log_out_notice *notice;
    size_t tail, used;
    uint64_t dropped;
    enum { DIRECT, QUEUED, STUCK } state;
    bool is_idle, stop, has_ended;
    char bytes[LOG_OUT_BYTES];
} out = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

/* A non-blocking stdout is waited for; one that is closed or broken loses the bytes (SIGPIPE is
 * off): the server goes on. */
static void write_all(const char *p, size_t n)
{
    while (n) {
        ssize_t w = write(STDOUT_FILENO, p, n);
        if (w >= 0) {
            p += w;
            n -= (size_t)w;
        } else if (errno == EAGAIN) {
            struct pollfd f = {.fd = STDOUT_FILENO, .events = POLLOUT};
            poll(&f, 1, -1);
        } else if (errno != EINTR) {
            return;
        }
    }
}

/* ---- the ring; the lock is held ---- */

static bool ring_add(str s)
{
    if (s.n > sizeof out.bytes - out.used)
        return false;
    size_t at = (out.tail + out.used) % sizeof out.bytes;
    size_t first = s.n < sizeof out.bytes - at ? s.n : sizeof out.bytes - at;
    memcpy(out.bytes + at, s.p, first);
    memcpy(out.bytes, s.p + first, s.n - first);
    out.used += s.n;
    return true;
}

static void tell_dropped(void)
{
    char bytes[LOG_NOTICE_MAX];
    struct buf b = {.p = bytes, .cap = sizeof bytes, .max = sizeof bytes};
    if (out.dropped == 0)
        return;
    out.notice(&b, out.dropped);
    if (ring_add(buf_str(&b)))
        out.dropped = 0;
}

/* ---- the writer ---- */

/* In pieces, so that room comes back early. A line may be in two of them. */
static void write_piece(void)
{
    enum { PIECE = 1 << 16 };
    size_t n = out.used < PIECE ? out.used : PIECE;
    if (n > sizeof out.bytes - out.tail)
        n = sizeof out.bytes - out.tail;
    const char *p = out.bytes + out.tail;
    pthread_mutex_unlock(&out.lock);
    write_all(p, n);
    pthread_mutex_lock(&out.lock);
    out.tail = (out.tail + n) % sizeof out.bytes;
    out.used -= n;
    tell_dropped();
}

static void *run(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&out.lock);
    while (out.used || !out.stop) {
        if (out.used) {
            write_piece();
            continue;
        }
        out.is_idle = true;
        pthread_cond_wait(&out.filled, &out.lock);
        out.is_idle = false;
    }
    out.has_ended = true;
    pthread_cond_signal(&out.ended);
    pthread_mutex_unlock(&out.lock);
    return NULL;
}

/* ---- start and stop ---- */

static void ended_init(void)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&out.ended, &attr);
    pthread_condattr_destroy(&attr);
}

bool log_out_start(log_out_notice *notice, struct err *e)
{
    sigset_t all, before;
    CHECK(out.state == DIRECT);
    ended_init();
    out.notice = notice;
    out.stop = out.has_ended = false;
    sigfillset(&all); /* signals are for main */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&out.thread, NULL, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        pthread_cond_destroy(&out.ended);
        return err_set(e, ERR_SYSTEM, "cannot start the log thread: %s", strerror(rc));
    }
    pthread_mutex_lock(&out.lock);
    out.state = QUEUED;
    pthread_mutex_unlock(&out.lock);
    return true;
}

static struct timespec after_ms(int64_t ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += ms % 1000 * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

/* A writer that hangs in write() is left behind: the process is about to end. */
void log_out_stop(int64_t wait_ms)
{
    struct timespec until = after_ms(wait_ms);
    int rc = 0;
    pthread_mutex_lock(&out.lock);
    if (out.state != QUEUED) {
        pthread_mutex_unlock(&out.lock);
        return;
    }
    out.stop = true;
    pthread_cond_signal(&out.filled);
    while (!out.has_ended && rc == 0)
        rc = pthread_cond_timedwait(&out.ended, &out.lock, &until);
    out.state = out.has_ended ? DIRECT : STUCK;
    bool has_ended = out.has_ended;
    pthread_mutex_unlock(&out.lock);
    if (!has_ended) {
        pthread_detach(out.thread);
        return;
    }
    pthread_join(out.thread, NULL);
    pthread_cond_destroy(&out.ended);
}

void log_out_line(str line)
{
    pthread_mutex_lock(&out.lock);
    bool direct = out.state == DIRECT;
    if (out.state == QUEUED) {
        if (!ring_add(line))
            out.dropped++;
        else if (out.is_idle)
            pthread_cond_signal(&out.filled);
    }
    pthread_mutex_unlock(&out.lock);
    if (direct)
        write_all(line.p, line.n);
}
