/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/ctl.c: the control of a run. An input is what several clients send, in pieces; whatever it
 * is, each line that is whole is answered by one line of JSON that says whether it was done, in
 * order, the server goes on, and the device that has no name in the inputs is there at the end.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/json.h"
#include "base/log.h"
#include "ctl/ctl.h"
#include "ctl/packet.h"
#include "fuzz.h"
#include "machine/machine.h"
#include "machine/run/run.h"

#define CLIENTS 3

static char dir[] = "/tmp/uvfio-fuzz-XXXXXX";
static struct ctl_server *server;

static void drop_dir(void)
{
	char cmd[64];

	ctl_server_free(server);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	if (system(cmd))
		abort();
}

/* A run of one device, at an address that no word of the inputs is. */
static void once(void)
{
	struct machine *m = machine_new();
	struct run_devices l = { 0 };
	char path[64], *place, *err;

	log_set(2, LOG_NONE);
	guard_install();
	REQUIRE(m && mkdtemp(dir), "no run");
	snprintf(path, sizeof(path), "%s/claims", dir);
	mkdir(path, 0700);
	REQUIRE(!machine_add(m, "edu,addr=7f:1f.7,group=99", &err), "%s", err);
	REQUIRE(!machine_settle(m, &place), "no place");
	REQUIRE(!run_devices_append(&l, place, "edu,addr=7f:1f.7,group=99"), "no list");
	free(place);
	machine_next(m, l.next, &l.run);
	REQUIRE(!run_devices_write(dir, &l) && !machine_write_view(m, dir), "no view");
	run_devices_free(&l);
	machine_free(m, false);
	REQUIRE(!ctl_server_new(dir, "fuzz", &server) && !ctl_server_start(server), "no server");
	atexit(drop_dir);
}

static int client(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/" CTL_SOCKET, dir);
	REQUIRE(!connect(fd, (struct sockaddr *)&a, sizeof(a)), "no connection");
	return fd;
}

/* Check an answer: a line of JSON, {"ok":true} or with a sentence, or what is waited for. */
static void check(char *line, size_t len)
{
	static struct json nodes[4096];
	const struct json *ok;
	char copy[256];

	snprintf(copy, sizeof(copy), "%s", line);
	REQUIRE(!json_parse(line, len, nodes, 4096), "%s", copy);
	if (json_text(nodes, "progress"))
		return;
	ok = json_member(nodes, "ok", JSON_BOOL);
	REQUIRE(ok, "%s", copy);
	REQUIRE(ok->number || (json_text(nodes, "error") && json_text(nodes, "message")), "%s",
		copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const words[] = {
		"{\"request\":\"list\"}\n",
		"{\"request\":\"plug\",\"device\":\"edu\"}\n",
		"{\"request\":\"unplug\",\"device\":\"01:00.0\",\"timeout\":0}\n",
		"{\"request\":\"unplug\",\"device\":\"02:00.0\",\"surprise\":true,\"timeout\":0}\n",
		"{\"request\":\"aer\",\"device\":\"01:00.0\",\"severity\":\"fatal\"}\n",
		"{\"request\":\"link\",\"device\":\"01:00.0\",\"state\":\"down\"}\n",
		"{\"request\":\"sriov\",\"device\":\"01:00.0\",\"numvfs\":1}\n",
		"{\"request\":\"plug\",\"device\":\"igb,sriov_numvfs=1\"}\n",
		"\"request\":",
		"\"device\":\"01:00.0\"",
		",",
		"}\n",
	};
	static bool done;
	struct in in = { data, size };
	int fd[CLIENTS];
	unsigned sent = 0;
	char *line;
	ssize_t n;

	if (!done)
		once();
	done = true;
	for (unsigned i = 0; i < CLIENTS; i++)
		fd[i] = client();
	while (!in_end(&in) && sent++ < 40) {
		uint8_t c = in8(&in), *piece;
		int to = fd[c % CLIENTS];
		size_t len = in8(&in);

		if (c & 0x80) { /* a word that a mutation would be long in finding */
			const char *word = words[len % (sizeof(words) / sizeof(words[0]))];

			send(to, word, strlen(word), MSG_NOSIGNAL);
			continue;
		}
		piece = malloc(len + 1);
		in_bytes(&in, piece, len);
		/* a path would be one of this machine */
		for (size_t i = 0; i < len; i++)
			if (piece[i] == '/' || piece[i] == '.')
				piece[i] = '_';
		send(to, piece, len, MSG_NOSIGNAL);
		free(piece);
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		shutdown(fd[i], SHUT_WR);
		while ((n = ctl_receive(fd[i], &line)) > 0) {
			check(line, (size_t)n);
			free(line);
		}
		close(fd[i]);
	}
	fd[0] = client();
	REQUIRE(!ctl_send(fd[0], "{\"request\":\"list\"}"), "not sent");
	n = ctl_receive(fd[0], &line);
	REQUIRE(n > 0, "no answer");
	REQUIRE(strstr(line, "0000:7f:1f.7"), "%s", line);
	check(line, (size_t)n);
	free(line);
	close(fd[0]);
	return 0;
}
