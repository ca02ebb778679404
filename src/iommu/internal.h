/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/internal.h: a domain from the inside, for domain.c and for device.c, whose writes look for
 * dirty tracking without a call.
 */
#ifndef IOMMU_INTERNAL_H
#define IOMMU_INTERNAL_H
#include <pthread.h>
#include <stdatomic.h>

#include "base/pool.h"
#include "base/util.h"
#include "iommu/dirty.h"
#include "iommu/domain.h"

#define IOMMU_ENTRIES 512u

struct table {
	_Atomic uint64_t entry[IOMMU_ENTRIES];
	struct table *next; /* of those to be freed */
	unsigned used;	    /* entries that are not 0; the writers' */
};

/* ---- bunch.c ---- */

#define BUNCH_SIZE	 16u
#define BUNCH_PAGE_SHIFT 12u

/* Pages are counted from where the range begins that the bunch is for. */
struct bunch {
	_Atomic uint64_t key[BUNCH_SIZE];
	_Atomic uint64_t leaf[BUNCH_SIZE]; /* the memory of its first page, and rights; 0: none */
	struct bunch *next;		   /* of those to be freed */
	unsigned taken;			   /* slots with a key; the writers', and what follows */
	unsigned used;			   /* slots with a leaf */
};
struct bunch_slot {
	uint32_t first, last;
	uint64_t leaf;
};

/* Make memory of zeros an empty bunch. */
void bunch_init(struct bunch *b);
/* Put a slot into @b, of which not all are taken. */
void bunch_add(struct bunch *b, uint32_t first, uint32_t last, uint64_t leaf);
/* Get the first slot with a leaf from @i on, which becomes the number behind it; false: none. */
bool bunch_next(const struct bunch *b, unsigned *i, struct bunch_slot *out);
/* For readers: get slot @i, below BUNCH_SIZE; false: there is no leaf in it. */
bool bunch_read(const struct bunch *b, unsigned i, struct bunch_slot *out);
/* Return how many pages it has. */
uint64_t bunch_pages(const struct bunch *b);
/* Have bits for all of them; page 0 is at @base. 0 or -ENOMEM. */
int bunch_cover(const struct bunch *b, struct iommu_dirty *dirty, uint64_t base);
/* True if some of these pages are mapped. */
bool bunch_has(const struct bunch *b, uint32_t first, uint32_t last);
/* True if a slot has @page and the page before it. */
bool bunch_crosses(const struct bunch *b, uint32_t page);
/* Put all slots with a leaf into @to, which has room; one that crosses @cut (0: none) as two. */
void bunch_copy(struct bunch *to, const struct bunch *from, uint32_t cut);
/* Take out what lies in [@first, @last], of which none crosses an end. Return how many pages. */
uint64_t bunch_clear(struct bunch *b, uint32_t first, uint32_t last);
/*
 * Return whether all of these pages are mapped. Point them at @addr, if that is not 0: then no slot
 * crosses an end. @rights: the bits of a leaf that stay.
 */
bool bunch_point(struct bunch *b, uint32_t first, uint32_t last, uint64_t addr, uint64_t rights);
/*
 * For readers: return the leaf of @page, as if it were one of a page; 0: there is none. *@left: how
 * many pages follow from there on, with itself.
 */
uint64_t bunch_find(const struct bunch *b, uint32_t page, uint64_t *left);

/* To be freed when readers are done. */
struct garbage {
	struct table *tables;
	struct bunch *bunches;
	unsigned n; /* of both */
};

struct iommu_domain {
	struct table root;
	struct iommu_dirty *dirty; /* RCU; NULL: nobody asks for it. Changed under lock. */
	/* where page requests go; NULL: nowhere. Set before a device uses it. */
	struct iommu_fault_queue *faults;
	char apart[64]; /* what writers change is on other cache lines */
	struct ref ref;
	bool whole;	      /* set when it is made */
	pthread_mutex_t lock; /* writers */
	struct pool tables;   /* but for the root */
	struct pool bunches;
	/* under lock: */
	unsigned num_tables;
	struct garbage garbage;
};
#endif
