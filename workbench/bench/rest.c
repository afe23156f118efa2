// SPDX-License-Identifier: GPL-2.0-only
/*
 * What everybody does, whoever uses unmapped pages: fork, exec, page faults.
 *
 *	rest
 *
 * Prints ticks of rdtsc a call or a page, the median of many: with QEMU's
 * -icount shift=0, instructions. And how many pages are freed for each call,
 * which are those that are allocated for it.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define PAGE	4096UL
#define PAGES	4096UL
#define SIZE	(PAGES * PAGE)

/* Odd, for the median. */
#define CALLS	255
#define ROUNDS	15

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		fail("a child");
}

static unsigned long long fork_exit(void)
{
	unsigned long long start = __rdtsc();
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	wait_for(pid);
	return __rdtsc() - start;
}

static unsigned long long fork_exec(void)
{
	unsigned long long start = __rdtsc();
	pid_t pid = vfork();

	if (!pid) {
		execl("/proc/self/exe", "rest", "nothing", NULL);
		_exit(1);
	}
	wait_for(pid);
	return __rdtsc() - start;
}

static unsigned long long fault(int flags)
{
	volatile char *mem;
	unsigned long i;
	unsigned long long start;

	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		fail("mmap");
	start = __rdtsc();
	for (i = 0; i < SIZE; i += PAGE)
		mem[i] = 1;
	start = __rdtsc() - start;
	if (munmap((void *)mem, SIZE))
		fail("munmap");
	return start;
}

static unsigned long long fault_private(void)
{
	return fault(MAP_PRIVATE);
}

static unsigned long long fault_shared(void)
{
	return fault(MAP_SHARED);
}

static int compare(const void *a, const void *b)
{
	unsigned long long x = *(const unsigned long long *)a, y = *(const unsigned long long *)b;

	return x < y ? -1 : x > y;
}

/*
 * The median: the first time empty lists and caches are met, and now and then a
 * timer's tick, or what others had put off.
 */
static double median(unsigned long long (*timed)(void), unsigned int times)
{
	unsigned long long ticks[CALLS];
	unsigned int i;

	for (i = 0; i < times; i++)
		ticks[i] = timed();
	qsort(ticks, times, sizeof(*ticks), compare);
	return ticks[times / 2];
}

static double pages_freed(void)
{
	FILE *f = fopen("/proc/vmstat", "r");
	double pages = -1;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "pgfree ", 7))
			pages = atof(line + 7);
	if (pages < 0)
		fail("/proc/vmstat");
	fclose(f);
	return pages;
}

static void print_calls(const char *name, unsigned long long (*timed)(void))
{
	double pages = pages_freed();

	printf("%s %.2f\n", name, median(timed, CALLS));
	printf("%s-pages %.2f\n", name, (pages_freed() - pages) / CALLS);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return 0;
	print_calls("fork", fork_exit);
	print_calls("exec", fork_exec);
	printf("fault-private %.2f\n", median(fault_private, ROUNDS) / PAGES);
	printf("fault-shared %.2f\n", median(fault_shared, ROUNDS) / PAGES);
	return 0;
}
