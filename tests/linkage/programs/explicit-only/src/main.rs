//! Installs every plugin by name.

use rm_core::registry::Registries;

fn main() {
    let mut registries = Registries::new();
    registries.install(&plugin_a::PLUGIN, None).expect("a");
    registries.install(&plugin_b::PLUGIN, None).expect("b");
    registries
        .install(&plugin_b::far::PLUGIN, None)
        .expect("b-far");
    show::names(&registries);
}
