/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * host/host_test.c: devices of the host by their groups, on a kernel of the test's own: what is
 * found, what is shared and when it is given back, what the kernel is asked and what of its answers
 * a client gets to see. The same with the real one is tests/host.sh.
 */
#include <linux/pci_regs.h>
#include <sys/eventfd.h>

#include "uvfio/model.h"
#include "base/guard.h"
#include "base/log.h"
#include "base/test_signals.h"
#include "host/test_kernel.h"
#include "vfio/open.h"

#define K     4096ull
#define RW    (IOMMU_READ | IOMMU_WRITE)
#define PAGES 16u

static char lines[4096]; /* what was reported */

static void on_line(const struct report *r, void *arg)
{
	size_t len = strlen(lines);

	snprintf(lines + len, sizeof(lines) - len, "%s\n", r->line);
}
static struct report_subscriber subscriber = { .fn = on_line, .level = LOG_DEBUG };

/* Fail unless @text was reported; forget all that was. */
static void said(const char *text)
{
	if (!strstr(lines, text))
		fail_msg("'%s' is not in: %s", text, lines);
	*lines = '\0';
}

struct world {
	struct vfio_system *s;
	struct iommu_group *ig[4];
	struct vfio_group *g[4];
	struct host_device *h[5];
	struct vfio_open o[5];
	char *mem;
};

static const char *const names[] = { "0000:01:00.0", "0000:01:00.1", FAKE_ALONE, "0000:03:00.0",
				     "0000:04:00.0" };

/* Find device @i, by @spec (NULL: its address), and have it in a group of the waist. */
static void plug(struct world *w, unsigned i, const char *spec)
{
	unsigned g = i ? i - 1 : 0;
	char *err = NULL;

	assert_int_equal(host_open_in(&fake_env, spec ? spec : names[i], &w->h[i], &err), 0);
	assert_null(err);
	assert_int_equal(host_group(w->h[i]), g + 1);
	assert_int_equal(iommu_group_add(w->ig[g], host_iommu(w->h[i])), 0);
	assert_int_equal(vfio_group_add_device(w->g[g], host_vdev(w->h[i])), 0);
	vfio_open_init(&w->o[i], host_vdev(w->h[i]));
}

static void unplug(struct world *w, unsigned i)
{
	unsigned g = i ? i - 1 : 0;

	if (!w->h[i])
		return;
	vfio_open_close(&w->o[i]);
	assert_null(w->h[i]->own);
	vfio_group_remove_device(w->g[g], host_vdev(w->h[i]));
	iommu_group_remove(w->ig[g], host_iommu(w->h[i]));
	host_close(w->h[i]);
	w->h[i] = NULL;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	log_set(2, LOG_NONE);
	guard_install();
	*lines = '\0';
	report_subscribe(&subscriber);
	fake_start();
	w->s = vfio_system_new(NULL, NULL);
	for (unsigned i = 0; i < 4; i++) {
		w->ig[i] = iommu_group_new(i + 1);
		assert_int_equal(vfio_system_add_group(w->s, w->ig[i], &w->g[i]), 0);
	}
	w->mem = mmap(NULL, PAGES * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 5; i++)
		unplug(w, i);
	vfio_system_free(w->s);
	for (unsigned i = 0; i < 4; i++)
		iommu_group_free(w->ig[i]);
	munmap(w->mem, PAGES * K);
	free(w);
	fake_stop();
	report_unsubscribe(&subscriber);
	return 0;
}

/* The container that group @id is in. */
static struct fake_container *container_of_group(unsigned id)
{
	assert_true(fake_group(id)->container >= 0);
	return &fake.containers[fake_group(id)->container];
}

/* Open device @i for @io, and attach it there. */
static int use(struct world *w, unsigned i, struct vfio_ioas *io)
{
	int rc;

	vfio_open_expect(&w->o[i], io);
	rc = vfio_open_bind(&w->o[i]);
	if (rc)
		return rc;
	rc = vfio_device_attach(&w->o[i], io);
	if (rc)
		vfio_open_close(&w->o[i]);
	return rc;
}

/* ---- finding ---- */

static void not_found(const char *spec, int rc, const char *sentence)
{
	struct host_device *h;
	char *err = NULL;

	assert_int_equal(host_open_in(&fake_env, spec, &h, &err), rc);
	if (!err || !strstr(err, sentence))
		fail_msg("%s: '%s' is not in: %s", spec, sentence, err);
	free(err);
}

/* Errors that need no open, with a sentence that says what to do. (test 3) */
static void finding(void **state)
{
	struct host_device *h;
	char *err = NULL;
	struct host_bar bar;

	not_found("0000:09:00.0", -ENODEV, "the host has no PCI device 0000:09:00.0");
	not_found("nonsense", -EINVAL, "'nonsense' is no PCI address");
	not_found("fd:0000:01:00.0", -EINVAL, "GROUPFD");
	not_found("fd:x,0000:01:00.0", -EINVAL, "GROUPFD");
	not_found("fd:99999999999,0000:01:00.0", -EINVAL, "GROUPFD");
	not_found("fd:7777,0000:01:00.0", -EBADF, "descriptor 7777");
	not_found("fd:0,0000:01:00.0", -EINVAL, "descriptor 0 is of no group");
	not_found("cdev:", -EINVAL, "cdev:FD");
	not_found("cdev:0x", -EINVAL, "cdev:FD");
	not_found("cdev:7777", -EBADF, "of no character device of VFIO");
	fake_driver("0000:01:00.0", "nvme");
	not_found("0000:01:00.0", -ENODEV, "0000:01:00.0 is bound to nvme in the host");
	not_found("01:00.0", -ENODEV,
		  "echo 0000:01:00.0 >/sys/bus/pci/devices/0000:01:00.0/driver/unbind");
	fake_driver("0000:01:00.0", NULL);
	not_found("0000:01:00.0", -ENODEV, "bound to no driver in the host");
	fake_driver("0000:01:00.0", "mlx5_vfio_pci");
	assert_int_equal(host_open_in(&fake_env, "0000:01:00.0", &h, &err), 0);
	assert_int_equal(host_address(h)->bus, 1);
	assert_string_equal(host_vdev(h)->name, "0000:01:00.0");

	/* what a bus sees of it */
	assert_int_equal(host_config_size(h), 256);
	assert_int_equal(host_config_read(h, 4, 2), 'c' << 8 | 'c');
	assert_int_equal(host_config_read(h, 0x200, 4), UINT32_MAX);
	assert_int_equal(host_bar(h, 0, &bar), 0);
	assert_int_equal(bar.size, 0x2000);
	assert_int_equal(bar.flags, 0);
	assert_int_equal(host_bar(h, 1, &bar), 0);
	assert_int_equal(bar.size, 0);
	assert_int_equal(host_bar(h, 2, &bar), 0);
	assert_int_equal(bar.size, 0x10000);
	assert_int_equal(bar.flags, UVFIO_BAR_64 | UVFIO_BAR_PREFETCH);
	assert_int_equal(host_bar(h, 4, &bar), 0);
	assert_int_equal(bar.flags, UVFIO_BAR_IO);
	assert_int_equal(bar.size, 0x20);
	assert_int_equal(host_bar(h, 6, &bar), 0);
	assert_int_equal(bar.size, 0x20000);
	assert_int_equal(host_bar(h, 7, &bar), -EINVAL);
	host_close(h);
	host_close(NULL);

	fake_write("vfio-noiommu\n", "%s/kernel/iommu_groups/1/name", fake.sysfs);
	not_found("0000:01:00.0", -EOPNOTSUPP, "no IOMMU before it");
	fake_link(NULL, "%s/bus/pci/devices/0000:01:00.0/iommu_group", fake.sysfs);
	not_found("0000:01:00.0", -ENODEV, "has no IOMMU group");
	fake_at_rest();
}

/* ---- opening: groups ---- */

/* Two devices of a group have its file, which is closed with the last of them. (tests 2, 5) */
static void a_group(void **state)
{
	struct vfio_system *other = vfio_system_new(NULL, NULL);
	struct world *w = *state;
	struct iommu_group *ig = iommu_group_new(1);
	struct vfio_ioas *io = vfio_ioas_new(w->s, true);
	struct host_device *h;
	struct vfio_group *g;
	struct vfio_open o;
	char *err = NULL;

	plug(w, 0, NULL);
	plug(w, 1, NULL);
	fake_at_rest(); /* found, and nothing is open */
	assert_int_equal(use(w, 0, io), 0);
	assert_int_equal(use(w, 1, io), 0);
	assert_int_equal(fake_opens("group-", "1"), 1);
	assert_int_equal(fake.made, 1);
	assert_int_equal(container_of_group(1)->type, VFIO_TYPE1v2_IOMMU);

	/* another system, as another process, cannot have it */
	assert_int_equal(host_open_in(&fake_env, "0000:01:00.1", &h, &err), 0);
	assert_int_equal(vfio_system_add_group(other, ig, &g), 0);
	assert_int_equal(vfio_group_add_device(g, host_vdev(h)), 0);
	vfio_open_init(&o, host_vdev(h));
	assert_int_equal(vfio_open_bind(&o), -EBUSY);
	said("group 1 of the host is in use");

	vfio_open_close(&w->o[0]);
	assert_int_equal(fake_opens("group-", "1"), 1);
	assert_int_equal(vfio_ioas_map(io, 0, (uintptr_t)w->mem, K, RW), 0);
	assert_int_equal(container_of_group(1)->n, 1);
	vfio_open_close(&w->o[1]);
	fake_at_rest();
	assert_int_equal(vfio_open_bind(&o), 0);
	vfio_open_close(&o);
	vfio_group_remove_device(g, host_vdev(h));
	host_close(h);
	vfio_system_free(other);
	iommu_group_free(ig);
	vfio_ioas_put(io);
}

/* ---- a front that wants to know the kernel's files ---- */

static char files[256]; /* what it was told: a line each */
static int refuse_file;

static int on_file(void *arg, int fd, bool add)
{
	char name[64], line[96];

	assert_ptr_equal(arg, files);
	assert_true(fake_is(fd, "group-", name, sizeof(name)));
	snprintf(line, sizeof(line), "%s %s, %u devices open;", add ? "add" : "del", name,
		 fake_opens("device-", names[0]) + fake_opens("device-", names[1]));
	strcat(files, line);
	return add ? refuse_file : 0;
}

/* It hears of the group before the device is fetched, and before the group is closed. (test 7) */
static void files_are_told(void **state)
{
	struct world *w = *state;
	struct vfio_ioas *io = vfio_ioas_new(w->s, true);

	plug(w, 0, NULL);
	plug(w, 1, NULL);
	for (unsigned i = 0; i < 2; i++) {
		host_vdev(w->h[i])->file_changed = on_file;
		host_vdev(w->h[i])->file_changed_arg = files;
	}
	*files = '\0';
	assert_int_equal(use(w, 0, io), 0);
	assert_int_equal(use(w, 1, io), 0);
	vfio_open_close(&w->o[0]);
	vfio_open_close(&w->o[1]);
	fake_at_rest();
	assert_string_equal(files, "add 1, 0 devices open;add 1, 1 devices open;"
				   "del 1, 1 devices open;del 1, 0 devices open;");
	/* one that it does not take is not opened; nor is one that the kernel refuses told of */
	refuse_file = -ENOMEM;
	assert_int_equal(vfio_open_bind(&w->o[0]), -ENOMEM);
	refuse_file = 0;
	fake_at_rest();
	*files = '\0';
	fake.devices[0].driver = NULL;
	assert_int_equal(vfio_open_bind(&w->o[0]), -ENODEV);
	assert_string_equal(files, "add 1, 0 devices open;del 1, 0 devices open;");
	fake_at_rest();
	fake.devices[0].driver = "vfio-pci";
	vfio_ioas_put(io);
}

/* Failures of an open: the sentence, and nothing is left; the neighbour does not notice. */
static void failing_opens(void **state)
{
	struct world *w = *state;
	struct vfio_ioas *io = vfio_ioas_new(w->s, true);

	plug(w, 0, NULL);
	plug(w, 1, NULL);
	/* (test 4) */
	fake_driver("0000:01:00.1", "e1000e");
	assert_int_equal(use(w, 0, io), -EPERM);
	said("not viable: bound to a driver of the host: 0000:01:00.1 to e1000e");
	fake_at_rest();
	fake_driver("0000:01:00.1", NULL);
	assert_int_equal(use(w, 0, io), 0);
	assert_int_equal(use(w, 1, io), -ENODEV);
	said("0000:01:00.1 in group 1 of the host: it is not bound to vfio-pci any more");
	assert_int_equal(vfio_ioas_map(io, 0, (uintptr_t)w->mem, K, RW), 0);
	assert_int_equal(container_of_group(1)->n, 1);
	vfio_open_close(&w->o[0]);
	fake_at_rest();
	fake.groups[0].id = 77;
	assert_int_equal(use(w, 0, io), -ENOENT);
	said("/vfio/1 cannot be opened");
	vfio_ioas_put(io);
}

/* The file of a group that somebody else opened is used in a duplicate. */
static void given(void **state)
{
	struct world *w = *state;
	char spec[64], path[160];
	int fd, container;

	snprintf(path, sizeof(path), "%s/vfio/1", fake.devfs);
	fd = fake_open(path, O_RDWR, 0);
	snprintf(spec, sizeof(spec), "fd:%d,0000:01:00.0", fd);
	plug(w, 0, spec);
	plug(w, 1, NULL); /* of the same group: it shares that file */
	close(fd);
	assert_int_equal(vfio_open_bind(&w->o[0]), 0);
	assert_int_equal(vfio_open_bind(&w->o[1]), 0);
	vfio_open_close(&w->o[0]);
	vfio_open_close(&w->o[1]);
	assert_int_equal(vfio_open_bind(&w->o[0]), 0);
	unplug(w, 0);
	fake_at_rest();

	/* with a container of somebody else's we could map nothing */
	fd = fake_open(path, O_RDWR, 0);
	snprintf(path, sizeof(path), "%s/vfio/vfio", fake.devfs);
	container = fake_open(path, O_RDWR, 0);
	assert_int_equal(fake_set_container(&fake.groups[0], container), 0);
	snprintf(spec, sizeof(spec), "fd:%d,0000:01:00.0", fd);
	plug(w, 0, spec);
	assert_int_equal(vfio_open_bind(&w->o[0]), -EBUSY);
	said("has a container of somebody else's");
	unplug(w, 0);
	assert_int_equal(fake_unset_container(&fake.groups[0]), 0);
	close(container);
	close(fd);
}

static void tokens(void **state)
{
	struct world *w = *state;
	uint8_t wrong[16] = { 1 }, right[16];
	struct vfio_container *c = vfio_container_new(w->s);
	struct vfio_open o, o2;

	memset(right, 0xab, sizeof(right));
	plug(w, 4, NULL);
	plug(w, 2, NULL);
	/* by itself: the token is the device's own setting (test 8) */
	assert_int_equal(vfio_open_bind(&w->o[4]), -EACCES);
	said("VF token");
	host_set_token(w->h[4], wrong);
	assert_int_equal(vfio_open_bind(&w->o[4]), -EACCES);
	host_set_token(w->h[4], right);
	assert_int_equal(vfio_open_bind(&w->o[4]), 0);
	vfio_open_close(&w->o[4]);
	fake_at_rest();

	/* by a client's group file: the client's, at each open */
	w->h[4]->has_token = false;
	assert_int_equal(vfio_group_open(w->s, w->g[3]), 0);
	assert_int_equal(vfio_group_set_container(w->g[3], c), 0);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(vfio_open_by_group(&o, w->g[3], names[4], NULL), -EACCES);
	assert_int_equal(vfio_open_by_group(&o, w->g[3], names[4], wrong), -EACCES);
	assert_int_equal(vfio_open_by_group(&o, w->g[3], names[4], right), 0);
	assert_int_equal(vfio_open_by_group(&o2, w->g[3], names[4], wrong), -EACCES);
	assert_int_equal(vfio_open_by_group(&o2, w->g[3], names[4], NULL), -EACCES);
	assert_int_equal(vfio_open_by_group(&o2, w->g[3], names[4], right), 0);
	vfio_open_close(&o2);
	vfio_open_close(&o);
	vfio_group_release(w->s, w->g[3]);
	vfio_container_put(c);
	fake_at_rest();

	host_set_token(w->h[2], right);
	assert_int_equal(vfio_open_bind(&w->o[2]), -EINVAL);
	said("takes none");
}

/* ---- address spaces ---- */

/* Mappings are made in the kernel's container, too, by the program's address. (tests 14, 20) */
static void mirrored(void **state)
{
	struct world *w = *state;
	struct vfio_ioas *io = vfio_ioas_new(w->s, true);
	struct fake_container *c;
	uint64_t bytes;

	plug(w, 0, NULL);
	plug(w, 2, NULL);
	assert_int_equal(vfio_ioas_map(io, 0x10000, (uintptr_t)w->mem, 2 * K, RW), 0);
	assert_int_equal(use(w, 0, io), 0);
	c = container_of_group(1);
	assert_int_equal(c->n, 1);
	assert_int_equal(c->maps[0].vaddr, w->mem);
	assert_int_equal(c->maps[0].iova, 0x10000);
	assert_int_equal(c->maps[0].size, 2 * K);
	assert_int_equal(c->maps[0].flags, VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
	assert_int_equal(vfio_ioas_map(io, 0x20000, (uintptr_t)w->mem, K, IOMMU_READ), 0);
	assert_int_equal(c->maps[1].flags, VFIO_DMA_MAP_FLAG_READ);
	assert_int_equal(vfio_ioas_map(io, 0x30000, (uintptr_t)w->mem, K, IOMMU_WRITE), 0);
	assert_int_equal(c->maps[2].flags, VFIO_DMA_MAP_FLAG_WRITE);

	/* a second group for the same space comes into the same container */
	assert_int_equal(use(w, 2, io), 0);
	assert_int_equal(fake_group(2)->container, fake_group(1)->container);
	assert_int_equal(fake.made, 1);
	assert_int_equal(c->n, 3);
	vfio_open_close(&w->o[0]);
	assert_int_equal(fake_group(1)->container, -1);
	assert_int_equal(c->n, 3);
	assert_int_equal(vfio_ioas_unmap(io, 0, 0x28000, &bytes), 0);
	assert_int_equal(bytes, 3 * K);
	assert_int_equal(c->n, 1);
	vfio_open_close(&w->o[2]);
	fake_at_rest();

	/* the kernel has unmapped less than it should: that is said */
	assert_int_equal(use(w, 0, io), 0);
	fake.short_unmap = true;
	assert_int_equal(vfio_ioas_unmap(io, 0x30000, K, &bytes), 0);
	said("the kernel unmapped 0x0");
	fake.short_unmap = false;
	container_of_group(1)->n = 0;
	vfio_open_close(&w->o[0]);
	vfio_ioas_put(io);
}

/* Devices that the kernel does not let share have a container each, and the same mappings. */
static void apart(void **state)
{
	struct world *w = *state;
	struct vfio_ioas *io = vfio_ioas_new(w->s, true), *io2 = vfio_ioas_new(w->s, true);
	uint64_t bytes;

	plug(w, 0, NULL);
	plug(w, 1, NULL);
	plug(w, 2, NULL);
	plug(w, 3, NULL);
	assert_int_equal(use(w, 0, io), 0);
	assert_int_equal(use(w, 3, io), 0);  /* of another IOMMU */
	assert_int_equal(use(w, 2, io2), 0); /* for another space */
	assert_int_equal(fake.made, 3);
	assert_int_equal(vfio_ioas_map(io, 0, (uintptr_t)w->mem, K, RW), 0);
	assert_int_equal(container_of_group(1)->n, 1);
	assert_int_equal(container_of_group(3)->n, 1);
	assert_int_equal(container_of_group(2)->n, 0);
	/* one that cannot: nobody has it */
	fake.memlock = K;
	assert_int_equal(vfio_ioas_map(io, K, (uintptr_t)w->mem, K, RW), -ENOMEM);
	assert_int_equal(container_of_group(1)->n, 1);
	assert_int_equal(container_of_group(3)->n, 1);

	/* a group has one container: its devices cannot be in two spaces */
	vfio_open_expect(&w->o[1], io2);
	assert_int_equal(vfio_open_bind(&w->o[1]), 0);
	assert_int_equal(host_vdev(w->h[1])->ops->attach(host_vdev(w->h[1]), io2), -EBUSY);
	said("its group in the host has another address space");
	vfio_open_close(&w->o[1]);

	/* who leaves a space without being closed is gone from it, if nobody else is there */
	vfio_device_detach(&w->o[3]);
	assert_int_equal(container_of_group(3)->n, 0);
	assert_int_equal(vfio_device_attach(&w->o[3], io2), 0);
	assert_int_equal(vfio_ioas_map(io2, 0, (uintptr_t)w->mem, K, RW), 0);
	assert_int_equal(container_of_group(3)->n, 1);
	assert_int_equal(container_of_group(2)->n, 1);
	assert_int_equal(vfio_ioas_unmap(io2, 0, K, &bytes), 0);
	vfio_open_close(&w->o[3]);
	vfio_open_close(&w->o[2]);
	vfio_open_close(&w->o[0]);

	/* else it is said that it is not */
	assert_int_equal(use(w, 0, io), 0);
	assert_int_equal(use(w, 2, io), 0);
	*lines = '\0';
	vfio_device_detach(&w->o[2]);
	said("until it is closed");
	vfio_open_close(&w->o[2]);
	assert_int_equal(container_of_group(1)->n, 1);
	vfio_open_close(&w->o[0]);
	vfio_ioas_put(io);
	vfio_ioas_put(io2);
}

/* The kernel's errors come back, each with what a user can do. (tests 16, 17) */
static void map_errors(void **state)
{
	struct world *w = *state;
	struct vfio_ioas *io = vfio_ioas_new(w->s, false);
	struct vfio_ioas_limits l;
	uint64_t bytes;

	plug(w, 0, NULL);
	assert_int_equal(use(w, 0, io), 0);
	/* its limits are the space's */
	vfio_ioas_limits(io, &l);
	assert_int_equal(l.num_ranges, 3);
	assert_int_equal(l.ranges[1].start, 0x40001000);
	assert_int_equal(l.ranges[1].end, 0xfedfffff);
	assert_int_equal(l.ranges[2].end, (1ull << 39) - 1);
	assert_int_equal(l.pgsizes, 0x201000);
	assert_int_equal(l.avail, FAKE_MAPS);
	assert_int_equal(vfio_ioas_map(io, 1ull << 40, (uintptr_t)w->mem, K, RW), -EINVAL);
	said("0x0-0x3fffffff, 0x40001000-0xfedfffff, 0xfef00000-0x7fffffffff");

	fake.memlock = 3 * K;
	assert_int_equal(vfio_ioas_map(io, 0, (uintptr_t)w->mem, K, RW), 0);
	assert_int_equal(vfio_ioas_map(io, K, (uintptr_t)w->mem, 4 * K, RW), -ENOMEM);
	said("RLIMIT_MEMLOCK of at least 20480 bytes (4096 are mapped)");
	fake.memlock = UINT64_MAX;
	fake.entries = 1;
	assert_int_equal(vfio_ioas_map(io, K, (uintptr_t)w->mem, K, RW), -ENOSPC);
	said("dma_entry_limit");
	vfio_ioas_limits(io, &l);
	assert_int_equal(l.avail, 0);
	fake.entries = FAKE_MAPS;
	assert_int_equal(container_of_group(1)->n, 1);
	assert_int_equal(vfio_ioas_unmap(io, 0, K, &bytes), 0);
	vfio_open_close(&w->o[0]);

	/* what is mapped before the device comes: then it does not come */
	assert_int_equal(vfio_ioas_map(io, 0, (uintptr_t)w->mem, K, RW), 0);
	assert_int_equal(vfio_ioas_map(io, 1ull << 40, (uintptr_t)w->mem, K, RW), 0);
	assert_int_equal(use(w, 0, io), -EINVAL);
	said("Its ranges are 0x0-0x3fffffff, 0x40001000-0xfedfffff");
	fake_at_rest();
	vfio_ioas_limits(io, &l);
	assert_int_equal(l.num_ranges, 2);

	/* an old kernel, which says less */
	assert_int_equal(vfio_ioas_unmap(io, 1ull << 40, K, &bytes), 0);
	fake.v1 = fake.old = true;
	assert_int_equal(use(w, 0, io), 0);
	assert_int_equal(container_of_group(1)->type, VFIO_TYPE1_IOMMU);
	vfio_ioas_limits(io, &l);
	assert_int_equal(l.num_ranges, 2);
	assert_int_equal(l.avail, UINT32_MAX);
	vfio_open_close(&w->o[0]);
	vfio_ioas_put(io);
}

/* ---- an open device ---- */

static void regions(void **state)
{
	struct world *w = *state;
	struct vfio_open *o = &w->o[0];
	struct vfio_region r;
	struct vfio_irq irq;
	uint64_t value;
	uint8_t buf[8];

	plug(w, 0, NULL);
	assert_int_equal(vfio_device_region(o, 0, &r), -EINVAL);
	assert_int_equal(vfio_open_bind(o), 0);
	assert_int_equal(o->dev->flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	assert_int_equal(o->dev->num_regions, FAKE_REGIONS);
	assert_int_equal(o->dev->ops->atomics(o->dev), VFIO_PCI_ATOMIC_COMP64);

	assert_int_equal(vfio_device_region(o, 0, &r), 0);
	assert_int_equal(r.size, FAKE_BAR0);
	assert_int_equal(r.flags, 7);
	assert_int_equal(r.num_areas, 1);
	assert_int_equal(r.areas[0].kind, VFIO_AREA_DIRECT);
	assert_int_equal(r.areas[0].fd, w->h[0]->fd);
	assert_int_equal(r.areas[0].size, FAKE_BAR0);
	assert_int_equal(vfio_device_region(o, 1, &r), 0);
	assert_int_equal(r.size, 0);
	/* SPARSE_MMAP with an empty area (test 29) */
	assert_int_equal(vfio_device_region(o, 2, &r), 0);
	assert_int_equal(r.num_areas, 2);
	assert_int_equal(r.areas[1].offset, 0x8000);
	assert_int_equal(r.areas[1].size, 0x2000);
	assert_int_equal(r.areas[1].fd_offset, VFIO_REGION_OFFSET(2) + 0x8000);
	assert_int_equal(vfio_device_check_map(o, 2, 0x9000, K), 0);
	assert_int_equal(vfio_device_check_map(o, 2, 0x4000, K), -EINVAL);
	assert_false(r.msix_mappable);
	assert_int_equal(vfio_device_region(o, 4, &r), 0);
	assert_true(r.msix_mappable);
	assert_int_equal(vfio_device_region(o, 8, &r), -EINVAL);
	assert_int_equal(vfio_device_region(o, 9, &r), 0);
	assert_int_equal(r.type, 0x80008086);
	assert_int_equal(r.subtype, 1);
	assert_int_equal(vfio_device_region(o, 10, &r), -EINVAL);

	assert_int_equal(vfio_device_rw(o, 7, 0, buf, 4, false), 4);
	assert_int_equal(buf[0], 0x34);
	memcpy(buf, "\1\2\3\4\5\6\7\10", 8);
	assert_int_equal(vfio_device_rw(o, 0, 0x10, buf, 8, true), 8);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(vfio_device_rw(o, 0, 0x11, buf, 2, false), 2);
	assert_int_equal(buf[1], 3);
	assert_int_equal(vfio_device_rw(o, 0, FAKE_BAR0 - 1, buf, 8, false), 1);
	assert_int_equal(vfio_device_rw(o, 0, FAKE_BAR0, buf, 8, false), -EINVAL);
	assert_int_equal(vfio_device_rw(o, 1, 0, buf, 8, false), -EINVAL);
	/* loads and stores of any alignment */
	assert_int_equal(vfio_device_mmio(o, 0, 0x11, 7, &value, false), 0);
	assert_int_equal(value & ((1ull << 56) - 1), 0x08070605040302);
	value = 0xaabbcc;
	assert_int_equal(vfio_device_mmio(o, 0, 0x11, 3, &value, true), 0);
	assert_int_equal(vfio_device_mmio(o, 0, 0x10, 8, &value, false), 0);
	assert_int_equal(value, 0x08070605aabbcc01);
	/* behind it, between the areas of one that has two, and where nobody answers */
	assert_int_equal(vfio_device_mmio(o, 0, FAKE_BAR0 + 8, 4, &value, false), -EIO);
	assert_int_equal(vfio_device_mmio(o, 2, 0x2000, 4, &value, false), -EIO);
	assert_int_equal(vfio_device_mmio(o, 2, 0x9ffc, 4, &value, false), 0);
	assert_int_equal(ftruncate(w->h[0]->fd, 0x10), 0);
	assert_int_equal(vfio_device_mmio(o, 0, 0x1000, 4, &value, false), -EIO);
	assert_int_equal(vfio_device_mmio(o, 0, 0x1000, 4, &value, true), -EIO);

	assert_int_equal(vfio_device_irq(o, VFIO_PCI_MSIX_IRQ_INDEX, &irq), 0);
	assert_int_equal(irq.count, 2048);
	assert_int_equal(irq.flags, VFIO_IRQ_INFO_EVENTFD);
	assert_int_equal(vfio_device_irq(o, VFIO_PCI_ERR_IRQ_INDEX, &irq), -EINVAL);
	assert_int_equal(vfio_device_irq(o, 5, &irq), -EINVAL);
}

static void interrupts(void **state)
{
	static int32_t fds[2048];
	struct world *w = *state;
	struct fake_device *d = &fake.devices[0];
	struct vfio_irq_set_args a = {
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.start = 1,
		.count = 2000,
		.data = fds,
	};
	uint8_t on = 1;

	for (int i = 0; i < 2048; i++)
		fds[i] = i;
	plug(w, 0, NULL);
	assert_int_equal(vfio_open_bind(&w->o[0]), 0);
	assert_int_equal(vfio_device_set_irqs(&w->o[0], &a), 0);
	assert_int_equal(d->set.argsz, sizeof(d->set) + 8000);
	assert_int_equal(d->set.start, 1);
	assert_int_equal(d->set.count, 2000);
	assert_memory_equal(d->data, fds, 8000);
	/* fewer vectors, and errors */
	fake.set_irqs = 3;
	assert_int_equal(vfio_device_set_irqs(&w->o[0], &a), 3);
	fake.set_irqs = -EBUSY;
	assert_int_equal(vfio_device_set_irqs(&w->o[0], &a), -EBUSY);
	fake.set_irqs = 0;
	a = (struct vfio_irq_set_args){ VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_MASK, 0, 0, 1,
					&on };
	assert_int_equal(vfio_device_set_irqs(&w->o[0], &a), 0);
	assert_int_equal(d->set.argsz, sizeof(d->set) + 1);
	assert_int_equal(d->set.flags, a.flags);
	/* asked for by us, as by the kernel */
	host_vdev(w->h[0])->ops->request(host_vdev(w->h[0]), 0);
	assert_int_equal(d->set.index, VFIO_PCI_REQ_IRQ_INDEX);
	assert_int_equal(d->set.flags, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER);

	assert_int_equal(vfio_device_ioeventfd(&w->o[0], 4, VFIO_REGION_OFFSET(2) + 8, 5, 6), 0);
	assert_int_equal(d->ioeventfd.flags, 4);
	assert_int_equal(d->ioeventfd.offset, VFIO_REGION_OFFSET(2) + 8);
	assert_int_equal(d->ioeventfd.data, 5);
	assert_int_equal(d->ioeventfd.fd, 6);
	assert_int_equal(vfio_device_ioeventfd(&w->o[0], 4, VFIO_REGION_OFFSET(20), 5, 6), -EINVAL);
}

/* The features that this kernel has for this device are offered, and nothing else. */
static void features(void **state)
{
	struct world *w = *state;
	uint8_t uuid[16] = { 9 };

	plug(w, 0, NULL);
	plug(w, 2, NULL);
	assert_int_equal(vfio_open_bind(&w->o[0]), 0);
	assert_int_equal(vfio_open_bind(&w->o[2]), 0);
	assert_true(vfio_device_has_low_power(&w->o[0]));
	assert_false(vfio_device_has_low_power(&w->o[2]));
	assert_int_equal(vfio_device_low_power(&w->o[2], true, -1), -ENOTTY);
	assert_int_equal(vfio_device_low_power(&w->o[0], true, -1), 0);
	assert_int_equal(vfio_device_low_power(&w->o[0], true, 7), 0);
	assert_int_equal(fake.devices[0].wake, 7);
	assert_int_equal(vfio_device_low_power(&w->o[0], false, -1), 0);
	assert_int_equal(fake.devices[0].features, 0x38);
	assert_false(vfio_device_has_vf_token(&w->o[2]));
	assert_int_equal(vfio_device_set_vf_token(&w->o[2], uuid), -ENOTTY);
	assert_int_equal(vfio_device_set_vf_token(&w->o[0], uuid), 0);
	assert_memory_equal(fake.devices[0].token, uuid, 16);
	assert_null(vfio_device_migrate(&w->o[0]));
}

static void resets(void **state)
{
	struct world *w = *state;
	struct vfio_place at[4];
	char path[160], text[8] = "";
	int fd;

	plug(w, 0, NULL);
	plug(w, 2, NULL);
	assert_int_equal(vfio_open_bind(&w->o[0]), 0);
	assert_int_equal(vfio_open_bind(&w->o[2]), 0);
	assert_int_equal(vfio_device_reset(&w->o[0]), 0);
	assert_int_equal(fake.devices[0].resets, 1);
	assert_int_equal(vfio_device_host_reset(host_vdev(w->h[2])), 0);
	snprintf(path, sizeof(path), "%s/bus/pci/devices/%s/reset", fake.sysfs, FAKE_ALONE);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), 1);
	assert_string_equal(text, "1");
	close(fd);
	unlink(path);
	assert_int_equal(vfio_device_host_reset(host_vdev(w->h[2])), -ENOTTY);

	/* with others: the kernel knows which (test 69) */
	assert_int_equal(vfio_device_slot(&w->o[2], at, 4), -ENODEV);
	assert_int_equal(vfio_device_slot(&w->o[0], NULL, 0), 2);
	assert_int_equal(vfio_device_slot(&w->o[0], at, 4), 2);
	assert_ptr_equal(at[0].dev, host_vdev(w->h[0]));
	assert_ptr_equal(at[0].group, w->g[0]);
	assert_null(at[1].dev); /* of the group, and not in the machine */
	assert_ptr_equal(at[1].group, w->g[0]);
	assert_int_equal(at[1].address.function, 1);
	assert_int_equal(vfio_device_slot_reset(&w->o[0]), 0);
	assert_int_equal(fake.devices[0].hot_resets, 1);
	/* a neighbour that is not ours (test 70) */
	fake.devices[1].group = 3;
	fake_link("../../../kernel/iommu_groups/3", "%s/bus/pci/devices/0000:01:00.1/iommu_group",
		  fake.sysfs);
	assert_int_equal(vfio_device_slot(&w->o[0], at, 4), 2);
	assert_null(at[1].group);
	assert_int_equal(at[1].outside, 3);
	assert_int_equal(vfio_device_slot_reset(&w->o[0]), -EINVAL);
	said("0000:01:00.1, which is reset with it, is in group 3 of the host");
	/* it is: its group's file goes with ours */
	plug(w, 3, NULL);
	assert_int_equal(vfio_open_bind(&w->o[3]), 0);
	assert_int_equal(vfio_device_slot_reset(&w->o[0]), 0);
	assert_int_equal(fake.devices[0].hot_resets, 2);
}

/* A device that was pulled out: each call says so, and it can be closed. */
static void lost(void **state)
{
	struct world *w = *state;
	struct vfio_irq_set_args a = { VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_NONE, 0, 0,
				       0, NULL };
	struct vfio_ioas *io = vfio_ioas_new(w->s, true);

	plug(w, 0, NULL);
	assert_int_equal(use(w, 0, io), 0);
	assert_int_equal(vfio_ioas_map(io, 0, (uintptr_t)w->mem, K, RW), 0);
	fake.lost = true;
	assert_int_equal(vfio_device_reset(&w->o[0]), -ENODEV);
	assert_int_equal(vfio_device_set_irqs(&w->o[0], &a), -ENODEV);
	assert_int_equal(vfio_device_slot(&w->o[0], NULL, 0), -ENODEV);
	vfio_open_close(&w->o[0]);
	fake_at_rest();
	assert_int_equal(use(w, 0, io), -ENODEV);
	fake_at_rest();
	vfio_ioas_put(io);
}

/* A forked child closes what it has from its parent, and nothing else happens. */
static void abandoned(void **state)
{
	struct world *w = *state;

	plug(w, 0, NULL);
	assert_int_equal(vfio_open_bind(&w->o[0]), 0);
	host_abandon(w->h[0]);
	assert_int_equal(fake_opens("group-", "1"), 0);
	assert_int_equal(fake_opens("container-", "0"), 0);
	assert_int_equal(fake_opens("device-", names[0]), 0);
	/* here the parent is the same process, and takes it apart after all */
	fake_unset_container(&fake.groups[0]);
	fake.fault = NULL;
	vfio_open_close(&w->o[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finding, setup, teardown),
		cmocka_unit_test_setup_teardown(a_group, setup, teardown),
		cmocka_unit_test_setup_teardown(files_are_told, setup, teardown),
		cmocka_unit_test_setup_teardown(failing_opens, setup, teardown),
		cmocka_unit_test_setup_teardown(given, setup, teardown),
		cmocka_unit_test_setup_teardown(tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(mirrored, setup, teardown),
		cmocka_unit_test_setup_teardown(apart, setup, teardown),
		cmocka_unit_test_setup_teardown(map_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(regions, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupts, setup, teardown),
		cmocka_unit_test_setup_teardown(features, setup, teardown),
		cmocka_unit_test_setup_teardown(resets, setup, teardown),
		cmocka_unit_test_setup_teardown(lost, setup, teardown),
		cmocka_unit_test_setup_teardown(abandoned, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
