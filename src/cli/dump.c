/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/dump.c: uvfio dump: the config space of devices as text that lspci -F reads. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static int dump(const struct cli_command *cmd, int argc, char **argv)
{
	struct cli_args a = { .cmd = cmd, .argc = argc, .argv = argv };
	struct machine *m = machine_new();
	char *why = NULL;
	int opt, rc = 0;

	if (!m)
		return cli_error(cmd, "out of memory");
	while ((opt = cli_next_option(&a)) >= 0) {
		rc = machine_add(m, a.value, &why);
		if (rc) {
			rc = cli_error(cmd, "%s", why ? why : strerror(-rc));
			free(why);
			goto out;
		}
	}
	if (opt != CLI_ARG) {
		rc = opt == CLI_HELP ? 0 : CLI_USAGE;
		goto out;
	}
	rc = cli_no_more(&a);
	if (rc)
		goto out;
	if (!machine_num_devices(m)) {
		rc = cli_error(cmd,
			       "no device to show: `uvfio dump --device MODEL[,option=value]...`");
		goto out;
	}
	rc = machine_start(m, &why);
	if (rc) {
		rc = cli_error(cmd, "%s", why ? why : strerror(-rc));
		free(why);
		goto out;
	}
	for (unsigned i = 0; i < machine_num_devices(m) && !rc; i++) {
		struct machine_device *d = machine_device(m, i), *vf;

		rc = machine_dump(d, STDOUT_FILENO);
		for (unsigned k = 0; !rc && (vf = machine_vf(m, d, k)); k++)
			rc = machine_dump(vf, STDOUT_FILENO);
	}
	if (rc) {
		cli_error(cmd, "writing to stdout: %s", strerror(-rc));
		rc = 1;
	}
out:
	machine_free(m, false);
	return rc;
}

static const struct cli_option options[] = {
	{ "device", "SPEC", "a device, as `uvfio run` takes it; may be given several times" },
	{ 0 },
};

const struct cli_command cli_dump = {
	.name = "dump",
	.args = "--device SPEC...",
	.summary = "Print the config space of devices in the format of lspci -x",
	.text = "\n  uvfio dump --device nvme,image=disk.img | lspci -F /dev/stdin -vvv\n",
	.options = options,
	.run = dump,
};
