/* SPDX-License-Identifier: BSD-3-Clause */
/* cli/trace.c: uvfio trace and uvfio report: what is in a file of `uvfio run --trace`. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/cli.h"
#include "trace/show/show.h"

struct show {
	const struct cli_command *cmd;
	struct trace_filter filter;
	int as;		/* an option, or -1: text */
	bool is_report; /* ... which is written to: */
	const char *page;
};

/* first what both commands have */
enum {
	OPT_DEVICE,
	OPT_FROM,
	OPT_KIND,
	OPT_REGISTER,
	OPT_THREAD,
	OPT_TO,
	/* of `uvfio trace` */
	OPT_JSON,
	OPT_PERFETTO,
	OPT_STATS,
	/* of `uvfio report` */
	OPT_OUTPUT = OPT_JSON,
};
/* clang-format off */
#define FILTERS										\
	[OPT_DEVICE] = { "device", "NAME", "only events of devices with NAME in their name" }, \
	[OPT_FROM] = { "from", "TIME",							\
		       "only events from TIME on: since the first one, in seconds, or with a\n" \
		       "unit: 1.5, 20ms, 300us, 4000ns" },				\
	[OPT_KIND] = { "kind", "KINDS",							\
		       "only events of these kinds, with commas between: bar, config, dma,\n" \
		       "map, irq, reset, ioctl, command, report" },			\
	[OPT_REGISTER] = { "register", "NAME",						\
			   "only accesses to registers with NAME in their name" },	\
	[OPT_THREAD] = { "thread", "NAME",						\
			 "only events of threads with NAME in their name, or of that number" }, \
	[OPT_TO] = { "to", "TIME", "only events up to TIME" }
/* clang-format on */
static const struct cli_option options[] = {
	FILTERS,
	[OPT_JSON] = { "json", NULL, "a line of JSON for each event" },
	[OPT_PERFETTO] = { "perfetto", NULL,
			   "a trace that the Perfetto viewer opens (ui.perfetto.dev)" },
	[OPT_STATS] = { "stats", NULL,
			"numbers instead of events: accesses of each register, what a command\n"
			"costs, how long commands and ioctls take" },
	{ 0 },
};
static const struct cli_option report_options[] = {
	FILTERS,
	[OPT_OUTPUT] = { "o", "FILE", "the page that is written" },
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
		if (s->is_report) {
			s->page = value;
			return 0;
		}
		/* fall through */
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

/* Write what is asked for to @f. 0, or -1: no memory. */
static int write_to(const struct show *s, FILE *f, const struct trace_log *log, const char *path)
{
	if (s->is_report)
		return trace_report(f, log, &s->filter, path);
	if (s->as == OPT_STATS)
		return trace_stats(f, log, &s->filter);
	if (s->as == OPT_JSON)
		trace_json(f, log, &s->filter);
	else if (s->as == OPT_PERFETTO)
		trace_perfetto(f, log, &s->filter);
	else
		trace_text(f, log, &s->filter);
	return 0;
}

static int show(const struct show *s, const char *path)
{
	const char *to = s->page ? s->page : "stdout";
	struct trace_log *log;
	char *why;
	FILE *f;
	int rc = trace_log_read(path, &log, &why);

	if (rc) {
		cli_error(s->cmd, "%s", why ? why : strerror(-rc));
		free(why);
		return 1;
	}
	f = s->page ? fopen(s->page, "we") : stdout;
	if (!f) {
		cli_error(s->cmd, "%s: %s", to, strerror(errno));
		trace_log_free(log);
		return 1;
	}
	rc = write_to(s, f, log, path);
	trace_log_lacks(stderr, log, path);
	trace_log_free(log);
	if (rc)
		cli_error(s->cmd, "out of memory");
	else if (ferror(f) || fflush(f))
		rc = cli_error(s->cmd, "writing to %s: %s", to, strerror(errno));
	if (s->page)
		fclose(f);
	return rc ? 1 : 0;
}

static int run(const struct cli_command *cmd, int argc, char **argv)
{
	struct cli_args a = { .cmd = cmd, .argc = argc, .argv = argv };
	struct show s = { .cmd = cmd,
			  .filter = { .to_ns = INT64_MAX },
			  .as = -1,
			  .is_report = cmd == &cli_report };
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
		return cli_error(cmd, "which trace? `uvfio %s FILE`", cmd->name);
	if (s.is_report && !s.page)
		return cli_error(cmd, "where to? `uvfio report FILE -o PAGE.html`");
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
	.run = run,
};

const struct cli_command cli_report = {
	.name = "report",
	.args = "[OPTIONS] FILE -o PAGE.html",
	.summary = "Make a page for a browser of a trace",
	.text = "\nThe page needs nothing else: a time line, the reports, the events with a "
		"search, "
		"the\n"
		"registers by time, and how long commands and ioctls took.\n",
	.options = report_options,
	.run = run,
};
