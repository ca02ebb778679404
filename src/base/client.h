/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/client.h: whose memory and whose descriptors the arguments of a call are. A call of this
 * process's own program has addresses and numbers of this process. One that another process sent
 * here (own/) has that one's: its memory is a file, /proc/PID/mem, which it opened itself and
 * handed over, and its descriptors came along with the call.
 *
 * Threads: each has a client of its own, none at first.
 */
#ifndef BASE_CLIENT_H
#define BASE_CLIENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iommu_target;

/*
 * Where in the other process's program its call is. A frame is an address there, with 1 + the
 * index of its module in the run's table of modules (check/shared.h) from CLIENT_MODULE_BIT up, so
 * that it can stand among addresses of this process, which have 0 there.
 */
#define CLIENT_NO_MODULE  0xffffu
#define CLIENT_FRAMES	  24u
#define CLIENT_MODULE_BIT 48u
struct client_place {
	uint64_t ip; /* where the call returns to, or the instruction */
	int32_t pid, tid;
	char thread[16];
	uint32_t n; /* frames; 0: they are not looked for */
	uint32_t exact;
	uint64_t pc[CLIENT_FRAMES]; /* the innermost first */
};

/* A client that is another process, during one call. */
struct client {
	int mem; /* its memory, by pread and pwrite */
	/* the same memory for devices, by its addresses (iommu/peer.h) */
	struct iommu_target *target;
	/* descriptors that came along: ours is fds[i] where it has numbers[i] */
	const int *numbers, *fds;
	unsigned num_fds;
	const struct client_place *place; /* or NULL; else: */
	bool *stop; /* is set if the client shall stop for a mistake that it has made */
};
/* The client of this thread's call; NULL: it is this process. */
extern __thread const struct client *client_now;

/*
 * Descriptors of this thread's call that its sender has no use for afterwards, as those that came
 * with a message: who keeps one takes it over. -1: it is taken.
 */
struct client_given {
	int *fds;
	unsigned num_fds;
	/* /proc/thread-self/fd of a thread with the same table, opened; 0: it is not */
	int table;
};
extern __thread struct client_given client_given;

/** client_get - copy @n bytes of the client's at @addr. Return 0 or -EFAULT. */
int client_get(void *dst, uintptr_t addr, size_t n);
/** client_get_part - the same; return how many bytes there were before a fault */
size_t client_get_part(void *dst, uintptr_t addr, size_t n);
/** client_put - copy to the client's memory. Return 0 or -EFAULT: some may have been copied. */
int client_put(uintptr_t addr, const void *src, size_t n);
/**
 * client_get_string - copy a string of at most @max - 1 bytes
 *
 * Return: its length; -EFAULT, -ENAMETOOLONG.
 */
long client_get_string(char *dst, uintptr_t addr, size_t max);
/**
 * client_fd - return the descriptor of this process that the client's @fd is, for the time of the
 * call; -EBADF: it has none (private ones are not the program's)
 */
int client_fd(int fd);
/**
 * client_keep_fd - return a private descriptor for the client's @fd, the caller's
 *
 * It is a duplicate, or if @fd was given (client_given) that one, which is not the sender's then.
 *
 * Return: the descriptor; -EBADF; -EMFILE.
 */
int client_keep_fd(int fd);
#endif
