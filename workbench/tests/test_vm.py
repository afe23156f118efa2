# SPDX-License-Identifier: GPL-2.0-only
"""What a VM says arrives."""

import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import vm  # noqa: E402


class Follow(unittest.TestCase):
    def test_reads_on_after_the_end_of_qemu(self):
        machine = vm.Machine.__new__(vm.Machine)
        machine.said, machine.asked, machine.results, machine.done = [], [], {}, False
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
            machine.dir = pathlib.Path(folder)
            server.bind(f"{folder}/host.sock")
            server.listen()

            def speak():
                port, _ = server.accept()
                with port:
                    port.sendall(b"say hello\ndone\n")

            speaker = threading.Thread(target=speak)
            speaker.start()
            qemu = subprocess.Popen(["true"])
            qemu.wait()
            machine._follow(qemu, time.monotonic() + 60, 60, None, None)
            speaker.join()
        self.assertEqual(machine.said, ["hello"])
        self.assertTrue(machine.done)


if __name__ == "__main__":
    unittest.main()
