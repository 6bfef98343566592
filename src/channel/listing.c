/* channel/listing.c - questions to the registry: counts, names, members, totals. */
#include <stdlib.h>

#include "base/buf.h"
#include "channel/record.h"

static struct channel_counts counts_of(const struct record *rec)
{
    return (struct channel_counts){rec->subscriptions, rec->presence ? rec->presence->count : 0};
}

struct channel_counts registry_counts(struct registry *r, str app, str name)
{
    uint64_t hash;
    struct channel_counts c = {0};
    struct partition *p = partition_lock(r, app, name, &hash);
    struct record *rec = record_find(p, app, name, hash);
    if (rec)
        c = counts_of(rec);
    partition_unlock(p);
    return c;
}

struct listed {
    size_t at, n; /* the name in the text */
    struct channel_counts counts;
};

static bool is_listed(const struct record *rec, str app, str prefix)
{
    str name = record_name(rec);
    return rec->subscriptions && !rec->hidden && str_eq(record_app(rec), app) &&
           !str_starts(name, S("#")) && !str_starts(name, S("[meta]")) && str_starts(name, prefix);
}

static void partition_list(struct partition *p, str app, str prefix, struct buf *text,
                           struct buf *rows)
{
    pthread_mutex_lock(&p->lock);
    for (uint32_t b = 0; b < p->bucket_count; b++)
        for (const struct record *rec = p->buckets[b]; rec; rec = rec->next) {
            if (!is_listed(rec, app, prefix))
                continue;
            struct listed row = {text->n, rec->name_n, counts_of(rec)};
            buf_add(text, record_name(rec));
            buf_add(rows, str_of(&row, sizeof row));
        }
    partition_unlock(p);
}

void registry_each(struct registry *r, str app, str prefix,
                   void (*fn)(void *, str, struct channel_counts), void *ctx)
{
    struct buf text, rows;
    buf_init(&text, SIZE_MAX);
    buf_init(&rows, SIZE_MAX);
    for (int i = 0; i < REGISTRY_PARTITIONS; i++) {
        buf_clear(&text);
        buf_clear(&rows);
        partition_list(&r->parts[i], app, prefix, &text, &rows);
        for (size_t at = 0; at < rows.n; at += sizeof(struct listed)) {
            struct listed row;
            memcpy(&row, rows.p + at, sizeof row);
            fn(ctx, str_of(text.p + row.at, row.n), row.counts);
        }
    }
    buf_finish(&text);
    buf_finish(&rows);
}

bool registry_members(struct registry *r, str app, str name, struct snapshot *out)
{
    uint64_t hash;
    struct partition *p = partition_lock(r, app, name, &hash);
    struct record *rec = record_find(p, app, name, hash);
    bool some = rec && rec->presence && rec->presence->count > 0;
    if (some)
        snapshot_take(rec->presence, out);
    partition_unlock(p);
    return some;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, *(const str *)b);
}

static void totals_add(struct registry_totals *t, const struct record *rec)
{
    if (rec->hidden) {
        t->users++;
        t->authenticated += rec->subscriptions;
        return;
    }
    t->channels++;
    t->subscriptions += rec->subscriptions;
    if (rec->presence) {
        t->presence_channels++;
        t->presence_subscriptions += rec->subscriptions;
        t->presence_members += rec->presence->count;
    }
}

void registry_totals(struct registry *r, const str *apps, size_t n, struct registry_totals *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (struct registry_totals){0};
    for (int i = 0; i < REGISTRY_PARTITIONS; i++) {
        struct partition *p = &r->parts[i];
        pthread_mutex_lock(&p->lock);
        for (uint32_t b = 0; b < p->bucket_count; b++)
            for (const struct record *rec = p->buckets[b]; rec; rec = rec->next) {
                str app = record_app(rec);
                const str *at =
                    rec->subscriptions && n ? bsearch(&app, apps, n, sizeof *apps, by_text) : NULL;
                if (at)
                    totals_add(&out[at - apps], rec);
            }
        partition_unlock(p);
    }
}
