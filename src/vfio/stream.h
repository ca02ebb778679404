/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/stream.h: the stream of a migration from the inside, for migrate.c: what is in it, and what
 * has come by it. Everything with the device's vfio_migrate.lock held.
 */
#ifndef VFIO_STREAM_H
#define VFIO_STREAM_H
#include <pthread.h>

#include "base/util.h"
#include "vfio/device.h"
#include "vfio/migrate.h"

struct vfio_migrate {
	struct ref ref;	       /* the device's, and one of each stream */
	pthread_mutex_t lock;  /* guards all that follows, and the streams */
	pthread_mutex_t reset; /* a leaf: a reset leaves deferred_reset behind, or has the lock */
	bool deferred_reset;
	struct vfio_device *dev; /* NULL: it is gone */
	const struct vfio_migrate_ops *ops;
	const struct vfio_migrate_relay *relay; /* instead of ops, or NULL */
	uint32_t state;				/* with a relay, what it was when it was set */
	bool tracking;
	bool precopy_v2;
	struct vfio_stream *stream; /* of the state that it is in, with a reference; or NULL */
	bool fresh;		    /* it began since vfio_migrate_set() was called */
	uint64_t most;		    /* bytes that a stream keeps; 0: any number */
	/* with a relay: what is logged there, with the lock; of base/heap.h, or NULL */
	struct vfio_device_feature_dma_logging_range *log;
	unsigned num_log;
	/* of outlast.c, to save into again and again; of base/heap.h, or NULL */
	void *scratch;
	size_t scratch_room;
};

/* Unlock, after what a reset has left to do was done. */
void vfio_migrate_unlock(struct vfio_migrate *m);
/* Give back a reference to the device's part, of a stream that is freed. */
void vfio_migrate_put(struct vfio_migrate *m);

/* The state was left: its stream ends. */
void vfio_migrate_end_stream(struct vfio_migrate *m);
/* True if it is in one of the states of PRE_COPY. */
bool vfio_migrate_in_precopy(const struct vfio_migrate *m);

/* ---- relay.c: vfio_migrate_set() and the like of a device whose state somebody else keeps ---- */

int vfio_relay_set(struct vfio_migrate *m, uint32_t state);
uint32_t vfio_relay_state(struct vfio_migrate *m);
/* Read some of the stream into memory of base/heap.h, the caller's: *@len 0: there is no more. */
int vfio_relay_read(struct vfio_migrate *m, void **out, size_t *len);
/* Write bytes of the client's: how many (at least one), or -errno. */
ssize_t vfio_relay_write(struct vfio_migrate *m, uintptr_t addr, size_t count);

/* Of a relay's stream that goes on: there may be something to read again. */
void vfio_stream_wake(struct vfio_stream *s);

/* Make a stream of @m with one reference, the first record of one that is read in it; or NULL. */
struct vfio_stream *vfio_stream_new(struct vfio_migrate *m, bool resuming);
void vfio_stream_get(struct vfio_stream *s);
/* Its state was left: from now on it says -ENODEV. */
void vfio_stream_kill(struct vfio_stream *s);

/* ---- of one that is read ---- */

/* Save a part of the device at its end. 0 or -errno; then the stream is dead. */
int vfio_stream_save(struct vfio_stream *s, enum vfio_part part);
/* Save DEVICE, unless it is what was saved last. 1: it changed; 0 or -errno as above. */
int vfio_stream_describe(struct vfio_stream *s);
/* Put all memory that changed at its end. The device is halted. The same. */
int vfio_stream_save_memory(struct vfio_stream *s);
/* Nothing comes any more. The same. */
int vfio_stream_finish(struct vfio_stream *s);

/* ---- of one that is written ---- */

/*
 * Load the state that came. 0; -EINVAL: it has not come whole, the device is as it was; or what
 * the device answered, with *@lost set: it is in no state.
 */
int vfio_stream_load(struct vfio_stream *s, bool *lost);
#endif
