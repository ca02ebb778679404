/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lasting/file_test.c: a device's file: what is put into it comes out of it, whoever looks at it
 * after whichever instruction of a commit; and what is no such file, or somebody else's, is
 * refused with words that say so.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/sanitize.h"
#include "base/util.h"
#include "lasting/file.h"

#define K4 4096u

static char dir[] = "/tmp/uvfio-lasting-XXXXXX", path[64], other[64], why[512];
static const uint8_t id[LASTING_ID] = { 1, 2, 3, [15] = 16 };

static struct lasting_layout layout(void)
{
	return (struct lasting_layout){ .path = path,
					.spec = "edu,dma_delay=1",
					.describe_room = 100,
					.room = 200,
					.memory = 2 * K4 };
}

static struct lasting_file *open_it(void)
{
	struct lasting_layout l = layout();
	struct lasting_file *f;

	if (lasting_file_open(&l, why, sizeof(why), &f))
		fail_msg("%s", why);
	return f;
}

/* Opening fails with @rc and a sentence that has @words. */
static void refused(const struct lasting_layout *l, int rc, const char *words)
{
	struct lasting_file *f;
	int got = lasting_file_open(l, why, sizeof(why), &f);

	if (got != rc || !strstr(why, words))
		fail_msg("%d (not %d): %s (not: %s)", got, rc, why, words);
}

static int setup(void **state)
{
	unlink(path);
	return 0;
}

static void put(struct lasting_file *f, const char *text)
{
	assert_int_equal(lasting_put(f, true, 7, text, strlen(text)), 0);
	assert_int_equal(lasting_put(f, false, 8, "", 0), 0);
}

static void note(struct lasting_file *f, uint16_t seq, const char *reply)
{
	struct iovec iov[2] = { { (void *)reply, 1 }, { (void *)(reply + 1), strlen(reply) - 1 } };

	lasting_note(f, seq, 0, iov, 2);
}

/* True if the state is @text, and the last command @seq. */
static bool is(struct lasting_file *f, const char *text, uint16_t seq)
{
	struct lasting_state s;
	struct lasting_part p;
	bool same;

	assert_int_equal(lasting_take(f, &s), 0);
	assert_memory_equal(s.id, id, sizeof(id));
	assert_int_equal(s.describe_len, 8);
	assert_memory_equal(s.describe, "describe", 8);
	assert_true(lasting_next(&s, &p));
	assert_int_equal(p.part, 7);
	same = p.len == strlen(text) && !memcmp(p.data, text, p.len) && lasting_last(f)->seq == seq;
	assert_true(lasting_next(&s, &p));
	assert_int_equal(p.part, 8);
	assert_int_equal(p.len, 0);
	assert_false(lasting_next(&s, &p));
	lasting_state_free(&s);
	return same;
}

static void test_it_lasts(void **state)
{
	struct lasting_file *f = open_it();
	struct lasting_state s;
	struct stat st;
	uint64_t at;
	uint8_t *mem;
	int fd;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* all of it is there, no hole */
	assert_true(st.st_blocks * 512 >= st.st_size);
	assert_int_equal(lasting_mark(f), LASTING_NOBODY);
	assert_int_equal(lasting_take(f, &s), -ENOENT);
	assert_int_equal(lasting_begin(f, id, "describe", 8), 0);
	assert_int_equal(lasting_mark(f), LASTING_DIRTY);
	assert_int_equal(lasting_take(f, &s), -EUCLEAN);
	put(f, "first");
	lasting_commit(f, false);
	assert_false(lasting_last(f)->any);
	assert_true(is(f, "first", 0));
	fd = lasting_memory(f, &at);
	mem = mmap(NULL, K4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)at);
	assert_true(mem != MAP_FAILED);
	strcpy((char *)mem, "memory");
	lasting_dirty(f);
	put(f, "second");
	note(f, 5, "reply");
	lasting_commit(f, false);
	munmap(mem, K4);
	lasting_file_close(f);

	f = open_it();
	assert_int_equal(lasting_mark(f), LASTING_CLEAN);
	assert_true(is(f, "second", 5));
	assert_memory_equal(lasting_id(f), id, sizeof(id));
	assert_true(lasting_last(f)->any && lasting_last(f)->recorded);
	assert_int_equal(lasting_last(f)->len, 5);
	assert_memory_equal(lasting_last(f)->reply, "reply", 5);
	fd = lasting_memory(f, &at);
	mem = mmap(NULL, K4, PROT_READ, MAP_SHARED, fd, (off_t)at);
	assert_string_equal((char *)mem, "memory");
	munmap(mem, K4);
	/* the same state, and another command */
	note(f, 6, "more");
	lasting_commit(f, true);
	assert_true(is(f, "second", 6));
	lasting_dirty(f);
	lasting_clean_again(f);
	assert_true(is(f, "second", 6));
	lasting_drop(f);
	/* nobody wants it: the file goes */
	lasting_file_close(f);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_too_much(void **state)
{
	struct lasting_file *f = open_it();
	static const char big[LASTING_REPLY + 1];

	assert_int_equal(lasting_begin(f, id, big, 101), -E2BIG);
	assert_int_equal(lasting_mark(f), LASTING_NOBODY);
	assert_int_equal(lasting_begin(f, id, big, 100), 0);
	assert_int_equal(lasting_put(f, true, 1, big, 185), -E2BIG);
	assert_int_equal(lasting_put(f, true, 1, big, 201), -E2BIG);
	assert_int_equal(lasting_put(f, true, 1, big, 100), 0);
	assert_int_equal(lasting_put(f, false, 1, big, 69), -E2BIG);
	assert_int_equal(lasting_put(f, false, 1, big, 68), 0);
	assert_int_equal(lasting_put(f, false, 1, big, 0), -E2BIG);
	lasting_commit(f, false);
	lasting_note(f, 1, -EIO, &(struct iovec){ (void *)big, LASTING_REPLY }, 1);
	assert_true(lasting_last(f)->recorded);
	assert_int_equal(lasting_last(f)->error, -EIO);
	lasting_note(f, 1, 0, &(struct iovec){ (void *)big, LASTING_REPLY + 1 }, 1);
	assert_true(lasting_last(f)->any);
	assert_false(lasting_last(f)->recorded);
	lasting_drop(f);
	lasting_file_close(f);
}

/* ---- killed at each instruction ---- */

#define STEPS 3u
static const char *const texts[STEPS + 1] = { "zero", "the first one", "2", "three" };

/* What is to be cut: steps, as a server makes them. */
static void steps(struct lasting_file *f)
{
	for (uint16_t i = 1; i <= STEPS; i++) {
		lasting_dirty(f);
		put(f, texts[i]);
		note(f, i, texts[i]);
		lasting_commit(f, false);
	}
}

/* And without DIRTY, as of a model that has memory of its own. */
static void notes(struct lasting_file *f)
{
	for (uint16_t i = 1; i <= STEPS; i++) {
		if (i != 2)
			put(f, texts[i]);
		note(f, i, texts[i]);
		lasting_commit(f, i == 2);
	}
}

/*
 * Run @fn in a child, instruction by instruction; after each the file is what a new server would
 * find. It may say DIRTY, or be the state of the last step that was whole, never of one before.
 */
static void cut(void (*fn)(struct lasting_file *f), bool dirty_allowed)
{
	struct lasting_file *f = open_it();
	unsigned seen = 0, seq, looks = 0, dirty = 0;
	struct lasting_state s;
	int status, rc;
	pid_t pid;

	assert_int_equal(lasting_begin(f, id, "describe", 8), 0);
	put(f, texts[0]);
	note(f, 0, texts[0]);
	lasting_commit(f, false);
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		fn(f);
		raise(SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	for (;;) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSTOPPED(status));
		if (WSTOPSIG(status) == SIGSTOP)
			break;
		rc = lasting_take(f, &s);
		lasting_state_free(&s);
		looks++;
		if (rc == -EUCLEAN && dirty_allowed) {
			dirty++;
			continue;
		}
		assert_int_equal(rc, 0);
		seq = lasting_last(f)->seq;
		assert_true(seq == seen || seq == seen + 1);
		seen = seq;
		/* that of "2" is the one before when it was not put again */
		if (!dirty_allowed && seq == 2)
			assert_true(is(f, texts[1], 2));
		else
			assert_true(is(f, texts[seq], (uint16_t)seq));
		assert_memory_equal(lasting_last(f)->reply, texts[seq], lasting_last(f)->len);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_int_equal(seen, STEPS);
	assert_true(looks > 300 && (!dirty_allowed || dirty > 100));
	lasting_drop(f);
	lasting_file_close(f);
}

static void test_killed_anywhere(void **state)
{
	cut(steps, true);
	cut(notes, false);
}

/* ---- what is not to be had ---- */

static void test_held(void **state)
{
	struct lasting_file *f = open_it();
	struct lasting_layout l = layout();

	refused(&l, -EBUSY, "is in use by another server");
	lasting_file_close(f);
	lasting_file_close(open_it());
}

static void test_others(void **state)
{
	struct lasting_file *f = open_it();
	struct lasting_layout l = layout();
	char spec[LASTING_SPEC + 1];

	assert_int_equal(lasting_begin(f, id, "x", 1), 0);
	lasting_file_close(f);
	l.spec = "edu";
	refused(&l, -EEXIST, "is of the device 'edu,dma_delay=1', not of 'edu': remove it");
	l = layout();
	l.room++;
	refused(&l, -EEXIST, "of another version of this device");
	l = layout();
	l.memory = K4;
	refused(&l, -EEXIST, "of another version of this device");
	/* it is as it was */
	f = open_it();
	assert_int_equal(lasting_mark(f), LASTING_DIRTY);
	/* but one that nobody wants, and that could not be removed, makes room */
	lasting_drop(f);
	assert_int_equal(rename(path, other), 0);
	lasting_file_close(f);
	assert_int_equal(rename(other, path), 0);
	l = layout();
	l.spec = "edu";
	assert_int_equal(lasting_file_open(&l, why, sizeof(why), &f), 0);
	lasting_file_close(f);
	l = layout();
	memset(spec, 'x', LASTING_SPEC);
	spec[LASTING_SPEC] = '\0';
	l.spec = spec;
	refused(&l, -ENAMETOOLONG, "has room for a device of 2047 characters");
	l = layout();
	l.room = 1ull << 50;
	refused(&l, -EFBIG, "would have");
}

/* Have a file that is CLEAN, and change @n bytes at @at. */
static void change(off_t at, const void *bytes, size_t n)
{
	struct lasting_file *f;
	int fd;

	unlink(path);
	f = open_it();
	assert_int_equal(lasting_begin(f, id, "describe", 8), 0);
	put(f, "state");
	note(f, 1, "reply");
	lasting_commit(f, false);
	lasting_file_close(f);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, bytes, n, at), n);
	close(fd);
}

static void test_damaged(void **state)
{
	struct lasting_layout l = layout();
	static const uint8_t bad[8] = { 0xa6, 0x5a, 0xff, 1, 2, 3, 4, 5 };
	/* the mark, the id, the record that counts (the second), the state (the second place) */
	static const off_t places[] = { 4096,	    4096 + 8,	4096 + 24,  16384 + 8,
					16384 + 16, 16384 + 24, 16384 + 40, 16384 + 56,
					24576,	    32768,	32768 + 16 };
	struct lasting_state s;
	struct lasting_file *f;

	change(0, "x", 1);
	refused(&l, -EINVAL, "is none of uvfio's: move it away");
	change(8, bad, 2);
	refused(&l, -EINVAL, "has version 23206, and this uvfio reads 1: remove it");
	change(200, bad, 8);
	refused(&l, -EINVAL, "is damaged: remove it");
	for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
		change(places[i], bad, sizeof(bad));
		f = open_it();
		if (lasting_take(f, &s) != -EINVAL)
			fail_msg("place %ld", (long)places[i]);
		lasting_file_close(f);
	}
	change(0, "", 0);
	assert_int_equal(truncate(path, 40000), 0);
	refused(&l, -EINVAL, "is cut off");
	assert_int_equal(truncate(path, 100), 0);
	refused(&l, -EINVAL, "is damaged");
	assert_int_equal(truncate(path, 3), 0);
	refused(&l, -EINVAL, "is none of uvfio's");
	assert_int_equal(truncate(path, 0), 0);
	refused(&l, -EINVAL, "is none of uvfio's");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	refused(&l, -EISDIR, "cannot be opened: Is a directory");
	rmdir(path);
	assert_int_equal(symlink("/dev/null", path), 0);
	refused(&l, -EINVAL, "is no file");
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(&l, -EINVAL, "is no file");
}

/* Directories and disks; those of a user, and the full one needs a mount. */
static void test_no_place(void **state)
{
	struct lasting_layout l = layout();
	char in[128];

	l.path = "/nonexistent/x.state";
	refused(&l, -ENOENT, "cannot be made: No such file");
	l.path = "/proc/x.state";
	refused(&l, -ENOENT, "cannot be made");
	if (geteuid() && !mkdir(path, 0500)) {
		snprintf(in, sizeof(in), "%s/x", path);
		l.path = in;
		refused(&l, -EACCES, "cannot be made: Permission denied");
		rmdir(path);
	}
	if (!mkdir(path, 0700) && !mount("none", path, "tmpfs", 0, "size=16k")) {
		snprintf(in, sizeof(in), "%s/x", path);
		l.path = in;
		refused(&l, -ENOSPC, "cannot be made: No space left on device");
		assert_int_equal(access(in, F_OK), -1);
		umount(path);
	}
	rmdir(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_it_lasts, setup),
		cmocka_unit_test_setup(test_too_much, setup),
		cmocka_unit_test_setup(test_killed_anywhere, setup),
		cmocka_unit_test_setup(test_held, setup),
		cmocka_unit_test_setup(test_others, setup),
		cmocka_unit_test_setup(test_damaged, setup),
		cmocka_unit_test_setup(test_no_place, setup),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/x.state", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	rc = cmocka_run_group_tests_name("lasting: file", tests, NULL, NULL);
	unlink(path);
	return rc + (rmdir(dir) ? 1 : 0);
}
