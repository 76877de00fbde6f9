//! The simulated world, and the suites any backend of the resource manager runs.
//!
//! Nothing here talks to a real system, needs a runtime or waits for real
//! time: a minute of a [`World`] passes as soon as nobody has anything to do.
//! The same seed gives the same run.
//!
//! | to know | read |
//! |---|---|
//! | time, order and crashes | [`World`], [`SimEnv`] |
//! | the cloud that can be told to misbehave | [`SimCloud`], [`Fault`], [`Rule`] |
//! | the store that can be told to misbehave | [`SimStore`], [`StoreFault`] |
//! | a store with something between it and its users | [`Around`], [`Between`] |
//! | all of it put together, with a catalog and callers | [`Scene`] |
//! | the engine on it: many schedules, and every fault everywhere | [`simulate`] |
//! | the simulated site of a real host | [`PLUGIN`], [`SimConfig`] |
//! | whether a backend does what it declares, whatever goes wrong | [`conformance`] |
//!
//! ```
//! use rm_testkit::Scene;
//!
//! let scene = Scene::new(7);
//! scene.start_engine();
//! let cluster = scene.run(async |s| {
//!     let made = s.clusters().create(&s.alice, &s.request(3)).await?;
//!     s.ready(&s.alice, made.cluster.id()).await
//! })?;
//! assert_eq!(cluster.view()?.hosts.len(), 4);
//! # Ok::<(), rm_core::Error>(())
//! ```

mod around;
mod cloud;
pub mod conformance;
mod rng;
mod scene;
pub mod simulate;
mod store;
mod world;

pub use around::{Around, Between};
pub use cloud::{
    API, Answer, BROKEN_IMAGE, Fault, Fill, MEDIA_TYPE, NODE, NODES_API, PLUGIN, Rule, SimBody,
    SimCall, SimCloud, SimConfig, SimImage, SimSite, Telling, Thing, Verb,
};
pub use rng::Rng;
pub use scene::{EngineTask, Scene, SceneBuilder};
pub use store::{SimStore, StoreFault};
pub use world::{Points, SimEnv, TaskId, World};
