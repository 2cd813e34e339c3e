//! How fast a gigabyte goes from one node to another, beside other programs on the same link: `cargo xtask bench mesh`. Linux alone
//! can make such links.

#[cfg(target_os = "linux")]
#[path = "mesh/linux.rs"]
mod linux;

fn main() {
    #[cfg(target_os = "linux")]
    linux::measure();
}
