/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci/state.h: a state that is being saved or loaded (uvfio/model.h has the calls of a model), as
 * the layers see it that make one: bytes that grow, or bytes that are read, and the first error.
 *
 * Threads: one at a time.
 */
#ifndef PCI_STATE_H
#define PCI_STATE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uvfio/model.h"

#define PCI_STATE_NAME 32u

struct uvfio_state {
	const char *who; /* the device, for messages */
	bool loading;
	uint8_t *buf; /* saving: the state's own; loading: somebody's */
	size_t len, room;
	size_t pos;		   /* loading: the next byte */
	size_t end;		   /* loading: where the section ends, or all */
	size_t section;		   /* behind the header of the section that is open; 0: none */
	char name[PCI_STATE_NAME]; /* of it */
	int err;		   /* the first error, which has been reported; 0: none */
};

/* Begin to save; pci_state_free() ends it. */
void pci_state_save(struct uvfio_state *s, const char *who);
/* The same with @room bytes at @buf, of base/heap.h, which are the state's from now on. */
void pci_state_save_in(struct uvfio_state *s, const char *who, void *buf, size_t room);
/* Begin to load @len bytes at @buf, which stay as they are until the end. */
void pci_state_load(struct uvfio_state *s, const char *who, const void *buf, size_t len);
/*
 * Nothing more comes. Saving: s->buf and s->len are the state. Loading: all must have been read.
 * Return 0, -ENOMEM, -EINVAL.
 */
int pci_state_end(struct uvfio_state *s);
/* Free what was saved. */
void pci_state_free(struct uvfio_state *s);
#endif
