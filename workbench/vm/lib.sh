#!/bin/sh
# What several jobs do.

# Interrupts by which CPUs ask each other to do something, such as to flush.
calls() { awk '/^ *CAL:/ { for (i = 2; $i ~ /^[0-9]+$/; i++) n += $i } END { print n + 0 }' /proc/interrupts; }

# How many entries of the direct map were split: level 2 has 2 MiB, level 3 1 GiB.
splits() { awk -v name="direct_map_level$1_splits" '$1 == name { print $2 }' /proc/vmstat; }

# Count the calls of these functions of the kernel.
probe() {
	for function in "$@"; do
		echo "p:$function $function" >>/sys/kernel/tracing/kprobe_events || return 1
		echo 1 >"/sys/kernel/tracing/events/kprobes/$function/enable" || return 1
	done
}

# How often all CPUs flushed what they know of the kernel's mappings, since probe().
flushes() {
	awk '$1 ~ /^flush_tlb_(kernel_range|all)$/ { n += $2 } END { print n + 0 }' /sys/kernel/tracing/kprobe_profile
}

# Occupy all CPUs but this one: only then it costs something to interrupt them.
busy_others() {
	cpu=1
	while [ $cpu -lt "$(nproc)" ]; do
		while :; do :; done &
		cpu=$((cpu + 1))
	done
}

# Start a program that keeps secrets, and wait until it does. Arguments: MiB, or
# "MIB NODE"; a number if there are several programs.
keep_secrets() {
	mkfifo "/tmp/go$2"
	# What another one said before must not be taken for this one's.
	: >"/tmp/secrets$2"
	# shellcheck disable=SC2086 # maybe two words
	secrets $1 <>"/tmp/go$2" >"/tmp/secrets$2" &
	eval "keeper$2=$!"
	until grep -q kept "/tmp/secrets$2"; do
		kill -0 $! 2>/dev/null || { cat "/tmp/secrets$2"; return 1; }
		sleep 0.02
	done
}

# Let it free them, and wait for its end. Argument: its number, or "".
free_secrets() {
	echo free >"/tmp/go$1"
	rm "/tmp/go$1"
	eval "wait \$keeper$1"
}

# The host's files in /mnt, for its programs to run there.
mount_host() {
	mkdir -p /mnt && mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=131072,cache=loose root /mnt || return 1
	for dir in proc sys dev tmp; do
		mount --rbind /$dir /mnt/$dir || return 1
	done
}

# Whether secrets can be kept, and what the allocator has when nobody uses it.
tell_left() {
	echo | secrets 8 | sed 's/^/say /' >&3
	echo 3 >/proc/sys/vm/drop_caches
	sed 's/^/say /' /sys/kernel/debug/unmapped_alloc >&3
}

# What kernel text holds at the moment, when nothing is left that is kept only
# until somebody needs the memory. Argument: how it is called.
tell_held() {
	# Programs of BPF are freed by work after a grace period of RCU.
	sleep 2
	echo 3 >/proc/sys/vm/drop_caches
	sleep 1
	{
		cat /sys/kernel/debug/text_check/areas
		awk '/^(MemFree|VmallocUsed|DirectMap)/ { print $1, $2 }' /proc/meminfo | tr -d :
		# The allocator's pages of all zones, and what it says of text.
		awk '/^Events/ { exit } /zone/ && !/type/ { owned += $5 } END { print "owned", owned + 0 }' \
			/sys/kernel/debug/unmapped_alloc
		awk '/text/ { print $1, $2 }' /sys/kernel/debug/unmapped_alloc
	} 2>/dev/null | sed "s/^/say $1: /" >&3
}

# Who split the direct map.
tell_splits() { sed "s/^/say splits: /" /sys/kernel/debug/text_check/splits >&3; }

# Sweep the direct map for marks while a command runs, and at least once.
# Arguments: a name for it, the command.
while_swept() {
	sweep=/sys/kernel/debug/text_check/sweep
	name=$1
	shift
	echo 1 >$sweep
	"$@"
	status=$?
	while grep -q 'sweeps 0' $sweep; do sleep 0.1; done
	echo 0 >$sweep
	sed "s/^/say $name: /" $sweep >&3
	return $status
}

# Programs of BPF that stay until free_programs. Argument: how many.
keep_programs() {
	mkfifo /tmp/go
	programs "$1" keep <>/tmp/go >/tmp/programs &
	programs=$!
	until grep -q kept /tmp/programs; do
		kill -0 "$programs" || return 1
		sleep 0.1
	done
}

free_programs() {
	echo go >/tmp/go
	wait "$programs"
}

# Argument: how many instances of function tracers, each with a trampoline.
trace_on() {
	n=0
	while [ $n -lt "$1" ]; do
		instance=/sys/kernel/tracing/instances/text$n
		mkdir $instance && echo 4 >$instance/buffer_size_kb && echo vfs_read >$instance/set_ftrace_filter &&
			echo function >$instance/current_tracer || return 1
		n=$((n + 1))
	done
}

trace_off() {
	for instance in /sys/kernel/tracing/instances/text*; do
		[ ! -d "$instance" ] || echo nop >"$instance/current_tracer"
		[ ! -d "$instance" ] || rmdir "$instance"
	done
}

# Probes in the middle of a module's text, none of them at the beginning of a
# function, where ftrace would do. Arguments: the module, how many.
probes_on() {
	run=$(sed -n "s/ .* text_run\t\[$1\]//p" /proc/kallsyms)
	n=0
	while [ $n -lt "$2" ]; do
		# Past the mark of a unit, see text/mark.h.
		echo "p:text/at$n $1:text_run+$((512 - (0x$run & 511) + n * 512 % 57344 + 100 + n))"
		n=$((n + 1))
	done >/tmp/probes
	while read -r probe; do echo "$probe"; done </tmp/probes >>/sys/kernel/tracing/kprobe_events &&
		echo 1 >/sys/kernel/tracing/events/text/enable
}

probes_off() {
	[ ! -d /sys/kernel/tracing/events/text ] || echo 0 >/sys/kernel/tracing/events/text/enable
	sed 's/^p:/-:/; s/ .*//' /tmp/probes >/tmp/probes-off
	while read -r probe; do echo "$probe"; done </tmp/probes-off >>/sys/kernel/tracing/kprobe_events
}

# When virtio_console resumes, it asks whether the host has the port open before
# it has buffers for the answer, and then waits for ever. Start the driver anew.
reconnect() {
	exec 3>&-
	driver=/sys/bus/virtio/drivers/virtio_console
	for device in "$driver"/virtio*; do
		echo "${device##*/}" >"$driver/unbind"
		echo "${device##*/}" >"$driver/bind"
	done
	# The port is announced later than this. Opening what is not there yet would
	# create a file, and what is said would go there.
	until [ -c /run/host ] && (: <>/run/host) 2>/dev/null; do sleep 0.1; done
	exec 3<>/run/host
}
