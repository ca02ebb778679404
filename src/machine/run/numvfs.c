/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/run/numvfs.c: a program writes sriov_numvfs: virtual functions of a run come or go, in
 * its state and in its view.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/report.h"
#include "base/sys.h"
#include "machine/run/internal.h"
#include "vfio/abi.h"

static bool group_exists(const char *run_dir, unsigned id)
{
	char name[64], path[PATH_MAX];
	struct stat st;

	snprintf(name, sizeof(name), "sys/kernel/iommu_groups/%u", id);
	return !run_path(run_dir, name, path) && !sys_call(SYS_newfstatat, AT_FDCWD, (long)path,
							   (long)&st, AT_SYMLINK_NOFOLLOW, 0, 0);
}

static void vf_address(const struct run_pf *st, unsigned i, char addr[PCI_ADDRESS_TEXT])
{
	struct pci_address a;

	pci_address_of_vf(&st->address, st->offset, st->stride, i, &a);
	pci_address_print(&a, addr);
}

/* A VF appears without a driver, and gets vfio-pci, whatever its PF has. */
static void show(struct tree *t, const struct run_pf *st, unsigned i)
{
	char addr[PCI_ADDRESS_TEXT], text[16];
	struct run_shown d;
	int rc;

	vf_address(st, i, addr);
	view_show_vf(t, st->addr, i, addr, st->groups[i]);
	rc = t->err ? t->err : run_find(t->root, addr, strlen(addr), &d);
	if (!rc)
		run_uevent(t->root, "add", "pci", d.dir);
	if (!rc)
		rc = run_write(&d, "driver_override", text,
			       (size_t)snprintf(text, sizeof(text), "%s\n", vfio_abi_driver()));
	if (!rc)
		rc = run_reset_default(&d);
	if (!rc)
		rc = run_link_driver(&d, vfio_abi_driver());
	if (!t->err)
		t->err = rc;
	view_group_node(t, st->groups[i]);
	if (!rc)
		view_cdev(t, d.dir, false);
	if (!rc && !t->err)
		run_uevent(t->root, "bind", "pci", d.dir);
}

static void hide(struct tree *t, const struct run_pf *st, unsigned i)
{
	char addr[PCI_ADDRESS_TEXT];
	struct run_shown d;
	char entry[64];

	vf_address(st, i, addr);
	if (!run_find(t->root, addr, strlen(addr), &d)) {
		if (*d.driver && !t->err)
			t->err = d.leaving ? 0 : run_release_begin(&d);
		if (*d.driver && !t->err)
			t->err = run_release_end(&d);
		run_uevent(t->root, "remove", "pci", d.dir);
	}
	view_drop_group_node(t, st->groups[i]);
	/* a writer that was killed may have left it */
	snprintf(entry, sizeof(entry), "sys/bus/pci/drivers/%s/%s", vfio_abi_driver(), addr);
	tree_remove(t, entry);
	view_hide_vf(t, st->addr, i, addr, st->groups[i]);
}

/*
 * Lock the claim of each group of @st, so that nobody opens one while it goes. -EBUSY: one is open.
 */
static int lock_groups(const char *run_dir, const struct run_pf *st, int *fds)
{
	char addr[16];

	for (unsigned i = 0; i < st->num; i++) {
		fds[i] = run_lock_group(run_dir, st->groups[i]);
		if (fds[i] == -ENOENT)
			continue; /* it was never shown */
		vf_address(st, i, addr);
		if (fds[i] == -EBUSY)
			report_warn("vf-open", st->addr, -EBUSY,
				    "sriov_numvfs: virtual function %s (group %u) is open", addr,
				    st->groups[i]);
		if (fds[i] < 0)
			return fds[i];
	}
	return 0;
}

/*
 * Take VF @i of @st away, as pci_iov_remove_virtfn(): its link first, then its driver, which waits
 * for its user. 0, -EINPROGRESS, or -errno.
 */
static int leave(struct tree *t, const struct run_pf *st, unsigned i, struct run_wait *w)
{
	char addr[PCI_ADDRESS_TEXT], name[64];
	struct run_shown d;
	int fd, rc;

	vf_address(st, i, addr);
	/* one that went when this was tried before; its group may be another's by now */
	snprintf(name, sizeof(name), "vfs/%s", addr);
	if (run_view_has(t->root, name) && !run_group_is_empty(t->root, st->groups[i]))
		return 0;
	rc = run_find(t->root, addr, strlen(addr), &d);
	if (!rc && *d.driver && !d.leaving) {
		view_drop_virtfn(t, st->addr, i);
		rc = t->err ? t->err : run_release_begin(&d);
		if (rc)
			return rc;
	}
	fd = run_lock_group(t->root, st->groups[i]);
	if (fd == -EBUSY)
		return rc ? rc : run_wait_for(w, RUN_WAIT_CLOSE, &d);
	if (fd < 0 && fd != -ENOENT)
		return fd;
	hide(t, st, i);
	if (fd >= 0)
		run_unlock(fd);
	return t->err;
}

/* Without @w none goes if one is open. */
static int disable(const char *run_dir, struct run_pf *all, unsigned n, struct run_pf *st,
		   struct run_wait *w)
{
	struct tree t = { .root = run_dir };
	int fds[RUN_VFS_MAX], rc;
	unsigned num = st->num;

	memset(fds, -1, sizeof(fds));
	rc = w ? 0 : lock_groups(run_dir, st, fds);
	for (unsigned i = 0; i < num && !rc; i++) {
		if (w)
			rc = leave(&t, st, i, w);
		else
			hide(&t, st, i);
		if (t.err)
			rc = t.err;
	}
	if (rc)
		goto out;
	st->num = 0;
	rc = run_pfs_write(run_dir, all, n);
	view_show_numvfs(&t, st->addr, st->num);
out:
	for (unsigned i = 0; i < num; i++)
		if (fds[i] >= 0)
			run_unlock(fds[i]);
	return rc;
}

int run_disable_vfs(const char *run_dir, const char *addr, struct run_wait *w)
{
	struct run_pf *all;
	unsigned n;
	int rc = run_pfs_read(run_dir, &all, &n);

	for (unsigned i = 0; i < n && !rc; i++)
		if (!strcmp(all[i].addr, addr) && all[i].num)
			rc = disable(run_dir, all, n, &all[i], w);
	free(all);
	return rc;
}

static int enable(const char *run_dir, struct run_pf *all, unsigned n, struct run_pf *st,
		  unsigned num)
{
	struct tree t = { .root = run_dir };
	unsigned id = 1, shown = 0;
	int rc;

	for (unsigned i = 0; i < num; i++, id++) {
		while (group_exists(run_dir, id))
			id++;
		st->groups[i] = id;
	}
	st->num = num;
	rc = run_pfs_write(run_dir, all, n);
	if (rc)
		return rc;
	while (shown < num && !t.err)
		show(&t, st, shown++);
	rc = t.err;
	if (!rc) {
		view_show_numvfs(&t, st->addr, st->num);
		return 0;
	}
	t.err = 0;
	while (shown)
		hide(&t, st, --shown);
	st->num = 0;
	run_pfs_write(run_dir, all, n);
	return rc;
}

/*
 * Enable or disable VFs, with the checks of drivers/pci/iov.c, sriov_numvfs_store(), in their
 * order, and vfio-pci's sriov_configure behind it.
 */
int run_set_numvfs(const char *run_dir, const char *addr, unsigned num, struct run_wait *w)
{
	struct run_pf *all = NULL, *st = NULL;
	unsigned n = 0;
	int fd, rc;

	fd = run_lock_view(run_dir);
	if (fd < 0)
		return fd == -ENOENT ? -ENODEV : fd;
	rc = run_pfs_read(run_dir, &all, &n);
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
		report_info("numvfs-range", addr, -ERANGE, "sriov_numvfs: %u, and there are %u",
			    num, st->total);
		rc = -ERANGE;
	} else if (num && st->num && num != st->num) {
		report_info("numvfs-enabled", addr, -EBUSY,
			    "sriov_numvfs: %u VFs already enabled; disable them before enabling %u",
			    st->num, num);
		rc = -EBUSY;
	} else if (num != st->num) {
		rc = num ? enable(run_dir, all, n, st, num) : disable(run_dir, all, n, st, w);
	}
out:
	free(all);
	run_unlock(fd);
	return rc;
}

/* Read as kstrtou16(text, 0, ...): a plus sign, decimal, octal or hexadecimal, one line break. */
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

long run_numvfs_store(const char *run_dir, const char *addr, const struct run_text *t)
{
	char copy[64];
	unsigned num;
	int rc;

	if (!t->len)
		return 0;
	if (t->len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, t->text, t->len);
	copy[t->len] = '\0';
	if (run_view_has(run_dir, RUN_NOIOMMU))
		return report_warn("noiommu-vfs", addr, -EOPNOTSUPP,
				   "sriov_numvfs: without an IOMMU uvfio has no virtual functions");
	if (parse_number(copy, &num)) /* too large for 16 bits, too: iov.c */
		return -EINVAL;
	rc = run_set_numvfs(run_dir, addr, num, t->wait);
	return rc ? rc : (long)t->len;
}
