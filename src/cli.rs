//! The command line: global flags and the list of commands.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use plumbing::Store;
use porcelain::container::Containers;

use crate::commands;
use crate::report::Failure;

/// git for containers: images and container states as commits in one content-addressed store
///
/// Exit status: 0 done or yes; 1 the answer is no; 2 failed or wrong usage. `rd run` and `rd start -a` end with the
/// command's own status, 125 where rd failed, 126 where the command can't be invoked, 127 where it isn't found.
#[derive(Parser)]
#[command(name = "rd", version, disable_help_subcommand = true, max_term_width = 120)]
pub struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    command: Command,
}

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
        let mut collector: Vec<OsString> = vec!["/proc/self/exe".into(), "--root".into()];
        collector.extend([store.dir().canonicalize().unwrap_or_else(|_| store.dir().to_owned()).into_os_string()]);
        collector.extend(["gc", "--auto", "--quiet"].map(OsString::from));
        porcelain::housekeeping::auto::start_if_due(store, &collector);
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
pub fn arguments() -> Vec<OsString> {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let mut at = 1;
    while let Some(arg) = args.get(at).and_then(|arg| arg.to_str()) {
        match arg {
            "--root" | "--git-dir" | "--color" => at += 2,
            _ if arg.starts_with('-') => at += 1,
            _ => break,
        }
    }
    let is_git = args.get(at).is_some_and(|arg| arg == "diff-tree");
    let asks_for_help = args.get(at + 1).is_some_and(|arg| arg == "--help" || arg == "-h");
    if is_git && !asks_for_help {
        args.insert(at + 1, "--".into());
    }
    args
}

/// Say what is wrong with the command line, or print the help; the exit status, which for the object commands is git's.
pub fn misused(error: &clap::Error) -> ExitCode {
    // A reader that has gone needs no help.
    let _ = error.print();
    let matches = Cli::command().ignore_errors(true).try_get_matches();
    let command = matches.ok().and_then(|matches| matches.subcommand_name().map(str::to_owned));
    let is_object_command = command.is_some_and(|name| crate::git::COMMANDS.contains(&name.as_str()));
    match error.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if shows_reflogs() => ExitCode::from(crate::report::FATAL),
        _ if is_object_command => ExitCode::from(crate::report::USAGE),
        _ => ExitCode::from(crate::report::FAILED),
    }
}

/// Whether the command line is one of `reflog` without a subcommand, which git reads as it reads that of `log`.
fn shows_reflogs() -> bool {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let Some(at) = words.iter().position(|word| word == "reflog") else { return false };
    words.get(at + 1).is_none_or(|word| !["exists", "expire", "delete", "list"].contains(&word.as_str()))
}

/// Declares the commands once: variant, module of the same name in `commands`.
macro_rules! commands {
    ($($(#[$attribute:meta])* $variant:ident => $module:ident,)*) => {
        #[derive(Subcommand)]
        enum Command {
            $($(#[$attribute])* $variant(commands::$module::Args),)*
        }

        impl Cli {
            /// Run the command; its exit status.
            pub fn run(self) -> Result<ExitCode, Failure> {
                let module = match &self.command {
                    $(Command::$variant(_) => stringify!($module),)*
                };
                let is_gits = crate::git::COMMANDS.contains(&module.replace('_', "-").as_str());
                let done = match self.command {
                    $(Command::$variant(args) => commands::$module::run(args, &self.globals),)*
                };
                done.map_err(|failure| if is_gits { failure.of_git() } else { failure })
            }
        }
    };
}

// Commands first, in the order a user meets them; then the object commands.
commands! {
    Run => run,
    Create => create,
    Start => start,
    Ps => ps,
    Rm => rm,
    Import => import,
    Load => load,
    Export => export,
    Pull => pull,
    Mount => mount,
    Umount => umount,
    Init => init,
    Commit => commit,
    Diff => diff,
    Log => log,
    Show => show,
    Images => images,
    Tag => tag,
    Rmi => rmi,
    Inspect => inspect,
    History => history,
    Image => image,
    Container => container,
    System => system,
    Prune => prune,
    Gc => gc,
    Repack => repack,
    Info => info,
    Version => version,
    Completion => completion,
    #[command(hide = true)]
    Monitor => monitor,
    Bundle => bundle,
    CatFile => cat_file,
    CheckoutTree => checkout_tree,
    CommitTree => commit_tree,
    CountObjects => count_objects,
    Describe => describe,
    DiffRoot => diff_root,
    DiffTree => diff_tree,
    ForEachRef => for_each_ref,
    Fsck => fsck,
    HashObject => hash_object,
    LayerTar => layer_tar,
    LsRoot => ls_root,
    LsTree => ls_tree,
    MergeBase => merge_base,
    Mkfs => mkfs,
    Mktree => mktree,
    NameRev => name_rev,
    PackRefs => pack_refs,
    Reflog => reflog,
    RevList => rev_list,
    RevParse => rev_parse,
    ShowRef => show_ref,
    SymbolicRef => symbolic_ref,
    UpdateRef => update_ref,
    WriteTree => write_tree,
    UploadPack => upload_pack,
    ReceivePack => receive_pack,
    #[command(hide = true)]
    RemoteHelper => remote_helper,
}
