// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of DMA buffers that the kernel can't access, with a device that copies
 * memory (kernel/dma/dma_unmapped_test.c).
 *
 * What is to be expected depends on the machine. By default, the device's buffers
 * must be unmapped. DMA_UNMAPPED=fallback in the environment says that the device
 * can't access enough memory for that, DMA_UNMAPPED=bounce that buffers that are
 * mapped for it must be bounced.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "../../../../kernel/dma/dma_unmapped_test.h"

#define DEVICE		"/dev/dma_unmapped_test"
#define DEBUGFS		"/sys/kernel/debug/dma_unmapped"
#define IOMMUS		"/sys/class/iommu"
#define PAGE		4096UL
#define MIB		(1024 * 1024UL)
#define NR_BUFFERS	64

/* The device takes 200 ms for a copy; slower with KASAN. */
#define TIMEOUT		120

static bool expects(const char *what)
{
	const char *value = getenv("DMA_UNMAPPED");

	return value && !strcmp(value, what);
}

static bool has_iommu(void)
{
	char command[] = "[ -n \"$(ls " IOMMUS " 2>/dev/null)\" ]";

	return !system(command);
}

/* The number after a word at the start of a line, -1 if there is none. */
static long read_number(const char *word)
{
	char line[128], name[32];
	long value, found = -1;
	FILE *f = fopen(DEBUGFS, "r");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%31s %ld", name, &value) == 2 &&
		    !strcmp(name, word))
			found = value;
	}
	fclose(f);
	return found;
}

/* === Buffers ============================================================= */

static int open_device(void)
{
	return open(DEVICE, O_RDWR | O_CLOEXEC);
}

/* 0 or errno. */
static int alloc_buffer(int fd, size_t size, uint64_t flags)
{
	struct dut_alloc arg = { .size = size, .flags = flags };

	return ioctl(fd, DUT_ALLOC, &arg) ? errno : 0;
}

static int free_buffer(int fd)
{
	return ioctl(fd, DUT_FREE) ? errno : 0;
}

static int copy(int fd, uint64_t offset, void *data, size_t len, uint64_t flags,
		bool *bounced)
{
	struct dut_copy arg = {
		.offset = offset,
		.len = len,
		.data = (uintptr_t)data,
		.flags = flags,
	};

	if (ioctl(fd, DUT_COPY, &arg))
		return errno;
	if (bounced)
		*bounced = arg.bounced;
	return 0;
}

static void *map_buffer(int fd, size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void fill(unsigned char *data, size_t len, unsigned int seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		data[i] = (i * 31 + (i >> 8) * 7 + seed * 101) | 1;
}

static bool is_filled(const unsigned char *data, size_t len, unsigned int seed)
{
	unsigned char expected[PAGE];
	size_t i;

	for (i = 0; i < len; i += PAGE) {
		fill(expected, PAGE, seed + i / PAGE);
		if (memcmp(data + i, expected, PAGE))
			return false;
	}
	return true;
}

static void fill_pages(unsigned char *data, size_t len, unsigned int seed)
{
	size_t i;

	for (i = 0; i < len; i += PAGE)
		fill(data + i, PAGE, seed + i / PAGE);
}

/* What the pages of a buffer must be. */
static void expect_state(struct __test_metadata *_metadata, int fd, size_t size,
			 bool unmapped)
{
	struct dut_state state = {};

	ASSERT_EQ(ioctl(fd, DUT_STATE, &state), 0);
	EXPECT_EQ(state.pages, (size + PAGE - 1) / PAGE);
	EXPECT_EQ(state.unmapped, unmapped ? state.pages : 0);
	EXPECT_EQ(state.present, unmapped ? 0 : state.pages);
	EXPECT_EQ(state.dirty, 0);
}

/* === Tests =============================================================== */

FIXTURE(dma)
{
	int fd;
	bool unmapped;
};

FIXTURE_VARIANT(dma)
{
	uint64_t flags;
};

FIXTURE_VARIANT_ADD(dma, hint)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(dma, require)
{
	.flags = DUT_REQUIRE,
};

FIXTURE_VARIANT_ADD(dma, contiguous)
{
	.flags = DUT_CONTIGUOUS,
};

FIXTURE_SETUP(dma)
{
	self->fd = open_device();
	if (self->fd < 0 && errno == ENOENT)
		SKIP(return, "the module dma_unmapped_test is not loaded");
	ASSERT_GE(self->fd, 0);
	self->unmapped = !expects("fallback");
	if (!self->unmapped && (variant->flags & DUT_REQUIRE))
		SKIP(return, "the device can't have unmapped buffers");
}

FIXTURE_TEARDOWN(dma)
{
	close(self->fd);
}

/* Every size up to that of a large entry is unmapped and zero. */
TEST_F_TIMEOUT(dma, sizes, TIMEOUT)
{
	long pages = read_number("pages");
	size_t size;

	for (size = PAGE; size <= 2 * MIB; size *= 2) {
		ASSERT_EQ(alloc_buffer(self->fd, size, variant->flags), 0);
		expect_state(_metadata, self->fd, size, self->unmapped);
		ASSERT_EQ(free_buffer(self->fd), 0);

		/* A size that is no power of two, and no multiple of a page. */
		ASSERT_EQ(alloc_buffer(self->fd, size - 100, variant->flags), 0);
		expect_state(_metadata, self->fd, size - 100, self->unmapped);
		ASSERT_EQ(free_buffer(self->fd), 0);
	}
	EXPECT_EQ(read_number("pages"), pages);
}

/* Many at once, freed in random order. */
TEST_F_TIMEOUT(dma, many, TIMEOUT)
{
	long pages = read_number("pages");
	int fds[NR_BUFFERS], i, j, round, fd;
	size_t size;

	srand(1);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < NR_BUFFERS; i++) {
			fds[i] = open_device();
			ASSERT_GE(fds[i], 0);
			size = PAGE << rand() % 8;
			ASSERT_EQ(alloc_buffer(fds[i], size, variant->flags), 0);
			expect_state(_metadata, fds[i], size, self->unmapped);
		}
		for (i = NR_BUFFERS - 1; i >= 0; i--) {
			j = rand() % (i + 1);
			fd = fds[j];
			fds[j] = fds[i];
			ASSERT_EQ(free_buffer(fd), 0);
			close(fd);
		}
	}
	EXPECT_EQ(read_number("pages"), pages);
}

/* More than the device can have at once. */
TEST_F_TIMEOUT(dma, long_copy, TIMEOUT)
{
	unsigned char in[4 * PAGE], out[4 * PAGE] = {};

	ASSERT_EQ(alloc_buffer(self->fd, sizeof(in), variant->flags), 0);
	fill(in, sizeof(in), 1);
	ASSERT_EQ(copy(self->fd, 0, in, sizeof(in), 0, NULL), 0);
	ASSERT_EQ(copy(self->fd, 0, out, sizeof(out), DUT_FROM_BUFFER, NULL), 0);
	EXPECT_EQ(memcmp(in, out, sizeof(in)), 0);
	ASSERT_EQ(free_buffer(self->fd), 0);
}

/* The first and the last chunk of a large buffer, and one in between. */
TEST_F_TIMEOUT(dma, copies, TIMEOUT)
{
	size_t offsets[] = { 0, 301 * PAGE + 52, 2 * MIB - PAGE }, i;
	unsigned char in[PAGE], out[PAGE];

	ASSERT_EQ(alloc_buffer(self->fd, 2 * MIB, variant->flags), 0);
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		fill(in, PAGE, i + 1);
		ASSERT_EQ(copy(self->fd, offsets[i], in, PAGE, 0, NULL), 0);
	}
	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		fill(in, PAGE, i + 1);
		memset(out, 0, PAGE);
		ASSERT_EQ(copy(self->fd, offsets[i], out, PAGE,
			       DUT_FROM_BUFFER, NULL), 0);
		EXPECT_EQ(memcmp(in, out, PAGE), 0);
	}

	/* The next owner finds nothing of it. */
	ASSERT_EQ(free_buffer(self->fd), 0);
	ASSERT_EQ(alloc_buffer(self->fd, 2 * MIB, variant->flags), 0);
	expect_state(_metadata, self->fd, 2 * MIB, self->unmapped);
}

/* User space sees what the device wrote, and the other way round. */
TEST_F_TIMEOUT(dma, mmap, TIMEOUT)
{
	size_t size = 16 * PAGE;
	unsigned char data[PAGE];
	unsigned char *p;

	ASSERT_EQ(alloc_buffer(self->fd, size, variant->flags), 0);
	p = map_buffer(self->fd, size);
	ASSERT_NE(p, MAP_FAILED);

	fill(data, PAGE, 1);
	ASSERT_EQ(copy(self->fd, 15 * PAGE, data, PAGE, 0, NULL), 0);
	EXPECT_EQ(memcmp(p + 15 * PAGE, data, PAGE), 0);

	fill(p + PAGE, PAGE, 2);
	ASSERT_EQ(copy(self->fd, PAGE, data, PAGE, DUT_FROM_BUFFER, NULL), 0);
	EXPECT_EQ(memcmp(p + PAGE, data, PAGE), 0);
	ASSERT_EQ(munmap(p, size), 0);

	/* A part of it; not more than all of it. */
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->fd, 15 * PAGE);
	ASSERT_NE(p, MAP_FAILED);
	fill(data, PAGE, 1);
	EXPECT_EQ(memcmp(p, data, PAGE), 0);
	ASSERT_EQ(munmap(p, PAGE), 0);
	EXPECT_EQ(map_buffer(self->fd, size + PAGE), MAP_FAILED);
	EXPECT_EQ(errno, ENXIO);
}

/* A buffer that is freed while it is mapped gets no other owner before the end. */
TEST_F_TIMEOUT(dma, mapping_pins, TIMEOUT)
{
	int fds[NR_BUFFERS], i;
	size_t size = 16 * PAGE;
	unsigned char *p;

	if (!self->unmapped)
		SKIP(return, "ordinary memory is not pinned");

	ASSERT_EQ(alloc_buffer(self->fd, size, variant->flags), 0);
	p = map_buffer(self->fd, size);
	ASSERT_NE(p, MAP_FAILED);
	fill_pages(p, size, 1);
	ASSERT_EQ(free_buffer(self->fd), 0);

	for (i = 0; i < NR_BUFFERS; i++) {
		unsigned char *q;

		fds[i] = open_device();
		ASSERT_GE(fds[i], 0);
		ASSERT_EQ(alloc_buffer(fds[i], size, variant->flags), 0);
		expect_state(_metadata, fds[i], size, true);
		q = map_buffer(fds[i], size);
		ASSERT_NE(q, MAP_FAILED);
		fill_pages(q, size, 1000 + i * 16);
		munmap(q, size);
	}
	EXPECT_TRUE(is_filled(p, size, 1));
	ASSERT_EQ(munmap(p, size), 0);
	for (i = 0; i < NR_BUFFERS; i++)
		close(fds[i]);

	/* Now the pages are free, and clear. */
	for (i = 0; i < NR_BUFFERS; i++) {
		ASSERT_EQ(alloc_buffer(self->fd, size, variant->flags), 0);
		expect_state(_metadata, self->fd, size, true);
		ASSERT_EQ(free_buffer(self->fd), 0);
	}
}

/* A child's mapping pins it, too. */
TEST_F_TIMEOUT(dma, fork, TIMEOUT)
{
	size_t size = 4 * PAGE;
	unsigned char *p;
	int status;
	pid_t pid;

	ASSERT_EQ(alloc_buffer(self->fd, size, variant->flags), 0);
	p = map_buffer(self->fd, size);
	ASSERT_NE(p, MAP_FAILED);
	fill_pages(p, size, 1);

	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		bool same = is_filled(p, size, 1);

		fill_pages(p, size, 9);
		_exit(same ? 0 : 1);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	EXPECT_TRUE(is_filled(p, size, 9));
	ASSERT_EQ(munmap(p, size), 0);
}

/*
 * A guest whose memory is a mapping of a buffer, and that asks for a clock at its
 * start. KVM finds the page by its page frame number, not by GUP. The guest ends
 * at once: there is no memory where it begins.
 */
static int run_guest_with_clock(void *mem, size_t size)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = size,
		.userspace_addr = (uintptr_t)mem,
	};
	struct {
		struct kvm_msrs header;
		struct kvm_msr_entry entry;
	} msr = {
		.header.nmsrs = 1,
		/* MSR_KVM_SYSTEM_TIME_NEW: address 0, enabled. */
		.entry = { .index = 0x4b564d01, .data = 1 },
	};
	int kvm, vm = -1, vcpu = -1, ret = -1;

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		return -1;
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		goto out;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0 || ioctl(vcpu, KVM_SET_MSRS, &msr) < 0)
		goto out;
	ret = ioctl(vcpu, KVM_RUN, 0) && errno != EFAULT ? -1 : 0;
out:
	close(vcpu);
	close(vm);
	close(kvm);
	return ret;
}

TEST_F_TIMEOUT(dma, no_clock_of_a_guest, TIMEOUT)
{
	size_t size = 16 * PAGE;
	unsigned char *p;

	if (!self->unmapped)
		SKIP(return, "ordinary memory");
	if (access("/dev/kvm", R_OK | W_OK))
		SKIP(return, "no KVM");

	ASSERT_EQ(alloc_buffer(self->fd, size, variant->flags), 0);
	p = map_buffer(self->fd, size);
	ASSERT_NE(p, MAP_FAILED);
	fill_pages(p, size, 1);
	EXPECT_EQ(run_guest_with_clock(p, size), 0);
	EXPECT_TRUE(is_filled(p, size, 1));
	munmap(p, size);
}

/* The kernel does not get at the pages by the address of a mapping. */
TEST_F_TIMEOUT(dma, no_gup, TIMEOUT)
{
	char data[16];
	struct iovec local = { .iov_base = data, .iov_len = sizeof(data) };
	struct iovec remote;
	size_t size = 16 * PAGE;
	int fds[2];
	void *p;

	if (!self->unmapped)
		SKIP(return, "ordinary memory");

	ASSERT_EQ(alloc_buffer(self->fd, size, variant->flags), 0);
	p = map_buffer(self->fd, size);
	ASSERT_NE(p, MAP_FAILED);
	memset(p, 1, size);
	ASSERT_EQ(pipe(fds), 0);

	/* GUP-fast, for a page of a compound page, too. */
	remote = (struct iovec) { .iov_base = p + PAGE, .iov_len = 16 };
	EXPECT_EQ(vmsplice(fds[1], &remote, 1, 0), -1);
	EXPECT_EQ(errno, EFAULT);
	EXPECT_EQ(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), -1);
	EXPECT_EQ(errno, EFAULT);
	/* Copies by the user's address are possible. */
	EXPECT_EQ(write(fds[1], p, 16), 16);
	EXPECT_EQ(read(fds[0], p, 16), 16);
	munmap(p, size);

	/* No copies on write. */
	EXPECT_EQ(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		       self->fd, 0), MAP_FAILED);
	EXPECT_EQ(errno, EINVAL);
}

/* Another device may have its scatterlist, but the CPU may not. */
TEST_F_TIMEOUT(dma, scatterlist, TIMEOUT)
{
	unsigned char in[PAGE], out[PAGE];
	bool bounced = false;
	uint64_t copied = 1;

	ASSERT_EQ(alloc_buffer(self->fd, 16 * PAGE, variant->flags), 0);
	ASSERT_EQ(ioctl(self->fd, DUT_SG_READ, &copied), 0);
	EXPECT_EQ(copied, self->unmapped ? 0 : 16 * PAGE);

	fill(in, PAGE, 3);
	if ((variant->flags & DUT_REQUIRE) && expects("bounce")) {
		EXPECT_NE(copy(self->fd, 0, in, PAGE, DUT_VIA_SG, NULL), 0);
		return;
	}

	/* Not from the beginning of a page, and across the end of one. */
	ASSERT_EQ(copy(self->fd, 3 * PAGE + 100, in, PAGE, DUT_VIA_SG, &bounced),
		  0);
	EXPECT_TRUE(bounced || !expects("bounce"));
	memset(out, 0, PAGE);
	ASSERT_EQ(copy(self->fd, 3 * PAGE + 100, out, PAGE, DUT_FROM_BUFFER,
		       NULL), 0);
	EXPECT_EQ(memcmp(in, out, PAGE), 0);

	memset(out, 0, PAGE);
	ASSERT_EQ(copy(self->fd, 3 * PAGE + 100, out, PAGE,
		       DUT_FROM_BUFFER | DUT_VIA_SG, NULL), 0);
	EXPECT_EQ(memcmp(in, out, PAGE), 0);
}

/* Without sleeping, from the cache. */
TEST_F_TIMEOUT(dma, atomic, TIMEOUT)
{
	int fd = open_device();

	/* One that stays, so that the rest of its block is free. */
	ASSERT_GE(fd, 0);
	ASSERT_EQ(alloc_buffer(fd, PAGE, variant->flags), 0);
	ASSERT_EQ(alloc_buffer(self->fd, 4 * PAGE, variant->flags | DUT_ATOMIC),
		  0);
	expect_state(_metadata, self->fd, 4 * PAGE, self->unmapped);
	close(fd);
}

/* What is larger than a large entry, if it has to be contiguous. */
TEST_F_TIMEOUT(dma, too_large, TIMEOUT)
{
	bool fallback = !has_iommu() || (variant->flags & DUT_CONTIGUOUS);
	const char *counter = variant->flags & DUT_REQUIRE ? "refused" :
							     "fallback";
	long before = read_number(counter);
	int err;

	err = alloc_buffer(self->fd, 4 * MIB, variant->flags);
	if (fallback && (variant->flags & DUT_REQUIRE)) {
		EXPECT_EQ(err, ENOMEM);
	} else {
		ASSERT_EQ(err, 0);
		expect_state(_metadata, self->fd, 4 * MIB,
			     self->unmapped && !fallback);
	}
	EXPECT_EQ(read_number(counter), before + (fallback || !self->unmapped));
}

/* A device that can't have unmapped buffers is told so. */
TEST(ordinary)
{
	int fd = open_device();

	if (fd < 0 && errno == ENOENT)
		SKIP(return, "the module dma_unmapped_test is not loaded");
	ASSERT_GE(fd, 0);
	if (expects("fallback")) {
		long before = read_number("refused");

		EXPECT_EQ(alloc_buffer(fd, PAGE, DUT_REQUIRE), ENOMEM);
		EXPECT_EQ(read_number("refused"), before + 1);
	}
	/* Without either attribute, it is ordinary memory. */
	ASSERT_EQ(alloc_buffer(fd, PAGE, DUT_MAPPED), 0);
	expect_state(_metadata, fd, PAGE, false);
	close(fd);
}

TEST_HARNESS_MAIN
