//! Names the facade, and calls nothing of it.

use facade as _;

fn main() {
    show::linked();
}
