//! Nodes: virtual machines and containers on hosts. A site is a host.
//!
//! * [`plugin`]: what a host program links: [`PLUGIN`].
//! * [`backend`]: nodes as domains of a driver.
//! * [`driver`]: the trait behind which hosts are.
//! * [`libvirt`]: containers and machines by libvirt, on this machine or another.
//! * [`lxc`]: containers by the tools of LXC, on this machine.
//! * [`images`]: archives of root file systems, checked and unpacked once.
//! * [`config`]: the section `[vm]` of the configuration.

mod addresses;
pub mod backend;
pub mod config;
pub mod driver;
mod failure;
mod files;
mod hosts;
pub mod images;
pub mod libvirt;
mod links;
pub mod lxc;
mod mark;
pub mod plugin;
mod room;
mod seed;
mod spec;
mod turns;

pub use hosts::Open;
pub use plugin::PLUGIN;
