// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long single first touches take: most of them, and the slowest.
 *
 *	touches secret|memfd KIB wall|own [THREADS]
 *
 * wall: ticks of rdtsc from before a touch until after it, with QEMU's -icount
 * shift=0 instructions. Whatever else the CPU does meanwhile is part of that.
 * own: what this thread ran for meanwhile, as CLOCK_THREAD_CPUTIME_ID has it, in
 * nanoseconds, which is the same with -icount. With a number of threads there is
 * one on each CPU, and each touches its part of the memory.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define PAGE	4096UL

typedef unsigned long long ticks_t;

static const char *kind;
static volatile char *mem;
static ticks_t *samples;
static unsigned long pages_each, threads = 1;
static pthread_barrier_t barrier;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static ticks_t read_wall(void)
{
	return __rdtsc();
}

static ticks_t read_own(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* Inlined with either clock, so that what is timed has no indirect call in it. */
static inline __attribute__((always_inline))
void touch(unsigned long first, ticks_t (*clock)(void))
{
	unsigned long i;
	ticks_t start;

	for (i = first; i < first + pages_each; i++) {
		start = clock();
		mem[i * PAGE] = 1;
		samples[i] = clock() - start;
	}
}

static void touch_wall(unsigned long first)
{
	touch(first, read_wall);
}

static void touch_own(unsigned long first)
{
	touch(first, read_own);
}

static void (*touch_pages)(unsigned long first);

/* What reading the clock takes is not part of a touch. */
static ticks_t overhead(ticks_t (*clock)(void))
{
	ticks_t start, least = -1ULL;
	int i;

	for (i = 0; i < 64; i++) {
		start = clock();
		start = clock() - start;
		if (start < least)
			least = start;
	}
	return least;
}

static void *run_thread(void *number)
{
	unsigned long cpu = (unsigned long)number;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		fail("sched_setaffinity");
	pthread_barrier_wait(&barrier);
	touch_pages(cpu * pages_each);
	return NULL;
}

static void run_threads(void)
{
	pthread_t thread[threads];
	unsigned long i;

	pthread_barrier_init(&barrier, NULL, threads);
	for (i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, run_thread, (void *)i))
			fail("pthread_create");
	for (i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
}

static void map_memory(unsigned long size)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	int fd;

	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (!strcmp(kind, "secret"))
		fd = syscall(SYS_memfd_secret, 0);
	else
		fd = memfd_create("bench", 0);
	if (fd < 0 || ftruncate(fd, size))
		fail(kind);
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		fail("mmap");
}

static int compare(const void *a, const void *b)
{
	ticks_t x = *(const ticks_t *)a, y = *(const ticks_t *)b;

	return x < y ? -1 : x > y;
}

/* The least time that so many thousandths of all touches do not exceed. */
static void print(const char *name, unsigned long thousandths, unsigned long pages, ticks_t nothing)
{
	ticks_t sample = samples[(pages * thousandths + 999) / 1000 - 1];

	printf("%s-%s %llu\n", kind, name, sample > nothing ? sample - nothing : 0);
}

static bool known(const char *word, const char *one, const char *other)
{
	return !strcmp(word, one) || !strcmp(word, other);
}

static bool parse(int argc, char **argv)
{
	if (argc < 4 || argc > 5 || !known(argv[1], "secret", "memfd") || !known(argv[3], "wall", "own"))
		return false;
	kind = argv[1];
	if (argc == 5)
		threads = strtoul(argv[4], NULL, 10);
	if (threads)
		pages_each = (strtoul(argv[2], NULL, 10) << 10) / PAGE / threads;
	return pages_each;
}

int main(int argc, char **argv)
{
	unsigned long pages;
	ticks_t nothing;

	if (!parse(argc, argv)) {
		fprintf(stderr, "usage: touches secret|memfd KIB wall|own [THREADS]\n");
		return 2;
	}
	pages = pages_each * threads;
	samples = malloc(pages * sizeof(*samples));
	if (!samples)
		fail("malloc");
	/* Their own first touches are not what is measured. */
	memset(samples, 1, pages * sizeof(*samples));
	map_memory(pages * PAGE);

	if (!strcmp(argv[3], "own")) {
		touch_pages = touch_own;
		nothing = overhead(read_own);
	} else {
		touch_pages = touch_wall;
		nothing = overhead(read_wall);
	}
	if (argc == 5)
		run_threads();
	else
		touch_pages(0);

	qsort(samples, pages, sizeof(*samples), compare);
	print("p50", 500, pages, nothing);
	print("p99", 990, pages, nothing);
	print("p99.9", 999, pages, nothing);
	print("max", 1000, pages, nothing);
	return 0;
}
