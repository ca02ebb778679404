/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * models/net/io_test.c: ports that go outside: UNIX datagrams, a tap interface (in a network
 * namespace of its own, where that is allowed), captures.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "models/net/test_net.h"

static struct device a, b;
static char dir[] = "/tmp/uvfio-net-XXXXXX", path_a[64], path_b[64], path_c[64], cap[64];
static char opt_ab[160], opt_ba[160], opt_a[160], opt_cap[160];
static bool own_namespace, own_users;

static int socket_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		fail_msg("%s: %s", path, strerror(errno));
	return fd;
}

static ssize_t send_to(int fd, const char *path, const void *data, size_t len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	strcpy(addr.sun_path, path);
	return sendto(fd, data, len, 0, (struct sockaddr *)&addr, sizeof(addr));
}

/* ---- UNIX ---- */

static void test_unix(void **state)
{
	unsigned fds = count_private();

	OPEN(&a, "a", opt_ab);
	assert_true(a.up && net_link_up(a.port));
	assert_true(frame_send(&a, 0, 0, 60)); /* nobody there */
	assert_int_equal(stats(&a).absent, 1);
	OPEN(&b, "b", opt_ba);
	/*
	 * More than the kernel's queue of ten: the sender waits for the reader. One that does not
	 * get a processor for 100 ms loses a frame, which is counted: it is sent again.
	 */
	for (uint32_t i = 0; i < 2000; i++) {
		uint64_t lost;

		do {
			lost = stats(&a).full;
			assert_true(frame_send(&a, 0, i, 22 + i % 1500));
		} while (stats(&a).full != lost);
	}
	WAIT(b.received == 2000);
	assert_int_equal(b.misordered, 0);
	assert_int_equal(b.last_seq, 1999);
	assert_int_equal(b.last_len, 22 + 1999 % 1500);
	assert_true(frame_send(&b, 0, 7, NET_FRAME_MAX));
	WAIT(a.received == 1);
	assert_int_equal(a.last_len, NET_FRAME_MAX);
	/* answers from inside receive() */
	b.replies = 2;
	assert_true(frame_send(&a, 1, 0, 60));
	WAIT(a.received == 3);
	/* one end comes back */
	device_close(&b);
	assert_int_equal(access(path_b, F_OK), -1);
	assert_true(frame_send(&a, 0, 1, 60));
	assert_true(net_link_up(a.port));
	OPEN(&b, "b", opt_ba);
	assert_true(frame_send(&a, 0, 2, 60));
	WAIT(b.received == 1);
	device_close(&a);
	device_close(&b);
	assert_int_equal(a.late + b.late, 0);
	assert_int_equal(count_private(), fds);
}

static void test_unix_last_sender(void **state)
{
	int one, two, anonymous = socket(AF_UNIX, SOCK_DGRAM, 0);
	static struct frame f;
	char buf[100];

	OPEN(&a, "a", opt_a);
	one = socket_at(path_b);
	two = socket_at(path_c);
	frame_make(&f, 0, 0);
	assert_true(frame_send(&a, 0, 0, 60)); /* to nobody yet */
	assert_int_equal(stats(&a).absent, 1);
	assert_int_equal(send_to(one, path_a, &f, 60), 60);
	WAIT(a.received == 1);
	assert_true(frame_send(&a, 0, 0, 61));
	assert_int_equal(recv(one, buf, sizeof(buf), 0), 61);
	assert_int_equal(send_to(two, path_a, &f, 60), 60);
	WAIT(a.received == 2);
	assert_true(frame_send(&a, 0, 0, 62));
	assert_int_equal(recv(two, buf, sizeof(buf), 0), 62);
	/* a sender without an address cannot be answered */
	assert_int_equal(send_to(anonymous, path_a, &f, 60), 60);
	WAIT(a.received == 3);
	assert_true(frame_send(&a, 0, 0, 63));
	assert_int_equal(recv(two, buf, sizeof(buf), 0), 63);
	/* no frames */
	assert_int_equal(send_to(two, path_a, &f, 0), 0);
	assert_int_equal(send_to(two, path_a, &f, 13), 13);
	assert_int_equal(send_to(two, path_a, &f, NET_FRAME_MAX), NET_FRAME_MAX);
	{
		static char big[NET_FRAME_MAX + 1];

		assert_int_equal(send_to(two, path_a, big, sizeof(big)), sizeof(big));
	}
	WAIT(stats(&a).bad == 3);
	WAIT(a.received == 4);
	device_close(&a);
	close(one);
	close(two);
	close(anonymous);
	unlink(path_b);
	unlink(path_c);
}

/*
 * Left by a killed process: taken. In use: refused. A receiver that does not read costs its sender
 * one wait.
 */
static void test_unix_paths(void **state)
{
	struct timespec t0, t1;
	char cwd[200];
	int fd;

	close(socket_at(path_a));
	assert_int_equal(access(path_a, F_OK), 0);
	OPEN(&a, "a", opt_ab);
	assert_int_equal(device_try(&b, "b", OPTS(opt_a)), -EADDRINUSE);
	assert_non_null(strstr(b.err, "in use by another device or process"));
	assert_int_equal(access(path_a, F_OK), 0);
	fd = socket_at(path_b);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (uint32_t i = 0; i < 1000; i++)
		assert_true(frame_send(&a, 0, i, 60));
	clock_gettime(CLOCK_MONOTONIC, &t1);
	assert_true(t1.tv_sec - t0.tv_sec <= 2);
	assert_true(stats(&a).full > 0);
	close(fd);
	unlink(path_b);
	/* what is at the path now is another's */
	unlink(path_a);
	fd = socket_at(path_a);
	device_close(&a);
	assert_int_equal(access(path_a, F_OK), 0);
	close(fd);
	unlink(path_a);
	/* relative paths stay where they were */
	assert_non_null(getcwd(cwd, sizeof(cwd)));
	assert_int_equal(chdir(dir), 0);
	OPEN(&a, "a", "net=unix:a:b");
	OPEN(&b, "b", "net=unix:b:a");
	assert_int_equal(chdir(cwd), 0);
	assert_true(frame_send(&a, 0, 0, 60));
	WAIT(b.received == 1);
	device_close(&a);
	device_close(&b);
	assert_int_equal(access(path_a, F_OK), -1);
}

/* Return what the log says while @d sends one frame. */
static const char *said(struct device *d)
{
	static char text[512];
	int fds[2];
	ssize_t n;

	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	log_set(fds[1], LOG_INFO);
	assert_true(frame_send(d, 0, 0, 60));
	log_set(2, LOG_WARN);
	n = read(fds[0], text, sizeof(text) - 1);
	text[n < 0 ? 0 : n] = '\0';
	close(fds[0]);
	close(fds[1]);
	return text;
}

/* The process at the other end is killed, and another one comes in its place. */
static void test_unix_killed(void **state)
{
	pid_t pid;
	int st, ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		if (device_try(&b, "b", OPTS(opt_ba)) || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	OPEN(&a, "a", opt_ab);
	assert_string_equal(said(&a), "");
	kill(pid, SIGKILL);
	waitpid(pid, &st, 0);
	assert_non_null(strstr(said(&a), "/b: frames are dropped"));
	assert_string_equal(said(&a), "");
	assert_int_equal(stats(&a).absent, 2);
	assert_true(net_link_up(a.port));
	OPEN(&b, "b", opt_ba); /* where the killed one's socket lies about */
	assert_non_null(strstr(said(&a), "/b takes frames again"));
	WAIT(b.received == 1);
	assert_string_equal(said(&a), "");
	WAIT(b.received == 2);
	assert_true(frame_send(&b, 0, 0, 60));
	WAIT(a.received == 1);
	assert_int_equal(stats(&a).absent, 2);
	device_close(&a);
	device_close(&b);
	close(ready[0]);
	close(ready[1]);
}

/* A receiver that reads again after its queue was full: all that comes then arrives. */
static void test_unix_full(void **state)
{
	int fd = socket_at(path_b);
	uint64_t lost;
	char buf[100];
	unsigned n = 0;

	OPEN(&a, "a", opt_ab);
	while (!stats(&a).full)
		assert_true(frame_send(&a, 0, n++, 60));
	assert_true(frame_send(&a, 0, n++, 60));
	lost = stats(&a).full;
	assert_int_equal(lost, 2);
	for (unsigned i = 0; i < n - lost; i++)
		assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), 60);
	assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(frame_send(&a, 0, i, 60));
		assert_int_equal(recv(fd, buf, sizeof(buf), 0), 60);
	}
	assert_int_equal(stats(&a).full, lost);
	device_close(&a);
	close(fd);
	unlink(path_b);
}

/* A file that is there is not taken away, and the message says what it is. */
static void test_unix_occupied(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct stat st;
	int fd;

	fd = open(path_a, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "mine", 4), 4);
	close(fd);
	assert_int_equal(device_try(&a, "a", OPTS(opt_ab)), -EADDRINUSE);
	assert_non_null(strstr(a.err, "there is something that is no socket"));
	assert_true(!stat(path_a, &st) && st.st_size == 4);
	unlink(path_a);
	assert_int_equal(symlink("/nonexistent", path_a), 0);
	assert_int_equal(device_try(&a, "a", OPTS(opt_ab)), -EADDRINUSE);
	assert_non_null(strstr(a.err, "there is something that is no socket"));
	unlink(path_a);
	/* a stream socket that somebody listens at */
	strcpy(addr.sun_path, path_a);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(device_try(&a, "a", OPTS(opt_ab)), -EADDRINUSE);
	assert_non_null(strstr(a.err, "in use by another device or process"));
	/* it cannot be sent to, either; said once */
	OPEN(&b, "b", opt_ba);
	assert_non_null(strstr(said(&b), "/a: Protocol wrong type for socket"));
	assert_string_equal(said(&b), "");
	assert_int_equal(stats(&b).bad, 2);
	close(fd);
	unlink(path_a);
	device_close(&b);
}

/* Several want the place of a dead one: one gets it, and keeps it. */
static void test_unix_race(void **state)
{
	int start[2], result[2], won, got;
	pid_t pid[4];
	char c;

	for (int round = 0; round < 5; round++) {
		if (!round) /* then it is the one that the last winner left */
			close(socket_at(path_a));
		assert_int_equal(pipe(start), 0);
		assert_int_equal(pipe(result), 0);
		for (int i = 0; i < 4; i++) {
			pid[i] = fork();
			if (pid[i])
				continue;
			close(start[1]);
			got = (int)read(start[0], &c, 1);
			c = device_try(&a, "a", OPTS(opt_a)) ? 'n' : 'y';
			got = (int)write(result[1], &c, 1);
			for (;;)
				pause();
		}
		close(start[0]);
		close(start[1]);
		won = 0;
		for (int i = 0; i < 4; i++) {
			got = (int)read(result[0], &c, 1);
			assert_int_equal(got, 1);
			won += c == 'y';
		}
		assert_int_equal(won, 1);
		OPEN(&b, "b", opt_ba);
		assert_string_equal(said(&b), ""); /* somebody listens */
		device_close(&b);
		for (int i = 0; i < 4; i++) {
			kill(pid[i], SIGKILL);
			waitpid(pid[i], NULL, 0);
		}
		close(result[0]);
		close(result[1]);
	}
	unlink(path_a);
}

/* Closing while frames come in. */
static void *flood(void *arg)
{
	atomic_bool *stop = arg;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	static struct frame f;

	strcpy(addr.sun_path, path_a);
	frame_make(&f, 0, 0);
	while (!atomic_load(stop))
		sendto(fd, &f, 60, MSG_DONTWAIT, (struct sockaddr *)&addr, sizeof(addr));
	close(fd);
	return NULL;
}

static void test_unix_close(void **state)
{
	atomic_bool stop = false;
	unsigned got = 0;
	pthread_t t;

	pthread_create(&t, NULL, flood, &stop);
	for (int i = 0; i < 50 || (!got && i < 5000); i++) {
		OPEN(&a, "a", opt_a);
		usleep(1000);
		device_close(&a);
		got += a.received;
		assert_int_equal(a.late, 0);
	}
	stop = true;
	pthread_join(t, NULL);
	assert_true(got > 0);
}

static uint64_t blocked_of_port(void)
{
	char path[300], line[200];
	uint64_t blocked = 0;
	struct dirent *e;
	DIR *tasks = opendir("/proc/self/task");

	assert_non_null(tasks);
	while ((e = readdir(tasks))) {
		bool ours = false;
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		f = fopen(path, "r");
		while (f && fgets(line, sizeof(line), f)) {
			if (!strcmp(line, "Name:\tnet-port\n"))
				ours = true;
			if (ours && !strncmp(line, "SigBlk:", 7))
				blocked = strtoull(line + 7, NULL, 16);
		}
		if (f)
			fclose(f);
	}
	closedir(tasks);
	return blocked;
}

/*
 * The port's thread takes no signal that is the program's. A thread begins with all of them
 * blocked, by libc.
 */
static void test_signals(void **state)
{
	uint64_t want = ~0ull;

	for (int s = 1; s <= 64; s++)
		if (s == SIGSEGV || s == SIGBUS || s == SIGSYS || s == SIGKILL || s == SIGSTOP ||
		    s == 32 || s == 33)
			want &= ~(1ull << (s - 1));
	OPEN(&a, "a", opt_a);
	WAIT(blocked_of_port() == want);
	device_close(&a);
}

/* ---- captures ---- */

struct record {
	uint32_t sec, nsec, caplen, len;
};

/*
 * The format of a capture with nanoseconds (pcap-savefile(5)). Returns its whole records; @cut: the
 * last one may be incomplete.
 */
static unsigned read_capture(const char *path, size_t *last, bool cut)
{
	static const uint8_t magic[4] = { 0x4d, 0x3c, 0xb2, 0xa1 };
	uint64_t time = 0, t;
	uint8_t head[24];
	struct record r;
	struct frame f;
	unsigned n = 0;
	FILE *in = fopen(path, "r");

	assert_non_null(in);
	assert_int_equal(fread(head, 1, 24, in), 24);
	assert_memory_equal(head, magic, 4);
	assert_int_equal(head[20], 1); /* LINKTYPE_ETHERNET */
	for (;;) {
		size_t got = fread(&r, 1, sizeof(r), in);

		if (got < sizeof(r)) {
			assert_true(!got || cut);
			break;
		}
		assert_true(r.caplen == r.len && r.len <= NET_FRAME_MAX && r.nsec < 1000000000u);
		t = r.sec * 1000000000ull + r.nsec;
		assert_true(t >= time);
		time = t;
		got = fread(&f, 1, r.len, in);
		if (got < r.len && cut)
			break;
		assert_int_equal(got, r.len);
		assert_int_equal(f.seq, n);
		if (last)
			*last = r.len;
		n++;
	}
	assert_true(feof(in));
	fclose(in);
	return n;
}

static void test_pcap(void **state)
{
	char cmd[200];
	size_t last;

	OPEN(&a, "a", "net=peer:right", opt_cap);
	OPEN(&b, "b", "id=right");
	for (uint32_t i = 0; i < 100; i += 2) {
		assert_true(frame_send(&a, 0, i, 60 + i)); /* both directions, in order */
		assert_true(frame_send(&b, 0, i + 1, 60));
	}
	assert_true(frame_send(&a, 0, 100, NET_FRAME_MAX));
	assert_int_equal(read_capture(cap, &last, false),
			 101); /* at once, not only when it is closed */
	assert_int_equal(last, NET_FRAME_MAX);
	/* one writer */
	{
		static struct device other;

		assert_int_equal(device_try(&other, "other", OPTS(opt_cap)), -EBUSY);
		assert_non_null(strstr(other.err, "another device or process is writing it"));
	}
	device_close(&b);
	assert_false(frame_send(&a, 0, 101, 60)); /* which was not sent */
	device_close(&a);
	assert_int_equal(read_capture(cap, &last, false), 101);
	/*
	 * as root it becomes another user, whom not every machine has, and gives up rights that one
	 * which a user who is root in name only lacks
	 */
	if (!own_users && !system("which tcpdump >/dev/null 2>&1")) {
		snprintf(cmd, sizeof(cmd),
			 "test $(tcpdump -Z root -nr %s 2>/dev/null | grep -c ethertype) = 101",
			 cap);
		assert_int_equal(system(cmd), 0);
	}
	/* a new capture begins anew */
	OPEN(&a, "a", opt_cap);
	assert_int_equal(read_capture(cap, &last, false), 0);
	device_close(&a);
}

/*
 * Killed in the middle; a child that exits adds nothing; a file that is full ends with a whole
 * record.
 */
static void test_pcap_ends(void **state)
{
	struct rlimit limit = { 10000, 10000 };
	struct stat file;
	unsigned before;
	pid_t pid;
	int st;

	for (int round = 0; round < 5; round++) {
		unlink(cap);
		pid = fork();
		if (!pid) {
			if (device_try(&a, "a", OPTS("net=peer:right", opt_cap)) ||
			    device_try(&b, "b", OPTS("id=right")))
				_exit(1);
			for (uint32_t i = 0;; i++)
				frame_send(&a, 0, i, 60 + i % 1400);
		}
		WAIT(!stat(cap, &file) && file.st_size > 4096);
		usleep((unsigned)round * 1234);
		kill(pid, SIGKILL);
		waitpid(pid, &st, 0);
		assert_true(WIFSIGNALED(st));
		assert_true(read_capture(cap, NULL, true) > 0);
	}

	OPEN(&a, "a", "net=peer:right", opt_cap);
	OPEN(&b, "b", "id=right");
	for (uint32_t i = 0; i < 10; i++)
		frame_send(&a, 0, i, 60);
	pid = fork();
	if (!pid)
		exit(0);
	waitpid(pid, &st, 0);
	assert_true(frame_send(&a, 0, 10, 60));
	before = read_capture(cap, NULL, false);
	assert_int_equal(before, 11);
	device_close(&a);
	device_close(&b);

	pid = fork();
	if (!pid) {
		log_set(-1, LOG_NONE);
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		if (device_try(&a, "a", OPTS("net=peer:right", opt_cap)) ||
		    device_try(&b, "b", OPTS("id=right")))
			_exit(1);
		for (uint32_t i = 0; i < 300; i++)
			if (!frame_send(&a, 0, i, 60))
				_exit(2);
		_exit(b.received == 300 ? 0 : 3);
	}
	waitpid(pid, &st, 0);
	assert_int_equal(st, 0);
	assert_int_equal(read_capture(cap, NULL, false), (10000 - 24) / (16 + 60));
}

/* ---- tap ---- */

static void set_up(int sock, const char *name, bool up)
{
	struct ifreq ifr = { 0 };

	strcpy(ifr.ifr_name, name);
	assert_int_equal(ioctl(sock, SIOCGIFFLAGS, &ifr), 0);
	if (up)
		ifr.ifr_flags |= IFF_UP;
	else
		ifr.ifr_flags &= ~IFF_UP;
	assert_int_equal(ioctl(sock, SIOCSIFFLAGS, &ifr), 0);
}

static void delete_interface(const char *name)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg i;
	} m = { .h = { .nlmsg_len = sizeof(m),
		       .nlmsg_type = RTM_DELLINK,
		       .nlmsg_flags = NLM_F_REQUEST },
		.i = { .ifi_index = (int)if_nametoindex(name) } };
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	assert_int_equal(send(fd, &m, sizeof(m), 0), sizeof(m));
	close(fd);
}

static void test_tap(void **state)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(TYPE) };
	static struct frame f, got;
	unsigned fds = count_private();
	int s;

	if (!own_namespace || access("/dev/net/tun", R_OK | W_OK)) {
		print_message("no network namespace or no /dev/net/tun here\n");
		skip();
	}
	OPEN(&a, "a", "net=tap:uvfio0");
	assert_false(net_link_up(a.port));
	assert_false(frame_send(&a, 0, 0, 60));
	assert_int_equal(device_try(&b, "b", OPTS("net=tap:uvfio0")), -EBUSY);
	assert_non_null(strstr(b.err, "net=tap:uvfio0: in use by another program"));
	assert_int_equal(device_try(&b, "b", OPTS("net=tap:lo")), -EINVAL);
	assert_non_null(strstr(b.err, "not a tap interface"));

	s = socket(AF_PACKET, SOCK_RAW, htons(TYPE));
	assert_true(s >= 0);
	set_up(s, "uvfio0", true);
	WAIT(a.up && net_link_up(a.port));
	ll.sll_ifindex = (int)if_nametoindex("uvfio0");
	assert_int_equal(bind(s, (struct sockaddr *)&ll, sizeof(ll)), 0);
	for (uint32_t i = 0; i < 100; i++) {
		frame_make(&f, 0, i);
		assert_int_equal(send(s, &f, 60 + i, 0), 60 + i);
		assert_true(frame_send(&a, 0, i, 60 + i));
		assert_int_equal(recv(s, &got, sizeof(got), 0), 60 + i);
		assert_int_equal(got.seq, i);
	}
	WAIT(a.received == 100);
	assert_int_equal(a.misordered, 0);
	assert_int_equal(a.last_len, 159);
	set_up(s, "uvfio0", false);
	WAIT(!a.up && !net_link_up(a.port));
	set_up(s, "uvfio0", true);
	WAIT(a.up);
	assert_true(frame_send(&a, 0, 0, 60));
	delete_interface("uvfio0");
	WAIT(!a.up);
	assert_false(frame_send(&a, 0, 0, 60));
	device_close(&a);
	assert_int_equal(a.late, 0);
	assert_int_equal(count_private(), fds);
	/* the interface goes with the port that made it */
	OPEN(&a, "a", "net=tap:uvfio1");
	assert_true(if_nametoindex("uvfio1"));
	device_close(&a);
	assert_false(if_nametoindex("uvfio1"));
	close(s);
}

/* A network of our own, without being root too; before there are threads. */
static void enter_namespace(void)
{
	char map[64];
	uid_t uid = geteuid();
	int fd;

	if (!unshare(CLONE_NEWNET)) {
		own_namespace = true;
		return;
	}
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return;
	own_namespace = own_users = true;
	fd = open("/proc/self/uid_map", O_WRONLY);
	snprintf(map, sizeof(map), "0 %u 1", uid);
	if (fd < 0 || write(fd, map, strlen(map)) < 0)
		fprintf(stderr, "uid_map: %s\n", strerror(errno));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pcap),	      cmocka_unit_test(test_pcap_ends),
		cmocka_unit_test(test_unix),	      cmocka_unit_test(test_unix_last_sender),
		cmocka_unit_test(test_unix_paths),    cmocka_unit_test(test_unix_close),
		cmocka_unit_test(test_unix_killed),   cmocka_unit_test(test_unix_full),
		cmocka_unit_test(test_unix_occupied), cmocka_unit_test(test_unix_race),
		cmocka_unit_test(test_signals),	      cmocka_unit_test(test_tap),
	};
	int rc;

	enter_namespace();
	if (!mkdtemp(dir))
		return 1;
	snprintf(path_a, sizeof(path_a), "%s/a", dir);
	snprintf(path_b, sizeof(path_b), "%s/b", dir);
	snprintf(path_c, sizeof(path_c), "%s/c", dir);
	snprintf(cap, sizeof(cap), "%s/cap", dir);
	snprintf(opt_ab, sizeof(opt_ab), "net=unix:%s:%s", path_a, path_b);
	snprintf(opt_ba, sizeof(opt_ba), "net=unix:%s:%s", path_b, path_a);
	snprintf(opt_a, sizeof(opt_a), "net=unix:%s", path_a);
	snprintf(opt_cap, sizeof(opt_cap), "net=pcap:%s", cap);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path_a);
	unlink(path_b);
	unlink(path_c);
	unlink(cap);
	rmdir(dir);
	return rc;
}
