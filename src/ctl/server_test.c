/* SPDX-License-Identifier: BSD-3-Clause */
/* ctl/server_test.c: clients and agents of all kinds, and what the list says. */
#include <signal.h>
#include <sys/eventfd.h>

#include "ctl/test_run.h"

static struct test_run run;
static const char *const devices[] = { "edu", "testdev", "edu,group=7", "igb", NULL };

/* A user of a device: group, container, device. */
struct user {
	struct vfio_group *g;
	struct vfio_container *c;
	struct vfio_open o;
	int req, err;
};

static int user_open(struct user *u, unsigned group, const char *addr)
{
	struct vfio_irq_set_args a = {
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, .count = 1
	};
	int rc;

	u->g = vfio_system_group(machine_system(run.m), group);
	u->c = vfio_container_new(machine_system(run.m));
	rc = vfio_group_open(machine_system(run.m), u->g);
	if (rc)
		return rc;
	assert_int_equal(vfio_group_set_container(u->g, u->c), 0);
	assert_int_equal(vfio_container_set_iommu(u->c, 1), 0);
	assert_int_equal(vfio_open_by_group(&u->o, u->g, addr, NULL), 0);
	u->req = eventfd(0, EFD_NONBLOCK);
	u->err = eventfd(0, EFD_NONBLOCK);
	a.index = VFIO_PCI_REQ_IRQ_INDEX;
	a.data = &u->req;
	assert_int_equal(vfio_device_set_irqs(&u->o, &a), 0);
	a.index = VFIO_PCI_ERR_IRQ_INDEX;
	a.data = &u->err;
	assert_int_equal(vfio_device_set_irqs(&u->o, &a), 0);
	return 0;
}

static void user_close(struct user *u)
{
	vfio_open_close(&u->o);
	vfio_group_release(machine_system(run.m), u->g);
	vfio_container_put(u->c);
	close(u->req);
	close(u->err);
}

/* Wait for a signal of an eventfd, up to 30 s: how many there were. */
static uint64_t heard(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t n = 0;

	poll(&p, 1, 30000);
	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

static int start(void **state)
{
	run_start(&run, devices);
	return 0;
}
static int stop(void **state)
{
	run_stop(&run);
	return 0;
}

static void test_refused(void **state)
{
	static const struct {
		const char *line, *error;
	} cases[] = {
		{ "", "EINVAL" },
		{ "list", "EINVAL" },
		{ "{}", "EINVAL" },
		{ "[]", "EINVAL" },
		{ "{\"request\":1}", "EINVAL" },
		{ "{\"request\":\"lists\"}", "did you mean 'list'?" },
		{ "{\"request\":\"x\"}", "EOPNOTSUPP" },
		{ "{\"request\":\"list\",\"x\":1}", "the member 'x' is unknown" },
		{ "{\"request\":\"list\"} ", "\"ok\":true" },
		{ "{\"request\":\"l\\u0069st\"}", "\"ok\":true" },
		{ "{\"request\":\"list\",\"request\":\"list\"}", "no line of JSON" },
		{ "{\"request\":\"unplug\",\"device\":\"01:00.0\",\"timeout\":1.5}",
		  "no line of JSON" },
		{ "{\"request\":\"plug\",\"device\":\"edu,id=\\u0000\"}", "no line of JSON" },
		{ "{\"request\":\"plug\",\"device\":\"edu,id=\xff\"}", "no line of JSON" },
		{ "{\"request\":\"plug\",\"device\":\"edu,id=\\n\"}", "line break" },
		{ "{\"request\":\"aer\",\"device\":\"09:00.0\",\"severity\":\"fatal\"}",
		  "there is no device at 0000:09:00.0" },
		{ "{\"request\":\"link\",\"device\":\"09:00.0\",\"state\":\"up\"}",
		  "there is no device at 0000:09:00.0" },
		{ "{\"request\":\"unplug\",\"device\":\"09:00.0\"}",
		  "there is no device at 0000:09:00.0" },
		{ "{\"request\":\"sriov\",\"device\":\"09:00.0\",\"numvfs\":1}",
		  "there is no device at 0000:09:00.0" },
		{ "[1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,"
		  "4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4,5,6,7,8,9,1,2,3,4]",
		  "E2BIG" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_true(says(&run, cases[i].line, cases[i].error));
}

static void test_lines(void **state)
{
	static const char list[] = "{\"request\":\"list\"}\n",
			  run_line[] = "{\"request\":\"run\"}\n";
	char big[CTL_LINE_MAX + 64];
	int fd = run_connect(&run, CTL_SOCKET, SOCK_STREAM), half;

	/* byte by byte, and several at once */
	for (size_t i = 0; i < sizeof(list) - 1; i++)
		put_all(fd, list + i, 1);
	assert_non_null(strstr(next_answer(fd), "\"devices\":[{\"address\":\"0000:01:00.0\""));
	snprintf(big, sizeof(big), "%s%s%s", list, run_line, list);
	put_all(fd, big, strlen(big));
	assert_non_null(strstr(next_answer(fd), "\"devices\""));
	assert_non_null(strstr(next_answer(fd), "\"program\":\"test\""));
	assert_non_null(strstr(next_answer(fd), "\"devices\""));
	/* the longest there can be, and one byte more */
	memset(big, ' ', sizeof(big));
	memcpy(big, list, sizeof(list) - 2);
	big[CTL_LINE_MAX] = '\n';
	put_all(fd, big, CTL_LINE_MAX + 1);
	assert_non_null(strstr(next_answer(fd), "\"devices\""));
	big[CTL_LINE_MAX] = ' ';
	put_all(fd, big, CTL_LINE_MAX + 1);
	assert_non_null(strstr(next_answer(fd), "EMSGSIZE"));
	assert_null(next_answer(fd));
	close(fd);
	/* bytes of all kinds */
	fd = run_connect(&run, CTL_SOCKET, SOCK_STREAM);
	for (unsigned i = 0; i < 256; i++)
		big[i] = i == '\n' ? 0 : (char)i;
	big[256] = '\n';
	put_all(fd, big, 257);
	assert_non_null(strstr(next_answer(fd), "EINVAL"));
	/* what comes behind a null byte is not left out */
	memcpy(big, run_line, sizeof(run_line) - 2);
	memcpy(big + sizeof(run_line) - 2, "\0\n", 2);
	put_all(fd, big, sizeof(run_line));
	assert_non_null(strstr(next_answer(fd), "EINVAL"));
	/* half a line holds up nobody */
	half = run_connect(&run, CTL_SOCKET, SOCK_STREAM);
	put_all(half, list, 5);
	assert_true(says(&run, "{\"request\":\"list\"}", "\"ok\":true"));
	put_all(half, list + 5, sizeof(list) - 6);
	assert_non_null(strstr(next_answer(half), "\"devices\""));
	close(half);
	/* half a line, and the answer to who sends no more */
	put_all(fd, list, sizeof(list) - 1);
	put_all(fd, list, 5);
	shutdown(fd, SHUT_WR);
	assert_non_null(strstr(next_answer(fd), "\"devices\""));
	assert_null(next_answer(fd));
	close(fd);
}

static void test_clients(void **state)
{
	int fd[40];
	unsigned refused = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = run_connect(&run, CTL_SOCKET, SOCK_STREAM);
		if (ctl_send(fd[i], "{\"request\":\"run\"}"))
			refused++;
	}
	refused = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++) {
		const char *answer = next_answer(fd[i]);

		refused += !answer || strstr(answer, "too many clients");
	}
	assert_int_equal(refused, ARRAY_SIZE(fd) - 32);
	for (unsigned i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	/* one that asks and goes, and one that never reads */
	for (unsigned i = 0; i < 100; i++) {
		int one = run_connect(&run, CTL_SOCKET, SOCK_STREAM);

		ctl_send(one, "{\"request\":\"list\"}");
		close(one);
	}
	while (!says(&run, "{\"request\":\"run\"}", "\"ok\":true"))
		usleep(1000); /* its place may not be free yet */
}

static void test_open(void **state)
{
	char text[128];
	struct vfio_open o;
	struct vfio_group *g;
	struct vfio_container *c;

	assert_true(says(&run, "{\"request\":\"list\"}", "\"open\":[],\"state\":\"closed\""));
	g = vfio_system_group(machine_system(run.m), 1);
	c = vfio_container_new(machine_system(run.m));
	assert_int_equal(vfio_group_open(machine_system(run.m), g), 0);
	assert_true(says(&run, "{\"request\":\"list\"}", "\"open\":[],\"state\":\"D0\""));
	assert_int_equal(vfio_group_set_container(g, c), 0);
	assert_int_equal(vfio_container_set_iommu(c, 1), 0);
	assert_int_equal(vfio_open_by_group(&o, g, "0000:01:00.0", NULL), 0);
	snprintf(text, sizeof(text), "\"open\":[{\"pid\":%d,\"command\":\"", (int)getpid());
	assert_true(says(&run, "{\"request\":\"list\"}", text));
	assert_true(says(&run, "{\"request\":\"list\"}", "\"by_group\":1,\"by_cdev\":0}]"));
	vfio_open_close(&o);
	vfio_group_release(machine_system(run.m), g);
	vfio_container_put(c);
	assert_true(says(&run, "{\"request\":\"list\"}", "\"open\":[],\"state\":\"closed\""));
}

static void test_agents(void **state)
{
	struct ctl_packet p = { .op = CTL_USE, .seq = 1 };
	char junk[200] = "junk";
	int fd, quiet;

	/* packets that nobody asked for, of another size, and one that goes in between */
	fd = run_connect(&run, CTL_AGENTS, SOCK_SEQPACKET);
	for (uint32_t i = 0; i < 100; i++) {
		p.op = i;
		p.seq = i;
		memset(p.addr, 'x', sizeof(p.addr));
		put_all(fd, &p, sizeof(p));
	}
	assert_true(says(&run, "{\"request\":\"run\"}", "\"ok\":true"));
	send(fd, junk, sizeof(junk), MSG_NOSIGNAL);
	assert_true(says(&run, "{\"request\":\"list\"}", "\"silent\":[]"));
	close(fd);
	/* one that does not answer is named, after a while */
	quiet = run_connect(&run, CTL_AGENTS, SOCK_SEQPACKET);
	assert_true(says(&run, "{\"request\":\"list\"}", "\"silent\":[{\"pid\":"));
	close(quiet);
	assert_true(says(&run, "{\"request\":\"list\"}", "\"silent\":[]"));
}

static void test_changes(void **state)
{
	struct user u;
	uint64_t n;

	assert_true(says(&run, "{\"request\":\"aer\",\"device\":\"01:00.0\"}",
			 "the member 'severity' is missing"));
	assert_true(says(&run, "{\"request\":\"aer\",\"device\":\"x\",\"severity\":\"fatal\"}",
			 "no address"));
	assert_true(says(&run, "{\"request\":\"aer\",\"device\":\"01:00.0\",\"severity\":\"bad\"}",
			 "an error is correctable"));
	assert_true(says(&run,
			 "{\"request\":\"aer\",\"device\":\"01:00.0\",\"severity\":\"fatal\"}",
			 "no process has it open"));
	assert_int_equal(user_open(&u, 1, "0000:01:00.0"), 0);
	assert_true(says(&run,
			 "{\"request\":\"aer\",\"device\":\"01:00.0\",\"severity\":\"fatal\"}",
			 "{\"ok\":true,\"device\":\"0000:01:00.0\"}"));
	assert_int_equal(heard(u.err), 1);
	assert_true(says(&run,
			 "{\"request\":\"aer\",\"device\":\"01:00.0\",\"severity\":\"nonfatal\"}",
			 "\"ok\":true"));
	assert_int_equal(heard(u.err), 1);
	assert_true(says(
		&run, "{\"request\":\"aer\",\"device\":\"01:00.0\",\"severity\":\"correctable\"}",
		"\"ok\":true"));
	assert_int_equal(read(u.err, &n, sizeof(n)), -1);
	user_close(&u);

	assert_true(says(&run, "{\"request\":\"link\",\"device\":\"01:00.0\",\"state\":\"down\"}",
			 "has no cable"));
	assert_true(says(&run, "{\"request\":\"link\",\"device\":\"04:00.0\",\"state\":\"off\"}",
			 "a link is up or down"));
	assert_true(says(&run, "{\"request\":\"link\",\"device\":\"04:00.0\",\"state\":\"down\"}",
			 "\"ok\":true"));
	assert_true(says(&run, "{\"request\":\"list\"}", "\"cable\":\"out\""));
	assert_true(says(&run, "{\"request\":\"link\",\"device\":\"04:00.0\",\"state\":\"up\"}",
			 "\"ok\":true"));
	assert_true(says(&run, "{\"request\":\"sriov\",\"device\":\"01:00.0\",\"numvfs\":1}",
			 "has no virtual functions"));
	assert_true(says(&run, "{\"request\":\"sriov\",\"device\":\"04:00.0\",\"numvfs\":99}",
			 "ERANGE"));
	assert_true(says(&run, "{\"request\":\"sriov\",\"device\":\"04:00.0\",\"numvfs\":-1}",
			 "EINVAL"));
	assert_true(says(&run, "{\"request\":\"sriov\",\"device\":\"04:00.0\",\"numvfs\":2}",
			 "\"ok\":true"));
	assert_non_null(machine_find(run.m, "0000:04:10.2")); /* at once */
	assert_true(says(&run, "{\"request\":\"list\"}", "\"physfn\":\"0000:04:00.0\""));
	assert_true(says(&run, "{\"request\":\"unplug\",\"device\":\"04:10.2\"}",
			 "a virtual function goes by `uvfio ctl sriov`"));
	assert_true(says(&run, "{\"request\":\"link\",\"device\":\"04:10.2\",\"state\":\"up\"}",
			 "has no cable"));
}

/* By sysfs: whoever writes asks the process that has the device. */
static void test_reset(void **state)
{
	static const char reset[] = "/sys/devices/pci0000:02/0000:02:00.0/reset",
			  method[] = "/sys/devices/pci0000:02/0000:02:00.0/reset_method";
	static const struct {
		const char *method;
		uint32_t kind;
	} cases[] = {
		{ "flr", UVFIO_RESET_FLR },	{ "pm", UVFIO_RESET_D3 },
		{ "bus", UVFIO_RESET_BUS },	{ "bus flr", UVFIO_RESET_BUS },
		{ "default", UVFIO_RESET_FLR },
	};
	struct run_wait w = { 0 };
	uint32_t n, kind, scratch = 5, value;
	struct ctl_packet p = { .op = CTL_RELAY, .seq = 9, .a = CTL_ASK_LEAVE };
	unsigned silent;
	struct user u;
	int quiet;

	assert_int_equal(ctl_ask_reset("/nonexistent", "0000:02:00.0", &silent), -ENOENT);
	/* nobody has it */
	assert_int_equal(ctl_ask_reset(run.dir, "0000:02:00.0", &silent), -ENODEV);
	assert_int_equal(silent, 0);
	assert_false(run_is_open(run.dir, "0000:02:00.0", 2));
	assert_int_equal(user_open(&u, 2, "0000:02:00.0"), 0);
	assert_true(run_is_open(run.dir, "0000:02:00.0", 2));
	value = 6;
	assert_int_equal(vfio_device_rw(&u.o, 7, 4, &value, 2, true), 2);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(
			run_store(run.dir, method, cases[i].method, strlen(cases[i].method), NULL),
			strlen(cases[i].method));
		assert_int_equal(vfio_device_rw(&u.o, 2, 0x60, &n, 4, false), 4);
		assert_int_equal(vfio_device_rw(&u.o, 2, 0x24, &scratch, 4, true), 4);
		assert_int_equal(run_store(run.dir, reset, "1", 1, &w), -EINPROGRESS);
		assert_int_equal(w.what, RUN_WAIT_RESET);
		assert_int_equal(ctl_ask_reset(run.dir, w.addr, &silent), 0);
		assert_int_equal(vfio_device_rw(&u.o, 2, 0x60, &value, 4, false), 4);
		assert_int_equal(value, n + 1);
		assert_int_equal(vfio_device_rw(&u.o, 2, 0x64, &kind, 4, false), 4);
		assert_int_equal(kind, cases[i].kind);
		assert_int_equal(vfio_device_rw(&u.o, 2, 0x24, &value, 4, false), 4);
		assert_int_equal(value, 0);
		/* the user's own reset goes the same way */
		assert_int_equal(vfio_device_reset(&u.o), 0);
		assert_int_equal(vfio_device_rw(&u.o, 2, 0x64, &kind, 4, false), 4);
		assert_int_equal(kind, cases[i].kind);
	}
	/* set up as it was */
	value = 0;
	assert_int_equal(vfio_device_rw(&u.o, 7, 4, &value, 2, false), 2);
	assert_int_equal(value & 6, 6);
	/* by none: nothing is asked of anybody */
	assert_int_equal(run_store(run.dir, method, "\n", 1, NULL), 1);
	assert_int_equal(run_store(run.dir, reset, "1", 1, &w), -ENOTTY);
	assert_int_equal(ctl_ask_reset(run.dir, "0000:02:00.0", &silent), -ENOTTY);
	assert_int_equal(vfio_device_reset(&u.o), -ENOTTY);
	user_close(&u);
	/* a process that does not answer is counted; who asks is none */
	quiet = run_connect(&run, CTL_AGENTS, SOCK_SEQPACKET);
	assert_int_equal(ctl_ask_reset(run.dir, "0000:02:00.0", &silent), -ENODEV);
	assert_int_equal(silent, 1);
	put_all(quiet, &p, sizeof(p));
	do
		assert_int_equal(recv(quiet, &p, sizeof(p), 0), sizeof(p));
	while (p.op != CTL_DONE);
	assert_int_equal(p.seq, 9);
	assert_int_equal(p.value, -EINVAL);
	assert_int_equal(ctl_ask_reset(run.dir, "0000:02:00.0", &silent), -ENODEV);
	assert_int_equal(silent, 0);
	close(quiet);
	/* it cannot be reset when it is opened, and then it can */
	assert_int_equal(user_open(&u, 2, "0000:02:00.0"), 0);
	assert_int_equal(vfio_device_reset(&u.o), -EINVAL);
	assert_int_equal(run_store(run.dir, method, "default", 7, NULL), 7);
	assert_int_equal(vfio_device_reset(&u.o), -EINVAL);
	assert_int_equal(ctl_ask_reset(run.dir, "0000:02:00.0", &silent), 0);
	user_close(&u);
}

/* A write to sysfs that takes a device away asks for it. */
static void test_asked_back(void **state)
{
	static const char unbind[] = "/sys/bus/pci/drivers/vfio-pci/unbind",
			  bind[] = "/sys/bus/pci/drivers/vfio-pci/bind", addr[] = "0000:02:00.0";
	const long len = sizeof(addr) - 1;
	struct run_wait w = { 0 };
	struct vfio_open other;
	struct user u;

	assert_int_equal(ctl_ask_back("/nonexistent", addr, 0), -ENOENT);
	assert_int_equal(user_open(&u, 2, addr), 0);
	/* it has its driver: a question that comes late is none */
	assert_int_equal(ctl_ask_back(run.dir, addr, 0), 0);
	assert_int_equal(run_store(run.dir, unbind, addr, (size_t)len, &w), -EINPROGRESS);
	assert_int_equal(w.what, RUN_WAIT_CLOSE);
	assert_string_equal(w.addr, addr);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ctl_ask_back(run.dir, addr, i), 1);
		assert_int_equal(heard(u.req), 1);
	}
	assert_int_equal(vfio_open_by_group(&other, u.g, addr, NULL), -ENODEV);
	assert_true(says(&run, "{\"request\":\"list\"}", "\"ok\":true"));
	assert_int_equal(vfio_open_by_group(&other, u.g, addr, NULL), -ENODEV);
	assert_int_equal(run_store(run.dir, unbind, addr, (size_t)len, &w), -EINPROGRESS);
	user_close(&u);
	assert_int_equal(run_store(run.dir, unbind, addr, (size_t)len, &w), len);
	assert_int_equal(ctl_ask_back(run.dir, addr, 0), 0);
	/* with a driver again it can be opened, though this process saw nothing in between */
	assert_int_equal(run_store(run.dir, bind, addr, (size_t)len, NULL), len);
	assert_int_equal(user_open(&u, 2, addr), 0);
	user_close(&u);
}

static void test_unplug(void **state)
{
	static const char unplug[] = "{\"request\":\"unplug\",\"device\":\"01:00.0\"}",
			  quick[] = "{\"request\":\"unplug\",\"device\":\"01:00.0\",\"timeout\":0}",
			  loud[] = "{\"request\":\"unplug\",\"device\":\"01:00.0\","
				   "\"progress\":true}",
			  pulled[] = "{\"request\":\"unplug\",\"device\":\"01:00.0\","
				     "\"surprise\":true,\"timeout\":0}";
	struct vfio_open other;
	int waits, hears, gone;
	uint32_t value = 0;
	struct user u;

	assert_int_equal(user_open(&u, 1, "0000:01:00.0"), 0);
	waits = run_connect(&run, CTL_SOCKET, SOCK_STREAM);
	assert_int_equal(ctl_send(waits, unplug), 0);
	assert_true(heard(u.req) >= 1);
	assert_int_equal(vfio_open_by_group(&other, u.g, "0000:01:00.0", NULL), -ENODEV);
	assert_true(says(&run, quick, "ETIMEDOUT"));
	assert_true(says(&run, "{\"request\":\"list\"}", "\"state\":\"leaving\""));
	/* one that goes away while it waits, and one that is told what for */
	gone = run_connect(&run, CTL_SOCKET, SOCK_STREAM);
	assert_int_equal(ctl_send(gone, unplug), 0);
	hears = run_connect(&run, CTL_SOCKET, SOCK_STREAM);
	assert_int_equal(ctl_send(hears, loud), 0);
	close(gone);
	/* it works until it is pulled out */
	assert_int_equal(vfio_device_rw(&u.o, 0, 0, &value, 4, false), 4);
	assert_int_equal(value, 0x010000ed);
	assert_true(says(&run, pulled, "ETIMEDOUT"));
	assert_true(heard(u.req) >= 1);
	assert_non_null(strstr(next_answer(hears), "{\"progress\":\"0000:01:00.0: "));
	assert_int_equal(vfio_device_rw(&u.o, 0, 0, &value, 4, false), 4);
	assert_int_equal(value, 0xffffffff);
	assert_true(says(&run, "{\"request\":\"list\"}", "\"state\":\"lost\""));
	vfio_open_close(&u.o);
	assert_string_equal(next_answer(waits), "{\"ok\":true,\"device\":\"0000:01:00.0\"}");
	while (strstr(next_answer(hears), "progress"))
		;
	assert_null(machine_find(run.m, "0000:01:00.0"));
	close(waits);
	close(hears);
	assert_int_equal(vfio_group_status(u.g, &value), -ENODEV);
	vfio_group_release(machine_system(run.m), u.g);
	vfio_container_put(u.c);
	close(u.req);
	close(u.err);
	assert_null(vfio_system_group(machine_system(run.m), 1));
	assert_true(says(&run, unplug, "ENODEV"));

	/* one that nobody has open, and a port with its VFs, of which one is open */
	assert_true(says(&run, "{\"request\":\"unplug\",\"device\":\"03:00.0\"}", "\"ok\":true"));
	assert_true(says(&run, "{\"request\":\"unplug\",\"device\":\"04:10.0\"}", "ENODEV"));
	assert_true(says(&run, "{\"request\":\"unplug\",\"device\":\"04:00.0\"}", "\"ok\":true"));
	assert_null(machine_find(run.m, "0000:04:10.2"));
	assert_false(strstr(asked(&run, "{\"request\":\"list\"}"), "igb"));
}

static void test_plug(void **state)
{
	struct user u, second;

	assert_true(says(&run, "{\"request\":\"plug\",\"device\":\"none\"}", "there is no model"));
	assert_true(says(&run, "{\"request\":\"plug\",\"device\":\"edu,bus=isa:x\"}", "EINVAL"));
	assert_true(says(&run, "{\"request\":\"plug\",\"device\":\"edu,addr=02:00.0\"}", "EBUSY"));
	/* where the one was that went */
	assert_true(says(&run, "{\"request\":\"plug\",\"device\":\"edu,id=new\"}",
			 "{\"ok\":true,\"device\":\"0000:01:00.0\",\"group\":1}"));
	assert_non_null(machine_find(run.m, "0000:01:00.0")); /* at once */
	assert_int_equal(user_open(&u, 1, "0000:01:00.0"), 0);
	assert_true(says(&run, "{\"request\":\"plug\",\"device\":\"edu,id=new\"}", "EEXIST"));
	/* into a group that is open */
	assert_true(says(&run, "{\"request\":\"plug\",\"device\":\"edu,group=1,addr=05:00.0\"}",
			 "\"ok\":true"));
	assert_int_equal(vfio_open_by_group(&second.o, u.g, "0000:05:00.0", NULL), 0);
	vfio_open_close(&second.o);
	user_close(&u);
	/* a cable between two that are there would make one unit of two */
	assert_true(says(&run, "{\"request\":\"plug\",\"device\":\"igb,id=a\"}", "\"ok\":true"));
	assert_true(
		says(&run, "{\"request\":\"plug\",\"device\":\"igb,net=peer:a\"}", "\"ok\":true"));
	assert_true(says(&run, "{\"request\":\"plug\",\"device\":\"igb,net=peer:a,group=2\"}",
			 "EBUSY"));
	assert_true(says(&run,
			 "{\"request\":\"plug\",\"device\":\"igb,sriov_numvfs=1,addr=20:00.0\"}",
			 "\"ok\":true"));
	assert_non_null(machine_find(run.m, "0000:20:10.0"));
	assert_true(says(&run, "{\"request\":\"unplug\",\"device\":\"20:00.0\"}", "\"ok\":true"));
}

static void test_life(void **state)
{
	int fds[8], listening;

	/* a server that goes on in another process keeps its clients and agents */
	ctl_server_stop(run.server);
	ctl_server_stop(run.server);
	listening = (int)ctl_server_fds(run.server, fds, ARRAY_SIZE(fds));
	assert_true(listening >= 4);
	for (int i = 1; i < listening; i++)
		assert_true(fds[i] > fds[i - 1]);
	assert_int_equal(ctl_server_start(run.server), 0);
	assert_true(says(&run, "{\"request\":\"list\"}", "\"silent\":[]"));
}

static void test_find(void **state)
{
	char *why, name[16];
	int fd;

	setenv("TMPDIR", "/tmp", 1);
	fd = ctl_connect(run.dir, &why);
	assert_true(fd >= 0);
	close(fd);
	fd = ctl_connect(strrchr(run.dir, '/') + 1, &why);
	assert_true(fd >= 0);
	close(fd);
	snprintf(name, sizeof(name), "%d", (int)getpid());
	fd = ctl_connect(name, &why);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(ctl_connect("no-such-run", &why), -ENOENT);
	assert_non_null(strstr(why, strrchr(run.dir, '/') + 1));
	free(why);
	assert_int_equal(ctl_connect("/no/such/run", &why), -ENOENT);
	free(why);
}

static void test_no_server(void **state)
{
	log_set(2, LOG_NONE);
	assert_null(ctl_agent_new("/nonexistent"));
	assert_null(ctl_agent_new("/tmp"));
	log_set(2, LOG_ERR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),	  cmocka_unit_test(test_lines),
		cmocka_unit_test(test_clients),	  cmocka_unit_test(test_open),
		cmocka_unit_test(test_agents),	  cmocka_unit_test(test_changes),
		cmocka_unit_test(test_reset),	  cmocka_unit_test(test_asked_back),
		cmocka_unit_test(test_unplug),	  cmocka_unit_test(test_plug),
		cmocka_unit_test(test_life),	  cmocka_unit_test(test_find),
		cmocka_unit_test(test_no_server),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
