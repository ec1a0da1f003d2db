//! From the names to all that they need: commits, their trees, what is in these.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Read;
use std::rc::Rc;

use gix::bstr::{BStr, BString, ByteSlice};
use gix::objs::{Kind, TagRefIter};

use super::contents::Contents;
use super::objects::Objects;
use super::refs::Tip;
use super::{Issues, Options};
use crate::artifact::Manifest;
use crate::commit::State;
use crate::digest::{Digest, Hasher};
use crate::root::RootIds;
use crate::{Error, Id, Result, Store};

/// So many damaged things below a folder are remembered for the other commits that have the folder too.
pub(super) const REMEMBERED: usize = 256;

/// What is wrong below a folder or tree: path below it, and the number of the issue.
pub(super) type Below = Rc<Vec<(BString, usize)>>;

pub(super) struct Walk<'a> {
    pub(super) store: &'a Store,
    pub(super) options: Options,
    pub(super) objects: &'a Objects,
    pub(super) contents: &'a Contents,
    pub(super) issues: Issues,
    /// All objects and contents that were come by.
    pub(super) reached: HashSet<Id>,
    /// Folders that are done: the total of their sizes, and what is wrong in them.
    pub(super) folders: HashMap<RootIds, (u64, Below)>,
    pub(super) trees: HashMap<Id, Below>,
    pub(super) layers: HashMap<Id, Below>,
    commits: HashSet<Id>,
    waiting: VecDeque<Waiting>,
}

/// A commit to be checked.
struct Waiting {
    id: Id,
    label: String,
    /// Whether it must be one of rd's.
    is_rds: bool,
    /// Whether a name or reflog points at it, rather than a commit.
    is_tip: bool,
}

/// Where the walk is, for naming what is wrong.
pub(super) struct Here<'l> {
    /// The commit.
    pub(super) label: &'l str,
    /// What is between the commit's name and the path: `:/`, `:meta/`.
    pub(super) part: &'static str,
}

impl Here<'_> {
    pub(super) fn owner(&self, path: &BStr) -> String {
        format!("{}{}{path}", self.label, self.part)
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        store: &'a Store,
        options: Options,
        objects: &'a Objects,
        contents: &'a Contents,
        issues: Issues,
    ) -> Self {
        Self {
            store,
            options,
            objects,
            contents,
            issues,
            reached: HashSet::new(),
            folders: HashMap::new(),
            trees: HashMap::new(),
            layers: HashMap::new(),
            commits: HashSet::new(),
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn commit_count(&self) -> usize {
        self.commits.len()
    }

    pub(super) fn folder_count(&self) -> usize {
        self.folders.len()
    }

    /// The issues, and all objects and contents that were come by.
    pub(super) fn finish(self) -> (Issues, HashSet<Id>) {
        (self.issues, self.reached)
    }

    /// Check all that the tips need. The tips themselves go first, so that damage is named by them and not by what
    /// descends from the same past.
    pub(super) fn run(&mut self, tips: &[Tip]) {
        for tip in tips {
            self.tip(tip);
        }
        while let Some(next) = self.waiting.pop_front() {
            self.commit(&next);
        }
    }

    fn tip(&mut self, tip: &Tip) {
        let (mut id, mut seen) = (tip.id, 0);
        loop {
            let Some((kind, data)) = self.read(&id, None, &tip.label) else { return };
            seen += 1;
            match kind {
                Kind::Commit => {
                    let label = tip.label.clone();
                    return self.waiting.push_back(Waiting { id, label, is_rds: tip.is_rds, is_tip: true });
                }
                Kind::Tree => return self.tree(&id, &Here { label: &tip.label, part: ":" }),
                Kind::Blob => return,
                Kind::Tag => match TagRefIter::from_bytes(&data, gix::hash::Kind::Sha256).target_id() {
                    Ok(target) if seen < 1000 => id = target,
                    _ => return self.damaged_object(&id, "it is no tag that can be read", &tip.label),
                },
            }
        }
    }

    /// An object that `owner` needs; what is wrong with it becomes an issue.
    pub(super) fn read(&mut self, id: &Id, kind: Option<Kind>, owner: &str) -> Option<(Kind, Vec<u8>)> {
        match self.try_read(id, kind) {
            Ok(found) => Some(found),
            Err(number) => {
                self.issues.add_owner(number, owner.to_owned());
                None
            }
        }
    }

    /// An object, or the number of the issue with it.
    pub(super) fn try_read(&mut self, id: &Id, kind: Option<Kind>) -> Result<(Kind, Vec<u8>), usize> {
        self.reached.insert(*id);
        let word = kind.map_or_else(|| "object".to_owned(), |kind| kind.to_string());
        if let Some(why) = self.objects.damaged.get(id) {
            return Err(self.issues.add_once(id, "damaged", format!("{word} {id}"), || why.clone()));
        }
        match self.objects.read(id) {
            Some((found, data)) if kind.is_none_or(|kind| kind == found) => Ok((found, data)),
            Some((found, _)) => Err(self
                .issues
                .add_once(id, "wrong", format!("object {id}"), || format!("a {found} where a {word} is needed"))),
            // A blob may be a content.
            None if kind.is_none_or(|kind| kind == Kind::Blob) && self.contents.sizes.contains_key(id) => {
                match self.content_issue(id) {
                    Some(number) => Err(number),
                    None => Ok((Kind::Blob, std::fs::read(self.store.content_file(id)).unwrap_or_default())),
                }
            }
            None => Err(self.missing(id, &word)),
        }
    }

    fn missing(&mut self, id: &Id, word: &str) -> usize {
        let why = if self.objects.blind {
            "a pack index is damaged; the object may be in its pack"
        } else {
            "it is in no pack"
        };
        self.issues.add_once(id, "missing", format!("{word} {id}"), || why.to_owned())
    }

    /// What is wrong with a content that is there.
    pub(super) fn content_issue(&mut self, id: &Id) -> Option<usize> {
        let why = self.contents.damaged.get(id)?;
        Some(self.issues.add_once(id, "damaged", format!("content {id}"), || why.clone()))
    }

    /// Check that a content is there, sound and of this size; else the number of the issue.
    pub(super) fn content(&mut self, id: &Id, size: Option<u64>) -> Option<usize> {
        let number = self.check_content(id, size)?;
        let known = &mut self.issues.list[number].size;
        *known = known.or(size);
        Some(number)
    }

    fn check_content(&mut self, id: &Id, size: Option<u64>) -> Option<usize> {
        self.reached.insert(*id);
        match self.contents.sizes.get(id).copied() {
            Some(found) if size.is_some_and(|size| size != found) => {
                let why = self.contents.damaged.get(id).cloned();
                let want = size.unwrap_or_default();
                let why = move || {
                    format!("it has {found} bytes, not {want}{}", why.map(|w| format!("; {w}")).unwrap_or_default())
                };
                Some(self.issues.add_once(id, "damaged", format!("content {id}"), why))
            }
            Some(_) => self.content_issue(id),
            // git keeps what it fetched for itself as an object.
            None if self.objects.contains(id) => self.try_read(id, Some(Kind::Blob)).err(),
            None => {
                Some(self.issues.add_once(id, "missing", format!("content {id}"), || "there is no such file".into()))
            }
        }
    }

    pub(super) fn damaged_object(&mut self, id: &Id, why: &str, owner: &str) {
        let number = self.issues.add_once(id, "wrong", format!("object {id}"), || why.to_owned());
        self.issues.add_owner(number, owner.to_owned());
    }

    fn commit(&mut self, Waiting { id, label, is_rds, is_tip }: &Waiting) {
        let is_new = self.commits.insert(*id);
        // What is wrong with a commit that has another name belongs to that name too.
        if !is_new && (!is_tip || self.issues.list.is_empty()) {
            return;
        }
        let Some((_, data)) = self.read(id, Some(Kind::Commit), label) else { return };
        let commit = match gix::objs::CommitRef::from_bytes(&data, gix::hash::Kind::Sha256) {
            Ok(commit) => commit,
            Err(error) => return self.damaged_object(id, &error.to_string(), label),
        };
        for (number, parent) in commit.parents().enumerate().filter(|_| is_new) {
            let label = parent_label(label, number);
            self.waiting.push_back(Waiting { id: parent, label, is_rds: *is_rds, is_tip: false });
        }
        let tree = commit.tree();
        let Some((_, data)) = self.read(&tree, Some(Kind::Tree), label) else { return };
        if let Ok(Some((manifest, blobs))) = crate::artifact::decode(&tree, &data) {
            return self.artifact(&manifest, blobs.as_ref(), label);
        }
        match State::decode(&tree, &data) {
            Ok(state) => self.state(&tree, &state, label),
            Err(error) => {
                if *is_rds {
                    self.damaged_object(&tree, &format!("it is no tree of a commit of rd's: {error}"), label);
                } else if !self.store.is_ordinary() {
                    self.issues.note(format!("commit {id} of '{label}' is not rd's: {error}"));
                }
                self.tree(&tree, &Here { label, part: ":" });
            }
        }
    }

    /// An artifact: its manifest, and its blobs against their digests.
    fn artifact(&mut self, manifest: &Id, blobs: Option<&Id>, label: &str) {
        if let Some((_, data)) = self.read(manifest, Some(Kind::Blob), &format!("{label}:manifest"))
            && let Err(error) = Manifest::parse(&data, None)
        {
            self.damaged_object(manifest, &reason(&error), &format!("{label}:manifest"));
        }
        let Some(tree) = blobs else { return };
        let Some((_, data)) = self.read(tree, Some(Kind::Tree), &format!("{label}:artifact")) else { return };
        let blobs = match crate::artifact::decode_blobs(tree, &data) {
            Ok(blobs) => blobs,
            Err(error) => return self.damaged_object(tree, &reason(&error), &format!("{label}:artifact")),
        };
        for (digest, id) in blobs {
            let owner = format!("{label}:artifact/{}", digest.hex());
            if let Some(number) = self.content(&id, None) {
                self.issues.add_owner(number, owner);
            } else if self.options.full && self.digest_of(&id).is_ok_and(|found| found != digest) {
                self.damaged_object(&id, "it is not what its digest says", &owner);
            }
        }
    }

    fn digest_of(&self, id: &Id) -> Result<Digest> {
        let (mut reader, _) = self.store.blob_reader(id)?;
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 128 << 10];
        loop {
            match reader.read(&mut buffer).map_err(Error::io("read", id.to_string()))? {
                0 => return Ok(hasher.finish()),
                count => hasher.update(&buffer[..count]),
            }
        }
    }

    /// All that the tree of a commit of rd's holds.
    fn state(&mut self, tree: &Id, state: &State, label: &str) {
        if let Some((_, data)) = self.read(&state.config, Some(Kind::Blob), &format!("{label}:config"))
            && let Err(why) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&data)
        {
            let why = format!("the image configuration is no JSON object: {why}");
            self.damaged_object(&state.config, &why, &format!("{label}:config"));
        }
        for (id, name) in [(state.manifest, "manifest"), (state.container, "container")] {
            if let Some(id) = id {
                self.read(&id, Some(Kind::Blob), &format!("{label}:{name}"));
            }
        }
        super::root::check(self, &state.root, label);
        if let Some(layer) = state.layer {
            self.layer(&layer, label);
        }
        // What else lies in the tree is nobody's business, but must be there.
        self.tree_entries(tree, &["rootfs", "meta", "times", "layer"], &Here { label, part: ":" });
    }

    /// What is wrong below a folder belongs to the commit here too.
    pub(super) fn own(&mut self, wrong: &Below, here: &Here<'_>, folder: &BStr) {
        for (path, number) in wrong.iter() {
            let owner = match (folder.is_empty(), path.is_empty()) {
                (_, true) => here.owner(folder),
                (true, false) => here.owner(path.as_bstr()),
                (false, false) => here.owner(crate::root::join_path(folder, path.as_bstr()).as_bstr()),
            };
            self.issues.add_owner(*number, owner);
        }
    }
}

/// `x~3`'s first parent is `x~4`, its second `x~3^2`.
fn parent_label(label: &str, number: usize) -> String {
    if number > 0 {
        return format!("{label}^{}", number + 1);
    }
    match label.rsplit_once('~').and_then(|(name, count)| Some((name, count.parse::<u64>().ok()?))) {
        Some((name, count)) => format!("{name}~{}", count + 1),
        None => format!("{label}~1"),
    }
}

/// For errors of decoding: without the words that an issue has by itself.
pub(super) fn reason(error: &Error) -> String {
    match error {
        Error::Damaged { what, why } => format!("{what}: {why}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::parent_label;

    #[test]
    fn parents_are_spelled_as_git_does() {
        assert_eq!(parent_label("debian:12", 0), "debian:12~1");
        assert_eq!(parent_label("debian:12~1", 0), "debian:12~2");
        assert_eq!(parent_label("web@{2}", 1), "web@{2}^2");
        assert_eq!(parent_label("x~3", 1), "x~3^2");
    }
}
