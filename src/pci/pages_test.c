/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/pages_test.c: pages of a BAR: what a model may declare, the memory behind polled pages, and
 * when what their mapper is told.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "pci/test_function.h"

#define SIZE  0x20000ull
#define PAGE  4096ull
#define FIRST 0x2000ull /* of the polled pages of t_polled() */

/* ---- declaring ---- */

static int bad_arguments(struct uvfio_dev *dev)
{
	log_set(-1, LOG_NONE);
	dev->create.err_size = 0; /* the lines are many */
	/* not before the BAR */
	assert_int_equal(uvfio_set_pages(dev, 0, 0, PAGE, UVFIO_PAGE_POLLED), -EINVAL);
	assert_int_equal(uvfio_add_bar(dev, 0, SIZE, UVFIO_BAR_64), 0);
	assert_int_equal(uvfio_add_bar(dev, 2, 0x800, 0), 0);
	assert_int_equal(uvfio_add_bar(dev, 4, 0x100, UVFIO_BAR_IO), 0);
	/* the upper half */
	assert_int_equal(uvfio_set_pages(dev, 1, 0, PAGE, UVFIO_PAGE_POLLED), -EINVAL);
	/* half a page */
	assert_int_equal(uvfio_set_pages(dev, 2, 0, PAGE, UVFIO_PAGE_POLLED), -EINVAL);
	assert_int_equal(uvfio_set_pages(dev, 3, 0, PAGE, UVFIO_PAGE_POLLED), -EINVAL); /* none */
	assert_int_equal(uvfio_set_pages(dev, 4, 0, PAGE, UVFIO_PAGE_POLLED), -EINVAL); /* I/O */
	for (unsigned bar = 6; bar; bar = bar < 64 ? bar + 1 : bar == 64 ? UINT32_MAX : 0)
		assert_int_equal(uvfio_set_pages(dev, bar, 0, PAGE, UVFIO_PAGE_POLLED), -EINVAL);
	assert_int_equal(uvfio_set_pages(dev, 0, 0, PAGE, (enum uvfio_page_kind)4), -EINVAL);
	assert_int_equal(uvfio_set_pages(dev, 0, 0, PAGE, (enum uvfio_page_kind) - 1), -EINVAL);
	assert_int_equal(uvfio_set_pages(dev, 0, 0, 0, UVFIO_PAGE_POLLED), -EINVAL);
	assert_int_equal(uvfio_set_pages(dev, 0, 1, PAGE, UVFIO_PAGE_POLLED), -EINVAL);
	assert_int_equal(uvfio_set_pages(dev, 0, 0x800, PAGE, UVFIO_PAGE_POLLED), -EINVAL);
	assert_int_equal(uvfio_set_pages(dev, 0, 0, PAGE - 1, UVFIO_PAGE_POLLED), -EINVAL);
	assert_int_equal(uvfio_set_pages(dev, 0, 0, SIZE + PAGE, UVFIO_PAGE_POLLED), -EINVAL);
	assert_int_equal(uvfio_set_pages(dev, 0, SIZE, PAGE, UVFIO_PAGE_POLLED), -EINVAL);
	assert_int_equal(uvfio_set_pages(dev, 0, SIZE - PAGE, 2 * PAGE, UVFIO_PAGE_POLLED),
			 -EINVAL);
	/* the sum is within */
	assert_int_equal(uvfio_set_pages(dev, 0, -PAGE, 2 * PAGE, UVFIO_PAGE_POLLED), -EINVAL);
	assert_int_equal(uvfio_set_pages(dev, 0, PAGE, -PAGE, UVFIO_PAGE_POLLED), -EINVAL);
	assert_int_equal(uvfio_set_pages(dev, 0, UINT64_MAX - PAGE + 1, PAGE, UVFIO_PAGE_POLLED),
			 -EINVAL);
	/* each page once, whatever it is */
	assert_int_equal(uvfio_set_pages(dev, 0, 2 * PAGE, 2 * PAGE, UVFIO_PAGE_TRAPPED), 0);
	for (enum uvfio_page_kind kind = UVFIO_PAGE_TRAPPED; kind <= UVFIO_PAGE_UNMAPPED; kind++) {
		assert_int_equal(uvfio_set_pages(dev, 0, 2 * PAGE, 2 * PAGE, kind), -EEXIST);
		assert_int_equal(uvfio_set_pages(dev, 0, PAGE, 2 * PAGE, kind), -EEXIST);
		assert_int_equal(uvfio_set_pages(dev, 0, 3 * PAGE, 2 * PAGE, kind), -EEXIST);
		assert_int_equal(uvfio_set_pages(dev, 0, 0, SIZE, kind), -EEXIST);
	}
	/* and so many areas */
	for (unsigned i = 1; i < PCI_PAGES_MAX; i++)
		assert_int_equal(uvfio_set_pages(dev, 0, (3 + i) * PAGE, PAGE, UVFIO_PAGE_POLLED),
				 0);
	assert_int_equal(uvfio_set_pages(dev, 0, 0, PAGE, UVFIO_PAGE_POLLED), -ENOSPC);
	assert_int_equal(uvfio_set_pages(dev, 0, 0, PAGE, UVFIO_PAGE_TRAPPED), -ENOSPC);
	log_set(2, LOG_WARN);
	return 0;
}

static void test_declaring(void **state)
{
	pci_function *fn = t_new(bad_arguments);

	/* only inside create */
	assert_int_equal(uvfio_set_pages(fn, 0, 0, PAGE, UVFIO_PAGE_UNMAPPED), -EINVAL);
	t_free(fn);
}

static unsigned msix_bar;
static uint64_t msix_table, msix_pba;

static int polled_msix(struct uvfio_dev *dev)
{
	assert_int_equal(uvfio_add_bar(dev, 0, SIZE, 0), 0);
	assert_int_equal(uvfio_add_bar(dev, 1, SIZE, 0), 0);
	assert_int_equal(uvfio_set_pages(dev, 0, FIRST, 2 * PAGE, UVFIO_PAGE_POLLED), 0);
	assert_int_equal(uvfio_set_pages(dev, 0, 0x8000, 2 * PAGE, UVFIO_PAGE_UNMAPPED), 0);
	/* the table of 256 vectors is a page, their pending bits 32 bytes */
	assert_true(uvfio_add_msix(dev, 256, msix_bar, (uint32_t)msix_table, msix_bar,
				   (uint32_t)msix_pba) > 0);
	return 0;
}

/* The table of messages is uvfio's, and a store to it never only memory. */
static void test_not_of_msix(void **state)
{
	static const struct {
		unsigned bar;
		uint64_t table, pba;
		bool good;
	} cases[] = {
		{ 0, FIRST - PAGE, 0, true },	     { 0, FIRST - PAGE + 8, 0, false },
		{ 0, FIRST + PAGE, 0, false },	     { 0, FIRST + 2 * PAGE, 0, true },
		{ 0, 0x10000, FIRST - 32, true },    { 0, 0x10000, FIRST - 24, false },
		{ 0, 0x10000, FIRST + 8000, false }, { 1, FIRST, FIRST + PAGE, true },
		{ 0, 0x8000, 0x9000, true },	     { 0, 0x10000, FIRST + 0x2000, true },
	};
	pci_function *fn = NULL;
	char err[256];

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		msix_bar = cases[i].bar;
		msix_table = cases[i].table;
		msix_pba = cases[i].pba;
		if (cases[i].good) {
			assert_int_equal(t_try(polled_msix, NULL, 0, err, sizeof(err), &fn), 0);
			t_free(fn);
		} else {
			assert_int_equal(t_try(polled_msix, NULL, 0, err, sizeof(err), &fn),
					 -EINVAL);
			assert_string_equal(
				err,
				"test: BAR0: the MSI-X table or pending bits lie in a polled page");
			assert_int_equal(t.destroyed, 1);
		}
	}
}

/* ---- what there is ---- */

static int t_polled(struct uvfio_dev *dev)
{
	assert_int_equal(uvfio_add_bar(dev, 0, SIZE, UVFIO_BAR_64), 0);
	assert_int_equal(uvfio_add_bar(dev, 2, SIZE, 0), 0);
	/* not in the order of their places */
	assert_int_equal(uvfio_set_pages(dev, 0, 0x6000, PAGE, UVFIO_PAGE_UNMAPPED), 0);
	assert_int_equal(uvfio_set_pages(dev, 0, FIRST, 2 * PAGE, UVFIO_PAGE_POLLED), 0);
	assert_int_equal(uvfio_set_pages(dev, 2, 0, SIZE, UVFIO_PAGE_POLLED), 0);
	assert_int_equal(uvfio_set_pages(dev, 0, 0, PAGE, UVFIO_PAGE_TRAPPED), 0);
	assert_true(uvfio_add_pm(dev, false) > 0 && uvfio_add_pcie(dev, true) > 0);
	return 0;
}

static void test_memory(void **state)
{
	pci_function *fn = t_new(t_polled);
	struct pci_pages p;
	char *mem = uvfio_polled_memory(fn, 0, FIRST), *other, zero[2 * PAGE] = { 0 };

	assert_non_null(mem);
	assert_ptr_equal(uvfio_polled_memory(fn, 0, FIRST + PAGE), mem + PAGE);
	assert_ptr_equal(uvfio_polled_memory(fn, 0, FIRST + 2 * PAGE - 1), mem + 2 * PAGE - 1);
	assert_null(uvfio_polled_memory(fn, 0, FIRST + 2 * PAGE));
	assert_null(uvfio_polled_memory(fn, 0, FIRST - 1));
	assert_null(uvfio_polled_memory(fn, 0, 0));
	assert_null(uvfio_polled_memory(fn, 0, 0x6000));
	assert_null(uvfio_polled_memory(fn, 0, UINT64_MAX));
	assert_null(uvfio_polled_memory(fn, 1, FIRST));
	assert_null(uvfio_polled_memory(fn, 7, 0));
	assert_non_null(uvfio_polled_memory(fn, 2, SIZE - 1));
	assert_null(uvfio_polled_memory(fn, 2, SIZE));
	assert_memory_equal(mem, zero, 2 * PAGE);

	assert_true(pci_function_pages(fn, 0, 0, &p));
	assert_true(p.offset == FIRST && p.len == 2 * PAGE && p.kind == UVFIO_PAGE_POLLED &&
		    fd_is_private(p.fd));
	other = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, p.fd, FIRST);
	assert_true(other != MAP_FAILED);
	other[PAGE] = 5;
	assert_int_equal(mem[PAGE], 5);
	munmap(other, 2 * PAGE);
	assert_true(pci_function_pages(fn, 0, FIRST + 2 * PAGE - 1, &p) && p.offset == FIRST);
	assert_true(pci_function_pages(fn, 0, FIRST + 2 * PAGE, &p) && p.offset == 0x6000 &&
		    p.kind == UVFIO_PAGE_UNMAPPED && p.fd < 0);
	assert_false(pci_function_pages(fn, 0, 0x7000, &p));
	assert_false(pci_function_pages(fn, 1, 0, &p));
	assert_true(pci_function_pages(fn, 2, 0, &p) && p.len == SIZE);
	t_free(fn);
}

/* ---- what fails ---- */

static struct {
	int resource;
	rlim_t limit;
	int answer;
} scarce;

static int one_area(struct uvfio_dev *dev)
{
	struct rlimit old, now;

	assert_int_equal(uvfio_add_bar(dev, 0, SIZE, 0), 0);
	assert_int_equal(uvfio_set_pages(dev, 0, 0, PAGE, UVFIO_PAGE_POLLED), 0);
	assert_int_equal(getrlimit(scarce.resource, &old), 0);
	now = (struct rlimit){ scarce.limit, old.rlim_max };
	assert_int_equal(setrlimit(scarce.resource, &now), 0);
	scarce.answer = uvfio_set_pages(dev, 0, FIRST, 2 * PAGE, UVFIO_PAGE_POLLED);
	assert_int_equal(setrlimit(scarce.resource, &old), 0);
	return scarce.answer;
}

static unsigned descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 2048; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* The second area cannot be had, for want of @resource; what was made is given back. */
static void exhausted(int resource, rlim_t limit, int error)
{
	pci_function *fn = NULL;
	unsigned fds = descriptors();
	char err[256];

	scarce.resource = resource;
	scarce.limit = limit;
	assert_int_equal(t_try(one_area, NULL, 0, err, sizeof(err), &fn), error);
	if (!error) {
		t_free(fn);
	} else {
		assert_non_null(strstr(err, "test: memory for pages of BAR0: "));
		assert_int_equal(t.destroyed, 0);
		loop_free(t.loop);
		t.loop = NULL;
	}
	assert_int_equal(descriptors(), fds);
}

/*
 * In a child, since the way is one: no number is free below @limit, and the process may not raise
 * it.
 */
static bool without_numbers(struct uvfio_dev *dev, rlim_t limit, int free_fd)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct rlimit none = { limit, limit };

	if (syscall(SYS_capget, &head, data))
		return false;
	data[CAP_TO_INDEX(CAP_SYS_RESOURCE)].effective &= ~CAP_TO_MASK(CAP_SYS_RESOURCE);
	if (syscall(SYS_capset, &head, data) || setrlimit(RLIMIT_NOFILE, &none))
		return false;
	return uvfio_set_pages(dev, 0, FIRST, 2 * PAGE, UVFIO_PAGE_POLLED) == -EMFILE &&
	       !dev->pages.num && !uvfio_polled_memory(dev, 0, FIRST) &&
	       fcntl(free_fd, F_GETFD) < 0;
}

static int no_file_limit(struct uvfio_dev *dev)
{
	assert_int_equal(uvfio_add_bar(dev, 0, SIZE, 0), 0);
	/* no number is free for the memfd; then one for it and none for keeping it */
	for (rlim_t at = 0; at < 2; at++) {
		int free_fd = dup(0), status;
		pid_t pid;

		close(free_fd);
		pid = fork();
		if (!pid)
			_exit(!without_numbers(dev, (rlim_t)free_fd + at, free_fd));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	return uvfio_set_pages(dev, 0, FIRST, 2 * PAGE, UVFIO_PAGE_POLLED);
}

static void test_failures(void **state)
{
	pci_function *fn;

	fn = t_new(no_file_limit);
	t_free(fn);
	/* ftruncate(2) of the memfd: EFBIG and a signal */
	signal(SIGXFSZ, SIG_IGN);
	exhausted(RLIMIT_FSIZE, FIRST + PAGE, -EFBIG);
	signal(SIGXFSZ, SIG_DFL);
	exhausted(RLIMIT_FSIZE, FIRST + 2 * PAGE, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	exhausted(RLIMIT_AS, 1, -ENOMEM);
#endif
}

/* ---- the sink ---- */

static struct {
	pci_function *fn;
	unsigned mappings, opens, closes;
	char said[64]; /* o and c, in the order they came; O and C of memory */
	atomic_bool open, flag;
	atomic_uint wrong;
} sink;

static unsigned set(void *arg, enum uvfio_page_kind kind, bool open)
{
	size_t n = strlen(sink.said);

	assert_ptr_equal(arg, &sink);
	/* the flag is set before: a mapping that is made now goes by it */
	assert_true(pci_pages_open(sink.fn, kind) == open);
	if (n < sizeof(sink.said) - 1)
		sink.said[n] = kind == UVFIO_PAGE_MEMORY ? (open ? 'O' : 'C') : open ? 'o' : 'c';
	sink.opens += open;
	sink.closes += !open;
	atomic_store(&sink.open, open);
	return sink.mappings;
}

static const struct pci_pages_sink t_pages = { .set = set, .arg = &sink };

static pci_function *with_sink(void)
{
	pci_function *fn = t_new(t_polled);

	memset(&sink, 0, sizeof(sink));
	sink.fn = fn;
	sink.mappings = 1;
	pci_set_pages_sink(fn, &t_pages);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	return fn;
}

#define SAID(text)                                       \
	do {                                             \
		assert_string_equal(sink.said, text);    \
		memset(sink.said, 0, sizeof(sink.said)); \
	} while (0)

/* With mmap=shared: another process may have the file, of which the sink knows nothing. */
static void test_shared(void **state)
{
	pci_function *fn = t_new(t_polled);
	struct pci_pages p;

	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	assert_false(uvfio_polled_shared(fn));
	assert_int_equal(uvfio_polled_open(fn), -ENOENT);
	pci_pages_share(fn, true);
	assert_true(uvfio_polled_shared(fn));
	assert_int_equal(uvfio_polled_open(fn), 0);
	assert_true(pci_pages_open(fn, UVFIO_PAGE_POLLED));
	uvfio_polled_close(fn);
	assert_false(pci_pages_open(fn, UVFIO_PAGE_POLLED));
	/* the process cannot have the model run into a file's end */
	assert_true(pci_function_pages(fn, 0, 0, &p));
	assert_int_equal(ftruncate(p.fd, 0), -1);
	assert_int_equal(errno, EPERM);
	wr16(PCI_COMMAND, 0);
	assert_int_equal(uvfio_polled_open(fn), -EIO);
	pci_pages_share(fn, false);
	assert_false(uvfio_polled_shared(fn));
	t_free(fn);
}

static void test_sink(void **state)
{
	pci_function *fn = t_new(t_polled);

	/* nobody to map it */
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	assert_int_equal(uvfio_polled_open(fn), -ENOENT);
	assert_false(pci_pages_open(fn, UVFIO_PAGE_POLLED));
	uvfio_polled_close(fn);
	t_free(fn);

	fn = with_sink();
	uvfio_polled_close(fn);
	SAID("");
	assert_int_equal(uvfio_polled_open(fn), 0);
	assert_int_equal(uvfio_polled_open(fn), 0); /* once is enough */
	SAID("o");
	uvfio_polled_close(fn);
	uvfio_polled_close(fn);
	SAID("c");
	/* nothing is mapped: it stays closed, also what is mapped that moment */
	sink.mappings = 0;
	assert_int_equal(uvfio_polled_open(fn), -ENOENT);
	SAID("oc");
	assert_false(pci_pages_open(fn, UVFIO_PAGE_POLLED));
	sink.mappings = 2;
	assert_int_equal(uvfio_polled_open(fn), 0);
	/* another one, or none, finds them closed */
	pci_set_pages_sink(fn, &t_pages);
	SAID("oc");
	assert_false(pci_pages_open(fn, UVFIO_PAGE_POLLED));
	assert_int_equal(uvfio_polled_open(fn), 0);
	pci_set_pages_sink(fn, NULL);
	SAID("oc");
	assert_int_equal(uvfio_polled_open(fn), -ENOENT);
	SAID("");
	pci_set_pages_sink(fn, &t_pages);
	assert_int_equal(uvfio_polled_open(fn), 0);
	t_free(fn); /* closes */
	SAID("oc");
}

static void test_decoding(void **state)
{
	pci_function *fn = with_sink();

	wr16(PCI_COMMAND, 0);
	SAID("");
	assert_int_equal(uvfio_polled_open(fn), -EIO);
	SAID("");
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	assert_int_equal(uvfio_polled_open(fn), 0);
	/* what does not end decoding */
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	wr32(PCI_BASE_ADDRESS_0, 0x1000000);
	SAID("o");
	wr8(PCI_COMMAND, PCI_COMMAND_IO);
	SAID("c");
	assert_int_equal(uvfio_polled_open(fn), -EIO);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	SAID(""); /* on again: the model's decision */
	assert_int_equal(uvfio_polled_open(fn), 0);
	SAID("o");

	wr16(fn->cap.pm + PCI_PM_CTRL, 3);
	SAID("c");
	assert_int_equal(uvfio_polled_open(fn), -EIO);
	wr16(fn->cap.pm + PCI_PM_CTRL, 0);
	SAID("");
	assert_int_equal(uvfio_polled_open(fn), -EIO); /* that was a reset: COMMAND is clear */

	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	assert_int_equal(uvfio_polled_open(fn), 0);
	wr16(fn->cap.exp + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
	SAID("oc");
	for (enum uvfio_reset_kind kind = UVFIO_RESET_FLR; kind <= UVFIO_RESET_D3; kind++) {
		wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
		assert_int_equal(uvfio_polled_open(fn), 0);
		pci_function_reset(fn, kind);
		SAID("oc");
		assert_int_equal(uvfio_polled_open(fn), -EIO);
	}
	t_free(fn);
}

/* ---- memory */

static int t_memory(struct uvfio_dev *dev)
{
	assert_int_equal(uvfio_add_bar(dev, 0, SIZE, UVFIO_BAR_64), 0);
	assert_int_equal(uvfio_set_pages(dev, 0, FIRST, 2 * PAGE, UVFIO_PAGE_MEMORY), 0);
	assert_true(uvfio_add_pm(dev, true) > 0 && uvfio_add_pcie(dev, true) > 0);
	return 0;
}

/* Accesses by a call end in the memory as well, and the model hears of none. */
static void test_memory_access(void **state)
{
	pci_function *fn = t_new(t_memory);
	char *mem = uvfio_polled_memory(fn, 0, FIRST);
	struct pci_pages p;
	uint64_t v = 1;

	t.last_size = 0;
	assert_true(pci_function_pages(fn, 0, 0, &p) && p.kind == UVFIO_PAGE_MEMORY);
	assert_int_equal(pci_bar_read(fn, 0, FIRST, 4, &v), -EIO);
	assert_int_equal(v, UINT32_MAX);
	assert_int_equal(pci_bar_write(fn, 0, FIRST, 4, 1), -EIO);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	for (unsigned size = 1; size <= 8; size *= 2) {
		uint64_t want = 0x8877665544332211, all = size < 8 ? (1ull << 8 * size) - 1 : ~0ull;

		assert_int_equal(pci_bar_write(fn, 0, FIRST + PAGE + 8 * size, size, want), 0);
		assert_memory_equal(mem + PAGE + 8 * size, &want, size);
		assert_int_equal(mem[PAGE + 9 * size], 0);
		assert_int_equal(pci_bar_read(fn, 0, FIRST + PAGE + 8 * size, size, &v), 0);
		assert_int_equal(v, want & all);
	}
	assert_int_equal(t.last_size, 0);
	/* beside it is the model */
	assert_int_equal(pci_bar_read(fn, 0, FIRST - 8, 8, &v), 0);
	assert_int_equal(t.last_size, 8);
	assert_int_equal(pci_bar_write(fn, 0, FIRST + 2 * PAGE, 4, 1), 0);
	assert_int_equal(t.last_size, 4);
	t_free(fn);
}

/* Mappings of memory can be used while the function decodes, and for nobody to say. */
static void test_memory_decoding(void **state)
{
	pci_function *fn = t_new(t_memory);

	memset(&sink, 0, sizeof(sink));
	sink.fn = fn;
	sink.mappings = 1;
	pci_set_pages_sink(fn, &t_pages);
	SAID("");
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	SAID("O");
	assert_true(pci_pages_open(fn, UVFIO_PAGE_MEMORY));
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	SAID("");
	/* polled pages are another thing */
	assert_int_equal(uvfio_polled_open(fn), 0);
	uvfio_polled_close(fn);
	SAID("oc");
	wr16(PCI_COMMAND, 0);
	SAID("C");
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	wr16(fn->cap.pm + PCI_PM_CTRL, 3);
	wr16(fn->cap.pm + PCI_PM_CTRL, 0);
	SAID("OCO");
	pci_pages_hold(fn, true);
	wr16(PCI_COMMAND, 0);
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	SAID("C");
	pci_pages_hold(fn, false);
	SAID("O");
	assert_int_equal(pci_function_stop(fn, UVFIO_STOP_DMA), 0);
	SAID("C");
	pci_function_resume(fn, UVFIO_STOP_DMA);
	SAID("O");
	pci_function_reset(fn, UVFIO_RESET_FLR);
	SAID("C");
	wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
	SAID("O");
	/* another one finds it open */
	pci_set_pages_sink(fn, &t_pages);
	SAID("CO");
	pci_set_pages_sink(fn, NULL);
	SAID("C");
	pci_set_pages_sink(fn, &t_pages);
	SAID("O");
	pci_function_lose(fn);
	SAID("C");
	t_free(fn);
}

/* The reset callback comes when the pages are closed: the model may clear what is in them. */
static void saw_closed(struct uvfio_dev *dev)
{
	if (atomic_load(&sink.open))
		atomic_fetch_add(&sink.wrong, 1);
}

static void test_closed_before_reset(void **state)
{
	pci_function *fn = with_sink();

	t.on_reset = saw_closed;
	assert_int_equal(uvfio_polled_open(fn), 0);
	pci_function_reset(fn, UVFIO_RESET_FLR);
	SAID("oc");
	assert_int_equal(sink.wrong, 0);
	t_free(fn);
}

/* ---- all at once ---- */

static atomic_bool stop;

static unsigned set_quietly(void *arg, enum uvfio_page_kind kind, bool open)
{
	atomic_store(&sink.open, open);
	return 1;
}

static void *opens_and_closes(void *arg)
{
	while (!atomic_load(&stop)) {
		int ret = uvfio_polled_open(sink.fn);

		if (ret && ret != -EIO)
			atomic_fetch_add(&sink.wrong, 1);
		if (!ret && (uintptr_t)arg)
			uvfio_polled_close(sink.fn);
	}
	return NULL;
}

/* When a write that ends decoding has returned, nothing opens before one that begins it. */
static void test_concurrency(void **state)
{
	static const struct pci_pages_sink quiet = { .set = set_quietly };
	pci_function *fn = with_sink();
	unsigned opened = 0;
	pthread_t thread[3];

	pci_set_pages_sink(fn, &quiet);
	atomic_store(&stop, false);
	for (uintptr_t i = 0; i < ARRAY_SIZE(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, opens_and_closes, (void *)i), 0);
	for (unsigned i = 0; i < 20000 || (!opened && i < 10000000); i++) {
		wr16(PCI_COMMAND, PCI_COMMAND_MEMORY);
		if (i % 8 == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 1 }, NULL);
		opened += atomic_load(&sink.open);
		if (i % 100 == 1)
			pci_set_pages_sink(fn, &quiet);
		if (i % 16 == 3)
			pci_function_reset(fn, UVFIO_RESET_FLR);
		else
			wr16(PCI_COMMAND, 0);
		for (unsigned k = 0; k < 8; k++)
			assert_false(atomic_load(&sink.open));
		assert_false(pci_pages_open(fn, UVFIO_PAGE_POLLED));
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < ARRAY_SIZE(thread); i++)
		pthread_join(thread[i], NULL);
	assert_true(opened > 0);
	assert_int_equal(sink.wrong, 0);
	t_free(fn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_declaring),
		cmocka_unit_test(test_not_of_msix),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_sink),
		cmocka_unit_test(test_decoding),
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_memory_access),
		cmocka_unit_test(test_memory_decoding),
		cmocka_unit_test(test_closed_before_reset),
		cmocka_unit_test(test_concurrency),
	};

	guard_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
