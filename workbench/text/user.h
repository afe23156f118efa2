/* SPDX-License-Identifier: GPL-2.0-only */
/* What the programs that load text share. */
#ifndef TEXT_USER_H
#define TEXT_USER_H

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static unsigned long loads, failures;
static unsigned long long random_state = 1;

static inline unsigned int random_below(unsigned int n)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (random_state >> 33) % n;
}

/* Number of the allocation that fails in the next call, and whether it came. */
static unsigned int fail_nth;
static bool came;

/*
 * Let an allocation of the next call into the kernel fail (/proc/self/fail-nth), if
 * there are so many: that of fail_nth, or with FAIL_NTH=N in the environment one of
 * the first N.
 */
static inline void arm(bool on)
{
	static int fd = -1;
	const char *limit = getenv("FAIL_NTH");
	unsigned int nth = 0;
	char text[16] = "";

	if (!fail_nth && !limit)
		return;
	if (on)
		nth = fail_nth ? fail_nth : 1 + random_below(atoi(limit));
	if (fd < 0)
		fd = open("/proc/self/fail-nth", O_RDWR);
	/* What is left to be counted is 0 when it came. */
	if (!on && pread(fd, text, sizeof(text) - 1, 0) > 0)
		came = !atoi(text);
	snprintf(text, sizeof(text), "%u", nth);
	if (fd < 0 || pwrite(fd, text, strlen(text), 0) < 0) {
		perror("/proc/self/fail-nth");
		exit(1);
	}
}

/*
 * Let the first allocation of some calls fail, then the second, until there is none
 * left to fail; say how many there were. once() does the calls, with fail_nth for
 * those that are meant, and returns whether they worked, as they do at last.
 */
static inline void fail_each(const char *what, bool (*once)(unsigned int nth))
{
	unsigned int nth = 0;
	bool works;

	do {
		came = false;
		works = once(++nth);
	} while (came);
	if (!works) {
		fprintf(stderr, "%s fails, and no allocation did\n", what);
		exit(1);
	}
	printf("%s %u\n", what, nth - 1);
}

/* A call failed: an error, unless it was made to fail. */
static inline void failed(const char *what, const char *name)
{
	failures++;
	if (!fail_nth && !getenv("FAIL_NTH")) {
		fprintf(stderr, "%s of %s: %s\n", what, name, strerror(errno));
		exit(1);
	}
}

static inline void print_loads(void)
{
	printf("loads %lu\nfailures %lu\n", loads, failures);
}

/* What this thread ran for, in ns: with QEMU's -icount shift=0, instructions. */
static inline double own_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1e9 + now.tv_nsec;
}

/* The same of all others: work that is left to the kernel's threads. */
static inline double others_time(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	double sum = 0, ran;
	char path[300];
	FILE *f;

	while (proc && (entry = readdir(proc))) {
		if (!isdigit(entry->d_name[0]) || atoi(entry->d_name) == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/%s/schedstat", entry->d_name);
		f = fopen(path, "r");
		if (f && fscanf(f, "%lf", &ran) == 1)
			sum += ran;
		if (f)
			fclose(f);
	}
	if (proc)
		closedir(proc);
	return sum;
}

/* Until what was left to threads is done. */
static inline void settle(void)
{
	usleep(500000);
}

#endif /* TEXT_USER_H */
