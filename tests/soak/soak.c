/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * soak/soak.c: eight clients on eight devices of one server, for long. Each client connects, works
 * and goes, over and over, and every now and then one is killed in the middle of that. Between
 * rounds nobody is connected, and the server's memory and descriptors are looked at: they must not
 * grow from the second round to the last.
 *
 *	soak SECONDS PATH-OF-UVFIO [OPTION-OF-SERVE...]
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "soak/client.h"
#include "soak/watch.h"

#define DEVICES 8u
#define ROUNDS	12u
/* what allocators keep and give back as they like: of each thread's */
#define SLACK_KB 3072

static const char *const models[DEVICES] = { "testdev", "edu",	"nvme", "testdev",
					     "testdev", "nvme", "edu",	"testdev" };
static char dir[] = "/tmp/uvfio-soak-XXXXXX";
static struct sockaddr_un at[DEVICES];
static pid_t server;

static void start_server(char **more, unsigned n)
{
	char *argv[8 + 4 * DEVICES + 64], *image;
	unsigned argc = 0;
	char buf[4096];
	int out[2];
	size_t lines = 0;
	ssize_t got;

	MUST(!pipe(out));
	argv[argc++] = more[0];
	argv[argc++] = "serve";
	for (unsigned i = 0; i < DEVICES; i++) {
		at[i].sun_family = AF_UNIX;
		snprintf(at[i].sun_path, sizeof(at[i].sun_path), "%s/%u", dir, i);
		argv[argc++] = "--device";
		if (!strcmp(models[i], "nvme")) {
			MUST(asprintf(&image, "%s/image%u", dir, i) > 0);
			close(open(image, O_CREAT | O_WRONLY, 0600));
			MUST(!truncate(image, 1 << 20));
			MUST(asprintf(&argv[argc++], "nvme,serial=soak,image=%s", image) > 0);
		} else {
			MUST(asprintf(&argv[argc++], "%s%s", models[i],
				      strcmp(models[i], "edu") ? "" : ",dma_delay=0") > 0);
		}
		argv[argc++] = "--socket";
		argv[argc++] = at[i].sun_path;
	}
	argv[argc++] = "--log";
	argv[argc++] = "warn";
	for (unsigned i = 1; i < n && i < 64; i++)
		argv[argc++] = more[i];
	argv[argc] = NULL;
	server = fork();
	MUST(server >= 0);
	if (!server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], STDOUT_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	/* a line for each device, when it can be connected to */
	while (lines < DEVICES) {
		got = read(out[0], buf, sizeof(buf));
		MUST(got > 0);
		for (ssize_t i = 0; i < got; i++)
			lines += buf[i] == '\n';
	}
}

static pid_t start_client(unsigned i, unsigned seed, double end)
{
	struct soak_client c = { .seed = seed };
	pid_t pid = fork();

	MUST(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	do
		soak_session(&c, &at[i], sizeof(at[i]), models[i], 1 + soak_random(&c, 8));
	while (soak_now() < end);
	_exit(0);
}

/* Have all clients at work until @end. Return how many were killed. */
static unsigned run_clients(unsigned *seed, double end)
{
	pid_t pids[DEVICES];
	unsigned killed = 0;
	int st;

	for (unsigned i = 0; i < DEVICES; i++)
		pids[i] = start_client(i, ++*seed * 2654435761u, end);
	while (soak_now() < end) {
		unsigned i = (++*seed * 2654435761u >> 16) % DEVICES;

		usleep(50000);
		if (waitpid(pids[i], &st, WNOHANG)) {
			MUST(!st);
		} else {
			kill(pids[i], SIGKILL);
			waitpid(pids[i], NULL, 0);
			killed++;
		}
		pids[i] = start_client(i, ++*seed * 2654435761u, end);
	}
	for (unsigned i = 0; i < DEVICES; i++)
		MUST(waitpid(pids[i], &st, 0) == pids[i] && !st);
	return killed;
}

int main(int argc, char **argv)
{
	long rss = 0, heap = 0, fds = 0, rss_now = 0, heap_now = 0, fds_now = 0;
	unsigned seed = (unsigned)time(NULL), killed = 0;
	int failed = 0, st;
	double begin;

	if (argc < 3 || atoi(argv[1]) <= 0) {
		fprintf(stderr, "usage: soak SECONDS UVFIO [OPTION...]\n");
		return 2;
	}
	MUST(mkdtemp(dir));
	start_server(argv + 2, (unsigned)argc - 2);
	begin = soak_now();
	for (unsigned r = 0; r < ROUNDS; r++) {
		killed += run_clients(&seed, begin + atoi(argv[1]) * (r + 1.0) / ROUNDS);
		fds_now = soak_settled(server, r ? fds : 0);
		rss_now = soak_status(server, "VmRSS:");
		heap_now = soak_status(server, "RssAnon:");
		printf("round %2u: RSS %ld kB, of it heap and stacks %ld kB, descriptors %ld\n", r,
		       rss_now, heap_now, fds_now);
		fflush(stdout);
		if (r < 2) {
			rss = rss_now;
			heap = heap_now;
			fds = fds_now;
		}
	}
	kill(server, SIGTERM);
	MUST(waitpid(server, &st, 0) == server);
	if (st) {
		printf("FAIL the server ended with 0x%x\n", st);
		failed++;
	}
	if (fds_now > fds) {
		printf("FAIL descriptors: %ld, and %ld at first\n", fds_now, fds);
		failed++;
	}
	if (rss_now > rss + SLACK_KB || heap_now > heap + SLACK_KB) {
		printf("FAIL memory: %ld kB, of it heap %ld; at first %ld and %ld\n", rss_now,
		       heap_now, rss, heap);
		failed++;
	}
	for (unsigned i = 0; i < DEVICES; i++) {
		char path[64];

		snprintf(path, sizeof(path), "%s/image%u", dir, i);
		unlink(path);
		if (!access(at[i].sun_path, F_OK)) {
			printf("FAIL %s is left\n", at[i].sun_path);
			unlink(at[i].sun_path);
			failed++;
		}
	}
	rmdir(dir);
	printf("%u clients killed\n%u passed, %u failed\n", killed, failed ? 0u : 1u, failed);
	return failed != 0;
}
