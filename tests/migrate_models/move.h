/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/migrate_models/move.h: two processes, each with a device of its own, between which a driver
 * moves: its memory is copied and its device migrates, as a virtual machine does. All that the
 * driver has lies in `ram`, at the same address in both.
 */
#ifndef MIGRATE_MODELS_MOVE_H
#define MIGRATE_MODELS_MOVE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/vfio.h"

#define RAM_SIZE (4u << 20)
#define RAM_IOVA 0x10000000ull
#define VECTORS	 2u

extern char *ram;

struct side {
	const char *address;
	struct vfio vfio;
	volatile char *bar; /* BAR0, mapped */
	int irq[VECTORS];   /* eventfds */
	int peer;	    /* a socket to the other one */
};

struct driver {
	uint64_t bar_size; /* bytes of BAR0 to map */
	/* Set the device up, for the first time. */
	void (*begin)(struct side *s);
	/* The driver is here now. */
	void (*arrive)(struct side *s);
	/* Work for so many ns, and leave what is under way. */
	void (*work)(struct side *s, uint64_t ns);
	/* Wait for all that is under way, and check everything. */
	void (*finish)(struct side *s);
};

__attribute__((format(printf, 1, 2), noreturn)) void die(const char *fmt, ...);
uint64_t now_ns(void);
/* Wait up to five seconds for an eventfd. */
void wait_irq(int fd);
static inline uint64_t ram_iova(const volatile void *p)
{
	return RAM_IOVA + (uint64_t)((const volatile char *)p - ram);
}

/*
 * Move @d from the device at the first address to that at the second, and back, @moves times. Ends
 * the process with a line if something is wrong.
 */
void move(const struct driver *d, const char *const address[2], unsigned moves);

/* Fill @len bytes (a multiple of 4) by two numbers; check that they are so. */
void fill(void *p, size_t len, uint32_t a, uint32_t b);
bool is_filled(const void *p, size_t len, uint32_t a, uint32_t b);

/* nvme.c */
extern const struct driver nvme_driver;
extern struct nvme_options {
	const char *image;
	bool buffers, interrupts; /* doorbell buffers; completions are waited for by eventfds */
} nvme_options;
/* igb.c; the partner's socket is at @partner. @vf: the driver will be igbvf_driver */
extern const struct driver igb_driver, igbvf_driver;
void igb_partner_start(const char *partner, bool vf);
void igb_partner_end(void);
#endif
