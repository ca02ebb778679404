/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/judge.c: interrupts that a user waits for in vain, for the checker (check/). Whether one
 * was waited for cannot be seen when it comes: a driver may poll, mask, or take its eventfd away.
 * So most of it is judged when interrupts are disabled, the device is closed, or the process ends,
 * of what nobody can call back by then; and a user who shows that it knows better (an eventfd that
 * was there once, a mask) is believed.
 *
 * What is noted while interrupts come is a bit of an atomic word. Locks as the function says.
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "base/event.h"
#include "base/sys.h"
#include "vfio_pci/internal.h"

/* vfio_pci_judge.vectors */
#define HAD_EVENTFD 1u /* since its interrupts were enabled */
#define TOLD	    2u /* that nobody hears it */

#define SETUP	"the interrupt was set up"
#define ENABLE	"messages were enabled in config space"
#define KEY	40u
#define LONG_NS 1000000000ull
#define INTX	UINT16_MAX

int vfio_pci_judge_init(struct vfio_pci_device *vd)
{
	struct vfio_pci_judge *j = &vd->judge;

	if (!vd->msi.num_triggers)
		return 0;
	j->vectors = heap_array(vd->msi.num_triggers, sizeof(*j->vectors));
	j->set_by = heap_array(vd->msi.num_triggers, sizeof(*j->set_by));
	return j->vectors && j->set_by ? 0 : -ENOMEM;
}

void vfio_pci_judge_fini(struct vfio_pci_device *vd)
{
	heap_free(vd->judge.vectors);
	heap_free(vd->judge.set_by);
}

/* Return the name of a set-up of interrupts, which is known by its first vector. */
static const char *setup_key(char key[KEY], const struct vfio_pci_device *vd, unsigned start)
{
	if (start == INTX)
		snprintf(key, KEY, "%s INTx", vd->vdev.name);
	else
		snprintf(key, KEY, "%s %u", vd->vdev.name, start);
	return key;
}

/* Report @code at the place where the interrupts from @start on were set up. */
__attribute__((format(printf, 4, 5))) static void tell(struct vfio_pci_device *vd,
						       const struct report_code *code,
						       unsigned start, const char *fmt, ...)
{
	char key[KEY], text[256];
	struct report_about about = { .place = SETUP, .of = setup_key(key, vd, start) };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	report_say_about(code, vd->vdev.name, 0, &about, "%s", text);
}

/* ---- what is set up; igate held ---- */

void vfio_pci_judge_enable(struct vfio_pci_device *vd, unsigned start)
{
	for (unsigned i = 0; i < vd->msi.num_triggers; i++)
		atomic_store(&vd->judge.vectors[i], 0);
	vd->judge.enabled_by = (uint16_t)start;
	atomic_store(&vd->judge.limit, 0);
	atomic_store(&vd->judge.tried, 0);
	atomic_store(&vd->judge.went_on, false);
}

void vfio_pci_judge_vector(struct vfio_pci_device *vd, unsigned vector)
{
	atomic_fetch_or(&vd->judge.vectors[vector], HAD_EVENTFD);
}

void vfio_pci_judge_set(struct vfio_pci_device *vd, unsigned start, unsigned count)
{
	char key[KEY];

	if (start == INTX)
		goto place;
	for (unsigned i = 0; i < count; i++)
		vd->judge.set_by[start + i] = (uint16_t)start;
	if (start + count > atomic_load(&vd->judge.limit))
		atomic_store(&vd->judge.limit, start + count);
	atomic_store(&vd->judge.settled, vd->irq_type);
place:
	if (event_wanted(EVENT_PLACE))
		event_place(SETUP, setup_key(key, vd, start));
}

void vfio_pci_judge_intx(struct vfio_pci_device *vd, bool eventfd)
{
	struct vfio_pci_judge *j = &vd->judge;

	atomic_store(&j->rises, 0);
	atomic_store(&j->again, 0);
	atomic_store(&j->masked, false);
	atomic_store(&j->intx_had, eventfd);
	vfio_pci_judge_set(vd, INTX, 0);
	atomic_store(&j->settled, VFIO_PCI_INTX_IRQ_INDEX);
}

/* ---- when an interrupt comes: any thread, no lock ---- */

static void tell_storm(struct vfio_pci_device *vd, unsigned vector, uint64_t n)
{
	REPORT_CODE(storm, LOG_INFO, REPORT_LIMITED("irq-storm"));

	if (vfio_trigger_unread(&vd->msi.triggers[vector]))
		report_say(&storm, vd->vdev.name, 0,
			   "vector %u was signalled %" PRIu64 " times, and its eventfd was never "
			   "read",
			   vector, n);
}

void vfio_pci_judge_message(struct vfio_pci_device *vd, unsigned vector, uint64_t n)
{
	REPORT_CODE(lost, LOG_INFO, REPORT_LIMITED("irq-lost"));
	unsigned had;

	if (vd->masks.users)
		return;
	if (n) {
		tell_storm(vd, vector, n);
		return;
	}
	/*
	 * of MSI-X such a vector is masked; one that SET_IRQS has passed over is polled, as the
	 * admin queue of NVMe, which cannot be told to be silent
	 */
	if (atomic_load(&vd->judge.settled) != VFIO_PCI_MSI_IRQ_INDEX ||
	    vector < atomic_load(&vd->judge.limit))
		return;
	had = atomic_fetch_or(&vd->judge.vectors[vector], TOLD);
	if (!had)
		report_say(&lost, vd->vdev.name, 0,
			   "MSI vector %u was sent, and SET_IRQS has enabled %u: it is lost",
			   vector, atomic_load(&vd->judge.limit));
}

void vfio_pci_judge_nobody(void *arg)
{
	struct vfio_pci_device *vd = arg;
	REPORT_CODE(early, LOG_INFO, REPORT_LIMITED("irq-before-enable"));
	REPORT_CODE(lost, LOG_INFO, REPORT_LIMITED("irq-lost"));
	struct vfio_pci_judge *j = &vd->judge;
	struct report_about about = { .place = ENABLE, .of = vd->vdev.name };
	unsigned type = atomic_load(&j->settled);

	if (atomic_exchange(&j->went_on, false))
		report_say_about(&early, vd->vdev.name, 0, &about,
				 "the device asks for an interrupt, and VFIO_DEVICE_SET_IRQS has "
				 "not enabled any: the Enable bit in config space does not");
	if ((type == VFIO_PCI_MSI_IRQ_INDEX || type == VFIO_PCI_MSIX_IRQ_INDEX) &&
	    !vd->masks.users && !atomic_load(&j->mastered) && !atomic_exchange(&j->told, true))
		report_say(&lost, vd->vdev.name, 0,
			   "a message was sent with bus mastering off, which was never on: it is "
			   "lost");
}

void vfio_pci_judge_rise(struct vfio_pci_device *vd, unsigned old)
{
	REPORT_CODE(lost, LOG_INFO, REPORT_LIMITED("irq-lost"));
	struct vfio_pci_judge *j = &vd->judge;

	if (!(old & INTX_ACTIVE))
		vfio_pci_judge_nobody(vd);
	else if (old & INTX_MASKED)
		atomic_fetch_add(&j->rises, 1);
	else if (!atomic_load(&j->intx_had) &&
		 atomic_load(&j->settled) == VFIO_PCI_INTX_IRQ_INDEX &&
		 !atomic_exchange(&j->told, true))
		report_say(&lost, vd->vdev.name, 0, "INTx has no eventfd: the interrupt is lost");
}

void vfio_pci_judge_access(struct vfio_pci_device *vd, bool write)
{
	struct vfio_pci_judge *j = &vd->judge;
	int tid = atomic_load_explicit(&j->tried, memory_order_relaxed);

	/* an unmask finds that the device was not looked at since the last one */
	atomic_store_explicit(&j->again, 0, memory_order_relaxed);
	if (!tid || !write)
		return;
	/* by the same thread: a monitor follows its guest's write with SET_IRQS at once */
	if (tid == (int)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0)) {
		atomic_store(&j->tried, 0);
		atomic_store(&j->went_on, true);
	}
}

void vfio_pci_judge_unmask(struct vfio_pci_device *vd, bool again)
{
	REPORT_CODE(stuck, LOG_INFO, REPORT_LIMITED("intx-stuck"));
	struct vfio_pci_judge *j = &vd->judge;
	unsigned n;

	atomic_store_explicit(&j->masked, true, memory_order_relaxed);
	if (!again) {
		atomic_store_explicit(&j->again, 0, memory_order_relaxed);
		return;
	}
	n = atomic_fetch_add_explicit(&j->again, 1, memory_order_relaxed) + 1;
	if (n == JUDGE_STUCK)
		report_say(&stuck, vd->vdev.name, 0,
			   "INTx was unmasked %u times in a row with the line up, and no register "
			   "was accessed in between",
			   n);
}

void vfio_pci_judge_mask(struct vfio_pci_device *vd)
{
	atomic_store_explicit(&vd->judge.masked, true, memory_order_relaxed);
}

/* ---- config space; config_lock held ---- */

/* Return the part of @value that was written to the byte at @at, or 0. */
static unsigned byte_at(unsigned at, unsigned pos, unsigned size, uint32_t value)
{
	return at >= pos && at < pos + size ? value >> 8 * (at - pos) & 0xff : 0;
}

/* The user wrote @value: does it believe that it enables messages so? */
void vfio_pci_judge_config(struct vfio_pci_device *vd, unsigned pos, unsigned size, uint32_t value)
{
	struct vfio_pci_judge *j = &vd->judge;
	unsigned msi = vd->cap.msi, msix = pci_find_cap(vd->fn, PCI_CAP_ID_MSIX);
	bool on = false, written = false;

	if (byte_at(PCI_COMMAND, pos, size, value) & PCI_COMMAND_MASTER)
		atomic_store(&j->mastered, true);
	if (msi && pos <= msi + PCI_MSI_FLAGS && pos + size > msi + PCI_MSI_FLAGS) {
		written = true;
		on = byte_at(msi + PCI_MSI_FLAGS, pos, size, value) & PCI_MSI_FLAGS_ENABLE &&
		     vd->irq_type != VFIO_PCI_MSI_IRQ_INDEX;
	}
	if (msix && pos <= msix + PCI_MSIX_FLAGS + 1 && pos + size > msix + PCI_MSIX_FLAGS + 1) {
		written = true;
		on = on || (byte_at(msix + PCI_MSIX_FLAGS + 1, pos, size, value) &
				    (PCI_MSIX_FLAGS_ENABLE >> 8) &&
			    vd->irq_type != VFIO_PCI_MSIX_IRQ_INDEX);
	}
	if (!written || vd->masks.users)
		return;
	atomic_store(&j->went_on, false);
	atomic_store(&j->tried, on ? (int)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0) : 0);
	if (on)
		event_place(ENABLE, vd->vdev.name);
}

/* ---- the end; igate held ---- */

static void judge_unread(struct vfio_pci_device *vd, struct vfio_trigger *t, unsigned start,
			 const char *what)
{
	REPORT_CODE(unhandled, LOG_INFO, REPORT_LIMITED("irq-unhandled"));
	uint64_t age = now_ns() - atomic_load(&t->first);

	if (vfio_trigger_is_set(t) && atomic_load(&t->signals) && age >= LONG_NS &&
	    vfio_trigger_unread(t))
		tell(vd, &unhandled, start,
		     "%s was signalled %llu times, the first time %.1f s ago, and nobody has read "
		     "its eventfd",
		     what, (unsigned long long)atomic_load(&t->signals), (double)age / 1e9);
}

static void judge_messages(struct vfio_pci_device *vd)
{
	REPORT_CODE(unset, LOG_INFO, REPORT_LIMITED("msix-unset"));
	REPORT_CODE(lost, LOG_INFO, REPORT_LIMITED("irq-lost"));
	bool msix = vd->irq_type == VFIO_PCI_MSIX_IRQ_INDEX;
	unsigned limit = atomic_load(&vd->judge.limit);
	char what[24];

	for (unsigned i = 0; i < vd->msi.num_triggers; i++) {
		struct vfio_trigger *t = &vd->msi.triggers[i];
		unsigned bits = atomic_load(&vd->judge.vectors[i]);

		snprintf(what, sizeof(what), "vector %u", i);
		if (bits & HAD_EVENTFD)
			judge_unread(vd, t, vd->judge.set_by[i], what);
		else if (i < limit || !pci_vector_pending(vd->fn, msix, i))
			continue;
		else if (msix)
			tell(vd, &unset, vd->judge.enabled_by,
			     "MSI-X vector %u was sent, and SET_IRQS has enabled %u: its entry of "
			     "the table was never set up",
			     i, limit);
		else
			tell(vd, &lost, vd->judge.enabled_by,
			     "MSI vector %u was sent, and SET_IRQS has enabled %u: it is lost", i,
			     limit);
	}
}

static void judge_intx(struct vfio_pci_device *vd)
{
	REPORT_CODE(stuck, LOG_INFO, REPORT_LIMITED("intx-stuck"));
	struct vfio_pci_judge *j = &vd->judge;
	unsigned rises = atomic_load(&j->rises);

	judge_unread(vd, &vd->intx.trigger, INTX, "INTx");
	if (!atomic_load(&j->masked) && rises && atomic_load(&j->intx_had) &&
	    !vfio_trigger_unread(&vd->intx.trigger))
		tell(vd, &stuck, INTX,
		     "INTx was masked when its first interrupt came, was never unmasked, and the "
		     "device asked %u more times",
		     rises);
}

void vfio_pci_judge_end(struct vfio_pci_device *vd)
{
	unsigned type = atomic_exchange(&vd->judge.settled, VFIO_PCI_IRQ_NONE);

	if (vd->masks.users || !report_wanted(LOG_INFO))
		return;
	if (type == VFIO_PCI_INTX_IRQ_INDEX)
		judge_intx(vd);
	else if (type != VFIO_PCI_IRQ_NONE)
		judge_messages(vd);
}

void vfio_pci_judge_left(struct vfio_pci_device *vd)
{
	REPORT_CODE(left, LOG_INFO, REPORT_LIMITED("leak-irq"));
	bool intx = vd->irq_type == VFIO_PCI_INTX_IRQ_INDEX;

	if (vd->irq_type == VFIO_PCI_IRQ_NONE || vd->masks.users || !report_wanted(LOG_INFO))
		return;
	tell(vd, &left, intx ? INTX : vd->judge.enabled_by, "%s is enabled to the end",
	     intx				      ? "INTx"
	     : vd->irq_type == VFIO_PCI_MSI_IRQ_INDEX ? "MSI"
						      : "MSI-X");
}

void vfio_pci_look_back(struct vfio_device *dev)
{
	struct vfio_pci_device *vd = to_vfio_pci(dev);

	/* at the end of the process nobody waits for a thread that may be gone */
	if (pthread_mutex_trylock(&vd->igate))
		return;
	if (vd->opened) {
		vfio_pci_judge_left(vd);
		vfio_pci_judge_end(vd);
	}
	pthread_mutex_unlock(&vd->igate);
}
