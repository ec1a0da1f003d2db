//! A filesystem that loses power: what of the recorded calls is on disk at any moment, if the disk kept no more than it
//! had promised, or some of what it hadn't.
//!
//! The rules are those of POSIX and of what journaling filesystems add to it: a file's bytes are safe after fsync of the
//! file, a name after fsync of its folder, everything after syncfs; a rename happens all or not at all; what happened to
//! the names of one folder is there up to a moment. All else may be there or not, in any combination.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::trace::{Call, Descriptor};

type Inode = usize;

/// What is written to a disk at once.
const PAGE: usize = 4096;

/// The inode of the folder that is watched.
const TOP: Inode = 0;

#[derive(Debug, Clone)]
enum Node {
    File(Vec<u8>, u32),
    Folder(BTreeMap<OsString, Inode>),
    Link(PathBuf),
}

/// A change or a promise.
#[derive(Debug)]
enum Step {
    Write {
        file: Inode,
        at: u64,
        bytes: Vec<u8>,
    },
    Resize {
        file: Inode,
        size: u64,
    },
    Name {
        folder: Inode,
        name: OsString,
        inode: Inode,
    },
    Unname {
        folder: Inode,
        name: OsString,
        inode: Inode,
    },
    Rename {
        from: (Inode, OsString),
        to: (Inode, OsString),
        inode: Inode,
    },
    /// What was done to it before so many steps is safe.
    Sync(Inode, usize),
    /// What was done to anything before.
    SyncAll(usize),
    /// What the command printed: from here on it is reported.
    Say(Vec<u8>),
}

/// What a disk keeps of what it hasn't promised to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Nothing,
    /// All names but no bytes: files that are empty.
    Names,
    /// All bytes but no names.
    Bytes,
    /// Names up to a moment, in their order, as a journal does; of the bytes some.
    Journal(u64),
    /// The names of each folder up to a moment of its own; of the bytes some.
    Some(u64),
}

/// The folder before the command, and all that happened to it.
pub struct Disk {
    top: PathBuf,
    /// Every inode that there ever was, as it was in the beginning.
    before: Vec<Node>,
    steps: Vec<Step>,
}

impl Disk {
    /// The folder as it is now, all of it durable.
    pub fn snapshot(top: &Path) -> Self {
        let mut disk = Self { top: top.to_owned(), before: vec![Node::Folder(BTreeMap::new())], steps: Vec::new() };
        disk.load(top, TOP);
        disk
    }

    fn load(&mut self, path: &Path, folder: Inode) {
        for entry in std::fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            let node = if kind.is_dir() {
                Node::Folder(BTreeMap::new())
            } else if kind.is_symlink() {
                Node::Link(std::fs::read_link(entry.path()).unwrap())
            } else {
                assert!(kind.is_file(), "{:?} is of no kind that is modelled", entry.path());
                Node::File(std::fs::read(entry.path()).unwrap(), mode(&entry.path()))
            };
            self.before.push(node);
            let inode = self.before.len() - 1;
            let Node::Folder(entries) = &mut self.before[folder] else { unreachable!() };
            entries.insert(entry.file_name(), inode);
            if kind.is_dir() {
                self.load(&entry.path(), inode);
            }
        }
    }

    /// Add what was recorded.
    pub fn replay(&mut self, calls: &[Call]) {
        let (nameless, positions, now) = (HashMap::new(), HashMap::new(), self.before.clone());
        let mut live = Live { now, nameless, positions, steps_at: vec![self.steps.len()], disk: self };
        for call in calls {
            live.call(call);
            live.steps_at.push(live.disk.steps.len());
        }
    }

    /// The number of moments: before the first step, and after each.
    pub fn moments(&self) -> usize {
        self.steps.len() + 1
    }

    /// All that the command had printed at a moment.
    pub fn said(&self, moment: usize) -> String {
        let said = self.steps[..moment].iter().filter_map(|step| match step {
            Step::Say(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        String::from_utf8(said.collect::<Vec<_>>().concat()).unwrap()
    }

    /// What happens at a moment, for a message.
    pub fn describe(&self, moment: usize) -> String {
        let text = self.steps.get(moment).map_or_else(|| "the end".to_owned(), |step| format!("{step:?}"));
        format!("before step {moment} of {}: {text:.300}", self.steps.len())
    }

    /// The folder after a power cut at a moment.
    pub fn cut(&self, moment: usize, keep: Keep) -> Image {
        let steps = &self.steps[..moment];
        let promised = promised(steps);
        let mut choice = Choice::new(keep, steps.len());
        let mut nodes = self.before.clone();
        for (number, step) in steps.iter().enumerate() {
            let part = if promised[number] { 1.0 } else { choice.part(step, number) };
            if part > 0.0 {
                apply(&mut nodes, step, part);
            }
        }
        Image { nodes }
    }
}

/// Which steps are safe because of a later one.
fn promised(steps: &[Step]) -> Vec<bool> {
    let mut promised = vec![false; steps.len()];
    let mut since: Vec<Vec<Option<Inode>>> = vec![Vec::new(); steps.len() + 1];
    for step in steps {
        match step {
            Step::Sync(inode, from) => since[*from].push(Some(*inode)),
            Step::SyncAll(from) => since[*from].push(None),
            _ => {}
        }
    }
    let (mut synced, mut all) = (HashSet::new(), false);
    for (number, step) in steps.iter().enumerate().rev() {
        for what in &since[number + 1] {
            match what {
                Some(inode) => drop(synced.insert(*inode)),
                None => all = true,
            }
        }
        promised[number] = all
            || match step {
                Step::Write { file, .. } | Step::Resize { file, .. } => synced.contains(file),
                Step::Name { folder, .. } | Step::Unname { folder, .. } => synced.contains(folder),
                Step::Rename { from, to, .. } => synced.contains(&from.0) || synced.contains(&to.0),
                _ => false,
            };
    }
    promised
}

/// How much of each step is kept that needn't be.
struct Choice {
    keep: Keep,
    random: super::random::Random,
    steps: u64,
    /// Where the journal ends.
    end: usize,
    /// Where the names of each folder end.
    ends: HashMap<Inode, usize>,
}

impl Choice {
    fn new(keep: Keep, steps: usize) -> Self {
        let seed = if let Keep::Journal(seed) | Keep::Some(seed) = keep { seed } else { 0 };
        let mut random = super::random::Random::new(seed);
        let end = random.below(steps as u64 + 1) as usize;
        Self { keep, random, steps: steps as u64, end, ends: HashMap::new() }
    }

    fn part(&mut self, step: &Step, number: usize) -> f64 {
        let is_bytes = matches!(step, Step::Write { .. } | Step::Resize { .. });
        let yes = |yes: bool| if yes { 1.0 } else { 0.0 };
        match self.keep {
            Keep::Nothing => 0.0,
            Keep::Names => yes(!is_bytes),
            Keep::Bytes => yes(is_bytes),
            Keep::Journal(_) if is_bytes => self.some_bytes(),
            Keep::Journal(_) => yes(number < self.end),
            Keep::Some(_) if is_bytes => self.some_bytes(),
            Keep::Some(_) => match step {
                Step::Name { folder, .. } | Step::Unname { folder, .. } | Step::Rename { to: (folder, _), .. } => {
                    let (random, steps) = (&mut self.random, self.steps);
                    yes(number < *self.ends.entry(*folder).or_insert_with(|| random.below(steps + 1) as usize))
                }
                _ => 0.0,
            },
        }
    }

    fn some_bytes(&mut self) -> f64 {
        match self.random.below(4) {
            0 => 0.0,
            1 => self.random.below(1000) as f64 / 1000.0,
            _ => 1.0,
        }
    }
}

/// Do the first part of a step; only writes have parts.
fn apply(nodes: &mut [Node], step: &Step, part: f64) {
    match step {
        Step::Write { file, at, bytes } => {
            let Node::File(content, _) = &mut nodes[*file] else { unreachable!() };
            // Memory goes to the disk by pages.
            let cut = (*at as usize + (bytes.len() as f64 * part) as usize) / PAGE * PAGE;
            let end = if part < 1.0 { cut.max(*at as usize) } else { *at as usize + bytes.len() };
            let bytes = &bytes[..end - *at as usize];
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*at as usize..end].copy_from_slice(bytes);
        }
        Step::Resize { file, size } => {
            let Node::File(content, _) = &mut nodes[*file] else { unreachable!() };
            content.resize(*size as usize, 0);
        }
        Step::Name { folder, name, inode } => {
            entries(nodes, *folder).insert(name.clone(), *inode);
        }
        Step::Unname { folder, name, inode } => remove(nodes, *folder, name, *inode),
        Step::Rename { from, to, inode } => {
            remove(nodes, from.0, &from.1, *inode);
            entries(nodes, to.0).insert(to.1.clone(), *inode);
        }
        Step::Sync(..) | Step::SyncAll(_) | Step::Say(_) => {}
    }
}

fn entries(nodes: &mut [Node], folder: Inode) -> &mut BTreeMap<OsString, Inode> {
    match &mut nodes[folder] {
        Node::Folder(entries) => entries,
        _ => unreachable!("because only folders have entries"),
    }
}

fn remove(nodes: &mut [Node], folder: Inode, name: &OsStr, inode: Inode) {
    let entries = entries(nodes, folder);
    if entries.get(name) == Some(&inode) {
        entries.remove(name);
    }
}

/// The folder as the running command sees it.
struct Live<'d> {
    disk: &'d mut Disk,
    now: Vec<Node>,
    /// Files opened with O_TMPFILE: by their descriptor's number and by the name that /proc shows.
    nameless: HashMap<OsString, Inode>,
    /// Where the next `write` goes.
    positions: HashMap<Inode, u64>,
    /// How many steps there were when so many calls had ended.
    steps_at: Vec<usize>,
}

impl Live<'_> {
    fn call(&mut self, call: &Call) {
        match call.name.as_str() {
            "open" | "creat" => self.open(call, 0),
            "openat" | "openat2" => self.open(call, 1),
            "lseek" => self.seek(call),
            "write" => self.write(call, None),
            "pwrite64" => self.write(call, Some(call.number(3))),
            "ftruncate" => self.resize(call),
            "mkdir" => self.make(&call.path(0), Node::Folder(BTreeMap::new())),
            "mkdirat" => self.make(&call.path(1), Node::Folder(BTreeMap::new())),
            "symlink" => self.make(&call.path(1), Node::Link(path_of(call.bytes(0)))),
            "symlinkat" => self.make(&call.path(2), Node::Link(path_of(call.bytes(0)))),
            "link" => self.link(&call.path(0), &call.path(1)),
            "linkat" => self.link_at(call),
            "unlink" | "rmdir" => self.remove(&call.path(0)),
            "unlinkat" => self.remove(&call.path(1)),
            "rename" => self.rename(&call.path(0), &call.path(1)),
            "renameat" | "renameat2" => {
                assert!(!call.has("RENAME_EXCHANGE"), "exchanged names are not modelled");
                self.rename(&call.path(1), &call.path(3));
            }
            "fsync" | "fdatasync" => self.sync(call),
            "syncfs" if call.file(0).is_some_and(|file| self.is_inside(&file.path)) => {
                self.step(Step::SyncAll(self.steps_at[call.since]));
            }
            "sync" => self.step(Step::SyncAll(self.steps_at[call.since])),
            "syncfs" => {}
            "mmap" => self.refuse_shared(call),
            "copy_file_range" => self.refuse(call, 2),
            "writev" | "pwritev" | "pwritev2" | "sendfile" | "fallocate" => self.refuse(call, 0),
            "splice" => self.refuse(call, 2),
            other => panic!("{other} is not modelled"),
        }
    }

    fn is_inside(&self, path: &Path) -> bool {
        // What monitors mount there is memory.
        path.starts_with(&self.disk.top) && !path.starts_with(self.disk.top.join("store/containers/mnt"))
    }

    fn refuse(&self, call: &Call, at: usize) {
        assert!(call.file(at).is_none_or(|file| !self.is_inside(&file.path)), "{call:?} is not modelled");
    }

    fn refuse_shared(&self, call: &Call) {
        if call.has("MAP_SHARED") && call.has("PROT_WRITE") && call.args.len() > 4 {
            self.refuse(call, 4);
        }
    }

    /// The folder and the last component of a path; none where it is elsewhere.
    fn place(&self, path: &Path) -> Option<(Inode, OsString)> {
        if !self.is_inside(path) {
            return None;
        }
        let inner = path.strip_prefix(&self.disk.top).unwrap();
        let mut folder = TOP;
        for component in inner.parent()? {
            folder = self.entry(folder, component)?;
        }
        matches!(self.now[folder], Node::Folder(_)).then(|| (folder, inner.file_name().unwrap().to_owned()))
    }

    fn entry(&self, folder: Inode, name: &OsStr) -> Option<Inode> {
        match &self.now[folder] {
            Node::Folder(entries) => entries.get(name).copied(),
            _ => None,
        }
    }

    fn find(&self, path: &Path) -> Option<Inode> {
        if path == self.disk.top {
            return Some(TOP);
        }
        let (folder, name) = self.place(path)?;
        self.entry(folder, &name)
    }

    fn open_file(&self, file: &Descriptor) -> Option<Inode> {
        match file.is_deleted {
            true => self.nameless.get(file.path.as_os_str()).copied(),
            false => self.find(&file.path),
        }
    }

    fn step(&mut self, step: Step) {
        apply(&mut self.now, &step, 1.0);
        self.disk.steps.push(step);
    }

    fn new_inode(&mut self, node: Node) -> Inode {
        self.disk.before.push(node.clone());
        self.now.push(node);
        self.now.len() - 1
    }

    fn open(&mut self, call: &Call, at: usize) {
        let Some(file) = call.opened().filter(|file| self.is_inside(&file.path)) else { return };
        assert!(!call.has("O_SYNC") && !call.has("O_DSYNC"), "writes that sync are not modelled: {call:?}");
        if call.has("O_TMPFILE") {
            let inode = self.new_inode(Node::File(Vec::new(), call.mode() & !0o022));
            self.nameless.insert(file.path.into_os_string(), inode);
            self.nameless.insert(file.number.into(), inode);
            self.positions.insert(inode, 0);
            return;
        }
        if !call.has("O_WRONLY") && !call.has("O_RDWR") && call.name != "creat" {
            return;
        }
        let inode = match self.find(&file.path) {
            Some(inode) => inode,
            // The name may already have been another when strace looked.
            None if file.is_deleted => return,
            None => {
                let Some((folder, name)) = self.place(&file.path) else {
                    panic!("a file in no folder: {call:?} at {at}")
                };
                let inode = self.new_inode(Node::File(Vec::new(), call.mode() & !0o022));
                self.step(Step::Name { folder, name, inode });
                inode
            }
        };
        if call.has("O_TRUNC") && self.size(inode) > 0 {
            self.step(Step::Resize { file: inode, size: 0 });
        }
        self.positions.insert(inode, if call.has("O_APPEND") { u64::MAX } else { 0 });
    }

    fn size(&self, inode: Inode) -> u64 {
        match &self.now[inode] {
            Node::File(bytes, _) => bytes.len() as u64,
            _ => 0,
        }
    }

    fn seek(&mut self, call: &Call) {
        let Some(inode) = call.file(0).and_then(|file| self.open_file(&file)) else { return };
        if let Some(position) = self.positions.get_mut(&inode)
            && *position != u64::MAX
        {
            *position = call.count();
        }
    }

    fn write(&mut self, call: &Call, at: Option<u64>) {
        let Some(file) = call.file(0) else { return };
        let mut bytes = call.bytes(1);
        bytes.truncate(call.count() as usize);
        if file.number == "1" {
            return self.disk.steps.push(Step::Say(bytes));
        }
        let Some(inode) = self.open_file(&file).filter(|inode| matches!(self.now[*inode], Node::File(..))) else {
            return;
        };
        let position = self.positions.get(&inode).copied().unwrap_or(0);
        let at = at.unwrap_or(if position == u64::MAX { self.size(inode) } else { position });
        if position != u64::MAX {
            self.positions.insert(inode, at + bytes.len() as u64);
        }
        self.step(Step::Write { file: inode, at, bytes });
    }

    fn resize(&mut self, call: &Call) {
        if let Some(inode) = call.file(0).and_then(|file| self.open_file(&file)) {
            self.step(Step::Resize { file: inode, size: call.number(1) });
        }
    }

    fn make(&mut self, path: &Path, node: Node) {
        if let Some((folder, name)) = self.place(path) {
            let inode = self.new_inode(node);
            self.step(Step::Name { folder, name, inode });
        }
    }

    fn link_at(&mut self, call: &Call) {
        let from = call.bytes(1);
        let number = from.strip_prefix(b"/proc/self/fd/").map(|number| String::from_utf8_lossy(number).into_owned());
        let nameless = match number {
            Some(number) => self.nameless.get(OsStr::new(&number)).copied(),
            None if from.is_empty() => call.file(0).and_then(|file| self.open_file(&file)),
            None => None,
        };
        match (nameless, self.place(&call.path(3))) {
            (Some(inode), Some((folder, name))) => self.step(Step::Name { folder, name, inode }),
            _ => self.link(&call.path(1), &call.path(3)),
        }
    }

    fn link(&mut self, from: &Path, to: &Path) {
        if let (Some(inode), Some((folder, name))) = (self.find(from), self.place(to)) {
            self.step(Step::Name { folder, name, inode });
        }
    }

    fn remove(&mut self, path: &Path) {
        if let Some((folder, name)) = self.place(path)
            && let Some(inode) = self.entry(folder, &name)
        {
            self.step(Step::Unname { folder, name, inode });
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let (from, to) = (self.place(from), self.place(to));
        match (from, to) {
            (Some(from), Some(to)) => {
                let inode = self.entry(from.0, &from.1).expect("because the call succeeded");
                self.step(Step::Rename { from, to, inode });
            }
            (None, None) => {}
            other => panic!("a rename into or out of the folder: {other:?}"),
        }
    }

    fn sync(&mut self, call: &Call) {
        if let Some(inode) = call.file(0).and_then(|file| self.open_file(&file)) {
            self.step(Step::Sync(inode, self.steps_at[call.since]));
        }
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().unwrap().permissions().mode() & 0o7777
}

fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    OsString::from_vec(bytes).into()
}

/// What a disk holds after a power cut.
pub struct Image {
    nodes: Vec<Node>,
}

impl Image {
    /// Write it into the folder `to`, which must not exist.
    pub fn write(&self, to: &Path) {
        self.write_node(TOP, to);
    }

    fn write_node(&self, inode: Inode, to: &Path) {
        match &self.nodes[inode] {
            Node::File(bytes, mode) => {
                use std::os::unix::fs::PermissionsExt;
                std::fs::write(to, bytes).unwrap();
                std::fs::set_permissions(to, std::fs::Permissions::from_mode(*mode)).unwrap();
            }
            Node::Link(target) => std::os::unix::fs::symlink(target, to).unwrap(),
            Node::Folder(entries) => {
                std::fs::create_dir(to).unwrap();
                for (name, inode) in entries {
                    self.write_node(*inode, &to.join(name));
                }
            }
        }
    }

    /// A hash of all that there is.
    pub fn fingerprint(&self) -> u64 {
        use std::hash::{DefaultHasher, Hasher};
        let mut hasher = DefaultHasher::new();
        self.hash_node(TOP, &mut hasher);
        hasher.finish()
    }

    fn hash_node(&self, inode: Inode, hasher: &mut std::hash::DefaultHasher) {
        use std::hash::Hash;
        match &self.nodes[inode] {
            Node::File(bytes, mode) => (bytes, mode).hash(hasher),
            Node::Link(target) => target.hash(hasher),
            Node::Folder(entries) => {
                entries.len().hash(hasher);
                for (name, inode) in entries {
                    name.hash(hasher);
                    self.hash_node(*inode, hasher);
                }
            }
        }
    }
}
