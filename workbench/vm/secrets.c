// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keep secrets in memfd_secret(2) memory until told to free them; or make
 * memory short.
 *
 *	secrets MIB [NODE]	keep that much, of a node's memory, wait for a line,
 *				free it
 *	secrets --large MIB	the same in folios of 2 MiB, or fail
 *	secrets --open MIB	keep that much ordinary memory, and a mapping of
 *				memfd_secret(2) memory without pages; wait for a line,
 *				and only then keep secrets in it, too
 *	secrets --pressure	a child takes memory until the kernel kills it
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	4096UL
#define MARK	32

/*
 * The mark of a secret, byte by byte: it exists nowhere but in the secret
 * memory, not in this program nor on its stack, so that a search of the whole
 * machine's memory finds secrets only. workbench/vm.py knows it.
 */
static unsigned char mark(unsigned int i)
{
	return (unsigned char)(i * 151 + 73) ^ 0xa5;
}

/* What makes it the mark of ordinary memory. */
#define ORDINARY	0xff

static int mark_pages(volatile unsigned char *mem, unsigned long size,
		      unsigned char kind)
{
	unsigned long page;
	unsigned int i;

	for (page = 0; page < size; page += PAGE) {
		for (i = 0; i < MARK; i++)
			mem[page + 64 + i] = mark(i) ^ kind;
		*(volatile unsigned long *)(mem + page) = page;
	}
	return 0;
}

static int check_pages(volatile unsigned char *mem, unsigned long size,
		       unsigned char kind)
{
	unsigned long page;
	unsigned int i;

	for (page = 0; page < size; page += PAGE) {
		if (*(volatile unsigned long *)(mem + page) != page)
			return -1;
		for (i = 0; i < MARK; i++)
			if (mem[page + 64 + i] != (mark(i) ^ kind))
				return -1;
	}
	return 0;
}

static int fail(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

static void *map_secret(unsigned long size, int *fd)
{
	void *mem;

	*fd = syscall(SYS_memfd_secret, 0);
	if (*fd < 0 || ftruncate(*fd, size)) {
		fail("memfd_secret");
		return NULL;
	}
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (mem == MAP_FAILED) {
		fail("mmap");
		return NULL;
	}
	return mem;
}

static int run_on(unsigned int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return sched_setaffinity(0, sizeof(cpus), &cpus);
}

/*
 * Some more secrets, just before they are freed on another CPU: the first one's
 * batch of folios on their way to the LRU lists has them still.
 */
static int free_late(void)
{
	const unsigned long size = 8 * PAGE;
	void *mem;
	int fd;

	if (run_on(sysconf(_SC_NPROCESSORS_ONLN) - 1))
		return fail("moving to the last CPU");
	mem = map_secret(size, &fd);
	if (!mem)
		return 1;
	mark_pages(mem, size, 0);
	if (run_on(0))
		return fail("moving to the first CPU");
	munmap(mem, size);
	close(fd);
	return 0;
}

static int bind(void *mem, unsigned long size, const char *node)
{
	unsigned long nodes = 1UL << strtoul(node, NULL, 10);

	if (syscall(SYS_mbind, mem, size, MPOL_BIND, &nodes, 8 * sizeof(nodes), 0))
		return fail("mbind");
	return 0;
}

/* Ask for large folios before there are pages. */
static int ask_for_large(char *mem, unsigned long size)
{
	if (madvise(mem, size, MADV_HUGEPAGE))
		return fail("madvise");
	return 0;
}

/* How much of a mapping is mapped by entries of 2 MiB? */
static unsigned long large_part(void *mem)
{
	unsigned long start, end, kib, found = 0, part = 0;
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[256];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			found = start == (unsigned long)mem;
		else if (found && sscanf(line, "FilePmdMapped: %lu", &kib) == 1)
			part = kib << 10;
	}
	fclose(f);
	return part;
}

static int keep(unsigned long size, const char *node, int large)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	char line[16];
	void *mem;
	int fd;

	setrlimit(RLIMIT_MEMLOCK, &limit);
	mem = map_secret(size, &fd);
	if (!mem || (node && bind(mem, size, node)) ||
	    (large && ask_for_large(mem, size)))
		return 1;
	mark_pages(mem, size, 0);
	if (large && large_part(mem) != size) {
		printf("only %lu bytes of the secrets are in large folios\n",
		       large_part(mem));
		return 1;
	}
	if (check_pages(mem, size, 0))
		return fail("the secrets are not what was written");
	printf("%lu MiB of secrets kept and read back\n", size >> 20);
	fflush(stdout);

	if (!fgets(line, sizeof(line), stdin))
		return fail("waiting");
	if (check_pages(mem, size, 0))
		return fail("the secrets changed while they were kept");
	munmap(mem, size);
	close(fd);
	if (free_late())
		return 1;
	printf("the secrets were intact, and are freed\n");
	return 0;
}

static int keep_open(unsigned long size)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	void *mem, *secret;
	char line[16];
	int fd;

	setrlimit(RLIMIT_MEMLOCK, &limit);
	secret = map_secret(size, &fd);
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!secret || mem == MAP_FAILED)
		return fail("mmap");
	mark_pages(mem, size, ORDINARY);
	printf("%lu MiB of ordinary memory kept\n", size >> 20);
	fflush(stdout);

	if (!fgets(line, sizeof(line), stdin))
		return fail("waiting");
	if (check_pages(mem, size, ORDINARY))
		return fail("ordinary memory changed while it was kept");
	mark_pages(secret, size, 0);
	if (check_pages(secret, size, 0))
		return fail("the secrets are not what was written");
	printf("ordinary memory was intact, and the descriptor can be used\n");
	return 0;
}

static void take_all_memory(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);
	char *mem;

	if (fd < 0 || write(fd, "1000", 4) != 4)
		exit(1);
	for (;;) {
		mem = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (mem == MAP_FAILED)
			exit(1);
	}
}

static int pressure(void)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return fail("fork");
	if (!pid)
		take_all_memory();
	if (waitpid(pid, &status, 0) != pid)
		return fail("wait");
	return !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

int main(int argc, char **argv)
{
	unsigned long mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;

	if (argc == 2 && !strcmp(argv[1], "--pressure"))
		return pressure();
	if (argc == 3 && !strcmp(argv[1], "--open"))
		return keep_open(strtoul(argv[2], NULL, 10) << 20);
	if (argc == 3 && !strcmp(argv[1], "--large"))
		return keep(strtoul(argv[2], NULL, 10) << 20, NULL, 1);
	if (!mib) {
		fprintf(stderr, "usage: secrets MIB [NODE] | --large MIB | --open MIB | --pressure\n");
		return 2;
	}
	return keep(mib << 20, argv[2], 0);
}
