/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/peer_test.c: a function's DMA to BARs: of another function, of itself, of one that does not
 * answer, and of two that do it to each other at the same time.
 */
#include "base/rcu.h"
#include "iommu/pasid.h"
#include "iommu/peer.h"
#include "pci/test_function.h"

#define PAGE   4096u
#define IOVA_A 0x100000u /* BAR 0 of a, and of b, for both */
#define IOVA_B 0x200000u
#define GO     0x100u /* a write there starts a DMA write of the value: */
#define WHERE  0x108u /* to here */
#define GONE   0x110u /* refused */
#define TWICE  0x118u /* as GO, and once more to what is behind */

/* A device with a page of memory, which makes DMA when it is told. */
struct dev {
	uint8_t mem[PAGE];
	pci_function *fn;
	struct iommu_window *window;
	int result;
	atomic_int inside, most; /* callbacks at the same time */
	unsigned resets;
	bool hold; /* in its next write it waits, until: */
	atomic_bool waits, go_on;
};

static struct dev a, b;
static struct iommu_domain *domain;

static void enter(struct dev *d)
{
	int n = atomic_fetch_add(&d->inside, 1) + 1;

	if (n > atomic_load(&d->most))
		atomic_store(&d->most, n);
}

static int d_create(struct uvfio_dev *dev)
{
	const struct uvfio_ids ids = { .vendor = 0x1234, .device = 0x5678 };

	uvfio_set_ids(dev, &ids);
	assert_true(uvfio_add_pm(dev, true) > 0);
	return uvfio_add_bar(dev, 0, PAGE, 0);
}

static int d_read(struct uvfio_dev *dev, unsigned bar, uint64_t off, unsigned size, uint64_t *value)
{
	struct dev *d = uvfio_priv(dev);

	enter(d);
	memcpy(value, d->mem + off, size);
	atomic_fetch_sub(&d->inside, 1);
	return off == GONE ? -EIO : 0;
}

static int d_write(struct uvfio_dev *dev, unsigned bar, uint64_t off, unsigned size, uint64_t value)
{
	struct dev *d = uvfio_priv(dev);
	uint64_t where;

	enter(d);
	memcpy(d->mem + off, &value, size);
	if (d->hold) {
		atomic_store(&d->waits, true);
		while (!atomic_load(&d->go_on))
			usleep(100);
	}
	atomic_fetch_sub(&d->inside, 1);
	if (off == GONE)
		return -EIO;
	if (off == GO) {
		memcpy(&where, d->mem + WHERE, 8);
		d->result = uvfio_dma_write(dev, where, &value, size);
	}
	if (off == TWICE) {
		memcpy(&where, d->mem + WHERE, 8);
		d->result = uvfio_dma_write(dev, where, &value, size);
		d->result |= uvfio_dma_write(dev, where + 8, &value, size);
	}
	return 0;
}

static void d_reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	struct dev *d = uvfio_priv(dev);

	if (d)
		d->resets++;
}

static const struct uvfio_model serial = { .abi = UVFIO_MODEL_ABI,
					   .size = sizeof(serial),
					   .name = "peer",
					   .create = d_create,
					   .reset = d_reset,
					   .bar_read = d_read,
					   .bar_write = d_write };
static const struct uvfio_model concurrent = { .abi = UVFIO_MODEL_ABI,
					       .size = sizeof(concurrent),
					       .name = "peer",
					       .concurrent = true,
					       .create = d_create,
					       .reset = d_reset,
					       .bar_read = d_read,
					       .bar_write = d_write };

static void make(struct dev *d, const struct uvfio_model *model, const char *name, uint64_t iova)
{
	memset(d, 0, sizeof(*d));
	assert_int_equal(pci_function_new(model, name, 0, NULL, NULL, 0, NULL, 0, &d->fn), 0);
	uvfio_set_priv(d->fn, d);
	pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	d->window = iommu_window_new(pci_function_target(d->fn), 0);
	assert_non_null(d->window);
	assert_int_equal(iommu_domain_map(domain, iova, (void *)iommu_window_address(d->window, 0),
					  PAGE, IOMMU_READ | IOMMU_WRITE),
			 0);
	iommu_device_attach(pci_function_iommu(d->fn), domain);
}

static void unmake(struct dev *d, uint64_t iova)
{
	iommu_device_attach(pci_function_iommu(d->fn), NULL);
	pci_function_free(d->fn);
	iommu_domain_unmap(domain, iova, PAGE);
	iommu_window_free(d->window);
}

static void begin(const struct uvfio_model *of_a, const struct uvfio_model *of_b)
{
	log_set(2, LOG_ERR);
	domain = iommu_domain_new();
	make(&a, of_a, "0000:01:00.0", IOVA_A);
	make(&b, of_b, "0000:02:00.0", IOVA_B);
}

static void end(void)
{
	unmake(&a, IOVA_A);
	unmake(&b, IOVA_B);
	iommu_domain_put(domain);
}

/* Write @value to @off of BAR 0, as a driver does. */
static void put(struct dev *d, uint64_t off, uint64_t value)
{
	assert_int_equal(pci_bar_write(d->fn, 0, off, 8, value), 0);
}

/* Have @d write @value to @iova by DMA; returns the outcome. */
static int dma(struct dev *d, uint64_t iova, uint64_t value)
{
	put(d, WHERE, iova);
	put(d, GO, value);
	return d->result;
}

static void to_another_and_itself(void **state)
{
	uint8_t got[16] = { 0 };

	begin(&serial, &serial);
	assert_int_equal(dma(&a, IOVA_B + 8, 0x1122334455667788), 0);
	assert_memory_equal(b.mem + 8, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
	/* pieces as a bus makes them, whatever the alignment */
	assert_int_equal(uvfio_dma_write(a.fn, IOVA_B + 0x21, "abcdefghijklm", 13), 0);
	assert_memory_equal(b.mem + 0x21, "abcdefghijklm", 13);
	assert_int_equal(uvfio_dma_read(a.fn, IOVA_B + 0x23, got, 11), 0);
	assert_memory_equal(got, "cdefghijklm", 11);
	/* itself, in the middle of its own callback */
	assert_int_equal(dma(&a, IOVA_A + 8, 7), 0);
	assert_int_equal(a.mem[8], 7);
	end();
}

/* Nobody answers: an abort, and a read gives ones. */
static void silence(void **state)
{
	uint64_t got = 0;
	unsigned pm;

	begin(&serial, &serial);
	b.mem[0] = 5;
	assert_int_equal(uvfio_dma_read(a.fn, IOVA_B, &got, 8), 0);
	assert_int_equal(got, 5);
	pci_config_write(b.fn, PCI_COMMAND, 2, 0);
	assert_int_equal(uvfio_dma_read(a.fn, IOVA_B, &got, 8), -EFAULT);
	assert_true(got == UINT64_MAX);
	assert_int_equal(uvfio_dma_write(a.fn, IOVA_B, &got, 8), -EFAULT);
	assert_int_equal(b.mem[0], 5);
	pci_config_write(b.fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(uvfio_dma_read(a.fn, IOVA_B, &got, 8), 0);
	assert_int_equal(got, 5);
	/* D3hot */
	pm = pci_find_cap(b.fn, PCI_CAP_ID_PM);
	pci_config_write(b.fn, pm + PCI_PM_CTRL, 2, 3);
	assert_int_equal(uvfio_dma_read(a.fn, IOVA_B, &got, 4), -EFAULT);
	pci_config_write(b.fn, pm + PCI_PM_CTRL, 2, 0);
	assert_int_equal(uvfio_dma_read(a.fn, IOVA_B, &got, 4), 0);
	/* a register that refuses */
	got = 0;
	assert_int_equal(uvfio_dma_read(a.fn, IOVA_B + GONE, &got, 4), -EFAULT);
	assert_true(got == UINT32_MAX);
	assert_int_equal(uvfio_dma_write(a.fn, IOVA_B + GONE, &got, 4), -EFAULT);
	/* not with pointers of uvfio_dma_sg() in hand */
	uvfio_dma_begin(a.fn);
	assert_int_equal(uvfio_dma_read(a.fn, IOVA_B, &got, 4), -EFAULT);
	uvfio_dma_end(a.fn);
	/* the requester's own bus mastering */
	pci_config_write(a.fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(uvfio_dma_read(a.fn, IOVA_B, &got, 4), -EFAULT);
	pci_config_write(a.fn, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	/* pulled out, and then freed with the mapping still there */
	pci_function_lose(b.fn);
	assert_int_equal(uvfio_dma_read(a.fn, IOVA_B, &got, 4), -EFAULT);
	iommu_device_attach(pci_function_iommu(b.fn), NULL);
	pci_function_free(b.fn);
	assert_int_equal(uvfio_dma_read(a.fn, IOVA_B, &got, 4), -EFAULT);
	assert_true(atomic_load(&pci_function_iommu(a.fn)->faults) >= 9);
	iommu_domain_unmap(domain, IOVA_B, PAGE);
	iommu_window_free(b.window);
	unmake(&a, IOVA_A);
	iommu_domain_put(domain);
}

/* DMA that leads to DMA ends. */
static void round_and_round(void **state)
{
	begin(&serial, &serial);
	put(&a, WHERE, IOVA_B + GO);
	put(&b, WHERE, IOVA_A + GO);
	put(&a, GO, 1);
	/* the innermost was refused; each of the others found its own write done */
	assert_int_equal(a.result, 0);
	assert_int_equal(b.result, 0);
	assert_int_equal(atomic_load(&pci_function_iommu(a.fn)->faults), 1);
	end();
}

/* Models with locks of their own are not entered by one another. */
static void both_concurrent(void **state)
{
	begin(&concurrent, &concurrent);
	assert_int_equal(dma(&a, IOVA_B, 1), -EFAULT);
	assert_int_equal(dma(&a, IOVA_A, 1), -EFAULT);
	end();
	begin(&concurrent, &serial);
	assert_int_equal(dma(&a, IOVA_B, 1), 0);
	assert_int_equal(dma(&b, IOVA_A, 1), 0);
	/* also not by way of a third */
	put(&b, WHERE, IOVA_A);
	assert_int_equal(dma(&a, IOVA_B + GO, 1), 0);
	assert_int_equal(b.result, -EFAULT);
	end();
}

#define ROUNDS 3000

static void *hammer(void *arg)
{
	struct dev *d = arg;

	for (int i = 1; i <= ROUNDS; i++) {
		put(d, GO, (uint64_t)i);
		if (d->result)
			return d;
	}
	return NULL;
}

/* Each to the other from within its own callback. Neither waits for ever; callbacks take turns. */
static void to_each_other(void **state)
{
	pthread_t t1, t2;
	uint64_t got;
	void *ret;

	begin(&serial, &serial);
	put(&a, WHERE, IOVA_B);
	put(&b, WHERE, IOVA_A);
	assert_int_equal(pthread_create(&t1, NULL, hammer, &a), 0);
	assert_int_equal(pthread_create(&t2, NULL, hammer, &b), 0);
	for (int i = 0; i < 100; i++) /* and who waits for them gets through, too */
		rcu_sync_all();
	pthread_join(t1, &ret);
	assert_null(ret);
	pthread_join(t2, &ret);
	assert_null(ret);
	memcpy(&got, a.mem, 8);
	assert_int_equal(got, ROUNDS);
	memcpy(&got, b.mem, 8);
	assert_int_equal(got, ROUNDS);
	assert_int_equal(atomic_load(&a.most), 1);
	assert_int_equal(atomic_load(&b.most), 1);
	end();
}

static atomic_bool ended;

static void *dma_to_b(void *arg)
{
	return (void *)(intptr_t)dma(&a, IOVA_B, 1);
}

static void *pasid_dma_to_b(void *arg)
{
	return (void *)(intptr_t)uvfio_dma_write_pasid(a.fn, 1, IOVA_B, "12345678", 8);
}

static void *end_decoding(void *arg)
{
	pci_config_write(b.fn, PCI_COMMAND, 2, 0);
	atomic_store(&ended, true);
	return NULL;
}

static void *dma_to_b_twice(void *arg)
{
	put(&a, WHERE, IOVA_B);
	put(&a, TWICE, 1);
	return (void *)(intptr_t)a.result;
}

static void *stop_a(void *arg)
{
	pci_function_stop(a.fn, UVFIO_STOP_DMA);
	atomic_store(&ended, true);
	return NULL;
}

static void *end_pasid(void *arg)
{
	iommu_pasid_attach(pci_function_iommu(a.fn), 1, NULL);
	atomic_store(&ended, true);
	return NULL;
}

/* See that @end waits until the access of @access, which is inside of b, is over. */
static void see_wait(void *(*access)(void *arg), void *(*end)(void *arg))
{
	struct timespec soon;
	pthread_t t1, t2;
	void *ret;

	atomic_store(&ended, false);
	b.hold = true;
	assert_int_equal(pthread_create(&t1, NULL, access, NULL), 0);
	while (!atomic_load(&b.waits))
		usleep(100);
	assert_int_equal(pthread_create(&t2, NULL, end, NULL), 0);
	/* long enough for one that does not wait; one that does is not in a hurry */
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += 200000000;
	soon.tv_sec += soon.tv_nsec / 1000000000;
	soon.tv_nsec %= 1000000000;
	assert_int_equal(pthread_timedjoin_np(t2, NULL, &soon), ETIMEDOUT);
	assert_false(atomic_load(&ended));
	atomic_store(&b.go_on, true);
	pthread_join(t2, NULL);
	pthread_join(t1, &ret);
	assert_null(ret);
}

/* Whoever ends decoding waits until nobody is in the device: so it may be reset then. */
static void who_is_inside_is_waited_for(void **state)
{
	begin(&serial, &concurrent);
	see_wait(dma_to_b, end_decoding);
	end();
}

/* Whoever takes an address space from a PASID waits until nobody is in a BAR by way of it. */
static void so_it_is_with_a_pasid(void **state)
{
	begin(&serial, &concurrent);
	assert_int_equal(iommu_pasid_add(pci_function_iommu(a.fn), 4, false), 0);
	assert_int_equal(iommu_pasid_attach(pci_function_iommu(a.fn), 1, domain), 0);
	see_wait(pasid_dma_to_b, end_pasid);
	end();
}

/* A function stops between callbacks, not in one that is inside of another function. */
static void so_it_is_when_it_stops(void **state)
{
	begin(&serial, &concurrent);
	see_wait(dma_to_b_twice, stop_a);
	assert_int_equal(b.mem[8], 1);
	pci_function_resume(a.fn, UVFIO_STOP_DMA);
	end();
}

/* One that is stopped for good is not reached; one that only makes no DMA is. */
static void a_stopped_one(void **state)
{
	uint64_t got = 0;

	begin(&serial, &serial);
	assert_int_equal(pci_function_stop(b.fn, UVFIO_STOP_DMA), 0);
	assert_int_equal(dma(&a, IOVA_B, 1), 0);
	assert_int_equal(b.mem[0], 1);
	assert_int_equal(pci_function_stop(b.fn, UVFIO_STOP_ALL), 0);
	assert_int_equal(dma(&a, IOVA_B, 2), -EFAULT);
	assert_int_equal(uvfio_dma_read(a.fn, IOVA_B, &got, 8), -EFAULT);
	assert_true(got == UINT64_MAX);
	assert_int_equal(b.mem[0], 1);
	pci_function_resume(b.fn, UVFIO_STOP_ALL);
	assert_int_equal(dma(&a, IOVA_B, 3), 0);
	pci_function_resume(b.fn, UVFIO_STOP_DMA);
	assert_int_equal(b.mem[0], 3);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(to_another_and_itself),
		cmocka_unit_test(silence),
		cmocka_unit_test(round_and_round),
		cmocka_unit_test(both_concurrent),
		cmocka_unit_test(to_each_other),
		cmocka_unit_test(who_is_inside_is_waited_for),
		cmocka_unit_test(so_it_is_with_a_pasid),
		cmocka_unit_test(so_it_is_when_it_stops),
		cmocka_unit_test(a_stopped_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
