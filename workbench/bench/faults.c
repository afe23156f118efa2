// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a first touch of a page costs a program, and giving it back.
 *
 *	faults secret|memfd MIB
 *
 * Prints ticks of rdtsc a page: with QEMU's -icount shift=0, instructions.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#define PAGE	4096UL

static void touch(volatile char *mem, unsigned long size)
{
	unsigned long i;

	for (i = 0; i < size; i += PAGE)
		mem[i] = 1;
}

int main(int argc, char **argv)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	unsigned long size = argc == 3 ? strtoul(argv[2], NULL, 10) << 20 : 0;
	unsigned long long start, touched, freed;
	char *mem;
	int fd;

	if (!size || (strcmp(argv[1], "secret") && strcmp(argv[1], "memfd"))) {
		fprintf(stderr, "usage: faults secret|memfd MIB\n");
		return 2;
	}

	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (!strcmp(argv[1], "secret"))
		fd = syscall(SYS_memfd_secret, 0);
	else
		fd = memfd_create("bench", 0);
	if (fd < 0 || ftruncate(fd, size)) {
		perror(argv[1]);
		return 1;
	}
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED) {
		perror("mmap");
		return 1;
	}

	start = __rdtsc();
	touch(mem, size);
	touched = __rdtsc();
	munmap(mem, size);
	close(fd);
	freed = __rdtsc();
	printf("%s-touch %.2f\n%s-close %.2f\n",
	       argv[1], (double)(touched - start) * PAGE / size,
	       argv[1], (double)(freed - touched) * PAGE / size);
	return 0;
}
