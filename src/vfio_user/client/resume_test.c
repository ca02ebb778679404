/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/resume_test.c: a device that outlives its server: the server dies, and whoever
 * uses the device goes on without noticing, or is told by ERR that it was reset.
 */
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "vfio_user/client/test_lasting.h"

#define SEC 1000000000ull

/* The server's view of the client, to be compared over its death. */
static unsigned maps_of(struct world *w)
{
	unsigned n;

	pthread_mutex_lock(&w->t.lock);
	n = w->t.num_maps;
	pthread_mutex_unlock(&w->t.lock);
	return n;
}

/* Signal vector @v as the server does; false: it has no eventfd. */
static bool raise_irq(struct world *w, uint32_t index, unsigned v)
{
	eventfd_t one = 1;
	bool has;

	pthread_mutex_lock(&w->t.lock);
	has = w->t.fds[index][v] >= 0;
	if (has)
		assert_int_equal(sys_write(w->t.fds[index][v], &one, 8), 8);
	pthread_mutex_unlock(&w->t.lock);
	return has;
}

/* Check what the client said last when it connected. */
static void check_said(struct world *w, enum vu_lasting_kind kind, uint8_t id)
{
	pthread_mutex_lock(&w->t.lock);
	assert_int_equal(script.said.kind, kind);
	assert_int_equal(script.said.id[0], id);
	pthread_mutex_unlock(&w->t.lock);
}

/* ---- going on ---- */

static void check_goes_on(struct world *w, bool twin)
{
	int fd[3], spare;
	eventfd_t n;
	uint64_t bytes;

	script.twin = twin;
	plug(w, 30 * SEC);
	for (int i = 0; i < 3; i++)
		fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)w->mem, K, RW), 0);
	assert_int_equal(vfio_ioas_map(w->io, 4 * K, (uintptr_t)w->shared, K, RW), 0);
	assert_int_equal(vfio_ioas_map(w->io, 8 * K, (uintptr_t)w->shared + K, K, RW), 0);
	assert_int_equal(set_irqs(w, VFIO_PCI_MSIX_IRQ_INDEX, EVENTFDS, 0, 3, fd), 0);
	/* the program keeps none of its descriptors, but has what they are of */
	spare = dup(fd[1]);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	close(w->file);
	w->file = -1;
	write_reg(w, REG_ADD, 5);

	/* nobody is in the device: it comes back by itself */
	test_server_kill(&w->t);
	while (!times("goes on where it was"))
		usleep(1000);
	assert_int_equal(times("is connected to again"), 1);
	assert_int_equal(read_reg(w, REG_ADD), 5);
	assert_int_equal(maps_of(w), 3);
	assert_int_equal(script_of(w, &script.runs), 1);
	check_said(w, VU_LASTING_RESUME, 7);
	assert_true(raise_irq(w, VFIO_PCI_MSIX_IRQ_INDEX, 1));
	assert_false(raise_irq(w, VFIO_PCI_MSIX_IRQ_INDEX, 3));
	assert_int_equal(eventfd_read(spare, &n), 0);
	assert_int_equal(n, 1);
	assert_true(raise_irq(w, VFIO_PCI_ERR_IRQ_INDEX, 0));
	assert_int_equal(errs(w), 1);
	/* and once more, with less */
	assert_int_equal(vfio_ioas_unmap(w->io, 4 * K, K, &bytes), 0);
	assert_int_equal(set_irqs(w, VFIO_PCI_MSIX_IRQ_INDEX,
				  VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, NULL),
			 0);
	test_server_kill(&w->t);
	assert_int_equal(read_reg(w, REG_COUNT), 0);
	assert_int_equal(maps_of(w), 2);
	assert_false(raise_irq(w, VFIO_PCI_MSIX_IRQ_INDEX, 1));
	assert_int_equal(errs(w), 0);
	close(spare);
}

static void test_goes_on(void **state)
{
	check_goes_on(*state, false);
}

static void test_goes_on_twin(void **state)
{
	check_goes_on(*state, true);
}

/* INTx: what masks and unmasks it. Masks of messages, where they are the user's. */
static void test_masks(void **state)
{
	const uint32_t mask = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK,
		       bools = VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_UNMASK;
	struct world *w = *state;
	int fds[2] = { w->err, -1 };
	unsigned before;

	find(w, 30 * SEC);
	w->c->vdev.maskable = true;
	vfio_open_init(&w->o, vu_client_vdev(w->c));
	assert_int_equal(vfio_open_bind(&w->o), 0);
	assert_int_equal(set_irqs(w, VFIO_PCI_MSIX_IRQ_INDEX, EVENTFDS, 0, 2, fds), 0);
	assert_int_equal(set_irqs(w, VFIO_PCI_MSIX_IRQ_INDEX, mask, 0, 2, NULL), 0);
	assert_int_equal(set_irqs(w, VFIO_PCI_MSIX_IRQ_INDEX, bools, 0, 2, "\0\1"), 0);
	assert_int_equal(w->c->kept[VFIO_PCI_MSIX_IRQ_INDEX].masked[0], 1);
	assert_int_equal(w->c->kept[VFIO_PCI_MSIX_IRQ_INDEX].masked[1], 0);
	before = test_count(&w->t, VU_DEVICE_SET_IRQS);
	test_server_kill(&w->t);
	read_reg(w, REG_COUNT);
	/* without eventfds, with one, without the other one, and the masks */
	assert_int_equal(test_count(&w->t, VU_DEVICE_SET_IRQS) - before, 4);
	assert_int_equal(errs(w), 0);
}

/* A server dies at a command, and the next one at each message of the way back in turn. */
static void test_dies_again(void **state)
{
	struct world *w = *state;
	uint64_t sum = 0;
	unsigned clients, n, last = 0;
	int fd[2] = { w->err, w->err };

	script.twin = true;
	plug(w, 30 * SEC);
	assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)w->mem, K, RW), 0);
	assert_int_equal(vfio_ioas_map(w->io, 4 * K, (uintptr_t)w->shared, K, RW), 0);
	assert_int_equal(set_irqs(w, VFIO_PCI_MSIX_IRQ_INDEX, EVENTFDS, 0, 2, fd), 0);
	for (n = 1; n < 60 && !last; n++)
		for (enum death how = BEFORE_IT; how <= AFTER_IT; how++) {
			/* it goes while a write is under way, which is carried out or not */
			die_in(w, 1, how);
			write_reg(w, REG_ADD, 1);
			assert_int_equal(read_reg(w, REG_ADD), ++sum);
			clients = atomic_load(&w->t.clients);
			die_in(w, n, how);
			test_server_kill(&w->t);
			write_reg(w, REG_ADD, 1);
			assert_int_equal(read_reg(w, REG_ADD), ++sum);
			if (atomic_load(&w->t.clients) - clients == 1)
				last = n;
			die_in(w, 0, how);
		}
	/* all of the way back was seen; it may have died behind the last answer */
	assert_int_equal(read_reg(w, REG_ADD), sum);
	assert_true(last > 20);
	assert_int_equal(errs(w), 0);
	assert_int_equal(maps_of(w), 2);
	assert_int_equal(times("but"), 0);
}

/* ---- several at once ---- */

#define EACH 150u
struct adder {
	pthread_t thread;
	struct world *w;
};

static void *add_ones(void *arg)
{
	struct adder *a = arg;

	for (unsigned i = 0; i < EACH; i++)
		write_reg(a->w, REG_ADD, 1);
	return NULL;
}

static void *count_up(void *arg)
{
	struct adder *a = arg;

	for (unsigned i = 0; i < EACH; i++)
		assert_int_equal(read_reg(a->w, REG_COUNT), i);
	return NULL;
}

static void *map_and_unmap(void *arg)
{
	struct adder *a = arg;
	uint64_t bytes;

	for (unsigned i = 0; i < EACH / 2; i++) {
		uintptr_t at = (uintptr_t)(i % 2 ? a->w->mem : a->w->shared);

		assert_int_equal(vfio_ioas_map(a->w->io, i % 4 * K, at, K, RW), 0);
		if (i >= 3)
			assert_int_equal(vfio_ioas_unmap(a->w->io, (i + 1) % 4 * K, K, &bytes), 0);
	}
	return NULL;
}

static void *set_and_clear(void *arg)
{
	struct adder *a = arg;
	int fds[4] = { a->w->err, a->w->err, -1, a->w->err };

	for (unsigned i = 0; i < EACH / 8; i++) {
		assert_int_equal(set_irqs(a->w, VFIO_PCI_MSIX_IRQ_INDEX, EVENTFDS, 0, 4, fds), 0);
		if (i + 1 < EACH / 8)
			assert_int_equal(
				set_irqs(a->w, VFIO_PCI_MSIX_IRQ_INDEX,
					 VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0,
					 NULL),
				0);
	}
	return NULL;
}

static void test_threads(void **state)
{
	static void *(*const what[])(void *) = { add_ones, add_ones, count_up, map_and_unmap,
						 set_and_clear };
	struct world *w = *state;
	struct adder a[ARRAY_SIZE(what)];

	plug(w, 60 * SEC);
	pthread_mutex_lock(&w->t.lock);
	script.chance = 40;
	script.deaths = 60;
	script.seed = 1;
	pthread_mutex_unlock(&w->t.lock);
	for (unsigned i = 0; i < ARRAY_SIZE(what); i++) {
		a[i].w = w;
		assert_int_equal(pthread_create(&a[i].thread, NULL, what[i], &a[i]), 0);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(what); i++)
		pthread_join(a[i].thread, NULL);
	assert_int_equal(read_reg(w, REG_ADD), 2 * EACH);
	assert_int_equal(maps_of(w), 3);
	assert_true(raise_irq(w, VFIO_PCI_MSIX_IRQ_INDEX, 0));
	assert_false(raise_irq(w, VFIO_PCI_MSIX_IRQ_INDEX, 2));
	assert_true(raise_irq(w, VFIO_PCI_MSIX_IRQ_INDEX, 3));
	assert_int_equal(errs(w), 2);
	pthread_mutex_lock(&w->t.lock);
	assert_true(script.deaths < 60 && script.versions > 3);
	pthread_mutex_unlock(&w->t.lock);
}

/* ---- it was reset ---- */

static void test_reset(void **state)
{
	struct world *w = *state;
	uint32_t v = 0;

	plug(w, 30 * SEC);
	assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)w->mem, K, RW), 0);
	v = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	assert_int_equal(
		vfio_device_rw(&w->o, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &v, 2, true), 2);
	write_reg(w, REG_ADD, 3);
	pthread_mutex_lock(&w->t.lock);
	script.answer = VU_LASTING_LOST;
	pthread_mutex_unlock(&w->t.lock);
	/* a store without an answer is not made again */
	die_in(w, 1, BEFORE_IT);
	write_reg(w, REG_ADD, 100);
	assert_int_equal(errs(w), 1);
	said("but the device was reset (it died in the middle), its user is told by ERR");
	assert_int_equal(read_reg(w, REG_ADD), 3);
	assert_int_equal(script_of(w, &script.runs), 0);
	assert_int_equal(maps_of(w), 1);
	/* a read is, with a number that nothing before had */
	pthread_mutex_lock(&w->t.lock);
	w->t.config[PCI_COMMAND] = 0;
	pthread_mutex_unlock(&w->t.lock);
	die_in(w, 1, WITHOUT_WORD);
	assert_int_equal(read_reg(w, REG_COUNT), 1);
	assert_int_equal(errs(w), 1);
	pthread_mutex_lock(&w->t.lock);
	assert_int_equal(w->t.config[PCI_COMMAND], PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	pthread_mutex_unlock(&w->t.lock);
	/* the program resets it, and goes on: it is another device now, which lasts */
	assert_int_equal(vfio_device_reset(&w->o), 0);
	pthread_mutex_lock(&w->t.lock);
	script.answer = VU_LASTING_RESUMED;
	pthread_mutex_unlock(&w->t.lock);
	test_server_kill(&w->t);
	write_reg(w, REG_ADD, 1);
	assert_int_equal(read_reg(w, REG_ADD), 4);
	check_said(w, VU_LASTING_RESUME, 9);
	assert_int_equal(errs(w), 0);
	/* it says that it goes on, and then does not */
	pthread_mutex_lock(&w->t.lock);
	script.run_error = -EIO;
	pthread_mutex_unlock(&w->t.lock);
	test_server_kill(&w->t);
	write_reg(w, REG_ADD, 1);
	assert_int_equal(errs(w), 1);
	said("was reset (it did not go on)");
}

/* ---- it does not come back ---- */

static void check_gone(struct world *w)
{
	uint64_t bytes;

	assert_true(read_reg(w, REG_COUNT) == UINT64_MAX);
	assert_int_equal(errs(w), 1);
	write_reg(w, REG_ADD, 1);
	assert_int_equal(vfio_device_reset(&w->o), -ENOTTY);
	assert_int_equal(set_irqs(w, VFIO_PCI_MSIX_IRQ_INDEX, EVENTFDS, 0, 1, &w->err), -EIO);
	assert_int_equal(vfio_ioas_map(w->io, 12 * K, (uintptr_t)w->mem, K, RW), 0);
	assert_int_equal(vfio_ioas_unmap(w->io, 12 * K, K, &bytes), 0);
	assert_int_equal(times("is connected to again, for up to"), 1);
	said("its user is told by ERR");
}

static void test_gives_up(void **state)
{
	struct world *w = *state;

	plug(w, SEC / 5);
	assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)w->shared, K, RW), 0);
	hide(w, true);
	test_server_kill(&w->t);
	check_gone(w);
	said("has not come back in 0 s (No such file or directory: is its server running?)");
	hide(w, false);
	unplug(w);
	/* the next open is a new connection */
	plug(w, SEC);
	assert_int_equal(read_reg(w, REG_COUNT), 0);
}

/* Another device is there, or none of ours: what is changed is named. */
static void come_back_as(struct world *w, void (*change)(struct world *w), const char *line)
{
	plug(w, 30 * SEC);
	forget();
	pthread_mutex_lock(&w->t.lock);
	change(w);
	pthread_mutex_unlock(&w->t.lock);
	test_server_kill(&w->t);
	check_gone(w);
	said("came back, but cannot be used");
	said(line);
	unplug(w);
	pthread_mutex_lock(&w->t.lock);
	script = (struct script){ .answer = VU_LASTING_RESUMED, .id = 7, .takes = 2 };
	w->t.config[0] = 0x34;
	w->t.config[PCI_BASE_ADDRESS_0] = 0;
	w->t.hook = on_message;
	pthread_mutex_unlock(&w->t.lock);
}

static void other_vendor(struct world *w)
{
	w->t.config[0] ^= 1;
}

static void other_bar(struct world *w)
{
	w->t.config[PCI_BASE_ADDRESS_0] = PCI_BASE_ADDRESS_MEM_PREFETCH;
}

static void other_id(struct world *w)
{
	script.id = 8;
}

static void no_answer(struct world *w)
{
	script.answer = VU_LASTING_NONE;
}

static void new_one(struct world *w)
{
	script.answer = VU_LASTING_NEW;
}

static void fewer_fds(struct world *w)
{
	script.takes = 1;
}

/* Its MSI-X has other vectors. */
static bool other_irqs(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	struct vfio_irq_info info = { sizeof(info), VFIO_IRQ_INFO_EVENTFD, 2, 3 };

	if (m->header.command != VU_DEVICE_GET_IRQ_INFO || m->data[8] != 2)
		return on_message(t, c, m);
	test_answer(c, m, &info, sizeof(info));
	return true;
}

static void fewer_irqs(struct world *w)
{
	w->t.hook = other_irqs;
}

static bool garbage(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	static const char text[64] = "HTTP/1.1 400 Bad Request";

	test_raw(c, text, sizeof(text));
	return true;
}

static void talks_otherwise(struct world *w)
{
	w->t.hook = garbage;
}

static bool garbage_later(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	if (m->header.command != VU_DEVICE_GET_INFO)
		return on_message(t, c, m);
	test_answer(c, m, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16);
	return true;
}

static bool refuses_map(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	if (m->header.command != VU_DMA_MAP)
		return on_message(t, c, m);
	test_error(c, m, -ENOSPC);
	return true;
}

static void no_maps(struct world *w)
{
	w->t.hook = refuses_map;
}

static void test_changed(void **state)
{
	struct world *w = *state;

	come_back_as(w, other_vendor, "another device is there now: 1235:5678, it was 1234:5678");
	come_back_as(w, other_bar, "its BAR0 is another one now");
	come_back_as(w, fewer_irqs, "it has 3 interrupts of index 2 now (flags 0x1), it had 8");
	come_back_as(w, fewer_fds, "it takes less now: 1 descriptors");
	come_back_as(w, other_id, "its answer to who comes back is none");
	come_back_as(w, new_one, "its answer to who comes back is none");
	come_back_as(w, no_answer, "its device does not outlive its server any more");
	come_back_as(w, talks_otherwise, "VERSION: Protocol error");
	assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)w->mem, K, RW), 0);
	come_back_as(w, no_maps, "it refuses what it had mapped, at IOVA 0x0");
}

/* A server that talks nonsense on the way is tried again until the time is over. */
static void test_nonsense(void **state)
{
	struct world *w = *state;

	plug(w, SEC / 5);
	test_set_hook(&w->t, garbage_later);
	test_server_kill(&w->t);
	check_gone(w);
}

/* Answer one message of the way back by whatever comes to mind. */
static bool answers_anything(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	uint8_t bytes[256];
	size_t len = rand_r(&script.seed) % sizeof(bytes);

	if (!script.dies_in || --script.dies_in)
		return serve_it(t, c, m);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(rand_r(&script.seed) % 5 ? rand_r(&script.seed) % 3 : 255);
	switch (rand_r(&script.seed) % 4) {
	case 0: /* of another length, or with other numbers in it */
		test_answer(c, m, bytes, len);
		break;
	case 1:
		memcpy(bytes, m->data, m->len < 8 ? m->len : 8);
		test_answer(c, m, bytes, len);
		break;
	case 2:
		test_error(c, m, -(int)(1 + len % 130));
		break;
	default:
		test_raw(c, bytes, len);
		vu_conn_kill(c, -ENODEV);
	}
	return true;
}

static void test_anything(void **state)
{
	struct world *w = *state;
	uint64_t v;

	for (unsigned i = 0; i < 120; i++) {
		pthread_mutex_lock(&w->t.lock);
		script.seed = i;
		script.hostile = true;
		pthread_mutex_unlock(&w->t.lock);
		plug(w, SEC / 10);
		assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)w->mem, K, RW), 0);
		assert_int_equal(set_irqs(w, VFIO_PCI_MSIX_IRQ_INDEX, EVENTFDS, 0, 1, &w->err), 0);
		die_in(w, i % 40 + 1, BEFORE_IT);
		test_set_hook(&w->t, answers_anything);
		test_server_kill(&w->t);
		/* it takes the answer, or the next one, or gives up; a register has any value */
		vfio_device_mmio(&w->o, 0, REG_ADD, 8, &v, false);
		assert_true(!vu_session_is_lost(w->c->session) || errs(w) == 1);
		die_in(w, 0, BEFORE_IT);
		test_set_hook(&w->t, on_message);
		unplug(w);
		assert_int_equal(vfio_ioas_unmap(w->io, 0, K, &v), 0);
		forget();
		errs(w);
	}
}

/* ---- who does not wait ---- */

static void *read_one(void *arg)
{
	struct adder *a = arg;

	assert_true(read_reg(a->w, REG_COUNT) == UINT64_MAX);
	return NULL;
}

/* Closing the device, and taking it away, end the wait: of others, too. */
static void test_closed(void **state)
{
	struct world *w = *state;
	struct adder a = { .w = w };
	uint64_t start;
	int fd = eventfd(0, EFD_CLOEXEC);

	plug(w, 600 * SEC);
	assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)w->shared, K, RW), 0);
	/* this one waits for an answer when the device is closed */
	assert_int_equal(vfio_device_ioeventfd(&w->o, 8, REG_ADD, 1, fd), 0);
	hide(w, true);
	test_server_kill(&w->t);
	while (!times("is connected to again"))
		usleep(1000);
	eventfd_write(fd, 1);
	start = now_ns();
	unplug(w);
	assert_true(now_ns() - start < 60 * SEC);
	hide(w, false);
	assert_int_equal(errs(w), 0);

	plug(w, 600 * SEC);
	hide(w, true);
	test_server_kill(&w->t);
	assert_int_equal(pthread_create(&a.thread, NULL, read_one, &a), 0);
	vu_client_lose(w->c);
	pthread_join(a.thread, NULL);
	assert_int_equal(errs(w), 1);
	said("is gone (ENODEV)");
	hide(w, false);
	unplug(w);
	/* and while it is there */
	plug(w, 600 * SEC);
	assert_int_equal(read_reg(w, REG_COUNT), 0);
	vu_client_lose(w->c);
	assert_true(read_reg(w, REG_COUNT) == UINT64_MAX);
	assert_int_equal(errs(w), 1);
	close(fd);
}

/* A child of the program lets go of it, whatever its parent does with it meanwhile. */
static void test_fork(void **state)
{
	struct world *w = *state;
	int status;
	pid_t pid;

	plug(w, 30 * SEC);
	assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)w->shared, K, RW), 0);
	hide(w, true);
	test_server_kill(&w->t);
	pid = fork();
	if (!pid) {
		vu_client_abandon(w->c);
		_exit(w->c->dma.pieces.root ? 7 : 8);
	}
	hide(w, false);
	assert_int_equal(read_reg(w, REG_COUNT), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_int_equal(maps_of(w), 1);
}

static void on_signal(int sig)
{
}

/* Signals that come while somebody waits. */
static void test_signals(void **state)
{
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
	struct sigaction a = { .sa_handler = on_signal }, old;
	struct world *w = *state;

	plug(w, 60 * SEC);
	sigaction(SIGALRM, &a, &old);
	setitimer(ITIMER_REAL, &often, NULL);
	for (unsigned i = 0; i < 20; i++) {
		die_in(w, 1, (enum death)(i % 3));
		write_reg(w, REG_ADD, 1);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
	assert_int_equal(read_reg(w, REG_ADD), 20);
}

/* Who does not want it, and who has a server whose device does not last, has what was before. */
static void test_without(void **state)
{
	struct world *w = *state;

	plug(w, 0);
	check_said(w, VU_LASTING_NONE, 0);
	test_server_kill(&w->t);
	assert_true(read_reg(w, REG_COUNT) == UINT64_MAX);
	said("is gone (it closed the connection)");
	assert_int_equal(times("connected to again"), 0);
	unplug(w);
	test_set_hook(&w->t, NULL);
	pthread_mutex_lock(&w->t.lock);
	w->t.caps = TEST_CAPS;
	pthread_mutex_unlock(&w->t.lock);
	plug(w, 30 * SEC);
	test_server_kill(&w->t);
	assert_true(read_reg(w, REG_COUNT) == UINT64_MAX);
	assert_int_equal(times("connected to again"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(test_goes_on_twin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_masks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dies_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gives_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(test_anything, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fork, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
