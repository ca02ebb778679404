/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/taken.c: descriptors and frames that the driver gave to the chip by a tail
 * (uvfio_take()). They are the chip's until the descriptor is written back, or the head has passed
 * it. A chip needs some time from the tail to the descriptor: while somebody wants to know what
 * changes meanwhile, so does this one.
 */
#include <errno.h>

#include "models/igb/internal.h"

#define FETCH_NS 20000u

enum { KEY_TX = 1, KEY_RX };

static uint64_t key_of(unsigned direction, unsigned n, uint32_t i)
{
	return (uint64_t)direction << 32 | n << 16 | i;
}

/*
 * Return the device of @fn, the owner of a queue whose lock is held: it stays as long as that.
 * NULL: a virtual function that was not made yet.
 */
static struct uvfio_dev *dev_of(const struct igb_fn *fn)
{
	struct uvfio_dev *dev;

	pthread_mutex_lock(&fn->g->irq.lock);
	dev = fn->dev;
	pthread_mutex_unlock(&fn->g->irq.lock);
	return dev;
}

/* Take the frame that a descriptor sends. */
static void take_frame(struct uvfio_dev *dev, uint64_t key, uint64_t at)
{
	struct igb_desc d;

	if (uvfio_dma_read(dev, at, &d, sizeof(d)) ||
	    (d.cmd & TXD_DEXT && TXD_DTYP(d.cmd) != DTYP_DATA))
		return;
	uvfio_take(dev, key, UVFIO_TAKEN_DATA, "a frame to send", d.addr, d.cmd & 0xffff);
}

/* With the queue's lock, as another thread may give it to another function. */
static void take_tx(struct igb *g, unsigned n, uint32_t to)
{
	struct uvfio_dev *dev = dev_of(g->txq[n].fn);
	uint64_t ring = igb_get(g, IGB_TXQ(n, TDBAL)) | (uint64_t)igb_get(g, IGB_TXQ(n, TDBAH))
								<< 32;
	uint32_t size = igb_get(g, IGB_TXQ(n, TDLEN)) / 16, from = igb_get(g, IGB_TXQ(n, TDT));
	unsigned kinds = dev ? uvfio_takes(dev) : 0;

	if (!kinds || from >= size || to >= size || !uvfio_dma_allowed(dev))
		return;
	for (uint32_t i = from; i != to; i = i + 1 == size ? 0 : i + 1) {
		uint64_t key = key_of(KEY_TX, n, i), at = ring + i * 16ull;

		uvfio_take(dev, key, UVFIO_TAKEN_ORDERS, "a transmit descriptor", at, 16);
		if (kinds & UVFIO_TAKEN_DATA)
			take_frame(dev, key, at);
	}
}

/* With the queue's lock. */
static void take_rx(struct igb *g, unsigned n, uint32_t to)
{
	struct uvfio_dev *dev = dev_of(g->rxq[n].fn);
	uint64_t ring = igb_get(g, IGB_RXQ(n, RDBAL)) | (uint64_t)igb_get(g, IGB_RXQ(n, RDBAH))
								<< 32;
	uint32_t size = igb_get(g, IGB_RXQ(n, RDLEN)) / 16, from = igb_get(g, IGB_RXQ(n, RDT));

	if (!dev || !uvfio_takes(dev) || from >= size || to >= size)
		return;
	for (uint32_t i = from; i != to; i = i + 1 == size ? 0 : i + 1)
		uvfio_take(dev, key_of(KEY_RX, n, i), UVFIO_TAKEN_ORDERS, "a receive descriptor",
			   ring + i * 16ull, 16);
}

void igb_tx_take(struct igb *g, unsigned n, uint32_t to)
{
	if (!g->fetch)
		return;
	pthread_mutex_lock(&g->txq[n].lock);
	take_tx(g, n, to);
	pthread_mutex_unlock(&g->txq[n].lock);
}

void igb_rx_take(struct igb *g, unsigned n, uint32_t to)
{
	if (!g->fetch)
		return;
	pthread_mutex_lock(&g->rxq[n].lock);
	take_rx(g, n, to);
	pthread_mutex_unlock(&g->rxq[n].lock);
}

void igb_tx_give_back(struct igb_txq *q, unsigned n, uint32_t i)
{
	uvfio_give_back(q->fn->dev, key_of(KEY_TX, n, i));
}

void igb_rx_give_back(struct igb_rxq *q, unsigned n, uint32_t i)
{
	uvfio_give_back(q->fn->dev, key_of(KEY_RX, n, i));
}

void igb_taken_forget(const struct igb_fn *fn)
{
	struct uvfio_dev *dev = fn->g->fetch ? dev_of(fn) : NULL;

	if (dev)
		uvfio_forget(dev);
}

void igb_tx_forget(struct igb *g, unsigned n)
{
	pthread_mutex_lock(&g->txq[n].lock);
	igb_taken_forget(g->txq[n].fn);
	pthread_mutex_unlock(&g->txq[n].lock);
}

void igb_tx_rung(struct igb *g, unsigned n)
{
	if (!g->fetch)
		igb_tx_kick(g, n);
	else if (uvfio_timer_left(g->fetch) == UINT64_MAX)
		uvfio_timer_set(g->fetch, FETCH_NS);
}

static void fetch(struct uvfio_dev *dev, void *arg)
{
	igb_tx_kick_all(arg);
}

int igb_taken_init(struct igb *g)
{
	if (!uvfio_takes(g->dev))
		return 0;
	g->fetch = uvfio_timer_new(g->dev, fetch, g);
	return g->fetch ? 0 : -ENOMEM;
}
