/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/msi.c: MSI and MSI-X. A vector is one atomic word with its masks and its pending bit, so a
 * message that meets a mask and an unmask that meets a pending message cannot miss each other: one
 * of the two sees the other's bit and sends. That is all the synchronisation there is: a message
 * takes no lock, and when nothing is masked it is two loads and the sink's call.
 *
 * The mask bit of an MSI-X entry lives in its word alone; the mask register of MSI lives in config
 * space and is copied to the words.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/event.h"
#include "fault/fault.h"
#include "pci/internal.h"

/*
 * Intel SDM 3A, 10.11: what the platform writes into an entry. The sink knows vectors, so this is
 * for the eye of a reader.
 */
#define PLATFORM_MSI_ADDR 0xfee00000u
#define PLATFORM_MSI_DATA 0x4000u

static void tell(const pci_function *fn, enum event_irq what, unsigned vector)
{
	EVENT(EVENT_IRQ, .who = fn->name, .what = what, .at = vector);
}

/* Send message @vector to the sink. In an RCU section. */
static void send(pci_function *fn, unsigned vector)
{
	const struct pci_irq_sink *sink = pci_sink(fn);

	if (sink && sink->msi)
		sink->msi(sink->arg, vector);
}

static void tell_nobody(pci_function *fn)
{
	const struct pci_irq_sink *sink = pci_sink(fn);

	if (sink && sink->nobody)
		sink->nobody(sink->arg);
}

/* Have the message go its way, if any are sent now. */
static void message(pci_function *dev, unsigned vector, bool late)
{
	atomic_uint *word = NULL;
	bool faults = !late && fault_wanted(FAULT_MSI);
	unsigned state;

	rcu_read_begin();
	switch (atomic_load_explicit(&dev->irq.gate, memory_order_acquire)) {
	case GATE_MSIX:
		if (vector < dev->msix.info.vectors)
			word = &dev->msix.vec[vector];
		break;
	case GATE_MSI:
		vector &= atomic_load_explicit(&dev->msi.modulo, memory_order_relaxed);
		word = &dev->msi.vec[vector];
		break;
	default:
		tell(dev, EVENT_NOBODY, vector);
		tell_nobody(dev);
		goto out;
	}
	if (!word) {
		report_err(REPORT_LIMITED("model-vector"), dev->name, 0,
			   "model %s sends MSI-X message %u of %u", dev->model->name, vector,
			   dev->msix.info.vectors);
		goto out;
	}
	if (!late)
		tell(dev, EVENT_RAISED, vector);
	if (faults && pci_late_message(dev, vector))
		goto out;
	state = atomic_load_explicit(word, memory_order_acquire);
	while (state & VEC_HELD) {
		if (atomic_compare_exchange_weak(word, &state, state | VEC_PENDING)) {
			tell(dev, EVENT_PENDING, vector);
			goto out;
		}
	}
	send(dev, vector);
	if (faults)
		pci_late_overtaken(dev);
out:
	rcu_read_end();
}

void uvfio_msi(struct uvfio_dev *dev, unsigned vector)
{
	message(dev, vector, false);
}

void pci_msi_send(pci_function *fn, unsigned vector)
{
	message(fn, vector, true);
}

/* Send what is pending at @word if nothing masks it any more. */
static void flush_vector(pci_function *fn, atomic_uint *word, unsigned vector)
{
	unsigned state = atomic_load(word);

	while ((state & VEC_PENDING) && !(state & VEC_HELD)) {
		if (atomic_compare_exchange_weak(word, &state, state & ~VEC_PENDING)) {
			send(fn, vector);
			return;
		}
	}
}

static void flush_msix_vector(pci_function *fn, unsigned vector)
{
	/* what becomes pending later meets the masks as they are now */
	if (!(atomic_load(&fn->msix.vec[vector]) & VEC_PENDING))
		return;
	rcu_read_begin();
	if (atomic_load(&fn->irq.gate) == GATE_MSIX)
		flush_vector(fn, &fn->msix.vec[vector], vector);
	rcu_read_end();
}

void pci_msi_flush(pci_function *fn)
{
	rcu_read_begin();
	switch (atomic_load(&fn->irq.gate)) {
	case GATE_MSIX:
		for (unsigned i = 0; i < fn->msix.info.vectors; i++)
			flush_vector(fn, &fn->msix.vec[i], i);
		break;
	case GATE_MSI:
		for (unsigned i = 0; i <= atomic_load(&fn->msi.modulo); i++)
			flush_vector(fn, &fn->msi.vec[i], i);
		break;
	default:
		break;
	}
	rcu_read_end();
}

void pci_msi_clear_pending(pci_function *fn, enum pci_gate kind)
{
	unsigned n = kind == GATE_MSIX ? fn->msix.info.vectors : fn->msi.vectors;
	atomic_uint *words = kind == GATE_MSIX ? fn->msix.vec : fn->msi.vec;

	for (unsigned i = 0; i < n; i++) {
		if (atomic_load(&words[i]) & VEC_PENDING)
			atomic_fetch_and(&words[i], ~VEC_PENDING);
	}
}

static void set_bit(atomic_uint *word, unsigned bit, bool on)
{
	if (!(atomic_load(word) & bit) == !on)
		return;
	if (on)
		atomic_fetch_or(word, bit);
	else
		atomic_fetch_and(word, ~bit);
}

/* Mask a vector at @word, or take the mask off. */
static void set_masked(const pci_function *fn, atomic_uint *word, unsigned vector, bool on)
{
	if (event_wanted(EVENT_IRQ) && !(atomic_load(word) & VEC_MASKED) != !on)
		tell(fn, on ? EVENT_MASKED : EVENT_UNMASKED, vector);
	set_bit(word, VEC_MASKED, on);
}

void pci_msi_stop(pci_function *fn, bool stop)
{
	for (unsigned i = 0; i < fn->msi.vectors; i++)
		set_bit(&fn->msi.vec[i], VEC_STOPPED, stop);
	for (unsigned i = 0; i < fn->msix.info.vectors; i++)
		set_bit(&fn->msix.vec[i], VEC_STOPPED, stop);
}

/* ---- MSI ---- */

static bool msi_is64(const pci_function *fn)
{
	return pci_config_flag(fn, fn->cap.msi, PCI_MSI_FLAGS, PCI_MSI_FLAGS_64BIT);
}

unsigned pci_msi_pending_offset(const pci_function *fn)
{
	if (pci_config_flag(fn, fn->cap.msi, PCI_MSI_FLAGS, PCI_MSI_FLAGS_MASKBIT))
		return msi_is64(fn) ? PCI_MSI_PENDING_64 : PCI_MSI_PENDING_32;
	return (msi_is64(fn) ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32) + 2;
}

uint32_t pci_msi_pending(const pci_function *fn)
{
	uint32_t v = 0;

	for (unsigned i = 0; i < fn->msi.vectors; i++) {
		if (atomic_load(&fn->msi.vec[i]) & VEC_PENDING)
			v |= 1u << i;
	}
	return v;
}

void pci_msi_masks_changed(pci_function *fn)
{
	bool all = pci_config_flag(fn, fn->cap.msix, PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_MASKALL);
	uint32_t mask;

	if (pci_config_flag(fn, fn->cap.msi, PCI_MSI_FLAGS, PCI_MSI_FLAGS_MASKBIT)) {
		mask = get32(fn->cfg.bytes + fn->cap.msi + pci_msi_pending_offset(fn) - 4);
		for (unsigned i = 0; i < fn->msi.vectors; i++)
			set_masked(fn, &fn->msi.vec[i], i, mask >> i & 1);
	}
	for (unsigned i = 0; i < fn->msix.info.vectors; i++)
		set_bit(&fn->msix.vec[i], VEC_FUNC_MASKED, all);
}

/* PCI 3.0, 6.8.1 */
int uvfio_add_msi(struct uvfio_dev *dev, unsigned vectors, bool addr64, bool maskable)
{
	uint16_t flags;
	unsigned len;
	int off;

	if (!is_pow2(vectors) || vectors > PCI_MSI_MAX)
		return uvfio_error(dev, "MSI with %u vectors: must be 1, 2, 4, 8, 16 or 32",
				   vectors);
	len = addr64 ? PCI_MSI_DATA_64 + 2 : PCI_MSI_DATA_32 + 2;
	if (maskable)
		len = (addr64 ? PCI_MSI_PENDING_64 : PCI_MSI_PENDING_32) + 4;
	off = pci_cap_new(dev, PCI_CAP_ID_MSI, len, NULL, NULL);
	if (off < 0)
		return off;
	dev->cap.msi = (unsigned)off;
	dev->msi.vectors = vectors;
	flags = (uint16_t)(__builtin_ctz(vectors) << 1);
	flags |= (addr64 ? PCI_MSI_FLAGS_64BIT : 0) | (maskable ? PCI_MSI_FLAGS_MASKBIT : 0);
	put16(dev->cfg.bytes + off + PCI_MSI_FLAGS, flags);
	put16(dev->cfg.wmask + off + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	put32(dev->cfg.wmask + off + PCI_MSI_ADDRESS_LO, 0xfffffffc);
	if (addr64)
		put32(dev->cfg.wmask + off + PCI_MSI_ADDRESS_HI, 0xffffffff);
	put16(dev->cfg.wmask + off + (addr64 ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 0xffff);
	if (maskable)
		put32(dev->cfg.wmask + off + pci_msi_pending_offset(dev) - 4,
		      vectors == 32 ? UINT32_MAX : (1u << vectors) - 1);
	return off;
}

unsigned pci_msi_vectors(const pci_function *fn)
{
	return fn->msi.vectors;
}

void pci_msi_enable(pci_function *fn, unsigned log2_vectors)
{
	pci_msi_enable_masked(fn, log2_vectors, 0);
}

void pci_msi_enable_masked(pci_function *fn, unsigned log2_vectors, uint32_t mask)
{
	uint16_t flags;
	unsigned data;

	if (!fn->cap.msi)
		return;
	flags = (uint16_t)pci_config_read(fn, fn->cap.msi + PCI_MSI_FLAGS, 2) &
		~PCI_MSI_FLAGS_QSIZE;
	if (flags & PCI_MSI_FLAGS_ENABLE) /* the spec lets QSIZE change only while disabled */
		pci_msi_disable(fn);
	pci_config_write(fn, fn->cap.msi + PCI_MSI_ADDRESS_LO, 4, PLATFORM_MSI_ADDR);
	if (flags & PCI_MSI_FLAGS_64BIT)
		pci_config_write(fn, fn->cap.msi + PCI_MSI_ADDRESS_HI, 4, 0);
	data = flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32;
	pci_config_write(fn, fn->cap.msi + data, 2, PLATFORM_MSI_DATA);
	if (flags & PCI_MSI_FLAGS_MASKBIT)
		pci_config_write(fn,
				 fn->cap.msi + (flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_MASK_64
									    : PCI_MSI_MASK_32),
				 4, mask);
	flags |= (uint16_t)((log2_vectors & 7) << 4 | PCI_MSI_FLAGS_ENABLE);
	pci_config_write(fn, fn->cap.msi + PCI_MSI_FLAGS, 2, flags);
}

void pci_msi_disable(pci_function *fn)
{
	if (fn->cap.msi)
		pci_config_write(fn, fn->cap.msi + PCI_MSI_FLAGS, 2, 0);
}

/* ---- MSI-X ---- */

static uint64_t table_size(const pci_function *fn)
{
	return (uint64_t)fn->msix.info.vectors * PCI_MSIX_ENTRY_SIZE;
}

static uint64_t pba_size(const pci_function *fn)
{
	return align_up(fn->msix.info.vectors, 64) / 8;
}

/* PCI 3.0, 6.8.2 */
int uvfio_add_msix(struct uvfio_dev *dev, unsigned vectors, unsigned table_bar,
		   uint32_t table_offset, unsigned pba_bar, uint32_t pba_offset)
{
	int off;

	if (!vectors || vectors > PCI_MSIX_MAX)
		return uvfio_error(dev, "MSI-X with %u vectors: must be 1 to %u", vectors,
				   PCI_MSIX_MAX);
	if (table_bar >= PCI_BARS || pba_bar >= PCI_BARS || table_offset % 8 || pba_offset % 8)
		return uvfio_error(dev,
				   "MSI-X: the table and the PBA lie in a BAR, at a multiple of 8");
	if (dev->cap.msix) {
		uvfio_error(dev, "MSI-X is there already");
		return -EEXIST;
	}
	dev->msix.table = calloc(vectors, sizeof(*dev->msix.table));
	dev->msix.vec = calloc(vectors, sizeof(*dev->msix.vec));
	if (!dev->msix.table || !dev->msix.vec) {
		off = -ENOMEM;
		goto fail;
	}
	off = pci_cap_new(dev, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF, NULL, NULL);
	if (off < 0)
		goto fail;
	dev->cap.msix = (unsigned)off;
	dev->msix.info =
		(struct pci_msix_info){ vectors, table_bar, pba_bar, table_offset, pba_offset };
	put16(dev->cfg.bytes + off + PCI_MSIX_FLAGS, (uint16_t)(vectors - 1));
	put16(dev->cfg.wmask + off + PCI_MSIX_FLAGS,
	      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	put32(dev->cfg.bytes + off + PCI_MSIX_TABLE, table_offset | table_bar);
	put32(dev->cfg.bytes + off + PCI_MSIX_PBA, pba_offset | pba_bar);
	pci_msix_table_reset(dev);
	return off;
fail:
	free(dev->msix.table);
	free(dev->msix.vec);
	dev->msix.table = NULL;
	dev->msix.vec = NULL;
	return off;
}

int pci_msix_check(pci_function *fn)
{
	const struct pci_msix_info *m = &fn->msix.info;
	const struct pci_bar *table = &fn->bars[m->table_bar], *pba = &fn->bars[m->pba_bar];

	if (!fn->cap.msix)
		return 0;
	if (table->flags & UVFIO_BAR_IO ||
	    !range_within(m->table_offset, table_size(fn), table->size))
		return uvfio_error(
			fn, "MSI-X: the table of %u vectors at 0x%x is not within memory BAR%u",
			m->vectors, m->table_offset, m->table_bar);
	if (pba->flags & UVFIO_BAR_IO || !range_within(m->pba_offset, pba_size(fn), pba->size))
		return uvfio_error(
			fn, "MSI-X: the PBA of %u vectors at 0x%x is not within memory BAR%u",
			m->vectors, m->pba_offset, m->pba_bar);
	if (m->table_bar == m->pba_bar && m->table_offset < m->pba_offset + pba_size(fn) &&
	    m->pba_offset < m->table_offset + table_size(fn))
		return uvfio_error(fn, "MSI-X: the table and the PBA overlap");
	return 0;
}

bool pci_msix_info(const pci_function *fn, struct pci_msix_info *out)
{
	if (fn->cap.msix)
		*out = fn->msix.info;
	return fn->cap.msix != 0;
}

/* Every entry is masked after reset: PCI 3.0, 6.8.2.9 */
void pci_msix_table_reset(pci_function *fn)
{
	for (unsigned i = 0; i < fn->msix.info.vectors; i++) {
		fn->msix.table[i] = (struct msix_entry){ 0 };
		atomic_store(&fn->msix.vec[i],
			     VEC_MASKED | (atomic_load(&fn->halt.irqs) ? VEC_STOPPED : 0));
	}
}

static uint32_t entry_read(pci_function *fn, unsigned vector, unsigned reg)
{
	const struct msix_entry *e = &fn->msix.table[vector];
	bool masked;

	switch (reg) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		return e->addr_lo;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		return e->addr_hi;
	case PCI_MSIX_ENTRY_DATA:
		return e->data;
	default:
		masked = atomic_load(&fn->msix.vec[vector]) & VEC_MASKED;
		return masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0;
	}
}

static void entry_write(pci_function *fn, unsigned vector, unsigned reg, uint32_t value)
{
	struct msix_entry *e = &fn->msix.table[vector];

	switch (reg) {
	case PCI_MSIX_ENTRY_LOWER_ADDR:
		e->addr_lo = value & ~3u;
		break;
	case PCI_MSIX_ENTRY_UPPER_ADDR:
		e->addr_hi = value;
		break;
	case PCI_MSIX_ENTRY_DATA:
		e->data = value;
		break;
	default:
		set_masked(fn, &fn->msix.vec[vector], vector, value & PCI_MSIX_ENTRY_CTRL_MASKBIT);
		break;
	}
}

static bool in_table(const pci_function *fn, unsigned bar, uint64_t off)
{
	return fn->cap.msix && bar == fn->msix.info.table_bar &&
	       off >= fn->msix.info.table_offset &&
	       off - fn->msix.info.table_offset < table_size(fn);
}

static bool in_pba(const pci_function *fn, unsigned bar, uint64_t off)
{
	return fn->cap.msix && bar == fn->msix.info.pba_bar && off >= fn->msix.info.pba_offset &&
	       off - fn->msix.info.pba_offset < pba_size(fn);
}

/* An aligned access does not cross the end of either area: both are multiples of 8 bytes. */
bool pci_msix_read(pci_function *fn, unsigned bar, uint64_t off, unsigned size, uint64_t *value)
{
	uint64_t v = 0, at;
	unsigned vector;

	if (in_table(fn, bar, off)) {
		at = align_down(off - fn->msix.info.table_offset, 8);
		vector = (unsigned)(at / PCI_MSIX_ENTRY_SIZE);
		pthread_mutex_lock(&fn->lock);
		v = entry_read(fn, vector, at % PCI_MSIX_ENTRY_SIZE);
		v |= (uint64_t)entry_read(fn, vector, at % PCI_MSIX_ENTRY_SIZE + 4) << 32;
		pthread_mutex_unlock(&fn->lock);
	} else if (in_pba(fn, bar, off)) {
		vector = (unsigned)(off - fn->msix.info.pba_offset) / 8 * 64;
		for (unsigned i = 0; i < 64 && vector + i < fn->msix.info.vectors; i++) {
			if (atomic_load(&fn->msix.vec[vector + i]) & VEC_PENDING)
				v |= 1ull << i;
		}
	} else {
		return false;
	}
	v >>= off % 8 * 8;
	*value = size < 8 ? v & ((1ull << 8 * size) - 1) : v;
	return true;
}

bool pci_msix_write(pci_function *fn, unsigned bar, uint64_t off, unsigned size, uint64_t value,
		    int *err)
{
	unsigned vector, reg;
	uint64_t at;

	*err = 0;
	if (in_pba(fn, bar, off))
		return true; /* read-only: PCI 3.0, 6.8.2.10 */
	if (!in_table(fn, bar, off))
		return false;
	if (size < 4) {
		*err = -EINVAL; /* undefined by PCI 3.0, 6.8.2: so the driver hears of it */
		return true;
	}
	at = off - fn->msix.info.table_offset;
	vector = (unsigned)(at / PCI_MSIX_ENTRY_SIZE);
	reg = at % PCI_MSIX_ENTRY_SIZE;
	pthread_mutex_lock(&fn->lock);
	entry_write(fn, vector, reg, (uint32_t)value);
	if (size == 8)
		entry_write(fn, vector, reg + 4, (uint32_t)(value >> 32));
	pthread_mutex_unlock(&fn->lock);
	flush_msix_vector(fn, vector);
	return true;
}

void pci_msix_enable(pci_function *fn)
{
	if (!fn->cap.msix)
		return;
	for (unsigned i = 0; i < fn->msix.info.vectors; i++)
		atomic_fetch_or(&fn->msix.vec[i], VEC_MASKED);
	pci_config_write(fn, fn->cap.msix + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
}

void pci_msix_disable(pci_function *fn)
{
	if (fn->cap.msix)
		pci_config_write(fn, fn->cap.msix + PCI_MSIX_FLAGS, 2, 0);
}

void pci_msix_switch(pci_function *fn, bool on)
{
	unsigned at = fn->cap.msix + PCI_MSIX_FLAGS, flags;

	if (!fn->cap.msix)
		return;
	flags = pci_config_read(fn, at, 2);
	pci_config_write(fn, at, 2,
			 on ? flags | PCI_MSIX_FLAGS_ENABLE : flags & ~PCI_MSIX_FLAGS_ENABLE);
}

void pci_msix_entry(pci_function *fn, unsigned vector, bool unmask)
{
	if (!fn->cap.msix || vector >= fn->msix.info.vectors)
		return;
	pthread_mutex_lock(&fn->lock);
	if (pci_config_power(fn) == 0) {
		fn->msix.table[vector] =
			(struct msix_entry){ PLATFORM_MSI_ADDR, 0, PLATFORM_MSI_DATA + vector };
		set_masked(fn, &fn->msix.vec[vector], vector, !unmask);
	}
	pthread_mutex_unlock(&fn->lock);
	flush_msix_vector(fn, vector);
}

void pci_msix_set_mask(pci_function *fn, unsigned vector, bool mask)
{
	if (!fn->cap.msix || vector >= fn->msix.info.vectors)
		return;
	set_masked(fn, &fn->msix.vec[vector], vector, mask);
	flush_msix_vector(fn, vector);
}

bool pci_msix_masked(const pci_function *fn, unsigned vector)
{
	return fn->cap.msix && vector < fn->msix.info.vectors &&
	       atomic_load(&fn->msix.vec[vector]) & VEC_MASKED;
}

bool pci_vector_pending(const pci_function *fn, bool msix, unsigned vector)
{
	const atomic_uint *words = msix ? fn->msix.vec : fn->msi.vec;

	return vector < (msix ? fn->msix.info.vectors : fn->msi.vectors) &&
	       atomic_load(&words[vector]) & VEC_PENDING;
}

enum uvfio_irq_mode uvfio_irq_mode(const struct uvfio_dev *dev)
{
	return atomic_load_explicit(&dev->irq.mode, memory_order_acquire);
}

/*
 * Two places, used in turn: nothing is allocated, so this cannot fail. irq.sink_lock is held while
 * readers of the old place leave it, so that the place is free when it is written the next time.
 */
void pci_set_irq_sink(pci_function *fn, const struct pci_irq_sink *sink)
{
	struct pci_irq_sink *next = NULL, *old;

	pthread_mutex_lock(&fn->irq.sink_lock);
	old = atomic_load_explicit(&fn->irq.sink, memory_order_relaxed);
	if (sink) {
		next = old == &fn->irq.sinks[0] ? &fn->irq.sinks[1] : &fn->irq.sinks[0];
		*next = *sink;
	}
	if (next || old) {
		atomic_store_explicit(&fn->irq.sink, next, memory_order_release);
		rcu_sync();
	}
	pthread_mutex_unlock(&fn->irq.sink_lock);
}
