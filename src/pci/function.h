/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/function.h: one PCI function as hardware. struct uvfio_dev of the public model.h is a
 * pci_function.
 *
 * Here is all that a chip does: 4 KiB of config space with a write rule for each bit (RO, RW,
 * RW1C), BARs and their decoding, the INTx line as a level, MSI and MSI-X with masks and pending
 * bits, FLR, D-states, bus mastering, VPD. The view that a *user* of vfio-pci gets of it is made in
 * vfio_pci/, above.
 *
 * Locks (pci/internal.h has all): one guards config space and interrupt set-up (a leaf, never held
 * while a model's callback runs); one lets in one callback at a time, of a model that is not
 * `concurrent`. Interrupt delivery (uvfio_msi, uvfio_intx) takes no lock.
 */
#ifndef PCI_FUNCTION_H
#define PCI_FUNCTION_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "uvfio/model.h"
#include "base/loop.h"
#include "base/report.h"
#include "iommu/device.h"
#include "pci/face.h"
#include "pci/options.h"
#include "pci/state.h"

/*
 * The platform, which takes interrupts. Called on any thread, in an RCU section: must not block and
 * must not call back into the function.
 * @msi: MSI or MSI-X message @vector
 * @intx: the line (after COMMAND.DisINTx) went to @level; it may be told that it is up when it was
 *	up already and fell in between
 * @err: an error message that AER does not mask; @fatal: uncorrectable. May be NULL
 * @pme: it wants to be awake (PME_En is set). May be NULL
 */
struct pci_irq_sink {
	void (*msi)(void *arg, unsigned vector);
	void (*intx)(void *arg, bool level);
	void *arg;
	void (*err)(void *arg, bool fatal);
	void (*pme)(void *arg);
	void (*nobody)(void *arg); /* a message was sent while none are; any thread, no lock */
};

/* The struct itself is defined in internal.h, for pci/ alone. */
typedef struct uvfio_dev pci_function;

/*
 * Copy @theirs, a model that may have been compiled with other headers than ours, to @full: what it
 * does not say is zero. -EINVAL: not one that this uvfio can use, with a sentence in @why (@size
 * bytes).
 */
int pci_model_take(const struct uvfio_model *theirs, struct uvfio_model *full, char *why,
		   size_t size);
/*
 * Make a function: allocate it, check @opts against the model's table (unknown, missing, malformed:
 * -EINVAL), call model->create, then reset it as at power-on. Messages for the user go to @err
 * (@err_size bytes, may be NULL). @name "0000:01:00.0" is copied. @run is the machine's: the answer
 * of uvfio_unique() is made of it and the name. @loop serves timers.
 * 0, -ENOMEM, -EINVAL, -ENOENT or the model's error.
 */
int pci_function_new(const struct uvfio_model *model, const char *name, uint64_t run,
		     struct loop *loop, const struct pci_option *opts, unsigned num_opts, char *err,
		     size_t err_size, pci_function **out);
/*
 * Make VF @index of @pf, as the model described it (uvfio_add_sriov). It answers when the PF's VF
 * Enable and NumVFs say so. Its name is the caller's choice; pci_address_of_vf() says where it is.
 * To be freed before the PF. @pf's locks are not held. Errors as pci_function_new(); -EEXIST.
 */
int pci_vf_new(pci_function *pf, unsigned index, const char *name, char *err, size_t err_size,
	       pci_function **out);
/* Stop its threads, call model->destroy and free it; @fn may be NULL. */
void pci_function_free(pci_function *fn);
/* Say in the header type that the device may have other functions. Before @fn is used. */
void pci_function_set_multi(pci_function *fn);
const char *pci_function_name(const pci_function *fn);
const struct uvfio_model *pci_function_model(const pci_function *fn);
struct iommu_device *pci_function_iommu(pci_function *fn);
/* Return what a page table has of its BARs (iommu/peer.h), which lives as long as @fn. */
struct iommu_target *pci_function_target(pci_function *fn);
/* Fill @out with what the bus sees of @fn; @pf is the face of its PF, if it is a VF, else NULL. */
void pci_function_face(pci_function *fn, const struct pci_face *pf, struct pci_face *out);

/* ---- config space as the bus sees it ---- */

/*
 * Read or write config space. Write rules and side effects (FLR, D-state, MSI enable, bus
 * mastering, VPD) apply. Accesses are of 1, 2, 4 bytes, naturally aligned; any other, or beyond the
 * size, reads all ones.
 */
uint32_t pci_config_read(pci_function *fn, unsigned off, unsigned size);
void pci_config_write(pci_function *fn, unsigned off, unsigned size, uint32_t value);
/* Return 4096 for a function with a PCI Express capability, else 256. */
unsigned pci_config_size(const pci_function *fn);
/* Return the offset of a capability; 0: there is none. */
unsigned pci_find_cap(pci_function *fn, uint8_t id);
unsigned pci_find_ext_cap(pci_function *fn, uint16_t id);

struct text;
/* Write what the function is now, its model's registers and more, to @t (base/text.h). */
void pci_function_show(pci_function *fn, struct text *t);

/* ---- BARs; 6 is the ROM ---- */

/* Return BAR @bar, which is never NULL; size 0: absent. */
const struct pci_bar *pci_function_bar(const pci_function *fn, unsigned bar);
/*
 * Carry out a memory or I/O cycle of 1, 2, 4, 8 bytes, aligned and inside. With decoding off, in
 * D3hot, or refused by the model: -EIO and *@value all ones. The MSI-X table and PBA are answered
 * here. A ROM read needs no enable bit here; that is the caller's business.
 */
int pci_bar_read(pci_function *fn, unsigned bar, uint64_t off, unsigned size, uint64_t *value);
int pci_bar_write(pci_function *fn, unsigned bar, uint64_t off, unsigned size, uint64_t value);
/* Report @code about a driver's access, with the register's name, and @why behind it. */
void pci_bar_report(pci_function *fn, const struct report_code *code, bool write, unsigned bar,
		    uint64_t off, unsigned size, uint64_t value, const char *why);
/* True if there is a ROM whose image starts with 55 aa. */
bool pci_rom_valid(pci_function *fn);

/* ---- pages of a memory BAR that a driver maps ---- */

#define PCI_PAGES_MAX 16u /* areas of a function */
struct pci_pages {
	uint64_t offset, len;
	enum uvfio_page_kind kind;
	int fd; /* POLLED, MEMORY: what to map; a byte is as far in it as in the BAR */
};
/*
 * Find the first area of @bar of a kind other than trapped that ends behind @at. False: there is
 * none. Takes no lock.
 */
bool pci_function_pages(const pci_function *fn, unsigned bar, uint64_t at, struct pci_pages *out);
/*
 * The mapper of polled pages and of memory. @set gives all mappings of the function's pages of one
 * of these kinds their rights (@open) or takes them away: then no processor can write any more when
 * it returns. It returns how many mappings there are. The model opens and closes polled pages;
 * memory is open while the function decodes.
 */
struct pci_pages_sink {
	unsigned (*set)(void *arg, enum uvfio_page_kind kind, bool open);
	void *arg;
};
/* Set or clear (NULL) the mapper. After return the old one is not called; the pages are closed. */
void pci_set_pages_sink(pci_function *fn, const struct pci_pages_sink *sink);
/* Keep the pages closed, whatever the model wants; or let them be open again. */
void pci_pages_hold(pci_function *fn, bool held);
/* Say if others have, or had, the pages mapped who are not told when they are open (@shared). */
void pci_pages_share(pci_function *fn, bool shared);
/* True if a new mapping of pages of this kind is to be open now. Takes no lock. */
bool pci_pages_open(const pci_function *fn, enum uvfio_page_kind kind);

/* ---- reset, power ---- */

/* How a function can be reset alone: PCIe FLR, AF FLR, or on its way from D3hot to D0. */
enum pci_reset_method { PCI_RESET_FLR, PCI_RESET_AF_FLR, PCI_RESET_PM };
/* True if it has this one. */
bool pci_can_reset_by(const pci_function *fn, enum pci_reset_method how);
/* True if it has any of them. */
bool pci_can_reset(const pci_function *fn);
/* Put config space (BARs too) back to its defaults, then call model->reset. */
void pci_function_reset(pci_function *fn, enum uvfio_reset_kind kind);
/* Return the D-state, 0 to 3. */
unsigned pci_power_state(pci_function *fn);
/* Have the model touch no memory of the driver's until its next register write. */
void pci_function_quiesce(pci_function *fn);
/*
 * Save the whole config space to @buf, of PCI_CFG_EXP_SIZE bytes, and put it back after a reset:
 * BARs, COMMAND, and control registers with no side effect but decoding and bus mastering. MSI and
 * MSI-X stay as they are: pci_msi_enable() and its kin set them up.
 */
void pci_save_state(pci_function *fn, void *buf);
void pci_restore_state(pci_function *fn, const void *buf);

/* ---- migration (migrate.c) ---- */

/* True if the model can save its state, and load it. */
bool pci_can_migrate(const pci_function *fn);
/*
 * Stop the function: UVFIO_STOP_DMA, then UVFIO_STOP_ALL. One thread at a time. Return 0, or the
 * model's -errno: it goes on as before. Nothing to do: 0.
 */
int pci_function_stop(pci_function *fn, enum uvfio_stop_kind kind);
/* True if interrupts wait: it is stopped (UVFIO_STOP_ALL). */
bool pci_irqs_wait(const pci_function *fn);
/* Undo that, the other way round; nothing to do: nothing happens. */
void pci_function_resume(pci_function *fn, enum uvfio_stop_kind kind);
/* Say what both functions must have alike; loading, compare. Errors are in @s. */
void pci_function_describe(pci_function *fn, struct uvfio_state *s);
/*
 * Save or load what pci/ has of a stopped function, then the model's state. BARs' addresses, what
 * sets up MSI and MSI-X, and SR-IOV are the platform's, and not loaded. Return 0 or -errno, with a
 * line in the log.
 */
int pci_function_save(pci_function *fn, struct uvfio_state *s);
int pci_function_load(pci_function *fn, struct uvfio_state *s);
/* The same without the model's state. */
int pci_function_save_own(pci_function *fn, struct uvfio_state *s);
int pci_function_load_own(pci_function *fn, struct uvfio_state *s);
/*
 * The model's memory that is saved beforehand (struct uvfio_model, track and what follows). False:
 * it has none. Return 0 or -errno.
 */
bool pci_can_track(const pci_function *fn);
int pci_function_track(pci_function *fn, bool on);
uint64_t pci_function_dirty(pci_function *fn);
int pci_function_save_dirty(pci_function *fn, struct uvfio_state *s);
int pci_function_load_dirty(pci_function *fn, struct uvfio_state *s);
/* About how many bytes all of it is. */
uint64_t pci_function_state_size(pci_function *fn);
/* Mask entry @vector of the MSI-X table, or unmask it, and leave the rest of it. */
void pci_msix_set_mask(pci_function *fn, unsigned vector, bool mask);
/* True if it is masked. */
bool pci_msix_masked(const pci_function *fn, unsigned vector);
/* True if message @vector, of MSI-X or of MSI, waits for its mask to go. */
bool pci_vector_pending(const pci_function *fn, bool msix, unsigned vector);

/* ---- memory that outlives the process (lasting.c) ---- */

/* Return the size of what the model asked for with uvfio_lasting(), in whole pages; 0: nothing. */
size_t pci_lasting_size(const pci_function *fn);
/*
 * Have that memory in the file @fd, from @offset (of a page) on, where so many bytes are there:
 * what it holds goes there, and the model does nothing meanwhile. With @carry_on they are what
 * another process left, and take the place of what the memory held: the function is stopped
 * (UVFIO_STOP_ALL), for the model must not see them before pci_function_carry_on(), which is next.
 * Return 0 or -errno: it is what it was.
 */
int pci_lasting_map(pci_function *fn, int fd, off_t offset, bool carry_on);
/*
 * Have it be ordinary memory again, with what is in it, or zeroes. The model does nothing
 * meanwhile. Return 0 or -errno: it is what it was.
 */
int pci_lasting_unmap(pci_function *fn, bool keep);
/*
 * Say that an access of the driver begins: one that is made again in another process has the same
 * @number there. Accesses are made one at a time while the memory is in a file.
 */
void pci_lasting_access(pci_function *fn, uint16_t number);
/* True if the model can go on from that memory. */
bool pci_can_carry_on(const pci_function *fn);
/*
 * Have the model go on from it; stopped (UVFIO_STOP_ALL), with pci/'s own part loaded. Return 0 or
 * -errno, with the model's line in the log: it is in no state, and a reset comes next.
 */
int pci_function_carry_on(pci_function *fn);

/*
 * Steps that a function makes by itself, its timers: around each, by the service thread, with no
 * lock held. NULL: nobody wants to know any more, and nobody is in one when this returns.
 */
struct pci_steps {
	void (*begin)(void *arg);
	void (*end)(void *arg);
	void *arg;
};
void pci_set_steps(pci_function *fn, const struct pci_steps *steps);

/* ---- removal and errors ---- */

/*
 * The function, a PF with its VFs, was pulled out of its slot: from now on it reads as ones, writes
 * are lost, and it makes no DMA and no interrupt; what is under way ends before this returns. There
 * is no way back. The caller holds no lock that a callback takes.
 */
void pci_function_lose(pci_function *fn);
/* True if it was, or its PF. Takes no lock. */
bool pci_function_is_lost(const pci_function *fn);

enum pci_severity { PCI_CORRECTABLE, PCI_NONFATAL, PCI_FATAL };
/*
 * Have the function report some error that has this severity (of the uncorrectable ones: by its
 * AER's severity register) and is not masked. 0; -EINVAL: all are masked, or have another one;
 * -ENODEV: it is lost.
 */
int pci_function_error(pci_function *fn, enum pci_severity severity);
/* Put its cable in, or pull it out. -EOPNOTSUPP: the model has none. */
int pci_function_link(pci_function *fn, bool up);
/* Return 1: its link is up; 0: it is down; -EOPNOTSUPP: the model does not tell. */
int pci_function_link_up(pci_function *fn);

/* ---- SR-IOV, the platform's side ---- */

/* Return the PF of a VF; NULL: @fn is no VF. */
pci_function *pci_function_pf(const pci_function *fn);
/* Return TotalVFs; 0: @fn is no PF. */
unsigned pci_sriov_total(const pci_function *fn);
/* Return the model's description of its VFs; NULL: @pf is no PF. */
const struct uvfio_sriov *pci_sriov_info(const pci_function *pf);
/*
 * Program NumVFs, VF Enable and VF MSE as an operating system does: for @num VFs (0: none), which
 * have been made by pci_vf_new(). pci_restore_state() puts this back after a reset of the PF. Calls
 * the models. -EINVAL: no PF, or too many.
 */
int pci_sriov_set(pci_function *pf, unsigned num);
/*
 * Give the PF a driver of the host's kernel (struct uvfio_sriov, host_drives). To be called once,
 * with decoding on.
 */
void pci_sriov_host_drives(pci_function *pf);

/* ---- interrupts, the driver's side ---- */

struct pci_msix_info {
	unsigned vectors, table_bar, pba_bar;
	uint32_t table_offset, pba_offset;
};

/* Return the interrupt pin, 1 to 4; 0: there is none. */
unsigned pci_intx_pin(const pci_function *fn);
/* True if COMMAND.DisINTx works (PCI 2.3). */
bool pci_intx_can_disable(const pci_function *fn);
/* Return the level of the line, before DisINTx. */
bool pci_intx_level(pci_function *fn);
/* Return how many messages MSI has; 0: there is no MSI. */
unsigned pci_msi_vectors(const pci_function *fn);
/* Fill *@out with the place and size of the MSI-X table; false: there is no MSI-X. */
bool pci_msix_info(const pci_function *fn, struct pci_msix_info *out);
/* Set or clear (NULL) the sink; after return the old one is not called. */
void pci_set_irq_sink(pci_function *fn, const struct pci_irq_sink *sink);
/*
 * Program and enable messages as the platform's driver does. MSI: 1 << log2_vectors messages.
 * MSI-X: ENABLE is set with every entry masked, then entries are unmasked one by one.
 */
void pci_msi_enable(pci_function *fn, unsigned log2_vectors);
void pci_msi_disable(pci_function *fn);
void pci_msix_enable(pci_function *fn);
void pci_msix_disable(pci_function *fn);
/* The same for a driver that has set masks already: MSI with this mask, MSI-X as it is. */
void pci_msi_enable_masked(pci_function *fn, unsigned log2_vectors, uint32_t mask);
void pci_msix_switch(pci_function *fn, bool on);
/*
 * Program the entry's address and data, set or clear its mask; a pending message goes out. Does
 * nothing in D3hot: the table is in a BAR, which does not answer then.
 */
void pci_msix_entry(pci_function *fn, unsigned vector, bool unmask);

/* ---- regions that are no BAR (regions.c) ---- */

unsigned pci_num_regions(const pci_function *fn);
const struct uvfio_region *pci_region(const pci_function *fn, unsigned i);
/* Read or write [@offset, @offset + @n), which is in region @i. 0, or -EIO: it was refused. */
int pci_region_access(pci_function *fn, unsigned i, uint64_t offset, void *buf, size_t n,
		      bool write);
#endif
