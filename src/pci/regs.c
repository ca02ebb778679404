/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/regs.c: the names of registers (struct uvfio_reg), for lines of the log. A table is searched
 * from its start, since that is done where a line is written and nowhere else.
 */
#include <stdio.h>

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
