/* SPDX-License-Identifier: BSD-3-Clause */
/* base/untouched.c: which pages are there, by /proc/self/pagemap. */
#include <fcntl.h>
#include <string.h>

#include "base/maps.h"
#include "base/sys.h"
#include "base/untouched.h"
#include "base/util.h"

/* Documentation/admin-guide/mm/pagemap.rst: present, and swapped out */
#define THERE (3ull << 62)

struct range {
	uint64_t at, end;
	bool write;
};

static bool look(const struct maps_area *a, void *arg)
{
	struct range *r = arg;

	if (a->start > r->at || a->shared || a->ino || !a->readable || (r->write && !a->writable) ||
	    (a->path[0] && strcmp(a->path, "[heap]") && strncmp(a->path, "[anon:", 6)))
		return false;
	r->at = a->end;
	return r->at < r->end;
}

bool untouched_is_plain(uint64_t addr, uint64_t size, bool write)
{
	struct range r = { addr, addr + size, write };

	return !maps_areas(addr, look, &r) && r.at >= r.end;
}

static int pagemap = -1; /* private */

int untouched_open(void)
{
	int fd = sys_open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0), private;

	if (fd < 0)
		return fd;
	private = fd_make_private(fd);
	if (private < 0) {
		sys_close(fd);
		return private;
	}
	untouched_close();
	pagemap = private;
	return 0;
}

void untouched_close(void)
{
	if (pagemap >= 0)
		fd_close_private(pagemap);
	pagemap = -1;
}

bool untouched_find(uint64_t addr, uint64_t size, uint64_t *page)
{
	uint64_t first = addr / PAGE_SIZE_4K, last = (addr + size - 1) / PAGE_SIZE_4K, word[32];

	while (pagemap >= 0 && size && first <= last) {
		uint64_t n = last - first + 1;
		ssize_t got;

		n = n < ARRAY_SIZE(word) ? n : ARRAY_SIZE(word);
		got = sys_pread(pagemap, word, n * sizeof(word[0]),
				(off_t)(first * sizeof(word[0])));
		if (got != (ssize_t)(n * sizeof(word[0])))
			return false;
		for (uint64_t i = 0; i < n; i++) {
			if (word[i] & THERE)
				continue;
			*page = (first + i) * PAGE_SIZE_4K;
			return true;
		}
		first += n;
	}
	return false;
}
