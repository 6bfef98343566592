/* base/utf8.h - is this text UTF-8, also when it arrives in pieces; cut text between characters.
 *
 * Nature   pure, any thread
 * Limits   one byte of state per text; at most one step per byte, eight ASCII bytes a step
 * Source   RFC 3629 section 4: no overlong form, no surrogate, nothing above U+10FFFF
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/base.h"

/* Where a text that arrives in pieces stands. Begin with UTF8_START. The text so far is complete
 * at UTF8_START, inside a character at the states between, lost for good at UTF8_BAD. */
enum utf8 {
    UTF8_START,
    UTF8_LEFT1,    /* one more continuation byte */
    UTF8_LEFT2,    /* two more */
    UTF8_LEFT3,    /* three more */
    UTF8_AFTER_E0, /* the next byte has a narrower range than 80..BF */
    UTF8_AFTER_ED,
    UTF8_AFTER_F0,
    UTF8_AFTER_F4,
    UTF8_BAD,
};

/* The state after `s`. UTF8_BAD comes with the first byte that no valid text can have there. */
enum utf8 utf8_feed(enum utf8 state, str s);

/* `s` is a complete valid text. */
bool utf8_ok(str s);

/* The longest beginning of `s` of at most `max` bytes that does not end inside a character.
 * `s` should be valid; otherwise at most three bytes less than asked for are kept. */
str utf8_cut(str s, size_t max);

/* Code points of a valid text. */
size_t utf8_length(str s);

#endif
