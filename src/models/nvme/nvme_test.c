/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/nvme_test.c: the controller's life: options and image locks, registers, enable,
 * shutdown, interrupts, resets and quiesce in the middle of I/O, a process that is killed.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "base/test_threads.h"
#include "models/nvme/test_driver.h"
#include "pci/test_regs.h"

#define SIZE (8u << 20)

static int setup(void **state)
{
	*state = drv_new(SIZE, "/var/tmp", NULL, 0);
	return 0;
}

static int teardown(void **state)
{
	unplug(*state);
	return 0;
}

/* ---- options ---- */

static int try_options(const struct pci_option *opts, unsigned count, char *err, size_t size)
{
	struct drv *d = calloc(1, sizeof(*d));
	int r;

	log_set(2, LOG_NONE);
	r = plug_in(d, opts, count);
	snprintf(err, size, "%s", d->err);
	unplug(d);
	return r;
}

static void test_options(void **state)
{
	struct pci_option o[34] = { { "image", "/var/tmp/uvfio-there-is-no-such-file" } };
	char path[64], err[512];
	int status;
	pid_t pid;

	assert_true(try_options(NULL, 0, err, sizeof(err)) < 0);
	assert_true(try_options(o, 1, err, sizeof(err)) < 0);
	assert_non_null(strstr(err, "no-such-file"));
	o[0].value = "/var/tmp";
	assert_true(try_options(o, 1, err, sizeof(err)) < 0);
	assert_non_null(strstr(err, "/var/tmp"));
	o[0].value = "/dev/null";
	assert_true(try_options(o, 1, err, sizeof(err)) < 0);
	assert_non_null(strstr(err, "neither a file nor a block device"));
	make_image(path, sizeof(path), 0, "/var/tmp");
	o[0].value = path;
	assert_int_equal(try_options(o, 1, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "empty"));
	assert_int_equal(truncate(path, 1000), 0);
	assert_int_equal(try_options(o, 1, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "multiple of the block size"));
	assert_int_equal(truncate(path, 512 * 3), 0);
	assert_int_equal(try_options(o, 1, err, sizeof(err)), 0);
	o[1] = (struct pci_option){ "blocksize", "4096" };
	assert_int_equal(try_options(o, 2, err, sizeof(err)), -EINVAL);
	assert_int_equal(truncate(path, 8192), 0);
	assert_int_equal(try_options(o, 2, err, sizeof(err)), 0);
	o[1].value = "1024";
	assert_int_equal(try_options(o, 2, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "512 or 4096"));
	o[1] = (struct pci_option){ "serial", "123456789012345678901" };
	assert_int_equal(try_options(o, 2, err, sizeof(err)), -EINVAL);
	o[1].value = "tab\there";
	assert_int_equal(try_options(o, 2, err, sizeof(err)), -EINVAL);
	o[1].value = "12345678901234567890";
	assert_int_equal(try_options(o, 2, err, sizeof(err)), 0);
	o[1] = (struct pci_option){ "max_queues", "65" };
	assert_true(try_options(o, 2, err, sizeof(err)) < 0);
	o[1] = (struct pci_option){ "mdts", "9" };
	assert_true(try_options(o, 2, err, sizeof(err)) < 0);
	o[1] = (struct pci_option){ "readonly", "on" };
	for (int i = 2; i < 34; i++)
		o[i] = o[0];
	assert_int_equal(try_options(o, 33, err, sizeof(err)), 0); /* 32 namespaces */
	assert_int_equal(try_options(o, 34, err, sizeof(err)), -EINVAL);
	/* no permission: as a user who is not root */
	assert_int_equal(chmod(path, 0444), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		if (!getuid() && setuid(65534))
			_exit(9);
		if (try_options(o, 1, err, sizeof(err)) != -EACCES || !strstr(err, "readonly=on"))
			_exit(1);
		_exit(try_options(o, 2, err, sizeof(err)) ? 2 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	unlink(path);
}

/* Without MSI-X there are as many vectors as MSI can have. */
static void test_msix_off(void **state)
{
	static const struct pci_option off = { "msix", "off" };
	struct drv *d = drv_new(SIZE, "/var/tmp", &off, 1);
	unsigned at = pci_find_cap(d->fn, PCI_CAP_ID_MSI);

	assert_int_equal(pci_find_cap(d->fn, PCI_CAP_ID_MSIX), 0);
	assert_int_not_equal(at, 0);
	assert_int_equal(pci_config_read(d->fn, at + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_QMASK,
			 5 << 1);
	unplug(d);
}

/* One writer or many readers, in this process and in others; the lock goes with the process. */
static void test_lock(void **state)
{
	struct drv *d = *state;
	struct pci_option o[2] = { { "image", d->image }, { "readonly", "on" } };
	int to[2], status;
	char err[512], c;
	pid_t pid;

	assert_int_equal(try_options(o, 1, err, sizeof(err)), -EBUSY);
	assert_non_null(strstr(err, "in use"));
	assert_int_equal(try_options(o, 2, err, sizeof(err)), -EBUSY);
	pull_out(d);
	assert_int_equal(try_options(o, 1, err, sizeof(err)), 0);

	assert_int_equal(pipe(to), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		struct drv *mine = calloc(1, sizeof(*mine));

		if (plug_in(mine, o, 2) || write(to[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	assert_int_equal(read(to[0], &c, 1), 1);
	assert_int_equal(try_options(o, 1, err, sizeof(err)), -EBUSY);
	assert_int_equal(try_options(o, 2, err, sizeof(err)), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(try_options(o, 1, err, sizeof(err)), 0);
	close(to[0]);
	close(to[1]);
}

/* ---- registers ---- */

static void test_reg_names(void **state)
{
	struct drv *d = *state;

	check_regs(d->fn, 0);
}

static void test_registers(void **state)
{
	struct drv *d = *state;
	uint64_t cap = rd(d, NVME_REG_CAP, 8), v;

	assert_int_equal(cap & 0xffff, 4095);  /* MQES */
	assert_int_equal(cap >> 16 & 1, 1);    /* CQR */
	assert_int_equal(cap >> 32 & 15, 0);   /* DSTRD */
	assert_int_equal(cap >> 37 & 0xff, 1); /* CSS */
	assert_int_equal(cap >> 48 & 15, 0);   /* MPSMIN */
	assert_true((cap >> 24 & 0xff) > 0);   /* TO */
	assert_int_equal(rd(d, NVME_REG_CAP, 4), cap & 0xffffffff);
	assert_int_equal(rd(d, NVME_REG_CAP + 4, 4), cap >> 32);
	assert_int_equal(rd(d, NVME_REG_VS, 4), 0x10400);
	assert_int_equal(rd(d, NVME_REG_VS + 2, 2), 1);
	assert_int_equal(rd(d, NVME_REG_VS + 1, 1), 4);
	wr(d, NVME_REG_CAP, 8, 0);
	wr(d, NVME_REG_VS, 4, 0);
	wr(d, NVME_REG_CSTS, 4, ~0u);
	assert_int_equal(rd(d, NVME_REG_CAP, 8), cap);
	assert_int_equal(rd(d, NVME_REG_VS, 4), 0x10400);
	assert_int_equal(csts(d), 0);
	wr(d, NVME_REG_AQA, 4, ~0u);
	assert_int_equal(rd(d, NVME_REG_AQA, 4), 0x0fff0fff);
	wr(d, NVME_REG_ASQ, 8, ~0ull);
	assert_int_equal(rd(d, NVME_REG_ASQ, 8), ~0xfffull);
	wr(d, NVME_REG_ACQ, 4, 0x12345678);
	wr(d, NVME_REG_ACQ + 4, 4, 0x9abcdef0);
	assert_int_equal(rd(d, NVME_REG_ACQ, 8), 0x9abcdef012345000ull);
	wr(d, NVME_REG_INTMS, 4, 0xf0f0);
	wr(d, NVME_REG_INTMC, 4, 0x00f0);
	assert_int_equal(rd(d, NVME_REG_INTMS, 4), 0xf000);
	assert_int_equal(rd(d, NVME_REG_INTMC, 4), 0xf000);
	/* narrower than a dword: not written */
	assert_int_equal(pci_bar_write(d->fn, 0, NVME_REG_AQA, 2, 5), -EIO);
	assert_int_equal(pci_bar_write(d->fn, 0, NVME_REG_CC, 1, 1), -EIO);
	assert_int_equal(pci_bar_write(d->fn, 0, NVME_DOORBELLS, 8, 1), -EIO);
	assert_int_equal(pci_bar_write(d->fn, 0, NVME_DOORBELLS, 2, 1), -EIO);
	assert_int_equal(rd(d, NVME_REG_AQA, 4), 0x0fff0fff);
	/* nothing of what is not there */
	for (uint64_t off = 0x38; off < 0x1000; off += 4)
		assert_int_equal(rd(d, off, 4), 0);
	assert_int_equal(rd(d, NVME_DOORBELLS, 4), 0);
	wr(d, NVME_DOORBELLS, 4, 5); /* not ready: ignored */
	pci_function_reset(d->fn, UVFIO_RESET_FLR);
	pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(rd(d, NVME_REG_ASQ, 8), 0);
	assert_int_equal(rd(d, NVME_REG_AQA, 4), 0);
	assert_int_equal(rd(d, NVME_REG_INTMS, 4), 0);
	assert_int_equal(pci_bar_read(d->fn, 0, NVME_REG_CC, 4, &v), 0);
	assert_int_equal(v, 0);
}

static void test_enable_errors(void **state)
{
	struct drv *d = *state;
	static const struct {
		uint32_t cc, aqa;
		uint64_t asq, acq;
	} bad[] = {
		{ 5 << 7 | 1, 0x001f001f, MEM_IOVA, MEM_IOVA },	       /* 128 KiB pages */
		{ 1 << 4 | 1, 0x001f001f, MEM_IOVA, MEM_IOVA },	       /* CSS */
		{ 1 << 11 | 1, 0x001f001f, MEM_IOVA, MEM_IOVA },       /* weighted round robin */
		{ 7 << 16 | 1, 0x001f001f, MEM_IOVA, MEM_IOVA },       /* IOSQES */
		{ 5 << 20 | 1, 0x001f001f, MEM_IOVA, MEM_IOVA },       /* IOCQES */
		{ 1, 0x001f0000, MEM_IOVA, MEM_IOVA },		       /* ASQS */
		{ 1, 0x0000001f, MEM_IOVA, MEM_IOVA },		       /* ACQS */
		{ 1 << 7 | 1, 0x001f001f, MEM_IOVA + 4096, MEM_IOVA }, /* 8 KiB pages */
		{ 1 << 7 | 1, 0x001f001f, MEM_IOVA, MEM_IOVA + 4096 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		wr(d, NVME_REG_AQA, 4, bad[i].aqa);
		wr(d, NVME_REG_ASQ, 8, bad[i].asq);
		wr(d, NVME_REG_ACQ, 8, bad[i].acq);
		wr(d, NVME_REG_CC, 4, bad[i].cc);
		assert_int_equal(csts(d), NVME_CSTS_CFS);
		wr(d, NVME_REG_CC, 4, 0);
		assert_int_equal(csts(d), 0);
	}
	enable(d);
	/* I/O queues need their entry sizes */
	wr(d, NVME_REG_CC, 4, NVME_CC_EN);
	queue_make(d, &d->io[0], 1, 16, 16);
	assert_int_equal(SC(create_cq(d, &d->io[0], 0, false)), NVME_INVALID_FIELD);
	wr(d, NVME_REG_CC, 4, NVME_CQES << 20 | NVME_CC_EN);
	assert_int_equal(create_cq(d, &d->io[0], 0, false), 0);
	assert_int_equal(SC(create_sq(d, &d->io[0], 1)), NVME_INVALID_FIELD);
}

/* Pages of 64 KiB: PRPs step by them. */
static void test_large_pages(void **state)
{
	struct drv *d = *state;
	uint64_t a, *list, lists;
	char *check = malloc(512 << 10);

	alloc_at(d, 1, 65536);
	d->used = 65536;
	d->admin.sq = alloc_at(d, 65536, 65536);
	d->admin.cq = alloc_at(d, 65536, 65536);
	d->admin.entries = d->admin.cq_entries = 16;
	queue_clear(&d->admin);
	wr(d, NVME_REG_AQA, 4, 15 << 16 | 15);
	wr(d, NVME_REG_ASQ, 8, iova(d->admin.sq));
	wr(d, NVME_REG_ACQ, 8, iova(d->admin.cq));
	wr(d, NVME_REG_CC, 4, NVME_CQES << 20 | NVME_SQES << 16 | 4 << 7 | NVME_CC_EN);
	assert_int_equal(csts(d), NVME_CSTS_RDY);
	d->io[0] = (struct queue){ .id = 1, .entries = 16, .cq_entries = 16, .phase = 1 };
	d->io[0].sq = alloc_at(d, 65536, 65536);
	d->io[0].cq = alloc_at(d, 65536, 65536) + 4096;
	assert_int_equal(SC(create_cq(d, &d->io[0], 0, false)), NVME_INVALID_PRP_OFFSET);
	d->io[0].cq -= 4096;
	assert_int_equal(create_cq(d, &d->io[0], 0, false), 0);
	assert_int_equal(create_sq(d, &d->io[0], 1), 0);
	a = alloc_at(d, 1 << 20, 65536);
	lists = alloc_at(d, 65536, 65536);
	list = (void *)(d->mem + lists);
	fill(d->mem + a, 1 << 20, 4);
	for (int i = 0; i < 8; i++)
		list[i] = iova(a + (uint64_t)(8 - i) * 65536);
	assert_int_equal(io(d, rw(NVME_IO_WRITE, 0, 1024, iova(a) + 4096, iova(lists))), 0);
	image_read(d, 0, check, 512 << 10);
	assert_memory_equal(check, d->mem + a + 4096, 61440);
	assert_memory_equal(check + 61440, d->mem + a + 8 * 65536, 65536);
	assert_memory_equal(check + 61440 + 6 * 65536, d->mem + a + 2 * 65536, 65536);
	assert_memory_equal(check + 61440 + 7 * 65536, d->mem + a + 65536, 4096);
	free(check);
}

static void test_disable(void **state)
{
	struct drv *d = *state;
	uint64_t asq;

	for (int i = 0; i < 5; i++) {
		d->used = 0;
		enable(d);
		make_pair(d, 0, 16, 16);
		assert_int_equal(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 }), 0);
		asq = rd(d, NVME_REG_ASQ, 8);
		disable(d);
		assert_int_equal(csts(d), 0);
		assert_int_equal(rd(d, NVME_REG_ASQ, 8), asq); /* 7.3.2: these three stay */
		assert_int_equal(rd(d, NVME_REG_AQA, 4), 31 << 16 | 31);
	}
	wr(d, NVME_DOORBELLS + 8, 4, 3); /* the queue is no more */
	enable(d);
	assert_int_equal(SC(delete_sq(d, 1)), NVME_INVALID_QID);
}

static void test_shutdown(void **state)
{
	struct drv *d = *state;
	const uint32_t cc = NVME_CQES << 20 | NVME_SQES << 16 | NVME_CC_EN;

	enable(d);
	wr(d, NVME_REG_CC, 4, cc | 1 << 14);
	wait_csts(d, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE);
	assert_int_equal(csts(d), NVME_CSTS_RDY | NVME_CSTS_SHST_DONE);
	disable(d);
	assert_int_equal(csts(d), 0);
	d->used = 0;
	enable(d);
	wr(d, NVME_REG_CC, 4, cc | 2 << 14); /* abrupt */
	wait_csts(d, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE);
	/* with EN cleared in the same write (7.6.2): both happen */
	disable(d);
	d->used = 0;
	enable(d);
	wr(d, NVME_REG_CC, 4, (cc & ~NVME_CC_EN) | 1 << 14);
	wait_csts(d, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE);
	assert_int_equal(csts(d) & NVME_CSTS_RDY, 0);
	wr(d, NVME_REG_CC, 4, 0);
	d->used = 0;
	enable(d);
	assert_int_equal(csts(d), NVME_CSTS_RDY);
	/*
	 * taken back while it is under way: it does not end as the next one's end, before that
	 * one's data is written
	 */
	for (int i = 0; i < 20; i++) {
		wr(d, NVME_REG_CC, 4, cc | 1 << 14);
		wr(d, NVME_REG_CC, 4, cc);
		assert_int_equal(csts(d), NVME_CSTS_RDY);
		for (int k = 0; k < 20; k++)
			nap();
		assert_int_equal(csts(d), NVME_CSTS_RDY);
	}
	for (int i = 0; i < 3; i++) {
		wr(d, NVME_REG_CC, 4, cc);
		wr(d, NVME_REG_CC, 4, cc | 1 << 14);
	}
	wait_csts(d, NVME_CSTS_SHST_MASK, NVME_CSTS_SHST_DONE);
	disable(d);
	assert_int_equal(csts(d), 0);
}

/* ---- interrupts: 7.5 ---- */

static void test_msix(void **state)
{
	struct drv *d = *state;
	struct queue *q = &d->io[0];

	enable(d);
	pci_msix_enable(d->fn);
	for (unsigned i = 0; i < 65; i++)
		pci_msix_entry(d->fn, i, true);
	queue_make(d, q, 1, 16, 16);
	assert_int_equal(create_cq(d, q, 64, true), 0);
	assert_true(atomic_load(&d->irqs.msi[0]) >= 1);
	assert_int_equal(create_sq(d, q, 1), 0);
	assert_int_equal(atomic_load(&d->irqs.msi[64]), 0);
	assert_int_equal(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 }), 0);
	WAIT(atomic_load(&d->irqs.msi[64]));
	assert_int_equal(atomic_load(&d->irqs.msi[64]), 1);
	assert_int_equal(io(d, rw(NVME_IO_READ, 0, 1, iova(alloc_at(d, 4096, 4096)), 0)), 0);
	WAIT(atomic_load(&d->irqs.msi[64]) >= 2);
	assert_int_equal(atomic_load(&d->irqs.msi[64]), 2);
	assert_int_equal(atomic_load(&d->irqs.intx_level), 0);
	/* without IEN none */
	make_pair(d, 1, 16, 16);
	unsigned before = atomic_load(&d->irqs.msi[0]);
	struct nvme_cmd c = rw(NVME_IO_READ, 0, 1, iova(alloc_at(d, 4096, 4096)), 0);

	assert_int_equal(exec(d, &d->io[1], &c, NULL), 0);
	nap();
	assert_int_equal(atomic_load(&d->irqs.msi[0]), before);
	pci_msix_disable(d->fn);
}

static void test_intx(void **state)
{
	struct drv *d = *state;
	struct nvme_cmd get = { .opc = NVME_ADM_GET_FEATURES, .cdw10 = NVME_FEAT_QUEUES };
	struct nvme_cqe e;

	enable(d);
	assert_int_equal(atomic_load(&d->irqs.intx_level), 0);
	post(d, &d->admin, &get);
	post(d, &d->admin, &get);
	assert_true(take(d, &d->admin, &e));
	assert_true(take(d, &d->admin, &e));
	assert_int_equal(atomic_load(&d->irqs.intx_level), 1);
	d->admin.head = 1;
	ring_cq(d, &d->admin); /* one of two taken: the line stays */
	assert_int_equal(atomic_load(&d->irqs.intx_level), 1);
	wr(d, NVME_REG_INTMS, 4, 1);
	assert_int_equal(atomic_load(&d->irqs.intx_level), 0);
	wr(d, NVME_REG_INTMC, 4, 1);
	assert_int_equal(atomic_load(&d->irqs.intx_level), 1);
	d->admin.head = 2;
	ring_cq(d, &d->admin);
	assert_int_equal(atomic_load(&d->irqs.intx_level), 0);
	/* masked when it comes */
	wr(d, NVME_REG_INTMS, 4, 1);
	post(d, &d->admin, &get);
	assert_int_equal(atomic_load(&d->irqs.intx_level), 0);
	wr(d, NVME_REG_INTMC, 4, ~0u);
	assert_int_equal(atomic_load(&d->irqs.intx_level), 1);
	/* MSI-X takes over, and back */
	pci_msix_enable(d->fn);
	assert_int_equal(atomic_load(&d->irqs.intx_level), 0);
	pci_msix_disable(d->fn);
	assert_int_equal(atomic_load(&d->irqs.intx_level), 1);
	wr(d, NVME_REG_CC, 4, 0);
	assert_int_equal(atomic_load(&d->irqs.intx_level), 0);
}

static void test_msi(void **state)
{
	struct drv *d = *state;
	struct nvme_cmd get = { .opc = NVME_ADM_GET_FEATURES, .cdw10 = NVME_FEAT_QUEUES };
	struct queue *q = &d->io[0];

	enable(d);
	pci_msi_enable(d->fn, 2); /* four messages */
	assert_int_equal(exec(d, &d->admin, &get, NULL), 0);
	assert_int_equal(atomic_load(&d->irqs.msi[0]), 1);
	queue_make(d, q, 1, 16, 16);
	assert_int_equal(create_cq(d, q, 3, true), 0);
	assert_int_equal(create_sq(d, q, 1), 0);
	uint64_t a = alloc_at(d, 4096, 4096);
	struct nvme_cmd c = rw(NVME_IO_READ, 0, 1, iova(a), 0);

	assert_int_equal(io(d, c), 0);
	WAIT(atomic_load(&d->irqs.msi[3]));
	assert_int_equal(atomic_load(&d->irqs.msi[3]), 1);
	wr(d, NVME_REG_INTMS, 4, 8);
	post(d, q, &c);
	for (int i = 0; i < 10; i++)
		nap();
	assert_int_equal(atomic_load(&d->irqs.msi[3]), 1);
	wr(d, NVME_REG_INTMC, 4, 8);
	assert_int_equal(atomic_load(&d->irqs.msi[3]), 2);
	pci_msi_disable(d->fn);
}

/* ---- aborts on queue memory ---- */

static void test_fatal(void **state)
{
	struct drv *d = *state;
	struct nvme_cmd get = { .opc = NVME_ADM_GET_FEATURES, .cdw10 = NVME_FEAT_QUEUES };
	struct nvme_cqe e;

	for (int i = 0; i < 3; i++) {
		d->used = 0;
		enable(d);
		assert_int_equal(exec(d, &d->admin, &get, NULL), 0);
		if (i == 0)
			iommu_domain_unmap(d->dom, iova(d->admin.sq), 4096);
		else if (i == 1)
			iommu_domain_unmap(d->dom, iova(d->admin.cq), 4096);
		else
			pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
		post(d, &d->admin, &get);
		assert_int_equal(csts(d), NVME_CSTS_CFS | NVME_CSTS_RDY);
		assert_false(take(d, &d->admin, &e));
		post(d, &d->admin, &get);
		iommu_domain_unmap(d->dom, MEM_IOVA, MEM_SIZE);
		assert_int_equal(iommu_domain_map(d->dom, MEM_IOVA, d->mem, MEM_SIZE,
						  IOMMU_READ | IOMMU_WRITE),
				 0);
		pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		disable(d);
		assert_int_equal(csts(d), 0);
	}
	d->used = 0;
	enable(d);
	assert_int_equal(exec(d, &d->admin, &get, NULL), 0);
}

/* ---- in the middle of I/O ---- */

/* Fill both queues with what takes a while: large transfers, FUA, flushes. */
static void load(struct drv *d, uint64_t a, uint64_t lists)
{
	uint64_t *list = (void *)(d->mem + lists);

	for (int i = 0; i < 128; i++)
		list[i] = iova(a + (uint64_t)i * 4096);
	for (unsigned i = 0; i < 2; i++) {
		for (int k = 0; k < 40; k++) {
			static const uint8_t opcs[] = { NVME_IO_READ, NVME_IO_WRITE, NVME_IO_READ,
							NVME_IO_FLUSH };
			struct nvme_cmd c =
				rw(opcs[k % 4], (unsigned)k * 16, 1024, iova(a), iova(lists));

			if (k % 3 == 0 && opcs[k % 4] != NVME_IO_FLUSH)
				c.cdw12 |= NVME_RW_FUA;
			put(d, &d->io[i], &c);
		}
		ring_sq(d, &d->io[i]);
	}
}

static uint64_t sum(const void *p, size_t len)
{
	const uint64_t *w = p;
	uint64_t s = 0;

	for (size_t i = 0; i < len / 8; i++)
		s = s * 31 + w[i];
	return s;
}

static void check_alive(struct drv *d)
{
	uint64_t a;
	char check[4096];

	d->used = 0;
	enable(d);
	make_pair(d, 0, 64, 64);
	a = alloc_at(d, 4096, 4096);
	fill(d->mem + a, 4096, 42);
	assert_int_equal(io(d, rw(NVME_IO_WRITE, 0, 8, iova(a), 0)), 0);
	image_read(d, 0, check, 4096);
	assert_memory_equal(check, d->mem + a, 4096);
}

/* When a reset returns, no DMA comes any more: the memory stays as it is, and may be unmapped. */
static void test_reset_in_flight(void **state)
{
	struct drv *d = *state;

	for (int round = 0; round < 24; round++) {
		uint64_t a, lists, s;
		unsigned msi;

		d->used = 0;
		enable(d);
		pci_msix_enable(d->fn);
		pci_msix_entry(d->fn, 0, true);
		make_pair(d, 0, 64, 64);
		make_pair(d, 1, 64, 8);
		a = alloc_at(d, 512 << 10, 4096);
		lists = alloc_at(d, 4096, 4096);
		load(d, a, lists);
		if (round % 2)
			nap();
		switch (round / 2 % 4) {
		case 0:
			disable(d);
			break;
		case 1:
			pci_function_reset(d->fn, UVFIO_RESET_FLR);
			break;
		case 2:
			pci_function_reset(d->fn, UVFIO_RESET_BUS);
			break;
		default: { /* D3hot and back */
			unsigned pm = pci_find_cap(d->fn, PCI_CAP_ID_PM);

			pci_config_write(d->fn, pm + PCI_PM_CTRL, 2, 3);
			pci_config_write(d->fn, pm + PCI_PM_CTRL, 2, 0);
		}
		}
		s = sum(d->mem, d->used);
		msi = atomic_load(&d->irqs.msi[0]);
		for (int i = 0; i < 10; i++)
			nap();
		assert_int_equal(sum(d->mem, d->used), s);
		assert_int_equal(atomic_load(&d->irqs.msi[0]), msi);
		pci_msix_disable(d->fn);
		pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		assert_int_equal(csts(d), 0);
	}
	check_alive(d);
}

/* Descriptors in the program's numbers, and all of them. */
static void count_fds(unsigned *programs, unsigned *all)
{
	*programs = *all = 0;
	for (int fd = 0; fd < 20000; fd++)
		if (fcntl(fd, F_GETFD) >= 0) {
			assert_true(fd < 3 || !fd_is_private(fd) ||
				    fcntl(fd, F_GETFD) & FD_CLOEXEC);
			*programs += !fd_is_private(fd);
			++*all;
		}
}

/* The program does not see images, rings and eventfds, and nothing is left of them. */
static void test_descriptors(void **state)
{
	struct pci_option o = { "image", NULL };
	unsigned programs, all, p, a;
	struct drv *d = calloc(1, sizeof(*d));

	make_image(d->image, sizeof(d->image), SIZE, "/var/tmp");
	o.value = d->image;
	count_fds(&programs, &all);
	assert_int_equal(plug_in(d, &o, 1), 0);
	for (int i = 0; i < 3; i++) {
		d->used = 0;
		enable(d);
		make_pair(d, 0, 16, 16);
		assert_int_equal(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 }), 0);
		count_fds(&p, &a);
		assert_int_equal(p, programs);
		assert_true(a > all + 2);
		pci_function_quiesce(d->fn);
		count_fds(&p, &a);
		assert_int_equal(a, all + 2); /* the image and the polled page */
		disable(d);
	}
	pull_out(d);
	count_fds(&p, &a);
	assert_int_equal(a, all);
	unplug(d);
}

static void test_quiesce(void **state)
{
	struct drv *d = *state;
	struct nvme_cqe e;
	unsigned done = 0;
	uint64_t a, lists, s, end;
	int status;
	pid_t pid;

	assert_true(threads_gone("nvme-"));
	enable(d);
	assert_true(threads_named("nvme-") > 0);
	make_pair(d, 0, 64, 64);
	make_pair(d, 1, 64, 8);
	a = alloc_at(d, 512 << 10, 4096);
	lists = alloc_at(d, 4096, 4096);
	load(d, a, lists);
	pci_function_quiesce(d->fn);
	assert_true(threads_gone("nvme-"));
	s = sum(d->mem, d->used);
	for (int i = 0; i < 10; i++)
		nap();
	assert_int_equal(sum(d->mem, d->used), s);
	/* a child, in which it does not go on: its doorbells are the parent's */
	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(0);
	for (end = test_now() + 60000000000ull; done < 80;) {
		for (unsigned i = 0; i < 2; i++)
			while (take(d, &d->io[i], &e)) {
				assert_int_equal(e.status >> 1, 0);
				done++;
			}
		ring_cq(d, &d->io[0]); /* the register write that wakes it */
		ring_cq(d, &d->io[1]);
		assert_true(test_now() < end);
		nap();
	}
	assert_int_equal(io(d, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 }), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	/* twice, and while disabled */
	pci_function_quiesce(d->fn);
	pci_function_quiesce(d->fn);
	disable(d);
	pci_function_quiesce(d->fn);
	check_alive(d);
}

/* ---- several threads ---- */

struct stress {
	struct drv *d;
	unsigned i;
	uint64_t a;
	atomic_bool *stop;
	atomic_ulong done;
};

static void *stress_thread(void *arg)
{
	struct stress *s = arg;
	struct queue *q = &s->d->io[s->i];
	uint16_t cid = 0;

	while (!atomic_load(s->stop)) {
		struct nvme_cmd c =
			rw(cid % 2 ? NVME_IO_READ : NVME_IO_WRITE, 64 * s->i, 8, iova(s->a), 0);
		volatile struct nvme_cqe *e = (void *)(s->d->mem + q->cq + q->head * 16);
		uint64_t v;

		c.cid = cid++;
		if (cid % 5 == 0)
			c.cdw12 |= NVME_RW_FUA;
		memcpy(s->d->mem + q->sq + q->tail * 64, &c, 64);
		q->tail = (q->tail + 1) % q->entries;
		pci_bar_write(s->d->fn, 0, NVME_DOORBELLS + q->id * 8, 4, q->tail);
		while ((__atomic_load_n(&e->status, __ATOMIC_ACQUIRE) & 1) != q->phase)
			if (atomic_load(s->stop) ||
			    pci_bar_read(s->d->fn, 0, NVME_REG_CSTS, 4, &v) || !(v & 1))
				return NULL;
			else
				sched_yield();
		if (e->status >> 1)
			return (void *)1;
		q->head = (q->head + 1) % q->cq_entries;
		if (!q->head)
			q->phase ^= 1;
		pci_bar_write(s->d->fn, 0, NVME_DOORBELLS + q->id * 8 + 4, 4, q->head);
		atomic_fetch_add(&s->done, 1);
	}
	return NULL;
}

static void wait_progress(struct stress *s, unsigned long more)
{
	uint64_t end = test_now() + 20000000000ull;

	for (unsigned i = 0; i < 4; i++) {
		unsigned long from = atomic_load(&s[i].done);

		while (atomic_load(&s[i].done) < from + more) {
			if (test_now() > end) /* the threads use this stack: no way back */
				abort();
			nap();
		}
	}
}

/* Four queues driven by a thread each, while the controller is reset under them. */
static void test_threads(void **state)
{
	struct drv *d = *state;

	for (int round = 0; round < 6; round++) {
		struct stress s[4];
		pthread_t t[4];
		atomic_bool stop = false;
		void *ret;

		d->used = 0;
		enable(d);
		for (unsigned i = 0; i < 4; i++) {
			make_pair(d, i, 16, 16);
			s[i] = (struct stress){
				.d = d, .i = i, .a = alloc_at(d, 4096, 4096), .stop = &stop
			};
		}
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(pthread_create(&t[i], NULL, stress_thread, &s[i]), 0);
		wait_progress(s, 50);
		if (round % 3 == 0)
			pci_function_reset(d->fn, UVFIO_RESET_FLR);
		else if (round % 3 == 1)
			wr(d, NVME_REG_CC, 4, 0);
		else
			pci_function_quiesce(d->fn); /* the next doorbell goes on */
		if (round % 3 == 2)
			wait_progress(s, 20);
		atomic_store(&stop, true);
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(pthread_join(t[i], &ret), 0);
			assert_null(ret);
		}
		pci_config_write(d->fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		if (round % 3 == 2)
			disable(d);
	}
	check_alive(d);
}

/* ---- killed after a flush ---- */

static void test_killed(void **state)
{
	struct drv *d = *state;
	struct pci_option o = { "image", d->image };
	int to[2], status;
	char c, *want = malloc(1 << 20), *got = malloc(1 << 20);
	pid_t pid;

	pull_out(d);
	fill(want, 1 << 20, 1234);
	assert_int_equal(pipe(to), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		struct drv *m = calloc(1, sizeof(*m));
		uint64_t a;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (plug_in(m, &o, 1))
			_exit(1);
		enable(m);
		make_pair(m, 0, 64, 64);
		a = alloc_at(m, 1 << 20, 4096);
		memcpy(m->mem + a, want, 1 << 20);
		for (unsigned i = 0; i < 256; i++)
			if (io(m, rw(NVME_IO_WRITE, i * 8, 8, iova(a) + i * 4096, 0)))
				_exit(2);
		if (io(m, (struct nvme_cmd){ .opc = NVME_IO_FLUSH, .nsid = 1 }))
			_exit(3);
		if (write(to[1], "x", 1) != 1)
			_exit(4);
		for (unsigned i = 0;; i++) /* and it goes on writing beyond */
			io(m, rw(NVME_IO_WRITE, 2048 + i % 4096, 8, iova(a), 0));
	}
	close(to[1]);
	assert_int_equal(read(to[0], &c, 1), 1);
	nap();
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	image_read(d, 0, got, 1 << 20);
	assert_memory_equal(got, want, 1 << 20);
	close(to[0]);
	free(want);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_msix_off),
		cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reg_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_enable_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shutdown, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_intx, setup, teardown),
		cmocka_unit_test_setup_teardown(test_msi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fatal, setup, teardown),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test_setup_teardown(test_quiesce, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_in_flight, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
