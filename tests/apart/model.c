/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/apart/model.c: a device for tests/apart/client.c whose reads may sleep. All devices of the
 * process share three registers of 32 bits in BAR0; each has a counter of its own.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <uvfio/model.h>

#define SLEEP  0x0 /* a read ends when WAKE has been written */
#define WAKE   0x4 /* any value */
#define INSIDE 0x8 /* how many reads of SLEEP are under way */
#define COUNT  0xc /* memory, of this device */

static atomic_uint inside, wakes;

struct apart {
	uint32_t count;
};

static uint32_t sleep_until_woken(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	unsigned before = atomic_load(&wakes);

	atomic_fetch_add(&inside, 1);
	while (atomic_load(&wakes) == before)
		nanosleep(&ms, NULL);
	atomic_fetch_sub(&inside, 1);
	return 0;
}

static int bar_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t *value)
{
	struct apart *a = uvfio_priv(dev);

	if (offset == SLEEP)
		*value = sleep_until_woken();
	else if (offset == INSIDE)
		*value = atomic_load(&inside);
	else
		*value = offset == COUNT ? a->count : 0;
	return 0;
}

static int bar_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		     uint64_t value)
{
	struct apart *a = uvfio_priv(dev);

	if (offset == WAKE)
		atomic_fetch_add(&wakes, 1);
	if (offset == COUNT)
		a->count = (uint32_t)value;
	return 0;
}

static void destroy(struct uvfio_dev *dev)
{
	free(uvfio_priv(dev));
}

static int create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { .vendor = 0x1af4,
					      .device = 0x7003,
					      .class_code = 0xff0000 };
	struct apart *a = calloc(1, sizeof(*a));
	int err;

	if (!a)
		return uvfio_error(dev, "no memory");
	if ((err = uvfio_set_ids(dev, &ids)) < 0 || (err = uvfio_add_bar(dev, 0, 4096, 0)) < 0 ||
	    (err = uvfio_add_pcie(dev, true)) < 0) {
		free(a);
		return err;
	}
	uvfio_set_priv(dev, a);
	return 0;
}

UVFIO_PUBLIC const struct uvfio_model uvfio_model = {
	UVFIO_MODEL_INIT,   .name = "apart",	  .summary = "reads that sleep", .create = create,
	.destroy = destroy, .bar_read = bar_read, .bar_write = bar_write,
};
