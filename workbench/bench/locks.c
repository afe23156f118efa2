// SPDX-License-Identifier: GPL-2.0-only
/*
 * How often the zones' locks are taken, the page allocator's and those of the
 * unmapped page allocator, whose files zone_locks and unmapped_zone_locks in the
 * module's directory in debugfs are.
 *
 * A probe of the function that takes them all looks which lock it is. Locks that
 * are only tried, for who must not wait, go another way and are not counted.
 */

#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/kprobes.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>

#include "bench.h"
#ifdef CONFIG_UNMAPPED_ALLOC
#include "unmapped-alloc.h"
#endif

#define MAX_LOCKS	32

static struct {
	unsigned long lock;
	atomic_t *count;
} locks[MAX_LOCKS];

static unsigned int nr_locks;
static atomic_t zone_locks, unmapped_zone_locks;

static int count_lock(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned long lock = regs_get_kernel_argument(regs, 0);
	unsigned int i;

	for (i = 0; i < nr_locks; i++)
		if (locks[i].lock == lock)
			atomic_inc(locks[i].count);
	return 0;
}

static struct kprobe lock_probe = {
	.symbol_name = "_raw_spin_lock_irqsave",
	.pre_handler = count_lock,
};

static int watch(spinlock_t *lock, atomic_t *count)
{
	if (nr_locks == MAX_LOCKS)
		return -ENOSPC;
	locks[nr_locks].lock = (unsigned long)lock;
	locks[nr_locks++].count = count;
	return 0;
}

static int watch_unmapped_zones(int nid)
{
	int err = 0;
#ifdef CONFIG_UNMAPPED_ALLOC
	struct unmapped_node **nodes = bench_lookup("unmapped_nodes");
	int i;

	if (!nodes || !nodes[nid])
		return -ENOENT;
	for (i = 0; i < UNMAPPED_NR_ZONES && !err; i++)
		err = watch(&nodes[nid]->zones[i].lock, &unmapped_zone_locks);
#endif
	return err;
}

/**
 * bench_locks() - count from now on
 * @dir: where the files of the counts are made.
 *
 * Return: 0 or an error.
 */
int bench_locks(struct dentry *dir)
{
	int nid, i, err = 0;

	for_each_online_node(nid) {
		for (i = 0; i < MAX_NR_ZONES && !err; i++)
			err = watch(&NODE_DATA(nid)->node_zones[i].lock, &zone_locks);
		err = err ?: watch_unmapped_zones(nid);
	}
	debugfs_create_atomic_t("zone_locks", 0444, dir, &zone_locks);
	debugfs_create_atomic_t("unmapped_zone_locks", 0444, dir, &unmapped_zone_locks);
	return err ?: register_kprobe(&lock_probe);
}

/**
 * bench_locks_exit() - count no longer, if anything is counted
 */
void bench_locks_exit(void)
{
	if (lock_probe.addr)
		unregister_kprobe(&lock_probe);
}
