/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/models.c: uvfio models: which devices there are and what they can be told. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static int models(const struct cli_command *cmd, int argc, char **argv)
{
	struct cli_args a = { .cmd = cmd, .argc = argc, .argv = argv };
	char *why = NULL, *absolute = NULL;
	const char *only = NULL;
	bool names = false;
	int opt, rc;

	while ((opt = cli_next_option(&a)) >= 0)
		names = true;
	if (opt != CLI_ARG)
		return opt == CLI_HELP ? 0 : CLI_USAGE;
	if (a.next < argc)
		only = argv[a.next++];
	rc = cli_no_more(&a);
	if (rc)
		return rc;
	if (only) {
		/* for its message, if there is no such model */
		rc = machine_spec_absolute(only, &absolute, &why);
		if (rc) {
			rc = cli_error(cmd, "%s", why ? why : strerror(-rc));
			goto out;
		}
	}
	rc = names ? machine_list_names(STDOUT_FILENO, only)
		   : machine_list_models(STDOUT_FILENO, only);
	if (rc) {
		cli_error(cmd, "%s", strerror(-rc));
		rc = 1;
	}
out:
	free(why);
	free(absolute);
	return rc;
}

static const struct cli_option options[] = {
	{ "names", NULL,
	  "only names, one a line: of the models, or of the options of\nMODEL (for completion in a "
	  "shell)" },
	{ 0 },
};

const struct cli_command cli_models = {
	.name = "models",
	.args = "[--names] [MODEL|./PLUGIN.so]",
	.summary = "List the device models and their options",
	.options = options,
	.run = models,
};
