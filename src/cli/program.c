/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/program.c: can the shim be loaded into this program? The dynamic linker loads it, so a
 * program without one, or one that the kernel starts with more rights than its caller, would run on
 * the real /dev/vfio, or on none, without a word. That is found out here.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/util.h"
#include "cli/cli.h"

#define SCRIPT_DEPTH 5	 /* linux/fs/exec.c: interpreters of interpreters */
#define SCRIPT_LINE  256 /* BINPRM_BUF_SIZE */
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

static int because(char **why, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int because(char **why, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(why, fmt, ap) < 0)
		*why = NULL;
	va_end(ap);
	return rc;
}

/* ---- finding it ---- */

static bool is_executable(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

int program_find(const char *name, char **path, char **why)
{
	const char *dirs = getenv("PATH"), *end;
	char *found_not_executable = NULL;
	struct stat st;
	int rc;

	if (!*name)
		return because(why, -ENOENT, "the name of the program is empty");
	if (strchr(name, '/')) {
		if (stat(name, &st))
			return because(why, -errno, "%s: %s", name, strerror(errno));
		if (S_ISDIR(st.st_mode))
			return because(why, -EISDIR, "%s: is a directory, not a program", name);
		if (!is_executable(name))
			return because(why, -EACCES, "%s: is not executable", name);
		*path = strdup(name);
		return *path ? 0 : because(why, -ENOMEM, "out of memory");
	}
	if (!dirs)
		dirs = DEFAULT_PATH;
	for (;; dirs = end + 1) {
		char *p;

		end = strchrnul(dirs, ':');
		/* an empty entry is the current directory */
		if (asprintf(&p, "%.*s%s%s", (int)(end - dirs), dirs, end == dirs ? "./" : "/",
			     name) < 0) {
			free(found_not_executable);
			return because(why, -ENOMEM, "out of memory");
		}
		if (is_executable(p)) {
			free(found_not_executable);
			*path = p;
			return 0;
		}
		if (!found_not_executable && !stat(p, &st) && S_ISREG(st.st_mode))
			found_not_executable = p;
		else
			free(p);
		if (!*end)
			break;
	}
	if (found_not_executable)
		rc = because(why, -EACCES, "%s: is not executable", found_not_executable);
	else if (!access(name, F_OK))
		rc = because(why, -ENOENT,
			     "there is no program '%s' in PATH (for the one in this "
			     "directory, write ./%s)",
			     name, name);
	else
		rc = because(why, -ENOENT, "there is no program '%s' in PATH", name);
	free(found_not_executable);
	return rc;
}

/* ---- looking into it ---- */

static bool read_at(int fd, void *buf, size_t n, uint64_t off)
{
	return off <= INT64_MAX && pread(fd, buf, n, (off_t)off) == (ssize_t)n;
}

static const char *machine_name(unsigned machine)
{
	switch (machine) {
	case EM_X86_64:
		return "x86-64";
	case EM_386:
		return "32-bit x86";
	case EM_AARCH64:
		return "64-bit ARM";
	case EM_ARM:
		return "32-bit ARM";
	case EM_RISCV:
		return "RISC-V";
	case EM_PPC64:
		return "64-bit POWER";
	case EM_S390:
		return "S/390";
	default:
		return "another";
	}
}

/*
 * The dynamic linker, run as a program, loads what it is told, LD_PRELOAD too; it has no
 * interpreter itself.
 */
static bool is_dynamic_linker(const char *path)
{
	const char *base = strrchr(path, '/');

	base = base ? base + 1 : path;
	return !strncmp(base, "ld-linux", 8) || !strcmp(base, "ld.so");
}

static int check_interpreter(const char *path, const char *interp, char **why)
{
	if (strstr(interp, "ld-musl"))
		return because(why, -EINVAL,
			       "%s: is linked with musl (it asks for %s), and uvfio's shim with "
			       "glibc: they cannot be in one process; use a build for glibc",
			       path, interp);
	if (access(interp, F_OK))
		return because(why, -ENOENT,
			       "%s: the dynamic linker that it asks for, %s, is not there: install "
			       "the libraries of its architecture",
			       path, interp);
	return 0;
}

/* True if a note of the Go linker's is in the segment (cmd/internal/buildid). */
static bool has_go_note(int fd, const Elf64_Phdr *ph)
{
	char name[4];
	Elf64_Nhdr n;

	for (uint64_t at = 0; at < ph->p_filesz && read_at(fd, &n, sizeof(n), ph->p_offset + at);
	     at += sizeof(n) + align_up(n.n_namesz, 4) + align_up(n.n_descsz, 4))
		if (n.n_type == 4 && n.n_namesz == sizeof(name) &&
		    read_at(fd, name, sizeof(name), ph->p_offset + at + sizeof(n)) &&
		    !memcmp(name, "Go\0", sizeof(name)))
			return true;
	return false;
}

static bool needs_libraries(int fd, const Elf64_Phdr *ph)
{
	Elf64_Dyn d;

	for (uint64_t at = 0; at < ph->p_filesz && read_at(fd, &d, sizeof(d), ph->p_offset + at) &&
			      d.d_tag != DT_NULL;
	     at += sizeof(d))
		if (d.d_tag == DT_NEEDED)
			return true;
	return false;
}

/*
 * True for Go without cgo: what is built with -buildmode=pie asks for the dynamic linker, but has
 * no libc: it uses the thread register for itself.
 */
static bool is_go_without_libc(int fd, const Elf64_Ehdr *eh)
{
	bool go = false;
	Elf64_Phdr ph;

	for (unsigned i = 0; i < eh->e_phnum; i++) {
		if (!read_at(fd, &ph, sizeof(ph), eh->e_phoff + (uint64_t)i * sizeof(ph)))
			return false;
		if (ph.p_type == PT_NOTE)
			go |= has_go_note(fd, &ph);
		else if (ph.p_type == PT_DYNAMIC && needs_libraries(fd, &ph))
			return false;
	}
	return go;
}

static int check_elf(const char *path, int fd, char **why)
{
	char interp[PATH_MAX];
	Elf64_Ehdr eh, own;
	Elf64_Phdr ph;
	bool known;
	int self;

	if (!read_at(fd, &eh, sizeof(eh), 0))
		return because(why, -ENOEXEC, "%s: is cut off: not a whole ELF file", path);
	self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	known = self >= 0 && read_at(self, &own, sizeof(own), 0);
	if (self >= 0)
		close(self);
	if (known &&
	    (eh.e_machine != own.e_machine || eh.e_ident[EI_CLASS] != own.e_ident[EI_CLASS]))
		return because(
			why, -ENOEXEC,
			"%s: is a program for %s machines, and uvfio's shim is for %s: use a "
			"build for that",
			path, machine_name(eh.e_machine), machine_name(own.e_machine));
	if (eh.e_type != ET_EXEC && eh.e_type != ET_DYN)
		return because(why, -ENOEXEC, "%s: is an object file or core dump, not a program",
			       path);
	for (unsigned i = 0; i < eh.e_phnum; i++) {
		if (add_overflows(eh.e_phoff, (uint64_t)i * sizeof(ph)) ||
		    eh.e_phentsize != sizeof(ph) ||
		    !read_at(fd, &ph, sizeof(ph), eh.e_phoff + (uint64_t)i * sizeof(ph)))
			return because(why, -ENOEXEC, "%s: is not a whole ELF file", path);
		if (ph.p_type != PT_INTERP)
			continue;
		if (!ph.p_filesz || ph.p_filesz > sizeof(interp) ||
		    !read_at(fd, interp, ph.p_filesz, ph.p_offset) || interp[ph.p_filesz - 1])
			return because(why, -ENOEXEC, "%s: is not a whole ELF file", path);
		if (is_go_without_libc(fd, &eh))
			return because(
				why, -EINVAL,
				"%s: is a program in Go without libc: uvfio's shim cannot work in "
				"it; build it with CGO_ENABLED=1 and import \"C\" in a file of it",
				path);
		return check_interpreter(path, interp, why);
	}
	if (is_dynamic_linker(path))
		return 0;
	return because(
		why, -EINVAL,
		"%s: is a static program: no library can be loaded into it, and so it cannot "
		"see uvfio's devices; use a dynamically linked build (without -static; for "
		"Rust: a -gnu target; for Go: CGO_ENABLED=1, and import \"C\" in a file of it)",
		path);
}

/*
 * The dynamic linker ignores LD_PRELOAD in a program that gains rights by being started (AT_SECURE,
 * ld.so(8)).
 */
static int check_rights(const char *path, int fd, char **why)
{
	struct statvfs fs;
	struct stat st;

	if (fstat(fd, &st))
		return because(why, -errno, "%s: %s", path, strerror(errno));
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
	    (!fstatvfs(fd, &fs) && fs.f_flag & ST_NOSUID))
		return 0; /* the kernel gives none of these rights then */
	if ((st.st_mode & S_ISUID && st.st_uid != geteuid()) ||
	    ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && st.st_gid != getegid()))
		return because(
			why, -EPERM,
			"%s: is a set-%s-ID program: the dynamic linker does not load uvfio's "
			"shim into it; use a copy without that bit",
			path, st.st_mode & S_ISUID ? "user" : "group");
	if (geteuid() && fgetxattr(fd, "security.capability", NULL, 0) > 0)
		return because(why, -EPERM,
			       "%s: has file capabilities (see getcap(8)): the dynamic linker does "
			       "not load uvfio's shim into it; use a copy without them (cp drops "
			       "them)",
			       path);
	return 0;
}

static int check(const char *path, unsigned depth, char **why);

/* Check what env will start, of a script that begins with "#!/usr/bin/env python3". */
static int check_env(const char *path, char *args, unsigned depth, char **why)
{
	char *word, *save, *found;
	int rc;

	for (word = strtok_r(args, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
		if (*word == '-' || strchr(word, '='))
			continue;
		rc = program_find(word, &found, why);
		if (rc)
			return rc;
		rc = check(found, depth, why);
		free(found);
		return rc;
	}
	return 0;
}

static int check_script(const char *path, int fd, unsigned depth, char **why)
{
	char line[SCRIPT_LINE + 1], *interp, *args;
	const char *base;
	ssize_t n;
	int rc;

	if (depth >= SCRIPT_DEPTH)
		return because(why, -ELOOP, "%s: too many interpreters of interpreters", path);
	n = pread(fd, line, SCRIPT_LINE, 0);
	if (n < 2)
		return because(why, -EIO, "%s: cannot be read", path);
	line[n] = 0;
	line[strcspn(line, "\n")] = 0;
	interp = line + 2 + strspn(line + 2, " \t");
	args = interp + strcspn(interp, " \t");
	if (*args)
		*args++ = 0;
	if (!*interp)
		return because(why, -ENOEXEC, "%s: names no interpreter after #!", path);
	if (!is_executable(interp))
		return because(why, -ENOENT,
			       "%s: its interpreter %s is not there or not executable", path,
			       interp);
	rc = check(interp, depth + 1, why);
	base = strrchr(interp, '/');
	if (!rc && base && !strcmp(base, "/env"))
		rc = check_env(path, args, depth + 1, why);
	return rc;
}

static int check(const char *path, unsigned depth, char **why)
{
	unsigned char magic[4] = { 0 };
	ssize_t n;
	int fd, rc;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return because(
			why, -errno,
			"%s: cannot be read (%s), so uvfio cannot tell whether its shim can be "
			"loaded into it",
			path, strerror(errno));
	n = pread(fd, magic, sizeof(magic), 0);
	if (n == sizeof(magic) && !memcmp(magic, ELFMAG, SELFMAG)) {
		rc = check_rights(path, fd, why);
		if (!rc)
			rc = check_elf(path, fd, why);
	} else if (n >= 2 && magic[0] == '#' && magic[1] == '!') {
		rc = check_script(path, fd, depth, why);
	} else {
		rc = because(why, -ENOEXEC,
			     "%s: is neither a program (ELF) nor a script that starts with #!",
			     path);
	}
	close(fd);
	return rc;
}

int program_check(const char *path, char **why)
{
	return check(path, 0, why);
}
