/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/go.c: programs in Go. Their standard library makes its system calls itself, all of them in
 * one function (Syscall6, since Go 1.19), and so an open of the view would be the kernel's. The
 * filter cannot trap an open: it outlives an exec, and a program without the shim would be killed
 * by it. But that function is the program's own text, which is gone after an exec: its system call
 * instruction becomes a jump to a piece of code that lets most calls through, and hands those that
 * have to do with the view, or with memory, to the SIGSYS handler, by way of an ioctl that the
 * filter traps already. So nothing of ours runs on the small stack of a goroutine. Go's run time,
 * which has system calls of its own for itself, is left alone.
 *
 * A Go program without cgo has a dynamic linker at most, not a libc: it takes the thread register
 * for itself, and nothing of ours could run in it.
 */
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/reach.h"
#include "shim/calls.h"
#include "shim/scope.h"
#include "shim/shim.h"

#define NOTE_TYPE 4 /* cmd/internal/buildid: the build ID, in a note of the owner "Go" */

/*
 * The calls that come to us. A child before its exec makes them itself: it has all signals blocked
 * (and another pid).
 */
static const short calls[] = {
	SYS_open,	   SYS_creat,	   SYS_openat, SYS_openat2,  SYS_stat,	    SYS_fstat,
	SYS_lstat,	   SYS_newfstatat, SYS_statx,  SYS_access,   SYS_faccessat, SYS_faccessat2,
	SYS_readlink,	   SYS_readlinkat, SYS_chdir,  SYS_fchdir,   SYS_getcwd,    SYS_mkdir,
	SYS_mkdirat,	   SYS_rmdir,	   SYS_unlink, SYS_unlinkat, SYS_rename,    SYS_renameat,
	SYS_renameat2,	   SYS_link,	   SYS_linkat, SYS_symlink,  SYS_symlinkat, SYS_truncate,
	SYS_ftruncate,	   SYS_fallocate,  SYS_chmod,  SYS_fchmodat, SYS_chown,	    SYS_lchown,
	SYS_fchownat,	   SYS_utimensat,  SYS_mmap,   SYS_munmap,   SYS_mremap,    SYS_mprotect,
	SYS_pkey_mprotect, SYS_madvise,	   SYS_msync,  SYS_mlock,    SYS_mlock2,    SYS_mlockall,
};

#define NUMBERS 448u /* a multiple of 8 that is more than all of them */

/*
 * The code that stands for the instruction, once for each place. Go's functions keep no registers
 * but RSP, RBP and R14 (its internal ABI), and a system call changes RCX and R11 anyway. At its end
 * RAX is compared as by the instruction behind the place, which the jump has overwritten, too.
 */
extern const char shim_go_code[], shim_go_trapped[], shim_go_table[], shim_go_pid[], shim_go_back[],
	shim_go_code_end[];
__asm__(".text\n"
	".balign 16\n"
	".hidden shim_go_code, shim_go_trapped, shim_go_table, shim_go_pid, shim_go_back, "
	"shim_go_code_end\n"
	".globl shim_go_code, shim_go_trapped, shim_go_table, shim_go_pid, shim_go_back, "
	"shim_go_code_end\n"
	"shim_go_code:\n"
	"	cmpq $448, %rax\n"
	"	jae 1f\n"
	"	btq %rax, shim_go_table(%rip)\n"
	"	jc 3f\n"
	"1:	syscall\n"
	"2:	cmpq $0xfffffffffffff001, %rax\n"
	"	jmp *shim_go_back(%rip)\n"
	"3:	movq %rax, %rbx\n"
	"	movl $39, %eax\n" /* getpid */
	"	syscall\n"
	"	cmpl shim_go_pid(%rip), %eax\n"
	"	movq %rbx, %rax\n"
	"	jne 1b\n"
	"	movq %rdi, %r12\n"
	"	movq %rsi, %r13\n"
	"	movl $16, %eax\n" /* ioctl(-1, SHIM_GO_CMD) */
	"	movl $-1, %edi\n"
	"	movl $0x3bfe, %esi\n"
	"	syscall\n"
	"shim_go_trapped:\n"
	"	jmp 2b\n"
	".balign 8\n"
	"shim_go_table: .skip 56\n"
	"shim_go_back: .quad 0\n"
	"shim_go_pid: .long 0\n"
	".balign 16\n"
	"shim_go_code_end:\n");
_Static_assert(NUMBERS == 448 && SYS_getpid == 39 && SYS_ioctl == 16 && SHIM_GO_CMD == 0x3bfe,
	       "as the code has it");

/* mov %rsi,%r10; mov %rdi,%rdx; mov %rcx,%rsi; mov %rbx,%rdi; syscall; cmp $-4095,%rax */
static const unsigned char pattern[] = {
	0x49, 0x89, 0xf2, 0x48, 0x89, 0xfa, 0x48, 0x89, 0xce, 0x48,
	0x89, 0xdf, 0x0f, 0x05, 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff
};
#define PLACE 12u /* of the system call in it */
#define TAKEN 8u  /* bytes, with the comparison */

static uintptr_t page; /* the code for each place, one after the other */
static unsigned places;

static bool has_note(const struct dl_phdr_info *info)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const char *at = (const char *)info->dlpi_addr + ph->p_vaddr,
			   *end = at + ph->p_memsz;

		while (ph->p_type == PT_NOTE && end - at >= (ptrdiff_t)sizeof(ElfW(Nhdr))) {
			const ElfW(Nhdr) *n = (const void *)at;

			if (n->n_type == NOTE_TYPE && n->n_namesz == 4 &&
			    end - at >= (ptrdiff_t)sizeof(*n) + 4 && !memcmp(n + 1, "Go\0", 4))
				return true;
			at += sizeof(*n) + align_up(n->n_namesz, 4) + align_up(n->n_descsz, 4);
		}
	}
	return false;
}

static bool needs_libraries(const struct dl_phdr_info *info)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			for (const ElfW(Dyn) *d =
				     (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
			     d->d_tag != DT_NULL; d++)
				if (d->d_tag == DT_NEEDED)
					return true;
	return false;
}

/* Look at the first object, which is the program. */
static int look_at_program(struct dl_phdr_info *info, size_t size, void *arg)
{
	*(bool *)arg = has_note(info) && !needs_libraries(info);
	return 1;
}

bool shim_go_without_libc(void)
{
	bool without = false;

	dl_iterate_phdr(look_at_program, &without);
	return without;
}

/*
 * Get a page that a jump from the text at @start reaches, below it: behind the program is its heap.
 */
static bool get_page(uintptr_t start)
{
	const uintptr_t step = 1u << 16;
	long p;

	for (uintptr_t at = align_down(start, step), n = 0; !page && at > 2 * step && n < 1024;
	     n++) {
		at -= step;
		p = sys_call(SYS_mmap, (long)at, PAGE_SIZE_4K, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (p == (long)at)
			page = at;
		else if (p > 0 || p < -4095) /* a kernel that does not know NOREPLACE */
			sys_call(SYS_munmap, p, PAGE_SIZE_4K, 0, 0, 0, 0);
	}
	return page;
}

static bool redirect(uintptr_t start, unsigned char *place)
{
	const size_t size = (size_t)(shim_go_code_end - shim_go_code);
	unsigned char jump[TAKEN] = { 0xe9, 0, 0, 0, 0, 0xcc, 0xcc, 0xcc };
	uint64_t back = (uint64_t)(place + TAKEN);
	int64_t far;
	char *code;

	if (!get_page(start) || (places + 1) * size > PAGE_SIZE_4K)
		return false;
	code = (char *)page + places * size;
	far = (int64_t)((uintptr_t)code - ((uintptr_t)place + 5));
	if (far != (int32_t)far ||
	    sys_call(SYS_mprotect, (long)page, PAGE_SIZE_4K, PROT_READ | PROT_WRITE, 0, 0, 0))
		return false;
	memcpy(code, shim_go_code, size);
	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++)
		code[shim_go_table - shim_go_code + calls[i] / 8] |= (char)(1 << calls[i] % 8);
	memcpy(code + (shim_go_back - shim_go_code), &back, sizeof(back));
	memcpy(code + (shim_go_pid - shim_go_code), (int32_t[1]){ (int32_t)shim.pid },
	       sizeof(int32_t));
	if (sys_call(SYS_mprotect, (long)page, PAGE_SIZE_4K, PROT_READ | PROT_EXEC, 0, 0, 0))
		return false;
	memcpy(jump + 1, &(int32_t){ (int32_t)far }, sizeof(int32_t));
	/* no other thread runs yet: this is before the program's first instruction */
	if (reach_write(place, jump, sizeof(jump)) != sizeof(jump))
		return false;
	places++;
	return true;
}

static int redirect_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	bool found = false;

	if (!has_note(info))
		return 0;
	/* asked here, since a debugger stops at the signal that answers */
	if (!shim_traps())
		return 1;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		unsigned char *at = (unsigned char *)info->dlpi_addr + ph->p_vaddr,
			      *end = at + ph->p_memsz;

		if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
			continue;
		while ((at = memmem(at, (size_t)(end - at), pattern, sizeof(pattern)))) {
			found |= redirect((uintptr_t)info->dlpi_addr + info->dlpi_phdr[0].p_vaddr,
					  at + PLACE);
			at += sizeof(pattern);
		}
	}
	if (!found)
		report_warn("go-calls", SHIM_WHO, 0,
			    "a program in Go whose system calls cannot be found: what it opens by "
			    "its own standard library is the host's; open files of VFIO and of "
			    "sysfs through C (import \"C\")");
	return 0;
}

void shim_go_init(void)
{
	dl_iterate_phdr(redirect_object, NULL);
	if (places)
		report_debug("go-seen", SHIM_WHO, 0, "a program in Go: its system calls are seen");
}

bool shim_go_call(ucontext_t *uc)
{
	const greg_t *r = uc->uc_mcontext.gregs;
	const long a[6] = { r[REG_R12], r[REG_R13], r[REG_RDX], r[REG_R10], r[REG_R8], r[REG_R9] };
	uintptr_t at = (uintptr_t)r[REG_RIP] - page;
	const size_t size = (size_t)(shim_go_code_end - shim_go_code);
	long rc;

	if (!places || at >= places * size || at % size != (size_t)(shim_go_trapped - shim_go_code))
		return false;
	shim_from = shim_site(uc, false);
	if (!shim_syscall(r[REG_RBX], a, &rc))
		rc = sys_call(r[REG_RBX], a[0], a[1], a[2], a[3], a[4], a[5]);
	uc->uc_mcontext.gregs[REG_RAX] = rc;
	return true;
}
