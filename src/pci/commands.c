/* SPDX-License-Identifier: BSD-3-Clause */
/* pci/commands.c: a driver's commands, as a model takes and ends them, for traces. */
#include "base/event.h"
#include "pci/internal.h"

bool uvfio_traced(const struct uvfio_dev *dev)
{
	return event_wanted(EVENT_BEGIN);
}

void uvfio_command_begin(struct uvfio_dev *dev, const struct uvfio_command *command)
{
	EVENT(EVENT_BEGIN, .who = dev->name, .bar = command->queue, .what = command->place,
	      .at = command->id, .value = command->address, .size = command->length,
	      .text = command->name);
}

void uvfio_command_end(struct uvfio_dev *dev, unsigned queue, uint64_t id, unsigned status)
{
	EVENT(EVENT_END, .who = dev->name, .bar = queue, .at = id, .value = status);
}
