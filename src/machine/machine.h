/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/machine.h: a machine is what is plugged in: devices that providers make from the user's
 * options, on buses, in groups, with drivers; and the sysfs view of them. A machine is built by one
 * thread. After that its tables change only when virtual functions come and go (machine_sync),
 * which any thread may cause. What returns 0 or -errno "with a sentence" puts a text for the user
 * into *@err (malloc'ed; NULL if there was no memory; @err may be NULL).
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H
#include <stdio.h>

#include "base/pci_address.h"
#include "pci/face.h"
#include "vfio/group.h"

struct machine;
/* A device of a machine, for others to read. */
struct machine_device {
	const struct pci_face *face; /* NULL: not made in this process (machine_claim_dir) */
	struct vfio_device *vdev;    /* NULL: the same, or bound to @driver instead */
	const char *driver;	     /* "vfio-pci", or the name of a driver of the host */
	struct pci_address address;
	char addr[PCI_ADDRESS_TEXT]; /* the same as a text: "0000:01:00.0" */
	unsigned group;
	char *id; /* id=, or NULL */
};

/* ---- life ---- */

struct machine *machine_new(void); /* NULL: no memory */
/*
 * Stop and free everything; @m may be NULL. @abandon: in a forked child: nothing of the parent's is
 * touched (files, threads, models), the memory stays.
 */
void machine_free(struct machine *m, bool abandon);
/* Keep devices from being made or given up, around a fork. */
void machine_hold(struct machine *m);
void machine_unhold(struct machine *m);

/* ---- plugging in ---- */

struct uvfio_model;
/*
 * Have @model, which is copied, known by its name in specs, in all machines of the process. 0;
 * -EEXIST: there is one of that name; -EINVAL; -ENOMEM; with a sentence. Any thread.
 */
int machine_register_model(const struct uvfio_model *model, char **err);

/*
 * Plug in the device of @spec: "MODEL[,opt=val...]", "./plugin.so[,...]", "host=ADDRESS[,...]", a
 * real one, or "socket=PATH[,...]", one behind a socket; a comma in a value is written ",,".
 * options.c has the options of every device.
 * Without addr= it gets 0000:01:00.0, 0000:02:00.0, ..., without group= the first free one of 1, 2,
 * ..., and a real one what it has in the host. 0 or -errno with a sentence.
 */
int machine_add(struct machine *m, const char *spec, char **err);
/*
 * Take @d out again, which is none of a run and not open, nor are its VFs: what it had is free, and
 * so is @d.
 */
void machine_remove(struct machine *m, struct machine_device *d);
/*
 * Check that the device that was added last could be opened now: nobody else has a real one. Before
 * any is open. 0 or -errno with a sentence.
 */
int machine_check(struct machine *m, char **err);
/*
 * Enable the VFs that specs of devices added since the last call ask for; their groups are the next
 * that are free. Not for a machine that goes by a run directory, whose processes all have the same
 * VFs (machine_sync). 0 or -errno with a sentence.
 */
int machine_start(struct machine *m, char **err);
/*
 * Say where the device that was added last is (its group, addresses and virtual functions, which
 * are known only when it was made), as a text for machine_add_settled() in the processes of a run.
 * *@out is malloc'ed. 0 or -ENOMEM.
 */
int machine_settle(struct machine *m, char **out);
/*
 * Say where the bus addresses of the next device begin (I/O, 32-bit memory, 64-bit memory), and by
 * which number devices of this machine differ from others (0: there was none).
 */
void machine_next(const struct machine *m, uint64_t spaces[3], uint64_t *run);
/* Have that number be @run, which is not 0; before a device is added. */
void machine_set_run(struct machine *m, uint64_t run);
/*
 * Have @d's state be there to be saved and loaded (vfio/migrate.h), whatever migration= says.
 * Before it is open. 0; -EOPNOTSUPP: it cannot; -ENOMEM.
 */
int machine_let_migrate(struct machine_device *d);
/*
 * As machine_add(), after machine_claim_dir(): the device has its place, and is made when its group
 * is opened.
 */
int machine_add_settled(struct machine *m, const char *spec, const char *settled, char **err);
/*
 * Allow no BAR of devices with mmap=auto to be mapped any more, but of real ones: the program is
 * one whose accesses of a mapped BAR nobody could carry out (a virtual machine monitor on KVM: the
 * BAR would become memory of the guest).
 */
void machine_auto_mmap_off(struct machine *m);
/*
 * Set how much memory may be pinned: "inherit" (RLIMIT_MEMLOCK of this process at each MAP_DMA,
 * unlimited with CAP_IPC_LOCK, as the kernel has it; the default), "unlimited", or bytes with a
 * suffix K, M, G, T. 0 or -EINVAL.
 */
int machine_set_memlock(struct machine *m, const char *text);
/* Is there no IOMMU? Then who may use the devices: who has CAP_SYS_RAWIO, or all. */
enum machine_noiommu { MACHINE_HAS_IOMMU, MACHINE_NOIOMMU, MACHINE_NOIOMMU_ALL };
/*
 * Have no IOMMU, before the first device is added: "rawio" or "all", who may use the devices. 0
 * or -EINVAL.
 */
int machine_set_noiommu(struct machine *m, const char *who);
/*
 * Return the physical address of the program's byte at @vaddr, whose page is there, or 0: there is
 * an IOMMU, or the caller may not know it (CAP_SYS_ADMIN), or it is no memory. Any thread.
 */
uint64_t machine_physical_of(struct machine *m, uint64_t vaddr);
/* Read such a text alone; "inherit" is the process's limit of now. 0 or -EINVAL. */
int machine_parse_memlock(const char *text, uint64_t *bytes);
/*
 * Have @is say what memory is a mapped BAR (struct vfio_env's device_memory), before anything is
 * mapped.
 */
void machine_set_device_memory(struct machine *m,
			       bool (*is)(void *arg, uint64_t vaddr, uint64_t size,
					  struct vfio_bar *first),
			       void *arg);
/*
 * Return @spec with every path in it made absolute, for a program that changes its directory, in
 * *@out (malloc'ed). 0 or -errno with a sentence.
 */
int machine_spec_absolute(const char *spec, char **out, char **err);

/*
 * Have the spec of the device behind the socket at @path (or "fd:N") in *@out, malloc'ed: a comma
 * is written twice there. 0 or -ENOMEM.
 */
int machine_spec_of_socket(const char *path, char **out);

/* ---- looking ---- */

struct vfio_system *machine_system(struct machine *m);
/* Return how many devices were added; VFs do not count. */
unsigned machine_num_devices(const struct machine *m);
struct machine_device *machine_device(struct machine *m, unsigned i); /* NULL: there are fewer */
/* Return VF @i of the device @pf, or NULL: it is not enabled. The pointer stays good. */
struct machine_device *machine_vf(struct machine *m, const struct machine_device *pf, unsigned i);
/* Return the device or VF at @addr, with or without "0000:"; NULL: there is none. */
struct machine_device *machine_find(struct machine *m, const char *addr);
/* Return the device behind the socket at @path that is plugged in already; NULL: there is none. */
struct machine_device *machine_find_socket(struct machine *m, const char *path);
/* True if @d is a real device, at the address that it has in the host. */
bool machine_device_is_real(const struct machine_device *d);
/* True if @d is to be in a process of its own (process=own), which is the caller's affair. */
bool machine_device_has_own_process(const struct machine_device *d);
/*
 * Read the config space of the device at @addr as the bus sees it. How many bytes, or -ENODEV:
 * there is no such device, or it is not made in this process.
 */
int machine_config(struct machine *m, const char *addr, uint8_t buf[PCI_CFG_EXP_SIZE]);

/* ---- several processes ---- */

/*
 * Share the machine with other processes by @run_dir. From now on an open group is claimed by a
 * lock on @run_dir/claims/group-N: a second process that opens it gets -EBUSY, as from the kernel.
 * The locks are open-file-description locks: they go with the process that holds them. A device
 * that is added now (machine_add_settled), with what only one process can have of it (an image, a
 * socket), is there while this process has its group open. Devices that hang together, a PF and its
 * VFs or the two ends of a cable, are one process's at a time. If one cannot be made, opening its
 * group is -EIO, with a log line. 0 or -errno with a log line.
 */
int machine_claim_dir(struct machine *m, const char *run_dir);
/*
 * Bring @m into line with the run, before a file of /dev/vfio is opened: its devices, of which @m
 * has none at first, and how many VFs each PF has
 * is a matter of the run, not of a process, and stands in the run directory, with the view. If it
 * changes until the group is claimed, the open is -EAGAIN, and the caller begins again. 0 or -errno
 * with a log line.
 */
int machine_sync(struct machine *m);

/* ---- what happens to devices; removal.c ---- */

/*
 * Have @fn called when a device that is leaving was closed by its last opener, by the thread that
 * closes it, with any lock held: it may write to a descriptor. Before anything is open.
 */
void machine_on_release(struct machine *m, void (*fn)(void *arg), void *arg);
/*
 * The run takes the device at @addr away: from now on nobody can open it (-ENODEV), and who has it
 * open is asked to close it (REQ). @count: how often it was asked for before. @lost: it was pulled
 * out, and does not answer any more. Return how many have it open in this process.
 */
unsigned machine_leave(struct machine *m, const char *addr, unsigned count, bool lost);
/* Errors that a device can report (PCIe 6.0, 6.2.2). */
enum machine_severity { MACHINE_CORRECTABLE, MACHINE_NONFATAL, MACHINE_FATAL };
/*
 * Ask the users of the device at @addr, whose driver is being taken away, to close it, for the
 * @count-th time from 0 on; nobody can open it until it has a driver again. Returns how often it is
 * open in this process.
 */
unsigned machine_ask_back(struct machine *m, const char *addr, unsigned count);
/*
 * Reset the device at @addr, open or not, as the host does. 0; -ENODEV: it is not in this process;
 * -ENOTTY: it cannot be reset alone, or does not answer.
 */
int machine_reset(struct machine *m, const char *addr);
/* Have a device that is open report an error. 0, -EINVAL, -ENODEV (machine_provider.error). */
int machine_error(struct machine *m, const char *addr, enum machine_severity severity);
/*
 * Plug a new device into the run at @run_dir, whose view is locked by the caller: it gets its place
 * by the run's rules, and is in the run's list and in the view when this returns. *@addr
 * (PCI_ADDRESS_TEXT bytes) and *@group say where; *@numvfs how many VFs it shall have, which
 * run_set_numvfs() enables. 0 or -errno with a sentence.
 */
int machine_hotplug(const char *run_dir, const char *spec, char *addr, unsigned *group,
		    unsigned *numvfs, char **err);
/* True if @spec is of a real device. Needs no machine. */
bool machine_spec_is_real(const char *spec);
/*
 * Tell what is in the network socket of a device: of @spec, in a run that has the @n devices of
 * @all, too. Needs no machine.
 */
enum machine_cable { MACHINE_NO_SOCKET, MACHINE_NO_CABLE, MACHINE_CABLE };
enum machine_cable machine_spec_cable(const char *spec, const char *const *all, unsigned n);
/* Put the cable of the device in, or pull it out. 0, or -EOPNOTSUPP. -ENODEV: it is not made. */
int machine_link(struct machine *m, const char *addr, bool up);
/* How this process uses a device. */
struct machine_use {
	const char *addr;
	unsigned by_group, by_itself; /* opens through its group's file, and others */
	unsigned power;		      /* the D-state, 0 to 3 */
	bool lost, leaving;
	bool has_master;		 /* it may make DMA */
	int link_up;			 /* 1, 0; -EOPNOTSUPP: not known */
	bool correctable, uncorrectable; /* its AER has noted such errors */
};
/* Call @fn for each device whose group this process has open. */
void machine_each_use(struct machine *m, void (*fn)(void *arg, const struct machine_use *u),
		      void *arg);

/* ---- showing ---- */

struct text;
/*
 * Write what the device at @addr, whose group this process has open, is now to @t, in lines
 * (base/text.h). 0; -ENODEV: it is not made here; -EOPNOTSUPP: its registers are known elsewhere (a
 * real device, one behind a socket).
 */
int machine_show(struct machine *m, const char *addr, struct text *t);

/*
 * Write the sysfs and /dev view as a real tree under @dir (which exists and is empty):
 * @dir/sys/bus/pci/..., @dir/sys/devices/..., @dir/sys/kernel/iommu_groups/...,
 * @dir/sys/module/..., @dir/dev/vfio/... 0 or -errno with a log line.
 */
int machine_write_view(struct machine *m, const char *dir);
/*
 * Write the config space of one device to @fd as text for `lspci -F`: "BB:DD.F name\n00: 86 80
 * ...\n". 0 or -errno.
 */
int machine_dump(struct machine_device *d, int fd);
/*
 * Write every built-in model, or only @only (which may be a plug-in), with the options to @fd, for
 * `uvfio models`. 0, -ENOENT (no such model) or -errno.
 */
int machine_list_models(int fd, const char *only);
/*
 * Write names, one a line, for completion: of the models (@only NULL), or of the options of one,
 * each with a "=" behind. The same.
 */
int machine_list_names(int fd, const char *only);
/*
 * Write the mistakes of drivers that built-in models know (struct uvfio_kind): a line each, or the
 * explanation of @only, also of several whose names begin so. 0, -ENOENT (no such kind) or -errno.
 */
int machine_list_kinds(int fd, const char *only);
/*
 * True if there is a kind @name, or one that begins so; also if its model is none that is built in,
 * as it may be in a shared object of the user's then.
 */
bool machine_may_be_kind(const char *name);
struct fault_spec;
/*
 * Check that @spec (fault/table.h), if it is of a model, is a fault that the model of one of the
 * @n devices of these specs has, or one that is built in. 0, or -EINVAL with a sentence in @why.
 */
int machine_check_fault(const char *const *devices, unsigned n, const struct fault_spec *spec,
			char *why, size_t size);
/* Write the faults of built-in models, a line each. */
void machine_list_faults(FILE *f);
#endif
