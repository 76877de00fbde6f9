//! A test program that names the crate it belongs to.

use plugin_b as _;

#[test]
fn shows() {
    show::linked();
}
