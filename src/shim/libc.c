/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/libc.c: what libc does inside of itself to memory that a device has. free() of a large
 * block, realloc(), a trim of the heap, a thread that ends: they call munmap, mremap, madvise and
 * brk by names in whose place no wrapper can come. So the functions themselves begin with a jump to
 * ours, from the start of the program on. That costs other calls nothing, works with all signals
 * blocked (as libc unmaps stacks), and is gone after an exec, which a seccomp filter would not be.
 *
 * The caller may hold malloc's locks, or the one of the list of stacks, and its stack may be small.
 * So nothing here waits for a thread that could allocate: the memory is not moved, as it is for the
 * program's own calls (mem.c), but is kept where it is (vfio/returned.c), and calls that only save
 * memory do nothing: a heap is not trimmed there.
 */
#include <cpuid.h>
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/reach.h"
#include "shim/mem.h"
#include "shim/scope.h"
#include "shim/shim.h"
#include "vfio/aside.h"

struct text {
	uintptr_t inside, start, end;
};

/* libc's code, and its loader's, which has a munmap of its own */
static struct text libc_text, loader_text;

/* Find the executable segment that has @inside. */
static int find_text(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct text *t = arg;

	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t at = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type == PT_LOAD && ph->p_flags & PF_X && t->inside >= at &&
		    t->inside < at + ph->p_memsz) {
			t->start = at;
			t->end = at + ph->p_memsz;
			return 1;
		}
	}
	return 0;
}

bool shim_libc_text(uintptr_t *start, uintptr_t *end)
{
	libc_text.inside = (uintptr_t)gnu_get_libc_version;
	if (!libc_text.end && !dl_iterate_phdr(find_text, &libc_text))
		return false;
	*start = libc_text.start;
	*end = libc_text.end;
	return true;
}

/* ---- memory that goes ---- */

struct give_back {
	long nr;
	uint64_t start, end;
	int advice;
};

/* The pages that no device has, with the system call; the others stay. */
static long give_back_rest(void *arg)
{
	struct vfio_system *s = machine_system(atomic_load(&shim.machine));
	struct give_back *g = arg;
	uint64_t at, a, b;
	long rc = 0;

	for (at = g->start; at < g->end && !rc; at = b) {
		if (!vfio_next_in_use(s, at, g->end, g->nr == SYS_munmap, &a, &b))
			a = b = g->end;
		if (a > at)
			rc = sys_call(g->nr, (long)at, (long)(a - at), g->advice, 0, 0, 0);
	}
	return rc;
}

/* True if a device may have some of [start, end). Takes no lock. */
static bool near_device(uint64_t start, uint64_t end)
{
	struct machine *m = atomic_load_explicit(&shim.machine, memory_order_acquire);

	/* a forked child that has not noticed it yet has no device */
	return m && (!shim.alive || *shim.alive) && end > start &&
	       vfio_pages_near(machine_system(m), start, end - 1);
}

static long give_back(long nr, void *addr, size_t len, int advice)
{
	struct give_back g = { nr, (uint64_t)addr, (uint64_t)addr + align_up(len, PAGE_SIZE_4K),
			       advice };

	if (nr != SYS_brk)
		shim_v3_goes(addr, len, nr == SYS_munmap ? "munmap" : "madvise");
	if (g.start % PAGE_SIZE_4K || !near_device(g.start, g.end))
		return sys_call(nr, (long)addr, (long)len, advice, 0, 0, 0);
	return shim_run(give_back_rest, &g);
}

static long is_in_use(void *arg)
{
	struct give_back *g = arg;
	uint64_t a, b;

	return vfio_next_in_use(machine_system(atomic_load(&shim.machine)), g->start, g->end, false,
				&a, &b);
}

/* ---- the functions that libc comes to ---- */

static bool is_in(const struct text *t, const void *addr)
{
	return (uintptr_t)addr - t->start < t->end - t->start;
}

/* Others may have looked libc's function up and call it as the program calls ours. */
static bool from_libc(const void *caller)
{
	return is_in(&libc_text, caller) || is_in(&loader_text, caller);
}

static int libc_munmap(void *addr, size_t len)
{
	if (!from_libc(__builtin_return_address(0)))
		return (int)shim_ret(shim_munmap(addr, len));
	return (int)shim_ret(give_back(SYS_munmap, addr, len, 0));
}

static int libc_madvise(void *addr, size_t len, int advice)
{
	if (!from_libc(__builtin_return_address(0)))
		return (int)shim_ret(shim_madvise(addr, len, advice));
	if (!shim_advice_loses(advice))
		return (int)shim_ret(sys_call(SYS_madvise, (long)addr, (long)len, advice, 0, 0, 0));
	return (int)shim_ret(give_back(SYS_madvise, addr, len, advice));
}

int shim_set_break(void *addr)
{
	__curbrk = (void *)sys_call(SYS_brk, (long)addr, 0, 0, 0, 0, 0);
	if (__curbrk >= addr)
		return 0;
	errno = ENOMEM;
	return -1;
}

static int libc_brk(void *addr)
{
	struct give_back g = { SYS_brk, align_up((uint64_t)addr, PAGE_SIZE_4K),
			       align_up((uint64_t)__curbrk, PAGE_SIZE_4K), 0 };

	if (!from_libc(__builtin_return_address(0)))
		return shim_brk(addr);
	if (addr && g.start < g.end)
		shim_v3_goes((void *)g.start, g.end - g.start, "brk");
	/* malloc goes on with a heap that did not become smaller */
	if (addr && near_device(g.start, g.end) && shim_run(is_in_use, &g)) {
		errno = ENOMEM;
		return -1;
	}
	return shim_set_break(addr);
}

/* ---- the jumps ---- */

#define JUMP 5u /* jmp rel32 */

/* The bytes "mov $nr, %eax; syscall", with which each of the functions makes its call. */
static bool makes_call(const unsigned char *f, size_t size, unsigned char nr)
{
	const unsigned char code[] = { 0xb8, nr, 0, 0, 0, 0x0f, 0x05 };

	return memmem(f, size, code, sizeof(code));
}

static const unsigned char endbr64[] = { 0xf3, 0x0f, 0x1e, 0xfa };

/* Write a jump to @to at @at, behind what an indirect call needs: NULL, or the reason why not. */
static const char *jump_from(unsigned char *at, uintptr_t to)
{
	extern char __libc_single_threaded __attribute__((weak));
	uintptr_t word = align_down((uintptr_t)at, 8);
	size_t off = (uintptr_t)at - word, n = off + JUMP > 8 ? 16 : 8;
	int64_t far = (int64_t)(to - ((uintptr_t)at + JUMP));
	unsigned char code[16];
	unsigned a, b, c, d;

	/* a breakpoint, or another tool's jump: not as it was built */
	if (*at == 0xcc || *at == 0xe9 || *at == 0xeb || *at == 0xff)
		return "it is not as expected";
	if (far != (int32_t)far)
		return "it is too far away";
	/* in one store if that can be; else no thread may be there */
	if (n > 8 && (!&__libc_single_threaded || !__libc_single_threaded))
		return "there are threads";
	memcpy(code, (void *)word, n);
	code[off] = 0xe9;
	memcpy(code + off + 1, &(int32_t){ (int32_t)far }, sizeof(int32_t));
	if (reach_write((void *)word, code, n) < n || memcmp(at, code + off, JUMP))
		return "its text cannot be written";
	/*
	 * what was changed by another address may be executed after a serializing instruction
	 * (Intel SDM 3A, 8.1.3)
	 */
	__cpuid(0, a, b, c, d);
	return NULL;
}

static const char *redirect(void *libc, const char *name, unsigned char nr, uintptr_t to)
{
	unsigned char *f = dlsym(libc, name), *at;
	ElfW(Sym) *sym = NULL;
	Dl_info info;

	if (!f || !dladdr1(f, &info, (void **)&sym, RTLD_DL_SYMENT) || !sym)
		return "it cannot be found";
	at = f + (sym->st_size >= sizeof(endbr64) && !memcmp(f, endbr64, sizeof(endbr64))
			  ? sizeof(endbr64)
			  : 0);
	if (f + sym->st_size < at + JUMP || !makes_call(f, sym->st_size, nr))
		return "it is not as expected";
	return jump_from(at, to);
}

/*
 * Redirect the loader's munmap, which dlclose uses and which has no name. It is the one function
 * that begins with "mov $11, %eax; syscall; cmp $-4095, %rax".
 */
static const char *redirect_loader(uintptr_t to)
{
	static const unsigned char code[] = { 0xb8, SYS_munmap, 0,    0,    0,	  0x0f, 0x05,
					      0x48, 0x3d,	0x01, 0xf0, 0xff, 0xff };
	unsigned char *at, *found = NULL, *p;

	loader_text.inside = (uintptr_t)dlsym(RTLD_DEFAULT, "__tls_get_addr");
	if (!loader_text.inside || !dl_iterate_phdr(find_text, &loader_text))
		return "it cannot be found";
	for (p = (unsigned char *)loader_text.start;
	     (at = memmem(p, loader_text.end - (uintptr_t)p, code, sizeof(code))); p = at + 1) {
		bool first = !((uintptr_t)at % 16) ||
			     (!memcmp(at - sizeof(endbr64), endbr64, sizeof(endbr64)) &&
			      !((uintptr_t)(at - sizeof(endbr64)) % 16));

		if (!first)
			continue;
		if (found)
			return "it is not as expected";
		found = at;
	}
	return found ? jump_from(found, to) : "it is not as expected";
}

#define LOST                                                                                       \
	"%s: %s: memory that it takes away inside of itself while a device has it is lost to the " \
	"device"

void shim_libc_init(void)
{
	const struct {
		const char *name;
		unsigned char nr;
		void *to;
	} functions[] = {
		{ "munmap", SYS_munmap, (void *)(uintptr_t)libc_munmap },
		{ "madvise", SYS_madvise, (void *)(uintptr_t)libc_madvise },
		{ "brk", SYS_brk, (void *)(uintptr_t)libc_brk },
		{ "mremap", SYS_mremap, (void *)(uintptr_t)mremap },
	};
	void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
	const char *why = NULL;
	uintptr_t start, end = 0;

	/* it keeps the code that it has translated; and its malloc is not libc's */
	if (shim.valgrind)
		return;
	if (!libc || !shim_libc_text(&start, &end))
		why = "it cannot be found";
	for (unsigned i = 0; i < ARRAY_SIZE(functions); i++) {
		if (libc && end)
			why = redirect(libc, functions[i].name, functions[i].nr,
				       (uintptr_t)functions[i].to);
		if (why)
			report_info("libc-not-seen", SHIM_WHO, 0, "libc's " LOST, functions[i].name,
				    why);
	}
	why = redirect_loader((uintptr_t)libc_munmap);
	if (why)
		report_info("libc-not-seen", SHIM_WHO, 0, "the loader's " LOST, "munmap", why);
}
