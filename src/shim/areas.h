/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/areas.h: the pages of a mapped BAR that are more than trapped (vfio/device.h). A polled area
 * has the device's memory for it, which is PROT_NONE, and trapped as all other pages are, while the
 * area is closed, and has the rights that the program asked for while it is open; so has a direct
 * one. Closed is right at any time, so whoever is in doubt closes.
 */
#ifndef SHIM_AREAS_H
#define SHIM_AREAS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfio/device.h"

/* A mapping of [offset, offset + end - start) of a region. */
struct shim_pages {
	uintptr_t start, end;
	uint64_t offset;
	int prot; /* that the program asked for */
	const struct vfio_region_area *areas;
	unsigned num_areas;
};

/**
 * shim_area_next - find the first polled or direct area that @p has at @at or behind
 * @at: an address; gets where the area, or what @p has of it, begins
 * @len: gets how many bytes that is
 *
 * Takes no lock and touches no device.
 *
 * Return: the area, or NULL: there is no more.
 */
const struct vfio_region_area *shim_area_next(const struct shim_pages *p, uintptr_t *at,
					      size_t *len);
/** shim_areas_map - put the areas' memory in its place, without rights. Return 0 or -errno. */
long shim_areas_map(const struct shim_pages *p);
/**
 * shim_areas_open - let the areas of a kind, polled or direct, be used, or no more
 * @blank: a descriptor for mmap(2), of a file without pages, for what cannot be closed otherwise
 * @stuck: gets -errno if a page cannot be closed at all
 *
 * Return: how many areas that was done to.
 */
unsigned shim_areas_open(const struct shim_pages *p, enum vfio_area_kind kind, bool open,
			 long blank, long *stuck);
/** shim_areas_abandon - in a child, which has none of them, keep their places free. */
void shim_areas_abandon(const struct shim_pages *p, long blank);
#endif
