// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it costs to populate a guest's memory, and to give it back.
 *
 *	gmem mapped|unmapped MIB
 *
 * Prints ticks of rdtsc a page: with QEMU's -icount shift=0, instructions. The
 * first touch by a guest is KVM_PRE_FAULT_MEMORY, which does for a page what a
 * guest's page fault does, without running the guest.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#define PAGE	4096UL

#ifndef GUEST_MEMFD_FLAG_NO_DIRECT_MAP
#define GUEST_MEMFD_FLAG_NO_DIRECT_MAP	(1ULL << 2)
#endif

static const char *kind;
static unsigned long size;

/* A VM that has the memory at 0, and its only CPU. */
struct guest {
	int vm, vcpu, fd;
	void *mem;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void check(int ret, const char *what)
{
	if (ret < 0)
		fail(what);
}

static struct guest make_guest(unsigned long long flags)
{
	struct kvm_create_guest_memfd create = { .size = size, .flags = flags };
	struct kvm_userspace_memory_region2 region = {
		.flags = KVM_MEM_GUEST_MEMFD,
		.memory_size = size,
	};
	int kvm = open("/dev/kvm", O_RDWR);
	struct guest guest;

	check(kvm, "/dev/kvm");
	guest.vm = ioctl(kvm, KVM_CREATE_VM, 0);
	check(guest.vm, "KVM_CREATE_VM");
	guest.fd = ioctl(guest.vm, KVM_CREATE_GUEST_MEMFD, &create);
	check(guest.fd, "KVM_CREATE_GUEST_MEMFD");
	guest.mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
			 guest.fd, 0);
	if (guest.mem == MAP_FAILED)
		fail("mmap");
	region.userspace_addr = (unsigned long)guest.mem;
	region.guest_memfd = guest.fd;
	check(ioctl(guest.vm, KVM_SET_USER_MEMORY_REGION2, &region), "memory region");
	guest.vcpu = ioctl(guest.vm, KVM_CREATE_VCPU, 0);
	check(guest.vcpu, "KVM_CREATE_VCPU");
	close(kvm);
	return guest;
}

static void allocate(struct guest *guest)
{
	check(fallocate(guest->fd, FALLOC_FL_KEEP_SIZE, 0, size), "fallocate");
}

static void fault(struct guest *guest)
{
	struct kvm_pre_fault_memory range = { .gpa = 0, .size = size };

	while (range.size)
		check(ioctl(guest->vcpu, KVM_PRE_FAULT_MEMORY, &range), "pre-fault");
}

static void touch(struct guest *guest)
{
	volatile char *mem = guest->mem;
	unsigned long i;

	for (i = 0; i < size; i += PAGE)
		mem[i] = 1;
}

static void end_guest(struct guest *guest)
{
	munmap(guest->mem, size);
	close(guest->vcpu);
	close(guest->vm);
	close(guest->fd);
}

static void print(const char *what, unsigned long long ticks)
{
	printf("gmem-%s-%s %.2f\n", kind, what, (double)ticks * PAGE / size);
}

/* Populate a new guest's memory in one way, or in two, one after the other. */
static void measure(unsigned long long flags, const char *what,
		    void (*first)(struct guest *), void (*then)(struct guest *))
{
	struct guest guest = make_guest(flags);
	unsigned long long start = __rdtsc();

	first(&guest);
	if (then)
		then(&guest);
	print(what, __rdtsc() - start);
	if (!then && first == fault) {
		start = __rdtsc();
		end_guest(&guest);
		print("end", __rdtsc() - start);
	} else {
		end_guest(&guest);
	}
}

int main(int argc, char **argv)
{
	unsigned long long flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED;

	if (argc != 3 || (strcmp(argv[1], "mapped") && strcmp(argv[1], "unmapped")) ||
	    !(size = strtoul(argv[2], NULL, 10) << 20)) {
		fprintf(stderr, "usage: gmem mapped|unmapped MIB\n");
		return 2;
	}
	kind = argv[1];
	if (!strcmp(kind, "unmapped"))
		flags |= GUEST_MEMFD_FLAG_NO_DIRECT_MAP;
	measure(flags, "fallocate-fault", allocate, fault);
	measure(flags, "fault", fault, NULL);
	measure(flags, "touch", touch, NULL);
	return 0;
}
