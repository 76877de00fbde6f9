//! Names one of the crates.

use plugin_b as _;

fn main() {
    show::linked();
}
