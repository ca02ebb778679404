/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/exec.c: exec and posix_spawn. The environment of the child is completed with what `uvfio
 * run` set: the seccomp filter outlives exec, so a child that lost the shim would be killed by its
 * first VFIO call instead of getting an error from it.
 */
#include <alloca.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/guard.h"
#include "shim/scope.h"
#include "shim/shim.h"

extern char **environ;
static const char *const names[] = { "LD_PRELOAD",     "UVFIO_RUN_DIR", "UVFIO_LOG",
				     "UVFIO_LOG_FILE", "UVFIO_MEMLOCK", "UVFIO_KERNEL",
				     "UVFIO_IOMMU",    "UVFIO_ABI" };
static char *entries[ARRAY_SIZE(names)]; /* "NAME=value" as the shim found it, or NULL */
static char preload[PATH_MAX];		 /* the shim's own path, as in LD_PRELOAD */

void shim_exec_init(void)
{
	Dl_info info;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *v = getenv(names[i]);

		if (v && asprintf(&entries[i], "%s=%s", names[i], v) < 0)
			entries[i] = NULL;
	}
	if (dladdr((void *)(uintptr_t)shim_exec_init, &info) && info.dli_fname)
		snprintf(preload, sizeof(preload), "%s", info.dli_fname);
}

static char *const *find_env(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; *envp; envp++)
		if (!strncmp(*envp, name, n) && (*envp)[n] == '=')
			return envp;
	return NULL;
}

static bool strings_readable(char *const *envp)
{
	char *s, part[256];
	long n;

	for (;; envp++) {
		if (guard_copy(&s, envp, sizeof(s)))
			return false;
		if (!s)
			return true;
		do {
			n = guard_strncpy(part, s, sizeof(part));
			s += sizeof(part) - 1;
		} while (n == -ENAMETOOLONG);
		if (n < 0)
			return false;
	}
}

/* True if all of @envp can be read. If not, the kernel is to say so: it looks at the path first. */
static bool env_readable(char *const *envp)
{
	uint64_t mask;
	bool is;

	if (!envp)
		return true;
	shim_block_signals(&mask); /* opens SIGBUS, which the guard needs */
	is = strings_readable(envp);
	shim_restore_signals(&mask);
	return is;
}

static bool env_complete(char *const *envp)
{
	if (!envp)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char *const *e = find_env(envp, names[i]);

		if (entries[i] && !e)
			return false;
		if (!i && entries[0] && e && !strstr(*e, preload))
			return false;
	}
	return true;
}

/*
 * A completed copy is in memory of its own: the stack has no room for it, and a child of vfork may
 * not allocate. When exec succeeds, the copy is not given back. That is right for a process, whose
 * memory goes; but the memory of a child of vfork is its parent's. So the copy is written down
 * under the thread, which parent and child have in common: the next call of the same thread with
 * another process number is by the parent, or by its next child, and gives back what is left.
 */
static struct area {
	atomic_uintptr_t thread; /* 0: free */
	pid_t user;
	void *mem;
	size_t size;
} areas[64];

struct env {
	char **envp; /* for the program; NULL: no memory */
	void *mem;
	size_t size;
	struct area *area;
};

static struct area *write_down(const struct env *e, pid_t pid)
{
	uintptr_t self = (uintptr_t)__builtin_thread_pointer();

	for (size_t i = 0; i < ARRAY_SIZE(areas); i++) {
		struct area *a = &areas[i];

		if (atomic_load(&a->thread) != self || a->user == pid)
			continue;
		sys_call(SYS_munmap, (long)a->mem, (long)a->size, 0, 0, 0, 0);
		atomic_store(&a->thread, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(areas); i++) {
		struct area *a = &areas[i];
		uintptr_t was = 0;

		if (!atomic_compare_exchange_strong(&a->thread, &was, self))
			continue;
		a->user = pid;
		a->mem = e->mem;
		a->size = e->size;
		return a;
	}
	return NULL;
}

/*
 * Make the completed copy of @envp. Does only what an async-signal-safe function may do, since a
 * vfork child comes here.
 */
static void complete(struct env *e, char *const *envp)
{
	char *const *old = envp && entries[0] ? find_env(envp, names[0]) : NULL;
	size_t n = 0, count = 0, front = entries[0] ? strlen(entries[0]) : 0,
	       value = strlen(names[0]) + 1, back;
	char *text;
	long mem;

	if (old && strstr(*old, preload))
		old = NULL;
	back = old ? strlen(*old + value) : 0;
	while (envp && envp[count])
		count++;
	e->size = (count + ARRAY_SIZE(names) + 1) * sizeof(char *) + front + 1 + back + 1;
	mem = sys_call(SYS_mmap, 0, (long)e->size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sys_failed(mem))
		return;
	e->mem = (void *)mem;
	e->envp = e->mem;
	for (size_t i = 0; i < count; i++) {
		e->envp[n++] = envp[i];
		if (old != &envp[i])
			continue;
		/*
		 * in front what was there when we came, since a sanitizer's library has to be
		 * before us
		 */
		text = (char *)(e->envp + count + ARRAY_SIZE(names) + 1);
		memcpy(text, entries[0], front);
		text[front] = ':';
		memcpy(text + front + 1, *old + value, back + 1);
		e->envp[n - 1] = text;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (entries[i] && !(envp && find_env(envp, names[i])))
			e->envp[n++] = entries[i];
	e->envp[n] = NULL;
}

/* Let @e have @envp, or a completed copy of it; false: no memory. */
static bool env_take(struct env *e, char *const *envp)
{
	pid_t pid;

	*e = (struct env){ 0 };
	if (!shim.on || !env_readable(envp) || env_complete(envp)) {
		e->envp = (char **)(uintptr_t)envp;
		return true;
	}
	complete(e, envp);
	if (!e->mem)
		return false;
	pid = (pid_t)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
	if (pid != shim.pid)
		e->area = write_down(e, pid);
	return true;
}

static void env_give(struct env *e)
{
	if (e->mem)
		sys_call(SYS_munmap, (long)e->mem, (long)e->size, 0, 0, 0, 0);
	if (e->area)
		atomic_store(&e->area->thread, 0);
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	struct shim_exec_mask m;
	struct env e;
	long rc = -ENOMEM;

	if (env_take(&e, envp)) {
		shim_mask_for_exec(&m, true);
		rc = sys_call(SYS_execve, (long)path, (long)argv, (long)e.envp, 0, 0, 0);
		shim_mask_after_exec(&m);
		env_give(&e);
	}
	return (int)shim_ret(rc);
}

EXPORT int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

EXPORT int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	struct shim_exec_mask m;
	struct env e;
	long rc = -ENOMEM;

	if (env_take(&e, envp)) {
		shim_mask_for_exec(&m, true);
		rc = sys_call(SYS_execveat, fd, (long)path, (long)argv, (long)e.envp, flags, 0);
		shim_mask_after_exec(&m);
		env_give(&e);
	}
	return (int)shim_ret(rc);
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	if (fd < 0) {
		errno = EINVAL;
		return -1;
	}
	return execveat(fd, "", argv, envp, AT_EMPTY_PATH);
}

/* These search PATH, and give a script without "#!" to the shell, which is libc's part. */
EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	struct shim_exec_mask m;
	struct env e;
	int rc;

	NEXT(execvpe);
	if (!env_take(&e, envp))
		return (int)shim_ret(-ENOMEM);
	shim_mask_for_exec(&m, true);
	rc = real(file, argv, e.envp);
	shim_mask_after_exec(&m);
	env_give(&e);
	return rc;
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

/* Return what an argv of @ap's arguments takes, with one before them and NULL at the end. */
static size_t argv_size(va_list *ap)
{
	size_t n = 2;
	va_list count;

	va_copy(count, *ap);
	while (va_arg(count, char *))
		n++;
	va_end(count);
	return n * sizeof(char *);
}

/* Fill in @argv; @ap then stands behind the NULL. */
static char **take_argv(char **argv, const char *first, va_list *ap)
{
	char **p = argv;

	*p++ = (char *)(uintptr_t)first;
	do
		*p = va_arg(*ap, char *);
	while (*p++);
	return argv;
}

EXPORT int execl(const char *path, const char *arg, ...)
{
	char **argv;
	va_list ap;

	va_start(ap, arg);
	argv = take_argv(alloca(argv_size(&ap)), arg, &ap);
	va_end(ap);
	return execve(path, argv, environ);
}

EXPORT int execlp(const char *file, const char *arg, ...)
{
	char **argv;
	va_list ap;

	va_start(ap, arg);
	argv = take_argv(alloca(argv_size(&ap)), arg, &ap);
	va_end(ap);
	return execvpe(file, argv, environ);
}

EXPORT int execle(const char *path, const char *arg, ...)
{
	char **argv, **envp;
	va_list ap;

	va_start(ap, arg);
	argv = take_argv(alloca(argv_size(&ap)), arg, &ap);
	envp = va_arg(ap, char **);
	va_end(ap);
	return execve(path, argv, envp);
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa,
		       const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	struct shim_exec_mask m;
	struct env e;
	int rc;

	NEXT(posix_spawn);
	if (!env_take(&e, envp))
		return ENOMEM;
	shim_mask_for_exec(&m, false);
	rc = real(pid, path, fa, attr, argv, e.envp);
	shim_mask_after_exec(&m);
	env_give(&e);
	return rc;
}

EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *fa,
			const posix_spawnattr_t *attr, char *const argv[], char *const envp[])
{
	struct shim_exec_mask m;
	struct env e;
	int rc;

	NEXT(posix_spawnp);
	if (!env_take(&e, envp))
		return ENOMEM;
	shim_mask_for_exec(&m, false);
	rc = real(pid, file, fa, attr, argv, e.envp);
	shim_mask_after_exec(&m);
	env_give(&e);
	return rc;
}
