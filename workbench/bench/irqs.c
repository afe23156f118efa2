// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of QEMU's: for how many instructions interrupts are off in some
 * functions of the kernel, at most. Loaded by
 *
 *	-plugin irqs.so,functions=FILE,out=FILE
 *
 * into a VM with one CPU. The first file has a function a line: where it starts,
 * its size, both in hexadecimal, and its name. The second is written in the end:
 * a function a line, and the most for which interrupts were off from when it was
 * the first of them to run until the last of them had run; then the number of
 * times that this was so.
 *
 * The CPU's flags are looked at whenever a block of code (what the emulator
 * translates at once) starts. So a count is off by at most the two blocks in
 * which interrupts are switched.
 *
 * No package has QEMU's header, so what is used of it is declared here: plugin
 * interface 2, of QEMU 9.0 and later (include/qemu/qemu-plugin.h).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EFLAGS_IF	0x200
#define KERNEL		0xffff800000000000ULL

struct qemu_plugin_tb;
struct qemu_info;
struct qemu_plugin_register;

/* GLib's GArray and GByteArray. */
struct array {
	void *data;
	unsigned int len;
};

struct register_descriptor {
	struct qemu_plugin_register *handle;
	const char *name;
	const char *feature;
};

enum { CB_NO_REGS, CB_R_REGS };

void qemu_plugin_register_vcpu_init_cb(uint64_t id, void (*call)(uint64_t id, unsigned int cpu));
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*call)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*call)(unsigned int cpu, void *data),
					  int flags, void *data);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*call)(uint64_t id, void *data), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct array *qemu_plugin_get_registers(void);
int qemu_plugin_read_register(struct qemu_plugin_register *handle, struct array *bytes);
struct array *g_byte_array_new(void);
struct array *g_byte_array_set_size(struct array *bytes, unsigned int size);

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 2;
EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv);

struct function {
	uint64_t start, size;
	char name[128];
	uint64_t most, times;
};

struct block {
	uint64_t length;
	struct function *function;
};

static struct function *functions;
static size_t nr_functions;
static FILE *out;
static struct qemu_plugin_register *eflags;
static struct array *bytes;

/* Since interrupts are off. */
static uint64_t executed, began, ended;
static struct function *first;

static struct function *find_function(uint64_t address)
{
	size_t i;

	for (i = 0; i < nr_functions; i++)
		if (address - functions[i].start < functions[i].size)
			return &functions[i];
	return NULL;
}

static bool interrupts_on(void)
{
	uint32_t flags;

	g_byte_array_set_size(bytes, 0);
	if (qemu_plugin_read_register(eflags, bytes) < (int)sizeof(flags))
		abort();
	memcpy(&flags, bytes->data, sizeof(flags));
	return flags & EFLAGS_IF;
}

static void end_section(void)
{
	if (first) {
		first->times++;
		if (ended - began > first->most)
			first->most = ended - began;
	}
	executed = 0;
	first = NULL;
}

static void run_block(unsigned int cpu, void *data)
{
	const struct block *block = data;

	(void)cpu;
	if (interrupts_on()) {
		end_section();
		return;
	}
	if (block->function && !first) {
		first = block->function;
		began = executed;
	}
	executed += block->length;
	if (block->function)
		ended = executed;
}

static void run_user(unsigned int cpu, void *data)
{
	(void)cpu;
	(void)data;
	end_section();
}

static void translate(uint64_t id, struct qemu_plugin_tb *tb)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	struct block *block;

	(void)id;
	if (address < KERNEL) {
		qemu_plugin_register_vcpu_tb_exec_cb(tb, run_user, CB_NO_REGS, NULL);
		return;
	}
	/* As long as the emulator keeps the code, and it does not say for how long. */
	block = malloc(sizeof(*block));
	if (!block)
		abort();
	block->length = qemu_plugin_tb_n_insns(tb);
	block->function = find_function(address);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, run_block, CB_R_REGS, block);
}

static void start_cpu(uint64_t id, unsigned int cpu)
{
	const struct array *registers = qemu_plugin_get_registers();
	const struct register_descriptor *descriptors = registers->data;
	unsigned int i;

	(void)id;
	for (i = 0; i < registers->len; i++)
		if (!strcmp(descriptors[i].name, "eflags"))
			eflags = descriptors[i].handle;
	if (!eflags || cpu) {
		fprintf(stderr, "irqs: the CPU has no eflags, or there are several\n");
		abort();
	}
}

static void print(uint64_t id, void *data)
{
	size_t i;

	(void)id;
	(void)data;
	for (i = 0; i < nr_functions; i++)
		if (functions[i].times)
			fprintf(out, "%s %lu %lu\n", functions[i].name,
				(unsigned long)functions[i].most, (unsigned long)functions[i].times);
	fclose(out);
}

static bool read_functions(const char *path)
{
	FILE *file = fopen(path, "r");
	struct function one = { 0 };

	if (!file)
		return false;
	while (fscanf(file, "%lx %lx %127s\n", &one.start, &one.size, one.name) == 3) {
		functions = realloc(functions, (nr_functions + 1) * sizeof(one));
		if (!functions)
			abort();
		functions[nr_functions++] = one;
	}
	fclose(file);
	return nr_functions;
}

int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "functions=", 10) && !read_functions(argv[i] + 10))
			fprintf(stderr, "irqs: no functions in %s\n", argv[i] + 10);
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
	}
	if (!nr_functions || !out)
		return 1;
	bytes = g_byte_array_new();
	qemu_plugin_register_vcpu_init_cb(id, start_cpu);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, print, NULL);
	return 0;
}
