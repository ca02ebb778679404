/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ctl/test_run.h: a run for unit tests: a directory with its view, a server, and a machine in this
 * process with an agent.
 */
#ifndef CTL_TEST_RUN_H
#define CTL_TEST_RUN_H
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "uvfio/model.h"
#include "base/json.h"
#include "base/report.h"
#include "ctl/ctl.h"
#include "ctl/packet.h"
#include "machine/internal.h"
#include "machine/run/run.h"
#include "vfio/open.h"

struct test_run {
	char dir[64];
	struct ctl_server *server;
	struct machine *m;
	struct ctl_agent *agent;
};

/* Make a run of devices by their specs, which end with NULL. */
static inline void run_start(struct test_run *r, const char *const *specs)
{
	struct machine *m = machine_new();
	struct run_devices l = { 0 };
	char path[96], *place, *err;

	log_set(2, LOG_ERR);
	strcpy(r->dir, "/tmp/uvfio-ctl-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	snprintf(path, sizeof(path), "%s/claims", r->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	for (; *specs; specs++) {
		if (machine_add(m, *specs, &err))
			fail_msg("%s", err);
		assert_int_equal(machine_settle(m, &place), 0);
		assert_int_equal(run_devices_append(&l, place, *specs), 0);
		free(place);
	}
	machine_next(m, l.next, &l.run);
	assert_int_equal(run_devices_write(r->dir, &l), 0);
	run_devices_free(&l);
	assert_int_equal(machine_write_view(m, r->dir), 0);
	machine_free(m, false);
	assert_int_equal(ctl_server_new(r->dir, "test", &r->server), 0);
	assert_int_equal(ctl_server_start(r->server), 0);
	r->m = machine_new();
	assert_int_equal(machine_claim_dir(r->m, r->dir), 0);
	r->agent = ctl_agent_new(r->dir);
	assert_non_null(r->agent);
	assert_int_equal(machine_sync(r->m), 0);
	ctl_agent_start(r->agent, r->m, NULL);
}

static inline void run_stop(struct test_run *r)
{
	char cmd[96];

	ctl_agent_free(r->agent);
	machine_free(r->m, false);
	ctl_server_free(r->server);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", r->dir);
	assert_int_equal(system(cmd), 0);
}

static inline int run_connect(const struct test_run *r, const char *name, int type)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", r->dir, name);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static inline void put_all(int fd, const void *p, size_t n)
{
	assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
}

/* Return the next line of an answer, which is kept until the next call; NULL: the end. */
static inline const char *next_answer(int fd)
{
	static char *line;

	free(line);
	return ctl_receive(fd, &line) > 0 ? line : NULL;
}

/* Ask by a connection of its own. */
static inline const char *asked(const struct test_run *r, const char *request)
{
	int fd = run_connect(r, CTL_SOCKET, SOCK_STREAM);
	const char *answer;

	assert_int_equal(ctl_send(fd, request), 0);
	answer = next_answer(fd);
	assert_non_null(answer);
	close(fd);
	return answer;
}

/* True if the answer to @request has @text in it. */
static inline bool says(const struct test_run *r, const char *request, const char *text)
{
	const char *answer = asked(r, request);

	if (strstr(answer, text))
		return true;
	print_message("%s: %s\n", request, answer);
	return false;
}
#endif
