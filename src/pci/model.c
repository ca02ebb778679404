/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/model.c: a model as somebody compiled it, brought to the struct uvfio_model of this uvfio. A
 * shared object may be older, and says less, or newer, and may say what nobody here knows.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pci/internal.h"

/* ABI 1: struct uvfio_model had no size. */
struct model_v1 {
	uint32_t abi;
	const char *name, *summary;
	const struct uvfio_option *options;
	bool concurrent;
	int (*create)(struct uvfio_dev *dev);
	void (*destroy)(struct uvfio_dev *dev);
	void (*reset)(struct uvfio_dev *dev, enum uvfio_reset_kind kind);
	int (*bar_read)(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
			uint64_t *value);
	int (*bar_write)(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
			 uint64_t value);
	void (*config_written)(struct uvfio_dev *dev, unsigned offset, unsigned size);
	void (*power)(struct uvfio_dev *dev, unsigned d);
	void (*quiesce)(struct uvfio_dev *dev);
};

#define SIZE_LEAST offsetof(struct uvfio_model, destroy) /* with create */
#define SIZE_MOST  (64u << 10)				 /* more is no size */

__attribute__((format(printf, 3, 4))) static int refuse(char *why, size_t size, const char *fmt,
							...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, size, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static void take_v1(const struct model_v1 *m, struct uvfio_model *full)
{
	*full = (struct uvfio_model){
		UVFIO_MODEL_INIT,
		.name = m->name,
		.summary = m->summary,
		.options = m->options,
		.concurrent = m->concurrent,
		.create = m->create,
		.destroy = m->destroy,
		.reset = m->reset,
		.bar_read = m->bar_read,
		.bar_write = m->bar_write,
		.config_written = m->config_written,
		.power = m->power,
		.quiesce = m->quiesce,
	};
}

/* True if @theirs says something behind what this uvfio knows. */
static bool says_more(const struct uvfio_model *theirs)
{
	for (size_t i = sizeof(*theirs); i < theirs->size; i++)
		if (((const char *)theirs)[i])
			return true;
	return false;
}

int pci_model_take(const struct uvfio_model *theirs, struct uvfio_model *full, char *why,
		   size_t size)
{
	/* abi is the first member in every version; nothing behind it can be relied on before */
	if (theirs->abi == 1) {
		take_v1((const void *)theirs, full);
	} else if (theirs->abi != UVFIO_MODEL_ABI) {
		return refuse(why, size,
			      "built for version %u of the model interface, this uvfio has version "
			      "%u: build it again with this uvfio's headers",
			      theirs->abi, UVFIO_MODEL_ABI);
	} else if (theirs->size < SIZE_LEAST || theirs->size > SIZE_MOST) {
		return refuse(why, size,
			      "uvfio_model.size is not set: start it with UVFIO_MODEL_INIT");
	} else if (says_more(theirs)) {
		return refuse(why, size,
			      "built with the headers of a newer uvfio, of which it uses what this "
			      "one does not have: run it with that uvfio, or build it again with "
			      "this one's headers");
	} else {
		memset(full, 0, sizeof(*full));
		memcpy(full, theirs, theirs->size < sizeof(*full) ? theirs->size : sizeof(*full));
		full->size = sizeof(*full);
	}
	if (!!full->state_version != (full->save && full->load) ||
	    full->state_oldest > full->state_version)
		return refuse(why, size,
			      "uvfio_model.state_version needs save and load, they need it, and "
			      "state_oldest is not more");
	if ((full->track || full->dirty || full->save_dirty || full->load_dirty) &&
	    !(full->state_version && full->track && full->dirty && full->save_dirty &&
	      full->load_dirty))
		return refuse(why, size,
			      "uvfio_model.track, dirty, save_dirty and load_dirty come together, "
			      "and need state_version");
	if (pci_kinds_wrong(full->kinds))
		return refuse(why, size, "an entry of uvfio_model.kinds %s",
			      pci_kinds_wrong(full->kinds));
	if (pci_faults_wrong(full->faults))
		return refuse(why, size, "an entry of uvfio_model.faults %s",
			      pci_faults_wrong(full->faults));
	if (!full->name || !full->create)
		return refuse(why, size, "uvfio_model.%s is not set",
			      full->name ? "create" : "name");
	return 0;
}
