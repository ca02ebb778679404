/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/migrate_test.c: each way from state to state, against what linux/vfio.h says of it; streams
 * in pieces, and what becomes of them; resets at any moment. The device is a few numbers.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "base/guard.h"
#include "base/heap.h"
#include "base/report.h"
#include "base/util.h"
#include "vfio/device.h"
#include "vfio/kernel.h"
#include "vfio/migrate.h"

enum { ERR, STOP, RUNNING, STOP_COPY, RESUMING, P2P, PRE, PRE_P2P, STATES };

/* ---- a device ---- */

struct fake {
	struct vfio_device dev;
	int halted; /* 0, 1: DMA, 2: all */
	bool tracking;
	uint32_t identity, state;
	unsigned dirty, loaded; /* pieces of memory */
	unsigned saves;		/* calls */
	int answer_halt[2], answer_save[4], answer_load[4], answer_track;
	bool stuck;		   /* dirty does not get less */
	bool follows;		   /* it becomes what a stream says that it is */
	struct vfio_device *reset; /* while it is halted, it is reset */
};

static struct fake *fake_of(struct vfio_device *dev)
{
	return container_of_type(dev, struct fake, dev);
}

static int fake_halt(struct vfio_device *dev, enum vfio_halt how)
{
	struct fake *f = fake_of(dev);

	assert_int_equal(f->halted, how);
	if (f->answer_halt[how])
		return f->answer_halt[how];
	f->halted = how + 1;
	if (f->reset)
		vfio_migrate_reset(f->reset);
	return 0;
}

static void fake_go_on(struct vfio_device *dev, enum vfio_halt how)
{
	struct fake *f = fake_of(dev);

	if (f->halted == (int)how + 1)
		f->halted = how;
}

static int fake_save(struct vfio_device *dev, enum vfio_part part, void **out, size_t *len)
{
	struct fake *f = fake_of(dev);
	uint32_t *p;

	f->saves++;
	if (part == VFIO_PART_STATE)
		assert_int_equal(f->halted, 2);
	if (f->answer_save[part])
		return f->answer_save[part];
	*len = part == VFIO_PART_MEMORY ? 5000 : sizeof(*p);
	p = heap_alloc(*len);
	if (!p)
		return -ENOMEM;
	*p = part == VFIO_PART_DEVICE ? f->identity : part == VFIO_PART_STATE ? f->state : 0;
	if (part == VFIO_PART_MEMORY && !f->stuck)
		f->dirty--;
	*out = p;
	return 0;
}

static int fake_load(struct vfio_device *dev, enum vfio_part part, const void *buf, size_t len)
{
	struct fake *f = fake_of(dev);
	uint32_t v;

	assert_int_equal(f->halted, 2);
	if (f->answer_load[part])
		return f->answer_load[part];
	memcpy(&v, buf, sizeof(v));
	if (part == VFIO_PART_DEVICE)
		f->identity = f->follows ? v : f->identity;
	if (part == VFIO_PART_DEVICE)
		return v == f->identity ? 0 : -EINVAL;
	if (part == VFIO_PART_STATE)
		f->state = v;
	else
		f->loaded++;
	return 0;
}

static uint64_t fake_size(struct vfio_device *dev)
{
	return 4711;
}

static int fake_track(struct vfio_device *dev, bool on)
{
	struct fake *f = fake_of(dev);

	if (on && f->answer_track)
		return f->answer_track;
	assert_int_equal(f->tracking, !on);
	f->tracking = on;
	f->dirty = on ? 3 : 0;
	return 0;
}

static uint64_t fake_dirty(struct vfio_device *dev)
{
	return fake_of(dev)->dirty * 5000ull;
}

static const struct vfio_migrate_ops ops = { .halt = fake_halt,
					     .go_on = fake_go_on,
					     .save = fake_save,
					     .load = fake_load,
					     .size = fake_size };
static const struct vfio_migrate_ops tracking_ops = {
	.halt = fake_halt,
	.go_on = fake_go_on,
	.save = fake_save,
	.load = fake_load,
	.size = fake_size,
	.track = fake_track,
	.dirty = fake_dirty,
};

static void make(struct fake *f, const struct vfio_migrate_ops *o)
{
	static const struct vfio_device_ops none;

	memset(f, 0, sizeof(*f));
	vfio_device_init(&f->dev, &none, "dev", NULL);
	assert_int_equal(vfio_migrate_new(&f->dev, o), 0);
}

static void unmake(struct fake *f)
{
	vfio_migrate_free(&f->dev);
	vfio_device_fini(&f->dev);
	assert_int_equal(f->tracking, false);
}

/* ---- ways ---- */

static char way[256]; /* the states that were gone to */

static void on_report(const struct report *r, void *arg)
{
	const char *to = strstr(r->text, "-> ");

	if (!strcmp(r->code->name, "migration-arc") && to)
		snprintf(way + strlen(way), sizeof(way) - strlen(way), "%s%s", *way ? " " : "",
			 to + 3);
}

static uint32_t state_of(struct fake *f)
{
	return vfio_migrate_state(f->dev.migrate);
}

/* Go to @state; a stream that begins is put into *@s, or let go. */
static int go(struct fake *f, uint32_t state, struct vfio_stream **s)
{
	struct vfio_stream *got = NULL;
	int ret;

	way[0] = '\0';
	ret = vfio_migrate_set(f->dev.migrate, state, &got);
	if (s)
		*s = got;
	else if (got)
		vfio_stream_put(got);
	return ret;
}

static size_t read_all(struct vfio_stream *s, uint8_t *buf, size_t size, size_t piece, int end)
{
	size_t done = 0;
	ssize_t n;

	while ((n = vfio_stream_read(s, (uintptr_t)buf + done, piece)) > 0) {
		done += (size_t)n;
		assert_true(done + piece <= size);
	}
	assert_int_equal(n, end);
	return done;
}

static uint8_t data[100000];
static size_t data_len;

/* Have a whole stream of a device in @data. */
static void record(uint32_t identity, uint32_t state)
{
	struct vfio_stream *s;
	struct fake f;

	make(&f, &tracking_ops);
	f.identity = identity;
	f.state = state;
	assert_int_equal(go(&f, STOP_COPY, &s), 0);
	data_len = read_all(s, data, sizeof(data), 4096, 0);
	vfio_stream_put(s);
	unmake(&f);
}

/* linux/vfio.h, at enum vfio_device_mig_state: from, to, by which states; NULL: not at all */
static const struct {
	int from, to;
	const char *by;
} ways[] = {
	{ STOP, RUNNING, "RUNNING_P2P RUNNING" },
	{ STOP, STOP_COPY, "STOP_COPY" },
	{ STOP, RESUMING, "RESUMING" },
	{ STOP, P2P, "RUNNING_P2P" },
	{ STOP, PRE, "RUNNING_P2P RUNNING PRE_COPY" },
	{ STOP, PRE_P2P, "RUNNING_P2P PRE_COPY_P2P" },
	{ RUNNING, STOP, "RUNNING_P2P STOP" },
	{ RUNNING, STOP_COPY, "RUNNING_P2P STOP STOP_COPY" },
	{ RUNNING, RESUMING, "RUNNING_P2P STOP RESUMING" },
	{ RUNNING, P2P, "RUNNING_P2P" },
	{ RUNNING, PRE, "PRE_COPY" },
	{ RUNNING, PRE_P2P, "RUNNING_P2P PRE_COPY_P2P" },
	{ STOP_COPY, STOP, "STOP" },
	{ STOP_COPY, RUNNING, "STOP RUNNING_P2P RUNNING" },
	{ STOP_COPY, RESUMING, "STOP RESUMING" },
	{ STOP_COPY, P2P, "STOP RUNNING_P2P" },
	{ STOP_COPY, PRE, NULL },
	{ STOP_COPY, PRE_P2P, NULL },
	{ RESUMING, STOP, "STOP" },
	{ RESUMING, RUNNING, "STOP RUNNING_P2P RUNNING" },
	{ RESUMING, STOP_COPY, "STOP STOP_COPY" },
	{ RESUMING, P2P, "STOP RUNNING_P2P" },
	{ RESUMING, PRE, "STOP RUNNING_P2P RUNNING PRE_COPY" },
	{ RESUMING, PRE_P2P, "STOP RUNNING_P2P PRE_COPY_P2P" },
	{ P2P, STOP, "STOP" },
	{ P2P, RUNNING, "RUNNING" },
	{ P2P, STOP_COPY, "STOP STOP_COPY" },
	{ P2P, RESUMING, "STOP RESUMING" },
	{ P2P, PRE, "RUNNING PRE_COPY" },
	{ P2P, PRE_P2P, "PRE_COPY_P2P" },
	{ PRE, STOP, "RUNNING RUNNING_P2P STOP" },
	{ PRE, RUNNING, "RUNNING" },
	{ PRE, STOP_COPY, "PRE_COPY_P2P STOP_COPY" },
	{ PRE, RESUMING, "RUNNING RUNNING_P2P STOP RESUMING" },
	{ PRE, P2P, "RUNNING RUNNING_P2P" },
	{ PRE, PRE_P2P, "PRE_COPY_P2P" },
	{ PRE_P2P, STOP, "RUNNING_P2P STOP" },
	{ PRE_P2P, RUNNING, "RUNNING_P2P RUNNING" },
	{ PRE_P2P, STOP_COPY, "STOP_COPY" },
	{ PRE_P2P, RESUMING, "RUNNING_P2P STOP RESUMING" },
	{ PRE_P2P, P2P, "RUNNING_P2P" },
	{ PRE_P2P, PRE, "PRE_COPY" },
};

/* Be in @state. What has to be written while it is RESUMING is written. */
static void be_in(struct fake *f, int state)
{
	struct vfio_stream *s;

	assert_int_equal(go(f, (uint32_t)state, &s), 0);
	if (state == RESUMING)
		assert_int_equal(vfio_stream_write(s, (uintptr_t)data, data_len), data_len);
	if (s)
		vfio_stream_put(s);
}

/* The device in each state: running, stopped, saving, loading. */
static void is_in(struct fake *f, int state)
{
	static const int halted[STATES] = {
		[STOP] = 2, [RUNNING] = 0, [STOP_COPY] = 2, [RESUMING] = 2,
		[P2P] = 1,  [PRE] = 0,	   [PRE_P2P] = 1,
	};

	assert_int_equal(state_of(f), state);
	assert_int_equal(f->halted, halted[state]);
	assert_int_equal(f->tracking, f->dev.migrate && (state == STOP_COPY || state == PRE ||
							 state == PRE_P2P));
}

static void test_ways(void **state)
{
	static struct report_subscriber sub = { .fn = on_report, .level = LOG_DEBUG };
	struct vfio_stream *s;
	struct fake f;
	bool begins;

	report_subscribe(&sub);
	record(0, 0);
	assert_int_equal(ARRAY_SIZE(ways), 7 * 6);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		make(&f, &tracking_ops);
		assert_int_equal(vfio_migrate_flags(f.dev.migrate), 7);
		be_in(&f, ways[i].from);
		is_in(&f, ways[i].from);
		/* to where it is, and to where nobody can be */
		assert_int_equal(go(&f, (uint32_t)ways[i].from, &s), 0);
		assert_null(s);
		assert_int_equal(go(&f, ERR, NULL), -EINVAL);
		assert_int_equal(go(&f, STATES, NULL), -EINVAL);
		assert_int_equal(go(&f, UINT32_MAX, NULL), -EINVAL);
		is_in(&f, ways[i].from);
		assert_int_equal(go(&f, (uint32_t)ways[i].to, &s), ways[i].by ? 0 : -EINVAL);
		assert_string_equal(way, ways[i].by ? ways[i].by : "");
		is_in(&f, ways[i].by ? ways[i].to : ways[i].from);
		/* a stream comes where saving or loading begins */
		begins = ways[i].by && (ways[i].to == RESUMING || ways[i].to == STOP_COPY ||
					ways[i].to == PRE || ways[i].to == PRE_P2P);
		if (ways[i].from == PRE || ways[i].from == PRE_P2P)
			begins = begins && ways[i].to == RESUMING;
		assert_int_equal(s != NULL, begins);
		if (s)
			vfio_stream_put(s);
		unmake(&f);
	}
	report_unsubscribe(&sub);
}

/* The lengths of magic number and records. */
enum { MAGIC = 16, HEAD = 24, DEVICE = HEAD + 4, MEMORY = HEAD + 5000, STATE = HEAD + 4 };

/* A device that notes nothing: what comes early is what the other one must be like. */
static void test_no_memory(void **state)
{
	struct vfio_precopy_info info;
	struct vfio_stream *s, *to;
	struct fake f, other;

	make(&f, &ops);
	f.identity = 5;
	f.state = 1234;
	assert_int_equal(vfio_migrate_flags(f.dev.migrate), 7);
	assert_int_equal(vfio_migrate_size(f.dev.migrate), 4711);
	assert_int_equal(go(&f, PRE, &s), 0);
	assert_int_equal(vfio_stream_precopy(s, &info), 0);
	assert_int_equal(info.initial_bytes, MAGIC + DEVICE);
	assert_int_equal(info.dirty_bytes, 0);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)data, 20), 20);
	assert_int_equal(vfio_stream_precopy(s, &info), 0);
	assert_int_equal(info.initial_bytes, MAGIC + DEVICE - 20);
	data_len = 20 + read_all(s, data + 20, sizeof(data) - 20, 5, -ENOMSG);
	assert_int_equal(data_len, MAGIC + DEVICE);
	assert_int_equal(vfio_stream_precopy(s, &info), 0);
	assert_int_equal(info.initial_bytes + info.dirty_bytes, 0);
	assert_int_equal(f.halted, 0);
	/* another device says so before this one stops, and takes no more */
	make(&other, &ops);
	other.identity = 6;
	assert_int_equal(go(&other, RESUMING, &to), 0);
	assert_int_equal(vfio_stream_write(to, (uintptr_t)data, data_len), -EINVAL);
	assert_int_equal(vfio_stream_write(to, (uintptr_t)data, 1), -ENODEV);
	vfio_stream_put(to);
	unmake(&other);
	assert_int_equal(go(&f, STOP_COPY, NULL), 0);
	data_len += read_all(s, data + data_len, sizeof(data) - data_len, 1, 0);
	assert_int_equal(data_len, MAGIC + DEVICE + STATE + HEAD);
	assert_int_equal(vfio_stream_precopy(s, &info), -EINVAL);
	vfio_stream_put(s);
	f.state = 0;
	assert_int_equal(go(&f, RESUMING, &s), 0);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)data, data_len), data_len);
	assert_int_equal(go(&f, RUNNING, NULL), 0);
	assert_int_equal(f.state, 1234);
	vfio_stream_put(s);
	unmake(&f);
	/* Linux 6.1 has no PRE_COPY, whatever the device could do */
	make(&f, &tracking_ops);
	assert_int_equal(vfio_kernel_choose("6.1"), 0);
	assert_int_equal(vfio_migrate_flags(f.dev.migrate), 3);
	assert_int_equal(go(&f, PRE, NULL), -EINVAL);
	assert_int_equal(vfio_kernel_choose("7.3"), 0);
	unmake(&f);
}

/* ---- streams ---- */

/* A state goes through any number of pieces, of which none ends where a record does. */
static void test_pieces(void **state)
{
	static const size_t sizes[] = { 1, 7, 24, 4096, sizeof(data) };
	struct vfio_stream *s;
	struct fake f;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		record(5, 1234);
		make(&f, &tracking_ops);
		f.identity = 5;
		assert_int_equal(go(&f, RESUMING, &s), 0);
		for (size_t at = 0, n; at < data_len; at += n) {
			n = sizes[i] < data_len - at ? sizes[i] : data_len - at;
			assert_int_equal(vfio_stream_write(s, (uintptr_t)data + at, n), n);
		}
		assert_int_equal(f.loaded, 3);
		assert_int_equal(f.state, 0);
		assert_int_equal(go(&f, STOP, NULL), 0);
		assert_int_equal(f.state, 1234);
		/* it is over */
		assert_int_equal(vfio_stream_write(s, (uintptr_t)data, 1), -ENODEV);
		vfio_stream_put(s);
		unmake(&f);
	}
}

/* Write what is in @data; return what the last write said, and the change to STOP, in one. */
static int try_load(struct fake *f, size_t len, int *stop)
{
	struct vfio_stream *s;
	ssize_t n;

	make(f, &tracking_ops);
	f->identity = 5;
	assert_int_equal(go(f, RESUMING, &s), 0);
	n = vfio_stream_write(s, (uintptr_t)data, len);
	if (n < 0)
		assert_int_equal(vfio_stream_write(s, (uintptr_t)data, 1), -ENODEV);
	*stop = go(f, STOP, NULL);
	assert_int_equal(state_of(f), *stop ? RESUMING : STOP);
	vfio_stream_put(s);
	unmake(f);
	return n < 0 ? (int)n : 0;
}

static void test_damaged(void **state)
{
	struct fake f;
	int stop;

	record(5, 1234);
	assert_int_equal(try_load(&f, data_len, &stop), 0);
	assert_int_equal(stop, 0);
	/* cut short, anywhere */
	for (size_t i = 0; i < data_len; i += i < 100 || i > data_len - 100 ? 1 : 97) {
		assert_int_equal(try_load(&f, i, &stop), 0);
		assert_int_equal(stop, -EINVAL);
		assert_int_equal(f.state, 0);
	}
	/* a bit that changed, anywhere */
	for (size_t i = 0; i < data_len; i += i < 100 || i > data_len - 100 ? 1 : 97) {
		data[i] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(try_load(&f, data_len, &stop), -EINVAL);
		assert_int_equal(stop, -EINVAL);
		assert_int_equal(f.state, 0);
		data[i] ^= (uint8_t)(1u << i % 8);
	}
	/* something behind the end */
	data[data_len] = 0;
	assert_int_equal(try_load(&f, data_len + 1, &stop), -EINVAL);
}

static void test_records(void **state)
{
	static uint8_t other[sizeof(data)];
	struct fake f;
	int stop;

	record(5, 1234);
	assert_int_equal(data_len, MAGIC + DEVICE + 3 * MEMORY + STATE + HEAD);
	memcpy(other, data, sizeof(other));
	/* one is missing */
	memmove(data + MAGIC + DEVICE, other + MAGIC + DEVICE + MEMORY, 2 * MEMORY + STATE + HEAD);
	assert_int_equal(try_load(&f, data_len - MEMORY, &stop), -EINVAL);
	/* two have changed places */
	memcpy(data, other, sizeof(data));
	memcpy(data + MAGIC + DEVICE, other + MAGIC + DEVICE + MEMORY, MEMORY);
	memcpy(data + MAGIC + DEVICE + MEMORY, other + MAGIC + DEVICE, MEMORY);
	assert_int_equal(try_load(&f, data_len, &stop), -EINVAL);
	/* it begins with another than the device */
	memcpy(data, other, sizeof(data));
	memmove(data + MAGIC, other + MAGIC + DEVICE, data_len - MAGIC - DEVICE);
	assert_int_equal(try_load(&f, data_len - DEVICE, &stop), -EINVAL);
	/* another device's */
	record(6, 1234);
	assert_int_equal(try_load(&f, data_len, &stop), -EINVAL);
}

static void test_device_refuses(void **state)
{
	struct vfio_stream *s;
	struct fake f;

	record(5, 1234);
	make(&f, &tracking_ops);
	f.identity = 5;
	f.answer_load[VFIO_PART_MEMORY] = -EIO;
	assert_int_equal(go(&f, RESUMING, &s), 0);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)data, data_len), -EIO);
	assert_int_equal(go(&f, STOP, NULL), -EINVAL);
	assert_int_equal(state_of(&f), RESUMING);
	vfio_stream_put(s);
	/* a reset is the way out */
	vfio_migrate_reset(&f.dev);
	is_in(&f, RUNNING);
	f.answer_load[VFIO_PART_MEMORY] = 0;
	f.answer_load[VFIO_PART_STATE] = -EINVAL;
	assert_int_equal(go(&f, RESUMING, &s), 0);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)data, data_len), data_len);
	assert_int_equal(go(&f, RUNNING, NULL), -EINVAL);
	assert_int_equal(state_of(&f), ERR);
	assert_int_equal(f.halted, 2);
	/* nothing else is */
	for (uint32_t to = ERR; to < STATES; to++)
		assert_int_equal(go(&f, to, NULL), to == ERR ? 0 : -EINVAL);
	vfio_migrate_reset(&f.dev);
	is_in(&f, RUNNING);
	vfio_stream_put(s);
	unmake(&f);
}

static void test_bad_memory(void **state)
{
	uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_stream *s;
	struct fake f;

	guard_install();
	assert_int_equal(munmap(p + 4096, 4096), 0);
	record(5, 77);
	make(&f, &tracking_ops);
	f.identity = 5;
	assert_int_equal(go(&f, STOP_COPY, &s), 0);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)p + 4096, 10), -EFAULT);
	assert_int_equal(vfio_stream_read(s, 0, 10), -EFAULT);
	/* what could be read before it is not lost */
	assert_int_equal(vfio_stream_read(s, (uintptr_t)p + 4096 - 16, 100), 16);
	assert_memory_equal(p + 4096 - 16, data, 16);
	vfio_stream_put(s);
	assert_int_equal(go(&f, RESUMING, &s), 0);
	memcpy(p + 4096 - 16, data, 16);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)p + 4096 - 16, 100), 16);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)p + 4096, 100), -EFAULT);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)data + 16, data_len - 16), data_len - 16);
	assert_int_equal(go(&f, STOP, NULL), 0);
	assert_int_equal(f.state, 77);
	vfio_stream_put(s);
	unmake(&f);
	munmap(p, 4096);
}

static void ready(void *arg, bool ready)
{
	*(int *)arg = ready;
}

static void test_precopy(void **state)
{
	struct vfio_precopy_info info = { .flags = 99 };
	uint64_t before = UINT64_MAX;
	struct vfio_stream *s, *none;
	int is_ready = -1;
	struct fake f;
	size_t len;

	make(&f, &tracking_ops);
	f.state = 9;
	assert_int_equal(go(&f, PRE, &s), 0);
	vfio_stream_on_ready(s, ready, &is_ready);
	assert_int_equal(is_ready, 1);
	assert_int_equal(f.halted, 0);
	/* what there is gets less, and has no other name before it has all been read */
	for (data_len = 0;; data_len += len) {
		assert_int_equal(vfio_stream_precopy(s, &info), 0);
		assert_int_equal(info.flags, 99);
		if (!info.initial_bytes)
			break;
		assert_true(info.initial_bytes < before);
		before = info.initial_bytes;
		len = (size_t)vfio_stream_read(s, (uintptr_t)data + data_len, 3000);
		assert_true((ssize_t)len > 0);
	}
	data_len += read_all(s, data + data_len, sizeof(data) - data_len, 100, -ENOMSG);
	assert_int_equal(vfio_stream_precopy(s, &info), 0);
	assert_int_equal(info.initial_bytes, 0);
	assert_int_equal(info.dirty_bytes, 0);
	assert_int_equal(is_ready, 0);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)data + data_len, 0), 0);
	/* some of it changes; who asks is told, and then it can be read, too */
	f.dirty = 1;
	vfio_migrate_precopy_v2(f.dev.migrate);
	assert_int_equal(vfio_stream_precopy(s, &info), 0);
	assert_int_equal(info.flags, 0);
	assert_int_equal(info.initial_bytes, 0);
	assert_int_equal(info.dirty_bytes, 5000);
	assert_int_equal(is_ready, 1);
	/* without DMA the stream is the same */
	assert_int_equal(go(&f, PRE_P2P, &none), 0);
	assert_null(none);
	data_len += read_all(s, data + data_len, sizeof(data) - data_len, 100, -ENOMSG);
	assert_int_equal(go(&f, PRE, &none), 0);
	f.dirty = 2;
	assert_int_equal(go(&f, STOP_COPY, &none), 0);
	assert_null(none);
	assert_int_equal(is_ready, 1);
	assert_int_equal(vfio_stream_precopy(s, &info), -EINVAL);
	data_len += read_all(s, data + data_len, sizeof(data) - data_len, 100, 0);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)data, 1), 0);
	assert_int_equal(go(&f, RUNNING, NULL), 0);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)data + data_len, 1), -ENODEV);
	/* another session: the old stream has nothing to say */
	assert_int_equal(go(&f, PRE, NULL), 0);
	assert_int_equal(vfio_stream_precopy(s, &info), -ENODEV);
	vfio_stream_on_ready(s, NULL, NULL);
	vfio_stream_put(s);
	/* all six pieces arrive, and the state */
	f.state = 0;
	assert_int_equal(go(&f, RESUMING, &s), 0);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)data, data_len), data_len);
	assert_int_equal(go(&f, STOP, NULL), 0);
	assert_int_equal(f.loaded, 6);
	assert_int_equal(f.state, 9);
	vfio_stream_put(s);
	unmake(&f);
}

/* The device's kind changes while it is copied: the other one learns of it, early if it can. */
static void test_changed(void **state)
{
	struct vfio_precopy_info info = { .flags = 99 };
	struct vfio_stream *s;
	int is_ready = -1;
	struct fake f;

	make(&f, &tracking_ops);
	f.identity = 1;
	assert_int_equal(go(&f, PRE, &s), 0);
	vfio_stream_on_ready(s, ready, &is_ready);
	data_len = read_all(s, data, sizeof(data), 5000, -ENOMSG);
	/* for a client that does not look at flags it is data that changed */
	f.identity = 2;
	assert_int_equal(vfio_stream_precopy(s, &info), 0);
	assert_int_equal(info.flags, 99);
	assert_int_equal(info.initial_bytes, 0);
	assert_int_equal(info.dirty_bytes, DEVICE);
	assert_int_equal(is_ready, 1);
	data_len += read_all(s, data + data_len, sizeof(data) - data_len, 5000, -ENOMSG);
	/* for one that does, all that there is now is initial data, and is that only once */
	vfio_migrate_precopy_v2(f.dev.migrate);
	f.identity = 3;
	f.dirty = 1;
	assert_int_equal(vfio_stream_precopy(s, &info), 0);
	assert_int_equal(info.flags, VFIO_PRECOPY_INFO_REINIT);
	assert_int_equal(info.initial_bytes, DEVICE + 5000);
	assert_int_equal(info.dirty_bytes, 0);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)data + data_len, 10), 10);
	data_len += 10;
	assert_int_equal(vfio_stream_precopy(s, &info), 0);
	assert_int_equal(info.flags, 0);
	assert_int_equal(info.initial_bytes, DEVICE + 5000 - 10);
	data_len += read_all(s, data + data_len, sizeof(data) - data_len, 5000, -ENOMSG);
	assert_int_equal(vfio_stream_precopy(s, &info), 0);
	assert_int_equal(info.initial_bytes + info.dirty_bytes, 0);
	/* nobody asked: it is said before the state */
	f.identity = 4;
	f.state = 77;
	assert_int_equal(go(&f, STOP_COPY, NULL), 0);
	data_len += read_all(s, data + data_len, sizeof(data) - data_len, 5000, 0);
	assert_int_equal(data_len, MAGIC + 4 * DEVICE + 4 * MEMORY + STATE + HEAD);
	vfio_stream_on_ready(s, NULL, NULL);
	vfio_stream_put(s);
	/* a device that follows has the state in the end; one that is still the first refuses */
	f.follows = true;
	f.state = 0;
	assert_int_equal(go(&f, RESUMING, &s), 0);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)data, data_len), data_len);
	assert_int_equal(f.identity, 4);
	assert_int_equal(go(&f, STOP, NULL), 0);
	assert_int_equal(f.state, 77);
	vfio_stream_put(s);
	f.follows = false;
	f.identity = 1;
	assert_int_equal(go(&f, RESUMING, &s), 0);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)data, data_len), -EINVAL);
	vfio_stream_put(s);
	/* it cannot say what it is any more */
	vfio_migrate_reset(&f.dev);
	assert_int_equal(go(&f, PRE, &s), 0);
	f.answer_save[VFIO_PART_DEVICE] = -EIO;
	assert_int_equal(vfio_stream_precopy(s, &info), -EIO);
	assert_int_equal(vfio_stream_precopy(s, &info), -ENODEV);
	assert_int_equal(go(&f, RUNNING, NULL), 0);
	vfio_stream_put(s);
	unmake(&f);
}

/* A device that cannot halt, track or save: the way ends where it got to. */
static void test_failures(void **state)
{
	struct vfio_stream *s;
	struct fake f;
	uint8_t byte;

	make(&f, &tracking_ops);
	f.answer_halt[VFIO_HALT_DMA] = -EBUSY;
	assert_int_equal(go(&f, STOP, NULL), -EBUSY);
	is_in(&f, RUNNING);
	f.answer_halt[VFIO_HALT_DMA] = 0;
	f.answer_halt[VFIO_HALT_ALL] = -EBUSY;
	assert_int_equal(go(&f, STOP_COPY, NULL), -EBUSY);
	is_in(&f, P2P);
	assert_int_equal(go(&f, PRE, &s), 0);
	assert_int_equal(go(&f, STOP_COPY, NULL), -EBUSY);
	is_in(&f, PRE_P2P);
	/* the stream goes on */
	assert_int_equal(vfio_stream_read(s, (uintptr_t)&byte, 1), 1);
	f.answer_halt[VFIO_HALT_ALL] = 0;
	f.answer_save[VFIO_PART_STATE] = -EIO;
	assert_int_equal(go(&f, STOP_COPY, NULL), -EIO);
	is_in(&f, PRE_P2P);
	/* and now it does not */
	assert_int_equal(vfio_stream_read(s, (uintptr_t)&byte, 1), -ENODEV);
	vfio_stream_put(s);
	assert_int_equal(go(&f, STOP, NULL), 0);
	assert_int_equal(go(&f, STOP_COPY, &s), -EIO);
	assert_null(s);
	is_in(&f, STOP);
	f.answer_save[VFIO_PART_STATE] = 0;
	f.answer_track = -ENOMEM;
	assert_int_equal(go(&f, STOP_COPY, NULL), -ENOMEM);
	is_in(&f, STOP);
	assert_int_equal(go(&f, PRE, NULL), -ENOMEM);
	is_in(&f, RUNNING);
	f.answer_track = 0;
	f.answer_save[VFIO_PART_DEVICE] = -EIO;
	assert_int_equal(go(&f, PRE, NULL), -EIO);
	is_in(&f, RUNNING);
	f.answer_save[VFIO_PART_DEVICE] = 0;
	/* memory that changes on and on, though the device is stopped */
	f.stuck = true;
	assert_int_equal(go(&f, STOP_COPY, NULL), -EIO);
	is_in(&f, STOP);
	unmake(&f);
}

/* ---- resets, and the end ---- */

static void test_resets(void **state)
{
	struct vfio_stream *s;
	struct fake f;
	uint8_t byte;

	record(0, 0);
	for (int from = STOP; from < STATES; from++) {
		make(&f, &tracking_ops);
		be_in(&f, from);
		vfio_migrate_reset(&f.dev);
		is_in(&f, RUNNING);
		unmake(&f);
	}
	make(&f, &tracking_ops);
	assert_int_equal(go(&f, STOP_COPY, &s), 0);
	vfio_migrate_reset(&f.dev);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)&byte, 1), -ENODEV);
	vfio_stream_put(s);
	/* one that comes in the middle is done at the end */
	f.reset = &f.dev;
	assert_int_equal(go(&f, STOP, NULL), 0);
	is_in(&f, RUNNING);
	f.reset = NULL;
	/* the last opener closes it; then it goes, with a stream still open */
	assert_int_equal(go(&f, STOP_COPY, &s), 0);
	vfio_migrate_closed(&f.dev);
	is_in(&f, RUNNING);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)&byte, 1), -ENODEV);
	vfio_stream_put(s);
	assert_int_equal(go(&f, STOP_COPY, &s), 0);
	unmake(&f);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)&byte, 1), -ENODEV);
	vfio_stream_put(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ways),	   cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_pieces),	   cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_records),	   cmocka_unit_test(test_device_refuses),
		cmocka_unit_test(test_bad_memory), cmocka_unit_test(test_precopy),
		cmocka_unit_test(test_changed),	   cmocka_unit_test(test_failures),
		cmocka_unit_test(test_resets),
	};

	log_set(-1, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
