//! The command line: global flags and the list of commands.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgMatches, Args, FromArgMatches};
use plumbing::Store;
use porcelain::container::Containers;

use crate::commands;
use crate::report::{self, Failure};

/// Flags that every command takes.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// The store's folder [default: /var/lib/rd, without root $XDG_DATA_HOME/rd]
    #[arg(long, global = true, env = "RD_ROOT", value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// The git repository that object commands work on, a store or any other of the SHA-256 format [default: $GIT_DIR,
    /// else the store]
    #[arg(long, value_name = "DIR")]
    pub git_dir: Option<PathBuf>,
    /// Say what is done on stderr
    #[arg(long, global = true)]
    pub debug: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: crate::output::Color,
}

impl Globals {
    /// The store's folder.
    pub fn store_dir(&self) -> PathBuf {
        self.root.clone().unwrap_or_else(default_store_dir)
    }

    /// Open the store, creating the default one where there is none.
    ///
    /// A user without root is told so: mounting and starting containers need it for now.
    pub fn store(&self) -> Result<Store, Failure> {
        if !nix::unistd::geteuid().is_root() {
            return Err(Failure::new("rd needs root for now").hint("run it with sudo"));
        }
        let store = Store::open_or_create(self.store_dir())?;
        self.clear_up(&store);
        Ok(store)
    }

    /// After a command that wrote: start a collection if the last one is long ago. It goes on when this process has ended.
    pub fn collect_if_due(&self, store: &Store) {
        drop(porcelain::housekeeping::auto::start_if_due(store, &collector(store)));
    }

    /// Finish or undo what a killed command or container left behind. That it can't be done is no reason not to do
    /// what was asked for.
    fn clear_up(&self, store: &Store) {
        let cleared = Containers::open(store.dir()).and_then(|containers| containers.reconcile());
        match cleared {
            Ok(ids) if self.debug => ids.iter().for_each(|id| eprintln!("debug: cleared up after container {id}")),
            Ok(_) => {}
            Err(error) => eprintln!("warning: can't clear up after a killed container: {}", error.chain().join(": ")),
        }
    }
}

impl Globals {
    /// The repository that an object command works on: `--git-dir`, `--root`, `GIT_DIR`, or the store.
    pub fn repository(&self) -> Result<Store, Failure> {
        match self.git_dir_given() {
            Some(dir) => Ok(Store::open_git(dir).map_err(crate::git::no_repository)?),
            None => self.store(),
        }
    }

    /// The git folder that was asked for rather than a store; a flag goes before a variable.
    fn git_dir_given(&self) -> Option<PathBuf> {
        let root_is_a_flag = self.root.is_some() && self.root != std::env::var_os("RD_ROOT").map(PathBuf::from);
        let variable = || std::env::var_os("GIT_DIR").filter(|dir| !dir.is_empty() && !root_is_a_flag);
        self.git_dir.clone().or_else(|| variable().map(PathBuf::from))
    }
}

/// The command that collects what a store doesn't need.
pub fn collector(store: &Store) -> Vec<OsString> {
    let mut collector: Vec<OsString> = vec!["/proc/self/exe".into(), "--root".into()];
    collector.extend([store.dir().canonicalize().unwrap_or_else(|_| store.dir().to_owned()).into_os_string()]);
    collector.extend(["gc", "--auto", "--quiet"].map(OsString::from));
    collector
}

/// Where the store is where nobody says otherwise.
pub fn default_store_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/rd");
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(home);
    data.unwrap_or_else(|| PathBuf::from("/var/lib")).join("rd")
}

/// The command line as it is parsed: what follows `diff-tree` is git's alone, which has a `--root` of its own.
fn arguments() -> Vec<OsString> {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let at = place(&args);
    let is_git = args.get(at).is_some_and(|arg| arg == "diff-tree");
    let asks_for_help = args.get(at + 1).is_some_and(|arg| arg == "--help" || arg == "-h");
    if is_git && !asks_for_help {
        args.insert(at + 1, "--".into());
    }
    args
}

/// Where the command's name is: after the global flags.
fn place(args: &[OsString]) -> usize {
    let mut at = 1;
    while let Some(arg) = args.get(at).and_then(|arg| arg.to_str()) {
        match arg {
            "--root" | "--git-dir" | "--color" => at += 2,
            _ if arg.starts_with('-') => at += 1,
            _ => break,
        }
    }
    at
}

/// Read the command line and do what it says.
pub fn run() -> ExitCode {
    let args = arguments();
    let (globals, entry, matches) = match read(&args) {
        Ok(read) => read,
        Err(error) => return misused(error, &args),
    };
    crate::output::set_color(globals.color);
    let done = match (entry.run)(&matches, &globals) {
        Ok(done) => done,
        Err(error) => return misused(error, &args),
    };
    let is_gits = crate::git::COMMANDS.contains(&entry.name().as_str());
    match done.map_err(|failure| if is_gits { failure.of_git() } else { failure }) {
        Ok(code) => code,
        Err(failure) => report::print_with(&failure, |name| similar_names(globals.store_dir(), name)),
    }
}

/// The global flags, the command, and what its own arguments are.
fn read(args: &[OsString]) -> Result<(Globals, &'static Entry, ArgMatches), clap::Error> {
    let called = COMMANDS.iter().find(|entry| args.get(place(args)).is_some_and(|word| *word == *entry.name()));
    // What isn't called need not be described: that takes longer than many a command.
    let command = called.map_or_else(command, |entry| top().subcommand(entry.describe()));
    let mut matches = command.try_get_matches_from(args)?;
    let globals = Globals::from_arg_matches(&matches)?;
    let (name, own) = matches.remove_subcommand().expect("because a command is required");
    let entry = COMMANDS.iter().find(|entry| entry.name() == name);
    Ok((globals, entry.expect("because no others are described"), own))
}

/// The whole command line, described.
pub fn command() -> clap::Command {
    COMMANDS.iter().fold(top(), |command, entry| command.subcommand(entry.describe()))
}

/// The command line without the commands.
fn top() -> clap::Command {
    let about = "git for containers: images and container states as commits in one content-addressed store";
    let more = "Exit status: 0 done or yes; 1 the answer is no; 2 failed or wrong usage. `rd run` and `rd start -a` end with \
        the command's own status, 125 where rd failed, 126 where the command can't be invoked, 127 where it isn't found.";
    // The flags have a description of their own, which isn't the program's.
    let top = Globals::augment_args(clap::Command::new("rd").version(env!("CARGO_PKG_VERSION"))).about(about);
    let top = top.long_about(format!("{about}\n\n{more}")).max_term_width(120).disable_help_subcommand(true);
    top.subcommand_required(true).arg_required_else_help(true)
}

/// Names of images and containers that are nearly `name`; none where there is no store.
fn similar_names(store: PathBuf, name: &str) -> Vec<String> {
    let store = Store::open(store);
    store.map(|store| plumbing::revision::similar(&store, name)).unwrap_or_default()
}

/// Say what is wrong with the command line, or print the help; the exit status, which for the object commands is git's.
fn misused(error: clap::Error, args: &[OsString]) -> ExitCode {
    // A reader that has gone needs no help.
    let _ = error.print();
    let is_object_command =
        args.get(place(args)).and_then(|word| word.to_str()).is_some_and(|word| crate::git::COMMANDS.contains(&word));
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if shows_reflogs() => ExitCode::from(report::FATAL),
        _ if is_object_command => ExitCode::from(report::USAGE),
        _ => ExitCode::from(report::FAILED),
    }
}

/// Whether the command line is one of `reflog` without a subcommand, which git reads as it reads that of `log`.
fn shows_reflogs() -> bool {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let Some(at) = words.iter().position(|word| word == "reflog") else { return false };
    words.get(at + 1).is_none_or(|word| !["exists", "expire", "delete", "list"].contains(&word.as_str()))
}

/// Runs a command; the outer error is one of its arguments.
type Run = fn(&ArgMatches, &Globals) -> Result<Result<ExitCode, Failure>, clap::Error>;

/// A command: its module in `commands`, what it takes and does.
struct Entry {
    module: &'static str,
    is_hidden: bool,
    augment: fn(clap::Command) -> clap::Command,
    run: Run,
}

impl Entry {
    fn name(&self) -> String {
        self.module.replace('_', "-")
    }

    fn describe(&self) -> clap::Command {
        (self.augment)(clap::Command::new(self.name())).hide(self.is_hidden)
    }
}

/// Declares the commands once, each by its module in `commands`.
macro_rules! commands {
    ($($module:ident $($hidden:ident)?,)*) => {
        const COMMANDS: &[Entry] = &[$(Entry {
            module: stringify!($module),
            is_hidden: !stringify!($($hidden)?).is_empty(),
            augment: <commands::$module::Args as Args>::augment_args,
            run: |matches, globals| {
                let args = <commands::$module::Args as FromArgMatches>::from_arg_matches(matches)?;
                Ok(commands::$module::run(args, globals))
            },
        },)*];
    };
}

// Commands first, in the order a user meets them; then the object commands.
commands! {
    run,
    create,
    start,
    ps,
    rm,
    import,
    load,
    save,
    export,
    pull,
    push,
    search,
    login,
    logout,
    serve,
    mount,
    umount,
    init,
    commit,
    diff,
    log,
    show,
    images,
    tag,
    rmi,
    remote,
    fetch,
    inspect,
    history,
    image,
    container,
    system,
    prune,
    gc,
    repack,
    info,
    version,
    completion,
    monitor hidden,
    bundle,
    cat_file,
    checkout_tree,
    commit_tree,
    count_objects,
    describe,
    diff_root,
    diff_tree,
    for_each_ref,
    fsck,
    hash_object,
    layer_tar,
    ls_root,
    ls_tree,
    merge_base,
    mkfs,
    mktree,
    name_rev,
    pack_refs,
    reflog,
    rev_list,
    rev_parse,
    show_ref,
    symbolic_ref,
    update_ref,
    write_tree,
    upload_pack,
    receive_pack,
    serve_stdio,
    remote_helper hidden,
}
