/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * uvfio/model.h: write a PCI device in C.
 *
 * A model is what a chip does: registers behind BARs, DMA, interrupts, reset. It fills a struct
 * uvfio_model with functions that uvfio calls when a driver touches the device, and calls back for
 * DMA and interrupts. Everything that the PCI standard defines (config space, capabilities, masks
 * and pending bits, bus mastering, power states) is done for the model; the vfio-pci driver on top
 * is done too. A model links with nothing but libuvfio and includes nothing of uvfio but this file.
 *
 * Build a shared object that exports one `const struct uvfio_model uvfio_model` and run it with
 * `--device ./model.so,opt=val`. examples/counter.c is a complete one.
 *
 * Threads. Unless the model sets `concurrent`, uvfio serialises all callbacks of one device (a lock
 * that the device owns), timers included. A concurrent model is called by any thread at any time
 * and locks for itself. The functions that a model calls (uvfio_dma_*, uvfio_msi, uvfio_intx,
 * uvfio_timer_set, uvfio_log) may be called by any thread of the model, from inside and outside of
 * callbacks, and never call back into the model.
 */
#ifndef UVFIO_MODEL_H
#define UVFIO_MODEL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UVFIO_PUBLIC	__attribute__((visibility("default")))
#define UVFIO_MODEL_ABI 1u

/** struct uvfio_dev - one instance of a model: a PCI function. Opaque. */
struct uvfio_dev;

/** enum uvfio_reset_kind - why a device is reset. */
enum uvfio_reset_kind {
	UVFIO_RESET_POWER_ON, /* once, after create */
	/* function level reset: Device Control, AF, or VFIO_DEVICE_RESET (PCIe 6.0, 6.6.2) */
	UVFIO_RESET_FLR,
	UVFIO_RESET_BUS, /* hot reset of the bus above */
	UVFIO_RESET_D3,	 /* D3hot to D0 with No_Soft_Reset clear (PCI PM 1.2, 5.4.1) */
	/*
	 * of a VF: its PF was reset, or the PF's VF Enable was cleared; the VF is gone until it is
	 * set again
	 */
	UVFIO_RESET_PF,
};

/** enum uvfio_option_type - what an option's text must look like. */
enum uvfio_option_type {
	UVFIO_OPT_STRING,
	UVFIO_OPT_SIZE, /* bytes; suffixes K M G T (powers of 1024) */
	UVFIO_OPT_UINT, /* decimal or 0x hexadecimal, within [min, max] */
	UVFIO_OPT_BOOL, /* on/off, true/false, yes/no, 1/0 */
	UVFIO_OPT_PATH, /* a file that must exist */
};

/**
 * struct uvfio_option - one option of a model; a table ends with name NULL.
 * @multiple: the option may be given several times (namespaces of nvme).
 */
struct uvfio_option {
	const char *name;
	enum uvfio_option_type type;
	const char *def;   /* default as the user would write it; NULL: unset */
	const char *help;  /* one line */
	uint64_t min, max; /* UINT and SIZE; both 0: any */
	bool required;
	bool multiple;
};

/**
 * struct uvfio_model - a kind of device.
 *
 * Every function may be NULL except create.
 */
struct uvfio_model {
	uint32_t abi;	     /* UVFIO_MODEL_ABI */
	const char *name;    /* as in --device NAME */
	const char *summary; /* one line for `uvfio models` */
	const struct uvfio_option *options;
	bool concurrent; /* see "Threads" above */

	/**
	 * create - describe the function: ids, BARs, capabilities; allocate state and keep it with
	 * uvfio_set_priv(). Called once, before anything else, with the options checked against the
	 * table.
	 * Return 0; what uvfio_error() returns; or the -errno of a uvfio_add_* or uvfio_set_*
	 * function that failed, which has said why (uvfio_error() would replace that). destroy is
	 * not called after a failure.
	 * `uvfio run` makes every device once to check its options, VFs too, before a process of
	 * the program makes it again, each time that it opens its group.
	 */
	int (*create)(struct uvfio_dev *dev);

	/** destroy - stop threads, free everything. No callback runs or comes after it. */
	void (*destroy)(struct uvfio_dev *dev);

	/**
	 * reset - bring the registers to their initial values and stop all DMA: when it returns the
	 * device must issue no DMA and no interrupt for what was asked before. Config space is
	 * reset by uvfio, just before.
	 */
	void (*reset)(struct uvfio_dev *dev, enum uvfio_reset_kind kind);

	/**
	 * bar_read - a load of @size (1, 2, 4, 8) bytes at @offset of BAR @bar (6: the expansion
	 * ROM, if it has no image). offset + size is within the BAR and naturally aligned. Only
	 * called while decoding is enabled and the function is in D0.
	 * Return 0 with *@value (little-endian host order, low @size bytes), or -errno for an
	 * access that the device does not complete (the initiator then reads all ones; a line in
	 * the log says so).
	 */
	int (*bar_read)(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
			uint64_t *value);

	/**
	 * bar_write - a store; as bar_read. -errno: the store is dropped and a line in the log says
	 * so.
	 */
	int (*bar_write)(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
			 uint64_t value);

	/**
	 * config_written - bytes [@offset, @offset + @size) of config space were written (after the
	 * write took effect, only if some bit changed). For what a chip derives from config space:
	 * bus mastering, MSI enable, vendor capabilities.
	 */
	void (*config_written)(struct uvfio_dev *dev, unsigned offset, unsigned size);

	/**
	 * power - the function entered D-state @d (0..3). In D3hot a device issues no DMA and no
	 * interrupt.
	 */
	void (*power)(struct uvfio_dev *dev, unsigned d);

	/**
	 * quiesce - the driver's handle was closed or the program forks: when it returns no thread
	 * of the model touches guest memory until the next register write. NULL for models without
	 * threads of their own.
	 */
	void (*quiesce)(struct uvfio_dev *dev);
};

/**
 * uvfio_model - what a shared object of a model defines. (Declared here so that C++ gives it a name
 * that is found.)
 */
UVFIO_PUBLIC extern const struct uvfio_model uvfio_model;

/* ---- describing the function: only inside create ---- */

/** struct uvfio_ids - the identity in the header. @class_code is 24 bits: base, sub, interface. */
struct uvfio_ids {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint32_t class_code;
	uint8_t revision;
};
UVFIO_PUBLIC int uvfio_set_ids(struct uvfio_dev *dev, const struct uvfio_ids *ids);

#define UVFIO_BAR_IO	   0x1u /* I/O space; at most 256 bytes */
#define UVFIO_BAR_64	   0x2u /* 64-bit memory; takes this slot and the next */
#define UVFIO_BAR_PREFETCH 0x4u

/**
 * uvfio_add_bar - BAR @bar (0..5) of @size bytes, a power of two (I/O >= 4, memory >= 16).
 * Return 0, -EINVAL (size, slot), -EEXIST.
 */
UVFIO_PUBLIC int uvfio_add_bar(struct uvfio_dev *dev, unsigned bar, uint64_t size, unsigned flags);

/**
 * uvfio_add_rom - an expansion ROM of @size bytes (a power of two >= 2 KiB), with @image (@len
 * bytes, copied; may be NULL: bar_read of BAR 6 answers).
 */
UVFIO_PUBLIC int uvfio_add_rom(struct uvfio_dev *dev, uint64_t size, const void *image, size_t len);

/**
 * uvfio_add_intx - the function has an interrupt pin: 1 INTA .. 4 INTD. @disintx: COMMAND.DisINTx
 * works (PCI 2.3); false models old chips.
 */
UVFIO_PUBLIC int uvfio_add_intx(struct uvfio_dev *dev, unsigned pin, bool disintx);

/*
 * Each uvfio_add_* capability function returns the capability's offset (> 0), or -EINVAL, -ENOSPC,
 * -EEXIST.
 */
UVFIO_PUBLIC int uvfio_add_pm(struct uvfio_dev *dev, bool no_soft_reset);
/** uvfio_add_msi - @vectors: 1, 2, 4, 8, 16, 32. */
UVFIO_PUBLIC int uvfio_add_msi(struct uvfio_dev *dev, unsigned vectors, bool addr64, bool maskable);
/**
 * uvfio_add_msix - @vectors 1..2048; the table at @table_offset of @table_bar and the pending bits;
 * both areas are served by uvfio.
 */
UVFIO_PUBLIC int uvfio_add_msix(struct uvfio_dev *dev, unsigned vectors, unsigned table_bar,
				uint32_t table_offset, unsigned pba_bar, uint32_t pba_offset);
/** uvfio_add_pcie - PCI Express endpoint, version 2. @flr: the function has FLR. */
UVFIO_PUBLIC int uvfio_add_pcie(struct uvfio_dev *dev, bool flr);
UVFIO_PUBLIC int uvfio_add_af(struct uvfio_dev *dev);
/**
 * uvfio_add_vpd - vital product data: @len bytes (copied), a multiple of 4, at most 32 KiB;
 * @writable: the driver may change it.
 */
UVFIO_PUBLIC int uvfio_add_vpd(struct uvfio_dev *dev, const void *data, size_t len, bool writable);
/**
 * uvfio_add_vendor_cap - vendor-specific capability of @len bytes in all (>= 3) with @data (len - 3
 * bytes) and a mask of writable bits (may be NULL: read-only).
 */
UVFIO_PUBLIC int uvfio_add_vendor_cap(struct uvfio_dev *dev, const void *data, const void *writable,
				      size_t len);
/**
 * uvfio_add_cap - any other standard capability: @len bytes in all, @data for the bytes after the
 * 2-byte header.
 */
UVFIO_PUBLIC int uvfio_add_cap(struct uvfio_dev *dev, uint8_t id, const void *data,
			       const void *writable, size_t len);
UVFIO_PUBLIC int uvfio_add_aer(struct uvfio_dev *dev);
UVFIO_PUBLIC int uvfio_add_dsn(struct uvfio_dev *dev, uint64_t serial);
/**
 * uvfio_add_ext_cap - any other extended capability: @len bytes in all (multiple of 4), @data for
 * the bytes after the 4-byte header.
 */
UVFIO_PUBLIC int uvfio_add_ext_cap(struct uvfio_dev *dev, uint16_t id, unsigned version,
				   const void *data, const void *writable, size_t len);

/* ---- SR-IOV: a physical function (PF) and its virtual functions (VFs); PCIe 6.0, 9 ---- */

/**
 * struct uvfio_sriov - what a PF is to its VFs.
 *
 * A VF is a struct uvfio_dev of its own, made of the model @vf: it has its own config space, MSI-X,
 * interrupts, DMA (with its own rights: uvfio_dma_read(vf, ...) goes through the IOMMU group of the
 * VF) and callbacks. What PF and VFs share (queues, a mailbox, statistics) the model keeps in the
 * PF's private state, which a VF finds with uvfio_priv(uvfio_pf(vf)).
 *
 * A VF in create: uvfio_set_ids() (vendor and device must be what is said here; software reads
 * 0xffff in a VF, 9.3.4.1.1), uvfio_add_pcie() with FLR (required), uvfio_add_msix() and other
 * capabilities. No BARs (they are @bars), ROM or pin: VFs have none. Its options: none. It may call
 * uvfio_set_pages() for pages of its part of @bars.
 *
 * Life. VFs are made in the order of their indices when they are first needed, at the latest before
 * they are enabled for the first time, by whatever thread enables them and not inside a callback;
 * create is followed by a power-on reset, as with any device. They are not taken apart when they
 * are disabled, only reset (UVFIO_RESET_PF), and come back as they are. A disabled VF answers
 * nothing, and its DMA and messages are blocked. At the end VFs are disabled, destroyed (uvfio_vf()
 * does not find them any more; what of the PF may still use one is waited for in the VF's destroy),
 * and then the PF.
 *
 * Order at enabling: PF's vfs_changed(num); the VFs answer from then on (they may answer a little
 * before, never later). Order at disabling, and at any reset of a PF with VFs enabled (which
 * disables them; the driver enables them again after it): VFs are cut off; PF's reset, if it is
 * one; PF's vfs_changed(0); reset(UVFIO_RESET_PF) of each VF that was enabled.
 *
 * Threads. If neither model is `concurrent`, PF and VFs have one lock: a callback of one excludes
 * callbacks of all. If both are, each is called by any thread at any time. One of each is an error.
 * The functions that a model may call with a VF may be called from callbacks of the PF, and the
 * reverse.
 *
 * @vf: the VFs' model; abi and create are required, options must be NULL or empty.
 * @vf_device_id: Device ID of the VFs; the vendor is the PF's.
 * @total_vfs: 1 to 255.
 * @first_vf_offset, @vf_stride: VF i has the PF's routing ID (bus, device, function) +
 * first_vf_offset + i * vf_stride; both > 0.
 * @bars: as for uvfio_add_bar(), memory only, of one VF; size 0: none. At least a page each:
 * smaller ones become one.
 * @vfs_changed: from now on @num VFs, of the indices from 0 up, are enabled. A callback of the PF.
 * May be NULL. @host_driver, @host_drives: a model that can stand for the PF's driver in a host's
 * kernel says what that is called ("igb"). The user can then write driver=igb instead of having
 * vfio-pci on the PF: nobody opens the PF, its VFs can be opened without a token, and the model
 * does what that driver would do (bring the link up, answer the mailbox). host_drives is called
 * once, as a callback of the PF, with decoding and bus mastering on, before any VF is enabled. Both
 * NULL: not possible.
 */
struct uvfio_sriov {
	const struct uvfio_model *vf;
	uint16_t vf_device_id;
	uint16_t total_vfs, first_vf_offset, vf_stride;
	struct {
		uint64_t size;
		unsigned flags; /* UVFIO_BAR_64, UVFIO_BAR_PREFETCH */
	} bars[6];
	void (*vfs_changed)(struct uvfio_dev *pf, unsigned num);
	const char *host_driver;
	void (*host_drives)(struct uvfio_dev *pf);
};
/**
 * uvfio_add_sriov - in the PF's create: the SR-IOV extended capability. Needs uvfio_add_pcie().
 * @sriov is copied; the strings and models in it must stay.
 * Return the capability's offset, -EINVAL, -ENOSPC, -EEXIST, -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_add_sriov(struct uvfio_dev *dev, const struct uvfio_sriov *sriov);
/** uvfio_pf - the PF of a VF; NULL: @dev is none. Valid from the VF's create to its destroy. */
UVFIO_PUBLIC struct uvfio_dev *uvfio_pf(const struct uvfio_dev *dev);
/** uvfio_vf_index - of a VF: 0 .. total_vfs - 1. */
UVFIO_PUBLIC unsigned uvfio_vf_index(const struct uvfio_dev *vf);
/**
 * uvfio_vf - VF @index of a PF; NULL: it was never enabled so far. The pointer stays good until the
 * VF's destroy.
 */
UVFIO_PUBLIC struct uvfio_dev *uvfio_vf(struct uvfio_dev *pf, unsigned index);
/**
 * uvfio_num_vfs - how many VFs of @pf are enabled now; 0 for what is no PF. VF i is enabled if i is
 * less.
 */
UVFIO_PUBLIC unsigned uvfio_num_vfs(const struct uvfio_dev *pf);

/* ---- pages of a memory BAR in a driver's address space ---- */

/**
 * enum uvfio_page_kind - what a load or store through a driver's mapping of the page is.
 * @UVFIO_PAGE_TRAPPED: a call of bar_read or bar_write, exactly as a memory cycle on the bus. What
 * a page is unless said otherwise.
 * @UVFIO_PAGE_POLLED: as trapped while the pages are closed; while they are open
 * (uvfio_polled_open) an access of plain memory, without a
 * 	call of anything, which the model looks at. For registers that only say how far a driver has
 * 	come (doorbells): of several stores to
 * 	one word the model sees the last one, of their sizes nothing.
 * @UVFIO_PAGE_UNMAPPED: cannot be mapped: pread and pwrite only.
 */
enum uvfio_page_kind { UVFIO_PAGE_TRAPPED, UVFIO_PAGE_POLLED, UVFIO_PAGE_UNMAPPED };

/**
 * uvfio_set_pages - the pages [@offset, @offset + @len) of memory BAR @bar are of @kind. After
 * uvfio_add_bar; multiples of 4096; each page once; no polled page may hold the MSI-X table or
 * pending bits.
 * Return 0, -EINVAL, -EEXIST, -ENOSPC (more than 16 areas), -ENOMEM, -EMFILE.
 */
UVFIO_PUBLIC int uvfio_set_pages(struct uvfio_dev *dev, unsigned bar, uint64_t offset, uint64_t len,
				 enum uvfio_page_kind kind);

/**
 * uvfio_polled_memory - the memory behind the polled page at @offset of @bar: what a driver sees
 * there while the pages are open. It is the model's at all times, starts with zeroes and lives as
 * long as the device; access it with atomic operations. NULL: no polled page.
 */
UVFIO_PUBLIC void *uvfio_polled_memory(struct uvfio_dev *dev, unsigned bar, uint64_t offset);

/**
 * uvfio_polled_open / uvfio_polled_close - from now on the driver's accesses of all polled pages of
 * @dev go to memory; come as callbacks again.
 *
 * No store is lost if the model looks at the memory at least once after each of the two:
 * uvfio_polled_close returns when every processor has given up its right to write, so that a store
 * either is in memory by then or becomes a callback. Accesses by pwrite and pread, and a trapped
 * access that had begun, are callbacks also while the pages are open: a callback should leave what
 * it was given in the memory, too.
 *
 * A locked instruction is atomic among trapped accesses, and among those of open pages; one that
 * was trapped when the pages open is not against a store to the same word that comes as memory.
 *
 * uvfio closes the pages by itself when memory decoding ends (COMMAND, D3hot, reset); the memory
 * keeps what was stored before. Both cost some microseconds. Any thread, also inside of callbacks.
 * Return of open: 0; -ENOENT: no driver has a polled page mapped (nor can it with mmap=trap or
 * off), so there is nothing to be gained; -EIO: decoding is off.
 */
UVFIO_PUBLIC int uvfio_polled_open(struct uvfio_dev *dev);
UVFIO_PUBLIC void uvfio_polled_close(struct uvfio_dev *dev);

/* ---- state and options ---- */

UVFIO_PUBLIC void uvfio_set_priv(struct uvfio_dev *dev, void *priv);
UVFIO_PUBLIC void *uvfio_priv(const struct uvfio_dev *dev);
/** uvfio_dev_name - "0000:01:00.0". */
UVFIO_PUBLIC const char *uvfio_dev_name(const struct uvfio_dev *dev);
/**
 * uvfio_unique - a number that this device has for itself, to make an address or a serial number of
 * that no other may have: the same whenever the device is made in a run (by a program that is
 * started again, by a forked child), another for each device and in each run.
 */
UVFIO_PUBLIC uint64_t uvfio_unique(const struct uvfio_dev *dev);
/**
 * uvfio_dev_id - the user's name for the device, of id=NAME, by which another device's options may
 * refer to it; NULL: none.
 */
UVFIO_PUBLIC const char *uvfio_dev_id(const struct uvfio_dev *dev);

/*
 * An option's value: the user's, else the table's default. The @i-th of a multiple option; NULL / 0
 * / false when unset.
 */
UVFIO_PUBLIC const char *uvfio_opt_string(const struct uvfio_dev *dev, const char *name,
					  unsigned i);
UVFIO_PUBLIC uint64_t uvfio_opt_uint(const struct uvfio_dev *dev, const char *name, unsigned i);
UVFIO_PUBLIC bool uvfio_opt_bool(const struct uvfio_dev *dev, const char *name, unsigned i);
UVFIO_PUBLIC unsigned uvfio_opt_count(const struct uvfio_dev *dev, const char *name);

/* ---- DMA: through the IOMMU, with the rights that the driver gave ---- */

/**
 * uvfio_dma_read - the device reads @len bytes at @iova into @buf (uvfio_dma_write: writes them
 * from @buf). An access is one transaction to the log: a line names the first address that failed.
 * Order: ascending; a naturally aligned 2, 4 or 8 bytes go in one store, so that a driver that
 * polls the last word of a descriptor finds all before it in place.
 * Return 0, or -EFAULT: aborted (not mapped, no right, no domain, bus mastering off, D3hot). Bytes
 * before the failing page were transferred.
 */
UVFIO_PUBLIC int uvfio_dma_read(struct uvfio_dev *dev, uint64_t iova, void *buf, size_t len);
UVFIO_PUBLIC int uvfio_dma_write(struct uvfio_dev *dev, uint64_t iova, const void *buf, size_t len);

/**
 * uvfio_dma_allowed - may the device make DMA and send messages now: COMMAND.MASTER, D0, and a VF
 * is enabled? For a device that looks at memory without having been asked to (a polled doorbell
 * buffer): what it tries with bus mastering off is reported as a fault of the driver. Takes no
 * lock.
 */
UVFIO_PUBLIC bool uvfio_dma_allowed(const struct uvfio_dev *dev);

/**
 * uvfio_dma_begin / uvfio_dma_end - between the two, pointers from uvfio_dma_sg stay valid: an
 * unmap by the driver waits. Keep it short (no sleeping); they nest. They take no lock.
 */
UVFIO_PUBLIC void uvfio_dma_begin(struct uvfio_dev *dev);
UVFIO_PUBLIC void uvfio_dma_end(struct uvfio_dev *dev);
/**
 * uvfio_dma_sg - translate [@iova, @iova + @len) into @iov, at most @max pieces, merged where
 * memory is contiguous.
 * @write: the device will write. The memory may have been unmapped behind uvfio's back: touch it by
 * uvfio_dma_read/write or a system call.
 * Return the number of pieces, -EFAULT (aborted and logged), -E2BIG (more than @max pieces).
 */
UVFIO_PUBLIC int uvfio_dma_sg(struct uvfio_dev *dev, uint64_t iova, size_t len, bool write,
			      struct iovec *iov, int max);

/* ---- interrupts ---- */

/** enum uvfio_irq_mode - what the driver enabled. */
enum uvfio_irq_mode { UVFIO_IRQ_INTX, UVFIO_IRQ_MSI, UVFIO_IRQ_MSIX };
UVFIO_PUBLIC enum uvfio_irq_mode uvfio_irq_mode(const struct uvfio_dev *dev);
/**
 * uvfio_msi - send message @vector by MSI-X, or MSI (vector taken modulo the number that the driver
 * enabled). Masked: the pending bit is set and the message goes out at unmask. Dropped when neither
 * is enabled, bus mastering is off, or the function is not in D0. Never blocks, takes no lock,
 * writes one eventfd.
 */
UVFIO_PUBLIC void uvfio_msi(struct uvfio_dev *dev, unsigned vector);
/** uvfio_intx - set the level of the interrupt line. Setting the level it has costs nothing. */
UVFIO_PUBLIC void uvfio_intx(struct uvfio_dev *dev, bool level);

/* ---- descriptors ---- */

/**
 * uvfio_fd_keep - take over @fd, which the model opened for itself (an image, an eventfd): it moves
 * to a number that the program does not use and cannot close, not even one that closes "everything
 * from 3 up". It is closed by exec, and in a forked child, where the device does not go on.
 * Return the new number, to be closed with uvfio_fd_close() only; or -errno, and @fd is as it was.
 */
UVFIO_PUBLIC int uvfio_fd_keep(struct uvfio_dev *dev, int fd);
UVFIO_PUBLIC void uvfio_fd_close(struct uvfio_dev *dev, int fd);

/* ---- threads of the model's own ---- */

/**
 * uvfio_thread_start - as pthread_create(3), for a thread inside of a program that does not know of
 * it: none of the program's signals come to it, and it runs on any processor that the program was
 * started on, wherever the driver pinned its own threads. @name: 15 characters at most. The model
 * joins it (destroy, quiesce). Return 0 or -errno.
 */
UVFIO_PUBLIC int uvfio_thread_start(struct uvfio_dev *dev, pthread_t *thread,
				    void *(*fn)(void *arg), void *arg, const char *name);
/**
 * uvfio_cpus - on how many processors such threads may run: with one, a thread that polls would
 * keep the driver from running.
 */
UVFIO_PUBLIC unsigned uvfio_cpus(const struct uvfio_dev *dev);

/* ---- config space, timers, messages ---- */

/**
 * uvfio_config_get / uvfio_config_set - the hardware's own view: no write rules apply. @size 1, 2,
 * 4.
 */
UVFIO_PUBLIC uint32_t uvfio_config_get(const struct uvfio_dev *dev, unsigned offset, unsigned size);
UVFIO_PUBLIC void uvfio_config_set(struct uvfio_dev *dev, unsigned offset, unsigned size,
				   uint32_t value);

/**
 * uvfio_report_error - the device signals an uncorrectable (@fatal) or correctable PCIe error: AER
 * status, and the ERR interrupt. @bit: of the AER status register.
 */
UVFIO_PUBLIC void uvfio_report_error(struct uvfio_dev *dev, unsigned bit, bool fatal);

struct uvfio_timer;
/**
 * uvfio_timer_new - a one-shot timer whose @fn runs on uvfio's service thread, as a callback of the
 * model. NULL: no memory.
 */
UVFIO_PUBLIC struct uvfio_timer *
uvfio_timer_new(struct uvfio_dev *dev, void (*fn)(struct uvfio_dev *dev, void *arg), void *arg);
/**
 * uvfio_timer_set - fire @ns nanoseconds from now (replaces an earlier setting); UINT64_MAX
 * disarms.
 */
UVFIO_PUBLIC void uvfio_timer_set(struct uvfio_timer *timer, uint64_t ns);
/** uvfio_timer_free - disarm, wait for a running callback (unless called by it), free. */
UVFIO_PUBLIC void uvfio_timer_free(struct uvfio_timer *timer);

enum uvfio_log_level { UVFIO_LOG_ERROR, UVFIO_LOG_WARN, UVFIO_LOG_INFO, UVFIO_LOG_DEBUG };
/** uvfio_log - one line, prefixed with the device's name. Not for hot paths. */
UVFIO_PUBLIC void uvfio_log(struct uvfio_dev *dev, enum uvfio_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/**
 * uvfio_error - why create fails: shown to the user who gave the options. Always returns -EINVAL,
 * so that `return uvfio_error(...)` reads well.
 */
UVFIO_PUBLIC int uvfio_error(struct uvfio_dev *dev, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
#endif
