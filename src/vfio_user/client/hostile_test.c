/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/hostile_test.c: servers that answer wrongly, not at all, or die: the client
 * survives, its caller gets an error, and the log says what was wrong.
 */
#include "base/guard.h"
#include "base/log.h"
#include "base/loop.h"
#include "vfio/open.h"
#include "vfio_user/client/internal.h"
#include "vfio_user/client/test_server.h"

#define K  4096ull
#define RW (IOMMU_READ | IOMMU_WRITE)

static char lines[8192]; /* what was reported, by any thread */
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

static void said(const char *text)
{
	pthread_mutex_lock(&lines_lock);
	if (!strstr(lines, text))
		fail_msg("'%s' is not in: %s", text, lines);
	*lines = '\0';
	pthread_mutex_unlock(&lines_lock);
}

static void forget(void)
{
	pthread_mutex_lock(&lines_lock);
	*lines = '\0';
	pthread_mutex_unlock(&lines_lock);
}

static unsigned times(const char *text)
{
	unsigned n = 0;

	pthread_mutex_lock(&lines_lock);
	for (const char *at = lines; (at = strstr(at, text)); at++)
		n++;
	pthread_mutex_unlock(&lines_lock);
	return n;
}

struct world {
	struct test_server t;
	struct vfio_system *s;
	struct iommu_group *ig;
	struct vfio_group *g;
	struct loop *loop;
	struct vu_client *c;
	struct vfio_open o;
	struct vfio_ioas *io;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	log_set(2, LOG_NONE);
	guard_install();
	forget();
	report_subscribe(&subscriber);
	test_server_start(&w->t);
	w->s = vfio_system_new(NULL, NULL);
	w->ig = iommu_group_new(1);
	assert_int_equal(vfio_system_add_group(w->s, w->ig, &w->g), 0);
	w->loop = loop_new();
	w->io = vfio_ioas_new(w->s, true);
	*state = w;
	return 0;
}

static int find(struct world *w, char **err)
{
	const struct vu_client_options o = { .name = "0000:01:00.0",
					     .devices = w->loop,
					     .irqs = w->loop };

	return vu_client_new(w->t.path, &o, &w->c, err);
}

static void plug(struct world *w)
{
	char *err;

	assert_int_equal(find(w, &err), 0);
	assert_int_equal(iommu_group_add(w->ig, vu_client_iommu(w->c)), 0);
	assert_int_equal(vfio_group_add_device(w->g, vu_client_vdev(w->c)), 0);
	vfio_open_init(&w->o, vu_client_vdev(w->c));
	assert_int_equal(vfio_open_bind(&w->o), 0);
	assert_int_equal(vfio_device_attach(&w->o, w->io), 0);
}

static void unplug(struct world *w)
{
	if (!w->c)
		return;
	vfio_open_close(&w->o);
	vfio_group_remove_device(w->g, vu_client_vdev(w->c));
	iommu_group_remove(w->ig, vu_client_iommu(w->c));
	vu_client_free(w->c);
	w->c = NULL;
}

static int teardown(void **state)
{
	struct world *w = *state;

	unplug(w);
	vfio_ioas_put(w->io);
	loop_free(w->loop);
	vfio_system_free(w->s);
	iommu_group_free(w->ig);
	test_server_stop(&w->t);
	report_unsubscribe(&subscriber);
	free(w);
	return 0;
}

/* ---- a device that is not what it says ---- */

/* One wrong answer: to the first @command, by @answer. */
struct wrong {
	uint16_t command;
	void (*answer)(struct vu_conn *c, const struct vu_message *m);
	int rc;		  /* of vu_client_new() */
	const char *says; /* in its sentence, or the log */
};
static const struct wrong *wrong; /* under test_server.lock, as the thread of the server reads it */

static bool answer_wrongly(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	if (m->header.command != wrong->command || t->number++)
		return false;
	wrong->answer(c, m);
	return true;
}

static void nothing(struct vu_conn *c, const struct vu_message *m)
{
	test_answer(c, m, "", 0);
}

static void seven_bytes(struct vu_conn *c, const struct vu_message *m)
{
	test_answer(c, m, "1234567", 7);
}

static void no_number(struct vu_conn *c, const struct vu_message *m)
{
	const struct vu_header h = { m->header.id, m->header.command, sizeof(h),
				     VU_TYPE_REPLY | VU_FLAG_ERROR, 0 };

	test_raw(c, &h, sizeof(h));
}

static void huge_number(struct vu_conn *c, const struct vu_message *m)
{
	const struct vu_header h = { m->header.id, m->header.command, sizeof(h),
				     VU_TYPE_REPLY | VU_FLAG_ERROR, UINT32_MAX };

	test_raw(c, &h, sizeof(h));
}

static void other_id(struct vu_conn *c, const struct vu_message *m)
{
	const struct vu_header h = { (uint16_t)(m->header.id + 1), m->header.command, sizeof(h),
				     VU_TYPE_REPLY, 0 };

	test_raw(c, &h, sizeof(h));
}

static void size_of_8(struct vu_conn *c, const struct vu_message *m)
{
	const struct vu_header h = { m->header.id, m->header.command, 8, VU_TYPE_REPLY, 0 };

	test_raw(c, &h, sizeof(h));
}

static void giant(struct vu_conn *c, const struct vu_message *m)
{
	const struct vu_header h = { m->header.id, m->header.command, UINT32_MAX, VU_TYPE_REPLY,
				     0 };

	test_raw(c, &h, sizeof(h));
}

static void hang_up(struct vu_conn *c, const struct vu_message *m)
{
	vu_conn_kill(c, -ENODEV);
}

static void version_1(struct vu_conn *c, const struct vu_message *m)
{
	test_answer(c, m, &(struct vu_version){ 1, 0 }, 4);
}

static void version_0_9(struct vu_conn *c, const struct vu_message *m)
{
	test_answer(c, m, &(struct vu_version){ 0, 9 }, 4);
}

static void no_json(struct vu_conn *c, const struct vu_message *m)
{
	static const struct {
		struct vu_version v;
		char text[12];
	} r = { .text = "{\"capabi" };

	test_answer(c, m, &r, sizeof(r));
}

static void twin_without(struct vu_conn *c, const struct vu_message *m)
{
	static const struct {
		struct vu_version v;
		char text[80];
	} r = {
		.text = "{\"capabilities\":{\"twin_socket\":{\"supported\":true,\"fd_index\":3}}}"
	};

	test_answer(c, m, &r, sizeof(r.v) + strlen(r.text) + 1);
}

static void no_pci(struct vu_conn *c, const struct vu_message *m)
{
	test_answer(c, m, &(struct vu_device_info){ 16, 1, 9, 5 }, 16);
}

static void few_regions(struct vu_conn *c, const struct vu_message *m)
{
	test_answer(c, m, &(struct vu_device_info){ 16, VFIO_DEVICE_FLAGS_PCI, 7, 5 }, 16);
}

static void grows_for_ever(struct vu_conn *c, const struct vu_message *m)
{
	test_answer(c, m, &(struct vu_device_info){ 1u << 30, VFIO_DEVICE_FLAGS_PCI, 9, 5 }, 16);
}

/* Config space without one. */
static void no_size(struct vu_conn *c, const struct vu_message *m)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = 7 };

	test_answer(c, m, &info, sizeof(info));
}

static void endless(struct vu_conn *c, const struct vu_message *m)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = 7, .size = UINT64_MAX };

	test_answer(c, m, &info, sizeof(info));
}

static void much_read(struct vu_conn *c, const struct vu_message *m)
{
	static const struct {
		struct vu_region_access a;
		uint8_t data[512];
	} r = { .a = { 0, 7, 512 } };

	test_answer(c, m, &r, sizeof(r));
}

static void lied_read(struct vu_conn *c, const struct vu_message *m)
{
	test_answer(c, m, &(struct vu_region_access){ 0, 7, 256 }, sizeof(struct vu_region_access));
}

static void many_vectors(struct vu_conn *c, const struct vu_message *m)
{
	test_answer(c, m, &(struct vfio_irq_info){ 16, 1, 0, 1u << 30 }, 16);
}

static const struct wrong all_wrong[] = {
	{ VU_VERSION, nothing, -EPROTO, "cut off" },
	{ VU_VERSION, no_number, -EIO, "VERSION: " },
	{ VU_VERSION, other_id, -EPROTO, "which was not sent" },
	{ VU_VERSION, size_of_8, -EPROTO, "" },
	{ VU_VERSION, giant, -EPROTO, "" },
	{ VU_VERSION, hang_up, -ECONNRESET, "" },
	{ VU_VERSION, version_1, -EPROTO, "it speaks version 1.0" },
	{ VU_VERSION, version_0_9, -EPROTO, "it speaks version 0.9" },
	{ VU_VERSION, no_json, -EPROTO, "its capabilities cannot be read" },
	{ VU_VERSION, twin_without, -EPROTO, "named a twin socket, and sent none" },
	{ VU_DEVICE_GET_INFO, seven_bytes, -EIO, "by 7 bytes where 16 belong" },
	{ VU_DEVICE_GET_INFO, no_number, -EIO, "DEVICE_GET_INFO" },
	{ VU_DEVICE_GET_INFO, huge_number, -EIO, "DEVICE_GET_INFO" },
	{ VU_DEVICE_GET_INFO, no_pci, -EOPNOTSUPP, "is no PCI function" },
	{ VU_DEVICE_GET_INFO, few_regions, -EOPNOTSUPP, "7 regions" },
	{ VU_DEVICE_GET_INFO, grows_for_ever, -EIO, "DEVICE_GET_INFO" },
	{ VU_DEVICE_GET_REGION_INFO, seven_bytes, -EIO, "by 7 bytes where 32 belong" },
	{ VU_DEVICE_GET_REGION_INFO, no_size, -EOPNOTSUPP, "no config space" },
	{ VU_DEVICE_GET_REGION_INFO, endless, -EIO, "" },
	{ VU_DEVICE_GET_REGION_INFO, hang_up, -EIO, "is gone" },
	{ VU_REGION_READ, much_read, -EIO, "was answered by 512" },
	{ VU_REGION_READ, lied_read, -EIO, "was answered by 0" },
	{ VU_REGION_READ, no_number, -EIO, "config space cannot be read" },
	{ VU_REGION_READ, seven_bytes, -EIO, "by 7 bytes" },
	{ VU_DEVICE_GET_IRQ_INFO, seven_bytes, -EIO, "by 7 bytes where 16 belong" },
	{ VU_DEVICE_GET_IRQ_INFO, many_vectors, -EIO, "DEVICE_GET_IRQ_INFO of index 0" },
};

static void test_wrong(void **state)
{
	struct world *w = *state;
	char *err;
	int rc;

	for (unsigned i = 0; i < ARRAY_SIZE(all_wrong); i++) {
		pthread_mutex_lock(&w->t.lock);
		wrong = &all_wrong[i];
		w->t.number = 0;
		w->t.hook = answer_wrongly;
		pthread_mutex_unlock(&w->t.lock);
		forget();
		rc = find(w, &err);
		pthread_mutex_lock(&lines_lock);
		if (rc != all_wrong[i].rc)
			fail_msg("case %u: %d (%s), %s", i, rc, err ? err : "", lines);
		assert_non_null(err);
		if (!strstr(err, all_wrong[i].says) && !strstr(lines, all_wrong[i].says))
			fail_msg("case %u: '%s' is not in '%s', %s", i, all_wrong[i].says, err,
				 lines);
		pthread_mutex_unlock(&lines_lock);
		free(err);
	}
	test_set_hook(&w->t, NULL);
	plug(w);
}

/* ---- areas of a region ---- */

struct region_reply {
	struct vfio_region_info info;
	struct vfio_region_info_cap_sparse_mmap sparse;
	struct vfio_region_sparse_mmap_area area[4];
};
/* Of BAR2: what the server says instead; under test_server.lock */
static struct region_reply reply;
static unsigned reply_fds;

static bool answer_bar2(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	int fds[VU_CLIENT_FDS + 1];
	const struct iovec iov = { &reply, sizeof(reply) };
	uint32_t index;

	if (m->header.command != VU_DEVICE_GET_REGION_INFO)
		return false;
	memcpy(&index, m->data + 8, sizeof(index));
	if (index != 2)
		return false;
	for (unsigned i = 0; i < reply_fds; i++)
		fds[i] = t->memory;
	reply.info.index = 2;
	vu_conn_reply(c, &m->header, 0, &iov, 1, fds, reply_fds);
	return true;
}

static void begin_reply(struct world *w)
{
	pthread_mutex_lock(&w->t.lock);
	memset(&reply, 0, sizeof(reply));
	reply.info = (struct vfio_region_info){
		.argsz = sizeof(reply),
		.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			 VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS,
		.cap_offset = sizeof(reply.info),
		.size = TEST_BAR,
	};
	reply.sparse.header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	reply_fds = 1;
	w->t.hook = answer_bar2;
}

/* Have the server say what was begun: @areas of BAR2 are then files. */
static void learns(struct world *w, unsigned files)
{
	struct vfio_region r;
	unsigned n = 0;

	pthread_mutex_unlock(&w->t.lock);
	plug(w);
	assert_int_equal(vfio_device_region(&w->o, 2, &r), 0);
	for (unsigned i = 0; i < r.num_areas; i++) {
		n += r.areas[i].kind == VFIO_AREA_DIRECT;
		assert_true(!i || r.areas[i].offset == r.areas[i - 1].offset + r.areas[i - 1].size);
	}
	assert_int_equal(n, files);
	unplug(w);
}

static void test_areas(void **state)
{
	struct world *w = *state;
	char *err;

	/* all of it, with no list */
	begin_reply(w);
	reply.info.flags &= ~VFIO_REGION_INFO_FLAG_CAPS;
	learns(w, 1);
	/* no descriptor */
	begin_reply(w);
	reply_fds = 0;
	learns(w, 0);
	/* out of order, over each other, empty, off a page, outside, behind the file's end */
	begin_reply(w);
	reply.sparse.nr_areas = 4;
	reply.area[0] = (struct vfio_region_sparse_mmap_area){ K, K };
	reply.area[1] = (struct vfio_region_sparse_mmap_area){ 0, K };
	reply.area[2] = (struct vfio_region_sparse_mmap_area){ K, K };
	learns(w, 2);
	said("areas that overlap");
	begin_reply(w);
	reply.sparse.nr_areas = 3;
	reply.area[0] = (struct vfio_region_sparse_mmap_area){ 8, K };
	reply.area[1] = (struct vfio_region_sparse_mmap_area){ K, 2 * K };
	reply.area[2] = (struct vfio_region_sparse_mmap_area){ UINT64_MAX - 0xfff, 0x1000 };
	learns(w, 0);
	said("cannot be mapped");
	begin_reply(w);
	reply.info.offset = 4 * K;
	reply.sparse.nr_areas = 1;
	reply.area[0] = (struct vfio_region_sparse_mmap_area){ 0, K };
	learns(w, 0);
	/* a chain that goes in a circle, or out of the message */
	begin_reply(w);
	reply.sparse.header.id = 99;
	reply.sparse.header.next = sizeof(reply.info);
	learns(w, 1);
	begin_reply(w);
	reply.info.cap_offset = 1 << 20;
	learns(w, 1);
	/* a list that is cut off */
	begin_reply(w);
	reply.sparse.nr_areas = 1 << 30;
	pthread_mutex_unlock(&w->t.lock);
	assert_int_equal(find(w, &err), -EIO);
	free(err);
}

/* ---- a device at work ---- */

static bool refuse_all(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	test_error(c, m, -ENOTCONN);
	return true;
}

static bool say_nothing(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	return true;
}

/* Errors of the server's are the program's; one that says nothing at all costs the time. */
static void test_refused(void **state)
{
	struct world *w = *state;
	uint64_t bytes, v = 0;
	void *mem = mmap(NULL, K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	plug(w);
	assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)mem, K, RW), 0);
	test_set_hook(&w->t, refuse_all);
	assert_int_equal(vfio_device_rw(&w->o, 0, 0, &v, 4, false), -ENOTCONN);
	assert_int_equal(vfio_device_mmio(&w->o, 0, 0, 4, &v, false), -EIO);
	assert_int_equal(vfio_device_reset(&w->o), -ENOTCONN);
	assert_int_equal(vfio_ioas_map(w->io, K, (uintptr_t)mem, K, RW), -ENOTCONN);
	/* what it does not give back it may still reach, which the log says */
	assert_int_equal(vfio_ioas_unmap(w->io, 0, K, &bytes), 0);
	said("may still reach this memory");
	test_set_hook(&w->t, say_nothing);
	w->c->o.timeout_ns = 20000000;
	assert_int_equal(vfio_device_rw(&w->o, 0, 0, &v, 4, false), -EIO);
	said("has not answered REGION_READ");
	test_set_hook(&w->t, NULL);
	w->c->o.timeout_ns = VU_CLIENT_TIMEOUT_NS;
	assert_int_equal(vfio_device_rw(&w->o, 0, 0, &v, 4, false), 4);
	munmap(mem, K);
}

/* Commands that are not a server's, or are wrong, are answered by an error. */
static void check_commands(struct world *w, const char *caps)
{
	uint8_t data[32] = { 0 };
	const uint64_t far[2] = { 0, UINT64_MAX };
	const struct iovec iov[] = { { data, 32 }, { data, 7 }, { (void *)far, 16 } };
	const struct vu_call calls[] = {
		{ .command = VU_DEVICE_RESET, .iov = &iov[0], .iovcnt = 1 },
		{ .command = 77, .iov = &iov[0], .iovcnt = 1 },
		{ .command = VU_DMA_READ, .iov = &iov[1], .iovcnt = 1 },
		{ .command = VU_DMA_READ, .iov = &iov[2], .iovcnt = 1 },
		{ .command = VU_DMA_WRITE, .iov = &iov[2], .iovcnt = 1 },
	};
	static const int rcs[] = { -ENOSYS, -ENOSYS, -EINVAL, -EINVAL, -EINVAL };
	struct vu_message m = { 0 };
	struct vu_conn *c;

	pthread_mutex_lock(&w->t.lock);
	w->t.caps = caps;
	pthread_mutex_unlock(&w->t.lock);
	plug(w);
	pthread_mutex_lock(&w->t.lock);
	c = w->t.twin ? w->t.twin : w->t.conn;
	pthread_mutex_unlock(&w->t.lock);
	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		if (vu_conn_call(c, &calls[i], &m) != rcs[i])
			fail_msg("command %u, case %u", calls[i].command, i);
	}
	pthread_mutex_lock(&w->t.lock);
	pthread_mutex_unlock(&w->t.lock);
	said("its server sent command 77");
	unplug(w);
}

static void test_commands(void **state)
{
	check_commands(*state, TEST_CAPS);
	check_commands(*state, TEST_CAPS_TWIN);
}

/* ---- its end ---- */

static void check_death(struct world *w, const char *caps)
{
	const struct vfio_irq_set_args none = {
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
	};
	int err = eventfd(0, EFD_CLOEXEC);
	struct vfio_irq_set_args set = {
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_ERR_IRQ_INDEX,
		.count = 1,
		.data = &err,
	};
	void *mem = mmap(NULL, K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t v = 0, bytes;
	eventfd_t count;

	pthread_mutex_lock(&w->t.lock);
	w->t.caps = caps;
	pthread_mutex_unlock(&w->t.lock);
	plug(w);
	assert_int_equal(vfio_device_set_irqs(&w->o, &set), 0);
	set.index = VFIO_PCI_MSIX_IRQ_INDEX;
	assert_int_equal(vfio_device_set_irqs(&w->o, &set), 0);
	assert_int_equal(vfio_ioas_map(w->io, 0, (uintptr_t)mem, K, RW), 0);
	test_server_kill(&w->t);
	/* its user hears of it without a call */
	assert_int_equal(eventfd_read(err, &count), 0);
	assert_int_equal(vfio_device_rw(&w->o, 0, 0, &v, 4, false), 4);
	assert_true(v == UINT32_MAX);
	assert_int_equal(vfio_device_mmio(&w->o, 0, 8, 8, &v, false), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(vfio_device_mmio(&w->o, 0, 8, 8, &v, true), 0);
	assert_int_equal(vfio_device_rw(&w->o, VFIO_PCI_CONFIG_REGION_INDEX, 0, &v, 4, true), 4);
	assert_int_equal(vfio_device_reset(&w->o), -ENOTTY);
	assert_int_equal(vfio_device_set_irqs(&w->o, &none), -EIO);
	assert_int_equal(vfio_ioas_map(w->io, K, (uintptr_t)mem, K, RW), 0);
	assert_int_equal(vfio_ioas_unmap(w->io, 0, 2 * K, &bytes), 0);
	assert_int_equal(times("is gone (it closed the connection)"), 1);
	said("its user is told by ERR");
	vfio_open_close(&w->o);
	/* another one is connected to by the next open */
	vfio_open_init(&w->o, vu_client_vdev(w->c));
	assert_int_equal(vfio_open_bind(&w->o), 0);
	assert_int_equal(vfio_device_rw(&w->o, 0, 0, &v, 4, false), 4);
	/* pulled out by the machine */
	vu_client_lose(w->c);
	assert_int_equal(vfio_device_rw(&w->o, 0, 0, &v, 4, false), 4);
	assert_true((uint32_t)v == UINT32_MAX);
	unplug(w);
	close(err);
	munmap(mem, K);
}

static void test_death(void **state)
{
	check_death(*state, TEST_CAPS);
	check_death(*state, TEST_CAPS_TWIN);
}

/* A socket that somebody else connected is used once. */
static void test_given(void **state)
{
	struct world *w = *state;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct vu_client_options o = { .name = "x", .devices = w->loop, .irqs = w->loop };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct vu_client *first, *second;
	char spec[16], *err;
	uint32_t v = 0;

	strcpy(a.sun_path, w->t.path);
	assert_int_equal(connect(fd, (void *)&a, sizeof(a)), 0);
	snprintf(spec, sizeof(spec), "fd:%d", fd);
	/* as in `uvfio run`, and then in the program */
	assert_int_equal(vu_client_new(spec, &o, &first, &err), 0);
	vu_client_let_go(first);
	assert_int_equal(vu_client_new(spec, &o, &second, &err), 0);
	assert_int_equal(vfio_device_open(vu_client_vdev(second)), 0);
	assert_int_equal(second->vdev.ops->rw(&second->vdev, 7, 0, &v, 4, false), 4);
	assert_int_equal(v, 0x56781234);
	vfio_device_close(vu_client_vdev(second));
	assert_int_equal(vfio_device_open(vu_client_vdev(second)), -ENOTCONN);
	said("its one connection was closed");
	assert_int_equal(atomic_load(&w->t.clients), 1);
	vu_client_free(second);
	vu_client_free(first);
	assert_int_equal(vu_client_new("fd:x", &o, &first, &err), -EINVAL);
	free(err);
	assert_int_equal(vu_client_new("fd:9999", &o, &first, &err), -EBADF);
	free(err);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(test_areas, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_commands, setup, teardown),
		cmocka_unit_test_setup_teardown(test_death, setup, teardown),
		cmocka_unit_test_setup_teardown(test_given, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
