/* unit/config_config.c - loading: file, environment, apps, checks (CFG items of configuration.md).
 */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define APP(rest) "{\"app_manager\":{\"array\":{\"apps\":[" rest "]}}}"
#define APP_A "\"id\":\"a\",\"key\":\"k\",\"secret\":\"s3cr3t\",\"enabled\":true"

static char folder[64];
static struct config c;
static struct config_report r;
static struct err e;
static struct config_args args;

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Loads text as --config, with variables as a NULL-terminated list. */
static bool load_env(const char *text, char **env)
{
    static char *none[] = {NULL};
    config_report_finish(&r);
    e = (struct err){.kind = ERR_NONE};
    if (text != NULL) {
        write_file("given.json", text);
        args.config_path = "given.json";
    }
    return config_load(&args, env ? env : none, &c, &r, &e);
}

static bool load(const char *text)
{
    return load_env(text, NULL);
}

static bool load_one(const char *text, char *variable)
{
    return load_env(text, (char *[]){variable, NULL});
}

static size_t said(const char *part)
{
    size_t n = 0;
    for (size_t i = 0; i < r.count; i++)
        n += strstr(r.messages[i].text, part) != NULL;
    return n;
}

#define FAILS(json, part)                                                                          \
    do {                                                                                           \
        assert_false(load(json));                                                                  \
        if (strstr(e.text, part) == NULL)                                                          \
            fail_msg("\"%s\" does not hold \"%s\"", e.text, part);                                 \
    } while (0)
#define LOADS(json)                                                                                \
    do {                                                                                           \
        if (!load(json))                                                                           \
            fail_msg("%s", e.text);                                                                \
    } while (0)

static int begin(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/config_test.XXXXXX");
    args = (struct config_args){.config_path = NULL};
    return mkdtemp(folder) == NULL || chdir(folder) != 0;
}

static int end(void **state)
{
    (void)state;
    static const char *const files[] = {"given.json", "other.json", "config/config.json",
                                        "config/config.toml", "src/config.json"};
    config_report_finish(&r);
    for (size_t i = 0; i < COUNT_OF(files); i++)
        unlink(files[i]);
    rmdir("config");
    rmdir("src");
    return chdir("/") != 0 || rmdir(folder) != 0;
}

/* CFG-1 */
static void defaults(void **state)
{
    (void)state;
    LOADS(NULL);
    assert_true(str_eq(c.host, S("0.0.0.0")) && c.port == 6001 && c.activity_timeout_s == 120);
    assert_true(c.websocket.max_messages == 1000 && c.websocket.max_bytes == 0);
    assert_true(c.user_authentication_timeout_s == 3600 && c.websocket_max_payload_kb == 64);
    assert_true(c.websocket.disconnect_on_buffer_full && !c.websocket.compression);
    assert_true(c.unix_socket.mode == 0660 && c.http_api.request_limit_in_mb == 10);
    assert_true(str_eq(c.cache_driver, S("memory")) && str_eq(c.adapter_driver, S("local")));
    assert_true(str_eq(c.queue_driver, S("memory")) && c.channel_cache_ttl_s == 3600);
    assert_int_equal(c.values[OPT_metrics_port].i, 9601);
    assert_int_equal(said("no file found"), 1);
    assert_int_equal(said("no apps configured"), 1); /* CFG-56 */
    assert_int_equal(r.warnings, 1);
    config_finish(&c);
}

/* CFG-4, CFG-5, CFG-6, CFG-7, CFG-10 */
static void which_file(void **state)
{
    (void)state;
    args.config_path = "missing.json";
    FAILS(NULL, "missing.json");
    args.config_path = NULL;
    assert_true(load_one(NULL, "CONFIG_FILE=/nowhere/x.json"));
    assert_int_equal(said("/nowhere/x.json"), 1);
    config_finish(&c);
    mkdir("src", 0700);
    mkdir("config", 0700);
    write_file("src/config.json", "{\"port\":1}");
    LOADS(NULL);
    assert_int_equal(c.port, 1);
    config_finish(&c);
    write_file("config/config.json", "{\"port\":2}");
    LOADS(NULL);
    assert_int_equal(c.port, 2);
    assert_int_equal(said("using config/config.json"), 1);
    config_finish(&c);
    write_file("config/config.toml", "port = 3");
    LOADS(NULL);
    assert_int_equal(c.port, 3);
    assert_int_equal(said("using config/config.toml"), 1);
    config_finish(&c);
    write_file("config/config.toml", "port = 3\nhost = oops");
    FAILS(NULL, "config: config/config.toml:2:8: "); /* CFG-10: config.json is not tried */
    write_file("other.json", "{\"port\":4}");
    assert_true(load_one(NULL, "CONFIG_FILE=other.json"));
    assert_int_equal(c.port, 4);
    config_finish(&c);
    assert_true(load_one("{\"port\":5}", "CONFIG_FILE=other.json"));
    assert_int_equal(c.port, 5);
    config_finish(&c);
}

/* CFG-8, CFG-64, CFG-65 */
static void environment_wins(void **state)
{
    (void)state;
    assert_true(load_one("{\"port\":6001}", "PORT=7001"));
    assert_int_equal(c.port, 7001);
    config_finish(&c);
    assert_true(load_one("{\"port\":6002}", "PORT=many"));
    assert_int_equal(c.port, 6002);
    assert_int_equal(said("variable PORT"), 1);
    assert_int_equal(said("many"), 0);
    config_finish(&c);
    args.check_only = true;
    assert_true(load_one("{\"debug\":false}", "DEBUG_MODE=yes"));
    assert_true(c.debug);
    config_finish(&c);
    assert_true(load_one("{\"debug\":true}", "DEBUG=off")); /* only a true DEBUG counts */
    assert_true(c.debug);
    config_finish(&c);
    assert_true(load_one("{\"ssl\":{\"enabled\":true}}", "SSL_ENABLED=off"));
    assert_false(c.ssl.enabled);
    config_finish(&c);
    assert_true(load_one("{\"ssl\":{\"enabled\":false}}", "SSL_ENABLED=maybe"));
    assert_false(c.ssl.enabled);
    assert_int_equal(said("SSL_ENABLED"), 1);
    config_finish(&c);
    assert_false(load_one("{}", "SSL_ENABLED=yes"));
    assert_non_null(strstr(e.text, "ssl.cert_path"));
    assert_true(load_one("{}", "ADAPTER_DRIVER=REDIS"));
    assert_true(str_eq(c.adapter_driver, S("redis")));
    assert_int_equal(said("adapter.driver \"redis\" is not part of this build"), 1);
    assert_int_equal(said("cache channels are per node"), 1); /* CFG-81 */
    config_finish(&c);
    assert_false(load_one("{}", "ADAPTER_DRIVER=rediss"));
    args.check_only = false;
    assert_false(load_one("{}", "ADAPTER_DRIVER=REDIS"));
    assert_non_null(strstr(e.text, "adapter.driver \"redis\" is not part of this build"));
}

/* CFG-9, CFG-27, BOM, null = absent (CFG-26) */
static void syntax(void **state)
{
    (void)state;
    FAILS("{\n  \"port\": 6001,\n  oops\n}", "given.json:3:3");
    FAILS("[]", "expected an object");
    LOADS("\xEF\xBB\xBF{\"port\":6002,\"port\":6003}");
    assert_int_equal(c.port, 6003);
    assert_int_equal(said("written twice"), 1);
    config_finish(&c);
    LOADS("{\"port\":null,\"logging\":null,\"adapter\":{\"redis\":{\"prefix\":null}}}");
    assert_int_equal(c.port, 6001);
    assert_true(str_eq(c.values[OPT_adapter_redis_prefix].s, S("sockudo_adapter:")));
    config_finish(&c);
}

/* CFG-15, CFG-16 */
static void unknown_keys(void **state)
{
    (void)state;
    LOADS("{\"adaptor\":{\"x\":1}}");
    assert_int_equal(said("unknown key \"adaptor\", did you mean \"adapter\"?"), 1);
    assert_int_equal(r.strict, 1);
    config_finish(&c);
    LOADS("{\"cache\":{\"memory\":{\"ttll\":5,\"quite_another\":6}}}");
    assert_int_equal(said("did you mean \"cache.memory.ttl\"?"), 1);
    assert_int_equal(said("unknown key"), 2);
    config_finish(&c);
    args.strict = true;
    args.check_only = true;
    FAILS("{\"queue\":{\"driver\":\"sqs\"}}", "1 of the warnings is refused by --strict-config");
    args.check_only = false;
    FAILS("{\"adaptor\":{}}", "--strict-config");
    FAILS("{\"history\":{\"enabled\":true}}", "--strict-config");
    LOADS("{\"port\":6001}");
    config_finish(&c);
    args.strict = false;
}

/* CFG-17 */
static void secrets_stay_inside(void **state)
{
    (void)state;
    const char *text = APP("{" APP_A ",\"seecret\":\"s3cr3t\",\"webhooks\":[{\"url\":"
                           "\"ftp://u:s3cr3t@h/\",\"event_types\":[]}]}");
    FAILS(text, "url");
    assert_null(strstr(e.text, "s3cr3t"));
    assert_int_equal(said("s3cr3t"), 0);
    FAILS("{\"database\":{\"redis\":{\"password\":[\"s3cr3t\"]}}}", "database.redis.password");
    assert_null(strstr(e.text, "s3cr3t"));
    assert_false(load_one("{\"host\":\"${A_S}\" \"s3cr3t\"}", "A_S=s3cr3t"));
    assert_null(strstr(e.text, "s3cr3t"));
}

/* CFG-18…22 */
static void interpolation(void **state)
{
    (void)state;
    LOADS("{\"host\":\"${X:-abc}\",\"mode\":\"$HOME\"}");
    assert_true(str_eq(c.host, S("abc")));
    assert_true(str_eq(c.values[OPT_mode].s, S("$HOME")));
    config_finish(&c);
    assert_true(load_one("{\"host\":\"${X:-abc}\"}", "X="));
    assert_true(str_eq(c.host, S("abc")));
    config_finish(&c);
    FAILS("{\"host\":\"${A}\",\"mode\":\"${B}\"}", "A, B");
    assert_true(load_one("{\"host\":\"${X}\"}", "X=${B}"));
    assert_true(str_eq(c.host, S("${B}")));
    config_finish(&c);
    assert_true(load_one("{\"host\":\"${X}\"}", "X=a\"b\\c"));
    assert_true(str_eq(c.host, S("a\"b\\c")));
    config_finish(&c);
    assert_true(load_one("{\"port\":${X}}", "X=12"));
    assert_int_equal(c.port, 12);
    config_finish(&c);
}

/* CFG-25, CFG-28, CFG-29 */
static void types(void **state)
{
    (void)state;
    FAILS("{\"port\":70000}", "\"port\"");
    FAILS("{\"port\":\"6001\"}", "\"port\"");
    FAILS("{\"port\":10.0}", "\"port\"");
    FAILS("{\"port\":-1}", "\"port\"");
    FAILS("{\"debug\":1}", "\"debug\"");
    FAILS("{\"cache\":5}", "\"cache\": expected an object");
    FAILS("{\"cors\":{\"origin\":\"*\"}}", "\"cors.origin\"");
    LOADS("{\"unix_socket\":{\"permission_mode\":\"600\"}}");
    assert_int_equal(c.unix_socket.mode, 0600);
    config_finish(&c);
    LOADS("{\"unix_socket\":{\"permission_mode\":640}}");
    assert_int_equal(c.unix_socket.mode, 0640);
    config_finish(&c);
    FAILS("{\"unix_socket\":{\"permission_mode\":\"689\"}}", "permission_mode");
    FAILS("{\"unix_socket\":{\"permission_mode\":\"1000\"}}", "permission_mode");
    FAILS("{\"cors\":{\"origin\":[\"*.*bad\"]}}", "cors.origin");
    assert_true(load_one("{\"cors\":{\"origin\":[\"https://a.example\"]}}", "CORS_ORIGINS=*.*bad"));
    assert_int_equal(said("CORS_ORIGINS"), 1);
    assert_true(c.cors.origin_count == 1 && !c.cors.any_origin && c.cors.credentials);
    config_finish(&c);
}

static const struct app *only_app(void)
{
    assert_int_equal(c.app_count, 1);
    return c.apps[0];
}

/* CFG-23, CFG-24, CFG-51, CFG-57 */
static void both_app_shapes(void **state)
{
    (void)state;
    static const char *const texts[] = {
        APP("{" APP_A ",\"max_connections\":\"100\",\"max_channel_name_length\":\"50\","
            "\"enable_client_messages\":true,\"max_client_events_per_second\":\"10\","
            "\"enable_user_authentication\":true,\"enable_subscription_count\":true,"
            "\"message_rate_limit\":{\"enabled\":true,\"max_attempts\":9},"
            "\"webhooks\":[{\"url\":\"http://h/\",\"event_types\":[\"member_added\"]}]}"),
        APP("{" APP_A ",\"policy\":{\"limits\":{\"max_connections\":100,"
            "\"max_channel_name_length\":50,\"max_client_events_per_second\":10,"
            "\"message_rate_limit\":{\"enabled\":true,\"max_attempts\":9}},"
            "\"features\":{\"enable_client_messages\":true,\"enable_user_authentication\":true,"
            "\"enable_subscription_count\":true},"
            "\"webhooks\":[{\"url\":\"http://h/\",\"event_types\":[\"member_added\"]}]}}")};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        LOADS(texts[i]);
        const struct app *a = only_app();
        assert_true(a->max_connections == 100 && a->max_channel_name == 50);
        assert_true(a->max_client_events_per_second == 10 && a->enable_client_messages);
        assert_true(a->enable_user_authentication && !a->enable_watchlist_events);
        assert_true(a->enable_subscription_count);
        assert_true(a->message_rate.enabled && a->message_rate.max_attempts == 9 &&
                    a->message_rate.decay_seconds == 60);
        assert_true(a->webhook_count == 1 && a->webhooks[0].events == WEBHOOK_MEMBER_ADDED);
        assert_true(a->max_event_name == 200 && a->max_batch == 0 && a->decay_seconds == 1);
        assert_int_equal(r.strict, 0);
        config_finish(&c);
    }
    LOADS(APP("{" APP_A ",\"max_connections\":-1,\"max_client_events_per_second\":0}"));
    assert_true(only_app()->max_connections == 0 && only_app()->max_client_events_per_second == 0);
    config_finish(&c);
    FAILS(APP("{" APP_A ",\"max_connections\":\"many\"}"), "app \"a\": max_connections");
    FAILS(APP("{" APP_A ",\"max_event_batch_size\":-2}"), "max_event_batch_size");
}

/* CFG-52, CFG-53, CFG-54, CFG-55 */
static void app_mistakes(void **state)
{
    (void)state;
    LOADS(APP("{" APP_A ",\"policy\":{},\"webhooks\":[{\"url\":\"http://h/\"}]}"));
    assert_int_equal(only_app()->webhook_count, 0);
    assert_int_equal(said("\"webhooks\" beside \"policy\""), 1);
    config_finish(&c);
    LOADS(APP("{\"id\":\"a\",\"key\":\"k\",\"secret\":\"s\"}"));
    assert_true(only_app()->enabled);
    assert_int_equal(said("no \"enabled\""), 1);
    config_finish(&c);
    FAILS(APP("{" APP_A "},{\"id\":\"a\",\"key\":\"z\",\"secret\":\"s\"}"), "id \"a\"");
    FAILS(APP("{" APP_A "},{\"id\":\"b\",\"key\":\"k\",\"secret\":\"s\"}"), "key \"k\"");
    FAILS(APP("{\"id\":\"a\",\"key\":\"k\"}"), "app \"a\" has no secret");
    FAILS(APP("{\"id\":\"a\",\"key\":\"\",\"secret\":\"s\"}"), "app \"a\" has no key");
    FAILS(APP("{\"key\":\"k\",\"secret\":\"s\"}"), "app without id");
    LOADS(APP("{\"id\":\"a\",\"key\":\"k/1\",\"secret\":\"s\",\"enabled\":true}"));
    assert_int_equal(said("URL path"), 1);
    config_finish(&c);
    FAILS(APP("{\"id\":\"a\",\"key\":\"k\\r\\nX: y\",\"secret\":\"s\"}"),
          "app \"a\": the key holds a control character"); /* SEC-20 */
    FAILS(APP("{\"id\":\"a\",\"key\":\"k\\u007f\",\"secret\":\"s\"}"), "control character");
    /* a refusal is one line */
    FAILS(APP("{\"id\":\"a\\nb\",\"key\":\"k\"}"), "app \"a?b\" has no secret");
}

/* CFG-58, CFG-59: global limits count only when written, the app's own first. */
static void explicit_limits(void **state)
{
    (void)state;
    LOADS(APP("{" APP_A "}"));
    assert_true(only_app()->max_presence_members == 0 && only_app()->max_event_payload_kb == 0);
    config_finish(&c);
#define GLOBAL                                                                                     \
    "\"presence\":{\"max_members_per_channel\":100},\"event_limits\":{\"max_payload_in_kb\":100},"
    LOADS("{" GLOBAL "\"app_manager\":{\"array\":{\"apps\":[{" APP_A
          "},{\"id\":\"b\",\"key\":\"l\","
          "\"secret\":\"s\",\"max_event_payload_in_kb\":300}]}}}");
    assert_true(c.apps[0]->max_presence_members == 100 && c.apps[0]->max_event_payload_kb == 100);
    assert_true(c.apps[1]->max_presence_members == 100 && c.apps[1]->max_event_payload_kb == 300);
    config_finish(&c);
}

/* CFG-60 */
static void origins(void **state)
{
    (void)state;
    LOADS(APP("{" APP_A ",\"allowed_origins\":[\"app.example.com\",\"*.example.org\"]}"));
    assert_int_equal(only_app()->allowed_origin_count, 2);
    config_finish(&c);
    LOADS(APP("{" APP_A ",\"allowed_origins\":[]}"));
    assert_int_equal(only_app()->allowed_origin_count, 0);
    config_finish(&c);
    FAILS(APP("{" APP_A ",\"allowed_origins\":[\"a*b*\"]}"), "app \"a\": allowed_origins");
}

#define HOOK(rest) APP("{" APP_A ",\"webhooks\":[{" rest "}]}")
#define ALL_EVENTS "\"event_types\":[\"channel_occupied\"]"

/* CFG-61, CFG-62, configuration.md §5.3 */
static void webhooks(void **state)
{
    (void)state;
    FAILS(HOOK("\"url\":\"http://h/\""), "app \"a\": webhooks: event_types");
    FAILS(HOOK("\"url\":\"h\"," ALL_EVENTS), "app \"a\": webhooks: url");
    FAILS(HOOK("\"url\":\"http://h:99999/\"," ALL_EVENTS), "url");
    FAILS(HOOK("\"lambda\":{\"function_name\":\"f\"}," ALL_EVENTS), "lambda");
    static const char *const bad[] = {"(a", "a)", "[a", "*a", "a\\\\", "(?=a)", "(a)\\\\1"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        char text[400];
        snprintf(
            text, sizeof text,
            HOOK("\"url\":\"http://h/\"," ALL_EVENTS ",\"filter\":{\"channel_pattern\":\"%s\"}"),
            bad[i]);
        FAILS(text, "app \"a\": webhooks: 0: filter.channel_pattern"); /* HOOK-31 */
    }
    static const char *const lines[] = {"\"X-A\":\"1\\r\\nX-B: 2\"", "\"X-A\":\"1\\u0001\"",
                                        "\"X A\":\"1\"", "\"X-A\\n\":\"1\""};
    for (size_t i = 0; i < COUNT_OF(lines); i++) { /* HOOK-5 */
        char text[400];
        snprintf(text, sizeof text, HOOK("\"url\":\"http://h/\"," ALL_EVENTS ",\"headers\":{%s}"),
                 lines[i]);
        FAILS(text, "app \"a\": webhooks: headers");
    }
    LOADS(HOOK("\"url\":\"http://h/\"," ALL_EVENTS
               ",\"headers\":{\"content-type\":\"x\",\"X-Pusher-Key\":\"x\",\"Host\":\"h\"}"));
    assert_int_equal(said("cannot be set"), 2);
    assert_int_equal(only_app()->webhooks[0].header_count, 1);
    assert_int_equal(only_app()->webhook_events, WEBHOOK_CHANNEL_OCCUPIED);
    config_finish(&c);
    LOADS(HOOK("\"url\":\"https://u:p@h:8443/x\",\"event_types\":[\"cache_miss\",\"nonsense\"],"
               "\"filter\":{\"channel_name_starts_with\":\"private-\",\"channel_suffix\":\"-x\","
               "\"channel_pattern\":\"^(?:room|hall)-[0-9]+\\\\d*$\"},\"headers\":{\"X-A\":\"1\"},"
               "\"retry\":{\"max_attempts\":3}"));
    const struct app_webhook *h = &only_app()->webhooks[0];
    assert_true(h->events == WEBHOOK_CACHE_MISS && h->header_count == 1);
    assert_true(str_eq(h->filter.channel_prefix, S("private-")));
    assert_true(str_eq(h->filter.channel_suffix, S("-x")));
    assert_true(h->retry.is_set && h->retry.enabled && h->retry.max_attempts == 3);
    assert_int_equal(said("nonsense"), 1);
    config_finish(&c);
    LOADS(HOOK("\"lambda_function\":\"f\"," ALL_EVENTS));
    h = &only_app()->webhooks[0];
    assert_true(str_eq(h->lambda_function, S("f")) && str_eq(h->lambda_region, S("us-east-1")));
    assert_true(h->lambda_async);
    assert_int_equal(only_app()->webhook_events, 0); /* nobody here can call it */
    config_finish(&c);
    LOADS(HOOK(ALL_EVENTS));
    assert_int_equal(said("never sent"), 1);
    config_finish(&c);
}

/* What libcurl would refuse later is refused now; what it takes is taken. */
static void webhook_urls(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "http://[::1/",   "http://[zz]/", "http://[]/",  "http://[::1]x/", "http://u@:80/",
        "http://a\\\\b/", "http://<a>/",  "http://:80/", "http://a:8x/",   "http://[::1]:99999/"};
    static const char *const good[] = {
        "http://[::1]:8080/x",       "http://[::1]",   "http://a:/x",
        "http://u:p:q@h:1?a=<b>",    "HTTP://a_b-c.d", "https://1.2.3.4",
        "http://[fe80::1%25eth0]:1/"};
    char text[200];
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        snprintf(text, sizeof text, HOOK("\"url\":\"%s\"," ALL_EVENTS), bad[i]);
        FAILS(text, "app \"a\": webhooks: url");
    }
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        snprintf(text, sizeof text, HOOK("\"url\":\"%s\"," ALL_EVENTS), good[i]);
        LOADS(text);
        config_finish(&c);
    }
}

/* A misspelt member of a webhook would widen what it gets, or how long it tries. */
static void webhook_names(void **state)
{
    (void)state;
    LOADS(HOOK("\"url\":\"http://h/\"," ALL_EVENTS ",\"filters\":{},\"filter\":{\"channel_prefx\":"
               "\"a\"},\"retry\":{\"max_tries\":1},\"headers\":{\"X-Any\":\"1\"}"));
    assert_int_equal(
        said("unknown key \"webhooks[].filters\" in app \"a\", did you mean \"filter\"?"), 1);
    assert_int_equal(said("\"webhooks[].filter.channel_prefx\""), 1);
    assert_int_equal(said("\"webhooks[].retry.max_tries\""), 1);
    assert_int_equal(r.strict, 3);
    config_finish(&c);
    LOADS(
        HOOK("\"lambda\":{\"function_name\":\"f\",\"region\":\"r\",\"asynch\":true}," ALL_EVENTS));
    assert_int_equal(said("\"webhooks[].lambda.asynch\""), 1);
    config_finish(&c);
    FAILS(HOOK("\"url\":\"http://h/\",\"retry\":5," ALL_EVENTS), "webhooks: retry");
}

/* A webhook that says nothing of `enabled` does as all do. */
static void webhook_retry_enabled(void **state)
{
    (void)state;
    LOADS("{\"webhooks\":{\"retry\":{\"enabled\":false}},\"app_manager\":{\"array\":{\"apps\":["
          "{" APP_A ",\"webhooks\":[{\"url\":\"http://h/\"," ALL_EVENTS
          ",\"retry\":{\"max_attempts\":3}},"
          "{\"url\":\"http://h/\"," ALL_EVENTS ",\"retry\":{\"enabled\":true}}]}]}}}");
    assert_false(only_app()->webhooks[0].retry.enabled);
    assert_true(only_app()->webhooks[1].retry.enabled);
    config_finish(&c);
}

/* CFG-70, CFG-71, CFG-72 */
static void bootstrap_app(void **state)
{
    (void)state;
    const char *file = APP("{" APP_A "}");
    char *triple[] = {"SOCKUDO_DEFAULT_APP_ID=i",
                      "SOCKUDO_DEFAULT_APP_KEY=k2",
                      "SOCKUDO_DEFAULT_APP_SECRET=s",
                      "SOCKUDO_DEFAULT_APP_MAX_CONNECTIONS=7",
                      "SOCKUDO_ENABLE_CLIENT_MESSAGES=on",
                      "SOCKUDO_DEFAULT_APP_ALLOWED_ORIGINS=a.example, b.example",
                      NULL};
    assert_true(load_env(file, triple));
    const struct app *a = only_app();
    assert_true(str_eq(a->id, S("i")) && a->max_connections == 7 && a->max_batch == 100);
    assert_true(a->max_channel_name == 100 && a->enable_client_messages);
    assert_int_equal(a->allowed_origin_count, 2);
    config_finish(&c);
    assert_false(load_one(file, "SOCKUDO_DEFAULT_APP_KEY=k"));
    assert_non_null(strstr(e.text, "SOCKUDO_DEFAULT_APP_ID"));
    assert_non_null(strstr(e.text, "SOCKUDO_DEFAULT_APP_SECRET"));
    triple[1] = "SOCKUDO_DEFAULT_APP_KEY=k\n";
    assert_false(load_env(file, triple));
    assert_non_null(strstr(e.text, "SOCKUDO_DEFAULT_APP_KEY holds a control character"));
    assert_true(load_one(file, "SOCKUDO_SKIP_INLINE_APPS=true"));
    assert_int_equal(c.app_count, 0);
    config_finish(&c);
    assert_true(load_one(file, "APP_MANAGER_REGISTER_INLINE_APPS=false"));
    assert_int_equal(c.app_count, 0);
    config_finish(&c);
    assert_true(load_one(file, "SOCKUDO_DEFAULT_APP_ENABLED=false"));
    assert_int_equal(c.app_count, 0);
    config_finish(&c);
}

/* CFG-66, CFG-67, CFG-75, configuration.md §8.4 */
static void one_variable_many_keys(void **state)
{
    (void)state;
    assert_true(load_one("{}", "REDIS_URL=redis://h"));
    assert_true(str_eq(c.values[OPT_cache_redis_url_override].s, S("redis://h")));
    assert_true(str_eq(c.values[OPT_rate_limiter_redis_url_override].s, S("redis://h")));
    assert_true(str_eq(c.values[OPT_adapter_redis_redis_pub_options_url].s, S("redis://h")));
    assert_int_equal(c.values[OPT_database_redis_host].source, FROM_DEFAULT);
    config_finish(&c);
    assert_true(load_env("{}", (char *[]){"NATS_SERVERS=a, b", "NATS_URL=c", NULL}));
    assert_int_equal(c.values[OPT_adapter_nats_servers].list_count, 2);
    config_finish(&c);
    assert_true(load_env(
        "{}", (char *[]){"WEBSOCKET_MAX_MESSAGES=none", "WEBSOCKET_MAX_BYTES=1048576", NULL}));
    assert_true(c.websocket.max_messages == 0 && c.websocket.max_bytes == 1048576);
    config_finish(&c);
    assert_true(load_one("{\"channel_limits\":{\"cache_ttl\":5}}", "CACHE_TTL_SECONDS=9"));
    assert_true(c.channel_cache_ttl_s == 5 && c.cache_memory.ttl_s == 9);
    config_finish(&c);
    assert_true(
        load_one("{\"database\":{\"redis\":{\"password\":\"x\"}}}", "DATABASE_REDIS_PASSWORD="));
    assert_true(c.values[OPT_database_redis_password].is_null);
    config_finish(&c);
    assert_true(load_one("{}", "LOG_OUTPUT_FORMAT=JSON"));
    assert_false(c.log.json);
    config_finish(&c);
}

/* CFG-76…80 */
static void scope(void **state)
{
    (void)state;
    FAILS("{\"adapter\":{\"driver\":\"kafka\"}}", "use local, redis, redis-cluster or nats");
    FAILS("{\"queue\":{\"driver\":\"sqs\"}}", "queue.driver \"sqs\" is not part of this build");
    FAILS("{\"cache\":{\"driver\":\"redis\",\"redis\":{\"cluster_mode\":true}}}", "redis-cluster");
    FAILS("{\"app_manager\":{\"driver\":\"pgsql\"}}", "use memory, mysql or dynamodb");
    FAILS("{\"server_role\":\"api\"}", "server_role \"api\"");
    LOADS(APP("{" APP_A "}"));
    size_t quiet = r.warnings;
    config_finish(&c);
    assert_int_equal(quiet, 0);
    LOADS("{\"history\":{\"enabled\":true,\"ttl\":5},\"app_manager\":{\"array\":{\"apps\":[{" APP_A
          "}]}}}");
    assert_int_equal(r.warnings, 1);
    assert_int_equal(said("\"history.enabled\" is set, but channel history is not provided by this "
                          "server; the key is ignored"),
                     1);
    config_finish(&c);
    LOADS("{\"delta_compression\":{\"enabled\":true},\"idempotency\":{\"enabled\":true,\"x\":1},"
          "\"push\":{\"fcm_enabled\":false},\"path_prefix\":\"/\",\"server_role\":\"default\"}");
    assert_int_equal(r.strict, 0);
    config_finish(&c);
    LOADS("{\"cluster\":{\"hostname\":\"x\",\"port\":6002}}");
    assert_int_equal(r.strict, 1);
    config_finish(&c);
    LOADS("{\"push\":{\"providers\":{\"fcm_enabled\":true}},\"path_prefix\":\"/x\"}");
    assert_int_equal(r.strict, 2);
    config_finish(&c);
    LOADS("{\"metrics\":{\"port\":9700},\"rate_limiter\":{\"enabled\":true}}");
    assert_int_equal(said("this build"), 0);
    config_finish(&c);
    LOADS("{\"metrics\":{\"enabled\":false},\"rate_limiter\":{\"enabled\":false}}");
    assert_int_equal(said("this build"), 0);
    config_finish(&c);
}

/* CFG-82, CFG-83: a block that is there changes the defaults of its members. */
static void partial_blocks(void **state)
{
    (void)state;
    LOADS("{\"rate_limiter\":{\"redis\":{},\"api_rate_limit\":{\"window_seconds\":10}}}");
    assert_true(c.values[OPT_rate_limiter_redis_prefix].is_null);
    assert_int_equal(c.values[OPT_rate_limiter_api_max_requests].i, 60);
    assert_int_equal(c.values[OPT_rate_limiter_ws_max_requests].i, 20);
    config_finish(&c);
}

/* CFG-84 and the rest of configuration.md §7 */
/* A refusal says where the value stands, in the file or in the environment. */
static void places(void **state)
{
    (void)state;
    FAILS("{\n\"port\":9601}", "config: given.json:2:8: \"port\"");
    FAILS("{\"port\":9601,\n\"metrics\":{\n\"port\":9601}}", "given.json:3:8: \"port\"");
    FAILS("{\n\"adapter\":{\n\"driver\":\"kafka\"}}", "given.json:3:10: adapter.driver");
    FAILS("{\n\"cors\":{\n\"methods\":[\"G T\"]}}", "given.json:3:11: \"cors.methods\"");
    FAILS("{\"app_manager\":{\"array\":{\"apps\":["
          "{\"id\":\"a\",\"key\":\"k\",\"secret\":\"s\"},"
          "{\"id\":\"a\",\"key\":\"z\",\"secret\":\"s\"}]}}}",
          "given.json:1:");
    assert_false(load_one("{}", "PORT=9601"));
    assert_string_equal(e.text,
                        "config: variable PORT: \"port\" and \"metrics.port\" are both 9601");
    assert_false(load_one("{\"queue\":{\"driver\":\"memory\"}}", "QUEUE_DRIVER=kafka"));
    assert_non_null(strstr(e.text, "config: variable QUEUE_DRIVER: queue.driver \"kafka\""));
}

static void combinations(void **state)
{
    (void)state;
    FAILS("{\"adapter\":{\"cluster_health\":{\"heartbeat_interval_ms\":20000}}}", "cluster_health");
    FAILS("{\"cluster_health\":{\"heartbeat_interval_ms\":20000}}", "cluster_health");
    FAILS("{\"webhooks\":{\"batching\":{\"duration\":0}}}", "webhooks.batching.duration");
    LOADS("{\"webhooks\":{\"batching\":{\"duration\":9223372036854775807}}}");
    assert_int_equal(c.webhooks.batch_ms, INT32_MAX); /* it is added to a time */
    config_finish(&c);
    FAILS("{\"cleanup\":{\"batch_size\":0}}", "cleanup.batch_size");
    FAILS("{\"cleanup\":{\"worker_threads\":0}}", "cleanup.worker_threads");
    FAILS("{\"queue\":{\"reliability\":{\"retry_jitter\":1.5}}}", "retry_jitter");
    FAILS("{\"rate_limiter\":{\"api_rate_limit\":{\"window_seconds\":0}}}", "window_seconds");
    FAILS("{\"port\":9601}", "metrics.port");
    FAILS("{\"cors\":{\"methods\":[\"G T\"]}}", "cors.methods");
    FAILS("{\"unix_socket\":{\"enabled\":true,\"path\":\"/a/../b\"}}", "unix_socket.path");
    FAILS("{\"metrics\":{\"prometheus\":{\"prefix\":\"9x\"}}}", "metrics.prometheus.prefix");
    FAILS("{\"database\":{\"redis\":{\"master_tls\":{\"client_cert_path\":\"x\"}}}}", "client_key");
    LOADS("{\"queue\":{\"sqs\":{\"max_messages\":50}},\"websocket\":{\"compression\":\"x\"}}");
    assert_int_equal(c.values[OPT_queue_sqs_max_messages].i, 10);
    assert_int_equal(said("websocket.compression"), 1);
    config_finish(&c);
}

/* CFG-86 */
static void additions(void **state)
{
    (void)state;
    LOADS(
        "{\"adapter\":{\"outbound_buffer\":{\"messages\":10000,\"bytes\":67108864,\"age_ms\":10000}"
        ","
        "\"shared_secret\":null},\"workers\":2,\"io_uring\":\"off\","
        "\"app_manager\":{\"write_file_apps\":true},\"database\":{\"mysql\":{\"auto_migrate\":true,"
        "\"ssl_mode\":\"preferred\",\"ssl_ca\":null,\"ssl_cert\":null,\"ssl_key\":null}},"
        "\"queue\":{\"include_secret\":false},\"rate_limiter\":{\"enabled\":false,"
        "\"fail_closed\":false,\"ipv6_prefix\":64},\"webhooks\":{\"ordered\":false,"
        "\"private_addresses\":\"allow\"},\"ssl\":{\"certificates\":[]},"
        "\"http_api\":{\"usage_token\":\"t\"}}");
    assert_true(c.workers == 2 && !c.io_uring_auto && str_eq(c.http_api.usage_token, S("t")));
    assert_int_equal(r.strict, 0);
    config_finish(&c);
}

/* CFG-14: what a start refuses, a check only warns of. */
static void check_only(void **state)
{
    (void)state;
    args.check_only = true;
    LOADS("{\"adapter\":{\"driver\":\"nats\"},\"cache\":{\"driver\":\"redis\"},"
          "\"queue\":{\"driver\":\"redis\"}}");
    assert_int_equal(said("a start would fail"), 3);
    config_finish(&c);
    FAILS("{\"cache\":{\"driver\":\"memcached\"}}", "use memory, none, redis or redis-cluster");
    args.check_only = false;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
int main(void)
{
    const struct CMUnitTest tests[] = {TEST(defaults),
                                       TEST(which_file),
                                       TEST(environment_wins),
                                       TEST(syntax),
                                       TEST(unknown_keys),
                                       TEST(secrets_stay_inside),
                                       TEST(interpolation),
                                       TEST(types),
                                       TEST(both_app_shapes),
                                       TEST(app_mistakes),
                                       TEST(explicit_limits),
                                       TEST(origins),
                                       TEST(webhooks),
                                       TEST(webhook_urls),
                                       TEST(webhook_names),
                                       TEST(webhook_retry_enabled),
                                       TEST(bootstrap_app),
                                       TEST(one_variable_many_keys),
                                       TEST(scope),
                                       TEST(partial_blocks),
                                       TEST(places),
                                       TEST(combinations),
                                       TEST(additions),
                                       TEST(check_only)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
