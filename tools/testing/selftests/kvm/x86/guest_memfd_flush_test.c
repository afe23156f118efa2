// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest decides how often KVM maps and unmaps pages that have no direct map,
 * and removing a mapping takes a flush of all CPUs' TLBs, which every user of the
 * machine pays for.  Check that a guest that does its worst causes at most one
 * flush for 64 mappings, and one a second.
 */
#include <time.h>

#include <asm/kvm_para.h>

#include "test_util.h"
#include "kvm_util.h"
#include "processor.h"
#include "svm_util.h"

/* The documented number of mappings that are removed with one flush. */
#define MAPS_PER_FLUSH	64

/*
 * More pages than KVM keeps mappings of, in use or not, and no more than slot 0
 * has in one piece.
 */
#define NR_PAGES	120
#define NR_ROUNDS	16
/* Fewer than a vCPU keeps mappings of. */
#define NR_KEPT		20

struct events {
	unsigned long drops;
	unsigned long flushes;
	time_t time;
};

/* A line of the allocator's file in debugfs. */
static unsigned long counter(const char *name)
{
	unsigned long nr;
	char line[256];
	FILE *file;
	int found = 0;

	file = fopen("/sys/kernel/debug/unmapped_alloc", "r");
	TEST_ASSERT(file, "The allocator's file in debugfs is gone, errno = %d",
		    errno);
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, strlen(name)))
			found += sscanf(line + strlen(name), " %lu", &nr);
	}
	fclose(file);
	TEST_ASSERT_EQ(found, 1);
	return nr;
}

static struct events events_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (struct events) {
		.drops = counter("dropped "),
		.flushes = counter("flushes "),
		.time = now.tv_sec,
	};
}

static struct events events_since(const struct events *start)
{
	struct events now = events_now();

	now.drops -= start->drops;
	now.flushes -= start->flushes;
	now.time -= start->time;
	return now;
}

/* The clock is where the guest says, at once. */
static void guest_moves_clock(gpa_t gpa, u64 nr_pages, u64 nr)
{
	u64 i;

	for (i = 0; i < nr; i++)
		wrmsr(MSR_KVM_SYSTEM_TIME_NEW,
		      (gpa + i % nr_pages * PAGE_SIZE) | KVM_MSR_ENABLED);
	GUEST_DONE();
}

static void guest_saves_state(gpa_t gpa, u64 nr_pages, u64 nr)
{
	u64 i;

	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME);
	for (i = 0; i < nr; i++)
		asm volatile("vmsave %0" : : "a" (gpa + i % nr_pages * PAGE_SIZE)
			     : "memory");
	GUEST_SYNC(0);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
	GUEST_DONE();
}

static void expect_ucall(struct kvm_vcpu *vcpu, u64 expected)
{
	struct ucall uc;

	vcpu_run(vcpu);
	TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);
	if (get_ucall(vcpu, &uc) == UCALL_ABORT)
		REPORT_GUEST_ASSERT(uc);
	TEST_ASSERT_EQ(uc.cmd, expected);
}

static struct kvm_vm *create_vm(struct kvm_vcpu **vcpu, void *guest_code,
				u64 nr_pages, u64 nr)
{
	struct vm_shape shape = VM_SHAPE_DEFAULT;
	struct kvm_vm *vm;
	gva_t gva;

	shape.src_type = VM_MEM_SRC_GUEST_MEMFD_NO_DIRECT_MAP;
	vm = vm_create_shape_with_one_vcpu(shape, vcpu, guest_code);
	gva = vm_alloc(vm, nr_pages * PAGE_SIZE, KVM_UTIL_MIN_VADDR);
	vcpu_args_set(*vcpu, 3, addr_gva2gpa(vm, gva), nr_pages, nr);
	return vm;
}

static void expect_few_flushes(const struct events *start, const char *what)
{
	struct events seen = events_since(start);

	pr_info("%s: %lu mappings dropped, %lu flushes, %lu s\n", what,
		seen.drops, seen.flushes, (unsigned long)seen.time);
	/* One second more, because parts of seconds count. */
	TEST_ASSERT(seen.flushes <= seen.drops / MAPS_PER_FLUSH + seen.time + 1,
		    "%s: %lu flushes for %lu mappings in %lu seconds", what,
		    seen.flushes, seen.drops, (unsigned long)seen.time);
}

static void test_clock(u64 nr_pages, const char *what)
{
	const u64 nr = NR_ROUNDS * NR_PAGES;
	struct kvm_vcpu *vcpu;
	struct events start;
	struct kvm_vm *vm;

	vm = create_vm(&vcpu, guest_moves_clock, nr_pages, nr);
	start = events_now();
	expect_ucall(vcpu, UCALL_DONE);
	TEST_ASSERT(events_since(&start).drops >= nr - 1,
		    "The clock's old page should be unmapped when it moves");
	expect_few_flushes(&start, what);
	kvm_vm_free(vm);
}

static void test_vmsave(void)
{
	const u64 nr = NR_ROUNDS * NR_PAGES;
	struct kvm_vcpu *vcpu;
	struct events start;
	struct kvm_vm *vm;

	vm = create_vm(&vcpu, guest_saves_state, NR_PAGES, nr);
	start = events_now();
	expect_ucall(vcpu, UCALL_SYNC);
	TEST_ASSERT(events_since(&start).drops >= nr - NR_PAGES,
		    "VMSAVE to so many pages should drop mappings");
	expect_few_flushes(&start, "VMSAVE to many pages");
	kvm_vm_free(vm);
}

/* Mappings are kept for nested guests, and only as long as there can be any. */
static void test_end_of_nesting(void)
{
	struct kvm_vcpu *vcpu;
	struct events start;
	struct kvm_vm *vm;

	vm = create_vm(&vcpu, guest_saves_state, NR_KEPT, NR_ROUNDS * NR_KEPT);
	start = events_now();
	expect_ucall(vcpu, UCALL_SYNC);
	TEST_ASSERT_EQ(events_since(&start).drops, 0);
	expect_ucall(vcpu, UCALL_DONE);
	TEST_ASSERT_EQ(events_since(&start).drops, NR_KEPT);
	expect_few_flushes(&start, "end of nesting");
	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	u64 flags = backing_src_guest_memfd_flags(VM_MEM_SRC_GUEST_MEMFD_NO_DIRECT_MAP);

	TEST_REQUIRE(kvm_has_guest_memfd_flags(flags));
	TEST_REQUIRE(!access("/sys/kernel/debug/unmapped_alloc", R_OK));

	test_clock(2, "clock in two pages in turn");
	test_clock(NR_PAGES, "clock in many pages");

	/* A processor that executes VMSAVE for the guest needs no mapping. */
	if (!kvm_cpu_has(X86_FEATURE_SVM) || get_kvm_amd_param_integer("vls")) {
		pr_info("Skipping VMSAVE, which KVM does not emulate\n");
		return 0;
	}
	test_vmsave();
	test_end_of_nesting();
	return 0;
}
