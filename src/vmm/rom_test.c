/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm/rom_test.c: the ROM that the guest reads (test 36): once and when it looks, short, busy or
 * not at all; a file instead; the device's id in the image.
 */
#include <fcntl.h>

#include "vmm/test_config.h"

#define SIZE 0x10000u

/* Read the ROM as the guest does, when it has it at an address. */
static uint64_t rom(uint64_t offset, unsigned size)
{
	return uvfio_vm_bar_read(t.dev, UVFIO_VM_ROM, offset, size);
}

static void enable(void)
{
	wr(PCI_ROM_ADDRESS, 4, 0xfe000000 | PCI_ROM_ADDRESS_ENABLE);
	wr(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
}

static void fill(void)
{
	for (unsigned i = 0; i < SIZE; i++)
		rom_bytes[i] = (uint8_t)(i ^ i >> 8);
}

static uint64_t byte(unsigned i)
{
	return (uint8_t)(i ^ i >> 8);
}

/* The answers that the device gives, in turn. */
static void answers(int a, int b, int c, int d)
{
	rom_answers[0] = a;
	rom_answers[1] = b;
	rom_answers[2] = c;
	rom_answers[3] = d;
}

static unsigned messages;

static void count_message(const struct report *r, void *arg)
{
	(void)arg;
	messages += !strcmp(r->code->name, "vm-rom-unreadable");
}

static void lazily(void **state)
{
	fill();
	begin(NULL, NULL);
	answers(SIZE, 0, 0, 0);
	assert_int_equal(rd(PCI_ROM_ADDRESS, 4), 0);
	enable();
	assert_int_equal(rom_reads, 0);
	assert_int_equal(rom(0, 4), 0x03020100);
	assert_true(rom_reads > 0);
	for (unsigned i = 0; i < SIZE; i += 0x1234)
		assert_int_equal(rom(i, 1), byte(i));
	assert_int_equal(rom(SIZE - 2, 2), byte(SIZE - 2) | byte(SIZE - 1) << 8);
	assert_int_equal(rom_reads, 1);
	/* behind the end, over it, written */
	assert_int_equal(rom(SIZE, 4), UINT32_MAX);
	assert_int_equal(vm_rom_read(t.dev, SIZE - 1, 4), 0xffffff00 | byte(SIZE - 1));
	assert_int_equal(vm_rom_read(t.dev, UINT64_MAX - 1, 8), UINT64_MAX);
	uvfio_vm_bar_write(t.dev, UVFIO_VM_ROM, 0, 4, 0);
	assert_int_equal(rom(0, 4), 0x03020100);
	/* a reset keeps the copy */
	wr(CAP_PCIE + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(rd(PCI_ROM_ADDRESS, 4), 0);
	assert_int_equal(rom(0, 4), UINT32_MAX);
	enable();
	assert_int_equal(rom(0, 4), 0x03020100);
	assert_int_equal(rom_reads, 1);
	finish();
}

/* Pieces, a short image, a device that is busy or fails in the middle: ones behind it. */
static void short_image(void **state)
{
	static const struct {
		int answer[4];
		unsigned size;
	} cases[] = {
		{ { 0x800, 0x100, 0, 0 }, 0x900 },
		{ { -EINTR, 0x800, -EAGAIN, 0x100 }, 0x900 },
		{ { 0x200, -EIO, 0, 0 }, 0x200 },
		{ { 1, 0, 0, 0 }, 1 },
	};

	fill();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned n = cases[i].size;

		begin(NULL, NULL);
		memcpy(rom_answers, cases[i].answer, sizeof(cases[i].answer));
		for (unsigned k = 0; k < n; k += 0x33)
			assert_int_equal(vm_rom_read(t.dev, k, 1), byte(k));
		assert_int_equal(vm_rom_read(t.dev, n - 1, 1), byte(n - 1));
		for (unsigned k = n; k < SIZE; k += 0x33)
			assert_int_equal(vm_rom_read(t.dev, k, 1), 0xff);
		finish();
	}
}

/* Nothing to be had: ones, one message, and the device is not asked again. */
static void unreadable(void **state)
{
	static const int answer[] = { -EIO, 0, -ENXIO };
	static struct report_subscriber s = { .fn = count_message, .level = LOG_WARN };

	report_subscribe(&s);
	for (size_t i = 0; i < sizeof(answer) / sizeof(answer[0]); i++) {
		begin(NULL, NULL);
		messages = 0;
		answers(answer[i], SIZE, SIZE, SIZE);
		for (unsigned k = 0; k < 10; k++)
			assert_int_equal(vm_rom_read(t.dev, 4 * k, 4), UINT32_MAX);
		assert_int_equal(messages, 1);
		assert_int_equal(rom_reads, 1);
		finish();
	}
	report_unsubscribe(&s);
}

/* A device that is always busy is asked a thousand times, not for ever. */
static int always_busy_reads;

static ssize_t busy_rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf,
		       size_t count, bool write)
{
	if (index != ROM)
		return config_rw(dev, index, pos, buf, count, write);
	always_busy_reads++;
	return -EAGAIN;
}

static void always_busy(void **state)
{
	begin(NULL, NULL);
	config_ops.rw = busy_rw;
	assert_int_equal(vm_rom_read(t.dev, 0, 4), UINT32_MAX);
	assert_int_equal(always_busy_reads, 1000);
	finish();
}

/* ---- several processors look at the same time ---- */

#define LOOKERS 4

static pthread_barrier_t together;

/* The device takes its time. */
static ssize_t slow_rw(struct vfio_device *dev, uint32_t index, uint64_t pos, void *buf,
		       size_t count, bool write)
{
	if (index == ROM)
		usleep(20000);
	return config_rw(dev, index, pos, buf, count, write);
}

static void *look(void *arg)
{
	pthread_barrier_wait(&together);
	*(uint64_t *)arg = rom(0, 4);
	return NULL;
}

static void at_the_same_time(void **state)
{
	uint64_t seen[LOOKERS];
	pthread_t threads[LOOKERS];

	fill();
	begin(NULL, NULL);
	answers(SIZE, 0, 0, 0);
	config_ops.rw = slow_rw;
	enable();
	pthread_barrier_init(&together, NULL, LOOKERS);
	for (unsigned i = 0; i < LOOKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look, &seen[i]), 0);
	for (unsigned i = 0; i < LOOKERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(seen[i], 0x03020100);
	}
	pthread_barrier_destroy(&together);
	assert_int_equal(rom_reads, 1);
	finish();
}

/* ---- sizes ---- */

static uint64_t region_size;
static uint32_t register_bits;

static void set_size(void)
{
	f->region[ROM].size = region_size;
	for (unsigned i = 0; i < 4; i++)
		takes[PCI_ROM_ADDRESS + i] = (uint8_t)(register_bits >> 8 * i);
	fake_put(f, PCI_ROM_ADDRESS, 4, 0xfe780001 & register_bits);
}

static void sizes(void **state)
{
	static const struct {
		uint64_t region;
		uint32_t bits; /* of the register that can be written */
		uint64_t size;
	} cases[] = {
		{ 0x800, 0, 0x800 },
		{ 0x1000000, 0, 0x1000000 },
		{ 0, 0, 0 },
		/* the region is empty where the image cannot be read: the register has its size */
		{ 0, 0xfffff801, 0x800 },
		{ 0, 0xfff00000, 0x100000 },
		{ 0, 0xff000000, 0x1000000 },
		/* none that a register can have */
		{ 0x400, 0, 0 },
		{ 0x1800, 0, 0 },
		{ 0x2000000, 0, 0 },
		{ UINT64_MAX, 0, 0 },
		{ 0, 0x0ff00000, 0 },
		{ 0, 0xf0000000, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		region_size = cases[i].region;
		register_bits = cases[i].bits;
		begin(NULL, set_size);
		assert_int_equal(t.dev->config.rom.size, cases[i].size);
		/* the device's register is as it was */
		assert_int_equal(device_has(PCI_ROM_ADDRESS, 4), 0xfe780001 & register_bits);
		wr(PCI_ROM_ADDRESS, 4, UINT32_MAX);
		assert_int_equal(rd(PCI_ROM_ADDRESS, 4),
				 cases[i].size ? (uint32_t)-cases[i].size | 1 : 0);
		if (!cases[i].size)
			assert_int_equal(vm_rom_read(t.dev, 0, 4), UINT32_MAX);
		finish();
	}
}

static void is_bcm57810(void)
{
	fake_put(f, PCI_VENDOR_ID, 4, 0x168e14e4);
}

/* rom=off; a device whose ROM hangs guests has none, but if it is asked for. */
static void off(void **state)
{
	begin("rom=off", NULL);
	assert_int_equal(t.dev->config.rom.size, 0);
	enable();
	assert_int_equal(rom(0, 4), UINT32_MAX);
	assert_int_equal(rom_reads, 0);
	finish();
	begin(NULL, is_bcm57810);
	assert_int_equal(t.dev->config.rom.size, 0);
	finish();
	/* the last one counts */
	begin("rom=/nowhere,rom=off", NULL);
	assert_int_equal(t.dev->config.rom.size, 0);
	finish();
	begin("rom=on", is_bcm57810);
	assert_int_equal(t.dev->config.rom.size, SIZE);
	finish();
	/* it is about the device, not about what the guest sees */
	begin("vendor=0x14e4,device=0x168e", NULL);
	assert_int_equal(t.dev->config.rom.size, SIZE);
	finish();
}

/* ---- a file ---- */

static char path[] = "/tmp/uvfio-rom-XXXXXX";

static void write_file(size_t size)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, rom_bytes, size), size);
	close(fd);
}

static void file(void **state)
{
	static const struct {
		size_t file;
		uint64_t size;
	} cases[] = { { 1, 0x800 }, { 0x800, 0x800 }, { 0x801, 0x1000 }, { 0xfffe, 0x10000 } };
	char option[64];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	snprintf(option, sizeof(option), "rom=%s", path);
	fill();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_file(cases[i].file);
		begin(option, NULL);
		assert_int_equal(t.dev->config.rom.size, cases[i].size);
		for (unsigned k = 0; k < cases[i].size; k += 0x101)
			assert_int_equal(vm_rom_read(t.dev, k, 1),
					 k < cases[i].file ? byte(k) : 0xff);
		assert_int_equal(vm_rom_read(t.dev, cases[i].file - 1, 1),
				 byte((unsigned)cases[i].file - 1));
		assert_int_equal(rom_reads, 0);
		finish();
	}
	write_file(0);
	begin_with(option, NULL);
	assert_int_equal(vm_config_init(t.dev), -EINVAL);
	finish_half();
	unlink(path);
	begin_with(option, NULL);
	assert_int_equal(vm_config_init(t.dev), -ENOENT);
	assert_non_null(strstr(uvfio_vm_strerror(t.vm), path));
	finish_half();
	begin_with("rom=/", NULL);
	assert_int_equal(vm_config_init(t.dev), -EINVAL);
	finish_half();
}

/* ---- the id ---- */

static uint8_t sum(unsigned from, unsigned n)
{
	uint8_t s = 0;

	while (n--)
		s = (uint8_t)(s + vm_rom_read(t.dev, from++, 1));
	return s;
}

/* Make an image of @blocks * 512 bytes, whose structure is at @pcir. */
static void image(unsigned blocks, unsigned pcir, uint16_t vendor, uint16_t device)
{
	uint8_t s = 0;

	fill();
	rom_bytes[0] = 0x55;
	rom_bytes[1] = 0xaa;
	rom_bytes[2] = (uint8_t)blocks;
	rom_bytes[0x18] = (uint8_t)pcir;
	rom_bytes[0x19] = (uint8_t)(pcir >> 8);
	if (pcir + 8 <= SIZE) {
		memcpy(rom_bytes + pcir, "PCIR", 4);
		memcpy(rom_bytes + pcir + 4, &vendor, 2);
		memcpy(rom_bytes + pcir + 6, &device, 2);
	}
	rom_bytes[6] = 0;
	for (unsigned i = 0; i < blocks * 512; i++)
		s = (uint8_t)(s + rom_bytes[i]);
	rom_bytes[6] = (uint8_t)-s;
}

static uint64_t id_in_image(unsigned pcir)
{
	answers(SIZE, 0, 0, 0);
	return vm_rom_read(t.dev, pcir + 6, 2);
}

/* Check that a guest finds @id in the image, whose structure is at 0x40. */
static void expect_id(uint64_t id)
{
	begin(NULL, NULL);
	assert_int_equal(id_in_image(0x40), id);
	finish();
}

static void device_id(void **state)
{
	/* as Intel's: another device of the same vendor */
	image(8, 0x40, 0x8086, 0x1234);
	begin(NULL, NULL);
	assert_int_equal(id_in_image(0x40), 0x1572);
	assert_int_equal(sum(0, 8 * 512), 0);
	assert_int_equal(vm_rom_read(t.dev, 0x44, 2), 0x8086);
	finish();
	/* the id that the guest sees is what counts */
	begin("device=0x4321", NULL);
	assert_int_equal(id_in_image(0x40), 0x4321);
	assert_int_equal(sum(0, 8 * 512), 0);
	finish();
	/* left alone: its own, another vendor's, no image */
	image(8, 0x40, 0x8086, 0x1572);
	rom_bytes[6]++;
	begin(NULL, NULL);
	assert_int_equal(id_in_image(0x40), 0x1572);
	assert_int_equal(sum(0, 8 * 512), 1);
	finish();
	image(8, 0x40, 0x1af4, 0x1234);
	expect_id(0x1234);
	image(8, 0x40, 0x8086, 0x1234);
	rom_bytes[0] = 0;
	expect_id(0x1234);
	/* structures at the end, over it, in the header; lengths of nothing, beyond the end */
	for (unsigned pcir = SIZE - 32; pcir < SIZE; pcir++) {
		image(8, pcir, 0x8086, 0x1234);
		begin(NULL, NULL);
		if (pcir + 8 <= SIZE)
			assert_int_equal(id_in_image(pcir), pcir <= SIZE - 0x18 ? 0x1572 : 0x1234);
		else
			id_in_image(pcir);
		finish();
	}
	image(8, 0, 0x8086, 0x1234);
	begin(NULL, NULL);
	id_in_image(0);
	finish();
	image(0, 0x40, 0x8086, 0x1234);
	expect_id(0x1572);
	image(128, 0x40, 0x8086, 0x1234);
	rom_bytes[2] = 129;
	expect_id(0x1572);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lazily),
		cmocka_unit_test(short_image),
		cmocka_unit_test(unreadable),
		cmocka_unit_test(always_busy),
		cmocka_unit_test(sizes),
		cmocka_unit_test(off),
		cmocka_unit_test(file),
		cmocka_unit_test(device_id),
		cmocka_unit_test(at_the_same_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
