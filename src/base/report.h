/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * base/report.h: every message to the user passes here. A report has a code, which is a short name
 * that stays the same when the text is improved, a severity, the device (or part of uvfio) that it
 * is about, and the errno that the program gets, which is printed and returned in one:
 *
 *	return report_warn("ioctl-unknown", f->link, -ENOTTY, "ioctl 0x%x is not known", cmd);
 *
 * writes "uvfio: warn: /dev/vfio/1: ioctl 0x3b00 is not known: ENOTTY". One line a report, to the
 * log (base/log.h) and to subscribers. Never on a hot path. Async-signal-safe as far as snprintf is
 * with plain integers and strings: no malloc, no lock, one write(2).
 */
#ifndef BASE_REPORT_H
#define BASE_REPORT_H
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/call.h"
#include "base/log.h"

/* struct report_code - a kind of message; report_warn() and its kin define it in place. */
struct report_code {
	const char *name; /* "ioctl-unknown" */
	const char *hint; /* constant text behind the errno: what the user can do; or NULL */
	int severity;	  /* enum log_level */
	/*
	 * at most REPORT_LIMIT lines a second of each @who, whose first word counts: a device's
	 * clients ("0000:01:00.0 client 7") have them together, however many come
	 */
	bool limited;
	/* of a violation of a model's specification, "proto-...": what to do; or NULL */
	const char *fix;
};
#define REPORT_LIMIT 20u

/*
 * report_err(), report_warn(), report_info(), report_debug(CODE, WHO, ERR, FORMAT, ...): say it,
 * and return ERR.
 * CODE: a string, or one of the two below.
 * WHO: a device's name, a part of uvfio, or NULL.
 * ERR: 0 or -errno. Its name is put behind the text (": EINVAL"). Where FORMAT has %m, what the
 * errno means stands there instead ("Permission denied"): for what the program does not get to see.
 * WHO and ERR are evaluated always, what follows only if anybody wants to know.
 */
#define report_err(code, who, err, ...)	  REPORT(LOG_ERR, (code), who, err, __VA_ARGS__)
#define report_warn(code, who, err, ...)  REPORT(LOG_WARN, (code), who, err, __VA_ARGS__)
#define report_info(code, who, err, ...)  REPORT(LOG_INFO, (code), who, err, __VA_ARGS__)
#define report_debug(code, who, err, ...) REPORT(LOG_DEBUG, (code), who, err, __VA_ARGS__)

/* A code for what a program in a loop would bury the log with. They may be put into each other. */
#define REPORT_LIMITED(...)	__VA_ARGS__, .limited = true
#define REPORT_HINT(code, text) code, .hint = (text)

#define REPORT(level, code, who, err, ...)                                                \
	({                                                                                \
		REPORT_CODE(report_code_, level, REPORT_UNWRAP code);                     \
		const char *report_who_ = (who);                                          \
		int report_err_ = (int)(err);                                             \
                                                                                          \
		if (report_wanted(level))                                                 \
			report_say(&report_code_, report_who_, report_err_, __VA_ARGS__); \
		report_err_;                                                              \
	})
#define REPORT_UNWRAP(...) __VA_ARGS__
/*
 * Declares the code @var; for report_vsay(), and in functions only. A pointer to it goes to a
 * section, where report_codes() finds those of the program or shared object that it is in.
 */
#define REPORT_CODE(var, level, ...)                                                        \
	static const struct report_code var = { .severity = (level), .name = __VA_ARGS__ }; \
	static const struct report_code *const var##listed                                  \
		__attribute__((section("uvfio_reports"), used)) = &var

/* True if a report of @level would be written, or read by a subscriber. */
bool report_wanted(int level);
void report_say(const struct report_code *code, const char *who, int err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void report_vsay(const struct report_code *code, const char *who, int err, const char *fmt,
		 va_list ap) __attribute__((format(printf, 4, 0)));

/*
 * struct report_about - what a report is about, for those who look at more than its text. What is
 * not known is 0.
 */
struct report_about {
	enum report_access { REPORT_NO_ACCESS, REPORT_DMA, REPORT_BAR } access;
	bool write;
	unsigned bar;
	uint64_t at; /* an IOVA, or an offset in the BAR */
	uint64_t size;
	uint64_t value;	   /* of a write to a BAR */
	const char *reg;   /* the register's name */
	const void *space; /* of a DMA: the I/O address space, as events name it (base/event.h) */
	/*
	 * the mistake is not where the thread is now, but where the program did @place to @of
	 * (EVENT_PLACE); or, with REPORT_DMA and "mapped", where it mapped @at
	 */
	const char *place, *of;
	const char *also; /* what the program did to @of is told beside; or NULL */
	uint64_t moment;  /* where it began, as a listener of events has it (base/event.h) */
	/* of a DMA: the nearest mappings below and above; size 0: there is none */
	struct report_range {
		uint64_t at, size;
	} below, above;
};
/* report_say() with @about, which may be NULL. */
void report_say_about(const struct report_code *code, const char *who, int err,
		      const struct report_about *about, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* struct report - what a subscriber is told. Valid during its call only. */
struct report {
	const struct report_code *code;
	const char *who;		  /* or NULL */
	int err;			  /* 0 or -errno */
	const char *text;		  /* without "uvfio: warn: WHO: ", with errno and hint */
	const char *line;		  /* as it is in the log, without the line's end */
	bool limited;			  /* it was not written, because of the limit */
	const struct call_frame *call;	  /* the program's call that it came in, or NULL */
	const struct report_about *about; /* or NULL */
	bool *shown; /* a subscriber sets it that shows the report: the log does not then */
};

/*
 * struct report_subscriber - a function that is told of each report of up to @level, also of those
 * that are not written. It runs where the report was made, maybe in a signal handler and with any
 * lock held: no malloc, no lock, no report of its own.
 */
struct report_subscriber {
	void (*fn)(const struct report *r, void *arg);
	void *arg;
	int level; /* enum log_level */
	struct report_subscriber *next;
};
/* Any thread. @s stays where it is from now on. */
void report_subscribe(struct report_subscriber *s);
/* Only while no other thread reports. */
void report_unsubscribe(struct report_subscriber *s);

/*
 * The codes of this program or shared object: [*@first, the return value). A code that is reported
 * in several places is there several times.
 */
const struct report_code *const *report_codes(const struct report_code *const **first);
#endif
