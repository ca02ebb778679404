/* SPDX-License-Identifier: BSD-3-Clause */
/* vfio/group_test.c: devices, groups and containers: who may do what when, and who keeps whom. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "base/log.h"
#include "vfio/internal.h"
#include "vfio/open.h"
#include "vfio/test_system.h"
#include "vfio/type1.h"

#define RW (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

struct fake {
	struct vfio_device vdev;
	struct iommu_device iommu;
	int opens, closes, fail;
};

static struct fake *fake_of(struct vfio_device *dev)
{
	return container_of_type(dev, struct fake, vdev);
}

static int fake_open(struct vfio_device *dev)
{
	if (fake_of(dev)->fail)
		return fake_of(dev)->fail;
	fake_of(dev)->opens++;
	return 0;
}

static void fake_close(struct vfio_device *dev)
{
	fake_of(dev)->closes++;
}

static const struct vfio_device_ops fake_ops = {
	.open = fake_open,
	.close = fake_close,
};

struct world {
	struct vfio_system *s;
	struct iommu_group *ig[3];
	struct vfio_group *g[3]; /* 0: two devices, 1: one, 2: none */
	struct fake dev[3];
	int claimed, refuse;
	bool mode, rawio;
	int owners, using, owned, unusable; /* the last two: what own() and use() answer */
};

static int claim(void *arg, unsigned group, enum vfio_claim take)
{
	struct world *w = arg;

	if (take && w->refuse)
		return -EBUSY;
	w->claimed += take ? 1 : -1;
	return 0;
}

static bool noiommu(void *arg)
{
	return ((struct world *)arg)->mode;
}

static bool rawio(void *arg)
{
	return ((struct world *)arg)->rawio;
}

static int own(void *arg, unsigned group, bool take)
{
	struct world *w = arg;

	if (take && w->owned)
		return w->owned;
	w->owners += take ? 1 : -1;
	return 0;
}

static bool viable(void *arg, unsigned group)
{
	return !((struct world *)arg)->owned;
}

static int use(void *arg, unsigned group, const char *name, bool take)
{
	struct world *w = arg;

	if (take && w->unusable)
		return w->unusable;
	w->using += take ? 1 : -1;
	return 0;
}

static const struct vfio_env env = { .own = own,
				     .viable = viable,
				     .use = use,
				     .claim = claim,
				     .dma_entry_limit = VFIO_DMA_ENTRY_LIMIT,
				     .noiommu = noiommu,
				     .rawio = rawio };

static int setup(void **state)
{
	static const char *const names[] = { "0000:01:00.0", "0000:01:00.1", "0000:02:00.0" };
	struct world *w = calloc(1, sizeof(*w));

	log_set(2, LOG_NONE);
	w->s = vfio_system_new(&env, w);
	for (unsigned i = 0; i < 3; i++) {
		w->ig[i] = iommu_group_new(i + 5);
		assert_int_equal(vfio_system_add_group(w->s, w->ig[i], &w->g[i]), 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		iommu_device_init(&w->dev[i].iommu, names[i]);
		vfio_device_init(&w->dev[i].vdev, &fake_ops, names[i], &w->dev[i].iommu);
		assert_int_equal(iommu_group_add(w->ig[i / 2], &w->dev[i].iommu), 0);
		assert_int_equal(vfio_group_add_device(w->g[i / 2], &w->dev[i].vdev), 0);
	}
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	for (unsigned i = 0; i < 3; i++) {
		iommu_group_remove(w->ig[i / 2], &w->dev[i].iommu);
		vfio_device_fini(&w->dev[i].vdev);
		iommu_device_fini(&w->dev[i].iommu);
	}
	vfio_system_free(w->s);
	for (unsigned i = 0; i < 3; i++)
		iommu_group_free(w->ig[i]);
	free(w);
	return 0;
}

static uint32_t status(struct vfio_group *g)
{
	uint32_t flags;

	assert_int_equal(vfio_group_status(g, &flags), 0);
	return flags;
}

static void lookup(void **state)
{
	struct world *w = *state;
	struct vfio_group *g;

	assert_ptr_equal(vfio_system_group(w->s, 6), w->g[1]);
	assert_null(vfio_system_group(w->s, 1));
	assert_ptr_equal(test_find_device(w->s, "0000:02:00.0"), &w->dev[2].vdev);
	assert_null(test_find_device(w->s, "02:00.0"));
	assert_ptr_equal(w->dev[1].vdev.group, w->g[0]);
	assert_int_equal(vfio_system_add_group(w->s, w->ig[1], &g), -EEXIST);
}

static void open_a_group(void **state)
{
	struct world *w = *state;

	assert_int_equal(vfio_group_open(w->s, w->g[2]), -ENODEV);
	w->refuse = 1;
	assert_int_equal(vfio_group_open(w->s, w->g[0]), -EBUSY);
	w->refuse = 0;
	assert_int_equal(vfio_group_open(w->s, w->g[0]), 0);
	assert_int_equal(vfio_group_open(w->s, w->g[0]), -EBUSY);
	assert_int_equal(w->claimed, 1);
	assert_int_equal(status(w->g[0]), VFIO_GROUP_FLAGS_VIABLE);
	vfio_group_release(w->s, w->g[0]);
	assert_int_equal(w->claimed, 0);
	assert_int_equal(vfio_group_open(w->s, w->g[0]), 0);
	vfio_group_release(w->s, w->g[0]);
}

static void extensions(void **state)
{
	struct world *w = *state;
	struct vfio_container *c = vfio_container_new(w->s);
	static const int before[] = { 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0 },
			 after[] = { 0, 1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 0 };

	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(vfio_container_check_extension(c, i), before[i]);
	assert_int_equal(vfio_container_check_extension(c, 1ul << 32 | 1), 0);
	assert_int_equal(vfio_group_set_container(w->g[0], c), 0);
	assert_int_equal(vfio_container_check_extension(c, VFIO_DMA_CC_IOMMU), 0);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1_IOMMU), 0);
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(vfio_container_check_extension(c, i), after[i]);
	assert_int_equal(vfio_group_unset_container(w->g[0]), 0);
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(vfio_container_check_extension(c, i), before[i]);
	vfio_container_put(c);
}

/* All that was taken is given back on each way out. */
static void owned_and_used(void **state)
{
	struct world *w = *state;
	struct vfio_container *c = vfio_container_new(w->s);
	struct vfio_open o;

	assert_int_equal(vfio_group_open(w->s, w->g[0]), 0);
	w->owned = -EPERM;
	assert_int_equal(status(w->g[0]), 0);
	assert_int_equal(vfio_group_set_container(w->g[0], c), -EPERM);
	w->owned = 0;
	assert_int_equal(vfio_group_set_container(w->g[0], c), 0);
	assert_int_equal(w->owners, 1);
	w->owned = -EPERM;
	assert_int_equal(status(w->g[0]), VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET);
	w->owned = 0;
	assert_int_equal(vfio_group_set_container(w->g[0], c), -EINVAL);
	assert_int_equal(w->owners, 1);
	assert_int_equal(vfio_open_by_group(&o, w->g[0], "0000:01:00.0", NULL), -EINVAL);
	assert_int_equal(w->using, 0);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1_IOMMU), 0);
	w->unusable = -ENODEV;
	assert_int_equal(vfio_open_by_group(&o, w->g[0], "0000:01:00.0", NULL), -ENODEV);
	w->unusable = 0;
	w->dev[0].fail = -EIO;
	assert_int_equal(vfio_open_by_group(&o, w->g[0], "0000:01:00.0", NULL), -EIO);
	w->dev[0].fail = 0;
	assert_int_equal(w->using, 0);
	assert_int_equal(vfio_open_by_group(&o, w->g[0], "0000:01:00.0", NULL), 0);
	assert_int_equal(w->using, 1);
	vfio_open_close(&o);
	assert_int_equal(w->using, 0);
	assert_int_equal(vfio_group_unset_container(w->g[0]), 0);
	assert_int_equal(w->owners, 0);
	assert_int_equal(vfio_group_set_container(w->g[0], c), 0);
	vfio_group_release(w->s, w->g[0]);
	assert_int_equal(w->owners, 0);
	/* by itself: the claim is given back, too */
	vfio_open_init(&o, &w->dev[0].vdev);
	w->owned = -EPERM;
	assert_int_equal(vfio_open_bind(&o), -EPERM);
	w->owned = 0;
	w->unusable = -ENODEV;
	assert_int_equal(vfio_open_bind(&o), -ENODEV);
	w->unusable = 0;
	w->dev[0].fail = -EIO;
	assert_int_equal(vfio_open_bind(&o), -EIO);
	w->dev[0].fail = 0;
	assert_true(!w->claimed && !w->owners && !w->using);
	assert_int_equal(vfio_open_bind(&o), 0);
	assert_true(w->claimed == 1 && w->owners == 1 && w->using == 1);
	vfio_open_close(&o);
	assert_true(!w->claimed && !w->owners && !w->using);
	vfio_container_put(c);
}

static void without_iommu(void **state)
{
	struct world *w = *state;
	struct vfio_container *c = vfio_container_new(w->s), *c2 = vfio_container_new(w->s);
	struct vfio_device *dev;
	struct vfio_ioas *io;
	bool by_iommufd;

	w->g[0]->noiommu = true;
	/* in an empty container the mode is all that counts */
	assert_int_equal(vfio_container_check_extension(c, VFIO_NOIOMMU_IOMMU), 0);
	w->mode = true;
	assert_int_equal(vfio_container_check_extension(c, VFIO_NOIOMMU_IOMMU), 1);
	assert_int_equal(vfio_container_check_extension(c, VFIO_TYPE1_IOMMU), 1);
	/* the right is asked for at each step */
	assert_int_equal(vfio_group_open(w->s, w->g[0]), -EPERM);
	w->rawio = true;
	assert_int_equal(vfio_group_open(w->s, w->g[0]), 0);
	w->rawio = false;
	assert_int_equal(vfio_group_set_container(w->g[0], c), -EPERM);
	w->rawio = true;
	assert_int_equal(vfio_group_set_container(w->g[0], c), 0);
	assert_int_equal(vfio_container_check_extension(c, VFIO_TYPE1_IOMMU), 0);
	assert_int_equal(vfio_container_check_extension(c, VFIO_UNMAP_ALL), 0);
	assert_int_equal(
		vfio_group_open_device(w->g[0], "0000:01:00.0", NULL, &dev, &io, &by_iommufd),
		-EINVAL);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1_IOMMU), -ENODEV);
	w->mode = false;
	assert_int_equal(vfio_container_set_iommu(c, VFIO_NOIOMMU_IOMMU), -ENODEV);
	assert_int_equal(vfio_container_check_extension(c, VFIO_NOIOMMU_IOMMU), 0);
	w->mode = true;
	w->rawio = false;
	assert_int_equal(vfio_container_set_iommu(c, VFIO_NOIOMMU_IOMMU), -EPERM);
	w->rawio = true;
	assert_int_equal(vfio_container_set_iommu(c, VFIO_NOIOMMU_IOMMU), 0);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_NOIOMMU_IOMMU), -EINVAL);
	assert_true(vfio_container_is_noiommu(c));
	assert_null(vfio_container_type1_get(c));
	w->rawio = false;
	assert_int_equal(
		vfio_group_open_device(w->g[0], "0000:01:00.0", NULL, &dev, &io, &by_iommufd),
		-EPERM);
	w->rawio = true;
	assert_int_equal(
		vfio_group_open_device(w->g[0], "0000:01:00.0", NULL, &dev, &io, &by_iommufd), 0);
	assert_null(io);
	assert_int_equal(vfio_group_unset_container(w->g[0]), -EBUSY);
	assert_false(by_iommufd);
	vfio_group_close_device(w->g[0], dev, io, by_iommufd);
	/* the two kinds do not mix */
	assert_int_equal(vfio_group_set_container(w->g[1], c), -EPERM);
	assert_int_equal(vfio_group_set_container(w->g[1], c2), 0);
	assert_int_equal(vfio_container_check_extension(c2, VFIO_NOIOMMU_IOMMU), 0);
	assert_int_equal(vfio_group_unset_container(w->g[0]), 0);
	assert_int_equal(vfio_group_set_container(w->g[0], c2), -EPERM);
	assert_int_equal(vfio_container_set_iommu(c2, VFIO_NOIOMMU_IOMMU), -ENODEV);
	/* with the last group its kind goes, too */
	assert_int_equal(vfio_group_unset_container(w->g[1]), 0);
	assert_false(vfio_container_is_noiommu(c));
	assert_int_equal(vfio_group_set_container(w->g[1], c), 0);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1_IOMMU), 0);
	assert_int_equal(vfio_group_unset_container(w->g[1]), 0);
	vfio_group_release(w->s, w->g[0]);
	vfio_container_put(c);
	vfio_container_put(c2);
}

static void container_life(void **state)
{
	struct world *w = *state;
	struct vfio_container *c = vfio_container_new(w->s), *c2 = vfio_container_new(w->s);
	char *mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_type1 *t;
	char byte;

	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1v2_IOMMU), -EINVAL);
	assert_null(vfio_container_type1_get(c));
	assert_int_equal(vfio_group_unset_container(w->g[0]), -EINVAL);
	assert_int_equal(vfio_group_set_container(w->g[0], c), 0);
	assert_int_equal(status(w->g[0]), VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET);
	assert_int_equal(vfio_group_set_container(w->g[0], c2), -EINVAL);
	assert_int_equal(vfio_group_set_container(w->g[0], c), -EINVAL);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_SPAPR_TCE_IOMMU), -ENODEV);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1_NESTING_IOMMU), -ENODEV);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_NOIOMMU_IOMMU), -ENODEV);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1v2_IOMMU), -EINVAL);
	t = vfio_container_type1_get(c);
	assert_non_null(t);
	assert_true(vfio_type1_is_v2(t));
	assert_int_equal(vfio_type1_map(t, RW, (uintptr_t)mem, 0x1000, 4096), 0);
	vfio_container_type1_put(c);
	mem[5] = 42;
	assert_int_equal(iommu_dma_read(&w->dev[0].iommu, 0x1005, &byte, 1), 0);
	assert_int_equal(byte, 42);
	assert_int_equal(iommu_dma_read(&w->dev[1].iommu, 0x1005, &byte, 1), 0);
	assert_int_equal(iommu_dma_read(&w->dev[2].iommu, 0x1005, &byte, 1), -EFAULT);
	/* a group that comes later shares what is mapped */
	assert_int_equal(vfio_group_set_container(w->g[1], c), 0);
	assert_int_equal(iommu_dma_read(&w->dev[2].iommu, 0x1005, &byte, 1), 0);
	/* the container outlives its file, and its mappings one of its groups */
	vfio_container_put(c);
	assert_int_equal(vfio_group_unset_container(w->g[0]), 0);
	assert_int_equal(iommu_dma_read(&w->dev[0].iommu, 0x1005, &byte, 1), -EFAULT);
	assert_int_equal(iommu_dma_read(&w->dev[2].iommu, 0x1005, &byte, 1), 0);
	assert_int_equal(atomic_load(&w->s->ioases.mappings), 1);
	/* the last group takes all with it */
	vfio_group_release(w->s, w->g[1]);
	assert_int_equal(iommu_dma_read(&w->dev[2].iommu, 0x1005, &byte, 1), -EFAULT);
	assert_int_equal(atomic_load(&w->s->ioases.mappings), 0);
	assert_int_equal(atomic_load(&w->s->ioases.pages_locked), 0);
	/* unset again: as new, of another type */
	assert_int_equal(vfio_group_set_container(w->g[0], c2), 0);
	assert_int_equal(vfio_container_set_iommu(c2, VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(vfio_group_unset_container(w->g[0]), 0);
	assert_null(vfio_container_type1_get(c2));
	assert_int_equal(vfio_group_set_container(w->g[0], c2), 0);
	assert_int_equal(vfio_container_set_iommu(c2, VFIO_TYPE1_IOMMU), 0);
	t = vfio_container_type1_get(c2);
	assert_false(vfio_type1_is_v2(t));
	assert_int_equal(test_avail(vfio_type1_ioas(t)), 65535);
	vfio_container_type1_put(c2);
	assert_int_equal(vfio_group_unset_container(w->g[0]), 0);
	vfio_container_put(c2);
	munmap(mem, 4096);
}

static void open_devices(void **state)
{
	struct world *w = *state;
	struct vfio_container *c = vfio_container_new(w->s);
	struct vfio_open a, b;

	assert_int_equal(vfio_group_open(w->s, w->g[0]), 0);
	assert_int_equal(vfio_open_by_group(&a, w->g[0], "0000:01:00.0", NULL), -EINVAL);
	assert_int_equal(vfio_open_by_group(&a, w->g[0], "0000:02:00.0", NULL), -ENODEV);
	assert_int_equal(vfio_group_set_container(w->g[0], c), 0);
	assert_int_equal(vfio_open_by_group(&a, w->g[0], "0000:01:00.0", NULL), -EINVAL);
	assert_int_equal(vfio_container_set_iommu(c, VFIO_TYPE1_IOMMU), 0);
	assert_int_equal(vfio_open_by_group(&a, w->g[0], "0000:01:00.", NULL), -ENODEV);
	w->dev[0].fail = -EIO;
	assert_int_equal(vfio_open_by_group(&a, w->g[0], "0000:01:00.0", NULL), -EIO);
	assert_int_equal(w->g[0]->device_files, 0);
	w->dev[0].fail = 0;
	/* any number of files: one open, one close */
	assert_int_equal(vfio_open_by_group(&a, w->g[0], "0000:01:00.0", NULL), 0);
	assert_int_equal(vfio_open_by_group(&b, w->g[0], "0000:01:00.0", NULL), 0);
	assert_ptr_equal(a.dev, b.dev);
	assert_int_equal(w->dev[0].opens, 1);
	assert_int_equal(vfio_group_unset_container(w->g[0]), -EBUSY);
	vfio_open_close(&a);
	assert_int_equal(w->dev[0].closes, 0);
	assert_int_equal(vfio_group_unset_container(w->g[0]), -EBUSY);
	vfio_open_close(&b);
	assert_int_equal(w->dev[0].closes, 1);
	assert_int_equal(vfio_group_unset_container(w->g[0]), 0);
	vfio_group_release(w->s, w->g[0]);
	vfio_container_put(c);
}

struct race {
	struct world *w;
	struct vfio_container *c;
	char *mem;
	atomic_bool stop;
};

/* maps as long as it may; the address space may go away under it */
static void *map_all_the_time(void *arg)
{
	struct race *r = arg;
	uint64_t done;

	while (!atomic_load(&r->stop)) {
		struct vfio_type1 *t;

		vfio_container_check_extension(r->c, VFIO_UPDATE_VADDR);
		t = vfio_container_type1_get(r->c);
		if (!t)
			continue;
		vfio_type1_map(t, RW, (uintptr_t)r->mem, 0, 4096);
		vfio_type1_unmap(t, 0, 0, 4096, &done, 0, 0, NULL);
		vfio_container_type1_put(r->c);
	}
	return NULL;
}

static void unset_while_mapping(void **state)
{
	struct world *w = *state;
	struct race r = { .w = w, .c = vfio_container_new(w->s) };
	struct vfio_open o;
	pthread_t th;

	r.mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(pthread_create(&th, NULL, map_all_the_time, &r), 0);
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(vfio_group_open(w->s, w->g[0]), 0);
		assert_int_equal(vfio_group_set_container(w->g[0], r.c), 0);
		assert_int_equal(vfio_container_set_iommu(r.c, i & 1 ? VFIO_TYPE1_IOMMU
								     : VFIO_TYPE1v2_IOMMU),
				 0);
		assert_int_equal(vfio_open_by_group(&o, w->g[0], "0000:01:00.1", NULL), 0);
		vfio_open_close(&o);
		if (i & 2)
			assert_int_equal(vfio_group_unset_container(w->g[0]), 0);
		vfio_group_release(w->s, w->g[0]);
	}
	atomic_store(&r.stop, true);
	pthread_join(th, NULL);
	assert_int_equal(atomic_load(&w->s->ioases.mappings), 0);
	vfio_container_put(r.c);
	munmap(r.mem, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(lookup, setup, teardown),
		cmocka_unit_test_setup_teardown(open_a_group, setup, teardown),
		cmocka_unit_test_setup_teardown(extensions, setup, teardown),
		cmocka_unit_test_setup_teardown(owned_and_used, setup, teardown),
		cmocka_unit_test_setup_teardown(without_iommu, setup, teardown),
		cmocka_unit_test_setup_teardown(container_life, setup, teardown),
		cmocka_unit_test_setup_teardown(open_devices, setup, teardown),
		cmocka_unit_test_setup_teardown(unset_while_mapping, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
