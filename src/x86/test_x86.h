/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86/test_x86.h: one instruction, twice from the same state: on plain memory by the processor, and
 * on a PROT_NONE page with x86_emulate() in the SIGSEGV handler. All that the program can see is
 * compared: general registers, flags, the vector, mask and x87 state, memory, and where execution
 * went on. For the unit test, the fuzz target and the measurement.
 *
 * The stack pointer is a register like the others, but it is canonical at all times: there are
 * machines (some that emulate a processor) on which a page fault with another one ends the program.
 *
 * The window is six pages at low addresses (so that 32-bit and absolute addresses reach it), of a
 * memfd: two ordinary ones, two that are trapped, two ordinary ones. The bus works on a second
 * mapping of the same memfd.
 */
#ifndef X86_TEST_X86_H
#define X86_TEST_X86_H
#include <Zydis/Zydis.h>
#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/sanitize.h"
#include "x86/alu.h"
#include "x86/emulate.h"

#define T_PAGE	  4096u
#define T_PAGES	  6u
#define T_SIZE	  (T_PAGES * T_PAGE)
#define T_TRAP	  (2u * T_PAGE) /* the trapped part of the window */
#define T_TRAPPED (2u * T_PAGE)
#define T_XSAVE	  4096u

/* The state that an instruction starts from, or leaves. */
struct t_state {
	uint64_t r[16]; /* in the order of their numbers: rax rcx rdx rbx rsp rbp rsi rdi r8.. */
	uint64_t flags;
	uint64_t exit; /* 0: went on behind the instruction */
	uint8_t x[T_XSAVE] __attribute__((aligned(64)));
};

/* Shared by the harness's machine code and C; one thread uses it. */
struct t_shared {
	struct t_state s;
	uint64_t target, sp, mask;
};
static struct t_shared t_shared __attribute__((aligned(64), used));

void t_enter(void) __attribute__((visibility("hidden")));
extern const char t_exit[] __attribute__((visibility("hidden")));
extern const char t_exit_fault[] __attribute__((visibility("hidden")));

_Static_assert(offsetof(struct t_shared, s.flags) == 128 &&
		       offsetof(struct t_shared, s.exit) == 136 &&
		       offsetof(struct t_shared, s.x) == 192 &&
		       offsetof(struct t_shared, target) == 4288 &&
		       offsetof(struct t_shared, sp) == 4296 &&
		       offsetof(struct t_shared, mask) == 4304,
	       "the assembly below");
__asm__(".text\n"
	"t_enter:\n"
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
	"	mov %rsp, 4296+t_shared(%rip)\n"
	"	mov 4304+t_shared(%rip), %eax\n"
	"	xor %edx, %edx\n"
	"	xrstor64 192+t_shared(%rip)\n"
	"	mov 0+t_shared(%rip), %rax\n"
	"	mov 8+t_shared(%rip), %rcx\n"
	"	mov 16+t_shared(%rip), %rdx\n"
	"	mov 24+t_shared(%rip), %rbx\n"
	"	mov 40+t_shared(%rip), %rbp\n"
	"	mov 48+t_shared(%rip), %rsi\n"
	"	mov 56+t_shared(%rip), %rdi\n"
	"	mov 64+t_shared(%rip), %r8\n"
	"	mov 72+t_shared(%rip), %r9\n"
	"	mov 80+t_shared(%rip), %r10\n"
	"	mov 88+t_shared(%rip), %r11\n"
	"	mov 96+t_shared(%rip), %r12\n"
	"	mov 104+t_shared(%rip), %r13\n"
	"	mov 112+t_shared(%rip), %r14\n"
	"	mov 120+t_shared(%rip), %r15\n"
	"	pushq 128+t_shared(%rip)\n"
	"	popfq\n"
	"	mov 32+t_shared(%rip), %rsp\n"
	"	jmp *4288+t_shared(%rip)\n"
	"t_exit_fault:\n"
	"	movq $1, 136+t_shared(%rip)\n"
	"t_exit:\n"
	"	mov %rsp, 32+t_shared(%rip)\n"
	"	mov 4296+t_shared(%rip), %rsp\n"
	"	pushfq\n"
	"	popq 128+t_shared(%rip)\n"
	"	cld\n"
	"	mov %rax, 0+t_shared(%rip)\n"
	"	mov %rcx, 8+t_shared(%rip)\n"
	"	mov %rdx, 16+t_shared(%rip)\n"
	"	mov %rbx, 24+t_shared(%rip)\n"
	"	mov %rbp, 40+t_shared(%rip)\n"
	"	mov %rsi, 48+t_shared(%rip)\n"
	"	mov %rdi, 56+t_shared(%rip)\n"
	"	mov %r8, 64+t_shared(%rip)\n"
	"	mov %r9, 72+t_shared(%rip)\n"
	"	mov %r10, 80+t_shared(%rip)\n"
	"	mov %r11, 88+t_shared(%rip)\n"
	"	mov %r12, 96+t_shared(%rip)\n"
	"	mov %r13, 104+t_shared(%rip)\n"
	"	mov %r14, 112+t_shared(%rip)\n"
	"	mov %r15, 120+t_shared(%rip)\n"
	"	mov 4304+t_shared(%rip), %eax\n"
	"	xor %edx, %edx\n"
	"	xsave64 192+t_shared(%rip)\n"
	"	fninit\n"
	"	pushq $0x1f80\n" /* MXCSR at reset: SDM 1, 10.2.3 */
	"	ldmxcsr (%rsp)\n"
	"	lea 8(%rsp), %rsp\n"
	"	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n");

/* ---- the bus: a log of what the device saw ---- */
struct t_access {
	bool write;
	unsigned size;
	uintptr_t at;
	uint64_t value;
};
static struct t {
	uint8_t *window, *alias, *code;
	unsigned xsize;	     /* of the XSAVE area that t_shared.mask fills */
	unsigned comp[8][2]; /* offset and size of components 2.. */
	bool emulating;	     /* the handler emulates; else a fault ends the instruction */
	struct t_access log[256];
	unsigned accesses, fail_at; /* the fail_at-th access fails; 0: none */
	unsigned locks, alone;	    /* how often the bus was locked; accesses while it was */
	bool lock_wrong, locked;    /* twice on or twice off */
	int fault, ret;		    /* the signal that ended it, what x86_emulate returned last */
	uintptr_t bad;
	unsigned calls;
	bool changed; /* x86_emulate failed and changed the context nevertheless */
	bool opened;  /* where() says that the page is ordinary, and it is */
	char what[32];
} t;

static int t_where(void *arg, uintptr_t addr, size_t len)
{
	uintptr_t lo = (uintptr_t)t.window + T_TRAP, hi = lo + T_TRAPPED;

	if (t.opened || addr + len <= lo || addr >= hi)
		return 0;
	return addr >= lo && addr + len <= hi ? 1 : -1;
}

static int t_log(bool write, uintptr_t addr, unsigned size, uint64_t value)
{
	if (t.accesses < sizeof(t.log) / sizeof(t.log[0]))
		t.log[t.accesses] =
			(struct t_access){ write, size, addr - (uintptr_t)t.window, value };
	t.accesses++;
	t.alone += t.locked;
	return t.accesses == t.fail_at ? -ENXIO : 0;
}

static int t_read(void *arg, uintptr_t addr, unsigned size, uint64_t *value)
{
	int ret = t_log(false, addr, size, 0);

	*value = 0;
	if (!ret)
		memcpy(value, t.alias + (addr - (uintptr_t)t.window), size);
	return ret;
}

static int t_write(void *arg, uintptr_t addr, unsigned size, uint64_t value)
{
	int ret = t_log(true, addr, size, value);

	if (!ret)
		memcpy(t.alias + (addr - (uintptr_t)t.window), &value, size);
	return ret;
}

static void t_lock(void *arg, bool on)
{
	t.lock_wrong |= t.locked == on;
	t.locked = on;
	t.locks += on;
}

static const struct x86_bus t_bus = {
	.where = t_where, .read = t_read, .write = t_write, .lock = t_lock
};

/* A repeated instruction may have advanced when it fails; nothing else may. */
static bool t_same_context(const ucontext_t *a, const ucontext_t *b, const uint8_t *fa,
			   const uint8_t *fb)
{
	return !memcmp(a->uc_mcontext.gregs, b->uc_mcontext.gregs, sizeof(a->uc_mcontext.gregs)) &&
	       !memcmp(fa, fb, t.xsize);
}

/* SDM 1, 3.3.7.1: bits 63 to 47 are equal. */
static bool t_canonical(uint64_t a)
{
	return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

/* On every machine, what would end the program on some. */
static void t_check_stack(uint64_t rsp, const char *when)
{
	if (t_canonical(rsp))
		return;
	fprintf(stderr, "the stack pointer is %#llx %s: not canonical\n", (unsigned long long)rsp,
		when);
	abort();
}

static void t_signal(int sig, siginfo_t *info, void *ucontext)
{
	static uint8_t before_fp[T_XSAVE];
	static ucontext_t before;
	ucontext_t *uc = ucontext;
	uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];

#ifdef SANITIZED_THREAD
	/* its run time blocks all signals in handlers, SA_NODEFER or not; ours may fault */
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigaddset(&set, SIGBUS);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
#endif
	if (guard_fault(sig, info, uc) || x86_fault(sig, info, uc))
		return;
	if (rip < (uintptr_t)t.code || rip >= (uintptr_t)t.code + T_PAGE || info->si_code <= 0) {
		/* a bug of ours: happens again, and ends the program */
		sigaction(sig, &(struct sigaction){ .sa_handler = SIG_DFL }, NULL);
		return;
	}
	t_check_stack((uint64_t)uc->uc_mcontext.gregs[REG_RSP], "at a fault");
	t.fault = sig;
	if (sig == SIGSEGV && t.emulating && t.calls < 8) {
		before = *uc;
		memcpy(before_fp, uc->uc_mcontext.fpregs, t.xsize);
		t.calls++;
		t.ret = x86_emulate(uc, &t_bus, &t.bad, t.what, sizeof(t.what));
		t_check_stack((uint64_t)uc->uc_mcontext.gregs[REG_RSP], "after emulation");
		if (!t.ret) {
			t.fault = 0;
			if (t.opened)
				mprotect(t.window + T_TRAP, T_TRAPPED, PROT_READ | PROT_WRITE);
			return;
		}
		t.changed =
			!t_same_context(&before, uc, before_fp, (uint8_t *)uc->uc_mcontext.fpregs);
	}
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)t_exit_fault;
}

static void t_handlers(void)
{
	struct sigaction sa = { .sa_sigaction = t_signal,
				.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGFPE, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
}

static uint8_t t_stack[256 * 1024]; /* for signals */

static int t_init(void)
{
	static uint8_t *const stack = t_stack;
	stack_t ss = { .ss_sp = stack, .ss_size = sizeof(t_stack) };
	unsigned a, b, c, d, i;
	int fd;

	/* OSXSAVE: the harness loads and stores all state with XRSTOR and XSAVE */
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c >> 27 & 1))
		return -ENOTSUP;
	guard_handled_elsewhere();
	fd = memfd_create("x86", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, T_SIZE))
		return -errno;
	t.window = mmap(NULL, T_SIZE + T_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
			-1, 0);
	if (t.window == MAP_FAILED || mmap(t.window, T_SIZE, PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return -errno;
	t.alias = mmap(NULL, T_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	t.code = mmap(NULL, T_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (t.alias == MAP_FAILED || t.code == MAP_FAILED || sigaltstack(&ss, NULL))
		return -errno;
	close(fd);
	/* x87, SSE, AVX, opmask, ZMM_Hi256, Hi16_ZMM: SDM 1, 13.1 */
	__asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	t_shared.mask = a & 0xe7;
	t.xsize = 576;
	for (i = 2; i < 8; i++) {
		if (!(t_shared.mask >> i & 1) || !__get_cpuid_count(0xd, i, &a, &b, &c, &d))
			continue;
		t.comp[i][0] = b;
		t.comp[i][1] = a;
		if (a + b > t.xsize)
			t.xsize = a + b;
	}
	t_handlers();
	return t.xsize <= T_XSAVE ? 0 : -E2BIG;
}

/* ---- running ---- */

static uint64_t t_seed = 1;
static uint64_t t_rand(void) /* splitmix64 */
{
	uint64_t z = t_seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}
static void t_fill(void *p, size_t n)
{
	uint8_t *b = p;

	for (size_t i = 0; i < n; i += 8) {
		uint64_t v = t_rand();

		memcpy(b + i, &v, n - i < 8 ? n - i : 8);
	}
}

/*
 * A random value that is canonical, and remains so when another one is added, subtracted or mixed
 * in bit by bit, or its bytes are reversed.
 */
#define T_STACK_BITS 0x00003fffff000000ull

/* Random registers, status flags and vectors; no exceptions of floating point. */
static void t_random_state(struct t_state *s)
{
	uint64_t bv = t_shared.mask & ~1ull;
	uint16_t fcw = 0x37f; /* SDM 1, 8.1.5: all masked */
	uint32_t mxcsr = 0x1f80;
	unsigned r = (unsigned)t_rand();

	memset(s, 0, sizeof(*s));
	t_fill(s->r, sizeof(s->r));
	s->r[4] &= T_STACK_BITS | 0xffffff;
	s->flags = (t_rand() & X86_STATUS_FLAGS) | 0x202;
	memcpy(s->x, &fcw, 2);
	memcpy(s->x + 24, &mxcsr, 4);
	t_fill(s->x + 160, 256);
	for (unsigned i = 2; i < 8; i++)
		t_fill(s->x + t.comp[i][0], t.comp[i][1]);
	/* now and then components are in their initial state, which a frame does not hold */
	if (!(r & 3))
		bv &= r >> 2;
	/* upper halves without lower ones cannot be */
	if (bv & 0x40)
		bv |= 4 & t_shared.mask;
	memcpy(s->x + 512, &bv, 8);
}

/* Make zeros of components in their initial state, whose bytes may be anything. */
static void t_normalise(struct t_state *s)
{
	uint64_t bv;

	memcpy(&bv, s->x + 512, 8);
	if (!(bv & 2))
		memset(s->x + 160, 0, 256);
	for (unsigned i = 2; i < 8; i++)
		if (!(bv >> i & 1))
			memset(s->x + t.comp[i][0], 0, t.comp[i][1]);
	if (!(bv & 1)) {
		memset(s->x, 0, 24);
		memset(s->x + 32, 0, 128);
		s->x[0] = 0x7f;
		s->x[1] = 3;
	}
	memset(s->x + 416, 0, 96); /* the legacy area's reserved end */
	memset(s->x + 512, 0, 64);
}

/* @code of @len bytes from @s, in place. */
static void t_run(struct t_state *s, const uint8_t *code, size_t len, bool trapped)
{
	uint8_t *p = t.code + 64;
	uint64_t exit = (uintptr_t)t_exit;
	sigset_t all, was;

	memcpy(p, code, len);
	memcpy(p + len, "\xff\x25\0\0\0\0", 6); /* jmp *(%rip) */
	memcpy(p + len + 6, &exit, 8);
	mprotect(t.window + T_TRAP, T_TRAPPED, trapped ? PROT_NONE : PROT_READ | PROT_WRITE);
	t.emulating = trapped;
	t.fault = t.ret = 0;
	t.accesses = t.calls = 0;
	t.locks = t.alone = 0;
	t.lock_wrong = t.locked = false;
	t.changed = false;
	t_shared.s = *s;
	t_shared.s.exit = 0;
	t_shared.target = (uintptr_t)p;
	t_check_stack(s->r[4], "before an instruction");
	/* a signal of a timer would find no stack where rsp is now */
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigprocmask(SIG_SETMASK, &all, &was);
	t_enter();
	sigprocmask(SIG_SETMASK, &was, NULL);
	t_check_stack(t_shared.s.r[4], "after an instruction");
	*s = t_shared.s;
	mprotect(t.window + T_TRAP, T_TRAPPED, PROT_READ | PROT_WRITE);
}

static const char *t_text(const uint8_t *code, size_t len, char *buf, size_t size)
{
	ZydisDisassembledInstruction d;

	if (!ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, (uintptr_t)t.code + 64,
						code, len, &d)))
		return "?";
	snprintf(buf, size, "%s", d.text);
	return buf;
}

/* True if the processor holds the bus for it. SDM 3, 9.1.2: the prefix, and xchg. */
static inline bool t_holds_bus(const uint8_t *code, size_t len)
{
	ZydisDisassembledInstruction d;

	return ZYAN_SUCCESS(ZydisDisassembleIntel(ZYDIS_MACHINE_MODE_LONG_64, 0, code, len, &d)) &&
	       (d.info.attributes & ZYDIS_ATTRIB_HAS_LOCK ||
		d.info.mnemonic == ZYDIS_MNEMONIC_XCHG);
}

enum t_result { T_SAME, T_DIFFERS, T_NATIVE_FAULT, T_REFUSED };
/*
 * From @from, both ways; @out (may be NULL) gets the state after it. T_DIFFERS says what on stderr.
 * T_NATIVE_FAULT: the processor itself does not take it. T_REFUSED: x86_emulate returned t.ret,
 * changing nothing. Memory is as the processor left it, or as before if one of the two failed.
 */
static enum t_result t_compare(const struct t_state *from, const uint8_t *code, size_t len,
			       struct t_state *out)
{
	static uint8_t before[T_SIZE], after[T_SIZE];
	static struct t_state nat, emu;
	static const char names[16][4] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
					   "r8",  "r9",	 "r10", "r11", "r12", "r13", "r14", "r15" };
	char text[96];
	bool bad = false;

	memcpy(before, t.alias, T_SIZE);
	nat = *from;
	t_run(&nat, code, len, false);
	if (nat.exit) {
		memcpy(t.alias, before, T_SIZE);
		return T_NATIVE_FAULT;
	}
	memcpy(after, t.alias, T_SIZE);
	memcpy(t.alias, before, T_SIZE);
	emu = *from;
	t_run(&emu, code, len, true);
	t_text(code, len, text, sizeof(text));
	if (emu.exit) {
		if (t.changed || memcmp(before, t.alias, T_SIZE)) {
			fprintf(stderr, "%s: failed with %d (signal %d), but changed something\n",
				text, t.ret, t.fault);
			memcpy(t.alias, before, T_SIZE);
			return T_DIFFERS;
		}
		return T_REFUSED;
	}
	for (unsigned i = 0; i < 16; i++)
		if (nat.r[i] != emu.r[i]) {
			fprintf(stderr, "%s: %s %#llx, should be %#llx (was %#llx)\n", text,
				names[i], (unsigned long long)emu.r[i],
				(unsigned long long)nat.r[i], (unsigned long long)from->r[i]);
			bad = true;
		}
	if (nat.flags != emu.flags) {
		fprintf(stderr, "%s: flags %#llx, should be %#llx (were %#llx)\n", text,
			(unsigned long long)emu.flags, (unsigned long long)nat.flags,
			(unsigned long long)from->flags);
		bad = true;
	}
	t_normalise(&nat);
	t_normalise(&emu);
	for (unsigned i = 0; i < t.xsize; i++)
		if (nat.x[i] != emu.x[i]) {
			fprintf(stderr, "%s: byte %u of the XSAVE area %#x, should be %#x\n", text,
				i, emu.x[i], nat.x[i]);
			bad = true;
			break;
		}
	for (unsigned i = 0; i < T_SIZE; i++)
		if (after[i] != t.alias[i]) {
			fprintf(stderr, "%s: memory at %#x: %#x, should be %#x (was %#x)\n", text,
				i, t.alias[i], after[i], before[i]);
			bad = true;
			break;
		}
	memcpy(t.alias, after, T_SIZE);
	if (out)
		*out = nat;
	return bad ? T_DIFFERS : T_SAME;
}
#endif
