/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/faults.c: what a user can have go wrong with frames and the link (struct uvfio_fault).
 * A link that flaps does so from a timer: a frame comes with locks of both ends.
 */
#include <errno.h>

#include "models/igb/internal.h"

enum { RX_DROP, LINK_FLAP };

const struct uvfio_fault igb_faults[] = {
	[RX_DROP] = { .name = "rx-drop",
		      .line = "A frame that has come is lost, and counted in MPC",
		      .keys = { "len" } },
	[LINK_FLAP] = { .name = "link-flap",
			.line = "At a frame that comes or goes the link goes down, for so many "
				"milliseconds",
			.value = "MS",
			.def = 100,
			.max = 60000,
			.keys = { "len" } },
	{ 0 },
};

static void on_flap(struct uvfio_dev *dev, void *arg)
{
	struct igb *g = arg;
	unsigned ms = atomic_exchange(&g->flap_ms, 0);

	igb_plug_cable(dev, !ms);
	if (ms)
		uvfio_timer_set(g->flap, ms * 1000000ull);
}

int igb_faults_init(struct igb *g)
{
	g->flap = uvfio_timer_new(g->dev, on_flap, g);
	return g->flap ? 0 : -ENOMEM;
}

void igb_tx_fault(struct igb *g, size_t len)
{
	const uint64_t keys[] = { len };
	uint64_t ms;

	if (!uvfio_fault(g->dev, LINK_FLAP, keys, &ms) || !ms)
		return;
	atomic_store(&g->flap_ms, (unsigned)ms);
	uvfio_timer_set(g->flap, 0);
}

bool igb_rx_fault(struct igb *g, size_t len)
{
	const uint64_t keys[] = { len };

	igb_tx_fault(g, len);
	return uvfio_fault(g->dev, RX_DROP, keys, NULL);
}
