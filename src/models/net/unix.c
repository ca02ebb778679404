/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/net/unix.c: a port that is a UNIX datagram socket: another process's port, QEMU's `-netdev
 * dgram`, a test. One datagram a frame.
 *
 * The socket is never connected: each frame goes to a path, so that who listens there may go and
 * come back; and a connected one would hear nobody else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "models/net/internal.h"

#define BATCH 64 /* frames, before the port's thread looks at anything else */
/*
 * A receiver's queue is ten frames long by default (unix(7), max_dgram_qlen). On a machine that is
 * busy its thread gets a processor only after a while; one that is stopped is waited for once.
 */
#define SEND_TIMEOUT_US 100000
#define LOCK_WAIT_US	10000
#define LOCK_TRIES	100

struct net_unix {
	struct sockaddr_un self;
	dev_t dev; /* of the socket in the file system: what is there later may be another's */
	ino_t ino;
	bool fixed; /* the peer's path was given */
	/* the receiver let us wait in vain: not again before it took a frame */
	atomic_bool stalled;
	/* the last line in the log: 0 that frames leave, ENOENT nobody is there, else why not */
	atomic_int told;
	pthread_mutex_t lock; /* guards the peer; a leaf */
	struct sockaddr_un peer;
	socklen_t peer_len; /* 0: nobody sent yet */
};

/* Log each change once. A full queue is none: it comes and goes, and is counted. */
static void tell(struct net_port *p, const struct sockaddr_un *to, int err)
{
	struct net_unix *u = p->un;
	int was = atomic_load_explicit(&u->told, memory_order_relaxed);
	const char *path = to->sun_path;
	int n = (int)strnlen(path, sizeof(to->sun_path)); /* Linux may leave out the NUL */

	if (err == ECONNREFUSED)
		err = ENOENT;
	if (was == err || !atomic_compare_exchange_strong(&u->told, &was, err))
		return;
	if (err == ENOENT)
		uvfio_log(p->dev, UVFIO_LOG_INFO,
			  "net=unix:%s: nobody listens at %.*s: frames are dropped",
			  u->self.sun_path, n, path);
	else if (err)
		uvfio_log(p->dev, UVFIO_LOG_WARN,
			  "net=unix:%s: sending to %.*s: %s: frames are dropped", u->self.sun_path,
			  n, path, strerror(err));
	else
		uvfio_log(p->dev, UVFIO_LOG_INFO, "net=unix:%s: %.*s takes frames again",
			  u->self.sun_path, n, path);
}

static bool unix_send(struct net_port *p, const void *frame, size_t len)
{
	struct net_unix *u = p->un;
	struct sockaddr_un to = { 0 };
	socklen_t to_len;
	ssize_t n = 0;

	pthread_mutex_lock(&u->lock);
	to_len = u->peer_len;
	memcpy(&to, &u->peer, to_len);
	pthread_mutex_unlock(&u->lock);
	if (!to_len) {
		net_count(&p->absent);
		return true;
	}
	/* Interrupted ones begin their wait anew: not for ever, in a program with a fast timer. */
	for (int tries = 0; tries < 4; tries++) {
		bool wait = tries < 3 && !atomic_load_explicit(&u->stalled, memory_order_relaxed);

		n = sendto(p->fd, frame, len, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT),
			   (struct sockaddr *)&to, to_len);
		if (n >= 0 || errno != EINTR)
			break;
	}
	if (n >= 0) {
		if (atomic_load_explicit(&u->stalled, memory_order_relaxed))
			atomic_store(&u->stalled, false);
		if (atomic_load_explicit(&u->told, memory_order_relaxed))
			tell(p, &to, 0);
		return true;
	}
	switch (errno) {
	case EAGAIN:
	case EINTR:
		net_count(&p->full);
		atomic_store(&u->stalled, true);
		break;
	case ENOENT:
	case ECONNREFUSED:
		net_count(&p->absent);
		tell(p, &to, errno);
		break;
	default:
		net_count(&p->bad);
		tell(p, &to, errno);
		break;
	}
	return true;
}

static void unix_start(struct net_port *p)
{
	net_set_link(p, true);
}

static void learn(struct net_unix *u, const struct sockaddr_un *from, socklen_t len)
{
	/* A sender that is not bound has no address. */
	if (u->fixed || len <= sizeof(sa_family_t))
		return;
	pthread_mutex_lock(&u->lock);
	memcpy(&u->peer, from, len);
	u->peer_len = len;
	pthread_mutex_unlock(&u->lock);
}

static bool unix_readable(struct net_port *p)
{
	uint8_t frame[NET_FRAME_MAX];
	struct sockaddr_un from;
	socklen_t from_len;
	ssize_t n;

	for (int i = 0; i < BATCH; i++) {
		from_len = sizeof(from);
		/* MSG_TRUNC: the length as it was sent */
		n = recvfrom(p->fd, frame, sizeof(frame), MSG_DONTWAIT | MSG_TRUNC,
			     (struct sockaddr *)&from, &from_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0) {
			uvfio_log(p->dev, UVFIO_LOG_ERROR,
				  "net=unix:%s: %s: the link is down for good",
				  p->un->self.sun_path, strerror(errno));
			net_set_link(p, false);
			return false;
		}
		if (!net_is_frame((size_t)n)) {
			net_count(&p->bad);
			continue;
		}
		/* Linux may say a byte more than the structure has: a path without its NUL. */
		learn(p->un, &from, from_len < sizeof(from) ? from_len : sizeof(from));
		net_incoming(p, frame, (size_t)n);
	}
	return true;
}

static void unix_close(struct net_port *p)
{
	struct net_unix *u = p->un;
	struct stat st;

	if (!lstat(u->self.sun_path, &st) && st.st_dev == u->dev && st.st_ino == u->ino)
		unlink(u->self.sun_path);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

static const struct net_backend unix_backend = {
	.send = unix_send,
	.start = unix_start,
	.readable = unix_readable,
	.close = unix_close,
};

/* Make the path absolute, as the program may change its directory. */
static int set_path(struct net_port *p, struct sockaddr_un *a, const char *path, size_t n)
{
	char cwd[sizeof(a->sun_path)] = "";
	int len;

	if (!n)
		return uvfio_error(p->dev, "net=unix: an empty path; it is net=unix:PATH[:PEER]");
	if (path[0] != '/' && !getcwd(cwd, sizeof(cwd)))
		goto too_long;
	a->sun_family = AF_UNIX;
	len = snprintf(a->sun_path, sizeof(a->sun_path), "%s%s%.*s", cwd, path[0] == '/' ? "" : "/",
		       (int)n, path);
	if (n < sizeof(a->sun_path) && len < (int)sizeof(a->sun_path))
		return 0;
too_long:
	uvfio_error(p->dev,
		    "net=unix:%.*s: with its directory it is longer than the %zu characters of a "
		    "socket's path",
		    (int)n, path, sizeof(a->sun_path) - 1);
	return -ENAMETOOLONG;
}

/* True for a socket that no process has open any more, left by a killed one. */
static bool is_stale(const struct sockaddr_un *a)
{
	struct stat st;
	bool stale;
	int fd;

	if (lstat(a->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	stale = connect(fd, (const struct sockaddr *)a, sizeof(*a)) && errno == ECONNREFUSED;
	close(fd);
	return stale;
}

/*
 * Take the place of a stale socket: -EADDRINUSE if it is not stale. Two at once must not take it
 * from each other, so one of them at a time, by a lock on the directory. A socket that is just
 * being bound looks stale for an instant: a second look. Who cannot lock (no right to read the
 * directory, or somebody else has it locked) leaves what is there.
 */
static int take_over(struct net_unix *u, int fd)
{
	char dir[sizeof(u->self.sun_path)];
	int err = -EADDRINUSE, lock;

	if (!is_stale(&u->self))
		return err;
	snprintf(dir, sizeof(dir), "%s", u->self.sun_path);
	*(strrchr(dir, '/') + 1) = '\0'; /* set_path() made it absolute */
	lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0)
		return err;
	for (int i = 0; flock(lock, LOCK_EX | LOCK_NB); i++) {
		if (i == LOCK_TRIES || (errno != EWOULDBLOCK && errno != EINTR))
			goto out;
		usleep(LOCK_WAIT_US);
	}
	usleep(LOCK_WAIT_US);
	if (!is_stale(&u->self))
		goto out;
	unlink(u->self.sun_path);
	err = bind(fd, (const struct sockaddr *)&u->self, sizeof(u->self)) ? -errno : 0;
out:
	close(lock);
	return err;
}

static const char *why_not(const struct net_unix *u, int err)
{
	struct stat st;

	if (err != -EADDRINUSE)
		return strerror(-err);
	if (!lstat(u->self.sun_path, &st) && !S_ISSOCK(st.st_mode))
		return "there is something that is no socket";
	return "in use by another device or process";
}

static int bind_socket(struct net_port *p, struct net_unix *u, int fd)
{
	struct timeval tv = { .tv_usec = SEND_TIMEOUT_US };
	struct stat st;
	int err;

	err = bind(fd, (const struct sockaddr *)&u->self, sizeof(u->self)) ? -errno : 0;
	if (err == -EADDRINUSE)
		err = take_over(u, fd);
	if (err) {
		uvfio_error(p->dev, "net=unix:%s: %s", u->self.sun_path, why_not(u, err));
		return err;
	}
	if (!lstat(u->self.sun_path, &st)) {
		u->dev = st.st_dev;
		u->ino = st.st_ino;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv))) {
		err = -errno;
		unlink(u->self.sun_path);
		uvfio_error(p->dev, "net=unix:%s: SO_SNDTIMEO: %s", u->self.sun_path,
			    strerror(-err));
		return err;
	}
	return 0;
}

int net_unix_open(struct net_port *p, const char *paths)
{
	const char *colon = strchr(paths, ':');
	size_t n = colon ? (size_t)(colon - paths) : strlen(paths);
	struct net_unix *u = calloc(1, sizeof(*u));
	int err, fd = -1;

	if (!u)
		return -ENOMEM;
	pthread_mutex_init(&u->lock, NULL);
	err = set_path(p, &u->self, paths, n);
	if (!err && colon) {
		err = set_path(p, &u->peer, colon + 1, strlen(colon + 1));
		u->peer_len = sizeof(u->peer);
		u->fixed = true;
	}
	if (err)
		goto fail;
	if (u->fixed && !strcmp(u->self.sun_path, u->peer.sun_path)) {
		err = uvfio_error(p->dev, "net=unix:%s: would send to itself", paths);
		goto fail;
	}
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err = -errno;
		uvfio_error(p->dev, "net=unix:%s: %s", paths, strerror(-err));
		goto fail;
	}
	err = bind_socket(p, u, fd);
	if (err)
		goto fail;
	err = net_keep(p->dev, fd);
	if (err < 0) {
		fd = -1;
		unlink(u->self.sun_path);
		uvfio_error(p->dev, "net=unix:%s: no descriptor: %s", paths, strerror(-err));
		goto fail;
	}
	p->fd = err;
	p->un = u;
	p->be = &unix_backend;
	return 0;
fail:
	if (fd >= 0)
		close(fd);
	pthread_mutex_destroy(&u->lock);
	free(u);
	return err;
}
