//! A test program that does not name the crate it belongs to.

#[test]
fn shows() {
    show::linked();
}
