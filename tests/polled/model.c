/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/polled/model.c: a device for tests/polled/client.c, as a user would write one. Its
 * doorbells are in polled pages, which a thread of its own opens and closes at random, or keeps
 * open. What it saw last of each doorbell it acknowledges in a register. It follows the rules of
 * uvfio_polled_open() to the letter: it looks after each open and close, and never while the pages
 * are closed; what it finds changed then without a callback is an error.
 *
 * BAR0, registers of 64 bits:
 * 	page 0 trapped 0x000 CTRL RW 0: closed; 1: opens and closes at random; 2: opens and stays
 * 	open
 * 				0x008 OPENS   RO  how often the pages were opened
 * 				0x010 RESULT  RO  what uvfio_polled_open() said last, negated
 * 				0x018 CALLS   RO  stores to polled pages that came as callbacks
 * 				0x020 WRONG RO 0, or what was wrong: doorbell << 32 | kind << 16 |
 * 				the low bits of the value
 * 				0x028 LOOKS   RO  how often it looked
 * 				0x400 ACK     RO  one for each doorbell: what was seen last
 * 	pages 1, 2	polled	doorbells 0 to 31, 256 bytes apart
 * 	page 3		trapped	memory
 * 	page 4		polled	doorbells 32 to 47
 * 	page 5		unmapped, memory
 * 	pages 6, 7	trapped	memory
 * Doorbell i has 8 >> (i & 3) bytes. Those of 8 bytes have a second one 128 bytes behind; what is
 * stored there is stored to the first one before.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uvfio/model.h>

#define PAGE	  4096u
#define DOORBELLS 48u
#define STRIDE	  256u
#define SECOND	  128u

#define BACKWARDS 1u /* kinds of WRONG */
#define ORDER	  2u
#define CLOSED	  3u

struct polled {
	struct uvfio_dev *dev;
	pthread_mutex_t life; /* the thread starting and ending */
	pthread_mutex_t lock; /* acks */
	pthread_t thread;
	bool running;
	atomic_bool quit, paused;
	atomic_ullong ctrl, opens, result, calls, wrong, looks;
	uint64_t ack[DOORBELLS];
	char *pages[8]; /* page 5 and trapped ones but the first: plain memory */
	char memory[8][PAGE];
	unsigned seed;
};

static unsigned width(unsigned i)
{
	return 8u >> (i & 3);
}

static char *doorbell(struct polled *p, unsigned i)
{
	static const unsigned page[] = { 1, 2, 4 };

	return p->pages[page[i / 16]] + i % 16 * STRIDE;
}

static uint64_t load(const void *at, unsigned size)
{
	switch (size) {
	case 1:
		return __atomic_load_n((const uint8_t *)at, __ATOMIC_SEQ_CST);
	case 2:
		return __atomic_load_n((const uint16_t *)at, __ATOMIC_SEQ_CST);
	case 4:
		return __atomic_load_n((const uint32_t *)at, __ATOMIC_SEQ_CST);
	default:
		return __atomic_load_n((const uint64_t *)at, __ATOMIC_SEQ_CST);
	}
}

static void store(void *at, unsigned size, uint64_t v)
{
	switch (size) {
	case 1:
		__atomic_store_n((uint8_t *)at, (uint8_t)v, __ATOMIC_SEQ_CST);
		break;
	case 2:
		__atomic_store_n((uint16_t *)at, (uint16_t)v, __ATOMIC_SEQ_CST);
		break;
	case 4:
		__atomic_store_n((uint32_t *)at, (uint32_t)v, __ATOMIC_SEQ_CST);
		break;
	default:
		__atomic_store_n((uint64_t *)at, v, __ATOMIC_SEQ_CST);
	}
}

static void wrong(struct polled *p, unsigned i, unsigned kind, uint64_t value)
{
	unsigned long long none = 0;

	atomic_compare_exchange_strong(&p->wrong, &none,
				       (uint64_t)i << 32 | kind << 16 | (value & 0xffff));
}

/* With lock. */
static void look(struct polled *p, unsigned i)
{
	char *at = doorbell(p, i);
	uint64_t second = width(i) == 8 ? load(at + SECOND, 8) : 0, v = load(at, width(i));

	if (second > v)
		wrong(p, i, ORDER, v);
	if (width(i) >= 4 && v < p->ack[i])
		wrong(p, i, BACKWARDS, v);
	p->ack[i] = v;
}

static void look_all(struct polled *p)
{
	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < DOORBELLS; i++)
		look(p, i);
	atomic_fetch_add(&p->looks, 1);
	pthread_mutex_unlock(&p->lock);
}

/* Since the last look only callbacks have changed anything, and they look themselves. */
static void check_closed(struct polled *p)
{
	pthread_mutex_lock(&p->lock);
	for (unsigned i = 0; i < DOORBELLS; i++)
		if (load(doorbell(p, i), width(i)) != p->ack[i])
			wrong(p, i, CLOSED, load(doorbell(p, i), width(i)));
	pthread_mutex_unlock(&p->lock);
}

/* Some microseconds to a millisecond, short ones more often. */
static void pause_some(struct polled *p)
{
	unsigned r = (unsigned)rand_r(&p->seed);
	struct timespec ts = { .tv_nsec = (long)(r >> 8) % (r % 8 ? 20000 : 1000000) };

	if (r % 4)
		for (unsigned i = 0; i < ts.tv_nsec / 40; i++)
			__builtin_ia32_pause();
	else
		nanosleep(&ts, NULL);
}

static void *watch(void *arg)
{
	struct polled *p = arg;
	bool open = false;
	int err;

	while (!atomic_load(&p->quit)) {
		bool stays = atomic_load(&p->ctrl) == 2;

		if (!open)
			check_closed(p);
		err = uvfio_polled_open(p->dev);
		atomic_store(&p->result, (unsigned long long)-err);
		open = !err;
		/* decoding is off, or nothing is mapped: what was open before has been closed */
		if (err) {
			look_all(p);
			nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
			continue;
		}
		atomic_fetch_add(&p->opens, 1);
		look_all(p);
		if (stays) {
			nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
			continue;
		}
		for (unsigned n = (unsigned)rand_r(&p->seed) % 4; n; n--) {
			pause_some(p);
			look_all(p);
		}
		uvfio_polled_close(p->dev);
		look_all(p);
		open = false;
		pause_some(p);
	}
	uvfio_polled_close(p->dev);
	look_all(p);
	return NULL;
}

/* The thread is there if CTRL and the driver's handle want it. */
static void follow(struct polled *p)
{
	bool want;

	pthread_mutex_lock(&p->life);
	want = atomic_load(&p->ctrl) && !atomic_load(&p->paused);
	if (!want && p->running) {
		atomic_store(&p->quit, true);
		pthread_join(p->thread, NULL);
		p->running = false;
	}
	if (want && !p->running) {
		atomic_store(&p->quit, false);
		p->running = !uvfio_thread_start(p->dev, &p->thread, watch, p, "watch");
	}
	pthread_mutex_unlock(&p->life);
}

static int bar_read(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		    uint64_t *value)
{
	struct polled *p = uvfio_priv(dev);
	uint64_t v = 0, at = offset & ~7ull;

	if (offset >= PAGE) {
		*value = load(p->pages[offset / PAGE] + offset % PAGE, size);
		return 0;
	}
	if (at >= 0x400 && at < 0x400 + 8 * DOORBELLS) {
		pthread_mutex_lock(&p->lock);
		v = p->ack[(at - 0x400) / 8];
		pthread_mutex_unlock(&p->lock);
	} else {
		v = at == 0x00	 ? atomic_load(&p->ctrl)
		    : at == 0x08 ? atomic_load(&p->opens)
		    : at == 0x10 ? atomic_load(&p->result)
		    : at == 0x18 ? atomic_load(&p->calls)
		    : at == 0x20 ? atomic_load(&p->wrong)
		    : at == 0x28 ? atomic_load(&p->looks)
				 : 0;
	}
	*value = v >> 8 * (offset & 7);
	return 0;
}

static int bar_write(struct uvfio_dev *dev, unsigned bar, uint64_t offset, unsigned size,
		     uint64_t value)
{
	struct polled *p = uvfio_priv(dev);
	unsigned page = (unsigned)(offset / PAGE),
		 i = (page == 4 ? 32 : (page - 1) * 16) + (unsigned)(offset % PAGE / STRIDE);

	if (atomic_exchange(&p->paused, false))
		follow(p);
	if (offset == 0) {
		atomic_store(&p->ctrl, value);
		follow(p);
		return 0;
	}
	if (!page)
		return -EINVAL;
	if (page != 1 && page != 2 && page != 4) {
		store(p->pages[page] + offset % PAGE, size, value);
		return 0;
	}
	atomic_fetch_add(&p->calls, 1);
	pthread_mutex_lock(&p->lock);
	store(p->pages[page] + offset % PAGE, size, value);
	look(p, i);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static void stop(struct polled *p)
{
	atomic_store(&p->paused, true);
	follow(p);
}

static void reset(struct uvfio_dev *dev, enum uvfio_reset_kind kind)
{
	struct polled *p = uvfio_priv(dev);

	atomic_store(&p->ctrl, 0);
	stop(p);
	pthread_mutex_lock(&p->lock);
	memset(p->ack, 0, sizeof(p->ack));
	for (unsigned i = 1; i < 8; i++)
		memset(p->pages[i], 0, PAGE);
	pthread_mutex_unlock(&p->lock);
	atomic_store(&p->opens, 0);
	atomic_store(&p->calls, 0);
	atomic_store(&p->wrong, 0);
}

static void quiesce(struct uvfio_dev *dev)
{
	stop(uvfio_priv(dev));
}

static void destroy(struct uvfio_dev *dev)
{
	struct polled *p = uvfio_priv(dev);

	stop(p);
	pthread_mutex_destroy(&p->life);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static int create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { .vendor = 0x1af4,
					      .device = 0x7001,
					      .class_code = 0xff0000 };
	struct polled *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->dev = dev;
	p->seed = (unsigned)time(NULL);
	if ((err = uvfio_set_ids(dev, &ids)) < 0 ||
	    (err = uvfio_add_bar(dev, 0, 8 * PAGE, UVFIO_BAR_64)) < 0 ||
	    (err = uvfio_set_pages(dev, 0, PAGE, 2 * PAGE, UVFIO_PAGE_POLLED)) < 0 ||
	    (err = uvfio_set_pages(dev, 0, 4 * PAGE, PAGE, UVFIO_PAGE_POLLED)) < 0 ||
	    (err = uvfio_set_pages(dev, 0, 5 * PAGE, PAGE, UVFIO_PAGE_UNMAPPED)) < 0 ||
	    (err = uvfio_add_pm(dev, false)) < 0 || (err = uvfio_add_pcie(dev, true)) < 0) {
		free(p);
		return err;
	}
	for (unsigned i = 0; i < 8; i++)
		p->pages[i] = p->memory[i];
	p->pages[1] = uvfio_polled_memory(dev, 0, PAGE);
	p->pages[2] = uvfio_polled_memory(dev, 0, 2 * PAGE);
	p->pages[4] = uvfio_polled_memory(dev, 0, 4 * PAGE);
	pthread_mutex_init(&p->life, NULL);
	pthread_mutex_init(&p->lock, NULL);
	uvfio_set_priv(dev, p);
	return 0;
}

UVFIO_PUBLIC const struct uvfio_model uvfio_model = {
	UVFIO_MODEL_INIT,   .name = "polled",	  .summary = "polled pages, for a test",
	.concurrent = true, .create = create,	  .destroy = destroy,
	.reset = reset,	    .bar_read = bar_read, .bar_write = bar_write,
	.quiesce = quiesce,
};
