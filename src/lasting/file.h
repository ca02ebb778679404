/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lasting/file.h: the file in which a device's state outlives the server's process (`uvfio serve
 * --state`). It is mapped and shared, so that what was stored is there whatever ends the process,
 * but not the machine.
 *
 * The file says one of three things. NOBODY: there is no state that anybody wants. DIRTY: the
 * device was in the middle of a step, and what it was is lost. CLEAN: the device was exactly what
 * is in the file. There are two places for a state, and one word that says which of them counts,
 * so a state is there whole or not at all, wherever the process was when it was killed.
 *
 * A state is parts: a number, bytes. With it is what the server did last: the number of the last
 * command that was carried out, and its reply. Memory of the model's own is in the file as it is.
 *
 * Threads: one at a time, but lasting_mark(). Memory: malloc's; the calls after
 * lasting_file_open() take none.
 */
#ifndef LASTING_FILE_H
#define LASTING_FILE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct lasting_file;

#define LASTING_ID    16u
#define LASTING_SPEC  2048u /* bytes, with the null character */
#define LASTING_REPLY 4096u

/* What a file is for. One that is there already must be for the same. */
struct lasting_layout {
	const char *path;
	const char *spec;	    /* of the device, as the user wrote it */
	size_t describe_room, room; /* bytes of a description, and of a state with its parts */
	size_t memory;		    /* bytes of the model's own, whole pages */
};

/**
 * lasting_file_open - open a device's file, or make it with all its room; nobody else has it then
 * @why: gets the sentence of an error, of @size bytes
 *
 * Return: 0; -EBUSY: another server has it; -EEXIST: it is of another device; -EINVAL: it is no
 * such file, damaged, cut off, or of another version; -ENAMETOOLONG: the spec; -ENOSPC, -EACCES,
 * -ENOENT, -ENOMEM and what else the kernel says.
 */
int lasting_file_open(const struct lasting_layout *l, char *why, size_t size,
		      struct lasting_file **out);
/** lasting_file_close - let go of it (@f may be NULL), and if nobody wants the state, remove it */
void lasting_file_close(struct lasting_file *f);
/** lasting_memory - return the file's descriptor, and in *@offset where the memory is in it */
int lasting_memory(const struct lasting_file *f, uint64_t *offset);

/* ---- the state ---- */

enum lasting_mark { LASTING_NOBODY, LASTING_DIRTY, LASTING_CLEAN };
enum lasting_mark lasting_mark(const struct lasting_file *f);
/** lasting_drop - nobody wants the state any more */
void lasting_drop(struct lasting_file *f);
/**
 * lasting_begin - somebody has the device from now on, under a new name: DIRTY
 * @describe: what another device must have alike, @len bytes
 *
 * Return: 0 or -E2BIG: NOBODY.
 */
int lasting_begin(struct lasting_file *f, const uint8_t id[LASTING_ID], const void *describe,
		  size_t len);
/** lasting_dirty - a step begins, which may change anything */
void lasting_dirty(struct lasting_file *f);

/* The last command: it was carried out, and its reply was, or was about to be, sent. */
struct lasting_last {
	bool any;      /* there was one */
	bool recorded; /* @reply is it; else it was too long */
	uint16_t seq;
	int32_t error; /* 0 or -errno */
	uint32_t len;  /* bytes of @reply */
	uint8_t reply[LASTING_REPLY];
};
/** lasting_note - put down that command @seq is answered by @error and these bytes */
void lasting_note(struct lasting_file *f, uint16_t seq, int error, const struct iovec *iov,
		  unsigned iovcnt);
/** lasting_put - begin a state (@first), or go on with it: a part. 0 or -E2BIG */
int lasting_put(struct lasting_file *f, bool first, uint32_t part, const void *data, size_t len);
/**
 * lasting_commit - the state is whole, and with what lasting_note() put down last it is what the
 * device is now: CLEAN
 * @same: no lasting_put() came since the last commit, whose state is still right
 */
void lasting_commit(struct lasting_file *f, bool same);
/** lasting_clean_again - after lasting_dirty() nothing was done: it is CLEAN as before */
void lasting_clean_again(struct lasting_file *f);

/* ---- what another process left ---- */

/* Parts of a state, in the order in which they were put: @data points into memory of the user's. */
struct lasting_part {
	uint32_t part;
	size_t len;
	const uint8_t *data;
};
/* A state that was taken out of the file. */
struct lasting_state {
	uint8_t id[LASTING_ID];
	const uint8_t *describe;
	size_t describe_len;
	const uint8_t *parts; /* for lasting_next() */
	size_t parts_len, at;
	uint8_t *memory; /* all of it */
	size_t memory_len;
};
/**
 * lasting_take - copy the state out of the file, which stays as it is
 * @out: with no error, to be freed by lasting_state_free()
 *
 * What lasting_note() put down last is that of the file from now on.
 *
 * Return: 0; -ENOENT: NOBODY; -EUCLEAN: DIRTY; -EINVAL: it is damaged; -ENOMEM.
 */
int lasting_take(struct lasting_file *f, struct lasting_state *out);
void lasting_state_free(struct lasting_state *s);
/** lasting_next - get the next part. False: there is none */
bool lasting_next(struct lasting_state *s, struct lasting_part *out);
/** lasting_last - return what was done last */
const struct lasting_last *lasting_last(const struct lasting_file *f);
/** lasting_id - return the device's name, of lasting_begin() or lasting_take() */
const uint8_t *lasting_id(const struct lasting_file *f);
#endif
