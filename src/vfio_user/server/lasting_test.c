/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/server/lasting_test.c: a device that outlives its server, and a client that comes back
 * to it. What a killed server leaves is its file as it is at that moment: so a copy of it, taken
 * while the server is at work, is given to another one.
 */
#include "lasting/file.h"
#include "models/testdev/regs.h"
#include "vfio/migrate.h"
#include "vfio/outlast.h"
#include "vfio_user/caps.h"
#include "vfio_user/server/test_server.h"

#define EDU_LIVE      0x04
#define EDU_FACTORIAL 0x08
#define EDU_STATUS    0x20
#define EDU_IRQ	      0x24
#define EDU_RAISE     0x60

static struct test_server t;
static struct reply r;
static struct lasting_file *file;
static char dir[] = "/tmp/uvfio-lasting-XXXXXX", path[64], copy[64];

/* ---- servers ---- */

/* Have a server of @spec, whose device has its state in the file. */
static void begin(const char *spec)
{
	struct lasting_layout l = { .path = path, .spec = spec, .describe_room = 1 << 16 };
	struct machine_device *d;
	struct vfio_migrate *m;
	char why[512];

	test_server_begin(&t, spec);
	vu_server_free(t.server);
	t.server = NULL;
	d = machine_device(t.m, 0);
	t.cfg.hides_migration = !d->vdev->migrate;
	assert_int_equal(machine_let_migrate(d), 0);
	m = d->vdev->migrate;
	l.memory = vfio_outlast_memory_size(m);
	l.room = 2 * (size_t)vfio_migrate_size(m) + 65536;
	if (lasting_file_open(&l, why, sizeof(why), &file))
		fail_msg("%s", why);
	t.cfg.state = file;
	assert_int_equal(test_start(&t), 0);
}

/* End the server as a signal does that its user sends. */
static void end(void)
{
	test_server_end(&t);
	lasting_file_close(file);
	file = NULL;
}

/* Keep the file as it is now. */
static void keep(void)
{
	static uint8_t buf[1 << 16];
	int from = open(path, O_RDONLY), to = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ssize_t n;

	assert_true(from >= 0 && to >= 0);
	while ((n = read(from, buf, sizeof(buf))) > 0)
		assert_int_equal(write(to, buf, (size_t)n), n);
	close(from);
	close(to);
}

/* Have a new server that finds what was kept. */
static void restart(const char *spec)
{
	end();
	assert_int_equal(rename(copy, path), 0);
	begin(spec);
}

static void kill_and_restart(const char *spec)
{
	keep();
	restart(spec);
}

/* ---- a client that comes back ---- */

struct client {
	int fd;
	uint16_t seq; /* the number of its last command */
	uint8_t id[VU_LASTING_ID];
	struct vu_lasting said; /* what the server did */
	struct vu_caps caps;
};

static void hello(struct client *c, const struct vu_lasting *l)
{
	struct vu_caps caps = { .named = VU_CAP_UVFIO | VU_CAP_MULTI | VU_CAP_FDS,
				.max_msg_fds = 16,
				.write_multiple = true,
				.ring = true,
				.lasting = *l };
	struct {
		struct vu_version v;
		char text[1000];
	} m = { .v = { VU_MAJOR, VU_MINOR } };
	const char *why;
	int n = vu_caps_write(&caps, m.text, sizeof(m.text));

	assert_true(n > 0);
	c->fd = client_connect(&t);
	assert_int_equal(client_call(c->fd, VU_VERSION, &m, sizeof(m.v) + (size_t)n, &r), 0);
	assert_int_equal(
		vu_caps_parse((char *)r.data + sizeof(m.v), r.len - sizeof(m.v), &c->caps, &why),
		0);
	c->said = c->caps.lasting;
}

static void come(struct client *c)
{
	hello(c, &(struct vu_lasting){ .kind = VU_LASTING_OFFER });
	assert_int_equal(c->said.kind, VU_LASTING_NEW);
	memcpy(c->id, c->said.id, sizeof(c->id));
	c->seq = 0;
}

/* Come back, and say what happened. */
static enum vu_lasting_kind come_back(struct client *c)
{
	struct vu_lasting l = { .kind = VU_LASTING_RESUME, .seq = c->seq };

	close(c->fd);
	memcpy(l.id, c->id, sizeof(l.id));
	hello(c, &l);
	if (c->said.kind == VU_LASTING_RESUMED)
		assert_memory_equal(c->said.id, c->id, sizeof(c->id));
	else
		assert_memory_not_equal(c->said.id, c->id, sizeof(c->id));
	memcpy(c->id, c->said.id, sizeof(c->id));
	return c->said.kind;
}

/* Send a command with the next number, or @again with the last one. 0 or the error. */
static int command(struct client *c, uint16_t command, const void *data, size_t len, bool again)
{
	if (!again)
		c->seq++;
	client_send(c->fd, c->seq, command, 0, data, len, NULL, 0);
	assert_true(client_receive(c->fd, &r));
	assert_int_equal(r.h.id, c->seq);
	return r.h.flags & VU_FLAG_ERROR ? (int)r.h.error : 0;
}

static int set_state(struct client *c, uint32_t state)
{
	struct {
		struct vu_feature f;
		struct vfio_device_feature_mig_state s;
	} m = { .f = { sizeof(m), VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE },
		.s = { .device_state = state } };

	return client_call(c->fd, VU_DEVICE_FEATURE, &m, sizeof(m), &r);
}

static void run(struct client *c)
{
	assert_int_equal(set_state(c, VFIO_DEVICE_STATE_RUNNING), 0);
}

static int try_get(struct client *c, uint32_t region, uint64_t offset, uint32_t *v, bool again)
{
	struct vu_region_access a = { .offset = offset, .region = region, .count = 4 };
	int ret = command(c, VU_REGION_READ, &a, sizeof(a), again);

	if (!ret)
		memcpy(v, r.data + sizeof(a), sizeof(*v));
	return ret;
}

static uint32_t get(struct client *c, uint32_t region, uint64_t offset)
{
	uint32_t v = 0;

	assert_int_equal(try_get(c, region, offset, &v, false), 0);
	return v;
}

static void put_size(struct client *c, uint32_t region, uint64_t offset, uint64_t v, unsigned size,
		     bool again)
{
	struct {
		struct vu_region_access a;
		uint64_t v;
	} m = { { offset, region, size }, v };

	assert_int_equal(command(c, VU_REGION_WRITE, &m, sizeof(m.a) + size, again), 0);
}

static void put(struct client *c, uint32_t region, uint64_t offset, uint32_t v)
{
	put_size(c, region, offset, v, 4, false);
}

static void enable(struct client *c)
{
	put_size(c, CONFIG, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2, false);
}

/* ---- */

static int setup(void **state)
{
	unlink(path);
	return 0;
}

static void test_new(void **state)
{
	struct client c = { 0 }, d = { 0 };

	begin("testdev");
	come(&c);
	assert_false(c.caps.ring || c.caps.write_multiple);
	close(c.fd);
	test_await(&t, VU_SERVER_DISCONNECTED);
	assert_int_equal(lasting_mark(file), LASTING_NOBODY);
	/* another one is another device, and who does not ask has all as before */
	come(&d);
	assert_memory_not_equal(c.id, d.id, sizeof(c.id));
	close(d.fd);
	test_await(&t, VU_SERVER_DISCONNECTED);
	hello(&c, &(struct vu_lasting){ 0 });
	assert_true(c.caps.ring && c.caps.write_multiple);
	assert_int_equal(c.said.kind, VU_LASTING_NONE);
	close(c.fd);
	end();
	/* nobody wants it */
	assert_int_equal(access(path, F_OK), -1);
}

/* The registers, a timer that is under way, and what comes of it. */
static void test_goes_on(void **state)
{
	struct client c = { 0 };
	uint32_t v;

	begin("edu,factorial_delay=400000");
	come(&c);
	enable(&c);
	put(&c, 0, EDU_LIVE, 0x12345678);
	put(&c, 0, EDU_STATUS, 0x80);
	put(&c, 0, EDU_FACTORIAL, 5);
	kill_and_restart("edu,factorial_delay=400000");
	assert_int_equal(come_back(&c), VU_LASTING_RESUMED);
	/* first it says what it needs; config space can be looked at */
	assert_int_equal(get(&c, CONFIG, PCI_VENDOR_ID), 0x11e81234);
	assert_int_equal(try_get(&c, 0, EDU_LIVE, &v, false), EBUSY);
	assert_int_equal(command(&c, VU_DEVICE_RESET, NULL, 0, false), EBUSY);
	/* killed once more meanwhile */
	kill_and_restart("edu,factorial_delay=400000");
	assert_int_equal(come_back(&c), VU_LASTING_RESUMED);
	run(&c);
	assert_int_equal(get(&c, CONFIG, PCI_COMMAND) & 6, 6);
	assert_int_equal(get(&c, 0, EDU_LIVE), ~0x12345678u);
	assert_int_equal(get(&c, 0, EDU_STATUS), 0x81);
	/* the timer, too, is a step that is written down */
	while (get(&c, 0, EDU_STATUS) & 1)
		usleep(10000);
	kill_and_restart("edu,factorial_delay=400000");
	assert_int_equal(come_back(&c), VU_LASTING_RESUMED);
	run(&c);
	assert_int_equal(get(&c, 0, EDU_FACTORIAL), 120);
	assert_int_equal(get(&c, 0, EDU_IRQ), 1);
	close(c.fd);
	end();
}

static void test_commands_come_again(void **state)
{
	struct client c = { 0 };
	uint32_t v;

	begin("testdev");
	come(&c);
	enable(&c);
	put(&c, 0, 4, 55);
	assert_int_equal(get(&c, 0, 4), 55);
	/* it was carried out, and its reply may not have come: so it is answered, not done again */
	kill_and_restart("testdev");
	assert_int_equal(come_back(&c), VU_LASTING_RESUMED);
	run(&c);
	assert_int_equal(try_get(&c, 0, 4, &v, true), 0);
	assert_int_equal(v, 55);
	assert_int_equal(get(&c, REGS, TD_READS), 1);
	/* so is one that failed */
	assert_int_equal(try_get(&c, REGS, 1 << 30, &v, false), EINVAL);
	kill_and_restart("testdev");
	assert_int_equal(come_back(&c), VU_LASTING_RESUMED);
	run(&c);
	assert_int_equal(try_get(&c, REGS, 1 << 30, &v, true), EINVAL);
	/* one that never came is done; the server has seen the one before */
	put(&c, REGS, TD_SCRATCH32, 77);
	kill_and_restart("testdev");
	c.seq++;
	assert_int_equal(come_back(&c), VU_LASTING_RESUMED);
	run(&c);
	put_size(&c, REGS, TD_SCRATCH32, 78, 4, true);
	assert_int_equal(get(&c, REGS, TD_SCRATCH32), 78);
	/* the same number later on is another command */
	put_size(&c, REGS, TD_SCRATCH32, 79, 4, true);
	assert_int_equal(get(&c, REGS, TD_SCRATCH32), 79);
	close(c.fd);
	end();
}

/* BAR0 is memory of the model's that lasts. */
static void test_memory(void **state)
{
	struct client c = { 0 };

	begin("testdev,ram=8K");
	come(&c);
	enable(&c);
	put(&c, 0, 0x1004, 0xabcd0123);
	kill_and_restart("testdev,ram=8K");
	assert_int_equal(come_back(&c), VU_LASTING_RESUMED);
	run(&c);
	assert_int_equal(get(&c, 0, 0x1004), 0xabcd0123);
	put(&c, 0, 0x1008, 5);
	/* and ends with its client */
	close(c.fd);
	test_await(&t, VU_SERVER_DISCONNECTED);
	c.fd = -1;
	come(&c);
	enable(&c);
	assert_int_equal(get(&c, 0, 0x1004), 0);
	put(&c, 0, 0x1008, 6);
	kill_and_restart("testdev,ram=8K");
	assert_int_equal(come_back(&c), VU_LASTING_RESUMED);
	run(&c);
	assert_int_equal(get(&c, 0, 0x1008), 6);
	close(c.fd);
	end();
}

/* Pending, masked, the line: interrupts. */
static int set_eventfd(struct client *c, unsigned index, unsigned start, int fd)
{
	struct vu_set_irqs set = { sizeof(set),
				   VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, index,
				   start, 1 };

	return client_call_fds(c->fd, VU_DEVICE_SET_IRQS, &set, sizeof(set), &fd, 1, &r);
}

static int mask(struct client *c, unsigned index, unsigned start, bool on)
{
	struct vu_set_irqs set = { sizeof(set),
				   VFIO_IRQ_SET_DATA_NONE | (on ? VFIO_IRQ_SET_ACTION_MASK
								: VFIO_IRQ_SET_ACTION_UNMASK),
				   index, start, 1 };

	return client_call(c->fd, VU_DEVICE_SET_IRQS, &set, sizeof(set), &r);
}

static void test_interrupts(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct client c = { 0 };

	begin("testdev");
	come(&c);
	enable(&c);
	assert_int_equal(set_eventfd(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, fd), 0);
	put(&c, REGS, TD_MSI, 0);
	assert_int_equal(eventfd_count(fd, true), 1);
	assert_int_equal(mask(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, true), 0);
	put(&c, REGS, TD_MSI, 0);
	kill_and_restart("testdev");
	assert_int_equal(come_back(&c), VU_LASTING_RESUMED);
	assert_int_equal(set_eventfd(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, fd), 0);
	assert_int_equal(mask(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, true), 0);
	run(&c);
	assert_int_equal(eventfd_count(fd, false), 0);
	assert_int_equal(mask(&c, VFIO_PCI_MSIX_IRQ_INDEX, 0, false), 0);
	assert_int_equal(eventfd_count(fd, true), 1);
	close(c.fd);
	test_await(&t, VU_SERVER_DISCONNECTED);

	/* INTx masks itself; an unmask by eventfd may be lost, so it is signalled once more */
	come(&c);
	enable(&c);
	assert_int_equal(set_eventfd(&c, VFIO_PCI_INTX_IRQ_INDEX, 0, fd), 0);
	put(&c, REGS, TD_INTX, 1);
	assert_int_equal(eventfd_count(fd, true), 1);
	kill_and_restart("testdev");
	assert_int_equal(come_back(&c), VU_LASTING_RESUMED);
	assert_int_equal(set_eventfd(&c, VFIO_PCI_INTX_IRQ_INDEX, 0, fd), 0);
	run(&c);
	assert_int_equal(eventfd_count(fd, true), 1);
	put(&c, REGS, TD_INTX, 0);
	close(c.fd);
	close(fd);
	end();
}

/* ---- not to be had */

static void lost(struct client *c, const char *why)
{
	assert_int_equal(come_back(c), VU_LASTING_LOST);
	if (!strstr(c->said.why, why))
		fail_msg("%s", c->said.why);
	/* it is there, as after a reset, and lasts from now on */
	c->seq = 0;
	enable(c);
	assert_int_equal(get(c, REGS, TD_SCRATCH32), 0);
	put(c, REGS, TD_SCRATCH32, 1);
}

static void test_lost(void **state)
{
	struct client c = { 0 }, other = { 0 };
	struct vu_dma_map map = { .argsz = sizeof(map),
				  .flags = VU_DMA_READABLE | VU_DMA_WRITEABLE,
				  .addr = RAM,
				  .size = K4 };
	struct {
		struct vu_region_access a;
		uint32_t v;
	} cmd = { { TD_DMA_CMD, REGS, 4 }, TD_OP_LOAD };

	begin("testdev");
	come(&c);
	enable(&c);
	put(&c, REGS, TD_SCRATCH32, 1);
	/* killed inside of a command: the device waits for memory that the client is to bring */
	assert_int_equal(client_call(c.fd, VU_DMA_MAP, &map, sizeof(map), &r), 0);
	put_size(&c, REGS, TD_DMA_SRC, RAM, 8, false);
	put_size(&c, REGS, TD_DMA_LEN, 64, 8, false);
	client_send(c.fd, ++c.seq, VU_REGION_WRITE, 0, &cmd, sizeof(cmd.a) + 4, NULL, 0);
	assert_true(client_receive(c.fd, &r));
	assert_int_equal(r.h.command, VU_DMA_READ);
	keep();
	close(c.fd);
	c.fd = -1;
	restart("testdev");
	lost(&c, "in the middle of a step");
	/* a state that is not this client's */
	kill_and_restart("testdev");
	other = c;
	other.fd = -1;
	other.id[3]++;
	lost(&other, "another client's");
	close(other.fd);
	test_await(&t, VU_SERVER_DISCONNECTED);
	/* which ends the other one: nobody comes back to what is gone */
	lost(&c, "no state was kept");
	/* the client knows less than was done */
	kill_and_restart("testdev");
	c.seq -= 2;
	lost(&c, "more than the client knows");
	/* who does not ask has the device, and the state is gone */
	kill_and_restart("testdev");
	other.fd = client_new(&t);
	close(other.fd);
	test_await(&t, VU_SERVER_DISCONNECTED);
	lost(&c, "no state was kept");
	/* a migration is under way */
	end();
	setup(NULL);
	begin("testdev,migration=on");
	close(c.fd);
	c.fd = -1;
	come(&c);
	assert_int_equal(set_state(&c, VFIO_DEVICE_STATE_STOP), 0);
	kill_and_restart("testdev,migration=on");
	lost(&c, "in the middle of a step");
	close(c.fd);
	end();
}

/* One bit of the state in the file is wrong, or of another shape than the device takes. */
static void test_damaged(void **state)
{
	struct client c = { 0 };
	char byte;
	int fd;

	begin("testdev");
	come(&c);
	enable(&c);
	keep();
	fd = open(copy, O_RDWR);
	/* somewhere in the description */
	assert_int_equal(pread(fd, &byte, 1, 24576 + 300), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, 24576 + 300), 1);
	close(fd);
	restart("testdev");
	lost(&c, "damaged");
	close(c.fd);
	end();
}

/* ---- ended by its user */

static void test_stop(void **state)
{
	static const struct {
		const char *spec;
		uint32_t region, offset;
		bool killed_too;
	} all[] = {
		{ "edu", 0, EDU_LIVE, true },
		{ "testdev", REGS, TD_SCRATCH32, true },
		{ "testdev,ram_memory=on", REGS, TD_SCRATCH32, false },
		{ "igb", 0, 0x0038 /* VET */, true },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
		struct client c = { 0 };
		uint32_t v;

		begin(all[i].spec);
		come(&c);
		enable(&c);
		put(&c, all[i].region, all[i].offset, 0x8100);
		v = get(&c, all[i].region, all[i].offset);
		end();
		assert_int_equal(access(path, F_OK), 0);
		begin(all[i].spec);
		assert_int_equal(come_back(&c), VU_LASTING_RESUMED);
		run(&c);
		assert_int_equal(get(&c, all[i].region, all[i].offset), v);
		kill_and_restart(all[i].spec);
		assert_int_equal(come_back(&c),
				 all[i].killed_too ? VU_LASTING_RESUMED : VU_LASTING_LOST);
		/* ended before it runs again, or with a client that has done nothing */
		end();
		begin(all[i].spec);
		assert_int_equal(come_back(&c), VU_LASTING_RESUMED);
		run(&c);
		if (all[i].killed_too)
			assert_int_equal(get(&c, all[i].region, all[i].offset), v);
		close(c.fd);
		end();
		setup(NULL);
	}
}

/* Stopped and started in one process. */
static void test_start_again(void **state)
{
	struct client c = { 0 };

	begin("testdev");
	come(&c);
	enable(&c);
	put(&c, REGS, TD_SCRATCH32, 9);
	put(&c, 0, 16, 10);
	vu_server_free(t.server);
	assert_int_equal(test_start(&t), 0);
	assert_int_equal(come_back(&c), VU_LASTING_RESUMED);
	run(&c);
	assert_int_equal(get(&c, REGS, TD_SCRATCH32), 9);
	assert_int_equal(get(&c, 0, 16), 10);
	/* what others do with the device is a step, too */
	assert_true(vu_server_step_begin(t.server));
	assert_false(vu_server_step_begin(t.server));
	assert_int_equal(lasting_mark(file), LASTING_DIRTY);
	vu_server_step_end(t.server);
	assert_int_equal(lasting_mark(file), LASTING_CLEAN);
	close(c.fd);
	end();
}

static void test_migration_is_hidden(void **state)
{
	struct {
		struct vu_feature f;
		struct vfio_device_feature_migration m;
	} q = { .f = { sizeof(q), VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION } };
	struct client c = { 0 };

	begin("testdev");
	come(&c);
	assert_int_equal(client_call(c.fd, VU_DEVICE_FEATURE, &q, sizeof(q), &r), ENOTTY);
	assert_int_equal(set_state(&c, VFIO_DEVICE_STATE_RUNNING), ENOTTY);
	close(c.fd);
	end();
	setup(NULL);
	begin("testdev,migration=on");
	come(&c);
	assert_int_equal(client_call(c.fd, VU_DEVICE_FEATURE, &q, sizeof(q), &r), 0);
	close(c.fd);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_new, setup),
		cmocka_unit_test_setup(test_goes_on, setup),
		cmocka_unit_test_setup(test_commands_come_again, setup),
		cmocka_unit_test_setup(test_memory, setup),
		cmocka_unit_test_setup(test_interrupts, setup),
		cmocka_unit_test_setup(test_lost, setup),
		cmocka_unit_test_setup(test_damaged, setup),
		cmocka_unit_test_setup(test_stop, setup),
		cmocka_unit_test_setup(test_start_again, setup),
		cmocka_unit_test_setup(test_migration_is_hidden, setup),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/x.state", dir);
	snprintf(copy, sizeof(copy), "%s/copy", dir);
	rc = cmocka_run_group_tests_name("vfio_user/server: lasting", tests, NULL, NULL);
	unlink(path);
	unlink(copy);
	return rc + (rmdir(dir) ? 1 : 0);
}
