/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/csum.c: the sums of the internet protocols (RFC 1071, RFC 9260 appendix A) and of
 * Ethernet.
 */
#include <string.h>

#include "models/igb/internal.h"

uint32_t igb_sum(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *p = data;
	uint64_t s = 0;
	uint32_t w;

	/*
	 * In the host's order of bytes: it does not matter to a ones' complement sum until the end.
	 */
	for (; len >= 4; len -= 4, p += 4) {
		memcpy(&w, p, 4);
		s += w;
	}
	if (len >= 2) {
		s += (uint32_t)p[0] | (uint32_t)p[1] << 8;
		p += 2;
		len -= 2;
	}
	if (len)
		s += p[0];
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return sum + (uint32_t)((s & 0xff) << 8 | s >> 8);
}

uint16_t igb_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint32_t crc(const uint8_t *p, size_t len, const uint32_t *table)
{
	uint32_t c = ~0u;

	while (len--)
		c = table[(c ^ *p++) & 0xff] ^ c >> 8;
	return ~c;
}

static uint32_t ether[256], castagnoli[256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t e = i, c = i;

		for (unsigned k = 0; k < 8; k++) {
			e = e & 1 ? e >> 1 ^ 0xedb88320u : e >> 1;
			c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
		}
		ether[i] = e;
		castagnoli[i] = c;
	}
}

uint32_t igb_crc32(const void *data, size_t len)
{
	pthread_once(&once, make_tables);
	return crc(data, len, ether);
}

uint32_t igb_crc32c(const void *data, size_t len)
{
	pthread_once(&once, make_tables);
	return crc(data, len, castagnoli);
}
