/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm_soft: assign a device to a virtual machine that runs no code: an emulator's part of it, and a
 * guest that is a driver in C. It is what an emulator with a processor of its own does with
 * uvfio/vmm.h; examples/vmm.c is the same with KVM.
 *
 *	cc -o vmm_soft vmm_soft.c $(pkg-config --cflags --libs uvfio)
 *	./vmm_soft edu
 *	truncate -s 16M disk.img && ./vmm_soft nvme,image=disk.img
 *
 * The first half is the machine: memory, a PCI bus with one device, an interrupt controller. The
 * second is the guest, which knows the machine alone: its firmware places the BARs, its driver
 * works by messages, then by the line, and all is checked.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <uvfio/vmm.h>

/* ---- the machine ---- */

#define RAM_SIZE      (4u << 20)
#define MESSAGES      0xfee00000ull /* a write here is a message to the processor, as on a PC */
#define MESSAGES_LAST 0xfeefffffull
#define FIRST_GSI     16 /* INTA to INTD end at 16 to 19 */

static struct uvfio_vm *vm;
static struct uvfio_vm_device *dev;
static uint8_t *ram; /* guest physical address 0 */

/* The interrupt controller. Its lock is a leaf: the library calls it with locks of its own. */
static pthread_mutex_t irq_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t irq_came = PTHREAD_COND_INITIALIZER;
static uint32_t vectors; /* messages that the processor has not taken, a bit each */
static bool line[4];

#define CHECK(condition)                                                                  \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "vmm_soft: line %d: %s: not so (%s)\n", __LINE__, \
				#condition, uvfio_vm_strerror(vm));                       \
			exit(1);                                                          \
		}                                                                         \
	} while (0)

/* The library pulls a pin. An emulator with several devices on a line counts who pulls it. */
static void set_line(void *ctx, struct uvfio_vm_device *from, unsigned pin, bool level)
{
	pthread_mutex_lock(&irq_lock);
	line[pin] = level;
	pthread_cond_broadcast(&irq_came);
	pthread_mutex_unlock(&irq_lock);
}

/* The library delivers a message: the guest chose address and data. */
static void message(void *ctx, struct uvfio_vm_device *from, uint64_t address, uint32_t data)
{
	if (address < MESSAGES || address > MESSAGES_LAST || (data & 0xff) > 31)
		return; /* no processor listens there, or has such a vector */
	pthread_mutex_lock(&irq_lock);
	vectors |= 1u << (data & 0xff);
	pthread_cond_broadcast(&irq_came);
	pthread_mutex_unlock(&irq_lock);
}

/* Return the input of the controller that a pin is wired to. A chipset lets the guest choose. */
static int line_of_pin(void *ctx, struct uvfio_vm_device *of, unsigned pin)
{
	return FIRST_GSI + (int)pin;
}

static void machine_start(const char *spec)
{
	/* The controller knows when the guest ends an interrupt, and says so: exact. */
	static const struct uvfio_vm_irq_ops irq_ops = {
		.intx = set_line, .msi = message, .exact_eoi = true, .intx_gsi = line_of_pin
	};
	struct uvfio_vm_memory memory = { .gpa = 0, .size = RAM_SIZE, .fd = -1 };

	vm = uvfio_vm_new(NULL, NULL);
	CHECK(vm);
	CHECK(uvfio_vm_use_irq_ops(vm, &irq_ops, NULL) == 0);
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(ram != MAP_FAILED);
	memory.host = ram;
	CHECK(uvfio_vm_memory_add(vm, &memory) == 0);
	CHECK(uvfio_vm_assign(vm, spec, NULL, &dev) == 0);
	/* An emulator with a loop of its own watches uvfio_vm_fd() and dispatches itself. */
	CHECK(uvfio_vm_start_thread(vm) == 0);
}

static void machine_end(void)
{
	uvfio_vm_unassign(dev);
	CHECK(uvfio_vm_memory_remove(vm, 0, RAM_SIZE) == 0);
	uvfio_vm_free(vm);
	munmap(ram, RAM_SIZE);
}

/* ---- what the processor's instructions come to ---- */

static uint32_t config_read(unsigned at, unsigned size)
{
	return uvfio_vm_config_read(dev, at, size);
}

static void config_write(unsigned at, unsigned size, uint32_t value)
{
	uvfio_vm_config_write(dev, at, size, value);
}

/* A load of @size bytes. Where neither memory nor a BAR is there are ones, as on a PC. */
static uint64_t load(uint64_t at, unsigned size)
{
	uint64_t v = 0;

	if (at < RAM_SIZE)
		memcpy(&v, ram + at, size);
	else if (uvfio_vm_mmio(vm, at, size, &v, false))
		v = UINT64_MAX >> (64 - 8 * size);
	return v;
}

static void store(uint64_t at, unsigned size, uint64_t v)
{
	if (at < RAM_SIZE)
		memcpy(ram + at, &v, size);
	else
		uvfio_vm_mmio(vm, at, size, &v, true);
}

/* Halt until the condition holds; false: for five seconds it does not. The lock is held. */
static bool halt(bool (*condition)(unsigned), unsigned arg)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 5;
	while (!condition(arg))
		if (pthread_cond_timedwait(&irq_came, &irq_lock, &end) == ETIMEDOUT)
			return condition(arg);
	return true;
}

static bool has_vector(unsigned vector)
{
	return vectors >> vector & 1;
}

static bool has_line(unsigned pin)
{
	return line[pin];
}

/* Take a message that came, or wait for it. */
static bool take_vector(unsigned vector)
{
	bool came;

	pthread_mutex_lock(&irq_lock);
	came = halt(has_vector, vector);
	vectors &= ~(1u << vector);
	pthread_mutex_unlock(&irq_lock);
	return came;
}

static bool take_line(unsigned pin)
{
	bool came;

	pthread_mutex_lock(&irq_lock);
	came = halt(has_line, pin);
	pthread_mutex_unlock(&irq_lock);
	return came;
}

/* The guest's handler is done: the device may interrupt again, at once if it still has a reason. */
static void end_of_interrupt(unsigned pin)
{
	uvfio_vm_intx_eoi(vm, FIRST_GSI + (int)pin);
}

/* ---- the guest: firmware ---- */

#define WINDOW	    0xc0000000ull /* addresses for BARs */
#define PORT_WINDOW 0xc000u

static uint64_t bar[6]; /* where firmware put them; 0: there is none */

/* Size the BARs by writing ones, and give each an address, as every firmware does. */
static void place_bars(void)
{
	uint64_t memory = WINDOW, port = PORT_WINDOW;

	config_write(PCI_COMMAND, 2, 0);
	for (unsigned i = 0; i < 6; i++) {
		unsigned at = PCI_BASE_ADDRESS_0 + 4 * i;
		bool io, is64;
		uint64_t size, *next;
		uint32_t low;

		config_write(at, 4, 0xffffffff);
		low = config_read(at, 4);
		if (!low)
			continue;
		io = low & PCI_BASE_ADDRESS_SPACE_IO;
		is64 = !io &&
		       (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
		size = low & (io ? PCI_BASE_ADDRESS_IO_MASK : PCI_BASE_ADDRESS_MEM_MASK);
		if (is64) {
			config_write(at + 4, 4, 0xffffffff);
			size |= (uint64_t)config_read(at + 4, 4) << 32;
		} else {
			size |= 0xffffffffull << 32;
		}
		size = -size;
		next = io ? &port : &memory;
		*next = (*next + size - 1) & -size;
		bar[i] = *next;
		*next += size;
		config_write(at, 4, (uint32_t)bar[i]);
		if (is64)
			config_write(at + 4, 4, (uint32_t)(bar[i] >> 32));
		printf("BAR%u: %" PRIu64 " bytes at %s0x%" PRIx64 "\n", i, size, io ? "port " : "",
		       bar[i]);
		i += is64;
	}
	config_write(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static unsigned find_cap(unsigned id)
{
	unsigned at = config_read(PCI_CAPABILITY_LIST, 1);

	for (unsigned n = 0; at && n < 48; n++, at = config_read(at + PCI_CAP_LIST_NEXT, 1))
		if (config_read(at, 1) == id)
			return at;
	return 0;
}

/* ---- the guest: interrupts of the device, by a message with number n, or by the line ---- */

static bool by_message;

static void use_msi(void)
{
	unsigned cap = find_cap(PCI_CAP_ID_MSI);

	CHECK(cap && config_read(cap + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_64BIT);
	config_write(cap + PCI_MSI_ADDRESS_LO, 4, MESSAGES);
	config_write(cap + PCI_MSI_ADDRESS_HI, 4, 0);
	config_write(cap + PCI_MSI_DATA_64, 2, 0);
	config_write(cap + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_ENABLE);
	by_message = true;
}

/* Vectors 0 to @n - 1, each with its number as data. */
static void use_msix(unsigned n)
{
	unsigned cap = find_cap(PCI_CAP_ID_MSIX);
	uint32_t table;

	CHECK(cap && (config_read(cap + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) + 1 >= n);
	table = config_read(cap + PCI_MSIX_TABLE, 4);
	/* all masked until the table is written, as Linux does it */
	config_write(cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned i = 0; i < n; i++) {
		uint64_t entry = bar[table & PCI_MSIX_TABLE_BIR] + (table & PCI_MSIX_TABLE_OFFSET) +
				 i * PCI_MSIX_ENTRY_SIZE;

		store(entry + PCI_MSIX_ENTRY_LOWER_ADDR, 4, MESSAGES);
		store(entry + PCI_MSIX_ENTRY_UPPER_ADDR, 4, 0);
		store(entry + PCI_MSIX_ENTRY_DATA, 4, i);
		store(entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
	}
	config_write(cap + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	by_message = true;
}

static void use_line(unsigned cap_id)
{
	config_write(find_cap(cap_id) + PCI_MSI_FLAGS, 2, 0); /* the word is there in both */
	by_message = false;
}

/* Wait for interrupt @n, or for the line. */
static bool interrupted(unsigned n)
{
	return by_message ? take_vector(n) : take_line(config_read(PCI_INTERRUPT_PIN, 1) - 1);
}

/* The device has no reason to interrupt any more. */
static void handled(void)
{
	if (!by_message)
		end_of_interrupt(config_read(PCI_INTERRUPT_PIN, 1) - 1);
}

/* ---- the guest: a driver of edu ---- */

#define EDU_BUFFER 0x40000u /* the device's own address of its buffer */

static void edu_wait(uint32_t reason)
{
	CHECK(interrupted(0));
	CHECK(load(bar[0] + 0x24, 4) == reason);
	store(bar[0] + 0x64, 4, reason);
	handled();
}

static void edu_dma(uint64_t from, uint64_t to, uint64_t count, unsigned command)
{
	store(bar[0] + 0x80, 8, from);
	store(bar[0] + 0x88, 8, to);
	store(bar[0] + 0x90, 8, count);
	store(bar[0] + 0x98, 8, command);
	edu_wait(0x100);
}

static void drive_edu(void)
{
	CHECK(load(bar[0], 4) == 0x010000ed);
	store(bar[0] + 0x20, 4, 0x80); /* an interrupt when it has computed */
	store(bar[0] + 8, 4, 10);
	edu_wait(1);
	CHECK(load(bar[0] + 8, 4) == 3628800);
	for (unsigned i = 0; i < 4096; i++)
		store(0x10000 + i, 1, i * 7 & 0xff);
	edu_dma(0x10000, EDU_BUFFER, 4096, 5);
	edu_dma(EDU_BUFFER, 0x20000, 4096, 7);
	CHECK(!memcmp(ram + 0x10000, ram + 0x20000, 4096));
	memset(ram + 0x20000, 0, 4096);
}

/* ---- the guest: a driver of nvme (NVM Express 2.0), one command at a time ---- */

#define ENTRIES 8u

struct queue {
	unsigned id, tail, head, phase;
	uint64_t sq, cq; /* guest addresses */
};

static void queue_make(struct queue *q, unsigned id)
{
	*q = (struct queue){ .id = id, .phase = 1, .sq = 0x100000 + id * 0x2000 };
	q->cq = q->sq + 0x1000;
	memset(ram + q->sq, 0, 0x2000);
}

/* Have a command done; its status. */
static unsigned run(struct queue *q, uint8_t opcode, uint32_t nsid, uint64_t data, uint32_t dw10,
		    uint32_t dw11, uint32_t dw12)
{
	uint64_t sqe = q->sq + q->tail * 64, cqe = q->cq + q->head * 16;

	for (unsigned i = 0; i < 64; i += 8)
		store(sqe + i, 8, 0);
	store(sqe, 1, opcode);
	store(sqe + 4, 4, nsid);
	store(sqe + 24, 8, data);
	store(sqe + 40, 4, dw10);
	store(sqe + 44, 4, dw11);
	store(sqe + 48, 4, dw12);
	q->tail = (q->tail + 1) % ENTRIES;
	store(bar[0] + 0x1000 + 8 * q->id, 4, q->tail);
	CHECK(interrupted(q->id));
	CHECK((load(cqe + 14, 2) & 1) == q->phase);
	q->head = (q->head + 1) % ENTRIES;
	q->phase ^= !q->head;
	store(bar[0] + 0x1004 + 8 * q->id, 4, q->head);
	handled();
	return load(cqe + 14, 2) >> 1;
}

static void nvme_ready(bool ready)
{
	for (unsigned i = 0; (load(bar[0] + 0x1c, 4) & 1) != ready; i++) {
		CHECK(i < 5000);
		usleep(1000);
	}
}

static void drive_nvme(void)
{
	struct queue admin, io;

	queue_make(&admin, 0);
	queue_make(&io, 1);
	store(bar[0] + 0x14, 4, 0);
	nvme_ready(false);
	store(bar[0] + 0x24, 4, (ENTRIES - 1) << 16 | (ENTRIES - 1));
	store(bar[0] + 0x28, 8, admin.sq);
	store(bar[0] + 0x30, 8, admin.cq);
	store(bar[0] + 0x14, 4, 4 << 20 | 6 << 16 | 1);
	nvme_ready(true);
	CHECK(run(&admin, 0x06, 0, 0x20000, 1, 0, 0) == 0); /* identify */
	printf("controller %.20s\n", (char *)ram + 0x20000 + 4);
	CHECK(run(&admin, 0x05, 0, io.cq, (ENTRIES - 1) << 16 | 1, 1 << 16 | 3, 0) == 0);
	CHECK(run(&admin, 0x01, 0, io.sq, (ENTRIES - 1) << 16 | 1, 1 << 16 | 1, 0) == 0);
	for (unsigned lba = 0; lba < 32; lba += 8) {
		memset(ram + 0x20000, 0, 4096);
		for (unsigned i = 0; i < 4096; i++)
			store(0x10000 + i, 1, (i * 7 + lba) & 0xff);
		CHECK(run(&io, 0x01, 1, 0x10000, lba, 0, 7) == 0); /* write eight blocks */
		CHECK(run(&io, 0x02, 1, 0x20000, lba, 0, 7) == 0);
		CHECK(!memcmp(ram + 0x10000, ram + 0x20000, 4096));
	}
}

/* ---- the guest ---- */

int main(int argc, char **argv)
{
	bool is_nvme;
	char state[256];

	machine_start(argc > 1 ? argv[1] : "edu");
	printf("%s: %04x:%04x, reset by %s\n", uvfio_vm_device_name(dev),
	       config_read(PCI_VENDOR_ID, 2), config_read(PCI_DEVICE_ID, 2),
	       uvfio_vm_reset_kind(dev));
	is_nvme = config_read(PCI_CLASS_REVISION, 4) >> 8 == 0x010802;
	if (!is_nvme && config_read(PCI_VENDOR_ID, 4) != 0x11e81234) {
		fprintf(stderr, "vmm_soft: this guest has drivers of nvme and edu alone\n");
		return 1;
	}
	for (unsigned boot = 0; boot < 2; boot++) {
		place_bars();
		if (is_nvme)
			use_msix(2);
		else
			use_msi();
		(is_nvme ? drive_nvme : drive_edu)();
		printf("messages: all as it should be\n");
		uvfio_vm_device_state(dev, state, sizeof(state));
		printf("%s\n", state);
		use_line(is_nvme ? PCI_CAP_ID_MSIX : PCI_CAP_ID_MSI);
		(is_nvme ? drive_nvme : drive_edu)();
		printf("the line: all as it should be\n");
		/* the reset button: registers are as after power-on, nothing is decoded */
		CHECK(uvfio_vm_reset(vm) == 0);
		CHECK(!(config_read(PCI_COMMAND, 2) & PCI_COMMAND_MEMORY));
		CHECK(load(bar[0], 4) == 0xffffffff);
	}
	machine_end();
	printf("ok\n");
	return 0;
}
