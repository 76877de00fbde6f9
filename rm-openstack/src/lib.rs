//! Clusters on OpenStack: Keystone, Heat, Glance, Nova and Neutron limits.
//!
//! * [`plugin`]: what a host links: [`PLUGIN`].
//! * [`backend`]: clusters as Heat stacks.
//! * [`images`]: images that appliances need and sites lack.
//! * [`media`]: Heat templates as implementations of appliances.
//! * [`template`]: what a Heat template declares, read before it is ever sent.
//! * [`config`]: the section `[openstack]` of the configuration.
//! * [`client`]: the wire. One authenticated session, and thin typed calls on each service.

pub mod backend;
mod blame;
pub mod client;
pub mod config;
mod credential;
mod failure;
mod flavors;
mod generated;
mod hosts;
pub mod images;
mod made_of;
mod mark;
pub mod media;
pub mod plugin;
mod recall;
mod sessions;
mod size;
mod software;
mod surroundings;
pub mod template;
mod yaml;

pub use plugin::PLUGIN;
