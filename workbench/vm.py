#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Boot a kernel of the workbench in QEMU, run a job in it, judge how it went.

The VM talks to this program through a virtio port of its own (see vm/init).
Only a "done" there, followed by a clean power-off and a console without
splats, is success: a panic, a warning, a hang and silence are not.
"""

import argparse
import json
import mmap
import os
import pathlib
import random
import re
import selectors
import shutil
import socket
import subprocess
import sys
import time

import console

# Panic at a warning, and at what else taints a kernel that is broken: a machine
# check, a bad page, an oops, a soft lockup.
STRICT = "panic_on_warn=1 panic_on_taint=42b0"

# Jobs in which a warning is part of the test. In every other VM the kernel
# panics at a warning: its trace is then the console's end, and nothing that
# happens after it can hide it.
WARNS_ON_PURPOSE = {
    ("break", "warn"): "a warning alone, with a machine that goes on, has to be noticed too",
}

TOP = pathlib.Path(__file__).resolve().parent.parent
MARK = bytes(((i * 151 + 73) & 0xff) ^ 0xa5 for i in range(32))
# The same on pages that are no secret, see vm/secrets.c.
ORDINARY_MARK = bytes(byte ^ 0xff for byte in MARK)
# On unmapped pages that may be in a hibernation image, see vm/keep/unmapped_keep.c.
KEPT_MARK = bytes(byte ^ 0x3c for byte in MARK)


# How a kernel finds what bin/disk made.
DISK_WORDS = "root=/dev/vda rw resume=/dev/vdb"


def disks(image, keep):
    """QEMU's options for the disk with a Debian system, and its swap. Without
    keep, what is written there is gone when the VM is."""
    snapshot = "off" if keep else "on"
    return tuple(word for name in ("disk.img", "swap.img") for word in (
        "-drive", f"file={image}/{name},format=raw,if=virtio,snapshot={snapshot}"))


class VMError(Exception):
    """The VM did not do its job; the text says how."""


def count_marks(path, mark=MARK):
    """How often is the mark in this file?"""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        count, at = 0, content.find(mark)
        while at >= 0:
            count, at = count + 1, content.find(mark, at + 1)
    return count


class Machine:
    """One run of QEMU: where its files are, and what came out of it."""

    def __init__(self, image, name, memory=1024, cpus=2, append="", model="max,+svm", extra=(),
                 initramfs="initramfs.cpio", share=False, accel="tcg,thread=single",
                 host_root=False, panic_on_warn=True, may_reboot=False, has_guests=False):
        self.image = pathlib.Path(image)
        self.dir = TOP / "build" / "vm" / name
        self.memory, self.cpus, self.append = memory, cpus, append
        self.model, self.extra, self.initramfs = model, extra, initramfs
        self.accel, self.panic_on_warn, self.may_reboot = accel, panic_on_warn, may_reboot
        self.has_guests = has_guests
        self.said, self.results, self.asked = [], {}, []
        self.done = False
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir(parents=True)
        if share:
            self.extra = (*extra, *self.shared_folder())
        if host_root:
            self.extra += ("-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
                           "-device", "virtio-9p-pci,fsdev=root,mount_tag=root")

    def shared_folder(self):
        """A folder of the host's, for vm/jobs/selftests."""
        (self.dir / "share").mkdir()
        return ("-fsdev", f"local,id=share,path={self.dir}/share,security_model=none",
                "-device", "virtio-9p-pci,fsdev=share,mount_tag=share")

    @property
    def console_file(self):
        return self.dir / "console.log"

    def command(self, interactive=False):
        for name in ("bzImage", self.initramfs):
            if not (self.image / name).exists():
                raise VMError(f"{self.image / name} is not there; 'make kernel' and 'make test' build it")
        if not shutil.which("qemu-system-x86_64"):
            raise VMError("qemu-system-x86_64 is not installed; 'make deps' does that")
        # By default one thread for all CPUs: with one for each, QEMU 10.0.2 was
        # seen to die while a guest probed its PCI devices (iotlb_to_section:
        # Assertion `section_index < d->map.sections_nb' failed), and QEMU before
        # 8.1 to run code that another CPU had patched.
        command = [
            "qemu-system-x86_64", "-nodefaults", "-display", "none",
            "-machine", "q35", "-accel", self.accel, "-cpu", self.model,
            "-smp", str(self.cpus), "-m", str(self.memory),
            "-kernel", self.image / "bzImage", "-initrd", self.image / self.initramfs,
            "-append", f"console=ttyS0 panic=-1 {STRICT if self.panic_on_warn else ''} no_timer_check {self.append}",
            "-device", "virtio-serial-pci", "-device", "edu", *self.extra,
        ]
        if not self.may_reboot:
            command.append("-no-reboot")
        if interactive:
            return command + ["-serial", "mon:stdio"]
        # The VM starts when somebody listens, so that a run is like another from
        # its first instruction.
        return command + [
            "-serial", f"file:{self.console_file}",
            "-chardev", f"socket,id=host,path={self.dir}/host.sock,server=on,wait=on",
            "-device", "virtserialport,chardev=host,name=host",
            "-qmp", f"unix:{self.dir}/qmp.sock,server=on,wait=off",
        ]

    def run(self, timeout, answer=None, echo=None):
        """Boot, follow the port until the VM is gone. Returns nothing;
        raises VMError if there was no verdict."""
        with open(self.dir / "qemu.log", "wb") as log:
            qemu = subprocess.Popen([str(word) for word in self.command()],
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if self.has_guests:
            self._use_one_cpu(qemu)
        try:
            self._follow(qemu, time.monotonic() + timeout, timeout, answer, echo)
        finally:
            if qemu.poll() is None:
                qemu.kill()
            qemu.wait()
        if not self.done:
            raise VMError("the VM ended without a verdict")

    @staticmethod
    def _use_one_cpu(qemu):
        """Run all threads of QEMU on one CPU.

        While a guest runs in the VM, QEMU (10.0) changes bits of
        CPUState::interrupt_request in the thread of the CPU, without the lock with
        which its main thread sets them for a timer. Then an interrupt is lost, and the
        CPU spins in the guest for ever, or the guest gets one twice. On one CPU, each
        change is a single instruction, which no thread can interrupt."""
        cpu = random.choice(sorted(os.sched_getaffinity(0)))
        for thread in os.listdir(f"/proc/{qemu.pid}/task"):
            os.sched_setaffinity(int(thread), {cpu})

    def _connect(self, qemu, path):
        port = socket.socket(socket.AF_UNIX)
        for _ in range(200):
            try:
                # Relative: a socket's path may have about 100 characters.
                port.connect(os.path.relpath(path))
                return port
            except OSError:
                if qemu.poll() is not None:
                    break
                time.sleep(0.05)
        raise VMError(f"QEMU did not start; see {self.dir / 'qemu.log'}")

    def _follow(self, qemu, deadline, timeout, answer, echo):
        port = self._connect(qemu, self.dir / "host.sock")
        pending, result = b"", None
        with port, selectors.DefaultSelector() as selector:
            selector.register(port, selectors.EVENT_READ)
            # When QEMU has ended, there may still be something to read.
            while True:
                if time.monotonic() > deadline:
                    raise VMError(f"the VM was not done after {timeout} seconds\n{self._where(qemu)}")
                if not selector.select(0.2):
                    if qemu.poll() is not None:
                        break
                    continue
                data = port.recv(65536)
                if not data:
                    break
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    result = self._line(line.decode(errors="replace"), result, port,
                                        qemu, answer, echo)
        try:
            qemu.wait(timeout=30)
        except subprocess.TimeoutExpired:
            raise VMError("QEMU did not end after the VM had closed its port") from None

    def _line(self, line, result, port, qemu, answer, echo):
        """One line from the VM; returns the result it is part of, if any."""
        if result is not None:
            if line == "end":
                return None
            self.results[result].append(line)
            return result
        verb, _, rest = line.partition(" ")
        if verb == "result":
            self.results[rest] = []
            return rest
        if verb == "say":
            self.said.append(rest)
            if echo:
                echo(rest)
        elif verb == "ask":
            self.asked.append((rest, answer(self, qemu) if answer else None))
            port.sendall(b"go on\n")
        elif verb == "done":
            self.done = True
        return None

    def console(self):
        try:
            return self.console_file.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def qmp(self, qemu, *calls):
        """Tell QEMU to do something. Each call is its name and its arguments.
        Returns what the last one does."""
        with self._connect(qemu, self.dir / "qmp.sock") as port, port.makefile("rw") as qmp:
            port.settimeout(60)
            qmp.readline()
            for name, arguments in (("qmp_capabilities", {}), *calls):
                json.dump({"execute": name, "arguments": arguments}, qmp)
                qmp.write("\n")
                qmp.flush()
                # Events may come before the answer.
                reply = {}
                while "return" not in reply:
                    reply = json.loads(qmp.readline())
                    if "error" in reply:
                        raise VMError(f"QMP {name}: {reply['error']['desc']}")
        return reply["return"]

    def _where(self, qemu):
        """What the CPUs of a VM that hangs do: registers and interrupts, twice."""
        seen = []
        try:
            for command in ("info registers -a", "info lapic", "info pic") * 2:
                seen.append(f"{command}\n" + self.qmp(qemu, (
                    "human-monitor-command", {"command-line": command})))
        except OSError:
            return "QEMU does not answer either"
        (self.dir / "state.log").write_text("\n".join(seen))
        lines = [line.strip() for line in "\n".join(seen).splitlines() if re.match(r"[RE]IP=", line)]
        return "\n".join(["The CPUs, and what else QEMU knows of them, are in state.log beside the console:", *lines])

    def count_secrets(self, qemu):
        """How many secrets are anywhere in the VM's memory? (QMP pmemsave)"""
        dump = self.dir / "memory"
        self.qmp(qemu, ("stop", {}),
                 ("pmemsave", {"val": 0, "size": self.memory << 20, "filename": str(dump)}),
                 ("cont", {}))
        count = count_marks(dump)
        dump.unlink()
        return count


def run_job(image, name, job, args=(), timeout=120, allow=(), **options):
    """Run a job in a VM. Returns the machine; raises VMError if there was no
    verdict, or if the kernel complained."""
    run_options = {key: options.pop(key) for key in ("answer", "echo") if key in options}
    append = f"job={job} " + (f"args={','.join(args)} " if args else "") + options.pop("append", "")
    machine = Machine(image, name, append=append,
                      panic_on_warn=(job, *args) not in WARNS_ON_PURPOSE, **options)
    error = None
    try:
        machine.run(timeout, **run_options)
    except VMError as caught:
        error = caught
    splats = console.splats(machine.console(), allow)
    if not error and not splats:
        return machine
    text = "\n".join([str(error)] * bool(error) + [f"on the console: {line}" for line in splats[:5]])
    end = "\n".join(f"    {line}" for line in machine.console().splitlines()[-15:])
    qemu = "\n".join(line for line in (machine.dir / "qemu.log").read_text(errors="replace").splitlines()
                     if "info: QEMU waiting for connection" not in line)
    if qemu:
        text += f"\nQEMU says: {qemu}"
    raise VMError(f"{text}\nThe console is in {machine.console_file.relative_to(TOP)}, its end:\n{end}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", help="folder with bzImage and initramfs.cpio")
    parser.add_argument("job", nargs="?", help="job in workbench/vm/jobs; none: a shell")
    parser.add_argument("args", nargs="*", help="arguments of the job")
    parser.add_argument("--disk", action="store_true", help="the folder has a disk, with a system of its own")
    parser.add_argument("--memory", type=int, default=4096, help="MiB")
    parser.add_argument("--cpus", type=int, default=2)
    options = parser.parse_args()
    try:
        if options.job:
            run_job(options.image, options.job, options.job, options.args, timeout=600,
                    allow=("oom",), memory=options.memory, cpus=options.cpus,
                    echo=lambda line: print(line, flush=True))
        elif options.disk:
            machine = Machine(options.image, "disk", options.memory, options.cpus, DISK_WORDS, panic_on_warn=False,
                              initramfs="initrd.img", may_reboot=True,
                              extra=(*disks(options.image, keep=True), "-nic", "user,model=virtio-net-pci"))
            subprocess.run([str(word) for word in machine.command(interactive=True)], check=False)
        else:
            # Who tries something out wants to look around after a warning.
            machine = Machine(options.image, "shell", options.memory, options.cpus, panic_on_warn=False)
            subprocess.run([str(word) for word in machine.command(interactive=True)], check=False)
    except VMError as error:
        sys.exit(f"vm: error: {error}")


if __name__ == "__main__":
    main()
