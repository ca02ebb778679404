/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/itree_test.c: the interval tree against an array: random inserts and removes of overlapping
 * intervals, order and result of every search, shape of the tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/itree.h"

#define N 300

static struct itree_node nodes[N];
static bool in[N];

static int check_shape(const struct itree_node *n, const struct itree_node *parent, uint64_t *max)
{
	uint64_t l = 0, r = 0, m;
	int hl, hr;

	if (!n)
		return 0;
	assert_ptr_equal(n->parent, parent);
	hl = check_shape(n->left, n, &l);
	hr = check_shape(n->right, n, &r);
	assert_true(hl - hr <= 1 && hr - hl <= 1);
	m = n->last > l ? n->last : l;
	m = m > r ? m : r;
	assert_int_equal(n->max_last, m);
	if (n->left)
		assert_true(n->left->start <= n->start);
	if (n->right)
		assert_true(n->right->start >= n->start);
	*max = m;
	return (hl > hr ? hl : hr) + 1;
}

static void check_search(const struct itree *t, uint64_t start, uint64_t last)
{
	unsigned expect = 0, got = 0;
	uint64_t before = 0;

	for (unsigned i = 0; i < N; i++)
		expect += in[i] && nodes[i].start <= last && nodes[i].last >= start;
	for (struct itree_node *n = itree_first(t, start, last); n;
	     n = itree_next(n, start, last)) {
		assert_true(in[n - nodes]);
		assert_true(n->start <= last && n->last >= start);
		assert_true(n->start >= before);
		before = n->start;
		assert_true(++got <= expect);
	}
	assert_int_equal(got, expect);
}

static void random_against_array(void **state)
{
	struct itree t = { 0 };
	uint64_t max;

	srandom(1);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned i = (unsigned)random() % N;
		uint64_t a;

		if (in[i]) {
			itree_remove(&t, &nodes[i]);
			in[i] = false;
		} else {
			nodes[i].start = (uint64_t)random() % 1000;
			nodes[i].last =
				nodes[i].start + (uint64_t)random() % (random() % 10 ? 20 : 500);
			itree_insert(&t, &nodes[i]);
			in[i] = true;
		}
		a = (uint64_t)random() % 1100;
		check_search(&t, a, a + (uint64_t)random() % 50);
		if (round % 100 == 0) {
			check_shape(t.root, NULL, &max);
			check_search(&t, 0, UINT64_MAX);
		}
	}
	for (unsigned i = 0; i < N; i++) {
		if (in[i])
			itree_remove(&t, &nodes[i]);
	}
	assert_null(t.root);
}

static void ends_of_the_number_line(void **state)
{
	struct itree_node a = { .start = 0, .last = 0 },
			  b = { .start = UINT64_MAX, .last = UINT64_MAX };
	struct itree t = { 0 };

	assert_null(itree_first(&t, 0, UINT64_MAX));
	itree_insert(&t, &b);
	itree_insert(&t, &a);
	assert_ptr_equal(itree_first(&t, 0, UINT64_MAX), &a);
	assert_ptr_equal(itree_next(&a, 0, UINT64_MAX), &b);
	assert_null(itree_next(&b, 0, UINT64_MAX));
	assert_null(itree_first(&t, 1, UINT64_MAX - 1));
	assert_ptr_equal(itree_first(&t, UINT64_MAX, UINT64_MAX), &b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_against_array),
		cmocka_unit_test(ends_of_the_number_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
