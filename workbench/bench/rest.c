// SPDX-License-Identifier: GPL-2.0-only
/*
 * What everybody does, whoever uses unmapped pages: fork, exec, page faults.
 *
 *	rest
 *
 * Prints ticks of rdtsc a call or a page: with QEMU's -icount shift=0,
 * instructions.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define PAGE	4096UL
#define CALLS	64
#define SIZE	(16UL << 20)

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

static void fork_exit(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	wait_for(pid);
}

static void fork_exec(void)
{
	pid_t pid = vfork();

	if (!pid) {
		execl("/proc/self/exe", "rest", "nothing", NULL);
		_exit(1);
	}
	wait_for(pid);
}

static void time_calls(const char *name, void (*call)(void))
{
	unsigned long long start;
	int i;

	/* The first time, other things happen. */
	call();
	start = __rdtsc();
	for (i = 0; i < CALLS; i++)
		call();
	printf("%s %.2f\n", name, (double)(__rdtsc() - start) / CALLS);
}

static void time_faults(const char *name, int flags)
{
	unsigned long long start;
	volatile char *mem;
	unsigned long i;

	mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		fail("mmap");
	start = __rdtsc();
	for (i = 0; i < SIZE; i += PAGE)
		mem[i] = 1;
	printf("%s %.2f\n", name, (double)(__rdtsc() - start) * PAGE / SIZE);
	munmap((void *)mem, SIZE);
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return 0;
	time_calls("fork", fork_exit);
	time_calls("exec", fork_exec);
	time_faults("fault-private", MAP_PRIVATE);
	time_faults("fault-shared", MAP_SHARED);
	return 0;
}
