/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/claim_test.c: a device is made when a process claims its group, and is gone with the
 * claim. Machines that share a run directory stand for processes.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "machine/internal.h"
#include "machine/run/run.h"
#include "machine/test_dir.h"
#include "pci/function.h"
#include "vfio/test_system.h"

#define MAX 4

static const char *specs[MAX + 1];
static char *places[MAX];

static int make_dir(void **state)
{
	log_set(2, LOG_NONE);
	return test_make_dir(state);
}

static int drop_dir(void **state)
{
	for (unsigned i = 0; i < MAX; i++) {
		free(places[i]);
		places[i] = NULL;
	}
	return test_drop_dir(state);
}

/* A file of 1 MiB in the directory: the option that names it. */
static const char *image(const char *name)
{
	static char text[MAX][128];
	static unsigned n;
	char *t = text[n++ % MAX], path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0 && !ftruncate(fd, 1 << 20));
	close(fd);
	snprintf(t, sizeof(text[0]), "nvme,image=%s", path);
	return t;
}

/* Make all of them once, as `uvfio run` does. */
static struct machine *begin(const char *const *list)
{
	struct machine *m = machine_new();
	char *err;

	for (unsigned i = 0; list[i]; i++) {
		specs[i] = list[i];
		specs[i + 1] = NULL;
		if (machine_add(m, list[i], &err))
			fail_msg("%s: %s", list[i], err);
		assert_int_equal(machine_settle(m, &places[i]), 0);
	}
	assert_int_equal(machine_write_view(m, dir), 0);
	return m;
}
#define BEGIN(...) machine_free(begin((const char *const[]){ __VA_ARGS__, NULL }), false)

static struct machine *process(void)
{
	struct machine *m = machine_new();
	char *err;

	assert_int_equal(machine_claim_dir(m, dir), 0);
	for (unsigned i = 0; specs[i]; i++)
		if (machine_add_settled(m, specs[i], places[i], &err))
			fail_msg("%s: %s", specs[i], err);
	return m;
}

static int take(struct machine *m, unsigned id)
{
	struct vfio_group *g;
	int rc;

	do {
		assert_int_equal(machine_sync(m), 0);
		g = vfio_system_group(machine_system(m), id);
		rc = g ? vfio_group_open(machine_system(m), g) : -ENOENT;
	} while (rc == -EAGAIN);
	return rc;
}

static void give(struct machine *m, unsigned id)
{
	vfio_group_release(machine_system(m), vfio_system_group(machine_system(m), id));
}

static bool made(struct machine *m, const char *addr)
{
	uint8_t cfg[PCI_CFG_EXP_SIZE];
	struct machine_device *d = machine_find(m, addr);
	int size = machine_config(m, addr, cfg);

	assert_non_null(d);
	assert_int_equal(d->face != NULL, size > 0);
	assert_int_equal(test_find_device(machine_system(m), addr) != NULL, d->vdev != NULL);
	return size > 0;
}

static void each_its_own(void **state)
{
	struct machine *a, *b;

	BEGIN(image("a"), image("b"), "edu,group=9");
	a = process();
	b = process();
	assert_false(made(a, "0000:01:00.0"));
	/* two disks in two processes, whichever comes first */
	assert_int_equal(take(a, 2), 0);
	assert_int_equal(take(b, 1), 0);
	assert_true(made(a, "0000:02:00.0") && !made(a, "0000:01:00.0"));
	assert_true(made(b, "0000:01:00.0") && !made(b, "0000:02:00.0"));
	assert_int_equal(take(a, 1), -EBUSY);
	assert_int_equal(take(b, 2), -EBUSY);
	assert_int_equal(take(a, 2), -EBUSY);
	assert_int_equal(take(a, 9), 0);
	/* and the other way round, while both live */
	give(a, 2);
	assert_false(made(a, "0000:02:00.0"));
	assert_int_equal(take(b, 2), 0);
	give(b, 1);
	assert_int_equal(take(a, 1), 0);
	give(a, 1);
	assert_int_equal(take(a, 1), 0);
	/* the end of one is the same as its closing everything */
	machine_free(b, false);
	assert_int_equal(take(a, 2), 0);
	machine_free(a, false);
}

static void same_machine(void **state)
{
	static const char *const list[] = { "testdev", "edu,addr=07:00.0", "testdev,group=1",
					    "testdev,id=x", NULL };
	static const char *const addrs[] = { "0000:01:00.0", "0000:07:00.0", "0000:02:00.0",
					     "0000:03:00.0" };
	static const unsigned groups[] = { 1, 2, 1, 3 };
	struct machine *whole = begin(list), *a = process();

	/* the last one alone is where it is when all are there */
	assert_int_equal(take(a, 3), 0);
	assert_int_equal(take(a, 2), 0);
	assert_int_equal(take(a, 1), 0);
	for (unsigned i = 0; i < MAX; i++) {
		uint8_t want[PCI_CFG_EXP_SIZE], got[PCI_CFG_EXP_SIZE];
		int n = machine_config(whole, addrs[i], want);

		assert_true(n > 0);
		assert_int_equal(machine_config(a, addrs[i], got), n);
		/* IDs, BARs, the line; the VPD registers stand where the view's reader left them */
		assert_memory_equal(got, want, PCI_STD_HEADER_SIZEOF);
		assert_int_equal(machine_find(a, addrs[i])->group, groups[i]);
	}
	/* one group, two devices: both are made, both go */
	give(a, 1);
	assert_true(!made(a, "0000:01:00.0") && !made(a, "0000:02:00.0") &&
		    made(a, "0000:03:00.0"));
	machine_free(a, false);
	machine_free(whole, false);
}

static void cannot_be_made(void **state)
{
	struct machine *a, *b;
	char path[96], aside[96];
	int fd;

	BEGIN(image("a"), image("b"));
	a = process();
	b = process();
	snprintf(path, sizeof(path), "%s/a", dir);
	snprintf(aside, sizeof(aside), "%s/aside", dir);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(take(a, 1), -EIO);
	assert_int_equal(take(a, 2), 0);
	assert_int_equal(take(b, 1), -EIO);
	/* nothing is kept of the attempt */
	assert_int_equal(rename(aside, path), 0);
	assert_int_equal(take(b, 1), 0);
	give(b, 1);
	/* somebody outside of the run has the image */
	fd = open(path, O_RDWR);
	assert_int_equal(run_lock_file(fd, F_WRLCK, false), 0);
	assert_int_equal(take(a, 1), -EIO);
	close(fd);
	assert_int_equal(take(a, 1), 0);
	machine_free(a, false);
	machine_free(b, false);
}

static uint64_t unique(struct machine *m, unsigned i)
{
	return uvfio_unique(machine_device(m, i)->face->hardware);
}

/*
 * A device's uvfio_unique() is the same in each process of a run, and in no other run.
 */
static void unique_in_the_run(void **state)
{
	struct machine *m = begin((const char *const[]){ "edu", "edu", NULL }), *again;
	uint64_t first = unique(m, 0), second = unique(m, 1);

	assert_int_not_equal(first, second);
	machine_free(m, false);
	for (unsigned i = 0; i < 2; i++) {
		m = process();
		assert_int_equal(take(m, 2), 0);
		assert_int_equal(take(m, 1), 0);
		assert_int_equal(unique(m, 0), first);
		assert_int_equal(unique(m, 1), second);
		give(m, 1);
		assert_int_equal(take(m, 1), 0);
		assert_int_equal(unique(m, 0), first);
		machine_free(m, false);
	}
	/* two machines of one process are two runs */
	m = machine_new();
	again = machine_new();
	assert_int_equal(machine_add(m, "edu", NULL), 0);
	assert_int_equal(machine_add(again, "edu", NULL), 0);
	assert_int_not_equal(unique(m, 0), unique(again, 0));
	assert_int_not_equal(unique(m, 0), first);
	machine_free(again, false);
	machine_free(m, false);
}

static void bad_places(void **state)
{
	static const char *const bad[] = { "",
					   "x",
					   "0000:01:00.0",
					   "0000:01:00.0 1 1000 e0000000 0 0 0",
					   "0000:01:00.0 1 1000 e0000000 0 0 0 0",
					   "01:00.0.0 1 1000 e0000000 380000000000 0 0 0 1",
					   "0000:01:00.0 1 1000 e0000000 380000000000 999 1 1 1" };
	struct machine *m = machine_new();
	char *err;

	assert_int_equal(machine_claim_dir(m, dir), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		err = NULL;
		assert_int_equal(machine_add_settled(m, "edu", bad[i], &err), -EINVAL);
		assert_non_null(strstr(err, "does not say where it is"));
		free(err);
	}
	assert_int_equal(machine_num_devices(m), 0);
	machine_free(m, false);
}

/* Both ends of a cable are in the process that uses one of them, whichever names the other. */
static void cables(void **state)
{
	struct machine *a, *b;

	BEGIN("igb,id=p", "edu", "igb,id=q,net=peer:r", "igb,id=r,net=peer:q");
	a = process();
	b = process();
	assert_int_equal(take(a, 4), 0);
	assert_true(made(a, "0000:03:00.0") && made(a, "0000:04:00.0") && !made(a, "0000:01:00.0"));
	assert_int_equal(take(b, 3), -EBUSY);
	assert_int_equal(take(b, 1), 0);
	assert_int_equal(take(b, 2), 0);
	assert_int_equal(take(a, 3), 0);
	give(a, 4);
	assert_true(made(a, "0000:03:00.0") && made(a, "0000:04:00.0"));
	assert_int_equal(take(b, 4), -EBUSY);
	give(a, 3);
	assert_false(made(a, "0000:04:00.0"));
	assert_int_equal(take(b, 4), 0);
	machine_free(a, false);
	machine_free(b, false);
}

static void chain_of_cables(void **state)
{
	struct machine *a, *b;

	/* the last one brings two pairs together */
	BEGIN("igb,id=p", "igb,id=q", "igb,id=r,net=peer:p", "edu,group=3");
	a = process();
	b = process();
	assert_int_equal(take(a, 1), 0);
	assert_true(made(a, "0000:04:00.0") && made(a, "0000:03:00.0"));
	assert_int_equal(take(b, 3), -EBUSY);
	assert_int_equal(take(b, 2), 0);
	machine_free(a, false);
	machine_free(b, false);
}

static void families(void **state)
{
	struct machine *a, *b;

	BEGIN("igb,sriov_numvfs=2", "igb,driver=igb");
	a = process();
	b = process();
	/* a VF is not without its PF */
	assert_int_equal(take(a, 4), 0);
	assert_true(made(a, "0000:01:00.0") && made(a, "0000:01:10.0") && made(a, "0000:01:10.2"));
	assert_int_equal(uvfio_num_vfs(machine_device(a, 0)->face->hardware), 2);
	assert_false(made(a, "0000:02:00.0"));
	assert_int_equal(take(b, 1), -EBUSY);
	assert_int_equal(take(b, 3), -EBUSY);
	give(a, 4);
	assert_false(made(a, "0000:01:10.2"));
	assert_int_equal(take(b, 3), 0);
	give(b, 3);
	/* other VFs, while nobody has any, and while the PF is open */
	assert_int_equal(
		run_store(dir, "/sys/devices/pci0000:01/0000:01:00.0/sriov_numvfs", "0", 1, NULL),
		1);
	assert_int_equal(take(a, 4), -ENOENT);
	assert_int_equal(take(a, 1), 0);
	assert_int_equal(uvfio_num_vfs(machine_device(a, 0)->face->hardware), 0);
	assert_int_equal(
		run_store(dir, "/sys/devices/pci0000:01/0000:01:00.0/sriov_numvfs", "1", 1, NULL),
		1);
	assert_int_equal(take(a, 3), 0);
	assert_int_equal(uvfio_num_vfs(machine_device(a, 0)->face->hardware), 1);
	give(a, 1);
	assert_true(made(a, "0000:01:00.0"));
	give(a, 3);
	/* a PF that a host drives is there for its VFs */
	assert_int_equal(
		run_store(dir, "/sys/devices/pci0000:02/0000:02:00.0/sriov_numvfs", "1", 1, NULL),
		1);
	assert_int_equal(take(b, 4), 0);
	assert_true(made(b, "0000:02:00.0") && made(b, "0000:02:10.0") && !made(b, "0000:01:00.0"));
	machine_free(a, false);
	machine_free(b, false);
}

/*
 * A neighbour in the slot is listed, made or not, and a slot is not reset that is not here as a
 * whole.
 */
static void neighbours(void **state)
{
	struct vfio_place at[4];
	struct vfio_device *dev;
	struct machine *a, *b;

	BEGIN("edu,addr=01:00.0", "edu,addr=01:00.1", "edu,addr=01:01.0");
	a = process();
	b = process();
	assert_int_equal(take(a, 1), 0);
	assert_int_equal(take(b, 2), 0);
	dev = machine_find(a, "01:00.0")->vdev;
	assert_int_equal(vfio_slot_places(dev, at, 4), 2);
	assert_ptr_equal(at[0].dev, dev);
	assert_null(at[1].dev);
	assert_int_equal(at[1].group->iommu->id, 2);
	assert_int_equal(at[1].address.bus << 8 | pci_address_devfn(&at[1].address), 0x101);
	assert_int_equal(vfio_slot_reset(dev), -EINVAL);
	give(b, 2);
	assert_int_equal(take(a, 2), 0);
	assert_int_equal(vfio_slot_reset(dev), 0);
	machine_free(a, false);
	machine_free(b, false);
}

/* Threads of two processes open and close the same few groups. */
static struct machine *racers[2];
static atomic_uint opens;
static atomic_bool stop;

static void *racer(void *arg)
{
	struct machine *m = racers[(uintptr_t)arg & 1];
	unsigned id = 1 + (unsigned)((uintptr_t)arg >> 1);

	while (!atomic_load(&stop)) {
		int rc = take(m, id);

		if (!rc) {
			atomic_fetch_add(&opens, 1);
			give(m, id);
		} else if (rc != -EBUSY) {
			fail_msg("group %u: %s", id, strerror(-rc));
		}
		machine_auto_mmap_off(m);
		machine_find(m, "01:00.0");
	}
	return NULL;
}

static void races(void **state)
{
	pthread_t t[6];

	BEGIN(image("a"), "igb,id=p,net=peer:q", "igb,id=q");
	racers[0] = process();
	racers[1] = process();
	atomic_store(&stop, false);
	for (uintptr_t i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&t[i], NULL, racer, (void *)i), 0);
	while (atomic_load(&opens) < 300)
		usleep(1000);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned id = 1; id <= 3; id++)
			assert_int_equal(take(racers[i], id), 0);
		machine_free(racers[i], false);
	}
}

int main(void)
{
#define RUN(name) cmocka_unit_test_setup_teardown(name, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		RUN(each_its_own), RUN(same_machine),	   RUN(cannot_be_made), RUN(bad_places),
		RUN(cables),	   RUN(chain_of_cables),   RUN(families),	RUN(neighbours),
		RUN(races),	   RUN(unique_in_the_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
