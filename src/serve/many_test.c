/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve/many_test.c: eight clients on eight devices of one server, all in this process: what is
 * shared by devices and clients is so without races (under ThreadSanitizer), and a client that
 * hangs up in the middle of its work is no trouble to others. `make soak` does it for long.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "uvfio/server.h"
#include "../../tests/soak/client.h"
#include "base/log.h"

#define DEVICES	 8u
#define SESSIONS 4u

static const char *const models[DEVICES] = { "testdev", "edu",	"nvme", "testdev",
					     "testdev", "nvme", "edu",	"testdev" };

struct one {
	struct sockaddr_un at;
	socklen_t len;
	const char *model;
	unsigned seed;
};

static int listen_somewhere(struct one *o)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	o->at.sun_family = AF_UNIX;
	o->len = sizeof(o->at);
	assert_int_equal(bind(fd, (struct sockaddr *)&o->at, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&o->at, &o->len), 0);
	return fd;
}

static void *client(void *arg)
{
	const struct one *o = arg;
	struct soak_client c = { .seed = o->seed }, cut = { 0 };

	for (unsigned i = 0; i < SESSIONS; i++) {
		soak_session(&c, &o->at, o->len, o->model, 3);
		/* and one that is gone without a word, with all it has */
		soak_connect(&cut, &o->at, o->len);
		soak_map(&cut, 0);
		soak_put(&cut, CONFIG, 4, 6, 2);
		soak_disconnect(&cut);
	}
	return NULL;
}

static void eight_clients(void **state)
{
	struct uvfio_server *s = uvfio_server_new(NULL, NULL);
	static struct one one[DEVICES];
	pthread_t threads[DEVICES];
	int images[DEVICES];
	char spec[128];

	assert_non_null(s);
	log_set(STDERR_FILENO, LOG_NONE);
	for (unsigned i = 0; i < DEVICES; i++) {
		one[i].model = models[i];
		one[i].seed = i;
		images[i] = memfd_create("image", MFD_CLOEXEC);
		assert_int_equal(ftruncate(images[i], 1 << 20), 0);
		snprintf(spec, sizeof(spec), "%s", models[i]);
		if (!strcmp(models[i], "nvme"))
			snprintf(spec, sizeof(spec), "nvme,serial=soak,image=/proc/self/fd/%d",
				 images[i]);
		else if (!strcmp(models[i], "edu"))
			strcat(spec, ",dma_delay=0");
		if (uvfio_server_add_fd(s, spec, listen_somewhere(&one[i]), NULL))
			fail_msg("%s: %s", spec, uvfio_server_strerror(s));
	}
	assert_int_equal(uvfio_server_start(s), 0);
	for (unsigned i = 0; i < DEVICES; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, client, &one[i]), 0);
	for (unsigned i = 0; i < DEVICES; i++)
		pthread_join(threads[i], NULL);
	uvfio_server_free(s);
	for (unsigned i = 0; i < DEVICES; i++)
		close(images[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eight_clients),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
