/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_pci/mmap_test.c: which pages of a BAR can be mapped, the areas that say so, and who is told
 * when polled pages open.
 */
#include "vfio_pci/test_device.h"

#define PAGE 4096ull
#define MOST 6u

/* The layout of BAR 0 that a test asks for: areas with 0 for len at the end; pages. */
static struct layout {
	uint64_t bar; /* pages */
	struct {
		uint64_t offset, len;
		enum uvfio_page_kind kind;
	} area[MOST];
} layout;

static int create_layout(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { 0x1234, 0x5678, 0x9abc, 0xdef0, 0xff0000, 7 };

	memset(&tm, 0, sizeof(tm));
	assert_int_equal(uvfio_set_ids(dev, &ids), 0);
	assert_int_equal(uvfio_add_bar(dev, 0, layout.bar * PAGE, 0), 0);
	assert_int_equal(uvfio_add_bar(dev, 1, PAGE, 0), 0);
	for (unsigned i = 0; i < MOST && layout.area[i].len; i++)
		assert_int_equal(uvfio_set_pages(dev, 0, layout.area[i].offset * PAGE,
						 layout.area[i].len * PAGE, layout.area[i].kind),
				 0);
	return uvfio_add_pm(dev, false) > 0 && uvfio_add_pcie(dev, true) > 0 ? 0 : -EINVAL;
}

static const struct uvfio_model model = { UVFIO_MODEL_INIT,	   .name = "layout",
					  .create = create_layout, .reset = t_reset,
					  .bar_read = t_bar_read,  .bar_write = t_bar_write };

#define T UVFIO_PAGE_TRAPPED
#define P UVFIO_PAGE_POLLED
#define U UVFIO_PAGE_UNMAPPED

static const struct {
	struct layout layout;
	bool mappable;
	unsigned n; /* areas of the sparse-mmap capability: offset, size; in pages */
	uint64_t sparse[MOST][2];
} cases[] = {
	{ { 8, { { 0 } } }, true, 0, { { 0 } } },
	{ { 8, { { 0, 8, T } } }, true, 0, { { 0 } } },
	{ { 8, { { 0, 8, P } } }, true, 0, { { 0 } } },
	{ { 8, { { 2, 1, P }, { 4, 2, T } } }, true, 0, { { 0 } } },
	/* unmapped at the start, the end, in the middle, all of it */
	{ { 8, { { 0, 1, U } } }, true, 1, { { 1, 7 } } },
	{ { 8, { { 7, 1, U } } }, true, 1, { { 0, 7 } } },
	{ { 8, { { 3, 2, U } } }, true, 2, { { 0, 3 }, { 5, 3 } } },
	{ { 8, { { 0, 8, U } } }, false, 0, { { 0 } } },
	{ { 1, { { 0, 1, U } } }, false, 0, { { 0 } } },
	{ { 8, { { 0, 4, U }, { 4, 4, U } } }, false, 0, { { 0 } } },
	{ { 8, { { 4, 4, U }, { 0, 4, U } } }, false, 0, { { 0 } } },
	/* side by side, in any order of declaring */
	{ { 8, { { 3, 1, U }, { 2, 1, U } } }, true, 2, { { 0, 2 }, { 4, 4 } } },
	{ { 8, { { 2, 1, U }, { 3, 1, P }, { 4, 1, U } } },
	  true,
	  3,
	  { { 0, 2 }, { 3, 1 }, { 5, 3 } } },
	{ { 8, { { 6, 2, U }, { 0, 1, U }, { 3, 1, U }, { 1, 1, P }, { 4, 1, T } } },
	  true,
	  2,
	  { { 1, 2 }, { 4, 2 } } },
	{ { 8, { { 1, 1, U }, { 3, 1, U }, { 5, 1, U }, { 7, 1, U } } },
	  true,
	  4,
	  { { 0, 1 }, { 2, 1 }, { 4, 1 }, { 6, 1 } } },
	/* polled and unmapped at the edges */
	{ { 8, { { 0, 1, U }, { 1, 6, P }, { 7, 1, U } } }, true, 1, { { 1, 6 } } },
};

static void plug(struct tdev *t, const struct layout *l)
{
	layout = *l;
	t_open(t, &model);
}

/* The sparse-mmap capability of @r: its areas, and how many; 0: all of it can be mapped. */
static unsigned sparse(const struct vfio_region *r, uint64_t out[][2])
{
	unsigned i = 0, n = 0;

	for (; vfio_region_part(r, &i, &out[n][0], &out[n][1]); n++)
		assert_true(n < MOST);
	return n == 1 && out[0][1] == r->size ? 0 : n;
}

static void test_areas(void **state)
{
	uint64_t part[MOST + 1][2];
	struct vfio_region r;
	struct tdev t;

	for (unsigned c = 0; c < ARRAY_SIZE(cases); c++) {
		plug(&t, &cases[c].layout);
		assert_int_equal(t.dev->ops->region(t.dev, 0, &r), 0);
		assert_int_equal(r.size, cases[c].layout.bar * PAGE);
		assert_int_equal(r.flags,
				 VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
					 (cases[c].mappable ? VFIO_REGION_INFO_FLAG_MMAP : 0));
		assert_int_equal(sparse(&r, part), cases[c].n);
		for (unsigned i = 0; i < cases[c].n; i++) {
			assert_int_equal(part[i][0], cases[c].sparse[i][0] * PAGE);
			assert_int_equal(part[i][1], cases[c].sparse[i][1] * PAGE);
		}
		/* another BAR is as it is */
		assert_int_equal(t.dev->ops->region(t.dev, 1, &r), 0);
		assert_int_equal(r.flags, 7);
		assert_int_equal(r.num_areas, 0);
		t_close(&t);
	}
}

/* The first polled area of BAR @bar at or behind index @i of its areas. */
static const struct vfio_region_area *polled(struct tdev *t, unsigned bar, unsigned *i)
{
	struct vfio_region r = { 0 };

	assert_int_equal(t->dev->ops->region(t->dev, bar, &r), 0);
	for (; *i < r.num_areas; ++*i)
		if (r.areas[*i].kind == VFIO_AREA_POLLED)
			return &r.areas[(*i)++];
	return NULL;
}

/* All polled areas, in order, each with its memory. */
static void test_polled(void **state)
{
	static const struct layout l = {
		16,
		{ { 8, 2, P }, { 1, 1, P }, { 4, 1, U }, { 2, 1, P }, { 0, 1, T }, { 15, 1, P } }
	};
	static const uint64_t expect[][2] = { { 1, 1 }, { 2, 1 }, { 8, 2 }, { 15, 1 } };
	const struct vfio_region_area *a;
	unsigned at = 0;
	struct tdev t;

	plug(&t, &l);
	for (unsigned i = 0; i < ARRAY_SIZE(expect); i++) {
		a = polled(&t, 0, &at);
		assert_non_null(a);
		assert_int_equal(a->offset, expect[i][0] * PAGE);
		assert_int_equal(a->size, expect[i][1] * PAGE);
		assert_true(a->fd >= 0);
		assert_int_equal(a->fd_offset, a->offset);
		assert_false(a->shared);
	}
	assert_null(polled(&t, 0, &at));
	for (unsigned i = 1; i < 8; i++) {
		at = 0;
		assert_null(polled(&t, i, &at));
	}
	t_close(&t);
}

/* ---- the mapper ---- */

static struct {
	struct vfio_device *dev;
	unsigned opens, closes, mappings;
} seen;

static unsigned mapper(struct vfio_open *o, void *arg, enum vfio_area_kind kind, bool open)
{
	assert_int_equal(kind, VFIO_AREA_POLLED);
	assert_ptr_equal(arg, &seen);
	assert_true(seen.dev->ops->area_open(seen.dev, VFIO_AREA_POLLED) == open);
	seen.opens += open;
	seen.closes += !open;
	return seen.mappings;
}

static void test_mapper(void **state)
{
	static const struct layout l = { 8, { { 1, 1, P } } };
	uint16_t command = PCI_COMMAND_MEMORY;
	struct tdev t;

	plug(&t, &l);
	memset(&seen, 0, sizeof(seen));
	seen.dev = t.dev;
	seen.mappings = 1;
	assert_int_equal(t.dev->ops->rw(t.dev, 7, PCI_COMMAND, &command, 2, true), 2);
	/* nothing was ever mapped */
	assert_int_equal(uvfio_polled_open(t.fn), -ENOENT);
	vfio_open_set_mapper(&t.open, mapper, &seen);
	assert_int_equal(uvfio_polled_open(t.fn), 0);
	assert_int_equal(seen.opens, 1);
	assert_true(t.dev->ops->area_open(t.dev, VFIO_AREA_POLLED));
	/* the user switches decoding off */
	command = 0;
	assert_int_equal(t.dev->ops->rw(t.dev, 7, PCI_COMMAND, &command, 2, true), 2);
	assert_int_equal(seen.closes, 1);
	assert_false(t.dev->ops->area_open(t.dev, VFIO_AREA_POLLED));
	command = PCI_COMMAND_MEMORY;
	assert_int_equal(t.dev->ops->rw(t.dev, 7, PCI_COMMAND, &command, 2, true), 2);
	assert_int_equal(uvfio_polled_open(t.fn), 0);
	/* VFIO_DEVICE_RESET, after which decoding is as it was and the pages are closed */
	assert_int_equal(t.dev->ops->reset(t.dev), 0);
	assert_int_equal(seen.closes, 2);
	assert_int_equal(t.dev->ops->rw(t.dev, 7, PCI_COMMAND, &command, 2, false), 2);
	assert_true(command & PCI_COMMAND_MEMORY);
	assert_int_equal(uvfio_polled_open(t.fn), 0);
	/* mapping is forbidden from now on: what is mapped can still be closed */
	vfio_pci_set_mmap(t.dev, VFIO_PCI_MMAP_OFF);
	uvfio_polled_close(t.fn);
	assert_int_equal(seen.closes, 3);
	vfio_pci_set_mmap(t.dev, VFIO_PCI_MMAP_AUTO);
	assert_int_equal(uvfio_polled_open(t.fn), 0);
	/* low power: also while the function is awake for a call */
	vfio_device_use(t.dev);
	assert_int_equal(vfio_device_low_power(&t.open, true, -1), 0);
	assert_int_equal(seen.closes, 4);
	assert_int_equal(uvfio_polled_open(t.fn), -EIO);
	assert_int_equal(vfio_device_low_power(&t.open, false, -1), 0);
	vfio_device_unuse(t.dev);
	/* the handle is closed while they are open */
	assert_int_equal(uvfio_polled_open(t.fn), 0);
	t_close(&t);
	assert_int_equal(seen.opens, 5);
	assert_int_equal(seen.closes, 5);
}

static struct {
	unsigned opens, closes;
} memory_seen;

static unsigned memory_mapper(struct vfio_open *o, void *arg, enum vfio_area_kind kind, bool open)
{
	assert_int_equal(kind, VFIO_AREA_DIRECT);
	memory_seen.opens += open;
	memory_seen.closes += !open;
	return 1;
}

/* Memory is a direct area, which is open while the device answers. */
static void test_memory(void **state)
{
	static const struct layout l = { 8, { { 2, 3, UVFIO_PAGE_MEMORY } } };
	struct vfio_region r;
	uint16_t command;
	struct tdev t;

	plug(&t, &l);
	memset(&memory_seen, 0, sizeof(memory_seen));
	assert_int_equal(t.dev->ops->region(t.dev, 0, &r), 0);
	assert_int_equal(r.num_areas, 3);
	assert_int_equal(r.areas[0].kind, VFIO_AREA_TRAPPED);
	assert_int_equal(r.areas[1].kind, VFIO_AREA_DIRECT);
	assert_true(r.areas[1].offset == 2 * PAGE && r.areas[1].size == 3 * PAGE &&
		    r.areas[1].fd >= 0);
	vfio_open_set_mapper(&t.open, memory_mapper, NULL);
	/* the driver has switched decoding on */
	assert_true(vfio_device_area_open(&t.open, VFIO_AREA_DIRECT));
	command = 0;
	assert_int_equal(t.dev->ops->rw(t.dev, 7, PCI_COMMAND, &command, 2, true), 2);
	assert_false(vfio_device_area_open(&t.open, VFIO_AREA_DIRECT));
	assert_true(memory_seen.opens == 0 && memory_seen.closes == 1);
	command = PCI_COMMAND_MEMORY;
	assert_int_equal(t.dev->ops->rw(t.dev, 7, PCI_COMMAND, &command, 2, true), 2);
	assert_true(memory_seen.opens == 1 && memory_seen.closes == 1);
	/* a reset, after which decoding is as it was */
	assert_int_equal(t.dev->ops->reset(t.dev), 0);
	assert_true(memory_seen.opens == memory_seen.closes && memory_seen.closes > 1);
	assert_true(vfio_device_area_open(&t.open, VFIO_AREA_DIRECT));
	vfio_pci_set_mmap(t.dev, VFIO_PCI_MMAP_TRAP);
	assert_int_equal(t.dev->ops->region(t.dev, 0, &r), 0);
	assert_int_equal(r.num_areas, 0);
	vfio_pci_set_mmap(t.dev, VFIO_PCI_MMAP_AUTO);
	t_close(&t);
}

/* mmap=trap: pages that cannot be mapped still cannot, polled ones are trapped. off: none can. */
static void test_options(void **state)
{
	static const struct layout l = { 8, { { 1, 1, P }, { 4, 1, U } } };
	uint64_t part[MOST + 1][2];
	unsigned at = 0;
	struct vfio_region r;
	struct tdev t;

	plug(&t, &l);
	vfio_pci_set_mmap(t.dev, VFIO_PCI_MMAP_TRAP);
	assert_null(polled(&t, 0, &at));
	assert_int_equal(t.dev->ops->region(t.dev, 0, &r), 0);
	assert_true(r.flags & VFIO_REGION_INFO_FLAG_MMAP);
	assert_int_equal(sparse(&r, part), 2);
	vfio_pci_set_mmap(t.dev, VFIO_PCI_MMAP_OFF);
	assert_int_equal(t.dev->ops->region(t.dev, 0, &r), 0);
	assert_false(r.flags & VFIO_REGION_INFO_FLAG_MMAP);
	assert_int_equal(r.num_areas, 0);
	vfio_pci_set_mmap(t.dev, VFIO_PCI_MMAP_AUTO);
	at = 0;
	assert_false(polled(&t, 0, &at)->shared);
	vfio_pci_set_mmap(t.dev, VFIO_PCI_MMAP_SHARED);
	at = 0;
	assert_true(polled(&t, 0, &at)->shared && uvfio_polled_shared(t.fn));
	assert_int_equal(t.dev->ops->region(t.dev, 0, &r), 0);
	assert_false(r.areas[0].shared); /* it is trapped */
	t_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_areas),	cmocka_unit_test(test_polled),
		cmocka_unit_test(test_mapper),	cmocka_unit_test(test_memory),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
