//! Trees that are no roots: the recipes of layers, and whatever else lies in a commit.

use std::collections::HashSet;
use std::rc::Rc;

use gix::bstr::{BString, ByteSlice};
use gix::objs::{Kind, TreeRefIter};

use super::walk::{Here, REMEMBERED, Walk};
use crate::Id;

impl Walk<'_> {
    /// The recipe of a layer: its own objects, the contents it needs, and with `full` the tar that it makes.
    pub(super) fn layer(&mut self, layer: &Id, label: &str) {
        let here = Here { label, part: ":layer/" };
        if let Some(known) = self.layers.get(layer).cloned() {
            return self.own(&known, &here, b"".as_bstr());
        }
        let before = self.issues.list.len();
        self.tree(layer, &here);
        let mut wrong = Vec::new();
        let is_whole = self.issues.list.len() == before && self.tree_is_clean(layer);
        if is_whole && !self.objects.blind {
            wrong = self.recipe(layer);
        }
        let wrong = Rc::new(wrong.into_iter().map(|number| (BString::default(), number)).collect());
        self.own(&wrong, &here, b"".as_bstr());
        self.layers.insert(*layer, wrong);
    }

    /// What is wrong with a recipe whose objects are sound.
    fn recipe(&mut self, layer: &Id) -> Vec<usize> {
        let contents = match crate::layer::contents(self.store, layer) {
            Ok(contents) => contents,
            Err(error) => {
                return vec![self.issues.add_once(layer, "wrong", format!("layer {layer}"), || error.to_string())];
            }
        };
        let wrong: Vec<usize> = contents.iter().filter_map(|id| self.content(id, None)).collect();
        if wrong.is_empty()
            && self.options.full
            && let Err(error) = crate::layer::replay(self.store, layer, &mut std::io::sink())
        {
            return vec![self.issues.add_once(layer, "wrong", format!("layer {layer}"), || error.to_string())];
        }
        wrong
    }

    fn tree_is_clean(&self, id: &Id) -> bool {
        self.trees.get(id).is_some_and(|below| below.is_empty())
    }

    /// Any tree with all that is below it.
    pub(super) fn tree(&mut self, id: &Id, here: &Here<'_>) {
        self.tree_entries(id, &[], here);
    }

    /// The entries of a tree but some, with all that is below them.
    pub(super) fn tree_entries(&mut self, id: &Id, skip: &[&str], here: &Here<'_>) {
        if skip.is_empty()
            && let Some(known) = self.trees.get(id).cloned()
        {
            return self.own(&known, here, b"".as_bstr());
        }
        let mut wrong = Vec::new();
        let mut seen = HashSet::from([*id]);
        let mut waiting = vec![(*id, BString::default())];
        while let Some((tree, path)) = waiting.pop() {
            let data = match self.try_read(&tree, Some(Kind::Tree)) {
                Ok((_, data)) => data,
                Err(number) => {
                    wrong.push((path, number));
                    continue;
                }
            };
            for entry in TreeRefIter::from_bytes(&data, gix::hash::Kind::Sha256) {
                let Ok(entry) = entry else {
                    let number =
                        self.issues.add_once(&tree, "wrong", format!("tree {tree}"), || "an entry is malformed".into());
                    wrong.push((path.clone(), number));
                    break;
                };
                if path.is_empty() && skip.iter().any(|name| entry.filename == name.as_bytes()) {
                    continue;
                }
                let (entry_id, entry_path) =
                    (entry.oid.to_owned(), crate::root::join_path(path.as_bstr(), entry.filename));
                if entry.mode.is_tree() {
                    if seen.insert(entry_id) {
                        waiting.push((entry_id, entry_path));
                    }
                } else if !entry.mode.is_commit()
                    && let Some(number) = self.blob(&entry_id)
                {
                    wrong.push((entry_path, number));
                }
            }
        }
        let mut wrong = Rc::new(wrong);
        self.own(&wrong, here, b"".as_bstr());
        Rc::make_mut(&mut wrong).truncate(REMEMBERED);
        if skip.is_empty() {
            self.trees.insert(*id, wrong);
        }
    }

    /// A blob, wherever it is; else the number of the issue.
    fn blob(&mut self, id: &Id) -> Option<usize> {
        self.reached.insert(*id);
        if self.contents.sizes.contains_key(id) {
            return self.content_issue(id);
        }
        if self.objects.contains(id) && !self.objects.damaged.contains_key(id) {
            return None;
        }
        self.try_read(id, Some(Kind::Blob)).err()
    }
}
