/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/machine_test.c: plugging in: addresses, groups, bus addresses, claims between processes,
 * the view.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "machine/internal.h"
#include "machine/run/run.h"
#include "machine/test_dir.h"
#include "pci/function.h"
#include "vfio/test_system.h"

static void refused(struct machine *m, const char *spec, int want, const char *word)
{
	unsigned before = machine_num_devices(m);
	char *err = NULL;
	int rc = machine_add(m, spec, &err);

	assert_int_equal(rc, want);
	assert_non_null(err);
	if (!strstr(err, word))
		fail_msg("'%s': \"%s\" does not have \"%s\"", spec, err, word);
	free(err);
	assert_int_equal(machine_num_devices(m), before);
}

static void default_addresses_and_groups(void **state)
{
	struct machine *m = MACHINE("edu", "edu,addr=0002:00:1f.7", "edu", "edu,group=7,id=x",
				    "edu,addr=04:00.0", "edu", "edu,addr=00:02.0,group=1");
	static const struct {
		const char *addr;
		unsigned group;
	} want[] = { { "0000:01:00.0", 1 }, { "0002:00:1f.7", 2 }, { "0000:02:00.0", 3 },
		     { "0000:03:00.0", 7 }, { "0000:04:00.0", 4 }, { "0000:05:00.0", 5 },
		     { "0000:00:02.0", 1 } };

	assert_int_equal(machine_num_devices(m), 7);
	for (unsigned i = 0; i < 7; i++) {
		struct machine_device *d = machine_device(m, i);

		assert_string_equal(d->addr, want[i].addr);
		assert_string_equal(pci_function_name(d->face->hardware), want[i].addr);
		assert_int_equal(d->group, want[i].group);
		assert_int_equal(d->vdev->group->iommu->id, want[i].group);
		assert_ptr_equal(test_find_device(machine_system(m), want[i].addr), d->vdev);
	}
	assert_string_equal(machine_device(m, 3)->id, "x");
	assert_null(machine_device(m, 0)->id);
	assert_null(machine_device(m, 7));
	assert_int_equal(vfio_system_group(machine_system(m), 1)->n, 2);
	assert_ptr_equal(machine_find(m, "01:00.0"), machine_device(m, 0));
	assert_ptr_equal(machine_find(m, "0000:01:00.0"), machine_device(m, 0));
	assert_ptr_equal(machine_find(m, "2:0:1F.7"), machine_device(m, 1));
	assert_null(machine_find(m, "09:00.0"));
	assert_null(machine_find(m, "rubbish"));
	machine_free(m, false);
}

static void what_cannot_be_added(void **state)
{
	struct machine *m = MACHINE("edu,id=a");

	refused(m, "nothing", -ENOENT, "no model 'nothing'");
	refused(m, "ed", -ENOENT, "did you mean 'edu'");
	refused(m, "edu,addr=01:00.0", -EBUSY, "taken");
	refused(m, "edu,id=a", -EEXIST, "id=a");
	refused(m, "edu,no-such-option=1", -EINVAL, "no-such-option");
	refused(m, "nvme", -EINVAL, "image");
	refused(m, "nvme,image=/nonexistent/x.img", -ENOENT, "/nonexistent/x.img");
	refused(m, "./nonexistent.so", -ENOENT, "nonexistent.so");
	/* and after all that the next one gets what it would have got */
	assert_int_equal(machine_add(m, "edu", NULL), 0);
	assert_string_equal(machine_device(m, 1)->addr, "0000:02:00.0");
	assert_int_equal(machine_device(m, 1)->group, 2);
	machine_free(m, false);
}

static void buses_run_out(void **state)
{
	struct machine *m = machine_new();
	int n = 0;

	while (!machine_add(m, "edu", NULL))
		n++;
	/* buses 01 to ff, or the 1 MiB BARs of 0xe0000000 to 0xfebfffff, whichever ends first */
	assert_int_equal(n, 255);
	refused(m, "edu", -ENOSPC, "addr=");
	machine_free(m, false);
}

static void firmware_assigns(void **state)
{
	struct machine *m = MACHINE("testdev", "testdev");
	uint64_t start[14] = { 0 }, end[14] = { 0 };
	unsigned n = 0;

	for (unsigned i = 0; i < 2; i++) {
		pci_function *fn = machine_device(m, i)->face->hardware;
		uint16_t command = (uint16_t)pci_config_read(fn, PCI_COMMAND, 2);

		assert_false(command & PCI_COMMAND_MASTER);
		for (unsigned bar = 0; bar <= PCI_ROM_BAR; bar++) {
			const struct pci_bar *b = pci_function_bar(fn, bar);
			uint64_t at = pci_face_bar_address(machine_device(m, i)->face, bar);

			if (!b->size) {
				assert_int_equal(at, 0);
				continue;
			}
			assert_int_equal(at % b->size, 0);
			if (bar != PCI_ROM_BAR && b->flags & UVFIO_BAR_IO) {
				assert_in_range(at, 0x1000, 0xffff);
				assert_true(command & PCI_COMMAND_IO);
			} else if (bar != PCI_ROM_BAR && b->flags & UVFIO_BAR_64) {
				assert_true(at >= 0x380000000000);
				assert_true(command & PCI_COMMAND_MEMORY);
			} else {
				assert_in_range(at, 0xe0000000, 0xfebfffff);
			}
			start[n] = at;
			end[n++] = at + b->size - 1;
		}
		/* a ROM is off until somebody wants it */
		assert_false(pci_config_read(fn, PCI_ROM_ADDRESS, 4) & PCI_ROM_ADDRESS_ENABLE);
	}
	assert_true(n >= 4);
	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < i; j++)
			assert_true(start[i] > end[j] || end[i] < start[j]);
	machine_free(m, false);
}

/* ---- claims ---- */

static int claim(struct vfio_system *s, unsigned group, bool take)
{
	return s->env->claim(s->env_arg, group, take ? VFIO_CLAIM_FILE : VFIO_CLAIM_NONE);
}

static void claims_between_machines(void **state)
{
	struct machine *a = MACHINE("edu", "edu"), *b = MACHINE("edu", "edu");
	struct vfio_system *sa = machine_system(a), *sb = machine_system(b);
	int status;
	pid_t pid;

	assert_int_equal(machine_claim_dir(a, dir), 0);
	assert_int_equal(machine_claim_dir(b, dir), 0);
	assert_int_equal(claim(sa, 1, true), 0);
	assert_int_equal(claim(sb, 1, true), -EBUSY);
	assert_int_equal(claim(sb, 2, true), 0);
	assert_int_equal(claim(sa, 1, false), 0);
	assert_int_equal(claim(sb, 1, true), 0);
	assert_int_equal(claim(sb, 9, true), -ENODEV);
	claim(sb, 1, false);

	/* a child that gives up its copy of the machine leaves the parent's lock alone ... */
	assert_int_equal(claim(sa, 1, true), 0);
	pid = fork();
	if (!pid) {
		machine_free(a, true);
		_exit(claim(sb, 1, true) == -EBUSY ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(claim(sb, 1, true), -EBUSY);
	/* ... and a child that still has its copy does not keep what the parent gave up */
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	assert_int_equal(claim(sa, 1, false), 0);
	assert_int_equal(claim(sb, 1, true), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* a machine that goes gives up what it has */
	machine_free(b, false);
	assert_int_equal(claim(sa, 1, true), 0);
	machine_free(a, false);
}

static void claims_need_their_directory(void **state)
{
	struct machine *m = MACHINE("edu");
	struct vfio_system *s = machine_system(m);
	char claims[64];

	assert_int_equal(machine_claim_dir(m, "/nonexistent/dir"), -ENOENT);
	assert_int_equal(claim(s, 1, true), 0); /* nobody to share with */
	assert_int_equal(machine_claim_dir(m, dir), 0);
	snprintf(claims, sizeof(claims), "%s/claims", dir);
	assert_int_equal(rmdir(claims), 0);
	assert_int_equal(claim(s, 1, true), -ENOENT);
	machine_free(m, false);
}

/* ---- the view ---- */

static const char *contents(const char *path)
{
	static char text[8192];
	char full[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	fd = open(full, O_RDONLY);
	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	n = read(fd, text, sizeof(text) - 1);
	assert_true(n >= 0);
	text[n] = 0;
	close(fd);
	return text;
}

static bool is_there(const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	return !access(full, F_OK);
}

static const char *resolved(const char *path)
{
	static char real[PATH_MAX];
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", dir, path);
	if (!realpath(full, real))
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(strncmp(real, dir, strlen(dir)), 0);
	return real + strlen(dir);
}

static unsigned dangling;
static int check_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type == FTW_SLN || (type == FTW_SL && access(path, F_OK)))
		dangling++;
	/* nothing in sys/ may take a write that would do nothing */
	if (type == FTW_F && strstr(path, "/sys/") && st->st_mode & 0222 &&
	    !run_acts(path + strlen(dir)))
		fail_msg("%s can be written", path);
	return 0;
}

#define DEV "sys/bus/pci/devices/0000:01:00.0/"

static void the_view(void **state)
{
	struct machine *m = MACHINE("edu", "testdev,group=1,addr=02:00.0", "edu,group=12");
	pci_function *fn = machine_device(m, 0)->face->hardware;
	unsigned char config[PCI_CFG_EXP_SIZE + 1];
	char line[128], full[PATH_MAX];
	ssize_t n;
	int fd;

	assert_int_equal(machine_write_view(m, dir), 0);
	dangling = 0;
	assert_int_equal(nftw(dir, check_entry, 8, FTW_PHYS), 0);
	assert_int_equal(dangling, 0);

	/* edu: QEMU's docs/specs/edu.rst */
	assert_string_equal(contents(DEV "vendor"), "0x1234\n");
	assert_string_equal(contents(DEV "device"), "0x11e8\n");
	assert_string_equal(contents(DEV "class"), "0x00ff00\n");
	assert_non_null(strstr(contents(DEV "modalias"), "pci:v00001234d000011E8sv"));
	assert_non_null(strstr(contents(DEV "uevent"),
			       "DRIVER=vfio-pci\nPCI_CLASS=FF00\nPCI_ID=1234:11E8\n"));
	assert_non_null(strstr(contents(DEV "uevent"), "PCI_SLOT_NAME=0000:01:00.0\n"));
	snprintf(line, sizeof(line), "0x%016llx 0x%016llx 0x0000000000040200\n",
		 (unsigned long long)pci_face_bar_address(machine_device(m, 0)->face, 0),
		 (unsigned long long)pci_face_bar_address(machine_device(m, 0)->face, 0) +
			 (1 << 20) - 1);
	assert_int_equal(strncmp(contents(DEV "resource"), line, strlen(line)), 0);
	assert_int_equal(strlen(contents(DEV "resource")), 13 * 57);

	snprintf(full, sizeof(full), "%s/" DEV "config", dir);
	fd = open(full, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, config, sizeof(config));
	close(fd);
	assert_int_equal(n, pci_config_size(fn));
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(config[i], pci_config_read(fn, i, 1));

	assert_string_equal(resolved(DEV "driver"), "/sys/bus/pci/drivers/vfio-pci");
	assert_string_equal(resolved(DEV "subsystem"), "/sys/bus/pci");
	assert_string_equal(resolved(DEV "iommu_group"), "/sys/kernel/iommu_groups/1");
	assert_string_equal(resolved(DEV "iommu/devices/0000:02:00.0"),
			    "/sys/devices/pci0000:02/0000:02:00.0");
	assert_string_equal(resolved("sys/bus/pci/devices/0000:03:00.0/iommu_group"),
			    "/sys/kernel/iommu_groups/12");
	assert_string_equal(resolved("sys/kernel/iommu_groups/1/devices/0000:02:00.0"),
			    "/sys/devices/pci0000:02/0000:02:00.0");
	assert_string_equal(resolved("sys/bus/pci/drivers/vfio-pci/0000:01:00.0"),
			    "/sys/devices/pci0000:01/0000:01:00.0");
	assert_string_equal(resolved("sys/bus/pci/drivers/vfio-pci/module"),
			    "/sys/module/vfio_pci");
	assert_string_equal(contents("sys/kernel/iommu_groups/12/reserved_regions"),
			    "0x00000000fee00000 0x00000000feefffff msi\n");
	assert_string_equal(contents("sys/module/vfio_iommu_type1/parameters/dma_entry_limit"),
			    "65535\n");
	assert_true(is_there("sys/module/vfio/parameters/enable_unsafe_noiommu_mode"));
	assert_true(is_there("dev/vfio/vfio"));
	assert_true(is_there("dev/vfio/1"));
	assert_true(is_there("dev/vfio/12"));
	/* the character devices, by number, in the order of the devices */
	assert_true(is_there("dev/vfio/devices/vfio2"));
	assert_false(is_there("dev/vfio/devices/vfio3"));
	assert_string_equal(contents(DEV "vfio-dev/vfio0/dev"), "242:0\n");
	assert_string_equal(contents("sys/class/vfio-dev/vfio1/uevent"),
			    "MAJOR=242\nMINOR=1\nDEVNAME=vfio/devices/vfio1\n");
	assert_string_equal(resolved("sys/dev/char/242:2"),
			    "/sys/devices/pci0000:03/0000:03:00.0/vfio-dev/vfio2");
	assert_string_equal(resolved("sys/class/vfio-dev/vfio2/device"),
			    "/sys/devices/pci0000:03/0000:03:00.0");
	assert_string_equal(resolved(DEV "vfio-dev/vfio0/subsystem"), "/sys/class/vfio-dev");
	assert_true(run_acts("/sys/devices/pci0000:01/0000:01:00.0/driver_override"));
	assert_true(run_acts("/sys/bus/pci/drivers/vfio-pci/unbind"));
	assert_true(run_acts("/sys/devices/pci0000:01/0000:01:00.0/remove"));
	assert_false(run_acts("/sys/devices/pci0000:01/0000:01:00.0/bind"));
	/* what cannot be served is not there to be found */
	assert_false(is_there("dev/vfio/2"));
	assert_true(is_there("dev/iommu"));
	assert_false(is_there(DEV "resource0"));
	assert_false(is_there(DEV "rom"));

	/* a second view over the first is a mistake that is told */
	assert_int_equal(machine_write_view(m, dir), -EEXIST);
	assert_int_equal(machine_write_view(m, "/nonexistent/dir"), -ENOENT);
	machine_free(m, false);
}

static void an_empty_machine(void **state)
{
	struct machine *m = machine_new();

	assert_int_equal(machine_write_view(m, dir), 0);
	assert_true(is_there("sys/bus/pci/devices"));
	assert_true(is_there("sys/kernel/iommu_groups"));
	machine_free(m, false);
	machine_free(NULL, false);
	machine_free(NULL, true);
}

static void the_dump(void **state)
{
	struct machine *m = MACHINE("edu");
	pci_function *fn = machine_device(m, 0)->face->hardware;
	char path[64], text[256];
	unsigned at, lines = 0, byte;
	FILE *f;
	int fd;

	snprintf(path, sizeof(path), "%s/dump", dir);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(machine_dump(machine_device(m, 0), fd), 0);
	close(fd);
	f = fopen(path, "r");
	assert_non_null(fgets(text, sizeof(text), f));
	assert_int_equal(strncmp(text, "0000:01:00.0 edu", 16), 0);
	while (fgets(text, sizeof(text), f) && sscanf(text, "%x: %x", &at, &byte) == 2) {
		assert_int_equal(at, 16 * lines++);
		assert_int_equal(byte, pci_config_read(fn, at, 1));
	}
	assert_int_equal(lines, pci_config_size(fn) / 16);
	fclose(f);
	assert_true(machine_dump(machine_device(m, 0), -1) < 0);
	fd = open("/dev/full", O_WRONLY);
	assert_true(machine_dump(machine_device(m, 0), fd) < 0);
	close(fd);
	assert_int_equal(machine_list_models(-1, "nothing"), -ENOENT);
	assert_int_equal(machine_list_names(-1, "nothing"), -ENOENT);
	machine_free(m, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(default_addresses_and_groups),
		cmocka_unit_test(what_cannot_be_added),
		cmocka_unit_test(buses_run_out),
		cmocka_unit_test(firmware_assigns),
		cmocka_unit_test_setup_teardown(claims_between_machines, test_make_dir,
						test_drop_dir),
		cmocka_unit_test_setup_teardown(claims_need_their_directory, test_make_dir,
						test_drop_dir),
		cmocka_unit_test_setup_teardown(the_view, test_make_dir, test_drop_dir),
		cmocka_unit_test_setup_teardown(an_empty_machine, test_make_dir, test_drop_dir),
		cmocka_unit_test_setup_teardown(the_dump, test_make_dir, test_drop_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
