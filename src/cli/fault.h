/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/fault.h: --fault, --seed and --fault-file of `uvfio run`. */
#ifndef CLI_FAULT_H
#define CLI_FAULT_H
#include "cli/cli.h"
#include "fault/table.h"
#include "machine/run/run.h"

struct cli_faults {
	unsigned num;
	bool has_seed;
	uint64_t seed;
	FILE *file; /* for lines of JSON, or NULL */
	struct fault_spec *spec;
};

/* Print what there is. */
void cli_fault_help(void);
/* Take the value of an option: 0; CLI_USAGE after a message; CLI_HELP: help was asked for. */
int cli_fault_add(struct cli_faults *f, const struct cli_command *cmd, const char *text);
int cli_fault_seed(struct cli_faults *f, const struct cli_command *cmd, const char *text);
int cli_fault_file(struct cli_faults *f, const struct cli_command *cmd, const char *path);
/* Check those of models against the devices in @l. 0, or CLI_USAGE after a message. */
int cli_fault_check(const struct cli_faults *f, const struct cli_command *cmd,
		    const struct run_devices *l);
/* Have the processes of the run at @dir follow them. 0 or -errno. */
int cli_fault_start(struct cli_faults *f, const char *dir);
/* Say what became of them, of those too that came while the program ran. */
void cli_fault_end(struct cli_faults *f, const char *dir, const char *log_file);
void cli_fault_free(struct cli_faults *f);
#endif
