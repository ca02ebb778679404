/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/shadow_test.c: doorbell buffers (NVMe 1.4, 5.7, 7.13) under a driver that rings only
 * when it is asked to, against a worker that is stopped at any point, as a host with more threads
 * than CPUs stops it. What is lost then is lost for good: no later doorbell is owed.
 */
#include <dirent.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/syscall.h>

#include "base/test_threads.h"
#include "models/nvme/test_driver.h"

#define ROUNDS 6000

/* The thread that executes what is too large for the doorbell's own. */
static pid_t find_worker(void)
{
	DIR *dir = opendir("/proc/self/task");
	pid_t found = 0;
	struct dirent *e;

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		char path[300], comm[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		/* queue 1's, of as many as there are */
		if (fgets(comm, sizeof(comm), f) &&
		    (!strcmp(comm, "nvme-io1\n") || (!found && !strcmp(comm, "nvme-io0\n"))))
			found = (pid_t)atoi(e->d_name);
		fclose(f);
	}
	closedir(dir);
	assert_int_not_equal(found, 0);
	return found;
}

/* One of the few signals that workers do not block. */
static void stop_a_while(int sig)
{
	int err = errno;

	nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	errno = err;
}

/* 7.13: write the tail to memory; ring if that passes the event index. */
static void submit(struct drv *d, struct queue *q, const struct nvme_cmd *cmd,
		   volatile uint32_t *db, volatile uint32_t *ei)
{
	uint16_t old = (uint16_t)q->tail, new;

	put(d, q, cmd);
	new = (uint16_t)q->tail;
	__sync_synchronize();
	db[2 * q->id] = new;
	__sync_synchronize();
	if ((uint16_t)(new - ei[2 * q->id] - 1) < (uint16_t)(new - old))
		ring_sq(d, q);
}

static void test_no_doorbell_is_lost(void **state)
{
	struct drv *d = drv_new(1 << 20, "/dev/shm", NULL, 0);
	uint64_t data, list, usual = 0;
	struct sigaction sa = { .sa_handler = stop_a_while };
	struct nvme_cmd big, small;
	volatile uint32_t *db, *ei;
	unsigned seed = 1;
	struct queue *q;
	struct nvme_cqe e;
	pid_t worker;

	*state = d;
	assert_true(threads_gone("nvme-"));
	enable(d);
	data = alloc_at(d, 256 << 10, 4096);
	list = alloc_at(d, 4096, 4096);
	doorbell_buffers(d, &db, &ei);
	q = make_pair(d, 0, 64, 64);
	for (unsigned i = 0; i < 63; i++)
		((uint64_t *)(d->mem + list))[i] = iova(data + (i + 1) * 4096);
	big = rw(NVME_IO_READ, 0, 128 << 10 >> 9, iova(data), iova(list));
	small = rw(NVME_IO_READ, 0, 1, iova(data), 0);
	worker = find_worker();
	for (unsigned i = 0; i < 16; i++) {
		uint64_t begin = test_now();

		submit(d, q, &big, db, ei);
		while (!take(d, q, &e))
			assert_true(test_now() < begin + 3000000000ull);
		db[2 * q->id + 1] = q->head;
		usual = !i || test_now() - begin < usual ? test_now() - begin : usual;
	}
	sigaction(SIGFPE, &sa, NULL);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t begin = test_now(), end = begin + 3000000000ull, done;
		unsigned got = 0;

		submit(d, q, &big, db, ei);
		/*
		 * stop the worker about when it has completed that and looks whether there is more
		 */
		seed = seed * 1103515245 + 12345;
		done = begin + usual / 2 + (seed >> 8) % (usual + 1);
		while (test_now() < done)
			got += take(d, q, &e);
		syscall(SYS_tgkill, getpid(), worker, SIGFPE);
		while (!got && test_now() < done + 20000)
			got += take(d, q, &e);
		submit(d, q, &small, db, ei);
		while (got < 2)
			if (take(d, q, &e))
				got++;
			else if (test_now() > end)
				fail_msg("round %u: tail %u, event index %u, and nobody fetches",
					 round, q->tail, ei[2 * q->id]);
		db[2 * q->id + 1] = q->head;
	}
	/*
	 * the last one may be on its way: ignoring a signal drops it, the default would end the
	 * test
	 */
	signal(SIGFPE, SIG_IGN);
}

/* ---- the pin: a driver that goes on while the controller asks for its doorbell ---- */

static char *trapped;
static volatile uint32_t *moves;

/*
 * The controller writes the event index: just now the driver takes one entry more, and sees the old
 * index.
 */
static void on_event_index(int sig, siginfo_t *info, void *uc)
{
	if (!trapped || (char *)info->si_addr < trapped || (char *)info->si_addr >= trapped + 4096)
		_exit(99);
	mprotect(trapped, 4096, PROT_READ | PROT_WRITE);
	++*moves;
}

static void test_pin_falls(void **state)
{
	struct drv *d = drv_new(1 << 20, "/dev/shm", NULL, 0);
	struct sigaction sa = { .sa_sigaction = on_event_index, .sa_flags = SA_SIGINFO }, before;
	uint64_t data;
	volatile uint32_t *db, *ei;
	struct queue *q = &d->io[0];
	struct nvme_cmd read;
	struct nvme_cqe e;

	*state = d;
	enable(d);
	data = alloc_at(d, 4096, 4096);
	read = rw(NVME_IO_READ, 0, 1, iova(data), 0);
	doorbell_buffers(d, &db, &ei);
	queue_make(d, q, 1, 16, 16);
	assert_int_equal(create_cq(d, q, 0, true), 0);
	assert_int_equal(create_sq(d, q, 1), 0);
	for (int i = 0; i < 3; i++)
		put(d, q, &read);
	db[2] = q->tail;
	ring_sq(d, q);
	for (uint64_t end = test_now() + 3000000000ull; q->head < 3;) {
		take(d, q, &e);
		assert_true(test_now() < end);
	}
	assert_int_equal(d->irqs.intx_level, 1);
	/* one taken and rung; a second one while that is looked at */
	trapped = (char *)ei;
	moves = db + 3;
	db[3] = 1;
	sigaction(SIGSEGV, &sa, &before);
	mprotect(trapped, 4096, PROT_READ);
	wr(d, NVME_DOORBELLS + 8 + 4, 4, 1);
	sigaction(SIGSEGV, &before, NULL);
	assert_int_equal(db[3], 2);
	assert_int_equal(d->irqs.intx_level, 1);
	/* the third: rung if the event index says so */
	db[3] = 3;
	if ((uint16_t)(3 - ei[3] - 1) < (uint16_t)(3 - 2))
		wr(d, NVME_DOORBELLS + 8 + 4, 4, 3);
	assert_int_equal(d->irqs.intx_level, 0);
}

/* ---- the admin queue, in the buffers too: as libvfn; and as Linux, after rung commands ---- */

static void test_admin_queue(void **state)
{
	struct drv *d = drv_new(1 << 20, "/dev/shm", NULL, 0);
	struct nvme_cmd get = { .opc = NVME_ADM_GET_FEATURES, .cdw10 = 7 };
	struct queue *q = &d->admin;
	volatile uint32_t *db, *ei;
	unsigned rung = 0;
	struct nvme_cqe e;

	*state = d;
	enable(d);
	doorbell_buffers(d, &db, &ei);
	for (int i = 0; i < 5; i++)
		assert_int_equal(admin(d, get, NULL), 0);
	assert_int_equal(db[0], 1); /* the tail at the time of the command */
	for (int i = 0; i < 100; i++) {
		uint64_t end = test_now() + 3000000000ull;
		uint16_t old = (uint16_t)db[0], head = (uint16_t)db[1];
		bool any = false;

		/* several at once, and alone */
		for (int k = 0; k <= i % 3; k++)
			put(d, q, &get);
		db[0] = q->tail;
		__sync_synchronize();
		if ((uint16_t)(q->tail - ei[0] - 1) < (uint16_t)(q->tail - old)) {
			ring_sq(d, q);
			rung++;
		}
		for (int k = 0; k <= i % 3; k += any) {
			any = take(d, q, &e);
			assert_int_equal(any ? e.status >> 1 : 0, 0);
			assert_true(test_now() < end);
		}
		db[1] = q->head;
		__sync_synchronize();
		if ((uint16_t)(q->head - ei[1] - 1) < (uint16_t)(q->head - head))
			ring_cq(d, q);
	}
	assert_true(rung > 0);
	assert_int_equal(csts(d) & NVME_CSTS_CFS, 0);
}

/*
 * ---- writes of config space: a driver that is another process may answer no DMA meanwhile, so
 * none waits for DMA without need ----
 */

/* Change something that is nothing of DMA: the model is told of changes alone. */
static void flip_config(struct drv *d)
{
	uint32_t command = pci_config_read(d->fn, PCI_COMMAND, 2);

	pci_config_write(d->fn, PCI_COMMAND, 2, command ^ PCI_COMMAND_INTX_DISABLE);
}

/* The buffers are looked at when bus mastering comes back, and only then. */
static void test_config_write(void **state)
{
	const struct pci_option option = { "poll", "0" };
	struct drv *d = drv_new(1 << 20, "/dev/shm", &option, 1);
	struct nvme_cmd get = { .opc = NVME_ADM_GET_FEATURES, .cdw10 = 7 };
	struct queue *q = &d->admin;
	volatile uint32_t *db, *ei;
	struct nvme_cqe e;

	*state = d;
	enable(d);
	doorbell_buffers(d, &db, &ei);
	put(d, q, &get);
	db[0] = q->tail;
	__sync_synchronize();
	ring_sq(d, q);
	assert_true(take(d, q, &e));
	db[1] = q->head;
	put(d, q, &get);
	db[0] = q->tail; /* and the doorbell is forgotten */
	__sync_synchronize();
	flip_config(d); /* who looks executes the command at once */
	assert_false(take(d, q, &e));
	pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_false(take(d, q, &e));
	pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(take(d, q, &e));
	assert_int_equal(e.status >> 1, 0);
}

static struct {
	struct drv *d;
	sem_t go, done;
	bool in_time;
} meanwhile;

static void *flip_meanwhile(void *arg)
{
	while (sem_wait(&meanwhile.go))
		;
	flip_config(meanwhile.d);
	sem_post(&meanwhile.done);
	return NULL;
}

/* A completion is written: just now config space is, too. */
static void on_completion(int sig, siginfo_t *info, void *uc)
{
	struct timespec end;

	if (!trapped || (char *)info->si_addr < trapped || (char *)info->si_addr >= trapped + 4096)
		_exit(99);
	mprotect(trapped, 4096, PROT_READ | PROT_WRITE);
	sem_post(&meanwhile.go);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 5;
	meanwhile.in_time = !sem_timedwait(&meanwhile.done, &end);
}

/* With MSI-X nothing depends on what is pending: a completion that is posted is not waited for. */
static void test_config_write_waits_for_none(void **state)
{
	struct sigaction sa = { .sa_sigaction = on_completion, .sa_flags = SA_SIGINFO }, before;
	struct drv *d = drv_new(1 << 20, "/dev/shm", NULL, 0);
	struct nvme_cmd get = { .opc = NVME_ADM_GET_FEATURES, .cdw10 = 7 };
	struct queue *q = &d->admin;
	struct nvme_cqe e;
	pthread_t thread;

	*state = d;
	enable(d);
	pci_msix_enable(d->fn);
	assert_int_equal(admin(d, get, NULL), 0);
	meanwhile.d = d;
	sem_init(&meanwhile.go, 0, 0);
	sem_init(&meanwhile.done, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, flip_meanwhile, NULL), 0);
	trapped = d->mem + (q->cq & ~4095ull);
	sigaction(SIGSEGV, &sa, &before);
	mprotect(trapped, 4096, PROT_READ);
	put(d, q, &get);
	ring_sq(d, q);
	sigaction(SIGSEGV, &before, NULL);
	pthread_join(thread, NULL);
	assert_true(meanwhile.in_time);
	assert_true(take(d, q, &e));
	sem_destroy(&meanwhile.go);
	sem_destroy(&meanwhile.done);
}

static int teardown(void **state)
{
	if (*state)
		unplug(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_no_doorbell_is_lost, teardown),
		cmocka_unit_test_teardown(test_pin_falls, teardown),
		cmocka_unit_test_teardown(test_admin_queue, teardown),
		cmocka_unit_test_teardown(test_config_write, teardown),
		cmocka_unit_test_teardown(test_config_write_waits_for_none, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
