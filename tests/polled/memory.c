/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tests/polled/memory.c: a BAR that is memory of the device at all times (testdev,ram_memory=on):
 * what a program stores in its mapping, what it reads by its file, and what the device has are one;
 * no store is a call; and when the device does not answer, a load is a bus error as of any BAR.
 */
#include "lib/caught.h"
#include "shim/shim.h"

#define SIZE 0x10000ul
#define BOTH (PROT_READ | PROT_WRITE)

static struct vfio v;
static volatile uint32_t *bar;

static volatile uint32_t *map(size_t size, int prot, uint64_t pos)
{
	return mmap(NULL, size, prot, MAP_SHARED, v.device, (off_t)(RAM + pos));
}

static void begin(void)
{
	v = vfio_open();
	bar = map(SIZE, BOTH, 0);
	if (v.device < 0 || bar == MAP_FAILED || !bus_master(&v)) {
		printf("FAIL the device cannot be opened and mapped (errno %d)\n", errno);
		exit(1);
	}
}

static void end(void)
{
	munmap((void *)bar, SIZE);
	vfio_close(&v);
}

static uint32_t file(uint64_t pos)
{
	uint32_t value = 0;

	return pread(v.device, &value, 4, (off_t)(RAM + pos)) == 4 ? value : 0xdeadbeef;
}

/* The signal that a load of @p gives, or 0. */
static int load(volatile uint32_t *p)
{
	int sig = sigsetjmp(caught_at, 1);

	if (!sig)
		(void)*p;
	return sig;
}

static int store(volatile uint32_t *p, uint32_t value)
{
	int sig = sigsetjmp(caught_at, 1);

	if (!sig)
		*p = value;
	return sig;
}

static void command(uint16_t value)
{
	CHECK(pwrite(v.device, &value, 2, (off_t)(CONFIG + PCI_COMMAND)) == 2);
}

static void one_memory(void)
{
	uint32_t value = 0x12345678, calls;

	begin();
	calls = get32(v.device, TD_WRITES) + get32(v.device, TD_READS);
	for (uint32_t i = 0; i < SIZE / 4; i++)
		bar[i] = i * 3;
	CHECK(get32(v.device, TD_WRITES) + get32(v.device, TD_READS) == calls);
	CHECK(file(0x1234) == 0x1234 / 4 * 3);
	CHECK(pwrite(v.device, &value, 4, (off_t)(RAM + 0x4000)) == 4);
	CHECK(bar[0x1000] == 0x12345678);
	end();
}

static void the_device_has_it(void)
{
	static uint32_t mem[1024] __attribute__((aligned(4096)));

	begin();
	CHECK(!dma_map(&v, mem, 0x100000, sizeof(mem)));
	bar[5] = 77;
	CHECK(engine(&v, TD_OP_STORE, 0, 0x100000, 64, 0) == TD_DMA_OK);
	CHECK(mem[5] == 77);
	mem[6] = 88;
	CHECK(engine(&v, TD_OP_LOAD, 0x100000, 0x800, 64, 0) == TD_DMA_OK);
	CHECK(bar[0x800 / 4 + 6] == 88);
	end();
}

static void rights(void)
{
	volatile uint32_t *ro;

	begin();
	ro = map(4096, PROT_READ, 0x2000);
	CHECK(ro != MAP_FAILED);
	bar[0x2000 / 4] = 9;
	CHECK(*ro == 9);
	CHECK(store(ro, 1) == SIGSEGV);
	CHECK(!mprotect((void *)bar, 4096, PROT_NONE));
	CHECK(load(bar) == SIGSEGV && !load(bar + 1024));
	CHECK(!mprotect((void *)bar, 4096, BOTH));
	CHECK(!store(bar, 4) && file(0) == 4);
	munmap((void *)ro, 4096);
	end();
}

/* Decoding off, D3hot: a bus error, for what is mapped meanwhile too; and then it is there. */
static void does_not_answer(void)
{
	static const unsigned pm = 0x40; /* or wherever it is */
	volatile uint32_t *later;
	uint8_t at = 0, id = 0;
	uint16_t state;

	begin();
	bar[3] = 33;
	command(0);
	CHECK(load(bar + 3) == SIGBUS && store(bar + 3, 1) == SIGBUS);
	later = map(4096, BOTH, 0);
	CHECK(later != MAP_FAILED && load(later + 3) == SIGBUS);
	command(PCI_COMMAND_MEMORY);
	CHECK(bar[3] == 33 && later[3] == 33);
	/* the capability of power management */
	CHECK(pread(v.device, &at, 1, (off_t)(CONFIG + PCI_CAPABILITY_LIST)) == 1);
	for (unsigned i = 0; i < 48 && at; i++) {
		CHECK(pread(v.device, &id, 1, (off_t)(CONFIG + at)) == 1);
		if (id == PCI_CAP_ID_PM)
			break;
		CHECK(pread(v.device, &at, 1, (off_t)(CONFIG + at + 1)) == 1);
	}
	CHECK(id == PCI_CAP_ID_PM && at >= pm);
	state = 3;
	CHECK(pwrite(v.device, &state, 2, (off_t)(CONFIG + at + PCI_PM_CTRL)) == 2);
	CHECK(load(bar + 3) == SIGBUS);
	state = 0;
	CHECK(pwrite(v.device, &state, 2, (off_t)(CONFIG + at + PCI_PM_CTRL)) == 2);
	command(PCI_COMMAND_MEMORY);
	CHECK(!load(bar + 3));
	munmap((void *)later, 4096);
	end();
}

static void reset(void)
{
	begin();
	bar[3] = 33;
	CHECK(!ioctl(v.device, VFIO_DEVICE_RESET));
	CHECK(!load(bar + 3) && bar[3] == 0);
	bar[3] = 34;
	CHECK(file(12) == 34);
	end();
}

/* A mapping outlives its file; a device that is opened again has nothing of before. */
static void life(void)
{
	begin();
	bar[3] = 33;
	close(v.device);
	CHECK(!load(bar + 3) && bar[3] == 33);
	munmap((void *)bar, SIZE);
	v.device = -1;
	vfio_close(&v);
	begin();
	CHECK(bar[3] == 0);
	end();
}

/* A child has no device. */
static void child(void)
{
	pid_t pid;

	begin();
	bar[3] = 33;
	pid = fork();
	if (!pid)
		_exit(load(bar + 3) ? 0 : 1);
	CHECK(wait_for(pid) == 0);
	CHECK(bar[3] == 33);
	end();
}

int main(void)
{
	catch_faults();
	RUN(one_memory);
	RUN(the_device_has_it);
	RUN(rights);
	RUN(does_not_answer);
	RUN(reset);
	RUN(life);
	RUN(child);
	return any_failed;
}
