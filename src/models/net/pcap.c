/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/net/pcap.c: what passes a port, into a file for tcpdump and Wireshark.
 *
 * libpcap writes to a stream whose buffer holds a whole record, so that each reaches the file at
 * once and in one write: nothing is lost with a process that is killed. (SIGKILL in the middle of a
 * write that crosses a page makes the kernel stop there; the file then ends with a part of that one
 * record, which tools report after having read the others.) The library is loaded when a capture is
 * asked for: it brings eight others (libdbus, libsystemd, libgcrypt...), which would otherwise come
 * with uvfio into every program and every child of one.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "models/net/internal.h"

#define LIBPCAP		 "libpcap.so.0.8" /* Debian's name of it; upstream's is libpcap.so.1 */
#define LIBPCAP_UPSTREAM "libpcap.so.1"

struct net_pcap {
	struct uvfio_dev *dev;
	pthread_mutex_t lock; /* guards all below; a leaf, held while the file is written */
	int fd;
	pid_t pid;
	off_t end; /* of the last complete record */
	int err;   /* the capture ended by this */
	FILE *file;
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	__typeof__(pcap_open_dead_with_tstamp_precision) *open_dead;
	__typeof__(pcap_dump_fopen) *dump_fopen;
	__typeof__(pcap_dump) *dump;
	__typeof__(pcap_dump_flush) *flush;
	__typeof__(pcap_dump_close) *dump_close;
	__typeof__(pcap_close) *close;
	char path[PATH_MAX];
	char buf[NET_FRAME_MAX + 4096]; /* the stream's */
};

static int load(struct net_pcap *c)
{
	/* Never unloaded: libraries below it do not expect that. */
	void *lib = dlopen(LIBPCAP, RTLD_NOW | RTLD_LOCAL);
	const struct {
		const char *name;
		void *at;
	} functions[] = {
		{ "pcap_open_dead_with_tstamp_precision", &c->open_dead },
		{ "pcap_dump_fopen", &c->dump_fopen },
		{ "pcap_dump", &c->dump },
		{ "pcap_dump_flush", &c->flush },
		{ "pcap_dump_close", &c->dump_close },
		{ "pcap_close", &c->close },
	};

	if (!lib)
		lib = dlopen(LIBPCAP_UPSTREAM, RTLD_NOW | RTLD_LOCAL);
	if (!lib) {
		uvfio_error(c->dev, "net=pcap:%s: libpcap cannot be loaded: %s; install libpcap0.8",
			    c->path, dlerror());
		return -ENOENT;
	}
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *f = dlsym(lib, functions[i].name);

		if (!f)
			return uvfio_error(c->dev, "net=pcap:%s: libpcap is too old: it has no %s",
					   c->path, functions[i].name);
		memcpy(functions[i].at, &f, sizeof(f));
	}
	return 0;
}

/* Write for the stream: all of a record or nothing of it. */
static ssize_t to_file(void *cookie, const char *buf, size_t size)
{
	struct net_pcap *c = cookie;
	size_t done = 0;
	ssize_t n;

	/*
	 * A child that was forked during a write flushes, when it exits, what is the parent's to
	 * write.
	 */
	if (c->err || c->pid != getpid())
		return 0;
	while (done < size) {
		n = pwrite(c->fd, buf + done, size - done, c->end + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			c->err = n ? -errno : -ENOSPC;
			if (done && ftruncate(c->fd, c->end))
				uvfio_log(c->dev, UVFIO_LOG_WARN,
					  "net=pcap:%s: its last record is incomplete", c->path);
			return 0;
		}
		done += (size_t)n;
	}
	c->end += (off_t)size;
	return (ssize_t)size;
}

/*
 * One writer: a second device's records would overwrite ours, and a forked child's device its
 * parent's.
 */
static int claim(struct net_pcap *c)
{
	struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat st;

	if (fstat(c->fd, &st) || !S_ISREG(st.st_mode))
		return uvfio_error(c->dev, "net=pcap:%s: not a regular file", c->path);
	if (fcntl(c->fd, F_OFD_SETLK, &fl) && (errno == EAGAIN || errno == EACCES)) {
		uvfio_error(c->dev, "net=pcap:%s: another device or process is writing it",
			    c->path);
		return -EBUSY;
	}
	if (ftruncate(c->fd, 0)) {
		int err = -errno;

		uvfio_error(c->dev, "net=pcap:%s: %s", c->path, strerror(-err));
		return err;
	}
	return 0;
}

int net_pcap_open(struct uvfio_dev *dev, const char *path, struct net_pcap **out)
{
	static const cookie_io_functions_t io = { .write = to_file };
	struct net_pcap *c;
	int err, fd;

	if (strlen(path) >= sizeof(c->path)) {
		uvfio_error(dev, "net=pcap: the path is too long");
		return -ENAMETOOLONG;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->dev = dev;
	c->fd = -1;
	c->pid = getpid();
	strcpy(c->path, path);
	pthread_mutex_init(&c->lock, NULL);
	err = load(c);
	if (err)
		goto fail;
	/* O_NONBLOCK: a fifo is refused below, not waited for */
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
	if (fd < 0) {
		err = -errno;
		uvfio_error(dev, "net=pcap:%s: %s", path, strerror(-err));
		goto fail;
	}
	c->fd = err = net_keep(dev, fd);
	if (err < 0) {
		uvfio_error(dev, "net=pcap:%s: no descriptor: %s", path, strerror(-err));
		goto fail;
	}
	err = claim(c);
	if (err)
		goto fail;
	err = -ENOMEM;
	c->file = fopencookie(c, "w", io);
	if (!c->file)
		goto fail;
	setvbuf(c->file, c->buf, _IOFBF, sizeof(c->buf));
	c->pcap = c->open_dead(DLT_EN10MB, NET_FRAME_MAX, PCAP_TSTAMP_PRECISION_NANO);
	if (!c->pcap)
		goto fail;
	c->dumper = c->dump_fopen(c->pcap, c->file);
	if (!c->dumper) { /* libpcap has closed the stream */
		c->file = NULL;
		goto fail;
	}
	if (c->flush(c->dumper)) {
		err = c->err ? c->err : -EIO;
		uvfio_error(dev, "net=pcap:%s: %s", path, strerror(-err));
		goto fail;
	}
	*out = c;
	return 0;
fail:
	net_pcap_close(c);
	return err;
}

void net_pcap_write(struct net_pcap *c, const void *frame, size_t len)
{
	struct pcap_pkthdr h = { .caplen = (bpf_u_int32)len, .len = (bpf_u_int32)len };
	struct timespec now;
	int err = 0;

	pthread_mutex_lock(&c->lock);
	if (!c->err) {
		/* Under the lock, so that times ascend in the file. */
		clock_gettime(CLOCK_REALTIME, &now);
		h.ts.tv_sec = now.tv_sec;
		h.ts.tv_usec = now.tv_nsec; /* PCAP_TSTAMP_PRECISION_NANO */
		c->dump((u_char *)c->dumper, &h, frame);
		if (c->flush(c->dumper))
			err = c->err = c->err ? c->err : -EIO;
	}
	pthread_mutex_unlock(&c->lock);
	if (err) /* once */
		uvfio_log(c->dev, UVFIO_LOG_ERROR, "net=pcap:%s: %s: the capture ends here",
			  c->path, strerror(-err));
}

void net_pcap_close(struct net_pcap *c)
{
	if (!c)
		return;
	if (c->dumper)
		c->dump_close(c->dumper);
	else if (c->file)
		fclose(c->file);
	if (c->pcap)
		c->close(c->pcap);
	if (c->fd >= 0)
		uvfio_fd_close(c->dev, c->fd);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
