#include "pusher/origin.h"

static bool find(str s, str what, size_t *at)
{
    const char *p = s.n >= what.n ? memmem(s.p, s.n, what.p, what.n) : NULL;
    if (p)
        *at = (size_t)(p - s.p);
    return p != NULL;
}

static size_t stars(str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == '*';
    return n;
}

static bool is_any(str pattern)
{
    return str_eq(pattern, S("*")) || str_eq_nocase(pattern, S("any"));
}

static str without_port(str host)
{
    size_t n = host.n;
    while (n && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
        n--;
    return n && host.p[n - 1] == ':' ? str_of(host.p, n - 1) : host;
}

static bool domain_check(str pattern, str domain, struct err *e)
{
    size_t at;
    domain = without_port(domain);
    if (domain.n == 0 || domain.p[0] == '.' || domain.p[domain.n - 1] == '.' ||
        find(domain, S(".."), &at))
        return err_set(e, ERR_CONFIG, "origin pattern \"%.*s\" has a bad domain", FMT(pattern));
    return true;
}

bool origin_pattern_check(str pattern, struct err *e)
{
    size_t at;
    if (pattern.n == 0)
        return err_set(e, ERR_CONFIG, "origin pattern is empty");
    if (is_any(pattern))
        return true;
    if (stars(pattern) > 1)
        return err_set(e, ERR_CONFIG, "origin pattern \"%.*s\" has more than one *", FMT(pattern));
    str host = pattern;
    if (find(pattern, S("://"), &at)) {
        host = str_from(pattern, at + 3);
        if (at == 0 || host.n == 0)
            return err_set(e, ERR_CONFIG, "origin pattern \"%.*s\" lacks scheme or host",
                           FMT(pattern));
    }
    if (str_starts(host, S("*.")))
        host = str_from(host, 2);
    return domain_check(pattern, host, e);
}

static bool starts_nocase(str s, str prefix)
{
    return s.n >= prefix.n && str_eq_nocase(str_of(s.p, prefix.n), prefix);
}

static bool ends_nocase(str s, str suffix)
{
    return s.n >= suffix.n && str_eq_nocase(str_from(s, s.n - suffix.n), suffix);
}

static bool sub_domain(str domain, str host)
{
    if (str_eq_nocase(host, domain))
        return true;
    return host.n > domain.n && ends_nocase(host, domain) && host.p[host.n - domain.n - 1] == '.';
}

static bool text_matches(str pattern, str text)
{
    size_t at;
    if (!find(pattern, S("*"), &at))
        return str_eq_nocase(pattern, text);
    str prefix = str_of(pattern.p, at), suffix = str_from(pattern, at + 1);
    return text.n >= prefix.n + suffix.n && starts_nocase(text, prefix) &&
           ends_nocase(text, suffix);
}

bool origin_matches(str pattern, str origin)
{
    size_t at;
    if (is_any(pattern))
        return true;
    /* "null" is what every sandbox and local file sends: nobody in particular. */
    if (origin.n == 0 || str_eq_nocase(origin, S("null")) || !origin_pattern_check(pattern, NULL))
        return false;
    if (find(pattern, S("://"), &at))
        return text_matches(pattern, origin);
    str host = find(origin, S("://"), &at) ? str_from(origin, at + 3) : origin;
    if (str_starts(pattern, S("*.")))
        return sub_domain(str_from(pattern, 2), host);
    return text_matches(pattern, host) || text_matches(pattern, origin);
}

bool origin_allowed(const str *patterns, size_t n, str origin)
{
    for (size_t i = 0; i < n; i++)
        if (origin_matches(patterns[i], origin))
            return true;
    return false;
}
