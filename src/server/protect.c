#include "server/protect.h"

#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"

/* LeakSanitizer looks at the threads of its own process with ptrace. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IS_CHECKED = true };
#else
enum { IS_CHECKED = false };
#endif

void protect_process(bool is_debug)
{
    if (geteuid() == 0)
        log_warn("server", "running as root; a user of its own is enough, ports below 1024 need "
                           "only CAP_NET_BIND_SERVICE");
    if (is_debug || IS_CHECKED)
        return;
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        log_warn("server", "core files cannot be switched off: %s", strerror(errno));
}
