// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest whose balloon gave most of its memory back, at random: what the host
 * gets of it.
 *
 *	punched mapped|folios|singles KIB [punch]
 *
 * All pages of a guest_memfd but every eighth are punched out. Then a program
 * takes memory until it is killed, but not with "punch". folios, singles: the
 * memory is without a direct map; by fallocate(), which takes folios of 2 MiB, or
 * page by page as it is touched.
 *
 * Prints ticks of rdtsc for a page that is punched out (with QEMU's -icount
 * shift=0, instructions); by how much MemFree and MemAvailable grow; how much
 * memory the program got, in what time a MiB; what was swapped out until half of
 * what it gets had been taken, and in the end; and the entries of the direct map
 * that were split. Fails if a page that was kept has changed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define PAGE	4096UL
#define KEEP	8UL	/* one page in this many */
#define MIB	(1UL << 20)

#ifndef GUEST_MEMFD_FLAG_NO_DIRECT_MAP
#define GUEST_MEMFD_FLAG_NO_DIRECT_MAP	(1ULL << 2)
#endif

static const char *kind;
static unsigned long size;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void check(int ret, const char *what)
{
	if (ret < 0)
		fail(what);
}

/* The number after a name in a file of /proc, as meminfo and vmstat have it. */
static long number(const char *file, const char *name)
{
	char line[128];
	long value;
	FILE *f = fopen(file, "r");

	if (!f)
		fail(file);
	while (fgets(line, sizeof(line), f)) {
		size_t length = strlen(name);

		if (strncmp(line, name, length) || !strchr(": ", line[length]))
			continue;
		value = strtol(line + length + 1, NULL, 10);
		fclose(f);
		return value;
	}
	fprintf(stderr, "%s: no %s\n", file, name);
	exit(1);
}

static long meminfo(const char *name)
{
	return number("/proc/meminfo", name);
}

static long vmstat(const char *name)
{
	return number("/proc/vmstat", name);
}

static int make_memory(unsigned long long flags, char **mem)
{
	struct kvm_create_guest_memfd create = {
		.size = size,
		.flags = flags | GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
	};
	int kvm = open("/dev/kvm", O_RDWR), vm, fd;

	check(kvm, "/dev/kvm");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	check(vm, "KVM_CREATE_VM");
	fd = ioctl(vm, KVM_CREATE_GUEST_MEMFD, &create);
	check(fd, "KVM_CREATE_GUEST_MEMFD");
	*mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*mem == MAP_FAILED)
		fail("mmap");
	return fd;
}

static void fill(int fd, char *mem)
{
	unsigned long i;

	if (strcmp(kind, "singles"))
		check(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size), "fallocate");
	for (i = 0; i < size; i += PAGE)
		*(volatile char *)(mem + i) = 1;
}

static void punch(int fd)
{
	unsigned long i;

	for (i = 0; i < size; i += KEEP * PAGE)
		check(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				i + PAGE, (KEEP - 1) * PAGE), "punch");
}

static void mark(char *mem)
{
	unsigned long i;

	for (i = 0; i < size; i += KEEP * PAGE)
		*(volatile unsigned long *)(mem + i) = i ^ 0x5aa5a55aUL;
}

static void check_marks(char *mem)
{
	unsigned long i;

	for (i = 0; i < size; i += KEEP * PAGE) {
		if (*(volatile unsigned long *)(mem + i) != (i ^ 0x5aa5a55aUL)) {
			fprintf(stderr, "the page at %#lx was kept, and has changed\n", i);
			exit(1);
		}
	}
}

/* What the program that takes memory says of itself. */
struct hog {
	unsigned long mib;	/* what it has */
	long first_swap;	/* MiB that it had when pages were first swapped out */
	unsigned long long start, last;
};

/* In a child: take memory, until there is no more. */
static void take_memory(struct hog *hog)
{
	long before = vmstat("pswpout");
	volatile char *mem;
	unsigned long i;
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);

	if (fd < 0 || write(fd, "1000", 4) != 4)
		fail("oom_score_adj");
	hog->first_swap = -1;
	hog->start = __rdtsc();
	while (1) {
		mem = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mem == MAP_FAILED)
			fail("mmap");
		for (i = 0; i < MIB; i += PAGE)
			mem[i] = 1;
		hog->mib++;
		hog->last = __rdtsc();
		if (hog->first_swap < 0 && vmstat("pswpout") > before)
			hog->first_swap = hog->mib;
	}
}

static void run_hog(struct hog *hog)
{
	int status;
	pid_t pid = fork();

	check(pid, "fork");
	if (!pid) {
		take_memory(hog);
		_exit(1);
	}
	check(waitpid(pid, &status, 0), "wait");
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
		fprintf(stderr, "what takes memory was not killed\n");
		exit(1);
	}
}

static void print(const char *name, double value, const char *unit)
{
	printf("punched-%s-%s %.2f %s\n", kind, name, value, unit);
}

int main(int argc, char **argv)
{
	long memfree, available, splits;
	unsigned long long start;
	struct hog *hog;
	bool mapped;
	char *mem;
	int fd;

	if (argc < 3 || argc > 4 || (argc == 4 && strcmp(argv[3], "punch")) || !(size = strtoul(argv[2], NULL, 10) << 10))
		goto usage;
	kind = argv[1];
	mapped = !strcmp(kind, "mapped");
	if (!mapped && strcmp(kind, "folios") && strcmp(kind, "singles"))
		goto usage;

	fd = make_memory(mapped ? 0 : GUEST_MEMFD_FLAG_NO_DIRECT_MAP, &mem);
	fill(fd, mem);
	mark(mem);
	hog = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (hog == MAP_FAILED)
		fail("mmap");

	memfree = meminfo("MemFree");
	available = meminfo("MemAvailable");
	splits = vmstat("direct_map_level2_splits");
	start = __rdtsc();
	punch(fd);
	print("punch", (double)(__rdtsc() - start) / (size / PAGE / KEEP * (KEEP - 1)), "ticks/page");
	print("free", (meminfo("MemFree") - memfree) / 1024.0, "MiB");
	print("available", (meminfo("MemAvailable") - available) / 1024.0, "MiB");

	if (argc == 4) {
		check_marks(mem);
		return 0;
	}

	run_hog(hog);
	print("hog", hog->mib, "MiB");
	print("hog-time", (double)(hog->last - hog->start) / hog->mib, "ticks/MiB");
	if (hog->first_swap >= 0)
		print("unswapped", hog->first_swap, "MiB");
	print("splits", vmstat("direct_map_level2_splits") - splits, "splits");
	check_marks(mem);
	return 0;

usage:
	fprintf(stderr, "usage: punched mapped|folios|singles KIB [punch]\n");
	return 2;
}
