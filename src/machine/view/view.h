/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/view/view.h: /sys and /dev as a program with VFIO devices finds them, as a real tree of
 * files, directories and relative links.
 *
 * It shows what Linux shows (Documentation/ABI/testing/sysfs-bus-pci, sysfs-kernel-iommu_groups;
 * checked against a Linux 6.18), with two rules of its own. A file that acts when it is written is
 * there, as clients look for it, but with no right to write if nobody acts on it: a plain file
 * would take the text and do nothing. Those for which somebody acts are in run/store.c. And what
 * uvfio cannot serve is absent as on a kernel that lacks it: resourceN and rom (a mapping of a
 * plain file is no device). The files are a picture of the moment; what changes is config space,
 * which a client reads by VFIO.
 *
 * Nothing here knows a machine: who writes the view of one walks it (machine/view.c), and a process
 * without devices changes it (machine/run/).
 */
#ifndef MACHINE_VIEW_VIEW_H
#define MACHINE_VIEW_VIEW_H
#include <stdbool.h>

#include "base/pci_address.h"
#include "machine/view/tree.h"
#include "pci/face.h"

/* The CPUs of the computer, read once for all devices. */
struct cpus {
	char cpulist[256]; /* "0-3" */
	char cpumask[256]; /* "f" */
};
void view_cpus_read(struct cpus *c);

/* ---- device.c ---- */
struct view_device {
	const struct pci_face *face;
	const char *addr, *pf_addr; /* @pf_addr: of a VF, its PF's; else NULL */
	const char *parent;	    /* its directory is in sys/devices/@parent */
	const char *driver;	    /* NULL: none */
	bool is_vfio;		    /* the driver is vfio-pci */
	bool on;		    /* its driver has enabled it */
	bool bus_above;		    /* the bus that it is on can be reset */
	bool bus_reset;		    /* and nothing else was there when the device was found */
	unsigned group;
	const struct view_bridge *bridge; /* what is behind it; NULL: it is no bridge */
};
/* A window of a bridge; size 0: closed. */
struct view_window {
	uint64_t start, size;
};
enum { VIEW_WINDOW_IO, VIEW_WINDOW_MEM, VIEW_WINDOW_PREF, VIEW_WINDOWS };
struct view_bridge {
	unsigned secondary, subordinate;
	const struct view_window *windows; /* VIEW_WINDOWS of them */
};
/* Write the directory of a device, and the links to it. */
void view_device(struct tree *t, const struct cpus *c, const struct view_device *d);
/* Write the windows of a bridge, which is shown, anew. */
void view_windows(struct tree *t, const struct view_device *d);
/* Write the file `remove` of the device in @dir ("sys/devices/..."), which may be there. t->err. */
int view_remove_file(struct tree *t, const char *dir);
/*
 * Write the directory of a VF aside, as it looks when it is enabled: who enables VFs may be a
 * shell, which has no devices to look at, and has only to move it to its place (vfs.c).
 */
void view_vf_aside(struct tree *t, const struct cpus *c, const struct view_device *d);
/*
 * Call @fn for each link of the view that says that @addr, whose directory is in devices/@parent,
 * is there: to make or to take away. @driver: NULL: it has none. @group: or VIEW_NO_GROUP.
 */
void view_links(struct tree *t, const char *parent, const char *addr, const char *driver,
		unsigned group, void (*fn)(struct tree *t, const char *path, const char *target));

/* The longest path from devices/ to the directory that a device's is in, with the null byte. */
#define VIEW_PARENT 80u
/*
 * Find where the directory of the device @addr is, which the view shows: in sys/devices/@parent.
 * False: there is no such device.
 */
bool view_parent(const struct tree *t, const char *addr, char parent[VIEW_PARENT]);

/*
 * In the run directory: a file of each device's name with the methods by which it can be reset, as
 * its file reset_method has them; "bus" is one if nothing else is on the bus.
 */
#define VIEW_RESETS "resets"

/* ---- kernel.c ---- */
void view_bus(struct tree *t); /* with vfio-pci and pci-stub */
void view_driver(struct tree *t, const char *name);
/* The same of a driver that is no part of VFIO, with its module. */
void view_host_driver(struct tree *t, const char *name, const char *module);
void view_root_bus(struct tree *t, const struct cpus *c, const char *bus); /* "0000:01" */
void view_iommu(struct tree *t);
void view_modules(struct tree *t, unsigned dma_entry_limit, bool noiommu);

/* ---- groups.c ---- */
/* In place of a group: the device is in none. */
#define VIEW_NO_GROUP (~0u)
/*
 * Write the group of a device in @dir ("sys/devices/...") that has no IOMMU, with its node, or take
 * it away.
 */
void view_noiommu_group(struct tree *t, unsigned id, const char *dir);
void view_drop_noiommu_group(struct tree *t, unsigned id, const char *dir);
void view_container_node(struct tree *t);
void view_group(struct tree *t, unsigned id);
void view_drop_group(struct tree *t, unsigned id);
/* Write /dev/vfio/N and what sysfs has of it, or take it away. */
void view_group_node(struct tree *t, unsigned id);
void view_drop_group_node(struct tree *t, unsigned id);

/* ---- cdevs.c ---- */
void view_cdev_class(struct tree *t); /* what is there without a device */
/*
 * Give the device in @dir, "sys/devices/pci0000:01/0000:01:00.0", a number and show its character
 * device, or take both away. A device that has none is no error then.
 */
void view_cdev(struct tree *t, const char *dir, bool noiommu);
void view_drop_cdev(struct tree *t, const char *dir, bool noiommu);
/* Show it no more, but keep the number for as long as a program has it open. */
void view_hide_cdev(struct tree *t, const char *dir, bool noiommu);
/* Find the device that has number @id in the view below @root: 0 or -ENOENT. */
int view_cdev_device(const char *root, unsigned id, struct pci_address *out);

/* ---- vfs.c: VFs come and go; @pf and @addr are addresses ---- */
/* Show VF @index of @pf, whose directory waits aside, in group @group, without a driver. */
void view_show_vf(struct tree *t, const char *pf, unsigned index, const char *addr, unsigned group);
/* Take the link from its PF away. */
void view_drop_virtfn(struct tree *t, const char *pf, unsigned index);
/* Hide it, also what was shown of it only in part; it has no driver any more. */
void view_hide_vf(struct tree *t, const char *pf, unsigned index, const char *addr, unsigned group);
/* Show how many VFs of @pf are enabled: in sriov_numvfs, and in config space. */
void view_show_numvfs(struct tree *t, const char *pf, unsigned num);
#endif
