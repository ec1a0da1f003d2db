//! Contents and objects: another copy takes the place of what is damaged or missing.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use gix::objs::Kind;

use super::Repair;
use crate::fsck::objects::Objects;
use crate::store::{content_hasher, content_path};
use crate::{Error, Id, Result, Store};

/// Words for objects of git's database.
const OBJECTS: [&str; 5] = ["object", "blob", "tree", "commit", "tag"];

impl Repair<'_> {
    /// Objects that are damaged or missing. Those that were in a pack are gone with it or came back by
    /// [`packs`](Self::packs); loose ones go aside.
    pub(super) fn objects(&mut self, objects: &Objects) -> Result<()> {
        for (number, finding) in self.open(&OBJECTS) {
            let Some(id) = finding.id.filter(|_| finding.state != "wrong") else { continue };
            let loose = Path::new("objects").join(content_path(&id));
            if objects.read(&id).is_some() {
                self.did(number, "restored from a pack");
            } else if finding.state == "damaged" && self.aside.take(&loose)? {
                self.did(number, "moved aside; no other copy was found");
            }
        }
        Ok(())
    }

    /// Contents that are damaged or missing.
    pub(super) fn contents(&mut self, objects: &Objects) -> Result<()> {
        let wanted = self.open(&["content"]);
        let copies = Copies::find(self.store, wanted.iter().filter_map(|(_, finding)| finding.size).collect());
        for (number, finding) in wanted {
            let Some(id) = finding.id else { continue };
            if self.is_sound(&id) {
                self.did(number, "it is sound now");
                continue;
            }
            let path = Path::new("content").join(content_path(&id));
            if let Some((draft, source)) = self.copy_of(&id, finding.size, objects, &copies)? {
                self.aside.replace(&draft, &path)?;
                self.did(number, format!("restored from {source}"));
            }
        }
        let rest = self.open(&["content"]);
        self.contents_of_layers(rest.iter().filter_map(|(at, one)| Some((*at, one.id?, one.size?))).collect())?;
        for (number, finding) in self.open(&["content"]) {
            let Some(id) = finding.id.filter(|_| finding.state == "damaged") else { continue };
            if self.aside.take(&Path::new("content").join(content_path(&id)))? {
                self.did(number, "moved aside; no other copy was found");
            }
        }
        Ok(())
    }

    /// Whether the content has its bytes by now: nothing goes that isn't damaged.
    fn is_sound(&self, id: &Id) -> bool {
        let Ok(mut file) = File::open(self.store.content_file(id)) else { return false };
        let Ok(size) = file.metadata().map(|about| about.len()) else { return false };
        copy_hashed(&mut file, size, &mut std::io::sink()).is_ok_and(|found| found == Some(*id))
    }

    /// A draft with the bytes of the content `id`, and where they came from.
    fn copy_of(
        &self,
        id: &Id,
        size: Option<u64>,
        objects: &Objects,
        copies: &Copies,
    ) -> Result<Option<(PathBuf, String)>> {
        if let Some((Kind::Blob, bytes)) = objects.read(id) {
            let draft = self.stage(id, bytes.len() as u64, &mut bytes.as_slice())?;
            return Ok(draft.map(|draft| (draft, "git's database".to_owned())));
        }
        for path in size.map_or(&[][..], |size| copies.of_size(size)) {
            let Some((mut file, size)) = open_regular(path) else { continue };
            if let Some(draft) = self.stage(id, size, &mut file)? {
                let shown = path.strip_prefix(self.store.dir()).unwrap_or(path);
                return Ok(Some((draft, format!("'{}'", shown.display()))));
            }
        }
        Ok(None)
    }

    /// Write bytes that should be the content `id` into a draft; none where they are others, or can't be read.
    fn stage(&self, id: &Id, size: u64, reader: &mut dyn Read) -> Result<Option<PathBuf>> {
        Ok(self.stage_one_of(&HashSet::from([*id]), size, reader)?.map(|(draft, _)| draft))
    }

    /// Write bytes that should be one of these contents into a draft; also says which.
    pub(super) fn stage_one_of(
        &self,
        ids: &HashSet<Id>,
        size: u64,
        reader: &mut dyn Read,
    ) -> Result<Option<(PathBuf, Id)>> {
        let draft = self.aside.draft()?;
        let mut file = File::create(&draft).map_err(Error::io("create", &draft))?;
        match copy_hashed(reader, size, &mut file) {
            Ok(Some(id)) if ids.contains(&id) => {
                let mode = std::fs::Permissions::from_mode(0o444);
                file.set_permissions(mode).map_err(Error::io("chmod", &draft))?;
                Ok(Some((draft, id)))
            }
            Ok(_) => std::fs::remove_file(&draft).map(|()| None).map_err(Error::io("remove", draft)),
            Err(error) => {
                let _ = std::fs::remove_file(&draft);
                Err(Error::io("write", draft)(error))
            }
        }
    }
}

/// Copy bytes; the id that they have as a content, none where they can't be read. An error is one of writing.
fn copy_hashed(reader: &mut dyn Read, size: u64, to: &mut dyn Write) -> std::io::Result<Option<Id>> {
    let mut hasher = content_hasher(size);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(got) => {
                hasher.update(&buffer[..got]);
                to.write_all(&buffer[..got])?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Ok(None),
        }
    }
    Ok(hasher.try_finalize().ok())
}

/// Open what lies where a container could have put anything.
fn open_regular(path: &Path) -> Option<(File, u64)> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path).ok()?;
    let about = file.metadata().ok()?;
    about.is_file().then_some((file, about.len()))
}

/// Files outside the contents that may have the bytes of one: those of containers and of checked-out roots.
struct Copies(HashMap<u64, Vec<PathBuf>>);

impl Copies {
    /// Find files of these sizes.
    fn find(store: &Store, sizes: HashSet<u64>) -> Self {
        let mut found: HashMap<u64, Vec<PathBuf>> = HashMap::new();
        if sizes.is_empty() {
            return Self(found);
        }
        for top in [store.containers_dir(), store.mounts_dir()] {
            for entry in walkdir::WalkDir::new(top).into_iter().filter_map(std::result::Result::ok) {
                if entry.file_type().is_file()
                    && let Ok(about) = entry.metadata()
                    && sizes.contains(&about.len())
                {
                    found.entry(about.len()).or_default().push(entry.into_path());
                }
            }
        }
        Self(found)
    }

    fn of_size(&self, size: u64) -> &[PathBuf] {
        self.0.get(&size).map_or(&[], Vec::as_slice)
    }
}
