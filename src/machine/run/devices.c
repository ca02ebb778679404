/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/devices.c: the devices of a run, which come and go while its processes do: a file of
 * the run directory, replaced as a whole by whoever has the lock of the view. A process reads it
 * before it opens a file of /dev/vfio and brings its machine into line (machine_sync).
 *
 * The first line has the number of the last change, the next free bus addresses, and the number of
 * the run. Then there is a line for each device that there ever was, in the order in which they
 * came: the changes with which it came and went (0: it has not), what is said of it now, where it
 * is (machine_settle()), and behind a tab its --device text. Those that went stay in the file: what
 * hung together with them is a unit in every process, whenever that one began.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/report.h"
#include "base/util.h"
#include "machine/run/internal.h"

#define STATE	  "devices"
#define FILE_SIZE (16u << 20) /* more is not read */

static char flag(bool on, char c)
{
	return on ? c : '-';
}

void run_devices_free(struct run_devices *l)
{
	for (unsigned i = 0; i < l->n; i++) {
		free(l->d[i].place);
		free(l->d[i].spec);
	}
	free(l->d);
	*l = (struct run_devices){ 0 };
}

int run_devices_append(struct run_devices *l, const char *place, const char *spec)
{
	struct run_device d = { .born = l->serial + 1,
				.place = strdup(place),
				.spec = strdup(spec) };
	struct run_device *all = realloc(l->d, (l->n + 1) * sizeof(*all));

	if (all)
		l->d = all;
	if (!all || !d.place || !d.spec) {
		free(d.place);
		free(d.spec);
		return -ENOMEM;
	}
	if (sscanf(place, "%15s %u", d.addr, &d.group) != 2 ||
	    pci_address_parse(d.addr, &d.address)) {
		free(d.place);
		free(d.spec);
		return -EIO;
	}
	l->d[l->n++] = d;
	return 0;
}

static int parse_line(struct run_devices *l, char *line)
{
	char *spec = strchr(line, '\t'), leaving, down;
	uint64_t born, died;
	int at = 0, rc;

	if (!spec)
		return -EIO;
	*spec++ = '\0';
	if (sscanf(line, "%" SCNu64 " %" SCNu64 " %c%c %n", &born, &died, &leaving, &down, &at) !=
		    4 ||
	    !at)
		return -EIO;
	rc = run_devices_append(l, line + at, spec);
	if (rc)
		return rc;
	l->d[l->n - 1].born = born;
	l->d[l->n - 1].died = died;
	l->d[l->n - 1].leaving = leaving == 'l';
	l->d[l->n - 1].link_down = down == 'd';
	return 0;
}

static int parse(struct run_devices *l, char *text)
{
	char *line = text, *next;
	int rc = 0;

	next = strchr(line, '\n');
	if (!next || sscanf(line, "%" SCNu64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64,
			    &l->serial, &l->next[0], &l->next[1], &l->next[2], &l->run) != 5)
		return -EIO;
	for (line = next + 1; *line && !rc; line = next + 1) {
		next = strchr(line, '\n');
		if (!next)
			return -EIO;
		*next = '\0';
		rc = parse_line(l, line);
	}
	return rc;
}

int run_devices_read(const char *run_dir, struct run_devices *l)
{
	char path[PATH_MAX], *text = NULL;
	size_t len;
	int rc;

	*l = (struct run_devices){ 0 };
	rc = run_path(run_dir, STATE, path);
	if (!rc)
		rc = run_read_file(path, FILE_SIZE, &text, &len);
	if (!rc)
		rc = parse(l, text);
	free(text);
	if (!rc)
		return 0;
	if (rc != -ENOENT)
		report_err("run-state", "machine", 0, "%s: %s", path,
			   rc == -EIO ? "this is not what uvfio wrote" : strerror(-rc));
	run_devices_free(l);
	return rc;
}

int run_devices_write(const char *run_dir, struct run_devices *l)
{
	struct tree t = { .root = run_dir };
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return -ENOMEM;
	l->serial++;
	fprintf(f, "%" PRIu64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64 "\n", l->serial,
		l->next[0], l->next[1], l->next[2], l->run);
	for (unsigned i = 0; i < l->n; i++)
		fprintf(f, "%" PRIu64 " %" PRIu64 " %c%c %s\t%s\n", l->d[i].born, l->d[i].died,
			flag(l->d[i].leaving, 'l'), flag(l->d[i].link_down, 'd'), l->d[i].place,
			l->d[i].spec);
	if (fclose(f) || !text) { /* glibc says nothing when it cannot shrink it */
		free(text);
		return -ENOMEM;
	}
	tree_replace(&t, 0644, STATE, text, len);
	free(text);
	return t.err;
}

struct run_device *run_devices_find(struct run_devices *l, const char *addr)
{
	struct pci_address a;

	if (pci_address_parse(addr, &a))
		return NULL;
	for (unsigned i = 0; i < l->n; i++)
		if (!l->d[i].died && pci_address_equal(&l->d[i].address, &a))
			return &l->d[i];
	return NULL;
}
