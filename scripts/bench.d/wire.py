"""What the transfer benchmark needs: a registry, a proxy that counts what passes, and an ssh server, all on loopback."""

import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time

from measure import run


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    for _ in range(200):
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


class Program:
    """A server that is stopped by its process id."""

    def start(self, command, log, **options):
        self.log = open(log, "w")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, **options)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Registry(Program):
    """Debian's docker-registry on a folder."""

    def __init__(self, dir):
        dir = pathlib.Path(dir)
        (dir / "data").mkdir(parents=True)
        self.port = free_port()
        config = dir / "config.yml"
        config.write_text(
            "version: 0.1\nlog: {level: error}\n"
            f"storage: {{filesystem: {{rootdirectory: {dir}/data}}, delete: {{enabled: true}}}}\n"
            f"http: {{addr: 127.0.0.1:{self.port}}}\n")
        self.start(["docker-registry", "serve", str(config)], dir / "log")
        wait_for(self.port, self.process)


class Proxy:
    """Passes connections on, and counts the bytes of both directions."""

    def __init__(self, to):
        self.to = to
        self.down = self.up = 0
        self.lock = threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.to))
            threading.Thread(target=self.pass_on, args=(client, server, "up"), daemon=True).start()
            threading.Thread(target=self.pass_on, args=(server, client, "down"), daemon=True).start()

    def pass_on(self, source, target, direction):
        buffer = bytearray(1 << 20)
        try:
            while count := source.recv_into(buffer):
                target.sendall(memoryview(buffer)[:count])
                with self.lock:
                    setattr(self, direction, getattr(self, direction) + count)
        except OSError:
            pass
        finally:
            for end in (source, target):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def counted(self):
        """Bytes down and up since the last call. What is on its way has passed when a client has ended."""
        time.sleep(0.05)
        with self.lock:
            counts, self.down, self.up = (self.down, self.up), 0, 0
        return counts

    def stop(self):
        self.server.close()


class Ssh(Program):
    """An ssh server with keys of its own, for this user alone."""

    def __init__(self, dir):
        dir = pathlib.Path(dir)
        dir.mkdir(parents=True, mode=0o700)
        self.port = free_port()
        for key in ("host", "user"):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(dir / key)])
        shutil.copy(dir / "user.pub", dir / "authorized")
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        config = dir / "config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {dir}/host\nAuthorizedKeysFile {dir}/authorized\nPidFile none\n"
            f"StrictModes no\nUsePAM no\nPermitRootLogin yes\nSetEnv PATH={os.environ['PATH']}\n")
        self.start(["/usr/sbin/sshd", "-D", "-e", "-f", str(config)], dir / "log")
        wait_for(self.port, self.process)
        self.command = (f"ssh -p {self.port} -i {dir}/user -o UserKnownHostsFile={dir}/known -o StrictHostKeyChecking=accept-new "
                        "-o LogLevel=ERROR")
        self.host = f"{pwd.getpwuid(os.getuid()).pw_name}@127.0.0.1"
