// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of large folios in memfd_secret(2): where MADV_HUGEPAGE gives them,
 * when single pages are used instead, and that no part of a folio affects
 * another.
 *
 * Those that inject allocation failures or memory errors run only with
 * RUN_DESTRUCTIVE=true in the environment, as "run_vmtests.sh -d" sets it. A page
 * with a memory error stays out of use.
 *
 * Others may use secrets and large folios meanwhile: the counters of the whole
 * system are only expected to increase. What must not happen is looked for in the
 * pages of the test.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "restorer.h"

#ifndef __NR_memfd_secret
#define __NR_memfd_secret 447
#endif

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* Page flags of /proc/kpageflags, see <linux/kernel-page-flags.h> */
#define KPF_THP			22
#define KPF_NO_DIRECT_MAP	27

/* Bits of /proc/self/pagemap */
#define PM_PRESENT		0x8000000000000000ULL
#define PM_PFN			0x007fffffffffffffULL

#define THP "/sys/kernel/mm/transparent_hugepage/"
#define FAULTS "/sys/kernel/debug/"
#define MEMORY "/sys/devices/system/memory/"

/* === What the kernel says ================================================ */

/* The number after @word, from the line that begins with @from on; else -1. */
static long read_after(const char *file, const char *from, const char *word)
{
	char line[512], name[64];
	FILE *f = fopen(file, "r");
	bool found = !from;
	long value;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!found) {
			found = !strncmp(line, from, strlen(from));
		} else if (sscanf(line, "%63[^: ]%*[: \t]%ld", name,
				  &value) == 2 && !strcmp(name, word)) {
			fclose(f);
			return value;
		}
	}
	fclose(f);
	return -1;
}

static long read_vmstat(const char *name)
{
	return read_after("/proc/vmstat", NULL, name);
}

/* A value in KiB of the mapping that begins at @mem. */
static long read_smaps(const void *mem, const char *name)
{
	char from[32];

	snprintf(from, sizeof(from), "%lx-", (unsigned long)mem);
	return read_after("/proc/self/smaps", from, name);
}

static long read_fdinfo(int fd, const char *name)
{
	char file[64];

	snprintf(file, sizeof(file), "/proc/self/fdinfo/%d", fd);
	return read_after(file, NULL, name);
}

static uint64_t read_entry(const char *file, uint64_t index)
{
	uint64_t entry = 0;
	int fd = open(file, O_RDONLY);

	if (fd >= 0) {
		if (pread(fd, &entry, sizeof(entry), index * sizeof(entry)) !=
		    sizeof(entry))
			entry = 0;
		close(fd);
	}
	return entry;
}

static uint64_t read_pagemap(const void *mem)
{
	return read_entry("/proc/self/pagemap",
			  (unsigned long)mem / sysconf(_SC_PAGESIZE));
}

/* === Secrets ============================================================= */

static int secret_fd(size_t size)
{
	int fd = syscall(__NR_memfd_secret, 0);

	if (fd >= 0 && ftruncate(fd, size)) {
		close(fd);
		return -1;
	}
	return fd;
}

static unsigned char *map_fd(int fd, size_t size, off_t offset)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			 offset);

	return mem == MAP_FAILED ? NULL : mem;
}

/* Accesses to memory that may raise a signal. */
static sigjmp_buf jump;
static siginfo_t caught;

static void catch(int signal, siginfo_t *info, void *context)
{
	caught = *info;
	siglongjmp(jump, 1);
}

/* Returns 0, or the signal that the access raised. */
static int access_byte(volatile unsigned char *byte, int value)
{
	struct sigaction action = { .sa_sigaction = catch,
				    .sa_flags = SA_SIGINFO };
	int signal = 0;

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	if (sigsetjmp(jump, 1))
		signal = caught.si_signo;
	else if (value >= 0)
		*byte = value;
	else
		*byte;
	action.sa_handler = SIG_DFL;
	action.sa_flags = 0;
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	return signal;
}

FIXTURE(folios) {
	size_t page;
	size_t size;		/* of a large folio */
	unsigned char *mem;	/* four of them */
	int fd;
};

/* Mark each page. */
static void mark(unsigned char *mem, size_t size, size_t page, int seed)
{
	size_t i;

	for (i = 0; i < size; i += page)
		*(uint64_t *)(mem + i + 8) = i / page * 31 + seed;
}

/* The number of pages that are not marked as they should be. */
static size_t unmarked(const unsigned char *mem, size_t size, size_t page,
		       size_t first, int seed)
{
	size_t i, nr = 0;

	for (i = 0; i < size; i += page)
		nr += *(uint64_t *)(mem + i + 8) !=
		      (first + i / page) * 31 + seed;
	return nr;
}

static bool all_zero(const unsigned char *mem, size_t size)
{
	return !mem[0] && !memcmp(mem, mem + 1, size - 1);
}

static const char *setup(FIXTURE_DATA(folios) *self)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	FILE *f = fopen(THP "hpage_pmd_size", "r");
	int n;

	if (!f)
		return "needs CONFIG_TRANSPARENT_HUGEPAGE";
	n = fscanf(f, "%zu", &self->size);
	fclose(f);
	if (n != 1)
		return "can't read the size of huge pages";
	if (access("/sys/kernel/debug/unmapped_alloc", R_OK))
		return "needs root, debugfs and CONFIG_UNMAPPED_ALLOC";
	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		return "can't raise RLIMIT_MEMLOCK";
	if (start_restorer())
		return "can't start the restorer";
	self->page = sysconf(_SC_PAGESIZE);
	self->fd = secret_fd(4 * self->size);
	if (self->fd < 0)
		return "memfd_secret is not available";
	self->mem = map_fd(self->fd, 4 * self->size, 0);
	if (!self->mem)
		return "can't map secrets";
	if (change_file(THP "enabled", "madvise"))
		return "can't set transparent_hugepage/enabled";
	return NULL;
}

FIXTURE_SETUP(folios)
{
	const char *reason;

	self->fd = -1;
	reason = setup(self);
	if (reason)
		SKIP(return, "%s", reason);
}

FIXTURE_TEARDOWN(folios)
{
	if (self->mem)
		munmap(self->mem, 4 * self->size);
	if (self->fd >= 0)
		close(self->fd);
	EXPECT_EQ(stop_restorer(), 0);
}

/* Free all pages; the next ones are in another file, of the current user. */
static void new_mapping(FIXTURE_DATA(folios) *self)
{
	munmap(self->mem, 4 * self->size);
	close(self->fd);
	self->fd = secret_fd(4 * self->size);
	self->mem = map_fd(self->fd, 4 * self->size, 0);
}

/* How much of the mapping that begins at @mem is mapped by large entries. */
#define EXPECT_LARGE(mem, bytes) \
	EXPECT_EQ(read_smaps(mem, "FilePmdMapped"), (long)((bytes) / 1024))

/* How many of the pages of a mapping are parts of a large folio? */
static size_t nr_large(const unsigned char *mem, size_t size, size_t page)
{
	size_t i, nr = 0;
	uint64_t entry;

	for (i = 0; i < size; i += page) {
		entry = read_pagemap(mem + i);
		if (entry & PM_PRESENT)
			nr += (read_entry("/proc/kpageflags", entry & PM_PFN) >>
			       KPF_THP) & 1;
	}
	return nr;
}

#define ADVISE(mem, size) \
	ASSERT_EQ(madvise(mem, size, MADV_HUGEPAGE), 0)

/* === Who gets large folios =============================================== */

TEST_F(folios, one_fault)
{
	struct rusage before, after;
	long mapped = read_vmstat("thp_file_mapped");
	long secret, now;
	unsigned char *vec;
	uint64_t first, pfn;
	size_t i, present = 0, contiguous = 0, flags = 0, resident = 0;

	EXPECT_EQ((unsigned long)self->mem % self->size, 0);
	ADVISE(self->mem, 4 * self->size);
	/* What earlier tests have freed is gone after that. */
	EXPECT_EQ(write_file("/proc/sys/vm/drop_caches", "1"), 0);
	secret = read_after("/proc/meminfo", NULL, "SecretMem");

	getrusage(RUSAGE_SELF, &after);
	getrusage(RUSAGE_SELF, &before);
	for (i = 0; i < self->size; i += self->page)
		self->mem[i] = 1;
	getrusage(RUSAGE_SELF, &after);
	EXPECT_EQ(after.ru_minflt - before.ru_minflt, 1);
	EXPECT_GE(read_vmstat("thp_file_mapped") - mapped, 1);

	EXPECT_LARGE(self->mem, self->size);
	EXPECT_EQ(read_smaps(self->mem, "Rss"), (long)self->size / 1024);
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), (long)self->size / 1024);
	/* Others may add secrets. If they have none, they can't free any. */
	now = read_after("/proc/meminfo", NULL, "SecretMem");
	if (!secret)
		EXPECT_GE(now, (long)self->size / 1024);

	vec = calloc(self->size / self->page * 4, 1);
	ASSERT_NE(vec, NULL);
	EXPECT_EQ(mincore(self->mem, 4 * self->size, vec), 0);
	first = read_pagemap(self->mem) & PM_PFN;
	EXPECT_NE(first, 0);
	EXPECT_EQ(first % (self->size / self->page), 0);
	for (i = 0; i < self->size / self->page; i++) {
		pfn = read_pagemap(self->mem + i * self->page);
		present += !!(pfn & PM_PRESENT);
		contiguous += (pfn & PM_PFN) == first + i;
		resident += vec[i] & 1;
		pfn = read_entry("/proc/kpageflags", first + i);
		flags += (pfn >> KPF_THP) & (pfn >> KPF_NO_DIRECT_MAP) & 1;
	}
	EXPECT_EQ(present, self->size / self->page);
	EXPECT_EQ(contiguous, self->size / self->page);
	EXPECT_EQ(resident, self->size / self->page);
	EXPECT_EQ(flags, self->size / self->page);
	EXPECT_FALSE(read_pagemap(self->mem + self->size) & PM_PRESENT);
	EXPECT_EQ(vec[self->size / self->page] & 1, 0);
	free(vec);
}

/* A read finds zeroes, and a write goes to the same folio. */
TEST_F(folios, read_first)
{
	long alloc = read_vmstat("thp_file_alloc");
	uint64_t pfn;

	ADVISE(self->mem, self->size);
	EXPECT_TRUE(all_zero(self->mem, self->size));
	EXPECT_LARGE(self->mem, self->size);
	EXPECT_GE(read_vmstat("thp_file_alloc") - alloc, 1);
	pfn = read_pagemap(self->mem) & PM_PFN;
	mark(self->mem, self->size, self->page, 1);
	EXPECT_LARGE(self->mem, self->size);
	EXPECT_EQ(unmarked(self->mem, self->size, self->page, 0, 1), 0);
	EXPECT_EQ(read_pagemap(self->mem) & PM_PFN, pfn);
}

TEST_F(folios, not_asked)
{
	self->mem[0] = 1;
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), (long)self->page / 1024);

	/* Not even if the system asks for it. */
	ASSERT_EQ(write_file(THP "enabled", "always"), 0);
	self->mem[self->size] = 1;
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), 2 * (long)self->page / 1024);

	ADVISE(self->mem, 4 * self->size);
	ASSERT_EQ(madvise(self->mem, 4 * self->size, MADV_NOHUGEPAGE), 0);
	self->mem[2 * self->size] = 1;
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), 3 * (long)self->page / 1024);

	EXPECT_LARGE(self->mem, 0);
	EXPECT_EQ(nr_large(self->mem, 4 * self->size, self->page), 0);
}

TEST_F(folios, disabled)
{
	ADVISE(self->mem, 4 * self->size);
	ASSERT_EQ(write_file(THP "enabled", "never"), 0);
	self->mem[0] = 1;
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), (long)self->page / 1024);

	ASSERT_EQ(write_file(THP "enabled", "always"), 0);
	ASSERT_EQ(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
	self->mem[self->size] = 1;
	ASSERT_EQ(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0);
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), 2 * (long)self->page / 1024);
	EXPECT_EQ(nr_large(self->mem, 4 * self->size, self->page), 0);

	self->mem[2 * self->size] = 1;
	EXPECT_LARGE(self->mem, self->size);
}

/* Neither beyond the VMA nor beyond the end of the file. */
TEST_F(folios, does_not_fit)
{
	size_t length = self->size + self->size / 2;
	unsigned char *mem;
	int fd;

	/* The file ends in the middle of the second area. */
	fd = secret_fd(length);
	ASSERT_GE(fd, 0);
	mem = map_fd(fd, 2 * self->size, 0);
	ASSERT_NE(mem, NULL);
	ADVISE(mem, 2 * self->size);
	mem[0] = 1;
	mem[length - 1] = 1;
	EXPECT_LARGE(mem, self->size);
	EXPECT_EQ(read_fdinfo(fd, "resident"),
		  (long)(self->size + self->page) / 1024);
	EXPECT_EQ(access_byte(mem + length, -1), SIGBUS);
	munmap(mem, 2 * self->size);
	close(fd);

	/* The VMA is too short. */
	mem = mmap(self->mem, self->size - self->page, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, self->fd, 0);
	ASSERT_EQ(mem, self->mem);
	ADVISE(mem, self->size - self->page);
	mem[0] = 1;
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), (long)self->page / 1024);

	/* Offset and address do not agree. */
	mem = mmap(self->mem, 3 * self->size, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, self->fd, self->page);
	ASSERT_EQ(mem, self->mem);
	ADVISE(mem, 3 * self->size);
	mem[self->size] = 1;
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), 2 * (long)self->page / 1024);
	EXPECT_LARGE(mem, 0);
}

/* The last page of the file is not complete, but is there. */
TEST_F(folios, odd_size)
{
	unsigned char *mem;
	int fd;

	fd = secret_fd(self->size - 100);
	ASSERT_GE(fd, 0);
	mem = map_fd(fd, self->size, 0);
	ASSERT_NE(mem, NULL);
	ADVISE(mem, self->size);
	mem[0] = 1;
	EXPECT_LARGE(mem, self->size);
	EXPECT_TRUE(all_zero(mem + self->page, self->size - self->page));
	/* The size can't be changed any more, as before. */
	EXPECT_EQ(ftruncate(fd, self->page), -1);
	EXPECT_EQ(errno, EINVAL);
	munmap(mem, self->size);
	close(fd);
}

TEST_F(folios, page_is_there)
{
	size_t i = self->size / 2;

	self->mem[i] = 42;
	/* There is no page table any more, but the page. */
	munmap(self->mem, 4 * self->size);
	self->mem = map_fd(self->fd, 4 * self->size, 0);
	ASSERT_NE(self->mem, NULL);
	ADVISE(self->mem, 4 * self->size);
	self->mem[0] = 1;
	EXPECT_EQ(self->mem[i], 42);
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), 2 * (long)self->page / 1024);
	EXPECT_LARGE(self->mem, 0);
}

/* === When there is not enough ============================================ */

/* As many pages as without large folios, to the last one. */
TEST_F(folios, rlimit_memlock)
{
	struct rlimit limit = { 0, RLIM_INFINITY };
	long fallback = read_vmstat("thp_file_fallback");
	size_t i;

	/* A real UID that has nothing else locked; the effective one stays. */
	ASSERT_EQ(setresuid(1000000 + getpid(), -1, -1), 0);
	new_mapping(self);
	ASSERT_NE(self->mem, NULL);
	ADVISE(self->mem, 4 * self->size);
	limit.rlim_cur = self->size + 3 * self->page;
	ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	for (i = 0; i < self->size + 3 * self->page; i += self->page)
		ASSERT_EQ(access_byte(self->mem + i, 1), 0);
	EXPECT_EQ(access_byte(self->mem + i, 1), SIGBUS);
	EXPECT_LARGE(self->mem, self->size);
	EXPECT_EQ(read_fdinfo(self->fd, "resident"),
		  (long)(self->size + 3 * self->page) / 1024);
	EXPECT_GT(read_vmstat("thp_file_fallback"), fallback);

	/* All of it is given back, and can be used again. */
	new_mapping(self);
	ASSERT_NE(self->mem, NULL);
	ADVISE(self->mem, 4 * self->size);
	EXPECT_EQ(access_byte(self->mem, 1), 0);
	EXPECT_EQ(access_byte(self->mem + self->size, 1), 0);
	EXPECT_LARGE(self->mem, self->size);
	EXPECT_EQ(read_fdinfo(self->fd, "resident"),
		  (long)(self->size + self->page) / 1024);
}

/*
 * Two tasks touch pages of the same folio at once, and the limit is just large
 * enough for it: who comes second finds its page accounted, and not there yet.
 */
TEST_F(folios, rlimit_memlock_at_once)
{
	struct rlimit limit = { self->size, RLIM_INFINITY };
	int round, status, *go;
	pid_t pid;

	go = mmap(NULL, self->page, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(go, MAP_FAILED);
	ASSERT_EQ(setresuid(1000000 + getpid(), -1, -1), 0);
	ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);

	for (round = 1; round <= 100; round++) {
		new_mapping(self);
		ASSERT_NE(self->mem, NULL);
		ADVISE(self->mem, self->size);
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			__atomic_store_n(go, -round, __ATOMIC_RELEASE);
			while (__atomic_load_n(go, __ATOMIC_ACQUIRE) != round)
				;
			_exit(access_byte(self->mem + self->size - 1, 1));
		}
		while (__atomic_load_n(go, __ATOMIC_ACQUIRE) != -round)
			;
		__atomic_store_n(go, round, __ATOMIC_RELEASE);
		ASSERT_EQ(access_byte(self->mem, 1), 0);
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		ASSERT_EQ(status, 0);
	}
}

TEST_F(folios, memcg_limit)
{
	long charge = read_vmstat("thp_file_fallback_charge");
	char group[64], text[32];
	int status;
	pid_t pid;

	if (make_group("memory", group, sizeof(group)))
		SKIP(return, "no memory cgroup");
	snprintf(text, sizeof(text), "%zu", self->size / 2);
	EXPECT_EQ(write_group(group, "memory.max", text), 0);
	ADVISE(self->mem, 4 * self->size);

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (enter_group(group))
			_exit(1);
		if (access_byte(self->mem, 1))
			_exit(2);
		_exit(read_smaps(self->mem, "FilePmdMapped") ? 3 : 0);
	}
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), (long)self->page / 1024);
	EXPECT_GE(read_vmstat("thp_file_fallback_charge") - charge, 1);
	/* What is charged goes when the file does. */
	munmap(self->mem, 4 * self->size);
	close(self->fd);
	self->mem = NULL;
	self->fd = -1;
}

/* Let fail-nth affect allocations of slab. Returns 0 on success. */
static int let_slab_fail(void)
{
	/* Failures are counted down, if they are limited. */
	return change_file(FAULTS "failslab/times", "-1") ||
	       change_file(FAULTS "failslab/ignore-gfp-wait", "N") ||
	       change_file(FAULTS "failslab/verbose", "0");
}

/* Let it affect those of pages, too. Returns 0 on success. */
static int let_allocations_fail(void)
{
	return let_slab_fail() ||
	       change_file(FAULTS "fail_page_alloc/times", "-1") ||
	       change_file(FAULTS "fail_page_alloc/min-order", "0") ||
	       change_file(FAULTS "fail_page_alloc/ignore-gfp-wait", "N") ||
	       change_file(FAULTS "fail_page_alloc/verbose", "0");
}

/* Every allocation of the fault fails once. */
TEST_F(folios, each_allocation_fails)
{
	bool failed = true;
	char text[16];
	int fd, nth;
	long small = 0;

	if (!run_destructive())
		SKIP(return, "destructive: injects allocation failures");
	fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fd < 0 || let_allocations_fail())
		SKIP(return, "needs CONFIG_FAIL_PAGE_ALLOC and CONFIG_FAILSLAB");

	for (nth = 1; failed && nth < 100; nth++) {
		unsigned char *mem;
		int secret = secret_fd(self->size);
		int len = snprintf(text, sizeof(text), "%d", nth), signal;

		ASSERT_GE(secret, 0);
		mem = map_fd(secret, self->size, 0);
		ASSERT_NE(mem, NULL);
		ADVISE(mem, self->size);
		/* No block is cached. */
		ASSERT_EQ(write_file("/proc/sys/vm/drop_caches", "2"), 0);
		ASSERT_EQ(pwrite(fd, text, len, 0), len);
		signal = access_byte(mem, 1);
		memset(text, 0, sizeof(text));
		ASSERT_GT(pread(fd, text, sizeof(text) - 1, 0), 0);
		ASSERT_EQ(pwrite(fd, "0", 1, 0), 1);
		failed = !atoi(text);
		EXPECT_EQ(signal, 0);
		small += !read_smaps(mem, "FilePmdMapped");
		mark(mem, self->size, self->page, nth);
		EXPECT_EQ(unmarked(mem, self->size, self->page, 0, nth), 0);
		munmap(mem, self->size);
		close(secret);
	}
	close(fd);
	TH_LOG("%d allocations, %ld times single pages", nth - 2, small);
	EXPECT_FALSE(failed);
	EXPECT_GT(small, 0);
	EXPECT_LT(small, nth - 1);
}

/* === Parts of a folio ==================================================== */

TEST_F(folios, fork_and_second_mapping)
{
	unsigned char *other;
	int status;
	pid_t pid;

	ADVISE(self->mem, 4 * self->size);
	mark(self->mem, 2 * self->size, self->page, 1);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (unmarked(self->mem, 2 * self->size, self->page, 0, 1))
			_exit(1);
		if (read_smaps(self->mem, "FilePmdMapped") !=
		    2 * (long)self->size / 1024)
			_exit(2);
		mark(self->mem + self->size, self->size, self->page, 2);
		_exit(0);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	EXPECT_EQ(unmarked(self->mem, self->size, self->page, 0, 1), 0);
	EXPECT_EQ(unmarked(self->mem + self->size, self->size, self->page, 0,
			   2), 0);

	/* One that has not asked has a page of it at an odd place. */
	other = map_fd(self->fd, self->size, self->page);
	ASSERT_NE(other, NULL);
	EXPECT_EQ(unmarked(other, self->size - self->page, self->page, 1, 1), 0);
	EXPECT_LARGE(other, 0);
	other[0] = 77;
	EXPECT_EQ(self->mem[self->page], 77);
	munmap(other, self->size);
	EXPECT_LARGE(self->mem, 2 * self->size);
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), 2 * (long)self->size / 1024);
}

TEST_F(folios, unmap_a_part)
{
	const size_t part = 7 * self->page;
	void *mem;

	ADVISE(self->mem, 4 * self->size);
	mark(self->mem, self->size, self->page, 3);
	EXPECT_LARGE(self->mem, self->size);
	ASSERT_EQ(munmap(self->mem + part, self->page), 0);
	EXPECT_EQ(access_byte(self->mem + part, -1), SIGSEGV);
	EXPECT_EQ(unmarked(self->mem, part, self->page, 0, 3), 0);
	EXPECT_EQ(unmarked(self->mem + part + self->page,
			   self->size - part - self->page, self->page, 8, 3), 0);
	EXPECT_LARGE(self->mem, 0);
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), (long)self->size / 1024);

	mem = mmap(self->mem + part, self->page, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, self->fd, part);
	ASSERT_EQ(mem, self->mem + part);
	EXPECT_EQ(unmarked(self->mem, self->size, self->page, 0, 3), 0);
}

TEST_F(folios, protect)
{
	const size_t part = 9 * self->page;

	ADVISE(self->mem, 4 * self->size);
	mark(self->mem, self->size, self->page, 4);
	EXPECT_LARGE(self->mem, self->size);
	ASSERT_EQ(mprotect(self->mem + part, self->page, PROT_READ), 0);
	EXPECT_EQ(access_byte(self->mem + part, 1), SIGSEGV);
	EXPECT_EQ(access_byte(self->mem + part + self->page, 1), 0);
	EXPECT_EQ(unmarked(self->mem, self->size, self->page, 0, 4), 0);
	ASSERT_EQ(mprotect(self->mem, self->size, PROT_READ | PROT_WRITE), 0);
	EXPECT_EQ(access_byte(self->mem + part, 1), 0);

	/* All of it, while it is mapped by a single entry. */
	mark(self->mem + self->size, self->size, self->page, 5);
	ASSERT_EQ(mprotect(self->mem + self->size, self->size, PROT_READ), 0);
	EXPECT_EQ(access_byte(self->mem + self->size, 1), SIGSEGV);
	ASSERT_EQ(mprotect(self->mem + self->size, self->size,
			   PROT_READ | PROT_WRITE), 0);
	EXPECT_EQ(access_byte(self->mem + self->size, 1), 0);
	EXPECT_EQ(unmarked(self->mem + self->size, self->size, self->page, 0, 5),
		  0);
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), 2 * (long)self->size / 1024);
}

TEST_F(folios, move)
{
	unsigned char *place, *mem;

	ADVISE(self->mem, 4 * self->size);
	mark(self->mem, 2 * self->size, self->page, 6);
	place = mmap(NULL, 4 * self->size, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(place, MAP_FAILED);
	mem = place + self->size - (unsigned long)place % self->size;

	/* To an address that fits, and to one that does not. */
	ASSERT_EQ(mremap(self->mem, self->size, self->size,
			 MREMAP_MAYMOVE | MREMAP_FIXED, mem), mem);
	EXPECT_LARGE(mem, self->size);
	EXPECT_EQ(unmarked(mem, self->size, self->page, 0, 6), 0);
	mem += self->size + self->page;
	ASSERT_EQ(mremap(self->mem + self->size, self->size, self->size,
			 MREMAP_MAYMOVE | MREMAP_FIXED, mem), mem);
	EXPECT_EQ(unmarked(mem, self->size, self->page,
			   self->size / self->page, 6), 0);
	EXPECT_LARGE(mem, 0);
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), 2 * (long)self->size / 1024);
	munmap(place, 4 * self->size);
}

/* No advice loses contents, even if it splits the folio, or copies them. */
TEST_F(folios, advice)
{
	static const int advice[] = { MADV_DONTNEED, MADV_COLD, MADV_PAGEOUT,
				      MADV_WILLNEED, MADV_COLLAPSE,
				      MADV_REMOVE, MADV_FREE };
	size_t i;

	ADVISE(self->mem, 4 * self->size);
	mark(self->mem, self->size, self->page, 7);
	EXPECT_LARGE(self->mem, self->size);
	for (i = 0; i < sizeof(advice) / sizeof(*advice); i++) {
		madvise(self->mem, self->size, advice[i]);
		EXPECT_EQ(unmarked(self->mem, self->size, self->page, 0, 7), 0)
			TH_LOG("advice %d", advice[i]);
		madvise(self->mem + self->page, self->page, advice[i]);
		EXPECT_EQ(unmarked(self->mem, self->size, self->page, 0, 7), 0)
			TH_LOG("advice %d for a page", advice[i]);
	}

	/* Single pages are not copied to a large folio. */
	self->mem[2 * self->size] = 1;
	ASSERT_EQ(madvise(self->mem + self->size, self->size, MADV_NOHUGEPAGE),
		  0);
	for (i = 0; i < self->size; i += self->page)
		self->mem[self->size + i] = 1;
	ADVISE(self->mem + self->size, self->size);
	EXPECT_EQ(madvise(self->mem + self->size, self->size, MADV_COLLAPSE),
		  -1);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(write_file("/proc/sys/vm/drop_caches", "1"), 0);
	EXPECT_EQ(unmarked(self->mem, self->size, self->page, 0, 7), 0);
}

/* === What the kernel may not do ========================================== */

/* The kernel has no mapping to read from. */
TEST_F(folios, kernel_refuses)
{
	const size_t at[] = { 0, 5 * self->page, self->size - self->page };
	unsigned char copy[16];
	struct iovec local = { copy, sizeof(copy) }, remote;
	int mem_fd, pipe_fd[2];
	size_t i;

	ADVISE(self->mem, 4 * self->size);
	memset(self->mem, 1, self->size);
	EXPECT_LARGE(self->mem, self->size);
	mem_fd = open("/proc/self/mem", O_RDONLY);
	ASSERT_GE(mem_fd, 0);

	for (i = 0; i < sizeof(at) / sizeof(*at); i++) {
		remote = (struct iovec){ self->mem + at[i], sizeof(copy) };
		ASSERT_EQ(pipe(pipe_fd), 0);
		/* By gup_fast; nothing reads the pages if that succeeds. */
		ASSERT_EQ(vmsplice(pipe_fd[1], &remote, 1, 0), -1);
		EXPECT_EQ(errno, EFAULT);
		close(pipe_fd[0]);
		close(pipe_fd[1]);

		EXPECT_EQ(process_vm_readv(getpid(), &local, 1, &remote, 1, 0),
			  -1);
		EXPECT_EQ(errno, EFAULT);
		EXPECT_EQ(pread(mem_fd, copy, sizeof(copy),
				(off_t)(long)self->mem + at[i]), -1);
		EXPECT_EQ(errno, EIO);
	}
	EXPECT_LARGE(self->mem, self->size);
	close(mem_fd);
}

/* A folio is not moved to another node, as a copy would be made for that. */
TEST_F(folios, migrate)
{
	void *pages[] = { self->mem + 3 * self->page };
	int node = -1, now = -1, other, status;
	uint64_t pfn;

	if (access("/sys/devices/system/node", F_OK))
		SKIP(return, "needs CONFIG_NUMA");
	ADVISE(self->mem, 4 * self->size);
	mark(self->mem, self->size, self->page, 10);
	EXPECT_LARGE(self->mem, self->size);
	pfn = read_pagemap(self->mem) & PM_PFN;
	ASSERT_EQ(syscall(__NR_move_pages, 0, 1, pages, NULL, &node, 0), 0);
	other = !node;
	if (syscall(__NR_move_pages, 0, 1, pages, &other, &status,
		    MPOL_MF_MOVE) < 0 && errno == ENODEV)
		SKIP(return, "needs two nodes");
	EXPECT_EQ(unmarked(self->mem, self->size, self->page, 0, 10), 0);
	ASSERT_EQ(syscall(__NR_move_pages, 0, 1, pages, NULL, &now, 0), 0);
	EXPECT_EQ(now, node);
	EXPECT_EQ(read_pagemap(self->mem) & PM_PFN, pfn);
}

/* A folio that was freed has nothing left of what was in it. */
TEST_F(folios, reuse_shows_no_old_data)
{
	unsigned char *mem;
	int fd, round;

	for (round = 0; round < 4; round++) {
		fd = secret_fd(4 * self->size);
		ASSERT_GE(fd, 0);
		mem = map_fd(fd, 4 * self->size, 0);
		ASSERT_NE(mem, NULL);
		if (round % 2 == 0)
			ADVISE(mem, 4 * self->size);
		EXPECT_TRUE(all_zero(mem, 4 * self->size));
		EXPECT_LARGE(mem, round % 2 ? 0 : 4 * self->size);
		memset(mem, 0xa5, 4 * self->size);
		munmap(mem, 4 * self->size);
		close(fd);
	}
}

/* === Memory errors ======================================================= */

static int offline(const char *how, const unsigned char *mem)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%llx",
		 (unsigned long long)(read_pagemap(mem) & PM_PFN) *
		 sysconf(_SC_PAGESIZE));
	return write_file(how, text);
}

/* A page is lost, and no other one. */
TEST_F(folios, memory_failure)
{
	const size_t bad = 5;
	long split = read_vmstat("thp_split_page");
	unsigned char *other;
	size_t i, lost = 0;

	if (!run_destructive())
		SKIP(return, "destructive: a page is lost");
	if (access(MEMORY "hard_offline_page", W_OK))
		SKIP(return, "needs CONFIG_MEMORY_FAILURE");
	ADVISE(self->mem, 4 * self->size);
	mark(self->mem, self->size, self->page, 8);
	EXPECT_LARGE(self->mem, self->size);
	/* Not recovered, as contents are lost. */
	EXPECT_EQ(offline(MEMORY "hard_offline_page",
			  self->mem + bad * self->page), -1);
	EXPECT_EQ(errno, EBUSY);
	EXPECT_GE(read_vmstat("thp_split_page") - split, 1);
	EXPECT_EQ(nr_large(self->mem, self->size, self->page), 0);

	for (i = 0; i < self->size / self->page; i++) {
		if (access_byte(self->mem + i * self->page, -1) == SIGBUS) {
			EXPECT_EQ(caught.si_code, BUS_MCEERR_AR);
			EXPECT_EQ(i, bad);
			lost++;
		} else {
			EXPECT_EQ(unmarked(self->mem + i * self->page,
					   self->page, self->page, i, 8), 0);
		}
	}
	EXPECT_EQ(lost, 1);

	/* It stays lost: there is no new page in its place. */
	other = map_fd(self->fd, self->size, 0);
	ASSERT_NE(other, NULL);
	EXPECT_EQ(access_byte(other + bad * self->page, -1), SIGBUS);
	EXPECT_EQ(unmarked(other, bad * self->page, self->page, 0, 8), 0);
	munmap(other, self->size);
}

/* Contents are never lost, whether the folio can be split or not. */
TEST_F(folios, soft_offline)
{
	long split = read_vmstat("thp_split_page");
	bool failed = true;
	char text[16];
	int fd, nth;

	if (!run_destructive())
		SKIP(return, "destructive: injects allocation failures");
	fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (access(MEMORY "soft_offline_page", W_OK) || fd < 0 ||
	    let_allocations_fail())
		SKIP(return, "needs CONFIG_MEMORY_FAILURE and CONFIG_FAILSLAB");
	ADVISE(self->mem, 4 * self->size);
	mark(self->mem, self->size, self->page, 9);
	EXPECT_LARGE(self->mem, self->size);
	for (nth = 1; failed && nth < 200; nth++) {
		char target[32];
		int soft = open(MEMORY "soft_offline_page", O_WRONLY);
		int len = snprintf(target, sizeof(target), "0x%llx",
				   (unsigned long long)(read_pagemap(self->mem +
				   3 * self->page) & PM_PFN) * self->page);
		int n = snprintf(text, sizeof(text), "%d", nth);

		ASSERT_GE(soft, 0);
		ASSERT_EQ(pwrite(fd, text, n, 0), n);
		/* Secrets can't be moved. */
		EXPECT_EQ(write(soft, target, len), -1);
		memset(text, 0, sizeof(text));
		ASSERT_GT(pread(fd, text, sizeof(text) - 1, 0), 0);
		ASSERT_EQ(pwrite(fd, "0", 1, 0), 1);
		failed = !atoi(text);
		close(soft);
		EXPECT_EQ(unmarked(self->mem, self->size, self->page, 0, 9), 0)
			TH_LOG("failure %d", nth);
	}
	close(fd);
	EXPECT_FALSE(failed);
	EXPECT_GT(read_vmstat("thp_split_page"), split);
	EXPECT_GT(read_vmstat("thp_split_page_failed"), 0);
}

/* The folio can't be split: its other pages are still there. */
TEST_F(folios, memory_failure_unsplit)
{
	long failed = read_vmstat("thp_split_page_failed");
	const size_t bad = 5;
	char text[32];
	size_t i, lost = 0;
	int fd, hard, len;

	if (!run_destructive())
		SKIP(return, "destructive: a page is lost");
	fd = open("/proc/thread-self/fail-nth", O_RDWR);
	hard = open(MEMORY "hard_offline_page", O_WRONLY);
	if (fd < 0 || hard < 0 || let_slab_fail())
		SKIP(return, "needs CONFIG_MEMORY_FAILURE and CONFIG_FAILSLAB");
	ADVISE(self->mem, 4 * self->size);
	mark(self->mem, self->size, self->page, 8);
	EXPECT_LARGE(self->mem, self->size);
	len = snprintf(text, sizeof(text), "0x%llx",
		       (unsigned long long)(read_pagemap(self->mem +
		       bad * self->page) & PM_PFN) * self->page);
	/* The second allocation that it makes is for the split. */
	ASSERT_EQ(pwrite(fd, "2", 1, 0), 1);
	EXPECT_EQ(write(hard, text, len), -1);
	ASSERT_EQ(pwrite(fd, "0", 1, 0), 1);
	close(fd);
	close(hard);
	EXPECT_GE(read_vmstat("thp_split_page_failed") - failed, 1);

	/* Without a page table, a fault finds the folio in the page cache. */
	ASSERT_EQ(madvise(self->mem, self->size, MADV_DONTNEED), 0);
	for (i = self->size / self->page; i-- > 0;) {
		if (access_byte(self->mem + i * self->page, 1) == SIGBUS) {
			EXPECT_EQ(caught.si_code, BUS_MCEERR_AR);
			EXPECT_EQ(i, bad);
			lost++;
		} else {
			EXPECT_EQ(unmarked(self->mem + i * self->page,
					   self->page, self->page, i, 8), 0);
		}
	}
	EXPECT_EQ(lost, 1);
	EXPECT_LARGE(self->mem, 0);
	/* Those that were mapped after the last SIGBUS. */
	EXPECT_EQ(nr_large(self->mem, bad * self->page, self->page), bad);
	EXPECT_EQ(read_fdinfo(self->fd, "resident"), (long)self->size / 1024);
}

TEST_HARNESS_MAIN
