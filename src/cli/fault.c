/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/fault.c: the faults that a user wants in the devices of a run (--fault): read when all
 * options are known, put into the run directory, and told of at the end: also those that never
 * happened, with which nothing was tested.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/fault.h"

void cli_fault_help(void)
{
	fault_print_help(stdout);
	printf("\nOf models that come with uvfio:\n");
	machine_list_faults(stdout);
}

int cli_fault_add(struct cli_faults *f, const struct cli_command *cmd, const char *text)
{
	struct fault_spec *more;
	char why[512];

	if (!strcmp(text, "help")) {
		cli_fault_help();
		return CLI_HELP;
	}
	if (f->num == FAULT_SLOTS)
		return cli_error(cmd, "--fault: at most %u of them", FAULT_SLOTS);
	more = realloc(f->spec, (f->num + 1) * sizeof(*more));
	if (!more)
		return cli_error(cmd, "--fault: out of memory");
	f->spec = more;
	if (fault_parse(text, &f->spec[f->num], why, sizeof(why)))
		return cli_error(cmd, "--fault %s: %s (`uvfio help fault` has all)", text, why);
	f->num++;
	return 0;
}

int cli_fault_seed(struct cli_faults *f, const struct cli_command *cmd, const char *text)
{
	if (!*text || fault_seed(text, &f->seed))
		return cli_error(cmd, "--seed %s: write a number", text);
	f->has_seed = true;
	return 0;
}

int cli_fault_file(struct cli_faults *f, const struct cli_command *cmd, const char *path)
{
	if (f->file)
		fclose(f->file);
	f->file = fopen(path, "we");
	return f->file ? 0 : cli_error(cmd, "--fault-file %s: %s", path, strerror(errno));
}

int cli_fault_check(const struct cli_faults *f, const struct cli_command *cmd,
		    const struct run_devices *l)
{
	const char **specs = calloc(l->n + 1, sizeof(*specs));
	char why[512];
	int rc = 0;

	if (!specs)
		return cli_error(cmd, "out of memory");
	for (unsigned i = 0; i < l->n; i++)
		specs[i] = l->d[i].spec;
	for (unsigned i = 0; i < f->num && !rc; i++)
		if (machine_check_fault(specs, l->n, &f->spec[i], why, sizeof(why)))
			rc = cli_error(cmd, "--fault %s: %s (`uvfio models %s`)", f->spec[i].text,
				       why, f->spec[i].model);
	free(specs);
	return rc;
}

int cli_fault_start(struct cli_faults *f, const char *dir)
{
	struct fault_table *t;
	int rc = 0;

	/* without faults a seed alone is for `uvfio ctl fault` */
	if (!f->num && !f->has_seed)
		return 0;
	if (!f->has_seed)
		fault_seed(NULL, &f->seed);
	t = fault_table_open(dir, f->seed, &rc);
	for (unsigned i = 0; t && !rc && i < f->num; i++)
		rc = fault_table_add(t, &f->spec[i]);
	fault_table_close(t);
	return rc;
}

static void say(void *arg, const char *line)
{
	dprintf(*(int *)arg, "uvfio: %s\n", line);
}

void cli_fault_end(struct cli_faults *f, const char *dir, const char *log_file)
{
	int rc = 0, fd = STDERR_FILENO;
	struct fault_table *t = fault_table_map(dir, &rc);

	if (!t)
		return;
	if (log_file)
		fd = open(log_file, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0)
		fault_table_tell(t, say, &fd);
	if (log_file && fd >= 0)
		close(fd);
	if (f->file)
		fault_table_write_json(t, f->file);
	fault_table_close(t);
}

void cli_fault_free(struct cli_faults *f)
{
	if (f->file)
		fclose(f->file);
	f->file = NULL;
	free(f->spec);
	f->spec = NULL;
}
