/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/internal.h: a device behind a socket from the inside.
 *
 * Lock order: vfio_device.lock, the address space's > vu_client.irq_lock > vu_resume.turn >
 * vu_resume.lock; vu_client.config_lock is a leaf. config_lock and vu_resume.lock are held around
 * nothing but what they guard, irq_lock and the turn around messages.
 */
#ifndef VFIO_USER_CLIENT_INTERNAL_H
#define VFIO_USER_CLIENT_INTERNAL_H
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "base/heap.h"
#include "base/itree.h"
#include "base/report.h"
#include "base/sys.h"
#include "base/util.h"
#include "iommu/device.h"
#include "vfio/ioas.h"
#include "vfio/irqfd.h"
#include "vfio_user/caps.h"
#include "vfio_user/client/client.h"
#include "vfio_user/conn.h"
#include "vfio_user/ring.h"

/* A reply is late, and the log says so; and it does not come any more. */
#define VU_CLIENT_LATE_NS    5000000000ull
#define VU_CLIENT_TIMEOUT_NS 60000000000ull
/* Descriptors that a message of a server's may have: those of a region. */
#define VU_CLIENT_FDS 64u

#define VU_CLIENT_REGIONS 64u /* more than any device has */
#define VU_CLIENT_IRQS	  16u
#define VU_CONFIG_SIZE	  4096u

/* Words for a user, of what failed first. */
struct vu_why {
	char text[256];
};
/* Have the sentence FORMAT in @why, unless there is one, and return @rc. */
int vu_fail(struct vu_why *why, int rc, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

struct vu_resume;

/*
 * One connection. Of those who use it, and who may yet when the device is closed. Or, for a device
 * that outlives its server (resume.c), the handle by which it is used, whose commands go by the
 * connection of the moment: it has none of its own.
 */
struct vu_session {
	struct ref ref;
	struct vu_client *c;
	struct vu_resume *resume; /* of a handle, which owns it; else NULL */
	struct vu_resume *of;	  /* of a connection that is a handle's, or will be; else NULL */
	uint64_t timeout_ns;	  /* for an answer */
	struct vu_conn *conn;
	struct vu_conn *twin; /* the server's commands come by it; NULL: by @conn */
	struct vu_ring *ring; /* NULL: the server has none */
	struct vu_caps caps;  /* what was agreed */
	uint32_t max_data;    /* that one message may carry in either direction */
	atomic_bool lost;     /* it does not answer any more */
	atomic_bool closing;  /* by us */
	struct loop_watch *_Atomic watch;
	pthread_t thread; /* that takes the server's commands, with no twin */
	bool has_thread;
};

/* A region, as the server told of it. */
struct vu_region {
	bool there;
	struct vfio_region info;
	struct vfio_region_area *areas;
	int *fds; /* those of its areas, private */
	unsigned num_fds;
};

/*
 * What a server that may be started again was told of an index (kept.c). Changed by who has the
 * turn (vu_resume); descriptors are private.
 */
struct vu_kept_irqs {
	uint32_t count; /* of these two; 0: it is not set up */
	int *fds;	/* the eventfd of each vector, or -1 */
	bool *masked;
	int mask, unmask; /* INTx: what masks and unmasks it, or -1 */
};

/* What of the address space the server was told (dma.c). */
struct vu_dma {
	struct vfio_ioas_listener listener;
	struct vfio_ioas *io; /* under the locks of vfio_device_ops.attach */
	struct vu_session *s; /* with a reference */
	/*
	 * Under the address space's lock; changed by who has the turn (vu_resume), so that what is
	 * there is what the server was told.
	 */
	struct itree pieces;
	atomic_uint num_pieces;
	struct vu_kept_file
		*files; /* of pieces, to be sent again; under the address space's lock */
	int self;	/* the file of our address space, or -1 */
	bool no_file;	/* the server does not read and write files */
};

struct vu_client {
	struct vfio_device vdev;
	struct iommu_device iommu;
	struct vu_client_options o;
	char *where;
	int given; /* a connected socket, of who opened it before us; -1: none */
	bool given_used;
	enum vu_client_mmap mmap;
	struct vu_session *spare; /* of vu_client_new(), for the next open */
	/* below: changed when it is opened and closed, under vfio_device.lock */
	enum vu_client_mmap learnt_mmap; /* that the regions go by */
	struct vu_session *session;	 /* NULL: it is not open */
	struct vu_region regions[VU_CLIENT_REGIONS];
	struct vfio_irq irqs[VU_CLIENT_IRQS]; /* flags and count 0: it is not there */
	bool irq_of_server[VU_CLIENT_IRQS];   /* ERR, REQ: the server has it, too */
	pthread_mutex_t irq_lock;	      /* one sets interrupts at a time; guards: */
	bool irqs_on[VU_CLIENT_IRQS];	      /* it has eventfds at the server */
	/* a program has masked vectors in the device's own registers, or may have, in its state */
	atomic_bool masked;
	struct {
		int bar; /* -1: none */
		uint64_t start, end;
	} table; /* of MSI-X */
	struct vu_kept_irqs kept[VU_CLIENT_IRQS];
	struct vfio_trigger err, req;	 /* the user's, which we signal, too */
	struct cds_list_head ioeventfds; /* vu_ioeventfd */
	unsigned num_ioeventfds;
	struct vu_dma dma;
	pthread_mutex_t config_lock; /* a leaf; guards: */
	uint8_t config[VU_CONFIG_SIZE];
	unsigned config_size;
	uint32_t id; /* vendor and device, by which a later open knows it */
	uint32_t bar_registers[VU_CLIENT_BARS]; /* what firmware wrote */
	uint8_t line;
	uint16_t decode;
	unsigned pm;  /* offset of its power capability; 0: none */
	unsigned vpd; /* that of product data, and as it was read at first: */
	uint8_t *vpd_data;
	unsigned vpd_len;
	uint16_t vpd_addr;			   /* that a bus wrote */
	bool known;				   /* it was looked at before */
	uint64_t migration;			   /* VFIO_MIGRATION_* of its server */
	struct vu_client_bar bars[VU_CLIENT_BARS]; /* set once, by vu_client_new() */
	atomic_bool decodes; /* the device answers at its BARs, as far as the user's writes tell */
};

static inline struct vu_client *to_client(struct vfio_device *dev)
{
	return container_of_type(dev, struct vu_client, vdev);
}

/* ---- session.c ---- */

/*
 * Connect to where @c is, and agree on a version: *@out has one reference. @again: the server of a
 * device that outlives it, and @what it is told; NULL: the device is looked at, or opened. 0 or
 * -errno.
 */
int vu_session_new(struct vu_client *c, struct vu_resume *again, const struct vu_lasting *what,
		   struct vu_session **out, struct vu_why *why);
void vu_session_get(struct vu_session *s);
void vu_session_put(struct vu_session *s);
/* End it: the server sees us go; who waits in it gets an error. */
void vu_session_end(struct vu_session *s);
/*
 * True if a command that failed with @rc may be carried out the next time: what was missing is ours
 * or the server's of the moment, or it is lost. If not, the server refuses.
 */
static inline bool vu_is_passing(int rc)
{
	return rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE || rc == -EIO || rc == -EAGAIN;
}
/* In a forked child. */
void vu_session_abandon(struct vu_session *s);
/*
 * Send a command and wait for its answer of at least @min bytes, which is the caller's to end.
 * 0; the server's errno; -EIO, with a line: no answer, or one that is none.
 */
struct vu_request {
	uint16_t command;
	struct iovec iov[3];
	unsigned iovcnt;
	const int *fds;
	unsigned num_fds;
	size_t min;
	/*
	 * Called once with the outcome, also if the session is lost, before another command of a
	 * device that outlives its server begins: what it is told again is what it was told.
	 */
	void (*done)(void *arg, int rc);
	void *arg;
};
int vu_session_call(struct vu_session *s, const struct vu_request *r, struct vu_message *reply);
/* The same, of which nothing but its success is looked at. */
int vu_session_do(struct vu_session *s, const struct vu_request *r);
/* Send a command that is not answered. 0 or -EIO. */
int vu_session_post(struct vu_session *s, const struct vu_request *r);
/*
 * Access a register by the ring; @post: a write whose success nobody waits for. 0; the server's
 * errno; -EIO; VU_RING_BUSY: there is no ring, or no room for it there.
 */
int vu_session_access(struct vu_session *s, const struct vu_region_access *a, void *buf, bool write,
		      bool post);
/* The same for SET_IRQS without descriptors, with @set->count bytes of @data if it is not NULL. */
int vu_session_set_irqs(struct vu_session *s, const struct vu_set_irqs *set, const uint8_t *data);
/* Its server is gone, or talks nonsense: once, with a line. */
void vu_session_lost(struct vu_session *s);
/* Say that the device is gone, for FORMAT, and tell its user. */
void vu_session_say_lost(struct vu_client *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static inline bool vu_session_is_lost(struct vu_session *s)
{
	return atomic_load_explicit(&s->lost, memory_order_acquire);
}

/* ---- resume.c: a device that outlives its server ---- */

/* True if the server of @s said that its device does. */
static inline bool vu_session_lasts(const struct vu_session *s)
{
	return s->caps.lasting.kind != VU_LASTING_NONE;
}
/*
 * Make a handle of the connection @s, of a device that lasts: *@out has one reference, and has
 * taken over @s. 0 or -ENOMEM.
 */
int vu_resume_new(struct vu_session *s, struct vu_session **out);
/* From now on @handle is used, and the server that goes is looked for. 0 or -errno. */
int vu_resume_start(struct vu_session *handle);
/*
 * Nobody waits for the server any more, or looks for it. The device is lost if it is away; if not,
 * it is when it goes.
 */
void vu_resume_leave(struct vu_resume *l);
/* The device was pulled out, which its user is told: it is lost when this returns. */
void vu_resume_pull(struct vu_resume *l);
/* End it, and the connection. */
void vu_resume_end(struct vu_resume *l);
void vu_resume_free(struct vu_resume *l);
void vu_resume_abandon(struct vu_resume *l);
/* vu_conn_call() by the connection of the moment; -EIO: the device is lost. */
int vu_resume_call(struct vu_resume *l, const struct vu_call *how, const struct vu_request *r,
		   struct vu_message *reply);
/*
 * @s is the connection that is about to be agreed on; NULL: that is none. -ENODEV: nobody wants it
 * any more.
 */
int vu_resume_connecting(struct vu_resume *l, struct vu_session *s);
/*
 * Connect once more, and have the device go on there: 0 or -errno, with @why. For its thread, with
 * nobody inside.
 */
int vu_resume_try(struct vu_resume *l, struct vu_why *why);
/* The connection @s is dead. */
void vu_resume_broken(struct vu_resume *l, struct vu_session *s);

/* ---- commands.c: what the server asks us ---- */

/* From now on its commands are answered. 0 or -errno. */
int vu_commands_start(struct vu_session *s);
/* No more; nobody answers one when this returns. */
void vu_commands_stop(struct vu_session *s);

/* ---- learn.c: what the device is ---- */

/* Ask for regions and interrupts of the device at the other end of @s. 0 or -errno. */
int vu_learn(struct vu_client *c, struct vu_session *s, struct vu_why *why);
/* See that the device at the other end of @s is the one that was learnt. 0; -ENODEV: it is not. */
int vu_learn_same(struct vu_client *c, struct vu_session *s, struct vu_why *why);
/* Ask for the ROM anew: it has a size while the device decodes memory. */
void vu_learn_rom(struct vu_client *c, struct vu_session *s);
/* Free what was learnt last. */
void vu_forget(struct vu_client *c);

/* ---- face.c: config space and BARs for a bus ---- */

/*
 * Read config space by region 7, which is known. 0 or -errno: -ENODEV: it is not the device that it
 * was.
 */
int vu_face_look(struct vu_client *c, struct vu_session *s, struct vu_why *why);
/* Note the BARs, whose regions are known, or see that they are the same still. The same. */
int vu_face_bars(struct vu_client *c, struct vu_why *why);
/* True if region @index is a BAR of memory. */
bool vu_face_is_memory(struct vu_client *c, uint32_t index);
/* Return in which BAR the MSI-X table is; -1: there is none. */
int vu_face_msix_table(struct vu_client *c);
/* Tell where it lies in BAR @bar; empty: not there. */
void vu_face_msix_bounds(struct vu_client *c, uint32_t bar, uint64_t *start, uint64_t *end);
/* Return where the mask register of MSI is in config space; 0: it has none. */
unsigned vu_face_msi_masks(struct vu_client *c);
/* Return where the function's MSI-X flags are in config space; 0: it has none. */
unsigned vu_face_msix_flags(struct vu_client *c);
/* Write to the device what a firmware set; it is just open. */
void vu_face_restore(struct vu_client *c, struct vu_session *s);
/* Write to the device, which was reset, what a reset keeps. */
void vu_face_again(struct vu_client *c, struct vu_session *s);
/* What a reset keeps, as the kernel does. */
struct vu_kept {
	uint32_t bars[VU_CLIENT_BARS];
	uint16_t command;
	uint8_t line;
};
/* Note it, and write back what is another after the reset. */
void vu_face_keep(struct vu_client *c, struct vu_session *s, struct vu_kept *kept);
void vu_face_give_back(struct vu_client *c, struct vu_session *s, const struct vu_kept *kept);
/* The user has read, or written, these bytes of config space. */
void vu_face_note(struct vu_client *c, uint64_t pos, const void *buf, size_t count, bool write);

/* ---- vpd.c: product data, which sysfs shows ---- */

/* Read all of it, once. Where there is none, or it does not answer, there is none to be shown. */
void vu_vpd_read(struct vu_client *c, struct vu_session *s);
/* Return the four bytes at @offset; all ones behind its end. config_lock is held. */
uint32_t vu_vpd_get(const struct vu_client *c, unsigned offset);

/* ---- regions.c ---- */

/* Access a region by messages: bytes done, or -errno. */
ssize_t vu_region_rw(struct vu_session *s, uint32_t index, uint64_t pos, void *buf, size_t count,
		     bool write);
int vu_client_get_region(struct vfio_device *dev, uint32_t index, struct vfio_region *out);
ssize_t vu_client_rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf, size_t count,
		     bool write);
int vu_client_mmio(struct vfio_device *dev, uint32_t index, uint64_t pos, unsigned size,
		   uint64_t *value, bool write);
int vu_client_ioeventfd(struct vfio_device *dev, uint32_t flags, uint64_t offset, uint64_t data,
			int fd);
/* Take all ioeventfds away. */
void vu_ioeventfds_drop(struct vu_client *c);

/* ---- irqs.c ---- */

int vu_client_get_irq(struct vfio_device *dev, uint32_t index, struct vfio_irq *out);
int vu_client_set_irqs(struct vfio_device *dev, const struct vfio_irq_set_args *a);
void vu_client_request(struct vfio_device *dev, unsigned count);
/* Interrupts are set up no more: the device was closed. */
void vu_irqs_drop(struct vu_client *c);
/* Tell the server by @s what there is, as it was told to the one before it. 0 or -errno. */
int vu_irqs_again(struct vu_client *c, struct vu_session *s, struct vu_why *why);

/* ---- kept.c: what is told again of interrupts ---- */

/* What a SET_IRQS will have done, if it is carried out. */
struct vu_keeping {
	struct vu_client *c;
	const struct vfio_irq_set_args *a;
	int *fds;		   /* private duplicates of its eventfds, or NULL: it has none */
	struct vu_kept_irqs fresh; /* of an index that is set up by it; else empty */
};
/* Make room for @a, with @fds of the program's or NULL. 0, -ENOMEM, or why of a descriptor. */
int vu_keep_prepare(struct vu_keeping *k, struct vu_client *c, const struct vfio_irq_set_args *a,
		    const int *fds);
/* It was carried out, or not: vu_request.done. */
void vu_keep_done(void *keeping, int rc);
/* Forget all. */
void vu_keep_drop(struct vu_client *c);

/* ---- dma.c ---- */

int vu_client_attach(struct vfio_device *dev, struct vfio_ioas *io);
void vu_client_detach(struct vfio_device *dev, struct vfio_ioas *io);
/* Tell the server by @s what is mapped. 0 or -errno. */
int vu_dma_again(struct vu_client *c, struct vu_session *s, struct vu_why *why);

/* ---- files.c: files of memory, which are sent again ---- */

/* One that pieces of memory are of, by its inode and the rights of its descriptor. */
struct vu_kept_file;
/* Find that of @fd, or have it kept by a duplicate: *@out is to be put. 0 or -errno. */
int vu_kept_file_get(struct vu_dma *d, int fd, struct vu_kept_file **out);
void vu_kept_file_put(struct vu_dma *d, struct vu_kept_file *f);
int vu_kept_file_fd(const struct vu_kept_file *f);

/* ---- migrate.c ---- */

/* Ask whether the device migrates. 0 or -ENOMEM. */
int vu_migrate_learn(struct vu_client *c, struct vu_session *s);

/* ---- memory.c: whose file memory is of ---- */

/* A stretch of the program's memory that is one piece for a server. */
struct vu_memory {
	uint64_t size;
	int fd; /* private, the caller's; -1: it is of no file that others can have */
	uint64_t offset;
};
/*
 * Look at what begins at @vaddr, up to @size bytes of it. @write: the server will write it. 0 or
 * -errno: it cannot be told.
 */
int vu_memory_at(uint64_t vaddr, uint64_t size, bool write, struct vu_memory *out);
#endif
