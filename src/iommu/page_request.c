/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * iommu/page_request.c: page requests, from the device to the queue of its address space, and the
 * answers on their way back (the kernel's io-pgfault.c and iommufd/eventq.c).
 *
 * A request is a slot of its device. The last one of a group stands for the group, with the others
 * in its list. The group is in one place at a time: it waits in a queue; it was read, and is in the
 * queue's table by its cookie; or it is answered, and its device has not taken the answer.
 */
#include <errno.h>
#include <pthread.h>
#include <urcu/list.h>

#include "base/heap.h"
#include "base/rcu.h"
#include "iommu/device.h"
#include "iommu/internal.h"
#include "iommu/page_request.h"

struct slot {
	struct cds_list_head node;
	struct iommu_pri *pri;
	struct iommu_page_request r;
	/* of the last of a group: */
	struct cds_list_head before; /* the others, in the order in which they came */
	unsigned n;		     /* how many it has */
	const struct iommu_domain *domain;
	uint32_t client, cookie;
	unsigned answer;
	/* of each: */
	unsigned epoch;
	bool more; /* it is none of those that the device has from the beginning */
};

struct iommu_pri {
	struct iommu_device *dev;
	pthread_mutex_t lock; /* guards all but what a group in a queue has */
	struct cds_list_head unused;
	struct cds_list_head partial;  /* of groups whose last has not come; the newest first */
	struct cds_list_head answered; /* groups */
	uint32_t client;
	unsigned epoch;	    /* how often the device was reset */
	unsigned max, open; /* requests unanswered since: as many as there may be, and are */
	void (*fn)(void *arg);
	void *arg;
	struct slot slots[];
};

struct iommu_fault_queue {
	struct ref ref;
	pthread_mutex_t lock;
	struct cds_list_head waiting; /* groups that nobody has read */
	struct slot **told;	      /* those that were read, by cookie; 0 is never used */
	uint32_t room, free_from;     /* no cookie below is free */
	void (*ready)(void *arg, bool ready);
	void *arg;
};

/* ---- the device's side ---- */

int iommu_pri_add(struct iommu_device *dev, unsigned max, void (*answered)(void *arg), void *arg)
{
	struct iommu_pri *pri = heap_alloc(sizeof(*pri) + max * sizeof(pri->slots[0]));

	if (!pri)
		return -ENOMEM;
	pri->dev = dev;
	pri->fn = answered;
	pri->arg = arg;
	pri->max = max;
	pthread_mutex_init(&pri->lock, NULL);
	CDS_INIT_LIST_HEAD(&pri->unused);
	CDS_INIT_LIST_HEAD(&pri->partial);
	CDS_INIT_LIST_HEAD(&pri->answered);
	for (unsigned i = 0; i < max; i++) {
		pri->slots[i].pri = pri;
		CDS_INIT_LIST_HEAD(&pri->slots[i].before);
		cds_list_add(&pri->slots[i].node, &pri->unused);
	}
	dev->pri = pri;
	return 0;
}

void iommu_pri_free(struct iommu_device *dev)
{
	if (!dev->pri)
		return;
	iommu_pri_reset(dev); /* for slots that were made */
	pthread_mutex_destroy(&dev->pri->lock);
	heap_free(dev->pri);
	dev->pri = NULL;
}

void iommu_pri_client(struct iommu_device *dev, uint32_t number)
{
	if (!dev->pri)
		return;
	pthread_mutex_lock(&dev->pri->lock);
	dev->pri->client = number;
	pthread_mutex_unlock(&dev->pri->lock);
}

/* Give a slot back, which is in no list. With the device's lock. */
static void put_slot(struct slot *s)
{
	if (s->epoch == s->pri->epoch)
		s->pri->open--;
	if (s->more)
		heap_free(s);
	else
		cds_list_add(&s->node, &s->pri->unused);
}

/* Give all slots of a list back. With the device's lock. */
static void put_slots(struct cds_list_head *list)
{
	struct slot *s, *next;

	cds_list_for_each_entry_safe(s, next, list, node) {
		cds_list_del(&s->node);
		put_slot(s);
	}
}

/* Give the slots of a group back. With the device's lock. */
static void release(struct slot *s)
{
	put_slots(&s->before);
	put_slot(s);
}

/* Forget the requests of groups whose last has not come. With the device's lock. */
static void drop_partial(struct iommu_pri *pri)
{
	put_slots(&pri->partial);
}

/*
 * Return a slot, or NULL: as many are unanswered as there may be. What was asked before a reset
 * does not count, but has its slots until its client answers it: then more are made.
 */
static struct slot *get_slot(struct iommu_pri *pri)
{
	struct slot *s;

	if (pri->open == pri->max)
		return NULL;
	if (!cds_list_empty(&pri->unused)) {
		s = cds_list_first_entry(&pri->unused, struct slot, node);
		cds_list_del(&s->node);
	} else {
		s = heap_alloc(sizeof(*s));
		if (!s)
			return NULL;
		s->pri = pri;
		s->more = true;
		CDS_INIT_LIST_HEAD(&s->before);
	}
	s->epoch = pri->epoch;
	pri->open++;
	return s;
}

/*
 * Answer a group, which is in no list; not if the device was reset meanwhile, which has forgotten
 * it. With the lock of its queue, if it was in one.
 */
static void answer(struct slot *s, unsigned code)
{
	struct iommu_pri *pri = s->pri;
	bool old;

	pthread_mutex_lock(&pri->lock);
	old = s->epoch != pri->epoch;
	s->answer = code;
	if (old)
		release(s);
	else
		cds_list_add_tail(&s->node, &pri->answered);
	pthread_mutex_unlock(&pri->lock);
	if (!old)
		pri->fn(pri->arg);
}

/* Return the slot of @r: of a group that is complete now, or NULL: it is not. -EBUSY. */
static int take_slot(struct iommu_pri *pri, const struct iommu_page_request *r, struct slot **group)
{
	struct slot *s = get_slot(pri), *at, *next;

	if (!s)
		return -EBUSY;
	s->r = *r;
	*group = NULL;
	if (!r->last) {
		cds_list_add(&s->node, &pri->partial);
		return 0;
	}
	s->n = 1;
	s->client = pri->client;
	/* the kernel, too, looks at the group's number alone */
	cds_list_for_each_entry_safe(at, next, &pri->partial, node) {
		if (at->r.group != r->group)
			continue;
		cds_list_move(&at->node, &s->before);
		s->n++;
	}
	*group = s;
	return 0;
}

static void queue_add(struct iommu_fault_queue *q, struct slot *group)
{
	pthread_mutex_lock(&q->lock);
	cds_list_add_tail(&group->node, &q->waiting);
	if (q->ready)
		q->ready(q->arg, true);
	pthread_mutex_unlock(&q->lock);
}

/*
 * From finding the address space to the place in its queue it is one section, so that whoever takes
 * the device out of that address space meets the group.
 */
int iommu_page_request(struct iommu_device *dev, const struct iommu_page_request *r)
{
	struct iommu_pri *pri = dev->pri;
	struct slot *group = NULL;
	struct iommu_domain *d;
	bool blocked;
	int ret = 0;

	rcu_read_begin();
	blocked = atomic_load_explicit(&dev->blocked, memory_order_acquire);
	if (!blocked) {
		pthread_mutex_lock(&pri->lock);
		ret = take_slot(pri, r, &group);
		pthread_mutex_unlock(&pri->lock);
	}
	if (group) {
		d = iommu_pasid_domain(dev, r->pasid);
		group->domain = d;
		if (d && d->faults && group->client)
			queue_add(d->faults, group);
		else
			answer(group, IOMMU_PAGE_INVALID);
	}
	rcu_read_end();
	if (blocked)
		return report_warn(REPORT_LIMITED("page-request-no-bus-master"), dev->name, -EFAULT,
				   "page request for IOVA %#llx: %s", (unsigned long long)r->addr,
				   iommu_fault_reason_text(IOMMU_BLOCKED));
	return ret;
}

int iommu_page_answer(struct iommu_device *dev, struct iommu_page_request *last)
{
	struct iommu_pri *pri = dev->pri;
	int ret = -ENOENT;
	struct slot *s;

	pthread_mutex_lock(&pri->lock);
	if (!cds_list_empty(&pri->answered)) {
		s = cds_list_first_entry(&pri->answered, struct slot, node);
		cds_list_del(&s->node);
		*last = s->r;
		ret = (int)s->answer;
		release(s);
	}
	pthread_mutex_unlock(&pri->lock);
	return ret;
}

void iommu_pri_reset(struct iommu_device *dev)
{
	struct iommu_pri *pri = dev->pri;
	struct slot *s, *next;

	if (!pri)
		return;
	pthread_mutex_lock(&pri->lock);
	drop_partial(pri);
	/* who would take these may not come any more */
	cds_list_for_each_entry_safe(s, next, &pri->answered, node) {
		cds_list_del(&s->node);
		release(s);
	}
	pri->epoch++;
	pri->open = 0;
	pthread_mutex_unlock(&pri->lock);
}

bool iommu_page_present(struct iommu_device *dev, uint64_t addr, unsigned perm, uint32_t pasid)
{
	unsigned prot = (perm & IOMMU_PAGE_WRITE ? IOMMU_WRITE : 0) |
			(perm & (IOMMU_PAGE_READ | IOMMU_PAGE_EXEC) ? IOMMU_READ : 0);
	enum iommu_fault_reason why;
	const struct iommu_domain *d;
	uint64_t contig;
	bool is;

	rcu_read_begin();
	d = iommu_pasid_domain(dev, pasid);
	is = d && !atomic_load_explicit(&dev->blocked, memory_order_relaxed) &&
	     iommu_domain_translate(d, addr, prot, &contig, &why);
	rcu_read_end();
	return is;
}

/* ---- the client's side ---- */

struct iommu_fault_queue *iommu_fault_queue_new(void)
{
	struct iommu_fault_queue *q = heap_alloc(sizeof(*q));

	if (!q)
		return NULL;
	ref_init(&q->ref);
	pthread_mutex_init(&q->lock, NULL);
	CDS_INIT_LIST_HEAD(&q->waiting);
	q->free_from = 1;
	return q;
}

void iommu_fault_queue_get(struct iommu_fault_queue *q)
{
	ref_get(&q->ref);
}

/* The last one has no groups: each has a device in an address space, which has a reference. */
void iommu_fault_queue_put(struct iommu_fault_queue *q)
{
	if (!q || !ref_put(&q->ref))
		return;
	pthread_mutex_destroy(&q->lock);
	heap_free(q->told);
	heap_free(q);
}

void iommu_domain_set_faults(struct iommu_domain *d, struct iommu_fault_queue *q)
{
	iommu_fault_queue_get(q);
	d->faults = q;
}

void iommu_fault_queue_on_ready(struct iommu_fault_queue *q, void (*fn)(void *arg, bool ready),
				void *arg)
{
	pthread_mutex_lock(&q->lock);
	q->ready = fn;
	q->arg = arg;
	if (fn)
		fn(arg, !cds_list_empty(&q->waiting));
	pthread_mutex_unlock(&q->lock);
}

/* Tell whether there is something to read. With the queue's lock. */
static void tell_ready(struct iommu_fault_queue *q)
{
	if (q->ready)
		q->ready(q->arg, !cds_list_empty(&q->waiting));
}

/* Find the lowest free cookie. 0 or -ENOMEM. */
static int find_cookie(struct iommu_fault_queue *q, uint32_t *cookie)
{
	uint32_t room = q->room ? q->room * 2 : 16;
	struct slot **told;

	while (q->free_from < q->room && q->told[q->free_from])
		q->free_from++;
	if (q->free_from >= q->room) {
		told = heap_resize(q->told, room * sizeof(told[0]));
		if (!told)
			return -ENOMEM;
		q->told = told;
		q->room = room;
	}
	*cookie = q->free_from;
	return 0;
}

/* Give all of a group to @put, from the @i-th place on. 0 or what that says. */
static int put_group(const struct slot *group, uint32_t cookie, size_t i,
		     int (*put)(void *arg, size_t i, const struct iommu_page_record *rec),
		     void *arg)
{
	struct iommu_page_record rec = { .device = group->client, .cookie = cookie };
	const struct slot *s;
	int ret;

	cds_list_for_each_entry(s, &group->before, node) {
		rec.r = s->r;
		ret = put(arg, i++, &rec);
		if (ret)
			return ret;
	}
	rec.r = group->r;
	return put(arg, i, &rec);
}

long iommu_fault_queue_read(struct iommu_fault_queue *q, size_t room,
			    int (*put)(void *arg, size_t i, const struct iommu_page_record *rec),
			    void *arg)
{
	struct slot *group;
	uint32_t cookie;
	size_t done = 0;
	int ret = 0;

	pthread_mutex_lock(&q->lock);
	while (!cds_list_empty(&q->waiting)) {
		group = cds_list_first_entry(&q->waiting, struct slot, node);
		if (group->n > room - done) {
			ret = -EINVAL;
			break;
		}
		ret = find_cookie(q, &cookie);
		if (!ret)
			ret = put_group(group, cookie, done, put, arg);
		if (ret)
			break;
		cds_list_del(&group->node);
		group->cookie = cookie;
		q->told[cookie] = group;
		done += group->n;
	}
	tell_ready(q);
	pthread_mutex_unlock(&q->lock);
	return done ? (long)done : ret;
}

/* Take a group that was read out of the table. With the queue's lock. */
static void untell(struct iommu_fault_queue *q, struct slot *group)
{
	q->told[group->cookie] = NULL;
	if (group->cookie < q->free_from)
		q->free_from = group->cookie;
}

int iommu_fault_queue_answer(struct iommu_fault_queue *q, uint32_t cookie, unsigned code)
{
	struct slot *group;

	pthread_mutex_lock(&q->lock);
	group = cookie < q->room ? q->told[cookie] : NULL;
	if (group) {
		untell(q, group);
		answer(group, code);
	}
	pthread_mutex_unlock(&q->lock);
	return group ? 0 : -EINVAL;
}

/* ---- when a device leaves an address space ---- */

static bool is_of(const struct slot *s, const struct iommu_device *dev,
		  const struct iommu_domain *d, uint32_t pasid)
{
	return s->pri->dev == dev && s->domain == d && s->r.pasid == pasid;
}

void iommu_page_requests_end(struct iommu_device *dev, struct iommu_domain *old, uint32_t pasid,
			     bool stays)
{
	struct iommu_fault_queue *q = old->faults;
	struct slot *s, *next;

	if (!q || !dev->pri)
		return;
	pthread_mutex_lock(&q->lock);
	cds_list_for_each_entry_safe(s, next, &q->waiting, node) {
		if (!is_of(s, dev, old, pasid))
			continue;
		cds_list_del(&s->node);
		answer(s, IOMMU_PAGE_INVALID);
	}
	for (uint32_t c = 1; c < q->room; c++) {
		s = q->told[c];
		if (!s || !is_of(s, dev, old, pasid))
			continue;
		untell(q, s);
		answer(s, IOMMU_PAGE_INVALID);
	}
	tell_ready(q);
	pthread_mutex_unlock(&q->lock);
	if (stays)
		return;
	pthread_mutex_lock(&dev->pri->lock);
	drop_partial(dev->pri);
	pthread_mutex_unlock(&dev->pri->lock);
}
