/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/vu_ring.c: the server's half of a ring (vfio_user/ring.h), whose client writes what it likes
 * where it likes, while the server reads it. What is carried out is within what a ring can ask for,
 * and the server can end whatever the memory says.
 */
#include <linux/vfio.h>
#include <sched.h>
#include <sys/mman.h>

#include "base/log.h"
#include "base/sys.h"
#include "fuzz.h"
#include "vfio_user/ring_memory.h"

static int access_region(void *arg, uint32_t region, uint64_t offset, void *buf, uint32_t count,
			 bool write)
{
	uint8_t *p = buf;

	REQUIRE(count >= 1 && count <= VU_RING_DATA, "%u bytes", count);
	for (uint32_t i = 0; i < count; i++)
		p[i] ^= (uint8_t)offset;
	return region & 1 ? -22 : 0;
}

static int set_irqs(void *arg, const struct vu_set_irqs *set, const uint8_t *data)
{
	unsigned sum = 0;

	REQUIRE(!(set->flags & VFIO_IRQ_SET_DATA_EVENTFD), "flags 0x%x", set->flags);
	if (!(set->flags & VFIO_IRQ_SET_DATA_BOOL))
		return 0;
	REQUIRE(set->count <= VU_RING_DATA, "%u bools", set->count);
	for (uint32_t i = 0; i < set->count; i++)
		sum += data[i];
	return sum & 1 ? -22 : 0;
}

static void broken(void *arg, int error)
{
}

/* A request in the slot where the server looks for number @number of a lane, whole or not. */
static void request(struct vu_ring_memory *m, struct in *in, uint32_t number)
{
	uint8_t lane = in8(in) % VU_RING_LANES, what = in8(in);
	struct vu_ring_slot *slot = &m->lanes[lane].slots[number % VU_RING_SLOTS];

	slot->op = what % 5;
	slot->region = in8(in);
	slot->count = what & 0x20 ? in32(in) : in8(in) % 12;
	slot->offset = what & 0x40 ? in64(in) : in8(in);
	slot->data = in64(in);
	slot->number = number;
	if (what & 0x80)
		m->used = lane + 1u;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vu_ring_ops ops = { access_region, set_irqs, broken };
	struct in in = { data, size };
	struct vu_ring_server *r;
	struct vu_ring_memory *m;
	struct vu_ring_info info;
	_Atomic uint32_t *words;
	int fd;

	log_set(2, LOG_NONE);
	REQUIRE(!vu_ring_server_new(&ops, NULL, "fuzz", &info, &fd, &r), "no ring");
	m = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(m != MAP_FAILED, "no memory");
	words = (_Atomic uint32_t *)m;
	while (!in_end(&in)) {
		uint8_t what = in8(&in);

		if (what < 0x80) {
			request(m, &in, what & 0x40 ? in32(&in) : what % 16);
		} else if (what < 0xf0) {
			uint32_t at = in16(&in) % (sizeof(*m) / sizeof(*words));

			words[at] = what < 0xc0 ? in8(&in) : in32(&in);
		}
		if (what & 1) {
			m->asleep = what & 2;
			vu_ring_wake(&m->asleep);
		}
		if (what & 4)
			sched_yield();
	}
	vu_ring_server_free(r);
	munmap(m, info.size);
	fd_close_private(fd);
	return 0;
}
