/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/provider_test.c: a provider whose devices are nothing but a face: what a machine does
 * with them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/report.h"
#include "base/test_threads.h"
#include "base/util.h"
#include "machine/internal.h"

#define PF  "0000:01:00.0"
#define VFS 2u

/* what was asked of it */
static struct {
	int made, bound, freed, opens, vfs, vfs_made;
	enum machine_mmap mmap;
	int fail_make, fail_bind;
} * saw;

static struct loop *devices, *irqs; /* that it was given */

struct fake {
	struct machine_hardware hw;
	struct vfio_device vdev;
	struct iommu_device iommu;
	const char *name;
	uint8_t config[PCI_CFG_EXP_SIZE];
};

static struct fake *to_fake(struct machine_hardware *hw)
{
	return container_of_type(hw, struct fake, hw);
}

/* ---- the device ---- */

static uint32_t config_read(void *hardware, unsigned off, unsigned size)
{
	struct fake *k = hardware;
	uint32_t v = 0;

	memcpy(&v, k->config + off, size);
	return v;
}

/* BARs, COMMAND and the interrupt line can be written; BAR0 and the VFs' have 16 KiB. */
static void config_write(void *hardware, unsigned off, unsigned size, uint32_t value)
{
	struct fake *k = hardware;

	if (off == PCI_BASE_ADDRESS_0 || off == 0x100 + PCI_SRIOV_BAR)
		value = (value & ~0x3fffu) | PCI_BASE_ADDRESS_MEM_TYPE_64;
	memcpy(k->config + off, &value, size);
}

static const struct pci_face_ops face_ops = { config_read, config_write };

static void put(struct fake *k, unsigned off, unsigned size, uint32_t value)
{
	memcpy(k->config + off, &value, size);
}

static int fake_open(struct vfio_device *dev)
{
	saw->opens++;
	return 0;
}

static void fake_close(struct vfio_device *dev)
{
	saw->opens--;
}

static const struct vfio_device_ops device_ops = { .open = fake_open, .close = fake_close };

/* ---- the provider ---- */

static const struct machine_provider provider;

static struct fake *new_fake(const struct machine_request *r)
{
	struct fake *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	k->hw.provider = &provider;
	k->hw.iommu = &k->iommu;
	k->hw.face = (struct pci_face){
		.ops = &face_ops,
		.hardware = k,
		.model = "fake",
		.summary = "a face",
		.config_size = PCI_CFG_EXP_SIZE,
		.bars[0] = { 0x4000, UVFIO_BAR_64 },
	};
	k->name = r->name;
	iommu_device_init(&k->iommu, r->name);
	saw->made++;
	return k;
}

static int fake_make(const struct machine_request *r, struct machine_hardware **out, char **err)
{
	struct fake *k;

	assert_string_equal(r->model, "fake");
	assert_true(r->num_opts >= 1); /* with id= it is two */
	assert_string_equal(r->opts[0].name, "socket");
	devices = r->devices;
	irqs = r->irqs;
	if (saw->fail_make)
		return machine_fail(err, saw->fail_make, "fake: nobody answers");
	k = new_fake(r);
	put(k, PCI_VENDOR_ID, 4, 0x56781234);
	put(k, PCI_CLASS_REVISION, 4, 0x01080207);
	put(k, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	put(k, PCI_CAPABILITY_LIST, 1, 0x40);
	put(k, PCI_INTERRUPT_PIN, 1, 1);
	put(k, 0x40, 2, PCI_CAP_ID_EXP);
	put(k, 0x40 + PCI_EXP_DEVCAP, 4, PCI_EXP_DEVCAP_FLR);
	put(k, 0x100, 4, PCI_EXT_CAP_ID_SRIOV);
	k->hw.face.sriov = (struct pci_face_sriov){ .total = VFS,
						    .offset = 128,
						    .stride = 2,
						    .vf_device_id = 0x5679,
						    .bars[0] = { 0x4000, UVFIO_BAR_64 } };
	*out = &k->hw;
	return 0;
}

static int fake_make_vf(struct machine_hardware *pf, unsigned index,
			const struct machine_request *r, struct machine_hardware **out, char **err)
{
	struct fake *k = new_fake(r);

	put(k, PCI_VENDOR_ID, 4, UINT32_MAX);
	k->hw.face.pf = &pf->face;
	k->hw.face.vf_index = index;
	saw->vfs_made++;
	*out = &k->hw;
	return 0;
}

static int fake_bind(struct machine_hardware *hw, const char *driver)
{
	struct fake *k = to_fake(hw);

	assert_null(driver);
	if (saw->fail_bind)
		return saw->fail_bind;
	/* its addresses are there */
	assert_true(pci_face_bar_address(&hw->face, 0) != 0);
	vfio_device_init(&k->vdev, &device_ops, k->name, &k->iommu);
	hw->vdev = &k->vdev;
	saw->bound++;
	return 0;
}

static void fake_unbind(struct machine_hardware *hw)
{
	hw->vdev = NULL;
}

static int fake_set_vfs(struct machine_hardware *pf, unsigned num)
{
	saw->vfs = (int)num;
	return 0;
}

static void fake_set_mmap(struct machine_hardware *hw, enum machine_mmap how)
{
	saw->mmap = how;
}

static void fake_token(struct machine_hardware *pf, uint8_t uuid[16])
{
	memset(uuid, 1, 16);
}

static void fake_set_token(struct machine_hardware *pf, const uint8_t uuid[16])
{
}

static void fake_free(struct machine_hardware *hw)
{
	struct fake *k = to_fake(hw);

	if (hw->vdev) {
		vfio_device_fini(hw->vdev);
		saw->bound--;
	}
	iommu_device_fini(&k->iommu);
	free(k);
	saw->freed++;
}

static int abandoned;
static void fake_abandon(struct machine_hardware *hw)
{
	abandoned++;
}

/* socket=@ID: the device with that id has the other end */
static const char *fake_tied_to(const struct pci_option *opt)
{
	return !strcmp(opt->name, "socket") && *opt->value == '@' ? opt->value + 1 : NULL;
}

static const struct machine_provider provider = {
	.name = "fake",
	.make = fake_make,
	.tied_to = fake_tied_to,
	.make_vf = fake_make_vf,
	.bind = fake_bind,
	.unbind = fake_unbind,
	.set_vfs = fake_set_vfs,
	.set_mmap = fake_set_mmap,
	.token = fake_token,
	.set_token = fake_set_token,
	.free = fake_free,
	.abandon = fake_abandon,
};

/* ---- the tests ---- */

static struct machine *add(const char *spec)
{
	struct machine *m = machine_new();
	char *err = NULL;

	if (machine_add_from(m, &provider, spec, &err))
		fail_msg("%s", err);
	return m;
}

/* It has no memory of a model that others could map. */
static void shares_no_memory(void **state)
{
	struct machine *m = machine_new();
	char *err = NULL;
	int rc = machine_add_from(m, &provider, "fake,socket=/a,mmap=shared", &err);

	if (!rc)
		rc = machine_start(m, &err);
	assert_int_equal(rc, -EOPNOTSUPP);
	assert_non_null(strstr(err, "mmap=shared"));
	free(err);
	machine_free(m, false);
}

static void plugged_in_and_opened(void **state)
{
	struct machine *m = add("fake,socket=/a,sriov_numvfs=2,mmap=trap");
	struct machine_device *d = machine_device(m, 0), *vf;
	uint8_t config[PCI_CFG_EXP_SIZE];

	assert_int_equal(saw->made, 1);
	assert_int_equal(saw->mmap, MACHINE_MMAP_TRAP);
	assert_string_equal(d->addr, PF);
	assert_ptr_equal(d->face, &container_of_type(d, struct plugged, d)->hw->face);
	assert_true(pci_face_read(d->face, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY);
	assert_int_equal(machine_config(m, PF, config), sizeof(config));
	assert_int_equal(config[0] | config[1] << 8, 0x1234);

	assert_int_equal(machine_start(m, NULL), 0);
	assert_int_equal(saw->vfs, 2);
	vf = machine_find(m, "01:10.2");
	assert_non_null(vf);
	assert_int_equal(vf->face->vf_index, 1);
	assert_true(pci_face_bar_address(vf->face, 0) ==
		    pci_face_bar_address(d->face, PCI_FACE_VF_BARS) + 0x4000);

	assert_int_equal(vfio_device_open(d->vdev), 0);
	assert_int_equal(saw->opens, 1);
	vfio_device_close(d->vdev);
	assert_int_equal(saw->opens, 0);
	machine_auto_mmap_off(m); /* it is not auto */
	assert_int_equal(saw->mmap, MACHINE_MMAP_TRAP);
	machine_free(m, false);
	assert_int_equal(saw->vfs, 0);
	assert_int_equal(saw->freed, 3);
	assert_int_equal(saw->bound, 0);
}

static char dir[] = "/tmp/uvfio-provider-XXXXXX";

static const char *text_of(const char *name)
{
	static char text[4096];
	char path[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void tied_devices_are_a_unit(void **state)
{
	struct machine *m = add("fake,socket=/a,id=left");

	assert_int_equal(machine_add_from(m, &provider, "fake,socket=/b", NULL), 0);
	assert_int_equal(machine_add_from(m, &provider, "fake,socket=@left", NULL), 0);
	assert_ptr_equal(m->plugged[1]->lead, m->plugged[1]);
	assert_ptr_equal(m->plugged[2]->lead, m->plugged[0]);
	machine_free(m, false);
}

static void shown_in_the_view(void **state)
{
	struct machine *m = add("fake,socket=/a");
	char line[64], command[64];

	assert_non_null(mkdtemp(dir));
	assert_int_equal(machine_write_view(m, dir), 0);
	assert_string_equal(text_of("sys/bus/pci/devices/" PF "/vendor"), "0x1234\n");
	assert_string_equal(text_of("sys/bus/pci/devices/" PF "/class"), "0x010802\n");
	assert_string_equal(text_of("sys/bus/pci/devices/" PF "/sriov_totalvfs"), "2\n");
	assert_string_equal(text_of("sys/bus/pci/devices/" PF "/reset_method"), "flr bus\n");
	snprintf(line, sizeof(line), "0x%016llx ",
		 (unsigned long long)pci_face_bar_address(machine_device(m, 0)->face, 0));
	assert_memory_equal(text_of("sys/bus/pci/devices/" PF "/resource"), line, strlen(line));
	/* VFs wait aside, with the ID that the PF says */
	assert_string_equal(text_of("vfs/0000:01:10.2/device"), "0x5679\n");
	assert_string_equal(text_of("vfs/0000:01:10.2/vendor"), "0x1234\n");
	assert_int_equal(saw->vfs, 0);
	assert_int_equal(saw->vfs_made, 2);
	machine_free(m, false);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
}

static void dumped(void **state)
{
	static const char head[] = PF " fake: a face\n00: 34 12 78 56";
	struct machine *m = add("fake,socket=/a");
	char text[sizeof(head)] = "";
	int fd = memfd_create("dump", 0);

	assert_int_equal(machine_dump(machine_device(m, 0), fd), 0);
	assert_int_equal(pread(fd, text, sizeof(head) - 1, 0), sizeof(head) - 1);
	assert_string_equal(text, head);
	close(fd);
	machine_free(m, false);
}

static void abandoned_in_a_child(void **state)
{
	struct machine *m = add("fake,socket=/a,sriov_numvfs=2");
	int status;
	pid_t pid;

	assert_int_equal(machine_start(m, NULL), 0);
	pid = fork();
	if (!pid) {
		machine_free(m, true);
		/* the PF and two VFs, and nothing was freed */
		_exit(abandoned != 3 || saw->freed);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(abandoned, 0);
	machine_free(m, false);
	assert_int_equal(saw->freed, 3);
}

static sem_t begun, end, fired;

static void wait_for_an_answer(void *arg)
{
	sem_post(&begun);
	sem_wait(&end);
}

static void on_eventfd(void *arg)
{
	uint64_t v;

	assert_int_equal(read(*(int *)arg, &v, 8), 8);
	sem_post(&fired);
}

/* A device that waits for somebody keeps no virqfd from being served. */
static void loops(void **state)
{
	struct machine *m = add("fake,socket=/a");
	int fd = eventfd(0, EFD_CLOEXEC), err;
	struct loop_watch *w;
	struct loop_timer *t;

	/* no device needs them so far */
	assert_true(threads_gone("uvfio-loop"));
	sem_init(&begun, 0, 0);
	sem_init(&end, 0, 0);
	sem_init(&fired, 0, 0);
	t = loop_timer_new(devices, wait_for_an_answer, NULL);
	loop_timer_set(t, 0);
	sem_wait(&begun);
	w = loop_watch(irqs, fd, on_eventfd, &fd, &err);
	assert_non_null(w);
	assert_int_equal(eventfd_write(fd, 1), 0);
	sem_wait(&fired);
	sem_post(&end);
	loop_unwatch(w);
	loop_timer_free(t);
	machine_free(m, false);
	close(fd);
}

static void failing(void **state)
{
	struct machine *m = machine_new();
	char *err = NULL;

	saw->fail_make = -ECONNREFUSED;
	assert_int_equal(machine_add_from(m, &provider, "fake,socket=/a", &err), -ECONNREFUSED);
	assert_string_equal(err, "fake: nobody answers");
	free(err);
	saw->fail_make = 0;
	saw->fail_bind = -EIO;
	assert_int_equal(machine_add_from(m, &provider, "fake,socket=/a", &err), -EIO);
	assert_non_null(strstr(err, "cannot have a driver"));
	free(err);
	saw->fail_bind = 0;
	assert_int_equal(machine_num_devices(m), 0);
	assert_int_equal(saw->made, 1);
	assert_int_equal(saw->freed, 1);
	machine_free(m, false);
}

/* A descriptor of this number leads to a bus now. */
static unsigned behind;

static int fake_place(const char *model, struct pci_address *address, unsigned *group, char **err)
{
	*address = (struct pci_address){ .bus = (uint8_t)behind };
	*group = 100 + behind;
	return 0;
}

/* The host has given it its addresses. */
static int real_make(const struct machine_request *r, struct machine_hardware **out, char **err)
{
	int rc = fake_make(r, out, err);

	pci_face_write(&(*out)->face, PCI_BASE_ADDRESS_0, 4, 0xd0000000);
	pci_face_write(&(*out)->face, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	return rc;
}

/*
 * Devices that are named by a descriptor, which may be another one by the time that the next one
 * comes.
 */
static void named_by_descriptors(void **state)
{
	static const char *const specs[] = { "fake,socket=/a", "fake,socket=/a",
					     "fake,socket=/a,addr=7:0.0" };
	static const struct uvfio_option options[] = {
		{ .name = "socket", .type = UVFIO_OPT_STRING }, { .name = NULL }
	};
	struct machine_provider real = provider;
	struct machine *m = machine_new();
	struct machine_device *d[3];

	real.is_real = true;
	real.options = options;
	real.make = real_make;
	real.place = fake_place;
	for (unsigned i = 0; i < 3; i++) {
		behind = i < 2 ? 3 + i : 3;
		assert_int_equal(machine_add_from(m, &real, specs[i], NULL), 0);
		d[i] = machine_device(m, i);
	}
	assert_string_equal(d[0]->addr, "0000:03:00.0");
	assert_string_equal(d[1]->addr, "0000:04:00.0");
	assert_int_equal(d[0]->group, 103);
	assert_int_equal(d[1]->group, 104);
	/* one more of the first one's group, elsewhere than by itself */
	assert_int_equal(d[2]->group, 103);
	assert_true(machine_device_is_real(d[0]) && machine_device_is_real(d[1]));
	assert_false(machine_device_is_real(d[2]));
	machine_free(m, false);
}

static int reset(void **state)
{
	memset(saw, 0, sizeof(*saw));
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(plugged_in_and_opened, reset),
		cmocka_unit_test_setup(shares_no_memory, reset),
		cmocka_unit_test_setup(tied_devices_are_a_unit, reset),
		cmocka_unit_test_setup(shown_in_the_view, reset),
		cmocka_unit_test_setup(dumped, reset),
		cmocka_unit_test_setup(abandoned_in_a_child, reset),
		cmocka_unit_test_setup(loops, reset),
		cmocka_unit_test_setup(failing, reset),
		cmocka_unit_test_setup(named_by_descriptors, reset),
	};

	/* the child writes to it, too */
	saw = mmap(NULL, sizeof(*saw), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	log_set(2, LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
