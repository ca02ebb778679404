/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/run.h: what the processes of a run share: a directory with the view, with the state
 * of PFs and with locks. Nothing here needs a machine in the process.
 */
#ifndef MACHINE_RUN_RUN_H
#define MACHINE_RUN_RUN_H
#include <stdbool.h>
#include <stddef.h>
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
