/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conform/dma_tests.c: DMA_MAP and DMA_UNMAP as such; what devices do by them is in
 * engine_tests.c. That a server has given up a memory is seen by sealing the file against writes,
 * which the kernel refuses while anybody has it mapped for writing.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "conform/internal.h"

#define RW   (MAP_READ | MAP_WRITE)
#define AT   0x100000ull
#define SIZE 0x4000ull

static void need_dma(struct ct *t)
{
	if (!t->device->dma)
		ct_skip(t, "the server takes no DMA_MAP");
}

static int sealable(struct ct *t, uint64_t size)
{
	int fd = ct_hold(t, memfd_create("conform", MFD_CLOEXEC | MFD_ALLOW_SEALING));

	if (ftruncate(fd, (off_t)size))
		ct_fail(t, "no memory: %s", strerror(errno));
	return fd;
}

/* True if nobody has @fd mapped for writing, within @ms. */
static bool released(int fd, unsigned ms)
{
	double until = ct_now() + ms / 1000.;

	while (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)) {
		if (ct_now() >= until)
			return false;
		poll(NULL, 0, 5);
	}
	return true;
}

/* Unmap [@addr, @addr + @size), whose reply repeats the request. */
static void unmap(struct ct_conn *c, uint64_t addr, uint64_t size)
{
	struct ct_msg *m = ct_dma_unmap(c, 0, addr, size), *r = ct_call(c, m, DMA_UNMAP_SIZE);

	ct_check(c->t, ct_body64(r, 8) == addr && ct_body64(r, 16) == size,
		 "the reply to DMA_UNMAP is of 0x%" PRIx64 ", 0x%" PRIx64 " bytes: the command was "
		 "of 0x%" PRIx64 ", 0x%" PRIx64,
		 ct_body64(r, 8), ct_body64(r, 16), addr, size);
}

static void map_fd(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	need_dma(t);
	for (uint32_t flags = MAP_READ; flags <= RW; flags++) {
		ct_call(c, ct_dma_map(c, flags, 0, AT, SIZE, ct_memfd(t, SIZE)), 0);
		unmap(c, AT, SIZE);
	}
	ct_call(c, ct_dma_map(c, RW, 0x2000, AT, 0x2000, ct_memfd(t, SIZE)), 0);
	unmap(c, AT, 0x2000);
}

static void map_no_fd(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	need_dma(t);
	for (uint32_t flags = MAP_READ; flags <= RW; flags++) {
		ct_call(c, ct_dma_map(c, flags, 0, AT, SIZE, -1), 0);
		unmap(c, AT, SIZE);
	}
}

static void unmap_releases(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	int fd = sealable(t, SIZE);

	need_dma(t);
	ct_call(c, ct_dma_map(c, RW, 0, AT, SIZE, fd), 0);
	unmap(c, AT, SIZE);
	ct_check(t, released(fd, 0), "DMA_UNMAP is answered, and the server has it mapped still");
}

static void again(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	need_dma(t);
	for (unsigned i = 0; i < 50; i++) {
		ct_call(c, ct_dma_map(c, RW, 0, AT, SIZE, i & 1 ? -1 : ct_memfd(t, SIZE)), 0);
		unmap(c, AT, SIZE);
	}
}

static void many(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	unsigned n = t->device->max_dma_maps < 1000 ? (unsigned)t->device->max_dma_maps : 1000;

	need_dma(t);
	for (unsigned i = 0; i < n; i++)
		ct_call(c, ct_dma_map(c, RW, 0, AT + i * 0x2000, 0x1000, -1), 0);
	for (unsigned i = 0; i < n; i++)
		unmap(c, AT + (i * 7 % n) * 0x2000, 0x1000);
}

static void overlap(struct ct *t)
{
	static const struct {
		uint64_t addr, size;
		const char *what;
	} all[] = { { AT, SIZE / 2, "its first half" },
		    { AT + SIZE / 2, SIZE / 2, "its second half" },
		    { AT + 0x1000, 0x1000, "a page in its midst" },
		    { AT - 0x1000, 0x2000, "its first page and the one before" },
		    { AT + SIZE - 0x1000, 0x2000, "its last page and the next" },
		    { AT - 0x1000, SIZE + 0x2000, "all of it and more" } };
	struct ct_conn *c = ct_session(t);

	need_dma(t);
	ct_call(c, ct_dma_map(c, RW, 0, AT, SIZE, ct_memfd(t, SIZE)), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		uint32_t error = ct_refused(c, ct_dma_map(c, RW, 0, all[i].addr, all[i].size, -1),
					    "a mapping over %s", all[i].what);

		ct_check(t, error == EEXIST,
			 "a mapping over %s is refused with error %u, not "
			 "EEXIST (%d)",
			 all[i].what, error, EEXIST);
	}
	unmap(c, AT, SIZE);
}

static void identical(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	int fd = ct_memfd(t, SIZE);
	uint32_t error;

	need_dma(t);
	ct_call(c, ct_dma_map(c, RW, 0, AT, SIZE, fd), 0);
	error = ct_refused(c, ct_dma_map(c, RW, 0, AT, SIZE, fd), "the same mapping again");
	ct_check(t, error == EEXIST, "it is refused with error %u, not EEXIST (%d)", error, EEXIST);
	unmap(c, AT, SIZE);
}

static void neighbours(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	need_dma(t);
	ct_call(c, ct_dma_map(c, RW, 0, AT, SIZE, -1), 0);
	ct_call(c, ct_dma_map(c, RW, 0, AT + SIZE, SIZE, -1), 0);
	ct_call(c, ct_dma_map(c, RW, 0, AT - SIZE, SIZE, -1), 0);
	unmap(c, AT, SIZE);
	unmap(c, AT - SIZE, SIZE);
	unmap(c, AT + SIZE, SIZE);
}

static void map_wrong(struct ct *t)
{
	static const struct {
		uint64_t addr, size;
		const char *what;
	} all[] = { { AT, 0, "no bytes" },
		    { UINT64_MAX - 0xfff, 0x2000, "bytes past the end of all addresses" },
		    { 0x1000, UINT64_MAX - 0xfff, "2^64 - 4096 bytes from 4096 on" },
		    { UINT64_MAX - 0xfff, UINT64_MAX - 0xfff, "nearly all, from the last page on" },
		    { AT + 1, 0x1000, "an address that is no page's" },
		    { AT, 0x1001, "a size that is not of pages" } };
	struct ct_conn *c = ct_session(t);

	need_dma(t);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		ct_refused(c, ct_dma_map(c, RW, 0, all[i].addr, all[i].size, -1), "a mapping of %s",
			   all[i].what);
		ct_refused(c, ct_dma_map(c, RW, 0, all[i].addr, all[i].size, ct_memfd(t, 0x2000)),
			   "a mapping of %s, with a descriptor", all[i].what);
	}
	ct_refused(c, ct_dma_map(c, RW, 0x123, AT, 0x1000, ct_memfd(t, 0x2000)),
		   "an offset of 0x123 in the file");
	ct_refused(c, ct_dma_map(c, RW, UINT64_MAX - 0xfff, AT, 0x2000, ct_memfd(t, 0x2000)),
		   "an offset that wraps with the size");
	ct_still_there(c);
}

static void map_flags(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	need_dma(t);
	for (unsigned bit = 4; bit < 32; bit++)
		ct_refused(c, ct_dma_map(c, RW | 1u << bit, 0, AT, SIZE, -1),
			   "flags with bit %u, which there is not", bit);
	ct_still_there(c);
}

static void map_modes(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	need_dma(t);
	ct_refused(c, ct_dma_map(c, RW | MAP_BY_MMAP, 0, AT, SIZE, -1),
		   "access by mmap, without a descriptor");
	ct_refused(c, ct_dma_map(c, RW | MAP_BY_FILE, 0, AT, SIZE, -1),
		   "access by file I/O, without a descriptor");
	ct_refused(c, ct_dma_map(c, RW | MAP_BY_MMAP | MAP_BY_FILE, 0, AT, SIZE, ct_memfd(t, SIZE)),
		   "access by mmap and by file I/O");
	ct_still_there(c);
}

static void map_odd_fds(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	const char *names[] = { "an eventfd",		"a directory", "a pipe",
				"an O_PATH descriptor", "a socket",    "an empty file",
				"a file of one page" };
	int fds[ARRAY_SIZE(names)], p[2], s[2];

	need_dma(t);
	if (pipe2(p, O_CLOEXEC) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s))
		ct_fail(t, "no descriptors: %s", strerror(errno));
	fds[0] = ct_eventfd(t);
	fds[1] = ct_hold(t, open("/", O_RDONLY | O_CLOEXEC));
	fds[2] = ct_hold(t, p[0]);
	ct_hold(t, p[1]);
	fds[3] = ct_hold(t, open("/dev/null", O_PATH | O_CLOEXEC));
	fds[4] = ct_hold(t, s[0]);
	ct_hold(t, s[1]);
	fds[5] = ct_memfd(t, 0);
	fds[6] = ct_memfd(t, 0x1000);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		struct ct_msg *m = ct_dma_map(c, RW, 0, AT, SIZE, fds[i]);

		ct_send(c, m);
		if (ct_flags(ct_reply(c, m)) & F_ERROR) {
			ct_note(t, "%s: refused", names[i]);
			continue;
		}
		ct_note(t, "%s: accepted", names[i]);
		unmap(c, AT, SIZE);
	}
	ct_still_there(c);
}

static void map_two_fds(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m;

	need_dma(t);
	m = ct_dma_map(c, RW, 0, AT, SIZE, ct_memfd(t, SIZE));
	ct_add_fd(m, ct_memfd(t, SIZE));
	ct_refused(c, m, "a mapping with two descriptors");
	ct_still_there(c);
}

static void unmap_wrong(struct ct *t)
{
	static const struct {
		uint64_t addr, size;
		const char *what;
	} all[] = { { AT, SIZE / 2, "its first half" },
		    { AT + SIZE / 2, SIZE / 2, "its second half" },
		    { AT, 0, "no bytes of it" },
		    { AT + SIZE, SIZE, "what is behind it" },
		    { 0, 0, "nothing" },
		    { UINT64_MAX, UINT64_MAX, "all that wraps" },
		    { 0, UINT64_MAX, "all addresses" } };
	struct ct_conn *c = ct_session(t);

	need_dma(t);
	ct_refused(c, ct_dma_unmap(c, 0, AT, SIZE), "unmap of what was not mapped");
	ct_call(c, ct_dma_map(c, RW, 0, AT, SIZE, ct_memfd(t, SIZE)), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		ct_refused(c, ct_dma_unmap(c, 0, all[i].addr, all[i].size), "unmap of %s",
			   all[i].what);
	unmap(c, AT, SIZE);
	ct_refused(c, ct_dma_unmap(c, 0, AT, SIZE), "unmap of what was unmapped");
}

static void unmap_more(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	need_dma(t);
	ct_call(c, ct_dma_map(c, RW, 0, AT, SIZE, ct_memfd(t, SIZE)), 0);
	ct_refused(c, ct_dma_unmap(c, 0, AT, SIZE * 2), "unmap of more than there is");
	ct_refused(c, ct_dma_unmap(c, 0, AT - 0x1000, SIZE + 0x1000),
		   "unmap from a page before on");
	unmap(c, AT, SIZE);
}

static void unmap_all(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m;
	int fd = sealable(t, SIZE);

	need_dma(t);
	ct_call(c, ct_dma_map(c, RW, 0, AT, SIZE, fd), 0);
	ct_call(c, ct_dma_map(c, RW, 0, AT * 16, SIZE, -1), 0);
	m = ct_dma_unmap(c, UNMAP_ALL, 0, 0);
	ct_send(c, m);
	if (ct_flags(ct_reply(c, m)) & F_ERROR) {
		unmap(c, AT, SIZE); /* then it has done nothing */
		unmap(c, AT * 16, SIZE);
		ct_skip(t, "the server has no flag ALL, which is not in the text");
	}
	ct_check(t, released(fd, 0), "all was unmapped, and the server has it mapped still");
	ct_refused(c, ct_dma_unmap(c, 0, AT, SIZE), "unmap of one when all were unmapped");
}

static void unmap_bitmap(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	need_dma(t);
	for (unsigned n = 0; n <= 40; n++) {
		struct ct_msg *m;

		ct_call(c, ct_dma_map(c, RW, 0, AT, SIZE, ct_memfd(t, SIZE)), 0);
		m = ct_dma_unmap(c, UNMAP_BITMAP, AT, SIZE);
		ct_add_zeros(m, n);
		put32(m->data + HEADER, DMA_UNMAP_SIZE + n);
		ct_send(c, m);
		if (ct_flags(ct_reply(c, m)) & F_ERROR)
			unmap(c, AT, SIZE);
	}
	ct_still_there(c);
}

static void unmap_fd(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m;
	int fd = ct_memfd(t, SIZE);

	need_dma(t);
	ct_call(c, ct_dma_map(c, RW, 0, AT, SIZE, fd), 0);
	m = ct_dma_unmap(c, 0, AT, SIZE);
	ct_add_fd(m, fd);
	ct_call(c, m, DMA_UNMAP_SIZE);
}

static void short_map(struct ct *t)
{
	ct_short_bodies(t, C_DMA_MAP, DMA_MAP_SIZE);
}

static void short_unmap(struct ct *t)
{
	ct_short_bodies(t, C_DMA_UNMAP, DMA_UNMAP_SIZE);
}

static void argsz(struct ct *t)
{
	static const uint32_t sizes[] = { 0, 1, 16, 23, 24, 31 };
	struct ct_conn *c = ct_session(t);

	need_dma(t);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct ct_msg *m = ct_dma_map(c, RW, 0, AT, SIZE, -1);

		put32(m->data + HEADER, sizes[i]);
		ct_refused(c, m, "DMA_MAP with argsz %u", sizes[i]);
	}
	ct_call(c, ct_dma_map(c, RW, 0, AT, SIZE, -1), 0);
	for (unsigned i = 0; i < 4; i++) {
		struct ct_msg *m = ct_dma_unmap(c, 0, AT, SIZE);

		put32(m->data + HEADER, sizes[i]);
		ct_refused(c, m, "DMA_UNMAP with argsz %u", sizes[i]);
	}
	unmap(c, AT, SIZE);
}

static void reconnect(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	int fd = sealable(t, SIZE);

	need_dma(t);
	ct_call(c, ct_dma_map(c, RW, 0, AT, SIZE, fd), 0);
	ct_close(c);
	ct_check(t, released(fd, t->run->o->timeout_ms),
		 "the client left, and the server has its memory mapped still");
	c = ct_session(t);
	ct_refused(c, ct_dma_unmap(c, 0, AT, SIZE), "unmap of what another client had mapped");
	ct_call(c, ct_dma_map(c, RW, 0, AT, SIZE, ct_memfd(t, SIZE)), 0);
	unmap(c, AT, SIZE);
}

#define MAP   "VFIO_USER_DMA_MAP"
#define UNMAP "VFIO_USER_DMA_UNMAP"
const struct ct_test ct_dma_tests[] = {
	{ "dma-map-fd", MUST, MAP, "memory with a descriptor is mapped and unmapped", map_fd },
	{ "dma-map-no-fd", MUST, MAP, "so is memory without", map_no_fd },
	{ "dma-map-again", MUST, MAP, "the same addresses are mapped and unmapped 50 times",
	  again },
	{ "dma-map-many", MUST, MAP, "1000 mappings at the same time", many },
	{ "dma-map-neighbours", MUST, MAP, "mappings that touch, and do not overlap", neighbours },
	{ "dma-map-overlap", MUST, MAP, "a mapping over another is refused with EEXIST", overlap },
	{ "dma-map-identical", MUST, MAP, "so is the same mapping again", identical },
	{ "dma-map-wrong", SHOULD, MAP, "no bytes, addresses that wrap, parts of pages are refused",
	  map_wrong },
	{ "dma-map-flags", SHOULD, MAP, "flags that there are not are refused", map_flags },
	{ "dma-map-modes", PRACTICE, MAP,
	  "the flags of 2026 for how memory is reached need a descriptor, and exclude each other",
	  map_modes },
	{ "dma-map-odd-fds", MUST, "Security Considerations",
	  "descriptors that are no memory, or too small, do no harm", map_odd_fds },
	{ "dma-map-two-fds", SHOULD, MAP, "two descriptors are refused", map_two_fds },
	{ "dma-map-short", MUST, MAP, "bodies of 0 to 31 bytes are refused", short_map },
	{ "dma-argsz", SHOULD, MAP, "an argsz without room for the structure is refused", argsz },
	{ "dma-unmap-releases", MUST, UNMAP,
	  "when DMA_UNMAP is answered the server has the memory no more", unmap_releases },
	{ "dma-unmap-wrong", MUST, UNMAP, "a part of a mapping is not unmapped, nor what is none",
	  unmap_wrong },
	{ "dma-unmap-more", SHOULD, UNMAP,
	  "a mapping and what is beside it is not unmapped: it must match exactly", unmap_more },
	{ "dma-unmap-all", PRACTICE, UNMAP,
	  "flag ALL, which the text has not and QEMU sends, unmaps all, or is refused", unmap_all },
	{ "dma-unmap-bitmap", MUST, "Security Considerations",
	  "the flag of a dirty bitmap, of earlier versions, does no harm with any body",
	  unmap_bitmap },
	{ "dma-unmap-fd", PRACTICE, UNMAP, "a descriptor is passed over: SPDK's client sends one",
	  unmap_fd },
	{ "dma-unmap-short", MUST, UNMAP, "bodies of 0 to 23 bytes are refused", short_unmap },
	{ "dma-reconnect", MUST, "Client Disconnection",
	  "mappings, and the memory, are given up when the client leaves", reconnect },
	{ 0 }
};
