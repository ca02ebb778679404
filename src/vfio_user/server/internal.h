/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/internal.h: what the files of a server share.
 *
 * A client's commands are begun in the order in which they came, by the thread that has the turn
 * (service.c): all but reads and writes of regions are done before the next one begins. So what is
 * marked "by the turn" below needs no lock.
 *
 * Lock order: vu_server.lock: a leaf. vu_turns.lock > those of conn.h.
 * vu_server.step (lasting.c) > vu_server_client.irqs_lock > those of the device.
 */
#ifndef VFIO_USER_SERVER_INTERNAL_H
#define VFIO_USER_SERVER_INTERNAL_H
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <urcu/list.h>

#include "base/itree.h"
#include "base/report.h"
#include "base/util.h"
#include "iommu/domain.h"
#include "iommu/peer.h"
#include "vfio/migrate.h"
#include "vfio_user/caps.h"
#include "vfio_user/conn.h"
#include "vfio_user/server/server.h"
#include "vfio_user/turns.h"

#define MS	1000000ull /* nanoseconds */
#define VU_IRQS VFIO_PCI_NUM_IRQS

struct vu_server {
	struct vu_server_config cfg;
	char *name;
	int fd;	     /* the listening socket */
	int wake_fd; /* an eventfd, for the thread to look around */
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t freed; /* the device is free, or the server stops, or has; CLOCK_MONOTONIC */
	struct cds_list_head clients;
	unsigned num_clients, last_client;
	struct vu_server_client *holder; /* who has the device, or NULL */
	bool stopping, ended;		 /* to end; no client is left, and the thread ends */
	bool blamed;			 /* who holds the end up was said */
	/* ---- lasting.c, with cfg.state */
	enum vfio_outlast way;
	struct vfio_steps steps;
	pthread_mutex_t step; /* held through each step of the device; guards what follows */
	bool lasts;	      /* steps are written down */
};

/* What the one with the turn does: kinds of turns.h. */
enum vu_turn {
	VU_TURN_PLAIN, /* it is not overtaken */
	VU_TURN_READ,
	VU_TURN_WRITE, /* it is, while the client owes the device an answer */
	VU_TURN_STOPS, /* it is not; if it waits for such an answer, the access is given up */
};
/* Who carries out the commands of a connection (service.c). */
struct vu_service {
	struct vu_turns turns;
	atomic_uint asked, answered; /* accesses of the client's memory by messages */
	/* of who looks after the one with the turn, under turns.lock */
	unsigned answered_then, stuck;
	bool stops; /* such accesses, for VU_TURN_STOPS */
};

/* A WRITE_MULTI whose writes are under way (access.c). */
struct vu_writes;

struct vu_server_client {
	struct vu_server *s;
	struct cds_list_head node; /* of the server's, under its lock; so is @done */
	bool done;		   /* its thread is to be joined */
	pthread_t thread;
	unsigned number;
	char *name; /* for the log: "0000:01:00.0 client 3" */
	struct vu_conn *conn;
	struct vu_conn *twin;	     /* for our own commands; NULL: these go by @conn */
	struct vu_caps theirs, caps; /* what it said, and what was agreed */
	struct vu_ring_server *ring; /* NULL: none was asked for (ring.c) */
	struct vfio_open open;
	struct vfio_ioas *io;	/* the client's memory */
	uint64_t *region_sizes; /* of each region */
	struct vu_service service;

	/* Of who sets eventfds of vectors, also by the ring; guards what follows (info.c) */
	pthread_mutex_t irqs_lock;
	uint8_t *eventfds[VU_IRQS]; /* of each vector: whether it has one; or NULL */
	uint32_t num_eventfds;

	struct {
		uint64_t first, last;
	} stopped; /* what vu_messages_stop() was told */

	/* ---- a device that outlives the server (lasting.c); by the turn, or who opens ---- */
	bool lasting;	 /* the client comes back when it loses the connection */
	bool resuming;	 /* it has come back, and the device is still halted */
	bool may_repeat; /* and has sent no command since that may be its last one again */
	bool in_step;	 /* a command is carried out, with vu_server.step */
	bool in_file;	 /* the device's own memory is */

	/* ---- by the turn ---- */
	struct iommu_target *messages; /* memory that messages reach; NULL: none yet */
	struct vu_writes *writes;      /* of which some are not begun, or NULL */
	struct itree maps;	       /* struct dma_map (dma.c), by IOVA */
	uint32_t num_maps;
	int *io_fds;		    /* of the server's ioeventfds (io_fds.c), or NULL */
	struct vfio_stream *stream; /* that migration began last, with a reference; or NULL */
	struct itree files;	    /* struct dma_file (dma_files.c), by inode */
	unsigned num_files, num_views;
	uint64_t mapped; /* bytes of all views */
};

/* ---- client.c ---- */

/* Have the connection @fd served by a thread of its own. 0 or -errno; @fd is the client's. */
int vu_server_client_start(struct vu_server *s, int fd);
/* Free a client whose thread was joined. */
void vu_server_client_free(struct vu_server_client *c);

/* ---- server.c ---- */

/* Have the device for @c. 0; -EBUSY: another one has it; -ESHUTDOWN: the server stops. */
int vu_server_take(struct vu_server_client *c);
void vu_server_give_back(struct vu_server_client *c);
/* @c's thread is about to end. */
void vu_server_done(struct vu_server_client *c);

/* Say that the client has all that it may have by the limit @name. Return -ENOSPC. */
int vu_limit_reached(const struct vu_server_client *c, const char *name, uint64_t most);

/* ---- lasting.c ---- */

void vu_lasting_init(struct vu_server *s);
void vu_lasting_fini(struct vu_server *s);
/* True if the client's device is to outlive this process. */
bool vu_lasting_wanted(const struct vu_server_client *c);
/*
 * Go on with the device, which was just opened, as another process left it; caps.lasting gets the
 * answer. 0; -ESTALE: it is to be closed, opened again, and begun.
 */
int vu_lasting_resume(struct vu_server_client *c);
/* Begin with the device, which was just opened: caps.lasting.id is its name. 0 or -errno. */
int vu_lasting_begin(struct vu_server_client *c);
/* Carry out a command with @run, which calls vu_answer(). */
void vu_lasting_run(struct vu_server_client *c, struct vu_message *m,
		    void (*run)(struct vu_server_client *c, struct vu_message *m));
/* A command is done, and this is its reply, which is sent next. */
void vu_lasting_answer(struct vu_server_client *c, const struct vu_message *m, int error,
		       const struct iovec *iov, unsigned iovcnt);
/* The device is about to be closed; and it is. */
void vu_lasting_leave(struct vu_server_client *c);
void vu_lasting_left(struct vu_server_client *c);

/* ---- service.c ---- */

void vu_service_init(struct vu_server_client *c);
void vu_service_fini(struct vu_server_client *c);
/* Carry out commands until the connection is dead, and no thread is inside the device. */
void vu_service_run(struct vu_server_client *c);
/*
 * Around what may be overtaken. The end returns false if another thread has the turn meanwhile:
 * then the caller only replies.
 */
uint64_t vu_service_begin(struct vu_server_client *c, enum vu_turn kind);
bool vu_service_end(struct vu_server_client *c, enum vu_turn kind, uint64_t ticket);

/* ---- commands: commands.c has the table ---- */

/* Carry out @m and reply to it. Return true if the caller still has the turn. */
bool vu_command_run(struct vu_server_client *c, struct vu_message *m);
/* Say that a command is refused with @error, and return that. */
int vu_command_refused(struct vu_server_client *c, const struct vu_message *m, int error);
/* A command's function: replies and returns 0; or returns -errno, which is the reply. */
typedef int vu_command_fn(struct vu_server_client *c, struct vu_message *m);

/* info.c */
vu_command_fn vu_get_info, vu_get_region_info, vu_get_irq_info, vu_set_irqs, vu_reset;
/* Forget which vectors have an eventfd. */
void vu_eventfds_fini(struct vu_server_client *c);
/* io_fds.c */
vu_command_fn vu_get_io_fds;
/* Forget the eventfds. */
void vu_io_fds_fini(struct vu_server_client *c);
/* ring.c */
vu_command_fn vu_give_ring;
/*
 * SET_IRQS without descriptors, with @len bytes behind it. 0 or -errno; info.c. And an access to a
 * region, all of it or nothing: access.c
 */
int vu_set_vectors(struct vu_server_client *c, const struct vu_set_irqs *set, const void *data,
		   size_t len);
int vu_access(struct vu_server_client *c, const struct vu_region_access *a, void *buf, bool write);
/* access.c: as vu_command_run() */
bool vu_region_read(struct vu_server_client *c, struct vu_message *m);
bool vu_region_write(struct vu_server_client *c, struct vu_message *m);
bool vu_write_multi(struct vu_server_client *c, struct vu_message *m);
/* Begin what writes are left of a WRITE_MULTI that was overtaken. As vu_command_run(). */
bool vu_write_rest(struct vu_server_client *c);
/* dma.c */
vu_command_fn vu_dma_map, vu_dma_unmap;
/* feature.c */
vu_command_fn vu_device_feature, vu_mig_data_read, vu_mig_data_write;
/* Let go of the stream of a migration. */
void vu_migration_end(struct vu_server_client *c);
/* The device is closed and its address space is gone: forget the memory. */
void vu_dma_fini(struct vu_server_client *c);

/* Reply to a command, as vu_conn_reply(): each command is answered by this, once. */
int vu_answer(struct vu_server_client *c, const struct vu_message *m, int error,
	      const struct iovec *iov, unsigned iovcnt, const int *fds, unsigned num_fds);
/* The same with @len bytes; return 0. */
int vu_reply(struct vu_server_client *c, const struct vu_message *m, const void *data, size_t len);

/* ---- dma_messages.c ---- */

/* Get the target of memory that only the client reaches. 0, -ENOMEM or -EMFILE. */
int vu_messages(struct vu_server_client *c, struct iommu_target **target);
/*
 * Let accesses of that memory that have to do with [@first, @last] fail, those that are under way
 * and those that begin, until vu_messages_go_on().
 */
void vu_messages_stop(struct vu_server_client *c, uint64_t first, uint64_t last);
void vu_messages_go_on(struct vu_server_client *c);

/* ---- dma_files.c: files of the client's ---- */

struct dma_view;
/* Where memory of a file is. */
struct dma_place {
	void *mem;
	int fd; /* open as long as the view */
	struct dma_view *view;
};
/*
 * Find [@offset, @offset + @size) of the file @fd in this process's memory. @fd is taken over, also
 * if this fails. Each file is mapped once, however many parts of it are in use. @out->view is to be
 * given back.
 *
 * Return: 0; -EINVAL: it is no file of memory, or ends before that; -EACCES: it is not open for
 * reading, or not for writing if @write; -ENOSPC: the client has too many files; -ENOMEM.
 */
int vu_file_map(struct vu_server_client *c, int fd, uint64_t offset, uint64_t size, bool write,
		struct dma_place *out);
void vu_file_put(struct vu_server_client *c, struct dma_view *v);

struct dma_file;
/*
 * Have the file @fd, which is taken over, also if this fails, be read and written by pread and
 * pwrite: *@target has it until @out is given back. 0; -EINVAL: it is no file; -EACCES: it is not
 * open for that; -ENOSPC, -ENOMEM.
 */
int vu_file_direct(struct vu_server_client *c, int fd, unsigned prot, struct dma_file **out,
		   struct iommu_target **target);
void vu_file_direct_put(struct vu_server_client *c, struct dma_file *f);
/* ---- limits.c ---- */
/* Set those that are 0 to their defaults. */
void vu_limits_default(struct vu_server_limits *l);
#endif
