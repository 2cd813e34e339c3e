//! Private networks as they are: real nodes, each on a machine of its own that Linux makes of a namespace, with switches, routers and
//! trouble between them. Where namespaces are not allowed the tests say so and pass; in CI they must be allowed.

mod entry;
mod many;
#[allow(dead_code, reason = "the measurement of transfers uses the rest")]
mod node;
mod routers;
mod trouble;
#[allow(dead_code, reason = "the measurement of transfers uses the rest")]
mod wires;
