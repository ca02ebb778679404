/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vfio_user/client/fault_test.c: each allocation and each call fails in turn while a device behind
 * a socket is found, opened, mapped for and set up: the answer is an error, or it does without, and
 * nothing is left open.
 */
#include "base/guard.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/test_fault.h"
#include "vfio/open.h"
#include "vfio_user/client/internal.h"
#include "vfio_user/client/test_server.h"

#define K  4096ull
#define RW (IOMMU_READ | IOMMU_WRITE)

struct world {
	struct test_server t;
	struct vfio_system *s;
	struct iommu_group *ig;
	struct vfio_group *g;
	struct loop *loop;
	struct vfio_ioas *io;
	char *mem;
	int fd;
};

static void begin(struct world *w)
{
	log_set(2, LOG_NONE);
	guard_install();
	test_server_start(&w->t);
	w->s = vfio_system_new(NULL, NULL);
	w->ig = iommu_group_new(1);
	assert_int_equal(vfio_system_add_group(w->s, w->ig, &w->g), 0);
	w->loop = loop_new();
	w->io = vfio_ioas_new(w->s, true);
	w->mem = mmap(NULL, 4 * K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w->fd = eventfd(0, EFD_CLOEXEC);
}

static void end(struct world *w)
{
	vfio_ioas_put(w->io);
	loop_free(w->loop);
	vfio_system_free(w->s);
	iommu_group_free(w->ig);
	test_server_stop(&w->t);
	munmap(w->mem, 4 * K);
	close(w->fd);
}

static int find(struct world *w, struct vu_client **c)
{
	const struct vu_client_options o = { .name = "0000:01:00.0",
					     .devices = w->loop,
					     .irqs = w->loop,
					     .reconnect_ns = 1000000000 };
	char *err = NULL;
	int rc = vu_client_new(w->t.path, &o, c, &err);

	free(err);
	return rc;
}

/* Descriptors of ours that are the client's: the server's own come and go. */
static void test_found(void **state)
{
	struct vu_client *c;
	struct world w;
	int rc;

	begin(&w);
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		c = NULL;
		fault_begin(&l);
		rc = find(&w, &c);
		fault_end(&l, rc);
		if (!rc)
			vu_client_free(c);
		if (l.done)
			assert_true(l.failed > 10);
	}
	end(&w);
}

/* It has the device as it was, and lets it run. */
static bool lasts(struct test_server *t, struct vu_conn *c, struct vu_message *m)
{
	static char text[256];
	bool again = m->len > sizeof(struct vu_version) && strstr((char *)m->data + 4, "resume");

	if (m->header.command == VU_DEVICE_FEATURE) {
		test_answer(c, m, m->data, m->len);
		return true;
	}
	if (m->header.command == VU_VERSION) {
		snprintf(text, sizeof(text),
			 "{\"capabilities\":{\"max_msg_fds\":2,\"max_data_xfer_size\":4096,"
			 "\"twin_socket\":{\"supported\":true,\"fd_index\":0},\"uvfio\":{"
			 "\"lasting\":"
			 "{\"id\":\"00112233445566778899aabbccddeeff\",%s}}}}",
			 again ? "\"resumed\":true" : "\"seq\":0");
		t->caps = text;
	}
	return false;
}

/* Open it, map memory and set interrupts. */
static int use(struct world *w, struct vu_client *c, struct vfio_open *o)
{
	const struct vfio_irq_set_args set = {
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.count = 1,
		.data = &w->fd,
	};
	uint32_t v;
	int rc = vfio_open_bind(o);

	if (!rc)
		rc = vfio_device_attach(o, w->io);
	if (!rc)
		rc = vfio_ioas_map(w->io, K, (uintptr_t)w->mem + K, K, RW);
	if (!rc)
		rc = vfio_device_set_irqs(o, &set);
	if (!rc)
		rc = vfio_device_ioeventfd(o, 4, 0x30, 7, w->fd);
	if (!rc)
		rc = vfio_device_rw(o, 0, 0, &v, 4, false) == 4 ? 0 : -EIO;
	return rc;
}

static void check_used(bool (*hook)(struct test_server *t, struct vu_conn *c, struct vu_message *m))
{
	struct vfio_open o;
	struct vu_client *c;
	uint64_t bytes;
	struct world w;
	int rc;

	begin(&w);
	test_set_hook(&w.t, hook);
	assert_int_equal(find(&w, &c), 0);
	vu_client_let_go(c);
	assert_int_equal(iommu_group_add(w.ig, vu_client_iommu(c)), 0);
	assert_int_equal(vfio_group_add_device(w.g, vu_client_vdev(c)), 0);
	assert_int_equal(vfio_ioas_map(w.io, 0, (uintptr_t)w.mem, K, RW), 0);
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		vfio_open_init(&o, vu_client_vdev(c));
		fault_begin(&l);
		rc = use(&w, c, &o);
		/* an answer for which there was no memory is one that did not come */
		if (rc == -EIO || rc == -EPROTO)
			rc = -ENOMEM;
		fault_end(&l, rc);
		vfio_open_close(&o);
		vfio_ioas_unmap(w.io, K, K, &bytes);
		if (l.done)
			assert_true(l.failed > 10);
	}
	vfio_group_remove_device(w.g, vu_client_vdev(c));
	iommu_group_remove(w.ig, vu_client_iommu(c));
	vu_client_free(c);
	end(&w);
}

static void test_used(void **state)
{
	check_used(NULL);
}

static void test_used_lasting(void **state)
{
	check_used(lasts);
}

/* ---- a server that was started again */

/* What fails on our side is not taken for a server that is another one: it is tried again. */
static void test_again(void **state)
{
	struct vu_client_options o = { .name = "0000:01:00.0", .reconnect_ns = 1000000000 };
	const struct vfio_irq_set_args set = {
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.count = 3,
	};
	struct vfio_irq_set_args args = set;
	struct vu_session *handle;
	struct vu_client *c;
	struct vu_why why;
	struct world w;
	uint64_t v;
	int rc, irqs[3];
	char *err;

	begin(&w);
	test_set_hook(&w.t, lasts);
	o.devices = o.irqs = w.loop;
	assert_int_equal(vu_client_new(w.t.path, &o, &c, &err), 0);
	/* as an open does, without a thread of its own that tries */
	assert_int_equal(vu_resume_new(c->spare, &handle), 0);
	c->session = handle;
	c->spare = NULL;
	assert_int_equal(vfio_ioas_map(w.io, 0, (uintptr_t)w.mem, K, RW), 0);
	assert_int_equal(c->vdev.ops->attach(&c->vdev, w.io), 0);
	irqs[0] = irqs[1] = irqs[2] = w.fd;
	args.data = irqs;
	assert_int_equal(c->vdev.ops->set_irqs(&c->vdev, &args), 0);
	FAULT_LOOP(l, FAULT_MEMORY | FAULT_CALLS) {
		*why.text = '\0';
		test_server_kill(&w.t);
		fault_begin(&l);
		rc = vu_resume_try(handle->resume, &why);
		assert_int_not_equal(rc, -EPROTO);
		assert_int_not_equal(rc, -ENODEV);
		assert_int_not_equal(rc, -EINVAL);
		fault_end(&l, rc == -EIO || rc == -ECONNRESET ? -ENOMEM : rc);
		if (l.done)
			assert_true(l.failed > 10);
	}
	/* it is all there again */
	assert_int_equal(c->vdev.ops->rw(&c->vdev, 7, 0, &v, 4, false), 4);
	pthread_mutex_lock(&w.t.lock);
	assert_int_equal(w.t.num_maps, 1);
	pthread_mutex_unlock(&w.t.lock);
	vu_session_end(handle);
	c->vdev.ops->detach(&c->vdev, w.io);
	vu_irqs_drop(c);
	c->session = NULL;
	vu_session_put(handle);
	vu_client_free(c);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_used),
		cmocka_unit_test(test_used_lasting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
