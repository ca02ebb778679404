/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/itree.h: a balanced tree of closed intervals [start, last], which may overlap. Intrusive:
 * the node is a member of what it indexes, so nothing allocates and nothing fails. The idea is the
 * textbook's: an AVL tree ordered by start, where each node also knows the largest end below it, so
 * that a search skips what cannot reach. No locking of its own.
 */
#ifndef BASE_ITREE_H
#define BASE_ITREE_H
#include <stdint.h>

struct itree_node {
	struct itree_node *left, *right, *parent;
	uint64_t start, last; /* set before insert; not changed while in a tree */
	uint64_t max_last;    /* the largest last of this subtree */
	int height;
};
struct itree {
	struct itree_node *root;
};

/* Put @n, whose start and last are set, into @t. */
void itree_insert(struct itree *t, struct itree_node *n);
/* Take @n out of @t. */
void itree_remove(struct itree *t, struct itree_node *n);
/* Return the node of lowest start that overlaps [start, last]; NULL: none. */
struct itree_node *itree_first(const struct itree *t, uint64_t start, uint64_t last);
/* Return the one after @n, which is still in its tree, that does; NULL: none. */
struct itree_node *itree_next(const struct itree_node *n, uint64_t start, uint64_t last);
#endif
