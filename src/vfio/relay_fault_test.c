/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio/relay_fault_test.c: a device whose state somebody else keeps. That one is a device of this
 * process, too, which is asked by its own interface: so both must tell the same of every way from
 * state to state, and the streams of both must have the same bytes. Then each allocation fails in
 * turn.
 */
#include "base/guard.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/test_fault.h"
#include "base/util.h"
#include "iommu/device.h"
#include "vfio/device.h"
#include "vfio/dma_log.h"
#include "vfio/migrate.h"

enum { ERR, STOP, RUNNING, STOP_COPY, RESUMING, P2P, PRE, PRE_P2P, STATES };

/* ---- who keeps it: a device whose state is a number, beside a lot of bytes ---- */

#define BYTES 700000u /* more than goes at once */

struct keeper {
	struct vfio_device dev;
	struct iommu_device iommu;
	struct vfio_open open;
	struct vfio_stream *stream;
	uint32_t number;
	bool gone; /* it does not answer */
};
static struct keeper *keeper; /* of the device under test */

static int halt(struct vfio_device *dev, enum vfio_halt how)
{
	return 0;
}
static void go_on(struct vfio_device *dev, enum vfio_halt how)
{
}
static int save(struct vfio_device *dev, enum vfio_part part, void **out, size_t *len)
{
	uint32_t *p;

	*len = part == VFIO_PART_STATE ? BYTES : sizeof(*p);
	p = heap_alloc(*len);
	if (!p)
		return -ENOMEM;
	*p = part == VFIO_PART_STATE ? container_of_type(dev, struct keeper, dev)->number : 7;
	*out = p;
	return 0;
}
static int load(struct vfio_device *dev, enum vfio_part part, const void *buf, size_t len)
{
	struct keeper *k = container_of_type(dev, struct keeper, dev);
	uint32_t v;

	memcpy(&v, buf, sizeof(v));
	if (part == VFIO_PART_STATE)
		k->number = v;
	return part == VFIO_PART_STATE || v == 7 ? 0 : -EINVAL;
}
static uint64_t size(struct vfio_device *dev)
{
	return 4711;
}
static const struct vfio_migrate_ops ops = {
	.halt = halt, .go_on = go_on, .save = save, .load = load, .size = size
};

/* ---- the way there ---- */

static uint64_t relay_flags(struct vfio_device *dev)
{
	return vfio_migrate_flags(keeper->dev.migrate);
}
static int relay_state(struct vfio_device *dev, uint32_t *out)
{
	*out = vfio_migrate_state(keeper->dev.migrate);
	return keeper->gone ? -EIO : 0;
}
static int relay_set(struct vfio_device *dev, uint32_t state)
{
	struct vfio_stream *s = NULL;
	int ret = keeper->gone ? -EIO : vfio_migrate_set(keeper->dev.migrate, state, &s);

	if (s) {
		if (keeper->stream)
			vfio_stream_put(keeper->stream);
		keeper->stream = s;
	}
	return ret;
}
static ssize_t relay_read(struct vfio_device *dev, void *buf, size_t len)
{
	ssize_t n = vfio_stream_read(keeper->stream, (uintptr_t)buf, len);

	return keeper->gone ? -EIO : n == -ENOMSG ? 0 : n;
}
static int relay_write(struct vfio_device *dev, const void *buf, size_t len)
{
	ssize_t n = vfio_stream_write(keeper->stream, (uintptr_t)buf, len);

	return n == (ssize_t)len ? 0 : (int)n;
}
static int relay_size(struct vfio_device *dev, uint64_t *out)
{
	*out = vfio_migrate_size(keeper->dev.migrate);
	return 0;
}
static int relay_precopy(struct vfio_device *dev, bool v2, struct vfio_precopy_info *info)
{
	return vfio_stream_precopy(keeper->stream, info);
}
static int relay_log_start(struct vfio_device *dev,
			   const struct vfio_device_feature_dma_logging_range *r, unsigned n,
			   uint64_t *page_size)
{
	return vfio_dma_log_start(&keeper->open, r, n, page_size);
}
static int relay_log_stop(struct vfio_device *dev)
{
	vfio_dma_log_stop(&keeper->open);
	return 0;
}
static int relay_log_report(struct vfio_device *dev, uint64_t iova, uint64_t length,
			    uint64_t page_size, void *bits, size_t len)
{
	assert_true(len <= 4096);
	return vfio_dma_log_report(&keeper->open, iova, length, page_size, (uintptr_t)bits);
}
static const struct vfio_migrate_relay relay = {
	.flags = relay_flags,
	.state = relay_state,
	.set = relay_set,
	.read = relay_read,
	.write = relay_write,
	.size = relay_size,
	.precopy = relay_precopy,
	.log_start = relay_log_start,
	.log_stop = relay_log_stop,
	.log_report = relay_log_report,
};

/* ---- both ---- */

static const struct vfio_device_ops none;

struct pair {
	struct keeper k;
	struct vfio_device dev;
	struct iommu_device iommu;
	struct vfio_open open;
};

static void make_keeper(struct keeper *k)
{
	memset(k, 0, sizeof(*k));
	iommu_device_init(&k->iommu, "keeper");
	vfio_device_init(&k->dev, &none, "keeper", &k->iommu);
	k->open.dev = &k->dev;
	assert_int_equal(vfio_migrate_new(&k->dev, &ops), 0);
}
static void unmake_keeper(struct keeper *k)
{
	if (k->stream)
		vfio_stream_put(k->stream);
	vfio_migrate_free(&k->dev);
	vfio_device_fini(&k->dev);
	iommu_log_stop(&k->iommu);
	iommu_device_fini(&k->iommu);
}
static void make(struct pair *p)
{
	memset(p, 0, sizeof(*p));
	make_keeper(&p->k);
	keeper = &p->k;
	iommu_device_init(&p->iommu, "dev");
	vfio_device_init(&p->dev, &none, "dev", &p->iommu);
	p->open.dev = &p->dev;
	assert_int_equal(vfio_migrate_new_relay(&p->dev, &relay), 0);
}
static void unmake(struct pair *p)
{
	vfio_migrate_free(&p->dev);
	vfio_device_fini(&p->dev);
	iommu_device_fini(&p->iommu);
	unmake_keeper(&p->k);
}

static int go(struct vfio_device *dev, uint32_t state, struct vfio_stream **s)
{
	struct vfio_stream *got = NULL;
	int ret = vfio_migrate_set(dev->migrate, state, &got);

	if (s)
		*s = got;
	else if (got)
		vfio_stream_put(got);
	return ret;
}

static size_t read_all(struct vfio_stream *s, uint8_t *buf, size_t piece, int end)
{
	size_t done = 0;
	ssize_t n;

	while ((n = vfio_stream_read(s, (uintptr_t)buf + done, piece)) > 0)
		done += (size_t)n;
	assert_int_equal(n, end);
	return done;
}

static uint8_t wanted[BYTES + 4096], got[BYTES + 4096];
static size_t wanted_len;

/* Have the stream of a keeper with @number in @wanted. */
static void record(uint32_t number)
{
	struct vfio_stream *s;
	struct keeper k;

	make_keeper(&k);
	k.number = number;
	assert_int_equal(go(&k.dev, STOP_COPY, &s), 0);
	wanted_len = read_all(s, wanted, 4096, 0);
	vfio_stream_put(s);
	unmake_keeper(&k);
}

static void be_in(struct vfio_device *dev, uint32_t state)
{
	struct vfio_stream *s;

	assert_int_equal(go(dev, state, &s), 0);
	if (state == RESUMING)
		assert_int_equal(vfio_stream_write(s, (uintptr_t)wanted, wanted_len), wanted_len);
	if (s)
		vfio_stream_put(s);
}

/* From each state to each: where it leads, what it answers, and whether a stream begins. */
static void ways(void **state)
{
	struct vfio_stream *s, *s2;
	struct keeper k;
	struct pair p;
	int ret;

	record(5);
	for (uint32_t from = STOP; from < STATES; from++) {
		for (uint32_t to = ERR; to <= STATES; to++) {
			make_keeper(&k);
			make(&p);
			be_in(&k.dev, from);
			be_in(&p.dev, from);
			ret = go(&k.dev, to, &s);
			assert_int_equal(go(&p.dev, to, &s2), ret);
			assert_int_equal(!s, !s2);
			assert_int_equal(vfio_migrate_state(p.dev.migrate),
					 vfio_migrate_state(k.dev.migrate));
			if (s2)
				assert_int_equal(vfio_stream_resuming(s2), vfio_stream_resuming(s));
			if (s)
				vfio_stream_put(s);
			if (s2)
				vfio_stream_put(s2);
			unmake(&p);
			unmake_keeper(&k);
		}
	}
}

static void stream(void **state)
{
	struct vfio_precopy_info info = { 0 }, info2 = { 0 };
	struct vfio_stream *s;
	struct pair p;
	size_t n;

	record(0xabcd);
	make(&p);
	assert_int_equal(vfio_migrate_flags(p.dev.migrate), 7);
	assert_int_equal(vfio_migrate_size(p.dev.migrate), 4711);
	p.k.number = 0xabcd;
	/* in PRE_COPY, and on in STOP_COPY by the same stream */
	assert_int_equal(go(&p.dev, PRE, &s), 0);
	assert_int_equal(vfio_stream_precopy(s, &info), 0);
	assert_int_equal(vfio_stream_precopy(p.k.stream, &info2), 0);
	assert_memory_equal(&info, &info2, sizeof(info));
	assert_int_equal(vfio_stream_read(s, (uintptr_t)got, 1), 1);
	/* what was asked for beforehand is there for the client still */
	assert_int_equal(vfio_stream_precopy(s, &info2), 0);
	assert_int_equal(info2.initial_bytes + info2.dirty_bytes,
			 info.initial_bytes + info.dirty_bytes - 1);
	n = 1 + read_all(s, got + 1, 3, -ENOMSG);
	assert_int_equal(go(&p.dev, STOP_COPY, NULL), 0);
	assert_int_equal(vfio_stream_precopy(s, &info), -EINVAL);
	n += read_all(s, got + n, 65536, 0);
	assert_int_equal(n, wanted_len);
	assert_memory_equal(got, wanted, n);
	assert_int_equal(go(&p.dev, RUNNING, NULL), 0);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)got, 1), -ENODEV);
	vfio_stream_put(s);
	/* and in */
	p.k.number = 0;
	assert_int_equal(go(&p.dev, RESUMING, &s), 0);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)wanted, 100), 100);
	assert_int_equal(go(&p.dev, STOP, NULL), -EINVAL);
	assert_int_equal(vfio_migrate_state(p.dev.migrate), RESUMING);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)wanted + 100, wanted_len - 100),
			 wanted_len - 100);
	assert_int_equal(go(&p.dev, RUNNING, NULL), 0);
	assert_int_equal(p.k.number, 0xabcd);
	vfio_stream_put(s);
	/* what it refuses is refused, and a stream that was refused is dead */
	assert_int_equal(go(&p.dev, RESUMING, &s), 0);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)wanted + 1, 100), -EINVAL);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)wanted, 100), -ENODEV);
	vfio_stream_put(s);
	assert_int_equal(go(&p.dev, RUNNING, NULL), -EINVAL);
	/* a reset */
	vfio_migrate_reset(&p.k.dev);
	vfio_migrate_reset(&p.dev);
	assert_int_equal(vfio_migrate_state(p.dev.migrate), RUNNING);
	assert_int_equal(go(&p.dev, STOP_COPY, &s), 0);
	vfio_migrate_reset(&p.k.dev);
	vfio_migrate_reset(&p.dev);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)got, 1), -ENODEV);
	vfio_stream_put(s);
	/* and one of which it does not hear: there is a new stream all the same */
	assert_int_equal(go(&p.dev, STOP_COPY, &s), 0);
	vfio_stream_put(s);
	vfio_migrate_reset(&p.k.dev);
	assert_int_equal(vfio_migrate_state(p.dev.migrate), RUNNING);
	assert_int_equal(go(&p.dev, STOP_COPY, &s), 0);
	assert_int_equal(read_all(s, got, 65536, 0), wanted_len);
	vfio_stream_put(s);
	assert_int_equal(go(&p.dev, RUNNING, NULL), 0);
	/* the close: its stream ends before the device does */
	assert_int_equal(go(&p.dev, STOP_COPY, &s), 0);
	vfio_migrate_closing(&p.dev);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)got, 1), -ENODEV);
	vfio_stream_put(s);
	assert_int_equal(go(&p.dev, RUNNING, NULL), 0);
	/* it goes */
	assert_int_equal(go(&p.dev, STOP_COPY, &s), 0);
	p.k.gone = true;
	assert_int_equal(vfio_migrate_state(p.dev.migrate), ERR);
	assert_int_equal(go(&p.dev, RUNNING, NULL), -EIO);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)got, 1), -ENODEV);
	vfio_stream_put(s);
	unmake(&p);
}

/* The log of a device that is written to elsewhere: bits of many pages come in pieces. */
static void log_of_writes(void **state)
{
	static uint8_t bits[5000], more[5000];
	const struct vfio_device_feature_dma_logging_range r = { .iova = 1ull << 32,
								 .length = 5000ull * 8 << 12 };
	uint64_t page = 4096;
	struct pair p;

	make(&p);
	assert_int_equal(vfio_dma_log_report(&p.open, r.iova, r.length, 4096, (uintptr_t)bits),
			 -EINVAL);
	assert_int_equal(vfio_dma_log_start(&p.open, &r, 1, &page), 0);
	assert_int_equal(vfio_dma_log_start(&p.open, &r, 1, &page), -EINVAL);
	for (unsigned i = 0; i < 40000; i += 777) {
		iommu_log_again(&p.k.iommu, r.iova + ((uint64_t)i << 12),
				r.iova + ((uint64_t)i << 12));
		more[i / 8] |= (uint8_t)(1 << i % 8);
	}
	more[17] |= bits[17] = 0xff; /* none is cleared */
	assert_int_equal(vfio_dma_log_report(&p.open, r.iova, r.length, 4096, (uintptr_t)bits), 0);
	assert_memory_equal(bits, more, sizeof(bits));
	memset(bits, 0, sizeof(bits));
	memset(more, 0, sizeof(more));
	assert_int_equal(vfio_dma_log_report(&p.open, r.iova, r.length, 4096, (uintptr_t)bits), 0);
	assert_memory_equal(bits, more, sizeof(bits));
	/* nobody asks for what is not logged: the bitmap need not have it */
	iommu_log_again(&p.k.iommu, r.iova, r.iova);
	assert_int_equal(vfio_dma_log_report(&p.open, 0, 1ull << 62, 1ull << 28, (uintptr_t)bits),
			 0);
	assert_int_equal(bits[2], 1);
	vfio_dma_log_stop(&p.open);
	assert_int_equal(vfio_dma_log_report(&p.open, r.iova, r.length, 4096, (uintptr_t)bits),
			 -EINVAL);
	unmake(&p);
}

/* Memory of the client's that is not there loses nothing. */
static void bad_memory(void **state)
{
	uint8_t *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct vfio_device_feature_dma_logging_range r = { .length = 1 << 20 };
	uint64_t page = 4096, bits = 0;
	struct vfio_stream *s;
	struct pair k;

	guard_install();
	assert_int_equal(munmap(p + 4096, 4096), 0);
	record(6);
	make(&k);
	k.k.number = 6;
	assert_int_equal(go(&k.dev, STOP_COPY, &s), 0);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)p + 4096, 100), -EFAULT);
	assert_int_equal(vfio_stream_read(s, (uintptr_t)p + 4096 - 16, 16), 16);
	assert_memory_equal(p + 4096 - 16, wanted, 16);
	assert_int_equal(read_all(s, got, 65536, 0), wanted_len - 16);
	vfio_stream_put(s);
	assert_int_equal(go(&k.dev, RESUMING, &s), 0);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)p + 4096, 100), -EFAULT);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)p + 4096 - 16, 100), 16);
	assert_int_equal(vfio_stream_write(s, (uintptr_t)wanted + 16, wanted_len - 16),
			 wanted_len - 16);
	vfio_stream_put(s);
	assert_int_equal(go(&k.dev, STOP, NULL), 0);
	assert_int_equal(vfio_dma_log_start(&k.open, &r, 1, &page), 0);
	iommu_log_again(&k.k.iommu, 0x3000, 0x3000);
	assert_int_equal(vfio_dma_log_report(&k.open, 0, r.length, 4096, (uintptr_t)p + 4096),
			 -EFAULT);
	assert_int_equal(vfio_dma_log_report(&k.open, 0, 64 << 12, 4096, (uintptr_t)&bits), 0);
	assert_int_equal(bits, 8);
	unmake(&k);
	munmap(p, 4096);
}

static void fails(void **state)
{
	struct vfio_stream *s;
	struct pair p;

	record(9);
	FAULT_LOOP(l, FAULT_MEMORY) {
		ssize_t n = 0;
		int ret;

		make(&p);
		p.k.number = 9;
		s = NULL;
		fault_begin(&l);
		ret = go(&p.dev, STOP_COPY, &s);
		if (!ret)
			n = vfio_stream_read(s, (uintptr_t)got, 100);
		fault_end(&l, ret ? ret : n < 0 ? (int)n : 0);
		/* without a stream it is in no state that has one */
		if (ret)
			assert_int_not_equal(vfio_migrate_state(p.k.dev.migrate), STOP_COPY);
		if (s)
			vfio_stream_put(s);
		assert_int_equal(go(&p.dev, RUNNING, NULL), 0);
		assert_int_equal(go(&p.dev, STOP_COPY, &s), 0);
		assert_int_equal(read_all(s, got, 65536, 0), wanted_len);
		assert_memory_equal(got, wanted, wanted_len);
		vfio_stream_put(s);
		unmake(&p);
		if (l.done)
			assert_true(l.failed >= 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ways),		 cmocka_unit_test(stream),
		cmocka_unit_test(log_of_writes), cmocka_unit_test(bad_memory),
		cmocka_unit_test(fails),
	};

	log_set(-1, LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
