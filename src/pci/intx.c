/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/intx.c: the INTx pin: a level. What the model wants and what keeps the pin quiet are two bits
 * of one atomic word; the sink is told when their sum changes. Threads that change it at the same
 * time must not tell the sink in the wrong order, and none may wait for another: the first one
 * tells, the others leave a count behind that makes it look again. A fall may go unseen that way, a
 * rise may not: a driver that looked in between found the line down and waits for the next call.
 */
#include <errno.h>

#include "base/event.h"
#include "fault/fault.h"
#include "pci/internal.h"

int uvfio_add_intx(struct uvfio_dev *dev, unsigned pin, bool disintx)
{
	uint8_t *w = dev->cfg.wmask + PCI_COMMAND;

	/* PCIe 6.0, 9.3.4.1.16: a VF has none */
	if (!dev->create.now || dev->vf.pf || pin < 1 || pin > 4)
		return -EINVAL;
	if (dev->intx.pin)
		return -EEXIST;
	dev->intx.pin = pin;
	dev->intx.can_disable = disintx;
	dev->cfg.bytes[PCI_INTERRUPT_PIN] = (uint8_t)pin;
	if (disintx)
		put16(w, get16(w) | PCI_COMMAND_INTX_DISABLE);
	return 0;
}

/* True if the level is seen at the pin. */
static bool is_out(unsigned state)
{
	return state & INTX_LEVEL && !(state & INTX_INHIBIT);
}

static void tell(pci_function *fn, bool out)
{
	const struct pci_irq_sink *sink;

	rcu_read_begin();
	sink = pci_sink(fn);
	if (sink && sink->intx)
		sink->intx(sink->arg, out);
	rcu_read_end();
}

void pci_intx_late(pci_function *fn, bool spurious)
{
	if (spurious || is_out(atomic_load(&fn->intx.state)))
		tell(fn, true);
}

void pci_intx_update(pci_function *fn)
{
	unsigned seen, state;
	bool out;

	if (atomic_fetch_add(&fn->intx.busy, 1))
		return;
	do {
		seen = atomic_load(&fn->intx.busy);
		state = atomic_fetch_and(&fn->intx.state, ~INTX_ROSE);
		out = is_out(state);
		if (out != fn->intx.told || (out && state & INTX_ROSE)) {
			fn->intx.told = out;
			EVENT(EVENT_IRQ, .who = fn->name, .at = UINT64_MAX,
			      .what = out ? EVENT_RAISED : EVENT_LOWERED);
			if (!(out && fault_wanted(FAULT_INTX) && pci_late_line(fn)))
				tell(fn, out);
		}
	} while (!atomic_compare_exchange_strong(&fn->intx.busy, &seen, 0));
}

void uvfio_intx(struct uvfio_dev *dev, bool level)
{
	unsigned old = atomic_load_explicit(&dev->intx.state, memory_order_relaxed);

	if (!dev->intx.pin || !(old & INTX_LEVEL) == !level)
		return;
	if (level)
		old = atomic_fetch_or(&dev->intx.state, INTX_LEVEL | INTX_ROSE);
	else
		old = atomic_fetch_and(&dev->intx.state, ~INTX_LEVEL);
	if (!(old & INTX_LEVEL) != !level)
		pci_intx_update(dev);
}

unsigned pci_intx_pin(const pci_function *fn)
{
	return fn->intx.pin;
}

bool pci_intx_can_disable(const pci_function *fn)
{
	return fn->intx.can_disable;
}

bool pci_intx_level(pci_function *fn)
{
	return atomic_load(&fn->intx.state) & INTX_LEVEL;
}
