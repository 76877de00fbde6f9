//! Has the facade in its Cargo.toml, and that is all.

fn main() {
    show::linked();
}
