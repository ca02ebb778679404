/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/v3/v3.h: for the checks of the interface of 2010: a call and its errno as one number, the
 * device's registers, and a line for each check. Of libc alone; a check has its number.
 */
#ifndef TESTS_V3_V3_H
#define TESTS_V3_V3_H
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "uvfio/vfio_v3.h"
#include "models/testdev/regs.h"

#define DEV	   "/dev/vfio0"
#define PAGE	   4096ul
#define CONFIG(at) ((off_t)VFIO_V3_OFFSET(VFIO_V3_SPACE_CONFIG, at))
#define BAR(n, at) ((off_t)VFIO_V3_OFFSET(n, at))

/* The value that a check saw and the right one; the first line of a number counts for all. */
void is(const char *id, long got, long want, const char *what, ...)
	__attribute__((format(printf, 4, 5)));
void say_end(void);

/* Each returns what the call does, or -errno. */
long x(long ret);
long dev_open(void);
long uiommu(void);
long io(int fd, unsigned long cmd, void *arg);
long io_int(int fd, unsigned long cmd, int value);
long rd(int fd, off_t at, void *buf, size_t n);
long wr(int fd, off_t at, const void *buf, size_t n);
/* Map a space: 0 with *@out, or -errno. */
long map(int fd, off_t at, size_t n, int prot, int flags, void **out);

/* Config space and BAR2; a call that fails ends the program. */
uint32_t cr(int fd, unsigned at, unsigned n);
long cw(int fd, unsigned at, unsigned n, uint32_t v);
uint32_t r32(int fd, unsigned reg);
void w32(int fd, unsigned reg, uint32_t v);
void w64(int fd, unsigned reg, uint64_t v);

/* A device with a domain, which masters the bus. */
int ready_dev(void);
/* Give @fd a new domain. */
void give_domain(int fd);
long dma(int fd, bool map, void *p, uint64_t iova, uint64_t size, uint64_t flags);
/* Have the engine fill memory, or look at it: DMA_STATUS. */
unsigned fill(int fd, uint64_t iova, uint64_t n, uint32_t pattern);
unsigned look(int fd, uint64_t iova, uint64_t n, uint32_t pattern);
void *pages(size_t n);
/* Return how often an eventfd was signalled, after waiting for the first. */
long events(int efd);
/* The same where none should come: what came meanwhile. */
long no_events(int efd);
long read_text(const char *path, char *buf, size_t size);
long locked_pages(int n);
#endif
