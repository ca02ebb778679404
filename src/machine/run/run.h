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

/* ---- drivers (drivers.c) ---- */

#define RUN_PCI_STUB	"pci-stub"
#define RUN_DRIVER_NAME 64u /* bytes of a driver's name, with the null byte */

/* The IDs by which a driver knows a device. */
struct run_id {
	unsigned vendor, device, subvendor, subdevice, class;
};
/* True if @driver is a driver of Linux's that has @id in its table. */
bool run_driver_has_id(const char *driver, const struct run_id *id);
/*
 * True if a device that @driver has ("": that nobody has) leaves its group viable: the driver does
 * no DMA of its own (driver_managed_dma of Linux's struct pci_driver).
 */
bool run_driver_is_safe(const char *driver);
/*
 * Read which driver the device at @addr has, or "". 0; -ENODEV: there is no such device; -ENOENT:
 * there is no view.
 */
int run_driver(const char *run_dir, const char *addr, char name[RUN_DRIVER_NAME]);

/* ---- resets (reset.c) ---- */

/* How a device is reset alone; Linux has others, which no device here can. */
enum run_reset_method { RUN_RESET_FLR, RUN_RESET_AF_FLR, RUN_RESET_PM, RUN_RESET_BUS };
#define RUN_RESET_METHODS 7u /* so many can be chosen, one also twice */
/*
 * Read by which methods the device at @addr is reset now (reset_method): how many; -ENOENT: the
 * view does not say so.
 */
int run_reset_methods(const char *run_dir, const char *addr,
		      enum run_reset_method out[RUN_RESET_METHODS]);

/* ---- without an IOMMU (noiommu.c) ---- */

/*
 * A directory of such a run: in it are files of the name of each device, with the number of its
 * group, and "all" if all may use them.
 */
#define RUN_NOIOMMU "noiommu"
/* The socket of a run whose devices are in a process of their own (far/wire.h). */
#define RUN_OWN "claims/own"
/* In the run directory: where what the view had of devices that were removed waits. */
#define RUN_REMOVED "removed"
/* True if the run directory has @name. */
bool run_view_has(const char *run_dir, const char *name);
/* Note the group of a device, at the start of a run. 0 or -errno with a log line. */
int run_noiommu_note(const char *run_dir, const char *addr, unsigned group);
/* Note that all may use the devices. The same. */
int run_noiommu_all(const char *run_dir);
/* True if the mode is on: vfio's parameter enable_unsafe_noiommu_mode. */
bool run_noiommu_mode(const char *run_dir);

/* ---- virtual functions ---- */

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
/* Note one more, which has no VFs. The view is locked. 0 or -errno. */
int run_add_pf(const char *run_dir, const struct run_pf *pf);
/* Read the state of all PFs at some moment: an array to free. -ENOENT: no PF in this run. */
int run_pfs_read(const char *run_dir, struct run_pf **out, unsigned *n);
struct run_wait;
/*
 * Enable @num VFs of the PF at @addr, or disable them (0), in state and view, with the kernel's
 * rules and errnos. Where one that goes is open: -EINPROGRESS, as run_store(); without @w -EBUSY,
 * and all stay.
 */
int run_set_numvfs(const char *run_dir, const char *addr, unsigned num, struct run_wait *w);

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
/*
 * Change what the list says of the device at @addr, as below, for all processes that follow it. 0,
 * -ENODEV, or -errno.
 */
int run_change_device(const char *run_dir, const char *addr,
		      void (*change)(struct run_device *d, bool on), bool on);
void run_device_leaving(struct run_device *d, bool on);
void run_device_link(struct run_device *d, bool on);
/* The state of devices of 2010's interface between two users: a file each (machine/kept.c). */
#define RUN_KEPT "kept"

/*
 * Take the device at @addr out of the run, a PF with its VFs. 0; -ENODEV: there is none, or it is a
 * VF; -EINPROGRESS: it, or a VF of it, is open; -errno.
 */
int run_unplug(const char *run_dir, const char *addr);
/* Return the device that is at @addr, "0000:01:00.0" or "01:00.0"; NULL: there is none. */
struct run_device *run_devices_find(struct run_devices *l, const char *addr);

/* Take the lock that whoever changes the view has. A descriptor for run_unlock(), or -errno. */
int run_lock_view(const char *run_dir);
/* Take a lock under which nobody opens group @id. The same; -EBUSY: it is open. */
int run_lock_group(const char *run_dir, unsigned id);
void run_unlock(int fd);

/* ---- what the kernel tells of devices (uevent.c) ---- */

#define RUN_UEVENTS "uevents" /* in the run directory: the sockets of who listens */
/*
 * Tell all that @action ("add", "bind", "unbind", "remove") happened to what is at @dir of the view
 * ("sys/devices/..."), of @subsystem, with what its file uevent says. The view is locked.
 */
void run_uevent(const char *run_dir, const char *action, const char *subsystem, const char *dir);
/* Send them such a message, of another kernel's. */
void run_uevent_send(const char *run_dir, const char *text, size_t len);

/* True if the run directory has @name. */
bool run_view_has(const char *run_dir, const char *name);
/* True if the file of the view at @path ("/sys/..."; without links) acts when it is written. */
bool run_acts(const char *path);
/* The reason why a write waits. */
struct run_wait {
	enum run_wait_for {
		RUN_WAIT_CLOSE, /* that the device at @addr is closed */
		RUN_WAIT_RESET, /* that who has it resets it, and the write is done */
	} what;
	char addr[PCI_ADDRESS_TEXT];
	unsigned group; /* the device's */
};
/*
 * A program writes @text of @len bytes to it. The view changes. @len, or the kernel's -errno;
 * -EINPROGRESS: *@w, which is 0 at first, says what has to happen before; NULL: nobody wants to
 * know. Where it is a close, the caller waits a while and calls again. Calls back into no machine.
 */
long run_store(const char *run_dir, const char *path, const char *text, size_t len,
	       struct run_wait *w);
/* True if a process has the device open, its own or another; also if that cannot be told. */
bool run_is_open(const char *run_dir, const char *addr, unsigned group);

/* The bytes of a group's file, claims/group-N, that are locked. */
#define RUN_LOCK_GROUP 0 /* by the process that has it open */
#define RUN_LOCK_UNIT  1 /* by the process that has the devices which hang together with it */
#define RUN_LOCK_OWNER 2 /* by who owns its DMA, or binds a driver that does DMA */
/* by the process that has the device at @a open, or by who takes its driver away */
static inline off_t run_device_byte(const struct pci_address *a)
{
	return 16 + ((off_t)a->segment << 16 | a->bus << 8 | pci_address_devfn(a));
}

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
