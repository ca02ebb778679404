/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz/spec.c: the text of --device. Whatever it says, machine_add() makes a device or says why
 * not, in one sentence, and leaves nothing behind. Lines of the input are added to one machine;
 * then the machine is dumped. Slashes are taken out, so that an input finds no files but those in
 * the folder made here.
 */
#include <fcntl.h>
#include <unistd.h>

#include "base/guard.h"
#include "base/log.h"
#include "fuzz.h"
#include "machine/machine.h"
#include "vfio/test_system.h"

static int null_fd;

static void once(void)
{
	char dir[] = "/tmp/uvfio-fuzz-XXXXXX";
	int fd;

	log_set(2, LOG_NONE);
	guard_install();
	null_fd = open("/dev/null", O_WRONLY);
	if (!mkdtemp(dir) || chdir(dir))
		abort();
	/* an image, one that is too short, one that is no model */
	fd = open("i", O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, 1 << 20))
		abort();
	close(fd);
	fd = open("s", O_RDWR | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, 100))
		abort();
	close(fd);
	fd = open("x.so", O_RDWR | O_CREAT, 0600);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const words[] = { "nvme,image=i", "testdev", "edu",
					     "addr=",	     "group=",	"id=",
					     "0000:01:00.0", "image=s", "romfile=i",
					     ",vectors=",    "./x.so",	",blocksize=4096" };
	static bool done;
	struct in in = { data, size };
	unsigned added = 0;
	struct machine *m;

	if (!done)
		once();
	done = true;
	m = machine_new();
	REQUIRE(m, "no memory");
	while (!in_end(&in) && added < 8) {
		char spec[512], *err = NULL;
		size_t n = 0;
		int ret;

		while (!in_end(&in) && n < 200) {
			uint8_t c = in8(&in);

			if (c == '\n')
				break;
			if (c >= 0x80) { /* a word that a mutation would be long in finding */
				size_t len = strlen(words[c % (sizeof(words) / sizeof(words[0]))]);

				memcpy(spec + n, words[c % (sizeof(words) / sizeof(words[0]))],
				       len);
				n += len;
				continue;
			}
			spec[n++] = c == '/' || !c ? '_' : (char)c;
		}
		spec[n] = 0;
		ret = machine_add(m, spec, &err);
		REQUIRE(ret <= 0, "%s: %d", spec, ret);
		/* who is refused is told why, in text for a terminal */
		REQUIRE(!ret || (err && *err), "%s: %d and no message", spec, ret);
		REQUIRE(ret || !err, "%s: a message, but no error: %s", spec, err);
		for (char *p = ret ? err : ""; *p; p++)
			REQUIRE((unsigned char)*p >= ' ' ||
					strpbrk(spec, "\1\2\3\4\5\6\7\b\t\v\f\r\16\17\20\21\22\23"
						      "\24\25\26\27\30\31\32\33\34\35\36\37"),
				"%s: unprintable message", spec);
		free(err);
		added += !ret;
		REQUIRE(machine_num_devices(m) == added, "%s", spec);
	}
	for (unsigned i = 0; i < added; i++) {
		struct machine_device *d = machine_device(m, i);

		REQUIRE(machine_find(m, d->addr) == d, "%s", d->addr);
		REQUIRE(test_find_device(machine_system(m), d->addr) == d->vdev, "%s", d->addr);
		REQUIRE(vfio_system_group(machine_system(m), d->group), "%s", d->addr);
		for (unsigned k = 0; k < i; k++)
			REQUIRE(strcmp(d->addr, machine_device(m, k)->addr), "two at %s", d->addr);
		REQUIRE(!machine_dump(d, null_fd), "%s", d->addr);
	}
	machine_free(m, false);
	return 0;
}
