/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The INTx pin: a level. What the model wants and what keeps the pin quiet are two bits of one
 * atomic word; the sink is told when their sum changes. Threads that change it at the same time
 * must not tell the sink in the wrong order, and none may wait for another: the first one tells,
 * the others leave a count behind that makes it look again. A fall may go unseen that way, a rise
 * may not: a driver that looked in between found the line down and waits for the next call.
 */
#include <errno.h>

#include "pci/internal.h"

int uvfio_add_intx(struct uvfio_dev *dev, unsigned pin, bool disintx)
{
	uint8_t *w = dev->wmask + PCI_COMMAND;

	/* PCIe 6.0, 9.3.4.1.16: a VF has none */
	if (!dev->creating || dev->pf || pin < 1 || pin > 4)
		return -EINVAL;
	if (dev->intx_pin)
		return -EEXIST;
	dev->intx_pin = pin;
	dev->disintx = disintx;
	dev->cfg[PCI_INTERRUPT_PIN] = (uint8_t)pin;
	if (disintx)
		put16(w, get16(w) | PCI_COMMAND_INTX_DISABLE);
	return 0;
}

void pci_intx_update(pci_function *fn)
{
	const struct pci_irq_sink *sink;
	unsigned seen, state;
	bool out;

	if (atomic_fetch_add(&fn->intx_busy, 1))
		return;
	do {
		seen = atomic_load(&fn->intx_busy);
		state = atomic_fetch_and(&fn->intx, ~INTX_ROSE);
		out = state & INTX_LEVEL && !(state & INTX_INHIBIT);
		if (out != fn->intx_told || (out && state & INTX_ROSE)) {
			fn->intx_told = out;
			rcu_read_begin();
			sink = pci_sink(fn);
			if (sink && sink->intx)
				sink->intx(sink->arg, out);
			rcu_read_end();
		}
	} while (!atomic_compare_exchange_strong(&fn->intx_busy, &seen, 0));
}

void uvfio_intx(struct uvfio_dev *dev, bool level)
{
	unsigned old = atomic_load_explicit(&dev->intx, memory_order_relaxed);

	if (!dev->intx_pin || !(old & INTX_LEVEL) == !level)
		return;
	if (level)
		old = atomic_fetch_or(&dev->intx, INTX_LEVEL | INTX_ROSE);
	else
		old = atomic_fetch_and(&dev->intx, ~INTX_LEVEL);
	if (!(old & INTX_LEVEL) != !level)
		pci_intx_update(dev);
}

unsigned pci_intx_pin(const pci_function *fn)
{
	return fn->intx_pin;
}

bool pci_intx_can_disable(const pci_function *fn)
{
	return fn->disintx;
}

bool pci_intx_level(pci_function *fn)
{
	return atomic_load(&fn->intx) & INTX_LEVEL;
}
