//! What a command does to the files of a folder, recorded call by call with strace.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// Calls that change files, or that make changes durable; what can't be modelled is here to be refused.
const CALLS: &str = "open,openat,openat2,creat,lseek,write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,splice,\
                     ftruncate,truncate,fallocate,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,\
                     mkdir,mkdirat,fsync,fdatasync,syncfs,sync,mmap,io_uring_setup";

/// A successful system call: its name, its arguments and what it returned, as strace words them with `-xx -y`.
#[derive(Debug)]
pub struct Call {
    pub name: String,
    pub args: Vec<String>,
    pub result: String,
    /// How many calls had ended when it began.
    pub since: usize,
}

/// Run `command` under strace, with its children; the calls in the order in which they ended.
pub fn record(command: &Command, log: &Path) -> (Vec<Call>, ExitStatus) {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-y", "-xx", "-s", "16777216", "--seccomp-bpf", "-e", "signal=none", "-e"]);
    traced.arg(format!("trace={CALLS}")).arg("-o").arg(log);
    let mut traced = crate::judge::wrap(traced, command);
    let output = traced.stderr(Stdio::inherit()).output().expect("strace must be installed");
    let text = std::fs::read_to_string(log).unwrap();
    std::fs::remove_file(log).unwrap();
    (parse(&text), output.status)
}

fn parse(text: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, (&str, usize)> = HashMap::new();
    let mut calls: Vec<Call> = Vec::new();
    for line in text.lines() {
        let (pid, rest) = line.split_once(' ').unwrap();
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix("<unfinished ...>") {
            begun.insert(pid, (start, calls.len()));
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let end = resumed.split_once(" resumed>").unwrap().1;
            // A killed process leaves a call that never ends.
            let (start, since) = begun.remove(pid).unwrap_or_default();
            calls.extend(call(&format!("{start}{end}"), since));
        } else {
            let since = calls.len();
            calls.extend(call(rest, since));
        }
    }
    calls
}

/// `name(args) = result`; none where it failed. In hexadecimal strings and paths there are no separators.
fn call(text: &str, since: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (args, result) = rest.rsplit_once(" = ")?;
    if result.starts_with('-') || result.starts_with('?') {
        return None;
    }
    let args = args.trim_end().strip_suffix(')')?;
    let args = args.split(", ").map(|arg| arg.trim().to_owned()).collect();
    Some(Call { name: name.to_owned(), args, result: result.to_owned(), since })
}

impl Call {
    /// The number that the call returned.
    pub fn count(&self) -> u64 {
        let digits: String = self.result.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }

    /// The number that an argument is.
    pub fn number(&self, at: usize) -> u64 {
        self.args[at].parse().unwrap()
    }

    /// The mode that is the last argument, in octal.
    pub fn mode(&self) -> u32 {
        self.args.last().and_then(|mode| u32::from_str_radix(mode, 8).ok()).unwrap_or(0o666)
    }

    /// The bytes of a string argument.
    pub fn bytes(&self, at: usize) -> Vec<u8> {
        unhex(self.args[at].trim_start_matches('"').split('"').next().unwrap())
    }

    /// The path of an argument that is a string, relative to that of the folder before it where there is one.
    pub fn path(&self, at: usize) -> PathBuf {
        let path = path_of(&self.bytes(at));
        match at.checked_sub(1).and_then(|at| descriptor(&self.args[at])) {
            Some(folder) => folder.path.join(path),
            None => path,
        }
    }

    /// The file that a descriptor argument is open on.
    pub fn file(&self, at: usize) -> Option<Descriptor> {
        descriptor(&self.args[at])
    }

    /// The file that the call opened.
    pub fn opened(&self) -> Option<Descriptor> {
        descriptor(&self.result)
    }

    /// Whether any argument has the flag.
    pub fn has(&self, flag: &str) -> bool {
        self.args.iter().any(|arg| arg.split('|').any(|word| word == flag))
    }
}

/// An open file: `3<path>`, `AT_FDCWD<path>`, `3<path>(deleted)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Descriptor {
    /// The descriptor itself, as a number.
    pub number: String,
    /// The name of the file at that moment.
    pub path: PathBuf,
    /// Whether it had lost that name, or never had it.
    pub is_deleted: bool,
}

fn descriptor(text: &str) -> Option<Descriptor> {
    let (number, rest) = text.split_once('<')?;
    let (hex, after) = rest.split_once('>')?;
    let path = path_of(&unhex(hex));
    Some(Descriptor { number: number.to_owned(), path, is_deleted: after == "(deleted)" })
}

fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(bytes).into()
}

/// `\x2f\x74` as bytes.
fn unhex(text: &str) -> Vec<u8> {
    let digits = |pair: &str| u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("not hexadecimal: {text:.80}"));
    text.split("\\x").filter(|pair| !pair.is_empty()).map(digits).collect()
}
