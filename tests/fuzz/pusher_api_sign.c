/* fuzz/pusher_api_sign - query strings: parameters stay inside, and what was signed verifies. */
#include "pusher/api_sign.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    arena a = {0};
    struct api_param *p;
    str raw = str_of(data, size);
    size_t total = 0;
    size_t n = api_query_parse(raw, true, &a, &p);
    for (size_t i = 0; i < n; i++)
        total += p[i].key.n + p[i].value.n;
    if (total > size)
        abort();
    struct hmac *h = hmac_create(S("secret"));
    if (api_sign_check(h, S("GET"), S("/a%20b/"), raw, S("0000")))
        abort();
    hmac_destroy(&h);
    arena_finish(&a);
    return 0;
}
