/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/migrate.h: the migration of a device, version 2 (linux/vfio.h, enum vfio_device_mig_state):
 * its states, the arcs between them, and the streams by which a state leaves a device or comes to
 * it. Which bytes that are is the provider's matter; here they get a frame by which a stream that
 * is damaged, cut short, or not of such a device is refused.
 *
 * All states are offered always. In PRE_COPY a stream begins with what the other device must have
 * alike, so that one that has it not refuses while this one still runs; then comes memory, if the
 * provider notes what of it changes.
 *
 * Threads: any. One lock of each device's guards its state and its stream; the provider is called
 * with it held.
 * Lock order: vfio_device.lock > vfio_migrate.lock > the provider's locks. In vfio_migrate_reset()
 * the provider has locks of its own already, and this one is tried only.
 */
#ifndef VFIO_MIGRATE_H
#define VFIO_MIGRATE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vfio/uapi_defs.h"

struct vfio_device;
struct vfio_migrate;
struct vfio_stream;

enum vfio_halt {
	VFIO_HALT_DMA, /* no DMA that the device begins */
	VFIO_HALT_ALL, /* and no interrupt, nor any other change */
};

/* Records of a stream, in this order; DEVICE may come again before STATE, if it changed. */
enum vfio_part {
	VFIO_PART_DEVICE = 1, /* what the other device must have alike; at any time */
	VFIO_PART_MEMORY,     /* some of what changed, and is tracked; any number of them */
	VFIO_PART_STATE,      /* all else; the device is halted */
	/* of no stream: STATE without what is in memory that lasts (vfio/outlast.h) */
	VFIO_PART_OWN = 16,
};

/* How the state of a device can be had that is to outlive its process. */
enum vfio_outlast {
	VFIO_OUTLAST_NOT,
	VFIO_OUTLAST_STEPS,  /* it changes in steps alone, and is there whole between two of them */
	VFIO_OUTLAST_MEMORY, /* all that matters is in memory that lasts, but VFIO_PART_OWN */
	VFIO_OUTLAST_HALT,   /* only when it is halted */
};
/* What becomes of a device's memory that lasts. */
enum vfio_memory_how {
	VFIO_MEMORY_FRESH, /* it is in the file from now on, with what it holds */
	VFIO_MEMORY_OLD,   /* the same, with what is in the file */
	VFIO_MEMORY_KEEP,  /* it is ordinary memory again, with what it holds */
	VFIO_MEMORY_ZERO,  /* the same, with zeroes */
};
/*
 * Steps that a device makes by itself, as its timers. Around each, by its thread, with no lock
 * held. What others do with the device they know themselves.
 */
struct vfio_steps {
	void (*begin)(void *arg);
	void (*end)(void *arg);
	void *arg;
};

/* A provider's part. Return values are 0 or -errno, with a line in the log. */
struct vfio_migrate_ops {
	/* Halt it, DMA first. Or let it go on, the other way round; what was not halted stays. */
	int (*halt)(struct vfio_device *dev, enum vfio_halt how);
	void (*go_on)(struct vfio_device *dev, enum vfio_halt how);
	/* Save a part: *@out is memory of base/heap.h, the caller's from now on. */
	int (*save)(struct vfio_device *dev, enum vfio_part part, void **out, size_t *len);
	/*
	 * Load it. An error of STATE leaves the device in no state. Of DEVICE and MEMORY it is
	 * called as they come.
	 */
	int (*load)(struct vfio_device *dev, enum vfio_part part, const void *buf, size_t len);
	/* Return about how many bytes all parts are. */
	uint64_t (*size)(struct vfio_device *dev);
	/*
	 * Note which memory changes; at first all of it did. NULL, both: there is no such memory.
	 */
	int (*track)(struct vfio_device *dev, bool on);
	/* Return how many bytes MEMORY would have. */
	uint64_t (*dirty)(struct vfio_device *dev);
	/*
	 * For vfio/outlast.h, which says what they do; NULL, all: it does not outlive its process.
	 * save_in is save, with memory of base/heap.h that there is already: @*room bytes at @*buf,
	 * or none, which may become more.
	 */
	int (*save_in)(struct vfio_device *dev, enum vfio_part part, void **buf, size_t *room,
		       size_t *len);
	enum vfio_outlast (*outlast)(struct vfio_device *dev);
	size_t (*memory_size)(struct vfio_device *dev);
	int (*memory)(struct vfio_device *dev, int fd, uint64_t offset, enum vfio_memory_how how);
	void (*steps)(struct vfio_device *dev, const struct vfio_steps *steps);
	void (*access)(struct vfio_device *dev, uint16_t number);
	int (*loaded)(struct vfio_device *dev);
};

/*
 * Instead of these, of a device whose states and stream somebody else keeps, as a server does of a
 * device behind a socket (relay.c): what a client asks goes on to it, and the bytes of the stream
 * are that one's. Called with the device open, or at its last close. Memory is the library's own.
 * Return values are 0 or -errno, if nothing else is said.
 */
struct vfio_migrate_relay {
	/* Return VFIO_MIGRATION_*, what it can. */
	uint64_t (*flags)(struct vfio_device *dev);
	/* Get the state, or go to one, by all arcs. */
	int (*state)(struct vfio_device *dev, uint32_t *out);
	int (*set)(struct vfio_device *dev, uint32_t state);
	/* Read up to @len bytes of the stream: how many; 0: that was all, now or for good. */
	ssize_t (*read)(struct vfio_device *dev, void *buf, size_t len);
	/* Write all of @len bytes of it. */
	int (*write)(struct vfio_device *dev, const void *buf, size_t len);
	int (*size)(struct vfio_device *dev, uint64_t *out);
	/*
	 * As vfio_stream_precopy(). @v2: flags are an output. Not called without
	 * VFIO_MIGRATION_PRE_COPY.
	 */
	int (*precopy)(struct vfio_device *dev, bool v2, struct vfio_precopy_info *info);
	/* The log of its DMA writes, as iommu/log.h has it; the page size is not a power here. */
	int (*log_start)(struct vfio_device *dev,
			 const struct vfio_device_feature_dma_logging_range *r, unsigned n,
			 uint64_t *page_size);
	int (*log_stop)(struct vfio_device *dev);
	/* @bits: gets a bit a page of [@iova, @iova + @length), @size bytes */
	int (*log_report)(struct vfio_device *dev, uint64_t iova, uint64_t length,
			  uint64_t page_size, void *bits, size_t size);
};

/**
 * vfio_migrate_new - let @dev migrate (vfio_device.migrate)
 * @ops: outlives @dev
 *
 * Before @dev is opened.
 *
 * Return: 0 or -ENOMEM.
 */
int vfio_migrate_new(struct vfio_device *dev, const struct vfio_migrate_ops *ops);
/** vfio_migrate_new_relay - the same for a device whose state somebody else keeps */
int vfio_migrate_new_relay(struct vfio_device *dev, const struct vfio_migrate_relay *relay);
/** vfio_migrate_free - @dev, which is not open, goes; streams that are left say -ENODEV. */
void vfio_migrate_free(struct vfio_device *dev);
/**
 * vfio_migrate_closing - the last opener is about to close @dev: a relay is called no more when
 * this returns
 */
void vfio_migrate_closing(struct vfio_device *dev);
/** vfio_migrate_closed - the last opener has closed @dev: it is RUNNING for the next one. */
void vfio_migrate_closed(struct vfio_device *dev);
/**
 * vfio_migrate_reset - @dev was reset: it is RUNNING, and its stream is dead
 *
 * Any thread, with the provider's locks held. If a change of state is under way, that is done by
 * who makes it, when it is over.
 */
void vfio_migrate_reset(struct vfio_device *dev);

/**
 * vfio_migrate_bound - let a stream keep @most bytes: of a state that was saved and is not read
 * yet, or has come and is not loaded yet; 0: any number
 *
 * For a client that may do with its stream what it likes. Beyond that is -ENOSPC. Not for a relay,
 * which keeps next to nothing.
 */
void vfio_migrate_bound(struct vfio_migrate *m, uint64_t most);
/** vfio_migrate_flags - return VFIO_MIGRATION_*. */
uint64_t vfio_migrate_flags(const struct vfio_migrate *m);
/** vfio_migrate_relay_of - return who keeps its state; NULL: nobody else does */
const struct vfio_migrate_relay *vfio_migrate_relay_of(const struct vfio_migrate *m);
/** vfio_migrate_state - return the state, enum vfio_device_mig_state. */
uint32_t vfio_migrate_state(struct vfio_migrate *m);
/**
 * vfio_migrate_set - go to @state, by all arcs that lead there
 * @out: gets the stream of an arc that begins one, with a reference; else NULL
 *
 * Return: 0; -EINVAL: no such state, or no way there; or what the device answered, -ENOMEM, or
 * -ENOSPC (vfio_migrate_bound()): the state is that of the last arc that was done, or ERROR.
 */
int vfio_migrate_set(struct vfio_migrate *m, uint32_t state, struct vfio_stream **out);
/** vfio_migrate_size - return about how many bytes the stream of STOP_COPY has. */
uint64_t vfio_migrate_size(struct vfio_migrate *m);
/** vfio_migrate_precopy_v2 - flags of struct vfio_precopy_info are an output from now on. */
void vfio_migrate_precopy_v2(struct vfio_migrate *m);

/* ---- streams ---- */

/** vfio_stream_resuming - true if it is written, false if it is read. */
bool vfio_stream_resuming(const struct vfio_stream *s);
/** vfio_stream_put - give a reference back. */
void vfio_stream_put(struct vfio_stream *s);
/**
 * vfio_stream_on_ready - have @fn called when it gets readable without waiting, or no more
 *
 * At once with what is so now; with the device's lock held. NULL: not any more.
 */
void vfio_stream_on_ready(struct vfio_stream *s, void (*fn)(void *arg, bool ready), void *arg);
/**
 * vfio_stream_read - read
 * @addr: the client's memory
 *
 * Return: bytes; 0: that was all; -ENOMSG: all for now, while the device is in PRE_COPY; -ENODEV:
 * the stream has ended (its state was left), or failed before; -EFAULT; -ENOSPC: there is more than
 * it may keep; or what the device answered.
 */
ssize_t vfio_stream_read(struct vfio_stream *s, uintptr_t addr, size_t count);
/**
 * vfio_stream_write - write
 *
 * Return: @count; -EINVAL: the bytes are not of a stream, or not of such a device; -ENODEV: as
 * vfio_stream_read(); -EFAULT, -ENOMEM, -ENOSPC.
 */
ssize_t vfio_stream_write(struct vfio_stream *s, uintptr_t addr, size_t count);
/**
 * vfio_stream_precopy - say how much there is to read (VFIO_MIG_GET_PRECOPY_INFO)
 * @info: filled in, but for argsz; and for flags, unless vfio_migrate_precopy_v2() was called
 *
 * If the device is not any more what the stream said it is, that is said in the stream again, and
 * counts as initial data, with VFIO_PRECOPY_INFO_REINIT in the flags; as data that changed, if the
 * client does not look at them.
 *
 * Return: 0; -EINVAL: the device is in no PRE_COPY state; -ENODEV: as vfio_stream_read(); or what
 * the device answered, -ENOMEM; -ENOSPC: so much waits that it cannot be said again, until the
 * client has read some.
 */
int vfio_stream_precopy(struct vfio_stream *s, struct vfio_precopy_info *info);
#endif
