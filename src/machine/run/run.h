/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/run.h: what the processes of a run share: a directory with the view, with the state
 * of PFs and with locks. Nothing here needs a machine in the process.
 */
#ifndef MACHINE_RUN_RUN_H
#define MACHINE_RUN_RUN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/pci_address.h"

#define RUN_VFS_MAX 255u
/* A PF of the run: its VFs, and which of them are enabled. */
struct run_pf {
	struct pci_address address;
	char addr[PCI_ADDRESS_TEXT]; /* the same as a text */
	unsigned total, offset, stride, num;
	unsigned groups[RUN_VFS_MAX]; /* of the first @num */
};
/* At the start of a run, whose view is written: note the @n PFs in @pfs, which have no VFs. */
int run_init(const char *run_dir, struct run_pf *pfs, unsigned n);
/* Read the state of all PFs at some moment: an array to free. -ENOENT: no PF in this run. */
int run_pfs_read(const char *run_dir, struct run_pf **out, unsigned *n);
/*
 * Enable @num VFs of the PF at @addr, or disable them (0), in state and view, with the kernel's
 * rules and errnos.
 */
int run_set_numvfs(const char *run_dir, const char *addr, unsigned num);

/* A device of the run; devices.c. VFs are not among them. */
struct run_device {
	uint64_t born, died; /* the changes with which it came and went; 0: it has not gone */
	bool leaving;	     /* nobody may open it any more */
	bool link_down;
	char *place, *spec; /* as machine_add_settled() takes them */
	/* the first two of @place: */
	struct pci_address address;
	char addr[PCI_ADDRESS_TEXT];
	unsigned group;
};
struct run_devices {
	uint64_t serial;  /* of the last change */
	uint64_t next[3]; /* the next free bus address: I/O, 32-bit memory, 64-bit memory */
	uint64_t run;	  /* uvfio_unique() of devices to come */
	struct run_device *d;
	unsigned n;
};
/* Read the devices of the run at some moment. 0; -ENOENT; or -errno with a log line. */
int run_devices_read(const char *run_dir, struct run_devices *out);
void run_devices_free(struct run_devices *l);
/* Append a device. 0, -ENOMEM, or -EIO: @place is none. */
int run_devices_append(struct run_devices *l, const char *place, const char *spec);
/*
 * Write them in place of the last ones, as one more change. Whoever calls it when programs run has
 * the lock of the view. 0 or -errno with a log line.
 */
int run_devices_write(const char *run_dir, struct run_devices *l);
/* Return the device that is at @addr, "0000:01:00.0" or "01:00.0"; NULL: there is none. */
struct run_device *run_devices_find(struct run_devices *l, const char *addr);

/* Take the lock that whoever changes the view has. A descriptor for run_unlock(), or -errno. */
int run_lock_view(const char *run_dir);
/* Take a lock under which nobody opens group @id. The same; -EBUSY: it is open. */
int run_lock_group(const char *run_dir, unsigned id);
void run_unlock(int fd);

/* True if the file of the view at @path ("/sys/..."; without links) acts when it is written. */
bool run_acts(const char *path);
/*
 * A program writes @text of @len bytes to it. The view changes. @len, or the kernel's -errno;
 * -EBUSY also where the kernel would wait until a device is closed. sriov_numvfs
 * (drivers/pci/iov.c): VFs come or go. bind, unbind, drivers_probe, driver_override: a device
 * leaves vfio-pci, or comes back. Calls back into no machine.
 */
long run_store(const char *run_dir, const char *path, const char *text, size_t len);

/* Lock @len bytes from @start on of a file; @wait for it, or -EBUSY. An OFD lock. */
int run_lock_range(int fd, short type, bool wait, off_t start, off_t len);
/* The same of the whole file. */
int run_lock_file(int fd, short type, bool wait);
/*
 * Set who is asked before a group is claimed, or a VF goes, whose last owner ended without giving
 * it up: has another process a descriptor of it? Then it is -EBUSY.
 */
void run_set_left_open(bool (*left_open)(unsigned group));
/* True if the last owner of @group's file, of which @claim is a locked descriptor, left it so. */
bool run_is_left_open(int claim, unsigned group);
#endif
