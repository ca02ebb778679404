/* SPDX-License-Identifier: BSD-3-Clause */
/* ctl/client.c: the other end: runs are found by their directories, and asked. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/json.h"
#include "ctl/ctl.h"
#include "ctl/packet.h"

#define PREFIX	   "uvfio-"
#define ANSWER_MAX (16u << 20)

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

/* Connect to the run in a directory that is ours, or -errno. */
static int connect_dir(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct stat st;
	int dir, fd, rc;

	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	/* somebody else's may be a trap; root may do everything */
	if (fstat(dir, &st) || (st.st_uid != geteuid() && geteuid())) {
		close(dir);
		return -EACCES;
	}
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/" CTL_SOCKET, dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rc = fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) ? -errno : 0;
	close(dir);
	if (rc && fd >= 0)
		close(fd);
	return rc ? rc : fd;
}

int ctl_send(int fd, const char *line)
{
	size_t len = strlen(line), at = 0;
	ssize_t n;

	while (at <= len) {
		n = at < len ? send(fd, line + at, len - at, MSG_NOSIGNAL)
			     : send(fd, "\n", 1, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Byte by byte: what follows stays in the socket, and lines are few. */
ssize_t ctl_receive(int fd, char **line)
{
	size_t len = 0, size = 0;
	char *more;
	ssize_t n;
	char c;

	*line = NULL;
	for (;;) {
		n = read(fd, &c, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || (len + 1 >= size && size >= ANSWER_MAX))
			break;
		if (len + 1 >= size) {
			size = size ? 2 * size : 256;
			more = realloc(*line, size);
			if (!more)
				break;
			*line = more;
		}
		if (c == '\n') {
			(*line)[len] = '\0';
			return (ssize_t)len;
		}
		(*line)[len++] = c;
	}
	free(*line);
	*line = NULL;
	return n < 0 ? -errno : n > 0 ? -EMSGSIZE : 0;
}

/* Ask what run it is. False: nobody answers. */
static bool ask(int fd, struct ctl_run *r)
{
	const struct timeval limit = { .tv_sec = 5 };
	const struct json *pid;
	struct json nodes[16];
	const char *dir, *program;
	char *line = NULL;
	ssize_t len;
	bool ok = false;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (ctl_send(fd, "{\"request\":\"run\"}"))
		return false;
	len = ctl_receive(fd, &line);
	if (len > 0 && !json_parse(line, (size_t)len, nodes, 16)) {
		dir = json_text(nodes, "run");
		program = json_text(nodes, "program");
		pid = json_member(nodes, "pid", JSON_NUMBER);
		ok = dir && program && pid;
		if (ok) {
			snprintf(r->dir, sizeof(r->dir), "%s", dir);
			snprintf(r->program, sizeof(r->program), "%s", program);
			r->pid = (pid_t)pid->number;
		}
	}
	free(line);
	return ok;
}

/* Return where `uvfio run` makes its directories. */
static const char *place(void)
{
	const char *tmp = getenv("TMPDIR");

	return tmp && *tmp ? tmp : "/tmp";
}

struct ctl_run *ctl_find_runs(unsigned *n)
{
	char path[PATH_MAX];
	struct ctl_run r, *runs = NULL, *more;
	struct dirent *e;
	DIR *d;
	int fd;

	*n = 0;
	d = opendir(place());
	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, PREFIX, strlen(PREFIX)))
			continue;
		snprintf(path, sizeof(path), "%s/%s", place(), e->d_name);
		fd = connect_dir(path);
		if (fd < 0)
			continue;
		more = ask(fd, &r) ? realloc(runs, (*n + 1) * sizeof(*more)) : NULL;
		close(fd);
		if (!more)
			continue;
		runs = more;
		more[(*n)++] = r;
	}
	if (d)
		closedir(d);
	return runs;
}

const char *ctl_run_name(const struct ctl_run *r)
{
	const char *slash = strrchr(r->dir, '/');

	return slash ? slash + 1 : r->dir;
}

/* Write the run directory that a process has in its environment to @dir; false: none. */
static bool run_of_process(const char *pid, char dir[PATH_MAX])
{
	static const char name[] = "UVFIO_RUN_DIR=";
	char path[64], *entry = NULL;
	bool found = false;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.16s/environ", pid);
	f = fopen(path, "re");
	while (f && !found && getdelim(&entry, &size, '\0', f) > 0) {
		found = !strncmp(entry, name, sizeof(name) - 1);
		if (found)
			snprintf(dir, PATH_MAX, "%s", entry + sizeof(name) - 1);
	}
	free(entry);
	if (f)
		fclose(f);
	return found;
}

/* True if @name means the run @r. */
static bool is_named(const struct ctl_run *r, const char *name)
{
	const char *base = ctl_run_name(r);
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)r->pid);
	return !strcmp(name, pid) || !strcmp(name, base) ||
	       (!strncmp(base, PREFIX, strlen(PREFIX)) && !strcmp(name, base + strlen(PREFIX)));
}

static int choose(const struct ctl_run *runs, unsigned n, const char *name, char **why)
{
	const struct ctl_run *only = NULL;
	unsigned found = 0;
	char *text = NULL;
	size_t len;
	FILE *f;

	for (unsigned i = 0; i < n; i++) {
		if (name && !is_named(&runs[i], name))
			continue;
		only = &runs[i];
		found++;
	}
	if (found == 1)
		return connect_dir(only->dir);
	if (!n)
		return because(
			why, -ENOENT,
			"no run of yours is there in %s: `uvfio run` starts one, where TMPDIR "
			"says",
			place());
	f = open_memstream(&text, &len);
	if (!f)
		return because(why, -ENOMEM, "out of memory");
	if (name)
		fprintf(f, "'%s' is no run of yours; there are", name);
	else
		fprintf(f, "there are several runs: choose one with --run");
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "\n  %s  pid %d, %s", ctl_run_name(&runs[i]), (int)runs[i].pid,
			runs[i].program);
	if (fclose(f)) {
		free(text);
		return because(why, -ENOMEM, "out of memory");
	}
	*why = text;
	return name ? -ENOENT : -ENOTUNIQ;
}

int ctl_connect(const char *name, char **why)
{
	char dir[PATH_MAX];
	struct ctl_run *runs;
	unsigned n;
	int fd;

	*why = NULL;
	if (name && (strchr(name, '/') || run_of_process(name, dir))) {
		if (strchr(name, '/'))
			snprintf(dir, sizeof(dir), "%s", name);
		fd = connect_dir(dir);
		if (fd == -ECONNREFUSED || (fd == -ENOENT && !access(dir, F_OK)))
			return because(why, fd, "%s: no run is there", dir);
		return fd < 0 ? because(why, fd, "%s: %s", dir, strerror(-fd)) : fd;
	}
	runs = ctl_find_runs(&n);
	fd = choose(runs, n, name, why);
	if (fd < 0 && !*why)
		because(why, fd, "the run does not answer: %s", strerror(-fd));
	free(runs);
	return fd;
}
