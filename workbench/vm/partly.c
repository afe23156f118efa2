// SPDX-License-Identifier: GPL-2.0-only
/*
 * Use blocks in part: keep MIB of memfd_secret(2) memory between three times as
 * much that is freed. Does the next step whenever it gets a line:
 *
 *	partly MIB		keep both, free the one, list the page frames that
 *				the allocator has in its cache, use as much again
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE	4096UL
#define WORDS	(PAGE / sizeof(unsigned long))

/* Pages that are allocated in a row: kept, and freed. */
#define KEPT	16
#define FREED	48

static int fail(const char *what)
{
	perror(what);
	return 1;
}

static unsigned long *map_secret(unsigned long pages, int *fd)
{
	void *mem;

	*fd = syscall(SYS_memfd_secret, 0);
	if (*fd < 0 || ftruncate(*fd, pages * PAGE))
		return NULL;
	mem = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	return mem == MAP_FAILED ? NULL : mem;
}

static void fill(unsigned long *mem, unsigned long page)
{
	unsigned long i;

	for (i = 0; i < WORDS; i++)
		mem[page * WORDS + i] = ~(page * WORDS + i);
}

/* How many of the pages have not what fill() wrote, or are not zero. */
static unsigned long differ(const unsigned long *mem, unsigned long pages, int zero)
{
	unsigned long page, i, nr = 0;

	for (page = 0; page < pages; page++) {
		for (i = page * WORDS; i < (page + 1) * WORDS; i++)
			if (mem[i] != (zero ? 0 : ~i))
				break;
		nr += i < (page + 1) * WORDS;
	}
	return nr;
}

static int list_free(void)
{
	unsigned long pfn = 0, start = 0, nr = 0;
	int fd = open("/proc/kpageflags", O_RDONLY);
	static uint64_t flags[8192];
	long i, got;

	if (fd < 0)
		return fail("kpageflags");
	while ((got = read(fd, flags, sizeof(flags))) > 0) {
		for (i = 0; i < got / 8; i++, pfn++) {
			if (flags[i] & 1ULL << KPF_NO_DIRECT_MAP_FREE) {
				if (!nr++)
					start = pfn;
			} else if (nr) {
				printf("free %lu %lu\n", start, nr);
				nr = 0;
			}
		}
	}
	close(fd);
	return 0;
}

/* Say what was done, and wait until the next step is due. */
static int step(const char *what)
{
	char line[16];

	printf("%s\n", what);
	fflush(stdout);
	return fgets(line, sizeof(line), stdin) ? 0 : fail("waiting");
}

int main(int argc, char **argv)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	unsigned long kept = argc == 2 ? strtoul(argv[1], NULL, 10) << 8 : 0;
	unsigned long freed = kept / KEPT * FREED, i, k = 0, f = 0;
	unsigned long *keep, *lose;
	int fd, other;

	if (!kept) {
		fprintf(stderr, "usage: partly MIB\n");
		return 2;
	}
	setrlimit(RLIMIT_MEMLOCK, &limit);
	keep = map_secret(kept, &other);
	lose = map_secret(freed, &fd);
	if (!keep || !lose)
		return fail("memfd_secret");

	while (k < kept) {
		for (i = 0; i < KEPT; i++)
			fill(keep, k++);
		for (i = 0; i < FREED; i++)
			fill(lose, f++);
	}
	if (step("kept"))
		return 1;

	munmap(lose, freed * PAGE);
	close(fd);
	if (step("freed"))
		return 1;

	if (list_free() || step("listed"))
		return 1;

	lose = map_secret(freed, &fd);
	if (!lose)
		return fail("memfd_secret");
	printf("used again: %lu not zero of %lu\n", differ(lose, freed, 1), freed);
	printf("kept: %lu changed of %lu\n", differ(keep, kept, 0), kept);
	return step("ended");
}
