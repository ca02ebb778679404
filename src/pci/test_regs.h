/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/test_regs.h: what must be true of a model's table of registers, for the model's unit test: it
 * is in order, no register overlaps another, all are in BARs, and registers that are read for what
 * they hold have the values after power-on that the table says. And its kinds are well formed.
 */
#ifndef PCI_TEST_REGS_H
#define PCI_TEST_REGS_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "pci/function.h"

static inline void check_reg_shape(const struct uvfio_reg *r, const struct uvfio_reg *before)
{
	if (!*r->name || strlen(r->name) > 32 || r->access > UVFIO_REG_RS ||
	    (r->width != 1 && r->width != 2 && r->width != 4 && r->width != 8) ||
	    r->offset % r->width || !r->count != !r->stride || (r->count && r->stride < r->width))
		fail_msg("register %s is not well formed", r->name);
	if (before &&
	    (before->bar > r->bar || (before->bar == r->bar && before->offset >= r->offset)))
		fail_msg("register %s is out of order", r->name);
}

static inline void check_reg_place(const struct uvfio_reg *r, uint64_t at, uint8_t *taken,
				   uint64_t bar_size)
{
	if (at + r->width > bar_size)
		fail_msg("register %s ends behind BAR%u", r->name, r->bar);
	for (unsigned i = 0; i < r->width; i++)
		if (taken[at + i]++)
			fail_msg("register %s at 0x%llx overlaps another", r->name,
				 (unsigned long long)at);
}

static inline void check_reg_reset(pci_function *fn, const struct uvfio_reg *r, uint64_t at)
{
	uint64_t mask = r->width == 8 ? UINT64_MAX : (1ull << 8 * r->width) - 1, v = ~r->reset;

	if (r->varies || (r->access != UVFIO_REG_RO && r->access != UVFIO_REG_RW))
		return;
	/* not by the bus: decoding is off after power-on */
	if (pci_function_model(fn)->bar_read(fn, r->bar, at, r->width, &v) ||
	    (v & mask) != r->reset)
		fail_msg("register %s at 0x%llx is 0x%llx after power-on, the table says 0x%llx",
			 r->name, (unsigned long long)at, (unsigned long long)(v & mask),
			 (unsigned long long)r->reset);
}

/* @fn: just made. @vf_bar0: a VF's BAR0, whose size is its PF's to say; 0: no VF. */
static inline void check_regs(pci_function *fn, uint64_t vf_bar0)
{
	const struct uvfio_reg *table = pci_function_model(fn)->regs, *before = NULL;
	uint8_t *taken[6] = { NULL };
	struct uvfio_model full;
	char why[256] = "";
	uint64_t size;

	if (pci_model_take(pci_function_model(fn), &full, why, sizeof(why)))
		fail_msg("%s", why);
	assert_non_null(table);
	assert_non_null(table->name);
	for (const struct uvfio_reg *r = table; r->name; before = r++) {
		assert_in_range(r->bar, 0, 5);
		check_reg_shape(r, before);
		size = vf_bar0 && !r->bar ? vf_bar0 : pci_function_bar(fn, r->bar)->size;
		if (!taken[r->bar])
			taken[r->bar] = calloc(1, size + 1);
		for (uint64_t i = 0; i < (r->count ? r->count : 1); i++) {
			check_reg_place(r, r->offset + i * r->stride, taken[r->bar], size);
			check_reg_reset(fn, r, r->offset + i * r->stride);
		}
	}
	for (unsigned i = 0; i < 6; i++)
		free(taken[i]);
}
#endif
