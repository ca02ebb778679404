/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/hostile.h: the memory, pointers, descriptors and numbers that a hostile or broken program
 * gives. No pointer but into memory of these, and to where there is nothing, is ever made: what the
 * fuzzer lives in survives.
 */
#ifndef FUZZ_HOSTILE_H
#define FUZZ_HOSTILE_H
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

#define PAGE	   4096ul
#define POOL_PAGES 64ul
#define NUM_FDS	   16
#define FIRST_FD   1000 /* of ours; the real ones are below */
#define CLOSED_FD  999

/* each thread has its own */
static __thread int events[4], null_fd, file_fd;
/* nothing | arena: 2 pages | nothing | read only: 1 page | nothing | pool for DMA | nothing */
static __thread uint8_t *arena, *read_only, *pool;
/* of virtual functions: 01010101-0101-0101-0101-010101010101 */
static const uint8_t some_token[16] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
#define TOKEN_TEXT "01010101-0101-0101-0101-010101010101"

static void hostile_setup(void)
{
	uint8_t *p =
		mmap(NULL, (8 + POOL_PAGES) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	arena = p + PAGE;
	read_only = p + 4 * PAGE;
	pool = p + 6 * PAGE;
	null_fd = open("/dev/null", O_RDWR);
	file_fd = memfd_create("file", 0);
	if (p == MAP_FAILED || mprotect(arena, 2 * PAGE, PROT_READ | PROT_WRITE) ||
	    mprotect(read_only, PAGE, PROT_READ) ||
	    mprotect(pool, POOL_PAGES * PAGE, PROT_READ | PROT_WRITE) || null_fd < 0 ||
	    ftruncate(file_fd, POOL_PAGES * PAGE))
		abort();
	for (unsigned i = 0; i < 4; i++)
		events[i] = eventfd(0, i & 1 ? EFD_NONBLOCK : 0);
}

/* A pointer for @n bytes of @from: good, at the end of good memory, partly or wholly bad. */
static void *place(struct in *in, const void *from, size_t n)
{
	uint8_t how = in8(in), *p;

	if (n > 2 * PAGE)
		n = 2 * PAGE;
	switch (how & 15) {
	case 0:
		return NULL;
	case 1:
		return (void *)(0xffff800000000000ul + how * PAGE);
	case 2:
		return (void *)0x1234567890abcdeful;
	case 3:
		return read_only + (how & 0xf0);
	case 4:
		return arena - 8;
	case 5: /* cut short */
		p = arena + 2 * PAGE - (n ? how * n / 256 : 0);
		memcpy(p, from, (size_t)(arena + 2 * PAGE - p));
		return p;
	case 6: /* not aligned */
		p = arena + (how >> 4);
		break;
	case 7:
		p = arena;
		break;
	default: /* up to the last byte */
		p = arena + 2 * PAGE - n;
	}
	if (p + n > arena + 2 * PAGE)
		p = arena + 2 * PAGE - n;
	memcpy(p, from, n);
	return p;
}

static int some_fd(struct in *in)
{
	uint8_t c = in8(in);

	switch (c % 8) {
	case 0:
		return -1;
	case 1:
		return CLOSED_FD;
	case 2:
		return null_fd;
	case 3:
		return -(int)in16(in);
	case 4:
		return FIRST_FD + (c >> 3) % NUM_FDS;
	default:
		return events[(c >> 3) % 4];
	}
}

/* Mostly one that was given for a file of ours. */
static inline int some_file_of_ours(struct in *in)
{
	uint8_t c = in8(in);

	return c & 7 ? FIRST_FD + (c >> 3) % NUM_FDS : some_fd(in);
}

/* Where DMA goes to: the pool, over its end, or nothing. Never memory of the fuzzer's own. */
static uint64_t some_vaddr(struct in *in)
{
	uint16_t v = in16(in);

	if ((v & 0xf000) == 0xf000)
		return v & 1 ? 0 : 0xffff800000000000ul + v;
	return (uintptr_t)pool + (v % (POOL_PAGES + 1)) * PAGE + (v >> 12 == 14 ? v % 16 : 0);
}

static uint64_t some_iova(struct in *in)
{
	uint16_t v = in16(in);

	switch (v >> 13) {
	case 0:
		return 0xfee00000ul - 4 * PAGE + v * PAGE;
	case 1:
		return (1ul << 48) - (v % 8) * PAGE;
	case 2:
		return -(uint64_t)(v % 8) * PAGE;
	case 3:
		return v;
	default:
		return (v % 128) * PAGE;
	}
}

static uint64_t some_size(struct in *in)
{
	uint16_t v = in16(in);

	switch (v >> 13) {
	case 0:
		return v;
	case 1:
		return UINT64_MAX - v * PAGE + 1;
	default:
		return (v % 16) * PAGE;
	}
}
#endif
