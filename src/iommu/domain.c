/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/domain.c: the I/O page table.
 *
 * Four levels of 512 entries, 9 bits of IOVA each, as VT-d's second level and AMD's host tables
 * have them (Intel VT-d 4.1, 9.8). An entry is one 64-bit word, so that a reader sees the old or
 * the new and never a mixture:
 *   0                        nothing
 *   memory | rights a leaf: 4 KiB, 2 MiB or 1 GiB of memory that is contiguous in the program (bits
 *   0 and 1: IOMMU_READ, IOMMU_WRITE)
 *   table | ENTRY_TABLE      the next level
 *   bunch | ENTRY_BUNCH      a few mappings instead of a table (bunch.c), if tables are many
 * Between calls no table but the root is empty, and no bunch, so whatever is in an entry is a
 * mapping.
 *
 * Writers never leave a call half done: what needs memory (tables, splits) comes first and changes
 * nothing that a reader can tell; then entries are written, which cannot fail. What readers may
 * still look at is freed after one rcu_sync.
 */
#include <errno.h>

#include "base/event.h"
#include "base/heap.h"
#include "base/rcu.h"
#include "base/report.h"
#include "iommu/entry.h"
#include "iommu/internal.h"
#include "iommu/page_request.h"

/*
 * A domain with fewer tables than these, 1 MiB of them, has no bunches: a walk is a load a level. A
 * mapping of a million costs a few hundred bytes, wherever it is.
 */
#define MANY_TABLES 256u
/* A map waits for readers when so many tables and bunches are to be freed: mostly an unmap does. */
#define MUCH_GARBAGE 64u

/* Tell who listens of [@iova, @iova + @size). */
static void tell(enum event_kind kind, const struct iommu_domain *d, uint64_t iova, uint64_t size,
		 const void *mem)
{
	EVENT(kind, .space = d, .at = iova, .size = size, .mem = mem);
}

struct iommu_domain *iommu_domain_new(void)
{
	struct iommu_domain *d = heap_alloc(sizeof(*d));

	if (!d)
		return NULL;
	ref_init(&d->ref);
	pthread_mutex_init(&d->lock, NULL);
	pool_init(&d->tables, sizeof(struct table));
	pool_init(&d->bunches, sizeof(struct bunch));
	tell(EVENT_SPACE, d, 0, IOVA_END, NULL);
	return d;
}

void iommu_domain_set_whole(struct iommu_domain *d)
{
	d->whole = true;
}

void iommu_domain_get(struct iommu_domain *d)
{
	ref_get(&d->ref);
}

/* What is in no entry any more, and perhaps in a reader's hand. */
static void drop_table(struct iommu_domain *d, struct table *t)
{
	d->num_tables--;
	t->next = d->garbage.tables;
	d->garbage.tables = t;
	d->garbage.n++;
}

static void drop_bunch(struct iommu_domain *d, struct bunch *b)
{
	b->next = d->garbage.bunches;
	d->garbage.bunches = b;
	d->garbage.n++;
}

/* Take all of it, to be freed when readers are done. */
static struct garbage take_garbage(struct iommu_domain *d)
{
	struct garbage g = d->garbage;

	d->garbage = (struct garbage){ 0 };
	return g;
}

static struct table *table_take(struct iommu_domain *d)
{
	struct table *t = pool_take(&d->tables);

	d->num_tables += t != NULL;
	return t;
}

static struct bunch *bunch_take(struct iommu_domain *d)
{
	struct bunch *b = pool_take(&d->bunches);

	if (b)
		bunch_init(b);
	return b;
}

/* Drop @t and what is below it; returns the bytes that were mapped in it. */
static uint64_t collect(struct iommu_domain *d, struct table *t, unsigned level)
{
	uint64_t bytes = 0;

	drop_table(d, t);
	if (!level)
		return t->used * level_size(0);
	for (unsigned i = 0, left = t->used; left; i++) {
		uint64_t e = get(t, i);

		if (!e)
			continue;
		left--;
		if (is_table(e)) {
			bytes += collect(d, table_of(e), level - 1);
		} else if (is_bunch(e)) {
			bytes += bunch_pages(bunch_of(e)) << PAGE_SHIFT;
			drop_bunch(d, bunch_of(e));
		} else {
			bytes += level_size(level);
		}
	}
	return bytes;
}

static void free_garbage(struct iommu_domain *d, struct garbage *g)
{
	struct table *t;
	struct bunch *b;

	while ((t = g->tables)) {
		g->tables = t->next;
		pool_put(&d->tables, t);
	}
	while ((b = g->bunches)) {
		g->bunches = b->next;
		pool_put(&d->bunches, b);
	}
}

void iommu_domain_put(struct iommu_domain *d)
{
	if (!d || !ref_put(&d->ref))
		return;
	/* detaching the last device has waited for its readers */
	iommu_dirty_free(d->dirty);
	iommu_fault_queue_put(d->faults);
	pool_destroy(&d->tables);
	pool_destroy(&d->bunches);
	pthread_mutex_destroy(&d->lock);
	heap_free(d);
}

/* Of a domain with many tables alone: it stays out of the way of the others. */
#define RARE __attribute__((noinline, cold))

/* A range, cut to what one entry of a table covers. */
struct piece {
	uint64_t first, last;
	bool whole; /* all that the entry covers */
};

/* Cut [@first, @last] to entry @i of a table whose first IOVA is @base. */
static inline struct piece piece_of(uint64_t base, unsigned i, unsigned level, uint64_t first,
				    uint64_t last)
{
	uint64_t start = base + ((uint64_t)i << level_shift(level));
	uint64_t end = start + level_size(level) - 1;
	struct piece p = { first > start ? first : start, last < end ? last : end, false };

	p.whole = p.first == start && p.last == end;
	return p;
}

static inline uint64_t table_base(uint64_t iova, unsigned level)
{
	return align_down(iova, level_size(level + 1));
}

/* The page of a bunch in which @iova is, in an entry of @level. */
static inline uint32_t page_in(uint64_t iova, unsigned level)
{
	return (uint32_t)((iova & (level_size(level) - 1)) >> PAGE_SHIFT);
}

/* Replace @b, of entry @i of @t: no dead slots, and none that crosses @cut. 0 or -ENOMEM. */
static RARE int renew(struct iommu_domain *d, struct table *t, unsigned i, struct bunch *b,
		      uint32_t cut)
{
	struct bunch *n = bunch_take(d);

	if (!n)
		return -ENOMEM;
	bunch_copy(n, b, cut);
	set(t, i, (uintptr_t)n | ENTRY_BUNCH);
	drop_bunch(d, b);
	return 0;
}

/* Put @s, of a bunch that was for all of @t, into the new table @t of @level. 0 or -ENOMEM. */
static int put_slot(struct iommu_domain *d, struct table *t, unsigned level, struct bunch_slot s)
{
	const uint32_t each = 1u << LEVEL_BITS * level; /* pages of an entry */

	while (s.first <= s.last) {
		unsigned i = s.first / each;
		uint32_t start = i * each, end = start + each - 1;
		uint32_t last = s.last < end ? s.last : end;
		uint64_t e = get(t, i);

		t->used += !e;
		if (s.first == start && last == end) {
			set(t, i, s.leaf);
		} else {
			struct bunch *b = e ? bunch_of(e) : bunch_take(d);

			if (!b) {
				t->used--;
				return -ENOMEM;
			}
			bunch_add(b, s.first - start, last - start, s.leaf);
			set(t, i, (uintptr_t)b | ENTRY_BUNCH);
		}
		s.leaf += (uint64_t)(last - s.first + 1) << PAGE_SHIFT;
		s.first = last + 1;
	}
	return 0;
}

/* Make a table of the bunch in entry @i of @t. 0 or -ENOMEM, and nothing has changed. */
static RARE int spread(struct iommu_domain *d, struct table *t, unsigned i, unsigned level)
{
	struct bunch *b = bunch_of(get(t, i));
	struct table *n = table_take(d);
	struct bunch_slot s;
	int rc = n ? 0 : -ENOMEM;

	for (unsigned k = 0; !rc && bunch_next(b, &k, &s);)
		rc = put_slot(d, n, level - 1, s);
	if (rc) {
		if (n)
			collect(d, n, level - 1);
		return rc;
	}
	set(t, i, (uintptr_t)n | ENTRY_TABLE);
	drop_bunch(d, b);
	return 0;
}

/* Have the bunch in entry @i of @t take one slot more, or be a table. 0, -EEXIST, -ENOMEM. */
static RARE int prepare_bunch(struct iommu_domain *d, struct table *t, unsigned i, unsigned level,
			      uint64_t first, uint64_t last)
{
	struct bunch *b = bunch_of(get(t, i));

	if (bunch_has(b, page_in(first, level), page_in(last, level)))
		return -EEXIST;
	if (b->taken < BUNCH_SIZE)
		return 0;
	return b->used < BUNCH_SIZE ? renew(d, t, i, b, 0) : spread(d, t, i, level);
}

/* Make what a part of entry @i of @t is mapped in. 0 or -ENOMEM. */
static int add_entry(struct iommu_domain *d, struct table *t, unsigned i, unsigned level)
{
	bool many = level <= LARGEST_LEAF && d->num_tables >= MANY_TABLES;
	void *n = many ? (void *)bunch_take(d) : (void *)table_take(d);

	if (!n)
		return -ENOMEM;
	set(t, i, (uintptr_t)n | (many ? ENTRY_BUNCH : ENTRY_TABLE));
	t->used++;
	return 0;
}

/*
 * Make the tables that a mapping of [@first, @last] needs. 0; -EEXIST: something is mapped there;
 * -ENOMEM. On failure empty tables are left, for prune().
 */
static int prepare(struct iommu_domain *d, struct table *t, unsigned level, uint64_t first,
		   uint64_t last)
{
	uint64_t base = table_base(first, level);
	int rc;

	for (unsigned i = index_at(first, level); i <= index_at(last, level); i++) {
		struct piece p = piece_of(base, i, level, first, last);
		uint64_t e = get(t, i);

		if (p.whole && level <= LARGEST_LEAF) {
			if (e)
				return -EEXIST;
			continue;
		}
		rc = 0;
		if (!e)
			rc = add_entry(d, t, i, level);
		else if (is_bunch(e))
			rc = prepare_bunch(d, t, i, level, p.first, p.last);
		else if (!is_table(e))
			rc = -EEXIST;
		e = get(t, i);
		if (!rc && is_table(e))
			rc = prepare(d, table_of(e), level - 1, p.first, p.last);
		if (rc)
			return rc;
	}
	return 0;
}

/* Write the leaves of [@first, @last], the first of which is @leaf. The tables are there. */
static void fill(struct table *t, unsigned level, uint64_t first, uint64_t last, uint64_t leaf)
{
	uint64_t base = table_base(first, level);
	unsigned i = index_at(first, level), end = index_at(last, level);

	if (!level) { /* nearly all of the work, when memory is mapped by pages */
		t->used += end - i + 1;
		for (; i <= end; i++, leaf += level_size(0))
			set(t, i, leaf);
		return;
	}
	for (; i <= end; i++) {
		struct piece p = piece_of(base, i, level, first, last);

		if (p.whole && level <= LARGEST_LEAF) {
			set(t, i, leaf);
			t->used++;
		} else if (is_bunch(get(t, i))) {
			bunch_add(bunch_of(get(t, i)), page_in(p.first, level),
				  page_in(p.last, level), leaf);
		} else {
			fill(table_of(get(t, i)), level - 1, p.first, p.last, leaf);
		}
		leaf += p.last - p.first + 1;
	}
}

/* Take empty tables and bunches in [first, last] out, after a prepare() that failed. */
static void prune(struct iommu_domain *d, struct table *t, unsigned level, uint64_t first,
		  uint64_t last)
{
	uint64_t base = table_base(first, level);

	for (unsigned i = index_at(first, level); i <= index_at(last, level); i++) {
		struct piece p = piece_of(base, i, level, first, last);
		uint64_t e = get(t, i);
		struct table *n;

		if (is_bunch(e) && !bunch_of(e)->used) {
			drop_bunch(d, bunch_of(e));
		} else if (is_table(e)) {
			n = table_of(e);
			if (level > 1)
				prune(d, n, level - 1, p.first, p.last);
			if (n->used)
				continue;
			drop_table(d, n);
		} else {
			continue;
		}
		set(t, i, 0);
		t->used--;
	}
}

int iommu_domain_map(struct iommu_domain *d, uint64_t iova, void *mem, uint64_t size, unsigned prot)
{
	uint64_t addr = (uintptr_t)mem, last = iova + size - 1;
	struct garbage g = { 0 };
	int rc;

	/* address 0: iommu_domain_translate could not tell it from a fault */
	if (!size || !addr || (iova | addr | size) % level_size(0) || !(prot & RIGHTS) ||
	    (prot & ~RIGHTS))
		return -EINVAL;
	if (!range_within(iova, size, IOVA_END) || add_overflows(addr, size - 1))
		return -EINVAL;
	if (!d->whole && iova <= IOMMU_MSI_END && last >= IOMMU_MSI_START)
		return -EINVAL;
	pthread_mutex_lock(&d->lock);
	rc = prepare(d, &d->root, TOP_LEVEL, iova, last);
	if (!rc && d->dirty)
		rc = iommu_dirty_cover(d->dirty, iova, last);
	if (!rc) {
		if (d->dirty) /* of what was mapped there before */
			iommu_dirty_clear(d->dirty, iova, last);
		fill(&d->root, TOP_LEVEL, iova, last, addr | prot);
	} else {
		prune(d, &d->root, TOP_LEVEL, iova, last);
	}
	if (rc || d->garbage.n >= MUCH_GARBAGE)
		g = take_garbage(d);
	pthread_mutex_unlock(&d->lock);
	if (g.n) {
		rcu_sync(); /* a reader may have walked into an empty table */
		free_garbage(d, &g);
	}
	if (!rc)
		tell(EVENT_MAP, d, iova, size, mem);
	return rc;
}

/* Have no slot of the bunch in entry @i of @t cross @iova; it may be a table then. 0 or -ENOMEM. */
static RARE int split_bunch(struct iommu_domain *d, struct table *t, unsigned i, unsigned level,
			    uint64_t iova)
{
	struct bunch *b = bunch_of(get(t, i));

	if (!bunch_crosses(b, page_in(iova, level)))
		return 0;
	return b->used < BUNCH_SIZE ? renew(d, t, i, b, page_in(iova, level))
				    : spread(d, t, i, level);
}

/*
 * Replace a leaf that crosses @iova by a table of smaller ones that says the same, until none does.
 * 0 or -ENOMEM.
 */
static int split_at(struct iommu_domain *d, uint64_t iova)
{
	struct table *t = &d->root, *n;

	if (iova >= IOVA_END)
		return 0;
	for (unsigned level = TOP_LEVEL;; level--) {
		unsigned i = index_at(iova, level);
		uint64_t e = get(t, i);

		if (!e || !(iova & (level_size(level) - 1)))
			return 0;
		if (is_bunch(e)) {
			int rc = split_bunch(d, t, i, level, iova);

			e = get(t, i);
			if (rc || is_bunch(e))
				return rc;
		}
		if (is_table(e)) {
			t = table_of(e);
			continue;
		}
		n = table_take(d);
		if (!n)
			return -ENOMEM;
		for (unsigned k = 0; k < IOMMU_ENTRIES; k++)
			set(n, k, e + ((uint64_t)k << level_shift(level - 1)));
		n->used = IOMMU_ENTRIES;
		set(t, i, (uintptr_t)n | ENTRY_TABLE);
		t = n;
	}
}

int iommu_domain_split(struct iommu_domain *d, uint64_t iova)
{
	int rc;

	pthread_mutex_lock(&d->lock);
	rc = split_at(d, iova);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

/* Take [@first, @last] out of @b, of an entry of @level, and drop that if it is empty then. */
static RARE uint64_t clear_bunch(struct iommu_domain *d, struct bunch *b, unsigned level,
				 uint64_t first, uint64_t last)
{
	uint64_t pages = bunch_clear(b, page_in(first, level), page_in(last, level));

	if (!b->used)
		drop_bunch(d, b);
	return pages << PAGE_SHIFT;
}

/*
 * Take out all leaves in [@first, @last], none of which crosses an end, and drop tables and bunches
 * that are empty then. Returns the bytes that were mapped.
 */
static uint64_t clear(struct iommu_domain *d, struct table *t, unsigned level, uint64_t first,
		      uint64_t last)
{
	uint64_t base = table_base(first, level), bytes = 0;

	for (unsigned i = index_at(first, level); i <= index_at(last, level); i++) {
		struct piece p = piece_of(base, i, level, first, last);
		uint64_t e = get(t, i);

		if (!e)
			continue;
		if (is_leaf(e)) {
			bytes += level_size(level);
		} else if (is_bunch(e)) {
			bytes += clear_bunch(d, bunch_of(e), level, p.first, p.last);
			if (bunch_of(e)->used)
				continue;
		} else if (p.whole) {
			bytes += collect(d, table_of(e), level - 1);
		} else {
			struct table *n = table_of(e);

			bytes += clear(d, n, level - 1, p.first, p.last);
			if (n->used)
				continue;
			drop_table(d, n);
		}
		set(t, i, 0);
		t->used--;
	}
	return bytes;
}

uint64_t iommu_domain_unmap(struct iommu_domain *d, uint64_t iova, uint64_t size)
{
	struct garbage g = { 0 };
	uint64_t last, bytes = 0;

	if (!size || iova >= IOVA_END)
		return 0;
	/* to whole pages, inwards and outwards alike: a page is the least that can go */
	last = size - 1 > IOVA_END - 1 - iova ? IOVA_END - 1 : iova + size - 1;
	iova = align_down(iova, level_size(0));
	last |= level_size(0) - 1;
	pthread_mutex_lock(&d->lock);
	if (!split_at(d, iova) && !split_at(d, last + 1))
		bytes = clear(d, &d->root, TOP_LEVEL, iova, last);
	else
		report_err("iommu-memory", "iommu", 0,
			   "no memory to split a mapping: [%#llx, %#llx] stays mapped",
			   (unsigned long long)iova, (unsigned long long)last);
	if (bytes)
		g = take_garbage(d);
	pthread_mutex_unlock(&d->lock);
	if (bytes) {
		tell(EVENT_UNMAP, d, iova, last - iova + 1, NULL);
		rcu_sync();
	}
	free_garbage(d, &g);
	return bytes;
}

/*
 * Point the leaves in [@first, @last] at the memory at @addr. @addr 0: only look. 0, or -ENOENT:
 * not all of it is mapped.
 */
static int point_at(struct table *t, unsigned level, uint64_t first, uint64_t last, uint64_t addr)
{
	uint64_t base = table_base(first, level);
	int rc;

	for (unsigned i = index_at(first, level); i <= index_at(last, level); i++) {
		struct piece p = piece_of(base, i, level, first, last);
		uint64_t e = get(t, i);

		if (!e)
			return -ENOENT;
		if (is_table(e)) {
			rc = point_at(table_of(e), level - 1, p.first, p.last, addr);
			if (rc)
				return rc;
		} else if (is_bunch(e)) {
			if (!bunch_point(bunch_of(e), page_in(p.first, level),
					 page_in(p.last, level), addr, RIGHTS))
				return -ENOENT;
		} else if (addr) {
			set(t, i, addr | (e & RIGHTS));
		}
		if (addr)
			addr += p.last - p.first + 1;
	}
	return 0;
}

int iommu_domain_remap(struct iommu_domain *d, uint64_t iova, void *mem, uint64_t size)
{
	uint64_t addr = (uintptr_t)mem, last = iova + size - 1;
	struct garbage g = { 0 };
	int rc;

	if (!size || !addr || (iova | addr | size) % level_size(0) ||
	    !range_within(iova, size, IOVA_END) || add_overflows(addr, size - 1))
		return -EINVAL;
	pthread_mutex_lock(&d->lock);
	rc = point_at(&d->root, TOP_LEVEL, iova, last, 0);
	if (!rc)
		rc = split_at(d, iova);
	if (!rc)
		rc = split_at(d, last + 1);
	if (!rc)
		point_at(&d->root, TOP_LEVEL, iova, last, addr);
	if (!rc)
		g = take_garbage(d);
	pthread_mutex_unlock(&d->lock);
	if (!rc)
		rcu_sync();
	free_garbage(d, &g);
	return rc;
}

/* Find the memory at @iova in @b, as iommu_domain_translate() does. */
static RARE void *find_in_bunch(const struct bunch *b, uint64_t iova, unsigned level, unsigned prot,
				uint64_t *contig, enum iommu_fault_reason *why)
{
	uint64_t left, e = bunch_find(b, page_in(iova, level), &left);
	uint64_t off = iova & (level_size(0) - 1);

	if (!e)
		return NULL;
	if ((e & prot) != prot) {
		*why = IOMMU_NO_RIGHT;
		return NULL;
	}
	*why = IOMMU_OK;
	*contig = (left << PAGE_SHIFT) - off;
	return (void *)(uintptr_t)((e & ~(uint64_t)RIGHTS) + off);
}

void *iommu_domain_translate(const struct iommu_domain *d, uint64_t iova, unsigned prot,
			     uint64_t *contig, enum iommu_fault_reason *why)
{
	const struct table *t = &d->root;
	unsigned level = TOP_LEVEL;
	uint64_t e, off;

	*why = IOMMU_NOT_MAPPED;
	if (__builtin_expect(iova >= IOVA_END, 0))
		return NULL;
	/*
	 * consume: the address in the entry orders what is read behind it; said as acquire, which
	 * costs nothing on x86
	 */
	for (;;) {
		e = atomic_load_explicit(&t->entry[index_at(iova, level)], memory_order_acquire);
		if (!is_table(e))
			break;
		t = table_of(e);
		level--;
	}
	if (!e)
		return NULL;
	if (__builtin_expect((e & (prot | ENTRY_BUNCH)) != prot, 0)) {
		if (is_bunch(e))
			return find_in_bunch(bunch_of(e), iova, level, prot, contig, why);
		*why = IOMMU_NO_RIGHT;
		return NULL;
	}
	*why = IOMMU_OK;
	off = iova & (level_size(level) - 1);
	*contig = level_size(level) - off;
	return (void *)(uintptr_t)((e & ~(uint64_t)RIGHTS) + off);
}

/* ---- dirty tracking ---- */

/* Have bits for all that is mapped in @t. 0 or -ENOMEM. */
static int cover(struct iommu_dirty *dirty, const struct table *t, unsigned level, uint64_t base)
{
	int rc = 0;

	for (unsigned i = 0, left = t->used; left && !rc; i++) {
		uint64_t e = get(t, i), at = base + ((uint64_t)i << level_shift(level));

		if (!e)
			continue;
		left--;
		if (is_bunch(e))
			rc = bunch_cover(bunch_of(e), dirty, at);
		else if (is_table(e) && level > 1)
			rc = cover(dirty, table_of(e), level - 1, at);
		else /* a leaf, or a table of 2 MiB */
			rc = iommu_dirty_cover(dirty, at, at + level_size(level) - 1);
	}
	return rc;
}

int iommu_domain_dirty_start(struct iommu_domain *d)
{
	struct iommu_dirty *dirty = NULL;
	int rc = 0;

	pthread_mutex_lock(&d->lock);
	if (d->dirty) {
		iommu_dirty_clear(d->dirty, 0, IOVA_END - 1);
		goto out;
	}
	dirty = iommu_dirty_new();
	rc = dirty ? cover(dirty, &d->root, TOP_LEVEL, 0) : -ENOMEM;
	if (rc)
		iommu_dirty_free(dirty);
	else
		rcu_set(d->dirty, dirty);
out:
	pthread_mutex_unlock(&d->lock);
	/* accesses that began before may not know of it yet */
	if (!rc)
		rcu_sync();
	return rc;
}

void iommu_domain_dirty_stop(struct iommu_domain *d)
{
	struct iommu_dirty *dirty;

	pthread_mutex_lock(&d->lock);
	dirty = rcu_swap(d->dirty, NULL);
	pthread_mutex_unlock(&d->lock);
	if (!dirty)
		return;
	rcu_sync();
	iommu_dirty_free(dirty);
}

int iommu_domain_dirty_read(struct iommu_domain *d, uint64_t iova, uint64_t size, uint64_t pgsize,
			    bool clear, uint64_t *bitmap)
{
	bool any = false;
	int rc = -EINVAL;

	if (!is_pow2(pgsize) || pgsize < level_size(0) || !size || (iova | size) & (pgsize - 1) ||
	    !range_within(iova, size, IOVA_END))
		return -EINVAL;
	pthread_mutex_lock(&d->lock);
	if (d->dirty) {
		any = iommu_dirty_read(d->dirty, iova, iova + size - 1,
				       (unsigned)__builtin_ctzll(pgsize), bitmap, clear);
		rc = 0;
	}
	pthread_mutex_unlock(&d->lock);
	/*
	 * A page is marked when a device gets at it, and perhaps written later. What was forgotten
	 * here is written when this returns, and what is marked from now on stands in the next one.
	 */
	if (any && clear)
		rcu_sync();
	return rc;
}
