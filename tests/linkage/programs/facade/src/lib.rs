//! A crate that only brings plugins together.

use plugin_a as _;
use plugin_b as _;

/// Something to call.
pub fn hello() {
    println!("hello");
}
