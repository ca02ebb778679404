/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/migrate_bound_test.c: a stream keeps no more than it may, whatever its client does: a client
 * that reads nothing while the device changes all the time, a state that is too large, a stream
 * that says it will be. What was refused is not lost, where it can be had again.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/heap.h"
#include "base/report.h"
#include "vfio/device.h"
#include "vfio/migrate.h"

#define MOST 10000u

/* The device: who it is, and how long its state. */
static struct vfio_device dev;
static uint32_t identity;
static size_t state_len;

static int halt(struct vfio_device *d, enum vfio_halt how)
{
	return 0;
}

static void go_on(struct vfio_device *d, enum vfio_halt how)
{
}

static int save(struct vfio_device *d, enum vfio_part part, void **out, size_t *len)
{
	*len = part == VFIO_PART_STATE ? state_len : sizeof(identity);
	*out = heap_alloc(*len);
	if (*out && part == VFIO_PART_DEVICE)
		memcpy(*out, &identity, sizeof(identity));
	return *out ? 0 : -ENOMEM;
}

static int load(struct vfio_device *d, enum vfio_part part, const void *buf, size_t len)
{
	return 0;
}

static uint64_t size(struct vfio_device *d)
{
	return state_len;
}

static const struct vfio_migrate_ops ops = {
	.halt = halt, .go_on = go_on, .save = save, .load = load, .size = size
};

static int setup(void **state)
{
	static const struct vfio_device_ops none;

	identity = 1;
	state_len = 4000;
	vfio_device_init(&dev, &none, "dev", NULL);
	return vfio_migrate_new(&dev, &ops);
}

static int teardown(void **state)
{
	vfio_migrate_free(&dev);
	vfio_device_fini(&dev);
	return 0;
}

/* Go to @state. The stream that begins there is at *@out. */
static int go(uint32_t state, struct vfio_stream **out)
{
	struct vfio_stream *s;
	int rc = vfio_migrate_set(dev.migrate, state, &s);

	if (out)
		*out = s;
	else if (s)
		vfio_stream_put(s);
	return rc;
}

static size_t read_all(struct vfio_stream *s, uint8_t *buf, size_t room)
{
	size_t len = 0;
	ssize_t n;

	while ((n = vfio_stream_read(s, (uintptr_t)buf + len, room - len)) > 0)
		len += (size_t)n;
	return len;
}

static void test_changes(void **state)
{
	struct vfio_precopy_info info = { 0 };
	static uint8_t data[64 * MOST];
	struct vfio_stream *s;
	unsigned said = 0;
	size_t len;

	vfio_migrate_bound(dev.migrate, MOST);
	assert_int_equal(go(VFIO_DEVICE_STATE_PRE_COPY, &s), 0);
	for (int rc = 0; !rc; said++) {
		assert_true(said < MOST);
		identity++;
		rc = vfio_stream_precopy(s, &info);
		assert_true(!rc || rc == -ENOSPC);
	}
	assert_true(said > 10);
	assert_int_equal(vfio_stream_precopy(s, &info), -ENOSPC);
	/* it cannot go there before it has read; and then the last change is told, too */
	assert_int_equal(go(VFIO_DEVICE_STATE_STOP_COPY, NULL), -ENOSPC);
	len = read_all(s, data, sizeof(data));
	assert_int_equal(vfio_stream_precopy(s, &info), 0);
	assert_int_not_equal(info.initial_bytes + info.dirty_bytes, 0);
	assert_int_equal(go(VFIO_DEVICE_STATE_STOP_COPY, NULL), 0);
	len += read_all(s, data + len, sizeof(data) - len);
	vfio_stream_put(s);
	assert_int_equal(go(VFIO_DEVICE_STATE_RESUMING, &s), 0);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)data, len), len);
	assert_int_equal(go(VFIO_DEVICE_STATE_RUNNING, NULL), 0);
	vfio_stream_put(s);
}

static void test_large_state(void **state)
{
	static uint8_t data[8 * MOST];
	struct vfio_stream *s;
	size_t len;

	state_len = 2 * MOST;
	vfio_migrate_bound(dev.migrate, 3 * MOST);
	assert_int_equal(go(VFIO_DEVICE_STATE_STOP_COPY, &s), 0);
	len = read_all(s, data, sizeof(data));
	assert_true(len > state_len);
	vfio_stream_put(s);
	vfio_migrate_bound(dev.migrate, MOST);
	assert_int_equal(go(VFIO_DEVICE_STATE_STOP, NULL), 0);
	assert_int_equal(go(VFIO_DEVICE_STATE_STOP_COPY, NULL), -ENOSPC);
	assert_int_equal(vfio_migrate_state(dev.migrate), VFIO_DEVICE_STATE_STOP);
	/* one that comes is refused by what its header says, before the bytes are there */
	assert_int_equal(go(VFIO_DEVICE_STATE_RESUMING, &s), 0);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)data, 200), -ENOSPC);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)data + 200, 200), -ENODEV);
	vfio_stream_put(s);
	vfio_migrate_reset(&dev);
	assert_int_equal(go(VFIO_DEVICE_STATE_RESUMING, &s), 0);
	vfio_migrate_bound(dev.migrate, 0);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)data, len), len);
	assert_int_equal(go(VFIO_DEVICE_STATE_RUNNING, NULL), 0);
	vfio_stream_put(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_state, setup, teardown),
	};

	log_set(-1, LOG_NONE);
	if (guard_install())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
