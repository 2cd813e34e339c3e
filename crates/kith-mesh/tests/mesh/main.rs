//! Several meshes in one process, over loopback: what members get, and what strangers and wrongdoers do not.

mod bounds;
mod entering;
mod gossip;
mod net;
mod paths;
mod protocols;
mod stopping;
