/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/migrate_models/move.c: see move.h.
 *
 *	migrate_models nvme FROM TO MOVES IMAGE [buffers] [interrupts]
 *	migrate_models igb|igbvf FROM TO MOVES SOCKET
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "move.h"
#include "vfio/uapi_defs.h"

#define SLICE	  4000000ull /* ns between two moves */
#define STATE_MAX (1u << 20)

char *ram;

void die(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "migrate_models[%d]: ", (int)getpid());
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, " (errno: %s)\n", strerror(err));
	va_end(ap);
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

void wait_irq(int fd)
{
	if (!eventfd_wait(fd, 5000))
		die("no interrupt came");
}

void fill(void *p, size_t len, uint32_t a, uint32_t b)
{
	uint32_t *w = p, x = a * 2654435761u ^ b * 40503u ^ 0x9e3779b9u;

	for (size_t i = 0; i < len / 4; i++)
		w[i] = x = x * 1664525u + 1013904223u;
}

bool is_filled(const void *p, size_t len, uint32_t a, uint32_t b)
{
	uint32_t wanted[4096];

	if (len > sizeof(wanted))
		die("%zu bytes to compare", len);
	fill(wanted, len, a, b);
	return !memcmp(p, wanted, len);
}

/* ---- a device ---- */

static void config_write(struct side *s, unsigned offset, uint16_t value)
{
	if (pwrite(s->vfio.device, &value, 2,
		   (off_t)(VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX) + offset)) != 2)
		die("config space at %#x", offset);
}

static void open_side(struct side *s, uint64_t bar_size)
{
	char group[128];

	if (vfio_group_path(s->address, group, sizeof(group)) ||
	    vfio_open_device(&s->vfio, group, s->address))
		die("%s: %s", s->address, s->vfio.failed ? s->vfio.failed : "no group");
	if (vfio_dma_map(s->vfio.container, ram, RAM_IOVA, RAM_SIZE,
			 VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE))
		die("VFIO_IOMMU_MAP_DMA");
	s->bar = mmap(NULL, bar_size, PROT_READ | PROT_WRITE, MAP_SHARED, s->vfio.device, 0);
	if (s->bar == MAP_FAILED)
		die("mmap of BAR0");
	for (unsigned i = 0; i < VECTORS; i++) {
		s->irq[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (s->irq[i] < 0)
			die("eventfd");
	}
}

static void set_irqs(struct side *s)
{
	if (vfio_set_irqs(s->vfio.device, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			  VFIO_PCI_MSIX_IRQ_INDEX, 0, VECTORS, s->irq))
		die("VFIO_DEVICE_SET_IRQS");
}

/* ---- migration ---- */

static int feature(struct side *s, uint32_t flags, void *data, size_t len)
{
	union {
		struct vfio_device_feature f;
		char bytes[64];
	} u = { .f = { .argsz = (uint32_t)(sizeof(u.f) + len), .flags = flags } };
	int ret;

	memcpy(u.f.data, data, len);
	ret = ioctl(s->vfio.device, VFIO_DEVICE_FEATURE, &u);
	memcpy(data, u.f.data, len);
	return ret;
}

/* Bring the device into @state, and return the descriptor of the stream, if there is one. */
static int set_state(struct side *s, uint32_t state)
{
	struct vfio_device_feature_mig_state m = { .device_state = state, .data_fd = -1 };

	if (feature(s, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &m,
		    sizeof(m)))
		die("%s: into state %u", s->address, state);
	return m.data_fd;
}

static void check_able(struct side *s)
{
	struct vfio_device_feature_migration m = { 0 };

	if (feature(s, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, &m, sizeof(m)) ||
	    m.flags != (VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY))
		die("%s cannot migrate", s->address);
}

static void put(int fd, const void *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n <= 0)
			die("write of %zu bytes", len);
		p = (const char *)p + n;
		len -= (size_t)n;
	}
}

static void get(int fd, void *p, size_t len)
{
	while (len) {
		ssize_t n = read(fd, p, len);

		if (n <= 0)
			die("the other side is gone");
		p = (char *)p + n;
		len -= (size_t)n;
	}
}

/*
 * Read what the stream has now behind @len bytes of @state; return how many bytes there are then.
 */
static uint64_t read_state(struct side *s, int fd, char *state, uint64_t len, int end)
{
	ssize_t n;

	while ((n = read(fd, state + len, STATE_MAX - len)) > 0)
		len += (uint64_t)n;
	if ((n ? errno : 0) != end || len == STATE_MAX)
		die("%s: read of the state after %llu bytes", s->address, (unsigned long long)len);
	return len;
}

/*
 * Send the driver and its device to the other side. @early: what can be is read while the driver
 * works.
 */
static void leave(const struct driver *d, struct side *s, bool early)
{
	char *state = malloc(STATE_MAX), *before = malloc(RAM_SIZE), ok;
	uint64_t len = 0;
	int fd = -1;

	if (!state || !before)
		die("malloc");
	if (early) {
		fd = set_state(s, VFIO_DEVICE_STATE_PRE_COPY);
		len = read_state(s, fd, state, 0, ENOMSG);
		d->work(s, SLICE / 4);
		set_state(s, VFIO_DEVICE_STATE_STOP_COPY);
	} else {
		fd = set_state(s, VFIO_DEVICE_STATE_STOP_COPY);
	}
	memcpy(before, ram, RAM_SIZE);
	len = read_state(s, fd, state, len, 0);
	close(fd);
	put(s->peer, &len, sizeof(len));
	put(s->peer, ram, RAM_SIZE);
	put(s->peer, state, len);
	get(s->peer, &ok, 1); /* it runs there */
	usleep(1000);
	if (memcmp(before, ram, RAM_SIZE))
		die("%s: memory changed after the device was stopped", s->address);
	if (ioctl(s->vfio.device, VFIO_DEVICE_RESET))
		die("%s: VFIO_DEVICE_RESET", s->address);
	put(s->peer, &ok, 1); /* and may go on */
	free(state);
	free(before);
}

/* Take them. */
static void arrive(const struct driver *d, struct side *s)
{
	uint64_t len;
	char *state, ok = 1;
	int fd;

	get(s->peer, &len, sizeof(len));
	get(s->peer, ram, RAM_SIZE);
	state = malloc(len);
	if (!state)
		die("malloc");
	get(s->peer, state, len);
	fd = set_state(s, VFIO_DEVICE_STATE_RESUMING);
	put(fd, state, len);
	free(state);
	set_state(s, VFIO_DEVICE_STATE_STOP);
	close(fd);
	set_irqs(s);
	d->arrive(s);
	set_state(s, VFIO_DEVICE_STATE_RUNNING);
	put(s->peer, &ok, 1);
	get(s->peer, &ok, 1);
}

static void live(const struct driver *d, struct side *s, unsigned me, unsigned moves)
{
	open_side(s, d->bar_size);
	check_able(s);
	if (!me) {
		config_write(s, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		set_irqs(s);
		d->arrive(s);
		d->begin(s);
	}
	for (unsigned i = 0; i < moves; i++) {
		if (i % 2 == me) {
			d->work(s, SLICE);
			leave(d, s, i % 4 >= 2);
		} else {
			arrive(d, s);
		}
	}
	if (moves % 2 == me) {
		d->work(s, SLICE);
		d->finish(s);
	}
	vfio_close(&s->vfio);
}

void move(const struct driver *d, const char *const address[2], unsigned moves)
{
	int pair[2], status;
	pid_t child;

	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("mmap, socketpair");
	child = fork();
	if (child < 0)
		die("fork");
	{
		struct side s = { .address = address[!child], .peer = pair[!child] };

		close(pair[!!child]);
		live(d, &s, !child, moves);
	}
	if (!child)
		_exit(0);
	if (waitpid(child, &status, 0) != child || status)
		die("the other side ended with %#x", status);
}

int main(int argc, char **argv)
{
	bool nvme = argc >= 6 && !strcmp(argv[1], "nvme");
	bool vf = argc >= 6 && !strcmp(argv[1], "igbvf");

	if (argc < 6 || (!nvme && !vf && strcmp(argv[1], "igb")))
		die("usage: migrate_models nvme|igb|igbvf FROM TO MOVES IMAGE|SOCKET [buffers] "
		    "[interrupts]");
	if (nvme) {
		nvme_options.image = argv[5];
		for (int i = 6; i < argc; i++) {
			nvme_options.buffers |= !strcmp(argv[i], "buffers");
			nvme_options.interrupts |= !strcmp(argv[i], "interrupts");
		}
	} else {
		igb_partner_start(argv[5], vf);
	}
	move(nvme ? &nvme_driver
	     : vf ? &igbvf_driver
		  : &igb_driver,
	     (const char *const[]){ argv[2], argv[3] }, (unsigned)atoi(argv[4]));
	if (!nvme)
		igb_partner_end();
	return 0;
}
