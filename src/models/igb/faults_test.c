/* SPDX-License-Identifier: BSD-3-Clause */
/* models/igb/faults_test.c: frames that are lost, and a link that flaps, as a user wants it. */
#include <sched.h>

#include "base/sys.h"
#include "fault/test_fault_table.h"
#include "models/igb/test_ports.h"

static void test_rx_drop(void **state)
{
	start();
	run();
	faults_begin(1);
	faults_add("igb.rx-drop,device=0000:01:00.0,len=60,after=1,times=1");
	send_to(FAR, PF);
	assert_int_equal(who(), 1u << PF);
	r(IGB_MPC);
	send_to(FAR, PF);
	assert_int_equal(who(), 0);
	assert_int_equal(r(IGB_MPC), 1);
	send_to(FAR, PF);
	assert_int_equal(who(), 1u << PF);
	faults_end();
	stop();
}

/* Wait until the port has said that its link changed, for so long that it is not load. */
static void wait_change(struct port *p)
{
	uint64_t end = now_ns() + 20000000000ull;

	while (!(pr(p, IGB_ICR) & ICR_LSC)) {
		assert_true(now_ns() < end);
		sched_yield();
	}
}

static void test_link_flap(void **state)
{
	start();
	run();
	r(IGB_ICR);
	pr(&port[FAR], IGB_ICR);
	faults_begin(1);
	faults_add("igb.link-flap=20,device=0000:01:00.0,times=1");
	send_to(FAR, PF);
	wait_change(&port[PF]);
	wait_change(&port[FAR]);
	/* the cable is in at both ends again */
	while (!(r(IGB_STATUS) & STATUS_LU) || !(pr(&port[FAR], IGB_STATUS) & STATUS_LU))
		sched_yield();
	who();
	send_to(FAR, PF);
	assert_int_equal(who(), 1u << PF);
	faults_end();
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rx_drop),
		cmocka_unit_test(test_link_flap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
