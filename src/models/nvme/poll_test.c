/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/poll_test.c: doorbells in an open page. The driver here does what a processor does
 * with a mapping: its store goes to memory while the page is open and is a callback while it is
 * closed, and when closing has returned no store is under way. So a command that nobody fetches, or
 * an event that nobody reports, is the controller's fault.
 */
#include <sched.h>

#include "models/nvme/test_driver.h"

#define IMAGE	(4u << 20)
#define THREADS 3u
/* us: once open it stays so for the length of a test, unless others need the worker's processor */
#define FOREVER "1000000"

static struct {
	pthread_mutex_t lock; /* a store, and the change of what it is */
	bool open;
	atomic_uint opens, closes, mappings;
	_Atomic uint32_t *page;
} gate = { .lock = PTHREAD_MUTEX_INITIALIZER };

static unsigned set_open(void *arg, enum uvfio_page_kind kind, bool open)
{
	pthread_mutex_lock(&gate.lock);
	gate.open = open && atomic_load(&gate.mappings);
	atomic_fetch_add(open ? &gate.opens : &gate.closes, 1);
	pthread_mutex_unlock(&gate.lock);
	return atomic_load(&gate.mappings);
}

static const struct pci_pages_sink pages = { .set = set_open };

/* false: it must be a callback */
static bool gate_store(uint64_t off, uint32_t value)
{
	bool memory;

	pthread_mutex_lock(&gate.lock);
	memory = gate.open;
	if (memory)
		atomic_store(&gate.page[(off - NVME_DOORBELLS) / 4], value);
	pthread_mutex_unlock(&gate.lock);
	return memory;
}

static void gate_ring(struct drv *d, uint64_t off, uint32_t value)
{
	if (!gate_store(off, value))
		wr(d, off, 4, value);
}

static bool is_open(void)
{
	bool open;

	pthread_mutex_lock(&gate.lock);
	open = gate.open;
	pthread_mutex_unlock(&gate.lock);
	return open;
}

static struct drv *polled(const char *microseconds)
{
	const struct pci_option opt = { "poll", microseconds };
	struct drv *d;

	if (uvfio_cpus(NULL) < 2) {
		print_message("SKIP: one processor, on which nothing is polled\n");
		skip();
	}
	d = drv_new(IMAGE, "/dev/shm", &opt, 1);
	gate.page = uvfio_polled_memory(d->fn, 0, NVME_DOORBELLS);
	assert_non_null(gate.page);
	gate.open = false;
	atomic_store(&gate.opens, 0);
	atomic_store(&gate.closes, 0);
	atomic_store(&gate.mappings, 1);
	d->ring = gate_ring;
	pci_set_pages_sink(d->fn, &pages);
	return d;
}

static void flush(struct drv *d, struct queue *q)
{
	assert_int_equal(exec(d, q, &(struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 }, NULL),
			 0);
}

/* Ring often until the page opens. */
static void open_it(struct drv *d, struct queue *q)
{
	uint64_t end = test_now() + 20000000000ull;

	while (!is_open()) {
		assert_true(test_now() < end);
		flush(d, q);
	}
}

static void wait_closed(void)
{
	uint64_t end = test_now() + 20000000000ull;

	while (is_open()) {
		assert_true(test_now() < end);
		nap();
	}
}

static int teardown(void **state)
{
	if (*state)
		unplug(*state);
	*state = NULL;
	return 0;
}

/* ---- nothing is lost ---- */

struct user {
	struct drv *d;
	struct queue *q;
	pthread_t thread;
	atomic_uint *stop;
	uint64_t done;
	unsigned seed;
	uint16_t buffers; /* so many blocks of 512 bytes, at data */
	uint64_t data;
	char lost[100];
};

static uint32_t word(uint64_t lba)
{
	return (uint32_t)lba * 2654435761u + 12345;
}

/*
 * The data of a command is the controller's until it completes; ThreadSanitizer, which does not see
 * DMA, cannot know.
 */
__attribute__((no_sanitize("thread"), noinline)) static uint32_t peek(const volatile uint32_t *at)
{
	return *at;
}

__attribute__((no_sanitize("thread"), noinline)) static void poke(volatile uint32_t *at,
								  uint32_t value)
{
	*at = value;
}

/*
 * Bursts of reads, each of which must bring its block; pauses of up to twice the quiet interval
 * between them.
 */
static void *uses(void *arg)
{
	struct user *u = arg;
	struct drv *d = u->d;
	struct queue *q = u->q;
	uint64_t lba[64];

	while (!atomic_load(u->stop)) {
		unsigned burst = (unsigned)rand_r(&u->seed) % (q->entries - 1) + 1, got = 0,
			 pause = (unsigned)rand_r(&u->seed);
		uint64_t end = test_now() + 30000000000ull;
		bool each = rand_r(&u->seed) & 1, owed = false;
		struct nvme_cqe e;

		for (unsigned i = 0; i < burst; i++) {
			struct nvme_cmd c;

			lba[i] = (unsigned)rand_r(&u->seed) % (IMAGE / 512);
			c = rw(NVME_IO_READ, lba[i], 1, iova(u->data + i * 512), 0);
			c.cid = (uint16_t)i;
			memcpy(d->mem + q->sq + q->tail * 64, &c, 64);
			q->tail = (q->tail + 1) % q->entries;
			poke((uint32_t *)(d->mem + u->data + i * 512), 0);
			if (each)
				ring_sq(d, q);
		}
		if (!each)
			ring_sq(d, q);
		while (got < burst) {
			if (!take(d, q, &e)) {
				if (owed)
					ring_cq(d, q);
				owed = false;
				if (test_now() > end) {
					snprintf(u->lost, sizeof(u->lost),
						 "queue %u: %u of %u commands came back, the tail "
						 "is %u, the page has %u and is %s",
						 q->id, got, burst, q->tail,
						 atomic_load(&gate.page[2 * q->id]),
						 is_open() ? "open" : "closed");
					return NULL;
				}
				sched_yield();
				continue;
			}
			got++;
			/* late, so that the completion queue gets full */
			owed = true;
			if (got == burst || rand_r(&u->seed) % 2) {
				ring_cq(d, q);
				owed = false;
			}
			if (e.status >> 1 || e.cid >= burst ||
			    peek((uint32_t *)(d->mem + u->data + e.cid * 512)) !=
				    word(lba[e.cid])) {
				snprintf(u->lost, sizeof(u->lost),
					 "queue %u: command %u: status %x, or not its data", q->id,
					 e.cid, e.status >> 1);
				return NULL;
			}
			/*
			 * once only: block 0 has another word, but for a command that asked for it
			 */
			lba[e.cid] = 0;
		}
		u->done += burst;
		if (pause % 3 == 0)
			nanosleep(&(struct timespec){ .tv_nsec = (long)(pause / 3 % 60000) }, NULL);
	}
	return NULL;
}

static void write_words(struct drv *d)
{
	int fd = open(d->image, O_RDWR);

	for (uint64_t lba = 0; lba < IMAGE / 512; lba++) {
		uint32_t w = word(lba);

		assert_int_equal(pwrite(fd, &w, 4, (off_t)(lba * 512)), 4);
	}
	close(fd);
}

/* @seconds of it; returns how many commands. */
static uint64_t use(struct drv *d, unsigned cq_entries, double seconds,
		    void (*meanwhile)(struct drv *d))
{
	uint64_t end = test_now() + (uint64_t)(seconds * 1e9), done = 0;
	struct user user[THREADS] = { 0 };
	atomic_uint stop = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		struct user *u = &user[i];

		/* first: who runs the queue knows of what was written before it came to be */
		*u = (struct user){ .d = d,
				    .q = &d->io[i],
				    .stop = &stop,
				    .seed = i + 1,
				    .data = alloc_at(d, 64 * 512, 4096) };
		queue_make(d, &d->io[i], i + 1, 16, cq_entries);
		assert_int_equal(create_cq(d, &d->io[i], 0, false), 0);
		assert_int_equal(create_sq(d, &d->io[i], i + 1), 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&user[i].thread, NULL, uses, &user[i]), 0);
	while (test_now() < end ||
	       (!atomic_load(&gate.opens) && test_now() < end + 20000000000ull)) {
		if (meanwhile)
			meanwhile(d);
		else
			nap();
	}
	atomic_store(&stop, 1);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(user[i].thread, NULL);
		done += user[i].done;
	}
	for (unsigned i = 0; i < THREADS; i++)
		if (user[i].lost[0])
			fail_msg("%s", user[i].lost);
	return done;
}

static void stress(void **state, const char *microseconds, unsigned cq_entries,
		   void (*meanwhile)(struct drv *d))
{
	struct drv *d = *state = polled(microseconds);
	uint64_t done;

	write_words(d);
	enable(d);
	done = use(d, cq_entries, 1, meanwhile);
	print_message("poll=%s: %llu commands, opened %u times\n", microseconds,
		      (unsigned long long)done, atomic_load(&gate.opens));
	assert_true(done > 0);
	assert_int_equal(csts(d), NVME_CSTS_RDY);
}

/*
 * So short that it is seldom open, if ever on a slow machine: the wait is for the first time it is.
 */
static void test_stress_short(void **state)
{
	stress(state, "10", 16, NULL);
}

static void test_stress(void **state)
{
	stress(state, "40", 16, NULL);
}

static void test_stress_full_cq(void **state)
{
	stress(state, "40", 3, NULL);
}

static void test_stress_always_open(void **state)
{
	stress(state, FOREVER, 4, NULL);
}

/*
 * A queue that comes and goes, and whose commands complete, beside those that work; now and then
 * all is quiet, as before a fork.
 */
static void coming_and_going(struct drv *d)
{
	static unsigned round;

	queue_make(d, &d->io[5], 6, 8, 8);
	assert_int_equal(create_cq(d, &d->io[5], 0, false), 0);
	assert_int_equal(create_sq(d, &d->io[5], 6), 0);
	for (unsigned i = 0; i < 10; i++)
		flush(d, &d->io[5]);
	assert_int_equal(delete_sq(d, 6), 0);
	assert_int_equal(delete_cq(d, 6), 0);
	d->used = d->io[5].sq;
	if (round++ % 4 == 0)
		pci_function_quiesce(d->fn);
	nap();
}

static void test_stress_queues_and_quiesce(void **state)
{
	stress(state, "40", 16, coming_and_going);
}

/* ---- doorbell buffers ---- */

static struct {
	volatile uint32_t *db, *ei;
	void (*ring)(struct drv *d, uint64_t off, uint32_t value); /* the register */
} shadow;

/* 7.13: to memory; the register only if the controller wants to hear of it. */
static void shadow_ring(struct drv *d, uint64_t off, uint32_t value)
{
	unsigned i = (unsigned)(off - NVME_DOORBELLS) / 4;
	uint32_t old;

	if (i < 2) {
		shadow.ring(d, off, value);
		return;
	}
	old = shadow.db[i];
	__atomic_store_n(&shadow.db[i], value, __ATOMIC_SEQ_CST);
	__sync_synchronize();
	if ((uint16_t)(value - __atomic_load_n(&shadow.ei[i], __ATOMIC_SEQ_CST) - 1) <
	    (uint16_t)(value - old))
		shadow.ring(d, off, value);
}

static void buffers(struct drv *d)
{
	doorbell_buffers(d, &shadow.db, &shadow.ei);
	shadow.ring = d->ring;
	d->ring = shadow_ring;
}

/*
 * Nobody is asked to ring while a worker polls; when it stops it asks again. With the page mapped,
 * and not.
 */
static void test_buffers(void **state)
{
	struct drv *d;

	for (unsigned mapped = 0; mapped < 2; mapped++) {
		uint64_t done;

		d = *state = polled("40");
		write_words(d);
		enable(d);
		buffers(d);
		atomic_store(&gate.mappings, mapped);
		done = use(d, mapped ? 16 : 3, 0.7, NULL);
		print_message("doorbell buffers: %llu commands, opened %u times\n",
			      (unsigned long long)done, atomic_load(&gate.opens));
		assert_true(done > 0);
		teardown(state);
	}
}

/* ---- what is wrong in the open page ---- */

static void request_event(struct drv *d)
{
	post(d, &d->admin, &(struct nvme_cmd){ .opc = NVME_ADM_ASYNC_EVENT });
}

static void expect_event(struct drv *d, enum nvme_event ev)
{
	struct nvme_cqe e;

	reap(d, &d->admin, &e);
	assert_int_equal(e.status >> 1, 0);
	assert_int_equal(e.result & 0x7, ev >> 8);
	assert_int_equal(e.result >> 8 & 0xff, ev & 0xff);
	/* the log page is read, so that the next one of the kind is reported */
	assert_int_equal(admin(d,
			       (struct nvme_cmd){ .opc = NVME_ADM_GET_LOG,
						  .nsid = 0xffffffff,
						  .prp1 = iova(0x1f00000),
						  .cdw10 = 15 << 16 | 1 },
			       NULL),
			 0);
	request_event(d);
}

static void test_wrong_values(void **state)
{
	struct drv *d = *state = polled("5000");
	struct queue *q;

	enable(d);
	q = make_pair(d, 0, 16, 16);
	request_event(d);
	for (unsigned round = 0; round < 5; round++) {
		static const uint32_t bad[] = { 16, 17, 0x10000, 0xffffffff, 4096 };

		/* a tail that is none: taken back, and the queue goes on */
		open_it(d, q);
		atomic_store(&gate.page[2], bad[round]);
		expect_event(d, NVME_EV_INVALID_DB_VALUE);
		assert_int_equal(atomic_load(&gate.page[2]), q->tail);
		flush(d, q);
		/*
		 * a head that is none, or that is before the tail: nobody needs it, so it is found
		 * when the page closes
		 */
		open_it(d, q);
		pthread_mutex_lock(&gate.lock);
		if (gate.open)
			atomic_store(&gate.page[3], round & 1 ? bad[round] : (q->head + 1) % 16);
		pthread_mutex_unlock(&gate.lock);
		expect_event(d, NVME_EV_INVALID_DB_VALUE);
		/* back to a head that was good, if not the last one */
		assert_true(atomic_load(&gate.page[3]) < 16);
		flush(d, q);
		/* doorbells of queues that do not exist, at both ends of what there is */
		for (unsigned i = 0; i < 4; i++) {
			static const unsigned at[] = { 4, 5, 2 * 65, 1023 };

			open_it(d, q);
			pthread_mutex_lock(&gate.lock);
			if (gate.open)
				atomic_store(&gate.page[at[i]], 1);
			else
				i--;
			pthread_mutex_unlock(&gate.lock);
			if (i + 1 == 0 || !is_open())
				continue;
			expect_event(d, NVME_EV_INVALID_DB_REGISTER);
			assert_int_equal(atomic_load(&gate.page[at[i]]), 0);
		}
		flush(d, q);
	}
	assert_int_equal(csts(d), NVME_CSTS_RDY);
}

/*
 * Somebody writes anything anywhere in the page, all the time. Commands may be fetched that are
 * none; it never hangs, and a reset brings it back.
 */
static atomic_uint scribbling;

static void *scribbles(void *arg)
{
	struct drv *d = arg;
	unsigned seed = 5;

	while (atomic_load(&scribbling)) {
		unsigned r = (unsigned)rand_r(&seed), at = r % 3 ? r / 4 % 16 : r / 4 % 1024;
		uint32_t value = r % 5 ? (unsigned)rand_r(&seed) % 20 : (unsigned)rand_r(&seed);

		/* refused while it is reset */
		if (!gate_store(NVME_DOORBELLS + at * 4, value))
			pci_bar_write(d->fn, 0, NVME_DOORBELLS + at * 4, 4, value);
		if (r % 64 == 0)
			nap();
	}
	return NULL;
}

static void test_nonsense(void **state)
{
	struct drv *d = *state = polled("40");
	uint64_t end = test_now() + 1500000000ull;
	pthread_t thread;
	unsigned rounds = 0;

	for (; test_now() < end || rounds < 3; rounds++) {
		uint64_t until;

		d->used = 0;
		enable(d);
		for (unsigned i = 0; i < 4; i++) {
			make_pair(d, i, 16, 16);
			/* what is fetched is a read, a flush or nothing that there is */
			for (unsigned k = 0; k < 16; k++) {
				struct nvme_cmd c =
					rw(NVME_IO_READ, k, 1, iova(0x1000000 + i * 4096), 0);

				c.opc = k % 3 ? NVME_IO_READ : k % 2 ? NVME_IO_FLUSH : 0x7f;
				memcpy(d->mem + d->io[i].sq + k * 64, &c, 64);
			}
		}
		atomic_store(&scribbling, 1);
		assert_int_equal(pthread_create(&thread, NULL, scribbles, d), 0);
		for (until = test_now() + 50000000; test_now() < until;)
			nap();
		if (rounds % 3 == 1)
			pci_function_quiesce(d->fn);
		if (rounds % 3 == 2) {
			pci_function_reset(d->fn, UVFIO_RESET_FLR);
			pci_config_write(d->fn, PCI_COMMAND, 2,
					 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		} else {
			disable(d);
		}
		atomic_store(&scribbling, 0);
		pthread_join(thread, NULL);
		disable(d);
		enable(d);
		flush(d, make_pair(d, 0, 16, 16));
		assert_int_equal(csts(d), NVME_CSTS_RDY);
		disable(d);
	}
}

/* ---- a full completion queue ---- */

static void test_full_cq(void **state)
{
	struct drv *d = *state = polled(FOREVER);
	struct queue *q;
	struct nvme_cqe e;

	enable(d);
	queue_make(d, &d->io[0], 1, 32, 4);
	q = &d->io[0];
	assert_int_equal(create_cq(d, q, 0, false), 0);
	assert_int_equal(create_sq(d, q, 1), 0);
	open_it(d, q);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 20; i++)
			put(d, q, &(struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 });
		ring_sq(d, q);
		for (unsigned got = 0; got < 20; got++) {
			uint64_t end = test_now() + 20000000000ull;

			while (!take(d, q, &e))
				assert_true(test_now() < end);
			/*
			 * never more than there is room for: the head is what this driver says it
			 * is
			 */
			if (got % 3 == 2 || got == 19)
				ring_cq(d, q);
		}
	}
	assert_int_equal(csts(d), NVME_CSTS_RDY);
}

/* ---- the end of polling ---- */

static void again(struct drv *d)
{
	d->used = 0;
	pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	enable(d);
	make_pair(d, 0, 32, 32);
	open_it(d, &d->io[0]);
}

/*
 * All that ends the controller's work closes the page before it returns, with commands under way;
 * and it polls again afterwards.
 */
static void test_ends(void **state)
{
	struct drv *d = *state = polled(FOREVER);
	unsigned pm = 0;

	for (unsigned at = pci_config_read(d->fn, PCI_CAPABILITY_LIST, 1); at;
	     at = pci_config_read(d->fn, at + 1, 1))
		if (pci_config_read(d->fn, at, 1) == PCI_CAP_ID_PM)
			pm = at;
	assert_true(pm > 0);
	for (unsigned round = 0; round < 8; round++) {
		struct queue *q = &d->io[0];
		struct nvme_cqe e;

		again(d);
		for (unsigned i = 0; i < 20; i++)
			put(d, q, &(struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 });
		ring_sq(d, q);
		switch (round) {
		case 0:
			disable(d);
			break;
		case 1:
			pci_function_reset(d->fn, UVFIO_RESET_FLR);
			break;
		case 2:
			pci_function_reset(d->fn, UVFIO_RESET_BUS);
			break;
		case 3:
			pci_config_write(d->fn, pm + PCI_PM_CTRL, 2, 3);
			assert_false(is_open());
			pci_config_write(d->fn, pm + PCI_PM_CTRL, 2, 0);
			break;
		case 4:
			pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
			break;
		case 5: /* what was rung before completes */
			pci_function_quiesce(d->fn);
			for (unsigned i = 0; i < 20; i++)
				assert_true(take(d, q, &e));
			break;
		case 6:
			pci_set_pages_sink(d->fn, NULL);
			pci_set_pages_sink(d->fn, &pages);
			break;
		default: /* a shutdown leaves the queues, so the page too: all completes */
			wr(d, NVME_REG_CC, 4,
			   NVME_CQES << 20 | NVME_SQES << 16 | 1 << 14 | NVME_CC_EN);
			wait_csts(d, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE);
			for (unsigned i = 0; i < 20; i++)
				reap(d, q, &e);
			disable(d);
		}
		assert_false(is_open());
		pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		disable(d);
	}
	again(d);
	/* and pulled out while it is open */
}

/* ---- interrupts ---- */

static void msix(struct drv *d, bool on)
{
	unsigned at;

	for (at = pci_config_read(d->fn, PCI_CAPABILITY_LIST, 1);
	     pci_config_read(d->fn, at, 1) != PCI_CAP_ID_MSIX;)
		at = pci_config_read(d->fn, at + 1, 1);
	for (unsigned i = 0; i < 4; i++)
		wr(d, 0x2000 + 16 * i + 12, 4, 0);
	pci_config_write(d->fn, at + PCI_MSIX_FLAGS, 2, on ? PCI_MSIX_FLAGS_ENABLE : 0);
}

/*
 * With the pin a queue with interrupts is not polled: its doorbell takes the interrupt away. With
 * MSI-X it is, and each message is sent.
 */
static void test_interrupts(void **state)
{
	struct drv *d = *state = polled(FOREVER);
	struct queue *q = &d->io[1], *plain;
	unsigned before;
	uint64_t begin;

	enable(d);
	plain = make_pair(d, 0, 16, 16);
	open_it(d, plain);
	queue_make(d, q, 2, 16, 16);
	assert_int_equal(create_cq(d, q, 1, true), 0); /* of MSI-X; without it that is the pin */
	assert_int_equal(create_sq(d, q, 2), 0);
	wait_closed();
	before = atomic_load(&gate.opens);
	begin = test_now();
	/* longer than it stays closed where others need the processor */
	for (unsigned i = 0; i < 200 || test_now() < begin + 700000000; i++) {
		struct nvme_cqe e;

		post(d, q, &(struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 });
		for (uint64_t end = test_now() + 20000000000ull; !atomic_load(&d->irqs.intx_level);)
			assert_true(test_now() < end);
		assert_true(take(d, q, &e));
		ring_cq(d, q);
		assert_int_equal(atomic_load(&d->irqs.intx_level), 0);
		flush(d, plain);
	}
	assert_int_equal(atomic_load(&gate.opens), before);
	/* the queue goes: polled again */
	assert_int_equal(delete_sq(d, 2), 0);
	assert_int_equal(delete_cq(d, 2), 0);
	open_it(d, plain);
	/* MSI-X */
	msix(d, true);
	queue_clear(q);
	memset(d->mem + q->cq, 0, 16 * 16);
	assert_int_equal(create_cq(d, q, 1, true), 0);
	assert_int_equal(create_sq(d, q, 2), 0);
	/* by another queue: a message of this one may come after the driver has found its entry */
	open_it(d, plain);
	assert_int_equal(atomic_load(&d->irqs.msi[1]), 0);
	for (unsigned i = 0; i < 200; i++) {
		struct nvme_cqe e;
		uint64_t end = test_now() + 20000000000ull;

		post(d, q, &(struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 });
		while (atomic_load(&d->irqs.msi[1]) == (int)i)
			assert_true(test_now() < end);
		assert_true(take(d, q, &e));
		ring_cq(d, q);
	}
	assert_int_equal(atomic_load(&d->irqs.msi[1]), 200);
	/* back to the pin while it is open */
	open_it(d, q);
	msix(d, false);
	wait_closed();
	flush(d, q);
}

/* ---- when it polls ---- */

static double cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/*
 * After the quiet interval the page is closed and nobody uses a processor; one that rings now and
 * then is never polled.
 */
static void test_idle(void **state)
{
	struct drv *d = *state = polled("1000");
	struct queue *q;
	unsigned opens;
	uint64_t begin;
	double used;

	enable(d);
	q = make_pair(d, 0, 16, 16);
	open_it(d, q);
	wait_closed();
	begin = test_now();
	used = cpu();
	while (test_now() < begin + 500000000)
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	used = cpu() - used;
	assert_true(used < (double)(test_now() - begin) / 1e9 / 5);
	opens = atomic_load(&gate.opens);
	for (unsigned i = 0; i < 50; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 3000000 }, NULL);
		flush(d, q);
	}
	assert_int_equal(atomic_load(&gate.opens), opens);
	flush(d, q);
}

/* poll=0, and nobody maps the page. */
static void test_never(void **state)
{
	struct drv *d = *state = polled("0");

	enable(d);
	make_pair(d, 0, 16, 16);
	for (unsigned i = 0; i < 500; i++)
		flush(d, &d->io[0]);
	assert_int_equal(atomic_load(&gate.opens), 0);
	teardown(state);

	d = *state = polled(FOREVER);
	atomic_store(&gate.mappings, 0);
	enable(d);
	make_pair(d, 0, 16, 16);
	for (unsigned i = 0; i < 500; i++)
		flush(d, &d->io[0]);
	/* it asks at times */
	assert_true(atomic_load(&gate.opens) < 100);
	assert_int_equal(atomic_load(&gate.opens), atomic_load(&gate.closes));
}

/* ---- a driver in another process, which nobody tells that the page is closed ---- */

static void shared_ring(struct drv *d, uint64_t off, uint32_t value)
{
	atomic_store(&gate.page[(off - NVME_DOORBELLS) / 4], value);
}

static struct drv *shared(const char *microseconds)
{
	struct drv *d = polled(microseconds);

	atomic_store(&gate.mappings, 0);
	pci_pages_share(d->fn, true);
	d->ring = shared_ring;
	write_words(d);
	enable(d);
	return d;
}

static void test_shared(void **state)
{
	static const char *const poll[] = { "0", "40", FOREVER };
	struct drv *d;

	for (unsigned i = 0; i < ARRAY_SIZE(poll); i++) {
		uint64_t done;

		d = *state = shared(poll[i]);
		if (i == 1)
			buffers(d);
		done = use(d, i ? 16 : 3, 0.3, NULL);
		print_message("poll=%s: %llu commands\n", poll[i], (unsigned long long)done);
		assert_true(done > 0);
		/* it was idle for some time */
		make_pair(d, 3, 16, 16);
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
		flush(d, &d->io[3]);
		/* and what has no queue is an event, whoever else rings */
		if (i < 2) {
			request_event(d);
			atomic_store(&gate.page[1023], 1);
			expect_event(d, NVME_EV_INVALID_DB_REGISTER);
			assert_int_equal(atomic_load(&gate.page[1023]), 0);
		}
		teardown(state);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_stress_short, teardown),
		cmocka_unit_test_teardown(test_stress, teardown),
		cmocka_unit_test_teardown(test_stress_full_cq, teardown),
		cmocka_unit_test_teardown(test_stress_always_open, teardown),
		cmocka_unit_test_teardown(test_stress_queues_and_quiesce, teardown),
		cmocka_unit_test_teardown(test_buffers, teardown),
		cmocka_unit_test_teardown(test_wrong_values, teardown),
		cmocka_unit_test_teardown(test_nonsense, teardown),
		cmocka_unit_test_teardown(test_full_cq, teardown),
		cmocka_unit_test_teardown(test_ends, teardown),
		cmocka_unit_test_teardown(test_interrupts, teardown),
		cmocka_unit_test_teardown(test_idle, teardown),
		cmocka_unit_test_teardown(test_never, teardown),
		cmocka_unit_test_teardown(test_shared, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
