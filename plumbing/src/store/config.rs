//! The store's git configuration: what makes stock git accept the repository, and the format version.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The version of the on-disk format that this code reads and writes (`rd.format` in the configuration).
pub const FORMAT: u32 = 1;

/// Folders that a store has beside git's own.
const FOLDERS: [&str; 4] = ["content", "mounts", "containers", "volumes"];

/// What keeps git's own housekeeping from removing what it doesn't know of (`docs/format.md`, "Configuration").
const PROTECTION: [(&str, &str); 4] = [
    ("core.multiPackIndex", "false"),
    ("extensions.preciousObjects", "true"),
    ("gc.reflogExpire", "never"),
    ("gc.reflogExpireUnreachable", "never"),
];

/// An empty file by which `git clone` of a path asks for objects instead of linking the object files, among which
/// there are no contents.
const SHALLOW: &str = "shallow";

/// Open the repository without the user's or the system's configuration: a store says all that matters itself.
pub(super) fn open_repository(dir: &Path) -> Result<gix::Repository> {
    gix::open::Options::isolated()
        .open_path_as_is(true)
        .open(dir)
        .map(|repo| repo.to_thread_local())
        .map_err(Error::git(format!("open the store '{}'", dir.display())))
}

/// Refuse a repository that is no store, or one of another format.
pub(super) fn check_format(dir: &Path, repo: &gix::Repository) -> Result<()> {
    if repo.object_hash() != gix::hash::Kind::Sha256 {
        return Err(not_a_store(dir, "its object format is not SHA-256"));
    }
    match repo.config_snapshot().integer("rd.format") {
        Some(version) if version == i64::from(FORMAT) => Ok(()),
        Some(version) => Err(Error::Unsupported {
            what: format!("store format {version} of '{}'", dir.display()),
            why: format!("this rd reads format {FORMAT}; use the rd that wrote it, or a newer one"),
        }),
        None => Err(not_a_store(dir, "its configuration has no rd.format")),
    }
}

/// Give a store that an earlier version made what keeps git's housekeeping out of it; whether it lacked something.
///
/// A store that can't be written to stays as it is: it can be read, and git can't remove anything from it either.
pub(super) fn protect(dir: &Path, repo: &gix::Repository) -> bool {
    let config = repo.config_snapshot();
    let lacks = |(key, value): &(&str, &str)| config.string(*key).is_none_or(|found| found != *value);
    let incomplete = PROTECTION.iter().any(lacks);
    let shallow = dir.join(SHALLOW);
    let is_missing = !shallow.exists();
    if is_missing {
        let _ = std::fs::OpenOptions::new().append(true).create(true).open(&shallow);
    }
    incomplete && add_protection(&dir.join("config")).is_ok()
}

/// Add the lines.
fn add_protection(path: &Path) -> Result<()> {
    edit(path, |file| {
        PROTECTION
            .iter()
            .try_for_each(|(key, value)| file.set_raw_value(*key, *value).map(drop).map_err(cant_write(path)))
    })
}

fn cant_write<E: Into<gix::Error>>(path: &Path) -> impl FnOnce(E) -> Error {
    Error::git(format!("write '{}'", path.display()))
}

/// Change the configuration at `path`, by git's own locking of the file.
fn edit<T>(path: &Path, change: impl FnOnce(&mut gix::config::File) -> Result<T>) -> Result<T> {
    let at_once = gix::lock::acquire::Fail::Immediately;
    let mut lock = gix::lock::File::acquire_to_update_resource(path, at_once, None, 0).map_err(cant_write(path))?;
    let source = gix::config::Source::Local;
    let mut file = gix::config::File::from_path_no_includes(path.to_owned(), source).map_err(cant_write(path))?;
    let changed = change(&mut file)?;
    lock.with_mut(|out| file.write_to(out).and_then(|()| out.sync_all())).map_err(Error::io("write", path))?;
    lock.commit().map_err(|error| Error::io("write", path)(error.error))?;
    Ok(changed)
}

impl super::Store {
    /// Change the store's configuration; who opens the store afterwards reads what it is then.
    pub fn edit_config<T>(&self, change: impl FnOnce(&mut gix::config::File) -> Result<T>) -> Result<T> {
        edit(&self.dir.join("config"), change)
    }
}

fn not_a_store(dir: &Path, why: &str) -> Error {
    Error::Invalid { what: "store", input: dir.display().to_string(), why: why.into() }
}

/// Create an empty store: made complete under a temporary name beside `dir`, then renamed,
/// so that nobody ever opens half of one.
pub(super) fn create(dir: &Path) -> Result<()> {
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
    let parent = parent.canonicalize().map_err(Error::io("resolve", parent))?;
    let name = dir.file_name().ok_or_else(|| not_a_store(dir, "the path has no last component"))?;
    let target = parent.join(name);
    let fresh = tempfile::Builder::new()
        .prefix(".rd-init-")
        .tempdir_in(&parent)
        .map_err(Error::io("create a folder in", &parent))?;
    let repository = fresh.path().join("store");
    fill(&repository, &target)?;
    std::fs::rename(&repository, &target).map_err(Error::io("create", &target))?;
    super::sync::sync_folder(&parent)
}

fn fill(repository: &Path, target: &Path) -> Result<()> {
    let options = gix::create::Options { object_hash: Some(gix::hash::Kind::Sha256), ..Default::default() };
    gix::create::into(repository, gix::create::Kind::Bare, options).map_err(Error::git("create a repository"))?;
    let hooks = repository.join("hooks");
    std::fs::remove_dir_all(&hooks).map_err(Error::io("remove", &hooks))?;
    for folder in FOLDERS {
        let path = repository.join(folder);
        std::fs::create_dir(&path).map_err(Error::io("create", &path))?;
    }
    restrict(repository)?;
    write_config(&repository.join("config"), target)?;
    let shallow = repository.join(SHALLOW);
    std::fs::File::create(&shallow).map_err(Error::io("create", &shallow))?;
    for path in ["config", SHALLOW, "HEAD", "objects", "refs", "."] {
        super::sync::sync_file(&repository.join(path))?;
    }
    Ok(())
}

/// Only the owner may look into a store: it holds the files of every container.
fn restrict(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(Error::io("chmod", path))
}

/// git's configuration of a store, see `docs/format.md`.
fn write_config(path: &PathBuf, target: &Path) -> Result<()> {
    let quoted = target.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    let text = format!(
        "[core]\n\trepositoryformatversion = 1\n\tfilemode = true\n\tbare = true\n\tlogAllRefUpdates = always\n\tmultiPackIndex = false\n\
         [extensions]\n\tobjectFormat = sha256\n\tpartialClone = rd\n\tpreciousObjects = true\n\
         [remote \"rd\"]\n\turl = \"{quoted}\"\n\tpromisor = true\n\tpartialclonefilter = blob:none\n\tuploadpack = rd upload-pack\n\
         [gc]\n\tauto = 0\n\treflogExpire = never\n\treflogExpireUnreachable = never\n\
         [rd]\n\tformat = {FORMAT}\n"
    );
    let mut file = std::fs::File::create(path).map_err(Error::io("create", path))?;
    file.write_all(text.as_bytes()).map_err(Error::io("write", path))
}
