/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api/internal.h: what the files of api/ share. A context is a machine, one address space
 * that all its open devices are attached to (there is no file of a container here whose rules would
 * have to be kept: mappings may come before the first device and outlive the last), and what
 * uvfio_dma_alloc gave out.
 *
 * Lock order: uvfio.lock > vfio's locks. The paths of registers, interrupts and DMA take none of
 * ours.
 */
#ifndef API_INTERNAL_H
#define API_INTERNAL_H
#include <pthread.h>
#include <sys/types.h>
#include <urcu/list.h>

#include "uvfio/uvfio.h"
#include "base/call.h"
#include "machine/machine.h"
#include "vfio/bar_map.h"
#include "vfio/open.h"

/* Memory of uvfio_dma_alloc(). */
struct api_memory {
	struct cds_list_head node; /* in uvfio.memory, by IOVA */
	uint64_t iova, size;
	void *vaddr;
};

struct uvfio {
	struct machine *machine;
	struct vfio_ioas *ioas;
	pid_t pid;		      /* whose threads and descriptors these are */
	pthread_mutex_t lock;	      /* guards what follows, and the machine's tables */
	struct cds_list_head devices; /* open ones */
	struct cds_list_head memory;
	struct api_memory *hint; /* below it there is hardly a gap; NULL: look from the start */
	/* of uvfio_bar_map(), of all devices; guarded by a lock of its own */
	struct vfio_bar_maps bars;
};

struct uvfio_device {
	struct cds_list_head node;
	struct uvfio *u;
	struct vfio_open open;
	struct machine_device *plugged;
	uint64_t faults_before; /* at open */
	/* read, change, write of COMMAND; a leaf but for the driver's */
	pthread_mutex_t command_lock;
};

/* Keep the sentence for uvfio_strerror() of this thread, and return @rc. */
int api_fail(const struct uvfio *u, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * Stands first in each function of uvfio.h that can report: reports come in this call of the
 * program.
 */
#define API_CALL() CALL_FRAME_STACK(__func__, CALL_SITE())
/* Unmap and give back everything of uvfio_dma_alloc(). */
void api_free_memory(struct uvfio *u);
/* struct vfio_env's device_memory, of the machine @u: a model's BAR is none to DMA of others. */
bool api_device_memory(void *u, uint64_t vaddr, uint64_t size, struct vfio_bar *first);
/* Undo all of uvfio_bar_map(). */
void api_unmap_bars(struct uvfio_device *dev);
#endif
