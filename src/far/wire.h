/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * far/wire.h: how the processes of a run call the one that has its devices (process=own). A call of
 * the program on a file of VFIO goes there as it is: an ioctl's number and argument, a read's
 * address and size. The memory that these point at is read and written over there, by the file
 * /proc/PID/mem that each process hands over when it says hello; descriptors in an argument come
 * along. So nothing of VFIO is decoded on this side, and what a file holds is in one place, for all
 * processes that have a descriptor of it.
 *
 * A link is a socket of packets, on which one call is made at a time; a process has as many as
 * calls under way. While a call is carried out it may make a new file (GROUP_GET_DEVICE_FD): the
 * process is asked for a descriptor of it in the middle of the call (FAR_INSTALL), which it sends
 * along, so that the last close is seen over there, whoever has it by then. A file is called by its
 * inode.
 */
#ifndef FAR_WIRE_H
#define FAR_WIRE_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/client.h"

/* In the run directory. Only its owner can connect. */
#define FAR_SOCKET "claims/own"
/* Descriptors of one packet: Linux takes 253. */
#define FAR_FDS	 250u
#define FAR_PATH 64u
#define FAR_LINK 48u

enum far_op {
	FAR_HELLO =
		1, /* first on a link; a: the process, by a number of its choice; with its memory */
	FAR_OPEN,  /* path; a: flags of open(2) */
	FAR_ASK,   /* what a file is: the answer's info */
	FAR_MORE,  /* not answered: descriptors of the call that comes next */
	FAR_IOCTL, /* a: number, b: argument; with descriptors that the argument names */
	FAR_READ,  /* a: address, b: size, c: position */
	FAR_WRITE,
	FAR_READ_ON, /* the same at the file's own position */
	FAR_WRITE_ON,
	FAR_SEEK, /* a: offset, b: whence */
	FAR_MMAP, /* a: size, b: protection, c: flags, d: position; the file is held from then on */
	FAR_HOLD, /* hold it: a child of a fork has a mapping of it */
	FAR_DROP, /* it is not mapped any more */
	FAR_LOAD, /* a: position, b: size; value: the register's */
	FAR_STORE,     /* a: position, b: size, c: value */
	FAR_INSTALLED, /* answers FAR_INSTALL; a: a number, with that descriptor, or -errno */
};
struct far_request {
	uint32_t op, num_fds;
	uint64_t dev, ino; /* the file; not of HELLO, OPEN, MORE, INSTALLED */
	uint64_t a, b, c, d;
	char path[FAR_PATH];
	struct client_place place; /* not of HELLO, MORE, INSTALLED */
};
/* Behind it, for each descriptor: int32_t, the number that the client has it by. */

/* A file of VFIO, as others have to know it. */
struct far_info {
	uint32_t kind;	     /* enum vfio_file_kind */
	int32_t group;	     /* -1: none */
	char link[FAR_LINK]; /* what its link in /proc/self/fd reads */
	char device[16];     /* of a device: its address as a text */
};
enum far_answer {
	FAR_DONE,    /* value: the call's */
	FAR_INSTALL, /* give a file with @info a descriptor; value: flags of open(2) */
};
struct far_reply {
	uint32_t answer;
	int32_t stop;  /* of DONE: the program made a mistake for which it shall stop */
	int64_t value; /* of a call: the kernel's, or -errno */
	uint64_t data; /* of a load */
	struct far_info info;
};
#endif
