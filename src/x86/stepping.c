/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * x86/stepping.c: any instruction with one memory operand that is not worth a function of its own
 * (arithmetic of SSE, AVX and AVX-512, shifts, imul, x87, fxsave...). The idea: the processor knows
 * what it does, so it is let do it, on other memory. The instruction's bytes are copied with the
 * memory operand replaced by one that is relative to RIP and lies in a scratch buffer; what it
 * reads is fetched from the device before; it runs here, in the handler, on the program's
 * registers, flags and vector state; what it wrote goes to the device. Other threads see nothing of
 * it, unlike with the page opened for a single step.
 *
 * The bytes that a store has written (a masked one, fxsave) are found by running it twice from the
 * same state, on a buffer of zeros and on one of ones: where both are the same afterwards, it has
 * written.
 *
 * A slot (code, scratch) belongs to a thread while its signals are blocked, so that no handler can
 * leave with it.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "base/util.h"
#include "x86/alu.h"
#include "x86/context.h"
#include "x86/internal.h"
#include "x86/stepping.h"

#define MAX_INSN    15u	 /* SDM 2, 2.3.11 */
#define MAX_OPERAND 512u /* fxsave */
#define NUM_SLOTS   64u
#define SLOT_CODE   64u
#define MODEL_MASK  0xe7ull /* x87, SSE, AVX, opmask, ZMM_Hi256, Hi16_ZMM: SDM 1, 13.1 */

/* Offsets in the XSAVE area: SDM 1, 10.5.1 and 13.4 */
enum { FCW = 0, FIP = 8, FDP = 16, MXCSR = 24, XSAVE_BV = 512 };
/* linux: arch/x86/include/uapi/asm/sigcontext.h: struct _fpx_sw_bytes */
enum { SW_MAGIC = 464, SW_FEATURES = 472, SW_SIZE = 480 };
#define SW_MAGIC1      0x46505853u
#define FCW_EXCEPTIONS 0x3fu   /* SDM 1, 8.1.5 */
#define MXCSR_MASKS    0x1f80u /* SDM 1, 10.2.3 */

struct scratch {
	uint8_t data[64 + MAX_OPERAND]; /* aligned as the device's address is, within 64 bytes */
	uint8_t first[MAX_OPERAND];
	uint8_t state[4096]; /* the program's, to go back to */
} __attribute__((aligned(64)));

struct area {
	uint8_t code[NUM_SLOTS][SLOT_CODE]; /* a page of its own, which is executable */
	struct scratch scratch[NUM_SLOTS];
};
_Static_assert(offsetof(struct area, scratch) == PAGE_SIZE_4K, "one page of code");

/* The code of the process, made at the first use. */
static _Atomic(struct area *) area_of_process;
static _Atomic uint64_t slots_taken;

static struct area *area(void)
{
	struct area *a = atomic_load(&area_of_process), *other = NULL;
	long p;

	if (a)
		return a;
	p = sys_call(SYS_mmap, 0, sizeof(*a), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		     -1, 0);
	if (sys_failed(p))
		return NULL;
	a = (struct area *)p;
	/* a policy may refuse memory that is written and executed */
	if (sys_call(SYS_mprotect, p, PAGE_SIZE_4K, PROT_READ | PROT_WRITE | PROT_EXEC, 0, 0, 0) ||
	    !atomic_compare_exchange_strong(&area_of_process, &other, a)) {
		sys_call(SYS_munmap, p, sizeof(*a), 0, 0, 0, 0);
		a = other;
	}
	return a;
}

/*
 * Take a slot. Signals that no instruction makes are blocked until give(). -EAGAIN: more than 64
 * threads at once, for long.
 */
static int take(uint64_t *mask)
{
	uint64_t all = ~(1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) | 1ull << (SIGFPE - 1) |
			 1ull << (SIGILL - 1) | 1ull << (SIGTRAP - 1) | 1ull << (SIGSYS - 1));
	uint64_t was = atomic_load(&slots_taken);

	sys_call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, (long)mask, sizeof(*mask), 0, 0);
	for (unsigned tries = 0; tries < 100000; tries++) {
		while (~was) {
			unsigned s = (unsigned)__builtin_ctzll(~was);

			if (atomic_compare_exchange_weak(&slots_taken, &was, was | 1ull << s))
				return (int)s;
		}
		sys_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
		was = atomic_load(&slots_taken);
	}
	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)mask, 0, sizeof(*mask), 0, 0);
	return -EAGAIN;
}

static void give(int s, const uint64_t *mask)
{
	atomic_fetch_and(&slots_taken, ~(1ull << s));
	sys_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)mask, 0, sizeof(*mask), 0, 0);
}

bool x86_fault(int sig, const siginfo_t *info, void *ucontext)
{
	ucontext_t *uc = ucontext;
	struct area *a = atomic_load(&area_of_process);
	uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];

	/* sent by kill(2) or the like while we stood here: no fault of ours */
	if (info && info->si_code <= 0)
		return false;
	if (!a || pc < (uintptr_t)a->code || pc >= (uintptr_t)a->code + sizeof(a->code))
		return false;
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)x86_step_faulted;
	return true;
}

/* ---- which instructions ---- */

/* False for control flow, the stack, the system's state, a second address. */
static bool category_allowed(const struct insn *n)
{
	switch (n->i.meta.category) {
	case ZYDIS_CATEGORY_CALL:
	case ZYDIS_CATEGORY_RET:
	case ZYDIS_CATEGORY_UNCOND_BR:
	case ZYDIS_CATEGORY_COND_BR:
	case ZYDIS_CATEGORY_PUSH:
	case ZYDIS_CATEGORY_POP:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSTEM:
	case ZYDIS_CATEGORY_SEGOP:
	case ZYDIS_CATEGORY_XSAVE:
	case ZYDIS_CATEGORY_XSAVEOPT:
	case ZYDIS_CATEGORY_AMX_TILE:
	case ZYDIS_CATEGORY_CET:
	case ZYDIS_CATEGORY_PKU:
	case ZYDIS_CATEGORY_MOVDIR:
	case ZYDIS_CATEGORY_ENQCMD:
	case ZYDIS_CATEGORY_VTX:
	case ZYDIS_CATEGORY_SGX:
	case ZYDIS_CATEGORY_UINTR:
	case ZYDIS_CATEGORY_KEYLOCKER:
	case ZYDIS_CATEGORY_KEYLOCKER_WIDE:
	case ZYDIS_CATEGORY_MPX:
		return false;
	default:
		return true;
	}
}

/* True if floating point raises no exception, which would be a SIGFPE in the slot's context. */
static bool exceptions_masked(const uint8_t *x, bool x87)
{
	uint64_t bv;
	uint32_t mxcsr;
	uint16_t fcw;

	memcpy(&bv, x + XSAVE_BV, 8);
	memcpy(&fcw, x + FCW, 2);
	memcpy(&mxcsr, x + MXCSR, 4);
	if (x87)
		return !(bv & 1) || (fcw & FCW_EXCEPTIONS) == FCW_EXCEPTIONS;
	return (mxcsr & MXCSR_MASKS) == MXCSR_MASKS;
}

static bool allowed(const struct insn *n, const uint8_t *x)
{
	bool floats = false;

	if (!category_allowed(n) || n->mem->size % 8 || n->mem->size / 8 > MAX_OPERAND ||
	    !n->mem->size)
		return false;
	for (unsigned k = 0; k < n->i.operand_count; k++) {
		const ZydisDecodedOperand *op = &n->op[k];

		if (op->type == ZYDIS_OPERAND_TYPE_MEMORY && op != n->mem)
			return false;
		if (op->type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		if (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, op->reg.value) ==
		    ZYDIS_REGISTER_RSP)
			return false;
		switch (ZydisRegisterGetClass(op->reg.value)) {
		case ZYDIS_REGCLASS_SEGMENT:
		case ZYDIS_REGCLASS_CONTROL:
		case ZYDIS_REGCLASS_DEBUG:
		case ZYDIS_REGCLASS_TABLE:
		case ZYDIS_REGCLASS_TMM:
		case ZYDIS_REGCLASS_IP:
			return false;
		case ZYDIS_REGCLASS_GPR8:
		case ZYDIS_REGCLASS_GPR16:
		case ZYDIS_REGCLASS_GPR32:
		case ZYDIS_REGCLASS_GPR64:
		case ZYDIS_REGCLASS_FLAGS:
			break;
		default:
			floats = true;
		}
	}
	return !floats || (exceptions_masked(x, false) && exceptions_masked(x, true));
}

/* True if the quotient fits: one that does not is a divide error. SDM 2A, DIV and IDIV */
static bool divides(const struct insn *n, const uint8_t *data)
{
	static const ZydisRegister lows[] = { [1] = ZYDIS_REGISTER_AL,
					      [2] = ZYDIS_REGISTER_AX,
					      [4] = ZYDIS_REGISTER_EAX,
					      [8] = ZYDIS_REGISTER_RAX };
	static const ZydisRegister highs[] = { [1] = ZYDIS_REGISTER_AH,
					       [2] = ZYDIS_REGISTER_DX,
					       [4] = ZYDIS_REGISTER_EDX,
					       [8] = ZYDIS_REGISTER_RDX };
	unsigned size = n->mem->size / 8, bits = 8 * size;
	uint64_t low, high, d = 0;
	unsigned __int128 v, mag;
	bool vneg, dneg;

	if (n->i.mnemonic != ZYDIS_MNEMONIC_DIV && n->i.mnemonic != ZYDIS_MNEMONIC_IDIV)
		return true;
	memcpy(&d, data, size);
	x86_get_reg(n->uc, lows[size], &low);
	x86_get_reg(n->uc, highs[size], &high);
	if (n->i.mnemonic == ZYDIS_MNEMONIC_DIV)
		return d > high;
	vneg = high >> (bits - 1) & 1;
	dneg = d >> (bits - 1) & 1;
	v = (unsigned __int128)high << bits | low;
	if (vneg) {
		v = -v;
		if (bits < 64)
			v &= ((unsigned __int128)1 << 2 * bits) - 1;
	}
	if (dneg)
		d = -d & (bits < 64 ? (1ull << bits) - 1 : ~0ull);
	if (!d)
		return false;
	mag = v / d;
	return mag < ((unsigned __int128)1 << (bits - 1)) + (vneg != dneg);
}

/* ---- which bytes of the operand ---- */

static unsigned elements_of_mask(const struct insn *n, uint64_t mask, unsigned each, unsigned size,
				 uint8_t *need)
{
	unsigned count = 0;

	for (unsigned e = 0; e < size / each; e++) {
		memset(need + (size_t)e * each, mask >> e & 1, each);
		count += mask >> e & 1;
	}
	return count;
}

/*
 * Find the bytes of its operand that it reads: all, but with a mask. An element that is masked off
 * is not accessed, if the instruction works element by element, which its class of exceptions says
 * (SDM 2, 2.8: those that suppress the faults of such elements). The others read all, as the
 * processor may.
 */
static int bytes_read(const struct insn *n, unsigned size, uint8_t need[MAX_OPERAND])
{
	unsigned each = 0, count;
	uint8_t v[64];
	uint64_t mask;

	memset(need, 1, size);
	switch (n->i.mnemonic) {
	case ZYDIS_MNEMONIC_VMASKMOVPS:
	case ZYDIS_MNEMONIC_VPMASKMOVD:
		each = 4;
		break;
	case ZYDIS_MNEMONIC_VMASKMOVPD:
	case ZYDIS_MNEMONIC_VPMASKMOVQ:
		each = 8;
		break;
	default:
		break;
	}
	if (each) { /* the sign bits of a register */
		mask = 0;
		if (size > 32 || !x86_get_vec(n->uc, n->op[1].reg.value, v, size))
			return -EOPNOTSUPP;
		for (unsigned e = 0; e < size / each; e++)
			mask |= (uint64_t)(v[e * each + each - 1] >> 7) << e;
		elements_of_mask(n, mask, each, size, need);
		return 0;
	}
	if (n->i.encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX ||
	    n->i.avx.mask.reg == ZYDIS_REGISTER_K0 || n->i.avx.mask.reg == ZYDIS_REGISTER_NONE ||
	    size > 64)
		return 0;
	switch (n->i.meta.exception_class) {
	case ZYDIS_EXCEPTION_CLASS_E1:
	case ZYDIS_EXCEPTION_CLASS_E2:
	case ZYDIS_EXCEPTION_CLASS_E3:
	case ZYDIS_EXCEPTION_CLASS_E4:
	case ZYDIS_EXCEPTION_CLASS_E5:
	case ZYDIS_EXCEPTION_CLASS_E10:
		break;
	default:
		return 0;
	}
	each = n->mem->element_size / 8;
	if (!each || n->mem->element_size % 8 ||
	    n->i.avx.broadcast.mode != ZYDIS_BROADCAST_MODE_INVALID ||
	    n->mem->element_count != n->op[0].element_count || size % each)
		return 0;
	if (!x86_get_mask(n->uc, n->i.avx.mask.reg, &mask))
		return -EOPNOTSUPP;
	count = elements_of_mask(n, mask, each, size, need);
	if (n->i.meta.category == ZYDIS_CATEGORY_EXPAND) { /* so many from the start */
		memset(need, 0, size);
		memset(need, 1, (size_t)count * each);
	}
	return 0;
}

/* Load or store the bytes that @used names, in pieces of at most 8, aligned in the operand. */
static int transfer(struct insn *n, bool write, uint8_t *data, const uint8_t *used, unsigned size)
{
	unsigned at, len, run;
	int ret;

	for (at = 0; at < size; at += len) {
		len = 1;
		if (!used[at])
			continue;
		for (run = 1; run < 8 && at + run < size && used[at + run]; run++)
			;
		while (2 * len <= run && !(at & (2 * len - 1)))
			len *= 2;
		ret = write ? insn_store(n, n->at + at, data + at, len)
			    : insn_load(n, n->at + at, data + at, len);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- running ---- */

/*
 * Make at @code the instruction with its memory operand at @data, and a jump to x86_step_back.
 * False: too long.
 */
static bool reencode(const struct insn *n, uint8_t *code, const uint8_t *data)
{
	const ZydisDecodedInstructionRaw *raw = &n->i.raw;
	unsigned modrm = raw->modrm.offset, tail, len, k;
	uint64_t back = (uintptr_t)x86_step_back;
	uint8_t b[MAX_INSN];
	int32_t disp;

	if (!(n->i.attributes & ZYDIS_ATTRIB_HAS_MODRM) || !modrm)
		return false;
	tail = modrm + 1 + (n->i.attributes & ZYDIS_ATTRIB_HAS_SIB ? 1 : 0) + raw->disp.size / 8;
	len = modrm + 1 + 4 + (n->i.length - tail);
	if (len > MAX_INSN || tail > n->i.length)
		return false;
	memcpy(b, n->code, modrm);
	/* an address of 64 bits: DS means nothing, and no byte moves */
	for (k = 0; k < raw->prefix_count; k++)
		if (b[k] == 0x67)
			b[k] = 0x3e;
	/*
	 * extensions of base and index, in whatever prefix, do not matter to this form: SDM 2,
	 * 2.2.1.6
	 */
	b[modrm] = (uint8_t)(raw->modrm.reg << 3 | 5); /* [rip + disp32] */
	disp = (int32_t)(data - (code + len));
	memcpy(b + modrm + 1, &disp, 4);
	memcpy(b + modrm + 5, n->code + tail, n->i.length - tail);
	memcpy(code, b, len);
	memcpy(code + len, "\xff\x25\0\0\0\0", 6); /* jmp *(%rip) */
	memcpy(code + len + 6, &back, 8);
	return true;
}

/* Keep x87's pointers to its last instruction and operand: they are the program's. */
static void fix_x87(const struct insn *n, uint8_t *x, const struct area *a, const uint8_t *data)
{
	uint64_t fip, fdp;

	memcpy(&fip, x + FIP, 8);
	memcpy(&fdp, x + FDP, 8);
	if (fip >= (uintptr_t)a->code && fip < (uintptr_t)a->code + sizeof(a->code)) {
		fip = (uint64_t)n->uc->uc_mcontext.gregs[REG_RIP];
		memcpy(x + FIP, &fip, 8);
	}
	if (fdp == (uintptr_t)data) {
		fdp = n->at;
		memcpy(x + FDP, &fdp, 8);
	}
}

static void get_gprs(const struct insn *n, struct step *s)
{
	for (unsigned r = 0; r < 16; r++)
		x86_get_reg(n->uc, ZYDIS_REGISTER_RAX + r, &s->gpr[r]);
	s->flags = (insn_flags(n) & X86_STATUS_FLAGS) | 2;
}

static void set_gprs(struct insn *n, const struct step *s)
{
	for (unsigned r = 0; r < 16; r++)
		if (r != ZYDIS_REGISTER_RSP - ZYDIS_REGISTER_RAX)
			x86_set_reg(n->uc, ZYDIS_REGISTER_RAX + r, s->gpr[r]);
	n->uc->uc_mcontext.gregs[REG_EFL] =
		(greg_t)((insn_flags(n) & ~X86_STATUS_FLAGS) | (s->flags & X86_STATUS_FLAGS));
}

static int step(struct insn *n, struct area *a, int slot, uint8_t *x, size_t xsize, uint64_t mask)
{
	const ZydisOperandActions rd = ZYDIS_OPERAND_ACTION_READ | ZYDIS_OPERAND_ACTION_CONDREAD;
	const ZydisOperandActions wr = ZYDIS_OPERAND_ACTION_WRITE | ZYDIS_OPERAND_ACTION_CONDWRITE;
	struct scratch *sc = &a->scratch[slot];
	uint8_t *data = sc->data + (n->at & 63), used[MAX_OPERAND];
	bool writes = n->mem->actions & wr, reads = n->mem->actions & rd;
	unsigned size = n->mem->size / 8;
	struct step s;
	int ret;

	/* a masked store keeps what it does not write, and does not read it */
	if (writes && n->i.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		reads = false;
	if (!reencode(n, a->code[slot], data))
		return -EOPNOTSUPP;
	get_gprs(n, &s);
	s.code = (uintptr_t)a->code[slot];
	s.from = x;
	s.mask = mask;
	memset(data, 0, size);
	if (reads) {
		ret = bytes_read(n, size, used);
		if (!ret)
			ret = transfer(n, false, data, used, size);
		if (!ret && !divides(n, data))
			ret = -EOPNOTSUPP;
		if (ret)
			return ret;
	} else {
		s.to = NULL;
		if (x86_step_run(&s))
			return insn_protection(n);
		memcpy(sc->first, data, size);
		memset(data, 0xff, size);
		get_gprs(n, &s);
	}
	memcpy(sc->state, x, xsize);
	s.to = x;
	if (x86_step_run(&s))
		return insn_protection(n);
	fix_x87(n, x, a, data);
	if (writes) {
		for (unsigned k = 0; k < size; k++)
			used[k] = reads || sc->first[k] == data[k];
		ret = transfer(n, true, data, used, size);
		if (ret) {
			memcpy(x, sc->state, xsize);
			return ret;
		}
	}
	set_gprs(n, &s);
	return insn_done(n);
}

int insn_stepping(struct insn *n)
{
	uint8_t *x = (uint8_t *)n->uc->uc_mcontext.fpregs;
	uint64_t mask, signals;
	uint32_t magic, xsize;
	struct area *a;
	int ret, slot;

	if (!x)
		return -EOPNOTSUPP;
	memcpy(&magic, x + SW_MAGIC, 4);
	memcpy(&mask, x + SW_FEATURES, 8);
	memcpy(&xsize, x + SW_SIZE, 4);
	/* what is behind the vectors (AMX) stays as it is */
	if (xsize > sizeof(((struct scratch *)0)->state))
		xsize = sizeof(((struct scratch *)0)->state);
	if (magic != SW_MAGIC1 || !allowed(n, x))
		return -EOPNOTSUPP;
	ret = insn_locate(n, n->at, n->mem->size / 8);
	if (ret)
		return ret;
	a = area();
	if (!a)
		return -EOPNOTSUPP;
	slot = take(&signals);
	if (slot < 0)
		return -EOPNOTSUPP;
	ret = step(n, a, slot, x, xsize, mask & MODEL_MASK);
	give(slot, &signals);
	return ret;
}
