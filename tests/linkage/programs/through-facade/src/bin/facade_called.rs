//! Calls something of the facade.

fn main() {
    facade::hello();
    show::linked();
}
