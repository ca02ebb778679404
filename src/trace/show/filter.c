/* SPDX-License-Identifier: BSD-3-Clause */
/* trace/show/filter.c: which events are wanted. */
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "trace/show/internal.h"

static const char *const kinds[TRACE_EVENTS] = {
	[TRACE_ACCESS] = "bar",	   [TRACE_DMA] = "dma",	      [TRACE_SPACE] = "map",
	[TRACE_MAP] = "map",	   [TRACE_UNMAP] = "map",     [TRACE_ATTACH] = "map",
	[TRACE_IRQ] = "irq",	   [TRACE_RESET] = "reset",   [TRACE_CALL] = "ioctl",
	[TRACE_RETURN] = "ioctl",  [TRACE_BEGIN] = "command", [TRACE_END] = "command",
	[TRACE_REPORT] = "report",
};

const char *trace_kind_name(const struct trace_record *r)
{
	if (r->kind == TRACE_ACCESS && r->sub == VFIO_PCI_CONFIG_REGION_INDEX)
		return "config";
	return r->kind < TRACE_EVENTS && kinds[r->kind] ? kinds[r->kind] : "?";
}

/* True if @name (@len bytes) is a kind. */
static bool is_kind(const char *name, size_t len)
{
	if (len == 6 && !memcmp(name, "config", 6))
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i] && strlen(kinds[i]) == len && !memcmp(name, kinds[i], len))
			return true;
	return false;
}

int trace_filter_check(const struct trace_filter *f, const char **bad, unsigned *len)
{
	for (const char *p = f->kinds; p; p = p[*len] ? p + *len + 1 : NULL) {
		*len = (unsigned)strcspn(p, ",");
		*bad = p;
		if (!is_kind(p, *len))
			return -EINVAL;
	}
	return 0;
}

static bool in_list(const char *list, const char *name)
{
	size_t len, n = strlen(name);

	for (const char *p = list; p; p = p[len] ? p + len + 1 : NULL) {
		len = strcspn(p, ",");
		if (len == n && !memcmp(p, name, n))
			return true;
	}
	return false;
}

static bool is_thread(const struct trace_log *log, const struct trace_record *r, const char *want)
{
	const struct trace_thread_data *t = trace_thread(log, r);
	char *end;
	long n = strtol(want, &end, 10);

	return (!*end && n == t->tid) || strstr(t->name, want);
}

bool trace_wanted(const struct trace_log *log, const struct trace_event *e,
		  const struct trace_filter *f)
{
	const struct trace_record *r = e->r;
	int64_t ns = (int64_t)trace_ns(log, r->time);
	char name[TRACE_NAME];

	if (ns < f->from_ns || ns > f->to_ns)
		return false;
	if (f->device && !strstr(trace_device_name(log, r), f->device))
		return false;
	if (f->kinds && !in_list(f->kinds, trace_kind_name(r)))
		return false;
	if (f->thread && !is_thread(log, r, f->thread))
		return false;
	return !f->reg ||
	       (r->kind == TRACE_ACCESS && trace_reg_name(log, r, name) && strstr(name, f->reg));
}
