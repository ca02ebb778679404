/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * cli/serve.c: uvfio serve: devices of the user's choice for virtual machines and other clients of
 * vfio-user, until a signal ends it. The work is that of uvfio/server.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uvfio/server.h"
#include "base/log.h"
#include "base/report.h"
#include "base/size.h"
#include "base/util.h"
#include "cli/cli.h"
#include "cli/sandbox.h"
#include "cli/sweep.h"
#include "serve/serve.h"

#define END_NS	 5000000000ull /* a client that is inside a device is waited for for so long */
#define GIVEN_UP 3	       /* exit status: it is still there */
#define FIRST_FD 3	       /* that systemd passes on: SD_LISTEN_FDS_START of sd_listen_fds(3) */

struct served {
	const char *spec, *socket; /* as the user wrote them; no socket: NULL */
	const char **ioeventfds;
	unsigned num_ioeventfds;
	struct uvfio_server_device *device;
};

struct serve {
	const struct cli_command *cmd;
	struct served *devices;
	unsigned num_devices;
	unsigned mode;
	bool sandbox, strict;
	const char *state;
	const char **limits; /* as the user wrote them */
	unsigned num_limits;
	int log_level, log_fd;
	int passed, num_passed; /* descriptors of systemd's: the next one, and how many are left */
	struct uvfio_server *server;
	struct serve_ctl *ctl;
};

/* ---- options ---- */

static int add_device(struct serve *s, const char *spec)
{
	struct served *more = reallocarray(s->devices, s->num_devices + 1, sizeof(*more));

	if (!more)
		return cli_error(s->cmd, "out of memory");
	s->devices = more;
	more[s->num_devices++] = (struct served){ .spec = spec };
	return 0;
}

static int set_socket(struct serve *s, const char *path)
{
	struct served *d = s->num_devices ? &s->devices[s->num_devices - 1] : NULL;

	if (!d)
		return cli_error(s->cmd, "--socket: write it behind the --device that it is for");
	if (d->socket)
		return cli_error(s->cmd, "--socket %s: the device %s has one already", path,
				 d->spec);
	d->socket = path;
	return 0;
}

static int add_ioeventfd(struct serve *s, const char *text)
{
	struct served *d = s->num_devices ? &s->devices[s->num_devices - 1] : NULL;
	const char **more;

	if (!d)
		return cli_error(s->cmd, "--ioeventfd: write it behind the --device it is for");
	more = reallocarray(d->ioeventfds, d->num_ioeventfds + 1, sizeof(*more));
	if (!more)
		return cli_error(s->cmd, "out of memory");
	d->ioeventfds = more;
	more[d->num_ioeventfds++] = text;
	return 0;
}

static int set_mode(struct serve *s, const char *text)
{
	unsigned long mode;
	char *end;

	mode = strtoul(text, &end, 8);
	if (*end || end == text || *text == '-' || !mode || mode > 0777)
		return cli_error(s->cmd, "--mode %s: write an octal number of up to 777", text);
	s->mode = (unsigned)mode;
	return 0;
}

static int set_log_file(struct serve *s, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);

	if (fd < 0)
		return cli_error(s->cmd, "--log-file %s: %s", path, strerror(errno));
	if (s->log_fd != STDERR_FILENO)
		close(s->log_fd);
	s->log_fd = fd;
	return 0;
}

static int add_limits(struct serve *s, const char *text)
{
	const char **more = reallocarray(s->limits, s->num_limits + 1, sizeof(*more));

	if (!more)
		return cli_error(s->cmd, "out of memory");
	s->limits = more;
	more[s->num_limits++] = text;
	return 0;
}

/* Have NAME=VALUE[,NAME=VALUE]... hold for all clients. */
static int set_limits(struct serve *s, const char *text)
{
	char one[64], *eq;
	uint64_t value;
	size_t len;

	for (; *text; text += len + (text[len] == ',')) {
		len = strcspn(text, ",");
		snprintf(one, sizeof(one), "%.*s", (int)len, text);
		eq = strchr(one, '=');
		if (!eq || len >= sizeof(one) || size_parse(eq + 1, &value))
			return cli_error(s->cmd, "--limit %.*s: write NAME=NUMBER", (int)len, text);
		*eq = '\0';
		if (uvfio_server_set_limit(s->server, one, value))
			return cli_error(s->cmd, "--limit: %s", uvfio_server_strerror(s->server));
	}
	return 0;
}

static int set_sandbox(struct serve *s, const char *how)
{
	s->sandbox = true;
	s->strict = how && !strcmp(how, "strict");
	if (how && !s->strict)
		return cli_error(s->cmd, "--sandbox=%s: write --sandbox or --sandbox=strict", how);
	return 0;
}

enum {
	OPT_DEVICE,
	OPT_IOEVENTFD,
	OPT_LIMIT,
	OPT_LOG,
	OPT_LOG_FILE,
	OPT_MODE,
	OPT_SANDBOX,
	OPT_SOCKET,
	OPT_STATE,
};
static const struct cli_option options[] = {
	[OPT_DEVICE] = { "device", "SPEC",
			 "serve a device: MODEL[,option=value]..., ./PLUGIN.so[,...], or a real\n"
			 "one, which the host's vfio-pci has: host=ADDRESS[,...]; may be given\n"
			 "several times" },
	[OPT_IOEVENTFD] = { "ioeventfd", "REGION:OFFSET:SIZE=VALUE",
			    "let clients make this write by an eventfd, of the --device before;\n"
			    "may be given several times" },
	[OPT_LIMIT] = { "limit", "NAME=NUMBER[,...]",
			"what each client can have at most; `--limit help` lists names, defaults\n"
			"and what they are of" },
	[OPT_LOG] = { "log", "LEVEL", "error, warn, info (the default), debug or none" },
	[OPT_LOG_FILE] = { "log-file", "FILE", "append the log to FILE, not to stderr" },
	[OPT_MODE] = { "mode", "MODE", "who may connect: the sockets' mode (0600)" },
	[OPT_SANDBOX] = { "sandbox", "[=strict]",
			  "once the sockets are there: open no more files, start no programs, "
			  "make\n"
			  "no sockets, whatever a client does (seccomp, Landlock); strict: refuse\n"
			  "to serve where the kernel has no Landlock" },
	[OPT_SOCKET] = { "socket", "PATH",
			 "the socket of the --device before it; fd:N: the descriptor N, which\n"
			 "listens already. Without: one of systemd's (LISTEN_FDS), or a new one\n"
			 "in XDG_RUNTIME_DIR, TMPDIR or /tmp" },
	[OPT_STATE] = { "state", "DIR",
			"keep the devices' state in files of DIR: a server that is started again\n"
			"goes on with them, for clients that can come back, also when it was\n"
			"killed; docs/vfio-user.md" },
	{ 0 },
};

static int set_option(struct serve *s, int opt, const char *value)
{
	switch (opt) {
	case OPT_DEVICE:
		return add_device(s, value);
	case OPT_IOEVENTFD:
		return add_ioeventfd(s, value);
	case OPT_LOG:
		s->log_level = log_parse_level(value);
		if (s->log_level == -EINVAL)
			return cli_error(s->cmd, "--log %s: write error, warn, info, debug or none",
					 value);
		return 0;
	case OPT_LOG_FILE:
		return set_log_file(s, value);
	case OPT_MODE:
		return set_mode(s, value);
	case OPT_LIMIT:
		return add_limits(s, value);
	case OPT_SANDBOX:
		return set_sandbox(s, value);
	case OPT_SOCKET:
		return set_socket(s, value);
	case OPT_STATE:
		s->state = value;
		return 0;
	}
	return CLI_USAGE;
}

/* ---- sockets ---- */

/* See whether systemd has passed sockets on to this process. */
static void find_passed(struct serve *s)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");

	if (!pid || !n || atol(pid) != getpid())
		return;
	s->passed = FIRST_FD;
	s->num_passed = atoi(n);
}

static int explain(struct serve *s)
{
	return cli_error(s->cmd, "%s", uvfio_server_strerror(s->server));
}

static int serve_fd(struct serve *s, struct served *d, int fd)
{
	if (fcntl(fd, F_GETFD) < 0)
		return cli_error(s->cmd, "--socket fd:%d: there is no such descriptor", fd);
	return uvfio_server_add_fd(s->server, d->spec, fd, &d->device) ? explain(s) : 0;
}

char *serve_default_path(const char *word, unsigned n)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	char *path;

	if (!dir || !*dir)
		dir = getenv("TMPDIR");
	if (!dir || !*dir)
		dir = "/tmp";
	return asprintf(&path, "%s/uvfio-%d%s-%u.sock", dir, getpid(), word, n) < 0 ? NULL : path;
}

/* Make @d's socket at a place that nobody chose. */
static int serve_default(struct serve *s, struct served *d)
{
	char *path = serve_default_path("", (unsigned)(d - s->devices));
	int rc;

	if (!path)
		return cli_error(s->cmd, "out of memory");
	rc = uvfio_server_add(s->server, d->spec, path, s->mode, &d->device);
	free(path);
	return rc ? explain(s) : 0;
}

static int add(struct serve *s, struct served *d)
{
	char *end;
	long fd;

	if (!d->socket && s->num_passed > 0) {
		s->num_passed--;
		return serve_fd(s, d, s->passed++);
	}
	if (!d->socket)
		return serve_default(s, d);
	if (strncmp(d->socket, "fd:", 3)) {
		if (uvfio_server_add(s->server, d->spec, d->socket, s->mode, &d->device))
			return explain(s);
		return 0;
	}
	fd = strtol(d->socket + 3, &end, 10);
	if (*end || end == d->socket + 3 || fd < 0 || fd > INT32_MAX)
		return cli_error(s->cmd, "--socket %s: write fd: and the number of a descriptor",
				 d->socket);
	return serve_fd(s, d, (int)fd);
}

/* ---- registers by eventfds ---- */

static int set_ioeventfd(struct serve *s, struct served *d, const char *text)
{
	unsigned long long offset, value;
	unsigned region, size;
	int end = 0;

	if (sscanf(text, "%u:%lli:%u=%lli%n", &region, &offset, &size, &value, &end) != 4 ||
	    text[end])
		return cli_error(s->cmd, "--ioeventfd %s: write REGION:OFFSET:SIZE=VALUE", text);
	return uvfio_server_ioeventfd(d->device, region, offset, size, value) ? explain(s) : 0;
}

/* ---- serving ---- */

static void show_one(void *ctx, const struct serve_info *i)
{
	printf("%s %s %s\n", i->addr, i->model, i->path ? i->path : "-");
}

static void show(const struct serve *s)
{
	serve_each(s->server, show_one, NULL);
	/* whoever waits for the sockets reads it */
	fflush(stdout);
}

static int wait_for_signal(void)
{
	sigset_t set;
	int sig = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	while (sigwait(&set, &sig))
		;
	return sig;
}

/* The paths of sockets. */
struct paths {
	const char **list;
	unsigned n;
	bool failed;
};

static void add_path(void *ctx, const struct serve_info *i)
{
	struct paths *p = ctx;
	const char **more = reallocarray(p->list, p->n + 1, sizeof(*more));

	p->failed |= !more;
	if (!more)
		return;
	p->list = more;
	p->list[p->n++] = i->path;
}

/* Give up what serving does not need. The sockets' files are another process's to remove. */
static int confine(struct serve *s)
{
	struct paths p = { 0 };
	int rc = -ENOMEM;

	serve_each(s->server, add_path, &p);
	if (!p.failed)
		rc = sweep_start(p.list, p.n);
	free(p.list);
	if (rc)
		return cli_error(s->cmd, "--sandbox: no process to remove sockets: %s",
				 strerror(-rc));
	rc = sandbox_enter(s->strict);
	return rc ? cli_error(s->cmd, "--sandbox: %s", strerror(-rc)) : 0;
}

static int serve_all(struct serve *s)
{
	int rc = 0, sig;

	s->server = uvfio_server_new(NULL, NULL);
	if (!s->server)
		return cli_error(s->cmd, "%s", uvfio_server_strerror(NULL));
	for (unsigned i = 0; i < s->num_limits && !rc; i++)
		rc = set_limits(s, s->limits[i]);
	if (!rc && s->state && uvfio_server_set_state(s->server, s->state))
		rc = cli_error(s->cmd, "--state: %s", uvfio_server_strerror(s->server));
	for (unsigned i = 0; i < s->num_devices && !rc; i++)
		rc = add(s, &s->devices[i]);
	for (unsigned i = 0; i < s->num_devices && !rc; i++)
		for (unsigned k = 0; k < s->devices[i].num_ioeventfds && !rc; k++)
			rc = set_ioeventfd(s, &s->devices[i], s->devices[i].ioeventfds[k]);
	if (rc)
		return rc;
	if (s->sandbox && (rc = confine(s)))
		return rc;
	if (uvfio_server_start(s->server))
		return explain(s);
	/* who is confined can plug nothing in, nor make the files for it */
	if (!s->sandbox)
		s->ctl = serve_ctl_new(s->server, s->mode);
	show(s);
	sig = wait_for_signal();
	report_info("serve-end", "serve", 0, "ends: %s", strsignal(sig));
	return 0;
}

static int serve(const struct cli_command *cmd, int argc, char **argv)
{
	struct serve s = { .cmd = cmd, .log_level = LOG_INFO, .log_fd = STDERR_FILENO };
	struct cli_args a = { .cmd = cmd, .argc = argc, .argv = argv };
	sigset_t set;
	int opt, rc;

	while ((opt = cli_next_option(&a)) >= 0) {
		if (opt == OPT_LIMIT && !strcmp(a.value, "help")) {
			serve_print_limits(stdout);
			rc = 0;
			goto out;
		}
		rc = set_option(&s, opt, a.value);
		if (rc)
			goto out;
	}
	rc = opt == CLI_HELP ? 0 : CLI_USAGE;
	if (opt != CLI_ARG)
		goto out;
	rc = cli_no_more(&a);
	if (rc)
		goto out;
	if (!s.num_devices) {
		rc = cli_error(cmd, "no device to serve: `uvfio serve --device MODEL`");
		goto out;
	}
	log_set(s.log_fd, s.log_level);
	find_passed(&s);
	/* for sigwait(); before there are threads */
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	rc = serve_all(&s);
	if (s.server && serve_end(s.server, END_NS)) {
		/* threads are in devices that are given up: nothing can be freed */
		serve_ctl_leave(s.ctl);
		sweep_end();
		_exit(GIVEN_UP);
	}
	serve_ctl_free(s.ctl);
	uvfio_server_free(s.server);
	sweep_end();
out:
	free(s.limits);
	if (s.log_fd != STDERR_FILENO)
		close(s.log_fd);
	for (unsigned i = 0; i < s.num_devices; i++)
		free(s.devices[i].ioeventfds);
	free(s.devices);
	return rc;
}

const struct cli_command cli_serve = {
	.name = "serve",
	.args = "--device SPEC [--socket PATH]... [OPTIONS]",
	.summary = "Serve devices to virtual machines by vfio-user",
	.text = "\nEach device has a socket, which is printed when clients can connect to it: its\n"
		"address, the model, the path. SIGTERM, SIGINT or SIGHUP ends it; status 3: a\n"
		"client still kept a device busy after 5 seconds, as a line says.\n"
		"\n  uvfio serve --device nvme,image=disk.img --socket /tmp/nvme.sock\n"
		"  qemu-system-x86_64 -object memory-backend-memfd,id=ram,size=1G,share=on \\\n"
		"      -machine q35,memory-backend=ram -m 1G \\\n"
		"      -device '{\"driver\":\"vfio-user-pci\",\"socket\":{\"type\":\"unix\",\n"
		"                \"path\":\"/tmp/nvme.sock\"}}' ...\n",
	.options = options,
	.run = serve,
};
