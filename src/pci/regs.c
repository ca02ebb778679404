/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/regs.c: the names of registers (struct uvfio_reg), for lines of the log, and which accesses
 * are mistakes by what the table says. A table is searched from its start, since that is done where
 * a line is written and nowhere else; an access looks at a map of the BAR.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "pci/internal.h"

/* True if a register of @r is at @off of its BAR: the how many-th, and the byte of it. */
static bool covers(const struct uvfio_reg *r, uint64_t off, uint64_t *index, uint64_t *byte)
{
	uint64_t at = off - r->offset;

	if (off < r->offset)
		return false;
	*index = r->count && r->stride ? at / r->stride : 0;
	*byte = at - *index * r->stride;
	return *index < (r->count ? r->count : 1) && *byte < r->width;
}

bool pci_reg_name(const struct uvfio_reg *table, unsigned bar, uint64_t off,
		  char name[PCI_REG_NAME])
{
	uint64_t index, byte;
	int n;

	for (const struct uvfio_reg *r = table; r && r->name; r++) {
		if (r->bar != bar || !covers(r, off, &index, &byte))
			continue;
		n = snprintf(name, PCI_REG_NAME, "%.32s", r->name);
		if (r->count)
			n += snprintf(name + n, PCI_REG_NAME - (size_t)n, "[%u]", (unsigned)index);
		if (byte)
			snprintf(name + n, PCI_REG_NAME - (size_t)n, "+%u", (unsigned)byte);
		return true;
	}
	return false;
}

unsigned pci_reg_width(const struct uvfio_reg *table, unsigned bar, uint64_t off)
{
	uint64_t index, byte;

	for (const struct uvfio_reg *r = table; r && r->name; r++)
		if (r->bar == bar && covers(r, off, &index, &byte))
			return r->width;
	return 0;
}

/* ---- accesses that are mistakes ---- */

#define MAP_MAX (1u << 20) /* bytes of a BAR, from its start, that are looked at */

static const struct uvfio_reg *find(const struct uvfio_reg *table, unsigned bar, uint64_t off)
{
	uint64_t index, byte;

	for (const struct uvfio_reg *r = table; r && r->name; r++)
		if (r->bar == bar && covers(r, off, &index, &byte))
			return r;
	return NULL;
}

/* True if the table has all registers at [@off, @off + @size) of @bar. */
static bool is_whole(const struct uvfio_model *model, unsigned bar, uint64_t off, uint64_t size)
{
	for (const struct uvfio_reg_range *a = model->reg_ranges; a && a->size; a++)
		if (a->bar == bar && off >= a->offset && off - a->offset < a->size &&
		    size <= a->size - (off - a->offset))
			return true;
	return false;
}

/* Return the first byte behind the registers of @bar. */
static uint64_t end_of(const struct uvfio_model *model, unsigned bar)
{
	uint64_t end = 0, last;

	for (const struct uvfio_reg *r = model->regs; r && r->name; r++) {
		last = r->offset + (r->count ? (uint64_t)(r->count - 1) * r->stride : 0) + r->width;
		if (r->bar == bar && last > end)
			end = last;
	}
	return end;
}

/* Fill the map: first all bytes of parts that are whole are holes, then registers fill these. */
static void fill(const struct uvfio_model *model, unsigned bar, struct pci_reg_map *map)
{
	for (uint64_t i = 0; i < map->num; i++)
		for (unsigned k = 0; k < 4; k++)
			if (is_whole(model, bar, 4 * i + k, 1))
				map->words[i] |= (uint8_t)(0x10u << k);
	for (const struct uvfio_reg *r = model->regs; r && r->name; r++) {
		if (r->bar != bar)
			continue;
		for (uint64_t n = 0; n < (r->count ? r->count : 1); n++)
			for (unsigned k = 0; k < r->width; k++) {
				uint64_t at = r->offset + n * r->stride + k;

				if (at / 4 >= map->num)
					continue;
				map->words[at / 4] &= (uint8_t) ~(0x10u << at % 4);
				if (r->access == UVFIO_REG_RO)
					map->words[at / 4] |= PCI_REG_RO;
			}
	}
	for (uint64_t i = 0; i < map->num; i++)
		map->words[i] = (uint8_t)((map->words[i] & PCI_REG_RO) |
					  (map->words[i] & 0xf0 ? PCI_REG_HOLE : 0));
}

int pci_reg_maps_new(pci_function *fn)
{
	const struct uvfio_model *model = fn->model;

	for (unsigned bar = 0; bar < PCI_BARS; bar++) {
		struct pci_reg_map *map = &fn->reg_maps[bar];
		uint64_t end = end_of(model, bar);

		for (const struct uvfio_reg_range *a = model->reg_ranges; a && a->size; a++)
			map->ranges |= a->bar == bar;
		if (!end || end > MAP_MAX)
			continue;
		map->num = (end + 3) / 4;
		map->words = calloc(1, map->num);
		if (!map->words)
			return -ENOMEM;
		fill(model, bar, map);
	}
	return 0;
}

void pci_reg_maps_free(pci_function *fn)
{
	for (unsigned bar = 0; bar < PCI_BARS; bar++)
		free(fn->reg_maps[bar].words);
}

/*
 * What the map makes possible: the byte is in no register, or a register that the store touches can
 * only be read.
 */
void pci_reg_judge(pci_function *fn, bool write, unsigned bar, uint64_t off, unsigned size,
		   uint64_t value)
{
	REPORT_CODE(undefined, LOG_WARN, REPORT_LIMITED("mmio-undefined"));
	REPORT_CODE(readonly, LOG_WARN, REPORT_LIMITED("mmio-readonly"));
	struct report_about about = { .access = REPORT_BAR,
				      .write = write,
				      .bar = bar,
				      .at = off,
				      .size = size,
				      .value = value };
	const char *what = write ? "write" : "read";
	char name[PCI_REG_NAME];

	if (!report_wanted(LOG_WARN))
		return;
	for (unsigned i = 0; i < size; i++) {
		const struct uvfio_reg *r = find(fn->model->regs, bar, off + i);

		if (!r && is_whole(fn->model, bar, off + i, 1)) {
			report_say_about(&undefined, fn->name, 0, &about,
					 "BAR%u: %s of %u bytes at 0x%" PRIx64
					 ", where the device has no register",
					 bar, what, size, off);
			return;
		}
		if (write && r && r->access == UVFIO_REG_RO) {
			pci_reg_name(fn->model->regs, bar, off + i, name);
			about.reg = name;
			report_say_about(&readonly, fn->name, 0, &about,
					 "BAR%u %s (0x%04" PRIx64 "): write of %u bytes, 0x%" PRIx64
					 ": the register can only be read",
					 bar, name, off, size, value);
			return;
		}
	}
}
