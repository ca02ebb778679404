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
	uvfio_put32(s, atomic_load(&n->kept->cc));
	uvfio_put32(s, atomic_load(&n->kept->csts));
	uvfio_put32(s, atomic_load(&n->kept->intms));
	uvfio_put32(s, atomic_load(&n->kept->aqa));
	uvfio_put64(s, atomic_load(&n->kept->asq));
	uvfio_put64(s, atomic_load(&n->kept->acq));
	uvfio_put64(s, atomic_load(&n->kept->shadow));
	uvfio_put64(s, n->kept->eventidx);
	uvfio_put32(s, n->kept->admin_start);
	uvfio_put8(s, atomic_load(&n->sq[0].kept->shadow) != 0);
	uvfio_put32(s, 0); /* once a count of messages */
}

static void load_registers(struct nvme *n, struct uvfio_state *s, bool *admin_shadow)
{
	struct nvme_kept *k = n->kept;

	atomic_store(&k->cc, uvfio_get32(s));
	atomic_store(&k->csts, uvfio_get32(s));
	atomic_store(&k->intms, uvfio_get32(s));
	atomic_store(&k->aqa, uvfio_get32(s));
	atomic_store(&k->asq, uvfio_get64(s));
	atomic_store(&k->acq, uvfio_get64(s));
	atomic_store(&k->shadow, uvfio_get64(s));
	k->eventidx = uvfio_get64(s);
	k->admin_start = uvfio_get32(s);
	*admin_shadow = uvfio_get8(s);
	if (*admin_shadow && !atomic_load(&k->shadow))
		uvfio_load_error(s, "doorbell buffers of the admin queue alone");
	uvfio_get32(s);
}

/* ---- queues ---- */

static void save_cq(struct nvme_cq *cq, struct uvfio_state *s)
{
	pthread_mutex_lock(&cq->lock);
	uvfio_put16(s, (uint16_t)atomic_load(&cq->kept->size));
	if (atomic_load(&cq->kept->size)) {
		uvfio_put64(s, cq->kept->base);
		uvfio_put16(s, (uint16_t)cq->kept->head);
		uvfio_put16(s, (uint16_t)nvme_cq_tail(cq));
		uvfio_put16(s, cq->kept->vector);
		uvfio_put8(s, atomic_load(&cq->kept->pos) / NVME_CQ_PHASE);
		uvfio_put8(s, cq->kept->ien);
	}
	pthread_mutex_unlock(&cq->lock);
}

static void save_sq(struct nvme_sq *sq, struct uvfio_state *s)
{
	pthread_mutex_lock(&sq->lock);
	uvfio_put16(s, (uint16_t)atomic_load(&sq->kept->size));
	if (atomic_load(&sq->kept->size)) {
		uvfio_put64(s, sq->kept->base);
		uvfio_put16(s, (uint16_t)atomic_load(&sq->kept->head));
		uvfio_put16(s, (uint16_t)atomic_load(&sq->kept->tail));
		uvfio_put16(s, atomic_load(&sq->kept->cqid));
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

static void load_cq(struct nvme *n, struct nvme_cq *cq, struct uvfio_state *s, bool shadow)
{
	struct nvme_kept_cq *k = cq->kept;
	uint32_t size = uvfio_get16(s), pos;

	if (!size)
		return;
	pthread_mutex_lock(&cq->lock);
	k->base = uvfio_get64(s);
	k->head = uvfio_get16(s);
	pos = uvfio_get16(s);
	k->vector = uvfio_get16(s);
	atomic_store(&k->pos, pos | (uvfio_get8(s) ? NVME_CQ_PHASE : 0));
	atomic_store(&k->ien, uvfio_get8(s));
	k->shadow = shadow ? nvme_buffer_slot(atomic_load(&n->kept->shadow), cq->id, true) : 0;
	k->eventidx = shadow ? nvme_buffer_slot(n->kept->eventidx, cq->id, true) : 0;
	atomic_store(&k->size, size);
	pthread_mutex_unlock(&cq->lock);
}

static void load_sq(struct nvme *n, struct nvme_sq *sq, struct uvfio_state *s, bool shadow)
{
	struct nvme_kept_sq *k = sq->kept;
	uint32_t size = uvfio_get16(s);

	if (!size)
		return;
	pthread_mutex_lock(&sq->lock);
	k->base = uvfio_get64(s);
	atomic_store(&k->head, uvfio_get16(s));
	atomic_store(&k->tail, uvfio_get16(s));
	atomic_store(&k->cqid, uvfio_get16(s));
	k->eventidx = shadow ? nvme_buffer_slot(n->kept->eventidx, sq->id, false) : 0;
	atomic_store(&k->shadow,
		     shadow ? nvme_buffer_slot(atomic_load(&n->kept->shadow), sq->id, false) : 0);
	atomic_store(&k->size, size);
	pthread_mutex_unlock(&sq->lock);
}

static void load_queues(struct nvme *n, struct uvfio_state *s, bool admin_shadow)
{
	for (unsigned i = 0; i <= n->max_queues; i++)
		load_cq(n, &n->cq[i], s, i || admin_shadow);
	for (unsigned i = 0; i <= n->max_queues; i++)
		load_sq(n, &n->sq[i], s, i || admin_shadow);
}

/* ---- features, events ---- */

static void save_admin(struct nvme *n, struct uvfio_state *s)
{
	struct nvme_features *f = &n->kept->feat;
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
		uvfio_put16(s, nvme_slot_of(&n->sq[0], n->aer[i])->cmd.cid);
	uvfio_put16(s, (uint16_t)(n->kept->events | atomic_load(&n->kept->new_events)));
	uvfio_put8(s, n->kept->events_masked);
	uvfio_put8(s, (uint8_t)(n->kept->hot | n->kept->cold << 1));
	pthread_mutex_unlock(&n->admin);
}

/* With admin. */
static int load_features(struct nvme *n, struct uvfio_state *s)
{
	struct nvme_features *f = &n->kept->feat;
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
	struct nvme_sq *sq = &n->sq[0];
	struct nvme_cmd aer = { .opc = NVME_ADM_ASYNC_EVENT };
	unsigned num = uvfio_get8(s), wrong;
	uint16_t cids[NVME_AER_MAX];

	if (num > NVME_AER_MAX || (num && !atomic_load(&sq->kept->size)) ||
	    (num && atomic_load(&sq->kept->cqid)))
		return uvfio_load_error(s, "%u Asynchronous Event Requests", num);
	for (unsigned i = 0; i < num; i++)
		cids[i] = uvfio_get16(s);
	/* each in its slot, the oldest first, as if it had been fetched here */
	for (unsigned i = 0; i < num; i++) {
		aer.cid = cids[num - 1 - i];
		nvme_sq_fetched(sq, (uint16_t)i, &aer, atomic_load(&sq->kept->head));
	}
	if (n->cq[0].kept->top < num)
		n->cq[0].kept->top = num;
	n->kept->events = uvfio_get16(s);
	n->kept->events_masked = uvfio_get8(s) & 3;
	wrong = uvfio_get8(s);
	n->kept->hot = wrong & 1;
	n->kept->cold = wrong & 2;
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
		struct nvme_counters *c = &n->cq[q].kept->count[i];

		reads += atomic_load(&c->commands[0]);
		writes += atomic_load(&c->commands[1]);
		bytes_read += atomic_load(&c->bytes[0]);
		bytes_written += atomic_load(&c->bytes[1]);
	}
	uvfio_put64(s, reads);
	uvfio_put64(s, writes);
	uvfio_put64(s, bytes_read);
	uvfio_put64(s, bytes_written);
	uvfio_put16(s, n->kept->feat.error_recovery[i]);
	nvme_cache_save(&n->ns[i], s);
}

static int load_namespace(struct nvme *n, unsigned i, struct uvfio_state *s)
{
	struct nvme_counters *c = &n->cq[0].kept->count[i];

	for (unsigned q = 1; q < NVME_QUEUES; q++)
		memset(&n->cq[q].kept->count[i], 0, sizeof(*c));
	atomic_store(&c->commands[0], uvfio_get64(s));
	atomic_store(&c->commands[1], uvfio_get64(s));
	atomic_store(&c->bytes[0], uvfio_get64(s));
	atomic_store(&c->bytes[1], uvfio_get64(s));
	n->kept->feat.error_recovery[i] = uvfio_get16(s);
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
	uint64_t count;

	pthread_mutex_lock(&n->log_lock);
	count = atomic_load(&n->kept->error_count);
	uvfio_put64(s, count);
	for (uint64_t i = first_error(count); i < count; i++)
		uvfio_put_bytes(s, &n->kept->errors[i % (2 * NVME_ERROR_LOG)],
				sizeof(n->kept->errors[0]));
	pthread_mutex_unlock(&n->log_lock);
	uvfio_put64(s, atomic_load(&n->kept->media_errors));
	uvfio_put64(s, nvme_now_ns() - n->kept->started_ns);
}

static void load_log(struct nvme *n, struct uvfio_state *s)
{
	uint64_t count = uvfio_get64(s);

	pthread_mutex_lock(&n->log_lock);
	for (uint64_t i = first_error(count); i < count; i++)
		uvfio_get_bytes(s, &n->kept->errors[i % (2 * NVME_ERROR_LOG)],
				sizeof(n->kept->errors[0]));
	atomic_store(&n->kept->error_count, count);
	pthread_mutex_unlock(&n->log_lock);
	atomic_store(&n->kept->media_errors, uvfio_get64(s));
	n->kept->started_ns = nvme_now_ns() - uvfio_get64(s);
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
	char why[NVME_WHY];
	bool admin_shadow;
	int err;

	/* Before a look at the images: from here on nobody else writes them. */
	uvfio_section(s, "images");
	err = nvme_take_images(n, true);
	if (err)
		return err;
	same_contents(n, s);
	atomic_store(&n->paused, false);
	nvme_clear(n);
	uvfio_section(s, "registers");
	load_registers(n, s, &admin_shadow);
	uvfio_section(s, "queues");
	load_queues(n, s, admin_shadow);
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
	err = nvme_take_up(n, why);
	if (err)
		return uvfio_load_error(s, "%s", why);
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
