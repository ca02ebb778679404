/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/nearest.c: what is mapped beside an address, for a message about it. Readers' walks, which
 * find what there is while others map and unmap.
 */
#include "base/report.h"
#include "iommu/entry.h"

struct leaf {
	uint64_t at, size, mem;
};

/* find_leaf() in a bunch, whose page 0 is at @base. */
static bool find_in_slots(const struct bunch *b, uint64_t base, uint64_t from, bool up,
			  struct leaf *out)
{
	struct bunch_slot slot;
	uint64_t at, size;
	bool found = false;

	for (unsigned i = 0; i < BUNCH_SIZE; i++) {
		if (!bunch_read(b, i, &slot))
			continue;
		at = base + ((uint64_t)slot.first << PAGE_SHIFT);
		size = (uint64_t)(slot.last - slot.first + 1) << PAGE_SHIFT;

		if ((up ? at < from : at >= from) || (found && (up ? at > out->at : at < out->at)))
			continue;
		*out = (struct leaf){ at, size, slot.leaf & ~(uint64_t)RIGHTS };
		found = true;
	}
	return found;
}

/* Find the first leaf that begins at @from or above, or the last one that begins below. */
static bool find_leaf(const struct table *t, unsigned level, uint64_t base, uint64_t from, bool up,
		      struct leaf *out)
{
	int i = up ? 0 : IOMMU_ENTRIES - 1, step = up ? 1 : -1;

	if (from > base && (from - base) >> level_shift(level) < IOMMU_ENTRIES)
		i = (int)((from - base) >> level_shift(level));
	else if (up ? from > base : from <= base)
		return false;
	for (; i >= 0 && i < (int)IOMMU_ENTRIES; i += step) {
		uint64_t at = base + ((uint64_t)i << level_shift(level));
		uint64_t e = atomic_load_explicit(&t->entry[i], memory_order_acquire);

		if (!e)
			continue;
		if (is_table(e)) {
			if (find_leaf(table_of(e), level - 1, at, from, up, out))
				return true;
		} else if (is_bunch(e)) {
			if (find_in_slots(bunch_of(e), at, from, up, out))
				return true;
		} else if (up ? at >= from : at < from) {
			*out = (struct leaf){ at, level_size(level), e & ~(uint64_t)RIGHTS };
			return true;
		}
	}
	return false;
}

#define NEAREST_LEAVES 4096u

static struct report_range nearest(const struct iommu_domain *d, uint64_t iova, bool up)
{
	struct report_range r = { 0 };
	struct leaf l, next;

	if (!find_leaf(&d->root, TOP_LEVEL, 0, iova, up, &l))
		return r;
	r.at = l.at;
	r.size = l.size;
	for (unsigned i = 0; i < NEAREST_LEAVES; i++, l = next) {
		if (up && (!find_leaf(&d->root, TOP_LEVEL, 0, r.at + r.size, true, &next) ||
			   next.at != r.at + r.size || next.mem != l.mem + l.size))
			break;
		if (!up && (!find_leaf(&d->root, TOP_LEVEL, 0, r.at, false, &next) ||
			    next.at + next.size != r.at || next.mem + next.size != l.mem))
			break;
		r.at = up ? r.at : next.at;
		r.size += next.size;
	}
	return r;
}

void iommu_domain_nearest(const struct iommu_domain *d, uint64_t iova, struct report_range *below,
			  struct report_range *above)
{
	*below = nearest(d, iova, false);
	*above = nearest(d, iova, true);
}
