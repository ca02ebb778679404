/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/replay.c: uvfio replay: the driver's part of a trace, made on a device again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"
#include "trace/show/replay.h"

struct again {
	const struct cli_command *cmd;
	const char *path, *spec, *of;
};

enum { OPT_DEVICE, OPT_OF };
static const struct cli_option options[] = {
	[OPT_DEVICE] = { "device", "SPEC", "the device to make them on, as `uvfio run` takes it" },
	[OPT_OF] = { "of", "NAME",
		     "which device of the trace they are of; else the first that has any" },
	{ 0 },
};

static int report(const struct again *a, const struct trace_replay *r)
{
	printf("%llu accesses, %llu DMA writes, %llu interrupts: %llu differences\n",
	       (unsigned long long)r->accesses, (unsigned long long)r->dma,
	       (unsigned long long)r->interrupts, (unsigned long long)r->differences);
	if (r->cut)
		fprintf(stderr,
			"uvfio: %s: of %llu DMA reads not all bytes are in it, and the rest was "
			"read "
			"as it was: record with --trace-dma all\n",
			a->path, (unsigned long long)r->cut);
	return r->differences ? 1 : 0;
}

static int replay_on(const struct again *a, const struct trace_log *log)
{
	struct uvfio *u = uvfio_new();
	struct trace_replay result;
	struct uvfio_device *dev;
	int rc;

	if (!u)
		return cli_error(a->cmd, "out of memory");
	rc = uvfio_open_model(u, a->spec, &dev);
	if (rc) {
		rc = cli_error(a->cmd, "%s", uvfio_strerror(u));
		uvfio_free(u);
		return rc;
	}
	rc = trace_replay(stdout, log, a->of, u, dev, &result);
	uvfio_close(dev);
	uvfio_free(u);
	if (rc == -ENODEV)
		return cli_error(a->cmd, "%s: there are no accesses of %s in it", a->path,
				 a->of ? a->of : "a device");
	if (rc)
		return cli_error(a->cmd, "%s", strerror(-rc));
	return report(a, &result);
}

static int replay(const struct cli_command *cmd, int argc, char **argv)
{
	struct cli_args args = { .cmd = cmd, .argc = argc, .argv = argv };
	struct again a = { .cmd = cmd };
	struct trace_log *log;
	char *why;
	int opt, rc;

	for (;;) {
		while ((opt = cli_next_option(&args)) >= 0)
			*(opt == OPT_DEVICE ? &a.spec : &a.of) = args.value;
		if (opt != CLI_ARG)
			return opt == CLI_HELP ? 0 : CLI_USAGE;
		if (a.path || args.next >= argc)
			break;
		a.path = argv[args.next++];
	}
	rc = cli_no_more(&args);
	if (rc)
		return rc;
	if (!a.path || !a.spec)
		return cli_error(cmd,
				 "which trace, and on which device? `uvfio replay FILE --device "
				 "SPEC`");
	rc = trace_log_read(a.path, &log, &why);
	if (rc) {
		rc = cli_error(cmd, "%s", why ? why : strerror(-rc));
		free(why);
		return rc;
	}
	log_set(STDERR_FILENO, LOG_ERR);
	trace_log_lacks(stderr, log, a.path);
	rc = replay_on(&a, log);
	trace_log_free(log);
	return rc;
}

const struct cli_command cli_replay = {
	.name = "replay",
	.args = "FILE --device SPEC [OPTIONS]",
	.summary = "Make the accesses of a trace again, and compare the answers",
	.text = "\nA line for each difference, with the register, and what is expected and got. "
		"The "
		"exit\n"
		"status is 1 if there is one. Record with mmap=trap and --trace-dma all.\n",
	.options = options,
	.run = replay,
};
