// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it costs to populate a guest's memory, and to give it back.
 *
 *	gmem mapped|unmapped|perpage KIB [WAY]...
 *
 * unmapped: the memory is without a direct map. perpage: it has one, of which
 * each page is removed by itself once it is there, and put back when the guest
 * ends; the bench module does that, see perpage.c.
 *
 * Populates it in these ways (see below; default all), each with a new guest.
 * Prints ticks of rdtsc a page: with QEMU's -icount shift=0, instructions. The
 * first touch by a guest is KVM_PRE_FAULT_MEMORY, which does for a page what a
 * guest's page fault does, without running the guest. The end is CPU time, in ns:
 * when a VM ends it also waits, for grace periods of SRCU, which has nothing to
 * do with its memory. QEMU's counter has 10^9 ticks a second.
 *
 * Exits with 3 if the kernel does not offer what is asked for.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define PAGE	4096UL

#ifndef GUEST_MEMFD_FLAG_NO_DIRECT_MAP
#define GUEST_MEMFD_FLAG_NO_DIRECT_MAP	(1ULL << 2)
#endif

static const char *kind;
static unsigned long size;
/* Files of the bench module; -1 if not the per-page way. */
static int unmap_file = -1, map_file = -1;

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

/* Tell the bench module to do something with the pages of a guest. */
static void tell(int file, struct guest *guest)
{
	char fd[16];

	if (file < 0)
		return;
	snprintf(fd, sizeof(fd), "%d", guest->fd);
	check(write(file, fd, strlen(fd)), "the bench module");
}

static int open_file(const char *name)
{
	int fd = open(name, O_WRONLY);

	check(fd, name);
	return fd;
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

static unsigned long long cpu_time(void)
{
	struct timespec time;

	check(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time), "clock_gettime");
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static void print(const char *what, unsigned long long ticks)
{
	printf("gmem-%s-%s %.2f\n", kind, what, (double)ticks * PAGE / size);
}

/* A way of populating a guest's memory: one step or two. */
static const struct way {
	const char *name;
	void (*first)(struct guest *guest);
	void (*then)(struct guest *guest);
	const char *end;	/* its end is measured under this name */
} ways[] = {
	{ "fallocate", allocate, NULL, "fallocate-end" },
	{ "fallocate-fault", allocate, fault, NULL },
	{ "fault", fault, NULL, "end" },
	{ "touch", touch, NULL, NULL },
};

/* Entries of the guest's page tables, of all sizes; no other guest runs. */
static void print_entries(const char *way)
{
	static const char * const sizes[] = { "4k", "2m", "1g" };
	unsigned long nr, sum = 0;
	char name[64];
	FILE *f;
	int i;

	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "/sys/kernel/debug/kvm/pages_%s", sizes[i]);
		f = fopen(name, "r");
		if (!f || fscanf(f, "%lu", &nr) != 1)
			fail(name);
		fclose(f);
		sum += nr;
	}
	printf("gmem-%s-%s-entries %lu entries\n", kind, way, sum);
}

static void measure(unsigned long long flags, const struct way *way)
{
	struct guest guest = make_guest(flags);
	unsigned long long start = __rdtsc();

	way->first(&guest);
	if (way->then)
		way->then(&guest);
	/* KVM clears a page at the first fault on it, through the direct map. */
	tell(unmap_file, &guest);
	print(way->name, __rdtsc() - start);
	print_entries(way->name);

	start = cpu_time();
	tell(map_file, &guest);
	end_guest(&guest);
	if (way->end)
		print(way->end, cpu_time() - start);
}

static bool offered(unsigned long long flags)
{
	int kvm = open("/dev/kvm", O_RDWR), all;

	check(kvm, "/dev/kvm");
	all = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_GUEST_MEMFD_FLAGS);
	check(all, "KVM_CAP_GUEST_MEMFD_FLAGS");
	close(kvm);
	return (all & flags) == flags;
}

static bool wanted(const struct way *way, int argc, char **argv)
{
	int i;

	for (i = 3; i < argc; i++)
		if (!strcmp(argv[i], way->name))
			return true;
	return argc <= 3;
}

int main(int argc, char **argv)
{
	unsigned long long flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED;
	unsigned int i;

	size = argc > 2 ? strtoul(argv[2], NULL, 10) << 10 : 0;
	if (!size || (strcmp(argv[1], "mapped") && strcmp(argv[1], "unmapped") &&
		      strcmp(argv[1], "perpage"))) {
		fprintf(stderr, "usage: gmem mapped|unmapped|perpage KIB [WAY]...\n");
		return 2;
	}
	kind = argv[1];
	if (!strcmp(kind, "unmapped"))
		flags |= GUEST_MEMFD_FLAG_NO_DIRECT_MAP;
	if (!offered(flags)) {
		fprintf(stderr, "gmem: this kernel does not offer the flags %llx\n", flags);
		return 3;
	}
	if (!strcmp(kind, "perpage")) {
		unmap_file = open_file("/sys/kernel/debug/unmapped_bench/unmap");
		map_file = open_file("/sys/kernel/debug/unmapped_bench/map");
	}
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (wanted(&ways[i], argc, argv))
			measure(flags, &ways[i]);
	return 0;
}
