//! The store's git configuration: what makes stock git accept the repository, and the format version.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The version of the on-disk format that this code reads and writes (`rd.format` in the configuration).
pub const FORMAT: u32 = 1;

/// Folders that a store has beside git's own.
const FOLDERS: [&str; 4] = ["content", "mounts", "containers", "volumes"];

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
    for path in ["config", "HEAD", "objects", "refs", "."] {
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
        "[core]\n\trepositoryformatversion = 1\n\tfilemode = true\n\tbare = true\n\tlogAllRefUpdates = always\n\
         [extensions]\n\tobjectFormat = sha256\n\tpartialClone = rd\n\
         [remote \"rd\"]\n\turl = \"{quoted}\"\n\tpromisor = true\n\tpartialclonefilter = blob:none\n\tuploadpack = rd upload-pack\n\
         [gc]\n\tauto = 0\n\
         [rd]\n\tformat = {FORMAT}\n"
    );
    let mut file = std::fs::File::create(path).map_err(Error::io("create", path))?;
    file.write_all(text.as_bytes()).map_err(Error::io("write", path))
}
