/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/itree.c: the AVL tree of itree.h. Parents are kept, so that nothing recurses and a walk
 * needs no stack.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/itree.h"

static int height(const struct itree_node *n)
{
	return n ? n->height : 0;
}

static void update(struct itree_node *n)
{
	int l = height(n->left), r = height(n->right);

	n->height = (l > r ? l : r) + 1;
	n->max_last = n->last;
	if (n->left && n->left->max_last > n->max_last)
		n->max_last = n->left->max_last;
	if (n->right && n->right->max_last > n->max_last)
		n->max_last = n->right->max_last;
}

/* Put @new (may be NULL) where @old hangs. */
static void replace(struct itree *t, struct itree_node *old, struct itree_node *new)
{
	struct itree_node *p = old->parent;

	if (!p)
		t->root = new;
	else if (p->left == old)
		p->left = new;
	else
		p->right = new;
	if (new)
		new->parent = p;
}

/* Rotate: the child of @n on the heavy side goes up. Return it. */
static struct itree_node *rotate(struct itree *t, struct itree_node *n, bool left)
{
	struct itree_node *up = left ? n->right : n->left, *moved = left ? up->left : up->right;

	replace(t, n, up);
	if (left) {
		n->right = moved;
		up->left = n;
	} else {
		n->left = moved;
		up->right = n;
	}
	if (moved)
		moved->parent = n;
	n->parent = up;
	update(n);
	update(up);
	return up;
}

/* Set heights, ends and balance right, from @n to the root. */
static void fix(struct itree *t, struct itree_node *n)
{
	for (; n; n = n->parent) {
		int balance = height(n->left) - height(n->right);

		if (balance > 1) {
			if (height(n->left->left) < height(n->left->right))
				rotate(t, n->left, true);
			n = rotate(t, n, false);
		} else if (balance < -1) {
			if (height(n->right->right) < height(n->right->left))
				rotate(t, n->right, false);
			n = rotate(t, n, true);
		} else {
			update(n);
		}
	}
}

void itree_insert(struct itree *t, struct itree_node *n)
{
	struct itree_node **link = &t->root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = n->start < parent->start ? &parent->left : &parent->right;
	}
	n->left = n->right = NULL;
	n->parent = parent;
	*link = n;
	fix(t, n);
}

void itree_remove(struct itree *t, struct itree_node *n)
{
	struct itree_node *from, *s;

	if (!n->left || !n->right) {
		from = n->parent;
		replace(t, n, n->left ? n->left : n->right);
		fix(t, from);
		return;
	}
	/* two children: the next in order takes the place */
	for (s = n->right; s->left;)
		s = s->left;
	from = s;
	if (s->parent != n) {
		from = s->parent;
		replace(t, s, s->right);
		s->right = n->right;
		s->right->parent = s;
	}
	replace(t, n, s);
	s->left = n->left;
	s->left->parent = s;
	fix(t, from);
}

/* Find the first in the subtree of @n, whose max_last >= @start. */
static struct itree_node *lowest(struct itree_node *n, uint64_t start, uint64_t last)
{
	for (;;) {
		if (n->left && n->left->max_last >= start) {
			/*
			 * Something there ends late enough. If it begins too late, so does all that
			 * is to the right of it.
			 */
			n = n->left;
			continue;
		}
		if (n->start > last)
			return NULL;
		if (n->last >= start)
			return n;
		if (!n->right || n->right->max_last < start)
			return NULL;
		n = n->right;
	}
}

struct itree_node *itree_first(const struct itree *t, uint64_t start, uint64_t last)
{
	return t->root && t->root->max_last >= start ? lowest(t->root, start, last) : NULL;
}

struct itree_node *itree_next(const struct itree_node *n, uint64_t start, uint64_t last)
{
	const struct itree_node *child;

	if (n->right && n->right->max_last >= start)
		return lowest(n->right, start, last);
	for (;;) {
		do {
			child = n;
			n = n->parent;
			if (!n)
				return NULL;
		} while (child == n->right);
		if (n->start > last)
			return NULL;
		if (n->last >= start)
			return (struct itree_node *)n;
		if (n->right && n->right->max_last >= start)
			return lowest(n->right, start, last);
	}
}
