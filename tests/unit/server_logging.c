/* unit/server_logging - the first line names the process (configuration.md: instance.process_id).
 */
#include "server/logging.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What is written to stdout by the first line. */
static void first_line(str process_id, char *out, size_t size)
{
    static struct config c;
    int pipe_fds[2], before = dup(STDOUT_FILENO);
    c.process_id = process_id;
    fflush(stdout);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_true(dup2(pipe_fds[1], STDOUT_FILENO) >= 0);
    logging_begin(&c);
    ssize_t n = read(pipe_fds[0], out, size - 1);
    dup2(before, STDOUT_FILENO);
    close(before);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    assert_true(n > 0);
    out[n] = '\0';
}

static void names_the_process(void **state)
{
    char line[512], other[512];
    (void)state;
    first_line(S("blue one"), line, sizeof line);
    assert_non_null(strstr(line, "version=" SOCKUDO_VERSION " process_id=\"blue one\"\n"));
    first_line(S(""), line, sizeof line);
    first_line(S(""), other, sizeof other);
    const char *id = strstr(line, "process_id="), *other_id = strstr(other, "process_id=");
    assert_non_null(id);
    assert_non_null(other_id);
    assert_int_equal(strlen(id), strlen("process_id=") + 36 + 1);
    assert_int_equal(id[strlen("process_id=") + 14], '4');
    assert_string_not_equal(id, other_id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_the_process)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
