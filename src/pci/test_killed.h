/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/test_killed.h: a function in a process of its own that is killed and made again, for unit
 * tests of models that carry on. The driver is here; its memory and what the model keeps
 * (uvfio_lasting()) are shared with the process that has the function, and registers are accessed
 * by messages. When the process dies another one takes its place, carries on, and the access that
 * had no answer is made again, with its number, as the client of a server with --state does it.
 *
 * A process is killed at any time by kill(2); or before its Nth store to what it keeps, or to parts
 * of the driver's memory: these pages are read-only then, a fault counts, and the one instruction
 * is stepped over with the pages writable. So each state that the memory goes through can be tried.
 */
#ifndef PCI_TEST_KILLED_H
#define PCI_TEST_KILLED_H
#include <linux/pci_regs.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/ucontext.h>
#include <sys/wait.h>
#include <time.h>

#include "base/guard.h"
#include "base/sanitize.h"
#include "pci/test_platform.h"

#define KILLED_KEPT (64u << 20)

/* Faults are counted where no sanitizer has handlers of its own. */
#if defined(SANITIZED_THREAD) || defined(SANITIZED_ADDRESS)
#define CAN_COUNT_STORES false
#else
#define CAN_COUNT_STORES true
#endif

enum killed_what { KILLED_READ, KILLED_WRITE, KILLED_RESET, KILLED_ARM };

struct killed_message {
	enum killed_what what;
	unsigned size;
	uint16_t number;
	uint64_t off, value;
};

#define KILLED_WATCHED 4u
/* Shared with the function's process. */
struct killed_shared {
	atomic_int left;   /* stores until it is killed; 0: they are not counted */
	atomic_int irqs;   /* of all processes */
	atomic_int stores; /* that were counted */
	/* parts of the driver's memory whose stores count, too: offsets */
	uint64_t at[KILLED_WATCHED], size[KILLED_WATCHED];
};

struct killed {
	const struct uvfio_model *model;
	struct pci_option opts[8];
	unsigned num_opts;
	char *mem; /* the driver's, shared */
	uint64_t iova, mem_size;
	uint32_t vectors; /* of MSI-X, that are not masked: a bit each */
	/* return what uvfio_lasting() gave, and of how many bytes stores count */
	char *(*kept_memory)(pci_function *fn, size_t *size);
	void (*prepare)(const struct killed *k); /* or NULL; in the process, at first */
	void (*dead)(struct killed *k);		 /* or NULL; before another process is there */
	struct killed_shared *shared;
	int kept, sock;
	pid_t pid;
	uint16_t number; /* of the access */
	unsigned kills;
	int arm_next;	  /* stores after which the next process is killed, while it carries on */
	uint64_t kill_in; /* ns: how long after its begin the next access is cut short; 0: not */
};

static inline uint64_t killed_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* ---- the function's process ---- */

static struct {
	char *at;
	size_t len;
} watched[KILLED_WATCHED + 1];
static unsigned num_watched;
static struct killed_shared *watch_shared;
static struct sigaction watch_chain;

static inline void watch_protect(int prot)
{
	for (unsigned i = 0; i < num_watched; i++)
		mprotect(watched[i].at, watched[i].len, prot);
}

/* None goes again: a thread may be on its way to the handler. */
static inline void watch(char *at, size_t len)
{
	for (unsigned i = 0; i < num_watched; i++)
		if (watched[i].at == at)
			return;
	watched[num_watched].at = at;
	watched[num_watched++].len = len;
}

static inline void on_store(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	char *at = info->si_addr;
	bool found = false;

	for (unsigned i = 0; i < num_watched; i++)
		found |= at >= watched[i].at && at < watched[i].at + watched[i].len;
	if (!found) {
		watch_chain.sa_sigaction(sig, info, context);
		return;
	}
	atomic_fetch_add(&watch_shared->stores, 1);
	if (atomic_load(&watch_shared->left) && atomic_fetch_sub(&watch_shared->left, 1) == 1) {
		kill(getpid(), SIGKILL);
		pause();
	}
	watch_protect(PROT_READ | PROT_WRITE);
	uc->uc_mcontext.gregs[REG_EFL] |= 0x100; /* TF: one instruction */
	sigdelset(&uc->uc_sigmask, SIGTRAP);	 /* threads of a model have it blocked */
}

static inline void on_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	uc->uc_mcontext.gregs[REG_EFL] &= ~0x100ll;
	if (atomic_load(&watch_shared->left))
		watch_protect(PROT_READ);
}

/* Kill this process before its store @left; 0: not. */
static inline void watch_start(struct killed *k, pci_function *fn, int left)
{
	struct sigaction sa = { .sa_sigaction = on_store, .sa_flags = SA_SIGINFO };
	char *kept;
	size_t size;

	watch_protect(PROT_READ | PROT_WRITE);
	atomic_store(&k->shared->left, left);
	if (!left)
		return;
	kept = k->kept_memory(fn, &size);
	watch(kept, size);
	for (unsigned i = 0; i < KILLED_WATCHED; i++)
		if (k->shared->size[i])
			watch(k->mem + k->shared->at[i], k->shared->size[i]);
	if (!watch_shared) {
		watch_shared = k->shared;
		sigaction(SIGSEGV, &sa, &watch_chain);
		sa.sa_sigaction = on_step;
		sigaction(SIGTRAP, &sa, NULL);
	}
	watch_protect(PROT_READ);
}

static inline void count_irq(void *arg, unsigned vector)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static inline void killed_set_up(struct killed *k, pci_function *fn)
{
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	pci_msix_enable(fn);
	for (unsigned i = 0; i < 32; i++)
		if (k->vectors >> i & 1)
			pci_msix_set_mask(fn, i, false);
}

static inline pci_function *killed_function(struct killed *k, bool carry_on)
{
	struct iommu_domain *dom = iommu_domain_new();
	struct pci_irq_sink sink = { .msi = count_irq, .arg = &k->shared->irqs };
	pci_function *fn;
	char err[512];

	if (pci_function_new(k->model, "0000:01:00.0", 0, loop_new(), k->opts, k->num_opts, err,
			     sizeof(err), &fn))
		_exit(3);
	if (carry_on &&
	    (pci_function_stop(fn, UVFIO_STOP_DMA) || pci_function_stop(fn, UVFIO_STOP_ALL)))
		_exit(3);
	if (pci_lasting_map(fn, k->kept, 0, carry_on))
		_exit(3);
	watch_start(k, fn, k->arm_next);
	if (carry_on && pci_function_carry_on(fn))
		_exit(4);
	if (iommu_domain_map(dom, k->iova, test_foreign_of((uint8_t *)k->mem), k->mem_size,
			     IOMMU_READ | IOMMU_WRITE))
		_exit(5);
	iommu_device_attach(pci_function_iommu(fn), dom);
	killed_set_up(k, fn);
	pci_set_irq_sink(fn, &sink);
	if (carry_on) {
		pci_function_resume(fn, UVFIO_STOP_ALL);
		pci_function_resume(fn, UVFIO_STOP_DMA);
	}
	watch_start(k, fn, 0);
	return fn;
}

/* Have a function until the driver is gone. It may be killed at any time. */
static inline void killed_process(struct killed *k, bool carry_on)
{
	struct killed_message m;
	pci_function *fn;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	guard_install();
	if (k->prepare)
		k->prepare(k);
	fn = killed_function(k, carry_on);
	while (recv(k->sock, &m, sizeof(m), 0) == sizeof(m)) {
		if (m.what != KILLED_ARM)
			pci_lasting_access(fn, m.number);
		switch (m.what) {
		case KILLED_READ:
			pci_bar_read(fn, 0, m.off, m.size, &m.value);
			break;
		case KILLED_WRITE:
			pci_bar_write(fn, 0, m.off, m.size, m.value);
			break;
		case KILLED_RESET:
			pci_function_reset(fn, UVFIO_RESET_FLR);
			pci_config_write(fn, PCI_COMMAND, 2,
					 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
			pci_msix_enable(fn);
			break;
		case KILLED_ARM:
			watch_start(k, fn, (int)m.value);
			break;
		}
		if (send(k->sock, &m, sizeof(m), MSG_NOSIGNAL) != sizeof(m))
			break;
	}
	_exit(0);
}

/* ---- the driver's side ---- */

static inline void killed_start(struct killed *k, bool carry_on)
{
	int sock[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock), 0);
	fflush(NULL);
	k->pid = fork();
	assert_true(k->pid >= 0);
	if (!k->pid) {
		close(sock[0]);
		k->sock = sock[1];
		killed_process(k, carry_on);
	}
	close(sock[1]);
	k->sock = sock[0];
}

/* Have another process where one was killed. */
static inline void killed_again(struct killed *k)
{
	int status;

	assert_int_equal(waitpid(k->pid, &status, 0), k->pid);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("the function's process ended with status %x", status);
	close(k->sock);
	k->kills++;
	if (k->dead)
		k->dead(k);
	killed_start(k, true);
	k->arm_next = 0;
}

static inline void killed_kill(struct killed *k)
{
	kill(k->pid, SIGKILL);
	killed_again(k);
}

static inline bool killed_call(struct killed *k, struct killed_message *m)
{
	uint64_t end = killed_now() + k->kill_in;
	bool cut = k->kill_in, answered;

	k->kill_in = 0;
	if (send(k->sock, m, sizeof(*m), MSG_NOSIGNAL) != sizeof(*m))
		return false;
	while (killed_now() < end)
		;
	if (cut)
		kill(k->pid, SIGKILL);
	answered = recv(k->sock, m, sizeof(*m), 0) == sizeof(*m);
	if (cut && answered)
		killed_again(k);
	return answered;
}

static inline uint64_t killed_access(struct killed *k, uint64_t off, unsigned size, bool write,
				     uint64_t value)
{
	k->number++;
	for (;;) {
		struct killed_message m = { write ? KILLED_WRITE : KILLED_READ, size, k->number,
					    off, value };

		if (killed_call(k, &m))
			return m.value;
		killed_again(k);
	}
}

static inline void killed_reset(struct killed *k)
{
	k->number++;
	while (!killed_call(k,
			    &(struct killed_message){ .what = KILLED_RESET, .number = k->number }))
		killed_again(k);
}

/* Have the process killed before store @left; 0: not. */
static inline void killed_arm(struct killed *k, int left)
{
	struct killed_message m = { .what = KILLED_ARM, .value = (uint64_t)left };

	if (!killed_call(k, &m))
		killed_again(k);
}

/* Called while the driver waits: has the process died? */
static inline void killed_idle(struct killed *k)
{
	siginfo_t info = { 0 };

	assert_int_equal(waitid(P_PID, (id_t)k->pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
	if (info.si_pid)
		killed_again(k);
}

/* Begin, with all that is said of the model and the driver's memory; which is made. */
static inline void killed_begin(struct killed *k)
{
	log_set(2, LOG_NONE);
	k->mem = mmap(NULL, k->mem_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	k->shared = mmap(NULL, sizeof(*k->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(k->mem != MAP_FAILED && k->shared != MAP_FAILED);
	k->kept = memfd_create("kept", MFD_CLOEXEC);
	assert_int_equal(ftruncate(k->kept, KILLED_KEPT), 0);
	killed_start(k, false);
}

static inline void killed_end(struct killed *k)
{
	kill(k->pid, SIGKILL);
	waitpid(k->pid, NULL, 0);
	close(k->sock);
	close(k->kept);
	munmap(k->mem, k->mem_size);
	munmap(k->shared, sizeof(*k->shared));
}
#endif
