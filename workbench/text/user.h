/* SPDX-License-Identifier: GPL-2.0-only */
/* What the programs that load text share. */
#ifndef TEXT_USER_H
#define TEXT_USER_H

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
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

/* Does the kernel fail now and then what this process asks for? */
static inline bool made_to_fail(void)
{
	static int on = -1;
	FILE *f;

	if (on >= 0)
		return on;
	on = 0;
	f = fopen("/proc/self/make-it-fail", "r");
	if (f) {
		if (fscanf(f, "%d", &on) != 1)
			on = 0;
		fclose(f);
	}
	return on;
}

/* A call failed: only who is made to fail goes on. */
static inline void failed(const char *what, const char *name)
{
	failures++;
	if (!made_to_fail()) {
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
