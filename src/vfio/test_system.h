/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio/test_system.h: looking into a system, for tests. */
#ifndef VFIO_TEST_SYSTEM_H
#define VFIO_TEST_SYSTEM_H
#include <string.h>

#include "vfio/group.h"

/* Return the device @name, in whatever group it is, or NULL. Nothing changes meanwhile. */
static inline struct vfio_device *test_find_device(struct vfio_system *s, const char *name)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct vfio_group *g = s->groups[i];

		for (unsigned k = 0; k < g->n; k++)
			if (g->places[k].dev && !strcmp(g->places[k].dev->name, name))
				return g->places[k].dev;
	}
	return NULL;
}

/* Return how many mappings more @io may have. */
static inline uint32_t test_avail(struct vfio_ioas *io)
{
	struct vfio_ioas_limits l;

	vfio_ioas_limits(io, &l);
	return l.avail;
}
#endif
