/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/runstate.c: how many VFs the PFs of a run have. Processes of a run come and go, each with
 * a machine of its own or with none (a shell that writes to sysfs), so this is a file of the run
 * directory, and changing it changes the view. Who changes it has a lock, which only who may write
 * sriov_numvfs can have. Who reads it waits for nobody: it looks again when it has the group that
 * it wants, which cannot go from then on.
 *
 * One line for each PF: its address, what the SR-IOV capability says, how many VFs are enabled, and
 * their groups. It is written before VFs are shown and after they are hidden: what a writer that
 * was killed leaves is VFs that are enabled and not to be seen in all places, which disabling them
 * cleans up.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "base/sys.h"
#include "machine/internal.h"
#include "machine/tree.h"

#define STATE	"sriov"
#define LOCK	"claims/view"
#define PFS_MAX 256u /* lines that are read */
#define LINE	(64u + 6u * MACHINE_VFS_MAX)

/* ---- the file ---- */

static int state_path(const char *run_dir, const char *name, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/%s", run_dir, name);

	return n > 0 && n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int machine_view_lock(const char *run_dir)
{
	char path[PATH_MAX];
	int fd, rc;

	rc = state_path(run_dir, LOCK, path);
	if (rc)
		return rc;
	fd = sys_open(path, O_RDWR | O_CLOEXEC, 0);
	if (fd < 0)
		return fd;
	rc = machine_lock(fd, F_WRLCK, true);
	if (rc) {
		log_err("machine", "%s: cannot be locked: %s", path, strerror(-rc));
		sys_close(fd);
		return rc;
	}
	return fd;
}

static int read_all(const char *path, char **out, size_t *len)
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
			size = size ? 2 * size : LINE;
			more = size > PFS_MAX * (size_t)LINE ? NULL : realloc(buf, size);
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

static bool parse_line(const char *line, struct machine_pf_state *st)
{
	int at = 0;

	if (sscanf(line, "%15s %u %u %u %u%n", st->addr, &st->total, &st->offset, &st->stride,
		   &st->num, &at) != 5 ||
	    pci_address_parse(st->addr, &st->address) || st->num > st->total ||
	    st->total > MACHINE_VFS_MAX)
		return false;
	line += at;
	for (unsigned i = 0; i < st->num; i++) {
		if (sscanf(line, " %u%n", &st->groups[i], &at) != 1)
			return false;
		line += at;
	}
	return true;
}

int machine_state_read(const char *run_dir, struct machine_pf_state **out, unsigned *n)
{
	char path[PATH_MAX], *text = NULL, *line, *next;
	struct machine_pf_state *st;
	size_t len;
	int rc;

	*out = NULL;
	*n = 0;
	rc = state_path(run_dir, STATE, path);
	if (!rc)
		rc = read_all(path, &text, &len);
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
		log_err("machine", "%s: %s", path,
			rc == -EIO ? "this is not what uvfio wrote" : strerror(-rc));
		free(*out);
		*out = NULL;
		*n = 0;
	}
	return rc;
}

/* Another file in its place: who reads sees the one or the other. */
static int state_write(const char *run_dir, const struct machine_pf_state *st, unsigned n)
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
	if (fclose(f)) {
		free(text);
		return -ENOMEM;
	}
	tree_replace(&t, 0644, STATE, text, len);
	free(text);
	return t.err;
}

/* ---- the view ---- */

static __attribute__((format(printf, 2, 3))) bool exists(const char *run_dir, const char *fmt, ...)
{
	char name[64], path[PATH_MAX];
	struct stat st;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	return !state_path(run_dir, name, path) && !sys_call(SYS_newfstatat, AT_FDCWD, (long)path,
							     (long)&st, AT_SYMLINK_NOFOLLOW, 0, 0);
}

static void vf_address(const struct machine_pf_state *st, unsigned i, char addr[PCI_ADDRESS_TEXT])
{
	struct pci_address a;

	pci_address_of_vf(&st->address, st->offset, st->stride, i, &a);
	pci_address_print(&a, addr);
}

void machine_unlock(int fd)
{
	/* a child that was forked meanwhile has the description open, too, and with it the lock */
	machine_lock(fd, F_UNLCK, false);
	sys_close(fd);
}

static void remove_link(struct tree *t, const char *path, const char *target)
{
	tree_remove(t, path);
}

/* In the order in which the kernel makes them known: at last what clients list. */
static void show_vf(struct tree *t, const struct machine_pf_state *st, unsigned i)
{
	char addr[16], root[16], from[64], to[64];

	vf_address(st, i, addr);
	snprintf(root, sizeof(root), "pci%.7s", st->addr);
	machine_view_group(t, st->groups[i]);
	snprintf(from, sizeof(from), MACHINE_VFS_ASIDE "/%s", addr);
	snprintf(to, sizeof(to), "sys/devices/%s/%s", root, addr);
	tree_move(t, from, to);
	machine_view_links(t, root, addr, "vfio-pci", st->groups[i], tree_link);
	snprintf(from, sizeof(from), "sys/devices/%s/%s/virtfn%u", root, st->addr, i);
	snprintf(to, sizeof(to), "../%s", addr);
	tree_link(t, from, to);
	machine_view_group_node(t, st->groups[i]);
}

/* Also what was shown of it only in part. */
static void hide_vf(struct tree *t, const struct machine_pf_state *st, unsigned i)
{
	static const char *const files[] = { "/devices", "/reserved_regions", "/type", "" };
	char addr[16], root[16], from[64], to[64];
	unsigned g = st->groups[i];

	vf_address(st, i, addr);
	snprintf(root, sizeof(root), "pci%.7s", st->addr);
	machine_view_drop_group_node(t, g);
	snprintf(from, sizeof(from), "sys/devices/%s/%s/virtfn%u", root, st->addr, i);
	tree_remove(t, from);
	machine_view_links(t, root, addr, "vfio-pci", g, remove_link);
	for (size_t k = 0; k < ARRAY_SIZE(files); k++) {
		snprintf(from, sizeof(from), "sys/kernel/iommu_groups/%u%s", g, files[k]);
		tree_remove(t, from);
	}
	snprintf(from, sizeof(from), "sys/devices/%s/%s", root, addr);
	snprintf(to, sizeof(to), MACHINE_VFS_ASIDE "/%s", addr);
	if (exists(t->root, "%s", from))
		tree_move(t, from, to);
}

static void patch(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)v;
	at[1] = (uint8_t)(v >> 8);
}

/* What `config` of the PF shows to a process that has no machine: NumVFs, VF Enable and VF MSE. */
static void show_config(const char *run_dir, const struct machine_pf_state *st)
{
	char name[64], path[PATH_MAX];
	uint8_t cfg[PCI_CFG_EXP_SIZE];
	unsigned off = PCI_CFG_SIZE, left = PCI_CFG_EXP_SIZE / 4;
	uint32_t header = 0;
	uint16_t ctrl;
	int fd;

	snprintf(name, sizeof(name), "sys/devices/pci%.7s/%s/config", st->addr, st->addr);
	if (state_path(run_dir, name, path))
		return;
	/* the mode of the file is that of the view */
	fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sys_pread(fd, cfg, sizeof(cfg), 0) != sizeof(cfg))
		goto out;
	for (; off >= PCI_CFG_SIZE && off + PCI_EXT_CAP_SRIOV_SIZEOF <= sizeof(cfg) && left--;
	     off = PCI_EXT_CAP_NEXT(header)) {
		memcpy(&header, cfg + off, 4);
		if (PCI_EXT_CAP_ID(header) != PCI_EXT_CAP_ID_SRIOV)
			continue;
		ctrl = (uint16_t)(cfg[off + PCI_SRIOV_CTRL] &
				  ~(PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE));
		patch(cfg + off + PCI_SRIOV_CTRL,
		      st->num ? ctrl | PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE : ctrl);
		patch(cfg + off + PCI_SRIOV_NUM_VF, (uint16_t)st->num);
		tree_replace(&(struct tree){ .root = run_dir }, 0444, name, cfg, sizeof(cfg));
		break;
	}
out:
	sys_close(fd);
}

static void show_number(const char *run_dir, const struct machine_pf_state *st)
{
	char name[64], path[PATH_MAX], text[16];
	int fd, n;

	snprintf(name, sizeof(name), "sys/devices/pci%.7s/%s/sriov_numvfs", st->addr, st->addr);
	if (state_path(run_dir, name, path))
		return;
	/* in place: the program that writes has it open, and its mode may have been changed */
	fd = sys_open(path, O_WRONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	n = snprintf(text, sizeof(text), "%u\n", st->num);
	if (sys_pwrite(fd, text, (size_t)n, 0) == n)
		sys_call(SYS_ftruncate, fd, n, 0, 0, 0, 0);
	sys_close(fd);
	show_config(run_dir, st);
}

/* ---- changing it ---- */

int machine_group_lock(const char *run_dir, unsigned id)
{
	char name[32], path[PATH_MAX];
	int fd, rc;

	snprintf(name, sizeof(name), "claims/group-%u", id);
	rc = state_path(run_dir, name, path);
	if (rc)
		return rc;
	fd = sys_open(path, O_RDWR | O_CLOEXEC, 0);
	rc = fd < 0 ? fd : machine_lock(fd, F_WRLCK, false);
	if (!rc && machine_is_left_open(fd, id))
		rc = -EBUSY;
	if (rc && fd >= 0)
		sys_close(fd);
	if (rc && rc != -EBUSY)
		log_err("machine", "%s: %s", path, strerror(-rc));
	return rc ? rc : fd;
}

/*
 * A lock on the claim of each group of @st, so that nobody opens one while it goes. -EBUSY:
 * somebody has.
 */
static int lock_groups(const char *run_dir, const struct machine_pf_state *st, int *fds)
{
	char addr[16];

	for (unsigned i = 0; i < st->num; i++) {
		fds[i] = machine_group_lock(run_dir, st->groups[i]);
		if (fds[i] == -ENOENT)
			continue; /* it was never shown */
		vf_address(st, i, addr);
		if (fds[i] == -EBUSY)
			log_warn(st->addr,
				 "sriov_numvfs: virtual function %s (group %u) is open: EBUSY (the "
				 "kernel would wait until it is "
				 "closed)",
				 addr, st->groups[i]);
		if (fds[i] < 0)
			return fds[i];
	}
	return 0;
}

static int disable(const char *run_dir, struct machine_pf_state *all, unsigned n,
		   struct machine_pf_state *st)
{
	struct tree t = { .root = run_dir };
	int fds[MACHINE_VFS_MAX], rc;
	unsigned num = st->num;

	memset(fds, -1, sizeof(fds));
	rc = lock_groups(run_dir, st, fds);
	if (rc)
		goto out;
	for (unsigned i = num; i-- > 0;)
		hide_vf(&t, st, i);
	rc = t.err;
	if (rc)
		goto out;
	st->num = 0;
	rc = state_write(run_dir, all, n);
	show_number(run_dir, st);
out:
	for (unsigned i = 0; i < num; i++)
		if (fds[i] >= 0)
			machine_unlock(fds[i]);
	return rc;
}

static int enable(const char *run_dir, struct machine_pf_state *all, unsigned n,
		  struct machine_pf_state *st, unsigned num)
{
	struct tree t = { .root = run_dir };
	unsigned id = 1, shown = 0;
	int rc;

	for (unsigned i = 0; i < num; i++, id++) {
		while (exists(run_dir, "sys/kernel/iommu_groups/%u", id))
			id++;
		st->groups[i] = id;
	}
	st->num = num;
	rc = state_write(run_dir, all, n);
	if (rc)
		return rc;
	while (shown < num && !t.err)
		show_vf(&t, st, shown++);
	rc = t.err;
	if (!rc) {
		show_number(run_dir, st);
		return 0;
	}
	t.err = 0;
	while (shown)
		hide_vf(&t, st, --shown);
	st->num = 0;
	state_write(run_dir, all, n);
	return rc;
}

/*
 * drivers/pci/iov.c, sriov_numvfs_store(), with vfio-pci's sriov_configure behind it. The order of
 * its checks. Disabling removes the devices in the kernel, which waits for their users; here it is
 * refused.
 */
static int set_number(const char *run_dir, const char *addr, unsigned num)
{
	struct machine_pf_state *all = NULL, *st = NULL;
	unsigned n = 0;
	int fd, rc;

	fd = machine_view_lock(run_dir);
	if (fd < 0)
		return fd == -ENOENT ? -ENODEV : fd;
	rc = machine_state_read(run_dir, &all, &n);
	if (rc == -ENOENT)
		rc = -ENODEV;
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(all[i].addr, addr))
			st = &all[i];
	if (rc)
		goto out;
	if (!st) {
		rc = -ENODEV;
	} else if (num > st->total) {
		log_info(addr, "sriov_numvfs: %u, and there are %u: ERANGE", num, st->total);
		rc = -ERANGE;
	} else if (num && st->num && num != st->num) {
		log_info(addr,
			 "sriov_numvfs: %u VFs already enabled; disable them before enabling %u: "
			 "EBUSY",
			 st->num, num);
		rc = -EBUSY;
	} else if (num != st->num) {
		rc = num ? enable(run_dir, all, n, st, num) : disable(run_dir, all, n, st);
	}
out:
	free(all);
	machine_unlock(fd);
	return rc;
}

/* kstrtou16(text, 0, ...): a plus sign, decimal, octal or hexadecimal, and one line break. */
static int parse_number(const char *text, unsigned *out)
{
	unsigned base = 10, digit, v = 0;
	const char *p = text;

	if (*p == '+')
		p++;
	if (p[0] == '0' && tolower(p[1]) == 'x' && isxdigit((unsigned char)p[2])) {
		base = 16;
		p += 2;
	} else if (p[0] == '0') {
		base = 8;
	}
	for (text = p; isxdigit((unsigned char)*p); p++) {
		digit = (unsigned)(isdigit((unsigned char)*p) ? *p - '0' : tolower(*p) - 'a' + 10);
		if (digit >= base)
			break;
		v = v * base + digit;
		if (v > UINT16_MAX)
			return -ERANGE;
	}
	if (p == text)
		return -EINVAL;
	if (*p == '\n')
		p++;
	*out = v;
	return *p ? -EINVAL : 0;
}

long machine_numvfs_store(const char *run_dir, const char *addr, const char *text, size_t len)
{
	char copy[64];
	unsigned num;
	int rc;

	if (!len)
		return 0;
	if (len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (parse_number(copy, &num)) /* too large for 16 bits, too: iov.c */
		return -EINVAL;
	rc = set_number(run_dir, addr, num);
	return rc ? rc : (long)len;
}

int machine_state_init(struct machine *m, const char *run_dir)
{
	struct tree t = { .root = run_dir };
	struct plugged *dev;
	int rc = 0;

	for (unsigned i = 0; i < m->num_plugged; i++) {
		dev = m->plugged[i];
		if (dev->layout.total)
			tree_append(&t, 0644, STATE, "%s %u %u %u 0\n", dev->d.addr,
				    dev->layout.total, dev->layout.offset, dev->layout.stride);
	}
	tree_lock(&t, LOCK);
	rc = t.err;
	for (unsigned i = 0; i < m->num_plugged && !rc; i++)
		if (m->plugged[i]->spec.numvfs)
			rc = set_number(run_dir, m->plugged[i]->d.addr, m->plugged[i]->spec.numvfs);
	return rc;
}
