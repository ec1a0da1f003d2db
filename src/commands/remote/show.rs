//! `rd remote show`

use std::collections::BTreeMap;

use plumbing::{Id, Store, Tracking};
use porcelain::remote::standing::{self, Standing};
use porcelain::remote::{Remote, store as stores, tracked};

use crate::output::emit;
use crate::report::Failure;

/// What is known of one image of a remote.
#[derive(Default)]
struct Image {
    tracked: Option<Id>,
    there: Option<Id>,
}

pub(super) fn show(store: &Store, remote: &Remote, query: bool) -> Result<(), Failure> {
    let mut images: BTreeMap<Tracking, Image> = BTreeMap::new();
    for (tracking, id) in tracked(store, &remote.name)? {
        images.entry(tracking).or_default().tracked = Some(id);
    }
    if query {
        for (tracking, id) in stores::images(remote)? {
            images.entry(tracking).or_default().there = Some(id);
        }
    }
    let (name, url) = (&remote.name, &remote.url);
    let mut text = format!("* remote {name}\n  Fetch URL: {url}\n  Push  URL: {url}\n");
    if images.is_empty() {
        text.push_str("  No images\n");
    } else {
        text.push_str(if query { "  Remote images:\n" } else { "  Remote images: (status not queried)\n" });
    }
    let width = images.keys().map(|tracking| label(tracking).chars().count()).max().unwrap_or(0);
    for (tracking, image) in &images {
        let word = match (image.tracked, image.there) {
            _ if !query => "",
            (None, _) => "new (the next fetch will get it)",
            (Some(_), None) => "stale (use 'rd remote prune' to remove)",
            (Some(old), Some(new)) if old != new => "changed (the next fetch will get it)",
            _ => "tracked",
        };
        text.push_str(format!("    {:<width$} {word}", label(tracking)).trim_end());
        text.push('\n');
    }
    text.push_str(&local(store, images.keys())?);
    emit(&text);
    Ok(())
}

fn label(tracking: &Tracking) -> String {
    format!("{}:{}", tracking.repository(), tracking.tag())
}

/// How the images of this store stand to what is known of the remote's.
fn local<'t>(store: &Store, images: impl Iterator<Item = &'t Tracking>) -> Result<String, Failure> {
    let mut lines = Vec::new();
    for tracking in images {
        if let Some(standing) = standing::of(store, tracking)? {
            lines.push((tracking, standing));
        }
    }
    let mut text = String::new();
    for (at, (tracking, standing)) in lines.iter().enumerate() {
        if at == 0 {
            text.push_str("  Local images:\n");
        }
        text.push_str(&format!("    {} {}\n", label(tracking), words(standing)));
    }
    Ok(text)
}

/// `up to date`, `ahead 1, behind 2`.
pub fn words(standing: &Standing) -> String {
    match (standing.ahead, standing.behind) {
        (0, 0) => "up to date".to_owned(),
        (ahead, 0) => format!("ahead {ahead}"),
        (0, behind) => format!("behind {behind}"),
        (ahead, behind) => format!("ahead {ahead}, behind {behind}"),
    }
}
