/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/client.h: a device behind a socket: the provider's side of vfio-user, in the
 * manner of host/. Its struct vfio_device is opened, used and closed by the waist as any other;
 * each call of it is a message, and the program's memory reaches the server as it is mapped.
 *
 * A connection belongs to one open: made when the waist opens the device first, closed with the
 * last close. The one by which vu_client_new() looked at the device is kept for the next open,
 * since some servers end with their first client; vu_client_let_go() gives it up.
 *
 * A server that dies leaves a device that was pulled out: reads are all ones, writes go nowhere,
 * the user's ERR is signalled. The next open connects anew. But where the server keeps the device's
 * state for the one after it, who uses the device waits for that one, and goes on.
 *
 * Memory: what is done once the device is open takes none of malloc's (base/heap.h). Descriptors
 * are private (base/sys.h).
 *
 * Threads: vu_client_new(), the setters, vu_client_let_go(), vu_client_free() and
 * vu_client_abandon() are for one thread at a time and with nobody in the device; all else is for
 * any.
 */
#ifndef VFIO_USER_CLIENT_CLIENT_H
#define VFIO_USER_CLIENT_CLIENT_H
#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/pci_address.h"
#include "vfio/device.h"

struct vu_client;

/* By which way a server reaches private memory of the program, which no file has. */
enum vu_client_memory {
	VU_CLIENT_MEMORY_FILE,	   /* by a file of our address space, else by messages */
	VU_CLIENT_MEMORY_MESSAGES, /* by messages alone */
};
/* The way in which regions can be mapped. */
enum vu_client_mmap {
	VU_CLIENT_MMAP_AUTO, /* as the server's files, where it gives them, else trapped */
	VU_CLIENT_MMAP_TRAP, /* each access is a message */
	VU_CLIENT_MMAP_OFF,  /* not at all */
};

struct vu_client_options {
	const char *name;	     /* for lines of the log: "0000:01:00.0"; outlives the device */
	struct loop *devices, *irqs; /* threads to be called on: machine/provider.h */
	uint64_t timeout_ns;	     /* for an answer; 0: the default, a minute */
	enum vu_client_memory memory;
	bool no_posts; /* wait for the answer of each store to a mapped BAR */
	/*
	 * For a server that was started again, and its device outlived that (`uvfio serve
	 * --state`), to be connected to; 0: the device is gone as any other's.
	 */
	uint64_t reconnect_ns;
};

/**
 * vu_client_new - connect to a server, and learn what its device is
 * @where: the path of its socket; or "fd:N": a connected socket, which stays the caller's
 * @err: gets a sentence of malloc's, or NULL, if it fails
 *
 * Return: 0; -EINVAL: @where; -ENOENT, -ECONNREFUSED, -EACCES: nobody listens there, or not to us;
 * -ETIMEDOUT: no answer; -EPROTO: it does not speak vfio-user; -EOPNOTSUPP: its device is no PCI
 * function; -ENOMEM, -EMFILE.
 */
int vu_client_new(const char *where, const struct vu_client_options *o, struct vu_client **out,
		  char **err);
/** vu_client_let_go - give up the connection, of a device that is not open */
void vu_client_let_go(struct vu_client *c);
/** vu_client_free - forget a device, which is not open and attached to nothing (may be NULL) */
void vu_client_free(struct vu_client *c);
/** vu_client_abandon - drop the device in a forked child, whose parent has it: host_abandon() */
void vu_client_abandon(struct vu_client *c);
/** vu_client_lose - the device was pulled out: the same as if its server had died. Any thread. */
void vu_client_lose(struct vu_client *c);

/** vu_client_set_address - say where our machine has the device */
void vu_client_set_address(struct vu_client *c, const struct pci_address *at);
/** vu_client_set_mmap - choose how regions can be mapped, for opens from now on */
void vu_client_set_mmap(struct vu_client *c, enum vu_client_mmap how);
/** vu_client_vdev - return the device for the waist, which lives as long as @c */
struct vfio_device *vu_client_vdev(struct vu_client *c);
/** vu_client_iommu - return its requester: accesses that its server asks us for pass there */
struct iommu_device *vu_client_iommu(struct vu_client *c);

/* ---- what a bus sees of it: for a face (pci/face.h), open or not ---- */

/** vu_client_config_size - return the bytes of config space: 256 or 4096 */
unsigned vu_client_config_size(const struct vu_client *c);
/**
 * vu_client_config_read - read config space as it was when somebody looked last
 * @size: 1, 2 or 4, aligned and inside
 */
uint32_t vu_client_config_read(struct vu_client *c, unsigned offset, unsigned size);
/**
 * vu_client_config_write - do what a firmware does: addresses of BARs, decoding, interrupt line
 *
 * They are written to the device at each open. All else is not written.
 */
void vu_client_config_write(struct vu_client *c, unsigned offset, unsigned size, uint32_t value);
/* A BAR; size 0: absent. Flags are UVFIO_BAR_* (uvfio/model.h). */
struct vu_client_bar {
	uint64_t size; /* a power of two */
	unsigned flags;
};
#define VU_CLIENT_BARS 7u /* the last is the ROM */
/** vu_client_bar - describe BAR @bar, of VU_CLIENT_BARS */
struct vu_client_bar vu_client_bar(const struct vu_client *c, unsigned bar);
#endif
