/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/migrate_race_test.c: threads that do everything with a migrating device at the same time:
 * drive it, change its state, read and write the streams, ask how much there is, reset it, open and
 * close it. For a run under ThreadSanitizer and AddressSanitizer above all; afterwards the device
 * is as any other, and its state goes into a second one.
 */
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/log.h"
#include "machine/machine.h"
#include "models/testdev/regs.h"
#include "vfio/ioas.h"
#include "vfio/migrate.h"
#include "vfio/open.h"
#include "vfio/stream.h"

#define THREADS	 4u
#define IOVA	 0x100000ull
#define MEM_SIZE (64u << 10)

static unsigned calls; /* of each thread */
static uint8_t *mem;
static int event;
static struct vfio_ioas *io;
static struct vfio_device *vdev;

/* The stream that was begun last, with a reference. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct vfio_stream *current;
static uint8_t stream[1u << 20];
static size_t len;

static struct vfio_stream *get_stream(void)
{
	struct vfio_stream *s;

	pthread_mutex_lock(&lock);
	s = current;
	if (s)
		vfio_stream_get(s);
	pthread_mutex_unlock(&lock);
	return s;
}

static void set_stream(struct vfio_stream *s)
{
	struct vfio_stream *old;

	pthread_mutex_lock(&lock);
	old = current;
	current = s;
	pthread_mutex_unlock(&lock);
	if (old) {
		vfio_stream_on_ready(old, NULL, NULL);
		vfio_stream_put(old);
	}
}

/* ---- drivers ---- */

static void put(struct vfio_open *o, unsigned region, uint64_t off, uint64_t v, unsigned size)
{
	vfio_device_rw(o, region, off, &v, size, true);
}

static void drive_testdev(struct vfio_open *o, uint64_t x)
{
	put(o, 2, TD_DMA_SRC, IOVA + (x & 0xfff), 8);
	put(o, 2, TD_DMA_DST, IOVA + 0x4000, 8);
	put(o, 2, TD_DMA_LEN, 256, 8);
	put(o, 2, TD_DMA_VECTOR, x >> 12 & 3, 4);
	put(o, 2, TD_DMA_CMD, TD_OP_COPY | TD_DMA_IRQ, 4);
	put(o, 2, TD_MSI, x >> 16 & 3, 4);
	put(o, 0, x >> 20 & 0xfff8, x, 8);
}

/* A controller that is enabled now and then, and gets Identify commands. */
static void drive_nvme(struct vfio_open *o, uint64_t x)
{
	if (!(x & 15)) {
		put(o, 0, 0x14, 0, 4);
		put(o, 0, 0x24, 7 << 16 | 7, 4);
		put(o, 0, 0x28, IOVA + 0x1000, 8);
		put(o, 0, 0x30, IOVA + 0x2000, 8);
		put(o, 0, 0x14, 6 << 16 | 4 << 20 | 1, 4);
	}
	put(o, 0, 0x1000 + (x & 16 ? 4 : 0), x >> 8 & 7, 4);
}

/* A port in loopback, or a VF, with rings that other threads set up anew. */
static void drive_igb(struct vfio_open *o, uint64_t x)
{
	if (!(x & 31)) {
		put(o, 0, 0x0000, 0x41, 4);		   /* CTRL: SLU */
		put(o, 0, 0x0100, 2 | 3 << 3 | 1 << 6, 4); /* RCTL: EN, all, loopback */
		put(o, 0, 0x0400, 2, 4);		   /* TCTL: EN */
		put(o, 0, 0x2800, IOVA + 0x1000, 4);
		put(o, 0, 0x2808, 16 * 16, 4);
		put(o, 0, 0x280c, 2 | 1 << 25, 4);
		put(o, 0, 0x2828, 1 << 25, 4);
		put(o, 0, 0x3800, IOVA + 0x3000, 4);
		put(o, 0, 0x3808, 16 * 16, 4);
		put(o, 0, 0x3828, 1 << 25, 4);
		put(o, 0, 0x1524, 7, 4); /* EIMS */
		put(o, 0, 0x1700, 0x8180, 4);
		put(o, 0, 0x1680, 100 << 2, 4); /* EITR */
	}
	put(o, 0, 0x2818, x >> 8 & 15, 4);
	put(o, 0, 0x3818, x >> 12 & 15, 4);
	put(o, 0, 0x1520, x >> 16 & 7, 4); /* EICS */
	put(o, 0, 0x0c40, x >> 20 & 7, 4); /* of a VF: its mailbox */
}

static const struct kind {
	const char *spec, *addr;
	void (*drive)(struct vfio_open *o, uint64_t x);
} kinds[] = {
	{ "testdev,migration=on", "0000:01:00.0", drive_testdev },
	{ "nvme,image=%s,serial=one,incoming=on,migration=on", "0000:01:00.0", drive_nvme },
	{ "igb,migration=on", "0000:01:00.0", drive_igb },
	{ "igb,migration=on,driver=igb,sriov_numvfs=2", "0000:01:10.0", drive_igb },
};
static const struct kind *kind;

static void fill_memory(void)
{
	uint32_t *cmd = (uint32_t *)(mem + 0x1000), *tx = (uint32_t *)(mem + 0x3000);

	memset(mem, 0, MEM_SIZE);
	for (unsigned i = 0; i < 16; i++) { /* receive descriptors, or Identify commands */
		cmd[i * 4] = (uint32_t)IOVA + 0x8000 + i * 0x800;
		tx[i * 4] = (uint32_t)IOVA + 0x4000;
		tx[i * 4 + 2] = 0x2b300040; /* a whole packet of 64 bytes, reported */
		tx[i * 4 + 3] = 64 << 14;
	}
	for (unsigned i = 0; kind->drive == drive_nvme && i < 8; i++) {
		memset(cmd + i * 16, 0, 64);
		cmd[i * 16] = i << 16 | 6;
		cmd[i * 16 + 6] = (uint32_t)IOVA + 0x8000;
		cmd[i * 16 + 10] = 1;
	}
}

/* ---- what the threads do ---- */

static bool open_it(struct vfio_open *o)
{
	uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;

	vfio_open_init(o, vdev);
	if (vfio_open_bind(o))
		return false;
	if (vfio_device_attach(o, io)) {
		vfio_open_close(o);
		return false;
	}
	put(o, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, command, 2);
	return true;
}

static void on_ready(void *arg, bool ready)
{
	atomic_store((atomic_bool *)arg, ready);
}

static void change_state(struct vfio_open *o, uint32_t state)
{
	static atomic_bool is_ready;
	struct vfio_stream *s = NULL;

	vfio_migrate_set(vfio_device_migrate(o), state, &s);
	if (!s)
		return;
	vfio_stream_on_ready(s, on_ready, &is_ready);
	set_stream(s);
}

static void use_stream(uint64_t x)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	struct vfio_stream *s = get_stream();
	uint8_t buf[4096];

	if (!s)
		return;
	if (vfio_stream_resuming(s)) {
		/* all of a good one, or of one from another time, or its beginning */
		vfio_stream_write(s, (uintptr_t)stream, x & 1 ? len : x >> 8 & 0xfff);
	} else {
		vfio_stream_precopy(s, &info);
		for (unsigned i = 0; i < (x & 7); i++)
			vfio_stream_read(s, (uintptr_t)buf, sizeof(buf));
	}
	vfio_stream_put(s);
}

static void interrupts(struct vfio_open *o, bool on)
{
	int32_t fds[2] = { event, event };
	struct vfio_irq_set_args a = {
		.flags = VFIO_IRQ_SET_ACTION_TRIGGER |
			 (on ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE),
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.count = on ? 2 : 0,
		.data = on ? fds : NULL,
	};

	vfio_device_set_irqs(o, &a);
}

static void call(struct vfio_open *o, uint64_t x)
{
	uint64_t v;

	switch (x & 15) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		kind->drive(o, x >> 8);
		break;
	case 5:
		vfio_device_rw(o, x >> 8 & 1 ? VFIO_PCI_CONFIG_REGION_INDEX : 0, x >> 16 & 0xff8,
			       &v, 8, false);
		break;
	case 6:
	case 7:
	case 8:
	case 9:
		change_state(o, x >> 8 & 7);
		break;
	case 10:
	case 11:
	case 12:
		use_stream(x >> 8);
		break;
	case 13:
		interrupts(o, x >> 8 & 1);
		break;
	case 14:
		vfio_migrate_state(vfio_device_migrate(o));
		vfio_migrate_size(vfio_device_migrate(o));
		if (!(x >> 8 & 15))
			vfio_migrate_precopy_v2(vfio_device_migrate(o));
		break;
	default:
		if (x >> 8 & 3)
			vfio_device_reset(o);
		else
			put(o, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND,
			    x >> 12 & 1 ? PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER : 0, 2);
		break;
	}
}

/* Each has the device open for itself; what is the last close changes from time to time. */
static void *run(void *arg)
{
	uint64_t x = 88172645463325252ull * (uintptr_t)arg;
	struct vfio_open o;
	bool is_open = false;

	guard_install();
	for (unsigned i = 0; i < calls; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (is_open && x >> 40 & 31) {
			call(&o, x);
			continue;
		}
		if (is_open)
			vfio_open_close(&o);
		use_stream(x);
		is_open = open_it(&o);
	}
	if (is_open)
		vfio_open_close(&o);
	return NULL;
}

/* ---- before and afterwards ---- */

/* Have in `stream` what the device says now. */
static void record(struct vfio_open *o)
{
	struct vfio_stream *s = NULL;
	ssize_t n;

	assert_int_equal(vfio_migrate_set(vfio_device_migrate(o), VFIO_DEVICE_STATE_STOP_COPY, &s),
			 0);
	len = 0;
	while ((n = vfio_stream_read(s, (uintptr_t)stream + len, sizeof(stream) - len)) > 0)
		len += (size_t)n;
	assert_int_equal(n, 0);
	vfio_stream_put(s);
	assert_int_equal(vfio_migrate_set(vfio_device_migrate(o), VFIO_DEVICE_STATE_RUNNING, &s),
			 0);
}

/* Have it take its own state back. */
static void play(struct vfio_open *o)
{
	struct vfio_stream *s = NULL;

	assert_int_equal(vfio_migrate_set(vfio_device_migrate(o), VFIO_DEVICE_STATE_RESUMING, &s),
			 0);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)stream, len), len);
	vfio_stream_put(s);
	assert_int_equal(vfio_migrate_set(vfio_device_migrate(o), VFIO_DEVICE_STATE_RUNNING, &s),
			 0);
}

static void race(const struct kind *k)
{
	char image[] = "/tmp/uvfio-race-XXXXXX", spec[128];
	struct machine *m = machine_new();
	pthread_t threads[THREADS];
	struct machine_device *d;
	struct vfio_open o;
	int fd = mkstemp(image);

	kind = k;
	assert_true(fd >= 0 && !ftruncate(fd, 1 << 20));
	snprintf(spec, sizeof(spec), k->spec, image);
	assert_non_null(m);
	assert_int_equal(machine_add(m, spec, NULL), 0);
	assert_int_equal(machine_start(m, NULL), 0);
	d = machine_find(m, k->addr);
	assert_non_null(d);
	vdev = d->vdev;
	io = vfio_ioas_new(machine_system(m), false);
	assert_non_null(io);
	fill_memory();
	assert_int_equal(
		vfio_ioas_map(io, IOVA, (uintptr_t)mem, MEM_SIZE, IOMMU_READ | IOMMU_WRITE), 0);
	assert_true(open_it(&o));
	assert_non_null(vfio_device_migrate(&o));
	record(&o);
	vfio_open_close(&o);
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	set_stream(NULL);
	assert_true(open_it(&o));
	assert_int_equal(vfio_migrate_state(vfio_device_migrate(&o)), VFIO_DEVICE_STATE_RUNNING);
	fill_memory();
	for (uint64_t x = 0; x < 64; x++)
		k->drive(&o, x << 8);
	record(&o);
	play(&o);
	vfio_open_close(&o);
	vfio_ioas_put(io);
	machine_free(m, false);
	unlink(image);
	close(fd);
}

static void testdev(void **state)
{
	race(&kinds[0]);
}
static void nvme(void **state)
{
	race(&kinds[1]);
}
static void igb(void **state)
{
	race(&kinds[2]);
}
static void virtual_function(void **state)
{
	race(&kinds[3]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(testdev), cmocka_unit_test(nvme),
					    cmocka_unit_test(igb),
					    cmocka_unit_test(virtual_function) };

	guard_install();
	log_set(-1, LOG_NONE);
	calls = getenv("UVFIO_LONG") ? 50000 : 1500;
	event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
