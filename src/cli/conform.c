/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform.c: uvfio conform: the conformance suite of the vfio-user protocol. */
#include <stdlib.h>

#include "base/size.h"
#include "cli/cli.h"
#include "conform/conform.h"

#define TIMEOUT_MS 2000

enum { SERVER, ONCE, ONLY, LIST, TAP, JUNIT, TIMEOUT, STRICT, VERBOSE, DEVICE_INFO };

static const struct cli_option options[] = {
	[SERVER] = { "server", "PATH", "test the server at this socket" },
	[ONCE] = { "once", NULL, "the server serves one client only: start it for each" },
	[ONLY] = { "only", "PATTERN", "the tests whose name it matches, as 'version-*' does" },
	[LIST] = { "list", NULL,
		   "say what the tests are: name, how binding, sentence, section of\n"
		   "the specification" },
	[TAP] = { "tap", NULL, "write TAP (version 13)" },
	[JUNIT] = { "junit", "FILE", "write the results as JUnit's XML, too" },
	[TIMEOUT] = { "timeout", "MS", "how long an answer may take (2000)" },
	[STRICT] = { "strict", NULL, "a warning is a failure" },
	[VERBOSE] = { "verbose", NULL, "say of each test what was sent, and what came" },
	[DEVICE_INFO] = { "device-info", NULL, "say what the device is" },
	{ 0 },
};

static int conform(const struct cli_command *cmd, int argc, char **argv)
{
	struct cli_args a = { .cmd = cmd, .argc = argc, .argv = argv };
	struct conform_options o = { .timeout_ms = TIMEOUT_MS, .out = stdout };
	uint64_t ms;
	int opt;

	while ((opt = cli_next_option(&a)) >= 0) {
		switch (opt) {
		case SERVER:
			o.socket = a.value;
			break;
		case ONCE:
			o.once = true;
			break;
		case ONLY:
			o.only = a.value;
			break;
		case LIST:
			o.list = true;
			break;
		case TAP:
			o.format = CONFORM_TAP;
			break;
		case JUNIT:
			o.junit = a.value;
			break;
		case TIMEOUT:
			if (number_parse(a.value, &ms) || !ms || ms > 600000)
				return cli_error(cmd,
						 "--timeout %s: a number of milliseconds, at "
						 "most 600000",
						 a.value);
			o.timeout_ms = (unsigned)ms;
			break;
		case STRICT:
			o.strict = true;
			break;
		case VERBOSE:
			o.verbose = true;
			break;
		case DEVICE_INFO:
			o.device_info = true;
			break;
		}
	}
	if (opt != CLI_ARG)
		return opt == CLI_HELP ? 0 : CLI_USAGE;
	if (a.next < argc)
		o.command = argv + a.next;
	if (!o.socket && !o.list)
		return cli_error(cmd, "nothing to test: --server PATH");
	if (o.once && !o.command)
		return cli_error(cmd, "--once needs a command behind --, which starts the server");
	return conform_run(&o);
}

const struct cli_command cli_conform = {
	.name = "conform",
	.args = "--server PATH [-- COMMAND...]",
	.summary = "Test a vfio-user server against the protocol's specification",
	.text = "\nCOMMAND, if it is there, is a server at PATH that is started, and again when "
		"it\n"
		"has ended. Exit status: 0 all passed, 1 a test failed, 2 wrong arguments.\n\n"
		"  uvfio conform --server /tmp/s.sock\n"
		"  uvfio conform --server /tmp/s.sock --only 'version-*' -- ./my-server "
		"/tmp/s.sock\n",
	.options = options,
	.run = conform,
};
