//! The source tree keeps its own rules (see `ramson_tests::tidy`).

use ramson_tests::{places, tidy};

#[test]
fn the_tree_is_tidy() {
    let complaints = tidy::complaints(&places::repository()).unwrap();
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
