/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/outlast.h: the state of a device that outlives its process, for a server that keeps it in a
 * file (vfio_user/server/lasting.c): unlike a migration it is saved again and again while the
 * device works, and nobody carries it anywhere. Its parts are those of a migration
 * (vfio/migrate.h), whose provider saves and loads them, and VFIO_PART_OWN.
 *
 * Threads: any, but one at a time for one device. Lock order: as vfio/migrate.h. Errors: 0 or
 * -errno, with a line in the log.
 */
#ifndef VFIO_OUTLAST_H
#define VFIO_OUTLAST_H
#include "vfio/migrate.h"

/** vfio_outlast_way - return how the state can be had; VFIO_OUTLAST_NOT: not at all */
enum vfio_outlast vfio_outlast_way(const struct vfio_migrate *m);
/** vfio_outlast_memory_size - return how many bytes of memory of its own there are; 0: none */
size_t vfio_outlast_memory_size(struct vfio_migrate *m);
/**
 * vfio_outlast_memory - have that memory be in a file, or not any more, at the same address
 * @fd: the file, and from @offset on; if it is not to be there, neither is looked at
 *
 * The device is halted, or just reset, or not open. After an error all is as before.
 */
int vfio_outlast_memory(struct vfio_migrate *m, int fd, uint64_t offset, enum vfio_memory_how how);
/** vfio_outlast_steps - have steps of the device be told (struct vfio_steps); NULL: no more */
void vfio_outlast_steps(struct vfio_migrate *m, const struct vfio_steps *steps);
/**
 * vfio_outlast_access - the client's command @number begins, one at a time
 *
 * If it was under way when another process was killed, it has the number that it had there.
 */
void vfio_outlast_access(struct vfio_migrate *m, uint16_t number);

/* Take a part of a state: 0 or -errno, which ends the save. */
typedef int vfio_outlast_put(void *arg, bool first, enum vfio_part part, const void *data,
			     size_t len);
/** vfio_outlast_describe - @put what another device must have alike: VFIO_PART_DEVICE */
int vfio_outlast_describe(struct vfio_migrate *m, vfio_outlast_put *put, void *arg);
/**
 * vfio_outlast_save - @put all of the state
 *
 * @halted: it is halted, for this, by vfio_migrate_set(VFIO_DEVICE_STATE_STOP); else it is in no
 *	step
 *
 * Return: 0; -EBUSY: its client has it in a state of a migration, or it would have to be halted; or
 * an error.
 */
int vfio_outlast_save(struct vfio_migrate *m, bool halted, vfio_outlast_put *put, void *arg);
/**
 * vfio_outlast_load - load a part: VFIO_PART_DEVICE, and of a halted device the others
 *
 * After an error of those it is in no state, and is to be closed.
 *
 * Return: 0; -EINVAL: there is no such part, or the device is not halted; or an error.
 */
int vfio_outlast_load(struct vfio_migrate *m, enum vfio_part part, const void *data, size_t len);
/**
 * vfio_outlast_loaded - all parts came: make of them what the device was, still halted
 *
 * It goes on when its state is set to RUNNING.
 */
int vfio_outlast_loaded(struct vfio_migrate *m);
#endif
