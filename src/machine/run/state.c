/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/state.c: how many VFs the PFs of a run have. Processes of a run come and go, each
 * with a machine of its own or with none (a shell that writes to sysfs), so this is a file of the
 * run directory, and changing it changes the view (numvfs.c). Whoever changes it has a lock, which
 * only those can have who may write sriov_numvfs. A process that reads it waits for nobody: it
 * looks again when it has the group that it wants, which cannot go from then on.
 *
 * One line for each PF: its address, what the SR-IOV capability says, how many VFs are enabled, and
 * their groups. It is written before VFs are shown and after they are hidden: what a writer that
 * was killed leaves is VFs that are enabled and not to be seen in all places, which disabling them
 * cleans up.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "base/sys.h"
#include "machine/run/internal.h"

#define STATE	"sriov"
#define PFS_MAX 256u /* lines that are read */
#define LINE	(64u + 6u * RUN_VFS_MAX)

int run_read_file(const char *path, size_t most, char **out, size_t *len)
{
	size_t size = 0;
	char *buf = NULL, *more;
	ssize_t n;
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);

	*len = 0;
	if (fd < 0)
		return fd;
	do {
		if (size - *len < 2) {
			size = size ? 2 * size : 4096;
			more = size > most ? NULL : realloc(buf, size);
			if (!more) {
				n = -ENOMEM;
				break;
			}
			buf = more;
		}
		n = sys_read(fd, buf + *len, size - *len - 1);
		if (n > 0)
			*len += (size_t)n;
	} while (n > 0 || n == -EINTR);
	sys_close(fd);
	if (n < 0) {
		free(buf);
		return (int)n;
	}
	buf[*len] = '\0';
	*out = buf;
	return 0;
}

static bool parse_line(const char *line, struct run_pf *st)
{
	int at = 0;

	if (sscanf(line, "%15s %u %u %u %u%n", st->addr, &st->total, &st->offset, &st->stride,
		   &st->num, &at) != 5 ||
	    pci_address_parse(st->addr, &st->address) || st->num > st->total ||
	    st->total > RUN_VFS_MAX)
		return false;
	line += at;
	for (unsigned i = 0; i < st->num; i++) {
		if (sscanf(line, " %u%n", &st->groups[i], &at) != 1)
			return false;
		line += at;
	}
	return true;
}

int run_pfs_read(const char *run_dir, struct run_pf **out, unsigned *n)
{
	char path[PATH_MAX], *text = NULL, *line, *next;
	struct run_pf *st;
	size_t len;
	int rc;

	*out = NULL;
	*n = 0;
	rc = run_path(run_dir, STATE, path);
	if (!rc)
		rc = run_read_file(path, PFS_MAX * (size_t)LINE, &text, &len);
	if (rc)
		return rc;
	for (line = text; *line && !rc; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		else
			next = line + strlen(line);
		if (!*line)
			continue;
		st = realloc(*out, (*n + 1) * sizeof(**out));
		if (!st) {
			rc = -ENOMEM;
			break;
		}
		*out = st;
		memset(&st[*n], 0, sizeof(*st));
		if (!parse_line(line, &st[(*n)++]))
			rc = -EIO;
	}
	free(text);
	if (rc) {
		report_err("run-state", "machine", 0, "%s: %s", path,
			   rc == -EIO ? "this is not what uvfio wrote" : strerror(-rc));
		free(*out);
		*out = NULL;
		*n = 0;
	}
	return rc;
}

/* Another file in its place: who reads sees the one or the other. */
int run_pfs_write(const char *run_dir, const struct run_pf *st, unsigned n)
{
	struct tree t = { .root = run_dir };
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		fprintf(f, "%s %u %u %u %u", st[i].addr, st[i].total, st[i].offset, st[i].stride,
			st[i].num);
		for (unsigned k = 0; k < st[i].num; k++)
			fprintf(f, " %u", st[i].groups[k]);
		fputc('\n', f);
	}
	/* glibc's has no text, and no error, if its last realloc fails */
	if (fclose(f) || !text) {
		free(text);
		return -ENOMEM;
	}
	tree_replace(&t, 0644, STATE, text, len);
	free(text);
	return t.err;
}

int run_init(const char *run_dir, struct run_pf *pfs, unsigned n)
{
	struct tree t = { .root = run_dir };
	int rc = 0;

	for (unsigned i = 0; i < n; i++)
		pci_address_print(&pfs[i].address, pfs[i].addr);
	if (n)
		rc = run_pfs_write(run_dir, pfs, n);
	tree_lock(&t, RUN_VIEW_LOCK);
	return rc ? rc : t.err;
}
