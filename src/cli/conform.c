/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/conform.c: uvfio conform: the conformance suite of the vfio-user protocol. */
#include <stdlib.h>

#include "base/size.h"
#include "cli/cli.h"
#include "conform/conform.h"

#define TIMEOUT_MS 2000
#define SILENT_MS  1500

enum {
	SERVER,
	CLIENT,
	SOCKET,
	ONCE,
	ONLY,
	LIST,
	TAP,
	JUNIT,
	TIMEOUT,
	SILENT,
	STRICT,
	VERBOSE,
	DEVICE_INFO
};

static const struct cli_option options[] = {
	[SERVER] = { "server", "PATH", "test the server at this socket" },
	[CLIENT] = { "client", NULL, "test the client that connects, or that COMMAND is" },
	[SOCKET] = { "socket", "PATH", "of --client: listen here; without it in a new directory" },
	[ONCE] = { "once", NULL, "the server serves one client only: start it for each" },
	[ONLY] = { "only", "PATTERN", "the tests whose name it matches, as 'version-*' does" },
	[LIST] = { "list", NULL,
		   "say what the tests are: name, how binding, sentence, section of\n"
		   "the specification" },
	[TAP] = { "tap", NULL, "write TAP (version 13)" },
	[JUNIT] = { "junit", "FILE", "write the results as JUnit's XML, too" },
	[TIMEOUT] = { "timeout", "MS", "how long an answer may take (2000)" },
	[SILENT] = { "silent", "MS",
		     "a client that sends nothing for so long has started up (1500)" },
	[STRICT] = { "strict", NULL, "a warning is a failure" },
	[VERBOSE] = { "verbose", NULL, "say of each test what was sent, and what came" },
	[DEVICE_INFO] = { "device-info", NULL, "say what the device is" },
	{ 0 },
};

static int conform(const struct cli_command *cmd, int argc, char **argv)
{
	struct cli_args a = { .cmd = cmd, .argc = argc, .argv = argv };
	struct conform_options o = { .timeout_ms = TIMEOUT_MS,
				     .silent_ms = SILENT_MS,
				     .out = stdout };
	const char *path = NULL;
	uint64_t ms;
	int opt;

	while ((opt = cli_next_option(&a)) >= 0) {
		switch (opt) {
		case SERVER:
			o.socket = a.value;
			break;
		case CLIENT:
			o.client = true;
			break;
		case SOCKET:
			path = a.value;
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
		case SILENT:
			if (number_parse(a.value, &ms) || !ms || ms > 600000)
				return cli_error(
					cmd, "--%s %s: a number of milliseconds, at most 600000",
					options[opt].name, a.value);
			*(opt == TIMEOUT ? &o.timeout_ms : &o.silent_ms) = (unsigned)ms;
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
	if (o.client && o.socket)
		return cli_error(cmd, "--server and --client: one side at a time");
	if (!o.client && path)
		return cli_error(cmd, "--socket is where --client listens");
	if (!o.client && !o.socket && !o.list)
		return cli_error(cmd, "nothing to test: --server PATH, or --client");
	if (o.client && !path && !o.command && !o.list)
		return cli_error(cmd, "--client needs a command behind --, or --socket PATH");
	if (o.client)
		o.socket = path;
	if (o.once && !o.command)
		return cli_error(cmd, "--once needs a command behind --, which starts the server");
	return conform_run(&o);
}

const struct cli_command cli_conform = {
	.name = "conform",
	.args = "--server PATH | --client [-- COMMAND...]",
	.summary = "Test a server or client of vfio-user against its specification",
	.text = "\nCOMMAND is a server at PATH that is started, and again when it has ended; or a\n"
		"client, which is started for each test: in it, {socket} stands for where to "
		"connect.\n"
		"Exit status: 0 all passed, 1 a test failed, 2 wrong arguments.\n\n"
		"  uvfio conform --server /tmp/s.sock --only 'version-*'\n"
		"  uvfio conform --server /tmp/s.sock -- ./my-server /tmp/s.sock\n"
		"  uvfio conform --client -- ./my-client {socket}\n",
	.options = options,
	.run = conform,
};
