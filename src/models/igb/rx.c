/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/igb/rx.c: reception (82576 datasheet, 7.1). A frame that passed the filters (filter.c) is
 * parsed (parse.c), gets a queue (steer.c, RSS) or, with pools, a queue of each pool that wants it
 * (switch.c), and goes into as many descriptors as it needs; when there are not so many it is
 * dropped and counted. All this runs in the thread that brings the frame.
 *
 * Writes are posted (PCIe 6.0, 2.4.1): a device does not learn that the IOMMU dropped one, and the
 * descriptor is written back all the same, as the chip's is; the IOMMU's log line tells. A
 * descriptor that cannot be read stops the queue until a reset.
 */
#include <string.h>

#include "models/igb/internal.h"

/* ---- descriptors ---- */

/*
 * Return a descriptor to fill, fetched ahead by the batch. False: none, or it cannot be read.
 * @first: of a frame, all of whose descriptors come before the head moves
 */
static bool next_descriptor(struct igb *g, struct igb_rxq *q, unsigned n, bool first,
			    uint64_t **desc, uint32_t *index)
{
	uint64_t ring = igb_get(g, IGB_RXQ(n, RDBAL)) | (uint64_t)igb_get(g, IGB_RXQ(n, RDBAH))
								<< 32;
	uint32_t size = igb_get(g, IGB_RXQ(n, RDLEN)) / 16, tail = igb_get(g, IGB_RXQ(n, RDT)),
		 count;

	if (q->next == q->cached) {
		if (first)
			q->cache_head = igb_get(g, IGB_RXQ(n, RDH));
		if (q->cache_head >= size || tail >= size || tail == q->cache_head)
			return false;
		count = (tail > q->cache_head ? tail : size) - q->cache_head;
		if (count > IGB_BATCH)
			count = IGB_BATCH;
		if (uvfio_dma_read(q->fn->dev, ring + q->cache_head * 16ull, q->cache,
				   count * 16)) {
			if (igb_is_master(q->fn)) {
				q->kept->wedged = true;
				uvfio_log(q->fn->dev, UVFIO_LOG_WARN,
					  "receive queue %u stands until a reset: "
					  "its descriptors cannot be read",
					  n);
			}
			return false;
		}
		q->cached = count;
		q->next = 0;
	}
	*desc = q->cache[q->next++];
	*index = q->cache_head;
	q->cache_head = q->cache_head + 1 == size ? 0 : q->cache_head + 1;
	return true;
}

static unsigned available(struct igb *g, unsigned n)
{
	uint32_t size = igb_get(g, IGB_RXQ(n, RDLEN)) / 16, head = igb_get(g, IGB_RXQ(n, RDH));
	uint32_t tail = igb_get(g, IGB_RXQ(n, RDT));

	if (head >= size || tail >= size)
		return 0;
	return tail >= head ? tail - head : size - head + tail;
}

static size_t buffer_size(struct igb *g, unsigned n)
{
	size_t kib = igb_get(g, IGB_RXQ(n, SRRCTL)) & 0x7f;

	return kib ? kib * 1024 : 2048u >> (igb_get(g, IGB_RCTL) >> 16 & 3);
}

/* Put together what is written back to a descriptor. */
static void fill_part(struct igb *g, unsigned n, const struct igb_parsed *p, uint32_t info,
		      uint32_t status, uint16_t len, uint64_t d[2])
{
	uint16_t tag = status & RXD_EOP && status & RXD_VP ? p->tags.tag : 0;

	if (SRRCTL_DESCTYPE(igb_get(g, IGB_RXQ(n, SRRCTL))) == 0) { /* 7.1.4.3 */
		d[1] = len | (uint64_t)p->frag_sum << 16 | (uint64_t)(status & 0xff) << 32 |
		       (uint64_t)(status >> 24) << 40 | (uint64_t)tag << 48;
		return;
	}
	d[0] = info;
	if (status & RXD_EOP) {
		d[0] |= p->rss_type | (uint64_t)p->ptype << 4;
		if (igb_get(g, IGB_RXCSUM) & RXCSUM_PCSD)
			d[0] |= (uint64_t)p->hash << 32;
		else
			d[0] |= (uint64_t)p->ip_id << 32 | (uint64_t)p->frag_sum << 48;
	}
	d[1] = status | (uint64_t)len << 32 | (uint64_t)tag << 48;
}

/* ---- writing back, so that it can be done again (kept.h) ---- */

static void set_record(struct igb_kept_rx *k, enum igb_record state)
{
	atomic_store_explicit(&k->record.state, state, memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
}

/*
 * Return the mark of a descriptor that is about to be written back: its second half, not done, and
 * with a length that the frame has not, also where a driver clears no more of it than the status.
 */
static uint64_t mark_of(const struct igb_kept_rx *k)
{
	uint64_t is = k->record.part[0][1];
	uint64_t len = k->record.legacy ? 0xffffull : 0xffffull << 32;
	uint64_t status = k->record.legacy ? 0xffull << 32 : 0xffffffffull;

	return ((is ^ len) & ~status) | 0xffffull << 48;
}

static void write_part(struct igb_rxq *q, unsigned i)
{
	struct igb_kept_rx *k = q->kept;
	uint64_t at = k->record.ring + (k->record.first + i) % k->record.size * 16ull;

	/* the half that says that it is done is the last to be seen */
	if (k->record.legacy)
		uvfio_dma_write(q->fn->dev, at + 8, &k->record.part[i][1], 8);
	else
		uvfio_dma_write(q->fn->dev, at, k->record.part[i], 16);
}

/* Write all back, the first descriptor last: a driver sees all of the frame at once. */
static void write_parts(struct igb_rxq *q)
{
	for (unsigned i = q->kept->record.count; i--;)
		write_part(q, i);
}

/* Move the head, and end the record. */
static void end_record(struct igb *g, struct igb_rxq *q, unsigned n)
{
	igb_put(g, IGB_RXQ(n, RDH), q->kept->record.next);
	set_record(q->kept, IGB_RECORD_NONE);
}

static void mark(struct igb_rxq *q)
{
	struct igb_kept_rx *k = q->kept;
	uint64_t mark = mark_of(k);

	uvfio_dma_write(q->fn->dev, k->record.ring + k->record.first * 16ull + 8, &mark, 8);
	set_record(k, IGB_RECORD_MARKED);
}

/* Store a frame whose record is filled in. With the queue's lock. */
static void commit(struct igb *g, struct igb_rxq *q, unsigned n)
{
	for (unsigned i = 0; i < q->kept->record.count; i++)
		igb_rx_give_back(q, n, (q->kept->record.first + i) % q->kept->record.size);
	set_record(q->kept, IGB_RECORD_READY);
	if (uvfio_lasting_access(g->dev))
		mark(q);
	write_parts(q);
	end_record(g, q, n);
}

/* The form in which a queue gets a frame, and where it is counted. */
struct wanted {
	bool strip; /* the tag moves to the descriptor (7.4.3) */
	bool fcs;
	bool loopback;
	const uint8_t *frame; /* as it came */
	size_t len;
	int pool;	    /* whose counters have it; -1: none */
	bool *port_counted; /* the port's have it already; NULL: they do not count it */
};

/*
 * Count a frame that is about to be stored: before the driver can see it, and with the queue's
 * lock, so that the counters of a device that stops have all that it stored.
 */
static void count(struct igb *g, const struct wanted *w)
{
	if (w->pool >= 0)
		igb_stats_pool_rx(g, (unsigned)w->pool, w->frame, w->len, w->loopback);
	if (w->port_counted && !*w->port_counted) {
		igb_stats_rx(g, w->frame, w->len);
		*w->port_counted = true;
	}
}

/*
 * Store a frame, of which @header bytes are headers. With the queue's lock. False: no room. Nothing
 * is written back before all of it is in the driver's buffers.
 */
static bool store(struct igb *g, unsigned n, const uint8_t *f, size_t len,
		  const struct igb_parsed *p, size_t header, const struct wanted *w)
{
	struct igb_rxq *q = &g->rxq[n];
	struct igb_kept_rx *kept = q->kept;
	size_t buf = buffer_size(g, n), done = 0, k;
	uint32_t index, status, size = igb_get(g, IGB_RXQ(n, RDLEN)) / 16;
	uint64_t *desc;
	struct igb_split split;
	unsigned i = 0;

	igb_split(igb_get(g, IGB_RXQ(n, SRRCTL)), header, len, &split);
	k = (len - split.front + buf - 1) / buf;
	if ((k ? k : 1) > available(g, n))
		return false;
	do {
		if (!next_descriptor(g, q, n, !i, &desc, &index)) {
			q->cached = q->next = 0; /* none of this frame's is used */
			return false;
		}
		if (!i)
			kept->record.first = (uint16_t)index;
		if (!done && split.front) {
			uvfio_dma_write(q->fn->dev, desc[1] & ~1ull, f, split.front);
			done = split.front;
		} else {
			split.info = done ? 0 : split.info; /* the first descriptor's */
		}
		k = len - done < buf ? len - done : buf;
		if (k)
			uvfio_dma_write(q->fn->dev, desc[0], f + done, k);
		done += k;
		status = RXD_DD;
		if (done == len)
			status |= RXD_EOP | p->status | split.error | (w->loopback ? RXD_LB : 0);
		fill_part(g, n, p, split.info, status, (uint16_t)k, kept->record.part[i++]);
	} while (done < len);
	kept->record.legacy = SRRCTL_DESCTYPE(igb_get(g, IGB_RXQ(n, SRRCTL))) == 0;
	kept->record.ring = igb_get(g, IGB_RXQ(n, RDBAL)) | (uint64_t)igb_get(g, IGB_RXQ(n, RDBAH))
								    << 32;
	kept->record.size = (uint16_t)size;
	kept->record.count = (uint16_t)i;
	kept->record.next = (uint16_t)(index + 1 == size ? 0 : index + 1);
	count(g, w);
	commit(g, q, n);
	return true;
}

/* Return the queue of one of 128 entries of four bits: 7.1.2.8 */
static unsigned redirect(struct igb *g, const struct igb_parsed *p)
{
	if (!p->rss_type)
		return 0;
	return igb_get(g, IGB_RETA + (p->hash & 0x7c)) >> 8 * (p->hash & 3) & 15;
}

static unsigned choose_queue(struct igb *g, const uint8_t *f, size_t len, struct igb_parsed *p)
{
	uint32_t mrqc = igb_get(g, IGB_MRQC);
	struct igb_flow flow = {
		.type = igb_be16(f + p->tags.type),
		.tagged = p->tags.at,
		.tag = p->tags.tag,
		.ipv4 = p->ptype & PTYPE_IPV4,
		.ports = p->ptype & (PTYPE_TCP | PTYPE_UDP | PTYPE_SCTP),
		.tcp = p->ptype & PTYPE_TCP,
		.proto = p->proto,
		.ip = p->ip,
		.l4 = p->l4,
		.etqf = -1,
	};
	int queue = p->tags.type ? igb_steer(g, f, len, &flow) : -1;

	if (flow.etqf >= 0) /* 7.1.5.2: the filter instead of the protocols */
		p->ptype = PTYPE_ETQF | (uint32_t)flow.etqf;
	if (queue >= 0)
		return (unsigned)queue;
	return MRQC_MODE(mrqc) == MRQC_RSS ? redirect(g, p) : mrqc >> 3 & 7; /* Def_Q */
}

/* Return the queue of a pool, which has two, and RSS between them if it wants. */
static unsigned pool_queue(struct igb *g, unsigned pool, const struct igb_parsed *p)
{
	if (MRQC_MODE(igb_get(g, IGB_MRQC)) == MRQC_VMDQ_RSS &&
	    igb_get(g, IGB_VMOLR(pool)) & VMOLR_RSSE && redirect(g, p) & 1)
		return pool + IGB_VFS;
	return pool;
}

/* Count a frame that was dropped: in the queue alone if the driver said so, or for a VF. */
static void no_room(struct igb *g, unsigned n)
{
	bool drop = igb_get(g, IGB_RXQ(n, SRRCTL)) & SRRCTL_DROP_EN ||
		    igb_get(g, IGB_QDE) >> n & 1 || igb_vf_enabled(g, n & 7);

	if (drop)
		igb_stats_add(g, IGB_RXQ(n, RQDPC), 1);
	if (igb_vf_enabled(g, n & 7))
		return;
	igb_stats_add(g, IGB_RNBC, 1);
	igb_stats_add(g, IGB_MPC, 1);
	igb_irq_cause(g, ICR_RXO);
}

/* Deliver a frame to queue @n; false: no room. */
static bool deliver(struct igb *g, unsigned n, const uint8_t *frame, size_t len,
		    struct igb_parsed *p, const struct wanted *w)
{
	uint8_t copy[IGB_FRAME_MAX + 4];
	struct igb_rxq *q = &g->rxq[n];
	bool running, stored = true;
	unsigned halt;
	size_t header = 0, at = p->tags.at;
	uint32_t crc;

	p->status &= ~RXD_VP;
	if (p->header && igb_get(g, IGB_PSRTYPE(igb_vmdq(g) ? n & 7 : 0)) >> p->psr & 1)
		header = p->header;
	if (at && w->strip) {
		p->status |= RXD_VP;
		memmove(copy + at, frame + at + 4, len - at - 4);
		memmove(copy, frame, at);
		frame = copy;
		len -= 4;
		header -= header ? 4 : 0;
	}
	if (w->fcs) {
		/* The checksum as it came over the wire: with the tag that was stripped, or not. */
		crc = igb_crc32(frame, len);
		if (frame != copy)
			memcpy(copy, frame, len);
		frame = copy;
		memcpy(copy + len, &crc, 4);
		len += 4;
	}
	pthread_mutex_lock(&q->lock);
	halt = atomic_load(&q->fn->halt);
	running = igb_get(g, IGB_RXQ(n, RXDCTL)) & QUEUE_ENABLE && igb_get(g, IGB_RCTL) & RCTL_EN &&
		  !q->kept->wedged && !halt && !(igb_get(g, IGB_CTRL) & CTRL_GIO_DISABLE) &&
		  igb_descriptor_type_known(igb_get(g, IGB_RXQ(n, SRRCTL)));
	if (running)
		stored = store(g, n, frame, len, p, header, w);
	pthread_mutex_unlock(&q->lock);
	if (!running || !stored) {
		if (!(halt & IGB_STOPPED)) /* then it is lost on the way, and changes nothing */
			no_room(g, n);
		return false;
	}
	igb_irq_queue(g, n, false);
	return true;
}

/*
 * Deliver a frame to each of @pools; false: none of them had room.
 * @port_counted: as in struct wanted
 */
static bool replicate(struct igb *g, const uint8_t *frame, size_t len, uint32_t pools,
		      bool loopback, bool *port_counted)
{
	bool shared = frame[0] & 1 && igb_get(g, IGB_VT_CTL) & VT_CTL_REPLICATE, any = !pools;
	uint32_t offload;
	struct igb_parsed p;
	struct wanted w = {
		.loopback = loopback, .frame = frame, .len = len, .port_counted = port_counted
	};

	if (!pools)
		return true;
	igb_parse(g, frame, len, &p);
	for (unsigned pool = 0; pool < IGB_VFS; pool++) {
		if (!(pools >> pool & 1))
			continue;
		/*
		 * 7.10.3.8: CTRL.VME is not looked at; what is replicated has a setting of its own.
		 */
		offload = igb_get(g, shared ? IGB_RPLOLR : IGB_VMOLR(pool));
		w.strip = offload & VMOLR_STRVLAN;
		w.fcs = !(offload & VMOLR_STRCRC);
		w.pool = (int)pool;
		any |= deliver(g, pool_queue(g, pool, &p), frame, len, &p, &w);
	}
	return any;
}

void igb_rx_switched(struct igb *g, const uint8_t *frame, size_t len, uint32_t pools)
{
	if (igb_get(g, IGB_RCTL) & RCTL_EN && atomic_load(&g->kept->ctl.link))
		replicate(g, frame, len, pools, true, NULL);
}

bool igb_rx_frame(struct igb *g, const uint8_t *frame, size_t len)
{
	uint8_t copy[60];
	uint32_t rctl = igb_get(g, IGB_RCTL);
	struct igb_tags tags;
	struct igb_parsed p;
	bool counted = false;
	/* 7.1.5.2: LB tells of the switch between pools, not of the port's loopback */
	struct wanted w = { .loopback = false, .pool = -1, .port_counted = &counted };

	if (!(rctl & RCTL_EN) || !atomic_load(&g->kept->ctl.link) || len < 14)
		return true;
	igb_tags(g, frame, len, &tags);
	if (len + 4 > (rctl & RCTL_LPE ? igb_get(g, IGB_RLPML) : igb_plain_max(&tags)) ||
	    len > IGB_FRAME_MAX) {
		if (igb_filter(g, frame, len)) { /* 8.18.9, 8.18.38: of what passes the filters */
			igb_stats_add(g, IGB_ROC, 1);
			igb_stats_add(g, IGB_RLEC, 1);
		}
		igb_stats_refused(g, len);
		return true;
	}
	if (len < sizeof(copy)) { /* from a tap or a socket, which do not pad */
		memcpy(copy, frame, len);
		memset(copy + len, 0, sizeof(copy) - len);
		frame = copy;
		len = sizeof(copy);
	}
	if (!igb_filter(g, frame, len)) {
		igb_stats_refused(g, len);
		return true;
	}
	if (igb_rx_fault(g, len)) {
		igb_stats_add(g, IGB_MPC, 1);
		igb_stats_refused(g, len);
		return true;
	}
	if (igb_vmdq(g)) {
		if (!replicate(g, frame, len, igb_pools_in(g, frame, len), false, &counted))
			goto refused;
	} else {
		igb_parse(g, frame, len, &p);
		w.frame = frame;
		w.len = len;
		w.strip = igb_get(g, IGB_CTRL) & CTRL_VME;
		w.fcs = !(rctl & RCTL_SECRC);
		if (!deliver(g, choose_queue(g, frame, len, &p), frame, len, &p, &w))
			goto refused;
	}
	if (!counted) /* it was for no pool */
		igb_stats_rx(g, frame, len);
	return true;
refused:
	igb_stats_refused(g, len);
	return false;
}

void igb_rx_forget(struct igb *g, unsigned n)
{
	struct igb_rxq *q = &g->rxq[n];

	pthread_mutex_lock(&q->lock);
	q->cached = q->next = 0;
	igb_taken_forget(q->fn);
	pthread_mutex_unlock(&q->lock);
}

void igb_rx_own(struct igb *g, unsigned n, struct igb_fn *fn)
{
	struct igb_rxq *q = &g->rxq[n];

	igb_put(g, IGB_RXQ(n, RXDCTL), 0);
	pthread_mutex_lock(&q->lock);
	igb_put(g, IGB_RXQ(n, RDH), 0);
	igb_put(g, IGB_RXQ(n, RDT), 0);
	if (fn)
		q->fn = fn;
	q->kept->wedged = false;
	set_record(q->kept, IGB_RECORD_NONE);
	q->cached = q->next = 0;
	igb_taken_forget(q->fn);
	pthread_mutex_unlock(&q->lock);
}

void igb_rx_reset(struct igb *g)
{
	for (unsigned n = 0; n < IGB_QUEUES; n++)
		igb_rx_own(g, n, NULL);
}

/*
 * Whether a queue stands; the rest is in registers. Descriptors that were fetched ahead are fetched
 * again: the head does not tell of them.
 */
void igb_rx_save(struct igb *g, unsigned n, struct uvfio_state *s)
{
	pthread_mutex_lock(&g->rxq[n].lock);
	uvfio_put8(s, g->rxq[n].kept->wedged);
	pthread_mutex_unlock(&g->rxq[n].lock);
}

void igb_rx_restore(struct igb *g, unsigned n, struct uvfio_state *s)
{
	struct igb_rxq *q = &g->rxq[n];

	pthread_mutex_lock(&q->lock);
	q->kept->wedged = uvfio_get8(s);
	q->cached = q->next = 0;
	pthread_mutex_unlock(&q->lock);
}

bool igb_rx_take_up(struct igb *g, unsigned n)
{
	struct igb_rxq *q = &g->rxq[n];
	const struct igb_kept_rx *k = q->kept;

	q->cached = q->next = 0;
	if (atomic_load(&k->record.state) == IGB_RECORD_NONE)
		return true;
	return atomic_load(&k->record.state) <= IGB_RECORD_MARKED && k->record.count &&
	       k->record.count <= IGB_RX_PARTS && k->record.first < k->record.size &&
	       k->record.next < k->record.size;
}

unsigned igb_rx_finish(struct igb *g, unsigned n)
{
	struct igb_rxq *q = &g->rxq[n];
	struct igb_kept_rx *k = q->kept;
	enum igb_record state = atomic_load(&k->record.state);
	unsigned num = k->record.count;
	uint64_t is = 0;

	if (state == IGB_RECORD_NONE)
		return 0;
	pthread_mutex_lock(&q->lock);
	if (state == IGB_RECORD_READY)
		mark(q);
	else
		uvfio_dma_read(q->fn->dev, k->record.ring + k->record.first * 16ull + 8, &is, 8);
	if (state == IGB_RECORD_READY || is == mark_of(k))
		write_parts(q);
	end_record(g, q, n);
	pthread_mutex_unlock(&q->lock);
	return num;
}

int igb_rx_init(struct igb *g)
{
	for (unsigned n = 0; n < IGB_QUEUES; n++) {
		pthread_mutex_init(&g->rxq[n].lock, NULL);
		g->rxq[n].kept = &g->kept->rx[n];
		g->rxq[n].fn = &g->fn[IGB_PF];
	}
	return 0;
}

void igb_rx_fini(struct igb *g)
{
	for (unsigned n = 0; n < IGB_QUEUES; n++)
		pthread_mutex_destroy(&g->rxq[n].lock);
}
