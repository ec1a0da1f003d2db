//! What scripts ask `rev-parse` about the repository rather than about revisions.

use std::path::Path;

use plumbing::Store;

use crate::git;
use crate::report::Failure;

/// Answer a question; false where `arg` is none.
pub fn answer<'i>(store: &Store, arg: &'i str, rest: &mut impl Iterator<Item = &'i str>) -> Result<bool, Failure> {
    let dir = store.dir();
    let answer = match arg {
        "--git-dir" | "--git-common-dir" => dir.display().to_string(),
        "--absolute-git-dir" => canonical(dir)?,
        "--git-path" => {
            let path = rest.next().ok_or_else(|| Failure::fatal("--git-path requires an argument"))?;
            dir.join(path).display().to_string()
        }
        "--resolve-git-dir" => {
            let path = rest.next().ok_or_else(|| Failure::fatal("--resolve-git-dir requires an argument"))?;
            match Path::new(path).join("HEAD").exists() && Path::new(path).join("objects").is_dir() {
                true => path.to_owned(),
                false => return Err(Failure::fatal(format!("not a gitdir '{path}'"))),
            }
        }
        "--local-env-vars" => LOCAL_VARIABLES.join("\n"),
        "--is-bare-repository" => store.repo().is_bare().to_string(),
        "--is-inside-git-dir" => is_inside(dir)?.to_string(),
        "--is-inside-work-tree" => "false".into(),
        "--is-shallow-repository" => store.repo().common_dir().join("shallow").exists().to_string(),
        "--show-ref-format" => "files".into(),
        "--show-prefix" => String::new(),
        "--show-cdup" => return Ok(true),
        "--show-superproject-working-tree" => return Ok(true),
        "--show-toplevel" => return Err(Failure::fatal("this operation must be run in a work tree")),
        _ => match arg.strip_prefix("--show-object-format") {
            Some("" | "=storage" | "=input" | "=output") => "sha256".into(),
            Some(mode) if mode.starts_with('=') => {
                return Err(Failure::fatal(format!("unknown mode for --show-object-format: {}", &mode[1..])));
            }
            _ => return Ok(false),
        },
    };
    git::print_line(answer)?;
    Ok(true)
}

/// Variables that are about one repository (git's environment.c, `local_repo_env`).
const LOCAL_VARIABLES: [&str; 15] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
];

fn canonical(dir: &Path) -> Result<String, Failure> {
    Ok(dir.canonicalize()?.display().to_string())
}

fn is_inside(dir: &Path) -> Result<bool, Failure> {
    Ok(std::env::current_dir()?.starts_with(dir.canonicalize()?))
}
