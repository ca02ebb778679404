/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/fuzz.h: an input as a stream of numbers, and what all targets share. When the stream ends it
 * goes on with zeros, so that a target need not look: it stops at in_end().
 */
#ifndef FUZZ_H
#define FUZZ_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct in {
	const uint8_t *p;
	size_t left;
};

static inline bool in_end(const struct in *in)
{
	return !in->left;
}
static inline void in_bytes(struct in *in, void *buf, size_t n)
{
	size_t have = n < in->left ? n : in->left;

	memcpy(buf, in->p, have);
	memset((char *)buf + have, 0, n - have);
	in->p += have;
	in->left -= have;
}
static inline uint8_t in8(struct in *in)
{
	uint8_t v;
	in_bytes(in, &v, 1);
	return v;
}
static inline uint16_t in16(struct in *in)
{
	uint16_t v;
	in_bytes(in, &v, 2);
	return v;
}
static inline uint32_t in32(struct in *in)
{
	uint32_t v;
	in_bytes(in, &v, 4);
	return v;
}
static inline uint64_t in64(struct in *in)
{
	uint64_t v;
	in_bytes(in, &v, 8);
	return v;
}

/* A broken promise: what it was, and stop where the fuzzer sees it. */
#define REQUIRE(cond, ...)                                                         \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #cond); \
			fprintf(stderr, __VA_ARGS__);                              \
			fputc('\n', stderr);                                       \
			abort();                                                   \
		}                                                                  \
	} while (0)
#endif
