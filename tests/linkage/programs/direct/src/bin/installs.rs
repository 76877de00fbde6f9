//! Installs one plugin by hand and then all that are linked: its crates are
//! named by that, and what comes twice counts once.

use rm_core::registry::Registries;

fn main() {
    let mut registries = Registries::new();
    registries
        .install(&plugin_b::far::PLUGIN, None)
        .expect("the first");
    registries
        .install(&plugin_a::PLUGIN, None)
        .expect("the second");
    registries
        .install_linked(&Default::default())
        .expect("all that are linked");
    show::names(&registries);
}
