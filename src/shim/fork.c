/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shim/fork.c: children. A forked child has a copy of everything but threads and of what only one process can own (the images' descriptors, the
 * models' threads). It drops the machine where it stands, without a call into a model, and builds its own when it opens a device.
 *
 * Noticed in two ways: by pthread_atfork, which sees fork(); and by a page that the kernel wipes in a child, for clone() and _Fork().
 * vfork and posix_spawn share the parent's memory and must do nothing here; neither way sees them, as it should be.
 *
 * The environment of an exec'd child is completed with what `uvfio run` set: the seccomp filter outlives exec, so a child that lost the shim
 * would be killed by its first VFIO call instead of getting an error from it.
 */
#include "shim/shim.h"

#include <alloca.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dlfcn.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/rcu.h"

static uint64_t fork_mask;

static void before(void)
{
	struct machine *m;

	shim_block_signals(&fork_mask);
	pthread_mutex_lock(&shim.build_lock);
	shim_handles_lock();
	shim_bars_lock();
	m = atomic_load(&shim.machine);
	if (m)
		machine_hold(m);
	urcu_bp_before_fork();
}

static void after_in_parent(void)
{
	struct machine *m = atomic_load(&shim.machine);

	urcu_bp_after_fork_parent();
	if (m)
		machine_unhold(m);
	shim_bars_unlock();
	shim_handles_unlock();
	pthread_mutex_unlock(&shim.build_lock);
	shim_restore_signals(&fork_mask);
}

static void drop_private(int fd, void *arg)
{
	if (fd != shim.log_fd && fd != shim.presence_fd)
		fd_close_private(fd);
}

void shim_after_fork(void)
{
	struct machine *m;
	uint64_t mask;

	shim_block_signals(&mask);
	if (shim.alive)
		*shim.alive = 1;
	shim.pid = (pid_t)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
	pthread_mutex_init(&shim.build_lock, NULL);
	shim_bars_abandon(); /* while the files are there to say what it is a mapping of */
	shim_handles_abandon();
	shim_bus_abandon();
	shim_stacks_abandon();
	shim_lists_abandon();
	m = atomic_exchange(&shim.machine, NULL);
	if (m)
		machine_free(m, true);
	fd_for_each_private(drop_private, NULL);
	shim_restore_signals(&mask);
}

static void after_in_child(void)
{
	urcu_bp_after_fork_child();
	shim_after_fork();
	shim_restore_signals(&fork_mask);
}

/* To a libuvfio in the same program: forks are seen to (api/context.c). */
extern const char uvfio_shim_hooks_fork;
EXPORT const char uvfio_shim_hooks_fork = 1;

void shim_fork_init(void)
{
	if (pthread_atfork(before, after_in_parent, after_in_child))
		log_warn(SHIM_WHO, "pthread_atfork: no memory; children of fork() may not use devices");
}

/* ---- exec ---- */

extern char **environ;
static const char *const names[] = { "LD_PRELOAD", "UVFIO_RUN_DIR", "UVFIO_DEVICES", "UVFIO_PLACES", "UVFIO_LOG", "UVFIO_LOG_FILE", "UVFIO_MEMLOCK" };
static char *entries[ARRAY_SIZE(names)]; /* "NAME=value" as the shim found it, or NULL */
static char preload[PATH_MAX];           /* the shim's own path, as in LD_PRELOAD */

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

static size_t env_room(char *const *envp)
{
	size_t n = 0;

	while (envp && envp[n])
		n++;
	return n + ARRAY_SIZE(names) + 1;
}

/* @out has env_room() pointers; @text is for a joined LD_PRELOAD. Only what an async-signal-safe function may do: a vfork child comes here. */
static char **env_with_shim(char *const *envp, char **out, char *text, size_t size)
{
	char *const *e = envp && entries[0] ? find_env(envp, names[0]) : NULL;
	/* in front what was there when we came, since a sanitizer's library has to be before us */
	size_t n = 0, b = entries[0] ? strlen(entries[0]) : 0, c, a = strlen(names[0]) + 1;

	for (size_t i = 0; envp && envp[i]; i++) {
		if (e == &envp[i] && !strstr(*e, preload)) {
			c = strlen(*e + a);
			if (b + 1 + c + 1 <= size) {
				memcpy(text, entries[0], b);
				text[b] = ':';
				memcpy(text + b + 1, *e + a, c + 1);
				out[n++] = text;
				continue;
			}
		}
		out[n++] = envp[i];
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (entries[i] && !(envp && find_env(envp, names[i])))
			out[n++] = entries[i];
	out[n] = NULL;
	return out;
}

/* the longest LD_PRELOAD that is joined; a longer one stays as the program made it */
#define TEXT_MAX (4 * PATH_MAX)

/* @envp, or a completed copy of it on the caller's stack */
#define WITH_SHIM(envp)                                                                                     \
	(!shim.on || env_complete(envp) ? (char **)(envp)                                                  \
					: env_with_shim(envp, alloca(env_room(envp) * sizeof(char *)),      \
							alloca(TEXT_MAX), TEXT_MAX))

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	return (int)shim_ret(sys_call(SYS_execve, (long)path, (long)argv, (long)WITH_SHIM(envp), 0, 0, 0));
}

EXPORT int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

EXPORT int execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags)
{
	return (int)shim_ret(sys_call(SYS_execveat, fd, (long)path, (long)argv, (long)WITH_SHIM(envp), flags, 0));
}

EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	if (fd < 0) {
		errno = EINVAL;
		return -1;
	}
	return execveat(fd, "", argv, envp, AT_EMPTY_PATH);
}

/* These search PATH, and a script without "#!" goes to the shell: libc's part. */
EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	static int (*real)(const char *, char *const[], char *const[]);

	if (!real)
		real = (int (*)(const char *, char *const[], char *const[]))dlsym(RTLD_NEXT, "execvpe");
	return real(file, argv, WITH_SHIM(envp));
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

#define COLLECT_ARGS(first, last)                                      \
	va_list ap, count;                                             \
	size_t n = 1, i;                                               \
	char **argv;                                                   \
	va_start(ap, last);                                            \
	va_copy(count, ap);                                            \
	while (va_arg(count, char *))                                  \
		n++;                                                   \
	va_end(count);                                                 \
	argv = alloca((n + 1) * sizeof(char *));                       \
	argv[0] = (char *)(uintptr_t)(first);                          \
	for (i = 1; i <= n; i++)                                       \
		argv[i] = va_arg(ap, char *)

EXPORT int execl(const char *path, const char *arg, ...)
{
	COLLECT_ARGS(arg, arg);
	va_end(ap);
	return execve(path, argv, environ);
}

EXPORT int execlp(const char *file, const char *arg, ...)
{
	COLLECT_ARGS(arg, arg);
	va_end(ap);
	return execvpe(file, argv, environ);
}

EXPORT int execle(const char *path, const char *arg, ...)
{
	char **envp;

	COLLECT_ARGS(arg, arg);
	envp = va_arg(ap, char **);
	va_end(ap);
	return execve(path, argv, envp);
}

typedef int spawn_fn(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[], char *const[]);

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *fa, const posix_spawnattr_t *attr, char *const argv[],
		       char *const envp[])
{
	static spawn_fn *real;

	if (!real)
		real = (spawn_fn *)dlsym(RTLD_NEXT, "posix_spawn");
	return real(pid, path, fa, attr, argv, WITH_SHIM(envp));
}

EXPORT int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *fa, const posix_spawnattr_t *attr, char *const argv[],
			char *const envp[])
{
	static spawn_fn *real;

	if (!real)
		real = (spawn_fn *)dlsym(RTLD_NEXT, "posix_spawnp");
	return real(pid, file, fa, attr, argv, WITH_SHIM(envp));
}
