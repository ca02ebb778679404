/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/gone.c: mapped BARs that the program has unmapped, for the checker alone: an access of one
 * kills the program, and says nothing of what was there. The last ones are kept; with gone_lock, a
 * leaf, and signals blocked.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/event.h"
#include "base/util.h"
#include "shim/bars.h"
#include "shim/scope.h"

#define GONE_MAX 16u

static struct gone {
	uintptr_t start, end;
	unsigned region;
	uint64_t offset; /* of @start in the region */
	char device[32];
} gone[GONE_MAX];
static unsigned next;
static atomic_bool any; /* to save the lock */
static pthread_mutex_t gone_lock = PTHREAD_MUTEX_INITIALIZER;

void shim_gone_note(const struct shim_range *r, uintptr_t start, uintptr_t end)
{
	const struct vfio_device *dev = r->dead ? NULL : uapi_file_device(r->file);
	struct gone *g;
	uint64_t pos;

	if (!event_wanted(EVENT_PLACE) || !dev)
		return;
	start = start > r->start ? start : r->start;
	end = end < r->end ? end : r->end;
	pos = r->pos + (start - r->start);
	pthread_mutex_lock(&gone_lock);
	g = &gone[next++ % GONE_MAX];
	*g = (struct gone){ .start = start,
			    .end = end,
			    .region = VFIO_REGION_INDEX(pos),
			    .offset = VFIO_REGION_POS(pos) };
	snprintf(g->device, sizeof(g->device), "%s", dev->name);
	pthread_mutex_unlock(&gone_lock);
	atomic_store(&any, true);
	event_place("a BAR was unmapped", dev->name);
}

bool shim_gone_any(void)
{
	return atomic_load_explicit(&any, memory_order_relaxed);
}

/* Find what was mapped at @addr last. */
static bool find(uintptr_t addr, struct gone *out)
{
	uint64_t mask;
	bool found = false;

	shim_block_signals(&mask);
	pthread_mutex_lock(&gone_lock);
	for (unsigned i = 1; i <= GONE_MAX && !found; i++) {
		*out = gone[(next - i) % GONE_MAX];
		found = out->start <= addr && addr < out->end;
	}
	pthread_mutex_unlock(&gone_lock);
	shim_restore_signals(&mask);
	return found;
}

void shim_gone_fault(uintptr_t addr, bool write)
{
	REPORT_CODE(code, LOG_INFO, REPORT_LIMITED("mmio-after-close"));
	struct report_about about = { .access = REPORT_BAR, .write = write };
	struct gone g;

	if (!find(addr, &g))
		return;
	about.bar = g.region;
	about.at = g.offset + (addr - g.start);
	about.of = g.device;
	about.also = "a BAR was unmapped";
	report_say_about(&code, g.device, 0, &about,
			 "region %u: %s at 0x%04" PRIx64 " (address 0x%" PRIxPTR
			 "), which was unmapped: SIGSEGV",
			 g.region, write ? "write" : "read", about.at, addr);
}

void shim_gone_forget(uintptr_t start, uintptr_t end)
{
	if (!atomic_load(&any))
		return;
	pthread_mutex_lock(&gone_lock);
	for (unsigned i = 0; i < GONE_MAX; i++)
		if (gone[i].start < end && start < gone[i].end)
			gone[i].start = gone[i].end = 0;
	pthread_mutex_unlock(&gone_lock);
}

void shim_gone_abandon(void)
{
	pthread_mutex_init(&gone_lock, NULL);
	memset(gone, 0, sizeof(gone));
	atomic_store(&any, false);
}
