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
	uint32_t state;
	bool tracking;
	bool precopy_v2;
	struct vfio_stream *stream; /* of the state that it is in, with a reference; or NULL */
	bool fresh;		    /* it began since vfio_migrate_set() was called */
};

/* Unlock, after what a reset has left to do was done. */
void vfio_migrate_unlock(struct vfio_migrate *m);
/* Give back a reference to the device's part, of a stream that is freed. */
void vfio_migrate_put(struct vfio_migrate *m);

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
