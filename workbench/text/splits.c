// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who splits the direct map. The kernel counts splits, but not for whom. All of
 * them happen in one function, so a probe looks at who called that, and at the
 * counter when it returns. With several CPUs, a split is now and then put down to
 * somebody who changed the map at the same moment.
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
static unsigned long seen;		/* protected by lock: all that are told of */
static unsigned long at_init;

static unsigned long count_splits(void)
{
	unsigned long sum = 0;
	int cpu;

	for_each_online_cpu(cpu) {
		const struct vm_event_state *events = &per_cpu(vm_event_states, cpu);

		sum += READ_ONCE(events->event[DIRECT_MAP_LEVEL2_SPLIT]) +
		       READ_ONCE(events->event[DIRECT_MAP_LEVEL3_SPLIT]);
	}
	return sum;
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

static struct kretprobe probe;

static int entered(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	enum cause *cause = (enum cause *)instance->data;
	unsigned long stack[32];
	unsigned int nr = stack_trace_save(stack, ARRAY_SIZE(stack), 0), i = 0;

	*cause = OTHERS;
	/* How the probe came here is on the stack, too: ftrace, before the function. */
	while (i < nr && stack[i] - (unsigned long)probe.kp.addr >= 16)
		i++;
	if (WARN_ON_ONCE(i == nr))
		return 0;
	for (i++; i < nr && *cause == OTHERS; i++)
		*cause = cause_of(stack[i]);
	return 0;
}

static int returned(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	enum cause *cause = (enum cause *)instance->data;
	unsigned long flags, now;

	raw_spin_lock_irqsave(&lock, flags);
	now = count_splits();
	splits[*cause] += now - seen;
	seen = now;
	raw_spin_unlock_irqrestore(&lock, flags);
	return 0;
}

static struct kretprobe probe = {
	.kp.symbol_name	= "__change_page_attr_set_clr",
	.entry_handler	= entered,
	.handler	= returned,
	.data_size	= sizeof(enum cause),
	.maxactive	= 64,
};

static int splits_show(struct seq_file *m, void *v)
{
	int i;

	for (i = 0; i < NR_CAUSES; i++)
		seq_printf(m, "%s %lu\n", cause_names[i], READ_ONCE(splits[i]));
	seq_printf(m, "all %lu\nmissed %d\n", count_splits() - at_init, probe.nmissed);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(splits);

int splits_init(struct dentry *dir)
{
	at_init = count_splits();
	seen = at_init;
	debugfs_create_file("splits", 0400, dir, NULL, &splits_fops);
	return register_kretprobe(&probe);
}

void splits_exit(void)
{
	unregister_kretprobe(&probe);
}
