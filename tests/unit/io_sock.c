/* unit/io_sock - the Unix socket: its mode, its place, what may lie there already. */
#include "io/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static char folder[] = "/tmp/io-sock-XXXXXX";
static struct sock_unix u;
static struct err e;

static int begin(void **state)
{
    (void)state;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static int listens(const char *path, uint32_t mode)
{
    int fd = sock_listen_unix(str_z(path), mode, &u, &e);
    if (fd < 0)
        fail_msg("%s", e.text);
    return fd;
}

static void refuses(const char *path, const char *said)
{
    assert_int_equal(sock_listen_unix(str_z(path), 0660, &u, &e), -1);
    assert_int_equal(e.kind, ERR_SYSTEM);
    if (!strstr(e.text, said))
        fail_msg("%s\nlacks\n%s", e.text, said);
    sock_unix_remove(&u); /* nothing of ours is there */
}

/* CFG-36, SEC-33: exactly the mode, whatever the umask. */
static void mode_is_exact(void **state)
{
    static const mode_t modes[] = {0600, 0660, 0666, 0777, 0640, 0400}, masks[] = {0, 022, 0777};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(modes); i++)
        for (size_t k = 0; k < COUNT_OF(masks); k++) {
            mode_t before = umask(masks[k]);
            int fd = listens("s", modes[i]);
            umask(before);
            assert_int_equal(mode_of("s"), modes[i]);
            sock_unix_remove(&u);
            assert_int_equal(access("s", F_OK), -1);
            close(fd);
        }
}

static int client_of(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static void connections_are_accepted(void **state)
{
    char byte = 0;
    (void)state;
    int fd = listens("s", 0600);
    assert_int_equal(sock_accept(fd), -1);
    assert_int_equal(errno, EAGAIN);
    int client = client_of("s"), server = sock_accept(fd);
    assert_true(server >= 0 && (fcntl(server, F_GETFL) & O_NONBLOCK));
    assert_int_equal(write(client, "x", 1), 1);
    assert_int_equal(read(server, &byte, 1), 1);
    close(client);
    close(server);
    close(fd);
    sock_unix_remove(&u);
}

static void tcp_gets_its_options(void **state)
{
    struct sock_address at;
    int on = 0;
    socklen_t n = sizeof on;
    (void)state;
    assert_true(sock_resolve(S("127.0.0.1"), 0, &at, &e));
    int fd = sock_listen(&at, false, &e);
    assert_true(fd >= 0 && sock_resolve(S("127.0.0.1"), sock_port(fd), &at, &e));
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&at.sa, at.n), 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    int server = sock_accept(fd);
    assert_int_equal(getsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, &n), 0);
    assert_int_not_equal(on, 0);
    /* SEC-3: the kernel gives up one whose packets vanish while data waits. */
    assert_int_equal(getsockopt(server, IPPROTO_TCP, TCP_USER_TIMEOUT, &on, &n), 0);
    assert_int_equal(on, 30000);
    close(client);
    close(server);
    close(fd);
}

/* CFG-38 */
/* Also a port that is shared among the threads of another process. */
static void a_port_in_use_is_not_free(void **state)
{
    struct sock_address at;
    struct err e;
    (void)state;
    for (int shared = 0; shared < 2; shared++) {
        assert_true(sock_resolve(S("127.0.0.1"), 0, &at, &e));
        int fd = sock_listen(&at, shared, &e);
        assert_true(fd >= 0 && sock_resolve(S("127.0.0.1"), sock_port(fd), &at, &e));
        assert_false(sock_is_free(&at, &e));
        assert_non_null(strstr(e.text, "Address already in use"));
        close(fd);
        assert_true(sock_is_free(&at, &e));
    }
}

static void stale_socket_is_replaced(void **state)
{
    (void)state;
    close(listens("s", 0600)); /* as after kill -9: the file stays */
    struct sock_unix dead = u;
    int fd = listens("s", 0640);
    assert_int_equal(mode_of("s"), 0640);
    sock_unix_remove(&dead); /* not his any more */
    assert_int_equal(access("s", F_OK), 0);
    refuses("s", "another process listens there");
    assert_int_equal(access("s", F_OK), 0);
    fd = (close(fd), listens("s", 0600));
    close(client_of("s"));
    close(fd);
    sock_unix_remove(&u);
    sock_unix_remove(&u);
    assert_int_equal(access("s", F_OK), -1);
}

/* CFG-38, SEC-33: whatever else is there stays. */
static void other_things_stay(void **state)
{
    char text[8] = "";
    (void)state;
    int fd = open("file", O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "precious", 8), 8);
    close(fd);
    assert_int_equal(mkdir("dir", 0700), 0);
    assert_int_equal(symlink("file", "link"), 0);
    assert_int_equal(symlink("nowhere", "loose"), 0);
    close(listens("s", 0600));
    assert_int_equal(symlink("s", "to-stale"), 0);
    static const char *const names[] = {"file", "dir", "link", "loose", "to-stale"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        refuses(names[i], "something that is no socket is there");
        assert_int_equal(mode_of(names[i]) != 0, 1);
    }
    fd = open("file", O_RDONLY);
    assert_int_equal(read(fd, text, 8), 8);
    assert_memory_equal(text, "precious", 8);
    close(fd);
    unlink("file");
    unlink("link");
    unlink("loose");
    unlink("to-stale");
    unlink("s");
    rmdir("dir");
}

/* CFG-37 */
static void folder_is_made_or_left_alone(void **state)
{
    (void)state;
    mode_t before = umask(077);
    int fd = listens("new/s", 0600);
    umask(before);
    assert_int_equal(mode_of("new"), 0755);
    sock_unix_remove(&u);
    close(fd);
    assert_int_equal(chmod("new", 01711), 0);
    fd = listens("new/s", 0600);
    assert_int_equal(mode_of("new"), 01711);
    sock_unix_remove(&u);
    close(fd);
    assert_int_equal(rmdir("new"), 0);
    refuses("a/b/s", "cannot make the folder a/b: No such file or directory");
    fd = open("file", O_CREAT | O_WRONLY, 0600);
    close(fd);
    refuses("file/s", "file is no folder");
    unlink("file");
}

static void long_paths_are_refused(void **state)
{
    char path[200];
    (void)state;
    memset(path, 'x', sizeof path);
    assert_int_equal(sock_listen_unix(str_of(path, 108), 0600, &u, &e), -1);
    assert_non_null(strstr(e.text, "1 to 107 bytes"));
    assert_int_equal(sock_listen_unix(S(""), 0600, &u, &e), -1);
    assert_int_equal(sock_listen_unix(S("a\0b"), 0600, &u, &e), -1);
    path[107] = 0;
    int fd = listens(path, 0600);
    sock_unix_remove(&u);
    assert_int_equal(access(path, F_OK), -1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mode_is_exact),
        cmocka_unit_test(connections_are_accepted),
        cmocka_unit_test(tcp_gets_its_options),
        cmocka_unit_test(a_port_in_use_is_not_free),
        cmocka_unit_test(stale_socket_is_replaced),
        cmocka_unit_test(other_things_stay),
        cmocka_unit_test(folder_is_made_or_left_alone),
        cmocka_unit_test(long_paths_are_refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
