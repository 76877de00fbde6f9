//! Has the plugins in its Cargo.toml, and that is all.

fn main() {
    show::linked();
}
