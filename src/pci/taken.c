/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/taken.c: memory that the driver gave to the device until the device gives it back, and must
 * leave alone meanwhile. If somebody wants to know, its sum is taken at both ends.
 *
 * The table has room for much, and what finds none in its bucket takes the place of something
 * else, of which nothing is said then: it is better to miss a mistake than to report none.
 */
#include <errno.h>

#include "base/event.h"
#include "base/heap.h"
#include "base/report.h"
#include "pci/internal.h"

#define BUCKETS 512u
#define ENTRIES 32u

/* Something that was taken; @what NULL: nothing. */
struct entry {
	uint64_t key, iova, len, sum;
	uint64_t moment; /* of struct report_about */
	const char *what;
	enum uvfio_taken kind;
};

struct pci_taken {
	pthread_mutex_t lock; /* a leaf */
	struct bucket {
		struct entry entry[ENTRIES];
		unsigned next; /* which one goes if all are used */
	} bucket[BUCKETS];
};

unsigned uvfio_takes(const struct uvfio_dev *dev)
{
	if (!dev->taken)
		return 0;
	return (event_wanted(EVENT_TAKEN) ? UVFIO_TAKEN_ORDERS : 0) |
	       (event_wanted(EVENT_TAKEN_DATA) ? UVFIO_TAKEN_DATA : 0);
}

int pci_taken_new(pci_function *fn)
{
	if (!event_wanted(EVENT_TAKEN) && !event_wanted(EVENT_TAKEN_DATA))
		return 0;
	fn->taken = heap_alloc(sizeof(*fn->taken));
	if (!fn->taken)
		return -ENOMEM;
	pthread_mutex_init(&fn->taken->lock, NULL);
	return 0;
}

void pci_taken_free(pci_function *fn)
{
	if (!fn->taken)
		return;
	pthread_mutex_destroy(&fn->taken->lock);
	heap_free(fn->taken);
	fn->taken = NULL;
}

static struct bucket *bucket_of(struct pci_taken *t, uint64_t key)
{
	return &t->bucket[key * 0x9e3779b97f4a7c15ull >> 32 & (BUCKETS - 1)];
}

/* Return where to put @key's memory at @iova. With the lock. */
static struct entry *place_for(struct bucket *b, uint64_t key, uint64_t iova)
{
	struct entry *free = NULL;

	for (unsigned i = 0; i < ENTRIES; i++) {
		struct entry *e = &b->entry[i];

		if (e->what && e->key == key && e->iova == iova)
			return e;
		if (!e->what && !free)
			free = e;
	}
	return free ?: &b->entry[b->next++ % ENTRIES];
}

void uvfio_take(struct uvfio_dev *dev, uint64_t key, enum uvfio_taken kind, const char *what,
		uint64_t iova, size_t len)
{
	struct entry e = { .key = key, .iova = iova, .len = len, .what = what, .kind = kind };
	struct event told = {
		.kind = kind == UVFIO_TAKEN_DATA ? EVENT_TAKEN_DATA : EVENT_TAKEN,
		.who = dev->name,
		.at = iova,
		.size = len,
		.text = what,
		.moment = &e.moment,
	};

	if (!(uvfio_takes(dev) & kind) || !len || !iommu_dma_sum(&dev->iommu, iova, len, &e.sum))
		return;
	event_tell(&told);
	pthread_mutex_lock(&dev->taken->lock);
	*place_for(bucket_of(dev->taken, key), key, iova) = e;
	pthread_mutex_unlock(&dev->taken->lock);
}

/* Take the next thing of @key out of the table. False: there is none. */
static bool next_of(struct pci_taken *t, uint64_t key, unsigned *from, struct entry *out)
{
	struct bucket *b = bucket_of(t, key);
	bool found = false;

	pthread_mutex_lock(&t->lock);
	for (; !found && *from < ENTRIES; ++*from) {
		struct entry *e = &b->entry[*from];

		found = e->what && e->key == key;
		if (found) {
			*out = *e;
			e->what = NULL;
		}
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

void uvfio_give_back(struct uvfio_dev *dev, uint64_t key)
{
	REPORT_CODE(orders_code, LOG_WARN, REPORT_LIMITED("dma-race"));
	REPORT_CODE(data_code, LOG_WARN, REPORT_LIMITED("dma-race-data"));
	struct entry e;
	unsigned from = 0;
	uint64_t sum;

	while (dev->taken && next_of(dev->taken, key, &from, &e)) {
		struct report_about about = {
			.access = REPORT_DMA, .at = e.iova, .size = e.len, .moment = e.moment
		};

		/* not mapped any more: another mistake, and not known to be this one */
		if (!iommu_dma_sum(&dev->iommu, e.iova, e.len, &sum) || sum == e.sum)
			continue;
		report_say_about(e.kind == UVFIO_TAKEN_DATA ? &data_code : &orders_code, dev->name,
				 0, &about,
				 "%s, %llu bytes at IOVA %#llx: changed while the device had it",
				 e.what, (unsigned long long)e.len, (unsigned long long)e.iova);
	}
}

void uvfio_forget(struct uvfio_dev *dev)
{
	if (!dev->taken)
		return;
	pthread_mutex_lock(&dev->taken->lock);
	for (unsigned i = 0; i < BUCKETS; i++)
		for (unsigned k = 0; k < ENTRIES; k++)
			dev->taken->bucket[i].entry[k].what = NULL;
	pthread_mutex_unlock(&dev->taken->lock);
}
