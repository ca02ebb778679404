/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/nvme.c: an NVMe 1.4 controller on image files: options, the PCI function, registers,
 * enable, shutdown, reset.
 *
 * internal.h has the idea of the whole. Here is the life of the controller: fetching is allowed
 * (`open`) between CSTS.RDY and its end; the thread that ends it closes `open`, passes once
 * through every queue's lock, and waits until nothing is in flight.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "models/nvme/internal.h"
#include "models/nvme/nvme.h"

#define BAR_SIZE     0x4000u /* registers, doorbells, MSI-X table, pending bits: a page each */
#define MSIX_TABLE   0x2000u
#define MSIX_PENDING 0x3000u

uint64_t nvme_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void nvme_fatal(struct nvme *n, const char *why, uint64_t address)
{
	if (atomic_fetch_or(&n->kept->csts, NVME_CSTS_CFS) & NVME_CSTS_CFS)
		return;
	atomic_store(&n->open, false);
	uvfio_log(n->dev, UVFIO_LOG_ERROR,
		  "controller fatal status: %s (0x%llx); nothing is executed until a reset", why,
		  (unsigned long long)address);
}

/* ---- stopping and going on; all under life ---- */

/* Stop fetching commands, and wait until those handed over have ended. */
static void drain(struct nvme *n)
{
	atomic_store(&n->open, false);
	nvme_poll_stop(n);
	nvme_queues_pass(n);
	nvme_delay_hurry(n, true);
	pthread_mutex_lock(&n->drain_lock);
	atomic_store(&n->draining, true);
	while (atomic_load(&n->inflight))
		pthread_cond_wait(&n->drain_cond, &n->drain_lock);
	atomic_store(&n->draining, false);
	pthread_mutex_unlock(&n->drain_lock);
	nvme_delay_hurry(n, false);
}

void nvme_clear(struct nvme *n)
{
	nvme_log_reset(n);
	nvme_queues_clear(n);
	nvme_features_reset(n);
	for (unsigned i = 0; i < n->num_ns; i++)
		nvme_cache_reset(n, &n->ns[i]);
	atomic_store(&n->kept->intms, 0);
	atomic_store(&n->kept->csts, 0);
}

/* Do a controller level reset (7.3.2): nothing that was asked for completes. */
static void stop(struct nvme *n)
{
	atomic_store(&n->discard, true);
	drain(n);
	nvme_clear(n);
	atomic_store(&n->discard, false);
}

/* Allow commands to be fetched, if it is time; but first do again what a killed process left. */
static void go(struct nvme *n, bool again)
{
	if (atomic_load(&n->stopped) || atomic_load(&n->paused) ||
	    (atomic_load(&n->kept->csts) & (NVME_CSTS_RDY | NVME_CSTS_CFS)) != NVME_CSTS_RDY)
		return;
	if (nvme_workers_start(n)) {
		nvme_fatal(n, "no thread can be started", 0);
		return;
	}
	if (nvme_poll_watch(n)) {
		nvme_fatal(n, "no memory for a timer", 0);
		return;
	}
	if (again)
		nvme_do_again(n);
	atomic_store(&n->open, true);
}

int nvme_take_images(struct nvme *n, bool other)
{
	int err = 0;

	for (unsigned i = 0; i < n->num_ns && !err; i++)
		err = nvme_ns_take(n, &n->ns[i], other);
	return err;
}

/* Go on after quiesce: a register was written. */
static void wake(struct nvme *n)
{
	bool was;

	pthread_mutex_lock(&n->life);
	was = atomic_exchange(&n->paused, false);
	if (was)
		go(n, false);
	pthread_mutex_unlock(&n->life);
	if (was)
		nvme_kick_all(n);
}

static void enable(struct nvme *n, uint32_t cc)
{
	unsigned mps = NVME_CC_MPS(cc);
	uint64_t mask = (4096ull << mps) - 1, asq = atomic_load(&n->kept->asq),
		 acq = atomic_load(&n->kept->acq);
	uint32_t aqa = atomic_load(&n->kept->aqa);
	unsigned sqs = (aqa & 0xfff) + 1, cqs = (aqa >> 16 & 0xfff) + 1;
	enum nvme_bad bad = NVME_BAD_CC_VALUE;
	const char *why = NULL;
	uint64_t value = cc;

	if (mps > NVME_MPS_MAX)
		why = "CC.MPS is beyond CAP.MPSMAX";
	else if (NVME_CC_CSS(cc))
		why = "CC.CSS selects a command set that CAP.CSS does not have";
	else if (NVME_CC_AMS(cc))
		why = "CC.AMS selects an arbitration that CAP.AMS does not have";
	else if (NVME_CC_IOSQES(cc) && NVME_CC_IOSQES(cc) != NVME_SQES)
		why = "CC.IOSQES is not 6";
	else if (NVME_CC_IOCQES(cc) && NVME_CC_IOCQES(cc) != NVME_CQES)
		why = "CC.IOCQES is not 4";
	else if (sqs < 2 || cqs < 2)
		why = "AQA: an admin queue needs two entries or more", value = aqa;
	else if (asq & mask)
		why = "ASQ is not aligned to the page size", value = asq;
	else if (acq & mask)
		why = "ACQ is not aligned to the page size", value = acq;
	if (why) {
		if (value != cc)
			bad = NVME_BAD_ADMIN_QUEUE;
		uvfio_report(n->dev, bad, "%s (0x%llx)", why, (unsigned long long)value);
	} else if (!atomic_load(&n->stopped) && nvme_take_images(n, true)) {
		why = "an image is not to be had";
	}
	if (why) { /* 3.1.6: CFS instead of RDY */
		nvme_fatal(n, why, value);
		return;
	}
	n->page_shift = 12 + mps;
	nvme_cq_setup(&n->cq[0], n, acq, cqs, 0, true);
	pthread_mutex_lock(&n->sq[0].lock);
	nvme_sq_setup(&n->sq[0], 0, asq, sqs);
	pthread_mutex_unlock(&n->sq[0].lock);
	atomic_fetch_or(&n->kept->csts, NVME_CSTS_RDY);
	go(n, false);
}

/* Set CSTS.SHST. Under drain_lock, so that `shutdowns` and it change together. */
static void set_shst(struct nvme *n, uint32_t value)
{
	uint32_t old = atomic_load(&n->kept->csts);

	while (!atomic_compare_exchange_weak(&n->kept->csts, &old,
					     (old & ~NVME_CSTS_SHST_MASK) | value))
		;
}

/*
 * Of several (the driver took one back and asked again) the last says that all is written. That not
 * all could be has no place in a register (3.1.6): a shutdown ends all the same, and the log tells.
 */
void nvme_shutdown_done(struct nvme *n, bool ok)
{
	if (!ok)
		uvfio_log(n->dev, UVFIO_LOG_ERROR, "shutdown: not all data could be written");
	pthread_mutex_lock(&n->drain_lock);
	if (!--n->shutdowns &&
	    (atomic_load(&n->kept->csts) & NVME_CSTS_SHST_MASK) == NVME_CSTS_SHST_BUSY)
		set_shst(n, NVME_CSTS_SHST_DONE);
	pthread_mutex_unlock(&n->drain_lock);
}

/* Flush for CC.SHN; a stopped controller does so when it goes on. Under life. */
static void shut_down(struct nvme *n)
{
	n->shutdown_due = atomic_load(&n->stopped);
	if (!n->shutdown_due && (nvme_workers_start(n) || nvme_io_shutdown(n)))
		nvme_shutdown_done(n, false);
}

/* Shut down: either kind ends with the data on the medium. 3.1.5 SHN, 7.6.2. Under life. */
static void write_shn(struct nvme *n, unsigned old, unsigned new)
{
	bool start = new && !old;

	if (!start && new)
		return;
	pthread_mutex_lock(&n->drain_lock);
	n->shutdowns += start;
	set_shst(n, start ? NVME_CSTS_SHST_BUSY : 0);
	pthread_mutex_unlock(&n->drain_lock);
	if (start)
		shut_down(n);
}

void nvme_change_cc(struct nvme *n, uint32_t old, uint32_t cc)
{
	atomic_store(&n->kept->cc_op, NVME_CC_OP | (uint64_t)old << 32 | cc);
	atomic_store(&n->kept->cc, cc);
	if (!(old & NVME_CC_EN) && cc & NVME_CC_EN)
		enable(n, cc);
	else if (old & NVME_CC_EN && !(cc & NVME_CC_EN))
		stop(n);
	write_shn(n, NVME_CC_SHN(old), NVME_CC_SHN(cc));
	atomic_store(&n->kept->cc_op, 0);
}

static void write_cc(struct nvme *n, uint32_t value)
{
	uint32_t old;

	pthread_mutex_lock(&n->life);
	old = atomic_load(&n->kept->cc);
	nvme_judge_cc(n, old, value);
	nvme_change_cc(n, old, value & NVME_CC_WRITABLE);
	pthread_mutex_unlock(&n->life);
}

/* ---- registers: 3.1 ---- */

static uint32_t read_csts(struct nvme *n)
{
	uint32_t csts = atomic_load(&n->kept->csts);

	/* no EN that is changing: its write ends when RDY is what it will be */
	if (!(csts & NVME_CSTS_RDY) == !(atomic_load(&n->kept->cc) & NVME_CC_EN) ||
	    csts & NVME_CSTS_CFS)
		atomic_store_explicit(&n->seen_ready, true, memory_order_relaxed);
	return csts;
}

static uint32_t read32(struct nvme *n, uint64_t offset)
{
	/*
	 * 3.1.24: what a doorbell reads as is not defined: what was written last, as when the page
	 * is open
	 */
	if (offset >= NVME_DOORBELLS)
		return offset < NVME_DOORBELLS + NVME_DOORBELL_PAGE
			       ? atomic_load(&n->doorbells[(offset - NVME_DOORBELLS) / 4])
			       : 0;
	switch (offset) {
	case NVME_REG_CAP:
		return (uint32_t)n->cap;
	case NVME_REG_CAP + 4:
		return (uint32_t)(n->cap >> 32);
	case NVME_REG_VS:
		return NVME_VS_1_4;
	case NVME_REG_INTMS:
	case NVME_REG_INTMC:
		return atomic_load(&n->kept->intms);
	case NVME_REG_CC:
		return atomic_load(&n->kept->cc);
	case NVME_REG_CSTS:
		return read_csts(n);
	case NVME_REG_AQA:
		return atomic_load(&n->kept->aqa);
	case NVME_REG_ASQ:
		return (uint32_t)atomic_load(&n->kept->asq);
	case NVME_REG_ASQ + 4:
		return (uint32_t)(atomic_load(&n->kept->asq) >> 32);
	case NVME_REG_ACQ:
		return (uint32_t)atomic_load(&n->kept->acq);
	case NVME_REG_ACQ + 4:
		return (uint32_t)(atomic_load(&n->kept->acq) >> 32);
	default:
		return 0; /* reserved, or of a feature that CAP does not have */
	}
}

static int bar_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t *value)
{
	struct nvme *n = uvfio_priv(dev);

	if (size == 8)
		*value = (uint64_t)read32(n, offset + 4) << 32 | read32(n, offset);
	else
		*value = read32(n, offset & ~3ull) >> (offset & 3) * 8;
	return 0;
}

static void half(_Atomic uint64_t *reg, bool upper, uint32_t value)
{
	uint64_t old = atomic_load(reg), new;

	do {
		new = upper ? (old & 0xffffffffull) | (uint64_t)value << 32
			    : (old & ~0xffffffffull) | value;
	} while (!atomic_compare_exchange_weak(reg, &old, new));
}

static void write32(struct nvme *n, uint64_t offset, uint32_t value)
{
	nvme_judge_store(n, offset, value);
	switch (offset) {
	case NVME_REG_INTMS:
		atomic_fetch_or(&n->kept->intms, value);
		nvme_irq_update(n);
		break;
	case NVME_REG_INTMC: {
		uint32_t were = atomic_fetch_and(&n->kept->intms, ~value);

		nvme_irq_replay(n, were & value);
		break;
	}
	case NVME_REG_CC:
		write_cc(n, value);
		break;
	case NVME_REG_AQA:
		atomic_store(&n->kept->aqa, value & 0x0fff0fff);
		break;
	case NVME_REG_ASQ:
	case NVME_REG_ASQ + 4:
		half(&n->kept->asq, offset & 4, offset & 4 ? value : value & ~0xfffu);
		break;
	case NVME_REG_ACQ:
	case NVME_REG_ACQ + 4:
		half(&n->kept->acq, offset & 4, offset & 4 ? value : value & ~0xfffu);
		break;
	default:
		break; /* read-only and reserved */
	}
}

static int bar_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		     uint64_t value)
{
	struct nvme *n = uvfio_priv(dev);

	if (atomic_load_explicit(&n->paused, memory_order_relaxed))
		wake(n);
	if (offset >= NVME_DOORBELLS) {
		if (size != 4) {
			uvfio_log(dev, UVFIO_LOG_WARN,
				  "doorbell at 0x%llx written with %u bytes; it takes 4",
				  (unsigned long long)offset, size);
			return -EINVAL;
		}
		nvme_doorbell(n, offset, (uint32_t)value); /* has a barrier behind what it stores */
		if (atomic_load_explicit(&n->paused, memory_order_relaxed))
			wake(n); /* quiesced while this was under way */
		return 0;
	}
	if (size < 4)
		return -EINVAL; /* 3.1: registers are written as dwords or quadwords */
	write32(n, offset, (uint32_t)value);
	if (size == 8)
		write32(n, offset + 4, (uint32_t)(value >> 32));
	return 0;
}

/* ---- callbacks about the function ---- */

void nvme_reset_registers(struct nvme *n)
{
	atomic_store(&n->kept->resetting, true);
	stop(n);
	atomic_store(&n->kept->cc, 0);
	atomic_store(&n->kept->aqa, 0);
	atomic_store(&n->kept->asq, 0);
	atomic_store(&n->kept->acq, 0);
	atomic_store(&n->kept->resetting, false);
}

static void reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	struct nvme *n = uvfio_priv(dev);

	pthread_mutex_lock(&n->life);
	nvme_kept_begin(n);
	nvme_reset_registers(n);
	atomic_store(&n->paused, false);
	atomic_store(&n->seen_ready, true);
	/* of a migration that failed: whose they were may have them back */
	for (unsigned i = 0; i < n->num_ns && atomic_load(&n->stopped); i++)
		nvme_ns_release(&n->ns[i]);
	pthread_mutex_unlock(&n->life);
}

/*
 * Everything that was rung before completes; only then do the threads end. A doorbell that comes
 * meanwhile either is seen here or finds `paused` and resumes (bar_write looks after its tail is
 * stored).
 */
static void quiesce(struct uvfio_dev *dev)
{
	struct nvme *n = uvfio_priv(dev);

	pthread_mutex_lock(&n->life);
	atomic_store(&n->paused, true);
	nvme_poll_stop(n);
	nvme_delay_hurry(n, true); /* what waits may have the slots of what was not fetched */
	nvme_kick_all(n);
	nvme_queues_settle(n);
	drain(n);
	nvme_workers_stop(n);
	pthread_mutex_unlock(&n->life);
}

/*
 * No_Soft_Reset is clear: the way back to D0 is a reset, which opens again. Till then there is no
 * DMA, not for a completion either.
 */
static void power(struct uvfio_dev *dev, unsigned d)
{
	struct nvme *n = uvfio_priv(dev);

	if (!d)
		return;
	pthread_mutex_lock(&n->life);
	atomic_store(&n->discard, true);
	drain(n);
	atomic_store(&n->discard, false);
	pthread_mutex_unlock(&n->life);
}

static void config_written(struct uvfio_dev *dev, unsigned offset, unsigned size)
{
	struct nvme *n = uvfio_priv(dev);

	bool mastering = uvfio_dma_allowed(dev);

	/*
	 * Another kind of interrupt: the line follows, and what is pending, which counts for the
	 * pin and MSI. For that a completion is waited for which is being posted, so not without
	 * need: the driver may be another process that answers no DMA while it waits for this.
	 */
	if (uvfio_irq_mode(dev) == UVFIO_IRQ_MSIX)
		nvme_irq_update(n);
	else
		nvme_irq_replay(n, 0);
	/* bus mastering is back: doorbell buffers were not looked at without it */
	if (atomic_exchange(&n->mastering, mastering) < mastering && atomic_load(&n->kept->shadow))
		nvme_kick_all(n);
}

/*
 * ---- stopped, for a migration: what is in flight completes; what was rung and not fetched is for
 * the controller that goes on, here or there ----
 */

static int stop_running(struct uvfio_dev *dev, enum uvfio_stop_kind kind)
{
	struct nvme *n = uvfio_priv(dev);
	unsigned inflight = atomic_load(&n->inflight);

	pthread_mutex_lock(&n->life);
	if (!atomic_exchange(&n->stopped, true)) {
		drain(n);
		nvme_workers_stop(n);
		/* a thread that is telling of an event is done; the next one finds us stopped */
		pthread_mutex_lock(&n->admin);
		pthread_mutex_unlock(&n->admin);
		nvme_doorbell_strays(n);
		uvfio_log(dev, UVFIO_LOG_DEBUG, "stopped; %u commands were in flight", inflight);
	}
	if (kind == UVFIO_STOP_ALL)
		for (unsigned i = 0; i < n->num_ns; i++) {
			if (!n->ns[i].readonly && n->ns[i].taken)
				nvme_cache_flush(n, &n->ns[i]);
			nvme_ns_release(&n->ns[i]);
		}
	pthread_mutex_unlock(&n->life);
	return 0;
}

static void resume(struct uvfio_dev *dev)
{
	struct nvme *n = uvfio_priv(dev);
	bool moved;

	pthread_mutex_lock(&n->life);
	atomic_store(&n->stopped, false);
	moved = n->moved;
	n->moved = false;
	/* not yet enabled: the images can wait until then */
	if (atomic_load(&n->kept->csts) & NVME_CSTS_RDY && nvme_take_images(n, true))
		nvme_fatal(n, "an image is not to be had", 0);
	go(n, moved);
	if (n->shutdown_due)
		shut_down(n);
	pthread_mutex_unlock(&n->life);
	nvme_irq_replay(n, moved ? ~atomic_load(&n->kept->intms) : 0);
	if (moved)
		nvme_irq_again(n);
	nvme_events_deliver(n);
	nvme_doorbells_look(n);
}

/* ---- creation ---- */

static const struct uvfio_option options[] = {
	{ .name = "image",
	  /* `uvfio run` makes it absolute: the program may change its directory */
	  .type = UVFIO_OPT_PATH,
	  .help = "file or block device behind a namespace; several: namespaces 1, 2, ...",
	  .required = true,
	  .multiple = true },
	{ .name = "blocksize",
	  .type = UVFIO_OPT_UINT,
	  .def = "512",
	  .help = "bytes in a logical block: 512 or 4096",
	  .min = 512,
	  .max = 4096 },
	{ .name = "readonly",
	  .type = UVFIO_OPT_BOOL,
	  .def = "off",
	  .help = "write protected; images are opened for reading and may be shared" },
	{ .name = "incoming",
	  .type = UVFIO_OPT_BOOL,
	  .def = "off",
	  .help = "the images may be in use, by the device that will migrate here, until the "
		  "controller is enabled or its state arrives" },
	{ .name = "serial",
	  .type = UVFIO_OPT_STRING,
	  .help = "serial number, 20 characters at most; default: from the address and the image" },
	{ .name = "max_queues",
	  .type = UVFIO_OPT_UINT,
	  .def = "64",
	  .help = "I/O queue pairs",
	  .min = 1,
	  .max = NVME_MAX_QUEUES },
	{ .name = "vectors",
	  .type = UVFIO_OPT_UINT,
	  .def = "65",
	  .help = "MSI-X vectors",
	  .min = 1,
	  .max = NVME_QUEUES },
	{ .name = "msix",
	  .type = UVFIO_OPT_BOOL,
	  .def = "on",
	  .help = "MSI-X capability; off: drivers use MSI" },
	{ .name = "mdts",
	  .type = UVFIO_OPT_UINT,
	  .def = "7",
	  .help = "largest transfer: 4 KiB << mdts",
	  .min = 1,
	  .max = NVME_MDTS_MAX },
	{ .name = "poll",
	  .type = UVFIO_OPT_UINT,
	  .def = "100",
	  .help = "microseconds: a driver that rings twice within them is polled until it has not "
		  "rung for as long; 0: never",
	  .min = 0,
	  .max = 1000000 },
	{ .name = "latency",
	  .type = UVFIO_OPT_STRING,
	  .def = "0",
	  .help = "time from a command's fetch to its completion, as 10us, or at random of a "
		  "range, as 5us-2ms; 0: none" },
	{ .name = NULL },
};

/* Go on with an FNV-1a hash: for identities that are stable and differ, nothing more. */
static uint64_t hash(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	while (len--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

/* Make a version 8 UUID (RFC 9562, 5.8) of the serial number and @nsid (0: the subsystem). */
static void make_uuid(const struct nvme *n, uint32_t nsid, uint8_t *uuid)
{
	uint64_t h[2] = { 0xcbf29ce484222325ull, 0x84222325cbf29ce4ull };

	for (int i = 0; i < 2; i++) {
		h[i] = hash(h[i], n->serial, sizeof(n->serial));
		h[i] = hash(h[i], &nsid, sizeof(nsid));
	}
	memcpy(uuid, h, 16);
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x80);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
}

static int make_serial(struct nvme *n)
{
	const char *serial = uvfio_opt_string(n->dev, "serial", 0);
	const char *name = uvfio_dev_name(n->dev);
	uint64_t h = 0xcbf29ce484222325ull;
	struct stat st;

	if (serial && *serial) {
		if (strlen(serial) > 20)
			return uvfio_error(n->dev, "serial=%s: longer than 20 characters", serial);
		for (const char *p = serial; *p; p++)
			if (*p < 0x20 || *p > 0x7e) /* 1.5: ASCII strings */
				return uvfio_error(n->dev, "serial=%s: not printable ASCII",
						   serial);
		snprintf(n->serial, sizeof(n->serial), "%s", serial);
		return 0;
	}
	/* By address too: two controllers may show the same image, read-only, to one guest. */
	h = hash(h, name, strlen(name));
	if (!fstat(n->ns[0].fd, &st)) {
		h = hash(h, &st.st_dev, sizeof(st.st_dev));
		h = hash(h, &st.st_ino, sizeof(st.st_ino));
	}
	snprintf(n->serial, sizeof(n->serial), "uvfio%015llx",
		 (unsigned long long)(h & 0xfffffffffffffffull));
	return 0;
}

static int open_images(struct nvme *n)
{
	unsigned count = uvfio_opt_count(n->dev, "image");
	unsigned blocksize = (unsigned)uvfio_opt_uint(n->dev, "blocksize", 0);
	bool readonly = uvfio_opt_bool(n->dev, "readonly", 0);
	bool incoming = uvfio_opt_bool(n->dev, "incoming", 0);
	int err;

	if (!count)
		return uvfio_error(
			n->dev, "image=PATH is missing; make one with `truncate -s 1G disk.img`");
	if (count > NVME_MAX_NS)
		return uvfio_error(n->dev, "%u images; a controller has %u namespaces at most",
				   count, NVME_MAX_NS);
	if (blocksize != 512 && blocksize != 4096)
		return uvfio_error(n->dev, "blocksize=%u: 512 or 4096", blocksize);
	for (; n->num_ns < count; n->num_ns++) {
		err = nvme_ns_open(n->dev, &n->ns[n->num_ns], n->num_ns + 1,
				   uvfio_opt_string(n->dev, "image", n->num_ns), blocksize,
				   readonly, incoming);
		if (err)
			return err;
	}
	return 0;
}

static int describe(struct nvme *n)
{
	/*
	 * The ids of QEMU's controller, so that tools which know it by them know this one; the
	 * class is what drivers bind to.
	 */
	static const struct uvfio_ids ids = { 0x1b36, 0x0010, 0x1af4, 0x1100, 0x010802, 2 };
	bool msix = uvfio_opt_bool(n->dev, "msix", 0);
	unsigned msi = 32;
	int err;

	while (msi > n->vectors)
		msi /= 2;
	if (!msix)
		n->vectors = msi;
	if ((err = uvfio_set_ids(n->dev, &ids)) < 0 ||
	    (err = uvfio_add_bar(n->dev, 0, BAR_SIZE, UVFIO_BAR_64)) < 0 ||
	    (err = uvfio_set_pages(n->dev, 0, NVME_DOORBELLS, NVME_DOORBELL_PAGE,
				   UVFIO_PAGE_POLLED)) < 0 ||
	    (err = uvfio_add_intx(n->dev, 1, true)) < 0 ||
	    (err = uvfio_add_pm(n->dev, false)) < 0 ||
	    (err = uvfio_add_msi(n->dev, msi, true, true)) < 0 ||
	    (err = uvfio_add_pcie(n->dev, true)) < 0 ||
	    (msix &&
	     (err = uvfio_add_msix(n->dev, n->vectors, 0, MSIX_TABLE, 0, MSIX_PENDING)) < 0) ||
	    (err = uvfio_add_aer(n->dev)) < 0 ||
	    (err = uvfio_add_dsn(n->dev,
				 hash(0xcbf29ce484222325ull, n->serial, sizeof(n->serial)))) < 0)
		return err;
	return 0;
}

static void release(struct nvme *n)
{
	if (n->keep_alive)
		uvfio_timer_free(n->keep_alive);
	if (n->look)
		uvfio_timer_free(n->look);
	nvme_delay_fini(n);
	for (unsigned i = 0; i < n->num_ns; i++)
		nvme_ns_close(n->dev, &n->ns[i]);
	for (unsigned c = 0; c < NVME_BOUNCE_CLASSES; c++)
		while (n->bounce.count[c])
			free(n->bounce.free[c][--n->bounce.count[c]]);
	nvme_queues_fini(n);
	pthread_mutex_destroy(&n->life);
	pthread_mutex_destroy(&n->drain_lock);
	pthread_mutex_destroy(&n->irq_lock);
	pthread_mutex_destroy(&n->page_lock);
	pthread_mutex_destroy(&n->admin);
	pthread_mutex_destroy(&n->log_lock);
	pthread_mutex_destroy(&n->pool.lock);
	pthread_mutex_destroy(&n->bounce.lock);
	pthread_mutex_destroy(&n->delay.lock);
	pthread_cond_destroy(&n->drain_cond);
	pthread_cond_destroy(&n->pool.cond);
	for (unsigned i = 0; i < NVME_WORKERS; i++)
		pthread_mutex_destroy(&n->worker[i].lock);
	free(n->cids);
	free(n);
}

static int create(struct uvfio_dev *dev)
{
	struct nvme *n = calloc(1, sizeof(*n));
	int err;

	if (!n)
		return -ENOMEM;
	n->dev = dev;
	n->max_queues = (unsigned)uvfio_opt_uint(dev, "max_queues", 0);
	n->cids = calloc(n->max_queues + 1, NVME_CIDS);
	if (!n->cids) {
		free(n);
		return -ENOMEM;
	}
	n->vectors = (unsigned)uvfio_opt_uint(dev, "vectors", 0);
	n->mdts = (unsigned)uvfio_opt_uint(dev, "mdts", 0);
	/* with one processor the worker would poll while the driver waits for it */
	n->poll_ns = uvfio_cpus(dev) > 1 ? uvfio_opt_uint(dev, "poll", 0) * 1000 : 0;
	n->page_shift = 12;
	/*
	 * 3.1.1: 4096 entries, contiguous queues, 20 s to get ready, doorbells of 4 bytes, pages of
	 * 4 KiB to 64 KiB
	 */
	n->cap = (NVME_MAX_ENTRIES - 1) | NVME_CAP_CQR | NVME_CAP_TO(40) | NVME_CAP_CSS_NVM |
		 NVME_CAP_MPSMAX(NVME_MPS_MAX);
	pthread_mutex_init(&n->life, NULL);
	pthread_mutex_init(&n->drain_lock, NULL);
	pthread_mutex_init(&n->irq_lock, NULL);
	pthread_mutex_init(&n->page_lock, NULL);
	pthread_mutex_init(&n->admin, NULL);
	pthread_mutex_init(&n->log_lock, NULL);
	pthread_mutex_init(&n->pool.lock, NULL);
	pthread_mutex_init(&n->bounce.lock, NULL);
	pthread_mutex_init(&n->delay.lock, NULL);
	pthread_cond_init(&n->drain_cond, NULL);
	pthread_cond_init(&n->pool.cond, NULL);
	for (unsigned i = 0; i < NVME_WORKERS; i++)
		pthread_mutex_init(&n->worker[i].lock, NULL);
	nvme_queues_init(n);
	err = nvme_delay_init(n);
	if (!err)
		err = open_images(n);
	if (!err)
		err = nvme_kept_init(n);
	if (!err)
		err = make_serial(n);
	if (!err)
		err = describe(n);
	if (err) {
		release(n);
		return err;
	}
	n->doorbells = uvfio_polled_memory(dev, 0, NVME_DOORBELLS);
	nvme_queues_doorbells(n);
	make_uuid(n, 0, n->subsystem_uuid);
	for (unsigned i = 0; i < n->num_ns; i++)
		make_uuid(n, i + 1, n->ns[i].uuid);
	uvfio_set_priv(dev, n);
	return 0;
}

static void destroy(struct uvfio_dev *dev)
{
	struct nvme *n = uvfio_priv(dev);

	pthread_mutex_lock(&n->life);
	atomic_store(&n->discard, true);
	drain(n);
	nvme_workers_stop(n);
	pthread_mutex_unlock(&n->life);
	uvfio_set_priv(dev, NULL);
	release(n);
}

const struct uvfio_model model_nvme = {
	UVFIO_MODEL_INIT,
	.name = "nvme",
	.summary = "NVMe 1.4 disk on image files",
	.options = options,
	.concurrent = true,
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.bar_read = bar_read,
	.bar_write = bar_write,
	.config_written = config_written,
	.power = power,
	.quiesce = quiesce,
	.regs = nvme_reg_names,
	.reg_ranges = nvme_reg_ranges,
	.faults = nvme_faults,
	.kinds = nvme_kinds,
	.state_version = 1,
	.stop = stop_running,
	.resume = resume,
	.describe = nvme_describe,
	.save = nvme_save,
	.load = nvme_load,
	.carry_on = nvme_carry_on,
	.show = nvme_show,
};
