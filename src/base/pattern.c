#include "base/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

enum { PATTERN_DEPTH = 1000, PATTERN_HEAP_KB = 1024 };

struct pattern {
    pcre2_code *code;
    pcre2_match_context *limits;
};

/* Behind "(?": groups without capture, names, flags. Everything else is PCRE2's alone. */
static bool group_is_shared(str rest)
{
    static const char flags[] = "imsUx-";
    if (str_starts(rest, S(":")) || str_starts(rest, S("P<")))
        return true;
    if (str_starts(rest, S("<")))
        return !str_starts(rest, S("<=")) && !str_starts(rest, S("<!"));
    size_t n = 0;
    while (n < rest.n && strchr(flags, rest.p[n]) != NULL && rest.p[n] != '\0')
        n++;
    return n > 0 && n < rest.n && (rest.p[n] == ':' || rest.p[n] == ')');
}

/* Escapes that refer back, or that the regex crate does not know, are letters and digits. */
static bool escape_is_shared(char c)
{
    bool is_name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return !is_name || (c != '\0' && strchr("dDsSwWbBAzafnrtvxpP", c) != NULL);
}

static bool dialect_check(str text, struct err *e)
{
    bool in_class = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\\' && ++i < text.n && !escape_is_shared(text.p[i]))
            return err_set(e, ERR_INVALID, "\\%c at %zu is not supported", text.p[i], i);
        if (c == '\\')
            continue;
        if (in_class || c == '[') {
            if (!in_class && i + 1 < text.n && text.p[i + 1] == '^')
                i++;
            if (!in_class && i + 1 < text.n && text.p[i + 1] == ']')
                i++; /* right behind the start it is a plain one */
            in_class = c != ']';
        } else if (c == '(' && i + 1 < text.n &&
                   (text.p[i + 1] == '*' ||
                    (text.p[i + 1] == '?' && !group_is_shared(str_from(text, i + 2))))) {
            return err_set(e, ERR_INVALID, "the group at %zu is not supported", i);
        } else if (c == '+' && i > 0 && strchr("*+?}", text.p[i - 1]) != NULL &&
                   (i < 2 || text.p[i - 2] != '\\')) {
            return err_set(e, ERR_INVALID, "the quantifier at %zu is not supported", i);
        }
    }
    return true;
}

struct pattern *pattern_create(str text, struct err *e)
{
    if (text.n > PATTERN_MAX) {
        err_set(e, ERR_INVALID, "%zu bytes, limit %d", text.n, PATTERN_MAX);
        return NULL;
    }
    if (!dialect_check(text, e))
        return NULL;
    int why = 0;
    PCRE2_SIZE at = 0;
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)text.p, text.n,
                      PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &why, &at, NULL);
    if (code == NULL) {
        PCRE2_UCHAR reason[128] = "";
        pcre2_get_error_message(why, reason, sizeof reason);
        err_set(e, ERR_INVALID, "%s at %zu", (const char *)reason, (size_t)at);
        return NULL;
    }
    struct pattern *p = mem_alloc(sizeof *p);
    *p = (struct pattern){code, pcre2_match_context_create(NULL)};
    CHECK(p->limits != NULL);
    pcre2_set_match_limit(p->limits, PATTERN_STEPS);
    pcre2_set_depth_limit(p->limits, PATTERN_DEPTH);
    pcre2_set_heap_limit(p->limits, PATTERN_HEAP_KB);
    return p;
}

void pattern_destroy(struct pattern **p)
{
    struct pattern *gone = *p;
    *p = NULL;
    if (gone == NULL)
        return;
    pcre2_code_free(gone->code);
    pcre2_match_context_free(gone->limits);
    free(gone);
}

bool pattern_match(const struct pattern *p, str text, bool *exceeded_out)
{
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    CHECK(data != NULL);
    int rc = pcre2_match(p->code, (PCRE2_SPTR)text.p, text.n, 0, 0, data, p->limits);
    pcre2_match_data_free(data);
    if (exceeded_out)
        *exceeded_out = rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_DEPTHLIMIT ||
                        rc == PCRE2_ERROR_HEAPLIMIT;
    return rc >= 0;
}
