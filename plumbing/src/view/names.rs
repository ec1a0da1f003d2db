//! Branches of images: `debian@12` in a view of a whole store, `12` in one of the repository `debian`.

use super::Scope;
use crate::ImageName;
use crate::store::refs::IMAGES;

const HEADS: &str = "refs/heads/";

/// What docker's defaults leave out of a name, the longest first.
const DEFAULTS: [&str; 3] = ["docker.io/library/", "docker.io/", ""];

/// The branch of an image; `None` where it is out of sight.
pub(super) fn branch(scope: &Scope, image: &ImageName) -> Option<String> {
    let reference = image.to_ref();
    match scope {
        Scope::Store => {
            let path = reference.strip_prefix(IMAGES)?;
            // What is left out must be what docker would put there again.
            let is_default = |(number, short): &(usize, &str)| match number {
                0 => !short.contains('/'),
                1 => !short.split_once('/').is_some_and(|(first, _)| is_registry(first)),
                _ => true,
            };
            let shorts =
                DEFAULTS.iter().enumerate().filter_map(|(at, default)| Some((at, path.strip_prefix(default)?)));
            let (_, short) = shorts.into_iter().find(is_default)?;
            Some(format!("{HEADS}{short}"))
        }
        Scope::Repository { name, tag } => {
            let (repository, escaped) = reference.rsplit_once('@')?;
            let is_in_sight = name.to_ref().rsplit_once('@')?.0 == repository;
            let is_shown = tag.as_ref().is_none_or(|tag| tag == image.tag());
            (is_in_sight && is_shown).then(|| format!("{HEADS}{escaped}"))
        }
    }
}

/// Whether docker takes the first part of a name, escaped as in a ref, for a registry.
fn is_registry(part: &str) -> bool {
    part == "localhost" || part.contains(['.', '%'])
}

/// The image whose branch is called so.
pub(super) fn image(scope: &Scope, branch_name: &str) -> Option<ImageName> {
    let short = branch_name.strip_prefix(HEADS)?;
    let (scope, references) = match scope {
        Scope::Store => (scope.clone(), DEFAULTS.map(|default| format!("{IMAGES}{default}{short}")).to_vec()),
        Scope::Repository { name, .. } => {
            let reference = name.to_ref();
            let (repository, _) = reference.rsplit_once('@')?;
            let all_tags = Scope::Repository { name: name.clone(), tag: None };
            (all_tags, vec![format!("{repository}@{short}")])
        }
    };
    let names = references.iter().filter_map(|reference| ImageName::from_ref(reference));
    names.into_iter().find(|name| branch(&scope, name).as_deref() == Some(branch_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_of_a_store_come_back() {
        for (name, want) in [
            ("debian:12", "refs/heads/debian@12"),
            ("team/app:v1", "refs/heads/team/app@v1"),
            ("library/team/app:v1", "refs/heads/library/team/app@v1"),
            ("localhost:5000/a/b:x", "refs/heads/localhost%3A5000/a/b@x"),
            ("localhost/a:1..2", "refs/heads/localhost/a@1.%2E2"),
        ] {
            let name = ImageName::parse(name).unwrap();
            assert_eq!(branch(&Scope::Store, &name).unwrap(), want);
            assert_eq!(image(&Scope::Store, want), Some(name));
        }
        for other in
            ["refs/heads/main", "refs/tags/debian@12", "refs/heads/docker.io/library/debian@12", "refs/heads/A@b"]
        {
            assert_eq!(image(&Scope::Store, other), None, "{other}");
        }
    }

    #[test]
    fn branches_of_a_repository_are_its_tags() {
        let debian = ImageName::parse("debian").unwrap();
        let all = Scope::Repository { name: debian.clone(), tag: None };
        let one = Scope::Repository { name: debian, tag: Some("12".into()) };
        let name = |text| ImageName::parse(text).unwrap();
        assert_eq!(branch(&all, &name("debian:b.lock")).unwrap(), "refs/heads/b%2Elock");
        assert_eq!(image(&all, "refs/heads/b%2Elock"), Some(name("debian:b.lock")));
        assert_eq!(branch(&all, &name("team/debian:12")), None);
        assert_eq!(branch(&one, &name("debian:13")), None);
        assert_eq!(image(&one, "refs/heads/13"), Some(name("debian:13")), "what isn't shown can still be pushed to");
        assert_eq!(image(&one, "refs/heads/a/b"), None);
    }
}
