/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/msix.c: MSI-X: a table that the guest writes entry by entry. The device is in MSI-X mode as
 * soon as the guest enables that, whatever is masked; a vector gets its eventfd in VFIO when it is
 * unmasked first, in any order, and keeps it. What one write of the guest changes is done
 * together: the routes by one commit, then the irqfds, then VFIO by one SET_IRQS.
 *
 * The kernel's VFIO does not mask vectors, so a masked one's messages wait in its eventfd. A server
 * of vfio-user may do it: there they wait in the device, whose own pending bits are right then.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>

#include "vmm/internal.h"

#define ENTRY ((unsigned)PCI_MSIX_ENTRY_SIZE)

static uint16_t control(const struct uvfio_vm_device *dev)
{
	return (uint16_t)vm_config_copy(dev, dev->config.caps.msix + PCI_MSIX_FLAGS, 2);
}

static uint32_t entry_dword(const struct uvfio_vm_device *dev, unsigned i, unsigned at)
{
	uint32_t v;

	memcpy(&v, dev->irq.table + i * ENTRY + at, sizeof(v));
	return v;
}

static uint64_t address_of(const struct uvfio_vm_device *dev, unsigned i)
{
	return (uint64_t)entry_dword(dev, i, PCI_MSIX_ENTRY_UPPER_ADDR) << 32 |
	       (entry_dword(dev, i, PCI_MSIX_ENTRY_LOWER_ADDR) & ~3u);
}

/* True if the guest wants messages of vector @i now. */
static bool is_wanted(const struct uvfio_vm_device *dev, unsigned i)
{
	return !(control(dev) & PCI_MSIX_FLAGS_MASKALL) &&
	       !(entry_dword(dev, i, PCI_MSIX_ENTRY_VECTOR_CTRL) & PCI_MSIX_ENTRY_CTRL_MASKBIT);
}

void vm_msix_table_reset(struct uvfio_vm_device *dev)
{
	const uint32_t masked = PCI_MSIX_ENTRY_CTRL_MASKBIT;

	for (unsigned i = 0; i < dev->irq.msix_count; i++) {
		memset(dev->irq.table + i * ENTRY, 0, ENTRY);
		memcpy(dev->irq.table + i * ENTRY + PCI_MSIX_ENTRY_VECTOR_CTRL, &masked,
		       sizeof(masked));
	}
}

/* ---- VFIO's part ---- */

static int set(struct uvfio_vm_device *dev, unsigned start, unsigned count, const int32_t *fds)
{
	return vm_set_irqs(dev, VFIO_PCI_MSIX_IRQ_INDEX,
			   VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, start, count,
			   fds);
}

static int set_off(struct uvfio_vm_device *dev)
{
	return vm_set_irqs(dev, VFIO_PCI_MSIX_IRQ_INDEX,
			   VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, NULL);
}

/* True if VFIO shall have vector @i, and has not. */
static bool is_new(const struct uvfio_vm_device *dev, unsigned i)
{
	const struct vm_vector *v = &dev->irq.vectors[i];

	return v->connected && !v->in_vfio;
}

/*
 * The guest's next unmasking tries again. What it has is for others, but for an eventfd that VFIO
 * has.
 */
static void lose_vector(struct uvfio_vm_device *dev, unsigned i, int rc)
{
	if (dev->irq.vectors[i].in_vfio)
		vm_vector_disconnect(dev, i);
	else
		vm_vector_drop(dev, i);
	vm_warn(REPORT_HINT("vmm-vector",
			    "; the limit of open files may be too low (RLIMIT_NOFILE)"),
		dev, rc, "MSI-X vector %u has no interrupt", i);
}

/* Give VFIO the new vectors among those from @first on to before @end, by one call. */
static void give_run(struct uvfio_vm_device *dev, unsigned first, unsigned end)
{
	struct vm_irq *irq = &dev->irq;
	int rc;

	for (unsigned i = first; i < end; i++)
		irq->fds[i] = is_new(dev, i) ? irq->vectors[i].eventfd : -1;
	rc = set(dev, first, end - first, irq->fds + first);
	if (rc == -EMFILE && end - first > 1) {
		/* VFIO needs numbers of files, too: half of the vectors get them all */
		unsigned middle = first + (end - first) / 2;

		for (unsigned i = middle; i < end; i++)
			if (irq->fds[i] >= 0)
				lose_vector(dev, i, rc);
		give_run(dev, first, middle);
		return;
	}
	for (unsigned i = first; i < end; i++) {
		if (irq->fds[i] < 0)
			continue;
		/* all of it was refused for one: as many as can be had */
		if (rc && end - first > 1) {
			give_run(dev, i, i + 1);
			continue;
		}
		irq->vectors[i].in_vfio = !rc;
		if (rc)
			lose_vector(dev, i, rc > 0 ? -ENOSPC : rc);
	}
	if (!rc && end > irq->in_vfio)
		irq->in_vfio = end;
}

/* The same, in runs that leave those alone that VFIO has. */
static void give(struct uvfio_vm_device *dev, unsigned first, unsigned end)
{
	unsigned i = first, last;

	while (i < end) {
		if (!is_new(dev, i)) {
			i++;
			continue;
		}
		last = i;
		for (unsigned k = i; k < end && !dev->irq.vectors[k].in_vfio; k++)
			if (is_new(dev, k))
				last = k;
		give_run(dev, i, last + 1);
		i = last + 1;
	}
}

/* Lose the vectors from @count on, because of @rc. */
static void cut(struct uvfio_vm_device *dev, unsigned count, int rc)
{
	struct vm_irq *irq = &dev->irq;

	for (unsigned i = count; i < irq->num_vectors; i++)
		if (irq->fds[i] >= 0)
			lose_vector(dev, i, rc > 0 ? -ENOSPC : rc);
	for (unsigned i = count; i < irq->num_vectors; i++)
		irq->fds[i] = -1;
}

/*
 * Have VFIO's number of vectors at @count, where that is fixed when they are switched on: what the
 * device sends meanwhile is lost.
 */
static void grow(struct uvfio_vm_device *dev, unsigned count)
{
	struct vm_irq *irq = &dev->irq;
	unsigned had = irq->in_vfio;
	int rc;

	if (had)
		set_off(dev);
	for (unsigned i = 0; i < irq->num_vectors; i++) {
		struct vm_vector *v = &irq->vectors[i];

		irq->fds[i] = v->in_vfio || is_new(dev, i) ? v->eventfd : -1;
		v->in_vfio = v->masked = false;
	}
	while ((rc = set(dev, 0, count, irq->fds))) {
		if (rc > 0 && (unsigned)rc < count)
			count = (unsigned)rc;
		else if (rc == -EMFILE && count / 2 > had)
			count /= 2; /* as above */
		else
			count = count > had ? had : 0;
		cut(dev, count, rc);
		if (!count)
			break;
	}
	irq->in_vfio = count;
	for (unsigned i = 0; i < count; i++)
		irq->vectors[i].in_vfio = irq->fds[i] >= 0;
}

/*
 * Have the device in MSI-X mode, with no vector: 0 or -errno. A VFIO that knows no eventfd of -1
 * gets one that waits.
 */
static int switch_on(struct uvfio_vm_device *dev)
{
	struct vm_irq *irq = &dev->irq;
	int32_t fd = -1;
	int rc = set(dev, 0, 1, &fd);

	if (rc) {
		rc = vm_vector_prepare(dev, 0, address_of(dev, 0),
				       entry_dword(dev, 0, PCI_MSIX_ENTRY_DATA));
		if (rc)
			return rc;
		vm_vectors_commit(dev);
		rc = set(dev, 0, 1, &irq->vectors[0].eventfd);
		irq->vectors[0].in_vfio = !rc;
	}
	if (!rc)
		irq->in_vfio = 1;
	return rc > 0 ? -ENOSPC : rc;
}

/*
 * Have the device mask those of the vectors from @first on to before @end that the guest masks, or
 * unmask those that it does not and that are connected: by one call. One that cannot be masked has
 * its messages wait in the eventfd; one that cannot be unmasked is tried again.
 */
static void tell_masks(struct uvfio_vm_device *dev, unsigned first, unsigned end, bool mask)
{
	struct vm_irq *irq = &dev->irq;
	uint8_t *bools = (uint8_t *)irq->fds; /* the room is for larger ones */
	unsigned from = end, to = first;
	int rc;

	if (!irq->msix_maskable)
		return;
	for (unsigned i = first; i < end; i++) {
		const struct vm_vector *v = &irq->vectors[i];

		bools[i] = v->in_vfio && v->masked != mask &&
			   (mask ? !is_wanted(dev, i) : is_wanted(dev, i) && v->connected);
		if (!bools[i])
			continue;
		from = from < i ? from : i;
		to = i + 1;
	}
	if (from >= to)
		return;
	rc = vm_set_irqs(dev, VFIO_PCI_MSIX_IRQ_INDEX,
			 VFIO_IRQ_SET_DATA_BOOL |
				 (mask ? VFIO_IRQ_SET_ACTION_MASK : VFIO_IRQ_SET_ACTION_UNMASK),
			 from, to - from, bools + from);
	if (rc)
		vm_warn("vmm-msix-mask", dev, rc, "MSI-X vectors %u to %u are not %s by the device",
			from, to - 1, mask ? "masked" : "unmasked");
	for (unsigned i = from; i < to && !rc; i++)
		if (bools[i])
			irq->vectors[i].masked = mask;
}

/* ---- what the guest changes ---- */

/* Have a vector that the guest wants ready to be connected. */
static void prepare(struct uvfio_vm_device *dev, unsigned i)
{
	int rc;

	if (i >= dev->irq.msix_max) {
		vm_warn("vmm-vector", dev, 0, "MSI-X vector %u is not one of VFIO's %u", i,
			dev->irq.msix_max);
		return;
	}
	rc = vm_vector_prepare(dev, i, address_of(dev, i),
			       entry_dword(dev, i, PCI_MSIX_ENTRY_DATA));
	if (rc)
		lose_vector(dev, i, rc);
}

/* Bring the vectors from @first on to before @end to what the guest wants. MSI-X is on. */
static void update(struct uvfio_vm_device *dev, unsigned first, unsigned end)
{
	struct vm_irq *irq = &dev->irq;
	unsigned last = 0;

	tell_masks(dev, first, end, true);
	for (unsigned i = first; i < end; i++) {
		if (is_wanted(dev, i))
			prepare(dev, i);
		else
			vm_vector_disconnect(dev, i);
	}
	vm_vectors_commit(dev);
	for (unsigned i = first; i < end; i++) {
		if (!is_wanted(dev, i) || !vm_vector_usable(dev, i))
			continue;
		vm_vector_connect(dev, i);
		if (is_new(dev, i))
			last = i + 1;
	}
	if (irq->msix_noresize && last > irq->in_vfio) {
		grow(dev, last);
		tell_masks(dev, 0, irq->num_vectors, true);
	} else {
		give(dev, first, end);
	}
	tell_masks(dev, first, end, false);
}

/* Have MSI-X on; nothing else is. 0 or -errno. */
static int enable(struct uvfio_vm_device *dev)
{
	struct vm_irq *irq = &dev->irq;
	int rc = vm_vectors_new(dev, irq->msix_count);

	if (rc)
		return rc;
	/* where their number is fixed then, as many as the guest wants by now come first */
	if (irq->msix_noresize)
		update(dev, 0, irq->msix_count);
	if (!irq->in_vfio) {
		rc = switch_on(dev);
		if (rc) {
			vm_vectors_free(dev);
			return rc;
		}
	}
	if (!irq->msix_noresize)
		update(dev, 0, irq->msix_count);
	irq->kind = VM_IRQ_MSIX;
	return 0;
}

void vm_msix_off(struct uvfio_vm_device *dev)
{
	int rc = set_off(dev);

	if (rc)
		vm_warn("vmm-msix-off", dev, rc, "VFIO does not switch MSI-X off");
	vm_vectors_free(dev);
	dev->irq.in_vfio = 0;
	dev->irq.kind = VM_IRQ_NONE;
}

void vm_msix_written(struct uvfio_vm_device *dev, uint16_t old)
{
	bool is = dev->irq.kind == VM_IRQ_MSIX;
	uint16_t now = control(dev);
	int rc;

	if (!dev->irq.msix_count)
		return;
	if (!(now & PCI_MSIX_FLAGS_ENABLE)) {
		if (is) {
			vm_msix_off(dev);
			vm_irq_fall_back(dev);
		}
		return;
	}
	if (is) {
		if ((now ^ old) & PCI_MSIX_FLAGS_MASKALL)
			update(dev, 0, dev->irq.msix_count);
		return;
	}
	/* what could not be had is tried again when the guest asks for it anew */
	if (old & PCI_MSIX_FLAGS_ENABLE)
		return;
	vm_irq_off(dev);
	rc = enable(dev);
	if (!rc)
		return;
	vm_warn("vmm-msix", dev, rc, "MSI-X cannot be had: the device has INTx");
	vm_irq_fall_back(dev);
}

/* ---- the table and the pending bits ---- */

/* PCI 3.0, 6.8.2: the table is accessed by aligned dwords and qwords. */
static bool check_access(struct uvfio_vm_device *dev, uint64_t offset, unsigned size,
			 uint64_t bytes, const char *what)
{
	if ((size == 4 || size == 8) && !(offset % size) && offset < bytes &&
	    size <= bytes - offset)
		return true;
	vm_warn("vmm-msix-access", dev, 0,
		"an access of %u bytes at 0x%llx of the MSI-X %s is ignored: it takes aligned ones "
		"of 4 or 8",
		size, (unsigned long long)offset, what);
	return false;
}

static uint64_t table_bytes(const struct uvfio_vm_device *dev)
{
	return (uint64_t)dev->irq.msix_count * ENTRY;
}

uint64_t vm_msix_table_read(struct uvfio_vm_device *dev, uint64_t offset, unsigned size)
{
	uint64_t value = 0;

	if (!check_access(dev, offset, size, table_bytes(dev), "table"))
		return vm_ones(size);
	memcpy(&value, dev->irq.table + offset, size);
	return value;
}

void vm_msix_table_write(struct uvfio_vm_device *dev, uint64_t offset, unsigned size,
			 uint64_t value)
{
	unsigned i;

	if (!check_access(dev, offset, size, table_bytes(dev), "table"))
		return;
	memcpy(dev->irq.table + offset, &value, size);
	i = (unsigned)(offset / ENTRY);
	if (dev->irq.kind == VM_IRQ_MSIX)
		update(dev, i, i + 1);
}

/*
 * Return the device's own pending bits: of vectors that VFIO has not got, which it keeps masked,
 * and of those that it was told to mask.
 */
static uint64_t device_pending(struct uvfio_vm_device *dev, unsigned first)
{
	uint64_t bits, pos = dev->irq.pba_offset + first / 8;

	if (dev->irq.pba_bar > VFIO_PCI_BAR5_REGION_INDEX ||
	    !vm_device_rw(dev, dev->irq.pba_bar, pos, &bits, sizeof(bits), false))
		return 0;
	return bits;
}

/* Return the pending bits of the 64 vectors from @first on. */
static uint64_t pending(struct uvfio_vm_device *dev, unsigned first)
{
	unsigned n = dev->irq.num_vectors - first;
	uint64_t waiting, masked = 0;

	n = n > 64 ? 64 : n;
	waiting = vm_vectors_waiting(dev, first, n);
	for (unsigned i = 0; i < n; i++)
		if (!dev->irq.vectors[first + i].in_vfio || dev->irq.vectors[first + i].masked)
			masked |= 1ull << i;
	return masked ? waiting | (device_pending(dev, first) & masked) : waiting;
}

uint64_t vm_msix_pba_read(struct uvfio_vm_device *dev, uint64_t offset, unsigned size)
{
	uint64_t bytes = (dev->irq.msix_count + 63ull) / 64 * 8, value;

	if (!check_access(dev, offset, size, bytes, "pending bits"))
		return vm_ones(size);
	if (dev->irq.kind != VM_IRQ_MSIX)
		return 0;
	value = pending(dev, (unsigned)(offset / 8) * 64);
	return size == 8 ? value : (uint32_t)(value >> offset % 8 * 8);
}
