/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * serve/state_test.c: a server with a directory for its devices' state: its files, what is refused,
 * and that devices are the same ones when they are made again. What is in a file, and who comes
 * back to it, is in lasting/ and vfio_user/server/.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "uvfio/model.h"
#include "uvfio/server.h"
#include "base/log.h"
#include "base/test_signals.h"
#include "serve/serve.h"

static char dir[] = "/tmp/uvfio-serve-XXXXXX", state[64], sock[64], file[96], run[96];
static uint64_t unique;

static struct uvfio_server *begin(void)
{
	struct uvfio_server *s = uvfio_server_new(NULL, NULL);

	assert_non_null(s);
	return s;
}

static void refused(struct uvfio_server *s, int got, int rc, const char *words)
{
	if (got != rc || !strstr(uvfio_server_strerror(s), words))
		fail_msg("%d (not %d): %s", got, rc, uvfio_server_strerror(s));
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int setup(void **none)
{
	log_set(STDERR_FILENO, LOG_NONE);
	unlink(file);
	unlink(run);
	return 0;
}

static void test_directory(void **none)
{
	struct uvfio_server *s = begin();
	char text[32] = "", again[32] = "";
	struct stat st;
	FILE *f;

	refused(s, uvfio_server_set_state(s, "/nonexistent"), -ENOENT, "/nonexistent");
	refused(s, uvfio_server_set_state(s, "/dev/null"), -ENOTDIR, "/dev/null");
	write_file(run, "what is this");
	refused(s, uvfio_server_set_state(s, state), -EINVAL, "none of uvfio's");
	unlink(run);
	/* nobody writes to it */
	assert_int_equal(mkfifo(run, 0600), 0);
	alarm(10);
	refused(s, uvfio_server_set_state(s, state), -EINVAL, "none of uvfio's");
	alarm(0);
	unlink(run);
	assert_int_equal(symlink("/dev/zero", run), 0);
	refused(s, uvfio_server_set_state(s, state), -EINVAL, "none of uvfio's");
	unlink(run);
	assert_int_equal(uvfio_server_set_state(s, state), 0);
	refused(s, uvfio_server_set_state(s, state), -EBUSY, "already");
	uvfio_server_free(s);
	f = fopen(run, "r");
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	s = begin();
	assert_int_equal(uvfio_server_set_state(s, state), 0);
	f = fopen(run, "r");
	assert_non_null(fgets(again, sizeof(again), f));
	fclose(f);
	assert_string_equal(text, again);
	assert_int_equal(stat(run, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	uvfio_server_free(s);
	/* after a device it is too late */
	s = begin();
	assert_int_equal(uvfio_server_add(s, "edu", sock, 0, NULL), 0);
	refused(s, uvfio_server_set_state(s, state), -EBUSY, "has devices");
	uvfio_server_free(s);
}

static void test_files(void **none)
{
	struct uvfio_server *s = begin(), *two = begin();
	struct uvfio_server_device *d;

	assert_int_equal(uvfio_server_set_state(s, state), 0);
	assert_int_equal(uvfio_server_set_state(two, state), 0);
	assert_int_equal(uvfio_server_add(s, "edu", sock, 0, &d), 0);
	assert_int_equal(access(file, F_OK), 0);
	/* the same place, of the other server */
	refused(two, uvfio_server_add(two, "edu", "/tmp/uvfio-x.sock", 0, NULL), -EBUSY,
		"is in use by another server");
	assert_int_equal(access("/tmp/uvfio-x.sock", F_OK), -1);
	uvfio_server_remove(d);
	assert_int_equal(access(file, F_OK), -1);
	/* what is in the way */
	write_file(file, "a file of somebody's");
	refused(s, uvfio_server_add(s, "edu", sock, 0, NULL), -EINVAL, "is none of uvfio's");
	unlink(file);
	assert_int_equal(uvfio_server_add(s, "edu", sock, 0, &d), 0);
	assert_int_equal(uvfio_server_start(s), 0);
	uvfio_server_stop(s);
	assert_int_equal(access(file, F_OK), 0);
	/* nobody has had it */
	uvfio_server_free(s);
	assert_int_equal(access(file, F_OK), -1);
	uvfio_server_free(two);
}

/* ---- models of the program's own */

static int create(struct uvfio_dev *dev)
{
	static const struct uvfio_ids ids = { .vendor = 0x1234, .device = 0x4321 };

	unique = uvfio_unique(dev);
	return uvfio_set_ids(dev, &ids);
}

static int save(struct uvfio_dev *dev, struct uvfio_state *s)
{
	return 0;
}

static int load(struct uvfio_dev *dev, struct uvfio_state *s, uint32_t version)
{
	return 0;
}

static void test_models(void **none)
{
	static const struct uvfio_model saves = { UVFIO_MODEL_INIT, .name = "saves",
						  .create = create, .state_version = 1,
						  .save = save,	    .load = load };
	static const struct uvfio_model not = { UVFIO_MODEL_INIT, .name = "not", .create = create };
	struct uvfio_server *s = begin();
	uint64_t first;

	assert_int_equal(uvfio_server_register(&saves), 0);
	assert_int_equal(uvfio_server_register(&not ), 0);
	assert_int_equal(uvfio_server_set_state(s, state), 0);
	refused(s, uvfio_server_add(s, "not", sock, 0, NULL), -EOPNOTSUPP, "no way to save it");
	assert_int_equal(access(file, F_OK), -1);
	assert_int_equal(uvfio_server_add(s, "saves", sock, 0, NULL), 0);
	first = unique;
	uvfio_server_free(s);
	/* its address and serial number are made of this */
	s = begin();
	assert_int_equal(uvfio_server_set_state(s, state), 0);
	assert_int_equal(uvfio_server_add(s, "saves", sock, 0, NULL), 0);
	assert_true(unique == first);
	uvfio_server_free(s);
	s = begin();
	assert_int_equal(uvfio_server_add(s, "saves", sock, 0, NULL), 0);
	assert_true(unique != first);
	uvfio_server_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_directory, setup),
		cmocka_unit_test_setup(test_files, setup),
		cmocka_unit_test_setup(test_models, setup),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(state, sizeof(state), "%s/state", dir);
	snprintf(sock, sizeof(sock), "%s/sock", dir);
	snprintf(file, sizeof(file), "%s/0000:01:00.0.state", state);
	snprintf(run, sizeof(run), "%s/run", state);
	if (mkdir(state, 0700))
		return 1;
	rc = cmocka_run_group_tests_name("serve: state", tests, NULL, NULL);
	unlink(run);
	return rc + (rmdir(state) || rmdir(dir) ? 1 : 0);
}
