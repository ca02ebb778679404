/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/tx.c: transmission (82576 datasheet, 7.2). A store to a tail runs the queue in the
 * thread that stored: descriptors are fetched by the batch, a packet is put together in the queue's
 * buffer, gets its checksums, is cut (TSO) and tagged, and goes to the wire or, in loopback, to our
 * own receiver. While there is no link the queue stands (3.5.6), and goes on when one comes.
 *
 * A read that the IOMMU aborts comes back as an unsupported request: the engine has no data to go
 * on with and stands until the device is reset, as the chip's does.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "models/igb/internal.h"

static bool loopback(struct igb *g)
{
	return atomic_load_explicit(&g->phy_loopback, memory_order_relaxed) ||
	       (igb_get(g, IGB_RCTL) & RCTL_LBM) == RCTL_LBM_MAC;
}

static void wedge(struct igb_txq *q, unsigned n)
{
	struct uvfio_dev *dev = q->fn->dev;

	if (!igb_is_master(q->fn))
		return; /* it waits until it may */
	q->kept->wedged = true;
	uvfio_config_set(dev, PCI_STATUS, 2,
			 uvfio_config_get(dev, PCI_STATUS, 2) | PCI_STATUS_REC_MASTER_ABORT);
	uvfio_log(dev, UVFIO_LOG_WARN,
		  "transmit queue %u stands until a reset: a DMA read was aborted", n);
}

/* Send one frame of @len bytes at @f; IGB_HEADROOM bytes before it may be written. */
static void emit(struct igb *g, struct igb_txq *q, uint8_t *f, size_t len, bool vlan, uint16_t tag)
{
	unsigned n = (unsigned)(q - g->txq);
	bool vmdq = igb_vmdq(g);
	struct igb_tags has;
	uint8_t padded[60];
	size_t at = 12;

	/* CTRL.VME is about reception alone (appendix A, changes from the 82575) */
	if (vmdq)
		vlan = igb_pool_tag(g, n & 7, vlan, &tag);
	if (vlan && igb_get(g, IGB_CTRL_EXT) & CTRL_EXT_EXT_VLAN) {
		/* 7.4.5: behind the outer tag, without which the frame is dropped */
		igb_tags(g, f, len, &has);
		if (!has.outer)
			return;
		at = 16;
	}
	if (vlan && len >= at) {
		memmove(f - 4, f, at);
		f -= 4;
		len += 4;
		igb_put_be16(f + at, igb_get(g, IGB_VET) & 0xffff);
		igb_put_be16(f + at + 2, tag);
	}
	/* not in place: behind a segment is the payload of the next one */
	if (len < sizeof(padded) && igb_get(g, IGB_TCTL) & TCTL_PSP) {
		memcpy(padded, f, len);
		memset(padded + len, 0, sizeof(padded) - len);
		f = padded;
		len = sizeof(padded);
	}
	if (len < 14 || len > IGB_FRAME_MAX)
		return;
	if (vmdq && !loopback(g) && !igb_switch(g, n, f, len))
		return;
	igb_stats_tx(g, f, len);
	igb_tx_fault(g, len);
	if (loopback(g))
		igb_rx_frame(g, f, len);
	else if (g->port && !atomic_load_explicit(&g->unplugged, memory_order_relaxed))
		net_send(g->port, f, len);
}

/*
 * 7.2.4.5: what the driver left in the field (the pseudo header's sum) is part of what is summed.
 */
static void l4_checksum(uint8_t *f, size_t len, const struct igb_context *c, uint32_t pseudo)
{
	size_t l4 = c->maclen + c->iplen, at;
	uint32_t sum;

	if (l4 >= len)
		return;
	switch (TUCMD_L4T(c->tucmd)) {
	case L4T_TCP:
		at = l4 + 16;
		break;
	case L4T_UDP:
		at = l4 + 6;
		break;
	case L4T_SCTP:
		if (l4 + 12 > len)
			return;
		memset(f + l4 + 8, 0, 4);
		sum = igb_crc32c(f + l4, len - l4);
		for (unsigned i = 0; i < 4; i++)
			f[l4 + 8 + i] = (uint8_t)(sum >> 8 * i);
		return;
	default:
		return;
	}
	if (at + 2 > len)
		return;
	sum = (uint16_t)~igb_fold(igb_sum(f + l4, len - l4, pseudo));
	if (!sum && TUCMD_L4T(c->tucmd) == L4T_UDP)
		sum = 0xffff; /* RFC 768: zero means none */
	igb_put_be16(f + at, sum);
}

static void ip_checksum(uint8_t *f, size_t len, const struct igb_context *c)
{
	if (c->iplen < 20 || c->maclen + c->iplen > len || !(c->tucmd & TUCMD_IPV4))
		return;
	igb_put_be16(f + c->maclen + 10, 0);
	igb_put_be16(f + c->maclen + 10, (uint16_t)~igb_fold(igb_sum(f + c->maclen, c->iplen, 0)));
}

static void set_sent(struct igb_txq *q, uint64_t sent)
{
	atomic_store_explicit(&q->kept->sent, sent, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
}

/* Send a large packet as many, each with a corrected copy of the headers: 7.2.4 */
static void segment(struct igb *g, struct igb_txq *q, const struct igb_context *c)
{
	size_t hdr = c->maclen + c->iplen + c->l4len, l4 = c->maclen + c->iplen, done, n;
	uint8_t *pkt = q->pkt + IGB_HEADROOM, head[IGB_HEADROOM + 512 + 256], *f;
	bool tcp = TUCMD_L4T(c->tucmd) == L4T_TCP, vlan = q->s.first_cmd & TXD_VLE, last;
	uint32_t seq = 0, flg = igb_get(g, IGB_DTXTCPFLGL), mask;
	uint64_t frames = 0;
	uint16_t id = 0;

	if (!c->mss || hdr > 512 || hdr + c->mss > IGB_FRAME_MAX || hdr >= q->s.len ||
	    c->maclen < 14 || c->iplen < (c->tucmd & TUCMD_IPV4 ? 20u : 40u) ||
	    c->l4len < (tcp ? 20u : 8u) || TUCMD_L4T(c->tucmd) > L4T_TCP) {
		igb_judge_segments(g, q, c);
		igb_stats_add(g, IGB_TSCTC + 4, 1); /* TSCTFC */
		return;
	}
	if (!q->skip)
		igb_stats_add(g, IGB_TSCTC, 1);
	memcpy(head, pkt, hdr);
	if (c->tucmd & TUCMD_IPV4)
		id = igb_be16(head + c->maclen + 4);
	if (tcp)
		seq = igb_be32(head + l4 + 4);
	for (done = 0; done < q->s.len - hdr; done += n) {
		n = q->s.len - hdr - done;
		last = n <= c->mss;
		if (!last)
			n = c->mss;
		/*
		 * The headers go in place before their payload: what they overwrite has been sent.
		 */
		f = pkt + done;
		memcpy(f, head, hdr);
		if (c->tucmd & TUCMD_IPV4) {
			igb_put_be16(f + c->maclen + 2, (uint32_t)(c->iplen + c->l4len + n));
			igb_put_be16(f + c->maclen + 4, id++);
		} else {
			igb_put_be16(f + c->maclen + 4, (uint32_t)(c->iplen - 40 + c->l4len + n));
		}
		if (tcp) {
			igb_put_be32(f + l4 + 4, seq + (uint32_t)done);
			mask = last ? igb_get(g, IGB_DTXTCPFLGH) : done ? flg >> 16 : flg;
			if (!(last && !done))
				f[l4 + 13] &= (uint8_t)mask;
		} else {
			igb_put_be16(f + l4 + 4, (uint32_t)(8 + n));
		}
		if (q->s.first_opt & POPTS_IXSM)
			ip_checksum(f, hdr, c);
		if (q->s.first_opt & POPTS_TXSM)
			l4_checksum(f, hdr + n, c, (uint32_t)(c->l4len + n));
		if (frames++ < q->skip)
			continue;
		emit(g, q, f, hdr + n, vlan, c->vlan);
		set_sent(q, q->index | frames << IGB_SENT_SHIFT);
	}
}

static void send_advanced(struct igb *g, struct igb_txq *q)
{
	const struct igb_context *c = &q->s.ctx[q->s.first_opt >> 4 & 1];
	uint8_t *f = q->pkt + IGB_HEADROOM;

	if (q->s.first_cmd & TXD_TSE) {
		segment(g, q, c);
		return;
	}
	if (q->s.first_opt & POPTS_IXSM)
		ip_checksum(f, q->s.len, c);
	if (q->s.first_opt & POPTS_TXSM)
		l4_checksum(f, q->s.len, c, 0);
	emit(g, q, f, q->s.len, q->s.first_cmd & TXD_VLE, c->vlan);
}

/* Send, with a checksum from CSS to the end at CSO; offsets are the first descriptor's. 7.2.2.1 */
static void send_legacy(struct igb *g, struct igb_txq *q, const struct igb_desc *last)
{
	uint8_t *f = q->pkt + IGB_HEADROOM;
	size_t cso = q->s.first_cmd >> 16 & 0xff, css = q->s.first_opt >> 8 & 0xff;

	if (last->cmd & TXD_IC && css < q->s.len && cso + 2 <= q->s.len)
		igb_put_be16(f + cso, (uint16_t)~igb_fold(igb_sum(f + css, q->s.len - css, 0)));
	emit(g, q, f, q->s.len, last->cmd & TXD_VLE, (uint16_t)(last->opt >> 16));
}

/* Return how long the packet can become. */
static size_t longest(const struct igb_tx_state *s)
{
	return s->first_cmd & TXD_DEXT && s->first_cmd & TXD_TSE ? IGB_PKT_MAX : IGB_FRAME_MAX;
}

static bool gather(struct igb *g, struct igb_txq *q, const struct igb_desc *d)
{
	size_t n = d->cmd & 0xffff;

	if (!q->s.started) {
		q->s.started = true;
		q->s.bad = false;
		q->s.len = 0;
		q->s.first_cmd = d->cmd;
		q->s.first_opt = d->opt;
		/* Offsets above the packet's first bytes cannot be asked for again. */
	}
	if (q->s.bad || n > longest(&q->s) - q->s.len) {
		q->s.bad = true; /* longer than the packet buffer: not sent */
		return true;
	}
	if (n && uvfio_dma_read(q->fn->dev, d->addr, q->pkt + IGB_HEADROOM + q->s.len, n))
		return false;
	/* of a packet that has no end yet the next process has no other copy */
	if (!(d->cmd & TXD_EOP) && uvfio_lasting_access(g->dev))
		memcpy(q->kept->packet + q->s.len, q->pkt + IGB_HEADROOM + q->s.len, n);
	q->s.len += (uint32_t)n;
	return true;
}

static void set_context(struct igb_txq *q, const struct igb_desc *d)
{
	struct igb_context *c = &q->s.ctx[d->opt >> 4 & 1];

	c->iplen = d->addr & 0x1ff;
	c->maclen = d->addr >> 9 & 0x7f;
	c->vlan = (uint16_t)(d->addr >> 16);
	c->tucmd = d->cmd;
	c->l4len = d->opt >> 8 & 0xff;
	c->mss = (uint16_t)(d->opt >> 16);
}

/* Carry out one descriptor: false when a read was aborted. */
static bool execute(struct igb *g, struct igb_txq *q, const struct igb_desc *d)
{
	igb_judge_descriptor(g, q, d);
	if (d->cmd & TXD_DEXT && TXD_DTYP(d->cmd) == DTYP_CONTEXT) {
		set_context(q, d);
		return true;
	}
	if (d->cmd & TXD_DEXT && TXD_DTYP(d->cmd) != DTYP_DATA)
		return true; /* reserved types: nothing is transferred */
	if (!gather(g, q, d))
		return false;
	if (!(d->cmd & TXD_EOP))
		return true;
	q->s.started = false;
	igb_judge_packet(g, q);
	if (q->s.bad || !q->s.len)
		return true;
	if (q->s.first_cmd & TXD_DEXT)
		send_advanced(g, q);
	else
		send_legacy(g, q, d);
	return true;
}

static bool enabled(struct igb *g, const struct igb_txq *q, unsigned n)
{
	if (igb_vmdq(g) && !(igb_get(g, IGB_VFTE) >> (n & 7) & 1))
		return false;
	return igb_get(g, IGB_TXQ(n, TXDCTL)) & QUEUE_ENABLE && igb_get(g, IGB_TCTL) & TCTL_EN &&
	       !(igb_get(g, IGB_CTRL) & CTRL_GIO_DISABLE) &&
	       atomic_load_explicit(&g->kept->ctl.link, memory_order_relaxed) &&
	       !atomic_load_explicit(&q->fn->halt, memory_order_relaxed);
}

/* ---- what was carried out is kept, so that it can be finished (kept.h) ---- */

static void set_record(struct igb_kept_tx *k, enum igb_record valid)
{
	atomic_store_explicit(&k->record.valid, valid, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
}

/* No descriptor has that in its last four bytes: all reserved bits are set, and DD is not. */
#define MARK 0xfffffffeu

static void write_status(struct igb_txq *q, uint32_t status)
{
	const struct igb_kept_tx *k = q->kept;

	uvfio_dma_write(q->fn->dev, k->record.ring + k->record.index * 16ull + 12, &status, 4);
}

/* Write the head to where the driver wants it, instead of descriptors: 7.2.3 */
static void write_head(struct igb *g, struct igb_txq *q, unsigned n)
{
	uint32_t wb = igb_get(g, IGB_TXQ(n, TDWBAL)), head = igb_get(g, IGB_TXQ(n, TDH));

	uvfio_dma_write(q->fn->dev, (wb & ~3u) | (uint64_t)igb_get(g, IGB_TXQ(n, TDWBAH)) << 32,
			&head, 4);
}

/* Move the head behind the descriptor of the record. */
static void move_head(struct igb *g, struct igb_txq *q, unsigned n)
{
	struct igb_kept_tx *k = q->kept;

	k->state = k->record.state;
	igb_put(g, IGB_TXQ(n, TDH), k->record.next);
}

static void mark(struct igb_txq *q)
{
	write_status(q, MARK);
	set_record(q->kept, IGB_RECORD_MARKED);
}

/* Descriptor @d at @index was carried out: move the head, and write back. With the queue's lock. */
static void commit(struct igb *g, struct igb_txq *q, unsigned n, const struct igb_desc *d,
		   uint64_t ring, uint32_t next)
{
	struct igb_kept_tx *k = q->kept;

	k->record.report = d->cmd & TXD_RS && !(igb_get(g, IGB_TXQ(n, TDWBAL)) & 1);
	k->record.index = (uint16_t)q->index;
	k->record.next = (uint16_t)next;
	k->record.status = d->cmd & TXD_DEXT ? TXD_DD : d->opt | TXD_DD;
	k->record.ring = ring;
	k->record.state = q->s;
	set_record(k, IGB_RECORD_READY);
	set_sent(q, IGB_SENT_NONE);
	move_head(g, q, n);
	if (k->record.report) {
		if (uvfio_lasting_access(g->dev))
			mark(q);
		write_status(q, k->record.status);
	}
	set_record(k, IGB_RECORD_NONE);
}

/* Run queue @n up to its tail; true if something was reported. With its lock. */
static bool run(struct igb *g, struct igb_txq *q, unsigned n)
{
	uint64_t ring = igb_get(g, IGB_TXQ(n, TDBAL)) | (uint64_t)igb_get(g, IGB_TXQ(n, TDBAH))
								<< 32;
	uint32_t size = igb_get(g, IGB_TXQ(n, TDLEN)) / 16, head = igb_get(g, IGB_TXQ(n, TDH));
	uint32_t tail, count, i;
	bool report = false;

	while (enabled(g, q, n)) {
		tail = igb_get(g, IGB_TXQ(n, TDT));
		if (tail == head || tail >= size || head >= size)
			break;
		count = (tail > head ? tail : size) - head;
		if (count > IGB_BATCH)
			count = IGB_BATCH;
		if (uvfio_dma_read(q->fn->dev, ring + head * 16ull, q->batch, count * 16)) {
			wedge(q, n);
			break;
		}
		for (i = 0; i < count; i++) {
			q->index = head;
			if (!execute(g, q, &q->batch[i])) {
				wedge(q, n);
				break;
			}
			q->skip = 0;
			igb_tx_give_back(q, n, q->index);
			head = head + 1 == size ? 0 : head + 1;
			report |= q->batch[i].cmd & TXD_RS;
			commit(g, q, n, &q->batch[i], ring, head);
		}
		if (i < count)
			break;
	}
	if (report && igb_get(g, IGB_TXQ(n, TDWBAL)) & 1)
		write_head(g, q, n);
	return report;
}

/* With the queue's lock. False: no memory. */
static bool have_buffer(struct igb_txq *q)
{
	if (!q->pkt)
		q->pkt = malloc(IGB_HEADROOM + IGB_PKT_MAX + 64);
	return q->pkt;
}

void igb_tx_kick(struct igb *g, unsigned n)
{
	struct igb_txq *q = &g->txq[n];
	bool report = false;

	pthread_mutex_lock(&q->lock);
	if (have_buffer(q) && !q->kept->wedged)
		report = run(g, q, n);
	pthread_mutex_unlock(&q->lock);
	if (report)
		igb_irq_queue(g, n, true);
}

void igb_tx_kick_all(struct igb *g)
{
	for (unsigned n = 0; n < IGB_QUEUES; n++) {
		if (igb_get(g, IGB_TXQ(n, TDT)) != igb_get(g, IGB_TXQ(n, TDH)))
			igb_tx_kick(g, n);
	}
}

void igb_tx_own(struct igb *g, unsigned n, struct igb_fn *fn)
{
	struct igb_txq *q = &g->txq[n];

	/* A thread that waits for the lock finds the queue off. */
	igb_put(g, IGB_TXQ(n, TXDCTL), 0);
	pthread_mutex_lock(&q->lock);
	igb_put(g, IGB_TXQ(n, TDH), 0);
	igb_put(g, IGB_TXQ(n, TDT), 0);
	if (fn)
		q->fn = fn;
	q->kept->wedged = false;
	q->s = (struct igb_tx_state){ 0 };
	q->skip = 0;
	set_record(q->kept, IGB_RECORD_NONE);
	set_sent(q, IGB_SENT_NONE);
	q->kept->state = q->s;
	igb_taken_forget(q->fn);
	pthread_mutex_unlock(&q->lock);
}

void igb_tx_reset(struct igb *g)
{
	for (unsigned n = 0; n < IGB_QUEUES; n++)
		igb_tx_own(g, n, NULL);
}

/* ---- migration: contexts, and what there is of a packet that has no end yet ---- */

static void save_context(const struct igb_context *c, struct uvfio_state *s)
{
	uvfio_put8(s, (uint8_t)c->maclen);
	uvfio_put16(s, (uint16_t)c->iplen);
	uvfio_put8(s, (uint8_t)c->l4len);
	uvfio_put16(s, (uint16_t)c->mss);
	uvfio_put16(s, c->vlan);
	uvfio_put32(s, c->tucmd);
}

static void load_context(struct igb_context *c, struct uvfio_state *s)
{
	c->maclen = uvfio_get8(s) & 0x7f;
	c->iplen = uvfio_get16(s) & 0x1ff;
	c->l4len = uvfio_get8(s);
	c->mss = uvfio_get16(s);
	c->vlan = uvfio_get16(s);
	c->tucmd = uvfio_get32(s);
}

void igb_tx_save(struct igb *g, unsigned n, struct uvfio_state *s)
{
	struct igb_txq *q = &g->txq[n];
	uint32_t len;

	pthread_mutex_lock(&q->lock);
	len = q->s.started && !q->s.bad ? (uint32_t)q->s.len : 0;
	uvfio_put8(s, (uint8_t)(q->kept->wedged | q->s.bad << 1 | q->s.started << 2));
	save_context(&q->s.ctx[0], s);
	save_context(&q->s.ctx[1], s);
	uvfio_put32(s, q->s.first_cmd);
	uvfio_put32(s, q->s.first_opt);
	uvfio_put32(s, len);
	if (len)
		uvfio_put_bytes(s, q->pkt + IGB_HEADROOM, len);
	pthread_mutex_unlock(&q->lock);
}

/* With the queue's lock. */
static int load_queue(struct igb_txq *q, unsigned n, struct uvfio_state *s)
{
	uint8_t flags = uvfio_get8(s);
	uint32_t len;

	load_context(&q->s.ctx[0], s);
	load_context(&q->s.ctx[1], s);
	q->s.first_cmd = uvfio_get32(s);
	q->s.first_opt = uvfio_get32(s);
	len = uvfio_get32(s);
	q->kept->wedged = flags & 1;
	q->s.bad = flags & 2;
	q->s.started = flags & 4;
	q->s.len = 0;
	if (flags > 7 || len > longest(&q->s) || (len && (!q->s.started || q->s.bad)))
		return uvfio_load_error(s, "transmit queue %u: %u bytes of a packet, flags %xh", n,
					len, flags);
	if (!len)
		return 0;
	if (!have_buffer(q))
		return uvfio_load_error(s, "transmit queue %u: no memory", n);
	uvfio_get_bytes(s, q->pkt + IGB_HEADROOM, len);
	q->s.len = len;
	return 0;
}

int igb_tx_restore(struct igb *g, unsigned n, struct uvfio_state *s)
{
	int err;

	pthread_mutex_lock(&g->txq[n].lock);
	err = load_queue(&g->txq[n], n, s);
	pthread_mutex_unlock(&g->txq[n].lock);
	return err;
}

/* ---- a process was killed ---- */

bool igb_tx_take_up(struct igb *g, unsigned n)
{
	struct igb_txq *q = &g->txq[n];
	const struct igb_kept_tx *k = q->kept;
	enum igb_record valid = atomic_load(&k->record.valid);
	const struct igb_tx_state *s = valid ? &k->record.state : &k->state;
	uint32_t len = s->started ? s->len : 0;
	uint64_t sent = atomic_load(&k->sent);

	if (valid > IGB_RECORD_MARKED || len > longest(s) || (len && !have_buffer(q)))
		return false;
	q->s = *s;
	if (len)
		memcpy(q->pkt + IGB_HEADROOM, k->packet, len);
	q->skip = 0;
	if (!valid && sent != IGB_SENT_NONE && (sent & 0xffff) == igb_get(g, IGB_TXQ(n, TDH)))
		q->skip = (unsigned)(sent >> IGB_SENT_SHIFT);
	return true;
}

unsigned igb_tx_finish(struct igb *g, unsigned n)
{
	struct igb_txq *q = &g->txq[n];
	struct igb_kept_tx *k = q->kept;
	enum igb_record valid = atomic_load(&k->record.valid);
	uint32_t is = 0;

	pthread_mutex_lock(&q->lock);
	if (valid) {
		set_sent(q, IGB_SENT_NONE);
		move_head(g, q, n);
	}
	if (valid && k->record.report) {
		if (valid == IGB_RECORD_READY)
			mark(q);
		else
			uvfio_dma_read(q->fn->dev, k->record.ring + k->record.index * 16ull + 12,
				       &is, 4);
		if (valid == IGB_RECORD_READY || is == MARK)
			write_status(q, k->record.status);
	}
	set_record(k, IGB_RECORD_NONE);
	if (igb_get(g, IGB_TXQ(n, TDWBAL)) & 1 && igb_get(g, IGB_TXQ(n, TXDCTL)) & QUEUE_ENABLE)
		write_head(g, q, n);
	pthread_mutex_unlock(&q->lock);
	return valid ? 1 : 0;
}

int igb_tx_init(struct igb *g)
{
	for (unsigned n = 0; n < IGB_QUEUES; n++) {
		pthread_mutex_init(&g->txq[n].lock, NULL);
		g->txq[n].kept = &g->kept->tx[n];
		g->txq[n].fn = &g->fn[IGB_PF];
	}
	return 0;
}

void igb_tx_fini(struct igb *g)
{
	for (unsigned n = 0; n < IGB_QUEUES; n++) {
		free(g->txq[n].pkt);
		pthread_mutex_destroy(&g->txq[n].lock);
	}
}
