// SPDX-License-Identifier: GPL-2.0-only
/*
 * Boot Linux on the memory of a guest_memfd file.
 *
 * Tests of guest_memfd usually run a few instructions in the guest. This is a
 * small VMM that runs a stock kernel instead, so that everything a real guest
 * makes KVM do with its memory (page faults of many CPUs, kvm-clock, steal
 * time, emulated instructions) is done to memory of a guest_memfd file. All of
 * the guest's memory is one memslot, bound to the file; kernel and initramfs
 * are written through this program's mapping of the file, and nothing else.
 *
 * The guest sees: local APICs (in KVM) and an I/O APIC (below), two 16550s,
 * and as much of ACPI as it takes to find its CPUs and to power off. There is
 * no PCI, PIC, PIT, RTC or keyboard; time comes from kvm-clock. There can be a
 * balloon, see guest_memfd_balloon.c.
 *
 * COM1 is the guest's console: this program's stdout and stdin. COM2 is how the
 * guest's programs talk to this one, in lines:
 *
 *	checkpoint N	call at_checkpoint(N), then answer "go on"; at 0, a snapshot
 *			can be taken and restored, see guest_memfd_snapshot.c
 *	result N	the exit status of this program
 *
 * A guest that may use I/O ports can write the number N to a port instead.
 * Its CPU then waits until at_checkpoint() is done; the other CPUs run on.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <asm/bootparam.h>
#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/kvm.h>
#include <linux/serial_reg.h>
#include <linux/sizes.h>

#include "kselftest.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#include "guest_memfd_linux.h"

/* The guest's memory, from 0. What is below EBDA and from KERNEL is RAM. */
#define GPA_ZERO_PAGE	0x7000
#define GPA_CMDLINE	0x8000
#define GPA_EBDA	0x9fc00
#define GPA_ACPI	0xe0000
#define GPA_KERNEL	0x100000
#define GPA_IOAPIC	0xfec00000
#define GPA_LAPIC	0xfee00000
#define GPA_BALLOON	0xfe000000
/* For KVM on Intel: three pages for real mode, which the guest never sees. */
#define GPA_TSS		0xfffbd000

#define PORT_KBD	0x64
#define PORT_RESULT	0xf4
#define PORT_CHECKPOINT	0xf5
#define PORT_COM2	0x2f8
#define PORT_COM1	0x3f8
#define PORT_PM1_EVENT	0x600
#define PORT_PM1_CTRL	0x604

#define IRQ_COM2	3
#define IRQ_COM1	4
#define IRQ_BALLOON	5
#define IRQ_SCI		9

#define KBD_RESET	0xfe
#define PM1_SLP_EN	BIT(13)

#define MIN_MIB		64
#define MAX_MIB		3072	/* What is above has APICs in it. */
#define MAX_CPUS	64

#define IOAPIC_PINS	24

enum end {
	END_NONE,
	END_POWER_OFF,
	END_RESET,
	END_TRIPLE_FAULT,
};

static struct {
	const char *kernel;
	const char *initramfs;
	const char *append;
	u64 size;
	u32 cpus;
	u64 flags;
	bool wait;
	bool populate;
	bool snapshot;
	u64 balloon;
	int timeout;
} opts = {
	.append = "",
	.size = SZ_256M,
	.cpus = 2,
	.flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
	.timeout = -1,
};

struct uart {
	u16 port;
	u8 irq;
	u8 ier, fcr, lcr, mcr, scratch, dll, dlm;
	bool thr_irq;		/* "transmitter is empty" was not yet seen */
	u8 rx[64];
	u32 rx_at, rx_len;
};

static struct uart com1 = { .port = PORT_COM1, .irq = IRQ_COM1 };
static struct uart com2 = { .port = PORT_COM2, .irq = IRQ_COM2 };

static struct {
	u32 select;
	u32 lines;		/* the level of each pin */
	u64 redirect[IOAPIC_PINS];
} ioapic;

/* Protects the devices: the UARTs, the I/O APIC and the balloon. */
static pthread_mutex_t devices = PTHREAD_MUTEX_INITIALIZER;

static struct kvm_vm *vm;
static int mem_fd;
static void *mem;		/* this program's mapping of the file */

static struct kvm_vcpu *vcpus[MAX_CPUS];
static pthread_t threads[MAX_CPUS];
static bool stopped;		/* the vCPUs' threads are to end */

/*
 * From the vCPUs' threads to main(): what the guest writes to COM2, and a 0
 * byte to have main() look at the state again.
 */
static int events[2];

static enum end ended;
static int result = -1;

static void tell_main(u8 byte)
{
	TEST_ASSERT(write(events[1], &byte, 1) == 1, "write to a pipe");
}

/* The guest's console is on stdout; what this program says has its own lines. */
static bool in_line;

static void put_console(u8 byte)
{
	putchar(byte);
	in_line = byte != '\n';
}

void say(const char *fmt, ...)
{
	va_list args;

	if (in_line)
		put_console('\n');
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
}

/*
 * All of the guest's memory appears in the page tables of this process, where
 * others can look for it (/proc/<pid>/pagemap).
 */
static void map_all_memory(void)
{
	u8 *at = mem;

	for (u64 offset = 0; offset < opts.size; offset += PAGE_SIZE)
		(void)READ_ONCE(at[offset]);
}

/*
 * What a test wants to do while the guest is at a point that it knows. Called
 * by main(), with all CPUs running, or by the vCPU that wrote to the port.
 */
static void at_checkpoint(int number)
{
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
	char line[80];

	pthread_mutex_lock(&one);
	map_all_memory();
	say("checkpoint %d\n", number);
	if (opts.wait && !fgets(line, sizeof(line), stdin))
		say("# end of input; not waiting any more\n");
	pthread_mutex_unlock(&one);
}

/*
 * The I/O APIC. KVM has one, but only with CONFIG_KVM_IOAPIC; this one works
 * with every KVM. Interrupts are edge-triggered: nobody here needs more.
 */

#define IOAPIC_SELECT		0x00
#define IOAPIC_WINDOW		0x10
#define IOAPIC_REG_ID		0x00
#define IOAPIC_REG_VERSION	0x01
#define IOAPIC_REG_REDIRECT	0x10
#define IOAPIC_MASKED		BIT_ULL(16)

static void ioapic_deliver(u32 pin)
{
	u64 entry = ioapic.redirect[pin];
	struct kvm_msi msi = {
		.address_lo = GPA_LAPIC | (entry >> 56) << 12 |
			      (entry >> 11 & 1) << 2,
		.data = entry & 0x7ff,
	};

	if (entry & IOAPIC_MASKED)
		return;
	/* 0 is fine as well: the guest's APIC does not take it. */
	TEST_ASSERT(__vm_ioctl(vm, KVM_SIGNAL_MSI, &msi) >= 0,
		    KVM_IOCTL_ERROR(KVM_SIGNAL_MSI, -1));
}

static void ioapic_set_line(u32 pin, bool level)
{
	bool rises = level && !(ioapic.lines & BIT(pin));

	ioapic.lines &= ~BIT(pin);
	ioapic.lines |= level << pin;
	if (rises)
		ioapic_deliver(pin);
}

static u32 ioapic_read(u64 offset)
{
	u32 reg = ioapic.select, pin = (reg - IOAPIC_REG_REDIRECT) / 2;

	if (offset == IOAPIC_SELECT)
		return reg;
	if (offset != IOAPIC_WINDOW)
		return ~0;
	if (reg == IOAPIC_REG_ID)
		return 0;
	if (reg == IOAPIC_REG_VERSION)
		return (IOAPIC_PINS - 1) << 16 | 0x11;
	if (reg < IOAPIC_REG_REDIRECT || pin >= IOAPIC_PINS)
		return ~0;
	return ioapic.redirect[pin] >> (reg & 1 ? 32 : 0);
}

static void ioapic_write(u64 offset, u32 value)
{
	u32 reg = ioapic.select, pin = (reg - IOAPIC_REG_REDIRECT) / 2;
	int shift = reg & 1 ? 32 : 0;
	u64 old;

	if (offset == IOAPIC_SELECT)
		ioapic.select = value & 0xff;
	if (offset != IOAPIC_WINDOW || reg < IOAPIC_REG_REDIRECT ||
	    pin >= IOAPIC_PINS)
		return;

	old = ioapic.redirect[pin];
	ioapic.redirect[pin] = (old & ~(0xffffffffULL << shift)) |
			       (u64)value << shift;
	/* An edge that came while the pin was masked is not lost. */
	if ((old & ~ioapic.redirect[pin] & IOAPIC_MASKED) &&
	    (ioapic.lines & BIT(pin)))
		ioapic_deliver(pin);
}

static void init_ioapic(void)
{
	for (int pin = 0; pin < IOAPIC_PINS; pin++)
		ioapic.redirect[pin] = IOAPIC_MASKED;
}

/* The 16550s. A byte is on the line as soon as it is written. */

static u8 uart_iir(struct uart *uart)
{
	if ((uart->ier & UART_IER_RDI) && uart->rx_len)
		return UART_IIR_RDI;
	if ((uart->ier & UART_IER_THRI) && uart->thr_irq)
		return UART_IIR_THRI;
	return UART_IIR_NO_INT;
}

static void uart_update_irq(struct uart *uart)
{
	ioapic_set_line(uart->irq, uart_iir(uart) != UART_IIR_NO_INT);
}

static u8 uart_read_iir(struct uart *uart)
{
	u8 iir = uart_iir(uart);

	if (iir == UART_IIR_THRI)
		uart->thr_irq = false;
	if (uart->fcr & UART_FCR_ENABLE_FIFO)
		iir |= 0xc0;
	return iir;
}

/* Linux looks for the modem lines that are looped back. */
static u8 uart_msr(struct uart *uart)
{
	u8 mcr = uart->mcr;

	if (!(mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	return (mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
	       (mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) |
	       (mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) |
	       (mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0);
}

static u8 uart_pop(struct uart *uart)
{
	u8 byte;

	if (!uart->rx_len)
		return 0;
	byte = uart->rx[uart->rx_at++];
	if (!--uart->rx_len)
		tell_main(0);
	return byte;
}

static u8 uart_read_reg(struct uart *uart, u16 reg)
{
	bool dlab = uart->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		return dlab ? uart->dll : uart_pop(uart);
	case UART_IER:
		return dlab ? uart->dlm : uart->ier;
	case UART_IIR:
		return uart_read_iir(uart);
	case UART_LCR:
		return uart->lcr;
	case UART_MCR:
		return uart->mcr;
	case UART_LSR:
		return UART_LSR_THRE | UART_LSR_TEMT |
		       (uart->rx_len ? UART_LSR_DR : 0);
	case UART_MSR:
		return uart_msr(uart);
	default:
		return uart->scratch;
	}
}

static u8 uart_read(struct uart *uart, u16 reg)
{
	u8 byte;

	pthread_mutex_lock(&devices);
	byte = uart_read_reg(uart, reg);
	uart_update_irq(uart);
	pthread_mutex_unlock(&devices);
	return byte;
}

static void uart_write_ier(struct uart *uart, u8 byte)
{
	/* Enabling this interrupt raises it, as the transmitter is empty. */
	if (byte & ~uart->ier & UART_IER_THRI)
		uart->thr_irq = true;
	uart->ier = byte & 0x0f;
}

/* Returns whether the byte is to be sent. */
static bool uart_write_reg(struct uart *uart, u16 reg, u8 byte)
{
	bool dlab = uart->lcr & UART_LCR_DLAB;

	if (dlab && reg == UART_DLL) {
		uart->dll = byte;
	} else if (dlab && reg == UART_DLM) {
		uart->dlm = byte;
	} else if (reg == UART_TX) {
		/* The line falls and rises: each byte makes an edge. */
		uart->thr_irq = false;
		uart_update_irq(uart);
		uart->thr_irq = true;
		return !(uart->mcr & UART_MCR_LOOP);
	} else if (reg == UART_IER) {
		uart_write_ier(uart, byte);
	} else if (reg == UART_FCR) {
		uart->fcr = byte;
		if (byte & UART_FCR_CLEAR_RCVR)
			uart->rx_len = 0;
	} else if (reg == UART_LCR) {
		uart->lcr = byte;
	} else if (reg == UART_MCR) {
		uart->mcr = byte;
	} else if (reg == UART_SCR) {
		uart->scratch = byte;
	}
	return false;
}

static bool uart_write(struct uart *uart, u16 reg, u8 byte)
{
	bool send;

	pthread_mutex_lock(&devices);
	send = uart_write_reg(uart, reg, byte);
	uart_update_irq(uart);
	pthread_mutex_unlock(&devices);
	return send;
}

static bool uart_wants_input(struct uart *uart)
{
	bool wants;

	pthread_mutex_lock(&devices);
	wants = !uart->rx_len;
	pthread_mutex_unlock(&devices);
	return wants;
}

/* What does not fit is lost, as on a real line. */
static void uart_receive(struct uart *uart, const void *bytes, size_t len)
{
	pthread_mutex_lock(&devices);
	if (!uart->rx_len)
		uart->rx_at = 0;
	len = min(len, sizeof(uart->rx) - uart->rx_at - uart->rx_len);
	memcpy(uart->rx + uart->rx_at + uart->rx_len, bytes, len);
	uart->rx_len += len;
	uart_update_irq(uart);
	pthread_mutex_unlock(&devices);
}

/* Exits of the vCPUs. */

static void end_guest(enum end how)
{
	pthread_mutex_lock(&devices);
	if (ended == END_NONE)
		ended = how;
	pthread_mutex_unlock(&devices);
	tell_main(0);
}

static u8 port_read(u16 port)
{
	switch (port) {
	case PORT_COM1 ... PORT_COM1 + 7:
		return uart_read(&com1, port - PORT_COM1);
	case PORT_COM2 ... PORT_COM2 + 7:
		return uart_read(&com2, port - PORT_COM2);
	case PORT_PM1_EVENT ... PORT_PM1_CTRL + 1:
		/* No event. */
	case PORT_KBD:
		/* Ready for a command, as Linux waits for before a reset. */
		return 0;
	default:
		return 0xff;
	}
}

static void port_write(u16 port, u16 value)
{
	switch (port) {
	case PORT_COM1 ... PORT_COM1 + 7:
		if (uart_write(&com1, port - PORT_COM1, value))
			put_console(value);
		break;
	case PORT_COM2 ... PORT_COM2 + 7:
		if (uart_write(&com2, port - PORT_COM2, value) && value)
			tell_main(value);
		break;
	case PORT_PM1_CTRL:
		if (value & PM1_SLP_EN)
			end_guest(END_POWER_OFF);
		break;
	case PORT_KBD:
		if (value == KBD_RESET)
			end_guest(END_RESET);
		break;
	case PORT_RESULT:
		WRITE_ONCE(result, value);
		break;
	case PORT_CHECKPOINT:
		at_checkpoint(value);
		break;
	}
}

static void handle_io(struct kvm_run *run)
{
	u8 *data = (u8 *)run + run->io.data_offset;
	u16 value;

	for (u32 i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_IN) {
			for (u32 j = 0; j < run->io.size; j++)
				data[j] = port_read(run->io.port + j);
			continue;
		}
		value = data[0];
		if (run->io.size > 1)
			value |= data[1] << 8;
		port_write(run->io.port, value);
	}
}

static void handle_balloon(struct kvm_run *run)
{
	pthread_mutex_lock(&devices);
	balloon_mmio(run->mmio.phys_addr - GPA_BALLOON, run->mmio.is_write,
		     run->mmio.data, run->mmio.len);
	pthread_mutex_unlock(&devices);
}

static void handle_mmio(struct kvm_run *run)
{
	u64 offset = run->mmio.phys_addr - GPA_IOAPIC;
	u32 value;

	if (run->mmio.phys_addr - GPA_BALLOON < PAGE_SIZE) {
		handle_balloon(run);
		return;
	}

	if (offset >= PAGE_SIZE || run->mmio.len != sizeof(value)) {
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
		return;
	}

	pthread_mutex_lock(&devices);
	if (run->mmio.is_write) {
		memcpy(&value, run->mmio.data, sizeof(value));
		ioapic_write(offset, value);
	} else {
		value = ioapic_read(offset);
		memcpy(run->mmio.data, &value, sizeof(value));
	}
	pthread_mutex_unlock(&devices);
}

static void fail_vcpu(struct kvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct kvm_regs regs;

	vcpu_regs_get(vcpu, &regs);
	TEST_FAIL("vCPU %u at 0x%llx: unexpected exit %u (%s), suberror %u",
		  vcpu->id, regs.rip, run->exit_reason,
		  exit_reason_str(run->exit_reason),
		  run->exit_reason == KVM_EXIT_INTERNAL_ERROR ?
		  run->internal.suberror : 0);
}

static void *run_vcpu(void *arg)
{
	struct kvm_vcpu *vcpu = arg;

	while (READ_ONCE(ended) == END_NONE && !READ_ONCE(stopped)) {
		if (__vcpu_run(vcpu)) {
			TEST_ASSERT(errno == EINTR || errno == EAGAIN,
				    KVM_IOCTL_ERROR(KVM_RUN, -1));
			continue;
		}
		switch (vcpu->run->exit_reason) {
		case KVM_EXIT_IO:
			handle_io(vcpu->run);
			break;
		case KVM_EXIT_MMIO:
			handle_mmio(vcpu->run);
			break;
		case KVM_EXIT_SHUTDOWN:
			end_guest(END_TRIPLE_FAULT);
			break;
		default:
			fail_vcpu(vcpu);
		}
	}
	return NULL;
}

/*
 * ACPI 1.0 tables: the least that tells Linux of CPUs, the I/O APIC, and how
 * to power off. An MP table can't tell the last, and not every kernel reads it.
 */

struct acpi_header {
	char signature[4];
	u32 length;
	u8 revision;
	u8 checksum;
	char oem_id[6];
	char oem_table_id[8];
	u32 oem_revision;
	char creator_id[4];
	u32 creator_revision;
} __packed;

struct acpi_rsdp {
	char signature[8];
	u8 checksum;
	char oem_id[6];
	u8 revision;
	u32 rsdt;
} __packed;

struct acpi_rsdt {
	struct acpi_header header;
	u32 tables[2];
} __packed;

struct acpi_fadt {
	struct acpi_header header;
	u32 facs;
	u32 dsdt;
	u16 model;
	u16 sci_irq;
	u32 smi[2];		/* none: ACPI is always on */
	u32 pm1a_event;
	u32 pm1b_event;
	u32 pm1a_control;
	u32 other_blocks[5];
	u8 pm1_event_len;
	u8 pm1_control_len;
	u8 other[22];
	u32 flags;
} __packed;

#define FADT_WBINVD		BIT(0)
#define FADT_C1			BIT(2)
#define FADT_NO_POWER_BUTTON	BIT(4)
#define FADT_NO_SLEEP_BUTTON	BIT(5)
#define FADT_NO_FIXED_RTC	BIT(6)

struct acpi_madt_lapic {
	u8 type;
	u8 length;
	u8 processor_id;
	u8 apic_id;
	u32 flags;
} __packed;

struct acpi_madt {
	struct acpi_header header;
	u32 lapic;
	u32 flags;
	struct {
		u8 type;
		u8 length;
		u8 id;
		u8 reserved;
		u32 address;
		u32 gsi_base;
	} __packed ioapic;
	struct acpi_madt_lapic cpus[];
} __packed;

/*
 * So that Linux does not probe for a PIC: it does not need it, but does not
 * number the interrupts of ISA devices without it.
 */
#define MADT_PCAT_COMPAT	BIT(0)

/* Name (_S5, Package () { 5, 5, 0, 0 }) */
static const u8 aml_s5[] = {
	0x08, '_', 'S', '5', '_', 0x12, 0x08, 0x04,
	0x0a, 0x05, 0x0a, 0x05, 0x00, 0x00,
};

static u8 acpi_checksum(const void *table, size_t len)
{
	const u8 *bytes = table;
	u8 sum = 0;

	while (len--)
		sum -= *bytes++;
	return sum;
}

/* Finishes a table, and returns where the next one may be. */
static u32 acpi_finish(u32 gpa, const char *signature, u32 length)
{
	struct acpi_header *header = mem + gpa;

	memcpy(header->signature, signature, sizeof(header->signature));
	memcpy(header->oem_id, "KVM   ", sizeof(header->oem_id));
	memcpy(header->oem_table_id, "SELFTEST", sizeof(header->oem_table_id));
	memcpy(header->creator_id, "KVM ", sizeof(header->creator_id));
	header->length = length;
	header->revision = 1;
	header->checksum = acpi_checksum(header, length);
	return gpa + roundup(length, 16);
}

static u32 write_dsdt(u32 gpa)
{
	u32 length = sizeof(struct acpi_header);

	memcpy(mem + gpa + length, aml_s5, sizeof(aml_s5));
	return acpi_finish(gpa, "DSDT", length + sizeof(aml_s5));
}

static u32 write_fadt(u32 gpa, u32 dsdt)
{
	struct acpi_fadt *fadt = mem + gpa;

	fadt->dsdt = dsdt;
	fadt->sci_irq = IRQ_SCI;
	fadt->pm1a_event = PORT_PM1_EVENT;
	fadt->pm1_event_len = 4;
	fadt->pm1a_control = PORT_PM1_CTRL;
	fadt->pm1_control_len = 2;
	fadt->flags = FADT_WBINVD | FADT_C1 | FADT_NO_POWER_BUTTON |
		      FADT_NO_SLEEP_BUTTON | FADT_NO_FIXED_RTC;
	return acpi_finish(gpa, "FACP", sizeof(*fadt));
}

static u32 write_madt(u32 gpa)
{
	struct acpi_madt *madt = mem + gpa;

	madt->lapic = GPA_LAPIC;
	madt->flags = MADT_PCAT_COMPAT;
	madt->ioapic.type = 1;
	madt->ioapic.length = sizeof(madt->ioapic);
	madt->ioapic.address = GPA_IOAPIC;
	for (u32 i = 0; i < opts.cpus; i++)
		madt->cpus[i] = (struct acpi_madt_lapic) {
			.length = sizeof(madt->cpus[i]),
			.processor_id = i,
			.apic_id = i,
			.flags = 1,
		};
	return acpi_finish(gpa, "APIC",
			   sizeof(*madt) + opts.cpus * sizeof(madt->cpus[0]));
}

static void write_acpi(void)
{
	struct acpi_rsdp *rsdp = mem + GPA_ACPI;
	u32 dsdt = GPA_ACPI + roundup(sizeof(*rsdp), 16);
	u32 fadt = write_dsdt(dsdt);
	u32 madt = write_fadt(fadt, dsdt);
	u32 gpa = write_madt(madt);
	struct acpi_rsdt *rsdt = mem + gpa;

	rsdt->tables[0] = fadt;
	rsdt->tables[1] = madt;
	acpi_finish(gpa, "RSDT", sizeof(*rsdt));

	memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
	memcpy(rsdp->oem_id, "KVM   ", sizeof(rsdp->oem_id));
	rsdp->rsdt = gpa;
	rsdp->checksum = acpi_checksum(rsdp, sizeof(*rsdp));
}

/* The Linux boot protocol; see Documentation/arch/x86/boot.rst. */

static int open_file(const char *path, u64 *size)
{
	int fd = open(path, O_RDONLY);
	struct stat st;

	TEST_ASSERT(fd >= 0 && !fstat(fd, &st), "%s can't be opened", path);
	*size = st.st_size;
	return fd;
}

static void read_file(int fd, const char *path, u64 offset, void *to, u64 size)
{
	ssize_t len;

	for (; size; size -= len, offset += len, to += len) {
		len = pread(fd, to, size, offset);
		TEST_ASSERT(len > 0, "%s: %s", path,
			    len ? "can't be read" : "ends too early");
	}
}

#define SETUP_SECTOR	512
#define SETUP_HEADER	0x1f1	/* where the file has its setup header */
#define SETUP_MAGIC	0x53726448	/* "HdrS" */
#define SETUP_VERSION	0x020a		/* the first with init_size */

static void load_header(int fd, struct setup_header *hdr)
{
	u8 sector[2 * SETUP_SECTOR];
	u32 end;

	read_file(fd, opts.kernel, 0, sector, sizeof(sector));
	memcpy(hdr, sector + SETUP_HEADER, sizeof(*hdr));
	TEST_ASSERT(hdr->boot_flag == 0xaa55 && hdr->header == SETUP_MAGIC &&
		    hdr->version >= SETUP_VERSION &&
		    (hdr->loadflags & LOADED_HIGH),
		    "%s is not a bzImage, or an old one", opts.kernel);

	/* It ends where the jump at 0x200 goes to; what is after is code. */
	end = 0x202 + sector[0x201] - SETUP_HEADER;
	if (end < sizeof(*hdr))
		memset((void *)hdr + end, 0, sizeof(*hdr) - end);
}

static void load_initramfs(struct setup_header *hdr)
{
	u64 limit = min_t(u64, opts.size, (u64)hdr->initrd_addr_max + 1);
	u64 size, gpa;
	int fd;

	if (!opts.initramfs)
		return;
	fd = open_file(opts.initramfs, &size);
	TEST_ASSERT(size < limit, "%s does not fit", opts.initramfs);
	gpa = round_down(limit - size, PAGE_SIZE);
	TEST_ASSERT(gpa >= hdr->pref_address + hdr->init_size,
		    "%s and the kernel need more memory than %llu MiB",
		    opts.initramfs, (unsigned long long)opts.size / SZ_1M);
	read_file(fd, opts.initramfs, 0, mem + gpa, size);
	close(fd);
	hdr->ramdisk_image = gpa;
	hdr->ramdisk_size = size;
}

static void write_cmdline(struct setup_header *hdr)
{
	size_t max = min_t(size_t, hdr->cmdline_size, PAGE_SIZE - 1) + 1;
	size_t len;

	/*
	 * A panic becomes a reset, and a reset is one write to a port. There
	 * is no PCI to look for.
	 */
	len = snprintf(mem + GPA_CMDLINE, max, "%s %s",
		       "console=ttyS0 panic=-1 reboot=k pci=off", opts.append);
	if (opts.balloon)
		len += snprintf(mem + GPA_CMDLINE + len, max > len ? max - len : 0,
				" virtio_mmio.device=4K@0x%x:%u", GPA_BALLOON,
				IRQ_BALLOON);
	TEST_ASSERT(len < max, "The command line is longer than %zu", max - 1);
	hdr->cmd_line_ptr = GPA_CMDLINE;
}

static void write_e820(struct boot_params *params)
{
	params->e820_table[0] = (struct boot_e820_entry) {
		.size = GPA_EBDA,
		.type = 1,
	};
	params->e820_table[1] = (struct boot_e820_entry) {
		.addr = GPA_KERNEL,
		.size = opts.size - GPA_KERNEL,
		.type = 1,
	};
	params->e820_entries = 2;
}

static void load_linux(void)
{
	struct boot_params *params = mem + GPA_ZERO_PAGE;
	struct setup_header *hdr = &params->hdr;
	u64 size, setup;
	int fd;

	fd = open_file(opts.kernel, &size);
	load_header(fd, hdr);
	setup = ((hdr->setup_sects ?: 4) + 1) * SETUP_SECTOR;
	TEST_ASSERT(size > setup && size - setup < opts.size - GPA_KERNEL,
		    "%s does not fit", opts.kernel);
	read_file(fd, opts.kernel, setup, mem + GPA_KERNEL, size - setup);
	close(fd);

	hdr->type_of_loader = 0xff;
	hdr->code32_start = GPA_KERNEL;
	load_initramfs(hdr);
	write_cmdline(hdr);
	write_e820(params);
	params->acpi_rsdp_addr = GPA_ACPI;
}

/* The CPUs. */

#define feature_bit(feature)	BIT((feature).bit)

static void clear_entry(struct kvm_cpuid_entry2 *entry)
{
	entry->eax = 0;
	entry->ebx = 0;
	entry->ecx = 0;
	entry->edx = 0;
}

/*
 * KVM can do all that is in the supported CPUID, but what is below KVM can be an
 * emulator: with XSAVE in a guest of QEMU's emulated SVM, Linux dies in
 * fpstate_reset(). So the CPU is a plain one, without XSAVE and all that needs
 * it, without five-level page tables, and without virtualization of its own.
 * An invariant TSC would have Linux prefer it to kvm-clock, which writes to the
 * guest's memory and thus is what is to be tested.
 */
static void limit_features(struct kvm_cpuid_entry2 *entry)
{
	switch (entry->function) {
	case 0x1:
		entry->ecx &= ~(feature_bit(X86_FEATURE_XSAVE) |
				feature_bit(X86_FEATURE_OSXSAVE) |
				feature_bit(X86_FEATURE_VMX) |
				BIT(12) | BIT(28) | BIT(29)); /* FMA AVX F16C */
		break;
	case 0x7:
		entry->eax = 0;
		entry->ebx &= entry->index ? 0 :
			      feature_bit(X86_FEATURE_FSGSBASE) |
			      feature_bit(X86_FEATURE_SMEP) |
			      feature_bit(X86_FEATURE_SMAP);
		entry->ecx = 0;
		entry->edx = 0;
		break;
	case 0xd:
		clear_entry(entry);
		break;
	case 0x80000001:
		entry->ecx &= ~(feature_bit(X86_FEATURE_SVM) |
				BIT(11) | BIT(15) | BIT(16)); /* XOP LWP FMA4 */
		break;
	case 0x80000007:
		entry->edx &= ~feature_bit(X86_FEATURE_INVTSC);
		break;
	}
}

/* One core for each CPU, and its number is the APIC's. */
static void set_topology(struct kvm_cpuid_entry2 *entry, u32 id)
{
	u32 shift = opts.cpus > 1 ? fls(opts.cpus - 1) : 0;

	switch (entry->function) {
	case 0x1:
		entry->ebx = (entry->ebx & 0xffff) | opts.cpus << 16 | id << 24;
		entry->edx |= opts.cpus > 1 ? BIT(28) : 0;
		break;
	case 0x4:
	case 0x8000001d:
		entry->eax &= ~0x03ffc000;	/* no cache is shared */
		break;
	case 0xb:
	case 0x1f:
		/* Levels: 0 is threads of a core, 1 is cores. */
		if (entry->index < 2) {
			entry->eax = entry->index ? shift : 0;
			entry->ebx = entry->index ? opts.cpus : 1;
		}
		entry->edx = id;
		break;
	case 0x80000008:
		entry->ecx = shift << 12 | (opts.cpus - 1);
		break;
	case 0x8000001e:
		entry->eax = id;
		entry->ebx = id;
		entry->ecx = 0;
		break;
	case 0x80000026:
		clear_entry(entry);
		break;
	}
}

static void set_cpuid(struct kvm_vcpu *vcpu)
{
	vcpu_init_cpuid(vcpu, kvm_get_supported_cpuid());
	for (u32 i = 0; i < vcpu->cpuid->nent; i++) {
		limit_features(&vcpu->cpuid->entries[i]);
		set_topology(&vcpu->cpuid->entries[i], vcpu->id);
	}
	vcpu_set_cpuid(vcpu);
}

static void set_segment(struct kvm_segment *segment, u16 selector, u8 type)
{
	*segment = (struct kvm_segment) {
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
}

/* The kernel's 32-bit entry: protected mode, flat segments, no paging. */
static void set_boot_state(struct kvm_vcpu *vcpu)
{
	struct kvm_regs regs = {
		.rip = GPA_KERNEL,
		.rsi = GPA_ZERO_PAGE,
		.rflags = 2,
	};
	struct kvm_sregs sregs;

	vcpu_sregs_get(vcpu, &sregs);
	sregs.cr0 = X86_CR0_PE | X86_CR0_ET;
	set_segment(&sregs.cs, 0x10, 0xb);
	set_segment(&sregs.ds, 0x18, 0x3);
	sregs.es = sregs.ds;
	sregs.fs = sregs.ds;
	sregs.gs = sregs.ds;
	sregs.ss = sregs.ds;
	vcpu_sregs_set(vcpu, &sregs);
	vcpu_regs_set(vcpu, &regs);
}

static struct kvm_vcpu *add_vcpu(u32 id)
{
	struct kvm_vcpu *vcpu = __vm_vcpu_add(vm, id);

	set_cpuid(vcpu);
	return vcpu;
}

static struct kvm_vcpu *create_vcpu(u32 id)
{
	struct kvm_vcpu *vcpu = add_vcpu(id);

	/* As firmware does: memory is write-back; Linux minds if it is not. */
	vcpu_set_msr(vcpu, MSR_MTRRdefType, BIT(11) | 6);
	/* The others wait for the INIT and SIPI of the first. */
	if (!id)
		set_boot_state(vcpu);
	return vcpu;
}

/* The VM. */

static void create_memory(void)
{
	u64 supported = vm_check_cap(vm, KVM_CAP_GUEST_MEMFD_FLAGS);

	__TEST_REQUIRE(!(opts.flags & ~supported),
		       "guest_memfd lacks flags 0x%llx; it has 0x%llx",
		       (unsigned long long)(opts.flags & ~supported),
		       (unsigned long long)supported);
	mem_fd = vm_create_guest_memfd(vm, opts.size, opts.flags);
	if (opts.populate)
		TEST_ASSERT(!fallocate(mem_fd, FALLOC_FL_KEEP_SIZE, 0, opts.size),
			    "fallocate() fails: %s", strerror(errno));
	mem = kvm_mmap(opts.size, PROT_READ | PROT_WRITE, MAP_SHARED, mem_fd);
	vm_set_user_memory_region2(vm, 0, KVM_MEM_GUEST_MEMFD, 0, opts.size,
				   mem, mem_fd, 0);
}

/* All but what is in the memory and in the CPUs. */
static void create_vm(void)
{
	vm = vm_create_barebones();
	vm_ioctl(vm, KVM_SET_TSS_ADDR, (void *)GPA_TSS);
	vm_enable_cap(vm, KVM_CAP_SPLIT_IRQCHIP, IOAPIC_PINS);
	create_memory();
}

static void free_vm(void)
{
	kvm_vm_free(vm);
	TEST_ASSERT(!munmap(mem, opts.size) && !close(mem_fd), "%s", strerror(errno));
}

static void boot_vm(void)
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_GUEST_MEMFD));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_SPLIT_IRQCHIP));
	create_vm();
	init_ioapic();
	write_acpi();
	load_linux();
	/* All of them before the first runs, as it starts the others. */
	for (u32 i = 0; i < opts.cpus; i++)
		vcpus[i] = create_vcpu(i);
}

static void start_vcpus(void)
{
	stopped = false;
	for (u32 i = 0; i < opts.cpus; i++)
		kvm_pthread_create(&threads[i], NULL, run_vcpu, vcpus[i]);
}

static void kick(int signal)
{
}

/* Each is left where KVM_RUN can be called again. */
static void stop_vcpus(void)
{
	const struct sigaction action = { .sa_handler = kick };

	TEST_ASSERT(!sigaction(SIGUSR1, &action, NULL), "sigaction() fails");
	WRITE_ONCE(stopped, true);
	for (u32 i = 0; i < opts.cpus; i++) {
		/* If the thread is about to call it, it returns at once. */
		WRITE_ONCE(vcpus[i]->run->immediate_exit, 1);
		pthread_kill(threads[i], SIGUSR1);
		kvm_pthread_join(threads[i], NULL);
		vcpus[i]->run->immediate_exit = 0;
	}
}

/* Go on in another VM, of which nothing but the snapshot is known. */
static void take_and_restore_snapshot(void)
{
	struct snapshot *snapshot;

	stop_vcpus();
	snapshot = take_snapshot(vm, vcpus, opts.cpus, mem, opts.size);
	free_vm();

	opts.flags |= GUEST_MEMFD_FLAG_WRITE;
	create_vm();
	for (u32 i = 0; i < opts.cpus; i++)
		vcpus[i] = add_vcpu(i);
	restore_snapshot(snapshot, vm, vcpus, mem_fd);
	start_vcpus();
	say("# guest: restored from a snapshot\n");
}

/* The balloon's target and interrupts. */
static void *pump_balloon(void *arg)
{
	while (READ_ONCE(ended) == END_NONE) {
		usleep(50000);
		pthread_mutex_lock(&devices);
		balloon_pump(opts.balloon / PAGE_SIZE);
		pthread_mutex_unlock(&devices);
	}
	return NULL;
}

static void raise_balloon_irq(void)
{
	ioapic_set_line(IRQ_BALLOON, false);
	ioapic_set_line(IRQ_BALLOON, true);
}

static void start_balloon(void)
{
	pthread_t thread;

	if (!opts.balloon)
		return;
	balloon_init(mem, opts.size, mem_fd, raise_balloon_irq);
	kvm_pthread_create(&thread, NULL, pump_balloon, NULL);
}

/* A line from the guest's programs. Others are echoes of "go on". */
static void handle_line(const char *line)
{
	int number;

	if (sscanf(line, "checkpoint %d", &number) == 1) {
		if (number)
			at_checkpoint(number);
		else if (opts.snapshot)
			take_and_restore_snapshot();
		uart_receive(&com2, "go on\n", 6);
	} else if (sscanf(line, "result %d", &number) == 1) {
		WRITE_ONCE(result, number);
	}
}

static void handle_event(u8 byte)
{
	static char line[80];
	static size_t len;

	if (byte == '\n') {
		line[len] = 0;
		len = 0;
		handle_line(line);
	} else if (byte && len < sizeof(line) - 1) {
		line[len++] = byte;
	}
}

static int seconds_since(const struct timespec *start)
{
	struct timespec elapsed = timespec_elapsed(*start);

	return elapsed.tv_sec;
}

/*
 * Console input, and what the vCPUs tell. All that came before the end of the
 * guest is handled before this returns; false is for the timeout.
 */
static bool follow_guest(const struct timespec *start)
{
	struct pollfd fds[] = {
		{ .fd = events[0], .events = POLLIN },
		{ .fd = opts.wait ? -1 : STDIN_FILENO },
	};
	u8 byte;

	for (;;) {
		fds[1].events = uart_wants_input(&com1) ? POLLIN : 0;
		poll(fds, ARRAY_SIZE(fds), 1000);
		if (fds[0].revents && read(events[0], &byte, 1) == 1) {
			handle_event(byte);
			if (!byte && READ_ONCE(ended) != END_NONE)
				return true;
		}
		if (fds[1].revents && read(STDIN_FILENO, &byte, 1) == 1)
			uart_receive(&com1, &byte, 1);
		else if (fds[1].revents)
			fds[1].fd = -1;
		if (opts.timeout >= 0 && seconds_since(start) >= opts.timeout)
			return false;
	}
}

/*
 * A kernel that panics resets, so a reset is no success unless the guest said
 * so before.
 */
static int judge(void)
{
	static const char * const names[] = {
		[END_POWER_OFF]		= "power-off",
		[END_RESET]		= "reset",
		[END_TRIPLE_FAULT]	= "triple fault",
	};
	int status = result;

	if (ended == END_TRIPLE_FAULT)
		status = KSFT_FAIL;
	else if (result < 0)
		status = ended == END_POWER_OFF ? KSFT_PASS : KSFT_FAIL;
	if (opts.balloon)
		balloon_tell();
	say("# guest: %s, result %d\n", names[ended], result);
	return status;
}

static void __noreturn print_usage(const char *name, int status)
{
	FILE *to = status ? stderr : stdout;

	fprintf(to, "usage: %s -k bzImage [options]\n", name);
	fputs("Boots Linux on guest_memfd memory; ends when the guest does.\n"
	      "  -k FILE     the kernel\n"
	      "  -i FILE     its initramfs\n"
	      "  -a TEXT     appended to its command line\n"
	      "  -m MIB      its memory (256)\n"
	      "  -c NUMBER   its CPUs (2)\n"
	      "  -n          memory not in the direct map (NO_DIRECT_MAP)\n"
	      "  -f          populate it by fallocate()\n"
	      "  -b MIB      a balloon that takes as much, and gives it back, for ever\n"
	      "  -s          at checkpoint 0, go on in another VM from a snapshot\n"
	      "  -w          at a checkpoint, wait for a line of input\n"
	      "  -t SECONDS  fail if the guest has not ended by then\n"
	      "  -h          this text\n"
	      "The exit status is what the guest writes as its result; else 0\n"
	      "if it powers off, 1 if it resets.\n", to);
	exit(status);
}

static int parse_number(int option, const char *text, int low, int high)
{
	char *end;
	long value = strtol(text, &end, 0);

	if (!*text || *end || value < low || value > high) {
		fprintf(stderr, "-%c takes a number from %d to %d, not '%s'\n",
			option, low, high, text);
		exit(KSFT_FAIL);
	}
	return value;
}

static void parse_option(const char *name, int option)
{
	switch (option) {
	case 'k':
		opts.kernel = optarg;
		break;
	case 'i':
		opts.initramfs = optarg;
		break;
	case 'a':
		opts.append = optarg;
		break;
	case 'm':
		opts.size = (u64)parse_number('m', optarg, MIN_MIB, MAX_MIB) * SZ_1M;
		break;
	case 'c':
		opts.cpus = parse_number('c', optarg, 1, MAX_CPUS);
		break;
	case 'n':
		opts.flags |= GUEST_MEMFD_FLAG_NO_DIRECT_MAP;
		break;
	case 'f':
		opts.populate = true;
		break;
	case 'b':
		opts.balloon = (u64)parse_number('b', optarg, 1, MAX_MIB) * SZ_1M;
		break;
	case 's':
		opts.snapshot = true;
		break;
	case 'w':
		opts.wait = true;
		break;
	case 't':
		opts.timeout = parse_number('t', optarg, 1, 1000000);
		break;
	default:
		print_usage(name, option == 'h' ? KSFT_PASS : KSFT_FAIL);
	}
}

int main(int argc, char **argv)
{
	struct timespec start;
	int option;

	while ((option = getopt(argc, argv, "k:i:a:m:c:nfb:swt:h")) != -1)
		parse_option(argv[0], option);
	if (!opts.kernel || optind < argc || (opts.balloon && opts.snapshot))
		print_usage(argv[0], KSFT_FAIL);

	clock_gettime(CLOCK_MONOTONIC, &start);
	TEST_ASSERT(!pipe(events), "pipe");
	boot_vm();
	start_balloon();
	start_vcpus();
	if (!follow_guest(&start)) {
		say("# guest: not done after %d seconds\n", opts.timeout);
		return KSFT_FAIL;
	}
	/* The other vCPUs' threads, and the VM, end with the process. */
	return judge();
}
