/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/run/internal.h: what the files about a run share. */
#ifndef MACHINE_RUN_INTERNAL_H
#define MACHINE_RUN_INTERNAL_H
#include <limits.h>

#include "machine/run/run.h"
#include "machine/view/view.h"

#define RUN_VIEW_LOCK "claims/view"

/* Put the path of @name in the run directory together. 0 or -ENAMETOOLONG. */
int run_path(const char *run_dir, const char *name, char path[PATH_MAX]);
/* Read a file of at most @most bytes: *@out is malloc'ed, with a null character behind @len. */
int run_read_file(const char *path, size_t most, char **out, size_t *len);
/*
 * Lock one byte of group @id's file: that of a device, so that nobody opens it, or RUN_LOCK_OWNER.
 * A descriptor for run_unlock(); -EBUSY: it is open, or owned.
 */
int run_lock_byte(const char *run_dir, unsigned id, off_t byte);
/* Write the state of all PFs in place of the last one. */
int run_pfs_write(const char *run_dir, const struct run_pf *st, unsigned n);

/* ---- shown.c: one device of the view ---- */

#define RUN_PAGE_MAX 4096u /* what sysfs takes at once, and shows */

#define RUN_DIR 160u /* bytes of a device's directory, "sys/devices/...", with the null byte */

/* A device that was found in the view. */
struct run_shown {
	const char *run_dir;
	struct pci_address address;
	char addr[PCI_ADDRESS_TEXT];
	char dir[RUN_DIR];	      /* sys/devices/pci0000:01/0000:01:00.0 */
	char driver[RUN_DRIVER_NAME]; /* that it has, or is leaving it; or "" */
	bool leaving;		      /* its driver is being taken away, which waits for a close */
	char override[RUN_PAGE_MAX];  /* driver_override, if it has one */
	bool has_override;
	struct run_id id;
	unsigned group;
};
/*
 * Find a device by its name, as bus_find_device_by_name() with sysfs_streq(): one line break at the
 * end does not count. 0 or -ENODEV.
 */
int run_find(const char *run_dir, const char *text, size_t len, struct run_shown *d);
/* Call @fn for each name in @dir of the run directory, sorted, until it returns not 0. */
int run_each_name(const char *run_dir, const char *dir, int (*fn)(const char *name, void *arg),
		  void *arg);
/* True if a device that appears is offered to drivers (drivers_autoprobe). */
bool run_autoprobe(const char *run_dir);
/* Call @fn for each device of the bus, in the order of their names, until it returns not 0. */
int run_each_device(const char *run_dir, int (*fn)(struct run_shown *d, void *arg), void *arg);
/* Read a file of the device, of less than RUN_PAGE_MAX bytes: its length or -errno. */
long run_read(const struct run_shown *d, const char *name, char text[RUN_PAGE_MAX]);
/* Write a file in place: it may be open, and have another mode than at first. 0 or -errno. */
int run_write(const struct run_shown *d, const char *name, const char *text, size_t n);
/* True if the device has a file, or link, of this name. */
bool run_has(const struct run_shown *d, const char *name);
/* Make the links that say that @d has @driver, and say so in its uevent. 0 or -errno. */
int run_link_driver(const struct run_shown *d, const char *driver);
/* Take the links away. */
int run_unlink_driver(const struct run_shown *d);
/* Say in uevent that @d has @driver, or none (""). */
int run_show_driver(const struct run_shown *d, const char *driver);
/* True if no device is in group @id, if there is one. */
bool run_group_is_empty(const char *run_dir, unsigned id);
/* True if another device of its group has vfio-pci. */
bool run_group_has_vfio(const struct run_shown *d);
/* Read a number as kstrtoul(text, 0): one line break at the end does not count. 0 or -EINVAL. */
int run_number(const char *text, size_t len, unsigned long *out);

/* ---- stores to attributes, by run_store(): 0 or the kernel's -errno. The view is locked. ---- */

/* The text that is written; @wait is filled in for -EINPROGRESS. */
struct run_text {
	const char *text;
	size_t len;
	struct run_wait *wait;
};
int run_bind_store(const char *run_dir, const char *driver, const struct run_text *t);
int run_unbind_store(const char *run_dir, const char *driver, const struct run_text *t);
int run_probe_store(const char *run_dir, const struct run_text *t);
int run_override_store(const char *run_dir, const char *addr, const struct run_text *t);
int run_new_id_store(const char *run_dir, const char *driver, const struct run_text *t);
int run_remove_id_store(const char *run_dir, const char *driver, const struct run_text *t);
int run_noiommu_store(const char *run_dir, const struct run_text *t);
int run_reset_store(const char *run_dir, const char *addr, const struct run_text *t);
int run_reset_method_store(const char *run_dir, const char *addr, const struct run_text *t);
int run_remove_store(const char *run_dir, const char *addr, const struct run_text *t);
/* @addr: of the device whose bus it is; NULL: all buses. */
int run_rescan_store(const char *run_dir, const char *addr, const struct run_text *t);

/* ---- what they share ---- */

/* Take @d, which has no driver, out of the view, for rescan to find. 0 or -errno. */
int run_hide(const struct run_shown *d);

/* Read the group that @d gets when it is bound: false: the run has an IOMMU. */
bool run_noiommu_group(const struct run_shown *d, unsigned *group);
/* Show the group of @d, which gets vfio-pci, or is about to lose it. 0 or -errno. */
int run_noiommu_show(const struct run_shown *d);
int run_noiommu_hide(const struct run_shown *d);

/*
 * Take the driver of @d away, as device_release_driver(): 0, -EINPROGRESS, or -errno. From the
 * first call on nobody can open it, and whoever calls next goes on with it.
 */
int run_release_driver(struct run_shown *d, struct run_wait *w);
/* The two halves of that: before the wait, and after it, with the device's byte locked. */
int run_release_begin(struct run_shown *d);
int run_release_end(struct run_shown *d);
/* In the run directory: for each such device the name of the driver that it is leaving. */
#define RUN_LEAVING "leaving"
/* Have all its methods of reset again, as a device that was found just now. 0 or -errno. */
int run_reset_default(const struct run_shown *d);
/* Note that @d has to be closed, or reset: -EINPROGRESS. */
int run_wait_for(struct run_wait *w, enum run_wait_for what, const struct run_shown *d);
/* Give @d, which has no driver, the first one that takes it: 0; -EBUSY: that could not. */
int run_attach(struct run_shown *d);
/* The same of every device without a driver, with @driver alone. */
int run_attach_driver(const char *run_dir, const char *driver);
/* True if an ID that was written to new_id of @driver is the device's. */
bool run_has_dynamic_id(const char *run_dir, const char *driver, const struct run_id *id);
/* Disable the VFs of the PF at @addr, if there are any. 0, -EINPROGRESS, or -errno. */
int run_disable_vfs(const char *run_dir, const char *addr, struct run_wait *w);
/* The store of sriov_numvfs, of the PF at @addr; the view is not locked. @len or -errno. */
long run_numvfs_store(const char *run_dir, const char *addr, const struct run_text *t);
#endif
