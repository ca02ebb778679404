/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/sriov_test.c: virtual functions in a machine and in a run: where they are, in which
 * groups; two machines on one run directory stand for two processes.
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
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "machine/internal.h"
#include "machine/run/run.h"
#include "machine/test_dir.h"
#include "pci/function.h"
#include "vfio_pci/vfio_pci.h"

#define PF "0000:01:00.0"

static int make_dir(void **state)
{
	log_set(2, LOG_ERR);
	return test_make_dir(state);
}

static bool there(const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return !lstat(path, &st);
}

static const char *text_of(const char *name)
{
	static char text[256];
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return "(none)";
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return text;
}

static long put(const char *text)
{
	return run_store(dir, "/sys/devices/pci0000:01/" PF "/sriov_numvfs", text, strlen(text),
			 NULL);
}

static void sync_now(struct machine *m)
{
	assert_int_equal(machine_sync(m), 0);
}

/* ---- in one process ---- */

static void at_the_start(void **state)
{
	struct machine *m = MACHINE("igb,sriov_numvfs=3");
	struct machine_device *pf, *vf;
	uint64_t bar;

	assert_int_equal(machine_add(m, "edu", NULL), 0);
	assert_null(machine_vf(m, machine_device(m, 0), 0));
	assert_int_equal(machine_start(m, NULL), 0);
	assert_int_equal(machine_start(m, NULL), 0);
	assert_int_equal(machine_num_devices(m), 2);
	pf = machine_device(m, 0);
	assert_int_equal(uvfio_num_vfs(pf->face->hardware), 3);
	assert_null(machine_vf(m, pf, 3));
	assert_null(machine_vf(m, machine_device(m, 1), 0));
	for (unsigned i = 0; i < 3; i++) {
		char addr[16];

		vf = machine_vf(m, pf, i);
		snprintf(addr, sizeof(addr), "0000:01:10.%u", 2 * i);
		assert_string_equal(vf->addr, addr);
		assert_ptr_equal(machine_find(m, addr + 5), vf);
		assert_ptr_equal(pci_function_pf(vf->face->hardware), pf->face->hardware);
		assert_int_equal(vf->group, 3 + i);
		assert_int_equal(vfio_system_group(machine_system(m), 3 + i)->n, 1);
		assert_ptr_equal(vf->vdev->pf, pf->vdev);
		bar = pci_face_bar_address(vf->face, 0);
		assert_true(bar == pci_face_bar_address(pf->face, PCI_FACE_VF_BARS) +
					   i * pci_function_bar(vf->face->hardware, 0)->size);
	}
	/* without a run directory there is nothing to follow */
	sync_now(m);
	assert_int_equal(uvfio_num_vfs(pf->face->hardware), 3);
	machine_free(m, false);
}

static void refused(void **state)
{
	static const struct {
		const char *first, *spec, *say;
		int rc;
	} bad[] = {
		{ NULL, "igb,sriov_numvfs=9", "it has 8 virtual functions", -ERANGE },
		{ NULL, "edu,sriov_numvfs=1", "it has 0 virtual functions", -ERANGE },
		{ NULL, "igb,sriov_numvfs=-1", "not a number", -EINVAL },
		{ NULL, "igb,sriov_numvfs=", "not a number", -EINVAL },
		{ NULL, "edu,driver=igb", "can have vfio-pci, pci-stub, none", -EINVAL },
		{ NULL, "igb,driver=e1000", "pci-stub, none or igb", -EINVAL },
		{ NULL, "igb,addr=ff:1f.0", "beyond the last bus", -EINVAL },
		{ "igb", "edu,addr=01:11.4", "for a virtual function", -EBUSY },
		{ "edu,addr=01:11.4", "igb,addr=01:00.0",
		  "virtual function 6 would be at 0000:01:11.4", -EBUSY },
		{ "igb,addr=01:00.0", "igb,addr=01:00.2", "would be at 0000:01:10.2", -EBUSY },
	};
	struct machine *m;
	char *err;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		m = MACHINE(bad[i].first ? bad[i].first : "edu,addr=40:00.0");
		err = NULL;
		assert_int_equal(machine_add(m, bad[i].spec, &err), bad[i].rc);
		if (!strstr(err, bad[i].say))
			fail_msg("%s: %s", bad[i].spec, err);
		free(err);
		assert_int_equal(machine_num_devices(m), 1);
		machine_free(m, false);
	}
	/* the two ports of one card lie beside each other */
	m = MACHINE("igb,addr=01:00.0");
	assert_int_equal(machine_add(m, "igb,addr=01:00.1", NULL), 0);
	machine_free(m, false);
}

static const uint8_t token[16] = { 0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x33, 0x33,
				   0x44, 0x44, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55 };

static void host_driver(void **state)
{
	struct machine *m = MACHINE("igb,driver=igb,sriov_numvfs=1");
	struct machine_device *pf = machine_device(m, 0), *vf;

	assert_int_equal(machine_start(m, NULL), 0);
	assert_null(pf->vdev);
	assert_string_equal(pf->driver, "igb");
	assert_null(vfio_system_group(machine_system(m), pf->group));
	vf = machine_vf(m, pf, 0);
	assert_string_equal(vf->driver, "vfio-pci");
	assert_null(vf->vdev->pf);
	assert_int_equal(vfio_device_check_token(vf->vdev, NULL), 0);
	assert_int_equal(vfio_device_check_token(vf->vdev, token), -EINVAL);
	assert_null(vf->vdev->ops->slot_reset);
	assert_true(pci_config_read(pf->face->hardware, PCI_COMMAND, 2) & PCI_COMMAND_MASTER);
	machine_free(m, false);
}

/* ---- in a run ---- */

static void numbers(void **state)
{
	static const struct {
		const char *text;
		long rc;
	} t[] = {
		{ "", 0 },
		{ "x", -EINVAL },
		{ "-1", -EINVAL },
		{ "1 ", -EINVAL },
		{ " 1", -EINVAL },
		{ "0x", -EINVAL },
		{ "+", -EINVAL },
		{ "++1", -EINVAL },
		{ "08", -EINVAL },
		{ "1\n\n", -EINVAL },
		{ "65536", -EINVAL },
		{ "18446744073709551617", -EINVAL },
		{ "9", -ERANGE },
		{ "65535", -ERANGE },
		{ "0xffff", -ERANGE },
		{ "0", 1 },
		{ "010\n", 4 },
		{ "8", 1 },
		{ "0x8", 3 },
		{ "+8", 2 },
		{ "7", -EBUSY },
		{ "9", -ERANGE },
		{ "0", 1 },
		{ "0X1\n", 4 },
	};
	struct machine *m = MACHINE("igb");
	char big[200];

	assert_int_equal(put("1"), -ENODEV); /* no view, no PF */
	assert_int_equal(machine_write_view(m, dir), 0);
	assert_int_equal(
		run_store(dir, "/sys/devices/pci0000:02/0000:02:00.0/sriov_numvfs", "1", 1, NULL),
		-ENODEV);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		if (put(t[i].text) != t[i].rc)
			fail_msg("'%s': %ld", t[i].text, put(t[i].text));
	memset(big, '0', sizeof(big));
	assert_int_equal(run_store(dir, "/sys/devices/pci0000:01/" PF "/sriov_numvfs", big,
				   sizeof(big), NULL),
			 -EINVAL);
	assert_string_equal(text_of("sys/devices/pci0000:01/" PF "/sriov_numvfs"), "1\n");
	machine_free(m, false);
}

static void view(void **state)
{
	static const char *const shown[] = {
		"sys/devices/pci0000:01/" PF "/virtfn1",
		"sys/devices/pci0000:01/0000:01:10.2/physfn",
		"sys/devices/pci0000:01/0000:01:10.2/iommu_group",
		"sys/bus/pci/devices/0000:01:10.2",
		"sys/bus/pci/drivers/vfio-pci/0000:01:10.2",
		"sys/kernel/iommu_groups/4/devices/0000:01:10.2",
		"sys/kernel/iommu_groups/4/type",
		"sys/devices/virtual/iommu/uvfio-iommu/devices/0000:01:10.2",
		"dev/vfio/4",
	};
	struct machine *m = MACHINE("igb");

	assert_int_equal(machine_add(m, "edu", NULL), 0);
	assert_int_equal(machine_write_view(m, dir), 0);
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		assert_false(there(shown[i]));
	assert_int_equal(put("2"), 1);
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		if (!there(shown[i]))
			fail_msg("%s", shown[i]);
	assert_string_equal(text_of("sys/devices/pci0000:01/0000:01:10.2/vendor"), "0x8086\n");
	assert_string_equal(text_of("sys/devices/pci0000:01/0000:01:10.2/device"), "0x10ca\n");
	assert_int_equal(put("0"), 1);
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		assert_false(there(shown[i]));
	assert_false(there("sys/kernel/iommu_groups/4"));

	/* a view that cannot be changed any more: nothing of it, and the number stays */
	assert_true(there("vfs/0000:01:10.2/vendor"));
	{
		char from[PATH_MAX], to[PATH_MAX];

		snprintf(from, sizeof(from), "%s/vfs/0000:01:10.2", dir);
		snprintf(to, sizeof(to), "%s/vfs/gone", dir);
		assert_int_equal(rename(from, to), 0);
		log_set(2, LOG_NONE);
		assert_int_equal(put("2"), -ENOENT);
		log_set(2, LOG_ERR);
		for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
			assert_false(there(shown[i]));
		assert_true(there("vfs/0000:01:10.0"));
		assert_false(there("dev/vfio/3"));
		assert_string_equal(text_of("sys/devices/pci0000:01/" PF "/sriov_numvfs"), "0\n");
		assert_int_equal(rename(to, from), 0);
	}
	assert_int_equal(put("2"), 1);
	machine_free(m, false);
}

/* A writer is killed on its way: it leaves any number of names made, or taken away. */
static void killed_writer(void **state)
{
	struct machine *m = MACHINE("igb");
	unsigned steps = 0, killed = 0;
	bool done = false;

	assert_int_equal(machine_write_view(m, dir), 0);
	for (const char *text = "2";; steps += 3) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			/*
			 * the kernel kills it at its n-th write to the file system: a limit of time
			 * would not be the same each time
			 */
			if (ptrace(PTRACE_TRACEME, 0, 0, 0))
				_exit(2);
			raise(SIGSTOP);
			_exit(put(text) == 1 ? 0 : 3);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status))
			skip(); /* no ptrace here */
		for (unsigned n = 0; n < 2 * steps; n++) {
			assert_int_equal(ptrace(PTRACE_SYSCALL, pid, 0, 0), 0);
			assert_int_equal(waitpid(pid, &status, 0), pid);
			if (!WIFSTOPPED(status))
				break;
		}
		done = !WIFSTOPPED(status);
		if (done) {
			assert_int_equal(WEXITSTATUS(status), 0);
		} else {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			killed++;
		}
		/* whatever it is now: none, and then two, can be had */
		if (put("0") != 1)
			fail_msg("killed at call %u of writing %s", steps, text);
		assert_false(there("sys/bus/pci/devices/0000:01:10.0"));
		assert_false(there("sys/kernel/iommu_groups/2"));
		assert_int_equal(put("2"), 1);
		assert_true(there("dev/vfio/2") && there("dev/vfio/3") &&
			    there("sys/bus/pci/devices/0000:01:10.2/vendor"));
		if (!done) {
			if (*text == '2')
				assert_int_equal(put("0"), 1);
			continue;
		}
		if (*text == '0')
			break;
		/* now those that are killed while they disable */
		text = "0";
		steps = 0;
	}
	assert_true(killed > 15);
	machine_free(m, false);
}

static void broken_state(void **state)
{
	static const char *const texts[] = { "",
					     "x\n",
					     PF " 8 128 2\n",
					     PF " 8 128 2 9\n",
					     PF " 8 128 2 1\n",
					     PF " 999 128 2 0\n" };
	struct machine *m = MACHINE("igb");
	char path[PATH_MAX];
	FILE *f;

	assert_int_equal(machine_write_view(m, dir), 0);
	assert_int_equal(machine_claim_dir(m, dir), 0);
	snprintf(path, sizeof(path), "%s/sriov", dir);
	log_set(2, LOG_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		f = fopen(path, "w");
		fputs(texts[i], f);
		fclose(f);
		assert_int_equal(put("1"), i ? -EIO : -ENODEV);
		assert_int_equal(machine_sync(m), i ? -EIO : 0);
	}
	unlink(path);
	assert_int_equal(put("1"), -ENODEV);
	assert_int_equal(machine_sync(m), -ENOENT);
	log_set(2, LOG_ERR);
	machine_free(m, false);
}

static struct vfio_group *group(struct machine *m, unsigned id)
{
	return vfio_system_group(machine_system(m), id);
}

static void two_processes(void **state)
{
	struct machine *first = MACHINE("igb"), *a = MACHINE("igb"), *b = MACHINE("igb");
	struct machine_device *pf = machine_device(a, 0), *vf;
	struct vfio_group *g;

	assert_int_equal(machine_write_view(first, dir), 0);
	machine_free(first, false);
	assert_int_equal(machine_claim_dir(a, dir), 0);
	assert_int_equal(machine_claim_dir(b, dir), 0);
	sync_now(a);
	assert_null(group(a, 2));
	assert_int_equal(put("2"), 1);
	assert_null(machine_vf(a, pf, 0)); /* before it looks */
	sync_now(a);
	sync_now(b);
	vf = machine_vf(a, pf, 1);
	assert_string_equal(vf->addr, "0000:01:10.2");
	assert_int_equal(vf->group, 3);
	assert_int_equal(uvfio_num_vfs(pf->face->hardware), 2);

	/* one VF in one process, and the whole family is its */
	log_set(2, LOG_NONE);
	g = group(a, 3);
	assert_int_equal(vfio_group_open(machine_system(a), g), 0);
	assert_int_equal(vfio_group_open(machine_system(b), group(b, 3)), -EBUSY);
	assert_int_equal(vfio_group_open(machine_system(b), group(b, 2)), -EBUSY);
	assert_int_equal(vfio_group_open(machine_system(b), group(b, 1)), -EBUSY);
	assert_int_equal(vfio_group_open(machine_system(a), group(a, 1)), 0);
	assert_int_equal(put("0"), -EINPROGRESS);
	vfio_group_release(machine_system(a), g);
	/* the first VF went, and the second is about to: b has to look again */
	assert_int_equal(vfio_group_open(machine_system(b), group(b, 3)), -EAGAIN);
	sync_now(b);
	assert_null(group(b, 3));
	assert_int_equal(vfio_group_open(machine_system(b), group(b, 1)), -EBUSY);
	assert_int_equal(put("0"), 1);
	sync_now(a);
	assert_null(group(a, 3));
	assert_null(machine_vf(a, pf, 0));
	assert_null(machine_find(a, "0000:01:10.2"));
	assert_int_equal(vfio_group_open(machine_system(a), g), -ENODEV); /* who kept the pointer */
	vfio_group_release(machine_system(a), group(a, 1));
	log_set(2, LOG_ERR);

	/* back, in the same objects, also when the other one saw nothing of it in between */
	assert_int_equal(put("3"), 1);
	sync_now(a);
	sync_now(b);
	assert_ptr_equal(machine_vf(a, pf, 1), vf);
	assert_ptr_equal(group(a, 3), g);
	assert_non_null(group(b, 4));
	assert_int_equal(vfio_group_open(machine_system(b), group(b, 3)), 0);
	vfio_group_release(machine_system(b), group(b, 3));
	machine_free(a, false);
	machine_free(b, false);
}

static void tokens(void **state)
{
	struct machine *a = MACHINE("igb"), *b = MACHINE("igb");

	assert_int_equal(machine_write_view(a, dir), 0);
	assert_int_equal(machine_claim_dir(a, dir), 0);
	assert_int_equal(machine_claim_dir(b, dir), 0);
	assert_int_equal(put("1"), 1);
	sync_now(a);
	sync_now(b);
	log_set(2, LOG_NONE);
	assert_int_equal(vfio_device_check_token(machine_find(b, "01:10.0")->vdev, token), -EACCES);
	assert_int_equal(vfio_group_open(machine_system(a), group(a, 1)), 0);
	assert_int_equal(vfio_device_check_token(machine_device(a, 0)->vdev, token), 0);
	vfio_group_release(machine_system(a), group(a, 1));
	/* known to the other when it takes the device */
	assert_int_equal(vfio_group_open(machine_system(b), group(b, 2)), 0);
	assert_int_equal(vfio_device_check_token(machine_find(b, "01:10.0")->vdev, token), 0);
	assert_int_equal(vfio_device_check_token(machine_find(b, "01:10.0")->vdev, NULL), -EACCES);
	vfio_group_release(machine_system(b), group(b, 2));
	log_set(2, LOG_ERR);
	machine_free(a, false);
	machine_free(b, false);
}

/*
 * Threads that open what is there, while others change what is there: an open group stays, whatever
 * they do.
 */
static struct machine *shared;
static atomic_bool stop;
static atomic_uint opens, changes;

static void *opener(void *arg)
{
	static const char *const names[] = { "0000:01:10.0", "0000:01:10.2", "0000:01:10.4" };
	unsigned id = 2 + (unsigned)(uintptr_t)arg % 3;
	const struct machine_device *d;
	struct vfio_group *g;

	while (!atomic_load(&stop)) {
		assert_int_equal(machine_sync(shared), 0);
		g = group(shared, id);
		if (!g || vfio_group_open(machine_system(shared), g))
			continue;
		sched_yield();
		/* it may be asked for, and be no device of the group any more, but it is there */
		d = machine_find(shared, names[id - 2]);
		assert_int_equal(pci_face_read(d->face, PCI_SUBSYSTEM_VENDOR_ID, 2), 0x8086);
		vfio_group_release(machine_system(shared), g);
		atomic_fetch_add(&opens, 1);
		usleep(200);
	}
	return NULL;
}

static void *changer(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	while (!atomic_load(&stop)) {
		char text[8];

		snprintf(text, sizeof(text), "%d", rand_r(&seed) % 4);
		if (put(text) > 0)
			atomic_fetch_add(&changes, 1);
		machine_find(shared, "0000:01:10.2");
		sched_yield();
	}
	return NULL;
}

static void stress(void **state)
{
	pthread_t t[6];

	shared = MACHINE("igb");
	assert_int_equal(machine_write_view(shared, dir), 0);
	assert_int_equal(machine_claim_dir(shared, dir), 0);
	log_set(2, LOG_NONE);
	atomic_store(&stop, false);
	for (uintptr_t i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&t[i], NULL, i < 4 ? opener : changer, (void *)i),
				 0);
	/*
	 * three seconds, and on a machine that does not get to one of each in that time until it
	 * does
	 */
	for (int i = 0; i < 600 && (i < 60 ? atomic_load(&opens) < 50 || atomic_load(&changes) < 50
					   : !atomic_load(&opens) || !atomic_load(&changes));
	     i++)
		usleep(50000);
	atomic_store(&stop, true);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	log_set(2, LOG_ERR);
	assert_true(opens > 0 && changes > 0);
	/* and nothing is left locked */
	put("0");
	assert_int_equal(put("8"), 1);
	sync_now(shared);
	assert_int_equal(uvfio_num_vfs(machine_device(shared, 0)->face->hardware), 8);
	machine_free(shared, false);
}

int main(void)
{
#define RUN(name) cmocka_unit_test_setup_teardown(name, make_dir, test_drop_dir)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_the_start),
		cmocka_unit_test(refused),
		cmocka_unit_test(host_driver),
		RUN(numbers),
		RUN(view),
		RUN(killed_writer),
		RUN(broken_state),
		RUN(two_processes),
		RUN(tokens),
		RUN(stress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
