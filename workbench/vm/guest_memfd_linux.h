/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the VMM have in common. */
#ifndef GUEST_MEMFD_LINUX_H
#define GUEST_MEMFD_LINUX_H

#include <stdarg.h>
#include <stdbool.h>

#include <linux/compiler.h>
#include <linux/types.h>

struct kvm_vm;
struct kvm_vcpu;
struct snapshot;

void __printf(1, 2) say(const char *fmt, ...);

/* guest_memfd_balloon.c; all called with the devices' lock held */
void balloon_init(void *mem, u64 size, int fd, void (*raise_irq)(void));
void balloon_mmio(u64 offset, bool write, u8 *data, u32 len);
void balloon_pump(u32 nr_pages);
void balloon_tell(void);

/* guest_memfd_snapshot.c; called while no vCPU runs */
struct snapshot *take_snapshot(struct kvm_vm *vm, struct kvm_vcpu **vcpus,
			       u32 nr_vcpus, const void *mem, u64 size);
void restore_snapshot(struct snapshot *snapshot, struct kvm_vm *vm,
		      struct kvm_vcpu **vcpus, int mem_fd);

#endif
