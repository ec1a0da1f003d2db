//! The process that runs one container: rd itself, executed afresh, single-threaded.
//!
//! It holds the container's lock as long as it lives, mounts the root in a mount namespace of its own, creates and starts the
//! container through libcontainer, waits for its end, records it and clears up. If it is killed, the container dies
//! with it, and `reconcile` does the rest.

use std::cell::RefCell;
use std::fs;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::rc::Rc;

use libcontainer::container::Container as Runtime;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use nix::sched::{CloneFlags, unshare};
use oci_spec::runtime::Spec;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};

use super::cgroup::Cgroup;
use super::config::{Config, Network};
use super::exec::{Confinement, Starter};
use super::folder::{Folder, Lock};
use super::host::{self, Host};
use super::process::Process;
use super::protocol::{Channel, Failure, Orders, ToFront, ToMonitor};
use super::state::State;
use super::{Container, Containers, etc, filter, prepare, spec, terminal, user};
use crate::rootfs::{self, Root, StrategyCache};
use crate::{Error, IoResultExt, Result, sys};

/// Runs the monitor: `orders` is the socket on which the front says what to run.
///
/// Returns when the container has ended and all of it is cleared up; what went wrong was told to the front.
pub fn run(orders: OwnedFd) -> Result<()> {
    let channel = Channel::received(orders);
    let Some((orders, descriptors)) = channel.receive::<Orders>()? else { return Ok(()) };
    let _ = rustix::process::setsid();
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let signals = terminal::forwarded_signals()?;
    let mut descriptors = descriptors.into_iter();
    let Some(lock) = descriptors.next() else { return Ok(()) };
    let streams: Vec<OwnedFd> = descriptors.collect();
    let containers = Containers { path: orders.containers.clone() };
    let folder = containers.folder(&orders.id);
    let config = folder.config()?;
    let state = folder.state()?;
    let mut monitor = Monitor {
        container: Container { folder, config },
        containers,
        orders,
        channel: Some(channel),
        lock: Rc::new(RefCell::new(Some(Lock::received(lock)))),
        signals,
        state,
    };
    let result = monitor.supervise(streams);
    monitor.finish(result)
}

struct Monitor {
    containers: Containers,
    container: Container,
    orders: Orders,
    /// Gone once the front is.
    channel: Option<Channel>,
    lock: Rc<RefCell<Option<Lock>>>,
    signals: OwnedFd,
    state: State,
}

/// A container whose command runs.
struct Running {
    init: Pid,
    /// The controlling side of its terminal.
    terminal: Option<OwnedFd>,
}

impl Monitor {
    fn folder(&self) -> &Folder {
        &self.container.folder
    }

    fn config(&self) -> &Config {
        &self.container.config
    }

    /// Starts the container and waits for its end: the exit status as a shell counts.
    fn supervise(&mut self, streams: Vec<OwnedFd>) -> Result<i32> {
        let (notes, confinement) = self.prepare()?;
        let (running, state) = self.start(streams, confinement)?;
        self.state = state;
        self.tell(&ToFront::Started { notes }, running.terminal.as_ref().map(AsFd::as_fd));
        self.wait(running)
    }

    /// Namespaces, root, specification: everything before libcontainer. Returns notes on what the host made different.
    fn prepare(&mut self) -> Result<(Vec<String>, Confinement)> {
        enter_namespaces(self.config().network)?;
        let folder = self.folder();
        let host = Host::read()?;
        mount_memory(&folder.runtime())?;
        fs::create_dir(folder.rootfs()).on("create", folder.rootfs())?;
        etc::write(self.config(), folder, &spec::hostname(self.config(), &host))?;
        let root = Root {
            lower: self.orders.lower.clone(),
            upper: folder.upper(),
            work: folder.work(),
            volatile: self.config().auto_remove,
        };
        let strategy = rootfs::mount(&root, &folder.rootfs(), &StrategyCache::new(&self.orders.strategy_cache))?;
        let image = &self.orders.image;
        let user = user::resolve(&folder.rootfs(), spec::user(self.config(), image))?;
        let devices = if self.config().privileged { host::devices()? } else { Vec::new() };
        let inputs = spec::Inputs { config: self.config(), image, user: &user, host: &host, devices: &devices, folder };
        let (mut spec, mut notes) = spec::build(inputs)?;
        prepare::root(folder, &mut spec)?;
        let caches = self.orders.strategy_cache.parent().unwrap_or(Path::new("/"));
        let confinement = confinement(&mut spec, caches)?;
        write_bundle(folder, &spec)?;
        Cgroup::create(&self.config().id, !self.config().privileged)?;
        notes.push(format!("the root is mounted by strategy '{}'", strategy.name()));
        Ok((notes, confinement))
    }

    /// Creates and starts the container; returns when its command has been executed, with the state that says so.
    fn start(&self, streams: Vec<OwnedFd>, confinement: Confinement) -> Result<(Running, State)> {
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).on("create", "a pipe")?;
        let mut report = fs::File::from(read);
        let console = self.console()?;
        let starter = Starter::new(write, Rc::clone(&self.lock), confinement);
        let created = self.create(starter, streams, console.is_some());
        let mut runtime = match created {
            Ok(runtime) => runtime,
            Err(error) => {
                return Err(
                    reported(&mut report).unwrap_or_else(|| runtime_error("can't create the container", &error))
                );
            }
        };
        let terminal = console.map(|console| terminal::receive(&console, self.orders.size)).transpose()?;
        let init = runtime.pid().and_then(|pid| Pid::from_raw(pid.as_raw()));
        let init = init.ok_or_else(|| Error::runtime("the container has no first process", []))?;
        let process = Process::find(init.as_raw_nonzero().get());
        let state =
            self.state.started(process.ok_or_else(|| Error::runtime("the container's first process ended early", []))?);
        // Before the command can do anything that others see: it is never running and said not to be.
        state.write(&self.folder().running_file(), false)?;
        runtime.start().map_err(|error| runtime_error("can't start the container", &error))?;
        match reported(&mut report) {
            Some(error) => Err(error),
            None => Ok((Running { init, terminal }, state)),
        }
    }

    fn create(
        &self,
        starter: Starter,
        streams: Vec<OwnedFd>,
        console: bool,
    ) -> Result<Runtime, libcontainer::error::LibcontainerError> {
        let folder = self.folder();
        let mut builder = ContainerBuilder::new(self.config().id.to_string(), SyscallType::default())
            .with_root_path(folder.runtime())?
            .with_executor(starter);
        if console {
            builder = builder.with_console_socket(Some(folder.runtime().join(CONSOLE)));
        } else if let Ok([stdin, stdout, stderr]) = <[OwnedFd; 3]>::try_from(streams) {
            builder = builder.with_stdin(stdin).with_stdout(stdout).with_stderr(stderr);
        }
        builder.as_init(folder.bundle()).with_systemd(false).with_detach(true).build()
    }

    /// The socket on which libcontainer delivers the terminal, if the container gets one.
    fn console(&self) -> Result<Option<UnixListener>> {
        if !self.config().tty {
            return Ok(None);
        }
        // A socket's name is short, whatever the path of the store.
        std::env::set_current_dir(self.folder().runtime()).on("enter", self.folder().runtime())?;
        let listener = UnixListener::bind(CONSOLE).on("bind", CONSOLE)?;
        std::env::set_current_dir("/").on("enter", "/")?;
        Ok(Some(listener))
    }

    fn tell(&mut self, message: &ToFront, terminal: Option<BorrowedFd<'_>>) {
        let descriptors: Vec<BorrowedFd<'_>> = terminal.into_iter().collect();
        if self.channel.as_ref().is_some_and(|channel| channel.send(message, &descriptors).is_err()) {
            self.channel = None;
        }
    }

    /// Waits for the end of the command, passes signals on meanwhile, and empties the terminal when no front does.
    fn wait(&mut self, running: Running) -> Result<i32> {
        let init = pidfd_open(running.init, PidfdFlags::empty()).on("open", "the container's first process")?;
        loop {
            let mut watched = vec![PollFd::new(&init, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
            let idle = match (&self.channel, &running.terminal) {
                (Some(channel), _) => Some(channel.as_fd()),
                (None, Some(terminal)) => Some(terminal.as_fd()),
                (None, None) => None,
            };
            watched.extend(idle.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
            match poll(&mut watched, None) {
                Err(rustix::io::Errno::INTR) => continue,
                result => result.on("wait for", "the container")?,
            };
            let ready: Vec<bool> = watched.iter().map(|fd| !fd.revents().is_empty()).collect();
            if ready[0] {
                return exit_status(running.init);
            }
            if ready[1]
                && let Some(signal) = terminal::next_signal(&self.signals)?
            {
                signal_init(&init, signal);
            }
            if ready.get(2) == Some(&true) {
                self.hear(&init, running.terminal.as_ref());
            }
        }
    }

    fn hear(&mut self, init: &OwnedFd, terminal: Option<&OwnedFd>) {
        match (&self.channel, terminal) {
            (Some(channel), _) => match channel.receive() {
                Ok(Some((ToMonitor::Signal(signal), _))) => signal_init(init, signal),
                // The front is gone; the container goes on.
                Ok(None) | Err(_) => self.channel = None,
            },
            (None, Some(terminal)) => {
                let mut lost = [0; 4096];
                let _ = rustix::io::read(terminal, &mut lost);
            }
            (None, None) => {}
        }
    }

    /// Clears up, records how it ended, frees the container and tells the front.
    fn finish(mut self, result: Result<i32>) -> Result<()> {
        let cleared = self.clear();
        let message = match &result {
            Ok(code) => {
                self.state = self.state.ended(*code, "");
                ToFront::Exited { code: *code }
            }
            Err(error) => {
                let code = if let Error::Command { missing, .. } = error { 126 + i32::from(*missing) } else { 128 };
                self.state = self.state.not_started(code, error.chain().join(": "));
                ToFront::Failed(Failure::from(error))
            }
        };
        let recorded = cleared.and_then(|()| self.record());
        // Free before the front knows, so that what it does next finds the container free.
        drop(self.lock.take());
        match recorded {
            Ok(()) => self.tell(&message, None),
            Err(ref error) => self.tell(&ToFront::Failed(Failure::from(error)), None),
        }
        // Nobody waits for the disk.
        if self.config().auto_remove { self.containers.empty_trash(&self.config().id) } else { Ok(()) }
    }

    fn clear(&self) -> Result<()> {
        let cgroup = Cgroup::of(&self.config().id)?;
        cgroup.kill()?;
        while let Ok(Some(_)) = waitpid(None, WaitOptions::NOHANG) {}
        cgroup.remove()?;
        for mounted in [self.folder().rootfs(), self.folder().runtime()] {
            while unmount(&mounted, UnmountFlags::DETACH).is_ok() {}
        }
        Ok(())
    }

    fn record(&self) -> Result<()> {
        if self.config().auto_remove {
            let lock = self.lock.borrow();
            let lock = lock.as_ref().expect("because the lock is dropped only after the end was recorded");
            return self.containers.detach(&self.container, lock);
        }
        self.state.write(&self.folder().state_file(), true)?;
        self.folder().forget_running()?;
        self.containers.unmark(&self.config().id)
    }
}

const CONSOLE: &str = "console.sock";

/// A mount namespace, in which what the host unmounts vanishes too but nothing shows up on the host; and for a container
/// without network a network namespace with nothing but loopback, which the container inherits.
fn enter_namespaces(network: Network) -> Result<()> {
    let mut flags = CloneFlags::CLONE_NEWNS;
    if network == Network::None {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    unshare(flags).on("create", "namespaces")?;
    let propagation = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", propagation).on("change the propagation of", "/")?;
    if network == Network::None {
        sys::loopback_up().on("bring up", "lo")?;
        // Docker's settings for a network of one's own; a kernel without them does without.
        let _ = fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
        let _ = fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
    }
    Ok(())
}

/// Puts memory in place of a folder, in this mount namespace.
fn mount_memory(folder: &Path) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("rd", folder, "tmpfs", flags, c"mode=0700,size=64m").on("mount memory on", folder)
}

/// Takes out of the specification what [`Starter`] does better than libcontainer, which would compile the filter anew at
/// each start.
fn confinement(spec: &mut Spec, caches: &Path) -> Result<Confinement> {
    let mut linux = spec.linux().clone().unwrap_or_default();
    let filter = linux.seccomp().as_ref().map(|profile| filter::program(profile, caches)).transpose()?;
    linux.set_seccomp(None);
    spec.set_linux(Some(linux));
    let mut process = spec.process().clone().unwrap_or_default();
    let capabilities = process.capabilities().clone().unwrap_or_default();
    process.set_capabilities(None);
    spec.set_process(Some(process));
    Ok(Confinement { filter, capabilities })
}

fn write_bundle(folder: &Folder, spec: &Spec) -> Result<()> {
    fs::create_dir(folder.bundle()).on("create", folder.bundle())?;
    let file = folder.bundle().join("config.json");
    let bytes = serde_json::to_vec(spec).map_err(|error| Error::invalid("specification", "config.json", error))?;
    fs::write(&file, bytes).on("write", file)
}

/// What the container's first process said before it gave up, or nothing if it became the command.
fn reported(report: &mut fs::File) -> Option<Error> {
    let mut bytes = Vec::new();
    report.read_to_end(&mut bytes).ok()?;
    serde_json::from_slice::<Failure>(&bytes).ok().map(Error::from)
}

fn runtime_error(message: &str, error: &dyn std::error::Error) -> Error {
    let mut words: Vec<String> = Vec::new();
    let mut source = Some(error);
    while let Some(error) = source {
        let text = error.to_string();
        // Libcontainer's errors often repeat their source.
        if words.last().is_none_or(|last| !last.contains(&text)) {
            words.push(text);
        }
        source = error.source();
    }
    Error::runtime(message, words)
}

fn signal_init(init: &OwnedFd, signal: i32) {
    if let Some(signal) = rustix::process::Signal::from_named_raw(signal) {
        let _ = rustix::process::pidfd_send_signal(init, signal);
    }
}

fn exit_status(init: Pid) -> Result<i32> {
    let status = loop {
        match waitpid(Some(init), WaitOptions::empty()) {
            Err(rustix::io::Errno::INTR) => continue,
            result => break result.on("wait for", "the container's first process")?,
        }
    };
    let code = status.and_then(|(_, status)| status.exit_status().or(status.terminating_signal().map(|s| 128 + s)));
    Ok(code.unwrap_or(255))
}
