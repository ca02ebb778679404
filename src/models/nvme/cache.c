/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/cache.c: the volatile write cache of a namespace, which is the kernel's page cache:
 * which blocks were acknowledged and need not be on the medium yet, and which of them are lost.
 *
 * Flush says that all that was acknowledged is on the medium (NVMe 1.4, 6.8). Linux tells of a
 * failed write-back once for each open file, to whichever sync comes next, and takes the pages for
 * clean: a sync that succeeds after one that failed says nothing of what was written before. So
 * after a failure everything that was acknowledged since the last sync that succeeded counts as
 * lost; which part of it reached the medium nobody can tell. While blocks are lost Flush, writes
 * with FUA, turning the cache off and shutdown fail as the sync did, as QEMU's block layer does it
 * for ever, and so does a read of such a block (Unrecovered Read Error), which would give what the
 * medium had before. Of a write with FUA to another block one could say that its own data is safe;
 * but it is where a driver puts the record that says that all before it is, and false failure is
 * the lesser fault. A block that is written again, zeroed or deallocated is lost no more; a reset
 * of the controller gives up the rest.
 *
 * One sync at a time: of two that run together the one may swallow the error of the other's data.
 * Requests that come while one runs wait and share the next.
 *
 * The maps last when the process is killed. The page cache does, too, but not the file that was
 * open, to which the kernel tells of a failed write-back. Of an error that nobody was told of the
 * next process hears when it syncs. But a sync that was under way may have been told, and its
 * thread not have come back: so when there was one, the file system is asked, which remembers
 * errors by itself (syncfs, since Linux 5.8); of a block device nobody remembers, and what was
 * acknowledged and not synced counts as lost.
 *
 * An acknowledged write is noted after it is in the page cache and before it is acknowledged, in
 * the map whose turn it is. A sync begins by giving the turn to the other map; when it succeeds it
 * empties the first one. A write that a failing sync may have met notices by `failures` that there
 * was one.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "models/nvme/internal.h"

#define PAGE_WORDS 512u /* words of a map for which the index has a bit */

/*
 * Bits of a map: of an image with more blocks than that (512 GiB of 512 bytes) each stands for
 * several, and is lost until all of them were written by one command.
 */
#define MAX_BITS (1ull << 30)

/* ---- maps: a bit for each block, and an index so that an empty stretch costs nothing ---- */

/* Make @m for so many blocks, without its memory. */
static void map_shape(struct nvme_map *m, uint64_t blocks)
{
	*m = (struct nvme_map){ .grain = 0 };
	while (blocks >> m->grain > MAX_BITS)
		m->grain++;
	m->words = ((blocks - 1) >> m->grain) / 64 + 1;
	m->pages = (m->words - 1) / PAGE_WORDS + 1;
}

static size_t whole_pages(uint64_t words)
{
	return (words * sizeof(uint64_t) + NVME_PAGE_MIN - 1) & ~(size_t)(NVME_PAGE_MIN - 1);
}

static size_t map_size(const struct nvme_map *m)
{
	return whole_pages(m->words) + whole_pages((m->pages + 63) / 64);
}

/* Place @m at @memory, and return what is behind it. */
static char *map_place(struct nvme_map *m, uint64_t blocks, char *memory)
{
	map_shape(m, blocks);
	m->bits = (void *)memory;
	m->index = (void *)(memory + whole_pages(m->words));
	return memory + map_size(m);
}

/* Return the bits of word @w that are @first to @last of the map. */
static uint64_t word_mask(uint64_t w, uint64_t first, uint64_t last)
{
	uint64_t mask = ~0ull;

	if (w == first / 64)
		mask &= ~0ull << first % 64;
	if (w == last / 64)
		mask &= ~0ull >> (63 - last % 64);
	return mask;
}

/*
 * All bits that have one of the blocks. Bits first, then the index: a thread that takes the map
 * apart does it the other way round.
 */
static uint64_t map_set(struct nvme_map *m, uint64_t lba, uint64_t blocks)
{
	uint64_t first = lba >> m->grain, last = (lba + blocks - 1) >> m->grain, added = 0;

	for (uint64_t w = first / 64; w <= last / 64; w++) {
		uint64_t mask = word_mask(w, first, last);

		if ((atomic_load(&m->bits[w]) & mask) != mask)
			added += (unsigned)__builtin_popcountll(
				mask & ~atomic_fetch_or(&m->bits[w], mask));
	}
	for (uint64_t p = first / 64 / PAGE_WORDS; p <= last / 64 / PAGE_WORDS; p++)
		if (!(atomic_load(&m->index[p / 64]) >> p % 64 & 1))
			atomic_fetch_or(&m->index[p / 64], 1ull << p % 64);
	return added;
}

/* Clear the bits of which these are all the blocks; return how many were set. */
static uint64_t map_unset(struct nvme_map *m, uint64_t lba, uint64_t blocks)
{
	uint64_t first = (lba + (1ull << m->grain) - 1) >> m->grain;
	uint64_t end = (lba + blocks) >> m->grain, removed = 0;

	if (first >= end)
		return 0;
	for (uint64_t w = first / 64; w <= (end - 1) / 64; w++) {
		uint64_t mask = word_mask(w, first, end - 1);

		removed +=
			(unsigned)__builtin_popcountll(mask & atomic_fetch_and(&m->bits[w], ~mask));
	}
	return removed;
}

static bool map_any(struct nvme_map *m, uint64_t lba, uint64_t blocks)
{
	uint64_t first = lba >> m->grain, last = (lba + blocks - 1) >> m->grain;

	for (uint64_t w = first / 64; w <= last / 64; w++)
		if (atomic_load(&m->bits[w]) & word_mask(w, first, last))
			return true;
	return false;
}

/* Empty @m, into @to unless that is NULL; return how many bits were new there. */
static uint64_t map_empty(struct nvme_map *m, struct nvme_map *to)
{
	uint64_t added = 0;

	for (uint64_t i = 0; i < (m->pages + 63) / 64; i++) {
		uint64_t pages = atomic_load(&m->index[i]) ? atomic_exchange(&m->index[i], 0) : 0;

		for (; pages; pages &= pages - 1) {
			uint64_t p = i * 64 + (unsigned)__builtin_ctzll(pages);
			uint64_t end = (p + 1) * PAGE_WORDS;

			for (uint64_t w = p * PAGE_WORDS; w < end && w < m->words; w++) {
				uint64_t bits = atomic_load(&m->bits[w])
							? atomic_exchange(&m->bits[w], 0)
							: 0;

				if (bits && to)
					added += (unsigned)__builtin_popcountll(
						bits & ~atomic_fetch_or(&to->bits[w], bits));
			}
			if (to)
				atomic_fetch_or(&to->index[i], 1ull << p % 64);
		}
	}
	return added;
}

/* Clear all of @m. Bits first: what is set without the index knowing would stay for ever. */
static void map_clear(struct nvme_map *m)
{
	for (uint64_t i = 0; i < (m->pages + 63) / 64; i++) {
		for (uint64_t pages = atomic_load(&m->index[i]); pages; pages &= pages - 1) {
			uint64_t p = i * 64 + (unsigned)__builtin_ctzll(pages);

			for (uint64_t w = p * PAGE_WORDS; w < (p + 1) * PAGE_WORDS && w < m->words;
			     w++)
				if (atomic_load(&m->bits[w]))
					atomic_store(&m->bits[w], 0);
		}
		if (atomic_load(&m->index[i]))
			atomic_store(&m->index[i], 0);
	}
}

/* Add to @to (which may be @m) whatever bits @m has, whether its index knows of them or not. */
static void map_gather(struct nvme_map *m, struct nvme_map *to)
{
	for (uint64_t w = 0; w < m->words; w++) {
		uint64_t bits = atomic_load(&m->bits[w]), p = w / PAGE_WORDS;

		if (!bits)
			continue;
		atomic_fetch_or(&to->bits[w], bits);
		atomic_fetch_or(&to->index[p / 64], 1ull << p % 64);
	}
}

static uint64_t map_count(struct nvme_map *m)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < (m->pages + 63) / 64; i++)
		for (uint64_t pages = atomic_load(&m->index[i]); pages; pages &= pages - 1) {
			uint64_t p = i * 64 + (unsigned)__builtin_ctzll(pages);

			for (uint64_t w = p * PAGE_WORDS; w < (p + 1) * PAGE_WORDS && w < m->words;
			     w++)
				count += (unsigned)__builtin_popcountll(atomic_load(&m->bits[w]));
		}
	return count;
}

static bool map_is_empty(struct nvme_map *m)
{
	for (uint64_t i = 0; i < (m->pages + 63) / 64; i++)
		if (atomic_load(&m->index[i]))
			return false;
	return true;
}

/* ---- the cache ---- */

size_t nvme_cache_size(const struct nvme_ns *ns)
{
	struct nvme_map m;

	map_shape(&m, ns->blocks);
	return 3 * map_size(&m);
}

void nvme_cache_init(struct nvme_ns *ns, struct nvme_kept_cache *kept, char *memory)
{
	struct nvme_cache *c = &ns->cache;

	pthread_mutex_init(&c->lock, NULL);
	nvme_fifo_init(&c->waiting);
	nvme_fifo_init(&c->served);
	atomic_store(&c->end, ns->blocks);
	c->kept = kept;
	memory = map_place(&c->dirty[0], ns->blocks, memory);
	memory = map_place(&c->dirty[1], ns->blocks, memory);
	map_place(&c->lost, ns->blocks, memory);
}

void nvme_cache_free(struct nvme_ns *ns)
{
	if (ns->cache.kept)
		pthread_mutex_destroy(&ns->cache.lock);
}

/* Note that blocks are lost. With lock. */
static void lose(struct nvme_cache *c, uint64_t first, uint64_t blocks)
{
	if (blocks)
		c->num_lost += map_set(&c->lost, first, blocks);
	atomic_store(&c->any_lost, c->num_lost != 0);
}

/* Note that blocks are not lost any more. With lock. */
static void regain(struct nvme_cache *c, uint64_t first, uint64_t blocks)
{
	c->num_lost -= map_unset(&c->lost, first, blocks);
	atomic_store(&c->any_lost, c->num_lost != 0);
}

unsigned nvme_cache_begin(struct nvme_ns *ns)
{
	return atomic_load(&ns->cache.failures);
}

void nvme_cache_wrote(struct nvme_ns *ns, unsigned begin, uint64_t lba, uint64_t blocks)
{
	struct nvme_cache *c = &ns->cache;

	map_set(&c->dirty[atomic_load(&c->kept->turn)], lba, blocks);
	if (!atomic_load(&c->any_lost) && atomic_load(&c->failures) == begin)
		return;
	pthread_mutex_lock(&c->lock);
	if (atomic_load(&c->failures) == begin)
		regain(c, lba, blocks);
	else
		lose(c, lba, blocks);
	pthread_mutex_unlock(&c->lock);
}

void nvme_cache_synced(struct nvme_ns *ns, unsigned begin, uint64_t lba, uint64_t blocks)
{
	struct nvme_cache *c = &ns->cache;

	if (!atomic_load(&c->any_lost))
		return;
	pthread_mutex_lock(&c->lock);
	if (atomic_load(&c->failures) == begin)
		regain(c, lba, blocks);
	pthread_mutex_unlock(&c->lock);
}

bool nvme_cache_lost(struct nvme_ns *ns, uint64_t lba, uint64_t blocks)
{
	struct nvme_cache *c = &ns->cache;
	bool lost;

	if (!atomic_load_explicit(&c->any_lost, memory_order_relaxed))
		return false;
	pthread_mutex_lock(&c->lock);
	lost = map_any(&c->lost, lba, blocks);
	pthread_mutex_unlock(&c->lock);
	return lost;
}

uint16_t nvme_cache_status(struct nvme_ns *ns)
{
	struct nvme_cache *c = &ns->cache;
	uint16_t status;

	if (!atomic_load(&c->any_lost))
		return NVME_OK;
	pthread_mutex_lock(&c->lock);
	status = c->num_lost ? c->kept->status : NVME_OK;
	pthread_mutex_unlock(&c->lock);
	return status;
}

void nvme_cache_reset(struct nvme *n, struct nvme_ns *ns)
{
	struct nvme_cache *c = &ns->cache;
	uint64_t given_up;

	pthread_mutex_lock(&c->lock);
	given_up = c->num_lost << c->lost.grain;
	map_clear(&c->lost);
	c->num_lost = 0;
	atomic_store(&c->any_lost, false);
	atomic_store(&c->end, ns->blocks); /* an image that is short still is found out again */
	pthread_mutex_unlock(&c->lock);
	if (given_up)
		uvfio_log(n->dev, UVFIO_LOG_WARN,
			  "namespace %u: reset: %llu blocks that were lost are what the image has "
			  "now",
			  ns->nsid, (unsigned long long)given_up);
}

/* ---- migration: pieces of blocks that are lost, and the status that they make ---- */

/* Return the first bit from @bit on that is set (or clear, without @set); the end: none. */
static uint64_t map_next(const struct nvme_map *m, uint64_t bit, bool set)
{
	for (uint64_t w = bit / 64; w < m->words; w++) {
		uint64_t bits = atomic_load(&m->bits[w]);

		if (!set)
			bits = ~bits;
		if (w == bit / 64)
			bits &= ~0ull << bit % 64;
		if (bits)
			return w * 64 + (unsigned)__builtin_ctzll(bits);
	}
	return m->words * 64;
}

void nvme_cache_save(struct nvme_ns *ns, struct uvfio_state *s)
{
	struct nvme_cache *c = &ns->cache;
	uint64_t first = 0, next;

	pthread_mutex_lock(&c->lock);
	uvfio_put16(s, c->kept->status);
	/* without any there is nothing to look for in the map, which may be large */
	while (c->num_lost && (first = map_next(&c->lost, first, true)) < c->lost.words * 64) {
		next = map_next(&c->lost, first, false);
		uvfio_put64(s, first);
		uvfio_put64(s, next - first);
		first = next;
	}
	uvfio_put64(s, 0);
	uvfio_put64(s, 0);
	pthread_mutex_unlock(&c->lock);
}

int nvme_cache_load(struct nvme_ns *ns, struct uvfio_state *s)
{
	struct nvme_cache *c = &ns->cache;
	uint64_t end = ((ns->blocks - 1) >> c->lost.grain) + 1, at = 0, first, bits;
	uint16_t status = uvfio_get16(s);
	int err = 0;

	pthread_mutex_lock(&c->lock);
	c->kept->status = status;
	for (;;) {
		first = uvfio_get64(s);
		bits = uvfio_get64(s);
		if (!bits)
			break;
		if (first < at || first >= end || bits > end - first) {
			err = uvfio_load_error(s, "namespace %u: no such lost blocks", ns->nsid);
			break;
		}
		at = first + bits;
		lose(c, first << c->lost.grain, bits << c->lost.grain);
	}
	if (!err && c->num_lost && status != NVME_WRITE_FAULT && status != NVME_CAPACITY_EXCEEDED)
		err = uvfio_load_error(s, "namespace %u: status %xh of lost blocks", ns->nsid,
				       status);
	pthread_mutex_unlock(&c->lock);
	return err;
}

/* ---- an image, a file or a block device, that is cut short or removed while it is in use ---- */

uint64_t nvme_cache_end(struct nvme *n, struct nvme_ns *ns)
{
	struct nvme_cache *c = &ns->cache;
	uint64_t end, was, bytes;
	struct stat st = { .st_nlink = 1 };

	if (ns->regular ? fstat(ns->fd, &st) : ioctl(ns->fd, BLKGETSIZE64, &bytes))
		return atomic_load(&c->end);
	if (ns->regular)
		bytes = (uint64_t)st.st_size;
	if (!st.st_nlink && atomic_exchange(&ns->linked, false))
		uvfio_log(n->dev, UVFIO_LOG_WARN,
			  "namespace %u: the image was removed; what is written goes with the "
			  "program",
			  ns->nsid);
	end = bytes >> ns->shift;
	if (end > ns->blocks)
		end = ns->blocks;
	if (end == atomic_load(&c->end))
		return end;
	pthread_mutex_lock(&c->lock);
	was = atomic_exchange(&c->end, end);
	if (end < was) {
		atomic_fetch_add(&c->failures, 1); /* writes that are under way, too */
		lose(c, end, ns->blocks - end);
		c->kept->status = NVME_WRITE_FAULT;
	}
	pthread_mutex_unlock(&c->lock);
	if (end < was) {
		uvfio_log(n->dev, UVFIO_LOG_ERROR,
			  "namespace %u: the image was cut to %llu bytes; the %llu blocks behind "
			  "that are lost",
			  ns->nsid, (unsigned long long)bytes,
			  (unsigned long long)(ns->blocks - end));
		nvme_warn_reliability(n);
	}
	return end;
}

/* ---- syncs ---- */

/* Begin a sync: what is written from here on is none of its. With lock. */
static void sync_begins(struct nvme_cache *c)
{
	atomic_store(&c->kept->syncing, 1);
	atomic_store(&c->kept->turn, !atomic_load(&c->kept->turn));
}

bool nvme_cache_sync(struct nvme_req *r)
{
	struct nvme_cache *c = &r->ns->cache;
	bool mine;

	pthread_mutex_lock(&c->lock);
	mine = !c->syncing;
	c->syncing = true;
	if (mine)
		sync_begins(c);
	else
		nvme_fifo_push(&c->waiting, r);
	pthread_mutex_unlock(&c->lock);
	return mine;
}

/* Note that a sync failed with @err, and return how many blocks are lost. With lock. */
static uint64_t sync_failed(struct nvme_cache *c, long err)
{
	c->kept->status = nvme_write_status(err);
	atomic_fetch_add(&c->failures, 1); /* before the maps: nvme_cache_wrote() */
	c->num_lost += map_empty(&c->dirty[0], &c->lost);
	c->num_lost += map_empty(&c->dirty[1], &c->lost);
	atomic_store(&c->any_lost, c->num_lost != 0);
	return c->num_lost << c->lost.grain;
}

/* Tell what was acknowledged and is lost; of the rest the commands that failed tell. */
static void tell(struct nvme *n, const struct nvme_ns *ns, long err, uint64_t lost)
{
	char what[128] = "nothing that was acknowledged is lost";

	if (lost) {
		snprintf(what, sizeof(what),
			 "%llu blocks are lost; Flush fails until a reset, or they are rewritten",
			 (unsigned long long)lost);
		nvme_warn_reliability(n);
	}
	uvfio_log(n->dev, UVFIO_LOG_ERROR,
		  "namespace %u: data could not be put on the image's medium: %s: %s", ns->nsid,
		  strerror((int)-err), what);
}

void nvme_cache_flush(struct nvme *n, struct nvme_ns *ns)
{
	const struct nvme_aio sync = { .op = NVME_AIO_SYNC, .fd = ns->fd };
	struct nvme_cache *c = &ns->cache;
	uint64_t lost = 0;
	long res;

	/* a sync with nothing to sync could only take away an error that is another's */
	if (map_is_empty(&c->dirty[0]) && map_is_empty(&c->dirty[1]))
		return;
	pthread_mutex_lock(&c->lock);
	sync_begins(c);
	pthread_mutex_unlock(&c->lock);
	res = nvme_aio_run(&sync);
	pthread_mutex_lock(&c->lock);
	if (res < 0)
		lost = sync_failed(c, res);
	else
		map_empty(&c->dirty[!atomic_load(&c->kept->turn)], NULL);
	atomic_store(&c->kept->syncing, 0);
	pthread_mutex_unlock(&c->lock);
	if (res < 0)
		tell(n, ns, res, lost);
}

/* Return the result of a sync that a killed process began: 0 or -errno. */
static long sync_again(const struct nvme_ns *ns)
{
	const struct nvme_aio sync = { .op = NVME_AIO_SYNC, .fd = ns->fd };
	long res = nvme_aio_run(&sync);

	if (res || ns->memory)
		return res;
	return !ns->regular ? -EIO : syncfs(ns->fd) ? -errno : 0;
}

void nvme_cache_carry_on(struct nvme *n, struct nvme_ns *ns)
{
	struct nvme_cache *c = &ns->cache;
	uint64_t lost;
	long res = 0;

	if (atomic_load(&c->kept->syncing)) {
		res = sync_again(ns);
		pthread_mutex_lock(&c->lock);
		/* its end may have been cut short, with bits on their way between maps */
		map_gather(&c->lost, &c->lost);
		for (unsigned i = 0; i < 2; i++)
			map_gather(&c->dirty[i], res < 0 ? &c->lost : &c->dirty[i]);
		if (res < 0)
			sync_failed(c, res);
		pthread_mutex_unlock(&c->lock);
	}
	pthread_mutex_lock(&c->lock);
	c->num_lost = map_count(&c->lost);
	lost = c->num_lost << c->lost.grain;
	atomic_store(&c->any_lost, c->num_lost != 0);
	atomic_store(&c->kept->syncing, 0);
	pthread_mutex_unlock(&c->lock);
	if (res < 0)
		tell(n, ns, res, lost);
}

void nvme_cache_sync_done(struct nvme_req *r, long res)
{
	struct nvme_cache *c = &r->ns->cache;
	struct nvme_fifo served;
	struct nvme_req *next, *m;
	uint64_t lost = 0;

	pthread_mutex_lock(&c->lock);
	if (res < 0)
		lost = sync_failed(c, res);
	else
		map_empty(&c->dirty[!atomic_load(&c->kept->turn)], NULL);
	nvme_fifo_init(&served);
	while ((m = nvme_fifo_pop(&c->served)))
		nvme_fifo_push(&served, m);
	next = nvme_fifo_pop(&c->waiting);
	if (next) {
		while ((m = nvme_fifo_pop(&c->waiting)))
			nvme_fifo_push(&c->served, m);
		sync_begins(c);
	}
	c->syncing = next;
	if (!next)
		atomic_store(&c->kept->syncing, 0);
	pthread_mutex_unlock(&c->lock);
	if (res < 0)
		tell(r->n, r->ns, res, lost);
	if (next) {
		next->resume = NVME_RESUME_SYNC;
		nvme_worker_give(next->worker, next);
	}
	while ((m = nvme_fifo_pop(&served))) {
		m->resume = NVME_RESUME_SYNCED;
		m->res = res;
		nvme_worker_give(m->worker, m);
	}
}
