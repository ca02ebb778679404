/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * api/api_test.c: uvfio.h from end to end on testdev (docs/testdev.md): what a program sees, and
 * what it is told when it is wrong. When memory runs out: fault_test.c.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "uvfio/uvfio.h"
#include "base/log.h"
#include "base/report.h"
#include "base/sanitize.h"
#include "base/test_signals.h"

/* BAR2 of testdev */
#define TD_ID	      0x000
#define TD_SCRATCH32  0x024
#define TD_SCRATCH64  0x028
#define TD_ONLY4      0x034
#define TD_MSI	      0x040
#define TD_INTX	      0x044
#define TD_RESETS     0x060
#define TD_DMA_SRC    0x080
#define TD_DMA_DST    0x088
#define TD_DMA_LEN    0x090
#define TD_DMA_CMD    0x098
#define TD_DMA_STATUS 0x09c
#define TD_DMA_ADDR   0x0b8
#define TD_COPY	      1
#define TD_OK	      2
#define TD_FAULT      3

#define K4 4096ull

static int setup(void **state)
{
	log_set(2, LOG_NONE);
	*state = uvfio_new();
	return !*state;
}

static int teardown(void **state)
{
	uvfio_free(*state);
	return 0;
}

static uint64_t signals(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	eventfd_t v = 0;

	if (poll(&p, 1, 0) == 1)
		eventfd_read(fd, &v);
	return v;
}

static struct uvfio_device *open_model(struct uvfio *u, const char *spec)
{
	struct uvfio_device *dev = NULL;
	int rc = uvfio_open_model(u, spec, &dev);

	if (rc)
		print_error("%s: %s\n", spec, uvfio_strerror(u));
	assert_int_equal(rc, 0);
	return dev;
}

static void test_plug_and_open(void **state)
{
	struct uvfio_device *a, *b, *c;
	struct uvfio *u = *state;
	char addr[13];

	assert_string_equal(uvfio_strerror(u), "no error");
	assert_int_equal(uvfio_open(u, "0000:01:00.0", &a), -ENODEV);
	assert_non_null(strstr(uvfio_strerror(u), "0000:01:00.0"));
	assert_true(uvfio_add(u, "no-such-model", NULL) < 0);
	assert_non_null(strstr(uvfio_strerror(u), "no-such-model"));
	assert_true(uvfio_add(u, "testdev,vectors=zero", addr) < 0);
	assert_non_null(strstr(uvfio_strerror(u), "vectors"));
	assert_int_equal(uvfio_add(u, "testdev", addr), 0);
	assert_string_equal(addr, "0000:01:00.0");
	assert_int_equal(uvfio_add(u, "testdev,addr=05:00.0,group=7", NULL), 0);
	assert_int_equal(uvfio_add(u, "testdev,addr=05:00.1,group=7", NULL), 0);
	assert_true(uvfio_add(u, "edu,addr=05:00.1", NULL) < 0);
	assert_int_equal(uvfio_open(u, addr, &a), 0);
	assert_int_equal(uvfio_open(u, addr, &b), -EBUSY);
	assert_non_null(strstr(uvfio_strerror(u), "open already"));
	/* two of a group, in any order of closing; "0000:" may be left out */
	assert_int_equal(uvfio_open(u, "05:00.0", &b), 0);
	assert_int_equal(uvfio_open(u, "0000:05:00.1", &c), 0);
	assert_string_equal(uvfio_device_address(c), "0000:05:00.1");
	uvfio_close(b);
	assert_int_equal(uvfio_read32(c, 2, TD_ID), 0x54465655);
	assert_int_equal(uvfio_open(u, "05:00.0", &b), 0);
	uvfio_close(c);
	uvfio_close(b);
	uvfio_close(a);
	assert_int_equal(uvfio_open(u, addr, &a), 0);
	uvfio_close(NULL);
	/* a is left to uvfio_free() */
}

static void test_vfs(void **state)
{
	struct uvfio *u = *state;
	struct uvfio_device *pf, *vf, *none;
	char addr[16];

	assert_int_equal(uvfio_add(u, "igb,sriov_numvfs=9", NULL), -ERANGE);
	assert_int_equal(uvfio_add(u, "igb,sriov_numvfs=2", addr), 0);
	assert_string_equal(addr, "0000:01:00.0");
	assert_int_equal(uvfio_open(u, addr, &pf), 0);
	assert_int_equal(uvfio_open(u, "0000:01:10.2", &vf), 0);
	assert_int_equal(uvfio_read32(vf, UVFIO_REGION_CONFIG, 0), 0x10ca8086);
	assert_int_equal(uvfio_region_size(vf, 0), 0x4000);
	assert_int_equal(uvfio_bus_master(vf, true), 0);
	assert_int_equal(uvfio_open(u, "0000:01:10.4", &none), -ENODEV);
	/* a device that a driver of the host has; its VFs can be had */
	assert_int_equal(uvfio_open_model(u, "igb,driver=igb,sriov_numvfs=1,addr=05:00.0", &none),
			 -ENODEV);
	assert_non_null(strstr(uvfio_strerror(u), "driver igb"));
	assert_int_equal(uvfio_open(u, "05:10.0", &none), 0);
	uvfio_close(none);
	uvfio_close(pf);
	assert_int_equal(uvfio_read32(vf, UVFIO_REGION_CONFIG, 0), 0x10ca8086);
	uvfio_close(vf);
}

static void test_registers(void **state)
{
	struct uvfio *u = *state;
	struct uvfio_device *dev = open_model(u, "testdev");
	uint8_t buf[64];
	uint32_t id;

	assert_int_equal(uvfio_region_size(dev, 0), 65536);
	assert_int_equal(uvfio_region_size(dev, 1), 0);
	assert_int_equal(uvfio_region_size(dev, UVFIO_REGION_ROM), 4096);
	assert_int_equal(uvfio_region_size(dev, UVFIO_REGION_CONFIG), 4096);
	assert_int_equal(uvfio_region_size(dev, 99), -EINVAL);
	assert_int_equal(uvfio_read(dev, UVFIO_REGION_CONFIG, 0, &id, 4), 4);
	assert_int_equal(id, 0x7e571234);
	assert_int_equal(uvfio_read(dev, 99, 0, &id, 4), -EINVAL);
	assert_int_equal(uvfio_read(dev, 0, 0, buf, SIZE_MAX), -EINVAL);
	assert_true(uvfio_read(dev, UVFIO_REGION_CONFIG, 4096, buf, 4) < 0);
	assert_int_equal(uvfio_read32(dev, 2, TD_ID), 0x54465655);
	assert_int_equal(uvfio_write32(dev, 2, TD_SCRATCH32, 0xcafe1234), 0);
	assert_int_equal(uvfio_read32(dev, 2, TD_SCRATCH32), 0xcafe1234);
	assert_int_equal(uvfio_write64(dev, 2, TD_SCRATCH64, 0x1122334455667788), 0);
	assert_true(uvfio_read64(dev, 2, TD_SCRATCH64) == 0x1122334455667788);
	/* out of the BAR, across its end, no BAR, refused by the device */
	assert_int_equal(uvfio_read32(dev, 0, 65536), UINT32_MAX);
	assert_int_equal(uvfio_read32(dev, 0, UINT64_MAX - 1), UINT32_MAX);
	assert_true(uvfio_read64(dev, 0, 65532) == UINT64_MAX);
	assert_true(uvfio_write64(dev, 0, 65532, 0) < 0);
	assert_true(uvfio_write32(dev, 1, 0, 0) < 0);
	assert_int_equal(uvfio_read32(dev, 77, 0), UINT32_MAX);
	assert_int_equal(uvfio_write32(dev, 2, TD_ONLY4, 7), 0);
	assert_int_equal(uvfio_read(dev, 2, TD_ONLY4, buf, 2), 2);
	assert_int_equal(buf[0] & buf[1], 0xff);
	assert_int_equal(uvfio_write(dev, 0, 3, "abcdefghijklmnop", 16), 16);
	assert_int_equal(uvfio_read(dev, 0, 0, buf, 24), 24);
	assert_memory_equal(buf + 3, "abcdefghijklmnop", 16);
	/* reset */
	id = uvfio_read32(dev, 2, TD_RESETS);
	assert_int_equal(uvfio_reset(dev), 0);
	assert_int_equal(uvfio_read32(dev, 2, TD_RESETS), id + 1);
	assert_int_equal(uvfio_read32(dev, 2, TD_SCRATCH32), 0);
	/* memory decoding off */
	id = 0;
	assert_int_equal(uvfio_write(dev, UVFIO_REGION_CONFIG, PCI_COMMAND, &id, 2), 2);
	assert_int_equal(uvfio_write32(dev, 2, TD_SCRATCH32, 1), -EIO);
	assert_non_null(strstr(uvfio_strerror(u), "decoding"));
	assert_int_equal(uvfio_read(dev, 2, 0, buf, 4), -EIO);
	assert_int_equal(uvfio_read32(dev, 2, TD_ID), UINT32_MAX);
}

static void test_map_bars(void **state)
{
	struct uvfio *u = *state;
	struct uvfio_device *dev = open_model(u, "testdev");
	volatile void *at = &at;

	/* its registers are a model's: no plain memory */
	assert_int_equal(uvfio_bar_map(dev, 0, 0, 4096, &at), -ENOTSUP);
	assert_non_null(strstr(uvfio_strerror(u), "no plain memory"));
	assert_int_equal(uvfio_bar_map(dev, 0, 8, 4096, &at), -EINVAL);
	assert_int_equal(uvfio_bar_map(dev, 0, 0, 0, &at), -EINVAL);
	assert_int_equal(uvfio_bar_map(dev, 0, 61440, 4097, &at), -EINVAL);
	assert_int_equal(uvfio_bar_map(dev, 1, 0, 4096, &at), -EINVAL);
	assert_int_equal(uvfio_bar_map(dev, UVFIO_REGION_CONFIG, 0, 4096, &at), -EINVAL);
	assert_int_equal(uvfio_bar_map(dev, 99, 0, 4096, &at), -EINVAL);
	assert_ptr_equal(at, &at);
	uvfio_bar_unmap(dev, NULL);
	uvfio_bar_unmap(dev, at); /* not what it gave: a line in the log */
}

/* True if the program can read at @p, by a call, which does not fault. */
static bool can_read(volatile void *p)
{
	int fds[2];
	bool can;

	assert_int_equal(pipe(fds), 0);
	can = write(fds[1], (void *)p, 1) == 1;
	close(fds[0]);
	close(fds[1]);
	return can;
}

static uint32_t copy(struct uvfio_device *dev, uint64_t src, uint64_t dst, uint64_t len)
{
	assert_int_equal(uvfio_write64(dev, 2, TD_DMA_SRC, src), 0);
	assert_int_equal(uvfio_write64(dev, 2, TD_DMA_DST, dst), 0);
	assert_int_equal(uvfio_write64(dev, 2, TD_DMA_LEN, len), 0);
	assert_int_equal(uvfio_write32(dev, 2, TD_DMA_CMD, TD_COPY), 0);
	return uvfio_read32(dev, 2, TD_DMA_STATUS);
}

static void decode(struct uvfio_device *dev, uint16_t command)
{
	assert_int_equal(uvfio_write(dev, UVFIO_REGION_CONFIG, PCI_COMMAND, &command, 2), 2);
}

/* A model's BAR that is plain memory, while it answers. */
static void test_map_memory(void **state)
{
	struct uvfio *u = *state;
	struct uvfio_device *dev = open_model(u, "testdev,ram_memory=on"), *other;
	volatile void *at, *later;
	volatile uint32_t *bar;
	uint32_t *mem;
	uint64_t iova;

	assert_int_equal(uvfio_bar_map(dev, 2, 0, 4096, &at), -ENOTSUP);
	assert_int_equal(uvfio_bar_map(dev, 0, 4096, 8192, &at), 0);
	bar = at;
	bar[1] = 0x600d;
	assert_int_equal(uvfio_read32(dev, 0, 4096 + 4), 0x600d);
	assert_int_equal(uvfio_write32(dev, 0, 8192, 7), 0);
	assert_int_equal(bar[1024], 7);
	assert_true(can_read(bar));
	/* it does not decode: also what is mapped meanwhile */
	decode(dev, 0);
	assert_false(can_read(bar));
	assert_int_equal(uvfio_bar_map(dev, 0, 4096, 4096, &later), 0);
	assert_false(can_read(later));
	decode(dev, PCI_COMMAND_MEMORY);
	assert_int_equal(bar[1], 0x600d);
	assert_int_equal(((volatile uint32_t *)later)[1], 0x600d);
	uvfio_bar_unmap(dev, later);

	/* another device's DMA is an access of the BAR */
	other = open_model(u, "testdev");
	assert_int_equal(uvfio_bus_master(other, true), 0);
	mem = uvfio_dma_alloc(u, 4096, &iova);
	assert_non_null(mem);
	mem[0] = 0x1234;
	assert_int_equal(
		uvfio_dma_map(u, 0x10000000, (void *)bar, 8192, UVFIO_DMA_READ | UVFIO_DMA_WRITE),
		0);
	assert_int_equal(copy(other, iova, 0x10000000 + 4096, 4), TD_OK);
	assert_int_equal(bar[1024], 0x1234);
	decode(dev, 0);
	mem[0] = 0x4321;
	assert_int_equal(copy(other, iova, 0x10000000 + 4096, 4), TD_FAULT);
	/* and cannot be mapped now, nor with memory beside it */
	assert_int_equal(uvfio_dma_map(u, 0x20000000, (void *)bar, 4096, UVFIO_DMA_READ), -EFAULT);
	assert_int_equal(uvfio_dma_map(u, 0x20000000, (char *)bar - 4096, 8192, UVFIO_DMA_READ),
			 -EFAULT);
	decode(dev, PCI_COMMAND_MEMORY);
	assert_int_equal(bar[1024], 0x1234);
	/* a reset clears it, and the mapping is there again */
	assert_int_equal(uvfio_reset(dev), 0);
	assert_int_equal(bar[1024], 0);
	uvfio_bar_unmap(other, bar); /* not its: a line in the log */
	assert_int_equal(uvfio_dma_unmap(u, 0x10000000, 8192), 8192);
	uvfio_bar_unmap(dev, bar);
	uvfio_dma_free(u, mem, 4096, iova);
	uvfio_close(other);
}

static void test_no_real_device(void **state)
{
	struct uvfio *u = *state;
	struct uvfio_device *dev;

	assert_true(uvfio_open_host(u, "fffe:ff:1f.7", &dev) < 0);
	assert_non_null(strstr(uvfio_strerror(u), "fffe:ff:1f.7"));
	assert_int_equal(uvfio_open_host(u, "01:00.0,id=x", &dev), -EINVAL);
	assert_int_equal(uvfio_add(u, "host=01:00.0,sriov_numvfs=1", NULL), -EINVAL);
	assert_non_null(strstr(uvfio_strerror(u), "devices of their own"));
	assert_int_equal(uvfio_add(u, "host=01:00.0,image=x", NULL), -EINVAL);
	assert_int_equal(uvfio_add(u, "host=01:00.0,bus=x", NULL), -EINVAL);
}

static void test_no_reset(void **state)
{
	static const char spec[] = "testdev,flr=off,no_soft_reset=on,addr=01:00.1,group=1";
	struct uvfio_device *dev;

	/* not alone in its slot, which is how the kernel would reset it otherwise */
	assert_int_equal(uvfio_add(*state, "testdev", NULL), 0);
	dev = open_model(*state, spec);
	assert_int_equal(uvfio_reset(dev), -EINVAL);
	assert_non_null(strstr(uvfio_strerror(*state), "no way to be reset"));
}

static void test_dma(void **state)
{
	struct uvfio_device *dev, *other;
	struct uvfio *u = *state;
	uint64_t a_iova, b_iova;
	char *a, *b;

	/* before the first device is there */
	a = uvfio_dma_alloc(u, 5000, &a_iova);
	b = uvfio_dma_alloc(u, 5000, &b_iova);
	assert_non_null(a);
	assert_non_null(b);
	assert_true(a_iova && b_iova && a_iova < 1u << 28 && b_iova < 1u << 28);
	dev = open_model(u, "testdev");
	memset(a, 0x5a, 5000);
	assert_int_equal(copy(dev, a_iova, b_iova, 5000), TD_FAULT); /* no bus mastering */
	assert_int_equal(uvfio_dma_faults(dev), 1);
	assert_int_equal(uvfio_bus_master(dev, true), 0);
	assert_int_equal(copy(dev, a_iova, b_iova, 5000), TD_OK);
	assert_memory_equal(a, b, 5000);
	/* rights, and what is not mapped */
	assert_int_equal(uvfio_dma_unmap(u, b_iova, 8192), 8192);
	assert_int_equal(copy(dev, a_iova, b_iova, 64), TD_FAULT);
	assert_true(uvfio_read64(dev, 2, TD_DMA_ADDR) == b_iova);
	assert_int_equal(uvfio_dma_map(u, b_iova, b, 8192, UVFIO_DMA_READ), 0);
	assert_int_equal(copy(dev, a_iova, b_iova, 64), TD_FAULT);
	assert_int_equal(uvfio_dma_faults(dev), 3);
	assert_int_equal(uvfio_dma_map(u, b_iova, b, 8192, UVFIO_DMA_READ), -EEXIST);
	assert_non_null(strstr(uvfio_strerror(u), "something is mapped there"));
	assert_int_equal(uvfio_dma_map(u, 0x40000000, b, 8192, 0), -EINVAL);
	assert_int_equal(uvfio_dma_map(u, 0x40000000, b, 8192, 8), -EINVAL);
	assert_int_equal(uvfio_dma_map(u, 0x40000000, b, 8191, UVFIO_DMA_READ), -EINVAL);
	assert_int_equal(uvfio_dma_map(u, 0xfee00000, b, 4096, UVFIO_DMA_READ), -EINVAL);
	assert_int_equal(uvfio_dma_map(u, -K4, b, 8192, UVFIO_DMA_READ), -EINVAL);
	assert_int_equal(uvfio_dma_map(u, 0x40000000, (void *)4096, 4096, UVFIO_DMA_READ), -EFAULT);
	assert_int_equal(uvfio_dma_unmap(u, b_iova, 4096), -EINVAL); /* cuts it */
	assert_int_equal(uvfio_dma_unmap(u, b_iova + 1, 4096), -EINVAL);
	assert_int_equal(uvfio_dma_unmap(u, 0x40000000, 4096), 0);
	/*
	 * a device that is opened later sees the same address space; closing the first takes
	 * nothing away
	 */
	other = open_model(u, "testdev");
	assert_int_equal(uvfio_bus_master(other, true), 0);
	uvfio_close(dev);
	assert_int_equal(uvfio_dma_unmap(u, b_iova, 8192), 8192);
	assert_int_equal(uvfio_dma_map(u, b_iova, b, 8192, UVFIO_DMA_READ | UVFIO_DMA_WRITE), 0);
	memset(b, 0, 64);
	assert_int_equal(copy(other, a_iova, b_iova, 64), TD_OK);
	assert_memory_equal(a, b, 64);
	assert_int_equal(uvfio_dma_faults(other), 0);
	assert_int_equal(uvfio_bus_master(other, false), 0);
	assert_int_equal(copy(other, a_iova, b_iova, 64), TD_FAULT);
	uvfio_dma_free(u, a, 5000, a_iova);
	/* not what was given: nothing happens, a line in the log */
	uvfio_dma_free(u, b, 4, b_iova);
	b[8191] = 1;
	uvfio_dma_free(u, b, 5000, b_iova);
	uvfio_dma_free(u, NULL, 0, 0);
}

/* There can be as many mappings as VFIO has. */
static void test_dma_limit(void **state)
{
	struct uvfio *u = *state;
	uint64_t iova, top = 1ull << 32;
	char *mem = uvfio_dma_alloc(u, K4, &iova);

	assert_non_null(mem);
	for (unsigned i = 0; i < 65534; i++)
		assert_int_equal(uvfio_dma_map(u, top + i * K4, mem, K4, UVFIO_DMA_READ), 0);
	assert_int_equal(uvfio_dma_map(u, 2 * top, mem, K4, UVFIO_DMA_READ), -ENOSPC);
	/* arguments and what is mapped there come first, as in VFIO */
	assert_int_equal(uvfio_dma_map(u, top, mem, K4, UVFIO_DMA_READ), -EEXIST);
	assert_int_equal(uvfio_dma_map(u, 2 * top + 1, mem, K4, UVFIO_DMA_READ), -EINVAL);
	assert_int_equal(uvfio_dma_map(u, -K4, mem, 2 * K4, UVFIO_DMA_READ), -EINVAL);
	assert_int_equal(uvfio_dma_map(u, 0xfee00000, mem, K4, UVFIO_DMA_READ), -ENOSPC);
	assert_null(uvfio_dma_alloc(u, K4, &iova));
	assert_int_equal(uvfio_dma_unmap(u, top, K4), K4);
	assert_int_equal(uvfio_dma_map(u, 2 * top, mem, K4, UVFIO_DMA_READ), 0);
	assert_int_equal(uvfio_dma_unmap(u, top, 65533 * K4), 65532 * K4);
}

static void test_dma_alloc(void **state)
{
	struct {
		char *p;
		uint64_t iova, size;
	} m[64] = { { 0 } };
	struct uvfio *u = *state;
	uint64_t x = 12345, iova;
	char *own;

	/* the program's own mappings are gone round */
	own = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_int_equal(uvfio_dma_map(u, 0, own, 64 << 20, UVFIO_DMA_READ), 0);
	for (int round = 0; round < 2000; round++) {
		unsigned i;

		x = x * 6364136223846793005ull + 1442695040888963407ull;
		i = x >> 40 & 63;
		if (m[i].p) {
			assert_int_equal(m[i].p[m[i].size - 1], i);
			uvfio_dma_free(u, m[i].p, m[i].size, m[i].iova);
			m[i].p = NULL;
			continue;
		}
		m[i].size = 1 + (x >> 50) % (round % 8 ? 20000 : 3000000);
		m[i].p = uvfio_dma_alloc(u, m[i].size, &m[i].iova);
		assert_non_null(m[i].p);
		assert_int_equal(m[i].p[0], 0);
		m[i].p[m[i].size - 1] = (char)i;
		/* reused, not ever upwards */
		assert_true(m[i].iova >= 64 << 20 && m[i].iova < 1u << 30);
		for (unsigned k = 0; k < 64; k++)
			assert_true(k == i || !m[k].p || m[k].iova + m[k].size <= m[i].iova ||
				    m[i].iova + m[i].size <= m[k].iova);
	}
	assert_null(uvfio_dma_alloc(u, 0, &iova));
	assert_null(uvfio_dma_alloc(u, SIZE_MAX, &iova));
	assert_null(uvfio_dma_alloc(u, SIZE_MAX / 2, &iova));
	assert_non_null(strstr(uvfio_strerror(u), "memory"));
	munmap(own, 64 << 20);
}

static void test_interrupts(void **state)
{
	struct uvfio *u = *state;
	struct uvfio_device *dev = open_model(u, "testdev,vectors=16");
	int fds[4], bad[2] = { -1, 9999 }, req;

	for (int i = 0; i < 4; i++)
		fds[i] = eventfd(0, EFD_NONBLOCK);
	assert_int_equal(uvfio_bus_master(dev, true), 0);
	assert_int_equal(uvfio_irq_count(dev, UVFIO_INDEX_INTX), 1);
	assert_int_equal(uvfio_irq_count(dev, UVFIO_INDEX_MSI), 32);
	assert_int_equal(uvfio_irq_count(dev, UVFIO_INDEX_MSIX), 16);
	assert_int_equal(uvfio_irq_count(dev, 99), -EINVAL);

	assert_int_equal(uvfio_irq_enable(dev, UVFIO_INDEX_MSIX, 0, 4, fds), 0);
	assert_int_equal(uvfio_write32(dev, 2, TD_MSI, 2), 0);
	assert_int_equal(signals(fds[2]), 1);
	assert_int_equal(signals(fds[1]), 0);
	/* more while it is enabled; a hole; a bad descriptor changes nothing */
	assert_int_equal(uvfio_irq_enable(dev, UVFIO_INDEX_MSIX, 3, 1, (int[]){ -1 }), 0);
	assert_int_equal(uvfio_write32(dev, 2, TD_MSI, 3), 0);
	assert_int_equal(signals(fds[3]), 0);
	assert_int_equal(uvfio_irq_enable(dev, UVFIO_INDEX_MSIX, 1, 1, bad + 1), -EBADF);
	assert_int_equal(uvfio_irq_enable(dev, UVFIO_INDEX_MSIX, 15, 2, fds), -EINVAL);
	assert_non_null(strstr(uvfio_strerror(u), "15"));
	assert_int_equal(uvfio_irq_enable(dev, UVFIO_INDEX_MSIX, 0, 0, fds), -EINVAL);
	assert_int_equal(uvfio_irq_enable(dev, UVFIO_INDEX_MSIX, 0, 1, NULL), -EINVAL);
	assert_int_equal(uvfio_irq_disable(dev, UVFIO_INDEX_MSIX), 0);
	uvfio_write32(dev, 2, TD_MSI, 2);
	assert_int_equal(signals(fds[2]), 0);

	/* INTx: masked by each interrupt */
	assert_int_equal(uvfio_intx_unmask(dev), -EINVAL); /* not enabled */
	assert_int_equal(uvfio_irq_enable(dev, UVFIO_INDEX_INTX, 0, 1, fds), 0);
	assert_int_equal(uvfio_write32(dev, 2, TD_INTX, 1), 0);
	assert_int_equal(signals(fds[0]), 1);
	assert_int_equal(signals(fds[0]), 0);
	assert_int_equal(uvfio_intx_unmask(dev), 0); /* the line is still up */
	assert_int_equal(signals(fds[0]), 1);
	uvfio_write32(dev, 2, TD_INTX, 0);
	assert_int_equal(uvfio_intx_unmask(dev), 0);
	assert_int_equal(signals(fds[0]), 0);
	assert_int_equal(uvfio_intx_mask(dev), 0);
	uvfio_write32(dev, 2, TD_INTX, 1);
	assert_int_equal(signals(fds[0]), 0);
	assert_int_equal(uvfio_irq_disable(dev, UVFIO_INDEX_INTX), 0);

	/* the error and request indices */
	req = fds[1];
	assert_int_equal(uvfio_irq_enable(dev, UVFIO_INDEX_REQ, 0, 1, &req), 0);
	assert_int_equal(uvfio_irq_disable(dev, UVFIO_INDEX_REQ), 0);
	for (int i = 0; i < 4; i++)
		close(fds[i]);
}

/* ---- strerror is per thread ---- */

static void *other_thread(void *arg)
{
	struct uvfio_device *dev;

	if (strcmp(uvfio_strerror(arg), "no error"))
		return (void *)1;
	if (uvfio_open(arg, "0000:77:00.0", &dev) != -ENODEV ||
	    !strstr(uvfio_strerror(arg), "0000:77"))
		return (void *)2;
	return NULL;
}

static const char *call_name;
static const void *call_from;

static void on_report(const struct report *r, void *arg)
{
	call_name = r->call ? r->call->name : NULL;
	call_from = r->call ? r->call->from.ip : NULL;
}

/* A report says in which of the program's calls it came, and from where that was made. */
static void test_calls(void **state)
{
	struct report_subscriber s = { .fn = on_report, .level = LOG_WARN };
	struct uvfio *u = *state;
	struct uvfio_device *dev = open_model(u, "edu");
	uint32_t word = 0;

	assert_int_equal(uvfio_bus_master(dev, true), 0);
	report_subscribe(&s);
	uvfio_dma_free(u, &word, 4, 0x1000);
	assert_string_equal(call_name, "uvfio_dma_free");
	assert_in_range((uintptr_t)call_from, (uintptr_t)test_calls, (uintptr_t)test_calls + 4096);
	call_name = NULL;
	/* a register that takes no byte */
	assert_int_equal(uvfio_write(dev, 0, 4, &word, 1), 1);
	assert_string_equal(call_name, "uvfio_write");
	report_unsubscribe(&s);
	assert_null(call_current);
	uvfio_close(dev);
}

static void test_strerror(void **state)
{
	struct uvfio *u = *state, *v = uvfio_new();
	struct uvfio_device *dev;
	pthread_t t;
	void *rc;

	assert_int_equal(uvfio_open(u, "0000:33:00.0", &dev), -ENODEV);
	assert_int_equal(pthread_create(&t, NULL, other_thread, u), 0);
	pthread_join(t, &rc);
	assert_null(rc);
	assert_non_null(strstr(uvfio_strerror(u), "0000:33"));
	assert_string_equal(uvfio_strerror(v), "no error");
	uvfio_free(v);
	uvfio_free(NULL);
}

/* A forked child lets go of the parent's, and has its own. */
static void test_fork(void **state)
{
	struct uvfio *u = *state;
	struct uvfio_device *dev = open_model(u, "testdev"), *mine;
	pid_t pid;
	int st;

	pid = fork();
	if (!pid) {
		struct uvfio *v;

		uvfio_free(u);
#ifndef SANITIZED_THREAD /* which cannot start threads in such a child */
		v = uvfio_new();
		if (!v || uvfio_open_model(v, "testdev", &mine) ||
		    uvfio_read32(mine, 2, TD_ID) != 0x54465655)
			_exit(1);
		uvfio_free(v);
#else
		(void)v, (void)mine;
#endif
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &st, 0), pid);
	assert_int_equal(st, 0);
	assert_int_equal(uvfio_read32(dev, 2, TD_ID), 0x54465655);
}

/*
 * A fork while another thread's device is in the program's memory: the child does not wait for it.
 */
#ifndef SANITIZED_THREAD
static atomic_bool stop_copies;

struct copies {
	struct uvfio_device *dev;
	uint64_t from, to;
};

static void *copies(void *arg)
{
	struct copies *c = arg;

	while (!atomic_load(&stop_copies))
		if (copy(c->dev, c->from, c->to, 1 << 20) != TD_OK)
			return (void *)1;
	return NULL;
}

static void test_fork_in_dma(void **state)
{
	struct uvfio *u = *state;
	struct copies c = { .dev = open_model(u, "testdev") };
	int st, wrong = 0;
	pthread_t t;
	void *bad;

	assert_non_null(uvfio_dma_alloc(u, 1 << 20, &c.from));
	assert_non_null(uvfio_dma_alloc(u, 1 << 20, &c.to));
	assert_int_equal(uvfio_bus_master(c.dev, true), 0);
	atomic_store(&stop_copies, false);
	assert_int_equal(pthread_create(&t, NULL, copies, &c), 0);
	for (int i = 0; i < 30 && !wrong; i++) {
		pid_t pid = fork();

		if (!pid) {
			struct uvfio *v = uvfio_new();
			uint64_t iova;
			void *p;

			alarm(10);
			p = v ? uvfio_dma_alloc(v, 4096, &iova) : NULL;
			if (!p)
				_exit(1);
			uvfio_dma_free(v, p, 4096, iova);
			_exit(0);
		}
		wrong += waitpid(pid, &st, 0) != pid || st;
	}
	atomic_store(&stop_copies, true);
	pthread_join(t, &bad);
	assert_null(bad);
	assert_int_equal(wrong, 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_plug_and_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vfs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(test_map_bars, setup, teardown),
		cmocka_unit_test_setup_teardown(test_map_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_real_device, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dma_alloc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_interrupts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strerror, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fork, setup, teardown),
#ifndef SANITIZED_THREAD
		cmocka_unit_test_setup_teardown(test_fork_in_dma, setup, teardown),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
