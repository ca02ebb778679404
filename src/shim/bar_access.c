/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/bar_access.c: loads and stores of the program on a mapped BAR. Each faults; here the
 * instruction is decoded (x86/), the access is made on the device, and the program goes on behind
 * it. What is mapped where, bars.c knows; it is asked once for an instruction's operand.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "shim/bars.h"
#include "x86/emulate.h"

/* The ranges of one instruction's operands, with references while it is carried out. */
struct access {
	/* movs from BAR to BAR has two; a rep may walk through more, one after the other */
	struct shim_range r[2];
	unsigned n, next;
	bool denied;  /* against the mapping's protection */
	bool granted; /* the kernel let it pass: the program changed the protection past us */
	/* a locked instruction: no other access of this device comes between its own */
	struct vfio_device *alone;
};

static struct shim_range *access_range(struct access *a, uintptr_t addr)
{
	struct shim_range new;
	unsigned slot;

	for (unsigned i = 0; i < a->n; i++)
		if (a->r[i].start <= addr && addr < a->r[i].end)
			return &a->r[i];
	if (!shim_bar_get((void *)addr, &new))
		return NULL;
	/* the one of this operand that is behind us makes room: operands take turns */
	if (a->n < ARRAY_SIZE(a->r)) {
		slot = a->n++;
	} else {
		slot = a->next++ % ARRAY_SIZE(a->r);
		shim_bar_put(&a->r[slot]);
	}
	a->r[slot] = new;
	return &a->r[slot];
}

static int bus_where(void *arg, uintptr_t addr, size_t len)
{
	struct access *a = arg;
	struct shim_range *r = access_range(a, addr);

	if (!r)
		return shim_bar_has((void *)addr, len) ? -1 : 0;
	return addr + len <= r->end ? 1 : -1;
}

/* Tell of an access by a mapping that is all that is left of the open device. */
static void report_closed(const struct shim_range *r, uintptr_t addr, unsigned size, uint64_t value,
			  bool write)
{
	REPORT_CODE(code, LOG_INFO, REPORT_LIMITED("mmio-after-close"));
	const struct vfio_device *dev = uapi_file_device(r->file);
	uint64_t pos = r->pos + (addr - r->start);
	struct report_about about = { .access = REPORT_BAR,
				      .write = write,
				      .bar = VFIO_REGION_INDEX(pos),
				      .at = VFIO_REGION_POS(pos),
				      .size = size,
				      .value = value,
				      .of = dev ? dev->name : "",
				      .also = "the device was closed" };

	report_say_about(&code, dev ? dev->name : SHIM_WHO, 0, &about,
			 "region %u: %s of %u bytes at 0x%04llx, by a mapping of a device that is "
			 "closed",
			 about.bar, write ? "write" : "read", size, (unsigned long long)about.at);
}

static int bus_access(struct access *a, uintptr_t addr, unsigned size, uint64_t *value, bool write)
{
	struct shim_range *r = access_range(a, addr);
	int err;

	if (!r || r->dead)
		return -EIO;
	/* a mapping that can be written can be read: x86 has no write-only pages */
	if (!a->granted && (write ? !(r->prot & PROT_WRITE) : r->prot == PROT_NONE)) {
		a->denied = true;
		return -EACCES;
	}
	if (uapi_file_is_closed(r->file))
		report_closed(r, addr, size, write ? *value : 0, write);
	if (!a->alone)
		shim_access_begin(uapi_file_device(r->file));
	err = uapi_mmio(r->file, r->pos + (addr - r->start), size, value, write);
	if (!a->alone)
		shim_access_end(uapi_file_device(r->file));
	return err;
}

/*
 * Take the device of a locked instruction for it alone, or give it back. Such an instruction has
 * one operand in memory, and so one device: the one that faulted, in slot 0.
 */
static void bus_lock(void *arg, bool on)
{
	struct access *a = arg;

	if (on && !a->r[0].dead) {
		a->alone = uapi_file_device(a->r[0].file);
		shim_access_lock(a->alone);
	} else if (!on && a->alone) {
		shim_access_unlock(a->alone);
		a->alone = NULL;
	}
}

static int bus_read(void *arg, uintptr_t addr, unsigned size, uint64_t *value)
{
	return bus_access(arg, addr, size, value, false);
}

static int bus_write(void *arg, uintptr_t addr, unsigned size, uint64_t value)
{
	return bus_access(arg, addr, size, &value, true);
}

static void log_fault(const struct shim_range *r, int err, const char *what)
{
	const char *why = err == -EOPNOTSUPP
				  ? "an instruction that uvfio does not carry out on a BAR"
				  : "no device answers (memory decoding off or D3), or it crosses "
				    "the end of the mapping";
	const char *who = r->dead ? SHIM_WHO : uapi_file_device(r->file)->name;

	if (r->dead)
		why = "the mapping was made before a fork and belongs to the parent";
	report_warn(REPORT_LIMITED("bar-sigbus"), who, 0,
		    "%s at 0x%llx of mapped region %u: %s: SIGBUS", what,
		    (unsigned long long)VFIO_REGION_POS(r->pos), VFIO_REGION_INDEX(r->pos), why);
}

int shim_bar_fault(const struct shim_range *at, const siginfo_t *info, ucontext_t *uc,
		   uintptr_t *bad)
{
	struct access a = { .r = { *at }, .n = 1, .granted = info->si_signo == SIGBUS };
	const struct x86_bus bus = { .where = bus_where,
				     .read = bus_read,
				     .write = bus_write,
				     .lock = bus_lock,
				     .arg = &a };
	/* for the log; with a reference of its own, as the slot may be given to the next range */
	struct shim_range told = *at;
	char what[32] = "";
	int err, due = -1;

	/*
	 * nothing is there: a page that a child has not got (shim_areas_map); else the program took
	 * it away past us
	 */
	if (!a.granted && info->si_code == SEGV_MAPERR && !at->dead) {
		shim_bar_put(at);
		return 0;
	}
	told.pos += (uintptr_t)info->si_addr - at->start;
	if (!told.dead)
		uapi_file_get(told.file);
	/* running code out of a BAR */
	if (uc->uc_mcontext.gregs[REG_RIP] == (greg_t)(uintptr_t)info->si_addr) {
		err = -EOPNOTSUPP;
		snprintf(what, sizeof(what), "execution");
	} else {
		err = x86_emulate(uc, &bus, bad, what, sizeof(what));
	}
	if (a.denied)
		*bad = (uintptr_t)info->si_addr;
	if (err == -EFAULT || a.denied) {
		due = SIGSEGV;
	} else if (err) {
		log_fault(&told, err, what);
		due = SIGBUS;
	}
	shim_bar_put(&told);
	for (unsigned i = 0; i < a.n; i++)
		shim_bar_put(&a.r[i]);
	return due;
}
