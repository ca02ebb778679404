/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/shim.c: the shim's life. The constructor reads the environment that `uvfio run` made and
 * puts filter and handlers in place; it builds nothing, since most processes that it is loaded into
 * (shells, compilers, helpers) never open a device, and those that do often fork first. The
 * machine, of places so far, is built by the first open of a file of /dev/vfio, and a device by
 * that of its group.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/event.h"
#include "base/rcu.h"
#include "check/check.h"
#include "far/link.h"
#include "fault/fault.h"
#include "machine/run/run.h"
#include "shim/bars.h"
#include "shim/calls.h"
#include "shim/handles.h"
#include "shim/mem.h"
#include "shim/paths.h"
#include "shim/scope.h"
#include "trace/trace.h"
#include "vfio/abi.h"
#include "vfio/iommu_hw.h"

/*
 * The one piece of state that hangs off nothing: there is one shim in a process, as there is one
 * libc.
 */
struct shim shim = { .build_lock = PTHREAD_MUTEX_INITIALIZER, .log_fd = -1, .presence_fd = -1 };

extern struct shim_next __start_shim_nexts[] __attribute__((visibility("hidden")));
extern struct shim_next __stop_shim_nexts[] __attribute__((visibility("hidden")));

void *shim_next(struct shim_next *next)
{
	if (!next->fn)
		next->fn = dlsym(RTLD_NEXT, next->name);
	return next->fn;
}

struct line {
	const struct report_code *code;
	const char *who;
	int err;
	const char *fmt;
	va_list ap;
};

static long run_report(void *arg)
{
	struct line *l = arg;

	report_vsay(l->code, l->who, l->err, l->fmt, l->ap);
	return 0;
}

void shim_report(const struct report_code *code, const char *who, int err, const char *fmt, ...)
{
	struct line l = { .code = code, .who = who, .err = err, .fmt = fmt };

	va_start(l.ap, fmt);
	shim_run(run_report, &l);
	va_end(l.ap);
}

static struct uapi_file *fds_fget(void *arg, int fd, int *err)
{
	struct shim_handle *h = shim_handle_get_own(fd, err);
	struct uapi_file *f = NULL;

	if (!h) {
		if (!*err)
			shim_is_foreign(fd);
		return NULL;
	}
	*err = 0;
	f = shim_handle_use(h, fd, !shim_handle_is_device(h));
	if (f)
		uapi_file_get(f);
	shim_handle_put(h);
	return f;
}

static int fds_install(void *arg, struct uapi_file *file, int flags)
{
	return shim_handle_install(file, flags);
}

const struct uapi_fds shim_fds = { .fget = fds_fget, .install = fds_install };

static void init_faults(void)
{
	int rc = fault_follow(shim.run_dir);

	if (rc)
		report_err("fault-table", SHIM_WHO, rc, "process %d has no faults: %m",
			   (int)shim.pid);
}

/* Build the machine: 0 or -errno with a line in the log. build_lock is held. */
static int build(struct machine **out)
{
	struct machine *m = machine_new();
	struct ctl_agent *agent = NULL;
	int rc;

	if (!m)
		return -ENOMEM;
	machine_set_device_memory(m, shim_bar_memory, NULL);
	rc = machine_claim_dir(m, shim.run_dir);
	if (rc) {
		report_err("run-state", SHIM_WHO, rc,
			   "%s: cannot share groups with other processes: %m", shim.run_dir);
		goto fail;
	}
	/* before the list is read: what changes later is told */
	agent = ctl_agent_new(shim.run_dir);
	rc = machine_sync(m);
	if (rc)
		goto fail;
	/* unset or empty: what machine_new() took from this process, as the kernel would */
	if (shim.memlock && *shim.memlock && machine_set_memlock(m, shim.memlock)) {
		rc = -EINVAL;
		report_err("environment", SHIM_WHO, 0,
			   "UVFIO_MEMLOCK=%s: neither bytes nor \"unlimited\"", shim.memlock);
		goto fail;
	}
	/* and faults that came since the start */
	init_faults();
	if (agent)
		ctl_agent_start(agent, m, shim_drain_off);
	shim.agent = agent;
	*out = m;
	return 0;
fail:
	ctl_agent_free(agent);
	machine_free(m, false);
	return rc;
}

struct machine *shim_machine(int *err)
{
	struct machine *m;
	uint64_t mask;
	int rc = 0;

	shim_check_fork();
	m = atomic_load(&shim.machine);
	if (m)
		return m;
	shim_block_signals(&mask);
	pthread_mutex_lock(&shim.build_lock);
	m = atomic_load(&shim.machine);
	if (!m) {
		rc = build(&m);
		if (!rc) {
			atomic_store(&shim.machine, m);
			if (atomic_load(&shim.kvm) || shim.valgrind)
				machine_auto_mmap_off(m);
			/*
			 * the registers in its signal frames are old ones: a store would reach the
			 * device with a wrong value, or the wrong register
			 */
			if (shim.valgrind)
				report_warn("valgrind", SHIM_WHO, 0,
					    "under valgrind BARs cannot be mapped (mmap=auto); "
					    "with mmap=trap and valgrind's "
					    "--vex-iropt-register-updates=allregs-at-mem-access "
					    "they can");
		} else
			m = NULL;
	}
	pthread_mutex_unlock(&shim.build_lock);
	shim_restore_signals(&mask);
	*err = rc;
	return m;
}

struct machine *shim_machine_if_built(void)
{
	shim_check_fork();
	return atomic_load(&shim.machine);
}

static void init_log(void)
{
	const char *level = getenv("UVFIO_LOG"), *file = getenv("UVFIO_LOG_FILE");
	int n = level && *level ? log_parse_level(level) : LOG_WARN, fd = 2, rc;

	if (n == -EINVAL) {
		n = LOG_WARN;
		report_warn("environment", SHIM_WHO, 0,
			    "UVFIO_LOG=%s: no such level; warn is taken", level);
	}
	if (file && *file) {
		fd = sys_open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
		rc = fd < 0 ? fd : fd_make_private(fd);
		if (rc < 0) {
			report_err("log-file", SHIM_WHO, rc,
				   "UVFIO_LOG_FILE=%s: %m; the log goes to standard error", file);
			if (fd >= 0)
				sys_close(fd);
			fd = 2;
		} else {
			fd = rc;
			shim.log_fd = rc;
		}
	}
	log_set(fd, n);
}

/*
 * Note the run directory as the kernel calls it, since outputs of realpath and the like are
 * compared with it: 0 or -errno.
 */
static int init_run_dir(const char *dir)
{
	struct stat st;
	long n;
	int fd = sys_open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);

	if (fd < 0)
		return fd;
	n = sys_readlink_fd(fd, shim.run_dir, sizeof(shim.run_dir));
	if (!sys_call(SYS_fstat, fd, (long)&st, 0, 0, 0, 0))
		shim.run_dev = st.st_dev;
	sys_close(fd);
	if (n < 0)
		return (int)n;
	shim.run_len = (size_t)n;
	return n > 1 ? 0 : -EINVAL;
}

struct inherited {
	const char *path;
	int found;
};

static bool is_inherited(void *arg, int fd, const char *link)
{
	struct inherited *i = arg;

	if (fd < 3 || fd == i->found || strcmp(link, i->path))
		return false;
	if (i->found < 0)
		i->found = fd_make_private(fd);
	else
		sys_close(fd);
	return false;
}

/*
 * Return a descriptor of @path that was open before an exec, made private, since the program must
 * not see it; or -ENOENT.
 */
static int inherited(const char *path)
{
	struct inherited i = { path, -ENOENT };

	shim_each_fd("self", is_inherited, &i);
	return i.found;
}

/*
 * Take a read lock that children share and that goes with the last process: a child that opens a
 * device after its parent is gone finds the run directory in place. The lock outlives an exec, for
 * two reasons: `uvfio run` would take the directory for given up between one image and the next;
 * and only the run's owner can open the file, so that a program that becomes another user keeps
 * what it has.
 */
static void init_presence(void)
{
	struct flock fl = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX + 32];
	int fd, priv;

	snprintf(path, sizeof(path), "%s/claims/processes", shim.run_dir);
	priv = inherited(path);
	if (priv < 0) {
		fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
		if (fd < 0)
			return;
		priv = fd_make_private(fd);
		if (priv < 0) {
			sys_close(fd);
			return;
		}
	}
	sys_call(SYS_fcntl, priv, F_OFD_SETLK, (long)&fl, 0, 0, 0);
	sys_call(SYS_fcntl, priv, F_SETFD, 0, 0, 0, 0);
	shim.presence_fd = priv;
}

/* Without it mistakes are lines in the log, as without --check. */
static void init_check(void)
{
	int rc = check_start(shim.run_dir, true);

	if (rc)
		report_err("check", SHIM_WHO, rc,
			   "process %d is not checked: %m; its mistakes are lines here",
			   (int)shim.pid);
}

static void init_trace(void)
{
	int rc = trace_start(shim.run_dir);

	if (rc)
		report_err("trace", SHIM_WHO, rc, "process %d is not in the trace: %m",
			   (int)shim.pid);
}

/* Note whether the program runs on valgrind, which preloads its tool's library. */
static void init_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	shim.valgrind = preload && strstr(preload, "vgpreload");
}

static void init_alive(void)
{
	void *page = (void *)sys_call(SYS_mmap, 0, 4096, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (sys_failed((long)page))
		return;
	/* kernel 4.14; without it a child of a bare clone() is not noticed */
	if (sys_call(SYS_madvise, (long)page, 4096, MADV_WIPEONFORK, 0, 0, 0) < 0) {
		sys_call(SYS_munmap, (long)page, 4096, 0, 0, 0, 0);
		return;
	}
	shim.alive = page;
	*shim.alive = 1;
}

static long look_back(void *unused)
{
	shim_handles_each(uapi_file_look_back);
	return 0;
}

/*
 * exit() or the end of main(): what the program leaves undone is a report. Nothing is closed: other
 * threads may be at work. An end by a signal, by _exit() or by exec leaves nothing undone.
 */
__attribute__((destructor)) static void at_exit(void)
{
	CALL_FRAME("exit", CALL_SITE());

	if (shim.run_len && event_wanted(EVENT_PLACE) &&
	    sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0) == shim.pid)
		shim_run(look_back, NULL);
}

__attribute__((constructor(101))) static void shim_init(void)
{
	const char *dir = getenv("UVFIO_RUN_DIR"), *lock = getenv("UVFIO_MEMLOCK");
	const char *abi = getenv("UVFIO_ABI"), *kernel = getenv("UVFIO_KERNEL"),
		   *iommu = getenv("UVFIO_IOMMU");
	char why[128];
	int rc;

	for (struct shim_next *n = __start_shim_nexts; n < __stop_shim_nexts; n++)
		shim_next(n);
	if (!dir || !*dir)
		return;
	init_log();
	rc = init_run_dir(dir);
	if (rc) {
		report_err("run-dir", SHIM_WHO, rc,
			   "UVFIO_RUN_DIR=%s: %m; no device is seen by process %ld", dir,
			   sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0));
		return;
	}
	if (shim_go_without_libc()) {
		report_err("go-without-libc", SHIM_WHO, 0,
			   "process %ld is a program in Go without libc: it cannot see uvfio's "
			   "devices; build it with CGO_ENABLED=1 and import \"C\"",
			   sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0));
		return;
	}
	shim.noiommu = run_view_has(shim.run_dir, RUN_NOIOMMU);
	if (run_view_has(shim.run_dir, RUN_OWN)) {
		shim.far = far_links_new(shim.run_dir);
		if (!shim.far) {
			report_err("run-dir", SHIM_WHO, -ENOMEM, "no memory; no device is seen");
			return;
		}
		far_links_on_hello(shim.far, shim_bars_hold, NULL);
		far_links_set_place(shim.far, check_place, check_stop_here);
	}
	if (abi && vfio_abi_choose(abi, why, sizeof(why))) {
		report_err("environment", SHIM_WHO, 0, "UVFIO_ABI=%s: %s; no device is seen", abi,
			   why);
		return;
	}
	if (iommu && vfio_iommu_choose(iommu)) {
		report_err("environment", SHIM_WHO, 0,
			   "UVFIO_IOMMU=%s: no such option; no device is seen", iommu);
		return;
	}
	if (kernel && vfio_kernel_choose(kernel)) {
		report_err("environment", SHIM_WHO, 0,
			   "UVFIO_KERNEL=%s: no such kernel; no device is seen", kernel);
		return;
	}
	shim.memlock = lock ? strdup(lock) : NULL;
	shim.pid = (pid_t)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
	init_presence();
	init_check();
	init_faults();
	init_trace();
	init_valgrind();
	init_alive();
	shim_exec_init();
	shim_signals_init();
	shim_seccomp_init();
	shim_fork_init();
	shim_libc_init();
	shim_go_init();
	shim.on = true;
	shim_attrs_init();
	shim_cwd_changed();
	run_set_left_open(shim_left_open);
	if (!shim.far)
		shim_left_say();
}
