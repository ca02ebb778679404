/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/vmm.c: what a hostile guest does to the devices that are assigned to it, and a careless
 * monitor to the library: any accesses of config space, BARs and ports, BARs over each other and
 * over memory, resets in the middle, interrupts enabled in any way and flooded, memory that comes
 * and goes. All models, each way for interrupts. After each step what must hold holds: the kind of
 * interrupt is the one that the guest's registers say, a line is only up and a message only sent
 * with that kind, BARs are where the registers say or nowhere; and no device writes memory that is
 * not the guest's, nor changes another device. (test 81)
 */
#include <dirent.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "uvfio/vmm.h"
#include "fuzz.h"
#include "models/testdev/regs.h"
#include "vmm/internal.h"

#define MAX_OPS 96u
#define PAGE	4096u

static const char *const options[] = {
	NULL,
	"bus=root",
	"bus=pci,multifunction=on",
	"msix=bar3",
	"rom=off,io=off",
	"intx_timeout=1",
	"mmap=off,hide=0x1+0x3",
	"vendor=0x1af4,bars=-0-2,pba=off",
};

#define MAX_DEVS 3u
static const char *const sets[8][MAX_DEVS] = {
	{ "edu,dma_delay=1,factorial_delay=1" },
	{ "testdev,ram=8K,ram_memory=on", "testdev,ram=4K,ram_memory=on" },
	{ "testdev,pcie=off,af=on,msi64=off,msi_mask=off,disintx=off", "edu" },
	{ "nvme,image=/proc/self/fd/900" },
	{ "igb" },
	{ "testdev,flr=off,no_soft_reset=on", "testdev,msix=off,intx=off,pm=off" },
	{ "testdev,bus=shared,ram=4K", "testdev,bus=shared,ram=4K" },
	{ "testdev,vectors=2048,pri=on,pasid_bits=4", "igb" },
};

/* ---- the guest's memory: sections in a pool, and between them pages that nobody may write ---- */

#define PAGES	  48u
#define SCRATCH	  0x00 /* a page of the guest's memory, and everything else */
#define UNTOUCHED 0xc3

static uint8_t *pool;
static uint8_t writable[PAGES]; /* a device may write it */

static const struct section {
	uint64_t gpa;
	unsigned page, pages, flags;
} sections[] = {
	{ 0, 2, 16, 0 },
	{ 0xf0000, 20, 2, UVFIO_VM_MEM_READONLY },
	{ 0x100000, 24, 8, 0 },
	{ 0x200000, 36, 8, UVFIO_VM_MEM_DISCARDABLE },
};
#define SECTIONS 4u
static bool added[SECTIONS];

/* Devices may write @n pages from @page on, or no more: then they are as they were left. */
static void set_writable(unsigned page, unsigned n, bool on)
{
	for (unsigned i = page; i < page + n; i++) {
		if (writable[i] == on)
			continue;
		writable[i] = on;
		memset(pool + i * PAGE, on ? SCRATCH : UNTOUCHED, PAGE);
	}
}

static void look_at_memory(void)
{
	static uint8_t untouched[PAGE];

	memset(untouched, UNTOUCHED, PAGE);
	for (unsigned i = 0; i < PAGES; i++)
		REQUIRE(writable[i] || !memcmp(pool + i * PAGE, untouched, PAGE),
			"page %u was written", i);
}

/* ---- the machine ---- */

static struct uvfio_vm *vm;
static struct uvfio_vm_device *devs[MAX_DEVS], *victim;
static unsigned num_devs, how_irq;
static bool threaded;
static bool odd[MAX_DEVS + 1]; /* it was in a state in which any kind of interrupt is right */
static atomic_int level[MAX_DEVS + 1]; /* of the device's pin; the last: of the victim */

static unsigned index_of(const struct uvfio_vm_device *dev)
{
	for (unsigned i = 0; i < MAX_DEVS; i++)
		if (uvfio_vm_device_priv(dev) == &devs[i])
			return i;
	return MAX_DEVS;
}

/* Callbacks come with the device's lock held: its state may be looked at. */
static void on_intx(void *ctx, struct uvfio_vm_device *dev, unsigned pin, bool up)
{
	REQUIRE(pin < 4, "pin %u", pin);
	REQUIRE(!up || dev->irq.kind == VM_IRQ_INTX, "the line is up, kind %d", dev->irq.kind);
	atomic_store(&level[index_of(dev)], up);
}

static bool in_table(const struct uvfio_vm_device *dev, uint64_t address, uint32_t data)
{
	for (unsigned i = 0; i < dev->irq.msix_count; i++) {
		const uint8_t *e = dev->irq.table + i * PCI_MSIX_ENTRY_SIZE;
		uint64_t a;
		uint32_t d;

		memcpy(&a, e, 8);
		memcpy(&d, e + PCI_MSIX_ENTRY_DATA, 4);
		if (a == address && d == data &&
		    !(e[PCI_MSIX_ENTRY_VECTOR_CTRL] & PCI_MSIX_ENTRY_CTRL_MASKBIT))
			return true;
	}
	return false;
}

static void on_msi(void *ctx, struct uvfio_vm_device *dev, uint64_t address, uint32_t data)
{
	REQUIRE(dev != victim, "a message of who sends none");
	REQUIRE(dev->irq.kind == VM_IRQ_MSI || dev->irq.kind == VM_IRQ_MSIX, "message, kind %d",
		dev->irq.kind);
	REQUIRE(dev->irq.kind != VM_IRQ_MSIX ||
			(!(vm_config_copy(dev, dev->config.caps.msix + PCI_MSIX_FLAGS, 2) &
			   PCI_MSIX_FLAGS_MASKALL) &&
			 in_table(dev, address, data)),
		"a message that is masked: 0x%lx 0x%x", (unsigned long)address, data);
}

/* ---- pieces of BARs that the guest has as memory ---- */

#define MAX_PIECES 8u
static struct piece {
	uint64_t gpa, size; /* 0: none */
	volatile char *host;
	struct uvfio_vm_device *dev;
	unsigned bar;
} pieces[MAX_PIECES];

static int bar_map(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
		   uint64_t size, void *host, bool readonly)
{
	struct piece *p = NULL;

	for (unsigned i = 0; i < MAX_PIECES; i++) {
		REQUIRE(!pieces[i].size || gpa >= pieces[i].gpa + pieces[i].size ||
				pieces[i].gpa >= gpa + size,
			"two pieces at 0x%lx", (unsigned long)gpa);
		p = pieces[i].size ? p : &pieces[i];
	}
	REQUIRE(p && size && !((gpa | size) % PAGE), "a piece at 0x%lx", (unsigned long)gpa);
	*p = (struct piece){ gpa, size, host, dev, bar };
	return 0;
}

static void bar_unmap(void *ctx, struct uvfio_vm_device *dev, unsigned bar, uint64_t gpa,
		      uint64_t size)
{
	for (unsigned i = 0; i < MAX_PIECES; i++) {
		struct piece *p = &pieces[i];

		if (p->gpa != gpa || p->size != size || p->dev != dev || p->bar != bar)
			continue;
		p->size = 0;
		return;
	}
	REQUIRE(0, "no piece is at 0x%lx", (unsigned long)gpa);
}

/* Each is where its BAR is, over no memory of the guest's, and a processor there meets it. */
static void look_at_pieces(void)
{
	for (unsigned i = 0; i < MAX_PIECES; i++) {
		const struct piece *p = &pieces[i];
		struct uvfio_vm_bar b;

		if (!p->size)
			continue;
		REQUIRE(!uvfio_vm_bar_info(p->dev, p->bar, &b) && b.gpa <= p->gpa &&
				p->gpa + p->size <= b.gpa + b.size,
			"a piece at 0x%lx is left", (unsigned long)p->gpa);
		for (unsigned k = 0; k < SECTIONS; k++)
			REQUIRE(!added[k] || p->gpa >= sections[k].gpa + sections[k].pages * PAGE ||
					sections[k].gpa >= p->gpa + p->size,
				"a piece is over memory at 0x%lx", (unsigned long)p->gpa);
		p->host[0]++;
		p->host[p->size - 1]--;
	}
}

static int intx_gsi(void *ctx, struct uvfio_vm_device *dev, unsigned pin)
{
	return *(int *)ctx < 0 ? -1 : *(int *)ctx + (int)pin;
}
static int first_gsi;

/* Routes and irqfds, as KVM would be told of them, and that the order is the safe one. */
#define GSIS   2304u
#define ROUTES 24u
static struct {
	bool route, committed;
	int eventfd; /* -1: none */
} gsis[GSIS];

static int route_add(void *ctx, struct uvfio_vm_device *dev, uint64_t address, uint32_t data)
{
	for (int i = ROUTES; i < (int)GSIS; i++)
		if (!gsis[i].route) {
			gsis[i].route = true;
			gsis[i].committed = false;
			return i;
		}
	return -ENOSPC;
}
static int route_update(void *ctx, int gsi, uint64_t address, uint32_t data)
{
	REQUIRE(gsis[gsi].route, "an update of GSI %d, which has no route", gsi);
	return 0;
}
static void route_del(void *ctx, int gsi)
{
	REQUIRE(gsis[gsi].route, "GSI %d is given back twice", gsi);
	REQUIRE(gsis[gsi].eventfd < 0, "GSI %d goes before its irqfd", gsi);
	gsis[gsi].route = false;
}
static int route_commit(void *ctx)
{
	for (unsigned i = ROUTES; i < GSIS; i++)
		gsis[i].committed = gsis[i].route;
	return 0;
}
static int irqfd(void *ctx, int eventfd, int gsi, int resamplefd, bool assign)
{
	if (resamplefd >= 0)
		return assign ? -EINVAL : 0; /* as with a split irqchip */
	REQUIRE(gsi >= (int)ROUTES && gsi < (int)GSIS, "GSI %d", gsi);
	if (!assign) {
		REQUIRE(gsis[gsi].eventfd == eventfd, "an irqfd that there is not");
		gsis[gsi].eventfd = -1;
		return 0;
	}
	REQUIRE(gsis[gsi].committed, "an irqfd before its route");
	for (unsigned i = 0; i < GSIS; i++)
		REQUIRE(gsis[i].eventfd != eventfd, "an eventfd twice");
	gsis[gsi].eventfd = eventfd;
	return 0;
}

static const struct uvfio_vm_irq_ops irq_ops[] = {
	{ .intx = on_intx, .msi = on_msi },
	{ .intx = on_intx, .msi = on_msi, .exact_eoi = true, .intx_gsi = intx_gsi },
	{ .intx = on_intx,
	  .msi = on_msi,
	  .intx_gsi = intx_gsi,
	  .route_add = route_add,
	  .route_update = route_update,
	  .route_del = route_del,
	  .route_commit = route_commit,
	  .irqfd = irqfd },
};

/* Return how many eventfds, timers and the like are open; a process keeps others. */
static unsigned count_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	unsigned n = 0;
	char link[16];

	while ((e = readdir(d)))
		n += readlinkat(dirfd(d), e->d_name, link, sizeof(link)) == sizeof(link) &&
		     !memcmp(link, "anon_inode:", 11);
	closedir(d);
	return n;
}

static void add_section(unsigned i)
{
	const struct section *s = &sections[i];
	struct uvfio_vm_memory m = { .gpa = s->gpa,
				     .size = s->pages * PAGE,
				     .host = pool + s->page * PAGE,
				     .fd = -1,
				     .granularity = PAGE,
				     .flags = s->flags };
	int rc;

	if (!added[i] && !s->flags)
		set_writable(s->page, s->pages, true);
	rc = uvfio_vm_memory_add(vm, &m);
	REQUIRE(rc == (added[i] ? -EEXIST : 0), "memory: %d", rc);
	added[i] = true;
}

static void remove_section(unsigned i)
{
	const struct section *s = &sections[i];
	int rc = uvfio_vm_memory_remove(vm, s->gpa, s->pages * PAGE);

	REQUIRE(rc == (added[i] ? 0 : -ENOENT), "no memory: %d", rc);
	added[i] = false;
	set_writable(s->page, s->pages, false);
}

static unsigned files; /* open without a guest */
static const char *const *specs;
static const char *how_assigned;

static void assign(unsigned i)
{
	int rc = uvfio_vm_assign(vm, specs[i], how_assigned, &devs[i]);

	REQUIRE(!rc || how_assigned, "%s: %s", specs[i], uvfio_vm_strerror(vm));
	if (rc) /* an option that this device cannot have */
		REQUIRE(!uvfio_vm_assign(vm, specs[i], NULL, &devs[i]), "%s: %s", specs[i],
			uvfio_vm_strerror(vm));
	uvfio_vm_device_set_priv(devs[i], &devs[i]);
}

/* Make a guest with its devices, as two bytes say. */
static void make_guest(uint8_t what, uint8_t how)
{
	static const struct uvfio_vm_ops ops = { .bar_map = bar_map, .bar_unmap = bar_unmap };

	vm = uvfio_vm_new(&ops, NULL);
	REQUIRE(vm, "no guest");
	how_irq = (what >> 3 & 3) % 3;
	for (unsigned i = 0; i < GSIS; i++)
		gsis[i].eventfd = -1;
	REQUIRE(!uvfio_vm_use_irq_ops(vm, &irq_ops[how_irq], &first_gsi), "interrupts");
	threaded = what >> 5 == 7;
	how_assigned = options[how % (sizeof(options) / sizeof(options[0]))];
	specs = sets[what & 7];
	for (num_devs = 0; num_devs < MAX_DEVS && specs[num_devs]; num_devs++)
		assign(num_devs);
	REQUIRE(!uvfio_vm_assign(vm, "testdev", NULL, &victim), "victim: %s",
		uvfio_vm_strerror(vm));
	if (threaded)
		REQUIRE(!uvfio_vm_start_thread(vm), "thread");
}

static void free_guest(void)
{
	uvfio_vm_free(vm);
	vm = NULL;
	for (unsigned i = 0; i < SECTIONS; i++) {
		added[i] = false;
		set_writable(sections[i].page, sections[i].pages, false);
	}
	for (unsigned i = 0; i < GSIS; i++)
		REQUIRE(!gsis[i].route && gsis[i].eventfd < 0, "GSI %u is left", i);
	for (unsigned i = 0; i < MAX_PIECES; i++)
		REQUIRE(!pieces[i].size, "a piece is left at 0x%lx", (unsigned long)pieces[i].gpa);
	for (unsigned i = 0; i <= MAX_DEVS; i++)
		REQUIRE(!atomic_load(&level[i]), "the line of device %u is left up", i);
	REQUIRE(count_files() == files, "%u files are open, not %u", count_files(), files);
}

/*
 * A guest serves many inputs that want the same, after a reset: devices take longer to be made than
 * an input does. One that fails is tried again with a new one: the first of a process has it.
 */
#define INPUTS 64u

static void begin(struct in *in)
{
	static unsigned used, what, how;
	uint8_t new_what = in8(in), new_how = in8(in);

	if (vm && (what != new_what || how != new_how || ++used == INPUTS))
		free_guest();
	if (!vm) {
		what = new_what;
		how = new_how;
		used = 0;
		make_guest(new_what, new_how);
	}
	first_gsi = 16;
	for (unsigned i = 0; i < SECTIONS; i++) {
		if (added[i])
			remove_section(i);
		add_section(i);
	}
}

/* ---- what must hold ---- */

/* The kind of interrupt is what the guest's registers say (the copy has both enable bits). */
static void look_at_irq(struct uvfio_vm_device *dev)
{
	const struct vm_caps *caps = &dev->config.caps;
	bool msi = caps->msi &&
		   vm_config_copy(dev, caps->msi + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE;
	bool msix = caps->msix &&
		    vm_config_copy(dev, caps->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE;
	bool sleeps =
		caps->pm && vm_config_get(dev, caps->pm + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK;
	enum vm_irq_kind is = dev->irq.kind,
			 plain = dev->irq.intx.there ? VM_IRQ_INTX : VM_IRQ_NONE;

	/*
	 * Both at once is no state of PCI (3.0, 6.8), and one that sleeps may not get messages:
	 * what comes of it ends when neither is on.
	 */
	odd[index_of(dev)] = (odd[index_of(dev)] && (msi || msix)) || (msi && msix) || sleeps;
	if (!msi && !msix)
		REQUIRE(is == plain, "%s: kind %d, and nothing is enabled", dev->name, is);
	else if (!odd[index_of(dev)])
		REQUIRE(is == (msi ? VM_IRQ_MSI : VM_IRQ_MSIX), "%s: kind %d, MSI %d MSI-X %d",
			dev->name, is, msi, msix);
	REQUIRE(is == VM_IRQ_INTX || !atomic_load(&level[index_of(dev)]),
		"%s: the line is up, kind %d", dev->name, is);
}

static void look_at_bars(struct uvfio_vm_device *dev)
{
	uint32_t command = uvfio_vm_config_read(dev, PCI_COMMAND, 2);

	for (unsigned i = 0; i < 6; i++) {
		uint64_t at = uvfio_vm_config_read(dev, PCI_BASE_ADDRESS_0 + 4 * i, 4);
		struct uvfio_vm_bar b;

		REQUIRE(!uvfio_vm_bar_info(dev, i, &b), "BAR %u", i);
		if (!b.size || b.gpa == UVFIO_VM_UNMAPPED)
			continue;
		REQUIRE(command & (b.io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY),
			"%s: BAR %u is there, COMMAND 0x%x", dev->name, i, command);
		if (b.is64)
			at |= (uint64_t)uvfio_vm_config_read(dev, PCI_BASE_ADDRESS_0 + 4 * i + 4, 4)
			      << 32;
		at &= ~(b.io ? 3ull : 15ull);
		REQUIRE(b.gpa == at && !(at & (b.size - 1)), "%s: BAR %u is at 0x%lx, not 0x%lx",
			dev->name, i, (unsigned long)b.gpa, (unsigned long)at);
	}
}

static void look(void)
{
	for (unsigned i = 0; i < num_devs; i++) {
		pthread_mutex_lock(&devs[i]->lock);
		look_at_irq(devs[i]);
		pthread_mutex_unlock(&devs[i]->lock);
		look_at_bars(devs[i]);
	}
	/* a thread of the library's may have some trapped at any time, and then not */
	if (!threaded)
		look_at_pieces();
}

static uint64_t sum_of_victim(void)
{
	uint64_t sum = 14695981039346656037ull; /* FNV-1a */

	for (unsigned at = 0; at < 256; at += 4)
		sum = (sum ^ uvfio_vm_config_read(victim, at, 4)) * 1099511628211ull;
	return sum ^ victim->irq.kind;
}

/* ---- what the guest does ---- */

static unsigned some_config(struct in *in, struct uvfio_vm_device *dev)
{
	const struct vm_caps *c = &dev->config.caps;
	uint8_t where = in8(in);

	switch (where & 15) {
	case 0:
	case 1:
		return PCI_COMMAND;
	case 2:
	case 3:
	case 4:
		return PCI_BASE_ADDRESS_0 + 4 * (where >> 4) % 24;
	case 5:
	case 6:
		return c->msi + (where >> 4) * 2;
	case 7:
	case 8:
		return c->msix + (where >> 4 & 5) * 2;
	case 9:
		return c->pm + (where >> 4 & 3) * 2;
	case 10:
		return c->pcie + (where >> 4) * 2;
	case 11:
		return c->af + (where >> 4 & 3);
	case 12:
		return PCI_ROM_ADDRESS;
	case 13:
		return in8(in);
	default:
		return in16(in);
	}
}

static uint64_t some_address(struct in *in)
{
	static const uint32_t at[] = { 0xe0000000, 0xe0000000, 0xe0100000, 0xe0001000,
				       0xfee00000, 0,	       0x1000,	   0x100000,
				       0x200000,   0xfff00000, 0xffffffff, 0xc000,
				       0xc000,	   0xc040,     0xfffc,	   0x80000000 };

	return at[in8(in) & 15];
}

static uint64_t some_mmio(struct in *in)
{
	struct uvfio_vm_bar b;

	if (in8(in) & 7) {
		uvfio_vm_bar_info(devs[in8(in) % num_devs], in8(in) % 6, &b);
		if (b.gpa != UVFIO_VM_UNMAPPED)
			return b.gpa + in16(in) % (b.size + 8);
	}
	return some_address(in) + in16(in);
}

static void access_mmio(struct in *in)
{
	uint8_t how = in8(in);
	uint64_t at = some_mmio(in), v = in64(in);

	uvfio_vm_mmio(vm, at, how & 8 ? how : 1u << (how & 3), &v, how & 0x10);
}

static void access_port(struct in *in)
{
	uint8_t how = in8(in);
	uint32_t v = in32(in);

	uvfio_vm_pio(vm, (uint16_t)some_mmio(in), how & 8 ? how : 1u << (how & 3) % 3, &v,
		     how & 0x10);
}

static void access_bar(struct in *in, struct uvfio_vm_device *dev)
{
	uint8_t how = in8(in), bar = in8(in) % 8;
	uint64_t at = in16(in), v = in64(in);
	unsigned size = how & 8 ? how : 1u << (how & 3);

	if (how & 0x20)
		at = UINT64_MAX - at;
	if (how & 0x10)
		uvfio_vm_bar_write(dev, bar, at, size, v);
	else
		uvfio_vm_bar_read(dev, bar, at, size);
}

/* As a firmware does it, but with addresses of the fuzzer's. */
static void place_bars(struct in *in, struct uvfio_vm_device *dev)
{
	for (unsigned i = 0; i < 6; i++)
		uvfio_vm_config_write(dev, PCI_BASE_ADDRESS_0 + 4 * i, 4,
				      in8(in) & 1 ? (uint32_t)some_address(in)
						  : 0xe0000000 + i * 0x200000);
	uvfio_vm_config_write(dev, PCI_COMMAND, 2, in8(in) | PCI_COMMAND_MASTER);
}

static void enable_irqs(struct in *in, struct uvfio_vm_device *dev)
{
	const struct vm_caps *c = &dev->config.caps;
	uint8_t how = in8(in);

	if (how & 1 && c->msi) {
		uvfio_vm_config_write(dev, c->msi + PCI_MSI_ADDRESS_LO, 4, 0xfee00000);
		uvfio_vm_config_write(dev, c->msi + PCI_MSI_FLAGS, 2, how >> 1);
	}
	if (how & 0x80 && c->msix) {
		const struct vm_msix_place *p = &dev->bars.msix;

		for (unsigned n = how & 7; n; n--) {
			uint64_t at = p->table_offset + in16(in) % (p->table_size + 8);

			uvfio_vm_bar_write(dev, p->table_bar, at & ~3ull, how & 8 ? 8 : 4,
					   in8(in) & 1 ? 0 : in64(in));
		}
		uvfio_vm_config_write(dev, c->msix + PCI_MSIX_FLAGS, 2,
				      (uint32_t)(how & 0x60) << 9);
	}
}

/* A device acts: DMA anywhere, interrupts, many of them. */
static void act(struct in *in, struct uvfio_vm_device *dev)
{
	uint8_t how = in8(in);
	uint64_t src = some_address(in) + in16(in), dst = some_address(in) + in16(in);

	uvfio_vm_config_write(dev, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (how & 1) { /* edu; on the others it is somewhere in plain memory */
		uvfio_vm_bar_write(dev, 0, 0x80, 8, how & 2 ? 0x40000 : src);
		uvfio_vm_bar_write(dev, 0, 0x88, 8, how & 2 ? dst : 0x40000);
		uvfio_vm_bar_write(dev, 0, 0x90, 8, in16(in) % 0x1100);
		uvfio_vm_bar_write(dev, 0, 0x98, 8, how & 7);
		uvfio_vm_bar_write(dev, 0, 0x60, 4, how);
		return;
	}
	switch (how >> 1 & 3) {
	case 0:
		uvfio_vm_bar_write(dev, 2, TD_DMA_SRC, 8, src);
		uvfio_vm_bar_write(dev, 2, TD_DMA_DST, 8, dst);
		uvfio_vm_bar_write(dev, 2, TD_DMA_LEN, 8, in16(in) % 0x9000);
		uvfio_vm_bar_write(dev, 2, TD_DMA_VECTOR, 4, in8(in));
		uvfio_vm_bar_write(dev, 2, TD_DMA_CMD, 4,
				   (how >> 3 & 7) | TD_DMA_IRQ | TD_DMA_ASYNC);
		break;
	case 1:
		uvfio_vm_bar_write(dev, 2, TD_MSI_BURST, 4, in32(in) & 0x0fff07ff);
		break;
	case 2:
		uvfio_vm_bar_write(dev, 2, TD_INTX, 4, how >> 3 & 1);
		break;
	default: /* nvme: an admin queue in the guest's memory, and its doorbell */
		uvfio_vm_bar_write(dev, 0, 0x24, 4, 0x70007);
		uvfio_vm_bar_write(dev, 0, 0x28, 8, src & ~4095ull);
		uvfio_vm_bar_write(dev, 0, 0x30, 8, dst & ~4095ull);
		uvfio_vm_bar_write(dev, 0, 0x14, 4, 0x460001);
		uvfio_vm_bar_write(dev, 0, 0x1000, 4, how >> 3);
	}
}

static void change_memory(struct in *in)
{
	uint8_t how = in8(in);
	unsigned i = how % SECTIONS, first = in8(in) % 8, n = 1 + in8(in) % 8;
	const struct section *s = &sections[3];
	int rc;

	switch (how >> 2 & 7) {
	case 0:
		remove_section(i);
		break;
	case 1:
	case 2:
		add_section(i);
		break;
	case 3:
		set_writable(s->page + first, n > 8 - first ? 8 - first : n, added[3]);
		rc = uvfio_vm_memory_populate(vm, s->gpa + first * PAGE, n * PAGE);
		REQUIRE(!rc == (added[3] && n <= 8 - first), "populate: %d", rc);
		break;
	case 4:
		rc = uvfio_vm_memory_discard(vm, s->gpa + first * PAGE, n * PAGE);
		REQUIRE(!rc == (added[3] && n <= 8 - first), "discard: %d", rc);
		if (!rc)
			set_writable(s->page + first, n, false);
		break;
	case 5: /* moved over itself, in one go */
		uvfio_vm_memory_begin(vm);
		uvfio_vm_memory_remove(vm, sections[2].gpa, sections[2].pages * PAGE);
		if (added[2]) {
			struct uvfio_vm_memory m = { .gpa = sections[2].gpa,
						     .size = sections[2].pages * PAGE,
						     .host = pool + sections[2].page * PAGE,
						     .fd = -1 };

			rc = uvfio_vm_memory_add(vm, &m);
			REQUIRE(!rc, "add: %d", rc);
		}
		rc = uvfio_vm_memory_commit(vm);
		REQUIRE(!rc, "commit: %d", rc);
		break;
	default: { /* where there is some, of no page, nowhere */
		struct uvfio_vm_memory m = { .gpa = some_address(in) + in16(in),
					     .size = in16(in) % PAGE,
					     .host = pool + in8(in),
					     .fd = -1 };

		if (!uvfio_vm_memory_add(vm, &m))
			uvfio_vm_memory_remove(vm, m.gpa, m.size);
	}
	}
}

static void dispatch(void)
{
	for (unsigned i = 0; !threaded && i < 8 && uvfio_vm_dispatch(vm, 0) > 0; i++)
		;
}

static void monitor(struct in *in, unsigned i)
{
	uint8_t how = in8(in);

	switch (how & 15) {
	case 0:
		uvfio_vm_reset(vm);
		break;
	case 1:
	case 2:
		uvfio_vm_reset_device(devs[i]);
		break;
	case 3:
		uvfio_vm_pause(vm, how & 0x10);
		break;
	case 4:
		first_gsi = how & 0x10 ? -1 : 16 + (how >> 5);
		uvfio_vm_intx_route_changed(vm);
		break;
	case 5:
	case 6:
		uvfio_vm_intx_eoi(vm, 16 + (how >> 4) % 4);
		break;
	case 7:
		uvfio_vm_unassign(devs[i]);
		REQUIRE(!atomic_load(&level[i]), "a line that is up is left");
		assign(i);
		break;
	case 8: {
		char text[64];

		uvfio_vm_device_state(devs[i], text, how >> 4);
		break;
	}
	case 9:
		uvfio_vm_fault(vm);
		break;
	default:
		dispatch();
	}
}

static void step(struct in *in)
{
	uint8_t what = in8(in);
	unsigned i = (what >> 5) % num_devs;

	switch (what & 15) {
	case 0:
	case 1:
		uvfio_vm_config_write(devs[i], some_config(in, devs[i]),
				      what & 0x10 ? 1u << in8(in) % 4 : 2, in32(in));
		break;
	case 2:
		uvfio_vm_config_read(devs[i], some_config(in, devs[i]), in8(in) % 9);
		break;
	case 3:
	case 4:
		access_mmio(in);
		break;
	case 5:
		access_port(in);
		break;
	case 6:
	case 7:
		access_bar(in, devs[i]);
		break;
	case 8:
		place_bars(in, devs[i]);
		break;
	case 9:
	case 10:
		enable_irqs(in, devs[i]);
		break;
	case 11:
	case 12:
		act(in, devs[i]);
		break;
	case 13:
		change_memory(in);
		break;
	case 14: /* the guest writes its memory: what queues and descriptors are made of */
		if (added[0])
			in_bytes(in, pool + (2 + in8(in) % 16) * PAGE + in16(in) % (PAGE - 64), 64);
		break;
	default:
		monitor(in, i);
	}
	dispatch();
}

/* The first guest opens what then lives as long as the process. */
static void first_guest(void)
{
	struct uvfio_vm *first = uvfio_vm_new(NULL, NULL);

	REQUIRE(first && !uvfio_vm_use_irq_ops(first, &irq_ops[0], &first_gsi), "no guest");
	REQUIRE(!uvfio_vm_assign(first, "testdev", NULL, &victim), "no device");
	uvfio_vm_free(first);
}

static void once(void)
{
	int fd = memfd_create("image", 0);

	log_set(-1, LOG_NONE);
	pool = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || ftruncate(fd, 1 << 20) || dup2(fd, 900) != 900 || pool == MAP_FAILED)
		abort();
	close(fd);
	memset(pool, UNTOUCHED, PAGES * PAGE);
	first_guest();
	files = count_files();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct in in = { data, size };
	uint64_t sum;

	if (!pool)
		once();
	begin(&in);
	sum = sum_of_victim();
	look();
	for (unsigned i = 0; i < MAX_OPS && !in_end(&in); i++) {
		step(&in);
		look();
	}
	look_at_memory();
	REQUIRE(sum_of_victim() == sum, "another device changed");
	uvfio_vm_pause(vm, false);
	uvfio_vm_reset(vm);
	look();
	look_at_memory();
	return 0;
}
