/* config/args.h - the command line.
 *
 * Nature   pure but for getopt's globals; main thread, once
 * Source   spec/configuration.md §1.1, §1.2 (CFG-2, CFG-3)
 */
#ifndef CONFIG_ARGS_H
#define CONFIG_ARGS_H

#include "base/base.h"

struct config_args {
    const char *config_path; /* NULL: not given */
    bool check_only;         /* --check-config */
    bool strict;             /* --strict-config */
    bool print;              /* --print-config; implies check_only */
    bool want_version, want_help, want_config_help;
};

/* false: unknown option or operand; *e names it, with the usage line; the caller exits 2. */
NODISCARD bool config_args_parse(int argc, char **argv, struct config_args *out, struct err *e);
const char *config_args_help(void);

#endif
