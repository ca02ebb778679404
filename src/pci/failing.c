/* SPDX-License-Identifier: BSD-3-Clause */
/* pci/failing.c: faults of a model's own (struct uvfio_fault). */
#include "fault/fault.h"
#include "pci/internal.h"

const char *pci_faults_wrong(const struct uvfio_fault *table)
{
	for (const struct uvfio_fault *f = table; f && f->name; f++) {
		size_t len = strspn(f->name, "abcdefghijklmnopqrstuvwxyz0123456789-");

		if (!len || len > 24 || f->name[len])
			return "is no name of a fault";
		if (!f->line || (f->value && f->def > f->max))
			return "needs a line, and a default that is not above its greatest value";
	}
	return NULL;
}

/* Ask while a user wants some fault of a model. */
static bool ask(struct uvfio_dev *dev, unsigned index, const uint64_t *keys, uint64_t *value)
{
	const struct uvfio_model *model = dev->model;
	const struct uvfio_fault *f;
	unsigned n = 0;
	struct fault out;

	if (!model->faults && dev->vf.pf)
		model = dev->vf.pf->model;
	f = model->faults;
	if (!f)
		return false;
	f += index;
	while (keys && n < UVFIO_FAULT_KEYS && f->keys[n])
		n++;
	if (!fault_at(FAULT_MODEL,
		      &(struct fault_where){ .device = dev->name,
					     .model = model->name,
					     .name = f->name,
					     .key_names = f->keys,
					     .keys = keys,
					     .num_keys = n,
					     .value = f->def },
		      &out))
		return false;
	if (value)
		*value = f->value && out.param > f->max ? f->max : out.param;
	return true;
}

bool uvfio_fault(struct uvfio_dev *dev, unsigned fault, const uint64_t *keys, uint64_t *value)
{
	return fault_wanted(FAULT_MODEL) && ask(dev, fault, keys, value);
}
