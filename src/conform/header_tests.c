/* SPDX-License-Identifier: BSD-3-Clause */
/* conform/header_tests.c: the header of messages: sizes, types, flags, ids, unknown commands. */
#include <string.h>

#include "base/util.h"
#include "conform/internal.h"

static void size_small(struct ct *t)
{
	for (uint32_t size = 0; size < HEADER; size++) {
		struct ct_conn *c = ct_session(t);
		struct ct_msg *m = ct_command(c, C_GET_INFO);

		ct_set_size(m, size);
		ct_broken(c, m, "a message whose header says that it has %u bytes", size);
		ct_close(c);
	}
}

static void size_huge(struct ct *t)
{
	static const uint32_t sizes[] = { 0x10000000, 0x7fffffff, 0x80000000, 0xffffffff };

	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct ct_conn *c = ct_session(t);
		struct ct_msg *m = ct_get_info(c);

		ct_set_size(m, sizes[i]);
		ct_broken(c, m, "a message whose header says that it has 0x%x bytes", sizes[i]);
		ct_close(c);
	}
}

static void cut_short(struct ct *t)
{
	for (size_t len = 0; len < HEADER + INFO_SIZE; len++) {
		struct ct_conn *c = ct_session(t);
		struct ct_msg *m = ct_get_info(c);

		if (len)
			ct_send_part(c, m, 0, len, false);
		ct_close(c);
	}
}

/* Send @m, which is no command, and a command: the first must not be served. */
static void not_served(struct ct_conn *c, struct ct_msg *m, const char *what, uint32_t v)
{
	struct ct_msg *info = ct_get_info(c), *r;

	if (!ct_try_send(c, m, 0, m->size, true) || !ct_try_send(c, info, 0, info->size, true))
		return;
	switch (ct_take(c, &r, c->t->run->o->timeout_ms)) {
	case CT_EOF:
		break;
	case CT_NOTHING:
		ct_fail(c->t, "%s 0x%x: nothing behind it is answered, and the connection stays",
			what, v);
	case CT_MSG:
		ct_check(c->t,
			 get16(r->data + H_ID) != get16(m->data + H_ID) || ct_flags(r) & F_ERROR,
			 "%s 0x%x: it was served as a command", what, v);
	}
	ct_close(c);
}

static void type_reply(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m = ct_get_info(c);

	ct_set_flags(m, F_REPLY);
	not_served(c, m, "a reply that nobody waits for, flags", F_REPLY);
	c = ct_session(t);
	m = ct_get_info(c);
	ct_set_flags(m, F_REPLY | F_ERROR);
	not_served(c, m, "a reply that nobody waits for, flags", F_REPLY | F_ERROR);
	c = ct_session(t);
	m = ct_command(c, C_DMA_READ);
	ct_set_flags(m, F_REPLY);
	ct_add64(m, 0);
	ct_add64(m, 1u << 20);
	not_served(c, m, "a reply to DMA_READ that nobody waits for, flags", F_REPLY);
}

static void type_unknown(struct ct *t)
{
	for (uint32_t type = 2; type <= F_TYPE; type++) {
		struct ct_conn *c = ct_session(t);
		struct ct_msg *m = ct_get_info(c);

		ct_set_flags(m, type);
		not_served(c, m, "a message of type", type);
	}
}

static void flags_reserved(struct ct *t)
{
	for (unsigned bit = 5; bit < 32; bit++) {
		struct ct_conn *c = ct_session(t);
		struct ct_msg *m = ct_get_info(c), *r, *next;

		ct_set_flags(m, 1u << bit);
		ct_send(c, m);
		r = ct_reply(c, m);
		if (ct_flags(r) & F_ERROR)
			ct_note(t, "bit %u: refused with error %u", bit, ct_error(r));
		next = ct_get_info(c);
		ct_call(c, next, INFO_SIZE);
		ct_close(c);
	}
}

static void error_field(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m = ct_get_info(c);

	put32(m->data + H_ERROR, 22);
	m = ct_call(c, m, INFO_SIZE);
	ct_check(t, !ct_error(m), "the error field of the command came back: %u", ct_error(m));
}

static const uint16_t unknown[] = { 0, 14, 19, 20, 100, 0x1000, 0xffff };

static void command_unknown(struct ct *t)
{
	for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++) {
		struct ct_conn *c = ct_session(t);
		struct ct_msg *m = ct_command(c, unknown[i]);

		ct_add_zeros(m, 64);
		ct_broken(c, m, "command %u", unknown[i]);
		ct_close(c);
	}
}

static void command_unknown_in_step(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	for (unsigned i = 0; i < ARRAY_SIZE(unknown); i++)
		for (size_t len = 0; len <= 70000; len = len ? len * 70000 : 1) {
			struct ct_msg *m = ct_command(c, unknown[i]);

			ct_add_zeros(m, len);
			ct_refused(c, m, "command %u with a body of %zu bytes", unknown[i], len);
			ct_still_there(c);
		}
}

static void command_of_server(struct ct *t)
{
	static const uint16_t cmds[] = { C_DMA_READ, C_DMA_WRITE };
	struct ct_conn *c = ct_session(t);

	for (unsigned i = 0; i < ARRAY_SIZE(cmds); i++) {
		struct ct_msg *m = ct_command(c, cmds[i]);

		ct_add64(m, 0);
		ct_add64(m, 4);
		ct_add32(m, 0);
		ct_refused(c, m, "%s from the client", ct_cmd_name(cmds[i]));
		ct_still_there(c);
	}
}

static void ids(struct ct *t)
{
	static const uint16_t some[] = { 0, 1, 2, 0x7fff, 0x8000, 0xfffe, 0xffff, 0 };
	struct ct_conn *c = ct_session(t);

	for (unsigned i = 0; i < ARRAY_SIZE(some); i++) {
		c->next_id = some[i];
		ct_call(c, ct_get_info(c), INFO_SIZE);
	}
}

static void ids_repeated(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m[8];

	for (unsigned i = 0; i < ARRAY_SIZE(m); i++) {
		c->next_id = 7;
		m[i] = i & 1 ? ct_irq_info(c, 0) : ct_get_info(c);
		ct_send(c, m[i]);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(m); i++)
		ct_success(c, m[i], INFO_SIZE);
}

/* A good command of each kind that changes nothing, or nothing for long. */
static struct ct_msg *good(struct ct_conn *c, uint16_t cmd)
{
	uint8_t byte = 0;

	switch (cmd) {
	case C_DMA_MAP:
		return ct_dma_map(c, MAP_READ | MAP_WRITE, 0, 0x20000000, 0x1000, -1);
	case C_DMA_UNMAP:
		return ct_dma_unmap(c, 0, 0x20000000, 0x1000);
	case C_GET_INFO:
		return ct_get_info(c);
	case C_REGION_INFO:
		return ct_region_info(c, CONFIG_REGION, REGION_INFO_SIZE);
	case C_IRQ_INFO:
		return ct_irq_info(c, 0);
	case C_SET_IRQS:
		return ct_set_irqs(c, S_NONE | S_TRIGGER, 0, 0, 0);
	case C_REGION_READ:
		return ct_region_read(c, CONFIG_REGION, 0, 4);
	case C_REGION_WRITE:
		return ct_region_write(c, CONFIG_REGION, 0x3c, &byte, 1); /* Interrupt Line */
	case C_RESET:
		return ct_command(c, C_RESET);
	case C_FEATURE:
		return ct_feature(c, FE_PROBE | FE_GET | FE_MIGRATION, FEATURE_SIZE);
	default:
		return NULL;
	}
}

/* Send @m with No_reply, which is a command @what, and look that what comes next is answered. */
static void unanswered(struct ct_conn *c, struct ct_msg *m, const char *what)
{
	struct ct_msg *info, *r;
	struct ct *t = c->t;

	ct_set_flags(m, F_NO_REPLY);
	ct_send(c, m);
	info = ct_get_info(c);
	ct_send(c, info);
	if (ct_take(c, &r, t->run->o->timeout_ms) == CT_MSG && ct_cmd(r) == ct_cmd(m) &&
	    get16(r->data + H_ID) == get16(m->data + H_ID))
		ct_fail(t, "%s with No_reply%s was answered", ct_cmd_name(ct_cmd(m)), what);
	ct_check(t, !c->closed, "after %s with No_reply%s the connection was closed",
		 ct_cmd_name(ct_cmd(m)), what);
	c->queue[c->queued++] = r;
	ct_success(c, info, INFO_SIZE);
}

static void no_reply(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	for (uint16_t cmd = C_DMA_MAP; cmd <= C_LAST; cmd++) {
		struct ct_msg *m = good(c, cmd);

		if (!m)
			continue;
		unanswered(c, m, "");
	}
}

static void no_reply_error(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	for (uint16_t cmd = C_DMA_MAP; cmd <= C_LAST; cmd++) {
		struct ct_msg *m = ct_command(c, cmd);

		if (cmd == C_RESET || cmd == C_DMA_READ || cmd == C_DMA_WRITE || cmd == 14)
			continue;
		ct_add_zeros(m, 3);
		unanswered(c, m, " that is wrong");
	}
}

static void stray_fds(struct ct *t)
{
	struct ct_conn *c = ct_session(t);

	for (uint16_t cmd = C_DMA_UNMAP; cmd <= C_LAST; cmd++) {
		struct ct_msg *m = good(c, cmd);

		if (!m || cmd == C_SET_IRQS || cmd == C_DMA_UNMAP)
			continue;
		ct_add_fd(m, ct_eventfd(t));
		ct_send(c, m);
		if (ct_flags(ct_reply(c, m)) & F_ERROR)
			ct_note(t, "%s with a descriptor that it has no use for is refused",
				ct_cmd_name(cmd));
	}
	ct_still_there(c);
}

static void too_many_fds(struct ct *t)
{
	struct ct_conn *c = ct_session(t);
	struct ct_msg *m = ct_get_info(c), *r;

	for (unsigned i = 0; i < CT_FDS; i++)
		ct_add_fd(m, ct_eventfd(t));
	if (!ct_try_send(c, m, 0, m->size, true))
		return;
	switch (ct_take(c, &r, t->run->o->timeout_ms)) {
	case CT_MSG:
		ct_still_there(c);
		break;
	case CT_EOF:
		ct_note(t, "the connection was closed");
		break;
	case CT_NOTHING:
		ct_fail(t, "a message with %u descriptors is neither answered nor refused", CT_FDS);
	}
}

const struct ct_test ct_header_tests[] = {
	{ "header-size-small", MUST, "Header",
	  "a message size of 0 to 15, which has no room for the header, is refused", size_small },
	{ "header-size-huge", SHOULD, "Message sizes",
	  "a message size of 256 MiB to 4 GiB is refused, and not waited for", size_huge },
	{ "header-cut-short", MUST, "Client Disconnection",
	  "a client that leaves in the midst of a message harms nobody", cut_short },
	{ "header-type-reply", MUST, "Header", "a reply to nothing is not served as a command",
	  type_reply },
	{ "header-type-unknown", MUST, "Header", "types 2 to 15 are not served as commands",
	  type_unknown },
	{ "header-flags-reserved", PRACTICE, "Header",
	  "Error and reserved flags in a command are passed over or refused, as all servers do",
	  flags_reserved },
	{ "header-error-field", SHOULD, "Header",
	  "the error field is reserved in a command, and passed over", error_field },
	{ "command-unknown", MUST, "Commands", "a command that there is not is refused",
	  command_unknown },
	{ "command-unknown-in-step", SHOULD, "Commands",
	  "an unknown command gets an error reply, and what is behind its body is served",
	  command_unknown_in_step },
	{ "command-of-server", SHOULD, "Commands",
	  "DMA_READ and DMA_WRITE from the client are refused", command_of_server },
	{ "message-id", MUST, "Header", "every message id comes back in the reply", ids },
	{ "message-id-repeated", MUST, "Header",
	  "a message id may be used again while it is in flight", ids_repeated },
	{ "no-reply", MUST, "Header", "a command with No_reply is not answered", no_reply },
	{ "no-reply-error", MUST, "Header",
	  "a command with No_reply that is wrong is not answered either", no_reply_error },
	{ "fds-stray", PRACTICE, "Socket",
	  "descriptors that a command has no use for do no harm: SPDK's client sends some",
	  stray_fds },
	{ "fds-too-many", MUST, "Security Considerations",
	  "64 descriptors in one message are answered, or the connection is closed", too_many_fds },
	{ 0 }
};
