//! Running containers to their end.

use libtest_mimic::Trial;

use crate::fixture::{Store, success};

pub fn tests() -> Vec<Trial> {
    vec![Trial::test("a_container_runs_and_its_streams_keep_apart", || {
        a_container_runs_and_its_streams_keep_apart();
        Ok(())
    })]
}

fn a_container_runs_and_its_streams_keep_apart() {
    let store = Store::new();
    let output = store.run(&store.shell("echo out; echo err >&2; exit 7"));
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (b"out\n".as_slice(), b"err\n".as_slice()));
    assert_eq!(success(&store.run(&store.shell("id -u; cat /data/file"))), "0\ncontent\n");
}
