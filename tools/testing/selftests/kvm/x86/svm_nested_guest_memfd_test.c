// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM maps the VMCBs of nested guests to read and write them.  Check that it
 * uses the page that the guest currently has, for all kinds of memory, even
 * though KVM may keep mappings for a while.
 */
#include "test_util.h"
#include "kvm_util.h"
#include "processor.h"
#include "svm_util.h"

/* More than the number of mappings that KVM keeps. */
#define NR_VMCBS	40
#define NR_ROUNDS	4

static void l2_guest_code(void)
{
	GUEST_SYNC(0);
	vmmcall();
}

static void run_vmcb(struct svm_test_data *svm, bool replaced)
{
	struct vmcb_control_area *control = &svm->vmcb->control;

	generic_svm_setup(svm, l2_guest_code);
	run_guest(svm->vmcb, svm->vmcb_gpa);

	GUEST_ASSERT_EQ(control->exit_code, SVM_EXIT_VMMCALL);
	/* On exit, KVM does not write the fields that control L2. */
	GUEST_ASSERT_EQ(!control->intercept, replaced);
}

static void l1_guest_code(struct svm_test_data *svm, u8 *vmcbs, gpa_t gpa)
{
	int round, i;

	for (round = 0; round < NR_ROUNDS; round++) {
		for (i = 0; i < NR_VMCBS; i++) {
			svm->vmcb = (struct vmcb *)(vmcbs + i * PAGE_SIZE);
			svm->vmcb_gpa = gpa + i * PAGE_SIZE;
			run_vmcb(svm, round & 1);
		}
	}
	GUEST_DONE();
}

/* Replace the page at @gpa with a zeroed one. */
static void replace_page(struct kvm_vm *vm, gpa_t gpa)
{
	struct userspace_mem_region *region = memslot2region(vm, 0);

	if (region->region.flags & KVM_MEM_GUEST_MEMFD)
		vm_guest_mem_punch_hole(vm, gpa, PAGE_SIZE);
	else
		kvm_madvise(addr_gpa2hva(vm, gpa), PAGE_SIZE, MADV_DONTNEED);
}

static void test_vmcbs(struct vm_shape shape)
{
	struct kvm_vcpu *vcpu;
	gva_t svm_gva, gva;
	struct kvm_vm *vm;
	struct ucall uc;
	int nr = 0;
	gpa_t gpa;

	vm = vm_create_shape_with_one_vcpu(shape, &vcpu, l1_guest_code);
	vcpu_alloc_svm(vm, &svm_gva);
	gva = vm_alloc(vm, NR_VMCBS * PAGE_SIZE, KVM_UTIL_MIN_VADDR);
	gpa = addr_gva2gpa(vm, gva);
	vcpu_args_set(vcpu, 3, svm_gva, gva, gpa);

	for (;;) {
		vcpu_run(vcpu);
		TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);

		if (get_ucall(vcpu, &uc) != UCALL_SYNC)
			break;

		/* L2 runs with the VMCB that it was started with. */
		if ((nr / NR_VMCBS) & 1)
			replace_page(vm, gpa + nr % NR_VMCBS * PAGE_SIZE);
		nr++;
	}

	if (uc.cmd == UCALL_ABORT)
		REPORT_GUEST_ASSERT(uc);
	TEST_ASSERT_EQ(uc.cmd, UCALL_DONE);
	TEST_ASSERT_EQ(nr, NR_ROUNDS * NR_VMCBS);

	kvm_vm_free(vm);
}

int main(int argc, char *argv[])
{
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_SVM));

	run_for_vm_src_types(test_vmcbs);
	return 0;
}
