/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench/bench_msi.c: from a model's uvfio_msi() to the eventfd that the driver gave, beside an
 * eventfd_write(3) by hand. The counter is never read: both only add to it. QEMU, DPDK and SPDK
 * make their eventfds with EFD_NONBLOCK; on one that blocks a look goes before each write
 * (vfio/irqfd.c).
 */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "uvfio/model.h"
#include "api/internal.h"
#include "bench.h"

struct msi {
	struct uvfio_dev *fn;
	int fd;
};

static void by_hand(void *arg, uint64_t n)
{
	struct msi *m = arg;

	for (uint64_t i = 0; i < n; i++)
		eventfd_write(m->fd, 1);
}

static void by_model(void *arg, uint64_t n)
{
	struct msi *m = arg;

	for (uint64_t i = 0; i < n; i++)
		uvfio_msi(m->fn, 0);
}

static void start(struct uvfio *u, const char *spec, enum uvfio_irq_index index, int flags,
		  struct msi *m)
{
	struct uvfio_device *dev;
	int rc;

	rc = uvfio_open_model(u, spec, &dev);
	if (rc)
		bench_die(uvfio_strerror(u), rc);
	m->fd = eventfd(0, EFD_CLOEXEC | flags);
	rc = uvfio_bus_master(dev, true);
	if (!rc)
		rc = uvfio_irq_enable(dev, index, 0, 1, &m->fd);
	if (rc)
		bench_die(uvfio_strerror(u), rc);
	m->fn = dev->plugged->face->hardware;
}

static void check(struct msi *m)
{
	eventfd_t v = 0;

	uvfio_msi(m->fn, 0);
	if (eventfd_read(m->fd, &v) || v != 1)
		bench_die("the message did not arrive", 5);
}

int main(void)
{
	static struct msi msi, msix, blocking;
	struct uvfio *u = uvfio_new();
	struct bench b = { .n = 0 };
	int f;

	if (!u)
		bench_die("uvfio_new", 12);
	start(u, "edu", UVFIO_INDEX_MSI, EFD_NONBLOCK, &msi);
	start(u, "testdev", UVFIO_INDEX_MSIX, EFD_NONBLOCK, &msix);
	start(u, "testdev", UVFIO_INDEX_MSIX, 0, &blocking);
	check(&msi);
	check(&msix);
	check(&blocking);
	f = bench_floor(&b, "eventfd_write", by_hand, &msi, 1u << 11);
	bench_add(&b, "uvfio_msi, MSI", by_model, &msi, 1u << 11, f, 1.3, 0);
	bench_add(&b, "uvfio_msi, MSI-X", by_model, &msix, 1u << 11, f, 1.3, 0);
	bench_add(&b, "uvfio_msi, MSI-X, eventfd without EFD_NONBLOCK", by_model, &blocking,
		  1u << 11, f, 0, 0);
	bench_run(&b);
	uvfio_free(u);
	return 0;
}
