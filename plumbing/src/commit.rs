//! Commits of images and containers: which objects a commit's tree holds, and who made it when.

use std::collections::HashMap;

use gix::bstr::{BString, ByteSlice};
use gix::objs::tree::{Entry, EntryKind};

use crate::root::RootIds;
use crate::store::Batch;
use crate::{Error, Id, Result, Store};

/// What the tree of a commit holds (design: `docs/format.md`, "Commit").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// The files.
    pub root: RootIds,
    /// Blob: the OCI image configuration.
    pub config: Id,
    /// Blob: the exact OCI manifest, where the commit came from a registry or archive.
    pub manifest: Option<Id>,
    /// Tree: the recipe of this commit's layer tar, where there was one.
    pub layer: Option<Id>,
    /// Blob: the create-time configuration of the container whose state this is.
    pub container: Option<Id>,
}

/// A commit, decoded.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its id.
    pub id: Id,
    /// Its tree's id.
    pub tree: Id,
    /// Its parents, the first being the state that it changes.
    pub parents: Vec<Id>,
    /// Who made the change, and when.
    pub author: gix::actor::Signature,
    /// Who wrote it into the store, and when.
    pub committer: gix::actor::Signature,
    /// What was done.
    pub message: BString,
    /// What the tree holds.
    pub state: State,
}

/// What a new commit says beside its state.
#[derive(Debug, Clone)]
pub struct NewCommit {
    /// The parents' ids.
    pub parents: Vec<Id>,
    /// Who made the change.
    pub author: gix::actor::Signature,
    /// Who writes it.
    pub committer: gix::actor::Signature,
    /// What was done; a line end is added where it lacks one.
    pub message: BString,
}

impl Store {
    /// Read the commit `id` and its tree.
    pub fn read_commit(&self, id: &Id) -> Result<Commit> {
        let data = self.read_object(id, gix::objs::Kind::Commit)?;
        let bad = |error: &dyn std::fmt::Display| Error::damaged(format!("commit {id}"), error.to_string());
        let commit = gix::objs::CommitRef::from_bytes(&data, gix::hash::Kind::Sha256).map_err(|e| bad(&e))?;
        let tree = commit.tree();
        let owned = |who: gix::actor::SignatureRef<'_>| who.to_owned().map_err(|e| bad(&e));
        Ok(Commit {
            id: *id,
            tree,
            parents: commit.parents().collect(),
            author: owned(commit.author().map_err(|e| bad(&e))?)?,
            committer: owned(commit.committer().map_err(|e| bad(&e))?)?,
            message: commit.message.to_owned(),
            state: self.read_state(&tree)?,
        })
    }

    /// Read the tree of a commit.
    pub fn read_state(&self, tree: &Id) -> Result<State> {
        State::decode(tree, &self.read_object(tree, gix::objs::Kind::Tree)?)
    }

    /// The root in the tree of a commit, or in a tree that holds no more than a root.
    pub fn read_root(&self, tree: &Id) -> Result<RootIds> {
        Entries::decode(tree, &self.read_object(tree, gix::objs::Kind::Tree)?)?.root()
    }
}

impl State {
    /// What the tree `tree` of a commit holds, given its bytes.
    pub(crate) fn decode(tree: &Id, data: &[u8]) -> Result<Self> {
        let entries = Entries::decode(tree, data)?;
        Ok(State {
            root: entries.root()?,
            config: entries.need("config")?,
            manifest: entries.get("manifest"),
            layer: entries.get("layer"),
            container: entries.get("container"),
        })
    }
}

/// What the tree of a commit has, by name.
struct Entries {
    tree: Id,
    ids: HashMap<BString, Id>,
}

impl Entries {
    fn decode(tree: &Id, data: &[u8]) -> Result<Self> {
        let mut ids = HashMap::new();
        for entry in gix::objs::TreeRefIter::from_bytes(data, gix::hash::Kind::Sha256) {
            let entry = entry.map_err(|error| Error::damaged(format!("tree {tree}"), error.to_string()))?;
            ids.insert(entry.filename.to_owned(), entry.oid.to_owned());
        }
        Ok(Self { tree: *tree, ids })
    }

    fn get(&self, name: &str) -> Option<Id> {
        self.ids.get(name.as_bytes().as_bstr()).copied()
    }

    fn need(&self, name: &str) -> Result<Id> {
        self.get(name).ok_or_else(|| Error::Invalid {
            what: "commit of rd",
            input: self.tree.to_string(),
            why: format!("its tree has no '{name}'"),
        })
    }

    fn root(&self) -> Result<RootIds> {
        Ok(RootIds { rootfs: self.need("rootfs")?, meta: self.need("meta")?, times: self.need("times")? })
    }
}

impl Batch<'_> {
    /// Write the tree of a commit.
    pub fn write_state(&mut self, state: &State) -> Result<Id> {
        self.write_state_with(state, None)
    }

    /// Write the tree of a commit that was pushed; `git` is the tree that says as what.
    pub(crate) fn write_state_with(&mut self, state: &State, git: Option<Id>) -> Result<Id> {
        let blob = |name: &str, oid| Entry { mode: EntryKind::Blob.into(), filename: name.into(), oid };
        let tree = |name: &str, oid| Entry { mode: EntryKind::Tree.into(), filename: name.into(), oid };
        let mut entries = vec![
            blob("config", state.config),
            tree("rootfs", state.root.rootfs),
            tree("meta", state.root.meta),
            tree("times", state.root.times),
        ];
        entries.extend(state.manifest.map(|id| blob("manifest", id)));
        entries.extend(state.layer.map(|id| tree("layer", id)));
        entries.extend(state.container.map(|id| blob("container", id)));
        entries.extend(git.map(|id| tree(crate::view::GIT_TREE, id)));
        entries.sort();
        self.write_object(&gix::objs::Tree { entries })
    }

    /// Write a commit of `state`; gives its id.
    pub fn write_commit(&mut self, state: &State, new: NewCommit) -> Result<Id> {
        let tree = self.write_state(state)?;
        let mut message = new.message;
        if !message.ends_with(b"\n") {
            message.push(b'\n');
        }
        self.write_object(&gix::objs::Commit {
            tree,
            parents: new.parents.into(),
            author: new.author,
            committer: new.committer,
            encoding: None,
            message,
            extra_headers: Vec::new(),
        })
    }
}

/// A signature with the offset `+0000`; characters that git allows in no name are left out.
pub fn signature(name: &str, email: &str, seconds: i64) -> gix::actor::Signature {
    let clean = |text: &str| text.replace(['<', '>', '\n', '\0'], "").trim().to_owned();
    gix::actor::Signature {
        name: clean(name).into(),
        email: clean(email).into(),
        time: gix::date::Time { seconds, offset: 0 },
    }
}

/// Who commits what must be the same on every host: layers and imports.
pub fn neutral_signature(seconds: i64) -> gix::actor::Signature {
    signature("rd", "rd@localhost", seconds)
}

/// The user of this command, now: git's `GIT_COMMITTER_NAME`, `GIT_COMMITTER_EMAIL` and `GIT_COMMITTER_DATE`, else the user's and the host's name.
pub fn host_signature() -> Result<gix::actor::Signature> {
    let (user, email) = host_identity();
    let user = env("GIT_COMMITTER_NAME").unwrap_or(user);
    let email = env("GIT_COMMITTER_EMAIL").unwrap_or(email);
    let time = match env("GIT_COMMITTER_DATE") {
        Some(date) => crate::date::parse(&date)?,
        None => gix::date::Time { seconds: now(), offset: 0 },
    };
    Ok(gix::actor::Signature { time, ..signature(&user, &email, 0) })
}

/// The user's name and what stands for an address: the user at this host.
pub fn host_identity() -> (String, String) {
    let user = env("LOGNAME").or_else(|| env("USER")).unwrap_or_else(|| "root".into());
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let email = format!("{user}@{}", if host.is_empty() { "localhost" } else { &host });
    (user, email)
}

/// A variable that is set and not empty.
fn env(key: &str) -> Option<String> {
    std::env::var(key).ok().filter(|value| !value.is_empty())
}

/// Seconds since the epoch.
pub fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |passed| i64::try_from(passed.as_secs()).unwrap_or(i64::MAX))
}
