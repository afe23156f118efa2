// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the unmapped page allocator through its first user, memfd_secret(2):
 * what programs see, and what debugfs shows.
 *
 * Tests that disturb the rest of the system run only with RUN_DESTRUCTIVE=true
 * in the environment, as "run_vmtests.sh -d" sets it: they exhaust or fragment
 * memory, invoke the OOM killer, hibernate, or take CPUs or memory offline.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <linux/suspend_ioctls.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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

/* Page flags of /proc/kpageflags, see <linux/kernel-page-flags.h> */
#define KPF_NO_DIRECT_MAP	27
#define KPF_NO_DIRECT_MAP_FREE	28

#define DEBUGFS "/sys/kernel/debug/unmapped_alloc"
#define MIB (1024UL * 1024)

/* Timeout of tests that go through all of memory, which is slow with KASAN. */
#define SECONDS_WITH_KASAN 240

/* === Statistics of the kernel ============================================ */

/* The number after a word at the start of a line, -1 if there is none. */
static long read_number(const char *file, const char *word)
{
	char line[512], name[64];
	long value, found = -1;
	FILE *f = fopen(file, "r");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63[^: ]%*[: \t]%ld", name, &value) == 2 &&
		    !strcmp(name, word))
			found = value;
	}
	fclose(f);
	return found;
}

enum column { OWNED, USED, CACHED, TRANSIT, LOST, NR_COLUMNS };

/*
 * The sums of the columns of "Number of pages" in debugfs over all zones, without
 * the pages of kernel text. Returns false if they can't be read.
 */
static bool read_table(long sum[NR_COLUMNS])
{
	long text, value[NR_COLUMNS];
	FILE *f = fopen(DEBUGFS, "r");
	bool in_table = false;
	char line[512];
	int i;

	memset(sum, 0, NR_COLUMNS * sizeof(*sum));
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "Number of pages", 15)) {
			in_table = true;
		} else if (line[0] == '\n') {
			in_table = false;
		} else if (in_table &&
			   sscanf(line, "Node %*d, zone %*s %ld %ld %ld %ld %ld",
				  &value[0], &value[1], &value[2], &value[3],
				  &value[4]) == NR_COLUMNS) {
			for (i = 0; i < NR_COLUMNS; i++)
				sum[i] += value[i];
		} else if (sscanf(line, "text_unmapped %ld", &text) == 1) {
			sum[OWNED] -= text / sysconf(_SC_PAGESIZE);
			sum[USED] -= text / sysconf(_SC_PAGESIZE);
		}
	}
	fclose(f);
	return true;
}

static long read_pages(enum column column)
{
	long sum[NR_COLUMNS];

	return read_table(sum) ? sum[column] : -1;
}

static long nr_splits(void)
{
	return read_number("/proc/vmstat", "direct_map_level2_splits");
}

static int empty_caches(const char *what)
{
	return write_file("/proc/sys/vm/drop_caches", what);
}

/*
 * A folio that was added to the page cache recently also has a reference from
 * the batch in which its CPU collects folios for the LRU. That reference can
 * outlive the file. Dropping the page cache drains these batches first.
 */
static long used_pages_settled(void)
{
	return empty_caches("1") ? -1 : read_pages(USED);
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

static unsigned char *secret_map(size_t size, int *fd)
{
	void *mem;

	*fd = secret_fd(size);
	if (*fd < 0)
		return NULL;
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	return mem == MAP_FAILED ? NULL : mem;
}

static bool all_bytes_are(const unsigned char *mem, size_t size, int byte)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (mem[i] != byte)
			return false;
	return true;
}

/* Allocate and free @size bytes of secret memory. */
static bool touch_and_free(size_t size)
{
	unsigned char *mem;
	int fd;

	mem = secret_map(size, &fd);
	if (!mem)
		return false;
	memset(mem, 1, size);
	munmap(mem, size);
	close(fd);
	return true;
}

/* In a child: exit with 0 if its mapping keeps its contents. */
static void keep_secrets(size_t size, int rounds, int byte)
{
	unsigned char *mem;
	int fd;

	while (rounds--) {
		mem = secret_map(size, &fd);
		if (!mem || !all_bytes_are(mem, size, 0))
			_exit(1);
		memset(mem, byte, size);
		if (!all_bytes_are(mem, size, byte))
			_exit(2);
		munmap(mem, size);
		close(fd);
	}
	_exit(0);
}

/* === The tests =========================================================== */

/* Why the tests can't run, NULL if they can. */
static const char *setup(void)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	long used;
	int fd;

	if (access(DEBUGFS, R_OK))
		return "needs root, debugfs and CONFIG_UNMAPPED_ALLOC";
	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		return "can't raise RLIMIT_MEMLOCK";
	fd = secret_fd(sysconf(_SC_PAGESIZE));
	if (fd < 0)
		return "memfd_secret is not available";
	close(fd);
	used = used_pages_settled();
	if (used)
		return used > 0 ? "others use the allocator" : "can't drop caches";
	return start_restorer() ? "can't start the restorer" : NULL;
}

FIXTURE(secret) {
	long page_size;
};

FIXTURE_SETUP(secret)
{
	const char *reason = setup();

	if (reason)
		SKIP(return, "%s", reason);
	self->page_size = sysconf(_SC_PAGESIZE);
}

FIXTURE_TEARDOWN(secret)
{
	long pages[NR_COLUMNS];

	EXPECT_EQ(stop_restorer(), 0);
	EXPECT_EQ(used_pages_settled(), 0);
	/* The cache may just be giving a block back, since nobody uses it. */
	EXPECT_TRUE(read_table(pages));
	EXPECT_EQ(pages[USED], 0);
	EXPECT_EQ(pages[OWNED], pages[CACHED] + pages[TRANSIT]);
}

TEST_F(secret, contents)
{
	const size_t size = 4 * MIB;
	unsigned char *mem;
	int fd;

	mem = secret_map(size, &fd);
	ASSERT_NE(mem, NULL);
	EXPECT_TRUE(all_bytes_are(mem, size, 0));
	memset(mem, 0x5a, size);
	EXPECT_TRUE(all_bytes_are(mem, size, 0x5a));
	EXPECT_EQ(read_pages(USED), (long)size / self->page_size);
	munmap(mem, size);
	close(fd);
}

/* Pages of the allocator in use, kernel text included, by /proc/kpageflags. */
static long nr_flagged_used(void)
{
	uint64_t flags[512];
	ssize_t len, i;
	long nr = 0;
	int fd;

	fd = open("/proc/kpageflags", O_RDONLY);
	if (fd < 0)
		return -1;
	while ((len = read(fd, flags, sizeof(flags))) > 0)
		for (i = 0; i < len / (ssize_t)sizeof(*flags); i++)
			nr += (flags[i] & (1ULL << KPF_NO_DIRECT_MAP)) &&
			      !(flags[i] & (1ULL << KPF_NO_DIRECT_MAP_FREE));
	close(fd);
	return len < 0 ? -1 : nr;
}

/*
 * What is out of the direct map and in use, by a single read of /proc/meminfo or
 * of a node's: the cache may change at any time. -1 if it is not shown.
 */
static long used_kb(const char *name)
{
	long all = -1, nr_free = 0, value;
	char line[256], *found;
	FILE *f;

	f = fopen(name, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		found = strstr(line, "NoDirectMap");
		if (found && sscanf(found, "NoDirectMap: %ld", &value) == 1)
			all = value;
		if (found && sscanf(found, "NoDirectMapFree: %ld", &value) == 1)
			nr_free = value;
	}
	fclose(f);
	return all < 0 ? -1 : all - nr_free;
}

/*
 * The same of all nodes, whose numbers have no gaps in the VMs of the tests. A
 * kernel without nodes has only the sum.
 */
static long nodes_used_kb(void)
{
	long kb = 0, used;
	char name[64];
	int node;

	for (node = 0; ; node++) {
		snprintf(name, sizeof(name), "/sys/devices/system/node/node%d/meminfo",
			 node);
		used = used_kb(name);
		if (used < 0)
			return node ? kb : used_kb("/proc/meminfo");
		kb += used;
	}
}

/* All counters say the same of the memory of a secret. */
TEST_F(secret, counted)
{
	const long kb = 4 * MIB / 1024, pages = 4 * MIB / self->page_size;
	long text = read_number(DEBUGFS, "text_unmapped") / 1024;
	long before = read_number("/proc/meminfo", "SecretMem");
	unsigned char *mem;
	char fdinfo[64];
	int fd;

	if (before < 0 || used_kb("/proc/meminfo") < 0)
		SKIP(return, "the kernel does not show it");

	mem = secret_map(4 * MIB, &fd);
	ASSERT_NE(mem, NULL);
	memset(mem, 1, 4 * MIB);
	EXPECT_EQ(read_number("/proc/meminfo", "SecretMem"), before + kb);
	EXPECT_EQ(used_kb("/proc/meminfo"), kb + text);
	EXPECT_EQ(nodes_used_kb(), kb + text);
	EXPECT_EQ(read_number(DEBUGFS, "secretmem"), pages);
	EXPECT_EQ(nr_flagged_used(), (kb + text) * 1024 / self->page_size);
	snprintf(fdinfo, sizeof(fdinfo), "/proc/self/fdinfo/%d", fd);
	EXPECT_EQ(read_number(fdinfo, "resident"), kb);

	munmap(mem, 4 * MIB);
	close(fd);
	EXPECT_EQ(read_number("/proc/meminfo", "SecretMem"), before);
	EXPECT_EQ(used_pages_settled(), 0);
	EXPECT_EQ(nr_flagged_used(), text * 1024 / self->page_size);
}

TEST_F(secret, reuse_shows_no_old_data)
{
	const size_t size = 8 * MIB;
	unsigned char *mem;
	int fd, round;

	for (round = 0; round < 3; round++) {
		mem = secret_map(size, &fd);
		ASSERT_NE(mem, NULL);
		EXPECT_TRUE(all_bytes_are(mem, size, 0));
		memset(mem, 0xa5, size);
		munmap(mem, size);
		close(fd);
	}
}

TEST_F(secret, no_splits)
{
	long splits = nr_splits(), fragments, flushes;
	const size_t size = 16 * MIB;

	if (splits < 0)
		SKIP(return, "direct map splits are not counted");
	fragments = read_number(DEBUGFS, "refill_fragment");
	flushes = read_number(DEBUGFS, "tlb_flush");

	ASSERT_TRUE(touch_and_free(size));

	if (read_number(DEBUGFS, "refill_fragment") != fragments)
		SKIP(return, "memory is too fragmented to tell");
	EXPECT_EQ(nr_splits(), splits);
	EXPECT_LE(read_number(DEBUGFS, "tlb_flush") - flushes,
		  (long)(size / (2 * MIB)) + 1);
}

/*
 * Number of bytes that are present in a region of the page table dump, from
 * @from to @to, or -1 if there is no dump.
 */
static long present(const char *region, unsigned long from, unsigned long to)
{
	FILE *f = fopen("/sys/kernel/debug/page_tables/kernel", "r");
	unsigned long start, end;
	bool inside = false;
	char line[512];
	long sum = 0;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "---[", 4))
			inside = strstr(line, region);
		if (!inside || (!strstr(line, " RW ") && !strstr(line, " ro ")) ||
		    sscanf(line, "0x%lx-0x%lx", &start, &end) != 2)
			continue;
		start = start > from ? start : from;
		end = end < to ? end : to;
		sum += end > start ? end - start : 0;
	}
	fclose(f);
	return sum;
}

static long direct_map_present(void)
{
	return present("Low Kernel Mapping", 0, -1UL);
}

/* The address of a kernel symbol, 0 if it is not known. */
static unsigned long symbol(const char *wanted)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	unsigned long addr, found = 0;
	char name[128];

	if (!f)
		return 0;
	while (!found && fscanf(f, "%lx %*c %127s%*[^\n]", &addr, name) == 2)
		if (!strcmp(name, wanted))
			found = addr;
	fclose(f);
	return found;
}

/*
 * The kernel's init sections are freed after boot, and this memory may be used
 * for a secret. It must not be accessible through the mapping of the kernel
 * image.
 */
TEST_F(secret, init_memory_has_no_alias)
{
	unsigned long begin = symbol("__init_begin"), end = symbol("__init_end");

	if (direct_map_present() <= 0 || !begin || !end)
		SKIP(return, "no page table dump, or no symbols");
	ASSERT_GT(end, begin);
	EXPECT_EQ(present("High Kernel Mapping", begin, end), 0);
	/* Nor what follows the image, up to the next PMD boundary. */
	EXPECT_EQ(present("High Kernel Mapping", symbol("_end"), -1UL), 0);
	EXPECT_GT(present("High Kernel Mapping", 0, -1UL), 0);
}

/* The dump shows large entries that are not present. */
TEST_F_TIMEOUT(secret, page_table_dump, SECONDS_WITH_KASAN)
{
	long present = direct_map_present(), owned = read_pages(OWNED);
	const size_t size = 4 * MIB;
	unsigned char *mem;
	int fd;

	if (present <= 0)
		SKIP(return, "no page table dump of the direct map");
	mem = secret_map(size, &fd);
	ASSERT_NE(mem, NULL);
	memset(mem, 1, size);
	EXPECT_EQ(present - direct_map_present(),
		  (read_pages(OWNED) - owned) * self->page_size);
	munmap(mem, size);
	close(fd);
}

TEST_F(secret, drop_caches_gives_back)
{
	const size_t size = 8 * MIB;

	ASSERT_TRUE(touch_and_free(size));
	EXPECT_EQ(used_pages_settled(), 0);
	EXPECT_GE(read_pages(CACHED), (long)size / self->page_size);

	ASSERT_EQ(empty_caches("3"), 0);
	EXPECT_EQ(read_pages(OWNED), 0);
}

struct direct_map {
	long kb_4k;
	long kb_2m;
	long kb_1g;
};

static struct direct_map read_direct_map(void)
{
	return (struct direct_map) {
		read_number("/proc/meminfo", "DirectMap4k"),
		read_number("/proc/meminfo", "DirectMap2M"),
		read_number("/proc/meminfo", "DirectMap1G"),
	};
}

/* Take nearly all free memory, in single pages. */
static unsigned char *take_memory(size_t *size)
{
	const size_t rest = 96 * MIB;
	void *mem;

	*size = read_number("/proc/meminfo", "MemFree") * 1024 - rest;
	mem = mmap(NULL, *size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return NULL;
	madvise(mem, *size, MADV_NOHUGEPAGE);
	return mlock(mem, *size) ? NULL : mem;
}

/* Fragments split entries of the direct map; large entries are restored. */
TEST_F_TIMEOUT(secret, fragments_heal, SECONDS_WITH_KASAN)
{
	struct direct_map before, after;
	const size_t size = 192 * MIB, fragmented = 512 * MIB;
	unsigned char *hog, *mem;
	size_t hog_size, i;
	long splits;
	int fd;

	if (!run_destructive())
		SKIP(return, "destructive: fragments memory");
	if (read_number("/proc/meminfo", "DirectMap2M") < 0)
		SKIP(return, "the kernel does not report the direct map");

	ASSERT_EQ(empty_caches("3"), 0);
	before = read_direct_map();
	splits = read_number(DEBUGFS, "area_split");

	/* Leave mostly single free pages, which compaction must not merge. */
	hog = take_memory(&hog_size);
	ASSERT_NE(hog, NULL);
	if (hog_size < fragmented)
		SKIP(return, "needs more memory");
	change_file("/proc/sys/vm/compact_unevictable_allowed", "0");
	for (i = 0; i < fragmented; i += 2 * self->page_size)
		madvise(hog + i, self->page_size, MADV_DONTNEED_LOCKED);

	mem = secret_map(size, &fd);
	ASSERT_NE(mem, NULL);
	memset(mem, 1, size);
	splits = read_number(DEBUGFS, "area_split") - splits;
	munmap(mem, size);
	close(fd);
	munmap(hog, hog_size);

	EXPECT_EQ(used_pages_settled(), 0);
	ASSERT_EQ(empty_caches("3"), 0);
	EXPECT_EQ(read_pages(OWNED), 0);
	after = read_direct_map();
	if (!splits)
		SKIP(return, "memory could not be fragmented");
	TH_LOG("%ld areas were split", splits);
	EXPECT_EQ(after.kb_4k, before.kb_4k);
	EXPECT_EQ(after.kb_2m, before.kb_2m);
	EXPECT_EQ(after.kb_1g, before.kb_1g);
}

/* Without fragments, not even a 1 GiB entry stays split. */
TEST_F(secret, direct_map_is_restored)
{
	struct direct_map before, after;

	ASSERT_EQ(empty_caches("3"), 0);
	before = read_direct_map();
	ASSERT_TRUE(touch_and_free(16 * MIB));
	EXPECT_EQ(used_pages_settled(), 0);
	ASSERT_EQ(empty_caches("3"), 0);
	after = read_direct_map();
	EXPECT_EQ(after.kb_4k, before.kb_4k);
	EXPECT_EQ(after.kb_2m, before.kb_2m);
	EXPECT_EQ(after.kb_1g, before.kb_1g);
}

/* An idle cache is released, after at most two periods of 5 seconds. */
TEST_F(secret, idle_cache_shrinks)
{
	int i;

	ASSERT_TRUE(touch_and_free(8 * MIB));
	EXPECT_EQ(used_pages_settled(), 0);
	EXPECT_GT(read_pages(OWNED), 0);
	for (i = 0; i < 200 && read_pages(OWNED) > 0; i++)
		usleep(100000);
	EXPECT_EQ(read_pages(OWNED), 0);
}

/* Pages on the list of a CPU that goes offline are not lost. */
TEST_F(secret, cpu_offline)
{
	const char *online = "/sys/devices/system/cpu/cpu1/online";
	cpu_set_t old, cpu1;

	if (!run_destructive())
		SKIP(return, "destructive: takes a CPU offline");
	ASSERT_EQ(sched_getaffinity(0, sizeof(old), &old), 0);
	CPU_ZERO(&cpu1);
	CPU_SET(1, &cpu1);
	if (access(online, W_OK) || sched_setaffinity(0, sizeof(cpu1), &cpu1))
		SKIP(return, "no CPU 1 to take offline");
	ASSERT_TRUE(touch_and_free(4 * MIB));
	ASSERT_EQ(sched_setaffinity(0, sizeof(old), &old), 0);
	ASSERT_EQ(change_file(online, "0"), 0);
	EXPECT_EQ(used_pages_settled(), 0);
	EXPECT_EQ(empty_caches("3"), 0);
	EXPECT_EQ(read_pages(OWNED), 0);
}

/* In a child: take memory until the OOM killer strikes. */
static void take_all_memory(void)
{
	if (write_file("/proc/self/oom_score_adj", "1000"))
		_exit(1);
	while (mmap(NULL, MIB, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
		    0) != MAP_FAILED)
		;
	_exit(2);
}

/* The OOM killer takes this child, and nothing else. */
static bool is_killed(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGKILL;
}

/* Files of one page, each of which has a byte of its own. */
enum { NR_FILES = 4096, FILE_STEP = 512 };

/*
 * Make NR_FILES of them, and keep one in FILE_STEP, so that each block has at
 * least one page in use. Returns how many pages the allocator then owns.
 */
static long keep_partly_used(int *fd)
{
	const long page_size = sysconf(_SC_PAGESIZE);
	struct rlimit limit = { 2 * NR_FILES, 2 * NR_FILES };
	unsigned char *mem;
	int i;

	if (setrlimit(RLIMIT_NOFILE, &limit) || empty_caches("3"))
		return -1;
	for (i = 0; i < NR_FILES; i++) {
		mem = secret_map(page_size, &fd[i]);
		if (!mem)
			return -1;
		*mem = i / FILE_STEP + 1;
		munmap(mem, page_size);
	}
	for (i = 0; i < NR_FILES; i++)
		if (i % FILE_STEP)
			close(fd[i]);
	return empty_caches("3") ? -1 : read_pages(OWNED);
}

/* Returns whether the pages that were kept are as they were. */
static bool free_partly_used(int *fd)
{
	const long page_size = sysconf(_SC_PAGESIZE);
	unsigned char *mem;
	bool same = true;
	int i;

	for (i = 0; i < NR_FILES; i += FILE_STEP) {
		mem = mmap(NULL, page_size, PROT_READ, MAP_SHARED, fd[i], 0);
		same &= mem != MAP_FAILED && *mem == i / FILE_STEP + 1;
		if (mem != MAP_FAILED)
			munmap(mem, page_size);
		close(fd[i]);
	}
	return same;
}

/* Their free pages are released before a process is killed, and not earlier. */
TEST_F_TIMEOUT(secret, partly_used_blocks, SECONDS_WITH_KASAN)
{
	int fd[NR_FILES];
	pid_t pid;

	if (!run_destructive())
		SKIP(return, "destructive: invokes the OOM killer");
	ASSERT_GT(keep_partly_used(fd), NR_FILES / FILE_STEP);
	EXPECT_EQ(used_pages_settled(), NR_FILES / FILE_STEP);

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		take_all_memory();
	EXPECT_TRUE(is_killed(pid));
	EXPECT_EQ(read_pages(OWNED), NR_FILES / FILE_STEP);
	EXPECT_TRUE(free_partly_used(fd));
}

/* Whoever asks for reclaim, while memory is not short, splits no entries. */
TEST_F_TIMEOUT(secret, proactive_reclaim, SECONDS_WITH_KASAN)
{
	const char *reclaim = "/sys/devices/system/node/node0/reclaim";
	unsigned long nodes = 1UL << 0;
	long owned, splits;
	int fd[NR_FILES];

	if (!run_destructive())
		SKIP(return, "destructive: reclaims all that can be reclaimed");
	/* Or else the kernel does not look at a node that has so little. */
	if (access(reclaim, W_OK) ||
	    change_file("/proc/sys/vm/min_slab_ratio", "0"))
		SKIP(return, "no reclaim of a node");
	ASSERT_EQ(syscall(__NR_set_mempolicy, MPOL_BIND, &nodes,
			  8 * sizeof(nodes)), 0);
	ASSERT_TRUE(touch_and_free(64 * MIB));
	EXPECT_EQ(write_file(reclaim, "16M"), 0);
	owned = keep_partly_used(fd);
	ASSERT_GT(owned, NR_FILES / FILE_STEP);
	splits = nr_splits();
	/* There is not as much. */
	EXPECT_NE(write_file(reclaim, "64G"), 0);
	EXPECT_EQ(errno, EAGAIN);
	EXPECT_EQ(nr_splits(), splits);
	EXPECT_EQ(read_pages(OWNED), owned);
	EXPECT_TRUE(free_partly_used(fd));
}

/* What nobody is charged for does not help a control group. */
TEST_F(secret, cgroup_reclaim)
{
	char group[64];
	long cached;

	if (make_group("memory", group, sizeof(group)))
		SKIP(return, "no memory cgroup");
	ASSERT_TRUE(touch_and_free(16 * MIB));
	EXPECT_EQ(used_pages_settled(), 0);
	cached = read_pages(CACHED);
	ASSERT_GT(cached, 0);
	EXPECT_NE(write_group(group, "memory.reclaim", "8M"), 0);
	EXPECT_EQ(errno, EAGAIN);
	EXPECT_EQ(read_pages(CACHED), cached);
}

/* Who asks for the OOM killer gets it, whatever the cache could give back. */
TEST_F(secret, sysrq_kills)
{
	const char *trigger = "/proc/sysrq-trigger";
	pid_t pid;

	if (!run_destructive())
		SKIP(return, "destructive: invokes the OOM killer");
	if (access(trigger, W_OK))
		SKIP(return, "no SysRq");
	ASSERT_TRUE(touch_and_free(16 * MIB));
	EXPECT_EQ(used_pages_settled(), 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (write_file("/proc/self/oom_score_adj", "1000") ||
		    write_file(trigger, "f"))
			_exit(1);
		pause();
		_exit(2);
	}
	EXPECT_TRUE(is_killed(pid));
	EXPECT_GT(read_pages(CACHED), 0);
}

/* In a child: take memory until the cache is empty, or there is none left. */
static void press_until_given_back(void)
{
	if (write_file("/proc/self/oom_score_adj", "1000"))
		_exit(1);
	while (read_pages(CACHED) > 0) {
		if (mmap(NULL, MIB, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
			 0) == MAP_FAILED)
			_exit(2);
	}
	_exit(0);
}

TEST_F_TIMEOUT(secret, pressure_gives_back, SECONDS_WITH_KASAN)
{
	const size_t size = 64 * MIB;
	int status;
	pid_t pid;

	if (!run_destructive())
		SKIP(return, "destructive: exhausts memory");
	ASSERT_TRUE(touch_and_free(size));
	EXPECT_EQ(used_pages_settled(), 0);
	EXPECT_GE(read_pages(CACHED), (long)size / self->page_size);

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		press_until_given_back();
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	/* Released before a process had to be killed for memory. */
	EXPECT_TRUE(WIFEXITED(status) && !WEXITSTATUS(status));
	EXPECT_EQ(read_pages(CACHED), 0);
}

/* What a program does that writes the image to disk itself. */
static int create_image(int snapshot)
{
	int in_suspend, err;

	if (ioctl(snapshot, SNAPSHOT_FREEZE))
		return errno;
	err = ioctl(snapshot, SNAPSHOT_CREATE_IMAGE, &in_suspend) ? errno : 0;
	return ioctl(snapshot, SNAPSHOT_UNFREEZE) ? errno : err;
}

/*
 * The hibernation image is created from memory that is mapped, so the cache is
 * emptied first. Nothing is written to disk here, see
 * Documentation/power/basic-pm-debugging.rst.
 */
TEST_F(secret, hibernation)
{
	unsigned char *mem;
	int fd, snapshot;

	if (!run_destructive())
		SKIP(return, "destructive: freezes all processes");
	if (access("/dev/snapshot", R_OK) ||
	    change_file("/sys/power/pm_test", "freezer") ||
	    change_file("/sys/module/hibernate/parameters/pm_test_delay", "0"))
		SKIP(return, "needs CONFIG_PM_DEBUG and CONFIG_HIBERNATION_SNAPSHOT_DEV");
	ASSERT_TRUE(touch_and_free(8 * MIB));
	EXPECT_EQ(used_pages_settled(), 0);
	EXPECT_GT(read_pages(OWNED), 0);

	/* Without pages, a descriptor and a mapping don't matter. */
	mem = secret_map(MIB, &fd);
	ASSERT_NE(mem, NULL);
	ASSERT_EQ(write_file("/sys/power/state", "disk"), 0);
	EXPECT_EQ(read_pages(OWNED), 0);

	/* A program that may want an image any time does not disturb others. */
	snapshot = open("/dev/snapshot", O_RDONLY);
	ASSERT_GE(snapshot, 0);
	mem[0] = 1;
	EXPECT_EQ(create_image(snapshot), EBUSY);
	munmap(mem, MIB);
	close(fd);
	EXPECT_GT(read_pages(OWNED), 0);
	EXPECT_EQ(create_image(snapshot), 0);
	EXPECT_EQ(read_pages(OWNED), 0);
	close(snapshot);

	mem = secret_map(MIB, &fd);
	ASSERT_NE(mem, NULL);
	mem[0] = 1;
	EXPECT_NE(write_file("/sys/power/state", "disk"), 0);
	EXPECT_EQ(errno, EBUSY);
	munmap(mem, MIB);
	close(fd);
}

/* The limit of a memory cgroup applies to secrets as to other memory. */
TEST_F(secret, memcg_limit)
{
	unsigned char *mem;
	char group[64];
	pid_t child;
	int fd;

	if (!run_destructive())
		SKIP(return, "destructive: invokes the OOM killer");
	if (make_group("memory", group, sizeof(group)))
		SKIP(return, "no memory cgroup");
	ASSERT_EQ(write_group(group, "memory.max", "8M"), 0);
	/* Cached pages are not charged; they must not bypass the limit. */
	ASSERT_TRUE(touch_and_free(32 * MIB));

	child = fork();
	ASSERT_GE(child, 0);
	if (!child) {
		mem = secret_map(16 * MIB, &fd);
		if (!mem || enter_group(group))
			_exit(1);
		memset(mem, 1, 4 * MIB);
		if (!all_bytes_are(mem, 4 * MIB, 1))
			_exit(2);
		memset(mem, 1, 16 * MIB);
		_exit(3);
	}
	EXPECT_TRUE(is_killed(child));
	EXPECT_EQ(used_pages_settled(), 0);
}

TEST_F(secret, rlimit_memlock)
{
	const int limit_pages = 16;
	struct rlimit limit;
	unsigned char *mem;
	int fd, i, status;
	pid_t pid;

	limit.rlim_cur = limit_pages * self->page_size;
	limit.rlim_max = RLIM_INFINITY;
	ASSERT_EQ(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	mem = secret_map(MIB, &fd);
	ASSERT_NE(mem, NULL);

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		for (i = 0; i <= limit_pages; i++)
			mem[i * self->page_size] = 1;
		_exit(0);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	EXPECT_EQ(read_pages(USED), limit_pages);
	munmap(mem, MIB);
	close(fd);
}

TEST_F(secret, fork_shares)
{
	unsigned char *mem;
	int fd, status;
	pid_t pid;

	mem = secret_map(MIB, &fd);
	ASSERT_NE(mem, NULL);
	mem[0] = 1;
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		bool good = mem[0] == 1;

		mem[self->page_size] = 2;
		_exit(!good);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	EXPECT_EQ(mem[0], 1);
	EXPECT_EQ(mem[self->page_size], 2);
	EXPECT_EQ(read_pages(USED), 2);
	munmap(mem, MIB);
	close(fd);
}

TEST_F(secret, truncate)
{
	unsigned char *mem;
	int fd;

	mem = secret_map(MIB, &fd);
	ASSERT_NE(mem, NULL);
	memset(mem, 3, MIB);
	EXPECT_EQ(ftruncate(fd, 0), -1);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_TRUE(all_bytes_are(mem, MIB, 3));
	munmap(mem, MIB);
	close(fd);
}

/* The kernel has no mapping to read from, so all of these fail. */
TEST_F(secret, kernel_refuses)
{
	unsigned char *mem, copy[16];
	struct iovec local = { copy, sizeof(copy) }, remote;
	int fd, mem_fd, pipe_fd[2];

	mem = secret_map(MIB, &fd);
	ASSERT_NE(mem, NULL);
	mem[0] = 42;
	remote = (struct iovec){ mem, sizeof(copy) };

	EXPECT_EQ(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), -1);
	EXPECT_EQ(errno, EFAULT);

	ASSERT_EQ(pipe(pipe_fd), 0);
	EXPECT_EQ(vmsplice(pipe_fd[1], &remote, 1, 0), -1);
	EXPECT_EQ(errno, EFAULT);
	close(pipe_fd[0]);
	close(pipe_fd[1]);

	mem_fd = open("/proc/self/mem", O_RDONLY);
	ASSERT_GE(mem_fd, 0);
	EXPECT_EQ(pread(mem_fd, copy, sizeof(copy), (off_t)(long)mem), -1);
	EXPECT_EQ(errno, EIO);
	close(mem_fd);

	munmap(mem, MIB);
	close(fd);
}

TEST_F_TIMEOUT(secret, many_processes, SECONDS_WITH_KASAN)
{
	pid_t pid[8];
	int i, status;

	for (i = 0; i < 8; i++) {
		pid[i] = fork();
		ASSERT_GE(pid[i], 0);
		if (!pid[i])
			keep_secrets(2 * MIB, 6, i + 1);
	}
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(waitpid(pid[i], &status, 0), pid[i]);
		EXPECT_EQ(status, 0);
	}
}

struct toucher {
	unsigned char *mem;
	size_t size;
	long step;
};

static void *touch(void *arg)
{
	struct toucher *toucher = arg;
	size_t i;

	for (i = 0; i < toucher->size; i += toucher->step)
		toucher->mem[i] = 1;
	return NULL;
}

/* A process dies while two of its threads fault pages in. */
TEST_F(secret, exit_while_faulting)
{
	struct toucher toucher = { .size = 16 * MIB, .step = self->page_size };
	pthread_t thread[2];
	int fd, i, status;
	pid_t pid;

	for (i = 0; i < 20; i++) {
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			toucher.mem = secret_map(toucher.size, &fd);
			if (!toucher.mem ||
			    pthread_create(&thread[0], NULL, touch, &toucher) ||
			    pthread_create(&thread[1], NULL, touch, &toucher))
				_exit(1);
			usleep(i * 500);
			_exit(0);
		}
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		EXPECT_EQ(status, 0);
	}
	EXPECT_EQ(used_pages_settled(), 0);
}

/* === NUMA ================================================================ */

/* How many pages of the mapping that begins at @mem are on @node? */
static long pages_on(int node, void *mem)
{
	FILE *f = fopen("/proc/self/numa_maps", "r");
	char line[512], key[16], *found;
	long nr = -1;

	if (!f)
		return -1;
	snprintf(key, sizeof(key), " N%d=", node);
	while (fgets(line, sizeof(line), f)) {
		if (strtoul(line, NULL, 16) != (unsigned long)mem)
			continue;
		found = strstr(line, key);
		nr = found ? atol(found + strlen(key)) : 0;
	}
	fclose(f);
	return nr;
}

static long set_policy(int mode, unsigned long nodes)
{
	return syscall(__NR_set_mempolicy, mode, nodes ? &nodes : NULL,
		       nodes ? 8 * sizeof(nodes) : 0);
}

FIXTURE(numa) {
	long page_size;
	size_t size;
	long pages;
	unsigned char *mem;
	int fd;
};

FIXTURE_SETUP(numa)
{
	const char *reason;

	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "needs two nodes");
	reason = setup();
	if (reason)
		SKIP(return, "%s", reason);
	self->page_size = sysconf(_SC_PAGESIZE);
	self->size = 8 * MIB;
	self->pages = self->size / self->page_size;
	self->mem = secret_map(self->size, &self->fd);
	ASSERT_NE(self->mem, NULL);
	ASSERT_EQ(empty_caches("3"), 0);
}

FIXTURE_TEARDOWN(numa)
{
	EXPECT_EQ(stop_restorer(), 0);
	set_policy(MPOL_DEFAULT, 0);
	munmap(self->mem, self->size);
	close(self->fd);
	EXPECT_EQ(used_pages_settled(), 0);
	EXPECT_EQ(empty_caches("3"), 0);
	EXPECT_EQ(read_pages(OWNED), 0);
}

TEST_F(numa, bind)
{
	int node;

	for (node = 0; node < 2; node++) {
		ASSERT_EQ(set_policy(MPOL_BIND, 1UL << node), 0);
		memset(self->mem + node * self->size / 2, 1, self->size / 2);
	}
	for (node = 0; node < 2; node++)
		EXPECT_EQ(pages_on(node, self->mem), self->pages / 2);
}

TEST_F(numa, preferred)
{
	ASSERT_EQ(set_policy(MPOL_PREFERRED, 1UL << 1), 0);
	memset(self->mem, 1, self->size);
	EXPECT_EQ(pages_on(1, self->mem), self->pages);
}

TEST_F(numa, interleave)
{
	long nr;

	ASSERT_EQ(set_policy(MPOL_INTERLEAVE, 3), 0);
	memset(self->mem, 1, self->size);
	/* Other allocations of this task take part in the interleaving. */
	nr = pages_on(1, self->mem);
	EXPECT_GT(nr, self->pages / 2 - self->pages / 16);
	EXPECT_LT(nr, self->pages / 2 + self->pages / 16);
	EXPECT_EQ(nr + pages_on(0, self->mem), self->pages);
}

TEST_F(numa, mbind)
{
	unsigned long nodes = 1UL << 1;

	ASSERT_EQ(syscall(__NR_mbind, self->mem, self->size, MPOL_BIND, &nodes,
			  8 * sizeof(nodes), 0), 0);
	memset(self->mem, 1, self->size);
	EXPECT_EQ(pages_on(1, self->mem), self->pages);
}

static int node_of_cpu(int cpu)
{
	char name[64];
	int node;

	for (node = 0; node < 2; node++) {
		snprintf(name, sizeof(name),
			 "/sys/devices/system/node/node%d/cpu%d", node, cpu);
		if (!access(name, F_OK))
			return node;
	}
	return -1;
}

/* Run only on the CPUs of @node. */
static int run_on_node(int node)
{
	cpu_set_t set;
	int cpu;

	CPU_ZERO(&set);
	for (cpu = 0; cpu < 2; cpu++)
		if (node_of_cpu(cpu) == node)
			CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

/* Without a policy, pages come from the node of the CPU. */
TEST_F(numa, local)
{
	long expected[2] = {};
	cpu_set_t set, old;
	int cpu, node;

	ASSERT_EQ(sched_getaffinity(0, sizeof(old), &old), 0);
	for (cpu = 0; cpu < 2; cpu++) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		ASSERT_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
		node = node_of_cpu(cpu);
		ASSERT_GE(node, 0);
		expected[node] += self->pages / 2;
		memset(self->mem + cpu * self->size / 2, 1, self->size / 2);
		EXPECT_EQ(pages_on(node, self->mem), expected[node]);
	}
	ASSERT_EQ(sched_setaffinity(0, sizeof(old), &old), 0);
}

TEST_F(numa, cpuset)
{
	char group[64];
	cpu_set_t old;
	int status;
	pid_t pid;

	if (make_group("cpuset", group, sizeof(group)))
		SKIP(return, "no cpusets");
	/* Fill the cache of the nearer node, which must not be used below. */
	ASSERT_EQ(sched_getaffinity(0, sizeof(old), &old), 0);
	ASSERT_EQ(run_on_node(0), 0);
	ASSERT_EQ(set_policy(MPOL_BIND, 1UL << 0), 0);
	ASSERT_TRUE(touch_and_free(self->size));
	ASSERT_EQ(set_policy(MPOL_DEFAULT, 0), 0);
	EXPECT_GT(read_pages(CACHED), 0);

	ASSERT_EQ(write_group(group, "cpuset.mems", "1"), 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (enter_group(group))
			_exit(1);
		memset(self->mem, 1, self->size);
		_exit(pages_on(1, self->mem) == self->pages ? 0 : 2);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	ASSERT_EQ(sched_setaffinity(0, sizeof(old), &old), 0);
}

static long node_free_kb(int node)
{
	char name[64], line[256];
	long kb = -1, value;
	FILE *f;

	snprintf(name, sizeof(name), "/sys/devices/system/node/node%d/meminfo", node);
	f = fopen(name, "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Node %*d MemFree: %ld", &value) == 1)
			kb = value;
	fclose(f);
	return kb;
}

static int set_memory_block(int block, const char *state)
{
	char name[64];

	snprintf(name, sizeof(name), "/sys/devices/system/memory/memory%d/state",
		 block);
	return write_file(name, state);
}

/*
 * Restore the state and the zone of a memory block when the test ends. The only
 * valid zone of an online block is the one that it is in.
 */
static int restore_memory_block(int block, const char *state)
{
	char name[64], zone[64];

	snprintf(name, sizeof(name),
		 "/sys/devices/system/memory/memory%d/valid_zones", block);
	if (read_value(name, zone, sizeof(zone)))
		return -1;
	if (strcmp(state, "offline"))
		state = strcmp(zone, "Movable") ? "online_kernel" : "online_movable";
	snprintf(name, sizeof(name), "/sys/devices/system/memory/memory%d/state",
		 block);
	/* A block must be offline before it can change its zone. */
	return restore_later(name, state) || restore_later(name, "offline");
}

/* Take a memory block of node 1 offline, or find one that is; -1 if there is none. */
static int offline_block(void)
{
	char name[64], state[16];
	int block;

	for (block = 0; block < 1024; block++) {
		snprintf(name, sizeof(name),
			 "/sys/devices/system/node/node1/memory%d/state", block);
		if (read_value(name, state, sizeof(state)))
			continue;
		if (restore_memory_block(block, state))
			return -1;
		if (!strcmp(state, "offline") || !set_memory_block(block, "offline"))
			return block;
		forget_changes(2);
	}
	return -1;
}

static void ignore_signal(int sig)
{
}

/*
 * Memory can go offline even if the cache has pages of it. The kernel must not
 * have allocations of its own there, so the CPU of that node is taken offline,
 * and the policy of the mapping rather than that of the task selects the node.
 */
TEST_F_TIMEOUT(numa, memory_offline, SECONDS_WITH_KASAN)
{
	const struct sigaction action = { .sa_handler = ignore_signal };
	const char *cpu1 = "/sys/devices/system/cpu/cpu1/online";
	unsigned long nodes = 1UL << 1;
	unsigned char *mem;
	int block, fd;
	size_t size;

	if (!run_destructive())
		SKIP(return, "destructive: takes memory offline");
	if (node_of_cpu(1) != 1 || change_file(cpu1, "0"))
		SKIP(return, "needs to take the CPU of node 1 offline");
	block = offline_block();
	if (block < 0)
		SKIP(return, "no memory of node 1 can go offline");
	ASSERT_EQ(set_memory_block(block, "online_kernel"), 0);
	size = node_free_kb(1) * 1024 / 4 * 3;

	mem = secret_map(size, &fd);
	ASSERT_NE(mem, NULL);
	ASSERT_EQ(syscall(__NR_mbind, mem, size, MPOL_BIND, &nodes,
			  8 * sizeof(nodes), 0), 0);
	memset(mem, 1, size);
	munmap(mem, size);
	close(fd);
	EXPECT_EQ(used_pages_settled(), 0);
	EXPECT_GT(read_pages(CACHED), 0);

	/* Offlining waits for all pages of the block, or for a signal. */
	ASSERT_EQ(sigaction(SIGALRM, &action, NULL), 0);
	alarm(4);
	EXPECT_EQ(set_memory_block(block, "offline"), 0);
	alarm(0);
	EXPECT_EQ(read_pages(CACHED), 0);
}

/* If a node is short of memory, the rest comes from the other node. */
TEST_F_TIMEOUT(numa, node_is_short, SECONDS_WITH_KASAN)
{
	size_t hog_size = node_free_kb(1) * 1024;
	/* More than what the watermarks keep free. */
	const size_t size = 64 * MIB;
	unsigned long nodes = 1UL << 1;
	unsigned char *hog, *mem;
	long nr;
	int fd;

	if (!run_destructive())
		SKIP(return, "destructive: exhausts a node");
	hog = mmap(NULL, hog_size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(hog, MAP_FAILED);
	/* Only preferred, so that the last pages cause no OOM kill. */
	ASSERT_EQ(syscall(__NR_mbind, hog, hog_size, MPOL_PREFERRED, &nodes,
			  8 * sizeof(nodes), 0), 0);
	memset(hog, 1, hog_size);
	ASSERT_EQ(set_policy(MPOL_PREFERRED, nodes), 0);
	mem = secret_map(size, &fd);
	ASSERT_NE(mem, NULL);
	memset(mem, 1, size);
	nr = pages_on(0, mem);
	EXPECT_GT(nr, 0);
	EXPECT_EQ(nr + pages_on(1, mem), (long)size / self->page_size);
	munmap(mem, size);
	close(fd);
	munmap(hog, hog_size);
}

/* A task that may only use a full node is killed; the other node is left alone. */
TEST_F_TIMEOUT(numa, bound_task_is_killed, SECONDS_WITH_KASAN)
{
	int fd[NR_FILES];
	long owned, splits;
	pid_t pid;

	if (!run_destructive())
		SKIP(return, "destructive: invokes the OOM killer");
	ASSERT_EQ(set_policy(MPOL_BIND, 1UL << 1), 0);
	owned = keep_partly_used(fd);
	ASSERT_EQ(set_policy(MPOL_DEFAULT, 0), 0);
	ASSERT_GT(owned, NR_FILES / FILE_STEP);
	splits = nr_splits();

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (set_policy(MPOL_BIND, 1UL << 0))
			_exit(1);
		take_all_memory();
	}
	EXPECT_TRUE(is_killed(pid));
	EXPECT_EQ(read_pages(OWNED), owned);
	EXPECT_EQ(nr_splits(), splits);
	EXPECT_TRUE(free_partly_used(fd));
}

TEST_HARNESS_MAIN
