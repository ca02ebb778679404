/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * own/internal.h: processes that call, the files that they have, and the links on which they call.
 *
 * Lock order: files.release_lock > uapi's > files.lock. A link's thread holds none of ours while
 * it makes a call.
 */
#ifndef OWN_INTERNAL_H
#define OWN_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <urcu/list.h>

#include "base/client.h"
#include "base/report.h"
#include "base/util.h"
#include "far/wire.h"
#include "machine/machine.h"
#include "own/own.h"
#include "uapi/uapi.h"

#define WHO "process=own"

/* ---- files.c: open files, by the inodes of their descriptors ---- */

struct own_file {
	struct cds_list_head node;
	uint64_t dev, ino;
	struct uapi_file *file;
	int wd;		/* watches for the last close */
	unsigned opens; /* open descriptions: mostly one */
	unsigned holds; /* processes that have it mapped */
};
struct own_files {
	pthread_mutex_t release_lock; /* events are taken in, and files given up, one by one */
	pthread_mutex_t lock;	      /* a leaf; guards the list */
	struct cds_list_head list;
	bool dropped; /* some file may be held no more since the last look */
	int notify;   /* inotify, private */
};
int own_files_init(struct own_files *t); /* 0 or -errno */
/* Give everything up. */
void own_files_fini(struct own_files *t);
/*
 * Enter @file, whose reference it takes, by the descriptor @fd that a process made of it. 0 or
 * -errno.
 */
int own_files_add(struct own_files *t, int fd, struct uapi_file *file);
/* Return the file, with a reference of its struct uapi_file, or NULL. */
struct uapi_file *own_files_get(struct own_files *t, uint64_t dev, uint64_t ino);
/* Take in which files were closed: whoever comes next finds them closed. */
void own_files_drain(struct own_files *t);
/* Keep all files that are there now until the end, those too of which the close is not taken in. */
void own_files_keep(struct own_files *t);
/*
 * Hold a file that is there, once more or once less; one that nobody has any more is given up by
 * own_files_drain(). False: there is none.
 */
bool own_files_hold(struct own_files *t, uint64_t dev, uint64_t ino, bool hold);

/* ---- process.c: a process of the program ---- */

struct own_hold {
	struct cds_list_head node;
	uint64_t dev, ino;
};
struct own_process {
	struct ref ref; /* links, and mappings of its memory */
	struct cds_list_head node;
	uint64_t self; /* its own number */
	int mem;
	struct iommu_target *memory; /* for devices */
	pthread_mutex_t lock;	     /* a leaf; guards: */
	unsigned links;
	struct cds_list_head holds; /* struct own_hold: files that it has mapped */
};

struct own {
	struct machine *m;
	bool late; /* what a process had that has ended is given up when the next call comes */
	struct own_files files;
	struct uapi_fds fds;
	pthread_mutex_t lock; /* guards what follows; above a process's */
	struct cds_list_head processes, links;
	pthread_cond_t gone; /* a link ended */
};

/*
 * Return the process @self, which said hello on one more link, or NULL: no memory. @mem is its
 * memory, taken over.
 */
struct own_process *own_process_join(struct own *o, uint64_t self, int mem);
/* One of its links is gone; with the last one it is, too. */
void own_process_leave(struct own *o, struct own_process *p);
/* 0, or -errno. */
int own_process_hold(struct own *o, struct own_process *p, uint64_t dev, uint64_t ino);
void own_process_drop(struct own *o, struct own_process *p, uint64_t dev, uint64_t ino);

/* ---- link.c: one link ---- */

struct own_link {
	struct cds_list_head node;
	struct own *own;
	int fd;
	pthread_t thread;
	struct own_process *process; /* NULL: it said no hello yet */
	int *fds, *numbers;	     /* that came for the call, private; room for cap */
	unsigned num_fds, cap;
};
/*
 * Wait until links whose other end is closed are gone, with what their processes held: a process
 * that ended before this call was made has nothing any more.
 */
void own_links_reap(struct own *o);
/* Serve the socket @fd, taken over, on a thread of its own. 0 or -errno. */
int own_link_start(struct own *o, int fd);
/* Struct uapi_fds's, of the call that this thread serves. */
struct uapi_file *own_fget(void *arg, int fd, int *err);
int own_install(void *arg, struct uapi_file *file, int flags);
#endif
