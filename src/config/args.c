/* config/args.c - the command line, by getopt_long. */
#include "config/args.h"

#include <getopt.h>

#define USAGE                                                                                      \
    "usage: sockudo [-c FILE] [--check-config] [--print-config] [--strict-config] [--version] "    \
    "[--help] [--help-config]"

const char *config_args_help(void)
{
    return USAGE "\n"
                 "\n"
                 "  -c, --config FILE   read this configuration file\n"
                 "      --check-config  check the configuration and exit\n"
                 "      --print-config  check it, print the values in effect as JSON, and exit\n"
                 "      --strict-config refuse unknown and ignored keys\n"
                 "  -V, --version       print the version and exit\n"
                 "  -h, --help          print this and exit\n"
                 "      --help-config   print every option of the configuration and exit\n"
                 "\n"
                 "Without -c: $CONFIG_FILE, config/config.toml, config/config.json or\n"
                 "src/config.json, the first that is there. Variables win over the file.\n";
}

enum { OPT_CHECK = 256, OPT_STRICT, OPT_PRINT, OPT_HELP_CONFIG };

/* Of letters in one word getopt is still at the word: it names the letter itself. */
static const char *wrong_one(char **argv)
{
    static char letter[3] = "-";
    if (optopt == 0 || optopt >= OPT_CHECK)
        return argv[optind - 1];
    letter[1] = (char)optopt;
    return letter;
}

bool config_args_parse(int argc, char **argv, struct config_args *out, struct err *e)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check-config", no_argument, NULL, OPT_CHECK},
                                            {"strict-config", no_argument, NULL, OPT_STRICT},
                                            {"print-config", no_argument, NULL, OPT_PRINT},
                                            {"help-config", no_argument, NULL, OPT_HELP_CONFIG},
                                            {"version", no_argument, NULL, 'V'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    *out = (struct config_args){.config_path = NULL};
    optind = 0; /* glibc: start over, also after an earlier call */
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":c:Vh", options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            out->config_path = optarg;
            break;
        case OPT_CHECK:
            out->check_only = true;
            break;
        case OPT_STRICT:
            out->strict = true;
            break;
        case OPT_PRINT:
            out->print = out->check_only = true;
            break;
        case OPT_HELP_CONFIG:
            out->want_config_help = true;
            break;
        case 'V':
            out->want_version = true;
            break;
        case 'h':
            out->want_help = true;
            break;
        case ':':
            return err_set(e, ERR_INVALID, "%s needs a value; " USAGE, argv[optind - 1]);
        default:
            return err_set(e, ERR_INVALID, "unknown option %s; " USAGE, wrong_one(argv));
        }
    }
    return optind == argc || err_set(e, ERR_INVALID, "\"%s\" is no option; " USAGE, argv[optind]);
}
