/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/bar_map_fault_test.c: BARs in the address space: their rights come and go with the device's
 * areas, a look-up finds a model's alone, a child of fork() has none, and each call may fail: then
 * nothing is mapped.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "base/test_fault.h"
#include "base/util.h"
#include "iommu/peer.h"
#include "vfio/bar_map.h"
#include "vfio/internal.h"
#include "vfio/open.h"

#define PAGE PAGE_SIZE_4K

static struct iommu_target *target;
static bool answers, closing;
static unsigned inside, looks;

static bool area_open(struct vfio_device *dev, enum vfio_area_kind kind)
{
	return answers && kind == VFIO_AREA_DIRECT;
}

static struct iommu_target *target_of(struct vfio_device *dev)
{
	/* the device is asked while it is kept */
	assert_int_equal(inside, 1);
	return target;
}

static int no_region(struct vfio_device *dev, uint32_t index, struct vfio_region *out)
{
	return -EINVAL;
}

static const struct vfio_device_ops model_ops = { .area_open = area_open,
						  .region = no_region,
						  .target = target_of };
static const struct vfio_device_ops real_ops = { .region = no_region };

static bool enter(struct vfio_open *o)
{
	looks++;
	inside += !closing;
	return !closing;
}

static void leave(struct vfio_open *o)
{
	inside--;
}

static struct world {
	struct vfio_bar_maps maps;
	struct vfio_device model, real;
	struct vfio_open of_model, of_real, other;
	int fd;
} w;

static int on_access(void *arg, struct iommu_device *from, unsigned bar, uint64_t off, void *buf,
		     size_t len, bool write)
{
	return 0;
}

static int setup(void **state)
{
	answers = closing = false;
	inside = looks = 0;
	target = iommu_target_new("0000:01:00.0", on_access, NULL);
	vfio_bar_maps_init(&w.maps, enter, leave);
	vfio_device_init(&w.model, &model_ops, "0000:01:00.0", NULL);
	vfio_device_init(&w.real, &real_ops, "0000:02:00.0", NULL);
	vfio_open_init(&w.of_model, &w.model);
	vfio_open_init(&w.of_real, &w.real);
	vfio_open_init(&w.other, &w.model);
	w.fd = memfd_create("bar", MFD_CLOEXEC);
	return ftruncate(w.fd, 8 * PAGE);
}

static int teardown(void **state)
{
	assert_true(cds_list_empty(&w.maps.list));
	assert_int_equal(inside, 0);
	close(w.fd);
	vfio_bar_maps_fini(&w.maps);
	vfio_device_fini(&w.model);
	vfio_device_fini(&w.real);
	iommu_target_put(target);
	return 0;
}

/* What a processor may do at @at: PROT_READ, PROT_WRITE; -1: nothing is mapped there. */
static int rights(const void *at)
{
	char line[256], r = 0, wr = 0;
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	int found = -1;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx %c%c", &from, &to, &r, &wr) == 4 &&
		    (uintptr_t)at >= from && (uintptr_t)at < to)
			found = (r == 'r' ? PROT_READ : 0) | (wr == 'w' ? PROT_WRITE : 0);
	fclose(f);
	return found;
}

static struct vfio_bar_map bar_of(struct vfio_open *o, int prot)
{
	return (struct vfio_bar_map){
		.open = o, .index = 2, .offset = 4 * PAGE, .size = 2 * PAGE, .prot = prot
	};
}

/* Each opener's mapper opens and closes its own, and a new one is as the areas are. */
static void test_rights(void **state)
{
	struct vfio_bar_map a = bar_of(&w.of_model, PROT_READ | PROT_WRITE), b = a,
			    c = bar_of(&w.other, PROT_READ), real = bar_of(&w.of_real, PROT_READ);
	uint8_t byte = 7;
	char *at;

	assert_int_equal(vfio_bar_maps_map(&w.maps, &a, w.fd, PAGE), 0);
	assert_int_equal(vfio_bar_maps_map(&w.maps, &c, w.fd, PAGE), 0);
	assert_int_equal(vfio_bar_maps_map(&w.maps, &real, w.fd, 0), 0);
	assert_int_equal(rights(a.at), 0);
	assert_int_equal(rights(c.at), 0);
	/* without area_open it always answers */
	assert_int_equal(rights(real.at), PROT_READ);
	answers = true;
	assert_int_equal(vfio_device_set_areas(&w.model, VFIO_AREA_POLLED, true), 0);
	assert_int_equal(rights(a.at), 0);
	assert_int_equal(vfio_device_set_areas(&w.model, VFIO_AREA_DIRECT, true), 2);
	assert_int_equal(rights(a.at), PROT_READ | PROT_WRITE);
	assert_int_equal(rights(c.at), PROT_READ);
	assert_int_equal(pwrite(w.fd, &byte, 1, 2 * PAGE), 1);
	assert_int_equal(((uint8_t *)a.at)[PAGE], 7);
	assert_int_equal(((uint8_t *)c.at)[PAGE], 7);
	/* where its owner has a place for it */
	b.at = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	at = b.at;
	assert_int_equal(vfio_bar_maps_map(&w.maps, &b, w.fd, PAGE), 0);
	assert_ptr_equal(b.at, at);
	assert_int_equal(rights(at), PROT_READ | PROT_WRITE);
	answers = false;
	assert_int_equal(vfio_device_set_areas(&w.model, VFIO_AREA_DIRECT, false), 3);
	assert_int_equal(rights(a.at), 0);
	assert_int_equal(rights(b.at), 0);
	assert_int_equal(rights(c.at), 0);
	assert_int_equal(rights(real.at), PROT_READ);

	/* another's is not unmapped */
	assert_null(vfio_bar_maps_unmap(&w.maps, &w.other, at));
	assert_ptr_equal(vfio_bar_maps_unmap(&w.maps, &w.of_model, at), &b);
	assert_null(b.at);
	assert_int_equal(rights(at), -1);
	assert_null(vfio_bar_maps_unmap(&w.maps, &w.of_model, at));
	assert_ptr_equal(vfio_bar_maps_unmap(&w.maps, &w.of_model, NULL), &a);
	assert_null(vfio_bar_maps_unmap(&w.maps, &w.of_model, NULL));
	assert_int_equal(vfio_device_set_areas(&w.model, VFIO_AREA_DIRECT, true), 1);
	assert_ptr_equal(vfio_bar_maps_unmap(&w.maps, &w.other, c.at), &c);
	assert_ptr_equal(vfio_bar_maps_unmap(&w.maps, &w.of_real, NULL), &real);
}

/* A model's BAR is found from its first byte to its last, a real device's is memory. */
static void test_find(void **state)
{
	struct vfio_bar_map a = bar_of(&w.of_model, PROT_READ),
			    real = bar_of(&w.of_real, PROT_READ);
	struct vfio_bar bar;
	uint64_t at;

	assert_int_equal(vfio_bar_maps_map(&w.maps, &a, w.fd, 0), 0);
	assert_int_equal(vfio_bar_maps_map(&w.maps, &real, w.fd, 0), 0);
	at = (uintptr_t)a.at;
	assert_true(vfio_bar_maps_find(&w.maps, at + PAGE, 4 * PAGE, &bar));
	assert_ptr_equal(bar.target, target);
	assert_int_equal(bar.bar, 2);
	assert_int_equal(bar.offset, 5 * PAGE);
	assert_int_equal(bar.length, PAGE);
	assert_int_equal(bar.prot, IOMMU_READ);
	iommu_target_put(bar.target);
	assert_true(vfio_bar_maps_find(&w.maps, at, 8, &bar));
	assert_int_equal(bar.offset, 4 * PAGE);
	assert_int_equal(bar.length, 8);
	iommu_target_put(bar.target);
	/* it begins before, so it is nothing that can be had; and what only lies beside it */
	assert_true(vfio_bar_maps_find(&w.maps, at - 1, 2, &bar));
	assert_null(bar.target);
	assert_int_equal(bar.length, 2);
	assert_false(bar.answers);
	assert_false(vfio_bar_maps_find(&w.maps, at - 1, 1, &bar));
	assert_false(vfio_bar_maps_find(&w.maps, at + 2 * PAGE, 1, &bar));
	assert_int_equal(looks, 2);
	assert_false(vfio_bar_maps_find(&w.maps, (uintptr_t)real.at, PAGE, &bar));
	assert_int_equal(looks, 2);
	/* the device is being closed */
	closing = true;
	assert_true(vfio_bar_maps_find(&w.maps, at, PAGE, &bar));
	assert_null(bar.target);
	assert_int_equal(bar.prot, 0);
	assert_non_null(vfio_bar_maps_unmap(&w.maps, &w.of_model, NULL));
	assert_non_null(vfio_bar_maps_unmap(&w.maps, &w.of_real, NULL));
	assert_false(vfio_bar_maps_find(&w.maps, at, PAGE, &bar));
}

/* A child of fork() has none of it. */
static void test_forked(void **state)
{
	struct vfio_bar_map a = bar_of(&w.of_model, PROT_READ);
	uint8_t there[2];
	int status;
	pid_t pid;

	assert_int_equal(vfio_bar_maps_map(&w.maps, &a, w.fd, 0), 0);
	assert_int_equal(mincore(a.at, a.size, there), 0);
	pid = fork();
	if (!pid)
		_exit(!mincore(a.at, a.size, there) || errno != ENOMEM);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_non_null(vfio_bar_maps_unmap(&w.maps, &w.of_model, NULL));
}

static void test_faults(void **state)
{
	answers = true;
	for (unsigned reserved = 0; reserved < 2; reserved++) {
		FAULT_LOOP(l, FAULT_CALLS) {
			struct vfio_bar_map a = bar_of(&w.of_model, PROT_READ);
			char *at = NULL;
			int rc;

			if (reserved)
				at = a.at = mmap(NULL, a.size, PROT_NONE,
						 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			fault_begin(&l);
			rc = vfio_bar_maps_map(&w.maps, &a, w.fd, 0);
			fault_end(&l, rc);
			assert_int_equal(cds_list_empty(&w.maps.list), rc != 0);
			if (!rc) {
				assert_int_equal(rights(a.at), PROT_READ);
				/* mmap, and MADV_DONTFORK */
				assert_int_equal(l.failed, 2);
				vfio_bar_maps_unmap(&w.maps, &w.of_model, NULL);
			}
			assert_null(a.at);
			assert_true(!at || rights(at) == -1);
		}
	}
	/* nor is a file mapped that is none */
	struct vfio_bar_map a = bar_of(&w.of_model, PROT_READ);

	assert_int_equal(vfio_bar_maps_map(&w.maps, &a, -1, 0), -EBADF);
	assert_null(a.at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rights, setup, teardown),
		cmocka_unit_test_setup_teardown(test_find, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_faults, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
