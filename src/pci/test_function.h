/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/test_function.h: what the unit tests of pci/ share: a model that does what a test tells it,
 * and a platform that counts.
 */
#ifndef PCI_TEST_FUNCTION_H
#define PCI_TEST_FUNCTION_H
#include "base/guard.h"
#include "base/sys.h"
#include "pci/internal.h"
#include "pci/test_platform.h"

/* One test at a time: what its model does and saw. */
static struct {
	int (*create)(struct uvfio_dev *dev);
	void (*on_reset)(struct uvfio_dev *dev);
	int resets[4], powers, last_power, written, destroyed, quiesced;
	unsigned written_off, written_size;
	uint64_t last_write, last_off;
	unsigned last_size, last_bar;
	int answer; /* of bar_read and bar_write */
	struct test_irqs irqs;
	struct loop *loop;
} t;

static int t_create(struct uvfio_dev *dev)
{
	return t.create ? t.create(dev) : 0;
}
static void t_destroy(struct uvfio_dev *dev)
{
	t.destroyed++;
}
static void t_reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	t.resets[kind]++;
	if (t.on_reset)
		t.on_reset(dev);
}
static int t_read(struct uvfio_dev *dev, unsigned bar, uint64_t off, unsigned size, uint64_t *value)
{
	t.last_bar = bar;
	t.last_off = off;
	t.last_size = size;
	*value = 0x1122334455667788ull;
	return t.answer;
}
static int t_write(struct uvfio_dev *dev, unsigned bar, uint64_t off, unsigned size, uint64_t value)
{
	t.last_bar = bar;
	t.last_off = off;
	t.last_size = size;
	t.last_write = value;
	return t.answer;
}
static void t_written(struct uvfio_dev *dev, unsigned off, unsigned size)
{
	t.written++;
	t.written_off = off;
	t.written_size = size;
}
static void t_power(struct uvfio_dev *dev, unsigned d)
{
	t.powers++;
	t.last_power = (int)d;
}
static void t_quiesce(struct uvfio_dev *dev)
{
	t.quiesced++;
}

static const struct uvfio_option *t_options;
static struct uvfio_model t_model = {
	UVFIO_MODEL_INIT, .name = "test",	.create = t_create,   .destroy = t_destroy,
	.reset = t_reset, .bar_read = t_read,	.bar_write = t_write, .config_written = t_written,
	.power = t_power, .quiesce = t_quiesce,
};

static inline int t_try(int (*create)(struct uvfio_dev *), const struct pci_option *opts,
			unsigned n, char *err, size_t err_size, pci_function **out)
{
	struct loop *loop = t.loop;

	memset(&t, 0, sizeof(t));
	t.loop = loop ? loop : loop_new();
	assert_non_null(t.loop);
	t.create = create;
	t_model.options = t_options;
	return pci_function_new(&t_model, "0000:01:00.0", 0, t.loop, opts, n, err, err_size, out);
}

static inline pci_function *t_new(int (*create)(struct uvfio_dev *))
{
	pci_function *fn = NULL;
	char err[256];

	if (t_try(create, NULL, 0, err, sizeof(err), &fn))
		fail_msg("%s", err);
	test_irqs_watch(&t.irqs, fn);
	return fn;
}

static inline void t_free(pci_function *fn)
{
	pci_function_free(fn);
	assert_int_equal(t.destroyed, 1);
	loop_free(t.loop);
	t.loop = NULL;
}

#define rd8(off)     pci_config_read(fn, (off), 1)
#define rd16(off)    pci_config_read(fn, (off), 2)
#define rd32(off)    pci_config_read(fn, (off), 4)
#define wr8(off, v)  pci_config_write(fn, (off), 1, (v))
#define wr16(off, v) pci_config_write(fn, (off), 2, (v))
#define wr32(off, v) pci_config_write(fn, (off), 4, (v))

#endif
