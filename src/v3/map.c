/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * v3/map.c: the walk over capabilities, and the map that sysfs shows (config_map).
 */
#include "v3/internal.h"
#include "v3/map.h"

/* A chain that bites its tail ends at V3's limit of capabilities. */
void v3_each_cap(const uint8_t *cfg, void (*fn)(void *arg, uint8_t id, unsigned pos, unsigned len),
		 void *arg)
{
	unsigned pos = cfg[PCI_CAPABILITY_LIST] & ~3u, len;

	if (!(cfg[PCI_STATUS] & PCI_STATUS_CAP_LIST))
		return;
	for (unsigned n = 0; n < V3_MAX_CAPS && pos >= PCI_STD_HEADER_SIZEOF && cfg[pos]; n++) {
		len = v3_cap_len(cfg, cfg[pos], pos);
		if (len > PCI_CFG_SIZE - pos)
			len = PCI_CFG_SIZE - pos;
		fn(arg, cfg[pos], pos, len);
		pos = cfg[pos + PCI_CAP_LIST_NEXT] & ~3u;
	}
}

static void put_in_map(void *map, uint8_t id, unsigned pos, unsigned len)
{
	memset((uint8_t *)map + pos, id, len);
}

void v3_map_of(const uint8_t *cfg, uint8_t map[V3_MAP_SIZE])
{
	memset(map, V3_MAP_NOBODY, V3_MAP_SIZE);
	memset(map, 0, PCI_STD_HEADER_SIZEOF);
	v3_each_cap(cfg, put_in_map, map);
}
