/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/lasting.c: a device that outlives this process: its state is in a file
 * (lasting/file.h), and a client that lost the connection comes back to whoever serves the device
 * then, and goes on. docs/vfio-user.md has the rules that both keep.
 *
 * How the state comes into the file depends on the device (enum vfio_outlast). Of one that works
 * in steps all of it is written at the end of each, a client's command or a timer; in a step the
 * file is DIRTY. Of one with memory that lasts only the rest is written, at the end of commands;
 * a command that was cut comes again. Of all others it is written when the server is ended by its
 * user, and the file is DIRTY before.
 *
 * A client's commands are carried out one after the other. With its state a device has in the file
 * which of them was the last, and its reply: who comes back without that reply sends the command
 * again, and gets it.
 *
 * Lock order: vu_server.step > the locks of the device (vfio/migrate.h and below). It is held
 * through a step, and while the device is halted, so that no timer is in the middle of one then.
 */
#include <stdio.h>
#include <sys/random.h>

#include "vfio/outlast.h"
#include "vfio_user/server/internal.h"

static struct lasting_file *file_of(const struct vu_server_client *c)
{
	return c->s->cfg.state;
}

static struct vfio_migrate *migrate_of(const struct vu_server *s)
{
	return s->cfg.dev->migrate;
}

bool vu_lasting_wanted(const struct vu_server_client *c)
{
	return file_of(c) && (c->theirs.lasting.kind == VU_LASTING_OFFER ||
			      c->theirs.lasting.kind == VU_LASTING_RESUME);
}

/* ---- steps ---- */

static int put(void *arg, bool first, enum vfio_part part, const void *data, size_t len)
{
	return lasting_put(arg, first, part, data, len);
}

/*
 * Write the state, of a device that is in no step, or halted, and say that it counts. step held. 0;
 * -EBUSY: it has to be halted for that; or -errno, with a line.
 */
static int save(struct vu_server *s, bool halted)
{
	struct lasting_file *f = s->cfg.state;
	int ret = vfio_outlast_save(migrate_of(s), halted, put, f);

	if (!ret) {
		lasting_commit(f, false);
		return 0;
	}
	/* what is there is older than the device */
	lasting_dirty(f);
	if (ret != -EBUSY)
		report_err(REPORT_LIMITED("serve-state-save"), s->name, ret,
			   "the device's state cannot be kept: %m");
	return ret;
}

/* A device's own lock of steps is had soon, unless a client is stuck in one. */
#define STEP_NS 50000000l

static void mark_dirty(struct vu_server *s)
{
	if (s->lasts && s->way != VFIO_OUTLAST_MEMORY)
		lasting_dirty(s->cfg.state);
}

static void step_begin(void *arg)
{
	struct vu_server *s = arg;

	pthread_mutex_lock(&s->step);
	mark_dirty(s);
}

static void step_end(void *arg)
{
	struct vu_server *s = arg;

	if (s->lasts)
		save(s, false);
	pthread_mutex_unlock(&s->step);
}

bool vu_server_step_begin(struct vu_server *s)
{
	struct timespec until;

	if (!s || !s->cfg.state)
		return true;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += STEP_NS;
	until.tv_sec += until.tv_nsec / 1000000000l;
	until.tv_nsec %= 1000000000l;
	if (pthread_mutex_timedlock(&s->step, &until))
		return false;
	mark_dirty(s);
	return true;
}

void vu_server_step_end(struct vu_server *s)
{
	if (s && s->cfg.state)
		step_end(s);
}

void vu_lasting_init(struct vu_server *s)
{
	struct vfio_migrate *m = migrate_of(s);

	pthread_mutex_init(&s->step, NULL);
	if (!s->cfg.state)
		return;
	s->way = vfio_outlast_way(m);
	s->steps.begin = step_begin;
	s->steps.end = step_end;
	s->steps.arg = s;
	if (s->way == VFIO_OUTLAST_STEPS)
		vfio_outlast_steps(m, &s->steps);
}

void vu_lasting_fini(struct vu_server *s)
{
	if (s->cfg.state && s->way == VFIO_OUTLAST_STEPS)
		vfio_outlast_steps(migrate_of(s), NULL);
	pthread_mutex_destroy(&s->step);
}

/* ---- a client comes ---- */

static int have_memory(struct vu_server_client *c, enum vfio_memory_how how)
{
	struct vfio_migrate *m = migrate_of(c->s);
	uint64_t offset;
	int fd, ret;

	if (!vfio_outlast_memory_size(m))
		return 0;
	fd = lasting_memory(file_of(c), &offset);
	ret = vfio_outlast_memory(m, fd, offset, how);
	if (!ret)
		c->in_file = how == VFIO_MEMORY_FRESH || how == VFIO_MEMORY_OLD;
	return ret;
}

struct describing {
	struct lasting_file *file;
	uint8_t id[LASTING_ID];
};

static int put_description(void *arg, bool first, enum vfio_part part, const void *data, size_t len)
{
	struct describing *d = arg;

	return lasting_begin(d->file, d->id, data, len);
}

int vu_lasting_begin(struct vu_server_client *c)
{
	struct describing d = { .file = file_of(c) };
	struct vu_server *s = c->s;
	int ret;

	lasting_drop(d.file);
	if (getrandom(d.id, sizeof(d.id), 0) != sizeof(d.id))
		return -errno;
	pthread_mutex_lock(&s->step);
	ret = have_memory(c, VFIO_MEMORY_FRESH);
	if (!ret)
		ret = vfio_outlast_describe(migrate_of(s), put_description, &d);
	if (!ret) {
		c->lasting = s->lasts = true;
		ret = save(s, false);
		if (ret == -EBUSY && s->way == VFIO_OUTLAST_HALT)
			ret = 0; /* the file is dirty until the server is told to end */
		memcpy(c->caps.lasting.id, d.id, sizeof(d.id));
	}
	pthread_mutex_unlock(&s->step);
	return ret;
}

/* Load what another process left. 0, or the device is to be closed. step held. */
static int load(struct vu_server_client *c, struct lasting_state *state)
{
	struct vfio_migrate *m = migrate_of(c->s);
	struct vfio_stream *none;
	struct lasting_part p;
	int ret = vfio_outlast_load(m, VFIO_PART_DEVICE, state->describe, state->describe_len);

	if (!ret)
		ret = vfio_migrate_set(m, VFIO_DEVICE_STATE_STOP, &none);
	if (!ret)
		ret = have_memory(c, VFIO_MEMORY_OLD);
	while (!ret && lasting_next(state, &p))
		ret = vfio_outlast_load(m, (enum vfio_part)p.part, p.data, p.len);
	return ret ? ret : vfio_outlast_loaded(m);
}

/* Is the state in the file @theirs? NULL, or why not. */
static const char *mismatch(const struct vu_server_client *c, const struct lasting_state *state)
{
	const struct vu_lasting *theirs = &c->theirs.lasting;
	const struct lasting_last *last = lasting_last(file_of(c));

	if (memcmp(state->id, theirs->id, sizeof(theirs->id)))
		return "it is the state of another client's device";
	/* of its commands those up to the last one are done, and it has all replies but that one */
	if (last->any && (int16_t)(uint16_t)(theirs->seq - last->seq) < 0)
		return "the device has done more than the client knows";
	return NULL;
}

int vu_lasting_resume(struct vu_server_client *c)
{
	struct vu_lasting *answer = &c->caps.lasting;
	struct lasting_state state;
	const char *why;
	int ret = lasting_take(file_of(c), &state);

	switch (ret) {
	case 0:
		why = mismatch(c, &state);
		break;
	case -ENOENT:
		why = "no state was kept";
		break;
	case -EUCLEAN:
		why = c->s->way == VFIO_OUTLAST_HALT
			      ? "the server was killed, and this device's state is kept by SIGTERM "
				"only"
			      : "the server was killed in the middle of a step of the device";
		break;
	default:
		why = ret == -ENOMEM ? "out of memory" : "the state is damaged";
	}
	if (!why) {
		pthread_mutex_lock(&c->s->step);
		if (load(c, &state)) {
			why = "the state cannot be loaded";
			/* a reset comes next, of a device that has nothing of it */
			if (c->in_file)
				have_memory(c, VFIO_MEMORY_ZERO);
		}
		pthread_mutex_unlock(&c->s->step);
	}
	if (!why) {
		memcpy(answer->id, state.id, sizeof(state.id));
		answer->kind = VU_LASTING_RESUMED;
		c->lasting = c->resuming = c->may_repeat = true;
	} else {
		snprintf(answer->why, sizeof(answer->why), "%s", why);
		answer->kind = VU_LASTING_LOST;
	}
	lasting_state_free(&state);
	if (!why)
		report_info("serve-resumed", c->name, 0, "goes on with the device as it was");
	else
		report_warn("serve-lost", c->name, 0,
			    "the device cannot go on, and is as after a reset: %s", why);
	return why ? -ESTALE : 0;
}

/* ---- commands ---- */

/* True if a command may change the device. */
static bool is_step(uint16_t command)
{
	switch (command) {
	case VU_REGION_READ:
	case VU_REGION_WRITE:
	case VU_REGION_WRITE_MULTI:
	case VU_DEVICE_RESET:
	case VU_DEVICE_FEATURE:
	case VU_DEVICE_SET_IRQS:
	case VU_MIG_DATA_READ:
	case VU_MIG_DATA_WRITE:
		return true;
	default:
		return false;
	}
}

/* A client that went on answers all that it was asked: the device may go on, too. step held. */
static void end_resuming(struct vu_server_client *c)
{
	if (vfio_migrate_state(migrate_of(c->s)) == VFIO_DEVICE_STATE_RUNNING) {
		c->resuming = false;
		c->s->lasts = true;
		save(c->s, false);
		report_info("serve-running", c->name, 0, "the device runs again");
	} else {
		lasting_clean_again(file_of(c));
	}
}

void vu_lasting_answer(struct vu_server_client *c, const struct vu_message *m, int error,
		       const struct iovec *iov, unsigned iovcnt)
{
	struct vu_server *s = c->s;

	if (!c->in_step)
		return;
	c->in_step = false;
	if (c->resuming) {
		end_resuming(c);
	} else {
		if (vu_is_sequenced(m->header.command))
			lasting_note(file_of(c), m->header.id, error, iov, iovcnt);
		/* a register that is read changes none of uvfio's own */
		if (s->way == VFIO_OUTLAST_MEMORY && m->header.command == VU_REGION_READ &&
		    lasting_mark(file_of(c)) == LASTING_CLEAN)
			lasting_commit(file_of(c), true);
		else
			save(s, false);
	}
	pthread_mutex_unlock(&s->step);
}

/* Before the device goes on a client says what it needs, and does nothing with it. */
static bool may_come_now(const struct vu_message *m)
{
	struct vu_region_access a;

	if (m->header.command == VU_DEVICE_SET_IRQS || m->header.command == VU_DEVICE_FEATURE)
		return true;
	if (m->header.command != VU_REGION_READ || m->len < sizeof(a))
		return false;
	memcpy(&a, m->data, sizeof(a));
	return a.region == VFIO_PCI_CONFIG_REGION_INDEX;
}

/* Answer a command once more, if its reply is known. */
static bool answer_again(struct vu_server_client *c, const struct vu_message *m)
{
	const struct lasting_last *l = lasting_last(file_of(c));
	struct iovec iov = { (void *)l->reply, l->len };

	if (!l->any || l->seq != m->header.id || !l->recorded)
		return false;
	vu_conn_reply(c->conn, &m->header, l->error, &iov, l->error || !l->len ? 0 : 1, NULL, 0);
	return true;
}

void vu_lasting_run(struct vu_server_client *c, struct vu_message *m,
		    void (*run)(struct vu_server_client *c, struct vu_message *m))
{
	struct vu_server *s = c->s;
	bool record = vu_is_sequenced(m->header.command);
	int ret;

	if (!is_step(m->header.command)) {
		run(c, m);
		return;
	}
	if (c->resuming && !may_come_now(m)) {
		ret = vu_command_refused(c, m, -EBUSY);
		vu_conn_reply(c->conn, &m->header, ret, NULL, 0, NULL, 0);
		return;
	}
	if (c->resuming && m->header.command != VU_DEVICE_FEATURE) {
		run(c, m);
		return;
	}
	/* the first one alone can be one that was carried out */
	if (!c->resuming && record && c->may_repeat) {
		c->may_repeat = false;
		if (answer_again(c, m))
			return;
	}
	pthread_mutex_lock(&s->step);
	if (s->way != VFIO_OUTLAST_MEMORY)
		lasting_dirty(file_of(c));
	if (record && !c->resuming)
		vfio_outlast_access(migrate_of(s), m->header.id);
	c->in_step = true;
	run(c, m);
}

/* ---- a client goes ---- */

/* Halt the device, and write its state for the next server. step held. */
static void keep(struct vu_server_client *c)
{
	struct vu_server *s = c->s;
	struct vfio_stream *none;
	int ret = 0;

	if (!c->resuming) {
		if (s->way != VFIO_OUTLAST_MEMORY)
			lasting_dirty(file_of(c));
		/* one that its client is migrating is not to be halted for another reason */
		if (vfio_migrate_state(migrate_of(s)) != VFIO_DEVICE_STATE_RUNNING)
			ret = -EBUSY;
		else
			ret = vfio_migrate_set(migrate_of(s), VFIO_DEVICE_STATE_STOP, &none);
		if (!ret)
			ret = save(s, true);
		else
			lasting_dirty(file_of(c));
	}
	/* a reset comes next, which the file is not to see */
	if (c->in_file) {
		int err = have_memory(c, VFIO_MEMORY_KEEP);

		if (err)
			lasting_dirty(file_of(c));
		ret = ret ? ret : err;
	}
	if (lasting_mark(file_of(c)) == LASTING_CLEAN)
		report_info("serve-kept", c->name, 0, "the device's state is kept");
	else
		report_err("serve-not-kept", c->name, ret, "the device's state is lost");
}

void vu_lasting_leave(struct vu_server_client *c)
{
	struct vu_server *s = c->s;

	if (!c->lasting)
		return;
	pthread_mutex_lock(&s->step);
	s->lasts = false;
	if (vu_conn_error(c->conn) == -ESHUTDOWN)
		keep(c);
	else
		lasting_drop(file_of(c));
	pthread_mutex_unlock(&s->step);
	c->lasting = c->resuming = false;
}

void vu_lasting_left(struct vu_server_client *c)
{
	if (c->in_file)
		have_memory(c, VFIO_MEMORY_KEEP);
}
