/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/trace.c: any bytes as a file of `uvfio run --trace`: it is read or refused, and what was
 * read is shown in all forms.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "trace/show/show.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct trace_filter some = { .reg = "S", .thread = "1", .to_ns = 1000 };
	static const struct trace_filter all = { .to_ns = INT64_MAX };
	static FILE *out;
	struct trace_log *log;

	if (!out)
		out = fopen("/dev/null", "w");
	REQUIRE(out, "/dev/null cannot be opened");
	if (trace_log_parse(data, n, &log))
		return 0;
	trace_text(out, log, &all);
	trace_text(out, log, &some);
	trace_json(out, log, &all);
	trace_perfetto(out, log, &all);
	REQUIRE(!trace_stats(out, log, &all), "no memory");
	REQUIRE(!trace_report(out, log, &all, "a"), "no memory");
	trace_log_free(log);
	return 0;
}
