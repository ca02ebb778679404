/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/hot_reset/hammer.c: `hammer ADDRESS ADDRESS`: threads load from and store to mapped BARs of
 * two devices on one bus while all is reset, decoding goes off and on, and low power comes and
 * goes. What is written down is the same on the kernel (tests/hot_reset.sh): an access during a
 * reset waits for its end and is no error; with decoding off, and in low power, each thread gets
 * SIGBUS, and none any more when that has ended. libc alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/saw.h"
#include "lib/vfio.h"

#define CONFIG	VFIO_REGION(VFIO_PCI_CONFIG_REGION_INDEX)
#define THREADS 4
/* loads and stores of it are harmless: edu's inverter, the upper half of NVMe's CAP, CTRL again */
#define REGISTER 1
#define PATIENT	 5000 /* times 1 ms, for what a thread will see */

static struct dev {
	const char *address;
	char path[128];
	int group, device;
	volatile uint32_t *map;
} devs[2];

static struct hammer {
	pthread_t thread;
	struct dev *dev;
	atomic_ulong done, faults;
} hammers[THREADS];
static atomic_bool stop;
static _Thread_local sigjmp_buf out;

static __attribute__((noreturn)) void give_up(const char *what)
{
	printf("gave up: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void on_fault(int sig)
{
	siglongjmp(out, sig);
}

static void *hammer(void *arg)
{
	struct hammer *h = arg;

	while (!atomic_load(&stop)) {
		if (sigsetjmp(out, 1)) {
			atomic_fetch_add(&h->faults, 1);
			continue;
		}
		h->dev->map[REGISTER] = h->dev->map[REGISTER];
		atomic_fetch_add(&h->done, 1);
	}
	return NULL;
}

static void open_all(void)
{
	int container = open("/dev/vfio/vfio", O_RDWR);

	for (unsigned int i = 0; i < 2; i++) {
		struct dev *v = &devs[i];
		uint32_t command = PCI_COMMAND_MEMORY;
		void *p;

		if (vfio_group_path(v->address, v->path, sizeof(v->path)))
			give_up(v->address);
		v->group = devs[0].group;
		if (!i || strcmp(devs[0].path, v->path)) {
			v->group = open(v->path, O_RDWR);
			if (ioctl(v->group, VFIO_GROUP_SET_CONTAINER, &container))
				give_up(v->path);
		}
		if (!i && ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
			give_up("VFIO_SET_IOMMU");
		v->device = ioctl(v->group, VFIO_GROUP_GET_DEVICE_FD, v->address);
		if (v->device < 0 || pwrite(v->device, &command, 2, CONFIG + PCI_COMMAND) != 2)
			give_up(v->address);
		p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, v->device, 0);
		if (p == MAP_FAILED)
			give_up("mmap");
		v->map = p;
	}
}

/* All groups are named; somebody who holds a lock at that moment makes it EBUSY or EAGAIN. */
static bool hot_reset(void)
{
	uint32_t b[5] = { sizeof(b), 0, 2, (uint32_t)devs[0].group, (uint32_t)devs[1].group };
	int tries = 0;

	while (ioctl(devs[0].device, VFIO_DEVICE_PCI_HOT_RESET, b)) {
		if ((errno != EBUSY && errno != EAGAIN) || ++tries > PATIENT)
			return false;
		usleep(100);
	}
	return true;
}

static unsigned long faults(void)
{
	unsigned long sum = 0;

	for (unsigned int i = 0; i < THREADS; i++)
		sum += atomic_load(&hammers[i].faults);
	return sum;
}

/* Wait until each thread has made an access that succeeds, or a fault. False: it does not come. */
static bool each(bool fault, const struct dev *of)
{
	for (unsigned int i = 0; i < THREADS; i++) {
		atomic_ulong *n = fault ? &hammers[i].faults : &hammers[i].done;
		unsigned long before = atomic_load(n);

		for (int k = 0; hammers[i].dev == of && atomic_load(n) < before + 2; k++) {
			if (k == PATIENT)
				return false;
			usleep(1000);
		}
	}
	return true;
}

static void resets(int times)
{
	unsigned long before = faults();
	bool ok = true;

	for (int i = 0; i < times && ok; i++)
		ok = hot_reset() && each(false, &devs[i % 2]);
	saw(ok, "resets of the bus");
	saw(faults() != before, "resets of the bus: SIGBUS");
}

static void decoding(void)
{
	uint32_t off = 0, on = PCI_COMMAND_MEMORY;
	bool bus = true, back = true;
	unsigned long before;

	for (int i = 0; i < 20; i++) {
		struct dev *v = &devs[i % 2];

		if (pwrite(v->device, &off, 2, CONFIG + PCI_COMMAND) != 2)
			give_up("command");
		bus &= each(true, v) && hot_reset() && each(true, v);
		if (pwrite(v->device, &on, 2, CONFIG + PCI_COMMAND) != 2)
			give_up("command");
		back &= each(false, v);
		before = faults();
		back &= each(false, v) && faults() == before;
	}
	saw(bus, "decoding off: SIGBUS in each thread");
	saw(back, "decoding on: none");
}

static void low_power(void)
{
	uint32_t f[2] = { sizeof(f) };
	bool bus = true, back = true;
	unsigned long before;

	for (int i = 0; i < 10; i++) {
		struct dev *v = &devs[i % 2];

		f[1] = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY;
		if (ioctl(v->device, VFIO_DEVICE_FEATURE, f))
			give_up("entry");
		bus &= each(true, v);
		f[1] = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT;
		if (ioctl(v->device, VFIO_DEVICE_FEATURE, f))
			give_up("exit");
		back &= each(false, v);
		before = faults();
		back &= each(false, v) && faults() == before;
	}
	saw(bus, "low power: SIGBUS in each thread");
	saw(back, "low power ended: none");
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_fault };

	if (argc < 3)
		return 2;
	devs[0].address = argv[1];
	devs[1].address = argv[2];
	open_all();
	sigaction(SIGBUS, &sa, NULL);
	for (unsigned int i = 0; i < THREADS; i++) {
		hammers[i].dev = &devs[i % 2];
		pthread_create(&hammers[i].thread, NULL, hammer, &hammers[i]);
	}
	resets(argc > 3 ? atoi(argv[3]) : 10);
	decoding();
	low_power();
	atomic_store(&stop, true);
	for (unsigned int i = 0; i < THREADS; i++)
		pthread_join(hammers[i].thread, NULL);
	return 0;
}
