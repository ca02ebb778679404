/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/bytes.h: numbers in registers that lie as bytes, at any address. They are little-endian (PCI
 * Express 6.0, 7.5.1), as every machine is that this runs on.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H
#include <stdint.h>
#include <string.h>

/* Return the number of @size (1..4) bytes at @p. */
static inline uint32_t get_bytes(const uint8_t *p, unsigned size)
{
	uint32_t v = 0;

	memcpy(&v, p, size);
	return v;
}

/* Put the low @size (1..4) bytes of @v at @p. */
static inline void put_bytes(uint8_t *p, unsigned size, uint32_t v)
{
	memcpy(p, &v, size);
}

static inline uint16_t get16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void put16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}
#endif
