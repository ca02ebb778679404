/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/test_lasting.h: a server of vfio-user for unit tests whose device outlives it:
 * it dies when it is told to, in the middle of a command, and is there again. What it has
 * (struct script) is as what a state file would have: each command that may change the device is
 * carried out once, whoever sends it again.
 */
#ifndef VFIO_USER_CLIENT_TEST_LASTING_H
#define VFIO_USER_CLIENT_TEST_LASTING_H
#include "base/guard.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/report.h"
#include "vfio/open.h"
#include "vfio_user/client/internal.h"
#include "vfio_user/client/test_server.h"

#define K  4096ull
#define RW (IOMMU_READ | IOMMU_WRITE)

/* Registers of BAR0: what is written is added; each read has the next number. */
#define REG_ADD	  0x20u
#define REG_COUNT 0x28u

enum death {
	BEFORE_IT,    /* it is not carried out */
	WITHOUT_WORD, /* it is, and not answered */
	AFTER_IT,     /* it is, and is answered */
};

/* Under test_server.lock. */
static struct script {
	enum vu_lasting_kind answer; /* to who comes back */
	uint8_t id;		     /* the first byte of it; 0xff: another one than it was */
	bool twin;
	uint32_t takes; /* descriptors */
	struct vu_lasting said;
	unsigned versions;
	bool stopped;
	bool hostile;  /* it says what is not so: the client may do anything */
	unsigned runs; /* how often it was told to run */
	int run_error;
	bool executed;
	uint16_t executed_id;
	uint64_t recorded;
	uint64_t sum, count;
	unsigned dies_in; /* so many messages; 0: not */
	enum death how;
	unsigned chance, deaths; /* it dies at one message of so many, so often */
	unsigned seed;
	unsigned seen; /* messages since the last VERSION */
	char caps[512];
} script;

/* ---- what was said ---- */

static char lines[1 << 16];
static pthread_mutex_t lines_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_line(const struct report *r, void *arg)
{
	size_t len;

	pthread_mutex_lock(&lines_lock);
	len = strlen(lines);
	snprintf(lines + len, sizeof(lines) - len, "%s\n", r->line);
	pthread_mutex_unlock(&lines_lock);
}
static struct report_subscriber subscriber = { .fn = on_line, .level = LOG_DEBUG };

static inline unsigned times(const char *text)
{
	unsigned n = 0;

	pthread_mutex_lock(&lines_lock);
	for (const char *at = lines; (at = strstr(at, text)); at++)
		n++;
	pthread_mutex_unlock(&lines_lock);
	return n;
}

static inline void said(const char *text)
{
	if (!times(text))
		fail_msg("'%s' is not in: %s", text, lines);
}

static inline void forget(void)
{
	pthread_mutex_lock(&lines_lock);
	*lines = '\0';
	pthread_mutex_unlock(&lines_lock);
}

/* ---- the server ---- */

/* Say what the server is, for test_version(). */
static inline void take_version(struct test_server *t, struct vu_message *m)
{
	struct vu_caps theirs, ours;
	const char *why;
	size_t skip = sizeof(struct vu_version);

	script.versions++;
	script.seen = 0;
	assert_int_equal(vu_caps_parse((char *)m->data + skip, m->len - skip, &theirs, &why), 0);
	script.said = theirs.lasting;
	vu_caps_default(&ours);
	ours.max_msg_fds = script.takes;
	ours.max_data_xfer_size = 4096;
	ours.named = VU_CAP_FDS | VU_CAP_DATA | VU_CAP_UVFIO;
	if (script.twin) {
		ours.named |= VU_CAP_TWIN;
		ours.twin_socket = true;
		ours.twin_fd_index = 0;
	}
	ours.lasting.kind = VU_LASTING_NONE;
	if (theirs.lasting.kind == VU_LASTING_OFFER)
		ours.lasting.kind = VU_LASTING_NEW;
	if (theirs.lasting.kind == VU_LASTING_RESUME)
		ours.lasting.kind = script.answer;
	if (ours.lasting.kind == VU_LASTING_LOST) {
		strcpy(ours.lasting.why, "it died in the middle");
		script.executed = false;
		script.id = 9;
	}
	ours.lasting.id[0] = script.id;
	script.stopped = ours.lasting.kind == VU_LASTING_RESUMED;
	assert_true(vu_caps_write(&ours, script.caps, sizeof(script.caps)) > 0);
	t->caps = script.caps;
}

/* A command that may change the device. True: the caller carries it out. */
static inline bool carry_out(struct vu_conn *c, struct vu_message *m, bool answer)
{
	bool again = script.executed && script.executed_id == m->header.id && !script.stopped;
	bool write = m->header.command == VU_REGION_WRITE;
	struct vu_region_access a;
	uint64_t v = 0;

	memcpy(&a, m->data, sizeof(a));
	if (a.region || (a.offset != REG_ADD && a.offset != REG_COUNT))
		return true;
	assert_false(script.stopped && !script.hostile);
	assert_false(m->header.flags & VU_FLAG_NO_REPLY);
	if (again) {
		v = script.recorded;
	} else if (write) {
		memcpy(&v, m->data + sizeof(a), a.count);
		script.sum += v;
	} else {
		v = a.offset == REG_ADD ? script.sum : script.count++;
	}
	script.executed = true;
	script.executed_id = m->header.id;
	script.recorded = v;
	if (answer) {
		struct iovec iov[2] = { { &a, sizeof(a) }, { &v, a.count } };

		vu_conn_reply(c, &m->header, 0, iov, write ? 1 : 2, NULL, 0);
	}
	return false;
}

static inline void take_feature(struct vu_conn *c, struct vu_message *m)
{
	struct {
		struct vu_feature head;
		struct vfio_device_feature_mig_state state;
	} f;

	assert_int_equal(m->len, sizeof(f));
	memcpy(&f, m->data, sizeof(f));
	assert_int_equal(f.head.flags,
			 VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE);
	assert_int_equal(f.state.device_state, VFIO_DEVICE_STATE_RUNNING);
	assert_true(script.stopped || script.hostile);
	if (script.run_error) {
		script.stopped = false;
		test_error(c, m, script.run_error);
		return;
	}
	script.runs++;
	script.stopped = false;
	test_answer(c, m, &f, sizeof(f));
}

static inline bool serve_it(struct test_server *t, struct vu_conn *c, struct vu_message *m);

static inline bool on_message(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	enum death how = script.how;
	bool dies = script.dies_in && !--script.dies_in;
	struct vu_conn *twin;

	if (script.deaths && !(rand_r(&script.seed) % script.chance)) {
		script.deaths--;
		how = (enum death)(rand_r(&script.seed) % 3);
		dies = true;
	}
	if (!dies)
		return serve_it(t, c, m);
	if (how == AFTER_IT) {
		t->hook = serve_it;
		test_serve(t, c, m);
		t->hook = on_message;
	} else if (how == WITHOUT_WORD &&
		   (m->header.command == VU_REGION_WRITE || m->header.command == VU_REGION_READ)) {
		carry_out(c, m, false);
	}
	twin = t->twin;
	if (twin)
		vu_conn_kill(twin, -ENODEV);
	vu_conn_kill(c, -ENODEV);
	return true;
}

static inline bool serve_it(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	script.seen++;
	switch (m->header.command) {
	case VU_VERSION:
		take_version(t, m);
		return false;
	case VU_REGION_READ:
	case VU_REGION_WRITE:
		return !carry_out(c, m, true);
	case VU_DEVICE_FEATURE:
		take_feature(c, m);
		return true;
	default:
		return false;
	}
}

/* ---- the client ---- */

struct world {
	struct test_server t;
	struct vfio_system *s;
	struct iommu_group *ig;
	struct vfio_group *g;
	struct loop *loop;
	struct vu_client *c;
	struct vfio_open o;
	struct vfio_ioas *io;
	char *mem; /* private */
	int file;  /* a memfd, of which this is: */
	char *shared;
	int err;
};

static inline int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	log_set(2, LOG_NONE);
	guard_install();
	forget();
	report_subscribe(&subscriber);
	script = (struct script){ .answer = VU_LASTING_RESUMED, .id = 7, .takes = 2 };
	test_server_start(&w->t);
	test_set_hook(&w->t, on_message);
	w->s = vfio_system_new(NULL, NULL);
	w->ig = iommu_group_new(1);
	assert_int_equal(vfio_system_add_group(w->s, w->ig, &w->g), 0);
	w->loop = loop_new();
	w->io = vfio_ioas_new(w->s, true);
	w->mem = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w->file = memfd_create("memory", MFD_CLOEXEC);
	assert_int_equal(ftruncate(w->file, 4 * K), 0);
	w->shared = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_SHARED, w->file, 0);
	w->err = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*state = w;
	return 0;
}

static inline void find(struct world *w, uint64_t reconnect_ns)
{
	const struct vu_client_options o = { .name = "0000:01:00.0",
					     .devices = w->loop,
					     .irqs = w->loop,
					     .reconnect_ns = reconnect_ns };
	char *err;

	assert_int_equal(vu_client_new(w->t.path, &o, &w->c, &err), 0);
	assert_int_equal(iommu_group_add(w->ig, vu_client_iommu(w->c)), 0);
	assert_int_equal(vfio_group_add_device(w->g, vu_client_vdev(w->c)), 0);
}

static inline int set_irqs(struct world *w, uint32_t index, uint32_t flags, uint32_t start,
			   uint32_t count, const void *data)
{
	const struct vfio_irq_set_args a = {
		.flags = flags, .index = index, .start = start, .count = count, .data = data
	};

	return vfio_device_set_irqs(&w->o, &a);
}
#define EVENTFDS (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)

/* Open it, with its ERR. */
static inline void plug(struct world *w, uint64_t reconnect_ns)
{
	find(w, reconnect_ns);
	vfio_open_init(&w->o, vu_client_vdev(w->c));
	assert_int_equal(vfio_open_bind(&w->o), 0);
	assert_int_equal(vfio_device_attach(&w->o, w->io), 0);
	assert_int_equal(set_irqs(w, VFIO_PCI_ERR_IRQ_INDEX, EVENTFDS, 0, 1, &w->err), 0);
}

static inline void unplug(struct world *w)
{
	if (!w->c)
		return;
	vfio_open_close(&w->o);
	vfio_group_remove_device(w->g, vu_client_vdev(w->c));
	iommu_group_remove(w->ig, vu_client_iommu(w->c));
	vu_client_free(w->c);
	w->c = NULL;
}

static inline int teardown(void **state)
{
	struct world *w = *state;

	test_set_hook(&w->t, NULL);
	unplug(w);
	vfio_ioas_put(w->io);
	loop_free(w->loop);
	vfio_system_free(w->s);
	iommu_group_free(w->ig);
	test_server_stop(&w->t);
	report_unsubscribe(&subscriber);
	munmap(w->mem, 4 * K);
	munmap(w->shared, 4 * K);
	close(w->file);
	close(w->err);
	free(w);
	return 0;
}

static inline uint64_t read_reg(struct world *w, uint64_t at)
{
	uint64_t v = 0;

	assert_int_equal(vfio_device_mmio(&w->o, 0, at, 8, &v, false), 0);
	return v;
}

static inline void write_reg(struct world *w, uint64_t at, uint64_t v)
{
	assert_int_equal(vfio_device_mmio(&w->o, 0, at, 8, &v, true), 0);
}

/* The number of times that ERR was signalled since the last question. */
static inline uint64_t errs(struct world *w)
{
	eventfd_t n = 0;

	return eventfd_read(w->err, &n) ? 0 : n;
}

/* Return a number of the script. */
static inline unsigned script_of(struct world *w, const unsigned *number)
{
	unsigned n;

	pthread_mutex_lock(&w->t.lock);
	n = *number;
	pthread_mutex_unlock(&w->t.lock);
	return n;
}

/* Have it die at the message so many from now, in this manner. */
static inline void die_in(struct world *w, unsigned n, enum death how)
{
	pthread_mutex_lock(&w->t.lock);
	script.dies_in = n;
	script.how = how;
	pthread_mutex_unlock(&w->t.lock);
}

/* Let nobody find the server, or let them. */
static inline void hide(struct world *w, bool away)
{
	char other[80];

	snprintf(other, sizeof(other), "%s.away", w->t.path);
	assert_int_equal(away ? rename(w->t.path, other) : rename(other, w->t.path), 0);
}
#endif
