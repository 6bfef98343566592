/* config/file.c - chooses, reads and parses the one file of the configuration.
 *
 * Source: spec/configuration.md §1.2, §2.3 (CFG-4…9, CFG-17)
 */
#include "base/buf.h"
#include "config/load.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* false with errno. */
static bool read_all(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = 1;
    while (n > 0 && !out->full) {
        char *room = buf_room(out, 64 << 10);
        n = room ? read(fd, room, 64 << 10) : 0;
        out->n += n > 0 ? (size_t)n : 0;
    }
    int why = out->full ? EFBIG : errno;
    close(fd);
    errno = why;
    return n >= 0 && !out->full;
}

static void key_is_twice(void *ctx, const struct value *v)
{
    struct loading *l = ctx;
    config_say(l, SAY_WARN, "%.*s:%u: key \"%.*s\" is written twice, the last one counts",
               FMT(l->c->file), v->line, FMT(v->key));
}

static bool parse(struct loading *l, str text)
{
    arena *a = &l->c->memory;
    struct err e = {.kind = ERR_NONE};
    bool toml = str_ends(l->c->file, S(".toml"));
    str expanded;
    if (!tree_interpolate(a, text, toml ? SYNTAX_TOML : SYNTAX_JSON, l->env, &expanded, &e))
        return config_fail(l, "%.*s: %s", FMT(l->c->file), e.text);
    if (toml ? !tree_parse_toml(a, expanded, &l->root, &e)
             : !tree_parse_json(a, expanded, key_is_twice, l, &l->root, &e))
        return config_fail(l, "%.*s:%s", FMT(l->c->file), e.text);
    if (l->root->type != VALUE_MAP)
        return config_fail_at(l, l->root, "expected an object, found %s", tree_type_name(l->root));
    config_say(l, SAY_INFO, "using %.*s", FMT(l->c->file));
    return true;
}

static bool load_path(struct loading *l, const char *path)
{
    struct buf text;
    buf_init(&text, CONFIG_FILE_MAX);
    l->c->file = arena_str(&l->c->memory, str_z(path));
    bool ok = read_all(path, &text);
    if (ok)
        ok = parse(l, buf_str(&text));
    else
        config_fail(l, "cannot read %s: %s", path, strerror(errno));
    if (text.n > 0)
        explicit_bzero(text.p, text.n);
    buf_finish(&text);
    return ok;
}

bool config_read_file(struct loading *l)
{
    static const char *const candidates[] = {"config/config.toml", "config/config.json",
                                             "src/config.json"};
    if (l->args->config_path != NULL)
        return load_path(l, l->args->config_path);
    const char *from_env = tree_env(l->env, "CONFIG_FILE", strlen("CONFIG_FILE"));
    if (from_env != NULL && *from_env != '\0') {
        if (access(from_env, F_OK) == 0 || errno != ENOENT)
            return load_path(l, from_env);
        config_say(l, SAY_WARN, "CONFIG_FILE: %s does not exist, using defaults and environment",
                   from_env);
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(candidates); i++)
        if (access(candidates[i], F_OK) == 0)
            return load_path(l, candidates[i]);
    config_say(l, SAY_INFO, "no file found, using defaults and environment");
    return true;
}
