/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine/claim.c: which process has a group open, and with it the hardware.
 *
 * A claim is an open-file-description lock: it belongs to the descriptor, not to the process, so it
 * neither goes when some other descriptor of the file is closed (as POSIX locks do) nor survives
 * its holder. A forked child shares the description: it closes its copy and never unlocks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/sys.h"
#include "machine/internal.h"
#include "machine/run/run.h"

/* Lock this byte of the file of group @id: a private descriptor, or -EBUSY, without a line. */
static int take(struct machine *m, unsigned id, off_t byte)
{
	char *path;
	int fd, rc;

	if (asprintf(&path, "%s/group-%u", m->claim_dir, id) < 0)
		return -ENOMEM;
	fd = sys_open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		report_err("group-claim", "machine", fd,
			   "%s: %m: cannot tell whether another process has it open", path);
		free(path);
		return fd;
	}
	free(path);
	rc = run_lock_range(fd, F_WRLCK, false, byte, 1);
	if (!rc)
		rc = fd_make_private(fd);
	if (rc < 0)
		sys_close(fd);
	if (rc < 0 && rc != -EBUSY)
		report_err("group-claim", "machine", rc, "group %u: cannot be claimed: %m", id);
	return rc;
}

/*
 * Note in a group's file how it is open: '0', not; '1', '2': enum vfio_claim. A process that finds
 * it open though the lock was free knows that the last owner is gone, or became another program,
 * and may have left descriptors of the group to others.
 */
static void note(int claim, enum vfio_claim how)
{
	char c = (char)('0' + how);

	sys_pwrite(claim, &c, 1, 0);
}

/* Return what is noted of group @id, which another process has. */
static enum vfio_claim noted(struct machine *m, unsigned id)
{
	char *path, c = '0';
	int fd;

	if (asprintf(&path, "%s/group-%u", m->claim_dir, id) < 0)
		return VFIO_CLAIM_NONE;
	fd = sys_open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0);
	free(path);
	if (fd < 0)
		return VFIO_CLAIM_NONE;
	sys_pread(fd, &c, 1, 0);
	sys_close(fd);
	return (enum vfio_claim)(c - '0');
}

static void drop(int *claim, bool abandon)
{
	if (*claim < 0)
		return;
	/* a child that was forked meanwhile may have the description open, too */
	if (!abandon)
		run_lock_file(*claim, F_UNLCK, false);
	fd_close_private(*claim);
	*claim = -1;
}

/* ---- the hardware of a unit ---- */

static void unmake_unit(struct machine *m, const struct plugged *lead)
{
	for (unsigned i = m->num_plugged; i-- > 0;)
		if (m->plugged[i]->lead == lead)
			machine_unmake(m->plugged[i]);
}

static int make_unit(struct machine *m, struct plugged *lead, char **err)
{
	int rc = 0;

	/* those of before there was a run directory are there, and stay */
	lead->made = !lead->hw;
	for (unsigned i = lead->index; i < m->num_plugged && !rc; i++) {
		struct plugged *s = m->plugged[i];

		if (s->lead != lead || s->gone)
			continue;
		rc = lead->made ? machine_make(s, err) : 0;
		if (!rc && s->layout.total) {
			machine_load_token(s);
			rc = lead->made ? machine_plug_vfs(s, err) : 0;
		}
	}
	if (rc)
		unmake_unit(m, lead);
	return rc;
}

static bool is_alone(struct machine *m, const struct plugged *lead)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->num_plugged; i++)
		n += m->plugged[i]->lead == lead && !m->plugged[i]->gone;
	return n == 1;
}

/* Claim a unit for @group, and make its hardware. plug_lock is held. */
static int unit_take(struct machine *m, struct plugged *lead, unsigned group)
{
	char *why = NULL;
	int rc;

	if (lead->claims++)
		return 0;
	rc = take(m, lead->d.group, RUN_LOCK_UNIT);
	if (rc == -EBUSY)
		report_warn("group-busy", "machine", -EBUSY,
			    "group %u: another process has %s%s%s open, and devices that hang "
			    "together can be used by one process at a time",
			    group, lead->d.addr,
			    lead->layout.total ? " or a virtual function of it" : "",
			    is_alone(m, lead) ? "" : " or the other end of its cable (net=peer:)");
	if (rc < 0)
		goto fail;
	lead->claim = rc;
	rc = make_unit(m, lead, &why);
	if (!rc)
		return 0;
	report_err("group-not-opened", "machine", 0, "group %u cannot be opened, EIO: %s", group,
		   why ? why : strerror(-rc));
	free(why);
	drop(&lead->claim, false);
	rc = rc == -ENOMEM ? rc : -EIO;
fail:
	lead->claims--;
	return rc;
}

static void unit_drop(struct machine *m, struct plugged *lead)
{
	if (--lead->claims)
		return;
	if (lead->made)
		unmake_unit(m, lead);
	lead->made = false;
	drop(&lead->claim, false);
}

static struct plugged *lead_of(struct machine *m, const struct machine_group *g)
{
	for (unsigned i = 0; i < m->num_plugged; i++)
		if (m->plugged[i]->group == g)
			return m->plugged[i]->lead;
	return g->pf ? g->pf->lead : NULL;
}

static int claim_take(struct machine *m, struct machine_group *g, enum vfio_claim how)
{
	struct plugged *lead = lead_of(m, g);
	int rc;

	if (!lead)
		return -ENODEV;
	rc = take(m, g->id, RUN_LOCK_GROUP);
	if (rc == -EBUSY)
		report_info("group-open", "machine", 0, "group %u: another process has it open",
			    g->id);
	if (rc >= 0) {
		g->claim = rc;
		rc = 0;
		if (run_is_left_open(g->claim, g->id)) {
			drop(&g->claim, false);
			rc = -EBUSY;
		}
	}
	if (rc)
		return rc == -EBUSY && how == VFIO_CLAIM_DEVICES && noted(m, g->id) == how
			       ? -EALREADY
			       : rc;
	/* now it stays what it is, which it may not be any more */
	rc = machine_is_behind(m);
	machine_follow_drivers(m);
	if (rc > 0 || (!rc && !g->vfio->n))
		rc = -EAGAIN;
	g->lead = lead;
	if (!rc)
		rc = unit_take(m, lead, g->id);
	if (rc)
		drop(&g->claim, false);
	else
		note(g->claim, how);
	return rc;
}

int machine_claim(void *arg, unsigned group, enum vfio_claim how)
{
	struct machine_group *g = NULL;
	struct machine *m = arg;
	int rc = 0;

	if (!m->run_dir) /* nobody shares the machine */
		return 0;
again:
	pthread_mutex_lock(&m->plug_lock);
	for (unsigned i = 0; i < m->num_groups && !g; i++)
		if (m->groups[i]->id == group)
			g = m->groups[i];
	if (!g) {
		rc = -ENODEV;
	} else if (how) {
		rc = claim_take(m, g, how);
	} else if (g->claim >= 0) {
		/* the hardware first: who gets the lock may have it */
		unit_drop(m, g->lead);
		note(g->claim, VFIO_CLAIM_NONE);
		drop(&g->claim, false);
	}
	pthread_mutex_unlock(&m->plug_lock);
	/* who opens the group's file looks for it again; who binds a device has it already */
	if (rc == -EAGAIN && how == VFIO_CLAIM_DEVICES) {
		rc = machine_sync(m);
		if (!rc && !g->vfio->n)
			rc = -ENODEV;
		if (!rc)
			goto again;
	}
	return rc;
}

void machine_claims_drop(struct machine *m, bool abandon)
{
	for (unsigned i = 0; i < m->num_groups; i++)
		drop(&m->groups[i]->claim, abandon);
	for (unsigned i = 0; i < m->num_plugged; i++)
		drop(&m->plugged[i]->claim, abandon);
}

int machine_claim_dir(struct machine *m, const char *run_dir)
{
	char *dir;
	long rc;

	if (asprintf(&dir, "%s/claims", run_dir) < 0)
		return -ENOMEM;
	rc = sys_call(SYS_mkdirat, AT_FDCWD, (long)dir, 0700, 0, 0, 0);
	if (rc < 0 && rc != -EEXIST) {
		report_err("run-state", "machine", (int)rc, "%s: %m", dir);
		free(dir);
		return (int)rc;
	}
	free(m->claim_dir);
	m->claim_dir = dir;
	free(m->run_dir);
	m->run_dir = strdup(run_dir);
	if (run_view_has(run_dir, RUN_NOIOMMU "/all"))
		m->noiommu = MACHINE_NOIOMMU_ALL;
	else if (run_view_has(run_dir, RUN_NOIOMMU))
		m->noiommu = MACHINE_NOIOMMU;
	return m->run_dir ? 0 : -ENOMEM;
}
