/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/test_migrate.h: a controller that migrates: to another function, with the same
 * memory, of the options that are given.
 */
#ifndef MODELS_NVME_TEST_MIGRATE_H
#define MODELS_NVME_TEST_MIGRATE_H
#include "models/nvme/test_driver.h"
#include "pci/state.h"

static inline int try_stop(pci_function *fn)
{
	int err = pci_function_stop(fn, UVFIO_STOP_DMA);

	return err ? err : pci_function_stop(fn, UVFIO_STOP_ALL);
}

static inline void stop_function(pci_function *fn)
{
	assert_int_equal(try_stop(fn), 0);
}

static inline void resume_function(pci_function *fn)
{
	pci_function_resume(fn, UVFIO_STOP_ALL);
	pci_function_resume(fn, UVFIO_STOP_DMA);
}

/* Save a function that is stopped. */
static inline void save_function(pci_function *fn, struct uvfio_state *s)
{
	pci_state_save(s, "saved");
	pci_function_describe(fn, s);
	assert_int_equal(pci_function_save(fn, s), 0);
	assert_int_equal(pci_state_end(s), 0);
}

/* Load @len bytes into a function that is stopped. */
static inline int load_bytes(pci_function *fn, const void *buf, size_t len)
{
	struct uvfio_state l;
	int err, end;

	pci_state_load(&l, "loaded", buf, len);
	pci_function_describe(fn, &l);
	err = l.err ? l.err : pci_function_load(fn, &l);
	end = pci_state_end(&l);
	return err ? err : end;
}

/* Make another function that can take over from @d's. */
static inline pci_function *other_function(struct drv *d, const struct pci_option *more,
					   unsigned count)
{
	struct pci_option opts[10] = { { "image", d->image }, { "incoming", "on" } };
	pci_function *fn;

	for (unsigned i = 0; i < count; i++)
		opts[2 + i] = more[i];
	if (pci_function_new(&model_nvme, "0000:01:00.0", 0, d->loop, opts, 2 + count, d->err,
			     sizeof(d->err), &fn))
		fail_msg("%s", d->err);
	iommu_device_attach(pci_function_iommu(fn), d->dom);
	return fn;
}

static inline void free_function(pci_function *fn)
{
	pci_set_irq_sink(fn, NULL);
	pci_set_pages_sink(fn, NULL);
	iommu_device_attach(pci_function_iommu(fn), NULL);
	pci_function_free(fn);
}

/* Have @d's controller, which is stopped, go on in another function. */
static inline void carry(struct drv *d, const struct pci_option *more, unsigned count)
{
	pci_function *to = other_function(d, more, count);
	struct uvfio_state s;

	save_function(d->fn, &s);
	stop_function(to);
	assert_int_equal(load_bytes(to, s.buf, s.len), 0);
	pci_state_free(&s);
	free_function(d->fn);
	d->fn = to;
	test_irqs_watch(&d->irqs, to);
	resume_function(to);
}

static inline void migrate(struct drv *d, const struct pci_option *more, unsigned count)
{
	stop_function(d->fn);
	carry(d, more, count);
}
#endif
