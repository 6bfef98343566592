/* base/pattern.h - regular expressions of app owners: compiled once, matched in bounded time.
 *
 * Nature   compiled patterns are immutable: any thread matches; no JIT, which a unit that forbids
 *          writable code (MemoryDenyWriteExecute) would stop
 * Limits   PATTERN_MAX bytes; PATTERN_STEPS steps per match, what needs more does not match
 * Source   webhooks.md §3: the syntax that Rust's regex crate and PCRE2 share, so no look-around,
 *          no back-reference, no recursion; security.md R17
 */
#ifndef BASE_PATTERN_H
#define BASE_PATTERN_H

#include "base/base.h"
#include "base/limits.h"

struct pattern;
/* Errors   ERR_INVALID with what is wrong and where */
NODISCARD struct pattern *pattern_create(str text, struct err *e);
void pattern_destroy(struct pattern **p); /* NULL is fine */
/* Found anywhere in the text. *exceeded_out (may be NULL): it took too long. */
bool pattern_match(const struct pattern *p, str text, bool *exceeded_out);

#endif
