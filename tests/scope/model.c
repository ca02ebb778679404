/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/scope/model.c: a device for tests/scope/client.c, as a user may write one: its callbacks
 * take 100 KiB of stack, and call what is a cancellation point. BAR0 has one register of 32 bits,
 * which counts the stores to it, at 0, and memory for that many at 4.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uvfio/model.h>

struct scope {
	int null;
	uint32_t count, word;
};

static void work(struct scope *s)
{
	volatile char room[100 << 10];

	for (size_t i = 0; i < sizeof(room); i += 64)
		room[i] = 1;
	if (write(s->null, (const void *)room, 1) != 1)
		abort();
	pthread_testcancel();
}

static int bar_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t *value)
{
	struct scope *s = uvfio_priv(dev);

	work(s);
	*value = offset ? s->word : s->count;
	return 0;
}

static int bar_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		     uint64_t value)
{
	struct scope *s = uvfio_priv(dev);

	work(s);
	if (offset)
		s->word = (uint32_t)value;
	else
		s->count++;
	return 0;
}

/* A thread as models make them: it takes no signals. */
static void *helper(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, NULL);
	return arg;
}

static void reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	pthread_t t;

	work(uvfio_priv(dev));
	/* the call waits for it */
	if (pthread_create(&t, NULL, helper, NULL) || pthread_join(t, NULL))
		abort();
}

static void destroy(struct uvfio_dev *dev)
{
	struct scope *s = uvfio_priv(dev);

	close(s->null);
	free(s);
}

static int create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { .vendor = 0x1af4,
					      .device = 0x7002,
					      .class_code = 0xff0000 };
	struct scope *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return uvfio_error(dev, "no memory");
	s->null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (s->null < 0 || (err = uvfio_set_ids(dev, &ids)) < 0 ||
	    (err = uvfio_add_bar(dev, 0, 4096, 0)) < 0 || (err = uvfio_add_pcie(dev, true)) < 0) {
		if (s->null < 0)
			err = uvfio_error(dev, "/dev/null: %s", strerror(errno));
		else
			close(s->null);
		free(s);
		return err;
	}
	uvfio_set_priv(dev, s);
	return 0;
}

UVFIO_PUBLIC const struct uvfio_model uvfio_model = {
	UVFIO_MODEL_INIT,
	.name = "scope",
	.summary = "callbacks that take stack, and are cancellation points",
	.create = create,
	.destroy = destroy,
	.reset = reset,
	.bar_read = bar_read,
	.bar_write = bar_write,
};
