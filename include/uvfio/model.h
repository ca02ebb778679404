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
 * Threads: unless the model sets `concurrent`, uvfio serialises all callbacks of one device (a lock
 * that the device owns), timers included. A concurrent model is called by any thread at any time
 * and locks for itself. The functions that a model calls (uvfio_dma_*, uvfio_msi, uvfio_intx,
 * uvfio_timer_set, uvfio_log) may be called by any thread of the model, from inside and outside of
 * callbacks, and never call back into the model. But while uvfio_dma_read() or uvfio_dma_write()
 * reaches a BAR, another device's or the device's own, other callbacks of the device may come.
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

/** define UVFIO_PUBLIC - A name that a library shows, whatever -fvisibility says. */
#define UVFIO_PUBLIC __attribute__((visibility("default")))
/** define UVFIO_MODEL_ABI - The version of struct uvfio_model. See there. */
#define UVFIO_MODEL_ABI 2u

/* ---- a model ---- */

/** struct uvfio_dev - One instance of a model: a PCI function. Opaque. */
struct uvfio_dev;

/**
 * enum uvfio_reset_kind - Why a device is reset.
 * @UVFIO_RESET_POWER_ON: after create; and when the driver that @host_drives of struct
 *	uvfio_sriov stands for leaves the device.
 * @UVFIO_RESET_FLR: function level reset: by Device Control, AF, or VFIO_DEVICE_RESET (PCIe 6.0,
 *	6.6.2).
 * @UVFIO_RESET_BUS: hot reset of the bus above.
 * @UVFIO_RESET_D3: from D3hot to D0 with No_Soft_Reset clear (PCI PM 1.2, 5.4.1).
 * @UVFIO_RESET_PF: of a VF: its PF was reset, or the PF's VF Enable was cleared; the VF is gone
 *	until it is set again.
 */
enum uvfio_reset_kind {
	UVFIO_RESET_POWER_ON,
	UVFIO_RESET_FLR,
	UVFIO_RESET_BUS,
	UVFIO_RESET_D3,
	UVFIO_RESET_PF,
};

/**
 * enum uvfio_option_type - What an option's text must look like.
 * @UVFIO_OPT_STRING: any text.
 * @UVFIO_OPT_SIZE: bytes, with K, M, G or T behind the number (powers of 1024).
 * @UVFIO_OPT_UINT: a decimal number, or a hexadecimal one that begins with 0x.
 * @UVFIO_OPT_BOOL: on or off, true or false, yes or no, 1 or 0.
 * @UVFIO_OPT_PATH: a file that must exist.
 */
enum uvfio_option_type {
	UVFIO_OPT_STRING,
	UVFIO_OPT_SIZE,
	UVFIO_OPT_UINT,
	UVFIO_OPT_BOOL,
	UVFIO_OPT_PATH,
};

/**
 * struct uvfio_option - One option of a model; a table ends with one whose name is NULL.
 * @name: as in --device MODEL,NAME=VALUE.
 * @type: what the value must look like.
 * @def: the default, as the user would write it; NULL: unset.
 * @help: one line for `uvfio models MODEL`.
 * @min: of UVFIO_OPT_UINT and UVFIO_OPT_SIZE: the least value.
 * @max: and the greatest; both 0: any.
 * @required: the user must give it.
 * @multiple: the user may give it several times (namespaces of nvme).
 */
struct uvfio_option {
	const char *name;
	enum uvfio_option_type type;
	const char *def;
	const char *help;
	uint64_t min, max;
	bool required;
	bool multiple;
};

/**
 * enum uvfio_reg_access - How a driver can use a register.
 * @UVFIO_REG_RW: what is written can be read again.
 * @UVFIO_REG_RO: a write has no effect.
 * @UVFIO_REG_WO: what is read has no meaning.
 * @UVFIO_REG_W1C: each 1 that is written clears its bit.
 * @UVFIO_REG_W1S: each 1 that is written sets its bit.
 * @UVFIO_REG_RC: a read clears it.
 * @UVFIO_REG_RS: a read changes it in another way (it takes a semaphore).
 */
enum uvfio_reg_access {
	UVFIO_REG_RW,
	UVFIO_REG_RO,
	UVFIO_REG_WO,
	UVFIO_REG_W1C,
	UVFIO_REG_W1S,
	UVFIO_REG_RC,
	UVFIO_REG_RS,
};

/**
 * struct uvfio_reg - The name of a register, so that the log says "BAR0 CTRL (0x0000)".
 * @name: as the chip's documentation has it.
 * @offset: bytes from the start of the BAR.
 * @reset: the value after power-on.
 * @count: of an array: how many registers, which are NAME[0], NAME[1] and so on; 0: a single one.
 * @stride: of an array: bytes from one register to the next. Arrays may be interleaved.
 * @bar: 0 to 5.
 * @width: in bytes: 1, 2, 4 or 8.
 * @access: enum uvfio_reg_access.
 * @varies: what is read after power-on depends on options or on the world (a link, an address), and
 *	@reset says nothing.
 *
 * A table ends with one whose name is NULL, and is in the order of BARs and first offsets. It need
 * not have all registers (struct uvfio_reg_range says where it has), and it changes nothing about
 * what the device does. A store to a register of UVFIO_REG_RO is a line in the log, and a mistake
 * of the driver's to `uvfio run --check` (mmio-readonly): one with a bit that can be written or
 * cleared is another.
 */
struct uvfio_reg {
	const char *name;
	uint64_t offset;
	uint64_t reset;
	uint32_t count, stride;
	uint8_t bar;
	uint8_t width;
	uint8_t access;
	bool varies;
};

/**
 * struct uvfio_reg_range - A part of a BAR of which @regs of struct uvfio_model has all registers.
 * @offset: where it begins.
 * @size: bytes.
 * @bar: 0 to 5.
 *
 * A driver that reads or writes there where no register is makes a mistake, mmio-undefined. A table
 * ends with one whose size is 0.
 */
struct uvfio_reg_range {
	uint64_t offset;
	uint64_t size;
	uint8_t bar;
};

/** define UVFIO_BEFORE_READY - For @kind of uvfio_report_reg(): mmio-before-ready, uvfio's own. */
#define UVFIO_BEFORE_READY 0x80000000u

/**
 * struct uvfio_kind - A mistake of drivers that a model knows: what its specification forbids.
 * @name: lower-case letters, digits and '-', up to 32. The kind is proto-MODEL-NAME to users.
 * @line: the mistake in one sentence, without a full stop.
 * @section: where the specification says so, such as "NVMe 1.4, 5.4"; NULL: nowhere.
 * @fix: what the driver has to do instead, in a sentence or two.
 *
 * A table ends with one whose name is NULL. `uvfio models` and `uvfio help` explain its kinds, and
 * uvfio_report() names one of them.
 */
struct uvfio_kind {
	const char *name;
	const char *line;
	const char *section;
	const char *fix;
};

/** define UVFIO_FAULT_KEYS - By so many numbers at most a fault can be narrowed down. */
#define UVFIO_FAULT_KEYS 4u

/**
 * struct uvfio_fault - A way in which the chip can fail, for a user who wants to see what a driver
 *	makes of it: `uvfio run --fault MODEL.NAME=VALUE,KEY=N,...`.
 * @name: lower-case letters, digits and '-', up to 24.
 * @line: what happens, in one sentence without a full stop.
 * @value: what its value is called, in capitals; NULL: it has none.
 * @def: the value if the user gives none.
 * @max: the greatest value.
 * @keys: the names of numbers by which the user may say which accesses are meant; NULL behind the
 *	last one.
 *
 * A table ends with one whose name is NULL. `uvfio models` explains it, and uvfio_fault() asks for
 * one of them.
 */
struct uvfio_fault {
	const char *name;
	const char *line;
	const char *value;
	uint64_t def, max;
	const char *keys[UVFIO_FAULT_KEYS];
};

/**
 * enum uvfio_stop_kind - How far a device stops before its state is saved.
 * @UVFIO_STOP_DMA: it begins no DMA by itself; it may still interrupt.
 * @UVFIO_STOP_ALL: it does nothing by itself.
 */
enum uvfio_stop_kind { UVFIO_STOP_DMA, UVFIO_STOP_ALL };

/**
 * enum uvfio_page_answer - What the driver says to page requests (PCIe 6.0, 10.4.2.1).
 * @UVFIO_PAGE_SUCCESS: it has done what it could: try again.
 * @UVFIO_PAGE_INVALID: some of it cannot be had; or nobody was there to ask.
 */
enum uvfio_page_answer { UVFIO_PAGE_SUCCESS, UVFIO_PAGE_INVALID };

/**
 * struct uvfio_state - A device's state that is being saved or loaded. Opaque.
 *
 * Migration: a driver has a device's state read out, carries it to another process or machine, and
 * has it put into a device of the same kind there, which goes on as if nothing had happened (VFIO's
 * migration, version 2; a user says migration=on). A model takes part if it has a state_version,
 * save and load. Its callbacks come in this order, those in brackets if it has them:
 *
 *	saving	  [describe, track(true), save_dirty ...,] stop(DMA), stop(ALL), [save_dirty ...,]
 *		  save; then, given up, resume, or reset and resume
 *	loading	  stop(DMA), stop(ALL), [describe, load_dirty ...,] load, resume
 *
 * uvfio saves what it knows itself: config space, masks and pending bits of MSI and MSI-X, the
 * level of the interrupt line, the memory of polled pages, vital product data, the D-state, and
 * what the vfio-pci driver keeps for its user. A model saves the rest: its registers, memories,
 * queues, timers.
 *
 * While a device is stopped uvfio holds back what it would do. From UVFIO_STOP_DMA on, timers stand
 * still (uvfio_timer_left()), polled pages are closed, and DMA is aborted as with bus mastering
 * off; from UVFIO_STOP_ALL on, messages wait as pending bits, and the line keeps its level. They go
 * out when the device goes on, here or there. A model that does nothing but in callbacks and timers
 * needs no stop.
 *
 * Numbers are little-endian in a state. A put has no error that a model would have to look for:
 * without memory the whole save fails. A get behind the end gives 0, and the load fails whatever it
 * returns. To change what save writes is to make another state_version.
 */
struct uvfio_state;

/** struct uvfio_text - Lines for a person who looks at a device (uvfio_say()). Opaque. */
struct uvfio_text;

/**
 * struct uvfio_model - A kind of device.
 * @abi: UVFIO_MODEL_ABI.
 * @size: sizeof(struct uvfio_model).
 * @name: as in --device NAME.
 * @summary: one line for `uvfio models`.
 * @options: the table of its options; NULL: none.
 * @concurrent: callbacks may come from several threads at once; see "Threads" above.
 *
 * Every function may be NULL except create. It begins with UVFIO_MODEL_INIT:
 *
 *	const struct uvfio_model uvfio_model = {
 *		UVFIO_MODEL_INIT,
 *		.name = "mine",
 *		.create = create,
 *	};
 *
 * Versions. The struct grows at its end only, and @size says how much of it a model was compiled
 * with. What lies behind is zero to uvfio: an older shared object goes on working without being
 * built again, also one of ABI 1, which had no size. A newer one works, too, as long as the members
 * that this uvfio does not know are zero; else it is refused with a sentence that says so. @abi
 * changes when that is not enough. No other struct of this file changes: what is new comes with a
 * function of its own.
 *
 * Locks. uvfio calls bar_read and bar_write with locks of its own held, of the device alone: a
 * callback may take as long as the chip would, but must not wait for what another access of its
 * device would bring. Any function of this file may be called in it, but those for create alone.
 */
struct uvfio_model {
	uint32_t abi;
	size_t size;
	const char *name;
	const char *summary;
	const struct uvfio_option *options;
	bool concurrent;

	/**
	 * @create: Describe the function: ids, BARs, capabilities; allocate state and keep it with
	 * uvfio_set_priv(). Called once, before anything else, with the options checked against the
	 * table.
	 *
	 * `uvfio run` makes every device once to check its options, VFs too, before a process of
	 * the program makes it again, each time that it opens its group.
	 *
	 * Return: 0; what uvfio_error() returns; or the -errno of a uvfio_add_* or uvfio_set_*
	 * function that failed, which has said why (uvfio_error() would replace that). destroy is
	 * not called after a failure.
	 */
	int (*create)(struct uvfio_dev *dev);

	/** @destroy: Stop threads, free everything. No callback runs or comes after it. */
	void (*destroy)(struct uvfio_dev *dev);

	/**
	 * @reset: Bring the registers to their initial values and stop all DMA: when it returns the
	 * device must issue no DMA and no interrupt for what was asked before. Config space is
	 * reset by uvfio, just before. Its kind says why it is reset.
	 */
	void (*reset)(struct uvfio_dev *dev, enum uvfio_reset_kind kind);

	/**
	 * @bar_read: A load of so many bytes (size: 1, 2, 4 or 8) at offset of BAR bar (6: the
	 * expansion ROM, if it has no image). offset + size is within the BAR, and offset a
	 * multiple of size. Called while decoding is enabled and the function is in D0 only.
	 *
	 * Return: 0, and the low size bytes of *value are what was read; -errno: the device does
	 * not complete the access (the initiator then reads all ones; a line in the log says so).
	 */
	int (*bar_read)(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
			uint64_t *value);

	/**
	 * @bar_write: A store of the low size bytes of value; as bar_read.
	 *
	 * Return: 0; -errno: the store is dropped, and a line in the log says so.
	 */
	int (*bar_write)(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
			 uint64_t value);

	/**
	 * @config_written: Bytes from offset to offset + size - 1 of config space were written
	 * (after the write took effect, only if some bit changed). For what a chip derives from
	 * config space: bus mastering, MSI enable, vendor capabilities.
	 */
	void (*config_written)(struct uvfio_dev *dev, unsigned offset, unsigned size);

	/**
	 * @power: The function entered D-state d (0 to 3). In D3hot a device issues no DMA and no
	 * interrupt.
	 */
	void (*power)(struct uvfio_dev *dev, unsigned d);

	/**
	 * @quiesce: The driver's handle was closed or the program forks: when it returns no thread
	 * of the model touches guest memory until the next register write. NULL for models without
	 * threads of their own.
	 */
	void (*quiesce)(struct uvfio_dev *dev);

	/** @regs: the names of registers; NULL: none. A VF's model has a table of its own. */
	const struct uvfio_reg *regs;

	/**
	 * @state_version: The version of what save writes, from 1 up; 0: the model cannot save its
	 * state, and its devices cannot migrate. See "Migration" below for all that follows.
	 */
	uint32_t state_version;

	/**
	 * @state_oldest: The oldest version that load can read; 0: @state_version only. A state of
	 * any other version is refused before load is called.
	 */
	uint32_t state_oldest;

	/**
	 * @stop: Stop what the device does by itself. Its kind says how far: UVFIO_STOP_DMA comes
	 * first, then UVFIO_STOP_ALL, maybe at once.
	 *
	 * Timers stand still already, polled pages are closed and stay closed. When it returns, no
	 * thread of the model makes DMA, and after UVFIO_STOP_ALL nothing of the device changes but
	 * by a driver's access. What was in flight is completed before, or is part of the state: as
	 * the model likes. Registers are read and written as before; what a write asks for has to
	 * wait for resume. NULL: the model does nothing but in callbacks and timers.
	 *
	 * Return: 0; -errno: the device goes on as it was (it has undone what it did), and the
	 * driver's request fails with this errno.
	 */
	int (*stop)(struct uvfio_dev *dev, enum uvfio_stop_kind kind);

	/**
	 * @resume: Go on, after stop, after a state was loaded, or after a reset of a stopped
	 * device, whose reset came before: do what registers asked for meanwhile. May be NULL.
	 */
	void (*resume)(struct uvfio_dev *dev);

	/**
	 * @describe: Say with uvfio_same() and uvfio_same_text() what must be the same in two
	 * devices for one to take the state of the other: sizes, numbers of queues. The same calls
	 * for a device that saves, where they write, and for one that loads, where they compare. It
	 * is called while the device runs, or is stopped, and again and again while a driver reads
	 * what can come early: what changed then is said to the other device anew. So what does not
	 * fit is found out before a device stops. NULL: the same model and PCI function is all it
	 * takes.
	 */
	void (*describe)(struct uvfio_dev *dev, struct uvfio_state *s);

	/**
	 * @save: Write the state with uvfio_put*(). The device is stopped (UVFIO_STOP_ALL), and
	 * must be able to go on afterwards, since a migration may be given up. Required if
	 * @state_version is not 0.
	 *
	 * Return: 0; -errno: it cannot be saved now, with a line in the log.
	 */
	int (*save)(struct uvfio_dev *dev, struct uvfio_state *s);

	/**
	 * @load: Read with uvfio_get*() what save wrote of the given version, and have the device
	 * be in that state, still stopped: resume comes when the driver wants it. The bytes have
	 * arrived as they were sent, but who sent them may not mean well: check each number before
	 * it is an index or a size. Required if @state_version is not 0.
	 *
	 * Config space is the new one already. Interrupts that wait and the level of the line are
	 * loaded, too (do not call uvfio_intx()).
	 *
	 * Return: 0; what uvfio_load_error() returned; -errno. After an error, also one of
	 * uvfio_get*() that went unseen, the device is in no state, and a reset comes next.
	 */
	int (*load)(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version);

	/**
	 * @state_size: About how many bytes describe, save and save_dirty write for the whole
	 * device, for a driver that asks how long it will take. NULL: 64 KiB.
	 *
	 * Return: bytes.
	 */
	uint64_t (*state_size)(struct uvfio_dev *dev);

	/**
	 * @track: Begin (or end) to note which parts of the device's memory change; at the
	 * beginning all of it counts as changed. For a device with so much memory that the driver
	 * wants it moved before the device stops. The four below come together; NULL: save does
	 * everything.
	 *
	 * Memory is saved by save_dirty alone, never by save: for a driver that does not copy
	 * beforehand, all of it is saved while the device is stopped.
	 *
	 * Return: 0; -errno: it cannot begin. The end does not fail.
	 */
	int (*track)(struct uvfio_dev *dev, bool on);

	/**
	 * @dirty: How much memory changed and has not been saved since.
	 *
	 * Return: bytes; 0: nothing.
	 */
	uint64_t (*dirty)(struct uvfio_dev *dev);

	/**
	 * @save_dirty: Write some of the memory that changed, at least something and not much more
	 * than 1 MiB, and note that it is saved. The device may be running: what changes while it
	 * is written has to count as changed afterwards. Called again until dirty is 0.
	 *
	 * Return: 0; -errno: as save.
	 */
	int (*save_dirty)(struct uvfio_dev *dev, struct uvfio_state *s);

	/**
	 * @load_dirty: Read what one save_dirty wrote; as load, and before it. What was loaded
	 * earlier may come again, newer.
	 *
	 * Return: as load.
	 */
	int (*load_dirty)(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version);

	/**
	 * @link: Somebody puts the device's cable in, or pulls it out (`uvfio ctl link`), whatever
	 * is at its other end. It is in at first. NULL: the device has none.
	 */
	void (*link)(struct uvfio_dev *dev, bool up);

	/**
	 * @link_up: Say if the link is up, as a driver would read it now, for `uvfio ctl list`.
	 * NULL: this is not told.
	 *
	 * Return: true if it is up.
	 */
	bool (*link_up)(struct uvfio_dev *dev);

	/**
	 * @page_response: The driver has answered page requests (uvfio_page_request()): those of
	 * one group, which is free for new ones now. The answer is UVFIO_PAGE_SUCCESS, and the
	 * device tries again; or UVFIO_PAGE_INVALID, and there is no way. Called on uvfio's service
	 * thread, as a timer is; not for what was asked before a reset. Required of a device with
	 * uvfio_add_pri().
	 */
	void (*page_response)(struct uvfio_dev *dev, unsigned group, uint32_t pasid,
			      enum uvfio_page_answer answer);

	/**
	 * @carry_on: Go on where another process was killed, at whatever instruction of each of its
	 * threads: the memory of uvfio_lasting() is as that process left it. create was called, and
	 * a reset, and stop for UVFIO_STOP_ALL, all with memory of zeroes; this is called where
	 * load would be, and for the same: make the device what the memory says, still stopped.
	 * uvfio's own part of the state (see "Migration") is loaded.
	 *
	 * At resume, when the driver's memory can be reached again, what the driver had not been
	 * told of is done again, or finished, and interrupts that may have been lost are sent once
	 * more: a driver bears one too many. The last register access may have been carried out,
	 * wholly or in part, and comes again: uvfio_lasting_access() tells which that is. NULL: the
	 * device cannot.
	 *
	 * Return: 0; -errno, with a line in the log: the device is in no state, and a reset comes
	 * next, with memory of zeroes.
	 */
	int (*carry_on)(struct uvfio_dev *dev);

	/**
	 * @kinds: the mistakes of drivers that the model knows; NULL: none, or of a VF's model,
	 * those of its PF's.
	 */
	const struct uvfio_kind *kinds;

	/** @reg_ranges: the parts of BARs of which @regs has every register; NULL: none. */
	const struct uvfio_reg_range *reg_ranges;

	/**
	 * @show: Say with uvfio_say() what a person who looks at the device (`uvfio ctl show`)
	 * wants to know beside the registers of @regs: queues, what is under way. It changes
	 * nothing, and takes its locks for moments only. NULL: the registers say all.
	 */
	void (*show)(struct uvfio_dev *dev, struct uvfio_text *t);

	/**
	 * @faults: the ways in which the chip can fail; NULL: none, or of a VF's model, those of
	 * its PF's.
	 */
	const struct uvfio_fault *faults;
};

/** define UVFIO_MODEL_INIT - The first members, which say what the model was compiled with. */
#define UVFIO_MODEL_INIT .abi = UVFIO_MODEL_ABI, .size = sizeof(struct uvfio_model)

/**
 * uvfio_model - What a shared object of a model defines. (Declared here so that C++ gives it a name
 * that is found.)
 */
UVFIO_PUBLIC extern const struct uvfio_model uvfio_model;

/* ---- describing the function: only inside create ---- */

/**
 * struct uvfio_ids - The identity in the header of config space (PCIe 6.0, 7.5.1.1).
 * @vendor: Vendor ID.
 * @device: Device ID.
 * @subsystem_vendor: Subsystem Vendor ID.
 * @subsystem: Subsystem ID.
 * @class_code: 24 bits: base class, sub-class, interface.
 * @revision: Revision ID.
 */
struct uvfio_ids {
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint32_t class_code;
	uint8_t revision;
};

/**
 * uvfio_set_ids() - Say who the function is.
 * @dev: the function.
 * @ids: copied.
 *
 * Context: create only.
 * Return: 0; -EINVAL: the class code has more than 24 bits, or a VF's vendor and device are not
 * those that its PF says (struct uvfio_sriov).
 */
UVFIO_PUBLIC int uvfio_set_ids(struct uvfio_dev *dev, const struct uvfio_ids *ids);

/** define UVFIO_BAR_IO - A BAR is I/O space, at most 256 bytes. */
#define UVFIO_BAR_IO 0x1u
/** define UVFIO_BAR_64 - A BAR is memory with a 64-bit address; it takes the next BAR, too. */
#define UVFIO_BAR_64 0x2u
/** define UVFIO_BAR_PREFETCH - A BAR is memory that may be prefetched. */
#define UVFIO_BAR_PREFETCH 0x4u

/**
 * uvfio_add_bar() - Add a BAR (PCI 3.0, 6.2.5.1).
 * @dev: the function; no VF: its BARs are those of struct uvfio_sriov.
 * @bar: 0 to 5.
 * @size: bytes, a power of two: 4 to 256 of I/O space, 16 to 2 GiB of memory, up to 1 TiB with
 *	UVFIO_BAR_64.
 * @flags: UVFIO_BAR_*; 0: memory with a 32-bit address.
 *
 * Context: create only.
 * Return: 0; -EINVAL: no such BAR, size or flags, or a VF; -EEXIST: the BAR is taken.
 */
UVFIO_PUBLIC int uvfio_add_bar(struct uvfio_dev *dev, unsigned bar, uint64_t size, unsigned flags);

/**
 * uvfio_add_rom() - Add an expansion ROM (PCI 3.0, 6.2.5.2).
 * @dev: the function; no VF.
 * @size: bytes, a power of two from 2 KiB to 16 MiB.
 * @image: what it holds; copied. NULL: bar_read answers, with 6 for the BAR.
 * @len: bytes of @image, at most @size. Behind them the ROM reads ones.
 *
 * Context: create only.
 * Return: 0; -EINVAL: no such size, @len, or a VF; -EEXIST: there is one; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_add_rom(struct uvfio_dev *dev, uint64_t size, const void *image, size_t len);

/**
 * uvfio_add_intx() - Add an interrupt pin (PCI 3.0, 6.2.4).
 * @dev: the function; no VF.
 * @pin: 1 (INTA) to 4 (INTD).
 * @disintx: COMMAND.Interrupt Disable works, as since PCI 2.3; false is for models of old chips.
 *
 * Context: create only.
 * Return: 0; -EINVAL: no such pin, or a VF; -EEXIST: there is one.
 */
UVFIO_PUBLIC int uvfio_add_intx(struct uvfio_dev *dev, unsigned pin, bool disintx);

/**
 * uvfio_add_pm() - Add the power management capability: D0 and D3hot (PCI PM 1.2, 3.2).
 * @dev: the function.
 * @no_soft_reset: going from D3hot to D0 keeps the state; false: it is a reset (UVFIO_RESET_D3).
 *
 * Context: create only.
 * Return: the capability's offset in config space, more than 0; -ENOSPC: no room; -EEXIST: there is
 * one.
 */
UVFIO_PUBLIC int uvfio_add_pm(struct uvfio_dev *dev, bool no_soft_reset);

/**
 * uvfio_add_pme() - The device can send PME from some D-states (PCI PM 1.2, 3.2.3 and 3.2.4).
 * @dev: the function, which has uvfio_add_pm().
 * @states: a bit for each state, as PMC has them: 1 D0, 8 D3hot, 16 D3cold.
 *
 * PMCSR gets PME_En and PME_Status, which outlive a reset. A user of vfio-pci does not see them.
 *
 * Context: create only.
 * Return: 0; -EINVAL: no power management, or other bits.
 */
UVFIO_PUBLIC int uvfio_add_pme(struct uvfio_dev *dev, unsigned states);

/**
 * uvfio_add_msi() - Add the MSI capability (PCI 3.0, 6.8.1).
 * @dev: the function.
 * @vectors: 1, 2, 4, 8, 16 or 32.
 * @addr64: the message's address has 64 bits.
 * @maskable: each vector has a mask and a pending bit.
 *
 * Context: create only.
 * Return: the capability's offset in config space, more than 0; -EINVAL: no such number of vectors;
 * -ENOSPC: no room; -EEXIST: there is one.
 */
UVFIO_PUBLIC int uvfio_add_msi(struct uvfio_dev *dev, unsigned vectors, bool addr64, bool maskable);

/**
 * uvfio_add_msix() - Add the MSI-X capability (PCI 3.0, 6.8.2).
 * @dev: the function.
 * @vectors: 1 to 2048.
 * @table_bar: the memory BAR of the table, which has 16 bytes a vector.
 * @table_offset: where it begins in the BAR, in bytes; a multiple of 8.
 * @pba_bar: the memory BAR of the pending bits, 8 bytes for each 64 vectors.
 * @pba_offset: where they begin in the BAR, in bytes; a multiple of 8.
 *
 * uvfio serves accesses of table and pending bits; bar_read and bar_write do not see them.
 *
 * Context: create only.
 * Return: the capability's offset in config space, more than 0; -EINVAL: no such number of vectors,
 * or no such place; -ENOSPC: no room; -EEXIST: there is one; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_add_msix(struct uvfio_dev *dev, unsigned vectors, unsigned table_bar,
				uint32_t table_offset, unsigned pba_bar, uint32_t pba_offset);

/**
 * uvfio_add_pcie() - Add the PCI Express capability of an endpoint, version 2 (PCIe 6.0, 7.5.3).
 * @dev: the function.
 * @flr: it has function level reset; a VF must.
 *
 * With it config space has 4096 bytes, and room for extended capabilities.
 *
 * Context: create only.
 * Return: the capability's offset in config space, more than 0; -ENOSPC: no room; -EEXIST: there is
 * one.
 */
UVFIO_PUBLIC int uvfio_add_pcie(struct uvfio_dev *dev, bool flr);

/**
 * uvfio_add_af() - Add the Advanced Features capability: function level reset for a function of
 * conventional PCI (PCI ECN "Advanced Capabilities for Conventional PCI").
 * @dev: the function.
 *
 * Context: create only.
 * Return: the capability's offset in config space, more than 0; -ENOSPC: no room; -EEXIST: there is
 * one.
 */
UVFIO_PUBLIC int uvfio_add_af(struct uvfio_dev *dev);

/**
 * uvfio_add_vpd() - Add vital product data and its capability (PCI 3.0, 6.4 and appendix I).
 * @dev: the function.
 * @data: the data; copied.
 * @len: bytes, a multiple of 4, at most 32 KiB.
 * @writable: the driver may change it.
 *
 * Context: create only.
 * Return: the capability's offset in config space, more than 0; -EINVAL: no such @len; -ENOSPC: no
 * room; -EEXIST: there is one; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_add_vpd(struct uvfio_dev *dev, const void *data, size_t len, bool writable);

/**
 * uvfio_add_vendor_cap() - Add a vendor-specific capability (PCI 3.0, 6.7 and appendix H).
 * @dev: the function.
 * @data: the @len - 3 bytes after ID, next pointer and length; NULL: zeroes.
 * @writable: as many bytes, with ones for the bits that the driver may write; NULL: none.
 * @len: bytes in all, at least 3.
 *
 * Context: create only.
 * Return: the capability's offset in config space, more than 0; -EINVAL: no such @len; -ENOSPC: no
 * room.
 */
UVFIO_PUBLIC int uvfio_add_vendor_cap(struct uvfio_dev *dev, const void *data, const void *writable,
				      size_t len);

/**
 * uvfio_add_cap() - Add a capability that no other function adds.
 * @dev: the function.
 * @id: Capability ID.
 * @data: the @len - 2 bytes after ID and next pointer; NULL: zeroes.
 * @writable: as many bytes, with ones for the bits that the driver may write; NULL: none.
 * @len: bytes in all, at least 2.
 *
 * Context: create only.
 * Return: the capability's offset in config space, more than 0; -EINVAL: no such @len, or a
 * capability with a function of its own; -ENOSPC: no room; -EEXIST: there is one.
 */
UVFIO_PUBLIC int uvfio_add_cap(struct uvfio_dev *dev, uint8_t id, const void *data,
			       const void *writable, size_t len);

/**
 * uvfio_add_aer() - Add Advanced Error Reporting (PCIe 6.0, 7.8.4), for uvfio_report_error().
 * @dev: the function; it needs uvfio_add_pcie().
 *
 * Context: create only.
 * Return: the capability's offset in config space, more than 0; -ENOSPC: no room; -EEXIST: there is
 * one.
 */
UVFIO_PUBLIC int uvfio_add_aer(struct uvfio_dev *dev);

/**
 * enum uvfio_atomics - Sizes of AtomicOps (PCIe 6.0, 7.5.3.15).
 * @UVFIO_ATOMIC_32: 4 bytes.
 * @UVFIO_ATOMIC_64: 8 bytes.
 * @UVFIO_ATOMIC_128: compare and swap of 16 bytes.
 */
enum uvfio_atomics { UVFIO_ATOMIC_32 = 1, UVFIO_ATOMIC_64 = 2, UVFIO_ATOMIC_128 = 4 };

/**
 * uvfio_add_atomics() - Say that the device does AtomicOps (PCIe 6.0, 6.15).
 * @dev: the function, no VF; it needs uvfio_add_pcie().
 * @sizes: values of enum uvfio_atomics, together.
 *
 * The machine's memory and its root ports complete all of them. A VMM learns of it by
 * VFIO_DEVICE_INFO_CAP_PCI_ATOMIC_COMP.
 *
 * Context: create only.
 * Return: 0; -EINVAL: @dev is a VF or no PCI Express function, or there is no such size.
 */
UVFIO_PUBLIC int uvfio_add_atomics(struct uvfio_dev *dev, unsigned sizes);

/**
 * struct uvfio_region - A region of the device that is no BAR (VFIO_REGION_INFO_CAP_TYPE).
 * @type: by which a driver knows it, with @subtype: 1 << 31 | vendor ID, or another type of
 *	linux/vfio.h.
 * @subtype: the vendor's own number.
 * @size: bytes, less than 1 << 40.
 * @writable: it can be written.
 * @mappable: it can be mapped; loads and stores come as accesses of 1, 2, 4 or 8 bytes.
 * @access: Read or write n bytes at offset, which are within it, of the region with this number
 *	(uvfio_add_region()). Return 0, or -errno: the user's call fails with EIO. Called as
 *	bar_read, also while memory is not decoded and in D3hot.
 */
struct uvfio_region {
	uint32_t type, subtype;
	uint64_t size;
	bool writable, mappable;
	int (*access)(struct uvfio_dev *dev, unsigned region, uint64_t offset, void *buf, size_t n,
		      bool write);
};

/**
 * uvfio_add_region() - Add such a region.
 * @dev: the function.
 * @region: copied.
 *
 * Users find them behind those of every PCI device, in the order in which they were added.
 *
 * Context: create only.
 * Return: its number: 0, 1, ...; -EINVAL: a size or a function that cannot be, or more than 8.
 */
UVFIO_PUBLIC int uvfio_add_region(struct uvfio_dev *dev, const struct uvfio_region *region);

/**
 * uvfio_add_dsn() - Add a Device Serial Number (PCIe 6.0, 7.9.3).
 * @dev: the function; it needs uvfio_add_pcie().
 * @serial: the number.
 *
 * Context: create only.
 * Return: the capability's offset in config space, more than 0; -ENOSPC: no room; -EEXIST: there is
 * one.
 */
UVFIO_PUBLIC int uvfio_add_dsn(struct uvfio_dev *dev, uint64_t serial);

/**
 * uvfio_add_ext_cap() - Add an extended capability that no other function adds.
 * @dev: the function; it needs uvfio_add_pcie().
 * @id: Extended Capability ID.
 * @version: Capability Version, 0 to 15.
 * @data: the @len - 4 bytes after the header; NULL: zeroes.
 * @writable: as many bytes, with ones for the bits that the driver may write; NULL: none.
 * @len: bytes in all, a multiple of 4.
 *
 * Context: create only.
 * Return: the capability's offset in config space, more than 0; -EINVAL: no such @len or version,
 * or a capability with a function of its own; -ENOSPC: no room; -EEXIST: there is one.
 */
UVFIO_PUBLIC int uvfio_add_ext_cap(struct uvfio_dev *dev, uint16_t id, unsigned version,
				   const void *data, const void *writable, size_t len);

/** define UVFIO_PASID_BITS_MAX - PASIDs have so many bits at most. */
#define UVFIO_PASID_BITS_MAX 20u

/**
 * uvfio_add_pasid() - Add a PASID capability (PCIe 6.0, 7.8.8): the device can say with an access
 * whose it is, and a driver can give each PASID an address space of its own.
 * @dev: the function, with a PCI Express capability; no VF.
 * @width: its PASIDs are below 1 << @width; 1 to UVFIO_PASID_BITS_MAX.
 * @exec: it may ask to execute what it reads (UVFIO_PAGE_EXEC).
 *
 * It is on, as the host's IOMMU driver has it, and is not shown to a user: vfio-pci hides it.
 *
 * Context: create only.
 * Return: its offset; -EINVAL: arguments, a VF, or no uvfio_add_pcie(); -EEXIST: it is there
 * already; -ENOSPC: no room; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_add_pasid(struct uvfio_dev *dev, unsigned width, bool exec);

/** define UVFIO_PRI_MAX - The most page requests that a device may have unanswered. */
#define UVFIO_PRI_MAX 512u

/**
 * uvfio_add_pri() - Add the capabilities ATS and Page Request (PCIe 6.0, 7.8.9 and 10.5.2): the
 * device can ask for pages that are not mapped.
 * @dev: the function, with a PCI Express capability; no VF.
 * @outstanding: how many requests may be unanswered at a time, 1 to UVFIO_PRI_MAX.
 *
 * Both are on, as the host's IOMMU driver has them, and a user cannot switch them off. The model
 * needs @page_response of struct uvfio_model.
 *
 * Context: create only.
 * Return: the offset of the Page Request capability; -EINVAL: arguments, a VF, or no
 * @page_response; -EEXIST: it is there already; -ENOSPC: no room; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_add_pri(struct uvfio_dev *dev, unsigned outstanding);

/* ---- SR-IOV: a physical function (PF) and its virtual functions (VFs); PCIe 6.0, 9 ---- */

/**
 * struct uvfio_sriov - What a PF is to its VFs.
 * @vf: the VFs' model; abi and create are required, options must be NULL or empty.
 * @vf_device_id: Device ID of the VFs; the vendor is the PF's.
 * @total_vfs: 1 to 255.
 * @first_vf_offset: VF i has the PF's routing ID (bus, device, function) + first_vf_offset +
 *	i * vf_stride; more than 0.
 * @vf_stride: see there; more than 0.
 * @bars: as for uvfio_add_bar(), memory only, of one VF, at least a page each: smaller ones become
 *	one.
 * @bars.size: bytes; 0: no such BAR.
 * @bars.flags: UVFIO_BAR_64, UVFIO_BAR_PREFETCH.
 * @vfs_changed: A callback of the PF: from now on so many VFs, of the indices from 0 up, are
 *	enabled. May be NULL.
 * @host_driver: a model that can stand for the PF's driver in a host's kernel says what that is
 *	called ("igb"). The user can then write driver=igb instead of having vfio-pci on the PF:
 *	nobody opens the PF, its VFs can be opened without a token, and the model does what that
 *	driver would do (bring the link up, answer the mailbox). NULL: not possible.
 * @host_drives: NULL exactly if @host_driver is. Called once, as a callback of the PF, with
 *	decoding and bus mastering on, before any VF is enabled.
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
 * Threads. If neither model is concurrent, PF and VFs have one lock: a callback of one excludes
 * callbacks of all. If both are, each is called by any thread at any time. One of each is an error.
 * The functions that a model may call with a VF may be called from callbacks of the PF, and the
 * reverse.
 */
struct uvfio_sriov {
	const struct uvfio_model *vf;
	uint16_t vf_device_id;
	uint16_t total_vfs, first_vf_offset, vf_stride;
	struct {
		uint64_t size;
		unsigned flags;
	} bars[6];
	void (*vfs_changed)(struct uvfio_dev *pf, unsigned num);
	const char *host_driver;
	void (*host_drives)(struct uvfio_dev *pf);
};

/**
 * uvfio_add_sriov() - Add the SR-IOV extended capability (PCIe 6.0, 9.3.3).
 * @dev: the PF; it needs uvfio_add_pcie().
 * @sriov: copied; the strings and the model in it must stay.
 *
 * Context: the PF's create only.
 * Return: the capability's offset in config space, more than 0; -EINVAL: struct uvfio_sriov says
 * what is not possible, or @dev is a VF; -ENOSPC: no room; -EEXIST: there is one; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_add_sriov(struct uvfio_dev *dev, const struct uvfio_sriov *sriov);

/**
 * uvfio_pf() - The PF of a VF.
 * @dev: the function.
 *
 * Context: any thread, from the VF's create to its destroy.
 * Return: the PF; NULL: @dev is no VF.
 */
UVFIO_PUBLIC struct uvfio_dev *uvfio_pf(const struct uvfio_dev *dev);

/**
 * uvfio_vf_index() - The index of a VF.
 * @vf: the VF.
 *
 * Context: any thread.
 * Return: 0 to total_vfs - 1; 0 for what is no VF.
 */
UVFIO_PUBLIC unsigned uvfio_vf_index(const struct uvfio_dev *vf);

/**
 * uvfio_vf() - Find a VF.
 * @pf: the PF.
 * @index: from 0.
 *
 * Context: any thread.
 * Return: the VF, which stays good until its destroy; NULL: it was never needed so far, it is
 * destroyed, or there is none of this index.
 */
UVFIO_PUBLIC struct uvfio_dev *uvfio_vf(struct uvfio_dev *pf, unsigned index);

/**
 * uvfio_num_vfs() - How many VFs are enabled now.
 * @pf: the PF.
 *
 * Context: any thread.
 * Return: the number: a VF is enabled if its index is less; 0 for what is no PF.
 */
UVFIO_PUBLIC unsigned uvfio_num_vfs(const struct uvfio_dev *pf);

/* ---- pages of a memory BAR in a driver's address space ---- */

/**
 * enum uvfio_page_kind - What a load or store through a driver's mapping of a page is.
 * @UVFIO_PAGE_TRAPPED: a call of bar_read or bar_write, exactly as a memory cycle on the bus. So is
 *	every page of which nothing else was said.
 * @UVFIO_PAGE_POLLED: as trapped while the pages are closed; while they are open
 *	(uvfio_polled_open()) an access of plain memory, without a call of anything, which the model
 *	looks at. For registers that only say how far a driver has come (doorbells): of several
 *	stores to one word the model sees the last one, of their sizes nothing.
 * @UVFIO_PAGE_UNMAPPED: cannot be mapped: pread and pwrite only.
 * @UVFIO_PAGE_MEMORY: plain memory of the device (uvfio_polled_memory()): no access of it is a call
 *	of anything, by whatever way it comes, a mapping, pread and pwrite, or another device. So a
 *	load or store costs what it costs in a program's memory, and a guest of KVM can have it. It
 *	answers while the function decodes, as all of a BAR does.
 */
enum uvfio_page_kind {
	UVFIO_PAGE_TRAPPED,
	UVFIO_PAGE_POLLED,
	UVFIO_PAGE_UNMAPPED,
	UVFIO_PAGE_MEMORY
};

/**
 * uvfio_set_pages() - Say of what kind pages of a memory BAR are.
 * @dev: the function.
 * @bar: 0 to 5; the BAR was added before.
 * @offset: the first byte in the BAR, a multiple of 4096.
 * @len: bytes, a multiple of 4096.
 * @kind: of each of the pages, of which nothing was said so far.
 *
 * No page that is polled or memory may hold the MSI-X table or pending bits.
 *
 * Context: create only.
 * Return: 0; -EINVAL: no such pages or kind; -EEXIST: of one of the pages it was said; -ENOSPC:
 * there are 16 areas; -ENOMEM; -EMFILE.
 */
UVFIO_PUBLIC int uvfio_set_pages(struct uvfio_dev *dev, unsigned bar, uint64_t offset, uint64_t len,
				 enum uvfio_page_kind kind);

/**
 * uvfio_polled_memory() - The memory behind a polled page, or one that is memory.
 * @dev: the function.
 * @bar: the BAR.
 * @offset: bytes in the BAR.
 *
 * A driver sees it there while the pages are open, or at all times. It is the model's at all times,
 * and starts with zeroes; access it with atomic operations. A reset does nothing to it.
 *
 * Context: any thread.
 * Return: what is at @offset, up to the end of its uvfio_set_pages(), good until destroy returns;
 * NULL: no such page.
 */
UVFIO_PUBLIC void *uvfio_polled_memory(struct uvfio_dev *dev, unsigned bar, uint64_t offset);

/**
 * uvfio_polled_open() - From now on the driver's accesses of polled pages go to memory.
 * @dev: the function; all of its polled pages.
 *
 * No store is lost if the model looks at the memory at least once after this, and once after
 * uvfio_polled_close(). Accesses by pwrite and pread, and a trapped access that had begun, are
 * callbacks also while the pages are open: a callback should leave what it was given in the memory,
 * too.
 *
 * A locked instruction is atomic among trapped accesses, and among those of open pages; one that
 * was trapped when the pages open is not against a store to the same word that comes as memory.
 *
 * uvfio closes the pages by itself when memory decoding ends (COMMAND, D3hot, reset); the memory
 * keeps what was stored before.
 *
 * Context: any thread, also inside of callbacks. It takes some microseconds.
 * Return: 0; -ENOENT: no driver has a polled page mapped (nor can it with mmap=trap or off), or
 * somebody wants to know what is behind each doorbell (uvfio_takes()), so there is nothing to be
 * gained; -EIO: memory decoding is off, or the device is stopped for a
 * migration.
 */
UVFIO_PUBLIC int uvfio_polled_open(struct uvfio_dev *dev);

/**
 * uvfio_polled_close() - From now on the driver's accesses of polled pages are callbacks again.
 * @dev: the function; all of its polled pages.
 *
 * It returns when every processor has given up its right to write, so that a store either is in
 * memory by then or becomes a callback.
 *
 * Context: any thread, also inside of callbacks. It takes some microseconds.
 */
UVFIO_PUBLIC void uvfio_polled_close(struct uvfio_dev *dev);

/**
 * uvfio_polled_shared() - Whether stores to polled pages come as memory at all times.
 * @dev: the function.
 *
 * With mmap=shared a process that is served the device may have its polled pages mapped. Nobody
 * tells that process when they are closed: a store of its is in memory then, without a callback.
 * So the model has to look there every now and then, for as long as a store is to have an effect.
 *
 * Context: any thread. It changes only while no driver has the device.
 * Return: true: look at them; false: closed pages are callbacks.
 */
UVFIO_PUBLIC bool uvfio_polled_shared(const struct uvfio_dev *dev);

/* ---- state and options ---- */

/**
 * uvfio_set_priv() - Keep the model's own state with a function.
 * @dev: the function.
 * @priv: the state. uvfio does nothing with it.
 *
 * Context: any thread; not while another one may call uvfio_priv().
 */
UVFIO_PUBLIC void uvfio_set_priv(struct uvfio_dev *dev, void *priv);

/**
 * uvfio_priv() - The model's own state of a function.
 * @dev: the function.
 *
 * Context: any thread.
 * Return: what uvfio_set_priv() was given; NULL before.
 */
UVFIO_PUBLIC void *uvfio_priv(const struct uvfio_dev *dev);

/**
 * uvfio_dev_name() - The address of a function.
 * @dev: the function.
 *
 * Context: any thread.
 * Return: "0000:01:00.0", good until destroy returns.
 */
UVFIO_PUBLIC const char *uvfio_dev_name(const struct uvfio_dev *dev);

/**
 * uvfio_unique() - A number that this function has for itself.
 * @dev: the function.
 *
 * To make an address or a serial number of that no other may have: the same whenever the device is
 * made in a run (by a program that is started again, by a forked child), another for each device
 * and in each run.
 *
 * Context: any thread.
 * Return: the number, of which all 64 bits are as if drawn by lot.
 */
UVFIO_PUBLIC uint64_t uvfio_unique(const struct uvfio_dev *dev);

/**
 * uvfio_dev_id() - The user's name for a device.
 * @dev: the function.
 *
 * Context: any thread.
 * Return: the NAME of id=NAME, by which another device's options may refer to it, good until
 * destroy returns; NULL: none.
 */
UVFIO_PUBLIC const char *uvfio_dev_id(const struct uvfio_dev *dev);

/**
 * uvfio_opt_string() - The text of an option: the user's, else the table's default.
 * @dev: the function.
 * @name: the option's name in the model's table.
 * @i: which one of an option that may be given several times, from 0; else 0.
 *
 * Context: any thread.
 * Return: the text as it was written, good until destroy returns; NULL: unset.
 */
UVFIO_PUBLIC const char *uvfio_opt_string(const struct uvfio_dev *dev, const char *name,
					  unsigned i);

/**
 * uvfio_opt_uint() - The number of a UVFIO_OPT_UINT or UVFIO_OPT_SIZE option.
 * @dev: the function.
 * @name: the option's name in the model's table.
 * @i: which one of an option that may be given several times, from 0; else 0.
 *
 * Context: any thread.
 * Return: the number, a size in bytes; 0: unset.
 */
UVFIO_PUBLIC uint64_t uvfio_opt_uint(const struct uvfio_dev *dev, const char *name, unsigned i);

/**
 * uvfio_opt_bool() - The value of a UVFIO_OPT_BOOL option.
 * @dev: the function.
 * @name: the option's name in the model's table.
 * @i: which one of an option that may be given several times, from 0; else 0.
 *
 * Context: any thread.
 * Return: the value; false: unset.
 */
UVFIO_PUBLIC bool uvfio_opt_bool(const struct uvfio_dev *dev, const char *name, unsigned i);

/**
 * uvfio_opt_count() - How many values an option has.
 * @dev: the function.
 * @name: the option's name in the model's table.
 *
 * Context: any thread.
 * Return: how often the user gave it; 1 for a default; 0: unset.
 */
UVFIO_PUBLIC unsigned uvfio_opt_count(const struct uvfio_dev *dev, const char *name);

/* ---- DMA: through the IOMMU, with the rights that the driver gave ---- */

/**
 * uvfio_dma_read() - The device reads memory of the driver.
 * @dev: the function.
 * @iova: the I/O virtual address.
 * @buf: gets the bytes.
 * @len: how many.
 *
 * An access is one transaction to the log: a line names the first address that failed. Order:
 * ascending; a naturally aligned 2, 4 or 8 bytes are read in one load.
 *
 * A driver may have mapped the BAR of a device there (peer to peer). Then that device's bar_read is
 * called, by accesses of up to 8 bytes, aligned; where it does not answer @buf has ones. If this
 * call was made in a callback, other callbacks of this device may come meanwhile, a reset, too:
 * what the model looked at before the call may have changed. Devices whose models are both
 * concurrent cannot reach each other (-EFAULT): each could be called with locks held that the other
 * waits for.
 *
 * The memory may be another process's, whose answer this waits for. That is as peer to peer, but
 * that devices whose models are concurrent reach it, too.
 *
 * Context: any thread of the model. Takes no lock, but for peer to peer: so the model holds none
 * that its callbacks take, unless it is concurrent.
 * Return: 0; -EFAULT: aborted (not mapped, no right, no address space, bus mastering off, D3hot; a
 * BAR or another process that does not answer, or one of these between uvfio_dma_begin() and
 * uvfio_dma_end()). Bytes before the failing page were transferred.
 */
UVFIO_PUBLIC int uvfio_dma_read(struct uvfio_dev *dev, uint64_t iova, void *buf, size_t len);

/**
 * uvfio_dma_write() - The device writes memory of the driver.
 * @dev: the function.
 * @iova: the I/O virtual address.
 * @buf: the bytes.
 * @len: how many.
 *
 * As uvfio_dma_read(). A naturally aligned 2, 4 or 8 bytes go in one store, so that a driver that
 * polls the last word of a descriptor finds all before it in place.
 *
 * Context: as uvfio_dma_read().
 * Return: 0; -EFAULT: aborted, as there.
 * Bytes before the failing page were transferred.
 */
UVFIO_PUBLIC int uvfio_dma_write(struct uvfio_dev *dev, uint64_t iova, const void *buf, size_t len);

/** define UVFIO_NO_PASID - In the place of a PASID: there is none. (To Linux, too, 0 is none.) */
#define UVFIO_NO_PASID 0u

/**
 * uvfio_dma_read_pasid() - The device reads memory of one of the driver's address spaces.
 * @dev: the function, with uvfio_add_pasid().
 * @pasid: whose address it is; UVFIO_NO_PASID: as uvfio_dma_read().
 * @iova: the I/O virtual address.
 * @buf: gets the bytes.
 * @len: how many.
 *
 * Context: any thread of the model. Takes no lock.
 * Return: 0; -EFAULT: aborted, as in uvfio_dma_read(), or the driver gave this PASID no address
 * space; a line in the log names the PASID. -EINVAL: the device has no such PASID.
 */
UVFIO_PUBLIC int uvfio_dma_read_pasid(struct uvfio_dev *dev, uint32_t pasid, uint64_t iova,
				      void *buf, size_t len);

/**
 * uvfio_dma_write_pasid() - The device writes memory of one of the driver's address spaces.
 * @dev: the function, with uvfio_add_pasid().
 * @pasid: whose address it is; UVFIO_NO_PASID: as uvfio_dma_write().
 * @iova: the I/O virtual address.
 * @buf: the bytes.
 * @len: how many.
 *
 * Context: any thread of the model. Takes no lock.
 * Return: 0; -EFAULT: aborted, as in uvfio_dma_write(), or the driver gave this PASID no address
 * space; a line in the log names the PASID. -EINVAL: the device has no such PASID.
 */
UVFIO_PUBLIC int uvfio_dma_write_pasid(struct uvfio_dev *dev, uint32_t pasid, uint64_t iova,
				       const void *buf, size_t len);

/**
 * enum uvfio_taken - What a device has of the driver's memory.
 * @UVFIO_TAKEN_ORDERS: what is between driver and device alone: descriptors, entries of queues,
 *	lists of addresses. Whoever changes it is the driver.
 * @UVFIO_TAKEN_DATA: what the device is to transfer. It may be somebody else's who may change it,
 *	though then it is not known what arrives.
 */
enum uvfio_taken { UVFIO_TAKEN_ORDERS = 1, UVFIO_TAKEN_DATA = 2 };

/**
 * uvfio_takes() - Does somebody want to know of memory that the device takes?
 * @dev: the function.
 *
 * A user does with `uvfio run --check=dma-race`. Then a model says at the doorbell what it has from
 * then on (uvfio_take()), and when it gives it back (uvfio_give_back()): what the driver changed
 * meanwhile is a report. A model that would do all of it within the store may leave some time
 * between, as a chip does, so that there is something to see. Polled pages do not open.
 *
 * Context: any thread. Takes no lock; the same answer for as long as the function is there.
 * Return: values of enum uvfio_taken, together; mostly 0.
 */
UVFIO_PUBLIC unsigned uvfio_takes(const struct uvfio_dev *dev);

/**
 * uvfio_take() - From now on the driver must leave this memory alone.
 * @dev: the function.
 * @key: a number of the model's by which it gives it back. Several things may have one.
 * @kind: of what kind it is. It is nothing unless uvfio_takes() has this kind.
 * @what: what it is called, such as "a transmit descriptor"; the pointer is kept.
 * @iova: its I/O virtual address.
 * @len: bytes.
 *
 * In the callback of the store by which the driver gives it, so that a report has that place. What
 * @key has at this address already is replaced. Memory that is not mapped for reading, a BAR, and
 * memory of another process are not looked at; nor is what finds no room among some thousand things
 * (32 of one @key).
 *
 * Context: any thread. It reads the memory.
 */
UVFIO_PUBLIC void uvfio_take(struct uvfio_dev *dev, uint64_t key, enum uvfio_taken kind,
			     const char *what, uint64_t iova, size_t len);

/**
 * uvfio_give_back() - The driver may do with it what it likes: it must not have changed before.
 * @dev: the function.
 * @key: of uvfio_take(). All that it has is given back.
 *
 * Before the driver can know, and before the device writes there itself. A reset gives back all
 * without a look, see uvfio_forget().
 *
 * Context: any thread. It reads the memory.
 */
UVFIO_PUBLIC void uvfio_give_back(struct uvfio_dev *dev, uint64_t key);

/**
 * uvfio_forget() - The device gives back all that it has, and nobody looks what became of it.
 * @dev: the function.
 *
 * When a queue goes, or another one takes its number. After each reset it is done without being
 * asked for.
 *
 * Context: any thread.
 */
UVFIO_PUBLIC void uvfio_forget(struct uvfio_dev *dev);

/**
 * uvfio_dma_allowed() - May the device make DMA and send messages now?
 * @dev: the function.
 *
 * For a device that looks at memory without having been asked to (a polled doorbell buffer): what
 * it tries with bus mastering off is reported as a fault of the driver.
 *
 * Context: any thread. Takes no lock.
 * Return: true: COMMAND.Bus Master Enable is set, the function is in D0 and not stopped for a
 * migration, and a VF is enabled.
 */
UVFIO_PUBLIC bool uvfio_dma_allowed(const struct uvfio_dev *dev);

/**
 * uvfio_dma_begin() - From now on pointers of uvfio_dma_sg() stay valid.
 * @dev: the function.
 *
 * An unmap by the driver waits for uvfio_dma_end(). Keep it short, without sleeping.
 *
 * Context: any thread of the model; the same one calls uvfio_dma_end(). They nest, and take no
 * lock.
 */
UVFIO_PUBLIC void uvfio_dma_begin(struct uvfio_dev *dev);

/**
 * uvfio_dma_end() - From now on the driver may take its memory away.
 * @dev: the function.
 *
 * Context: the thread that called uvfio_dma_begin().
 */
UVFIO_PUBLIC void uvfio_dma_end(struct uvfio_dev *dev);

/**
 * uvfio_dma_sg() - Find the memory at an I/O virtual address.
 * @dev: the function.
 * @iova: the I/O virtual address.
 * @len: bytes.
 * @write: the device will write.
 * @iov: gets the pieces, merged where memory is contiguous.
 * @max: how many fit in @iov.
 *
 * The program may have unmapped the memory behind uvfio's back: touch it by a system call, which
 * fails then, or use uvfio_dma_read() and uvfio_dma_write().
 *
 * Context: between uvfio_dma_begin() and uvfio_dma_end(). Takes no lock.
 * Return: the number of pieces; -EFAULT: aborted, with a line in the log; -E2BIG: more than @max
 * pieces, or some of it is no memory of this process, but a device's BAR, or memory of another
 * process: uvfio_dma_read() and uvfio_dma_write() reach it.
 */
UVFIO_PUBLIC int uvfio_dma_sg(struct uvfio_dev *dev, uint64_t iova, size_t len, bool write,
			      struct iovec *iov, int max);

/* ---- page requests: a device with uvfio_add_pri() asks for memory that is not mapped ---- */

/** define UVFIO_PAGE_READ - The device wants to read the page. */
#define UVFIO_PAGE_READ 1u
/** define UVFIO_PAGE_WRITE - It wants to write it. */
#define UVFIO_PAGE_WRITE 2u
/** define UVFIO_PAGE_EXEC - It wants to execute what it reads; with a PASID only. */
#define UVFIO_PAGE_EXEC 4u
/** define UVFIO_PAGE_GROUPS - Groups of page requests are numbered below this. */
#define UVFIO_PAGE_GROUPS 512u

/**
 * uvfio_page_request() - Ask the driver for a page.
 * @dev: the function.
 * @iova: an I/O virtual address in the page of 4 KiB.
 * @perm: UVFIO_PAGE_READ, UVFIO_PAGE_WRITE or both; and UVFIO_PAGE_EXEC.
 * @pasid: whose address it is, or UVFIO_NO_PASID.
 * @group: the number of the group that the request is part of, below UVFIO_PAGE_GROUPS.
 * @last: it is the last one of its group.
 *
 * The driver sees a group when its last request has come, and answers it as a whole:
 * @page_response of struct uvfio_model, once for each group, which is not to be used again before.
 * A driver that takes no page requests, as most, is not asked: the answer is UVFIO_PAGE_INVALID
 * then. No request moves with a device's state: a model that waits for an answer when it is saved
 * asks again after load.
 *
 * Context: any thread.
 * Return: 0; -EINVAL: arguments, or the device has no uvfio_add_pri(); -EBUSY: as many requests are
 * unanswered as there may be; -EFAULT: bus mastering is off, or the device is stopped, with a line
 * in the log.
 */
UVFIO_PUBLIC int uvfio_page_request(struct uvfio_dev *dev, uint64_t iova, unsigned perm,
				    uint32_t pasid, unsigned group, bool last);

/**
 * uvfio_page_present() - Would an access be done? As an ATS translation request asks.
 * @dev: the function.
 * @iova: the I/O virtual address.
 * @perm: what the device wants, as in uvfio_page_request().
 * @pasid: whose address it is, or UVFIO_NO_PASID.
 *
 * For a device that asks for pages: a DMA that is tried and aborted is a fault in the log. The page
 * may be gone a moment later.
 *
 * Context: any thread. Takes no lock.
 * Return: true: the page is mapped with these rights, and the device may make DMA.
 */
UVFIO_PUBLIC bool uvfio_page_present(struct uvfio_dev *dev, uint64_t iova, unsigned perm,
				     uint32_t pasid);

/* ---- interrupts ---- */

/**
 * enum uvfio_irq_mode - What kind of interrupts the driver enabled.
 * @UVFIO_IRQ_INTX: none of the others.
 * @UVFIO_IRQ_MSI: messages of the MSI capability.
 * @UVFIO_IRQ_MSIX: messages of the MSI-X capability.
 */
enum uvfio_irq_mode { UVFIO_IRQ_INTX, UVFIO_IRQ_MSI, UVFIO_IRQ_MSIX };

/**
 * uvfio_irq_mode() - What kind of interrupts the driver enabled.
 * @dev: the function.
 *
 * Context: any thread. Takes no lock.
 * Return: the kind, as config space has it now.
 */
UVFIO_PUBLIC enum uvfio_irq_mode uvfio_irq_mode(const struct uvfio_dev *dev);

/**
 * uvfio_msi() - Send a message.
 * @dev: the function.
 * @vector: of MSI-X from 0; of MSI it is taken modulo the number that the driver enabled.
 *
 * Masked: the pending bit is set, and the message goes out when it is unmasked. Dropped when
 * neither MSI-X nor MSI is enabled, bus mastering is off, or the function is not in D0.
 *
 * Context: any thread. Never blocks, takes no lock, writes one eventfd.
 */
UVFIO_PUBLIC void uvfio_msi(struct uvfio_dev *dev, unsigned vector);

/**
 * uvfio_intx() - Set the level of the interrupt line.
 * @dev: the function.
 * @level: true: it is up.
 *
 * Setting the level that it has costs nothing. With MSI or MSI-X enabled the pin is quiet, whatever
 * the level.
 *
 * Context: any thread.
 */
UVFIO_PUBLIC void uvfio_intx(struct uvfio_dev *dev, bool level);

/* ---- descriptors ---- */

/**
 * uvfio_fd_keep() - Hide a descriptor from the program.
 * @dev: the function.
 * @fd: a descriptor that the model opened for itself (an image, an eventfd). It moves to a number
 *	that the program does not use and cannot close, not even one that closes "everything from 3
 *	up".
 *
 * It is closed by exec, and in a forked child, where the device does not go on.
 *
 * Context: any thread.
 * Return: the new number, to be closed with uvfio_fd_close() only; -EMFILE, or what else dup says,
 * and @fd is as it was.
 */
UVFIO_PUBLIC int uvfio_fd_keep(struct uvfio_dev *dev, int fd);

/**
 * uvfio_fd_close() - Close a descriptor of uvfio_fd_keep().
 * @dev: the function.
 * @fd: the number that uvfio_fd_keep() returned.
 *
 * Context: any thread.
 */
UVFIO_PUBLIC void uvfio_fd_close(struct uvfio_dev *dev, int fd);

/* ---- threads of the model's own ---- */

/**
 * uvfio_thread_start() - Start a thread inside of a program that does not know of it.
 * @dev: the function.
 * @thread: gets the thread, which the model joins (destroy, quiesce).
 * @fn: runs in it.
 * @arg: its argument.
 * @name: of the thread, 15 characters at most.
 *
 * As pthread_create(3), but none of the program's signals come to the thread, and it runs on any
 * processor that the program was started on, wherever the driver pinned its own threads.
 *
 * Context: any thread.
 * Return: 0; -EAGAIN: no thread could be had; -ENOMEM.
 */
UVFIO_PUBLIC int uvfio_thread_start(struct uvfio_dev *dev, pthread_t *thread,
				    void *(*fn)(void *arg), void *arg, const char *name);

/**
 * uvfio_cpus() - On how many processors may threads of uvfio_thread_start() run?
 * @dev: the function.
 *
 * With one, a thread that polls would keep the driver from running.
 *
 * Context: any thread.
 * Return: the number, at least 1.
 */
UVFIO_PUBLIC unsigned uvfio_cpus(const struct uvfio_dev *dev);

/* ---- config space ---- */

/**
 * uvfio_config_get() - Read config space as the hardware has it.
 * @dev: the function.
 * @offset: bytes from its start.
 * @size: 1, 2 or 4 bytes.
 *
 * Context: any thread.
 * Return: the value; all ones where there is nothing.
 */
UVFIO_PUBLIC uint32_t uvfio_config_get(const struct uvfio_dev *dev, unsigned offset, unsigned size);

/**
 * uvfio_config_set() - Set bytes of config space, whatever software may write of them.
 * @dev: the function.
 * @offset: bytes from its start.
 * @size: 1, 2 or 4 bytes.
 * @value: in the low bytes.
 *
 * config_written is not called. Where there is nothing, nothing happens, and a line in the log says
 * so.
 *
 * Context: any thread.
 */
UVFIO_PUBLIC void uvfio_config_set(struct uvfio_dev *dev, unsigned offset, unsigned size,
				   uint32_t value);

/**
 * uvfio_report_error() - The device signals a PCI Express error (PCIe 6.0, 6.2).
 * @dev: the function.
 * @bit: of the AER status register: 7.8.4.2 (uncorrectable), 7.8.4.5 (correctable).
 * @fatal: the error is uncorrectable.
 *
 * Sets AER and Device Status and, if the error is not masked, signals UVFIO_INDEX_ERR to the driver
 * for an uncorrectable one. A @bit that there is not is a line in the log.
 *
 * Context: any thread.
 */
UVFIO_PUBLIC void uvfio_report_error(struct uvfio_dev *dev, unsigned bit, bool fatal);

/**
 * uvfio_pme() - The device has an event for which it wants to be awake: it sends PME.
 * @dev: the function.
 *
 * Sets PME_Status if uvfio_add_pme() has the D-state that the function is in, and wakes it if
 * PME_En is set: the driver sets it for low power that the user asked for
 * (VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP and its kin). The way back to D0 comes a moment
 * later, on another thread. Else it is a line at level debug.
 *
 * Context: any thread, also from a callback.
 */
UVFIO_PUBLIC void uvfio_pme(struct uvfio_dev *dev);

/* ---- timers ---- */

/** struct uvfio_timer - A timer that fires once for each time it is set. Opaque. */
struct uvfio_timer;

/**
 * uvfio_timer_new() - Make a timer.
 * @dev: the function.
 * @fn: called when it fires, on uvfio's service thread, as a callback of the model.
 * @arg: an argument of @fn.
 *
 * All devices of a process have their timers on one thread: while a callback does not return, no
 * other fires. After five seconds a line in the log names the device and its model.
 *
 * Context: any thread.
 * Return: the timer, disarmed; what the model does not free goes with the device; NULL: no memory.
 */
UVFIO_PUBLIC struct uvfio_timer *
uvfio_timer_new(struct uvfio_dev *dev, void (*fn)(struct uvfio_dev *dev, void *arg), void *arg);

/**
 * uvfio_timer_set() - Arm a timer, or disarm it.
 * @timer: the timer.
 * @ns: fire so many nanoseconds from now; UINT64_MAX: do not. Replaces an earlier setting.
 *
 * Context: any thread.
 */
UVFIO_PUBLIC void uvfio_timer_set(struct uvfio_timer *timer, uint64_t ns);

/**
 * uvfio_timer_free() - Disarm and free a timer.
 * @timer: the timer; NULL: nothing happens.
 *
 * Waits for a callback of the timer that runs, unless it is called inside of a callback.
 *
 * Context: any thread; the last use of @timer.
 */
UVFIO_PUBLIC void uvfio_timer_free(struct uvfio_timer *timer);

/**
 * uvfio_timer_left() - How long until a timer fires.
 * @timer: the timer.
 *
 * For save: load arms it again with uvfio_timer_set(). While the device is stopped for a migration
 * its timers stand still: none fires, and none has less left than when it was stopped.
 *
 * Context: any thread.
 * Return: nanoseconds, 0 if it is just about to fire; UINT64_MAX: it is not armed.
 */
UVFIO_PUBLIC uint64_t uvfio_timer_left(struct uvfio_timer *timer);

/* ---- migration: saving and loading a device's state ---- */

/**
 * uvfio_put8() - Save a number of 8 bits.
 * @s: the state.
 * @value: the number.
 *
 * Context: save, save_dirty.
 */
UVFIO_PUBLIC void uvfio_put8(struct uvfio_state *s, uint8_t value);

/**
 * uvfio_put16() - Save a number of 16 bits.
 * @s: the state.
 * @value: the number.
 *
 * Context: save, save_dirty.
 */
UVFIO_PUBLIC void uvfio_put16(struct uvfio_state *s, uint16_t value);

/**
 * uvfio_put32() - Save a number of 32 bits.
 * @s: the state.
 * @value: the number.
 *
 * Context: save, save_dirty.
 */
UVFIO_PUBLIC void uvfio_put32(struct uvfio_state *s, uint32_t value);

/**
 * uvfio_put64() - Save a number of 64 bits.
 * @s: the state.
 * @value: the number.
 *
 * Context: save, save_dirty.
 */
UVFIO_PUBLIC void uvfio_put64(struct uvfio_state *s, uint64_t value);

/**
 * uvfio_put_bytes() - Save bytes, whose number load knows.
 * @s: the state.
 * @data: the bytes.
 * @len: how many.
 *
 * Context: save, save_dirty.
 */
UVFIO_PUBLIC void uvfio_put_bytes(struct uvfio_state *s, const void *data, size_t len);

/**
 * uvfio_get8() - Load what uvfio_put8() saved.
 * @s: the state.
 *
 * Context: load, load_dirty.
 * Return: the number; 0: the state, or its section, ends before it.
 */
UVFIO_PUBLIC uint8_t uvfio_get8(struct uvfio_state *s);

/**
 * uvfio_get16() - Load what uvfio_put16() saved.
 * @s: the state.
 *
 * Context: load, load_dirty.
 * Return: the number; 0: the state, or its section, ends before it.
 */
UVFIO_PUBLIC uint16_t uvfio_get16(struct uvfio_state *s);

/**
 * uvfio_get32() - Load what uvfio_put32() saved.
 * @s: the state.
 *
 * Context: load, load_dirty.
 * Return: the number; 0: the state, or its section, ends before it.
 */
UVFIO_PUBLIC uint32_t uvfio_get32(struct uvfio_state *s);

/**
 * uvfio_get64() - Load what uvfio_put64() saved.
 * @s: the state.
 *
 * Context: load, load_dirty.
 * Return: the number; 0: the state, or its section, ends before it.
 */
UVFIO_PUBLIC uint64_t uvfio_get64(struct uvfio_state *s);

/**
 * uvfio_get_bytes() - Load what uvfio_put_bytes() saved.
 * @s: the state.
 * @data: gets the bytes; zeroes, if the state, or its section, ends before them.
 * @len: how many.
 *
 * Context: load, load_dirty.
 */
UVFIO_PUBLIC void uvfio_get_bytes(struct uvfio_state *s, void *data, size_t len);

/**
 * uvfio_section() - Begin a part of the state, which ends where the next one begins.
 * @s: the state.
 * @name: of the part, 31 characters at most, for messages.
 *
 * The same calls in save and in load: loading, the next part must have this name, and of the one
 * before nothing may be left. So a save and a load that do not fit together are found out early,
 * and a message says where. A state need not have sections.
 *
 * Context: save, load, save_dirty, load_dirty.
 */
UVFIO_PUBLIC void uvfio_section(struct uvfio_state *s, const char *name);

/**
 * uvfio_same() - Say a number that both devices must have alike.
 * @s: the state.
 * @what: what it is the number of, 31 characters at most, for the message.
 * @value: the number of this device.
 *
 * Context: describe, save, load.
 */
UVFIO_PUBLIC void uvfio_same(struct uvfio_state *s, const char *what, uint64_t value);

/**
 * uvfio_same_text() - Say a text that both devices must have alike.
 * @s: the state.
 * @what: what it is, 31 characters at most, for the message.
 * @text: the text of this device, 255 characters at most; NULL: as "".
 *
 * Context: describe, save, load.
 */
UVFIO_PUBLIC void uvfio_same_text(struct uvfio_state *s, const char *what, const char *text);

/**
 * uvfio_load_error() - Say why a state cannot be loaded.
 * @s: the state.
 * @fmt: as for printf(3), without a line break. It is a line in the log.
 *
 * Context: load, load_dirty.
 * Return: -EINVAL, always, so that `return uvfio_load_error(...)` reads well.
 */
UVFIO_PUBLIC int uvfio_load_error(struct uvfio_state *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- memory that outlives the process ---- */

/**
 * uvfio_lasting() - Have memory that is still there when the process is killed (SIGKILL).
 * @dev: the function.
 * @size: bytes; of those that are never touched none is used.
 *
 * For a model with @carry_on in struct uvfio_model. Where a device is to outlive its process
 * (`uvfio serve --state`) a file is mapped in this memory's place when a driver has the device, at
 * the same address: so it may be pointed to, but no pointer, lock, or descriptor in it means
 * anything to the process that goes on. Else it is ordinary memory, and costs what that does.
 *
 * Also for a model without @carry_on that is not concurrent, and does all that it does in callbacks
 * and timers: what is here need not be saved each time that one of them ends (@save, @save_dirty).
 *
 * A process can be killed between any two instructions. What is stored before is there, in the
 * order of the stores (as another thread would see it): a model stores what it is about to do,
 * then by one store, a release, that this is valid; so that at any moment the memory says what
 * was done, and what is to be done again. Power failure is another matter: the file is not
 * synced.
 *
 * Context: create only, once.
 * Return: the memory, full of zeroes, aligned to a page, freed after destroy; NULL: there is none,
 * and uvfio_error() was called.
 */
UVFIO_PUBLIC void *uvfio_lasting(struct uvfio_dev *dev, size_t size);

/**
 * uvfio_lasting_access() - Return the number of the register access that is under way.
 * @dev: the function.
 *
 * For a model with @carry_on whose registers do something that cannot be done twice, as one that is
 * cleared by reading. Such a model stores this number with what it did, and what it answered; an
 * access that was cut comes again with the number that it had, as the first one after @carry_on if
 * it comes at all, and gets that answer. Numbers come round: two accesses that are far from each
 * other may have the same.
 *
 * While the memory of uvfio_lasting() is in a file its driver makes one access at a time.
 *
 * Context: any thread. It costs a load.
 * Return: the number, of that access or, between two, of the last one; 0: that memory is in no
 * file, and nobody will carry on from it.
 */
UVFIO_PUBLIC uint32_t uvfio_lasting_access(const struct uvfio_dev *dev);

/* ---- messages ---- */

/**
 * enum uvfio_log_level - How much a line of the log matters.
 * @UVFIO_LOG_ERROR: something does not work.
 * @UVFIO_LOG_WARN: a driver or a user did what is hardly meant.
 * @UVFIO_LOG_INFO: what is good to know.
 * @UVFIO_LOG_DEBUG: each step.
 */
enum uvfio_log_level { UVFIO_LOG_ERROR, UVFIO_LOG_WARN, UVFIO_LOG_INFO, UVFIO_LOG_DEBUG };

/**
 * uvfio_log() - Write one line to the log, with the device's name in front.
 * @dev: the function.
 * @level: how much it matters; `uvfio run --log` says from which level up lines are written.
 * @fmt: as for printf(3), without a line break.
 *
 * Context: any thread. Not for hot paths.
 */
UVFIO_PUBLIC void uvfio_log(struct uvfio_dev *dev, enum uvfio_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * uvfio_say() - Write one line for a person who looks at the device.
 * @t: what @show of struct uvfio_model got.
 * @fmt: as for printf(3), without a line break. No memory is allocated for it.
 *
 * Context: @show only.
 */
UVFIO_PUBLIC void uvfio_say(struct uvfio_text *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * uvfio_report() - The driver does what the device's specification forbids.
 * @dev: the function.
 * @kind: index in @kinds of struct uvfio_model.
 * @fmt: as for printf(3), without a line break: what was done, with the numbers that it was done
 *	with. The kind's section is put behind it.
 *
 * It is a line in the log, twenty a second at most of each kind, and with `uvfio run --check` a
 * report with the driver's stack: where it is now, in a callback; else where it made the last store
 * that uvfio saw. The device then does what the chip would. Report only what no driver that keeps
 * to the specification does: one false report, and nobody looks at the others.
 *
 * Context: any thread. It costs a microsecond, and allocates nothing: where nothing is wrong it is
 * not to be called.
 */
UVFIO_PUBLIC void uvfio_report(struct uvfio_dev *dev, unsigned kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * uvfio_report_reg() - The driver does so with a register.
 * @dev: the function.
 * @kind: index in @kinds of struct uvfio_model; or UVFIO_BEFORE_READY: it does not wait until the
 *	device is ready for this access, as its specification wants.
 * @bar: the register's BAR.
 * @offset: its place there. Its name, if it has one in @regs, comes before the text.
 * @value: what was stored; NULL: it was read.
 * @fmt: as for uvfio_report().
 *
 * Context: as uvfio_report().
 */
UVFIO_PUBLIC void uvfio_report_reg(struct uvfio_dev *dev, unsigned kind, unsigned bar,
				   uint64_t offset, const uint64_t *value, const char *fmt, ...)
	__attribute__((format(printf, 6, 7)));

/**
 * uvfio_report_dma() - The driver does so with memory, such as a descriptor.
 * @dev: the function.
 * @kind: index in @kinds of struct uvfio_model.
 * @iova: the memory's I/O virtual address, which comes before the text.
 * @fmt: as for uvfio_report().
 *
 * Context: as uvfio_report().
 */
UVFIO_PUBLIC void uvfio_report_dma(struct uvfio_dev *dev, unsigned kind, uint64_t iova,
				   const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/**
 * uvfio_fault() - Does a user want the chip to fail here?
 * @dev: the function.
 * @fault: index in @faults of struct uvfio_model.
 * @keys: the numbers that the fault's @keys name, in their order; NULL if it has none.
 * @value: gets the fault's value if it happens; may be NULL.
 *
 * To be called once for each access that the fault could happen to, where it would: the user may
 * want each tenth one. When it happens a line in the log says so, and the model does the rest.
 *
 * Context: any thread, with any lock of the model's. While no user wants a fault of a model it
 * costs a call and a load.
 * Return: true: it happens now.
 */
UVFIO_PUBLIC bool uvfio_fault(struct uvfio_dev *dev, unsigned fault, const uint64_t *keys,
			      uint64_t *value);

/**
 * struct uvfio_command - A command that a driver gave to a device, for traces.
 * @queue: the queue's number.
 * @place: where in the queue it was; the driver's store to a doorbell "SQTDBL[@queue]" that is
 *	behind it is when it was given.
 * @id: what the driver knows it by while it is under way.
 * @address: what it is about, such as a block's number.
 * @length: in bytes, of its data.
 * @name: up to 63 characters.
 */
struct uvfio_command {
	unsigned queue, place;
	uint64_t id, address;
	uint32_t length;
	const char *name;
};

/**
 * uvfio_traced() - Ask whether a trace is written, for which commands are told.
 * @dev: the function.
 *
 * Context: any thread.
 * Return: true: it is; else what is told costs time for nothing.
 */
UVFIO_PUBLIC bool uvfio_traced(const struct uvfio_dev *dev);

/**
 * uvfio_command_begin() - The device has taken a command from a queue: a trace shows it.
 * @dev: the function.
 * @command: the command; the caller's again when this returns.
 *
 * Context: any thread. It allocates nothing and waits for nothing.
 */
UVFIO_PUBLIC void uvfio_command_begin(struct uvfio_dev *dev, const struct uvfio_command *command);

/**
 * uvfio_command_end() - The driver can see that a command is done.
 * @dev: the function.
 * @queue: as at its beginning.
 * @id: as at its beginning.
 * @status: 0: it succeeded; else as the device's specification has it.
 *
 * Context: any thread.
 */
UVFIO_PUBLIC void uvfio_command_end(struct uvfio_dev *dev, unsigned queue, uint64_t id,
				    unsigned status);

/**
 * uvfio_error() - Say why create fails.
 * @dev: the function.
 * @fmt: as for printf(3), without a line break. It is shown to the user who gave the options.
 *
 * Context: create; elsewhere it is a line in the log.
 * Return: -EINVAL, always, so that `return uvfio_error(...)` reads well.
 */
UVFIO_PUBLIC int uvfio_error(struct uvfio_dev *dev, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
#endif
