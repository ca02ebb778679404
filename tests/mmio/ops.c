/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/mmio/ops.c: what drivers do to registers, for the compiler to turn into instructions;
 * compiled by each compiler at each level of optimisation (mmio.mk).
 */
#include <stdbool.h>
#include <string.h>

#include "ops.h"

#ifdef __clang__
const char mmio_compiler[] = "clang " __clang_version__;
#else
const char mmio_compiler[] = "gcc " __VERSION__;
#endif

#define OP(name, T, ...)                                         \
	static uint64_t name##_##T(volatile void *v, uint64_t x) \
	{                                                        \
		volatile T *p = v;                               \
		(void)x;                                         \
		__VA_ARGS__                                      \
	}
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

/*
 * name, what the device must see, code. NULL where the compiler has a choice (a loop of compare and
 * exchange), and for select: clang 14 reads only if x is odd, volatile or not.
 */
#define PLAIN(DO, T)                                                                           \
	DO(read, T, "r", return *p;)                                                           \
	DO(read_index, T, "r", return p[x & 255];)                                             \
	DO(read_offset, T, "r", return p[37];)                                                 \
	DO(write, T, "w", *p = (T)x; return 0;)                                                \
	DO(write_index, T, "w", p[x & 255] = (T)x; return 0;)                                  \
	DO(write_zero, T, "w", *p = 0; return 0;)                                              \
	DO(write_one, T, "w", *p = 1; return 0;)                                               \
	DO(write_all, T, "w", p[3] = (T)~0ull; return 0;)                                      \
	DO(write_const, T, "w", *p = (T)0x123456789abcdef0ull; return 0;)                      \
	DO(or_const, T, "rw", *p |= 0x10; return 0;)                                           \
	DO(or_top, T, "rw", *p |= (T)((T)1 << (8 * sizeof(T) - 1)); return 0;)                 \
	DO(or_var, T, "rw", *p |= (T)x; return 0;)                                             \
	DO(and_const, T, "rw", *p &= (T)~0x20ull; return 0;)                                   \
	DO(and_var, T, "rw", *p &= (T)x; return 0;)                                            \
	DO(xor_var, T, "rw", p[2] ^= (T)x; return 0;)                                          \
	DO(add_const, T, "rw", *p += 5; return 0;)                                             \
	DO(add_var, T, "rw", *p += (T)x; return 0;)                                            \
	DO(sub_var, T, "rw", *p -= (T)x; return 0;)                                            \
	DO(shift, T, "rw", *p <<= 3; return 0;)                                                \
	DO(shift_var, T, "rw", *p >>= (x & 7); return 0;)                                      \
	DO(rotate, T, "r", T a = *p; return (T)(a << 3 | a >> (8 * sizeof(T) - 3));)           \
	DO(mul, T, "rw", *p *= (T)x; return 0;)                                                \
	DO(mul_read, T, "r", return (T)(*p * (T)x);)                                           \
	DO(div, T, "r", return (T)x / (T)(*p | 1);)                                            \
	DO(inc, T, "rw", ++*p; return 0;)                                                      \
	DO(dec, T, "rw", --*p; return 0;)                                                      \
	DO(post_inc, T, "rw", return (*p)++;)                                                  \
	DO(neg, T, "rw", *p = (T) - *p; return 0;)                                             \
	DO(not, T, "rw", *p = (T) ~*p; return 0;)                                              \
	DO(copy, T, "rw", p[8] = p[4]; return 0;)                                              \
	DO(compare, T, "r", return *p == (T)x;)                                                \
	DO(compare_const, T, "r", return *p > 100;)                                            \
	DO(branch, T, "r", if (*p < (T)x) return 3; return 4;)                                 \
	DO(bit, T, "r", return (*p & 0x40) ? 7 : 9;)                                           \
	DO(bit_var, T, "r", return *p >> (x & (8 * sizeof(T) - 1)) & 1;)                       \
	DO(set_bit, T, "rw", *p |= (T)((T)1 << (x & (8 * sizeof(T) - 1))); return 0;)          \
	DO(clear_bit, T, "rw", *p &= (T) ~((T)1 << (x & (8 * sizeof(T) - 1))); return 0;)      \
	DO(flip_bit, T, "rw", *p ^= (T)((T)1 << (x & (8 * sizeof(T) - 1))); return 0;)         \
	DO(select, T, NULL, T a = *p; return x & 1 ? a : x;)                                   \
	DO(flag, T, "w", *p = x > 1000; return 0;)                                             \
	DO(poll, T, "rrr", for (unsigned n = 0; n < 3; n++) if (*p == (T)(x + 1)) return n;    \
	   return 9;)                                                                          \
	DO(four, T, "rrrr", return (uint64_t)p[0] + p[1] + p[2] + p[3];)                       \
	DO(fill, T, "wwwwwwww", for (unsigned n = 0; n < 8; n++) p[n] = (T)(x + n); return 0;) \
	DO(copy_loop, T, NULL, for (unsigned n = 0; n < (x & 63); n++) p[n] = p[n + 100];      \
	   return 0;)                                                                          \
	DO(to_float, T, "r", double d = (double)*p; uint64_t r; memcpy(&r, &d, 8); return r;)
#define SIGNED(DO, T)                                          \
	DO(read_signed, T, "r", return (uint64_t)(int64_t)*p;) \
	DO(less_signed, T, "r", return *p < (T)x;)             \
	DO(shift_signed, T, "rw", *p >>= 2; return 0;)         \
	DO(to_32, T, "r", return (uint32_t)(int32_t)*p;)
#define ATOMIC(DO, T)                                                                              \
	DO(exchange, T, "rw", return __atomic_exchange_n(p, (T)x, __ATOMIC_SEQ_CST);)              \
	DO(atomic_load, T, "r", return __atomic_load_n(p, __ATOMIC_SEQ_CST);)                      \
	DO(atomic_store, T, NULL, __atomic_store_n(p, (T)x, __ATOMIC_SEQ_CST); return 0;)          \
	DO(release_store, T, "w", __atomic_store_n(p, (T)x, __ATOMIC_RELEASE); return 0;)          \
	DO(fetch_add, T, "rw", return __atomic_fetch_add(p, (T)x, __ATOMIC_SEQ_CST);)              \
	DO(fetch_sub, T, "rw", return __atomic_fetch_sub(p, 1, __ATOMIC_SEQ_CST);)                 \
	DO(atomic_inc, T, "rw", __atomic_fetch_add(p, 1, __ATOMIC_RELAXED); return 0;)             \
	DO(dec_and_test, T, "rw", return __atomic_sub_fetch(p, 1, __ATOMIC_SEQ_CST) == 0;)         \
	DO(atomic_or, T, NULL, __atomic_fetch_or(p, (T)x, __ATOMIC_SEQ_CST); return 0;)            \
	DO(fetch_or, T, NULL, return __atomic_fetch_or(p, (T)x, __ATOMIC_SEQ_CST);)                \
	DO(fetch_and, T, NULL, return __atomic_fetch_and(p, (T)x, __ATOMIC_SEQ_CST);)              \
	DO(fetch_nand, T, NULL, return __atomic_fetch_nand(p, (T)x, __ATOMIC_SEQ_CST);)            \
	DO(test_and_set, T, NULL,                                                                  \
	   return !!(__atomic_fetch_or(p, (T)((T)1 << 5), __ATOMIC_SEQ_CST) & (T)((T)1 << 5));)    \
	DO(test_and_clear, T, NULL,                                                                \
	   return !!(__atomic_fetch_and(p, (T) ~((T)1 << 3), __ATOMIC_SEQ_CST) & (T)((T)1 << 3));) \
	DO(cmpxchg, T, "rw", T old = (T)x;                                                         \
	   bool ok = __atomic_compare_exchange_n(p, &old, 77, false, __ATOMIC_SEQ_CST,             \
						 __ATOMIC_SEQ_CST);                                \
	   return old + ok;)

#define DEFINE(name, T, accesses, ...) OP(name, T, __VA_ARGS__)
/* clang-format off */
PLAIN(DEFINE, u8)
PLAIN(DEFINE, u16)
PLAIN(DEFINE, u32)
PLAIN(DEFINE, u64)
SIGNED(DEFINE, s8)
SIGNED(DEFINE, s16)
SIGNED(DEFINE, s32)
SIGNED(DEFINE, s64)
ATOMIC(DEFINE, u8)
ATOMIC(DEFINE, u16)
ATOMIC(DEFINE, u32)
ATOMIC(DEFINE, u64)
/* clang-format on */

/* Floating point, structures, and the pieces that a compiler may join or split. */
static uint64_t float_add(volatile void *v, uint64_t x)
{
	volatile float *p = v;

	p[0] = 1.5f;
	p[1] = (float)(x & 0xff);
	p[0] += p[1];
	return (uint64_t)p[0];
}
static uint64_t double_add(volatile void *v, uint64_t x)
{
	volatile double *p = v;

	p[0] = 2.5;
	p[1] = (double)(x & 0xff);
	p[0] = p[0] * p[1] + p[1];
	return (uint64_t)p[0] + (p[0] > p[1]);
}
static uint64_t long_double(volatile void *v, uint64_t x)
{
	volatile long double *p = v;

	p[0] = (long double)(x & 0xff);
	p[0] += 1;
	return (uint64_t)p[0];
}
struct regs {
	uint32_t control, status;
	uint16_t index;
	uint8_t mode, flags;
	uint64_t base;
	uint32_t a : 5, b : 11, c : 16;
};
static uint64_t fields(volatile void *v, uint64_t x)
{
	volatile struct regs *r = v;

	r->control |= 1;
	r->index = (uint16_t)x;
	r->mode ^= 0x80;
	r->base = x << 32;
	r->b = x & 0x7ff;
	r->c++;
	return r->status + r->index + r->flags + r->a + r->b;
}
static uint64_t whole_struct(volatile void *v, uint64_t x)
{
	volatile struct regs *r = v;
	struct regs copy = *r;

	copy.base += x;
	r[1] = copy;
	return copy.base;
}
/* without volatile, the compiler may use what it likes, vectors too */
static uint64_t plain_struct(volatile void *v, uint64_t x)
{
	struct regs *r = (struct regs *)v, zero = { 0 };

	r[2] = r[0];
	r[3] = zero;
	r[3].base = x;
	return r[2].base;
}
static uint64_t sum_loop(volatile void *v, uint64_t x)
{
	uint32_t *p = (uint32_t *)v, sum = 0;

	for (unsigned n = 0; n < 200; n++)
		sum += p[n] ^ (uint32_t)x;
	for (unsigned n = 0; n < 100; n++)
		p[n] = p[n] * 3 + n;
	return sum;
}
static uint64_t max_loop(volatile void *v, uint64_t x)
{
	uint8_t *p = (uint8_t *)v;
	unsigned best = 0;

	for (unsigned n = 0; n < 300; n++)
		if (p[n] > best && p[n] != (uint8_t)x)
			best = p[n];
	for (unsigned n = 0; n < 128; n++)
		if (p[n] > 100)
			p[n + 512] = (uint8_t)(p[n] + 1);
	return best;
}
static uint64_t double_loop(volatile void *v, uint64_t x)
{
	double *p = (double *)v + 8, *q = (double *)v + 100;

	for (unsigned n = 0; n < 40; n++)
		p[n] = (double)(n * (x & 15));
	for (unsigned n = 0; n < 40; n++)
		q[n] = p[n] * 2.0 + 1.0;
	return (uint64_t)q[39];
}

static unsigned char buffer[8192];
#define COPY(n)                                                \
	static uint64_t copy_##n(volatile void *v, uint64_t x) \
	{                                                      \
		uint8_t *p = (uint8_t *)v;                     \
		uint64_t r;                                    \
		memcpy(buffer, p + (x & 31), n);               \
		memcpy(p + 4000 + (x & 7), buffer, n);         \
		memset(p + 2000 + (x & 15), (int)x, n);        \
		memset(p + 3000, 0, n);                        \
		memcpy(&r, buffer + n - 1, 1);                 \
		return r & 0xff;                               \
	}
/* clang-format off */
#define EACH_COPY(DO)                                                                        \
	DO(1)                                                                                \
	DO(2) DO(3) DO(4) DO(5) DO(7) DO(8) DO(12) DO(15) DO(16) DO(24) DO(31) DO(32) DO(48) \
		DO(63) DO(64) DO(100) DO(128) DO(200) DO(256) DO(512)
/* clang-format on */
EACH_COPY(COPY)

/* The length is not known: the library's, which takes what the processor has. */
static uint64_t copy_any(volatile void *v, uint64_t x)
{
	uint8_t *p = (uint8_t *)v;
	volatile size_t len;
	uint64_t sum = 0;

	for (size_t n = 0; n < 600; n = n < 40 ? n + 1 : n * 5 / 4) {
		len = n;
		memset(p + 2048 + (x & 15), (int)n, len);
		memcpy(p + 4000 + (x & 31), p + (n & 31), len); /* both sides; across the pages */
		memcpy(buffer, p + 4000, len);
		memcpy(p + 6000, buffer + (x & 7), len);
		memmove(p + 100, p + 90 + (x & 15), len);
		for (size_t k = 0; k < n; k++)
			sum = sum * 31 + buffer[k];
		sum += (uint64_t)(memcmp(p, p + 4000, len) != 0) + (memchr(p, 0x55, len) ? 1 : 0);
	}
	return sum;
}
static uint64_t copy_large(volatile void *v, uint64_t x)
{
	uint8_t *p = (uint8_t *)v;
	volatile size_t len = 4096 + (x & 63);

	memcpy(buffer, p + 5, len);
	memset(p + 3, (int)x, len);
	memcpy(p + 4000, buffer, len - 64);
	return buffer[len - 1];
}
static uint64_t strings(volatile void *v, uint64_t x)
{
	char *p = (char *)v;
	char text[64];

	memcpy(p + 64, "a register is not a string", 27);
	strcpy(p + 200, p + 64);
	strcpy(text, p + 200);
	return strlen(p + 64) + (uint64_t)(strcmp(p + 64, text) == 0) + (x & 1);
}

#define ROW(name, T, accesses, ...) { #name "_" #T, name##_##T, sizeof(T), accesses },
#define COPY_ROW(n)		    { "copy_" #n, copy_##n, 0, NULL },
#define OTHER(name)                  \
	{                            \
#name, name, 0, NULL \
	}
const struct mmio_op mmio_ops[] = {
	PLAIN(ROW, u8) PLAIN(ROW, u16) PLAIN(ROW, u32) PLAIN(ROW, u64) SIGNED(ROW, s8)
		SIGNED(ROW, s16) SIGNED(ROW, s32) SIGNED(ROW, s64) ATOMIC(ROW, u8) ATOMIC(ROW, u16)
			ATOMIC(ROW, u32) ATOMIC(ROW, u64)
				EACH_COPY(COPY_ROW){ "float_add", float_add, 4, NULL },
	{ "double_add", double_add, 8, NULL },
	OTHER(long_double),
	OTHER(fields),
	OTHER(whole_struct),
	OTHER(plain_struct),
	OTHER(sum_loop),
	OTHER(max_loop),
	OTHER(double_loop),
	OTHER(copy_any),
	OTHER(copy_large),
	OTHER(strings),
};
const size_t mmio_num_ops = sizeof(mmio_ops) / sizeof(mmio_ops[0]);
