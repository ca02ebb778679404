/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/trace.c: uvfio trace: what is in a file of `uvfio run --trace`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/cli.h"
#include "trace/show/show.h"

struct show {
	const struct cli_command *cmd;
	struct trace_filter filter;
	int as; /* an option, or -1: text */
};

enum {
	OPT_DEVICE,
	OPT_FROM,
	OPT_JSON,
	OPT_KIND,
	OPT_PERFETTO,
	OPT_REGISTER,
	OPT_STATS,
	OPT_THREAD,
	OPT_TO,
};
static const struct cli_option options[] = {
	[OPT_DEVICE] = { "device", "NAME", "only events of devices with NAME in their name" },
	[OPT_FROM] = { "from", "TIME",
		       "only events from TIME on: since the first one, in seconds, or with a "
		       "unit:\n"
		       "1.5, 20ms, 300us, 4000ns" },
	[OPT_JSON] = { "json", NULL, "a line of JSON for each event" },
	[OPT_KIND] = { "kind", "KINDS",
		       "only events of these kinds, with commas between: bar, config, dma, map,\n"
		       "irq, reset, ioctl, command, report" },
	[OPT_PERFETTO] = { "perfetto", NULL,
			   "a trace that the Perfetto viewer opens (ui.perfetto.dev)" },
	[OPT_REGISTER] = { "register", "NAME",
			   "only accesses to registers with NAME in their name" },
	[OPT_STATS] = { "stats", NULL,
			"numbers instead of events: accesses of each register, what a command\n"
			"costs, how long commands and ioctls take" },
	[OPT_THREAD] = { "thread", "NAME",
			 "only events of threads with NAME in their name, or\n"
			 "of that number" },
	[OPT_TO] = { "to", "TIME", "only events up to TIME" },
	{ 0 },
};

/* Read a time: 0, or a message and CLI_USAGE. */
static int parse_time(const struct cli_command *cmd, const char *text, int64_t *ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = { { "", 1e9 }, { "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 }, { "ns", 1 } };
	char *end;
	double v = strtod(text, &end);

	for (unsigned i = 0; end != text && i < ARRAY_SIZE(units); i++) {
		if (strcmp(end, units[i].name) || !(v >= 0) || v * units[i].ns > 9e18)
			continue;
		*ns = (int64_t)(v * units[i].ns);
		return 0;
	}
	return cli_error(cmd, "'%s' is no time: write seconds, or a number with ms, us or ns",
			 text);
}

static int set_option(struct show *s, int opt, const char *value)
{
	const char *bad;
	unsigned len;

	switch (opt) {
	case OPT_DEVICE:
		s->filter.device = value;
		return 0;
	case OPT_FROM:
		return parse_time(s->cmd, value, &s->filter.from_ns);
	case OPT_KIND:
		s->filter.kinds = value;
		if (!trace_filter_check(&s->filter, &bad, &len))
			return 0;
		return cli_error(s->cmd, "--kind %s: '%.*s' is no kind of events", value, (int)len,
				 bad);
	case OPT_JSON:
	case OPT_PERFETTO:
	case OPT_STATS:
		if (s->as >= 0 && s->as != opt)
			return cli_error(s->cmd, "--%s and --%s: write one of them",
					 options[s->as].name, options[opt].name);
		s->as = opt;
		return 0;
	case OPT_REGISTER:
		s->filter.reg = value;
		return 0;
	case OPT_THREAD:
		s->filter.thread = value;
		return 0;
	default:
		return parse_time(s->cmd, value, &s->filter.to_ns);
	}
}

static int show(struct show *s, const char *path)
{
	struct trace_log *log;
	char *why;
	int rc = trace_log_read(path, &log, &why);

	if (rc) {
		cli_error(s->cmd, "%s", why ? why : strerror(-rc));
		free(why);
		return 1;
	}
	if (s->as == OPT_JSON)
		trace_json(stdout, log, &s->filter);
	else if (s->as == OPT_PERFETTO)
		trace_perfetto(stdout, log, &s->filter);
	else if (s->as == OPT_STATS)
		rc = trace_stats(stdout, log, &s->filter);
	else
		trace_text(stdout, log, &s->filter);
	trace_log_lacks(stderr, log, path);
	trace_log_free(log);
	if (rc)
		return cli_error(s->cmd, "out of memory");
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	cli_error(s->cmd, "writing to stdout: %s", strerror(errno));
	return 1;
}

static int trace(const struct cli_command *cmd, int argc, char **argv)
{
	struct cli_args a = { .cmd = cmd, .argc = argc, .argv = argv };
	struct show s = { .cmd = cmd, .filter = { .to_ns = INT64_MAX }, .as = -1 };
	const char *path;
	int opt, rc;

	/* options may stand behind the file */
	for (path = NULL;;) {
		while ((opt = cli_next_option(&a)) >= 0) {
			rc = set_option(&s, opt, a.value);
			if (rc)
				return rc;
		}
		if (opt != CLI_ARG)
			return opt == CLI_HELP ? 0 : CLI_USAGE;
		if (path || a.next >= argc)
			break;
		path = argv[a.next++];
	}
	if (!path)
		return cli_error(cmd, "which trace? `uvfio trace FILE`");
	rc = cli_no_more(&a);
	return rc ? rc : show(&s, path);
}

const struct cli_command cli_trace = {
	.name = "trace",
	.args = "[OPTIONS] FILE",
	.summary = "Show what is in a trace of `uvfio run --trace FILE`",
	.text = "\nA line for each event: its time in seconds since the first one, the thread, the "
		"device,\n"
		"the kind and what happened.\n",
	.options = options,
	.run = trace,
};
