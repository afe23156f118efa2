// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a first touch of a page costs a program, and giving it back.
 *
 *	faults secret|large|memfd KIB [PROCESSES]
 *
 * Large: a secret for which MADV_HUGEPAGE asks for large folios.
 *
 * Prints ticks of rdtsc a page: with QEMU's -icount shift=0, instructions. With
 * a number of processes each has that much, and what is printed is all that they
 * do from fork() to the end of the last one, for each of all their pages.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define PAGE	4096UL

static const char *kind;
static unsigned long size;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void touch(volatile char *mem)
{
	unsigned long i;

	for (i = 0; i < size; i += PAGE)
		mem[i] = 1;
}

static int open_memory(void)
{
	int fd;

	if (strcmp(kind, "memfd"))
		fd = syscall(SYS_memfd_secret, 0);
	else
		fd = memfd_create("bench", 0);
	if (fd < 0 || ftruncate(fd, size))
		fail(kind);
	return fd;
}

static char *map_memory(int fd)
{
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (mem == MAP_FAILED)
		fail("mmap");
	if (!strcmp(kind, "large") && madvise(mem, size, MADV_HUGEPAGE))
		fail("madvise");
	return mem;
}

static void print(const char *what, unsigned long long ticks, unsigned long bytes)
{
	printf("%s-%s %.2f\n", kind, what, (double)ticks * PAGE / bytes);
}

static void one(void)
{
	unsigned long long start, touched;
	int fd = open_memory();
	char *mem = map_memory(fd);

	start = __rdtsc();
	touch(mem);
	touched = __rdtsc();
	munmap(mem, size);
	close(fd);
	print("close", __rdtsc() - touched, size);
	print("touch", touched - start, size);
}

static void many(unsigned long processes)
{
	unsigned long long start = __rdtsc();
	unsigned long i;
	int status;

	for (i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (!pid) {
			touch(map_memory(open_memory()));
			_exit(0);
		}
	}
	while (processes--)
		if (wait(&status) < 0 || status)
			fail("a process");
	print("life", __rdtsc() - start, i * size);
}

int main(int argc, char **argv)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	unsigned long processes = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;

	size = argc > 2 ? strtoul(argv[2], NULL, 10) << 10 : 0;
	if (!size || size % PAGE || (argc > 3 && !processes) ||
	    (strcmp(argv[1], "secret") && strcmp(argv[1], "large") &&
	     strcmp(argv[1], "memfd"))) {
		fprintf(stderr, "usage: faults secret|large|memfd KIB [PROCESSES]\n");
		return 2;
	}
	kind = argv[1];
	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (processes)
		many(processes);
	else
		one();
	return 0;
}
