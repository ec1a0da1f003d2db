"""Other engines on storage of their own, so that the machine's is left alone. One that can't be used says why."""

import os
import pathlib
import signal
import subprocess
import time

from measure import run


class Rd:
    """rd on a store in the folder `dir`."""

    name = "rd"

    def __init__(self, dir):
        self.dir = pathlib.Path(dir)
        self.command = ["rd", "--root", str(self.dir)]

    def clear(self):
        run(["rm", "-rf", "--one-file-system", str(self.dir)])

    def remove(self, container):
        run([*self.command, "rm", "--force", container])


class Podman:
    name = "podman"

    def __init__(self, dir):
        self.dir = pathlib.Path(dir)
        self.command = ["podman", "--root", str(self.dir / "root"), "--runroot", str(self.dir / "run"), "--tmpdir",
                        str(self.dir / "tmp"), "--storage-driver", "overlay", "--runtime", "runc", "--cgroup-manager",
                        "cgroupfs", "--events-backend", "none", "--log-level", "error"]
        self.dir.mkdir(parents=True, exist_ok=True)
        # By itself it asks for limits that root may not have everywhere, and then refuses every run.
        limits = self.dir.with_suffix(".conf")
        limits.write_text('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n')
        os.environ["CONTAINERS_CONF"] = str(limits)
        run([*self.command, "info"])

    def clear(self):
        run([*self.command, "system", "reset", "--force"])
        run(["rm", "-rf", "--one-file-system", str(self.dir)])
        self.dir.mkdir(parents=True)

    def remove(self, container):
        run([*self.command, "rm", "--force", "--time", "0", container])

    def stop(self):
        run([*self.command, "system", "reset", "--force"])


class Docker:
    """dockerd, started for this and stopped by its process id."""

    name = "docker"

    def __init__(self, dir):
        self.dir = pathlib.Path(dir)
        self.dir.mkdir(parents=True, exist_ok=True)
        socket = f"unix://{self.dir}/docker.sock"
        client = "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"
        self.command = [client, "--host", socket]
        self.log = open(self.dir / "log", "w")
        self.daemon = subprocess.Popen(
            ["dockerd", "--host", socket, "--data-root", self.dir / "data", "--exec-root", self.dir / "exec", "--pidfile",
             self.dir / "pid", "--bridge", "none", "--iptables=false", "--ip-masq=false", "--storage-driver", "overlay2"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)
        self.wait()

    def wait(self):
        for _ in range(300):
            if self.daemon.poll() is not None:
                break
            if subprocess.run([*self.command, "info"], capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        self.stop()
        raise RuntimeError("dockerd didn't start: " + (self.dir / "log").read_text().strip().splitlines()[-1][-200:])

    def clear(self):
        images = run([*self.command, "images", "--all", "--quiet"]).split()
        if images:
            run([*self.command, "rmi", "--force", *dict.fromkeys(images)])

    def remove(self, container):
        run([*self.command, "rm", "--force", container])

    def stop(self):
        if self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            try:
                self.daemon.wait(60)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
        self.log.close()


class Peers:
    """The engines that can be used here, started when first asked for."""

    def __init__(self, bed):
        self.bed = bed
        self.started = {}
        self.skipped = {}

    def all(self):
        for kind in (Podman, Docker):
            if kind.name in self.started or kind.name in self.skipped:
                continue
            try:
                self.started[kind.name] = kind(self.bed / kind.name)
            except (RuntimeError, OSError) as error:
                self.skipped[kind.name] = str(error).strip().splitlines()[-1]
        return list(self.started.values())

    def notes(self):
        return [f"{name} was skipped: {why}" for name, why in self.skipped.items()]

    def stop(self):
        """Stop all, also where one can't be stopped, which is told afterwards."""
        failures = []
        for peer in self.started.values():
            try:
                peer.stop()
            except (RuntimeError, OSError) as error:
                failures.append(f"{peer.name}: {error}")
        if failures:
            raise RuntimeError("\n".join(failures))
