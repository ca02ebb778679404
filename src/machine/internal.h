/* SPDX-License-Identifier: BSD-3-Clause */
/* machine/internal.h: what the files of machine/ share. */
#ifndef MACHINE_INTERNAL_H
#define MACHINE_INTERNAL_H
#include "uvfio/model.h"
#include "machine/machine.h"
#include "machine/provider.h"
#include "machine/run/run.h"
#include "machine/view/view.h"

/* ---- spec.c ---- */
/* The next free address in each space of the bus. */
struct machine_spaces {
	uint64_t io, mem32, mem64;
};
/* The places of a PF's VFs, as its SR-IOV capability says; all 0: it has none. */
struct machine_vf_layout {
	unsigned total, offset, stride;
};
/* Which bus a device is on. */
enum machine_bus_kind {
	MACHINE_BUS_OWN,    /* one of its own, that nothing is known above */
	MACHINE_BUS_ROOT,   /* the root bus 0000:00 */
	MACHINE_BUS_PORT,   /* behind a root port: functions of one device */
	MACHINE_BUS_PCI,    /* behind a bridge from PCI Express to PCI */
	MACHINE_BUS_SWITCH, /* behind a switch, of which each device has a port */
};
/* "MODEL,opt=val,..." in pieces, which point into text. */
struct machine_spec {
	char *text;
	const char *model;
	struct pci_option *opts; /* the model's own */
	unsigned num_opts;
	struct pci_address addr;
	bool has_addr, has_group;
	const char *driver; /* NULL: vfio-pci; MACHINE_NO_DRIVER */
	unsigned numvfs;
	enum machine_mmap mmap;
	bool migration;
	bool own_process; /* process=own */
	unsigned group;
	const char *id;
	enum machine_bus_kind bus_kind;
	const char *bus; /* as it was given; NULL: the device has a bus of its own */
};
/* Cut @text in pieces and read the options of every device. 0 or -errno with a sentence. */
int machine_spec_parse(const char *text, struct machine_spec *s, char **err);
void machine_spec_free(struct machine_spec *s);
/* All providers; the last one, which has no prefix, ends the list. */
extern const struct machine_provider *const machine_providers[];
/* Return the provider of the device whose spec begins with @model. */
const struct machine_provider *machine_provider_of(const char *model);
/* Give the user a sentence (unless @err is NULL) and return @rc. */
int machine_fail(char **err, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- options.c ---- */
#define MACHINE_OPTION_TEXT 32
/* An option that every device has. */
struct machine_option {
	struct uvfio_option is;
	const char *values; /* "a|b|c", for `uvfio models`; NULL: as the type has it */
	bool of_real;	    /* a real device has it, too (machine_provider.is_real) */
	/* Read @value into the spec. 0 or -EINVAL with a sentence. */
	int (*parse)(struct machine_spec *s, const char *value, char **err);
	/* Return the value as a text, maybe in @buf; NULL: it was not given, or is the default. */
	const char *(*value)(const struct machine_spec *s, char buf[MACHINE_OPTION_TEXT]);
};
extern const struct machine_option machine_options[]; /* ends with an is.name of NULL */
/* Check that @s has no options that a real device of @p cannot have. 0 or -EINVAL. */
int machine_options_of_real(const struct machine_provider *p, const struct machine_spec *s,
			    char **err);
/* Return 1: it was one of these, and is read; 0: it is none; -EINVAL with a sentence. */
int machine_option_parse(struct machine_spec *s, const char *name, const char *value, char **err);

/* ---- model.c ---- */
/*
 * Find the model that the first word of a spec names: built in, or in a shared object, which is
 * loaded as long as *@plugin (else NULL) is. 0 or -errno with a sentence.
 */
struct machine_plugin;
int machine_model(const char *name, const struct uvfio_model **model,
		  struct machine_plugin **plugin, char **err);
void machine_plugin_free(struct machine_plugin *p); /* may be NULL */
bool machine_model_is_path(const char *name);

/* ---- firmware.c ---- */
void machine_spaces_init(struct machine_spaces *s);
/* Go on to where a window of a bridge can begin. */
void machine_spaces_window(struct machine_spaces *s);
/* Go on to where @to is, in each space where that is further on. */
void machine_spaces_raise(struct machine_spaces *s, const struct machine_spaces *to);
/* True if some address of [@from, @to) is in [@other, @end), too. */
bool machine_spaces_overlap(const struct machine_spaces *from, const struct machine_spaces *to,
			    const struct machine_spaces *other, const struct machine_spaces *end);
/*
 * Give every BAR and the ROM of the device at @addr an address and turn decoding on, as a firmware
 * does at boot. -ENOSPC.
 */
int machine_assign(struct machine_spaces *s, const struct pci_face *f, const char *addr,
		   char **err);

/* ---- machine.c, add.c, groups.c, hardware.c, claim.c ---- */
struct machine_group {
	struct iommu_group *iommu;
	struct vfio_group *vfio;
	unsigned id;
	int claim;	      /* the locked descriptor; -1: not claimed */
	unsigned owners;      /* of its DMA in this process; plug_lock */
	struct plugged *lead; /* of the unit that was claimed with it */
	struct plugged *pf;   /* whose VF is in it, or NULL */
};
/*
 * A device of the machine. In a machine that goes by a run directory its hardware (hw, d.face,
 * d.vdev) is there while this process has its group, or another one of its unit, open.
 */
struct plugged {
	struct machine *m;
	struct machine_device d;
	const struct machine_provider *provider;
	struct machine_hardware *hw; /* NULL: not made in this process */
	struct machine_group *group;
	/*
	 * Where the device is by itself (machine_provider.place), as was found when it came: what
	 * its spec names, a descriptor, may be another one's by now.
	 */
	struct pci_address own_address;
	unsigned own_group;
	bool has_own;
	struct machine_bus *bus;      /* that it shares; NULL: none, or settled elsewhere */
	struct vfio_place place;      /* that is reserved in the group */
	struct machine_spec spec;     /* option texts live as long as this */
	char driver[RUN_DRIVER_NAME]; /* that it has now, or "": changed with plug_lock held */
	unsigned opens;		      /* by this process (vfio_env.use); plug_lock */
	bool settled; /* the next three, with address and group, were said and are not found out */
	uint64_t run; /* the machine's, or of the one in which the device was settled */
	/* where its own addresses begin and, if they were not said, where they end */
	struct machine_spaces spaces, after;
	struct machine_vf_layout layout;
	unsigned index;	     /* in machine.plugged; of a VF, which one it is */
	uint64_t born, died; /* as in the run's list (run_device) */
	bool leaving;	     /* the same, or a VF whose PF is */
	bool asked_back;     /* machine_ask_back(), and no driver since */
	bool lost;	     /* machine_leave() said so */
	bool link_down;	     /* as in the run's list */
	bool gone;	     /* out of its group, never to come back */

	struct plugged *pf;   /* of a VF */
	struct plugged **vfs; /* of a PF: [layout.total]; NULL: none so far */
	unsigned num_vfs;     /* that are enabled; with vfs under tables_lock */

	/*
	 * A unit is what one process has or another, but not both: the devices of a group, both
	 * ends of a cable, and all their VFs. What is said of it stands in the first of them.
	 */
	struct plugged *lead;
	unsigned claims; /* groups of the unit that this process has claimed; plug_lock */
	bool made;	 /* by a claim */
	int claim;	 /* the locked descriptor; -1 */
};
/* Something that is to happen to a device (happen.c). */
#define MACHINE_HAPPENINGS 32u
struct machine_happening {
	uint64_t due; /* CLOCK_MONOTONIC, ns; 0: free */
	unsigned what;
	uint64_t param;
	char addr[PCI_ADDRESS_TEXT];
};
struct machine {
	struct vfio_system *sys;
	struct machine_spaces spaces;
	struct plugged **plugged;
	unsigned num_plugged;
	/*
	 * A number by which its devices differ from those of another machine (uvfio_unique()); 0:
	 * none was added yet.
	 */
	uint64_t run;
	struct machine_group **groups;
	unsigned num_groups;
	struct machine_bus **buses;
	unsigned num_buses;
	char *claim_dir;
	char *run_dir;		/* with claim_dir */
	uint64_t serial;	/* of the change of the run's devices that it follows */
	bool memlock_inherit;	/* the process's limit, as it is then */
	uint64_t memlock_limit; /* else this; bytes */
	/* or NULL */
	bool (*device_memory)(void *arg, uint64_t vaddr, uint64_t size, struct vfio_bar *first);
	void *device_memory_arg;
	bool mmap_auto_off;
	enum machine_noiommu noiommu;  /* before the first device is added */
	void (*on_release)(void *arg); /* machine_on_release() */
	void *on_release_arg;
	/*
	 * The thread of the devices. What the kernel's own work queues do for VFIO (virqfds) has
	 * sys->loop, so that no device can hold it up.
	 */
	struct loop *loop;
	/*
	 * Order: plug_lock > vfio's locks > tables_lock (a leaf), token_lock.
	 * plug_lock: hardware or VFs come or go, and what is claimed.
	 * tables_lock: where groups and VFs stand, for those who look something up.
	 * token_lock: a file of a VF token is written. Only locks of a provider come under it.
	 */
	pthread_mutex_t plug_lock, tables_lock, token_lock;
	struct {
		pthread_mutex_t lock; /* the queue; a leaf but for the loop's */
		struct loop *loop;    /* what happens may wait for the other loops */
		struct loop_timer *timer;
		struct machine_happening queue[MACHINE_HAPPENINGS];
	} happen;
	struct machine *next_abandoned;
};
/* As machine_add(), from this provider, whatever the spec says (NULL: as that says). */
int machine_add_from(struct machine *m, const struct machine_provider *provider, const char *spec,
		     char **err);
struct run_device;
/* As machine_add_settled(), of a device of the run's list; plug_lock is held. */
int machine_add_known(struct machine *m, const struct run_device *known, char **err);
/* struct vfio_env's, whose argument is the machine. */
int machine_claim(void *arg, unsigned group, enum vfio_claim claim);
uint64_t machine_memlock(void *arg, uint64_t want);
/* True if the process has the capability @cap in the first user namespace. */
bool machine_capable(void *arg, unsigned cap);
/* Say what @dev's provider is to make. */
struct machine_request machine_request(struct plugged *dev);
/*
 * Make @dev's hardware with its addresses and driver. 0, or -errno with a sentence; dev->hw may be
 * there then, for machine_unmake().
 */
int machine_make_hardware(struct plugged *dev, char **err);
/* Give @dev's hardware its driver, or take it away; what it says of mmap is @as's. */
int machine_bind(struct plugged *dev, const struct plugged *as);
void machine_unbind(struct plugged *dev);
/* In a forked child: close what @dev's hardware and its VFs' have open. */
void machine_abandon(struct plugged *dev);
/* Make @dev's hardware and put it into its group. 0 or -errno with a sentence. */
int machine_make(struct plugged *dev, char **err);
/* Give up @dev's hardware, with that of its VFs. */
void machine_unmake(struct plugged *dev);
/* Put what was made into its group, or take it out. 0 or -ENOMEM. */
int machine_plug(struct plugged *dev);
void machine_unplug(struct plugged *dev);
/*
 * Have @dev's driver offer migration, if migration= of @as says so. 0; -EOPNOTSUPP: the device
 * cannot; -ENOMEM.
 */
int machine_set_migration(struct plugged *dev, const struct plugged *as);
/* Tell @dev's provider what mmap= of @as says. */
void machine_set_mmap(struct plugged *dev, const struct plugged *as);
/* Give up all claims; @abandon: close only, the lock is the parent's. */
void machine_claims_drop(struct machine *m, bool abandon);
/* Give @dev its place in group @id, which is made if need be. 0 or -ENOMEM. */
int machine_join_group(struct machine *m, struct plugged *dev, unsigned id);
void machine_leave_group(struct plugged *dev);
void machine_group_free(struct machine_group *g);
/* True if nobody is in group @id. */
bool machine_group_is_free(struct machine *m, unsigned id);
/* Return the number of the first group that nobody is in. */
unsigned machine_free_group(struct machine *m);
void machine_plugged_free(struct plugged *dev);
/* Tell where @dev is by itself. False: it is nowhere but in the machine. */
bool machine_own_place(const struct plugged *dev, struct pci_address *address, unsigned *group);
/* Say where @dev is, in numbers and as a text. */
void machine_set_address(struct plugged *dev, const struct pci_address *a);
/* Return the device at an address, or the PF of a VF that can be there; NULL: it is free. */
const struct plugged *machine_owner(struct machine *m, const struct pci_address *a);

/* ---- bus.c ---- */
/* A bus that devices share (bus=). */
struct machine_bus {
	enum machine_bus_kind kind;
	char *name;
	unsigned port;	/* device number of its root port; but for the root bus: */
	unsigned first; /* number of the bus behind that */
	bool removed;	/* somebody wrote to `remove` of that */
};
/* A bridge above a device. */
struct machine_bridge {
	unsigned type; /* PCI_EXP_TYPE_* */
	struct pci_address address;
	unsigned secondary, subordinate;
};
/* The face of one: how a bus sees it. */
struct machine_bridge_face {
	struct pci_face face;
	struct view_window windows[VIEW_WINDOWS];
	uint8_t config[PCI_CFG_EXP_SIZE];
};
#define MACHINE_BRIDGES 3u
/* Read the value of bus=. 0 or -EINVAL with a sentence. */
int machine_bus_parse(struct machine_spec *s, const char *value, char **err);
/* True if @a is a bridge's, or on a bus behind one. */
bool machine_bus_takes(const struct machine *m, const struct pci_address *a);
/* Put @dev on the bus that its spec names, which is made if need be. The same, or -errno. */
int machine_bus_join(struct machine *m, struct plugged *dev, char **err);
/* Take @dev, which is not in the table, off its bus, which goes with the last one on it. */
void machine_bus_leave(struct plugged *dev);
/* Root ports are below it on the root bus, devices from it on. */
#define MACHINE_ROOT_DEVICES 0x10u
/*
 * Note the bus on which @dev was put: it has the root port @port, which may be @removed, and the
 * numbers @first to @last. 0 or -ENOMEM.
 */
int machine_bus_known(struct machine *m, const struct plugged *dev, unsigned port, unsigned first,
		      unsigned last, bool removed);
/* Return the group in which @dev, which is made, is on its bus: that of another, or a free one. */
unsigned machine_bus_group(struct machine *m, const struct plugged *dev);
/* Tell what is reset together with @dev. */
enum vfio_reset_scope machine_reset_scope(const struct plugged *dev);
/* True if there is a root port above it. */
bool machine_below_port(const struct plugged *dev);
/* List the bridges on the way to @dev, from the top. Returns how many. */
unsigned machine_bus_bridges(const struct plugged *dev, struct machine_bridge out[MACHINE_BRIDGES]);
/*
 * Put together the directory below sys/devices in which @dev's is, or that of the bridge at @depth
 * above it (0: the root port's).
 */
void machine_bus_path(const struct plugged *dev, unsigned depth, char path[VIEW_PARENT]);
void machine_buses_free(struct machine *m);

/* ---- shown.c: of the view of the run to which @m belongs ---- */
/* Read the config space that it shows of the function at @addr. Returns how many bytes, or 0. */
unsigned machine_shown_config(const struct machine *m, const char *addr,
			      uint8_t config[PCI_CFG_EXP_SIZE]);
/* True if this function has ACS. *@id: vendor and device, or all ones. */
bool machine_shown_has_acs(const struct machine *m, const char *addr, uint32_t *id);
/* Note all buses that are shown. 0 or -ENOMEM. */
int machine_shown_buses(struct machine *m);

/* ---- bridge.c ---- */
/*
 * Make the face of @b: it leads to all devices of @m on its buses, which are made, and to where it
 * led before (@config: its config space then; NULL: it is new).
 */
void machine_bridge_show(struct machine *m, const struct machine_bridge *b, const uint8_t *config,
			 struct machine_bridge_face *out);

/* ---- drivers.c; plug_lock is held but for vfio_env's ---- */
#define MACHINE_NO_DRIVER "none"
bool machine_is_vfio(const struct plugged *dev);
/* Note the driver that a spec names (NULL: vfio-pci). */
void machine_set_driver(struct plugged *dev, const char *driver);
/* Check that a device, which is made, can have the driver of its spec. 0 or -EINVAL. */
int machine_check_driver(const struct plugged *dev, char **err);
/* Read the IDs by which drivers know @dev, which is made. */
void machine_id(const struct plugged *dev, struct run_id *id);
/* Bring all devices into line with the run. */
void machine_follow_drivers(struct machine *m);
/* One owner of the group's DMA fewer. */
void machine_disown(struct machine_group *g);
/* struct vfio_env's, whose argument is the machine. */
int machine_own(void *arg, unsigned group, bool take);
bool machine_viable(void *arg, unsigned group);
bool machine_noiommu_mode(void *arg);
bool machine_may_rawio(void *arg);
int machine_use_device(void *arg, unsigned group, const char *name, bool take);
void machine_refresh(void *arg, unsigned group);
int machine_reset_methods(void *arg, const struct pci_address *at, enum vfio_reset_method *out);

/* ---- sriov.c ---- */
/*
 * Find out about VFs, after machine_assign(): check that their places are free, and that the device
 * can have its driver. 0 or -errno with a sentence.
 */
int machine_pf_init(struct plugged *dev, char **err);
/* Make the table of VFs, once layout is known. 0 or -ENOMEM. */
int machine_alloc_vfs(struct plugged *dev);
/* Make VFs [0, @n), enabled or not. 0 or -errno with a sentence. */
int machine_make_vfs(struct plugged *pf, unsigned n, char **err);
/* Make and plug in those that are enabled, when the PF was made just now. The same. */
int machine_plug_vfs(struct plugged *pf, char **err);
/* Give up the hardware of all. */
void machine_unmake_vfs(struct plugged *pf);
/* Enable VFs [0, @num), which are made; 0: disable them. 0 or -errno. */
int machine_set_vfs(struct plugged *pf, unsigned num);
/* Free the table of VFs, which have no hardware any more. */
void machine_drop_vfs(struct plugged *pf);
/* Compute where VF @i is. False: beyond the last bus. */
bool machine_vf_address(const struct plugged *pf, unsigned i, struct pci_address *out);
/* Keep the VF token that a user of the struct plugged @pf set, for other processes. */
void machine_keep_token(void *pf);
/* Load what was kept. */
void machine_load_token(struct plugged *pf);

/* Unplug all VFs, of which none is open. plug_lock is held. */
void machine_disable_vfs(struct plugged *pf);

/* ---- view.c ---- */
/* Write the device that was added last into the view at @dir, which has the others. 0 or -errno. */
int machine_view_add(struct machine *m, const char *dir);

/* ---- removal.c ---- */
void machine_released(void *arg); /* struct vfio_env's */
/* Do with @dev's hardware, which was made just now, what happened before. */
void machine_catch_up(struct plugged *dev);
/* Its cable is in, or not; the hardware may be there. */
int machine_set_link(struct plugged *dev, bool up);

/* ---- follow.c; plug_lock is held ---- */
/* Bring the devices of @m into line with the run's. 0 or -errno with a line. */
int machine_follow(struct machine *m);
/* Return 1 if the run had a change since, 0, or -errno with a line. */
int machine_has_changed(struct machine *m);

/* Return 1 if the run has other devices than @m (see machine_sync()), 0, or -errno with a line. */
int machine_is_behind(struct machine *m);

/* ---- happen.c ---- */
struct fault;
/* struct vfio_env's, whose argument is the machine. */
void machine_happen(void *arg, const char *name, const struct fault *what);
/* The device at @addr was opened: something may be to happen to it at a time. */
void machine_happen_open(struct machine *m, const char *addr);
void machine_happen_init(struct machine *m);
/* Nothing happens any more when this returns. */
void machine_happen_fini(struct machine *m);
void machine_happen_abandon(struct machine *m);

/* ---- faults.c ---- */
/* Write the faults of @m, a line each, moved in by @in. */
void machine_print_faults(FILE *f, const struct uvfio_model *m, unsigned in);

/* ---- kept.c: of the interface of 2010 ---- */
/* Keep what @dev, which goes, holds; give it to one that is just bound. */
void machine_leave_state(struct plugged *dev);
void machine_take_state(struct plugged *dev);
#endif
