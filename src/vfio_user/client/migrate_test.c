/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/migrate_test.c: the migration of a device behind a socket, on a server of the
 * test's: the messages that a state, a stream and a log become, and answers that are wrong.
 * (vfio/relay_fault_test.c has the rules of states and streams.)
 */
#include "base/guard.h"
#include "base/log.h"
#include "base/loop.h"
#include "vfio/dma_log.h"
#include "vfio/migrate.h"
#include "vfio_user/client/internal.h"
#include "vfio_user/client/test_server.h"

#define CAPS                                                                                   \
	"{\"capabilities\":{\"max_msg_fds\":2,\"max_data_xfer_size\":4096,\"migration\":{\"pg" \
	"size\":4096}}}"
#define BYTES 10000u

/* The server's device; with test_server.lock, as the server's thread has it. */
static struct {
	uint64_t flags;
	bool knows_precopy, v2;
	uint32_t state;
	uint8_t data[BYTES]; /* its stream */
	size_t done;
	enum { RIGHT, TOO_MUCH, MORE_THAN_SENT, SHORT } answer;
	struct vu_log_start log;
	struct vfio_device_feature_dma_logging_range range;
} far;

static void fail_or(struct vu_conn *c, struct vu_message *m, int error, const void *data,
		    size_t len)
{
	if (error)
		test_error(c, m, error);
	else
		test_answer(c, m, data, len);
}

static void feature(struct vu_conn *c, struct vu_message *m)
{
	struct {
		struct vu_feature head;
		uint64_t data[128];
	} r = { 0 };
	const char *data = (char *)m->data + sizeof(r.head);
	struct vu_precopy_info p = { 1, 0, 5, 6 };
	struct vu_log_report q;
	size_t len = 0;
	int error = 0;

	memcpy(&r.head, m->data, sizeof(r.head));
	switch (r.head.flags) {
	case VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION:
		*r.data = far.flags;
		error = far.flags ? 0 : -ENOTTY;
		len = 8;
		break;
	case VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET | VU_FEATURE_PRECOPY_INFO:
		error = far.knows_precopy ? 0 : -ENOTTY;
		break;
	case VFIO_DEVICE_FEATURE_GET | VU_FEATURE_PRECOPY_INFO:
		len = sizeof(p);
		p.flags = far.v2;
		memcpy(r.data, &p, len);
		break;
	case VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2:
		far.v2 = true;
		break;
	case VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE:
		*r.data = BYTES;
		len = 8;
		break;
	case VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
		*r.data = far.state;
		len = 8;
		break;
	case VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
		assert_int_equal(m->len, sizeof(r.head) + 8);
		memcpy(&far.state, data, 4);
		far.done = 0;
		len = 8;
		break;
	case VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
		assert_int_equal(m->len, sizeof(r.head) + sizeof(far.log) + sizeof(far.range));
		memcpy(&far.log, data, sizeof(far.log));
		memcpy(&far.range, data + sizeof(far.log), sizeof(far.range));
		*r.data = 8192;
		len = sizeof(far.log) + sizeof(far.range);
		break;
	case VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
		far.log.num_ranges = 0;
		break;
	case VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
		assert_int_equal(m->len, sizeof(r.head) + sizeof(q));
		memcpy(&q, data, sizeof(q));
		len = sizeof(q) + (q.length / q.page_size + 63) / 64 * 8;
		assert_int_equal(r.head.argsz, sizeof(r.head) + len);
		memcpy(r.data, &q, sizeof(q));
		r.data[3] = q.iova;
		error = far.log.num_ranges ? 0 : -EINVAL;
		break;
	default:
		error = -ENOTTY;
	}
	fail_or(c, m, error, &r, sizeof(r.head) + len - (far.answer == SHORT));
}

static void data_read(struct vu_conn *c, struct vu_message *m)
{
	struct {
		struct vu_mig_data head;
		uint8_t data[4097];
	} r = { 0 };
	size_t n;

	memcpy(&r.head, m->data, sizeof(r.head));
	assert_true(r.head.size <= 4096 && r.head.argsz == sizeof(r.head) + r.head.size);
	n = BYTES - far.done < r.head.size ? BYTES - far.done : r.head.size;
	memcpy(r.data, far.data + far.done, n);
	far.done += n;
	r.head.size = (uint32_t)n + (far.answer == TOO_MUCH || far.answer == MORE_THAN_SENT);
	test_answer(c, m, &r, sizeof(r.head) + n + (far.answer == TOO_MUCH));
}

static void data_write(struct vu_conn *c, struct vu_message *m)
{
	struct vu_mig_data head;

	memcpy(&head, m->data, sizeof(head));
	assert_true(head.size <= 4096 && m->len == sizeof(head) + head.size);
	if (head.size > BYTES - far.done) {
		test_error(c, m, -EINVAL);
		return;
	}
	memcpy(far.data + far.done, m->data + sizeof(head), head.size);
	far.done += head.size;
	test_answer(c, m, NULL, 0);
}

static bool hook(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	if (m->header.command == VU_DEVICE_FEATURE)
		feature(c, m);
	else if (m->header.command == VU_MIG_DATA_READ)
		data_read(c, m);
	else if (m->header.command == VU_MIG_DATA_WRITE)
		data_write(c, m);
	else
		return false;
	return true;
}

struct world {
	struct test_server t;
	struct vfio_system *s;
	struct iommu_group *ig;
	struct vfio_group *g;
	struct loop *devices, *irqs;
	struct vu_client *c;
	struct vfio_open o;
};

static void set_caps(struct world *w, const char *caps)
{
	pthread_mutex_lock(&w->t.lock);
	w->t.caps = caps;
	pthread_mutex_unlock(&w->t.lock);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	log_set(2, LOG_NONE);
	guard_install();
	memset(&far, 0, sizeof(far));
	far.flags = 7;
	far.knows_precopy = true;
	far.state = VFIO_DEVICE_STATE_RUNNING;
	test_server_start(&w->t);
	set_caps(w, CAPS);
	test_set_hook(&w->t, hook);
	w->s = vfio_system_new(NULL, NULL);
	w->ig = iommu_group_new(1);
	assert_int_equal(vfio_system_add_group(w->s, w->ig, &w->g), 0);
	w->devices = loop_new();
	w->irqs = loop_new();
	*state = w;
	return 0;
}

/* Open the device; return what it migrates by, or NULL. */
static struct vfio_migrate *open_it(struct world *w)
{
	const struct vu_client_options options = { .name = "0000:01:00.0",
						   .devices = w->devices,
						   .irqs = w->irqs };
	char *err;
	int rc = vu_client_new(w->t.path, &options, &w->c, &err);

	if (rc)
		fail_msg("%s", err);
	assert_int_equal(iommu_group_add(w->ig, vu_client_iommu(w->c)), 0);
	assert_int_equal(vfio_group_add_device(w->g, vu_client_vdev(w->c)), 0);
	vfio_open_init(&w->o, vu_client_vdev(w->c));
	assert_int_equal(vfio_open_bind(&w->o), 0);
	return vfio_device_migrate(&w->o);
}

static int teardown(void **state)
{
	struct world *w = *state;

	vfio_open_close(&w->o);
	vfio_group_remove_device(w->g, vu_client_vdev(w->c));
	iommu_group_remove(w->ig, vu_client_iommu(w->c));
	vu_client_free(w->c);
	loop_free(w->devices);
	loop_free(w->irqs);
	vfio_system_free(w->s);
	iommu_group_free(w->ig);
	test_server_stop(&w->t);
	free(w);
	return 0;
}

static void set_answer(struct world *w, int answer)
{
	pthread_mutex_lock(&w->t.lock);
	far.answer = answer;
	pthread_mutex_unlock(&w->t.lock);
}

/* Who does not name migration is not asked, and who has none does not migrate. */
static void test_not_named(void **state)
{
	struct world *w = *state;

	set_caps(w, TEST_CAPS);
	assert_null(open_it(w));
	assert_int_equal(test_count(&w->t, VU_DEVICE_FEATURE), 0);
}
static void test_none(void **state)
{
	struct world *w = *state;

	pthread_mutex_lock(&w->t.lock);
	far.flags = 0;
	pthread_mutex_unlock(&w->t.lock);
	assert_null(open_it(w));
}
/* Without a way to tell how far PRE_COPY is there is no PRE_COPY. */
static void test_no_precopy(void **state)
{
	struct world *w = *state;
	struct vfio_migrate *m;

	pthread_mutex_lock(&w->t.lock);
	far.knows_precopy = false;
	pthread_mutex_unlock(&w->t.lock);
	m = open_it(w);
	assert_int_equal(vfio_migrate_flags(m), VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P);
}

/* True if the server has the bytes of @want as its stream. */
static bool far_has(struct world *w, const uint8_t *want)
{
	bool same;

	pthread_mutex_lock(&w->t.lock);
	same = !memcmp(far.data, want, BYTES);
	pthread_mutex_unlock(&w->t.lock);
	return same;
}

static void test_stream(void **state)
{
	static uint8_t got[BYTES + 10];
	struct vfio_precopy_info info = { .flags = 77 };
	struct world *w = *state;
	struct vfio_migrate *m = open_it(w);
	struct vfio_stream *s;
	size_t done = 0;
	ssize_t n;

	assert_int_equal(vfio_migrate_flags(m), 7);
	assert_int_equal(vfio_migrate_size(m), BYTES);
	pthread_mutex_lock(&w->t.lock);
	for (unsigned i = 0; i < BYTES; i++)
		far.data[i] = (uint8_t)(i * i >> 3);
	pthread_mutex_unlock(&w->t.lock);
	assert_int_equal(vfio_migrate_set(m, VFIO_DEVICE_STATE_PRE_COPY, &s), 0);
	assert_int_equal(vfio_stream_precopy(s, &info), 0);
	assert_true(info.flags == 77 && info.initial_bytes == 5 && info.dirty_bytes == 6);
	vfio_migrate_precopy_v2(m);
	assert_int_equal(vfio_stream_precopy(s, &info), 0);
	assert_int_equal(info.flags, 1);
	vfio_stream_put(s);
	assert_int_equal(vfio_migrate_set(m, VFIO_DEVICE_STATE_RUNNING, &s), 0);
	assert_int_equal(vfio_migrate_set(m, VFIO_DEVICE_STATE_STOP_COPY, &s), 0);
	while ((n = vfio_stream_read(s, (uintptr_t)got + done, 7000)) > 0)
		done += (size_t)n;
	assert_int_equal(n, 0);
	assert_int_equal(done, BYTES);
	assert_true(far_has(w, got));
	vfio_stream_put(s);
	/* back, in pieces that its server takes */
	assert_int_equal(vfio_migrate_set(m, VFIO_DEVICE_STATE_RESUMING, &s), 0);
	pthread_mutex_lock(&w->t.lock);
	memset(far.data, 0, BYTES);
	pthread_mutex_unlock(&w->t.lock);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)got, BYTES), BYTES);
	assert_true(far_has(w, got));
	assert_int_equal(vfio_stream_write(s, (uintptr_t)got, 1), -EINVAL);
	vfio_stream_put(s);
	/* a reset is known here, too */
	assert_int_equal(vfio_migrate_set(m, VFIO_DEVICE_STATE_STOP_COPY, &s), 0);
	assert_int_equal(vfio_device_reset(&w->o), 0);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)got, 1), -ENODEV);
	vfio_stream_put(s);
}

/* A server that says more than it sends, sends more than was asked for, or too little. */
static void test_wrong(void **state)
{
	struct world *w = *state;
	struct vfio_migrate *m = open_it(w);
	struct vfio_stream *s;
	uint8_t got[10];

	for (int i = TOO_MUCH; i <= MORE_THAN_SENT; i++) {
		assert_int_equal(vfio_migrate_set(m, VFIO_DEVICE_STATE_STOP_COPY, &s), 0);
		set_answer(w, i);
		assert_int_equal(vfio_stream_read(s, (uintptr_t)got, 10), -EIO);
		assert_int_equal(vfio_stream_read(s, (uintptr_t)got, 10), -ENODEV);
		vfio_stream_put(s);
		set_answer(w, RIGHT);
		assert_int_equal(vfio_migrate_set(m, VFIO_DEVICE_STATE_RUNNING, &s), 0);
	}
	set_answer(w, SHORT);
	assert_int_equal(vfio_migrate_size(m), 0);
	assert_int_equal(vfio_migrate_state(m), VFIO_DEVICE_STATE_ERROR);
}

static void test_log(void **state)
{
	const struct vfio_device_feature_dma_logging_range r = { 0x10000000, 0x1000000 };
	uint64_t bits[64] = { 0 }, page = 4096;
	struct world *w = *state;

	open_it(w);
	assert_int_equal(vfio_dma_log_start(&w->o, &r, 1, &page), 0);
	assert_int_equal(page, 8192); /* as its server has it */
	pthread_mutex_lock(&w->t.lock);
	assert_true(far.log.page_size == 4096 && far.log.num_ranges == 1);
	assert_memory_equal(&far.range, &r, sizeof(r));
	pthread_mutex_unlock(&w->t.lock);
	assert_int_equal(vfio_dma_log_report(&w->o, 0x10000000, 0x1000000, 8192, (uintptr_t)bits),
			 0);
	assert_int_equal(bits[0], 0x10000000);
	vfio_dma_log_stop(&w->o);
	assert_int_equal(vfio_dma_log_report(&w->o, 0x10000000, 0x1000000, 8192, (uintptr_t)bits),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_not_named, setup, teardown),
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_precopy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
