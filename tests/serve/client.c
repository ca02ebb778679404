/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve_client: a client of vfio-user for scripts, in bytes on a socket.
 *
 *	serve_client SOCKET [REQUEST]...
 *	serve_client listen SOCKET COMMAND [ARGUMENT]...
 *
 * The second makes a socket that listens, and runs a command with it as systemd does.
 *
 * Requests are carried out one after the other: get REGION:OFFSET prints 4 bytes, put
 * REGION:OFFSET=VALUE writes 4; hold prints "holding" and waits for the server to hang up. The end
 * hangs up. Status 1: what an error it was is printed.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vfio_user/wire.h"

static int fd;

static void end(const char *what)
{
	printf("%s\n", what);
	exit(1);
}

/* Make a call with @len bytes. The reply has @reply_len bytes. */
static void call(uint16_t command, const void *data, size_t len, void *reply, size_t reply_len)
{
	uint8_t m[512];
	struct vu_header h = { .command = command, .size = (uint32_t)(sizeof(h) + len) };

	memcpy(m, &h, sizeof(h));
	memcpy(m + sizeof(h), data, len);
	if (send(fd, m, sizeof(h) + len, MSG_NOSIGNAL) != (ssize_t)(sizeof(h) + len) ||
	    recv(fd, &h, sizeof(h), MSG_WAITALL) != sizeof(h))
		end("hung up");
	if (h.flags & VU_FLAG_ERROR)
		end(strerrorname_np((int)h.error));
	if (h.size - sizeof(h) != reply_len ||
	    recv(fd, reply, reply_len, MSG_WAITALL) != (ssize_t)reply_len)
		end("a reply of another length");
}

static void request(const char *text)
{
	struct {
		struct vu_region_access a;
		uint32_t v;
	} m = { .a.count = 4 };
	unsigned region;
	unsigned long offset;

	if (!strcmp(text, "hold")) {
		puts("holding");
		fflush(stdout);
		if (recv(fd, &m, 1, 0) == 0)
			end("hung up");
		end("a message");
	}
	if (sscanf(text, "get %u:%lx", &region, &offset) == 2) {
		m.a.region = region;
		m.a.offset = offset;
		call(VU_REGION_READ, &m.a, sizeof(m.a), &m, sizeof(m.a) + 4);
		printf("%08x\n", m.v);
	} else if (sscanf(text, "put %u:%lx=%x", &region, &offset, &m.v) == 3) {
		m.a.region = region;
		m.a.offset = offset;
		call(VU_REGION_WRITE, &m, sizeof(m.a) + 4, &m, sizeof(m.a));
	} else {
		end("no such request");
	}
}

/* Run a command with @fd, which listens, as sd_listen_fds(3) has it. */
static void run(char **command)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (dup2(fd, 3) < 0 || listen(3, 4) || setenv("LISTEN_PID", pid, 1) ||
	    setenv("LISTEN_FDS", "1", 1))
		end("cannot listen");
	execv(command[0], command);
	end("cannot run it");
}

int main(int argc, char **argv)
{
	bool listens = argc > 3 && !strcmp(argv[1], "listen");
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct vu_version v = { VU_MAJOR, VU_MINOR };

	if (argc < 2)
		return 2;
	strncpy(at.sun_path, argv[listens ? 2 : 1], sizeof(at.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (listens) {
		if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
			end("cannot listen");
		run(argv + 3);
	}
	if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)))
		end("cannot connect");
	call(VU_VERSION, &v, sizeof(v), &v, sizeof(v));
	for (int i = 2; i < argc; i++)
		request(argv[i]);
	return 0;
}
