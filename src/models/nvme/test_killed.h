/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/nvme/test_killed.h: a controller in a process of its own that is killed and made again,
 * for unit tests. The driver (test_driver.h) is here; its memory, the image and what the controller
 * keeps are shared with the process that has the controller, and registers are accessed by
 * messages. When the process dies another one takes its place, carries on, and the access that had
 * no answer is made again, as the client of a server with --state does it.
 *
 * A process is killed at any time by kill(2); or before its Nth store to what it keeps, or to a
 * completion queue: these pages are read-only then, a fault counts, and the one instruction is
 * stepped over with the pages writable. So each state that the memory goes through can be tried.
 */
#ifndef MODELS_NVME_TEST_KILLED_H
#define MODELS_NVME_TEST_KILLED_H
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/ucontext.h>
#include <sys/wait.h>

#include "base/sanitize.h"
#include "models/nvme/internal.h"
#include "models/nvme/test_child.h"
#include "models/nvme/test_migrate.h"

#define KEPT_SIZE (64u << 20)

/* Faults are counted where no sanitizer has handlers of its own. */
#if defined(SANITIZED_THREAD) || defined(SANITIZED_ADDRESS)
#define CAN_COUNT_STORES false
#else
#define CAN_COUNT_STORES true
#endif

enum what { READ, WRITE, RESET, ARM };

struct message {
	enum what what;
	unsigned size;
	uint64_t off, value;
};

/* Shared with the controller's process. */
struct shared {
	atomic_int left;   /* stores until it is killed; 0: they are not counted */
	atomic_int irqs;   /* of all processes */
	atomic_int stores; /* that were counted */
	/* completion queues, whose stores count, too: offsets in the driver's memory */
	uint64_t cq_at[2], cq_size[2];
};

struct far {
	struct drv drv; /* the first member: what test_driver.h is given */
	struct pci_option opts[8];
	unsigned num_opts;
	struct shared *shared;
	int kept, sock;
	pid_t pid;
	unsigned kills;
	int arm_next;	  /* stores after which the next process is killed, while it carries on */
	int denied;	  /* a system call that fails with EIO in the next process; 0: none */
	uint64_t kill_in; /* ns: how long after its begin the next access is cut short; 0: not */
};

/* ---- the controller's process ---- */

static struct {
	char *at;
	size_t len;
} watched[4];
static unsigned num_watched;
static struct shared *watch_shared;
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
static inline void watch_start(struct far *f, pci_function *fn, int left)
{
	struct sigaction sa = { .sa_sigaction = on_store, .sa_flags = SA_SIGINFO };
	const struct nvme *n = uvfio_priv(fn);

	watch_protect(PROT_READ | PROT_WRITE);
	atomic_store(&f->shared->left, left);
	if (!left)
		return;
	watch((char *)n->kept, pci_lasting_size(fn));
	for (unsigned i = 0; i < 2; i++)
		if (f->shared->cq_size[i])
			watch(f->drv.mem + f->shared->cq_at[i], f->shared->cq_size[i]);
	if (!watch_shared) {
		watch_shared = f->shared;
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

static inline pci_function *far_function(struct far *f, bool carry_on)
{
	struct iommu_domain *dom = iommu_domain_new();
	struct pci_irq_sink sink = { .msi = count_irq, .arg = &f->shared->irqs };
	pci_function *fn;
	char err[512];

	if (pci_function_new(&model_nvme, "0000:01:00.0", 0, loop_new(), f->opts, f->num_opts, err,
			     sizeof(err), &fn))
		_exit(3);
	if (carry_on)
		stop_function(fn);
	if (pci_lasting_map(fn, f->kept, 0, carry_on))
		_exit(3);
	watch_start(f, fn, f->arm_next);
	if (carry_on && pci_function_carry_on(fn))
		_exit(4);
	if (iommu_domain_map(dom, MEM_IOVA, test_foreign_of((uint8_t *)f->drv.mem), MEM_SIZE,
			     IOMMU_READ | IOMMU_WRITE))
		_exit(5);
	iommu_device_attach(pci_function_iommu(fn), dom);
	pci_config_write(fn, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	pci_msix_enable(fn);
	pci_msix_set_mask(fn, 1, false);
	pci_set_irq_sink(fn, &sink);
	if (carry_on)
		resume_function(fn);
	watch_start(f, fn, 0);
	return fn;
}

/* Have a controller until the driver is gone. It may be killed at any time. */
static inline void far_process(struct far *f, bool carry_on)
{
	pci_function *fn;
	struct message m;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	guard_install();
	if (f->denied)
		deny(f->denied, EIO);
	fn = far_function(f, carry_on);
	while (recv(f->sock, &m, sizeof(m), 0) == sizeof(m)) {
		switch (m.what) {
		case READ:
			pci_bar_read(fn, 0, m.off, m.size, &m.value);
			break;
		case WRITE:
			pci_bar_write(fn, 0, m.off, m.size, m.value);
			break;
		case RESET:
			pci_function_reset(fn, UVFIO_RESET_FLR);
			pci_config_write(fn, PCI_COMMAND, 2,
					 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
			pci_msix_enable(fn);
			break;
		case ARM:
			watch_start(f, fn, (int)m.value);
			break;
		}
		if (send(f->sock, &m, sizeof(m), MSG_NOSIGNAL) != sizeof(m))
			break;
	}
	_exit(0);
}

/* ---- the driver's side ---- */

static inline void far_start(struct far *f, bool carry_on)
{
	int sock[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock), 0);
	fflush(NULL);
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (!f->pid) {
		close(sock[0]);
		f->sock = sock[1];
		far_process(f, carry_on);
	}
	close(sock[1]);
	f->sock = sock[0];
}

/* Have another process where one was killed. */
static inline void far_again(struct far *f)
{
	int status;

	assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("the controller's process ended with status %x", status);
	close(f->sock);
	f->kills++;
	far_start(f, true);
	f->arm_next = 0;
}

static inline void far_kill(struct far *f)
{
	kill(f->pid, SIGKILL);
	far_again(f);
}

static inline bool far_call(struct far *f, struct message *m)
{
	uint64_t end = test_now() + f->kill_in;
	bool cut = f->kill_in, answered;

	f->kill_in = 0;
	if (send(f->sock, m, sizeof(*m), MSG_NOSIGNAL) != sizeof(*m))
		return false;
	while (test_now() < end)
		;
	if (cut)
		kill(f->pid, SIGKILL);
	answered = recv(f->sock, m, sizeof(*m), 0) == sizeof(*m);
	if (cut && answered)
		far_again(f);
	return answered;
}

static inline uint64_t far_access(struct drv *d, uint64_t off, unsigned size, bool write,
				  uint64_t value)
{
	struct far *f = (struct far *)d;

	for (;;) {
		struct message m = { write ? WRITE : READ, size, off, value };

		if (far_call(f, &m))
			return m.value;
		far_again(f);
	}
}

static inline void far_reset(struct far *f)
{
	while (!far_call(f, &(struct message){ .what = RESET }))
		far_again(f);
}

/* Have the process killed before store @left; 0: not. */
static inline void far_arm(struct far *f, int left)
{
	struct message m = { .what = ARM, .value = (uint64_t)left };

	if (!far_call(f, &m))
		far_again(f);
}

/* Called while the driver waits: has the process died? */
static inline void far_idle(struct drv *d)
{
	struct far *f = (struct far *)d;
	siginfo_t info = { 0 };

	assert_int_equal(waitid(P_PID, (id_t)f->pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
	if (info.si_pid)
		far_again(f);
}

static inline struct far *far_new(uint64_t size, const char *dir, const struct pci_option *more,
				  unsigned count)
{
	struct far *f = calloc(1, sizeof(*f));
	struct drv *d = &f->drv;

	log_set(2, LOG_NONE);
	make_image(d->image, sizeof(d->image), size, dir);
	f->opts[f->num_opts++] = (struct pci_option){ "image", d->image };
	for (unsigned i = 0; i < count; i++)
		f->opts[f->num_opts++] = more[i];
	d->mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	f->shared = mmap(NULL, sizeof(*f->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(d->mem != MAP_FAILED && f->shared != MAP_FAILED);
	f->kept = memfd_create("kept", MFD_CLOEXEC);
	assert_int_equal(ftruncate(f->kept, KEPT_SIZE), 0);
	d->access = far_access;
	d->idle = far_idle;
	far_start(f, false);
	return f;
}

static inline void far_free(struct far *f)
{
	kill(f->pid, SIGKILL);
	waitpid(f->pid, NULL, 0);
	close(f->sock);
	close(f->kept);
	munmap(f->drv.mem, MEM_SIZE);
	munmap(f->shared, sizeof(*f->shared));
	unlink(f->drv.image);
	free(f);
}
#endif
