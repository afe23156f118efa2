// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the direct map is mapped, again and again, until somebody ends this.
 *
 *	sample MILLISECONDS
 *
 * Prints seconds since boot and the kB of 4 KiB, 2 MiB and 1 GiB entries, and a
 * line only when they changed, before and after the change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sample {
	double time;
	unsigned long kb[3];
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static struct sample take(void)
{
	struct sample sample = {};
	struct timespec now;
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];

	if (!file)
		fail("/proc/meminfo");
	while (fgets(line, sizeof(line), file)) {
		sscanf(line, "DirectMap4k: %lu", &sample.kb[0]);
		sscanf(line, "DirectMap2M: %lu", &sample.kb[1]);
		sscanf(line, "DirectMap1G: %lu", &sample.kb[2]);
	}
	fclose(file);
	clock_gettime(CLOCK_BOOTTIME, &now);
	sample.time = now.tv_sec + now.tv_nsec / 1e9;
	return sample;
}

static void print(const struct sample *sample)
{
	printf("%.3f %lu %lu %lu\n", sample->time, sample->kb[0], sample->kb[1],
	       sample->kb[2]);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	long ms = argc == 2 ? atol(argv[1]) : 0;
	struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };
	struct sample now, last = {}, printed = {};

	if (ms <= 0) {
		fprintf(stderr, "usage: sample MILLISECONDS\n");
		return 2;
	}
	for (;;) {
		now = take();
		if (memcmp(now.kb, printed.kb, sizeof(now.kb))) {
			if (printed.time && last.time > printed.time)
				print(&last);
			print(&now);
			printed = now;
		}
		last = now;
		nanosleep(&pause, NULL);
	}
}
