//! What every program here prints: `plugins:` and the names it found.

use rm_core::registry::Registries;

/// Installs what was linked, and shows it.
#[cfg(feature = "inventory")]
pub fn linked() {
    let mut registries = Registries::new();
    registries
        .install_linked(&Default::default())
        .expect("linked plugins can be installed");
    names(&registries);
}

/// Shows what is installed.
pub fn names(registries: &Registries) {
    print!("plugins:");
    for plugin in registries.plugins() {
        print!(" {}", plugin.name);
    }
    println!();
}
