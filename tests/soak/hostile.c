/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * soak/hostile.c: a client that has a server do all that costs it something, over and over, by each
 * command there is: the server's memory and descriptors stay within what the limits say, and are as
 * before when the client is gone. Meanwhile a client of another device goes on: it is counted, and
 * each attack lasts until that one has had its device some times more.
 *
 *	hostile SECONDS PATH-OF-UVFIO
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/crc32.h"
#include "soak/client.h"
#include "soak/watch.h"

#define LIMITS                                                                             \
	"maps=2000,files=32,memory=1G,fds=8,eventfds=16,data=64K,queue=64,migration=256K," \
	"dirty-log=1M"
#define MOST_FDS (32 + 16 + 64) /* beyond those of before: files, eventfds, queued, our own */
#define MOST_KB	 (16 << 10)
#define SLACK_KB 3072 /* what allocators keep */
#define SESSIONS 3u   /* of the other client, for each attack */
#define SPREAD	 (1ull << 31)
#define PRE_COPY 6u /* VFIO_DEVICE_STATE_PRE_COPY, of Linux 6.2 */

static char dir[] = "/tmp/uvfio-hostile-XXXXXX";
static struct sockaddr_un at[2];
static pid_t server, neighbour;
static _Atomic unsigned *sessions; /* that the neighbour has had */
static unsigned step;		   /* counts all that is done */

/* ---- the server, and who has its other device ---- */

static void start_server(const char *uvfio)
{
	char line[256];
	int out[2], n;

	MUST(!pipe(out));
	for (n = 0; n < 2; n++) {
		at[n].sun_family = AF_UNIX;
		snprintf(at[n].sun_path, sizeof(at[n].sun_path), "%s/%d", dir, n);
	}
	server = fork();
	MUST(server >= 0);
	if (!server) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], STDOUT_FILENO);
		execl(uvfio, uvfio, "serve", "--device", "testdev,migration=on,vectors=64",
		      "--socket", at[0].sun_path, "--ioeventfd", "2:0x24:4=1", "--device",
		      "testdev", "--socket", at[1].sun_path, "--limit", LIMITS, "--log", "none",
		      NULL);
		_exit(127);
	}
	close(out[1]);
	for (n = 0; n < 2;) {
		ssize_t got = read(out[0], line, sizeof(line));

		MUST(got > 0);
		for (ssize_t i = 0; i < got; i++)
			n += line[i] == '\n';
	}
	close(out[0]);
}

static void start_neighbour(void)
{
	struct soak_client c = { .seed = 1 };

	neighbour = fork();
	MUST(neighbour >= 0);
	if (neighbour)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		soak_session(&c, &at[1], sizeof(at[1]), "testdev", 2);
		atomic_fetch_add(sessions, 1);
	}
}

/* ---- messages that need no answer, or get none ---- */

/* Send a command with @n descriptors, and look at no reply. False: there is no room. */
static bool push(struct soak_client *c, uint16_t command, const void *data, size_t len,
		 const int *fds, unsigned n)
{
	struct vu_header h = { .id = ++c->id,
			       .command = command,
			       .size = (uint32_t)(sizeof(h) + len) };
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)data, len } };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = { 0 };
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = 2 };
	struct cmsghdr *cm = (struct cmsghdr *)control;

	if (n) {
		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
		*cm = (struct cmsghdr){ .cmsg_len = CMSG_LEN(n * sizeof(int)),
					.cmsg_level = SOL_SOCKET,
					.cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(cm), fds, n * sizeof(int));
	}
	return sendmsg(c->fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)h.size;
}

static void again(struct soak_client *c)
{
	soak_disconnect(c);
	soak_connect(c, &at[0], sizeof(at[0]));
}

/* ---- memory ---- */

static void map(struct soak_client *c, uint64_t addr, uint64_t size, uint32_t flags, int fd,
		int expect)
{
	const struct vu_dma_map m = {
		.argsz = sizeof(m), .flags = 3 | flags, .addr = addr, .size = size
	};
	int rc = soak_call(c, VU_DMA_MAP, &m, sizeof(m), fd, NULL, 0);

	MUST(!rc || rc == expect || rc == ENOSPC);
}

static void map_lone_pages(struct soak_client *c)
{
	map(c, step % 4000 * SPREAD, 4096, 0, -1, EEXIST);
}

static void map_files(struct soak_client *c)
{
	int fd = memfd_create("a", MFD_CLOEXEC);

	MUST(!ftruncate(fd, step % 2 ? 4096 : 1 << 30));
	map(c, step % 4000 * SPREAD, 4096, step % 3 ? 0 : VU_DMA_BY_FILE, fd, EEXIST);
	close(fd);
}

static void map_all(struct soak_client *c)
{
	const struct vu_dma_unmap u = { .argsz = sizeof(u), .flags = VU_UNMAP_ALL };

	map(c, 1ull << 40, (1ull << 48) - (1ull << 40), 0, -1, EEXIST);
	MUST(!soak_call(c, VU_DMA_UNMAP, &u, sizeof(u), -1, NULL, 0));
}

/* ---- interrupts ---- */

static void set_eventfds(struct soak_client *c)
{
	static const uint32_t kinds[] = { VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX,
					  VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_MSIX_IRQ_INDEX };
	uint32_t index = kinds[step % 4];
	const struct vu_set_irqs m = { .argsz = sizeof(m),
				       .flags = VFIO_IRQ_SET_ACTION_TRIGGER |
						VFIO_IRQ_SET_DATA_EVENTFD,
				       .index = index,
				       .start = index == VFIO_PCI_MSIX_IRQ_INDEX ? step % 64 : 0,
				       .count = 1 };
	int fd = eventfd(0, EFD_CLOEXEC);
	int rc = soak_call(c, VU_DEVICE_SET_IRQS, &m, sizeof(m), fd, NULL, 0);

	MUST(!rc || rc == ENOSPC || rc == EINVAL);
	close(fd);
}

static void get_io_fds(struct soak_client *c)
{
	const struct vu_io_fds m = { .argsz = 4096, .index = 2 };

	MUST(!soak_call(c, VU_DEVICE_GET_REGION_IO_FDS, &m, sizeof(m), -1, NULL, 0));
}

/* ---- migration and the log ---- */

static int feature(struct soak_client *c, uint32_t flags, const void *data, size_t len)
{
	uint8_t m[64];
	const struct vu_feature head = { 65536, flags };

	memcpy(m, &head, sizeof(head));
	memcpy(m + sizeof(head), data, len);
	return soak_call(c, VU_DEVICE_FEATURE, m, sizeof(head) + len, -1, NULL, 0);
}

static int go(struct soak_client *c, uint32_t state)
{
	const uint32_t m[2] = { state };

	return feature(c, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, m,
		       sizeof(m));
}

static void save_and_not_read(struct soak_client *c)
{
	static const uint32_t states[] = { PRE_COPY, VFIO_DEVICE_STATE_STOP_COPY,
					   VFIO_DEVICE_STATE_RUNNING };
	int rc = go(c, states[step % 3]);

	MUST(!rc || rc == ENOSPC || rc == EINVAL);
	feature(c, VFIO_DEVICE_FEATURE_GET | VU_FEATURE_PRECOPY_INFO, NULL, 0);
}

/* As src/vfio/stream.c has it: the begin of a stream, and of a record of a gigabyte. */
struct stream_head {
	struct vu_mig_data head;
	char text[8];
	uint32_t format, crc;
	struct {
		uint32_t kind, number;
		uint64_t len;
		uint32_t crc, head_crc;
	} record;
} __attribute__((packed));

static void load_without_end(struct soak_client *c)
{
	static struct {
		struct stream_head h;
		uint8_t data[50000];
	} m;
	int rc;

	m.h = (struct stream_head){ .head = { sizeof(m), sizeof(m) - sizeof(m.h.head) },
				    .text = { 'u', 'v', 'f', 'i', 'o', 'm', 'i', 'g' },
				    .format = 2,
				    .record = { .kind = 1, .len = 1u << 30 } };
	m.h.crc = crc32_add(0, m.h.text, 12);
	m.h.record.head_crc = crc32_add(0, &m.h.record, sizeof(m.h.record) - 4);
	MUST(!go(c, VFIO_DEVICE_STATE_RESUMING));
	rc = soak_call(c, VU_MIG_DATA_WRITE, &m, sizeof(m), -1, NULL, 0);
	/* it may go on, or is refused and over */
	while (!rc)
		rc = soak_call(c, VU_MIG_DATA_WRITE, &m, sizeof(m), -1, NULL, 0);
	MUST(rc == ENOSPC);
	MUST(!soak_call(c, VU_DEVICE_RESET, NULL, 0, -1, NULL, 0));
}

static void log_everything(struct soak_client *c)
{
	struct {
		struct vu_log_start start;
		struct vfio_device_feature_dma_logging_range range;
	} s = { { 4096, 1, 0 }, { 0, 1ull << 63 } };
	const struct vu_log_report q = { 0, 1ull << 48, 1ull << 36 };
	int rc = feature(c, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &s,
			 sizeof(s));

	MUST(!rc || rc == EINVAL);
	feature(c, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &q, sizeof(q));
	if (step % 2)
		feature(c, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, NULL, 0);
}

/* ---- messages ---- */

/* Each command, also such as there are not, with descriptors where none belong. */
static void stray_descriptors(struct soak_client *c)
{
	static uint8_t zeros[64];
	int fds[8];

	for (unsigned i = 0; i < 8; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC);
	if (!push(c, (uint16_t)(step % 24), zeros, sizeof(zeros), fds, 8) || step % 16 == 15)
		again(c);
	for (unsigned i = 0; i < 8; i++)
		close(fds[i]);
}

/* As many descriptors as can be, in commands that wait, since no reply is read. */
static void unread_replies(struct soak_client *c)
{
	const struct vu_region_access a = { .region = CONFIG, .count = 256 };
	const struct vu_set_irqs m = { .argsz = sizeof(m),
				       .flags = VFIO_IRQ_SET_ACTION_TRIGGER |
						VFIO_IRQ_SET_DATA_EVENTFD,
				       .index = VFIO_PCI_MSIX_IRQ_INDEX,
				       .count = 1 };

	for (unsigned i = 0; i < 64; i++)
		if (i % 8 ? !push(c, VU_REGION_READ, &a, sizeof(a), NULL, 0)
			  : !push(c, VU_DEVICE_SET_IRQS, &m, sizeof(m), &c->event, 1))
			usleep(100);
}

static void part_of_a_message(struct soak_client *c)
{
	static uint8_t zeros[32768];
	const struct vu_header h = { .command = VU_REGION_WRITE, .size = 65536 };

	if (send(c->fd, &h, sizeof(h), MSG_NOSIGNAL) != sizeof(h) ||
	    send(c->fd, zeros, sizeof(zeros), MSG_NOSIGNAL) != sizeof(zeros))
		again(c);
	while (step % 4 == 0 && recv(c->fd, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
		;
}

/* DMA to memory that only this client has, and of which it says nothing: a register waits. */
static void unanswered_dma(struct soak_client *c)
{
	struct {
		struct vu_region_access a;
		uint64_t v;
	} w[] = { { { TD_DMA_SRC, 2, 8 }, 1ull << 41 },
		  { { TD_DMA_DST, 2, 8 }, 1ull << 41 },
		  { { TD_DMA_LEN, 2, 8 }, 64 },
		  { { TD_DMA_CMD, 2, 4 }, TD_OP_COPY } };

	again(c);
	map(c, 1ull << 41, 4096, 0, -1, 0);
	soak_put(c, CONFIG, 4, 6, 2);
	for (unsigned i = 0; i < 4; i++)
		MUST(push(c, VU_REGION_WRITE, &w[i], sizeof(w[i].a) + w[i].a.count, NULL, 0));
	while (push(c, VU_REGION_READ, &w[3].a, sizeof(w[3].a), NULL, 0))
		;
}

static void connect_and_say_nothing(struct soak_client *c)
{
	int fds[20];

	for (unsigned i = 0; i < 20; i++) {
		fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		connect(fds[i], (struct sockaddr *)&at[0], sizeof(at[0]));
	}
	usleep(1000);
	for (unsigned i = 0; i < 20; i++)
		close(fds[i]);
}

/* ---- all of it ---- */

static const struct attack {
	const char *name;
	void (*fn)(struct soak_client *c);
} attacks[] = {
	{ "mappings far from each other", map_lone_pages },
	{ "files", map_files },
	{ "all addresses", map_all },
	{ "eventfds", set_eventfds },
	{ "ioeventfds", get_io_fds },
	{ "states that are not read", save_and_not_read },
	{ "states without an end", load_without_end },
	{ "logs of everything", log_everything },
	{ "stray descriptors", stray_descriptors },
	{ "replies that are not read", unread_replies },
	{ "parts of messages", part_of_a_message },
	{ "DMA that is not answered", unanswered_dma },
	{ "connections", connect_and_say_nothing },
};
#define ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

/* What the server costs at most, as it was seen. */
static long most_kb, most_fds;

static void look(void)
{
	long kb = soak_status(server, "RssAnon:"), fds = soak_fds(server);

	most_kb = kb > most_kb ? kb : most_kb;
	most_fds = fds > most_fds ? fds : most_fds;
}

/* Do it for @seconds, and until the neighbour has had its device again. */
static void attack(const struct attack *a, double seconds)
{
	unsigned before = atomic_load(sessions);
	double end = soak_now() + seconds;
	struct soak_client c = { .seed = 1 };

	most_kb = most_fds = 0;
	soak_connect(&c, &at[0], sizeof(at[0]));
	for (unsigned n = 0; n < 16 || soak_now() < end; n++, step++) {
		a->fn(&c);
		if (n % 64 == 0)
			look();
	}
	look();
	while (atomic_load(sessions) - before < SESSIONS)
		usleep(1000);
	soak_disconnect(&c);
}

int main(int argc, char **argv)
{
	int st, failed = 0, passed = 0;
	long kb, fds, now_kb, now_fds;
	double each;

	if (argc != 3 || atof(argv[1]) <= 0) {
		fprintf(stderr, "usage: hostile SECONDS UVFIO\n");
		return 2;
	}
	each = atof(argv[1]) / (2 * ATTACKS);
	signal(SIGPIPE, SIG_IGN);
	sessions = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(sessions != MAP_FAILED && mkdtemp(dir));
	start_server(argv[2]);
	start_neighbour();
	/* once for what allocators keep */
	for (unsigned i = 0; i < ATTACKS; i++)
		attack(&attacks[i], each);
	fds = soak_settled(server, 0);
	kb = soak_status(server, "RssAnon:");
	printf("before: %ld kB, %ld descriptors\n", kb, fds);
	for (unsigned i = 0; i < ATTACKS; i++) {
		attack(&attacks[i], each);
		now_fds = soak_settled(server, fds);
		now_kb = soak_status(server, "RssAnon:");
		printf("%-28s at most %+7ld kB %+4ld descriptors; then %+6ld kB %+4ld\n",
		       attacks[i].name, most_kb - kb, most_fds - fds, now_kb - kb, now_fds - fds);
		if (most_kb > kb + MOST_KB || most_fds > fds + MOST_FDS || now_kb > kb + SLACK_KB ||
		    now_fds > fds + 4) {
			printf("FAIL %s\n", attacks[i].name);
			failed++;
		} else {
			passed++;
		}
	}
	kill(neighbour, SIGKILL);
	MUST(waitpid(neighbour, &st, 0) == neighbour && WIFSIGNALED(st));
	kill(server, SIGTERM);
	MUST(waitpid(server, &st, 0) == server);
	if (st) {
		printf("FAIL the server ended with 0x%x\n", st);
		failed++;
	}
	rmdir(dir);
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
