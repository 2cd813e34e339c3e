//! Small pieces that pages are made of: empty and failed states, fields, menus, code, copy buttons.

mod code;
mod field;
mod flow;
mod menu;
mod plot;
mod prose;
mod state;

pub use code::{Code, CopyButton};
pub use field::{Field, Switch};
pub use flow::{For, Show};
pub use menu::{Menu, MenuItem};
pub use plot::{Plot, PlotData, PlotLine};
pub use prose::Prose;
pub use state::{Empty, Failed, Skeleton};
