/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/show.c: a function as text, for a person who looks at it (`uvfio ctl show`): the registers
 * that its model has names for, and what the model says beside them. They are read as a driver
 * would, but those that a read changes.
 */
#include <inttypes.h>
#include <linux/pci_regs.h>

#include "base/text.h"
#include "pci/internal.h"

struct uvfio_text {
	struct text *lines;
};

void uvfio_say(struct uvfio_text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_vadd(t->lines, "  ", fmt, ap);
	va_end(ap);
}

/* Write the register @r at @off, if it says anything; false: it is as after a reset. */
static bool show_reg(pci_function *fn, const struct uvfio_reg *r, uint64_t off, struct text *t)
{
	char name[PCI_REG_NAME];
	uint64_t value;

	if (!pci_bar_peek(fn, r->bar, off, r->width, &value) || (!r->varies && value == r->reset))
		return false;
	pci_reg_name(fn->model->regs, r->bar, off, name);
	text_add(t, "  BAR%u %s (0x%04" PRIx64 "): 0x%0*" PRIx64, r->bar, name, off, 2 * r->width,
		 value);
	return true;
}

static void show_regs(pci_function *fn, struct text *t)
{
	unsigned same = 0, unread = 0;

	for (const struct uvfio_reg *r = fn->model->regs; r && r->name; r++) {
		unsigned count = r->count ? r->count : 1;

		if (r->access == UVFIO_REG_WO || r->access == UVFIO_REG_RC ||
		    r->access == UVFIO_REG_RS) {
			unread += count;
			continue;
		}
		for (unsigned i = 0; i < count; i++)
			same += !show_reg(fn, r, r->offset + (uint64_t)i * r->stride, t);
	}
	text_add(t,
		 "  %u registers are as after a reset; %u are not read, since that says nothing, "
		 "or changes them",
		 same, unread);
}

static void show_messages(pci_function *fn, struct text *t)
{
	struct {
		const char *name;
		unsigned cap, on, vectors;
	} m[2] = { { "MSI", pci_find_cap(fn, PCI_CAP_ID_MSI), 0, 0 },
		   { "MSI-X", pci_find_cap(fn, PCI_CAP_ID_MSIX), 0, 0 } };
	uint32_t flags;

	for (unsigned i = 0; i < ARRAY_SIZE(m); i++) {
		if (!m[i].cap)
			continue;
		flags = pci_config_read(fn, m[i].cap + 2, 2);
		m[i].on = flags & (i ? PCI_MSIX_FLAGS_ENABLE : PCI_MSI_FLAGS_ENABLE);
		m[i].vectors = i ? (flags & PCI_MSIX_FLAGS_QSIZE) + 1
				 : 1u << (flags >> 4 & 7); /* Multiple Message Enable */
		if (m[i].on)
			text_add(t, "  %s is on, %u vectors", m[i].name, m[i].vectors);
		else
			text_add(t, "  %s is off", m[i].name);
	}
}

void pci_function_show(pci_function *fn, struct text *t)
{
	uint32_t command = pci_config_read(fn, PCI_COMMAND, 2);
	struct uvfio_text lines = { t };

	text_add(t, "  D%u; COMMAND 0x%04x: memory %s, bus master %s, INTx %s", pci_power_state(fn),
		 command, command & PCI_COMMAND_MEMORY ? "on" : "off",
		 command & PCI_COMMAND_MASTER ? "on" : "off",
		 command & PCI_COMMAND_INTX_DISABLE ? "disabled"
		 : pci_intx_level(fn)		    ? "up"
						    : "down");
	show_messages(fn, t);
	if (!pci_model_enter_soon(fn)) {
		text_add(t, "  it does not answer: the model is inside of a callback, and does not "
			    "return from it");
		return;
	}
	if (fn->model->regs && !(atomic_load(&fn->decode) & DECODE_MEM))
		text_add(t, "  its registers are not read: it does not decode memory");
	else if (fn->model->regs)
		show_regs(fn, t);
	if (fn->model->show)
		fn->model->show(fn, &lines);
	pci_model_leave(fn);
}
