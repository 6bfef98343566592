/* unit/pusher_socket_id - ids are well formed, never twice, and lead back to their place */
#include "pusher/socket_id.h"

#include <stdlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { IDS = 100000 };

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* WS-25: 100,000 sockets one after the other in one slot never meet */
static void ws25_unique(void **state)
{
    (void)state;
    uint64_t *numbers = mem_alloc(IDS * sizeof *numbers);
    for (uint64_t i = 0; i < IDS; i++) {
        struct socket_id id = socket_id_make(i, 3, 77), back;
        char text[SOCKET_ID_MAX];
        uint16_t worker;
        uint32_t slot;
        assert_true(id.number <= 10000000000u && id.place <= 10000000000u);
        assert_true(socket_id_parse(str_of(text, socket_id_print(id, text)), &back));
        assert_true(back.number == id.number && back.place == id.place);
        assert_true(socket_id_place(back, &worker, &slot));
        assert_true(worker == 3 && slot == 77);
        numbers[i] = id.number;
    }
    qsort(numbers, IDS, sizeof *numbers, by_value);
    for (size_t i = 1; i < IDS; i++)
        assert_true(numbers[i] != numbers[i - 1]);
    free(numbers);
}

/* HTTP-34: digits, a dot, digits; what is too large is well formed but nobody */
static void http34_forms(void **state)
{
    static const struct {
        str text;
        bool good;
    } forms[] = {{STR("1.2"), true},    {STR("0.0"), true},
                 {STR("007.5"), true},  {STR("99999999999999999999999.1"), true},
                 {STR(""), false},      {STR("1"), false},
                 {STR("1."), false},    {STR(".1"), false},
                 {STR("1.2.3"), false}, {STR("-1.2"), false},
                 {STR("1 .2"), false},  {STR("1.2\n"), false},
                 {STR("a.b"), false}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        struct socket_id id;
        assert_int_equal(socket_id_parse(forms[i].text, &id), forms[i].good);
    }
    struct socket_id id;
    uint16_t worker;
    uint32_t slot;
    assert_true(socket_id_parse(S("99999999999999999999999.1"), &id));
    assert_false(socket_id_place(id, &worker, &slot));
}

/* Each place of each worker leads back to itself; leading zeros name nobody. */
static void places(void **state)
{
    static const uint32_t slots[] = {0, 1, 77, 65536, (1u << 24) - 1};
    (void)state;
    for (uint16_t w = 0; w < 256; w++)
        for (size_t i = 0; i < COUNT_OF(slots); i++) {
            struct socket_id id = socket_id_make(w, w, slots[i]);
            uint16_t worker;
            uint32_t slot;
            assert_true(socket_id_place(id, &worker, &slot));
            assert_true(worker == w && slot == slots[i]);
        }
}

static void spellings(void **state)
{
    struct socket_id id;
    uint16_t worker;
    uint32_t slot;
    char text[SOCKET_ID_MAX + 1], padded[SOCKET_ID_MAX + 2] = "0";
    (void)state;
    size_t n = socket_id_print(socket_id_make(5, 1, 2), text);
    memcpy(padded + 1, text, n);
    assert_true(socket_id_parse(str_of(padded, n + 1), &id));
    assert_false(socket_id_place(id, &worker, &slot));
    n = socket_id_print((struct socket_id){10000000000u, 10000000000u}, text);
    assert_true(str_eq(str_of(text, n), S("10000000000.10000000000")));
    assert_true(socket_id_parse(str_of(text, n), &id) && id.number == 10000000000u);
    assert_true(socket_id_parse(S("10000000001.0"), &id));
    assert_false(socket_id_place(id, &worker, &slot));
    n = socket_id_print((struct socket_id){0, 7}, text);
    assert_true(str_eq(str_of(text, n), S("0.7")));
}

/* Neighbours in the counter are no neighbours in print: nobody can count along from outside. */
static void unpredictable(void **state)
{
    unsigned near = 0, buckets[10] = {0};
    uint64_t last = 0;
    (void)state;
    for (uint64_t i = 0; i < 10000; i++) {
        uint64_t n = socket_id_make(i, 0, 0).number;
        uint64_t step = n > last ? n - last : last - n;
        near += step < 1000000;
        buckets[n / 1000000001]++;
        last = n;
    }
    assert_in_range(near, 0, 30); /* expected: 2 */
    for (size_t i = 0; i < COUNT_OF(buckets); i++)
        assert_in_range(buckets[i], 800, 1200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ws25_unique), cmocka_unit_test(http34_forms),  cmocka_unit_test(places),
        cmocka_unit_test(spellings),   cmocka_unit_test(unpredictable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
