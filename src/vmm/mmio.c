/* SPDX-License-Identifier: BSD-3-Clause */
/* vmm/mmio.c: which BAR of which device is at an address of the guest, and accesses of it. */
#include "vmm/internal.h"

int vm_map_init(struct vm_map *map)
{
	CDS_INIT_LIST_HEAD(&map->memory);
	CDS_INIT_LIST_HEAD(&map->ports);
	return -pthread_rwlock_init(&map->lock, NULL);
}

void vm_map_fini(struct vm_map *map)
{
	pthread_rwlock_destroy(&map->lock);
}
