/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/machine.h: what is plugged in. From the user's options to functions on buses, in groups,
 * bound to vfio-pci; the sysfs view is generated from it. A machine is built by one thread; after
 * that its tables change only by virtual functions that come and go (machine_sync), which any
 * thread may cause.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H
#include "base/pci_address.h"
#include "pci/face.h"
#include "vfio/group.h"

struct machine;
struct machine_device {
	const struct pci_face *face; /* NULL: not made in this process (machine_claim_dir) */
	struct vfio_device *vdev;    /* NULL: the same, or bound to @driver instead */
	const char *driver;	     /* "vfio-pci", or the name of a driver of the host */
	struct pci_address address;
	char addr[PCI_ADDRESS_TEXT]; /* the same as a text: "0000:01:00.0" */
	unsigned group;
	char *id; /* id=, or NULL */
};

struct machine *machine_new(void);
/*
 * Stop and free everything. @abandon: in a forked child; nothing of the parent's (files, threads)
 * is touched, model->destroy is not called.
 */
void machine_free(struct machine *m, bool abandon);
/*
 * @spec: "MODEL[,opt=val...]" or "./plugin.so[,...]". Options of every device: addr=[0000:]BB:DD.F,
 * group=N, id=NAME, driver=NAME, sriov_numvfs=N (machine_start). A comma in a value is written
 * ",,".
 * Default address 0000:01:00.0, 0000:02:00.0, ...; default group: 1, 2, ... the first free. *@err
 * gets a sentence for the user (malloc'ed; may be NULL when there is no memory).
 */
int machine_add(struct machine *m, const char *spec, char **err);
/*
 * Enable the VFs that specs of devices added since the last call ask for; their groups are the next
 * that are free. Not for a machine that goes by a run directory, whose processes all have the same
 * VFs (machine_sync). 0 or -errno with a sentence, as machine_add().
 */
int machine_start(struct machine *m, char **err);
/*
 * What one knows of a device only when it was made: where the one that was added last is, its
 * group, addresses and virtual functions, as a text for machine_add_settled() in the processes of a
 * run. *@out is malloc'ed. 0 or -ENOMEM.
 */
int machine_settle(struct machine *m, char **out);
/*
 * As machine_add(), after machine_claim_dir(): the device has its place, and is made when its group
 * is opened.
 */
int machine_add_settled(struct machine *m, const char *spec, const char *settled, char **err);
/*
 * The program is one whose accesses of a mapped BAR nobody could carry out (a virtual machine
 * monitor on KVM: the BAR would become memory of the guest). BARs of devices with mmap=auto can be
 * mapped no longer.
 */
void machine_auto_mmap_off(struct machine *m);
struct vfio_system *machine_system(struct machine *m);
/* that were added; VFs are asked for by their PF */
unsigned machine_num_devices(const struct machine *m);
struct machine_device *machine_device(struct machine *m, unsigned i);
/* VF @i of the device @pf, or NULL: it is not enabled. The pointer stays good. */
struct machine_device *machine_vf(struct machine *m, const struct machine_device *pf, unsigned i);
struct machine_device *machine_find(struct machine *m,
				    const char *addr); /* VFs too; with or without "0000:" */
/*
 * Its config space as the bus reads it: how many bytes, or -ENODEV: no such device, or not made in
 * this process.
 */
int machine_config(struct machine *m, const char *addr, uint8_t buf[4096]);
/* Around a fork: nothing is half made meanwhile. */
void machine_hold(struct machine *m);
void machine_unhold(struct machine *m);

/*
 * How much memory may be pinned: "inherit" (RLIMIT_MEMLOCK of this process at each MAP_DMA,
 * unlimited with CAP_IPC_LOCK, as the kernel has it; what machine_new() sets), "unlimited", or
 * bytes with a suffix K, M, G, T. 0 or -EINVAL. machine_parse_memlock() only reads the text;
 * "inherit" reads the process's limit.
 */
int machine_set_memlock(struct machine *m, const char *text);
int machine_parse_memlock(const char *text, uint64_t *bytes);

/*
 * Several processes share one run directory. From now on an open group is claimed by a lock on
 * @run_dir/claims/group-N: a second process that opens it gets -EBUSY, as from the kernel. The
 * locks are open-file-description locks: they go with the process that holds them. A device that is
 * added now (machine_add_settled), with what only one process can have of it (an image, a socket),
 * is there while this process has its group open. Devices that hang together, a PF and its VFs or
 * the two ends of a cable, are one process's at a time. One that cannot be made is -EIO for who
 * opens its group, with a line. 0 or -errno with a log line.
 */
int machine_claim_dir(struct machine *m, const char *run_dir);
/*
 * SR-IOV in a run. How many VFs each PF has is a matter of the run, not of a process: it stands in
 * the run directory, with the view. machine_sync() brings @m into line with it, before a file of
 * /dev/vfio is opened. If it changed until the group is claimed, the open is -EAGAIN, and one
 * begins again. 0 or -errno with a log line.
 */
int machine_sync(struct machine *m);
/*
 * Write the sysfs and /dev view as a real tree under @dir (which exists and is empty):
 * @dir/sys/bus/pci/..., @dir/sys/devices/..., @dir/sys/kernel/iommu_groups/...,
 * @dir/sys/module/..., @dir/dev/vfio/... 0 or -errno with a log line.
 */
int machine_write_view(struct machine *m, const char *dir);
/*
 * `lspci -F` text of one device: "BB:DD.F name\n00: 86 80 ...\n" of the hardware's config space, to
 * @fd.
 */
int machine_dump(struct machine_device *d, int fd);

/*
 * `uvfio models`: every built-in model with its options, to @fd. @only may name a plug-in, too.
 * -ENOENT: no such model.
 */
int machine_list_models(int fd, const char *only /* NULL: all */);
/*
 * For completion: names, one a line: of the models (@only NULL), or of the options of one, each
 * with a "=" behind.
 */
int machine_list_names(int fd, const char *only);

/*
 * @spec with every path in it made absolute (a program that changes its directory reads the same
 * images): *@out is malloc'ed. Errors as machine_add().
 */
int machine_spec_absolute(const char *spec, char **out, char **err);
#endif
