/* SPDX-License-Identifier: BSD-3-Clause */
/* base/crc32.h: the checksum of Ethernet, gzip and PNG (ISO 3309), for data that travels. */
#ifndef BASE_CRC32_H
#define BASE_CRC32_H
#include <stddef.h>
#include <stdint.h>

/* Return the checksum of @len bytes behind others, whose checksum is @crc (0: there are none). */
uint32_t crc32_add(uint32_t crc, const void *data, size_t len);
#endif
