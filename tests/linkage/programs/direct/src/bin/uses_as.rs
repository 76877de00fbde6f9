//! Names the crates, and calls nothing of them.

use plugin_a as _;
use plugin_b as _;

fn main() {
    show::linked();
}
