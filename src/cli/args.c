/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/args.c: options of a subcommand from a table: --name VALUE or --name=VALUE; a message that
 * helps for everything else.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "cli/cli.h"

int cli_error(const struct cli_command *cmd, const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, cmd ? "uvfio: %s: " : "uvfio: ", cmd ? cmd->name : NULL);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CLI_USAGE;
}

static void print_option(const char *name, const char *arg, const char *help)
{
	int n = printf("  %s%s%s%s", name[1] ? "--" : "-", name, arg && *arg != '[' ? " " : "",
		       arg ? arg : "");

	for (;;) {
		size_t len = strcspn(help, "\n");

		printf("%*s%.*s\n", n < 22 ? 22 - n : 2, "", (int)len, help);
		if (!help[len])
			return;
		help += len + 1;
		n = 0;
	}
}

void cli_print_help(const struct cli_command *cmd)
{
	printf("usage: uvfio %s%s%s\n\n%s.\n", cmd->name, *cmd->args ? " " : "", cmd->args,
	       cmd->summary);
	if (cmd->text)
		printf("%s", cmd->text);
	printf("\nOptions:\n");
	for (const struct cli_option *o = cmd->options; o && o->name; o++)
		print_option(o->name, o->arg, o->help);
	print_option("help", NULL, "this text");
}

static int unknown(struct cli_args *a, const char *given, size_t len)
{
	const char *near = NULL;
	char name[64];

	if (given[0] == '-' && given[1] == '-' && len - 2 < sizeof(name)) {
		memcpy(name, given + 2, len - 2);
		name[len - 2] = 0;
		for (const struct cli_option *o = a->cmd->options; o && o->name; o++)
			near = nearest_word(name, near, o->name);
		near = nearest_word(name, near, "help");
	}
	if (near)
		cli_error(a->cmd, "there is no option %.*s: did you mean --%s?", (int)len, given,
			  near);
	else
		cli_error(a->cmd, "there is no option %.*s: `uvfio %s --help` lists them", (int)len,
			  given, a->cmd->name);
	return CLI_BAD;
}

int cli_next_option(struct cli_args *a)
{
	const char *given = a->next < a->argc ? a->argv[a->next] : NULL, *eq;
	bool optional;
	size_t len;

	a->value = NULL;
	if (!given || given[0] != '-' || !given[1])
		return CLI_ARG;
	a->next++;
	if (!strcmp(given, "--"))
		return CLI_ARG;
	if (!strcmp(given, "--help") || !strcmp(given, "-h")) {
		cli_print_help(a->cmd);
		return CLI_HELP;
	}
	eq = strchr(given, '=');
	len = eq ? (size_t)(eq - given) : strlen(given);
	for (int i = 0; a->cmd->options && a->cmd->options[i].name; i++) {
		const struct cli_option *o = &a->cmd->options[i];

		/* one of one letter has one dash */
		size_t dashes = o->name[1] ? 2 : 1;

		if (strncmp(given, "--", dashes) || strlen(o->name) != len - dashes ||
		    memcmp(given + dashes, o->name, len - dashes))
			continue;
		if (!o->arg && eq) {
			cli_error(a->cmd, "--%s takes no value", o->name);
			return CLI_BAD;
		}
		optional = o->arg && *o->arg == '[';
		if (o->arg && !optional && !eq && a->next >= a->argc) {
			cli_error(a->cmd, "%.*s needs a value: %.*s %s", (int)len, given, (int)len,
				  given, o->arg);
			return CLI_BAD;
		}
		if (eq)
			a->value = eq + 1;
		else if (o->arg && !optional)
			a->value = a->argv[a->next++];
		return i;
	}
	return unknown(a, given, len);
}

int cli_no_more(const struct cli_args *a)
{
	if (a->next >= a->argc)
		return 0;
	return cli_error(a->cmd, "'%s' is one argument too many: `uvfio %s --help` shows the usage",
			 a->argv[a->next], a->cmd->name);
}
