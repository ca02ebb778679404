/* SPDX-License-Identifier: BSD-3-Clause */
/* base/defined.c: questions to MemorySanitizer, and to valgrind. */
#include <stdint.h>
#include <stdlib.h>

#include "base/defined.h"

/* The offset of the first byte that is not all written; -1: there is none. */
extern intptr_t __msan_test_shadow(const volatile void *mem, size_t n) __attribute__((weak));

/*
 * Ask valgrind: rotations of RDI by 128 bits in all and an exchange that do nothing on a processor,
 * and which valgrind knows (its manual, "The Client Request mechanism"). RAX: the request and its
 * arguments; RDX: the answer where there is no valgrind.
 */
static uint64_t ask_valgrind(uint64_t request, uint64_t a, uint64_t b, uint64_t c)
{
	volatile uint64_t args[6] = { request, a, b, c, 0, 0 };
	uint64_t answer = 0;

	__asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi\n\t"
			 "xchgq %%rbx, %%rbx"
			 : "+d"(answer)
			 : "a"(args)
			 : "cc", "memory");
	return answer;
}

#define RUNNING_ON_VALGRIND 0x1001u
/* memcheck's: 'M', 'C', and number 8: copy what is known of memory, a bit for each of its bits */
#define GET_VBITS ('M' << 24 | 'C' << 16 | 8u)
#define GOT_VBITS 1u

static size_t by_valgrind(const char *mem, size_t n)
{
	uint8_t bits[256];
	size_t done, k;

	if (!ask_valgrind(RUNNING_ON_VALGRIND, 0, 0, 0))
		return n;
	for (done = 0; done < n; done += k) {
		k = n - done < sizeof(bits) ? n - done : sizeof(bits);
		/* no memory that memcheck knows, or another tool: nothing is known */
		if (ask_valgrind(GET_VBITS, (uintptr_t)mem + done, (uintptr_t)bits, k) != GOT_VBITS)
			return n;
		for (size_t i = 0; i < k; i++)
			if (bits[i])
				return done + i;
	}
	return n;
}

size_t defined_bytes(const void *mem, size_t n)
{
	intptr_t at;

	if (!__msan_test_shadow)
		return by_valgrind(mem, n);
	at = __msan_test_shadow(mem, n);
	return at < 0 ? n : (size_t)at;
}
