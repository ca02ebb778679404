/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/report_test.c: lines and their errnos, the limit for each code and device, subscribers, the
 * call that a report came in, reports from a signal handler and from several threads.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/report.h"

static struct {
	char line[1100], text[1100], code[64], call[64];
	int err;
	const void *from;
	unsigned calls, limited;
} got;

static void on_report(const struct report *r, void *arg)
{
	assert_ptr_equal(arg, &got);
	snprintf(got.line, sizeof(got.line), "%s", r->line);
	snprintf(got.text, sizeof(got.text), "%s", r->text);
	snprintf(got.code, sizeof(got.code), "%s", r->code->name);
	snprintf(got.call, sizeof(got.call), "%s", r->call ? r->call->name : "");
	got.from = r->call ? r->call->from.ip : NULL;
	got.err = r->err;
	got.limited += r->limited;
	got.calls++;
}

static struct report_subscriber all = { .fn = on_report, .arg = &got, .level = LOG_DEBUG };

static int setup(void **state)
{
	memset(&got, 0, sizeof(got));
	log_set(-1, LOG_NONE);
	report_subscribe(&all);
	return 0;
}

static int teardown(void **state)
{
	report_unsubscribe(&all);
	log_set(2, LOG_WARN);
	return 0;
}

static int refuse(unsigned cmd)
{
	return report_warn("test-unknown", "/dev/vfio/1", -ENOTTY, "ioctl 0x%x is not known", cmd);
}

static void test_errno(void **state)
{
	errno = 5;
	assert_int_equal(refuse(0x3b00), -ENOTTY);
	assert_int_equal(errno, 5);
	assert_string_equal(got.line,
			    "uvfio: warn: /dev/vfio/1: ioctl 0x3b00 is not known: ENOTTY");
	assert_string_equal(got.text, "ioctl 0x3b00 is not known: ENOTTY");
	assert_string_equal(got.code, "test-unknown");
	assert_int_equal(got.err, -ENOTTY);
	/* none, and one without a name */
	assert_int_equal(report_info("test-plain", NULL, 0, "plain"), 0);
	assert_string_equal(got.line, "uvfio: info: plain");
	assert_int_equal(report_err("test-odd", "a", -3999, "odd"), -3999);
	assert_string_equal(got.line, "uvfio: error: a: odd: error 3999");
	/* in words, anywhere in the text */
	assert_int_equal(report_err("test-words", "a", -EACCES, "%s: %m: %d%% %%m", "/run/x", 5),
			 -EACCES);
	assert_string_equal(got.text, "/run/x: Permission denied: 5% %m");
	report_err("test-words", "a", -EACCES, "5 %%m");
	assert_string_equal(got.text, "5 %m: EACCES");
	report_err(REPORT_HINT("test-hint", ". Raise it"), "a", -ENOMEM, "over %u", 7u);
	assert_string_equal(got.text, "over 7: ENOMEM. Raise it");
	assert_string_equal(got.code, "test-hint");
}

static void test_line(void **state)
{
	char big[3000], read_back[2048] = "";
	int p[2], evaluated = 0;

	assert_int_equal(pipe(p), 0);
	log_set(p[1], LOG_INFO);
	report_unsubscribe(&all);
	report_warn("test-plain", "edu0", 0, "BAR%d write at %#x", 2, 0x1008);
	report_info("test-plain", NULL, 0, "plain");
	/* nobody wants it: what it says is not worked out, what it returns is */
	assert_int_equal(report_debug("test-plain", NULL, -EIO, "%d", ++evaluated), -EIO);
	assert_int_equal(evaluated, 0);
	assert_true(read(p[0], read_back, sizeof(read_back) - 1) > 0);
	assert_string_equal(read_back,
			    "uvfio: warn: edu0: BAR2 write at 0x1008\nuvfio: info: plain\n");
	/* cut, and still one line */
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = 0;
	big[20] = '\n';
	report_err("test-plain", "edu0", -EIO, "%s", big);
	memset(read_back, 0, sizeof(read_back));
	assert_in_range(read(p[0], read_back, sizeof(read_back) - 1), 900, 1024);
	assert_ptr_equal(strchr(read_back, '\n'), read_back + strlen(read_back) - 1);
	assert_non_null(strstr(read_back, "...\n"));
	close(p[0]);
	close(p[1]);
	report_subscribe(&all);
}

static void fault(const char *who)
{
	report_warn(REPORT_LIMITED("test-fault"), who, 0, "fault");
}

static void other(const char *who)
{
	report_warn(REPORT_LIMITED("test-other"), who, 0, "other");
}

static void test_limit(void **state)
{
	struct timespec second = { .tv_sec = 1, .tv_nsec = 10000000 };

	for (unsigned i = 0; i < 100; i++)
		fault("a");
	/* a subscriber counts them all */
	assert_int_equal(got.calls, 100);
	assert_int_equal(got.limited, 80);
	/* by device and by code; without a limit */
	fault("b");
	other("a");
	assert_int_equal(got.limited, 80);
	for (unsigned i = 0; i < 100; i++)
		refuse(i);
	assert_int_equal(got.limited, 80);
	nanosleep(&second, NULL);
	fault("a");
	assert_int_equal(got.limited, 80);
	assert_string_equal(got.text, "fault (80 before it not shown)");
	fault("a");
	assert_string_equal(got.text, "fault");
}

/* A device's clients have their lines together. */
static void test_clients(void **state)
{
	char name[32];

	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "device client %u", i);
		fault(name);
	}
	assert_int_equal(got.limited, 80);
	fault("devices client 1");
	assert_int_equal(got.limited, 80);
}

/* More devices than there are buckets: each is heard, and none more than it may. */
static void test_many_devices(void **state)
{
	char name[16];

	for (unsigned i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "many%u", i);
		fault(name);
	}
	assert_int_equal(got.limited, 0);
	for (unsigned i = 0; i < 50; i++)
		fault("many1999");
	assert_int_equal(got.limited, 31);
}

static void count(const struct report *r, void *arg)
{
	__atomic_fetch_add((unsigned *)arg, 1, __ATOMIC_RELAXED);
}

static void test_subscribers(void **state)
{
	unsigned warnings = 0, errors = 0;
	struct report_subscriber w = { .fn = count, .arg = &warnings, .level = LOG_WARN };
	struct report_subscriber e = { .fn = count, .arg = &errors, .level = LOG_ERR };

	report_unsubscribe(&all);
	report_subscribe(&e);
	assert_true(report_wanted(LOG_ERR));
	assert_false(report_wanted(LOG_WARN));
	refuse(1);
	report_subscribe(&w);
	refuse(1);
	report_err("test-plain", NULL, 0, "error");
	report_info("test-plain", NULL, 0, "info");
	assert_int_equal(warnings, 2);
	assert_int_equal(errors, 1);
	report_unsubscribe(&e);
	report_err("test-plain", NULL, 0, "error");
	assert_int_equal(warnings, 3);
	assert_int_equal(errors, 1);
	report_unsubscribe(&w);
	report_unsubscribe(&w); /* it is none any more */
	assert_false(report_wanted(LOG_ERR));
	report_subscribe(&all);
}

static void test_calls(void **state)
{
	struct call_frame ioctl, mmap;
	int p[2];

	refuse(1);
	assert_string_equal(got.call, "");
	call_enter(&ioctl, "ioctl", (struct call_site){ .ip = (void *)0x1234 });
	refuse(1);
	assert_string_equal(got.call, "ioctl");
	assert_ptr_equal(got.from, (void *)0x1234);
	call_enter(&mmap, "mmap", (struct call_site){ .ip = (void *)0x5678 });
	assert_ptr_equal(call_current->outer, &ioctl);
	refuse(1);
	assert_string_equal(got.call, "mmap");
	call_leave(&mmap);
	refuse(1);
	assert_string_equal(got.call, "ioctl");
	/* a line of the debug log says it, and the name once */
	assert_string_equal(got.text, "ioctl 0x1 is not known: ENOTTY");
	assert_int_equal(pipe(p), 0);
	log_set(p[1], LOG_DEBUG);
	report_warn("test-plain", "a", 0, "plain");
	assert_string_equal(got.text, "plain [ioctl from 0x1234]");
	refuse(1);
	assert_string_equal(got.text, "ioctl 0x1 is not known: ENOTTY [from 0x1234]");
	log_set(-1, LOG_NONE);
	close(p[0]);
	close(p[1]);
	call_leave(&ioctl);
	assert_null(call_current);
}

static jmp_buf away;

__attribute__((noinline)) static void left_by_longjmp(void)
{
	struct call_frame outer, inner;

	call_enter_stack(&outer, "outer", (struct call_site){ 0 });
	call_enter(&inner, "inner", (struct call_site){ 0 });
	longjmp(away, 1);
}

static void test_longjmp(void **state)
{
	struct call_frame c;

	if (!setjmp(away))
		left_by_longjmp();
	assert_non_null(call_current);
	call_enter_stack(&c, "next", (struct call_site){ 0 });
	assert_null(c.outer);
	call_leave(&c);
	assert_null(call_current);
}

static void test_fork(void **state)
{
	struct call_frame c;
	int status;
	pid_t pid;

	call_enter(&c, "fork", (struct call_site){ 0 });
	pid = fork();
	if (!pid) {
		refuse(1);
		_exit(strcmp(got.call, "fork") != 0);
	}
	call_leave(&c);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static unsigned handled;

static void handler(int sig)
{
	struct call_frame c;

	call_enter(&c, "handler", (struct call_site){ 0 });
	fault("handler");
	call_leave(&c);
	__atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
}

static void *reporter(void *arg)
{
	struct call_frame c;

	for (unsigned i = 0; i < 20000; i++) {
		call_enter(&c, "loop", (struct call_site){ .ip = arg });
		fault(arg);
		report_warn("test-words", arg, -EACCES, "%s: %m", "file");
		call_leave(&c);
		if (call_current)
			return arg;
	}
	return NULL;
}

/* While threads report and a handler comes in their middle, each line is whole. */
static void test_threads(void **state)
{
	static char names[4][8] = { "t0", "t1", "t2", "t3" };
	unsigned total = 0;
	struct report_subscriber s = { .fn = count, .arg = &total, .level = LOG_WARN };
	struct sigaction sa = { .sa_handler = handler }, old;
	pthread_t t[4];
	void *bad;
	FILE *f = tmpfile();
	char line[256];
	unsigned lines = 0;

	report_unsubscribe(&all);
	report_subscribe(&s);
	assert_non_null(f);
	log_set(fileno(f), LOG_WARN);
	sigaction(SIGUSR1, &sa, &old);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&t[i], NULL, reporter, names[i]), 0);
	for (unsigned i = 0; i < 2000; i++)
		pthread_kill(t[i % 4], SIGUSR1);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(t[i], &bad), 0);
		assert_null(bad);
	}
	sigaction(SIGUSR1, &old, NULL);
	assert_true(handled > 0);
	rewind(f);
	while (fgets(line, sizeof(line), f)) {
		assert_memory_equal(line, "uvfio: warn: ", 13);
		assert_true(strstr(line, ": file: Permission denied\n") || strstr(line, ": fault"));
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		lines++;
	}
	assert_in_range(lines, 4 * 20000, total);
	assert_int_equal(total, 2 * 4 * 20000 + handled);
	fclose(f);
	report_unsubscribe(&s);
	report_subscribe(&all);
}

static void test_codes(void **state)
{
	const struct report_code *const *first, *const *end = report_codes(&first);
	bool unknown = false, hint = false;

	assert_true(end - first >= 8);
	for (; first < end; first++) {
		assert_non_null((*first)->name);
		unknown |=
			!strcmp((*first)->name, "test-unknown") && (*first)->severity == LOG_WARN;
		hint |= !strcmp((*first)->name, "test-hint") && (*first)->hint;
	}
	assert_true(unknown && hint);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_errno, setup, teardown),
		cmocka_unit_test_setup_teardown(test_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_devices, setup, teardown),
		cmocka_unit_test_setup_teardown(test_subscribers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_calls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_longjmp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fork, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_codes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
