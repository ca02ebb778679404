/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/main.c: finds the subcommand; help and version. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "check/check.h"
#include "cli/cli.h"
#include "cli/fault.h"

const struct cli_command *const cli_commands[] = {
	&cli_run,   &cli_explore, &cli_serve,  &cli_ctl,  &cli_models,	&cli_dump, &cli_conform,
	&cli_trace, &cli_report,  &cli_replay, &cli_help, &cli_version, &cli_own,  NULL,
};

static const struct cli_command *find(const char *name)
{
	for (const struct cli_command *const *c = cli_commands; *c; c++)
		if (!strcmp((*c)->name, name))
			return *c;
	return NULL;
}

static void print_commands(FILE *f)
{
	fprintf(f,
		"usage: uvfio COMMAND [ARGUMENTS]\n\n"
		"VFIO in user space: run unmodified VFIO programs on PCI devices written in C.\n\n"
		"Commands:\n");
	for (const struct cli_command *const *c = cli_commands; *c; c++)
		if ((*c)->summary)
			fprintf(f, "  %-10s%s\n", (*c)->name, (*c)->summary);
	fprintf(f, "\n`uvfio help COMMAND` tells more. An example:\n"
		   "  uvfio run --device edu -- lspci -v\n");
}

static int unknown_command(const char *name)
{
	const char *near = NULL;

	for (const struct cli_command *const *c = cli_commands; *c; c++)
		if ((*c)->summary)
			near = nearest_word(name, near, (*c)->name);
	if (near)
		return cli_error(NULL, "there is no command '%s': did you mean 'uvfio %s'?", name,
				 near);
	return cli_error(NULL, "there is no command '%s': `uvfio help` lists them", name);
}

/* The checker's kinds, in a line each. */
static void print_kinds(void)
{
	printf("Mistakes of a driver that `uvfio run --check` names:\n");
	for (unsigned i = 0; i < check_num_kinds; i++) {
		const struct check_kind *k = &check_kinds[i];

		if (!i || strcmp(k->group, k[-1].group))
			printf("\n%s\n", k->group);
		printf("  %-18s%s%s\n", k->name, k->line, k->asked ? " *" : "");
	}
	printf("\nproto\n");
	fflush(stdout);
	machine_list_kinds(STDOUT_FILENO, NULL);
	printf("\n* is looked for only when it is asked for: it costs more.\n"
	       "--check=LIST adds kinds or groups to those that are looked for, or takes them\n"
	       "away: --check=-dma-rights, --check=-all,dma,proto-nvme. `uvfio help KIND` explains "
	       "one;\n"
	       "uvfio-check(7) has all. Those of a model of your own are in `uvfio models "
	       "./X.so`.\n");
}

static void print_kind(const struct check_kind *k)
{
	printf("%s: %s.\n\n%s\nWhat to do: %s\n", k->name, k->line, k->text, k->fix);
}

static int help(const struct cli_command *cmd, int argc, char **argv)
{
	struct cli_args a = { .cmd = cmd, .argc = argc, .argv = argv };
	const struct cli_command *about;
	int rc = cli_next_option(&a), kind;
	bool kinds, faults;

	if (rc != CLI_ARG)
		return rc == CLI_HELP ? 0 : CLI_USAGE;
	if (a.next >= argc) {
		print_commands(stdout);
		return 0;
	}
	kind = check_kind_find(argv[a.next]);
	kinds = !strcmp(argv[a.next], "check");
	faults = !strcmp(argv[a.next], "fault");
	about = find(argv[a.next++]);
	if (kinds || faults || kind >= 0) {
		rc = cli_no_more(&a);
		if (!rc && kinds)
			print_kinds();
		else if (!rc && faults)
			cli_fault_help();
		else if (!rc)
			print_kind(&check_kinds[kind]);
		return rc;
	}
	if (!strncmp(argv[a.next - 1], "proto-", 6)) {
		rc = cli_no_more(&a) ?: machine_list_kinds(STDOUT_FILENO, argv[a.next - 1]);
		if (rc == -ENOENT)
			return cli_error(
				cmd,
				"there is no kind '%s': `uvfio help check` lists them, and "
				"`uvfio models ./MINE.so` those of a model of your own",
				argv[a.next - 1]);
		return rc < 0 ? cli_error(cmd, "%s", strerror(-rc)) : rc;
	}
	if (!about || !about->summary)
		return unknown_command(argv[a.next - 1]);
	rc = cli_no_more(&a);
	if (!rc)
		cli_print_help(about);
	return rc;
}

const struct cli_command cli_help = {
	.name = "help",
	.args = "[COMMAND | check | KIND | fault]",
	.summary = "Explain the commands, the checker's kinds of mistakes, and faults",
	.run = help,
};

static int version(const struct cli_command *cmd, int argc, char **argv)
{
	struct cli_args a = { .cmd = cmd, .argc = argc, .argv = argv };
	int rc = cli_next_option(&a);

	if (rc != CLI_ARG)
		return rc == CLI_HELP ? 0 : CLI_USAGE;
	rc = cli_no_more(&a);
	if (!rc)
		printf("uvfio %s\n", UVFIO_VERSION);
	return rc;
}

const struct cli_command cli_version = {
	.name = "version",
	.args = "",
	.summary = "Print the version",
	.run = version,
};

int main(int argc, char **argv)
{
	const struct cli_command *cmd;
	int rc;

	if (argc < 2) {
		print_commands(stderr);
		return CLI_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		cmd = &cli_help;
	else if (!strcmp(argv[1], "--version"))
		cmd = &cli_version;
	else
		cmd = find(argv[1]);
	if (!cmd)
		return unknown_command(argv[1]);
	rc = cmd->run(cmd, argc - 2, argv + 2);
	if ((fflush(stdout) || ferror(stdout)) && !rc) {
		cli_error(cmd, "writing to stdout: %s", strerror(errno));
		rc = 1;
	}
	return rc;
}
