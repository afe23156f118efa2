// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who splits the direct map. The kernel counts splits, but not for whom. Each of
 * them is followed by flush_tlb_all(), under the same spinlock, so a probe there
 * looks at the counter of its CPU, and at who called.
 */

#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/stacktrace.h>
#include <linux/string.h>
#include <linux/vmstat.h>

#include "check.h"

enum cause { TEXT, DATA, OTHERS, NR_CAUSES };

static const char * const cause_names[] = { "text", "data", "others" };
static_assert(ARRAY_SIZE(cause_names) == NR_CAUSES);

/* The nearest caller whose name begins so decides. */
static const struct caller {
	const char *name;
	enum cause cause;
} callers[] = {
	{ "execmem_", TEXT },
	{ "module_memory_restore_rox", TEXT },
	{ "module_enable_text_rox", TEXT },
	{ "bpf_", TEXT },
	{ "arch_ftrace_", TEXT },
	{ "ftrace_", TEXT },
	{ "alloc_insn_page", TEXT },
	{ "module_enable_", DATA },
	/* VM_FLUSH_RESET_PERMS, which no area of the cache has */
	{ "vfree", DATA },
	{ "remove_vm_area", DATA },
};

static DEFINE_RAW_SPINLOCK(lock);
static unsigned long splits[NR_CAUSES];	/* protected by lock */
static unsigned long seen[NR_CPUS];	/* protected by lock: all that are told of */
static unsigned long at_init;

static unsigned long count_splits_on(int cpu)
{
	const struct vm_event_state *events = &per_cpu(vm_event_states, cpu);

	return READ_ONCE(events->event[DIRECT_MAP_LEVEL2_SPLIT]) +
	       READ_ONCE(events->event[DIRECT_MAP_LEVEL3_SPLIT]);
}

static unsigned long count_splits(void)
{
	unsigned long sum = 0;
	int cpu;

	for_each_online_cpu(cpu)
		sum += count_splits_on(cpu);
	return sum;
}

/* What has happened on a CPU since it was last looked at. */
static unsigned long take_splits_on(int cpu)
{
	unsigned long now = count_splits_on(cpu), was = seen[cpu];

	lockdep_assert_held(&lock);

	seen[cpu] = now;
	return now - was;
}

static enum cause cause_of(unsigned long addr)
{
	char buf[KSYM_SYMBOL_LEN];
	const char *name = buf;
	int i;

	sprint_symbol_no_offset(buf, addr);
	name += strspn(name, "_");
	for (i = 0; i < ARRAY_SIZE(callers); i++)
		if (str_has_prefix(name, callers[i].name))
			return callers[i].cause;
	return OTHERS;
}

static struct kprobe probe;

static enum cause cause_of_call(void)
{
	unsigned long stack[32];
	unsigned int nr = stack_trace_save(stack, ARRAY_SIZE(stack), 0), i = 0;
	enum cause cause = OTHERS;

	/* How the probe came here is on the stack, too: ftrace, before the function. */
	while (i < nr && stack[i] - (unsigned long)probe.addr >= 16)
		i++;
	if (WARN_ON_ONCE(i == nr))
		return OTHERS;
	for (i++; i < nr && cause == OTHERS; i++)
		cause = cause_of(stack[i]);
	return cause;
}

static int before_flush(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned long flags, nr_splits;
	enum cause cause;

	raw_spin_lock_irqsave(&lock, flags);
	nr_splits = take_splits_on(smp_processor_id());
	if (nr_splits) {
		cause = cause_of_call();
		splits[cause] += nr_splits;
	}
	raw_spin_unlock_irqrestore(&lock, flags);
	return 0;
}

static struct kprobe probe = {
	.symbol_name	= "flush_tlb_all",
	.pre_handler	= before_flush,
};

static int splits_show(struct seq_file *m, void *v)
{
	int i;

	for (i = 0; i < NR_CAUSES; i++)
		seq_printf(m, "%s %lu\n", cause_names[i], READ_ONCE(splits[i]));
	seq_printf(m, "all %lu\nmissed %lu\n", count_splits() - at_init, probe.nmissed);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(splits);

int splits_init(struct dentry *dir)
{
	int cpu;

	at_init = count_splits();
	for_each_possible_cpu(cpu)
		seen[cpu] = count_splits_on(cpu);
	debugfs_create_file("splits", 0400, dir, NULL, &splits_fops);
	return register_kprobe(&probe);
}

void splits_exit(void)
{
	unregister_kprobe(&probe);
}
