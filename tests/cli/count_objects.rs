//! `rd count-objects`

use crate::judge::Court;

#[test]
fn count_objects_is_gits() {
    let mut court = Court::new();
    let objects = court.git_dir().join("objects");
    std::fs::write(objects.join("pack/stray"), "garbage").unwrap();
    std::fs::write(objects.join("pack/pack-x.idx"), "alone").unwrap();
    std::fs::create_dir_all(objects.join("ab")).unwrap();
    std::fs::write(objects.join("ab/tmp_obj_1"), "unfinished").unwrap();
    std::fs::write(objects.join("info/alternates"), court.sandbox.store_dir().join("objects").to_str().unwrap())
        .unwrap();
    for option in ["-v", "-H", "-vH", "--verbose", "--human-readable"] {
        court.compare_in_place(&["count-objects", option]);
    }
    court.compare_in_place(&["count-objects"]);
    court.compare_in_place(&["count-objects", "x"]);
    court.verdict(7);
}
