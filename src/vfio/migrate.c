/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/migrate.c: the states of a migration and the arcs between them. A client names the state
 * that it wants; the way there is made of arcs, each of which the device does whole or not at all.
 * linux/vfio.h has the rules: the shortest way, with no state in its middle that saves, unless the
 * client moves among those that do.
 *
 * A reset comes with the provider's locks held, which are below ours. So it tries our lock; if that
 * is taken, whoever has it finds the reset when it lets go (the kernel's drivers do the same).
 */
#include <errno.h>

#include "base/heap.h"
#include "base/report.h"
#include "vfio/kernel.h"
#include "vfio/stream.h"

#define NO_WAY UINT32_MAX

static const char *const names[] = {
	[VFIO_DEVICE_STATE_ERROR] = "ERROR",
	[VFIO_DEVICE_STATE_STOP] = "STOP",
	[VFIO_DEVICE_STATE_RUNNING] = "RUNNING",
	[VFIO_DEVICE_STATE_STOP_COPY] = "STOP_COPY",
	[VFIO_DEVICE_STATE_RESUMING] = "RESUMING",
	[VFIO_DEVICE_STATE_RUNNING_P2P] = "RUNNING_P2P",
	[VFIO_DEVICE_STATE_PRE_COPY] = "PRE_COPY",
	[VFIO_DEVICE_STATE_PRE_COPY_P2P] = "PRE_COPY_P2P",
};

/* ---- the device's part ---- */

static int new (struct vfio_device *dev, const struct vfio_migrate_ops *ops,
		const struct vfio_migrate_relay *relay)
{
	struct vfio_migrate *m = heap_alloc(sizeof(*m));

	if (!m)
		return -ENOMEM;
	ref_init(&m->ref);
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->reset, NULL);
	m->dev = dev;
	m->ops = ops;
	m->relay = relay;
	m->state = VFIO_DEVICE_STATE_RUNNING;
	dev->migrate = m;
	return 0;
}

int vfio_migrate_new(struct vfio_device *dev, const struct vfio_migrate_ops *ops)
{
	return new (dev, ops, NULL);
}

int vfio_migrate_new_relay(struct vfio_device *dev, const struct vfio_migrate_relay *relay)
{
	return new (dev, NULL, relay);
}

const struct vfio_migrate_relay *vfio_migrate_relay_of(const struct vfio_migrate *m)
{
	return m->relay;
}

void vfio_migrate_put(struct vfio_migrate *m)
{
	if (!ref_put(&m->ref))
		return;
	pthread_mutex_destroy(&m->reset);
	pthread_mutex_destroy(&m->lock);
	heap_free(m);
}

void vfio_migrate_end_stream(struct vfio_migrate *m)
{
	struct vfio_stream *s = m->stream;

	if (m->tracking)
		m->ops->track(m->dev, false);
	m->tracking = m->fresh = false;
	m->stream = NULL;
	if (!s)
		return;
	vfio_stream_kill(s);
	vfio_stream_put(s);
}

/* Be RUNNING, whatever it was. */
static void run(struct vfio_migrate *m)
{
	vfio_migrate_end_stream(m);
	if (m->ops) { /* a relay's device does so by itself */
		m->ops->go_on(m->dev, VFIO_HALT_ALL);
		m->ops->go_on(m->dev, VFIO_HALT_DMA);
	}
	m->state = VFIO_DEVICE_STATE_RUNNING;
}

void vfio_migrate_unlock(struct vfio_migrate *m)
{
	pthread_mutex_lock(&m->reset);
	while (m->deferred_reset) {
		m->deferred_reset = false;
		pthread_mutex_unlock(&m->reset);
		if (m->dev)
			run(m);
		pthread_mutex_lock(&m->reset);
	}
	pthread_mutex_unlock(&m->lock);
	pthread_mutex_unlock(&m->reset);
}

void vfio_migrate_reset(struct vfio_device *dev)
{
	struct vfio_migrate *m = dev->migrate;
	bool mine;

	if (!m)
		return;
	pthread_mutex_lock(&m->reset);
	m->deferred_reset = true;
	mine = !pthread_mutex_trylock(&m->lock);
	pthread_mutex_unlock(&m->reset);
	if (mine)
		vfio_migrate_unlock(m);
}

void vfio_migrate_closing(struct vfio_device *dev)
{
	struct vfio_migrate *m = dev->migrate;

	if (!m || !m->relay)
		return;
	vfio_migrate_closed(dev);
	pthread_mutex_lock(&m->lock);
	heap_free(m->log);
	m->log = NULL;
	m->num_log = 0;
	vfio_migrate_unlock(m);
}

void vfio_migrate_closed(struct vfio_device *dev)
{
	struct vfio_migrate *m = dev->migrate;

	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	run(m);
	m->precopy_v2 = false;
	vfio_migrate_unlock(m);
}

void vfio_migrate_free(struct vfio_device *dev)
{
	struct vfio_migrate *m = dev->migrate;

	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	vfio_migrate_end_stream(m);
	heap_free(m->log);
	m->log = NULL;
	heap_free(m->scratch);
	m->scratch = NULL;
	m->dev = NULL;
	vfio_migrate_unlock(m);
	dev->migrate = NULL;
	vfio_migrate_put(m);
}

void vfio_migrate_bound(struct vfio_migrate *m, uint64_t most)
{
	pthread_mutex_lock(&m->lock);
	m->most = most;
	vfio_migrate_unlock(m);
}

uint64_t vfio_migrate_flags(const struct vfio_migrate *m)
{
	uint64_t flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY;

	if (m->relay)
		flags &= m->relay->flags(m->dev);
	return vfio_kernel_has(VFIO_KERNEL_PRE_COPY) ? flags : flags & ~VFIO_MIGRATION_PRE_COPY;
}

uint32_t vfio_migrate_state(struct vfio_migrate *m)
{
	uint32_t state;

	pthread_mutex_lock(&m->lock);
	state = m->relay ? vfio_relay_state(m) : m->state;
	vfio_migrate_unlock(m);
	return state;
}

void vfio_migrate_precopy_v2(struct vfio_migrate *m)
{
	pthread_mutex_lock(&m->lock);
	m->precopy_v2 = true;
	vfio_migrate_unlock(m);
}

uint64_t vfio_migrate_size(struct vfio_migrate *m)
{
	uint64_t size = 0;

	pthread_mutex_lock(&m->lock);
	if (!m->relay)
		size = m->ops->size(m->dev);
	else if (m->relay->size(m->dev, &size))
		size = 0;
	vfio_migrate_unlock(m);
	return size;
}

/* ---- the way ---- */

/* Return the state after @from on the way to @to, another one; NO_WAY: there is none. */
static uint32_t next_state(uint32_t from, uint32_t to)
{
	switch (from) {
	case VFIO_DEVICE_STATE_RESUMING:
		return VFIO_DEVICE_STATE_STOP;
	case VFIO_DEVICE_STATE_STOP:
		if (to == VFIO_DEVICE_STATE_RESUMING || to == VFIO_DEVICE_STATE_STOP_COPY)
			return to;
		return VFIO_DEVICE_STATE_RUNNING_P2P;
	case VFIO_DEVICE_STATE_STOP_COPY:
		if (to == VFIO_DEVICE_STATE_PRE_COPY || to == VFIO_DEVICE_STATE_PRE_COPY_P2P)
			return NO_WAY;
		return VFIO_DEVICE_STATE_STOP;
	case VFIO_DEVICE_STATE_RUNNING_P2P:
		if (to == VFIO_DEVICE_STATE_PRE_COPY_P2P)
			return to;
		if (to == VFIO_DEVICE_STATE_RUNNING || to == VFIO_DEVICE_STATE_PRE_COPY)
			return VFIO_DEVICE_STATE_RUNNING;
		return VFIO_DEVICE_STATE_STOP;
	case VFIO_DEVICE_STATE_RUNNING:
		if (to == VFIO_DEVICE_STATE_PRE_COPY)
			return to;
		return VFIO_DEVICE_STATE_RUNNING_P2P;
	case VFIO_DEVICE_STATE_PRE_COPY:
		if (to == VFIO_DEVICE_STATE_PRE_COPY_P2P || to == VFIO_DEVICE_STATE_STOP_COPY)
			return VFIO_DEVICE_STATE_PRE_COPY_P2P;
		return VFIO_DEVICE_STATE_RUNNING;
	case VFIO_DEVICE_STATE_PRE_COPY_P2P:
		if (to == VFIO_DEVICE_STATE_PRE_COPY || to == VFIO_DEVICE_STATE_STOP_COPY)
			return to;
		return VFIO_DEVICE_STATE_RUNNING_P2P;
	default: /* ERROR is left by a reset only */
		return NO_WAY;
	}
}

bool vfio_migrate_in_precopy(const struct vfio_migrate *m)
{
	return m->state == VFIO_DEVICE_STATE_PRE_COPY || m->state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

static bool can_be(const struct vfio_migrate *m, uint32_t state)
{
	if (state == VFIO_DEVICE_STATE_PRE_COPY || state == VFIO_DEVICE_STATE_PRE_COPY_P2P)
		return vfio_migrate_flags(m) & VFIO_MIGRATION_PRE_COPY;
	return state > VFIO_DEVICE_STATE_ERROR && state < ARRAY_SIZE(names);
}

/* ---- the arcs ---- */

static int start_tracking(struct vfio_migrate *m)
{
	int ret = m->ops->track ? m->ops->track(m->dev, true) : 0;

	m->tracking = m->ops->track && !ret;
	return ret;
}

/* Begin a stream, and save what the other device has to be like. */
static int start_saving(struct vfio_migrate *m)
{
	int ret;

	m->stream = vfio_stream_new(m, false);
	if (!m->stream)
		return -ENOMEM;
	m->fresh = true;
	ret = start_tracking(m);
	if (!ret)
		ret = vfio_stream_describe(m->stream);
	if (ret < 0)
		vfio_migrate_end_stream(m);
	return ret < 0 ? ret : 0;
}

/* Save all that is left. The device is halted. */
static int save_rest(struct vfio_migrate *m)
{
	int ret = vfio_stream_describe(m->stream);

	if (ret >= 0)
		ret = vfio_stream_save_memory(m->stream);
	if (!ret)
		ret = vfio_stream_save(m->stream, VFIO_PART_STATE);
	return ret ? ret : vfio_stream_finish(m->stream);
}

static int stop_copy(struct vfio_migrate *m)
{
	int ret = start_saving(m);

	if (!ret) {
		ret = save_rest(m);
		if (ret)
			vfio_migrate_end_stream(m);
	}
	return ret;
}

static int precopy_to_stop_copy(struct vfio_migrate *m)
{
	int ret = m->ops->halt(m->dev, VFIO_HALT_ALL);

	if (ret)
		return ret;
	ret = save_rest(m);
	if (ret)
		m->ops->go_on(m->dev, VFIO_HALT_ALL);
	return ret;
}

static int resuming(struct vfio_migrate *m)
{
	m->stream = vfio_stream_new(m, true);
	m->fresh = m->stream;
	return m->stream ? 0 : -ENOMEM;
}

static int resumed(struct vfio_migrate *m)
{
	bool lost = false;
	int ret = vfio_stream_load(m->stream, &lost);

	if (lost)
		m->state = VFIO_DEVICE_STATE_ERROR;
	if (!ret || lost)
		vfio_migrate_end_stream(m);
	return ret;
}

#define ARC(from, to) ((VFIO_DEVICE_STATE_##from) << 8 | (VFIO_DEVICE_STATE_##to))

/* Do the arc to @to. With an error the device is in the state that it was in, or in ERROR. */
static int do_arc(struct vfio_migrate *m, uint32_t to)
{
	switch (m->state << 8 | to) {
	case ARC(RUNNING, RUNNING_P2P):
	case ARC(PRE_COPY, PRE_COPY_P2P):
		return m->ops->halt(m->dev, VFIO_HALT_DMA);
	case ARC(RUNNING_P2P, RUNNING):
	case ARC(PRE_COPY_P2P, PRE_COPY):
		m->ops->go_on(m->dev, VFIO_HALT_DMA);
		return 0;
	case ARC(RUNNING_P2P, STOP):
		return m->ops->halt(m->dev, VFIO_HALT_ALL);
	case ARC(STOP, RUNNING_P2P):
		m->ops->go_on(m->dev, VFIO_HALT_ALL);
		return 0;
	case ARC(RUNNING, PRE_COPY):
	case ARC(RUNNING_P2P, PRE_COPY_P2P):
		return start_saving(m);
	case ARC(STOP, STOP_COPY):
		return stop_copy(m);
	case ARC(PRE_COPY_P2P, STOP_COPY):
		return precopy_to_stop_copy(m);
	case ARC(STOP, RESUMING):
		return resuming(m);
	case ARC(RESUMING, STOP):
		return resumed(m);
	default: /* STOP_COPY to STOP, PRE_COPY to RUNNING, PRE_COPY_P2P to RUNNING_P2P */
		vfio_migrate_end_stream(m);
		return 0;
	}
}

/* Go to @state. 0 or -errno: the device is where it came to. */
static int walk(struct vfio_migrate *m, uint32_t state)
{
	uint32_t next, from;
	int ret = 0;

	while (!ret && m->state != state) {
		next = can_be(m, state) ? next_state(m->state, state) : NO_WAY;
		if (next == NO_WAY) {
			ret = report_info("migration-no-way", m->dev->name, -EINVAL,
					  "there is no way from %s to state %u", names[m->state],
					  state);
			break;
		}
		from = m->state;
		report_debug("migration-arc", m->dev->name, 0, "%s -> %s", names[from],
			     names[next]);
		ret = do_arc(m, next);
		if (!ret)
			m->state = next;
		else
			report_warn("migration-arc-failed", m->dev->name, ret,
				    "not from %s to %s; the device is in %s now", names[from],
				    names[next], names[m->state]);
	}
	return ret;
}

int vfio_migrate_set(struct vfio_migrate *m, uint32_t state, struct vfio_stream **out)
{
	int ret;

	*out = NULL;
	pthread_mutex_lock(&m->lock);
	m->fresh = false;
	ret = m->relay ? vfio_relay_set(m, state) : walk(m, state);
	/* a stream goes on in the next state that saves, without another descriptor */
	if (!ret && m->fresh) {
		vfio_stream_get(m->stream);
		*out = m->stream;
	}
	vfio_migrate_unlock(m);
	return ret;
}
