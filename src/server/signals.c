/* server/signals.c - the signals this process waits for. */
#include <signal.h>
#include <time.h>

#include "server/state.h"

int server_signal(int64_t wait_ms)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* before the first thread: all of them inherit it */
    signal(SIGPIPE, SIG_IGN);
    struct timespec ts = {wait_ms / 1000, wait_ms % 1000 * 1000000};
    return wait_ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &ts);
}
