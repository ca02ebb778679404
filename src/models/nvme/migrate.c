/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/migrate.c: the state of a stopped controller, saved and loaded. Nothing is in flight
 * then: a command was executed and its completion posted, or it lies in its queue, not fetched.
 * Doorbells are in the polled page, which uvfio saves.
 *
 * The data is in the images, which are not part of the state: both controllers open the same ones.
 * The one that stops puts everything on the medium and gives up its locks; the one that loads takes
 * them, and looks at some blocks to find out whether they are the same images.
 *
 * Who sent the state may not mean well: what is loaded is checked so that no register and no
 * command could not have made it, as far as the code relies on that.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "models/nvme/internal.h"

#define SAMPLES	     16u
#define SAMPLE_BYTES 4096u

/* ---- the same device ---- */

void nvme_describe(struct uvfio_dev *dev, struct uvfio_state *s)
{
	const struct nvme *n = uvfio_priv(dev);
	char what[48];

	uvfio_same_text(s, "serial number", n->serial);
	uvfio_same(s, "mdts", n->mdts);
	uvfio_same(s, "max_queues", n->max_queues);
	uvfio_same(s, "vectors", n->vectors);
	uvfio_same(s, "number of images", n->num_ns);
	for (unsigned i = 0; i < n->num_ns; i++) {
		snprintf(what, sizeof(what), "block size of namespace %u", i + 1);
		uvfio_same(s, what, 1u << n->ns[i].shift);
		snprintf(what, sizeof(what), "blocks of namespace %u", i + 1);
		uvfio_same(s, what, n->ns[i].blocks);
		snprintf(what, sizeof(what), "readonly of namespace %u", i + 1);
		uvfio_same(s, what, n->ns[i].readonly);
	}
}

/* Return a sum (FNV-1a) of blocks here and there in the image, the first and the last among them.
 */
static uint64_t sample(const struct nvme_ns *ns)
{
	uint64_t size = ns->blocks << ns->shift, h = 0xcbf29ce484222325ull;
	unsigned char buf[SAMPLE_BYTES];

	for (unsigned i = 0; i < SAMPLES; i++) {
		uint64_t off = size > sizeof(buf) ? (size - sizeof(buf)) * i / (SAMPLES - 1) : 0;
		ssize_t len = pread(ns->fd, buf, sizeof(buf), (off_t)off);

		for (ssize_t k = 0; k < len; k++)
			h = (h ^ buf[k]) * 0x100000001b3ull;
	}
	return h;
}

static void same_contents(struct nvme *n, struct uvfio_state *s)
{
	char what[48];

	for (unsigned i = 0; i < n->num_ns; i++) {
		snprintf(what, sizeof(what), "contents of namespace %u", i + 1);
		uvfio_same(s, what, sample(&n->ns[i]));
	}
}

/* ---- registers ---- */

static void save_registers(struct nvme *n, struct uvfio_state *s)
{
	uvfio_put32(s, atomic_load(&n->cc));
	uvfio_put32(s, atomic_load(&n->csts));
	uvfio_put32(s, atomic_load(&n->intms));
	uvfio_put32(s, atomic_load(&n->aqa));
	uvfio_put64(s, atomic_load(&n->asq));
	uvfio_put64(s, atomic_load(&n->acq));
	uvfio_put64(s, atomic_load(&n->shadow));
	uvfio_put64(s, n->eventidx);
	uvfio_put32(s, n->admin_start);
	uvfio_put8(s, atomic_load(&n->sq[0].shadow) != 0);
	uvfio_put32(s, atomic_load(&n->warned));
}

/* True if the two registers could be so: 3.1.5, 3.1.6. */
static bool registers_fit(uint32_t cc, uint32_t csts)
{
	bool enabled = cc & NVME_CC_EN, ready = csts & NVME_CSTS_RDY, fatal = csts & NVME_CSTS_CFS;

	if (cc & ~NVME_CC_WRITABLE ||
	    csts & ~(NVME_CSTS_RDY | NVME_CSTS_CFS | NVME_CSTS_SHST_MASK) ||
	    (csts & NVME_CSTS_SHST_MASK) == NVME_CSTS_SHST_MASK)
		return false;
	if (enabled != (ready || fatal))
		return false;
	return !ready || (NVME_CC_MPS(cc) <= NVME_MPS_MAX && !NVME_CC_CSS(cc));
}

static int load_registers(struct nvme *n, struct uvfio_state *s, bool *admin_shadow)
{
	uint32_t cc = uvfio_get32(s), csts = uvfio_get32(s), intms = uvfio_get32(s);
	uint32_t aqa = uvfio_get32(s), admin_start;
	uint64_t asq = uvfio_get64(s), acq = uvfio_get64(s), shadow = uvfio_get64(s);
	uint64_t eventidx = uvfio_get64(s), mask;

	admin_start = uvfio_get32(s);
	*admin_shadow = uvfio_get8(s);
	if (!registers_fit(cc, csts))
		return uvfio_load_error(s, "CC %xh with CSTS %xh", cc, csts);
	mask = (4096ull << NVME_CC_MPS(cc)) - 1;
	if (aqa & ~0x0fff0fffu || asq & 0xfff || acq & 0xfff)
		return uvfio_load_error(s, "AQA %xh, ASQ %llxh, ACQ %llxh", aqa,
					(unsigned long long)asq, (unsigned long long)acq);
	if ((shadow || eventidx) && (!(csts & NVME_CSTS_RDY) || shadow & mask || eventidx & mask))
		return uvfio_load_error(s, "doorbell buffers at %llxh and %llxh",
					(unsigned long long)shadow, (unsigned long long)eventidx);
	if (*admin_shadow && !shadow)
		return uvfio_load_error(s, "doorbell buffers of the admin queue alone");
	atomic_store(&n->cc, cc);
	atomic_store(&n->csts, csts);
	atomic_store(&n->intms, intms);
	atomic_store(&n->aqa, aqa);
	atomic_store(&n->asq, asq);
	atomic_store(&n->acq, acq);
	n->page_shift = csts & NVME_CSTS_RDY ? 12 + NVME_CC_MPS(cc) : 12;
	atomic_store(&n->shadow, shadow);
	n->eventidx = eventidx;
	n->admin_start = admin_start;
	n->shutdown_due = (csts & NVME_CSTS_SHST_MASK) == NVME_CSTS_SHST_BUSY;
	n->shutdowns = n->shutdown_due;
	atomic_store(&n->warned, uvfio_get32(s));
	return 0;
}

/* ---- queues ---- */

static void save_cq(struct nvme_cq *cq, struct uvfio_state *s)
{
	pthread_mutex_lock(&cq->lock);
	uvfio_put16(s, (uint16_t)atomic_load(&cq->size));
	if (atomic_load(&cq->size)) {
		uvfio_put64(s, cq->base);
		uvfio_put16(s, (uint16_t)cq->head);
		uvfio_put16(s, (uint16_t)cq->tail);
		uvfio_put16(s, cq->vector);
		uvfio_put8(s, cq->phase);
		uvfio_put8(s, cq->ien);
	}
	pthread_mutex_unlock(&cq->lock);
}

static void save_sq(struct nvme_sq *sq, struct uvfio_state *s)
{
	pthread_mutex_lock(&sq->lock);
	uvfio_put16(s, (uint16_t)atomic_load(&sq->size));
	if (atomic_load(&sq->size)) {
		uvfio_put64(s, sq->base);
		uvfio_put16(s, (uint16_t)atomic_load(&sq->head));
		uvfio_put16(s, (uint16_t)atomic_load(&sq->tail));
		uvfio_put16(s, atomic_load(&sq->cqid));
	}
	pthread_mutex_unlock(&sq->lock);
}

static void save_queues(struct nvme *n, struct uvfio_state *s)
{
	for (unsigned i = 0; i <= n->max_queues; i++)
		save_cq(&n->cq[i], s);
	for (unsigned i = 0; i <= n->max_queues; i++)
		save_sq(&n->sq[i], s);
}

/* True if a queue of @size entries can be at @base. */
static bool queue_fits(const struct nvme *n, unsigned size, uint64_t base)
{
	return atomic_load(&n->csts) & NVME_CSTS_RDY && size >= 2 && size <= NVME_MAX_ENTRIES &&
	       !(base & ((1ull << n->page_shift) - 1));
}

static int load_cq(struct nvme *n, struct nvme_cq *cq, struct uvfio_state *s, bool shadow)
{
	unsigned size = uvfio_get16(s), head, tail, vector;
	uint64_t base;
	bool phase, ien;

	if (!size)
		return 0;
	base = uvfio_get64(s);
	head = uvfio_get16(s);
	tail = uvfio_get16(s);
	vector = uvfio_get16(s);
	phase = uvfio_get8(s);
	ien = uvfio_get8(s);
	if (!queue_fits(n, size, base) || head >= size || tail >= size || vector >= n->vectors ||
	    (!cq->id && (vector || !ien)))
		return uvfio_load_error(
			s, "completion queue %u: %u entries at %llxh, head %u, tail %u, vector %u",
			cq->id, size, (unsigned long long)base, head, tail, vector);
	pthread_mutex_lock(&cq->lock);
	cq->base = base;
	cq->head = head;
	cq->tail = tail;
	cq->vector = (uint16_t)vector;
	cq->phase = phase;
	cq->ien = ien;
	cq->shadow = shadow ? nvme_buffer_slot(atomic_load(&n->shadow), cq->id, true) : 0;
	cq->eventidx = shadow ? nvme_buffer_slot(n->eventidx, cq->id, true) : 0;
	if (cq->id && ien)
		atomic_fetch_add(&n->pin_queues, 1);
	atomic_store(&cq->size, size);
	pthread_mutex_unlock(&cq->lock);
	return 0;
}

static int load_sq(struct nvme *n, struct nvme_sq *sq, struct uvfio_state *s, bool shadow)
{
	unsigned size = uvfio_get16(s), head, tail, cqid;
	uint64_t base;

	if (!size)
		return 0;
	base = uvfio_get64(s);
	head = uvfio_get16(s);
	tail = uvfio_get16(s);
	cqid = uvfio_get16(s);
	if (!queue_fits(n, size, base) || head >= size || tail >= size || cqid > n->max_queues ||
	    !sq->id != !cqid || !atomic_load(&n->cq[cqid].size))
		return uvfio_load_error(s,
					"submission queue %u: %u entries at %llxh, head %u, tail "
					"%u, completion queue %u",
					sq->id, size, (unsigned long long)base, head, tail, cqid);
	pthread_mutex_lock(&sq->lock);
	sq->base = base;
	atomic_store(&sq->cqid, (uint16_t)cqid);
	atomic_store(&sq->head, head);
	atomic_store(&sq->tail, tail);
	sq->eventidx = shadow ? nvme_buffer_slot(n->eventidx, sq->id, false) : 0;
	atomic_store(&sq->shadow,
		     shadow ? nvme_buffer_slot(atomic_load(&n->shadow), sq->id, false) : 0);
	atomic_store(&sq->size, size);
	atomic_fetch_or(&n->live[sq->id / 64], 1ull << sq->id % 64);
	atomic_fetch_add(&n->cq[cqid].users, 1);
	pthread_mutex_unlock(&sq->lock);
	return 0;
}

static int load_queues(struct nvme *n, struct uvfio_state *s, bool admin_shadow)
{
	bool ready = atomic_load(&n->csts) & NVME_CSTS_RDY;
	int err = 0;

	for (unsigned i = 0; i <= n->max_queues && !err; i++)
		err = load_cq(n, &n->cq[i], s, i || admin_shadow);
	for (unsigned i = 0; i <= n->max_queues && !err; i++)
		err = load_sq(n, &n->sq[i], s, i || admin_shadow);
	if (!err && ready && !atomic_load(&n->sq[0].size))
		err = uvfio_load_error(s, "ready without an admin queue");
	return err;
}

/* ---- features, events ---- */

static void save_admin(struct nvme *n, struct uvfio_state *s)
{
	struct nvme_features *f = &n->feat;
	uint64_t now = nvme_now_ns();

	pthread_mutex_lock(&n->admin);
	uvfio_put32(s, f->arbitration);
	uvfio_put32(s, f->power);
	uvfio_put32(s, f->coalesce);
	uvfio_put32(s, f->atomicity);
	uvfio_put32(s, f->async_event);
	uvfio_put8(s, (uint8_t)atomic_load(&f->write_cache));
	uvfio_put16(s, f->over);
	uvfio_put16(s, f->under);
	for (unsigned i = 0; i < n->vectors; i++)
		uvfio_put8(s, (uint8_t)f->vector[i]);
	uvfio_put64(s, (f->timestamp + (now - f->timestamp_at) / 1000000) & 0xffffffffffffull);
	uvfio_put8(s, f->timestamp_set);
	uvfio_put32(s, f->keep_alive);
	uvfio_put64(s, n->keep_alive ? uvfio_timer_left(n->keep_alive) : UINT64_MAX);
	uvfio_put8(s, f->retry_delays);
	uvfio_put8(s, (uint8_t)n->num_aer);
	for (unsigned i = 0; i < n->num_aer; i++)
		uvfio_put16(s, n->aer[i]);
	uvfio_put16(s, (uint16_t)(n->events | atomic_load(&n->new_events)));
	uvfio_put8(s, n->events_masked);
	uvfio_put8(s, (uint8_t)(n->hot | n->cold << 1));
	pthread_mutex_unlock(&n->admin);
}

/* With admin. */
static int load_features(struct nvme *n, struct uvfio_state *s)
{
	struct nvme_features *f = &n->feat;
	uint8_t write_cache, retry_delays;
	uint64_t left;

	f->arbitration = uvfio_get32(s) & 0xffffff07;
	f->power = uvfio_get32(s) & 0xe0;
	f->coalesce = uvfio_get32(s) & 0xffff;
	f->atomicity = uvfio_get32(s) & 1;
	f->async_event = uvfio_get32(s) & 0xff;
	write_cache = uvfio_get8(s);
	f->over = uvfio_get16(s);
	f->under = uvfio_get16(s);
	for (unsigned i = 0; i < n->vectors; i++)
		f->vector[i] = uvfio_get8(s) & 1;
	f->timestamp = uvfio_get64(s) & 0xffffffffffffull;
	f->timestamp_at = nvme_now_ns();
	f->timestamp_set = uvfio_get8(s);
	f->timestamp_stood = true;
	f->keep_alive = uvfio_get32(s);
	left = uvfio_get64(s);
	retry_delays = uvfio_get8(s);
	if (write_cache > 1 || retry_delays > 1)
		return uvfio_load_error(s, "feature 06h is %u, ACRE of feature 16h %u", write_cache,
					retry_delays);
	atomic_store(&f->write_cache, write_cache);
	f->retry_delays = retry_delays;
	return nvme_keep_alive_load(n, left) ? uvfio_load_error(s, "Keep Alive: no timer") : 0;
}

/* With admin. */
static int load_events(struct nvme *n, struct uvfio_state *s)
{
	unsigned num = uvfio_get8(s), wrong;

	if (num > NVME_AER_MAX)
		return uvfio_load_error(s, "%u Asynchronous Event Requests", num);
	for (unsigned i = 0; i < num; i++)
		n->aer[i] = uvfio_get16(s);
	n->num_aer = num;
	n->events = uvfio_get16(s);
	n->events_masked = uvfio_get8(s) & 3;
	wrong = uvfio_get8(s);
	n->hot = wrong & 1;
	n->cold = wrong & 2;
	return 0;
}

static int load_admin(struct nvme *n, struct uvfio_state *s)
{
	int err;

	pthread_mutex_lock(&n->admin);
	err = load_features(n, s);
	if (!err)
		err = load_events(n, s);
	pthread_mutex_unlock(&n->admin);
	return err;
}

/* ---- namespaces ---- */

static void save_namespace(struct nvme *n, unsigned i, struct uvfio_state *s)
{
	uint64_t reads = 0, writes = 0, bytes_read = 0, bytes_written = 0;

	for (unsigned q = 0; q < NVME_QUEUES; q++) {
		struct nvme_counters *c = &n->sq[q].count[i];

		reads += atomic_load(&c->reads);
		writes += atomic_load(&c->writes);
		bytes_read += atomic_load(&c->bytes_read);
		bytes_written += atomic_load(&c->bytes_written);
	}
	uvfio_put64(s, reads);
	uvfio_put64(s, writes);
	uvfio_put64(s, bytes_read);
	uvfio_put64(s, bytes_written);
	uvfio_put16(s, n->ns[i].error_recovery);
	nvme_cache_save(&n->ns[i], s);
}

static int load_namespace(struct nvme *n, unsigned i, struct uvfio_state *s)
{
	struct nvme_counters *c = &n->sq[0].count[i];

	for (unsigned q = 1; q < NVME_QUEUES; q++)
		memset(&n->sq[q].count[i], 0, sizeof(*c));
	atomic_store(&c->reads, uvfio_get64(s));
	atomic_store(&c->writes, uvfio_get64(s));
	atomic_store(&c->bytes_read, uvfio_get64(s));
	atomic_store(&c->bytes_written, uvfio_get64(s));
	n->ns[i].error_recovery = uvfio_get16(s);
	return nvme_cache_load(&n->ns[i], s);
}

/* ---- the error log, and what SMART counts ---- */

/* Return the number of the first error that the log still has, of @count that there were. */
static uint64_t first_error(uint64_t count)
{
	return count > NVME_ERROR_LOG ? count - NVME_ERROR_LOG : 0;
}

static void save_log(struct nvme *n, struct uvfio_state *s)
{
	pthread_mutex_lock(&n->log_lock);
	uvfio_put64(s, n->error_count);
	for (uint64_t i = first_error(n->error_count); i < n->error_count; i++)
		uvfio_put_bytes(s, &n->errors[i % NVME_ERROR_LOG], sizeof(n->errors[0]));
	pthread_mutex_unlock(&n->log_lock);
	uvfio_put64(s, atomic_load(&n->media_errors));
	uvfio_put64(s, nvme_now_ns() - n->started_ns);
}

static void load_log(struct nvme *n, struct uvfio_state *s)
{
	pthread_mutex_lock(&n->log_lock);
	n->error_count = uvfio_get64(s);
	for (uint64_t i = first_error(n->error_count); i < n->error_count; i++)
		uvfio_get_bytes(s, &n->errors[i % NVME_ERROR_LOG], sizeof(n->errors[0]));
	pthread_mutex_unlock(&n->log_lock);
	atomic_store(&n->media_errors, uvfio_get64(s));
	n->started_ns = nvme_now_ns() - uvfio_get64(s);
}

/* ---- all of it ---- */

int nvme_save(struct uvfio_dev *dev, struct uvfio_state *s)
{
	struct nvme *n = uvfio_priv(dev);

	pthread_mutex_lock(&n->life);
	uvfio_section(s, "images");
	same_contents(n, s);
	uvfio_section(s, "registers");
	save_registers(n, s);
	uvfio_section(s, "queues");
	save_queues(n, s);
	uvfio_section(s, "features");
	save_admin(n, s);
	for (unsigned i = 0; i < n->num_ns; i++) {
		uvfio_section(s, "namespace");
		save_namespace(n, i, s);
	}
	uvfio_section(s, "log");
	save_log(n, s);
	pthread_mutex_unlock(&n->life);
	return 0;
}

static int load_all(struct nvme *n, struct uvfio_state *s)
{
	bool admin_shadow;
	int err;

	/* Before a look at the images: from here on nobody else writes them. */
	uvfio_section(s, "images");
	err = nvme_take_images(n);
	if (err)
		return err;
	same_contents(n, s);
	atomic_store(&n->paused, false);
	nvme_clear(n);
	uvfio_section(s, "registers");
	err = load_registers(n, s, &admin_shadow);
	if (err)
		return err;
	uvfio_section(s, "queues");
	err = load_queues(n, s, admin_shadow);
	if (err)
		return err;
	uvfio_section(s, "features");
	err = load_admin(n, s);
	if (err)
		return err;
	for (unsigned i = 0; i < n->num_ns; i++) {
		uvfio_section(s, "namespace");
		err = load_namespace(n, i, s);
		if (err)
			return err;
	}
	uvfio_section(s, "log");
	load_log(n, s);
	n->moved = true;
	return 0;
}

int nvme_load(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version)
{
	struct nvme *n = uvfio_priv(dev);
	uint32_t page[NVME_DOORBELL_PAGE / 4];
	int err;

	pthread_mutex_lock(&n->life);
	/* what was there before goes, but the doorbells: they are those of the state already */
	for (unsigned i = 0; i < NVME_DOORBELL_PAGE / 4; i++)
		page[i] = atomic_load(&n->doorbells[i]);
	err = load_all(n, s);
	for (unsigned i = 0; i < NVME_DOORBELL_PAGE / 4; i++)
		atomic_store(&n->doorbells[i], page[i]);
	pthread_mutex_unlock(&n->life);
	return err;
}
