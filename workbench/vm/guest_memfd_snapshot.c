// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshots for the VMM: the guest's memory and CPUs, and its clock. The devices
 * are in this process, and stay as they are. The memory is restored by write()
 * into the file, in parts that are not aligned to anything.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#include "guest_memfd_linux.h"

/* A prime. */
#define PART	1000003UL

struct snapshot {
	struct kvm_clock_data clock;
	u64 size;
	int image;
	u32 nr_vcpus;
	struct {
		struct kvm_x86_state *state;
		struct kvm_lapic_state lapic;
		u64 deadline;
	} vcpus[];
};

/* Through the VMM's own mapping, as it would write to a disk. */
static int save_memory(const void *mem, u64 size)
{
	int image = memfd_create("snapshot", 0);
	ssize_t len;

	TEST_ASSERT(image >= 0, "memfd_create() fails: %s", strerror(errno));
	for (u64 done = 0; done < size; done += len) {
		len = write(image, mem + done, size - done);
		TEST_ASSERT(len > 0, "The memory can't be saved: %s", strerror(errno));
	}
	return image;
}

static void restore_memory(int image, u64 size, int mem_fd)
{
	void *saved = mmap(NULL, size, PROT_READ, MAP_SHARED, image, 0);
	ssize_t len;

	TEST_ASSERT(saved != MAP_FAILED, "mmap() fails: %s", strerror(errno));
	for (u64 done = 0; done < size; done += len) {
		len = pwrite(mem_fd, saved + done, min_t(u64, PART, size - done), done);
		TEST_ASSERT(len > 0, "The memory can't be restored: %s", strerror(errno));
	}
	munmap(saved, size);
	close(image);
}

struct snapshot *take_snapshot(struct kvm_vm *vm, struct kvm_vcpu **vcpus,
			       u32 nr_vcpus, const void *mem, u64 size)
{
	struct snapshot *snapshot = calloc(1, struct_size(snapshot, vcpus, nr_vcpus));

	TEST_ASSERT(snapshot, "calloc() fails");
	snapshot->size = size;
	snapshot->nr_vcpus = nr_vcpus;
	/* What completes an access to a device may write to the memory. */
	for (u32 i = 0; i < nr_vcpus; i++) {
		snapshot->vcpus[i].state = vcpu_save_state(vcpus[i]);
		snapshot->vcpus[i].deadline = vcpu_get_msr(vcpus[i], MSR_IA32_TSC_DEADLINE);
		vcpu_ioctl(vcpus[i], KVM_GET_LAPIC, &snapshot->vcpus[i].lapic);
	}
	vm_ioctl(vm, KVM_GET_CLOCK, &snapshot->clock);
	snapshot->image = save_memory(mem, size);
	return snapshot;
}

void restore_snapshot(struct snapshot *snapshot, struct kvm_vm *vm,
		      struct kvm_vcpu **vcpus, int mem_fd)
{
	/* Before any vCPU can write its clock to it. */
	restore_memory(snapshot->image, snapshot->size, mem_fd);
	snapshot->clock.flags = 0;
	vm_ioctl(vm, KVM_SET_CLOCK, &snapshot->clock);
	for (u32 i = 0; i < snapshot->nr_vcpus; i++) {
		vcpu_load_state(vcpus[i], snapshot->vcpus[i].state);
		vcpu_ioctl(vcpus[i], KVM_SET_LAPIC, &snapshot->vcpus[i].lapic);
		/* Counts only once the local APIC has the timer in this mode. */
		vcpu_set_msr(vcpus[i], MSR_IA32_TSC_DEADLINE, snapshot->vcpus[i].deadline);
		kvm_x86_state_cleanup(snapshot->vcpus[i].state);
	}
	free(snapshot);
}
