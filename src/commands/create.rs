//! `rd create`

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use plumbing::revision::{Lookup, Prefer, resolve_commit_with};
use plumbing::{Id, Store};
use porcelain::container::spec::parse_capability;
use porcelain::container::{Bind, Config, Container, Containers, Io, Launch, Lock, Network, Tmpfs, lower};
use porcelain::registry::Reference;

use crate::cli::Globals;
use crate::output::progress::Progress;
use crate::registries::{Access, How, Wanted, pull, pull_store};
use crate::report::Failure;

/// Exit status where rd failed rather than the container's command.
pub const RD_FAILED: u8 = 125;

/// Create a container without starting it
///
/// Prints the container's id. `rd start -a CONTAINER` runs it.
///
/// Exit status: 0 done; 125 failed.
#[derive(clap::Args)]
#[command(disable_help_flag = true, override_usage = "rd create [OPTIONS] IMAGE [COMMAND] [ARG]...")]
pub struct Args {
    #[command(flatten)]
    options: Options,
}

pub fn run(args: Args, globals: &Globals) -> Result<ExitCode, Failure> {
    create(&args.options, false, globals).map_err(|failure| failure.status(RD_FAILED))
}

fn create(options: &Options, auto_remove: bool, globals: &Globals) -> Result<ExitCode, Failure> {
    let store = globals.store()?;
    let made = make(options, auto_remove, &store)?;
    println!("{}", made.container.config.id);
    Ok(ExitCode::SUCCESS)
}

/// The options of `rd create` and `rd run`; those after IMAGE belong to the command.
#[derive(clap::Args)]
pub struct Options {
    /// The container's name; one is made up if none is given
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Let the command read this command's input
    #[arg(short, long)]
    pub interactive: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Set a variable; NAME alone takes the value that it has here
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Set the variables in a file of such lines; lines that begin with # are comments
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// The folder to start in; made if it is missing
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Who to run as: names or ids
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Run this instead of the image's entrypoint; '' for none
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Show a file or folder of this host in the container
    #[arg(short, long, value_name = "HOST:CONTAINER[:OPTIONS]")]
    volume: Vec<String>,
    /// Put memory in place of a folder
    #[arg(long, value_name = "DIR[:OPTIONS]")]
    tmpfs: Vec<String>,
    /// The name that the container sees as its host's
    #[arg(short = 'h', long, value_name = "NAME")]
    hostname: Option<String>,
    /// Let the container write to mounts only
    #[arg(long)]
    read_only: bool,
    /// Which network it sees: none or host
    #[arg(long, alias = "net", value_name = "NETWORK", default_value = "none")]
    network: String,
    /// Give a capability: NET_ADMIN, ALL
    #[arg(long, value_name = "CAPABILITY")]
    cap_add: Vec<String>,
    /// Take a capability away
    #[arg(long, value_name = "CAPABILITY")]
    cap_drop: Vec<String>,
    /// Give it every capability, all devices of this host, and no confinement
    #[arg(long)]
    privileged: bool,
    /// Attach a label
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,
    /// When to pull the image: always, missing or never
    #[arg(long, value_name = "WHEN", value_enum, default_value = "missing", hide_possible_values = true)]
    pull: Pull,
    /// Don't show how a pull goes on
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    access: Access,
    /// Write the container's id into a new file
    #[arg(long, value_name = "FILE")]
    cidfile: Option<PathBuf>,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// The image, and the command to run in it with its arguments; the image's own command if none is given
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "IMAGE [COMMAND] [ARG]")]
    words: Vec<String>,
}

/// When an image is pulled before a container is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Pull {
    Always,
    Missing,
    Never,
}

/// A container that was made, with its lock.
pub struct Made {
    pub containers: Containers,
    pub container: Container,
    pub lock: Lock,
    launch: Launch,
}

impl Made {
    /// How to start it.
    pub fn launch(&self, io: Io) -> Launch {
        Launch { io, ..self.launch.clone() }
    }
}

/// Make the container that the options ask for.
pub fn make(options: &Options, auto_remove: bool, store: &Store) -> Result<Made, Failure> {
    // Until the container is there nothing else may need its image.
    let _hold = store.hold()?;
    let containers = Containers::open(store.dir())?;
    let base = find_image(store, options)?;
    let config = options.config(&containers, base, auto_remove)?;
    let lower = lower(store, &base)?;
    let id_file = options.cidfile.as_deref().map(IdFile::create).transpose()?;
    make_missing_sources(&config.binds)?;
    let (container, lock, image) = containers.create_from_store(store, config)?;
    if let Some(file) = id_file {
        file.write(container.config.id.as_str())?;
    }
    let launch = launch(store, lower, image);
    Ok(Made { containers, container, lock, launch })
}

/// How a container with this root is started, as far as it doesn't depend on the streams.
pub fn launch(store: &Store, lower: porcelain::rootfs::Lower, image: porcelain::container::ImageConfig) -> Launch {
    Launch {
        lower,
        image,
        strategy_cache: store.mounts_dir().join("strategy"),
        io: Io::Detached,
        monitor: vec!["/proc/self/exe".into(), "monitor".into()],
    }
}

/// The commit of the image, which is pulled where it has to be.
fn find_image(store: &Store, options: &Options) -> Result<Id, Failure> {
    let spelling = &options.words[0];
    let lookup = || {
        let local = Reference::parse(spelling).ok().filter(|reference| reference.digest().is_some());
        let pulled = || Wanted::parse(store, spelling).ok().filter(|wanted| wanted.url().is_some());
        let local = match local {
            Some(reference) => Some(reference.local_name()?.to_string()),
            None => pulled().map(|wanted| wanted.local()).transpose()?.map(|name| name.to_string()),
        };
        let lookup = Lookup { prefer: Prefer::Images, aliases: None };
        Ok::<_, Failure>(resolve_commit_with(store, local.as_ref().unwrap_or(spelling), lookup)?)
    };
    let found = match options.pull {
        Pull::Never => return lookup(),
        Pull::Missing => lookup(),
        Pull::Always => Err(Failure::new(format!("can't pull '{spelling}': it is no image's name"))),
    };
    let Err(missing) = found else { return found };
    // An id or a revision can't be pulled.
    let Ok(wanted) = Wanted::parse(store, spelling) else { return Err(missing) };
    let pulled = pull_image(store, &wanted, options);
    match pulled {
        Ok(()) => lookup(),
        Err(failure) if options.pull == Pull::Always => Err(failure),
        Err(failure) => Err(missing.because(failure)),
    }
}

fn pull_image(store: &Store, wanted: &Wanted, options: &Options) -> Result<(), Failure> {
    if wanted.is_at_store()? {
        return pull_store(store, wanted, false).map(drop);
    }
    let how = How { platform: None, force: false, listener: Progress::new(options.quiet).listener() };
    pull(store, &options.access.open(wanted)?, wanted, &how).map(drop)
}

impl Options {
    fn config(&self, containers: &Containers, base: Id, auto_remove: bool) -> Result<Config, Failure> {
        let name = match &self.name {
            Some(name) => name.clone(),
            None => containers.free_name()?,
        };
        let id = porcelain::container::Id::random()?;
        let mut config = Config::new(id, name, &self.words[0], base.to_string());
        config.entrypoint = self.entrypoint.as_ref().map(|entrypoint| match entrypoint.as_str() {
            "" => Vec::new(),
            entrypoint => vec![entrypoint.to_owned()],
        });
        config.cmd = self.words[1..].to_vec();
        config.env = self.environment()?;
        config.working_dir = self.workdir.as_deref().map(absolute_in_container).transpose()?;
        config.user = self.user.clone();
        config.tty = self.tty;
        config.open_stdin = self.interactive;
        config.hostname = self.hostname.as_deref().map(check_hostname).transpose()?;
        config.binds = self.volume.iter().map(|volume| bind(volume)).collect::<Result<_, _>>()?;
        config.tmpfs = self.tmpfs.iter().map(|tmpfs| tmpfs.parse::<Tmpfs>()).collect::<Result<_, _>>()?;
        config.network = self.network.parse::<Network>()?;
        config.cap_add = capabilities(&self.cap_add)?;
        config.cap_drop = capabilities(&self.cap_drop)?;
        config.privileged = self.privileged;
        config.read_only = self.read_only;
        config.labels = self.labels();
        config.auto_remove = auto_remove;
        Ok(config)
    }

    /// The files' variables first, so that those on the command line win.
    fn environment(&self) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        for file in &self.env_file {
            let text = fs::read_to_string(file)
                .map_err(|error| Failure::new(format!("can't read '{}': {error}", file.display())))?;
            let given = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
            for line in given {
                lines.push(variable(line, &format!("in '{}'", file.display()))?);
            }
        }
        for line in &self.env {
            lines.push(variable(line, "of --env")?);
        }
        Ok(lines)
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let pairs = self.label.iter().map(|label| label.split_once('=').unwrap_or((label, "")));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

/// `NAME` alone takes this command's value; where it has none, the container shall have none either.
fn variable(line: &str, place: &str) -> Result<String, Failure> {
    let name = line.split_once('=').map_or(line, |(name, _)| name);
    if name.is_empty() || name.contains(char::is_whitespace) || line.contains('\0') {
        return Err(Failure::new(format!("invalid variable '{}' {place}", line.escape_debug())));
    }
    match (line.contains('='), std::env::var(name)) {
        (false, Ok(value)) => Ok(format!("{name}={value}")),
        _ => Ok(line.to_owned()),
    }
}

/// A host path may be given relative to here, with a dot in front, as in docker; it can't be a volume's name.
fn bind(text: &str) -> Result<Bind, Failure> {
    let relative = text == "." || ["./", "../", ".:", "..:"].iter().any(|start| text.starts_with(start));
    if !relative {
        return Ok(text.parse()?);
    }
    let here = std::env::current_dir()?;
    Ok(format!("{}/{text}", here.display()).parse()?)
}

fn make_missing_sources(binds: &[Bind]) -> Result<(), Failure> {
    for bind in binds.iter().filter(|bind| !bind.source.exists()) {
        fs::create_dir_all(&bind.source)
            .map_err(|error| Failure::new(format!("can't create '{}': {error}", bind.source.display())))?;
    }
    Ok(())
}

fn capabilities(names: &[String]) -> Result<Vec<String>, Failure> {
    Ok(names.iter().map(|name| parse_capability(name)).collect::<Result<_, _>>()?)
}

fn absolute_in_container(path: &str) -> Result<String, Failure> {
    if Path::new(path).is_absolute() && !path.contains('\0') {
        return Ok(path.to_owned());
    }
    let path = path.escape_debug();
    Err(Failure::new(format!("the working directory '{path}' is invalid, it needs to be an absolute path")))
}

/// The kernel takes 64 bytes.
fn check_hostname(name: &str) -> Result<String, Failure> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if !name.is_empty() && name.len() <= 64 && name.chars().all(good) {
        return Ok(name.to_owned());
    }
    Err(Failure::new(format!(
        "invalid hostname '{}': letters, digits, '-', '.' and '_', 64 at most",
        name.escape_debug()
    )))
}

/// The file of `--cidfile`, made before the container so that nothing is left where it can't be; gone again where the
/// container isn't made.
struct IdFile {
    path: PathBuf,
    file: Option<fs::File>,
}

impl IdFile {
    fn create(path: &Path) -> Result<Self, Failure> {
        let file = fs::File::create_new(path).map_err(|error| {
            let failure = Failure::new(format!("can't create the container ID file '{}': {error}", path.display()));
            match error.kind() {
                std::io::ErrorKind::AlreadyExists => {
                    failure.hint("make sure that no container of that file runs any more, and delete it")
                }
                _ => failure,
            }
        })?;
        Ok(Self { path: path.to_owned(), file: Some(file) })
    }

    fn write(mut self, id: &str) -> Result<(), Failure> {
        match self.file.take() {
            Some(mut file) => Ok(file.write_all(id.as_bytes())?),
            None => Ok(()),
        }
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}
