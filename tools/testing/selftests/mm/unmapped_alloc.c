// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the unmapped page allocator through its first user, memfd_secret(2):
 * what a program sees, and what the kernel tells about it in debugfs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"

#ifndef __NR_memfd_secret
#define __NR_memfd_secret 447
#endif

#define DEBUGFS "/sys/kernel/debug/unmapped_alloc"
#define MIB (1024UL * 1024)

/* === Reading what the kernel tells ======================================= */

/* The number behind a word at the start of a line, -1 if there is none. */
static long read_number(const char *file, const char *word)
{
	char line[512], name[64];
	long value, found = -1;
	FILE *f = fopen(file, "r");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63[^: ]%*[: ]%ld", name, &value) == 2 &&
		    !strcmp(name, word))
			found = value;
	}
	fclose(f);
	return found;
}

enum column { OWNED, USED, CACHED, TRANSIT, LOST, NR_COLUMNS };

/* A column of debugfs' page table, added up over all nodes and zones. */
static long read_pages(enum column column)
{
	long sum = 0, value[NR_COLUMNS];
	bool in_table = false;
	char line[512];
	FILE *f = fopen(DEBUGFS, "r");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "Number of pages", 15))
			in_table = true;
		else if (in_table &&
			 sscanf(line, "Node %*d, zone %*s %ld %ld %ld %ld %ld",
				&value[0], &value[1], &value[2], &value[3],
				&value[4]) == NR_COLUMNS)
			sum += value[column];
	}
	fclose(f);
	return sum;
}

static long nr_splits(void)
{
	return read_number("/proc/vmstat", "direct_map_level2_splits");
}

static int empty_caches(const char *what)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	int ret = fd < 0 || write(fd, what, 1) != 1;

	if (fd >= 0)
		close(fd);
	return ret;
}

/*
 * A folio that was just added to the page cache has a reference from its CPU's
 * batch of folios on their way to the LRU, which can outlive the file. Dropping
 * the page cache empties these batches first.
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

/* Have that much secret memory for a moment. */
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

/* In a child: exit status 0 if a mapping of its own keeps what it is given. */
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

FIXTURE(secret) {
	long page_size;
};

FIXTURE_SETUP(secret)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	int fd;

	self->page_size = sysconf(_SC_PAGESIZE);
	if (access(DEBUGFS, R_OK))
		SKIP(return, "needs root, debugfs and CONFIG_UNMAPPED_ALLOC");
	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		SKIP(return, "can't raise RLIMIT_MEMLOCK");
	fd = secret_fd(self->page_size);
	if (fd < 0)
		SKIP(return, "memfd_secret is not there: %s", strerror(errno));
	close(fd);
	ASSERT_EQ(used_pages_settled(), 0)
		TH_LOG("something else uses the allocator");
}

FIXTURE_TEARDOWN(secret)
{
	EXPECT_EQ(used_pages_settled(), 0);
	EXPECT_EQ(read_pages(TRANSIT), 0);
	EXPECT_EQ(read_pages(OWNED), read_pages(CACHED));
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
		SKIP(return, "no count of direct map splits here");
	fragments = read_number(DEBUGFS, "refill_fragment");
	flushes = read_number(DEBUGFS, "tlb_flush");

	ASSERT_TRUE(touch_and_free(size));

	if (read_number(DEBUGFS, "refill_fragment") != fragments)
		SKIP(return, "memory is too fragmented to tell");
	EXPECT_EQ(nr_splits(), splits);
	EXPECT_LE(read_number(DEBUGFS, "tlb_flush") - flushes,
		  (long)(size / (2 * MIB)) + 1);
}

/* Dumping the kernel's page tables meets the entries that are not present. */
TEST_F(secret, page_tables_can_be_dumped)
{
	const char *dump = "/sys/kernel/debug/page_tables/kernel";
	const size_t size = 4 * MIB;
	unsigned char *mem;
	char buffer[4096];
	ssize_t len;
	int fd, dump_fd;

	dump_fd = open(dump, O_RDONLY);
	if (dump_fd < 0)
		SKIP(return, "no %s", dump);
	mem = secret_map(size, &fd);
	ASSERT_NE(mem, NULL);
	memset(mem, 1, size);
	while ((len = read(dump_fd, buffer, sizeof(buffer))) > 0)
		;
	EXPECT_EQ(len, 0);
	close(dump_fd);
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

/* In a child: take memory until the cache is empty, or there is no more. */
static void press_until_given_back(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);

	if (fd < 0 || write(fd, "1000", 4) != 4)
		_exit(1);
	while (read_pages(CACHED) > 0) {
		if (mmap(NULL, MIB, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
			 0) == MAP_FAILED)
			_exit(2);
	}
	_exit(0);
}

TEST_F(secret, pressure_gives_back)
{
	const size_t size = 64 * MIB;
	int status;
	pid_t pid;

	ASSERT_TRUE(touch_and_free(size));
	EXPECT_EQ(used_pages_settled(), 0);
	EXPECT_GE(read_pages(CACHED), (long)size / self->page_size);

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid)
		press_until_given_back();
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	/* Given back before anybody had to be killed for memory. */
	EXPECT_TRUE(WIFEXITED(status) && !WEXITSTATUS(status));
	EXPECT_EQ(read_pages(CACHED), 0);
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

/* The kernel has no mapping to read from: each of these says so. */
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

TEST_F(secret, many_processes)
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

TEST_HARNESS_MAIN
