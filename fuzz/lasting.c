/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/lasting.c: a state file that no server wrote. A good one is changed in some places, or cut
 * off, with its sums as they are or made right again; then it is opened, and the state is taken out
 * of it: that is refused, or all that came out lies within what was taken. What a device makes of
 * the parts is of other targets (state, migrate).
 */
#include "fuzz.h"
#include "lasting/file.c" /* for its sums and places */

#define ROOM  512u
#define EDITS 12u

static char path[64];
static uint8_t *good;
static size_t size;
static const struct lasting_layout layout = {
	.path = path, .spec = "edu", .describe_room = 64, .room = ROOM, .memory = PAGE
};

static struct lasting_file *open_good(void)
{
	struct lasting_file *f;
	char why[512];

	REQUIRE(!lasting_file_open(&layout, why, sizeof(why), &f), "%s", why);
	return f;
}

static void once(void)
{
	static const uint8_t id[LASTING_ID] = { 1, 2, 3 };
	const char *dir = getenv("TMPDIR");
	struct lasting_file *f;

	snprintf(path, sizeof(path), "%.40s/uvfio-fuzz-%d", dir ? dir : "/tmp", getpid());
	unlink(path);
	f = open_good();
	REQUIRE(!lasting_begin(f, id, "describe", 8), "begin");
	for (uint16_t i = 0; i < 2; i++) {
		REQUIRE(!lasting_put(f, true, 3, "some state", 10), "put");
		REQUIRE(!lasting_put(f, false, 16, "more", 4), "put");
		lasting_note(f, i, 0, &(struct iovec){ (void *)"reply", 5 }, 1);
		lasting_commit(f, false);
	}
	size = f->size;
	good = malloc(size);
	memcpy(good, f->mem, size);
	lasting_drop(f);
	lasting_file_close(f);
}

/* Make the sums right of what is changed in @mem. */
static void sign(uint8_t *mem)
{
	struct lasting_file f = { .mem = mem };
	struct head *h = (struct head *)mem;
	struct control *c = control(&f);

	memcpy(&f.head, good, sizeof(f.head));
	h->sum = sum_add(SUM_START, h, offsetof(struct head, sum));
	if (c->describe_len <= f.head.describe_room)
		c->describe_sum = describe_sum(c->id, mem + describe_at(), c->describe_len);
	for (unsigned i = 0; i < PLACES; i++) {
		struct record *r = record(&f, i);

		if (r->place < PLACES && r->len <= f.head.room)
			r->sum = sum_add(SUM_START, mem + place_at(&f.head, r->place), r->len);
		if (r->reply_len <= LASTING_REPLY)
			r->own_sum = record_sum(r);
	}
}

static bool within(const struct lasting_state *s, const void *p, size_t len)
{
	const uint8_t *at = p, *end = s->memory + s->memory_len;

	return at >= s->memory && at <= end && len <= (size_t)(end - at);
}

static void look(struct lasting_file *f)
{
	const struct lasting_last *l = lasting_last(f);
	struct lasting_state s;
	struct lasting_part p;
	int rc = lasting_take(f, &s);

	if (rc) {
		REQUIRE(rc == -ENOENT || rc == -EUCLEAN || rc == -EINVAL, "%d", rc);
		return;
	}
	REQUIRE(within(&s, s.describe, s.describe_len), "the description");
	while (lasting_next(&s, &p))
		REQUIRE(within(&s, p.data, p.len), "a part");
	REQUIRE(l->len <= LASTING_REPLY && l->error <= 0 && l->error >= -MAX_ERRNO, "the reply");
	lasting_state_free(&s);
	/* it can be gone on with */
	lasting_dirty(f);
	REQUIRE(!lasting_put(f, true, 1, "x", 1), "put");
	lasting_commit(f, false);
	rc = lasting_take(f, &s);
	REQUIRE(!rc, "%d", rc);
	lasting_state_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct in in = { data, len };
	struct lasting_file *f;
	uint8_t how = in8(&in), *mem;
	size_t end = size;
	char why[512];
	int fd;

	if (!good)
		once();
	mem = malloc(size);
	memcpy(mem, good, size);
	for (unsigned i = 0; i < EDITS && !in_end(&in); i++) {
		/* most places are empty: these are the head, control, records, and what follows */
		static const uint16_t pages[] = { 0, 1, 2, 4, 6, 7, 8 };
		size_t at = pages[in8(&in) % ARRAY_SIZE(pages)] * PAGE + in8(&in) % 128u;

		mem[at] = in8(&in);
	}
	if (how & 1)
		sign(mem);
	if (how & 2)
		end = in16(&in) % size;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	REQUIRE(fd >= 0 && write(fd, mem, end) == (ssize_t)end, "%s", path);
	close(fd);
	free(mem);
	if (!lasting_file_open(&layout, why, sizeof(why), &f)) {
		look(f);
		lasting_drop(f);
		lasting_file_close(f);
	}
	unlink(path);
	return 0;
}
