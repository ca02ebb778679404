/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/cli.h: the uvfio command. A subcommand is a function in a file of its own; it gets its
 * arguments and returns the exit status. Whatever is wrong with what the user asked for is told in
 * a sentence on stderr, with exit status 2, before anything is started or written.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H
#include <stdbool.h>
#include <stddef.h>

#include "ctl/ctl.h"
#include "machine/machine.h"

#define CLI_USAGE 2 /* exit status: wrong arguments, or what they name cannot be used */

struct cli_command {
	const char *name;
	const char *args;    /* behind the name in the usage line */
	const char *summary; /* one line */
	const char *text;    /* what --help says between usage and options; may be NULL */
	const struct cli_option *options;
	int (*run)(const struct cli_command *cmd, int argc, char **argv);
};
/* A table ends with name NULL. Every command has --help, too. */
struct cli_option {
	const char *name; /* without dashes */
	/* what its value is called; NULL: it has none; "[=VALUE]": it can do without (NULL) */
	const char *arg;
	const char *help; /* may have several lines */
};

extern const struct cli_command cli_run, cli_explore, cli_serve, cli_ctl, cli_models, cli_dump,
	cli_conform, cli_trace, cli_report, cli_replay, cli_help, cli_version, cli_own;
/* All commands; ends with NULL. Those without a summary are none for users. */
extern const struct cli_command *const cli_commands[];

/* ---- args.c ---- */
struct cli_args {
	const struct cli_command *cmd;
	int argc;
	char **argv;
	int next; /* the first argument that was not looked at */
	const char *value;
};
enum {
	CLI_ARG = -1,  /* options are over; argv[next] is the first argument, if next < argc */
	CLI_HELP = -2, /* --help was served */
	CLI_BAD = -3,  /* a message was written */
};
/*
 * Return the index of the next option in the command's table (its value in @a->value), or one of
 * the above.
 */
int cli_next_option(struct cli_args *a);
/* Write "uvfio: COMMAND: text" to stderr; return CLI_USAGE. */
int cli_error(const struct cli_command *cmd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void cli_print_help(const struct cli_command *cmd);
/* Check that all of @argv from @next on is used up: 0, or CLI_USAGE after a message. */
int cli_no_more(const struct cli_args *a);

/* ---- program.c ---- */
/*
 * Find the program that exec would run for @name (*@path is malloc'ed), and check that the shim can
 * be loaded into it. 0, or -errno with a sentence for the user in *@why (malloc'ed).
 */
int program_find(const char *name, char **path, char **why);
int program_check(const char *path, char **why);

/* ---- rundir.c ---- */
/* Make a directory for one run, 0700, in $TMPDIR or /tmp: *@dir is malloc'ed. 0 or -errno. */
int rundir_new(char **dir, char **why);
/*
 * Take it away; if a process that outlives the program still has a group open, a process of our own
 * waits for that and does it then, and serves the control of the run, which is stopped (may be
 * NULL).
 */
void rundir_end(const char *dir, struct ctl_server *ctl);

/*
 * True if there is a process of the program that the run is for. @wait: until there is none.
 */
bool rundir_is_needed(const char *dir, bool wait);

/* ---- own.c ---- */
/* The process that has the devices (process=own), from the outside. */
struct own_child {
	pid_t pid; /* -1: there is none */
	int until; /* it serves until this is closed */
};
/* Start it for the run at @dir, with the environment of the program; @late: own_new(). 0 or
 * -errno. */
int own_start(const char *dir, char **envp, bool late, struct own_child *out);
/* Have it keep its devices open, as the program that has ended left them, to its own end. */
void own_keep(const struct own_child *c);
/* Let it end when no process of the program is left, and if that is so now, wait for its end. */
void own_end(const char *dir, struct own_child *c);

/* ---- hold.c ---- */
struct hold {
	bool is_on, always;    /* else if the program failed */
	unsigned long seconds; /* at most; 0: until the user ends it */
};
/* Read the value of --hold, which may be NULL. 0 or -EINVAL. */
int hold_parse(const char *text, struct hold *out);
/*
 * Hold the devices of the process @devices, of the run at @dir, whose program ended with @status or
 * by the signal @sig, until the user says that it is enough; if @h is for such an end.
 */
void hold_devices(const struct hold *h, const char *dir, const struct own_child *devices,
		  struct ctl_server *ctl, int status, int sig);

/* ---- serve.c ---- */
/* Return the path of a socket that nobody named: of this process, @word and @n; or NULL. */
char *serve_default_path(const char *word, unsigned n);

/* ---- serve_ctl.c ---- */
struct uvfio_server;
struct serve_ctl;
/* Have `uvfio ctl` reach @server, whose new sockets get @mode; NULL: no memory. */
struct serve_ctl *serve_ctl_new(struct uvfio_server *server, unsigned mode);
/* Remove what others see of it, of a process that ends with threads still at work. */
void serve_ctl_leave(struct serve_ctl *c);
void serve_ctl_free(struct serve_ctl *c);

/* ---- supervise.c ---- */
/*
 * Start @path with @argv and @envp and stay with it to its end. Returns its exit status; if a
 * signal killed it, *@sig is that signal. -errno: it was not started.
 */
int supervise(const char *path, char **argv, char **envp, int *sig);
#endif
