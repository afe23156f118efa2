// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocation failures while a guest_memfd file is populated: check the errors,
 * that the next attempt succeeds, and that no page is lost.
 *
 * Make each allocation fail in turn, see fail-nth in
 * Documentation/fault-injection/fault-injection.rst.  Then exceed the limit of
 * a memory cgroup.
 *
 * This runs only with RUN_DESTRUCTIVE=true in the environment, as it invokes the
 * OOM killer and drops all caches.  What it changes is restored when it ends,
 * even if it is killed.
 */
#include <linux/falloc.h>
#include <linux/sizes.h>
#include <stdio.h>
#include <sys/wait.h>

#include "../mm/restorer.h"
#include "kvm_syscalls.h"
#include "kvm_util.h"
#include "test_util.h"
#include "ucall_common.h"

#define FAULTS		"/sys/kernel/debug/"
#define SLOT		1
#define GPA		SZ_4G
#define NR_PAGES	32
#define CGROUP_MAX	"8M"
#define CGROUP_SIZE	SZ_32M

static size_t page_size;

/* A file, and a VM that has its memory at GPA. */
struct target {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	size_t size;
	char *mem;
	int fd;
};

static void guest_code(u64 size, u64 guest_page_size)
{
	u64 offset;

	for (;;) {
		for (offset = 0; offset < size; offset += guest_page_size)
			READ_ONCE(*(u64 *)(GPA + offset));
		GUEST_SYNC(0);
	}
}

static void make_target(struct target *t, u64 flags, size_t nr_pages)
{
	flags |= GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED;

	t->vm = __vm_create_shape_with_one_vcpu(VM_SHAPE_DEFAULT, &t->vcpu,
						nr_pages, guest_code);
	t->size = nr_pages * page_size;
	t->fd = vm_create_guest_memfd(t->vm, t->size, flags);
	vm_set_user_memory_region2(t->vm, SLOT, KVM_MEM_GUEST_MEMFD, GPA,
				   t->size, NULL, t->fd, 0);
	virt_map(t->vm, GPA, GPA, t->size / t->vm->page_size);
	vcpu_args_set(t->vcpu, 2, t->size, (u64)t->vm->page_size);
	t->mem = kvm_mmap(t->size, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd);
}

static void free_target(struct target *t)
{
	kvm_munmap(t->mem, t->size);
	close(t->fd);
	kvm_vm_free(t->vm);
}

/* === Ways to populate; each returns the result of the system call ======== */

static int populate_fallocate(struct target *t)
{
	return fallocate(t->fd, FALLOC_FL_KEEP_SIZE, 0, t->size);
}

static int populate_touch(struct target *t)
{
	size_t offset;

	for (offset = 0; offset < t->size; offset += page_size)
		READ_ONCE(t->mem[offset]);
	return 0;
}

static int populate_guest(struct target *t)
{
	/* Only this one ioctl(); another one must not consume the failure. */
	int ret = __vcpu_run(t->vcpu);

	if (!ret)
		TEST_ASSERT_KVM_EXIT_REASON(t->vcpu, UCALL_EXIT_REASON);
	return ret;
}

static int populate_pre_fault(struct target *t)
{
	struct kvm_pre_fault_memory range = { .gpa = GPA, .size = t->size };
	int ret = 0;

	while (range.size && !ret)
		ret = __vcpu_ioctl(t->vcpu, KVM_PRE_FAULT_MEMORY, &range);
	return ret;
}

static const struct way {
	const char *name;
	int (*populate)(struct target *t);
	int err;
} ways[] = {
	{ "fallocate()", populate_fallocate, ENOMEM },
	/* A page fault is retried. */
	{ "touch", populate_touch, 0 },
	{ "KVM_RUN", populate_guest, ENOMEM },
	{ "KVM_PRE_FAULT_MEMORY", populate_pre_fault, ENOMEM },
};

/* === One failure at a time =============================================== */

/* Functions that support error injection; a kernel may lack any of them. */
static const char * const functions[] = {
	"__filemap_add_folio", "unmapped_set_direct_map"
};

static void let_function_fail(const char *function)
{
	const char *inject = FAULTS "fail_function/inject";
	char file[128], retval[32], remove[32];

	snprintf(remove, sizeof(remove), "!%s", function);
	TEST_ASSERT(!restore_later(inject, remove), "Too many changes");
	if (write_file(inject, function)) {
		forget_changes(1);
		pr_info("No error injection for %s() in this kernel\n", function);
		return;
	}
	snprintf(file, sizeof(file), FAULTS "fail_function/%s/retval", function);
	snprintf(retval, sizeof(retval), "%#lx", (unsigned long)-ENOMEM);
	TEST_ASSERT(!write_file(file, retval), "Failed to set %s", file);
}

static bool let_allocations_fail(void)
{
	int i;

	/* Failures are counted down, if they are limited. */
	if (change_file(FAULTS "fail_page_alloc/times", "-1") ||
	    change_file(FAULTS "failslab/times", "-1") ||
	    change_file(FAULTS "fail_page_alloc/min-order", "0") ||
	    change_file(FAULTS "fail_page_alloc/ignore-gfp-wait", "N") ||
	    change_file(FAULTS "fail_page_alloc/ignore-gfp-highmem", "N") ||
	    change_file(FAULTS "fail_page_alloc/verbose", "0") ||
	    change_file(FAULTS "failslab/ignore-gfp-wait", "N") ||
	    change_file(FAULTS "failslab/verbose", "0"))
		return false;

	if (!change_file(FAULTS "fail_function/times", "-1") &&
	    !change_file(FAULTS "fail_function/verbose", "0")) {
		for (i = 0; i < ARRAY_SIZE(functions); i++)
			let_function_fail(functions[i]);
	}
	return true;
}

static void set_fail_nth(int fd, int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth);

	TEST_ASSERT_EQ(pwrite(fd, text, len, 0), len);
}

/* Returns whether the requested failure has happened. */
static bool end_fail_nth(int fd)
{
	char text[16] = {};

	TEST_ASSERT(pread(fd, text, sizeof(text) - 1, 0) > 0,
		    "reading fail-nth failed, errno = %d", errno);
	set_fail_nth(fd, 0);
	return !atoi(text);
}

/* Free all pages, and have the allocator release its cache. */
static void empty_target(struct target *t)
{
	kvm_fallocate(t->fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, 0,
		      t->size);
	TEST_ASSERT(!write_file("/proc/sys/vm/drop_caches", "3"),
		    "Failed to write drop_caches");
}

static void expect_bytes(struct target *t, char val)
{
	size_t i;

	for (i = 0; i < t->size; i++)
		TEST_ASSERT(t->mem[i] == val, "a byte in page %lu is %d, not %d",
			    i / page_size, t->mem[i], val);
}

/* Make allocation @nth fail.  Returns false if there are fewer. */
static bool fail_one(struct target *t, const struct way *way, int fail_fd,
		     int nth, int *nr_errors)
{
	bool failed;
	int ret;

	empty_target(t);

	set_fail_nth(fail_fd, nth);
	ret = way->populate(t);
	TEST_ASSERT(!ret || errno == way->err,
		    "%s, failure %d: expected errno %d, got %d", way->name, nth,
		    way->err, errno);
	failed = end_fail_nth(fail_fd);
	TEST_ASSERT(!ret || failed, "%s failed for no reason", way->name);
	*nr_errors += !!ret;

	TEST_ASSERT(!way->populate(t), "%s after failure %d: errno %d",
		    way->name, nth, errno);
	expect_bytes(t, 0);
	memset(t->mem, 0xaa, t->size);

	return failed;
}

static void test_failures(const struct way *way, u64 flags)
{
	int fail_fd = open("/proc/thread-self/fail-nth", O_RDWR);
	int nr_errors = 0, nth = 1;
	struct target t;
	long before;

	TEST_ASSERT(fail_fd >= 0, "Failed to open fail-nth");
	before = read_unmapped_pages_settled();
	make_target(&t, flags, NR_PAGES);

	/* First allocate the unrelated memory that KVM needs only once. */
	TEST_ASSERT(!way->populate(&t), "%s failed, errno %d", way->name, errno);
	while (fail_one(&t, way, fail_fd, nth, &nr_errors))
		nth++;

	pr_info("%s: %d allocations failed, %d errors\n", way->name, nth - 1,
		nr_errors);
	TEST_ASSERT(nth > 1, "no allocation failed");
	TEST_ASSERT(!way->err || nr_errors, "%s never failed", way->name);

	empty_target(&t);
	TEST_ASSERT_EQ(read_unmapped_pages_settled(), before);
	free_target(&t);
	close(fail_fd);
}

/* === The limit of a memory cgroup ======================================== */

static void populate_in_cgroup(const char *cgroup, const struct way *way,
			       u64 flags)
{
	struct target t;

	/* A VM belongs to its process.  Its creation is not charged. */
	make_target(&t, flags, CGROUP_SIZE / page_size);
	if (enter_group(cgroup))
		_exit(2);
	way->populate(&t);
	_exit(1);
}

/* The process is killed and its memory freed; another VM is not affected. */
static void test_cgroup(const char *cgroup, const struct way *way, u64 flags)
{
	struct target other;
	int status;
	long before;
	pid_t pid;

	make_target(&other, flags, NR_PAGES);
	memset(other.mem, 0xaa, other.size);
	before = read_unmapped_pages_settled();

	pid = fork();
	TEST_ASSERT(pid >= 0, "fork() failed, errno = %d", errno);
	if (!pid)
		populate_in_cgroup(cgroup, way, flags);

	TEST_ASSERT_EQ(waitpid(pid, &status, 0), pid);
	TEST_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		    "%s beyond memory.max should kill the process, status 0x%x",
		    way->name, status);
	TEST_ASSERT_EQ(read_unmapped_pages_settled(), before);

	TEST_ASSERT(!populate_guest(&other), "The other VM failed to run");
	expect_bytes(&other, (char)0xaa);
	free_target(&other);
}

static void test_flags(const char *cgroup, u64 flags)
{
	int i;

	pr_info("Testing guest_memfd with additional flags 0x%lx\n", flags);
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		test_failures(&ways[i], flags);
		test_cgroup(cgroup, &ways[i], flags);
	}
}

int main(int argc, char *argv[])
{
	char cgroup[64];

	__TEST_REQUIRE(run_destructive(),
		       "destructive: invokes the OOM killer; set RUN_DESTRUCTIVE=true");
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_PRE_FAULT_MEMORY));
	TEST_REQUIRE(kvm_has_guest_memfd_flags(GUEST_MEMFD_FLAG_MMAP |
					       GUEST_MEMFD_FLAG_INIT_SHARED));
	__TEST_REQUIRE(read_unmapped_pages_settled() <= 0,
		       "others use the unmapped page allocator");
	page_size = getpagesize();
	TEST_ASSERT(!start_restorer(), "Failed to start the restorer");
	TEST_REQUIRE(let_allocations_fail());
	TEST_REQUIRE(!make_group("memory", cgroup, sizeof(cgroup)));
	TEST_ASSERT(!write_group(cgroup, "memory.max", CGROUP_MAX) &&
		    !write_group(cgroup, "memory.oom.group", "1"),
		    "Failed to set up the cgroup");

	test_flags(cgroup, 0);
	if (kvm_has_guest_memfd_flags(GUEST_MEMFD_FLAG_NO_DIRECT_MAP))
		test_flags(cgroup, GUEST_MEMFD_FLAG_NO_DIRECT_MAP);
	else
		pr_info("Skipping GUEST_MEMFD_FLAG_NO_DIRECT_MAP\n");

	TEST_ASSERT(!stop_restorer(), "Failed to restore what was changed");
	return 0;
}
