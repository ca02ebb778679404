/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3/map.h: whose each byte of config space is, by the rules of the driver of 2010: the header's, a
 * capability's, or nobody's. Computed from the bytes alone.
 */
#ifndef V3_MAP_H
#define V3_MAP_H
#include <stdint.h>

#define V3_MAP_SIZE   256u
#define V3_MAP_NOBODY 0xffu

/* Call @fn for each capability of @cfg, 256 bytes, in the order of the chain. */
void v3_each_cap(const uint8_t *cfg, void (*fn)(void *arg, uint8_t id, unsigned pos, unsigned len),
		 void *arg);
/* Fill @map with IDs of capabilities, 0: the header's, V3_MAP_NOBODY. */
void v3_map_of(const uint8_t *cfg, uint8_t map[V3_MAP_SIZE]);
#endif
