#include "webhook/job.h"

#include "base/crypto.h"
#include "base/log.h"

const str webhook_event_names[7] = {STR("channel_occupied"),  STR("channel_vacated"),
                                    STR("member_added"),      STR("member_removed"),
                                    STR("client_event"),      STR("cache_miss"),
                                    STR("subscription_count")};

static void add_text(struct buf *b, str before, str text)
{
    buf_add(b, before);
    json_add_string(b, text);
}

bool job_write(struct buf *b, const struct job *job)
{
    add_text(b, S("{\"app_key\":"), job->app_key);
    add_text(b, S(",\"app_id\":"), job->app_id);
    add_text(b, S(",\"app_secret\":"), job->app_secret);
    buf_printf(b, ",\"payload\":{\"time_ms\":%lld,\"events\":", (long long)job->time_ms);
    buf_add(b, job->events);
    add_text(b, S("},\"original_signature\":"), job->label);
    add_text(b, S(",\"job_id\":"), job->job_id);
    if (job->webhook >= 0)
        buf_printf(b, ",\"webhook\":%d", job->webhook);
    if (job->attempts > 0)
        buf_printf(b, ",\"attempts\":%u,\"first_ms\":%lld", job->attempts,
                   (long long)job->first_ms);
    return buf_char(b, '}') && !b->full;
}

static bool id_fits(str id)
{
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    return id.n > 0 && id.n <= JOB_ID_MAX;
}

/* It becomes a header: what would not fit there gives way to a digest, the same on every retry. */
static str id_of(arena *a, str id, str text)
{
    uint8_t digest[32];
    if (id_fits(id))
        return id;
    crypto_sha256(text, digest);
    char *hex = arena_get(a, 32);
    crypto_hex(digest, 16, hex);
    return str_of(hex, 32);
}

static bool number(struct json v, uint64_t max, uint64_t absent, uint64_t *out)
{
    *out = absent;
    return v.type == JSON_NONE || (v.type == JSON_NUMBER && str_u64(v.raw, max, out));
}

/* Absent, or null, as other producers write it. */
static bool is_text_or_absent(struct json v)
{
    return v.type == JSON_STRING || v.type == JSON_NONE || v.type == JSON_NULL;
}

bool job_read(arena *a, str text, struct job *out, struct err *e)
{
    struct json whole;
    struct json_field f[] = {{.name = S("app_id")},   {.name = S("payload")},
                             {.name = S("job_id")},   {.name = S("original_signature")},
                             {.name = S("webhook")},  {.name = S("attempts")},
                             {.name = S("first_ms")}, {.name = S("app_key")}};
    struct json_field p[] = {{.name = S("time_ms")}, {.name = S("events")}};
    uint64_t time_ms, webhook, attempts, first_ms;
    if (text.n > JOB_BYTES_MAX || !json_parse(text, &whole, NULL))
        return err_set(e, ERR_INVALID, "%zu bytes that are no JSON", text.n);
    json_fields(whole, f, COUNT_OF(f));
    json_fields(f[1].value, p, COUNT_OF(p));
    if (f[0].value.type != JSON_STRING || p[0].value.type == JSON_NONE ||
        p[1].value.type != JSON_ARRAY || !is_text_or_absent(f[2].value) ||
        !is_text_or_absent(f[3].value) || !number(p[0].value, INT64_MAX / 2, 0, &time_ms) ||
        !number(f[4].value, INT32_MAX, UINT64_MAX, &webhook) ||
        !number(f[5].value, UINT32_MAX - 1, 0, &attempts) ||
        !number(f[6].value, INT64_MAX / 2, 0, &first_ms))
        return err_set(e, ERR_INVALID, "a member is missing or of another type");
    *out = (struct job){.app_id = json_string(f[0].value, a),
                        .app_key = json_string(f[7].value, a),
                        .job_id = id_of(a, json_string(f[2].value, a), text),
                        .label = json_string(f[3].value, a),
                        .events = p[1].value.raw,
                        .time_ms = (int64_t)time_ms,
                        .webhook = webhook == UINT64_MAX ? -1 : (int32_t)webhook,
                        .attempts = (uint32_t)attempts,
                        .first_ms = (int64_t)first_ms};
    return true;
}

bool job_event_next(struct json_iter *it, arena *a, struct job_event *out)
{
    struct json v;
    struct json_field f[] = {{.name = S("name")}, {.name = S("channel")}};
    if (!json_next(it, NULL, &v))
        return false;
    json_fields(v, f, COUNT_OF(f));
    *out = (struct job_event){
        .name = json_string(f[0].value, a), .channel = json_string(f[1].value, a), .raw = v.raw};
    for (size_t i = 0; i < COUNT_OF(webhook_event_names); i++)
        if (str_eq(out->name, webhook_event_names[i]))
            out->kind = 1u << i;
    return true;
}

bool webhook_wants(const struct app_webhook *h, enum app_webhook_event kind, str channel)
{
    bool exceeded = false;
    /* ':' is not legal in a channel name, so no channel is in a namespace. */
    if (!(h->events & kind) || h->filter.namespace_count > 0 ||
        !str_starts(channel, h->filter.channel_prefix) ||
        !str_ends(channel, h->filter.channel_suffix))
        return false;
    if (h->filter.channel_pattern == NULL)
        return true;
    bool found = pattern_match(h->filter.channel_pattern, channel, &exceeded);
    if (exceeded)
        log_limited(LOG_WARN, "webhook", "a channel_pattern takes too long and does not match");
    return found;
}

size_t job_body(struct buf *b, arena *a, const struct job *job, const struct app_webhook *h)
{
    size_t n = 0;
    struct job_event x;
    struct json_iter it = json_iter((struct json){.type = JSON_ARRAY, .raw = job->events});
    while (n < JOB_EVENTS_MAX && job_event_next(&it, a, &x)) {
        if (!webhook_wants(h, x.kind, x.channel))
            continue;
        if (n++ == 0)
            buf_printf(b, "{\"time_ms\":%lld,\"events\":[", (long long)job->time_ms);
        else
            buf_char(b, ',');
        json_add_compact(b, x.raw);
    }
    if (n > 0)
        buf_add(b, S("]}"));
    return n;
}
