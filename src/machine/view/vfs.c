/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/view/vfs.c: virtual functions come into the view and go. `uvfio run` has written the
 * directories of all that there can be, aside.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/bytes.h"
#include "base/sys.h"
#include "base/util.h"
#include "machine/view/internal.h"

/* Put the path of @name in the view together; false: it is too long. */
static bool full_path(const struct tree *t, const char *name, char path[PATH_MAX])
{
	int n = snprintf(path, PATH_MAX, "%s/%s", t->root, name);

	return n > 0 && n < PATH_MAX;
}

static bool exists(const struct tree *t, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	return full_path(t, name, path) && !sys_call(SYS_newfstatat, AT_FDCWD, (long)path,
						     (long)&st, AT_SYMLINK_NOFOLLOW, 0, 0);
}

static void remove_link(struct tree *t, const char *path, const char *target)
{
	tree_remove(t, path);
}

/* Files appear in the order in which the kernel makes them known: at last what clients list. */
void view_show_vf(struct tree *t, const char *pf, unsigned index, const char *addr, unsigned group)
{
	char parent[VIEW_PARENT], from[VIEW_PARENT + 64], to[VIEW_PARENT + 64];

	if (!view_parent(t, pf, parent))
		return;
	view_group(t, group);
	snprintf(from, sizeof(from), VIEW_VFS_ASIDE "/%s", addr);
	snprintf(to, sizeof(to), "sys/devices/%s/%s", parent, addr);
	tree_move(t, from, to);
	view_links(t, parent, addr, NULL, group, tree_link);
	snprintf(from, sizeof(from), "sys/devices/%s/%s/virtfn%u", parent, pf, index);
	snprintf(to, sizeof(to), "../%s", addr);
	tree_link(t, from, to);
}

void view_drop_virtfn(struct tree *t, const char *pf, unsigned index)
{
	char parent[VIEW_PARENT], path[VIEW_PARENT + 64];

	if (!view_parent(t, pf, parent))
		return;
	snprintf(path, sizeof(path), "sys/devices/%s/%s/virtfn%u", parent, pf, index);
	tree_remove(t, path);
}

void view_hide_vf(struct tree *t, const char *pf, unsigned index, const char *addr, unsigned group)
{
	char parent[VIEW_PARENT], from[VIEW_PARENT + 64], to[VIEW_PARENT + 64];

	if (!view_parent(t, pf, parent))
		return;
	view_drop_virtfn(t, pf, index);
	view_links(t, parent, addr, NULL, group, remove_link);
	view_drop_group(t, group);
	snprintf(from, sizeof(from), "sys/devices/%s/%s", parent, addr);
	snprintf(to, sizeof(to), VIEW_VFS_ASIDE "/%s", addr);
	if (exists(t, from))
		tree_move(t, from, to);
}

/*
 * Write what `config` of the PF shows to a process that has no machine: NumVFs, VF Enable and VF
 * MSE.
 */
static void show_config(struct tree *t, const char *pf, unsigned num)
{
	char parent[VIEW_PARENT], name[VIEW_PARENT + 64], path[PATH_MAX];
	uint8_t cfg[PCI_CFG_EXP_SIZE];
	unsigned off = PCI_CFG_SIZE, left = PCI_CFG_EXP_SIZE / 4;
	uint32_t header = 0;
	uint16_t ctrl;
	int fd;

	if (!view_parent(t, pf, parent))
		return;
	snprintf(name, sizeof(name), "sys/devices/%s/%s/config", parent, pf);
	if (!full_path(t, name, path))
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
		if (num)
			ctrl |= PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE;
		put16(cfg + off + PCI_SRIOV_CTRL, ctrl);
		put16(cfg + off + PCI_SRIOV_NUM_VF, (uint16_t)num);
		tree_replace(&(struct tree){ .root = t->root }, 0444, name, cfg, sizeof(cfg));
		break;
	}
out:
	sys_close(fd);
}

void view_show_numvfs(struct tree *t, const char *pf, unsigned num)
{
	char parent[VIEW_PARENT], name[VIEW_PARENT + 64], path[PATH_MAX], text[16];
	int fd, n;

	if (!view_parent(t, pf, parent))
		return;
	snprintf(name, sizeof(name), "sys/devices/%s/%s/sriov_numvfs", parent, pf);
	if (!full_path(t, name, path))
		return;
	/* in place: the program that writes has it open, and its mode may have been changed */
	fd = sys_open(path, O_WRONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return;
	n = snprintf(text, sizeof(text), "%u\n", num);
	if (sys_pwrite(fd, text, (size_t)n, 0) == n)
		sys_call(SYS_ftruncate, fd, n, 0, 0, 0, 0);
	sys_close(fd);
	show_config(t, pf, num);
}
